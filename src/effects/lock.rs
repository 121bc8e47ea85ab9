//! The lock that keeps a second process out of a state directory, and the directory itself.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use super::hook::find_program;
use super::store_error::{StoreError, failed, io};
use crate::api::Foreign;

/// A process that holds a lock, in words: its number and what it was started with.
pub fn holder(pid: Option<u32>) -> String {
    let Some(pid) = pid else { return "a process that has not said which it is".into() };
    // No argument of ours is a secret. In another namespace of processes, there is nothing to see.
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<String> = line
        .split(|byte| *byte == 0)
        .filter(|word| !word.is_empty())
        .map(|word| Foreign::from_bytes(word).to_string())
        .collect();
    match words.split_first() {
        Some((program, rest)) => {
            let program = program.rsplit('/').next().unwrap_or(program);
            format!("process {pid}: {}", [&[program.to_owned()], rest].concat().join(" "))
        }
        None => format!("process {pid}"),
    }
}

/// The lock on a state directory. Released by the kernel when the process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock, or says who holds it.
    pub fn take(dir: &Path) -> Result<Lock, StoreError> {
        make_dir(dir)?;
        let path = dir.join("lock");
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
            .open(&path)
            .map_err(|why| failed("open", &path, why))?;
        if rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut holder = String::new();
            let _ = file.take(32).read_to_string(&mut holder);
            return Err(StoreError::Locked { dir: dir.to_owned(), by: holder.trim().parse().ok() });
        }
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Lock { _file: file })
    }
}

/// Makes the state directory, private to us; one that belongs to somebody else is refused, because what we
/// would write there the daemon could not read.
fn make_dir(dir: &Path) -> Result<(), StoreError> {
    match std::fs::metadata(dir) {
        Ok(found) if found.is_dir() => {
            let me = rustix::process::geteuid().as_raw();
            if found.uid() != me {
                let why = format!(
                    "it belongs to user {}; {}",
                    user_name(found.uid()),
                    remedy(dir, found.uid(), me)
                );
                return Err(io("use", dir, why));
            }
            let mode = found.mode() & 0o7777;
            if mode & 0o022 != 0 {
                // A volume made for a container often begins like this.
                let closed = std::fs::Permissions::from_mode(mode & !0o022);
                std::fs::set_permissions(dir, closed)
                    .map_err(|why| failed("take the write permission of others from", dir, why))?;
                tracing::warn!(
                    "state_dir {} had mode {mode:04o}; the write permission of others was taken away",
                    dir.display()
                );
            }
            Ok(())
        }
        Ok(_) => Err(io("use", dir, "it is not a directory")),
        Err(_) => std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(|why| failed("make", dir, why)),
    }
}

/// In a container nobody becomes another user: its volume is given to the one that it runs as.
fn remedy(dir: &Path, owner: u32, me: u32) -> String {
    let marked = ["/.dockerenv", "/run/.containerenv"].iter().any(|mark| Path::new(mark).exists());
    let switch = ["sudo", "runuser"].into_iter().find(|program| find_program(program).is_ok());
    match switch {
        Some(program) if std::process::id() != 1 && !marked => {
            format!("run this command as that user, for instance with `{program} -u {}`", sudo_user(owner))
        }
        Some(_) | None => {
            let group = rustix::process::getegid().as_raw();
            format!(
                "give the volume to user {me}, whom this runs as: chown {me}:{group} {}, or run the container as user {owner}",
                dir.display()
            )
        }
    }
}

/// A user's name, or the number of one without.
pub fn user_name(uid: u32) -> String {
    let user = nix::unistd::User::from_uid(uid.into()).ok().flatten();
    user.map_or_else(|| uid.to_string(), |user| user.name)
}

/// A user as `sudo -u` takes it; a number needs a mark there, and quotes in a shell.
pub fn sudo_user(uid: u32) -> String {
    let name = user_name(uid);
    if name == uid.to_string() { format!("'#{uid}'") } else { name }
}
