//! What a re-issue needs from outside: its request, and what DNS and servers show of the proof of control.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::cert::KeyCandidate;
use crate::config::{Dcv, KeySource};
use crate::engine::id::OrderId;

/// The request for a re-issue is wanted.
#[derive(Debug, Clone)]
pub struct RequestRun {
    pub order: OrderId,
    pub name: Arc<str>,
    pub source: RequestSource,
    /// The operator's keys, one of which it must be for.
    pub key: KeySource,
}

/// Where a request comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestSource {
    /// The command had it: PEM or DER.
    Given(Box<[u8]>),
    /// PEM or DER.
    File(PathBuf),
    /// A program prints it, without a shell.
    Command { argv: Box<[Box<str>]>, timeout: Duration },
}

/// What [`crate::engine::event::Effect::ReadRequest`] brought.
#[derive(Debug, Clone)]
pub struct RequestFound {
    /// The request as it was read, or why there is none, in words.
    pub request: Result<Vec<u8>, String>,
    /// The key files of [`RequestRun::key`].
    pub keys: Vec<KeyCandidate>,
}

/// The proof of control is looked for.
#[derive(Debug, Clone)]
pub struct SurveyRun {
    pub order: OrderId,
    /// The order's.
    pub name: Arc<str>,
    /// Not [`Dcv::Reuse`].
    pub dcv: Dcv,
    /// The request, DER.
    pub csr: Box<[u8]>,
    /// `uniqueValue`.
    pub unique: Box<str>,
    /// The names to be proven, wildcards included.
    pub names: Box<[Box<str>]>,
}

/// What was seen of the proof for one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameSeen {
    pub name: Box<str>,
    /// Nothing where the proof was seen, else what was found instead, in words that go on after the name.
    pub lacks: Option<String>,
    /// Why CAA records forbid the vendor to issue for it, in words.
    pub caa: Option<String>,
}

/// What [`crate::engine::event::Effect::Survey`] brought.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Survey {
    pub names: Vec<NameSeen>,
}

impl Survey {
    /// Whether the vendor would see every proof, and may issue.
    pub fn is_proven(&self) -> bool {
        !self.names.is_empty() && self.names.iter().all(|seen| seen.lacks.is_none() && seen.caa.is_none())
    }

    /// What is missing, in words; of many names, the first.
    pub fn missing(&self) -> Option<String> {
        let wrong = |seen: &NameSeen| {
            let parts: Vec<&str> = seen.lacks.as_deref().into_iter().chain(seen.caa.as_deref()).collect();
            (!parts.is_empty()).then(|| format!("{}: {}", seen.name, parts.join("; ")))
        };
        let all: Vec<String> = self.names.iter().filter_map(wrong).collect();
        (!all.is_empty()).then(|| crate::cert::verify::listed(all.iter().map(String::as_str)))
    }
}
