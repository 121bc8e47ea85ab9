//! Configuration files that are mounted as single files: a replacement on the host never shows here.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags};
use rustix::io::Errno;

use crate::config::file::{Level, Source};
use crate::config::locate::Finding;

/// A warning for each file that is a mount point.
pub(super) fn warnings(sources: &[Source]) -> Vec<Finding> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let points = points(&mounts);
    let single = sources.iter().filter(|source| is_among(&source.path, &points));
    single
        .map(|source| Finding {
            level: Level::Warning,
            message: format!(
                "{} is mounted as a single file: when an editor or a deployment replaces it on the host, the old content \
                 stays visible here despite a reload",
                source.path.display()
            ),
            about: None,
            help: Some("mount its directory instead".into()),
        })
        .collect()
}

/// Whether something is mounted just there: what is written into such a file on the host is no event of the directory that
/// it is seen in. Where the kernel does not say, as before 5.8, it may be.
pub(super) fn may_be_mount(path: &Path) -> bool {
    match rustix::fs::statx(CWD, path, AtFlags::empty(), StatxFlags::empty()) {
        Ok(found) => {
            !found.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT)
                || found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)
        }
        Err(Errno::NOENT) => false,
        Err(_) => true,
    }
}

/// The fifth field of each line of mountinfo, proc(5).
fn points(mounts: &str) -> BTreeSet<PathBuf> {
    mounts.lines().filter_map(|line| line.split(' ').nth(4)).map(|point| unescape(point).into()).collect()
}

/// The path itself, or the place of the link in front of it.
fn is_among(path: &Path, points: &BTreeSet<PathBuf>) -> bool {
    let real = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    points.contains(path) || points.contains(&real)
}

/// Blanks and the like are written in octal there.
fn unescape(point: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(point.to_owned(), |text, (code, character)| text.replace(code, character))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_where_something_is_mounted_is_told_from_what_is_in_it() {
        assert!(may_be_mount(Path::new("/proc")));
        assert!(!may_be_mount(Path::new("/proc/version")));
        assert!(!may_be_mount(Path::new("/proc/none-such")));
    }

    #[test]
    fn the_fifth_field_is_the_mount_point() {
        let line = "640 610 0:12 /c.toml /etc/my\\040dir/c.toml rw,relatime - ext4 /dev/sda1 rw";
        let points = points(line);
        assert!(is_among(Path::new("/etc/my dir/c.toml"), &points));
        assert!(!is_among(Path::new("/etc/my dir"), &points));
    }
}
