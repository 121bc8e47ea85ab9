//! The certificates of each order's installed generation once more, beside the state: what files are put back from when
//! they are gone while the vendor has nothing to give, as during a re-issue.
//!
//! Nothing relies on them: they are written without a sync, errors are ignored, and what is read is checked against the
//! fingerprint on record.

use std::fs::{DirBuilder, File, read, remove_file, rename};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use certcollectd_core::cert::{self, Certificate};
use certcollectd_core::engine::install::{Inspect, InspectPurpose, Inspection, Link, Material};

/// Below the state directory.
const DIR: &str = "installed";
/// The end of a name while the file is written; no order's file ends so.
const NEW: &str = "new";

/// After an installation: its certificates.
pub(crate) fn keep(state_dir: &Path, name: &str, material: &Material) {
    let all: Vec<&Certificate> =
        std::iter::once(&material.leaf).chain(&material.chain).chain(&material.root).collect();
    put(state_dir, name, &all);
}

/// After a look at an order's files: what is gone is found here, and what is missing here is saved again.
pub(crate) fn tend(state_dir: &Path, inspect: &Inspect, found: &mut Inspection) {
    if !matches!(inspect.purpose, InspectPurpose::Look) || inspect.expected.is_empty() {
        return;
    }
    let kept = take(state_dir, &inspect.name);
    let whole =
        matches!(found.link, Link::Generation(_)) && found.missing.is_empty() && found.altered.is_empty();
    if !whole {
        let new: Vec<Certificate> =
            kept.into_iter().filter(|known| !found.certificates.contains(known)).collect();
        found.certificates.extend(new);
    } else if found.certificates.iter().any(|certificate| !kept.contains(certificate)) {
        put(state_dir, &inspect.name, &found.certificates.iter().collect::<Vec<_>>());
    }
}

/// After an order was forgotten.
pub(crate) fn drop_kept(state_dir: &Path, name: &str) {
    let _ = remove_file(path_of(state_dir, name));
}

fn path_of(state_dir: &Path, name: &str) -> PathBuf {
    state_dir.join(DIR).join(format!("{name}.pem"))
}

fn take(state_dir: &Path, name: &str) -> Vec<Certificate> {
    let content = read(path_of(state_dir, name)).unwrap_or_default();
    cert::unpack(&content).unwrap_or_default()
}

fn put(state_dir: &Path, name: &str, certificates: &[&Certificate]) {
    let path = path_of(state_dir, name);
    let pem: String = certificates.iter().map(|certificate| certificate.to_pem()).collect();
    let _ = DirBuilder::new().mode(0o700).create(state_dir.join(DIR));
    // Always the same: what a kill leaves behind is written over by the next one.
    let fresh = path.with_extension(NEW);
    let write = || {
        let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(pem.as_bytes())?;
        rename(&fresh, &path)
    };
    if write().is_err() {
        let _ = remove_file(&fresh);
    }
}
