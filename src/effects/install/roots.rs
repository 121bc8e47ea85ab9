//! The trust anchors once they were read. The platform's are some hundred files, and reading them costs more than all
//! else that an installation takes on the processor, so they are read anew only when they changed.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::keys::anchors;
use certcollectd_core::cert::Anchors;
use certcollectd_core::engine::install::AnchorSource;

/// In seconds. What changes without a trace in the places below, a file within a directory that is written over, is
/// noticed after this.
const KEPT_FOR: i64 = 3600;
/// Sets of anchors that are kept.
const MOST: usize = 8;

/// Sets of trust anchors by their file; `None` is the platform's.
#[derive(Debug, Default)]
pub struct Roots(Mutex<HashMap<Option<PathBuf>, Kept>>);

#[derive(Debug)]
struct Kept {
    anchors: Arc<Anchors>,
    stamps: Vec<Stamp>,
    /// When they were read, UNIX seconds.
    at: i64,
}

/// What changes with a file or the entries of a directory; `None` where nothing is.
type Stamp = Option<[i64; 7]>;

impl Roots {
    /// The anchors of this source, as they are at `unix`.
    pub fn get(&self, source: &AnchorSource, unix: i64) -> Result<Arc<Anchors>, String> {
        let file = match source {
            AnchorSource::Platform => None,
            AnchorSource::File(path) => Some(path.clone()),
        };
        // Before they are read: what changes meanwhile is noticed the next time.
        let stamps: Vec<Stamp> = places(file.as_deref()).iter().map(|path| stamp(path)).collect();
        let known = |kept: &&Kept| kept.stamps == stamps && (0..KEPT_FOR).contains(&(unix - kept.at));
        if let Some(kept) = self.lock().get(&file).filter(known) {
            return Ok(kept.anchors.clone());
        }
        // Not under the lock: a mount that hangs must not keep those of others.
        let anchors = Arc::new(anchors(file.as_deref())?);
        let mut kept = self.lock();
        if kept.len() >= MOST {
            kept.clear();
        }
        kept.insert(file, Kept { anchors: anchors.clone(), stamps, at: unix });
        Ok(anchors)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Option<PathBuf>, Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where anchors come from: the places that `rustls-native-certs` looks at.
fn places(file: Option<&Path>) -> Vec<PathBuf> {
    if let Some(file) = file {
        return vec![file.to_owned()];
    }
    let found = openssl_probe::probe();
    let dirs = std::env::var_os("SSL_CERT_DIR").unwrap_or_default();
    found.cert_file.into_iter().chain(found.cert_dir).chain(std::env::split_paths(&dirs)).collect()
}

fn stamp(path: &Path) -> Stamp {
    let found = std::fs::metadata(path).ok()?;
    Some([
        found.dev().cast_signed(),
        found.ino().cast_signed(),
        found.len().cast_signed(),
        found.mtime(),
        found.mtime_nsec(),
        found.ctime(),
        found.ctime_nsec(),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pem(name: &str) -> String {
        let key = rcgen::KeyPair::generate().unwrap();
        rcgen::CertificateParams::new([name.to_owned()]).unwrap().self_signed(&key).unwrap().pem()
    }

    #[test]
    fn they_are_read_again_when_they_changed_and_after_a_while() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("roots.pem");
        let (source, roots) = (AnchorSource::File(path.clone()), Roots::default());
        assert!(roots.get(&source, 0).unwrap_err().contains("roots.pem"));
        std::fs::write(&path, pem("one.example")).unwrap();
        let first = roots.get(&source, 0).unwrap();
        assert!(Arc::ptr_eq(&first, &roots.get(&source, KEPT_FOR - 1).unwrap()), "read once");
        assert!(!Arc::ptr_eq(&first, &roots.get(&source, KEPT_FOR).unwrap()), "too long ago");
        std::fs::write(&path, pem("one.example") + &pem("two.example")).unwrap();
        assert_eq!(roots.get(&source, KEPT_FOR).unwrap().len(), 2, "changed");
        std::fs::remove_file(&path).unwrap();
        assert!(roots.get(&source, KEPT_FOR).is_err(), "gone");
    }

    #[test]
    fn a_clock_that_was_put_back_keeps_nothing() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("roots.pem");
        std::fs::write(&path, pem("one.example")).unwrap();
        let (source, roots) = (AnchorSource::File(path), Roots::default());
        let first = roots.get(&source, 10).unwrap();
        assert!(!Arc::ptr_eq(&first, &roots.get(&source, 9).unwrap()));
    }
}
