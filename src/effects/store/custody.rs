//! Whether the files of a state directory are still the ones that were opened: not gone, not others under the
//! same name, and not written by anyone else.
//!
//! What is saved into an unlinked file is lost with the process, and a lock on such a file excludes no other
//! process.

use std::cell::Cell;
use std::fs::Metadata;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::error::{Loss, StoreError, failed};

/// The lock, the database, and what SQLite keeps beside it: the log and its index.
const DATABASE: &str = "state.db";
const LOG: &str = "state.db-wal";
const INDEX: &str = "state.db-shm";

/// A file, whatever its name: device and inode. Neither is used again while someone holds the file open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity(u64, u64);

impl Identity {
    pub(super) fn of(found: &Metadata) -> Identity {
        Identity(found.dev(), found.ino())
    }
}

/// What a write changes: the size, and the time of the last write.
type Stamp = (u64, i64, i64);

fn stamp(found: &Metadata) -> Stamp {
    (found.size(), found.mtime(), found.mtime_nsec())
}

/// What only we write to.
const STAMPED: [&str; 2] = [DATABASE, LOG];

/// What [`STAMPED`] was after our last write; nothing where it could not be looked at then, and what is found next counts.
type Stamps = [Option<Stamp>; 2];

/// The open files of a state directory, and what is known of them.
#[derive(Debug)]
pub struct Custody {
    /// As the configuration names it: a link on the way may lead elsewhere one day.
    dir: PathBuf,
    files: Vec<(&'static str, Identity)>,
    /// Nothing where the file system's times are not its own.
    stamps: Option<Cell<Stamps>>,
}

impl Custody {
    /// Of files that were opened just now. `lock` is what was locked; `exact` says that the file system tells each write.
    pub(super) fn take(dir: &Path, lock: Identity, exact: bool) -> Result<Custody, StoreError> {
        let mut files = Vec::new();
        for name in [DATABASE, LOG, INDEX] {
            let path = dir.join(name);
            match std::fs::symlink_metadata(&path) {
                Ok(found) => files.push((name, Identity::of(&found))),
                // With a journal, there is neither of the others.
                Err(why) if why.kind() == ErrorKind::NotFound && name != DATABASE => {}
                Err(why) => return Err(failed("look at", &path, why)),
            }
        }
        files.push(("lock", lock));
        let custody = Custody { dir: dir.to_owned(), files, stamps: exact.then(Cell::default) };
        custody.wrote();
        custody.compare()?;
        Ok(custody)
    }

    /// Whether every file is in its place, and unchanged since our last write.
    pub fn compare(&self) -> Result<(), StoreError> {
        for (name, identity) in &self.files {
            let path = self.dir.join(name);
            let beside = *name != DATABASE;
            let found = match std::fs::symlink_metadata(&path) {
                Ok(found) => found,
                Err(why) if why.kind() == ErrorKind::NotFound => {
                    if !self.dir.exists() {
                        return Err(lost(self.dir.clone(), Loss::Gone));
                    }
                    return Err(lost(path, if beside { Loss::GoneBeside } else { Loss::Gone }));
                }
                Err(why) => return Err(failed("look at", &path, why)),
            };
            if Identity::of(&found) != *identity {
                return Err(lost(path, if beside { Loss::AnotherBeside } else { Loss::Another }));
            }
            if !self.is_as_left(name, stamp(&found)) {
                return Err(lost(path, Loss::Overwritten));
            }
        }
        Ok(())
    }

    fn is_as_left(&self, name: &str, found: Stamp) -> bool {
        let (Some(cell), Some(at)) = (&self.stamps, STAMPED.iter().position(|known| *known == name)) else {
            return true;
        };
        let mut stamps = cell.get();
        let left = *stamps[at].get_or_insert(found);
        cell.set(stamps);
        left == found
    }

    /// Whether the log that we hold may be put into the database at the end: the database is ours, and no one
    /// wrote into either. A log that was only taken away is still whole to us.
    pub(super) fn may_fold(&self) -> bool {
        let known = |name: &str| self.files.iter().find(|(known, _)| *known == name).map(|(_, found)| *found);
        let [database, log] = self.look();
        let same = |name, found: &Option<Metadata>| found.as_ref().map(Identity::of) == known(name);
        let stamps = self.stamps.as_ref().map(Cell::get);
        let as_left = |at: usize, found: &Option<Metadata>| {
            let left = stamps.and_then(|stamps| stamps[at]);
            left.is_none_or(|left| found.as_ref().map(stamp) == Some(left))
        };
        same(DATABASE, &database) && as_left(0, &database) && (!same(LOG, &log) || as_left(1, &log))
    }

    /// Someone wrote, and it was us.
    pub(super) fn wrote(&self) {
        if let Some(stamps) = &self.stamps {
            stamps.set(self.look().map(|found| found.as_ref().map(stamp)));
        }
    }

    fn look(&self) -> [Option<Metadata>; 2] {
        STAMPED.map(|name| std::fs::symlink_metadata(self.dir.join(name)).ok())
    }
}

fn lost(path: PathBuf, how: Loss) -> StoreError {
    StoreError::Lost { path, how }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A look right after our own write can fail; that write is not someone else's for that.
    #[test]
    fn what_could_not_be_looked_at_once_is_learnt_and_watched_from_then_on() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path();
        std::fs::write(dir.join(DATABASE), "ours").unwrap();
        std::fs::write(dir.join("lock"), "").unwrap();
        let lock = Identity::of(&std::fs::metadata(dir.join("lock")).unwrap());
        let custody = Custody::take(dir, lock, true).unwrap();
        std::fs::write(dir.join(DATABASE), "ours, too").unwrap();
        custody.stamps.as_ref().unwrap().set([None, None]);
        custody.compare().unwrap();
        assert!(custody.may_fold());
        std::fs::write(dir.join(DATABASE), "somebody else's").unwrap();
        let found = custody.compare().unwrap_err();
        assert!(matches!(found, StoreError::Lost { how: Loss::Overwritten, .. }), "{found}");
        assert!(!custody.may_fold());
    }
}
