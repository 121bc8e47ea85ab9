//! S/MIME replacements that were sent, as they are remembered: what must not be sent twice by mistake.

use serde::{Deserialize, Serialize};

use crate::api::Untrusted;
use crate::cert::Fingerprint;
use crate::engine::row::is_default;
use crate::engine::time::rfc3339;

/// A replacement that was sent, or was about to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replacement {
    /// The order whose certificate was to be replaced.
    pub number: Box<str>,
    /// SHA-256 of the CSR that was sent.
    pub csr: Fingerprint,
    /// SHA-256 of the public key in the request; nothing where an earlier version sent it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<Fingerprint>,
    /// When it was sent, UNIX seconds.
    pub at: i64,
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Whether it is settled although its outcome is unknown: the operator has looked, or it was collected.
    #[serde(default, skip_serializing_if = "is_default")]
    pub settled: bool,
}

impl Replacement {
    /// What the operator must know and do while it is open.
    pub fn told(&self) -> String {
        let why = match &self.outcome {
            Outcome::Unknown(why) => why.as_deref(),
            Outcome::Made(_) => None,
        };
        unclear(&Untrusted::new(&self.number).to_string(), &rfc3339(self.at), why)
    }

    /// The same, and how `resume` ends that: `settle` is what it is given.
    pub fn advice(&self, settle: &str) -> String {
        format!("{}; when you know what became of it: `certcollectd resume {settle}`", self.told())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "OutcomeRow", into = "OutcomeRow")]
pub enum Outcome {
    /// Unknown: no answer was understood, for this reason, or the process ended before it came.
    Unknown(Option<Box<str>>),
    /// The vendor made it; under this number, if it named one.
    Made(Option<Box<str>>),
}

/// An outcome as it is written.
#[derive(Serialize, Deserialize)]
struct OutcomeRow {
    made: bool,
    /// The new order's number, or why it is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    said: Option<Box<str>>,
}

impl From<OutcomeRow> for Outcome {
    fn from(row: OutcomeRow) -> Outcome {
        if row.made { Outcome::Made(row.said) } else { Outcome::Unknown(row.said) }
    }
}

impl From<Outcome> for OutcomeRow {
    fn from(outcome: Outcome) -> OutcomeRow {
        match outcome {
            Outcome::Unknown(said) => OutcomeRow { made: false, said },
            Outcome::Made(said) => OutcomeRow { made: true, said },
        }
    }
}

pub(crate) fn is_unknown(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Unknown(_))
}

/// The replacements whose outcome is unknown: the last one of each order, unless it is settled.
pub fn open(replacements: &[Replacement]) -> impl Iterator<Item = &Replacement> {
    let last = |known: &(usize, &Replacement)| {
        let (at, known) = known;
        replacements[at + 1..].iter().all(|later| later.number != known.number)
    };
    let found = replacements.iter().enumerate().filter(last).map(|(_, known)| known);
    found.filter(|known| is_unknown(&known.outcome) && !known.settled)
}

/// What the operator must know and do when it is unknown whether the vendor replaced the certificate.
pub(crate) fn unclear(number: &str, at: &str, why: Option<&str>) -> String {
    let why = why.map_or_else(|| "no answer arrived".to_owned(), str::to_owned);
    format!(
        "a replacement of order {number} was sent at {at}, and it is unknown whether it was made: {why}. It \
         is not repeated automatically. Check the vendor's web site, or the mailbox that gets the collection \
         mail, for a new order; if there is none, run the command again with --again"
    )
}
