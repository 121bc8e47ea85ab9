//! What `adopt` takes over: which certificates and keys other programs name, and what becomes of each.
//!
//! Nothing here touches a file: `effects::survey` reads, the readers in here ([`nginx`], [`apache`], [`haproxy`])
//! find in the text what names certificates, [`plan`] joins certificates, keys and order numbers, and [`entry`]
//! writes the entries of the configuration.

pub mod apache;
pub mod entry;
pub mod haproxy;
pub mod kind;
pub mod nginx;
pub mod plan;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use certcollectd_core::cert::{Certificate, PublicKeys};

/// A path for people. Whoever may name a file must not write lines or steer a terminal with it.
pub fn shown(path: &Path) -> String {
    let printable = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    path.to_string_lossy().chars().map(printable).collect()
}

/// Where something is said.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub file: PathBuf,
    /// From 1; 0 is the file as a whole.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&shown(&self.file)),
            line => write!(f, "{}:{line}", shown(&self.file)),
        }
    }
}

/// Whose configuration it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Server {
    Nginx,
    Apache,
    Haproxy,
}

impl Server {
    /// Names that a hook for its reload may have.
    pub fn hooks(self) -> &'static [&'static str] {
        match self {
            Server::Nginx => &["nginx"],
            Server::Apache => &["apache", "apache2", "httpd"],
            Server::Haproxy => &["haproxy"],
        }
    }
}

/// One thing that a configuration says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// From 1.
    pub line: usize,
    /// Items of one virtual host share a number within their file.
    pub block: usize,
    pub says: Says,
}

/// Paths are as written; relative ones still are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Says {
    Certificate(String),
    Key(String),
    /// Intermediates in a file of their own.
    Chain(String),
    /// `required`: a missing file is an error for the server, too.
    Include {
        pattern: String,
        required: bool,
    },
    /// From here on, relative paths begin there.
    Root(String),
    /// HAProxy's list of certificates.
    List(String),
    /// Not followed, or not understood: why.
    LeftAlone(String),
}

/// What a file is named for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Certificate,
    Key,
    Chain,
    /// Named by no configuration.
    Plain,
}

/// Who names a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mention {
    pub place: Place,
    pub server: Option<Server>,
    pub block: usize,
    pub role: Role,
}

/// A file with certificates or keys in it.
#[derive(Debug, Clone)]
pub struct FoundFile {
    pub mentions: Vec<Mention>,
    /// In the order of the file.
    pub certificates: Vec<Certificate>,
    /// The public halves of the private keys in it.
    pub keys: Option<PublicKeys>,
    /// Its bytes, where there is no private key in it.
    pub content: Option<Vec<u8>>,
    /// Whether there are lines outside its PEM blocks that are no comments.
    pub has_text: bool,
    /// Whether it holds DH parameters, which nobody but its author has.
    pub has_parameters: bool,
    pub owner: String,
    pub group: String,
    /// Permission bits.
    pub mode: u32,
    /// Where it leads, if it is a link.
    pub link: Option<PathBuf>,
}

/// Something that is not taken over, and why.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    pub place: Place,
    pub text: String,
}

/// Everything that was found.
#[derive(Debug, Clone, Default)]
pub struct Survey {
    /// By the path that names it.
    pub files: BTreeMap<PathBuf, FoundFile>,
    pub problems: Vec<Problem>,
    /// How many configuration files were read.
    pub configurations: usize,
}
