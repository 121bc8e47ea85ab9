//! Why the state cannot be opened, read or written, in words that name the cause.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;
use rustix::fs::{Access, Mode, OFlags};
use rustix::io::Errno;

use crate::effects::files::random_name;
use crate::effects::install::error;
use crate::effects::ownership::user_name;
use certcollectd_core::api::Untrusted;
use certcollectd_core::state::VERSION;
use certcollectd_core::words;

/// Why the state cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("certcollectd is already running on {dir} ({}); nothing was sent", holder(*.by))]
    Locked {
        dir: PathBuf,
        /// Its number, if it is known.
        by: Option<u32>,
    },
    /// Written by a newer program.
    #[error(
        "{0} was written by a newer certcollectd (format {1}, this one knows {VERSION}); it was left untouched: install the newer \
         program, or restore an older copy of the file"
    )]
    Newer(PathBuf, i64),
    /// Damaged.
    #[error(
        "{path} is damaged ({why}); it was left untouched: restore a copy, or move it and its -wal and -shm files aside, then the \
         daemon starts with an empty state: it collects every order again, politely, and a closed account counts as open"
    )]
    Damaged { path: PathBuf, why: String },
    /// A process works on this directory whose files were taken away.
    #[error("certcollectd is running on {dir} ({}), {}", holder(*.by), orphan(.why))]
    Orphaned {
        /// The state directory.
        dir: PathBuf,
        /// Its number, if it is known.
        by: Option<u32>,
        /// What it says itself; nothing if it does not answer.
        why: Option<String>,
    },
    /// A file that is open is no longer the one under its path.
    #[error("{path} {}", how.sentence())]
    Lost { path: PathBuf, how: Loss },
    /// The directory or the file cannot be used.
    #[error("{step} {path}: {why}")]
    Io { step: &'static str, path: PathBuf, why: String },
}

words! {
    /// What became of a file that is open, as one process tells another.
    pub enum Loss {
        /// Its path names nothing.
        Gone = "gone",
        /// Its path names another file.
        Another = "another",
        /// The same of a file whose loss takes nothing along, if the process ends in order.
        GoneBeside = "gone-beside",
        AnotherBeside = "another-beside",
        /// Someone else wrote into it.
        Overwritten = "overwritten",
    }
}

impl Loss {
    /// What follows the path in a sentence, and what to do.
    fn sentence(self) -> &'static str {
        match self {
            Loss::Gone => {
                "is gone: move it back, then certcollectd continues automatically; if it cannot be moved back, stop certcollectd, restore \
                 a copy of state.db without -wal and -shm files, or accept that its content is lost (closed accounts count as \
                 open), and start it again"
            }
            Loss::Another => {
                "is not the file that certcollectd opened: move that one back, then it continues automatically; or, \
                 if the other file is the right one, stop certcollectd, remove state.db-wal and state.db-shm unless they came with \
                 it, and start it again"
            }
            Loss::GoneBeside => {
                "is gone: stop certcollectd in order and start it again, with `systemctl restart certcollectd` or the like, then nothing \
                 is lost; moved back, it continues automatically"
            }
            Loss::AnotherBeside => {
                "is not the file that certcollectd opened: stop certcollectd in order and start it again, with \
                 `systemctl restart certcollectd` or the like, then nothing is lost; with the old one in its place, it continues automatically"
            }
            Loss::Overwritten => {
                "was written to by another program: stop certcollectd; if a copy was restored, restore it once more, remove \
                 state.db-wal and state.db-shm, and start it again"
            }
        }
    }
}

impl StoreError {
    pub(super) fn damaged(path: &Path, why: impl Into<String>) -> StoreError {
        StoreError::Damaged { path: path.to_owned(), why: why.into() }
    }
}

/// What is known of a process whose files were taken away.
fn orphan(why: &Option<String>) -> String {
    match why {
        Some(why) => format!("but it has stopped calling and installing: {why}"),
        None => "which does not answer: if it is stopped or hangs, end it".to_owned(),
    }
}

/// A process that holds a lock, in words: its number and what it was started with.
pub fn holder(pid: Option<u32>) -> String {
    let Some(pid) = pid else { return "an unknown process".into() };
    // Our arguments hold no secrets. In another PID namespace, there is nothing to see.
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<String> = line
        .split(|byte| *byte == 0)
        .filter(|word| !word.is_empty())
        .map(|word| Untrusted::from_bytes(word).to_string())
        .collect();
    match words.split_first() {
        Some((program, rest)) => {
            let program = program.rsplit('/').next().unwrap_or(program);
            format!("process {pid}: {}", [&[program.to_owned()], rest].concat().join(" "))
        }
        None => format!("process {pid}"),
    }
}

/// A step that failed for this reason.
pub(super) fn io(step: &'static str, path: &Path, why: impl Into<String>) -> StoreError {
    StoreError::Io { step, path: path.to_owned(), why: why.into() }
}

/// A step that the system refused, with what usually helps.
pub(super) fn failed(step: &'static str, path: &Path, why: std::io::Error) -> StoreError {
    io(step, path, words(step, path, why))
}

fn words(step: &'static str, path: &Path, why: std::io::Error) -> String {
    let denied = why.kind() == ErrorKind::PermissionDenied;
    let failed = error::failed(step, path, why);
    let advice = if denied { Some(who_may(path)) } else { failed.advice };
    advice.map_or_else(|| failed.cause.clone(), |advice| format!("{}; {advice}", failed.cause))
}

/// Those who only read may be anyone; and what belongs to the daemon's user can have a wrong owner or mode.
fn who_may(path: &Path) -> String {
    let owner = path.ancestors().find_map(|path| std::fs::metadata(path).ok()).map(|found| found.uid());
    match owner {
        Some(uid) if uid != rustix::process::geteuid().as_raw() => {
            format!(
                "it belongs to user {}: run this as that user, or give it to the daemon's user",
                user_name(uid)
            )
        }
        _ => "check its mode, its attributes (lsattr), and those of its parent directories".to_owned(),
    }
}

/// Writes a file of one block into the state directory, which is gone when it is closed: an empty one can be made on
/// a disk that is full. The error is in words.
pub fn try_write(dir: &Path) -> Result<(), String> {
    let fill = |mut file: File| file.write_all(&[0; 4096]).and_then(|()| file.sync_all());
    let nameless = || {
        let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
        fill(File::from(rustix::fs::open(dir, flags, Mode::RUSR | Mode::WUSR)?))
    };
    let named = || {
        let path = dir.join(format!(".certcollectd-probe-{}", random_name()));
        let written = fill(File::options().write(true).create_new(true).mode(0o600).open(&path)?);
        std::fs::remove_file(&path)?;
        written
    };
    let attempt = match nameless() {
        // Not every file system has such files; what else is wrong shows itself again.
        Err(why) if matches!(why.kind(), ErrorKind::Unsupported | ErrorKind::IsADirectory) => named(),
        attempt => attempt,
    };
    attempt.map_err(|why| words("write", dir, why))
}

/// SQLite's error while the state is opened or read. A damaged file shows itself in more ways than one; anything
/// that says nothing about the machine counts.
pub(super) fn damaged(path: &Path, why: rusqlite::Error) -> StoreError {
    if is_of_the_machine(&why) {
        io("open", path, cause(path, &why))
    } else {
        StoreError::damaged(path, why.to_string())
    }
}

/// SQLite's error while changes are written.
pub(super) fn unsaved(path: &Path, why: rusqlite::Error) -> StoreError {
    io("write", path, cause(path, &why))
}

/// Whether it may pass without anyone repairing the file.
fn is_of_the_machine(why: &rusqlite::Error) -> bool {
    matches!(
        why.sqlite_error_code(),
        Some(
            ErrorCode::CannotOpen
                | ErrorCode::PermissionDenied
                | ErrorCode::ReadOnly
                | ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::FileLockingProtocolFailed
                | ErrorCode::OperationInterrupted
                | ErrorCode::OutOfMemory
        )
    )
}

/// SQLite's words ("unable to open database file", "disk I/O error") tell no full disk from a missing right, so
/// what it could not do is tried again here, where the system says why.
fn cause(path: &Path, why: &rusqlite::Error) -> String {
    match why.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            return format!("another program holds it: {why}");
        }
        Some(ErrorCode::OutOfMemory) => return why.to_string(),
        code if code.is_none() || !is_of_the_machine(why) => return why.to_string(),
        _ => {}
    }
    match obstacle(path.parent().unwrap_or(path)) {
        Some(cause) => format!("{cause} ({why})"),
        None => format!("{why}; a check right after it found no obstacle"),
    }
}

/// What is in the way of writing the state in this directory: the directory and its disk, the lock, the file,
/// and those that SQLite keeps beside it.
pub fn obstacle(dir: &Path) -> Option<String> {
    if let Err(cause) = try_write(dir) {
        return Some(cause);
    }
    let names = ["state.db", "state.db-wal", "state.db-shm", "state.db-journal", "lock"];
    names.iter().map(|name| dir.join(name)).find_map(|file| {
        // Asked for, not opened: to close a file of SQLite's takes away the locks that SQLite holds on it (fcntl(2)).
        match rustix::fs::access(&file, Access::READ_OK | Access::WRITE_OK) {
            Err(why) if why != Errno::NOENT => {
                Some(format!("{}: {}", file.display(), words("open", &file, why.into())))
            }
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use rusqlite::ffi;

    use super::*;

    fn sqlite(code: i32) -> rusqlite::Error {
        rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)
    }

    #[test]
    fn trouble_with_locks_or_memory_is_no_damage() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.db");
        let told = |code| damaged(&path, sqlite(code)).to_string();
        for code in [ffi::SQLITE_PROTOCOL, ffi::SQLITE_LOCKED, ffi::SQLITE_NOMEM] {
            assert!(!told(code).contains("move it"), "{}", told(code));
        }
        assert!(told(ffi::SQLITE_CORRUPT).contains("move it"));
    }

    #[test]
    fn what_is_in_the_way_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.db");
        let told = || unsaved(&path, sqlite(ffi::SQLITE_CANTOPEN)).to_string();
        assert!(told().contains("found no obstacle"), "{}", told());
        // Something that cannot be opened, not even by root.
        let log = dir.path().join("state.db-wal");
        symlink("state.db-wal", &log).unwrap();
        assert!(
            told().contains(&format!("{}: too many levels of symbolic links", log.display())),
            "{}",
            told()
        );
        std::fs::remove_file(log).unwrap();
        let gone = dir.path().join("gone/state.db");
        let told = unsaved(&gone, sqlite(ffi::SQLITE_CANTOPEN)).to_string();
        assert!(told.contains("no such file or directory ("), "{told}");
    }
}
