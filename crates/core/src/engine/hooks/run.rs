//! A run of a hook: its input and its result.

use std::path::PathBuf;
use std::sync::Arc;

use crate::api::Untrusted;
use crate::api::dcv::Token;
use crate::config::{Dcv, Hook, HookEvent};
use crate::engine::id::RunId;
use crate::engine::reissue::record::Reissue;

/// One run of a hook, for one or several orders.
#[derive(Debug, Clone)]
pub struct HookRun {
    pub run: RunId,
    pub hook: Arc<Hook>,
    pub event: HookEvent,
    /// For whom; at least one. In a message about an account or the daemon, one without an order.
    pub subjects: Vec<Subject>,
    pub rehearsal: bool,
    /// When it began, UNIX seconds.
    pub at: i64,
}

/// What a hook gets about one order. Empty where there is no value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Subject {
    pub order: Arc<str>,
    pub account: Arc<str>,
    /// The number it is known by at the vendor.
    pub number: String,
    /// `ssl`, `mark` or `smime`.
    pub product: &'static str,
    /// `<install_dir>/<name>`.
    pub dir: PathBuf,
    /// Where `cert` is, empty if it is not written.
    pub cert: PathBuf,
    /// Where `chain` is, empty if it is not written.
    pub chain: PathBuf,
    /// Where `fullchain` is, empty if it is not written.
    pub fullchain: PathBuf,
    /// Names in the certificate that are well-formed.
    pub domains: Vec<String>,
    /// Lower-case hexadecimal.
    pub serial: String,
    /// SHA-256, lower-case hexadecimal.
    pub fingerprint: String,
    /// UNIX seconds.
    pub not_after: Option<i64>,
    /// The generation's name.
    pub generation: String,
    /// What has happened, in our words.
    pub summary: String,
    /// The one command to run next; empty if there is nothing to do.
    pub next: String,
    /// Joins the message of a trouble and the one that it is over.
    pub key: String,
    /// How long the message holds without another one, UNIX seconds.
    pub until: Option<i64>,
    /// What to publish or to remove, with the two events of a proof.
    pub proof: Option<Box<Proof>>,
    /// What was left out because it is too long: variables without their `CERTCOLLECTD_`.
    pub omitted: Vec<&'static str>,
}

/// What proves control of an order's names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Proof {
    /// `CNAME_CSR_HASH`, `HTTP_CSR_HASH` or `HTTPS_CSR_HASH`.
    pub method: &'static str,
    /// Name and target of each CNAME record, on a line each.
    pub records: String,
    /// Name and content of the file, where that is the proof.
    pub file: Option<(String, String)>,
}

impl Proof {
    pub(crate) fn of(reissue: &Reissue) -> Proof {
        let lines: Vec<String> =
            reissue.records.iter().map(|(name, target)| format!("{name} {target}")).collect();
        let file = match reissue.dcv {
            Dcv::Http | Dcv::Https => {
                let token = Token::with_unique(&reissue.request(), &reissue.unique);
                Some((token.file_name(), token.file_content()))
            }
            Dcv::Cname | Dcv::Reuse => None,
        };
        Proof { method: reissue.dcv.method(), records: lines.join("\n"), file }
    }

    pub(crate) fn size(&self) -> usize {
        let file = self.file.as_ref().map_or(0, |(name, content)| name.len() + content.len());
        self.method.len() + self.records.len() + file
    }
}

/// How a hook ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookResult {
    Done,
    /// Exit code 42: the hook says that this event is not for it.
    NotForMe,
    Failed {
        /// The daemon's wording: exit status, signal, timeout, what was refused.
        why: String,
        /// The last lines that it printed, three at most.
        last_words: Vec<Untrusted>,
        /// The one thing to do, where that is known.
        remedy: Option<String>,
    },
}

impl HookResult {
    /// It did not work, and that is all that is known.
    pub fn failed(why: impl Into<String>) -> HookResult {
        HookResult::Failed { why: why.into(), last_words: Vec::new(), remedy: None }
    }
}

/// How a run ended, in words for the log and for `status`.
pub(crate) fn outcome(result: &HookResult) -> String {
    match result {
        HookResult::Done => "done".into(),
        HookResult::NotForMe => "not for this hook (exit code 42)".into(),
        HookResult::Failed { why, last_words, remedy } => {
            let words = last_output(last_words);
            let remedy = remedy.iter().map(|remedy| format!("; {remedy}")).collect::<String>();
            format!("failed: {why}{words}{remedy}")
        }
    }
}

/// What a program printed last, behind why it failed; nothing if it was silent.
pub fn last_output(words: &[Untrusted]) -> String {
    if words.is_empty() {
        return String::new();
    }
    let quoted: Vec<String> = words.iter().map(|line| format!("\"{line}\"")).collect();
    format!("; last output: {}", quoted.join(", "))
}
