//! The lock that keeps a second process out of a state directory, and the directory itself.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::FlockOperation;
use rustix::io::Errno;

use super::custody::Identity;
use super::error::{StoreError, failed, io};
use super::file::close_to_others;
use super::presence::{self, Answer, Presence, Trust};
use crate::effects::hook::executable::find_program;
use crate::effects::ownership::{sudo_user, user_name};

/// The lock on a state directory. Released by the kernel when the process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    file: File,
    /// Where the file is taken away from it, the directory is still locked.
    _dir: Option<File>,
    /// Where the directory is taken away as well, this process can still be found.
    presence: Presence,
}

/// A lock file that is replaced again and again is not waited for.
const TRIES: u32 = 10;

impl Lock {
    /// Takes the lock, or says who holds it.
    pub fn take(dir: &Path) -> Result<Lock, StoreError> {
        let path = dir.join("lock");
        // Nothing is made beside a process that works on the directory that was here.
        if !path.exists() {
            let trust = Trust::without_a_state(rustix::process::geteuid().as_raw());
            for answer in presence::ask(dir, trust) {
                match answer {
                    Answer::InPlace => {}
                    other => return Err(orphaned(dir, other)),
                }
            }
        }
        make_dir(dir)?;
        let whole = lock_dir(dir)?;
        for _ in 0..TRIES {
            let mut file = open(&path)?;
            if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
                return Err(StoreError::Locked { dir: dir.to_owned(), by: number(file) });
            }
            // Someone may have taken it away between these two steps.
            let held = file.metadata().map_err(|why| failed("look at", &path, why))?;
            let named = std::fs::symlink_metadata(&path);
            if named.is_ok_and(|named| Identity::of(&named) == Identity::of(&held)) {
                let presence = Presence::show(dir).map_err(|answer| orphaned(dir, answer))?;
                let _ = file
                    .set_len(0)
                    .and_then(|()| file.rewind())
                    .and_then(|()| writeln!(file, "{}", std::process::id()));
                return Ok(Lock { file, _dir: whole, presence });
            }
        }
        Err(io("lock", &path, "it keeps being replaced"))
    }

    /// What is locked.
    pub(super) fn identity(&self) -> std::io::Result<Identity> {
        self.file.metadata().map(|found| Identity::of(&found))
    }

    /// What answers those who ask for this process, once.
    pub(super) fn presence(&mut self) -> Presence {
        std::mem::take(&mut self.presence)
    }
}

fn open(path: &Path) -> Result<File, StoreError> {
    File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)
        .map_err(|why| failed("open", path, why))
}

/// The process number that a lock file holds.
fn number(file: File) -> Option<u32> {
    let mut holder = String::new();
    let _ = file.take(32).read_to_string(&mut holder);
    holder.trim().parse().ok()
}

/// Locks the directory itself, where its file system can.
fn lock_dir(dir: &Path) -> Result<Option<File>, StoreError> {
    let Ok(opened) = File::open(dir) else { return Ok(None) };
    match rustix::fs::flock(&opened, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(opened)),
        Err(Errno::WOULDBLOCK) => {
            let by = File::open(dir.join("lock")).ok().and_then(number);
            Err(StoreError::Locked { dir: dir.to_owned(), by })
        }
        Err(_) => Ok(None),
    }
}

fn orphaned(dir: &Path, answer: Answer) -> StoreError {
    let (by, why) = match answer {
        Answer::Lost { pid, why } => (pid, Some(why)),
        Answer::InPlace | Answer::Silent => (None, None),
    };
    StoreError::Orphaned { dir: dir.to_owned(), by, why }
}

/// Makes the state directory, private to us; one that belongs to someone else is refused, because what we
/// would write there the daemon could not read.
fn make_dir(dir: &Path) -> Result<(), StoreError> {
    match std::fs::metadata(dir) {
        Ok(found) if found.is_dir() => {
            let me = rustix::process::geteuid().as_raw();
            if found.uid() != me {
                let (owner, remedy) = (user_name(found.uid()), remedy(dir, found.uid(), me));
                return Err(io("use", dir, format!("it belongs to user {owner}; {remedy}")));
            }
            // A volume made for a container is often open to others at first.
            close_to_others(&found, dir, "state_dir ", |closed| std::fs::set_permissions(dir, closed))
        }
        Ok(_) => Err(io("use", dir, "it is not a directory")),
        Err(_) => std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(|why| failed("make", dir, why)),
    }
}

/// A container does not change users: its volume is given to the one that it runs as.
fn remedy(dir: &Path, owner: u32, me: u32) -> String {
    let marked = ["/.dockerenv", "/run/.containerenv"].iter().any(|mark| Path::new(mark).exists());
    let switch = ["sudo", "runuser"].into_iter().find(|program| find_program(program).is_ok());
    match switch {
        Some(program) if std::process::id() != 1 && !marked => {
            format!("run this command as that user, for instance with `{program} -u {}`", sudo_user(owner))
        }
        Some(_) | None => format!(
            "give the volume to user {me}, which this runs as: chown {me}:{} {}, or run the container as user {owner}; \
             where that cannot be, as in Kubernetes, name a new directory in it as state_dir",
            rustix::process::getegid().as_raw(),
            dir.display()
        ),
    }
}
