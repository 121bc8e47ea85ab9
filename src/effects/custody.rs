//! Whether the files of a state directory are still the ones that were opened: not gone, not others under the same
//! name, and written by nobody else.
//!
//! What is saved into a file that has no name any more is forgotten with the process, and a lock on such a file
//! keeps nobody out.

use std::cell::Cell;
use std::fs::Metadata;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::store_error::{Loss, StoreError, failed};

/// The lock, the database, and what SQLite keeps beside it: the log and its index.
const DATABASE: &str = "state.db";
const LOG: &str = "state.db-wal";
const INDEX: &str = "state.db-shm";

/// A file, whatever its name: device and inode. Neither is used again while somebody holds the file open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity(u64, u64);

impl Identity {
    pub(super) fn of(found: &Metadata) -> Identity {
        Identity(found.dev(), found.ino())
    }
}

/// What a write changes: the size, and the time of the last write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    size: u64,
    written: (i64, i64),
}

impl Stamp {
    fn of(found: &Metadata) -> Stamp {
        Stamp { size: found.size(), written: (found.mtime(), found.mtime_nsec()) }
    }
}

/// The database and the log, after our last write.
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
        let mut files = vec![("lock", lock)];
        for name in [DATABASE, LOG, INDEX] {
            let path = dir.join(name);
            match std::fs::metadata(&path) {
                Ok(found) => files.push((name, Identity::of(&found))),
                // With a journal, there is neither of the others.
                Err(why) if why.kind() == ErrorKind::NotFound && name != DATABASE => {}
                Err(why) => return Err(failed("look at", &path, why)),
            }
        }
        let custody = Custody { dir: dir.to_owned(), files, stamps: exact.then(Cell::default) };
        custody.wrote();
        custody.compare()?;
        Ok(custody)
    }

    /// Whether every file is where it was, and as it was left.
    pub fn compare(&self) -> Result<(), StoreError> {
        for (name, identity) in &self.files {
            let path = self.dir.join(name);
            match std::fs::metadata(&path) {
                Ok(found) if Identity::of(&found) == *identity => {}
                Ok(_) => return Err(lost(path, Loss::Another)),
                Err(why) if why.kind() == ErrorKind::NotFound => {
                    let whole = !self.dir.exists();
                    return Err(lost(if whole { self.dir.clone() } else { path }, Loss::Gone));
                }
                Err(why) => return Err(failed("look at", &path, why)),
            }
        }
        let Some(stamps) = &self.stamps else { return Ok(()) };
        let (known, found) = (stamps.get(), self.look());
        for (at, name) in [DATABASE, LOG].iter().enumerate() {
            if known[at] != found[at] {
                return Err(lost(self.dir.join(name), Loss::Overwritten));
            }
        }
        Ok(())
    }

    /// Whether the database itself is still ours: then the log may be put into it at the end.
    pub(super) fn holds_database(&self) -> bool {
        let database = std::fs::metadata(self.dir.join(DATABASE)).ok();
        let known = self.files.iter().find(|(name, _)| *name == DATABASE).map(|(_, identity)| *identity);
        let same = database.as_ref().map(Identity::of) == known;
        let as_left = self
            .stamps
            .as_ref()
            .is_none_or(|known| known.get()[0] == database.map(|found| Stamp::of(&found)));
        same && as_left
    }

    /// Somebody wrote, and it was us.
    pub(super) fn wrote(&self) {
        if let Some(stamps) = &self.stamps {
            stamps.set(self.look());
        }
    }

    fn look(&self) -> Stamps {
        [DATABASE, LOG].map(|name| std::fs::metadata(self.dir.join(name)).ok().map(|found| Stamp::of(&found)))
    }
}

fn lost(path: PathBuf, how: Loss) -> StoreError {
    StoreError::Lost { path, how }
}
