//! The rows of orders as they are written: plain data with names of their own.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Origin;
use super::pushed::PushedRow;
use crate::cert::Fingerprint;
use crate::config::HookEvent;
use crate::engine::event::InstalledFile;
use crate::engine::order::{Debt, Domains, Former, Generation, Heard, OrderRecord, Phase, Trouble};
use crate::engine::time::Now;

pub(super) fn fingerprint(text: &str) -> Result<Fingerprint, String> {
    Fingerprint::from_hex(text).ok_or_else(|| "a fingerprint is malformed".to_owned())
}

pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OrderRow {
    account: String,
    handle: String,
    phase: Phase,
    since: i64,
    waiting_since_ms: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    polled_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    former: Vec<FormerRow>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "is_default")]
    polls: u32,
    #[serde(default, skip_serializing_if = "is_default")]
    failures: u32,
    #[serde(default, skip_serializing_if = "is_default")]
    unknowns: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    heard: Option<Heard>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    domains: Option<DomainsRow>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    installed: Option<GenerationRow>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    staged: Option<GenerationRow>,
    #[serde(default, skip_serializing_if = "is_default")]
    rollback: bool,
    #[serde(default, skip_serializing_if = "is_default")]
    bundled: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    accepted: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    hooks: Vec<DebtRow>,
    #[serde(default, skip_serializing_if = "is_default")]
    expiry_warnings: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    term_warned: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pushed: Option<PushedRow>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trouble: Option<TroubleRow>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    drift: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lost: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reissue_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    number: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    uncovered: Vec<String>,
    #[serde(default, skip_serializing_if = "is_default")]
    leafless: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FormerRow {
    account: String,
    handle: String,
    polled_ms: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    asked_ms: Option<i64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DomainsRow {
    asked_ms: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    heard: Option<Heard>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct GenerationRow {
    name: String,
    at: i64,
    fingerprint: String,
    serial: String,
    not_before: i64,
    not_after: i64,
    names: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    chain: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    root: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<PathBuf>,
    files: Vec<FileRow>,
    spec: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileRow {
    name: String,
    sha256: String,
    mode: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DebtRow {
    hook: String,
    event: String,
    since: i64,
    #[serde(default, skip_serializing_if = "is_default")]
    tries: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "is_default")]
    started: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    outcome: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended: Option<i64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TroubleRow {
    text: String,
    tries: u32,
    next_ms: i64,
}

impl OrderRow {
    pub(super) fn of(record: &OrderRecord) -> Self {
        let OrderRecord {
            account,
            handle,
            phase,
            since,
            reason,
            waiting_since,
            polled,
            former,
            due,
            polls,
            failures,
            unknowns,
            reissue,
            number,
            heard,
            domains,
            installed,
            staged,
            rollback,
            bundled,
            accepted,
            refused,
            debts,
            warned,
            term_warned,
            pushed,
            trouble,
            drift,
            lost,
            uncovered,
            leafless,
        } = record;
        OrderRow {
            account: account.to_string(),
            handle: handle.to_string(),
            phase: *phase,
            since: *since,
            waiting_since_ms: waiting_since.0,
            reason: reason.as_ref().map(ToString::to_string),
            polled_ms: polled.map(|time| time.0),
            former: former.iter().map(FormerRow::of).collect(),
            due_ms: due.map(|time| time.0),
            polls: *polls,
            failures: *failures,
            unknowns: *unknowns,
            heard: heard.as_ref().map(|heard| (**heard).clone()),
            domains: domains
                .as_ref()
                .map(|known| DomainsRow { asked_ms: known.asked.0, heard: known.heard.clone() }),
            installed: installed.as_ref().map(|generation| GenerationRow::of(generation)),
            staged: staged.as_ref().map(|generation| GenerationRow::of(generation)),
            rollback: *rollback,
            bundled: *bundled,
            accepted: accepted.map(|fingerprint| fingerprint.to_string()),
            refused: refused.map(|fingerprint| fingerprint.to_string()),
            hooks: debts.iter().map(DebtRow::of).collect(),
            expiry_warnings: *warned,
            term_warned: *term_warned,
            pushed: pushed.as_ref().map(|pushed| PushedRow::of(pushed)),
            trouble: trouble.as_ref().map(|trouble| TroubleRow {
                text: trouble.text.to_string(),
                tries: trouble.tries,
                next_ms: trouble.next.0,
            }),
            drift: drift.as_ref().map(ToString::to_string),
            lost: lost.as_ref().map(ToString::to_string),
            reissue_ms: reissue.map(|time| time.0),
            number: number.as_ref().map(ToString::to_string),
            uncovered: uncovered.iter().map(ToString::to_string).collect(),
            leafless: *leafless,
        }
    }

    pub(super) fn record(self, origin: Origin, now: Now) -> Result<OrderRecord, String> {
        let known = |text: Option<String>| text.map(|text| fingerprint(&text)).transpose();
        Ok(OrderRecord {
            account: self.account.into(),
            handle: self.handle.into(),
            phase: self.phase,
            since: self.since,
            reason: self.reason.map(Into::into),
            waiting_since: origin.past(self.waiting_since_ms, now),
            polled: self.polled_ms.map(|time| origin.past(time, now)),
            former: self.former.into_iter().map(|row| row.former(origin, now)).collect(),
            due: self.due_ms.map(|time| origin.future(time, now)),
            polls: self.polls,
            failures: self.failures,
            unknowns: self.unknowns,
            reissue: self.reissue_ms.map(|time| origin.past(time, now)),
            number: self.number.map(Into::into),
            heard: self.heard.map(Box::new),
            domains: self.domains.map(|row| {
                let asked = origin.past(row.asked_ms, now);
                Box::new(Domains { asked, heard: row.heard })
            }),
            installed: self.installed.map(GenerationRow::generation).transpose()?.map(Box::new),
            staged: self.staged.map(GenerationRow::generation).transpose()?.map(Box::new),
            rollback: self.rollback,
            bundled: self.bundled,
            accepted: known(self.accepted)?,
            refused: known(self.refused)?,
            debts: self.hooks.into_iter().map(|row| row.debt(origin, now)).collect::<Result<_, _>>()?,
            warned: self.expiry_warnings,
            term_warned: self.term_warned,
            pushed: self.pushed.map(|row| row.pushed(origin, now)).transpose()?.map(Box::new),
            trouble: self.trouble.map(|trouble| {
                let next = origin.future(trouble.next_ms, now);
                Box::new(Trouble { text: trouble.text.into(), tries: trouble.tries, next })
            }),
            drift: self.drift.map(Into::into),
            lost: self.lost.map(Into::into),
            uncovered: self.uncovered.into_iter().map(Into::into).collect(),
            leafless: self.leafless,
        })
    }
}

impl FormerRow {
    fn of(former: &Former) -> Self {
        let Former { account, handle, polled, asked } = former;
        FormerRow {
            account: account.to_string(),
            handle: handle.to_string(),
            polled_ms: polled.0,
            asked_ms: asked.map(|time| time.0),
        }
    }

    fn former(self, origin: Origin, now: Now) -> Former {
        Former {
            account: self.account.into(),
            handle: self.handle.into(),
            polled: origin.past(self.polled_ms, now),
            asked: self.asked_ms.map(|time| origin.past(time, now)),
        }
    }
}

impl GenerationRow {
    fn of(generation: &Generation) -> Self {
        let Generation {
            name,
            at,
            fingerprint,
            serial,
            not_before,
            not_after,
            names,
            chain,
            root,
            key,
            files,
            spec,
        } = generation;
        GenerationRow {
            name: name.to_string(),
            at: *at,
            fingerprint: fingerprint.to_string(),
            serial: serial.to_string(),
            not_before: *not_before,
            not_after: *not_after,
            names: names.iter().map(ToString::to_string).collect(),
            chain: chain.as_ref().map(|chain| chain.iter().map(ToString::to_string).collect()),
            root: root.map(|root| root.to_string()),
            key: key.clone(),
            files: files
                .iter()
                .map(|file| FileRow {
                    name: file.name.clone(),
                    sha256: file.digest.to_string(),
                    mode: file.mode,
                })
                .collect(),
            spec: *spec,
        }
    }

    fn generation(self) -> Result<Generation, String> {
        let file = |row: FileRow| -> Result<InstalledFile, String> {
            Ok(InstalledFile { digest: fingerprint(&row.sha256)?, name: row.name, mode: row.mode })
        };
        Ok(Generation {
            fingerprint: fingerprint(&self.fingerprint)?,
            name: self.name.into(),
            at: self.at,
            serial: self.serial.into(),
            not_before: self.not_before,
            not_after: self.not_after,
            names: self.names.into_iter().map(Into::into).collect(),
            chain: self
                .chain
                .map(|chain| chain.iter().map(|text| fingerprint(text)).collect::<Result<_, _>>())
                .transpose()?,
            root: self.root.map(|text| fingerprint(&text)).transpose()?,
            key: self.key,
            files: self.files.into_iter().map(file).collect::<Result<_, _>>()?,
            spec: self.spec,
        })
    }
}

impl DebtRow {
    fn of(debt: &Debt) -> Self {
        let Debt { hook, event, since, tries, next, started, outcome, ended } = debt;
        DebtRow {
            hook: hook.to_string(),
            event: event.word().to_owned(),
            since: *since,
            tries: *tries,
            next_ms: next.map(|time| time.0),
            started: *started,
            outcome: outcome.as_ref().map(ToString::to_string),
            ended: *ended,
        }
    }

    fn debt(self, origin: Origin, now: Now) -> Result<Debt, String> {
        let events = [HookEvent::Installed, HookEvent::Failed, HookEvent::Expiring];
        let event = events.into_iter().find(|event| event.word() == self.event);
        Ok(Debt {
            hook: self.hook.into(),
            event: event.ok_or_else(|| format!("there is no event {:?}", self.event))?,
            since: self.since,
            tries: self.tries,
            next: self.next_ms.map(|time| origin.future(time, now)),
            started: self.started,
            outcome: self.outcome.map(Into::into),
            ended: self.ended,
        })
    }
}
