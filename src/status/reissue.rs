//! How an order's re-issue stands.

use serde::Serialize;

use certcollectd_core::engine::order::record::OrderRecord;
use certcollectd_core::engine::reissue::record::{Reissue, Stage};
use certcollectd_core::engine::time::{Now, rfc3339};

/// The last re-issue that was asked for, or is being prepared.
#[derive(Debug, Clone, Serialize)]
pub struct ReissueStatus {
    /// `preparing`, `intended`, `unclear`, `open`, `refused` or `closed`.
    pub stage: &'static str,
    /// Since when, RFC 3339.
    pub since: String,
    /// When the vendor was asked, RFC 3339; nothing while nothing was sent.
    pub sent_at: Option<String>,
    /// Whether the proof of control was seen, or none is needed.
    pub proven: bool,
    /// `cname`, `http`, `https` or `reuse`.
    pub dcv: &'static str,
    /// `uniqueValue` of the proof.
    pub unique: String,
    /// Name and target of each record that proves control.
    pub records: Vec<(String, String)>,
    /// Why nothing was sent yet.
    pub held: Option<String>,
    /// The vendor's code.
    pub code: Option<i32>,
    /// What the vendor answered, or why that is not known.
    pub said: Option<String>,
    #[serde(skip)]
    kind: Stage,
    #[serde(skip)]
    publish: String,
    #[serde(skip)]
    looks_unmade: bool,
}

impl ReissueStatus {
    pub(super) fn new(record: &OrderRecord, now: Now) -> Option<ReissueStatus> {
        let known: &Reissue = record.reissue.as_deref()?;
        Some(ReissueStatus {
            stage: known.stage.as_str(),
            since: rfc3339(known.since),
            sent_at: known.sent.map(rfc3339),
            proven: known.proven,
            dcv: known.dcv.as_str(),
            unique: known.unique.to_string(),
            records: known
                .records
                .iter()
                .map(|(name, target)| (name.to_string(), target.to_string()))
                .collect(),
            held: known.held.as_deref().map(str::to_owned),
            code: known.code,
            said: known.said.as_deref().map(str::to_owned),
            kind: known.stage,
            publish: known.to_publish(),
            looks_unmade: known.looks_unmade(now.unix()),
        })
    }

    /// A few words for a table, behind `re-issue`; nothing once it is over.
    pub(super) fn brief(&self) -> Option<&'static str> {
        match self.kind {
            Stage::Preparing if self.proven => Some("ready, waits for a poll"),
            Stage::Preparing => Some("waits for its proof"),
            Stage::Intended => Some("being asked for"),
            Stage::Unclear => Some("unclear whether it was made"),
            Stage::Open => Some("under way at the vendor"),
            Stage::Refused => Some("refused"),
            Stage::Closed => None,
        }
    }

    /// Where it stands, in sentences.
    pub(super) fn standing(&self) -> Option<String> {
        let (since, held) = (&self.since, self.held.as_deref());
        let sent = self.sent_at.as_deref().unwrap_or(since);
        let said = self.said.as_deref().unwrap_or("no answer is known").trim_end_matches('.');
        match self.kind {
            Stage::Preparing => {
                let why = held.unwrap_or(if self.proven {
                    "a poll is to show first that the vendor has what is installed"
                } else {
                    "the proof of control was not seen yet"
                });
                Some(format!("A re-issue has been prepared since {since}; nothing was sent yet: {why}."))
            }
            Stage::Intended => Some(format!("The vendor is being asked for a re-issue, since {sent}.")),
            Stage::Unclear => Some(format!(
                "It is unclear whether the vendor made the re-issue of {sent}: {said}. It is not repeated; {}.",
                if self.looks_unmade {
                    "polls have shown the certificate of before for a day: most likely it was not made"
                } else {
                    "the polls show what became of it"
                }
            )),
            Stage::Open => {
                Some(format!("The re-issue of {sent} is open: {said}; its certificate is waited for."))
            }
            Stage::Refused => Some(format!("The re-issue of {sent} was refused: {said}.")),
            Stage::Closed if self.sent_at.is_some() => Some(format!(
                "It was re-issued at the request of {sent}; that certificate has been in place since {since}."
            )),
            Stage::Closed => None,
        }
    }

    /// What comes next, or what the operator does.
    pub(super) fn next(&self, name: &str) -> Vec<String> {
        match self.kind {
            Stage::Preparing if !self.proven => {
                let mut lines: Vec<String> = self.publish.lines().map(str::to_owned).collect();
                lines.push(format!(
                    "The request goes out by itself once the proof is seen; `certcollectd reissue {name}` looks at once."
                ));
                lines
            }
            Stage::Unclear => vec![format!(
                "Look at the vendor's web site whether the order was replaced; if it certainly was not: `certcollectd reissue {name} --again`."
            )],
            Stage::Refused => {
                vec![format!(
                    "Once the cause of the refusal is mended: `certcollectd reissue {name} --again`."
                )]
            }
            Stage::Preparing | Stage::Intended | Stage::Open | Stage::Closed => Vec::new(),
        }
    }
}
