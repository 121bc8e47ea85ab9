//! The state file before a row is read: its header, pages, version and file system, and which boot wrote it.

use std::fs::{File, Metadata, Permissions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use rustix::fs::OFlags;

use super::error::{StoreError, damaged, failed, io};
use crate::effects::files::random_name;

/// No link, and nothing whose opening may block.
pub(super) const PLAIN: i32 = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).bits().cast_signed();

/// A reader (`status`, an operator with sqlite3) may hold the file for a moment.
pub(super) const BUSY: Duration = Duration::from_secs(5);

/// File systems on which write-ahead logging does not work because memory is not shared between hosts:
/// NFS, SMB, CIFS, 9p.
pub(super) const NETWORK: [u32; 4] = [0x6969, 0xfe53_4d42, 0xff53_4d42, 0x0102_1997];

/// More file systems on which the time of a write may be set later, and elsewhere: FUSE, Ceph.
const ELSEWHERE: [u32; 2] = [0x6573_5546, 0x00c3_6400];

/// Whether a directory is on one of these file systems.
pub(super) fn is_on(dir: &Path, kinds: &[u32]) -> bool {
    rustix::fs::statfs(dir).is_ok_and(|found| kinds.contains(&(found.f_type as u32)))
}

/// Whether a file without a writer keeps the time of its last write.
pub(super) fn tells_each_write(dir: &Path) -> bool {
    !is_on(dir, &NETWORK) && !is_on(dir, &ELSEWHERE)
}

/// Takes the write permission of others away.
pub(super) fn close_to_others(
    found: &Metadata,
    path: &Path,
    what: &str,
    set: impl FnOnce(Permissions) -> std::io::Result<()>,
) -> Result<(), StoreError> {
    let mode = found.mode() & 0o7777;
    if mode & 0o022 != 0 {
        set(Permissions::from_mode(mode & !0o022))
            .map_err(|why| failed("remove the write permission of others from", path, why))?;
        let shown = path.display();
        tracing::warn!("{what}{shown} had mode {mode:04o}; the write permission of others was removed");
    }
    Ok(())
}

/// SQLite takes a file of a few bytes for a new one. Only an empty one is.
pub(super) fn check_header(file: File, path: &Path) -> Result<(), StoreError> {
    const MAGIC: &[u8] = b"SQLite format 3\0";
    const HEADER: u64 = 100;
    if !file.metadata().map_err(|why| failed("read", path, why))?.is_file() {
        return Err(io("open", path, "it is not a regular file"));
    }
    let mut start = Vec::new();
    file.take(HEADER).read_to_end(&mut start).map_err(|why| failed("read", path, why))?;
    if start.is_empty() || (start.len() as u64 == HEADER && start.starts_with(MAGIC)) {
        return Ok(());
    }
    Err(StoreError::damaged(path, "it does not begin like a state file"))
}

pub(super) fn version(connection: &Connection, path: &Path) -> Result<i64, StoreError> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(|why| damaged(path, why))
}

pub(super) fn no_version(path: &Path, version: i64) -> StoreError {
    StoreError::damaged(path, format!("there is no version {version} of it"))
}

/// SQLite's own check of its pages; a row that vanished shows here, a changed value does not.
pub(super) fn check_pages(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let found: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|why| damaged(path, why))?;
    if found == "ok" { Ok(()) } else { Err(StoreError::damaged(path, found)) }
}

/// The kernel's name for this boot. Where it is hidden, a name that no other process has: what others wrote is then
/// read by the wall clock, in this boot or another, and what this one writes finds its own line in `boots`.
pub(in crate::effects) fn boot_id() -> String {
    boot_named(std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok().as_deref())
}

fn boot_named(id: Option<&str>) -> String {
    match id.map(str::trim) {
        Some(id) if !id.is_empty() => id.to_owned(),
        _ => format!("unknown-{}", random_name()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_that_is_hidden_is_like_no_other() {
        assert_eq!(boot_named(Some("5f3a\n")), "5f3a");
        for hidden in [None, Some(""), Some("\n")] {
            assert_ne!(boot_named(hidden), boot_named(hidden));
        }
    }
}
