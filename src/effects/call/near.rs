//! Secrets that are read where they lie, without a thread, because that cannot keep the loop waiting.
//!
//! Which file a path leads to, and on which file system, is found out by a thread: any part of the path may be a
//! mount that hangs. From then on the kernel is asked to find the way in its memory alone, and to refuse rather than
//! wait (`RESOLVE_CACHED`); what it finds must be a file on the same device. Whatever differs goes to a thread again.
//! The rest: a mount that was put into that place since, was looked at by somebody else a moment ago, and has just
//! begun to hang; then the loop hangs as well, once.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, fstatfs, openat2};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::credential;
use crate::effects::{blocking, files};
use certcollectd_core::config::SecretSource;

/// No device has this number.
const UNKNOWN: u64 = 0;

/// The device on which a secret was last found, if that is one of this machine's own.
#[derive(Debug, Clone, Default)]
pub(super) struct Near(Arc<AtomicU64>);

impl Near {
    /// Reads a secret of one line. The outer error is that it takes too long.
    pub(super) async fn read(
        &self,
        source: &SecretSource,
        permit: &Arc<Semaphore>,
    ) -> Result<Result<Zeroizing<String>, String>, String> {
        if let Some(secret) = self.in_place(source) {
            return Ok(Ok(secret));
        }
        self.0.store(UNKNOWN, Relaxed);
        let (near, source) = (self.clone(), source.clone());
        blocking::with_timeout(permit, move || near.apart(&source)).await
    }

    /// Nothing if it may have to be waited for, or if it is worth a message.
    fn in_place(&self, source: &SecretSource) -> Option<Zeroizing<String>> {
        let Some(path) = credential::path(source).ok()? else { return credential::read(source).ok() };
        let device = self.0.load(Relaxed);
        if device == UNKNOWN {
            return None;
        }
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(openat2(CWD, path, flags, Mode::empty(), ResolveFlags::CACHED).ok()?);
        let found = file.metadata().ok()?;
        (found.is_file() && found.dev() == device).then_some(())?;
        credential::read_opened(source, &file, found.size()).ok()
    }

    fn apart(&self, source: &SecretSource) -> Result<Zeroizing<String>, String> {
        if credential::path(source)?.is_none() {
            return credential::read(source);
        }
        let (file, found) = credential::open(source)?;
        if fstatfs(&file).is_ok_and(|system| files::is_own(&system)) {
            self.0.store(found.dev(), Relaxed);
        }
        credential::read_opened(source, &file, found.size())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    /// A file on a file system of this machine's own, wherever the tests run.
    fn scratch() -> tempfile::TempDir {
        let own = |dir: &&str| rustix::fs::statfs(*dir).is_ok_and(|found| files::is_own(&found));
        let dir =
            ["/dev/shm", "/tmp", "/var/tmp"].into_iter().find(own).expect("one of them is memory or a disk");
        tempfile::tempdir_in(dir).unwrap()
    }

    #[test]
    fn what_was_found_nearby_is_read_in_place_and_read_anew() {
        let temp = scratch();
        let (path, other) = (temp.path().join("secret"), temp.path().join("other"));
        let source = SecretSource::File(path.clone());
        std::fs::write(&path, "one\n").unwrap();
        let (near, permit) = (Near::default(), blocking::permit());
        let read = || block_on(near.read(&source, &permit)).unwrap().map(|secret| secret.to_string());
        assert!(near.in_place(&source).is_none(), "a thread looks first");
        assert_eq!(read(), Ok("one".into()));
        assert!(near.in_place(&source).is_some());
        std::fs::write(&path, "two").unwrap();
        assert_eq!(read(), Ok("two".into()));
        // Longer than it was, and another file.
        std::fs::write(&other, "x".repeat(3000)).unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert_eq!(read(), Ok("x".repeat(3000)));
        std::fs::write(&path, "x".repeat(5000)).unwrap();
        assert!(read().unwrap_err().contains("larger than 4096 bytes"));
        std::fs::remove_file(&path).unwrap();
        assert!(read().unwrap_err().contains("no such file"));
        assert!(near.in_place(&source).is_none(), "and a thread looks next");
    }

    #[test]
    fn another_device_is_for_a_thread() {
        let temp = scratch();
        let link = temp.path().join("secret");
        let source = SecretSource::File(link.clone());
        std::fs::write(&link, "one").unwrap();
        let near = Near::default();
        near.apart(&source).unwrap();
        assert!(near.in_place(&source).is_some());
        std::fs::remove_file(&link).unwrap();
        std::os::unix::fs::symlink("/proc/self/comm", &link).unwrap();
        assert!(near.in_place(&source).is_none());
    }
}
