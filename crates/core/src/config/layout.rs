//! What a generation consists of, and what is put elsewhere besides.

use std::path::PathBuf;

/// The files of a generation: a plain file name each, or `None` where it is not wanted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Files {
    /// The end-entity certificate, PEM.
    pub cert: Option<String>,
    /// The intermediates, the leaf's issuer first, without a self-signed root, PEM.
    pub chain: Option<String>,
    /// `cert` and `chain` in one, PEM.
    pub fullchain: Option<String>,
    /// The matching private key as it was found, always mode 0600.
    pub key: Option<String>,
    /// `key` and `fullchain` in one, never wider than 0640.
    pub combined: Option<String>,
    /// The self-signed root, if the answer held it, PEM.
    pub root: Option<String>,
    /// All certificates as a certs-only PKCS#7, DER.
    pub pkcs7: Option<String>,
    /// The end-entity certificate, DER.
    pub der: Option<String>,
    /// User name or number; `None` is the daemon's own.
    pub owner: Option<String>,
    /// Group name or number; `None` is the daemon's own.
    pub group: Option<String>,
    /// Permission bits of every file but `key`.
    pub mode: u32,
}

impl Files {
    pub const CERT: &'static str = "cert.pem";
    pub const CHAIN: &'static str = "chain.pem";
    pub const FULLCHAIN: &'static str = "fullchain.pem";
    /// Permission bits where nothing else is configured.
    pub const MODE: u32 = 0o644;
    /// Permission bits of a copied private key, always.
    pub const KEY_MODE: u32 = 0o600;
    /// The widest that a file with a key and more in it may be.
    pub const COMBINED_MODE: u32 = 0o640;

    /// The file name of one kind of content, or `None` where it is not wanted.
    pub fn name(&self, kind: FileKind) -> Option<&str> {
        let name = match kind {
            FileKind::Cert => &self.cert,
            FileKind::Chain => &self.chain,
            FileKind::Fullchain => &self.fullchain,
            FileKind::Key => &self.key,
            FileKind::Combined => &self.combined,
            FileKind::Root => &self.root,
            FileKind::Pkcs7 => &self.pkcs7,
            FileKind::Der => &self.der,
        };
        name.as_deref()
    }
}

impl Default for Files {
    fn default() -> Files {
        Files {
            cert: Some(Files::CERT.to_owned()),
            chain: Some(Files::CHAIN.to_owned()),
            fullchain: Some(Files::FULLCHAIN.to_owned()),
            key: None,
            combined: None,
            root: None,
            pkcs7: None,
            der: None,
            owner: None,
            group: None,
            mode: Files::MODE,
        }
    }
}

/// Which of a generation's files is meant, in `[order.files]` and in `[[order.copy]] from`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FileKind {
    Cert,
    Chain,
    Fullchain,
    Key,
    Combined,
    Root,
    Pkcs7,
    Der,
}

impl FileKind {
    /// All of them, in the order in which they are documented.
    pub const ALL: [FileKind; 8] = [
        FileKind::Cert,
        FileKind::Chain,
        FileKind::Fullchain,
        FileKind::Key,
        FileKind::Combined,
        FileKind::Root,
        FileKind::Pkcs7,
        FileKind::Der,
    ];

    /// The word used in the config file.
    pub fn word(self) -> &'static str {
        match self {
            FileKind::Cert => "cert",
            FileKind::Chain => "chain",
            FileKind::Fullchain => "fullchain",
            FileKind::Key => "key",
            FileKind::Combined => "combined",
            FileKind::Root => "root",
            FileKind::Pkcs7 => "pkcs7",
            FileKind::Der => "der",
        }
    }

    /// Whether the private key is part of it.
    pub fn holds_key(self) -> bool {
        matches!(self, FileKind::Key | FileKind::Combined)
    }
}

/// `[[order.copy]]`: a real file elsewhere, renamed into place after the swap.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FileCopy {
    /// Which content; it need not be one of the files of the generation.
    pub from: FileKind,
    /// The absolute path that is replaced.
    pub to: PathBuf,
    /// As in [`Files`]; where absent, what [`Files`] says.
    pub owner: Option<String>,
    /// As in [`Files`]; where absent, what [`Files`] says.
    pub group: Option<String>,
    /// As in [`Files`]; where absent, what [`Files`] says.
    pub mode: Option<u32>,
}
