//! What a generation consists of, and what is put elsewhere besides.

use std::path::PathBuf;

/// The files of a generation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Files {
    /// By kind: a plain file name, or `None` where it is not wanted.
    names: [Option<String>; FileKind::ALL.len()],
    /// User name or number; `None` is the daemon's own.
    pub owner: Option<String>,
    /// Group name or number; `None` is the daemon's own.
    pub group: Option<String>,
    /// Permission bits of every file without the key in it.
    pub mode: u32,
}

impl Files {
    /// Permission bits where nothing else is configured.
    pub const MODE: u32 = 0o644;
    /// Permission bits of a copied private key, always.
    pub const KEY_MODE: u32 = 0o600;
    /// The widest that a file with a key and more in it may be.
    pub const COMBINED_MODE: u32 = 0o640;
    /// What a configured mode may have: no file is writable for everyone.
    pub const WIDEST_MODE: u32 = 0o775;

    /// The file name of one kind of content, or `None` where it is not wanted.
    pub fn name(&self, kind: FileKind) -> Option<&str> {
        self.names[kind as usize].as_deref()
    }

    pub fn with(mut self, kind: FileKind, name: Option<&str>) -> Files {
        self.names[kind as usize] = name.map(str::to_owned);
        self
    }

    /// Permission bits of one kind of file.
    pub fn mode_of(&self, kind: FileKind) -> u32 {
        match kind {
            FileKind::Key => Files::KEY_MODE,
            FileKind::Combined => self.mode & Files::COMBINED_MODE,
            FileKind::Cert
            | FileKind::Chain
            | FileKind::Fullchain
            | FileKind::Root
            | FileKind::Pkcs7
            | FileKind::Der => self.mode,
        }
    }
}

impl Default for Files {
    fn default() -> Files {
        Files { names: Default::default(), owner: None, group: None, mode: Files::MODE }
            .with(FileKind::Cert, Some("cert.pem"))
            .with(FileKind::Chain, Some("chain.pem"))
            .with(FileKind::Fullchain, Some("fullchain.pem"))
    }
}

words! {
    /// Which of a generation's files is meant, in `[order.files]` and in `[[order.copy]] from`.
    pub enum FileKind {
        /// The end-entity certificate, PEM.
        Cert = "cert",
        /// The intermediates, the leaf's issuer first, without a self-signed root, PEM.
        Chain = "chain",
        /// `Cert` and `Chain` in one, PEM.
        Fullchain = "fullchain",
        /// The matching private key, unchanged, always mode 0600.
        Key = "key",
        /// `Key` and `Fullchain` in one, never wider than 0640.
        Combined = "combined",
        /// The self-signed root, if the answer held it, PEM.
        Root = "root",
        /// All certificates as a certs-only PKCS#7, DER.
        Pkcs7 = "pkcs7",
        /// The end-entity certificate, DER.
        Der = "der",
    }
}

impl FileKind {
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
