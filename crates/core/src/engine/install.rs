//! Requests for an order's files on this machine, and their results.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::cert::{Anchors, Certificate, Fingerprint, KeyCandidate, PublicKey};
use crate::config::{FileCopy, Files, KeySource};
use crate::engine::id::OrderId;

/// What to inspect for one order.
#[derive(Debug, Clone)]
pub struct Inspect {
    pub order: OrderId,
    pub name: Arc<str>,
    pub purpose: InspectPurpose,
    /// The generation on record; its certificates are wanted even where no link leads there.
    pub current: Option<Box<str>>,
    /// The end entity on record.
    pub leaf: Option<Fingerprint>,
    /// What should be there, for comparison; changed permissions are corrected.
    pub expected: Vec<InstalledFile>,
    /// Owner, group and mode that should be there.
    pub files: Files,
    /// The copies that should be elsewhere.
    pub copies: Box<[FileCopy]>,
}

/// What an order is inspected for, and what is read for that besides its installed files.
#[derive(Debug, Clone)]
pub enum InspectPurpose {
    /// To judge its bundle.
    Verify {
        key: KeySource,
        /// `None` where trust is not checked.
        anchors: Option<AnchorSource>,
    },
    /// To see whether its files are still what was installed.
    Look,
    /// To put the generation before the current one back.
    RollBack {
        key: KeySource,
        /// The certificate that must not be in it; nothing where that does not matter.
        unserved: Option<Fingerprint>,
    },
}

impl InspectPurpose {
    pub fn key(&self) -> Option<&KeySource> {
        match self {
            InspectPurpose::Verify { key, .. } | InspectPurpose::RollBack { key, unserved: _ } => Some(key),
            InspectPurpose::Look => None,
        }
    }
}

/// Where the trust anchors come from.
#[derive(Debug, Clone)]
pub enum AnchorSource {
    Platform,
    File(PathBuf),
}

#[derive(Debug, Clone, Default)]
pub struct Inspection {
    /// A candidate for each key file that was read, readable or not.
    pub keys: Vec<KeyCandidate>,
    /// Key files, or the CSR file, that could not be read or are unusable, and why.
    pub unread: Vec<InstallError>,
    /// The CSR's public key, or why there is none.
    pub csr: Option<Result<PublicKey, String>>,
    /// The trust anchors, or why there are none.
    pub anchors: Option<Result<Arc<Anchors>, String>>,
    /// What `<install_dir>/<name>` is.
    pub link: Link,
    /// The certificates found in the generation that the link names, or else in the one on record.
    pub certificates: Vec<Certificate>,
    /// Name and SHA-256 of each file of that generation.
    pub files: Vec<(String, Fingerprint)>,
    /// What was corrected, in words.
    pub repaired: Vec<String>,
    /// What has changed and could not be corrected, in words.
    pub uncorrected: Vec<String>,
    /// Why it is unknown whether readers find the installed files, in words.
    pub unreadable: Vec<String>,
    /// Copies elsewhere that cannot be inspected, and why. Missing files are restored regardless.
    pub unseen: Vec<String>,
    /// Expected files that are missing or unusable.
    pub missing: Vec<String>,
    /// Expected files whose content is not what was installed.
    pub altered: Vec<String>,
    /// Whether no link leads to the generation on record, and its own files are to the byte what was installed.
    pub unlinked: bool,
    /// The newest complete generation before the current one: its name, certificates and files.
    pub previous: Option<(String, Vec<Certificate>, Vec<InstalledFile>)>,
}

/// What stands where readers look.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Link {
    #[default]
    Missing,
    /// Our link, to this generation.
    Generation(String),
    /// Something that is not ours, described.
    Foreign(String),
    /// It could not be read: why.
    Unknown(String),
}

impl Link {
    /// The generation that readers see, if the link is ours.
    pub fn generation(&self) -> Option<&str> {
        match self {
            Link::Generation(name) => Some(name),
            Link::Missing | Link::Foreign(_) | Link::Unknown(_) => None,
        }
    }
}

/// A file of an installed generation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstalledFile {
    /// Plain file name within the generation.
    pub name: String,
    /// SHA-256 of the content.
    #[serde(rename = "sha256")]
    pub digest: Fingerprint,
    /// Permission bits.
    pub mode: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagedFiles {
    pub generation: String,
    /// Its files, as read back from the disk.
    pub files: Vec<InstalledFile>,
}

/// The verified certificates of one generation.
#[derive(Debug, Clone)]
pub struct Material {
    pub leaf: Certificate,
    /// Leaf's issuer first, self-signed root left out.
    pub chain: Vec<Certificate>,
    /// The self-signed root, if the vendor sent it.
    pub root: Option<Certificate>,
    /// The key file that fits.
    pub key: Option<PathBuf>,
}

/// A generation to write.
#[derive(Debug, Clone)]
pub struct Stage {
    pub order: OrderId,
    pub name: Arc<str>,
    pub generation: String,
    pub material: Material,
    pub files: Files,
    /// Real files elsewhere, for readers once it is in place.
    pub copies: Box<[FileCopy]>,
}

/// A generation that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// What is there now, complete and durable.
    pub staged: StagedFiles,
    /// Readers see it, or why not.
    pub placed: Result<(), InstallError>,
}

/// A generation to put into place.
#[derive(Debug, Clone)]
pub struct Activate {
    pub order: OrderId,
    pub name: Arc<str>,
    /// The generation, which must be complete.
    pub generation: String,
    pub expected: Vec<InstalledFile>,
    /// For the copies.
    pub material: Material,
    /// For the copies.
    pub files: Files,
    /// Real files elsewhere.
    pub copies: Box<[FileCopy]>,
    /// Whether it is the installed generation, of which only the link is gone: that does not wait for the copies.
    pub relinks: bool,
}

/// A refused bundle.
#[derive(Debug, Clone)]
pub struct Quarantine {
    pub order: OrderId,
    pub name: Arc<str>,
    /// All certificates, the presumed leaf first.
    pub certificates: Vec<Certificate>,
    /// The reasons, a line each.
    pub reason: String,
}

/// A step of an installation that failed. Shows as `step path: cause`, then what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstallError {
    /// What was being done, for instance `create`, `sync`, `swap the link`.
    pub step: &'static str,
    pub path: PathBuf,
    /// The cause in words.
    pub cause: String,
    /// What would help, if that is known.
    pub advice: Option<String>,
    /// Whether the staged generation is unusable and must be written again.
    pub stale: bool,
}

impl InstallError {
    pub fn new(step: &'static str, path: impl Into<PathBuf>, cause: impl Into<String>) -> InstallError {
        InstallError { step, path: path.into(), cause: cause.into(), advice: None, stale: false }
    }

    pub fn advise(self, advice: impl Into<String>) -> InstallError {
        InstallError { advice: Some(advice.into()), ..self }
    }
}

impl fmt::Display for InstallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} {}: {}", self.step, self.path.display(), self.cause)?;
        match &self.advice {
            Some(advice) => write!(f, "; {advice}"),
            None => Ok(()),
        }
    }
}
