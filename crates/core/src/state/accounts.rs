//! The rows of accounts, and of orders that were adopted after a replacement.

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::Origin;
use super::pushed::AnnouncedRow;
use super::rows::{fingerprint, is_default};
use crate::engine::Adopted;
use crate::engine::account::{AccountRecord, Closed, Refused};
use crate::engine::event::CredentialTag;
use crate::engine::pause::Cause;
use crate::engine::replacement::{Outcome, Replacement};
use crate::engine::time::Now;
use crate::engine::unheard::Unheard;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AccountRow {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    closed: Option<ClosedRow>,
    #[serde(default, skip_serializing_if = "is_default")]
    probe: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    login: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    paused_until_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    paused_why: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    paused_for: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    paused_way: Option<u64>,
    #[serde(default, skip_serializing_if = "is_default")]
    pauses: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    called_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "is_default")]
    calling: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ends_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unheard: Option<UnheardRow>,
    #[serde(default, skip_serializing_if = "is_default")]
    calls: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answered: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    details_refused: Option<RefusedRow>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    announced: Option<AnnouncedRow>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    replacements: Vec<ReplacementRow>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct UnheardRow {
    calls: u32,
    until_ms: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tag: Option<u16>,
}

/// Version 2 wrote what a pause is for in its words only.
const CAUSES_OF_VERSION_2: [(&str, Cause); 5] = [
    ("the password cannot be read", Cause::Password),
    ("no connection to the vendor", Cause::Connection),
    ("TLS with the vendor's host failed", Cause::Connection),
    ("the call cannot be prepared", Cause::Connection),
    ("the vendor asked us to wait", Cause::Asked),
];

fn cause(word: Option<&str>, why: Option<&str>) -> Result<Option<Cause>, String> {
    let Some(word) = word else {
        let known = |why: &str| CAUSES_OF_VERSION_2.iter().find(|(start, _)| why.starts_with(start));
        return Ok(why.map(|why| known(why).map_or(Cause::Limit, |(_, cause)| *cause)));
    };
    let found = Cause::ALL.into_iter().find(|cause| cause.word() == word);
    found.map(Some).ok_or_else(|| format!("there is no cause of a pause {word:?}"))
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RefusedRow {
    since: i64,
    text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tag: Option<u16>,
    login: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplacementRow {
    number: String,
    csr: String,
    at: i64,
    made: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(default, skip_serializing_if = "is_default")]
    settled: bool,
    /// The new order's number, or why it is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    said: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AdoptedRow {
    account: String,
    number: String,
    replaced: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request: Option<String>,
    /// Written by an earlier version, and unused since: the file belonged to the operator who gave the
    /// command.
    #[serde(default, skip_serializing)]
    #[expect(dead_code)]
    csr_file: Option<IgnoredAny>,
    since: i64,
}

impl AdoptedRow {
    pub(super) fn of(adopted: &Adopted) -> Self {
        // The name is the row's key.
        let Adopted { name: _, account, number, replaced, request, since } = adopted;
        AdoptedRow {
            account: account.to_string(),
            number: number.to_string(),
            replaced: replaced.to_string(),
            request: request.as_ref().map(ToString::to_string),
            csr_file: None,
            since: *since,
        }
    }

    pub(super) fn adopted(self, name: &str) -> Adopted {
        Adopted {
            name: name.into(),
            account: self.account.into(),
            number: self.number.into(),
            replaced: self.replaced.into(),
            request: self.request.map(Into::into),
            since: self.since,
        }
    }
}

impl ReplacementRow {
    fn of(replacement: &Replacement) -> Self {
        let Replacement { number, csr, key, at, outcome, settled } = replacement;
        let (made, said) = match outcome {
            Outcome::Unknown(why) => (false, why),
            Outcome::Made(number) => (true, number),
        };
        ReplacementRow {
            number: number.to_string(),
            csr: csr.to_string(),
            at: *at,
            made,
            key: key.as_ref().map(ToString::to_string),
            settled: *settled,
            said: said.as_ref().map(ToString::to_string),
        }
    }

    fn replacement(self) -> Result<Replacement, String> {
        let said = self.said.map(Into::into);
        Ok(Replacement {
            number: self.number.into(),
            csr: fingerprint(&self.csr)?,
            key: self.key.as_deref().map(fingerprint).transpose()?,
            settled: self.settled,
            at: self.at,
            outcome: if self.made { Outcome::Made(said) } else { Outcome::Unknown(said) },
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClosedRow {
    since: i64,
    text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unclear: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    again: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refused: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tried: Option<u16>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    spent: Vec<u16>,
}

impl AccountRow {
    pub(super) fn of(record: &AccountRecord) -> Self {
        let AccountRecord {
            closed,
            probe,
            login,
            paused_until,
            paused_why,
            paused_for,
            paused_way,
            pauses,
            called,
            calling,
            ends,
            unheard,
            calls,
            answered,
            details_refused,
            announced,
            replacements,
        } = record;
        AccountRow {
            closed: closed.as_ref().map(|closed| ClosedRow {
                since: closed.since,
                text: closed.text.to_string(),
                unclear: closed.unclear.as_ref().map(ToString::to_string),
                again: closed.again,
                refused: closed.refused.map(|tag| tag.0),
                tried: closed.tried.map(|tag| tag.0),
                spent: closed.spent.iter().map(|tag| tag.0).collect(),
            }),
            probe: *probe,
            login: *login,
            paused_until_ms: paused_until.map(|time| time.0),
            paused_why: paused_why.as_ref().map(ToString::to_string),
            paused_for: paused_for.map(|cause| cause.word().to_owned()),
            paused_way: *paused_way,
            pauses: *pauses,
            called_ms: called.map(|time| time.0),
            calling: *calling,
            ends_ms: ends.map(|time| time.0),
            unheard: unheard.as_ref().map(|unheard| UnheardRow {
                calls: unheard.calls,
                until_ms: unheard.until.0,
                tag: unheard.tag.map(|tag| tag.0),
            }),
            calls: *calls,
            answered: *answered,
            details_refused: details_refused.as_ref().map(|refused| RefusedRow {
                since: refused.since,
                text: refused.text.to_string(),
                tag: refused.tag.map(|tag| tag.0),
                login: refused.login,
            }),
            announced: announced.as_ref().map(|announced| AnnouncedRow::of(announced)),
            replacements: replacements.iter().map(ReplacementRow::of).collect(),
        }
    }

    pub(super) fn record(self, origin: Origin, now: Now) -> Result<AccountRecord, String> {
        Ok(AccountRecord {
            closed: self.closed.map(|closed| Closed {
                since: closed.since,
                text: closed.text.into(),
                unclear: closed.unclear.map(Into::into),
                again: closed.again,
                refused: closed.refused.map(CredentialTag),
                tried: closed.tried.map(CredentialTag),
                spent: closed.spent.into_iter().map(CredentialTag).collect(),
            }),
            probe: self.probe,
            login: self.login,
            paused_until: self.paused_until_ms.map(|time| origin.future(time, now)),
            paused_for: cause(self.paused_for.as_deref(), self.paused_why.as_deref())?,
            paused_why: self.paused_why.map(Into::into),
            paused_way: self.paused_way,
            pauses: self.pauses,
            called: self.called_ms.map(|time| origin.past(time, now)),
            calling: self.calling,
            ends: self.ends_ms.map(|time| origin.future(time, now)),
            unheard: self.unheard.map(|unheard| Unheard {
                calls: unheard.calls,
                until: origin.future(unheard.until_ms, now),
                tag: unheard.tag.map(CredentialTag),
            }),
            calls: self.calls,
            answered: self.answered,
            details_refused: self.details_refused.map(|refused| Refused {
                since: refused.since,
                text: refused.text.into(),
                tag: refused.tag.map(CredentialTag),
                login: refused.login,
            }),
            announced: self.announced.map(AnnouncedRow::announced).transpose()?.map(Box::new),
            replacements: self
                .replacements
                .into_iter()
                .map(ReplacementRow::replacement)
                .collect::<Result<_, _>>()?,
        })
    }
}
