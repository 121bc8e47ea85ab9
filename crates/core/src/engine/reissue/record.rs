//! What is remembered of an order's re-issue, restarts included.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::cert::Fingerprint;
use crate::config::Dcv;
use crate::engine::order::record::OrderRecord;
use crate::engine::row::is_default;
use crate::engine::time::Time;

words! {
    /// How far a re-issue has come.
    #[derive(Serialize, Deserialize)]
    #[serde(try_from = "String", into = "&'static str")]
    pub enum Stage {
        /// Nothing was sent: the proof of control is being published and looked for.
        Preparing = "preparing",
        /// Saved before the call; after a restart it is unclear.
        Intended = "intended",
        /// It was sent, and no answer was understood: it may have been made.
        Unclear = "unclear",
        /// The vendor took it; another certificate is waited for.
        Open = "open",
        /// The vendor refused it.
        Refused = "refused",
        /// Another certificate is in place, or nothing is to be sent any more.
        Closed = "closed",
    }
}

impl TryFrom<String> for Stage {
    type Error = String;

    fn try_from(word: String) -> Result<Stage, String> {
        Stage::named(&word).ok_or_else(|| format!("there is no stage of a re-issue {word:?}"))
    }
}

impl Stage {
    /// Whether the vendor may have made it, and its certificate is not in place.
    pub fn is_awaited(self) -> bool {
        match self {
            Stage::Intended | Stage::Unclear | Stage::Open => true,
            Stage::Preparing | Stage::Refused | Stage::Closed => false,
        }
    }

    pub fn is_over(self) -> bool {
        match self {
            Stage::Preparing | Stage::Intended | Stage::Unclear | Stage::Open | Stage::Refused => false,
            Stage::Closed => true,
        }
    }
}

/// A re-issue of an order; of several, the last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reissue {
    pub stage: Stage,
    /// Since when, UNIX seconds.
    pub since: i64,
    /// The request, DER in base64 without armour.
    pub csr: Box<str>,
    /// `uniqueValue`: with the request it makes the token, which is good for one call.
    pub unique: Box<str>,
    pub dcv: Dcv,
    /// The certificate that it is to replace.
    pub replaces: Fingerprint,
    /// Further parameters, name and value.
    #[serde(default, skip_serializing_if = "is_default")]
    pub parameters: Vec<(String, String)>,
    /// What proves control, name and target of each record; nothing where no record was to be published, for this one or the
    /// one before.
    #[serde(default, skip_serializing_if = "is_default")]
    pub records: Vec<(Box<str>, Box<str>)>,
    /// The proof was seen, or none is needed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub proven: bool,
    /// When the proof is looked for next.
    #[serde(rename = "look_ms", skip_serializing_if = "Option::is_none")]
    pub look: Option<Time>,
    /// How often it was looked for.
    #[serde(default, skip_serializing_if = "is_default")]
    pub looks: u32,
    /// Why it is not sent yet, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<Box<str>>,
    /// When it was sent, UNIX seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent: Option<i64>,
    /// What the vendor answered, or why that is unknown, in our words with the vendor's quoted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub said: Option<Box<str>>,
    /// The vendor's code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    /// Polls in a row, since it was sent, that showed the certificate which it is to replace.
    #[serde(default, skip_serializing_if = "is_default")]
    pub unchanged: u32,
    /// Until it is sent: the one before, of which it is unclear whether it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub earlier: Option<Box<Reissue>>,
}

impl Reissue {
    /// The request in DER; empty where it cannot be read.
    pub fn request(&self) -> Vec<u8> {
        STANDARD.decode(&*self.csr).unwrap_or_default()
    }

    pub(crate) fn enter(&mut self, stage: Stage, unix: i64) {
        self.stage = stage;
        self.since = unix;
        self.held = None;
        match stage {
            // Nothing is known to have been sent yet: what was unclear before still counts.
            Stage::Preparing | Stage::Intended => {}
            Stage::Unclear | Stage::Open | Stage::Refused | Stage::Closed => self.earlier = None,
        }
    }

    /// Whether a proof was to be published, for this one or for the one before.
    pub(crate) fn is_published(&self) -> bool {
        self.dcv != Dcv::Reuse || !self.records.is_empty()
    }

    /// The one that the vendor may have made, and whose certificate is not in place.
    pub(crate) fn awaited(&self) -> Option<&Reissue> {
        if self.stage.is_awaited() { Some(self) } else { self.earlier.as_deref() }
    }

    /// Whether polls have shown the certificate of before for so long that it was most likely not made.
    pub fn looks_unmade(&self, unix: i64) -> bool {
        self.stage == Stage::Unclear && self.is_long_unchanged(unix)
    }

    /// Whether it is no longer made, although the vendor took it: nothing else would ever end the wait.
    pub(crate) fn is_withdrawn(&self, unix: i64) -> bool {
        self.stage == Stage::Open && self.is_long_unchanged(unix)
    }

    fn is_long_unchanged(&self, unix: i64) -> bool {
        const DAY: i64 = 24 * 3600;
        self.sent.is_some_and(|sent| unix - sent > DAY) && self.unchanged >= 2
    }

    /// Whether all is ready and only a poll has to show that the vendor has what is installed.
    pub(crate) fn looks_first(&self) -> bool {
        self.stage == Stage::Preparing && self.proven
    }

    /// Whether the order is polled like one that waits.
    pub(crate) fn is_watched(&self) -> bool {
        self.stage.is_awaited() || self.looks_first()
    }
}

/// A token that went out with a call: it must never go out again [doc: request-token].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsedToken {
    /// SHA-256 of the request, DER.
    pub csr: Fingerprint,
    pub unique: Box<str>,
}

/// Tokens that calls were sent with, by account and number.
pub(crate) type UsedTokens = HashMap<(Arc<str>, Box<str>), Vec<UsedToken>>;

/// Takes over what was sent about the record's number under other names.
pub(crate) fn keep_tokens(record: &mut OrderRecord, used: &UsedTokens) {
    let known = used.get(&(record.account.clone(), record.handle.clone()));
    for token in known.into_iter().flatten() {
        if !record.tokens.contains(token) {
            record.tokens.push(token.clone());
        }
    }
}

/// The calls of an account, for its budget.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReissueCalls {
    /// When calls were sent in the last day, UNIX seconds.
    #[serde(skip_serializing_if = "is_default")]
    pub sent: Vec<i64>,
    /// Calls in a row that the vendor refused, or whose outcome is unclear.
    #[serde(skip_serializing_if = "is_default")]
    pub in_vain: u32,
}

impl ReissueCalls {
    /// So many in a row stop the account's re-issues until the operator's word.
    pub const MOST_IN_VAIN: u32 = 2;

    /// Calls sent within the last 24 hours; what a clock set back has put into the future counts.
    pub fn sent_lately(&self, unix: i64) -> usize {
        self.sent.iter().filter(|at| **at > unix - 24 * 3600).count()
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.in_vain >= ReissueCalls::MOST_IN_VAIN
    }
}
