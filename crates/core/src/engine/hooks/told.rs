//! What a hook tells somebody: what has happened, and the one thing to do.

use std::time::Duration;

use crate::config::{HookEvent, Order};
use crate::engine::account::record::AccountRecord;
use crate::engine::alarm::Alarm;
use crate::engine::finding::{self, Finding, FindingKind};
use crate::engine::hooks::run::Subject;
use crate::engine::order::record::OrderRecord;
use crate::engine::time::{Now, day, in_words, rfc3339};

/// A message may be late by this: its hook is tried again after an hour at the latest.
const LATE: Duration = Duration::from_secs(3600);
/// What is told in steps has no end; each step is news for a day.
const STEP: Duration = Duration::from_secs(24 * 3600);
/// What is told once holds until it is over: a year at most.
const ONCE: Duration = Duration::from_secs(366 * 24 * 3600);

/// What joins the messages about an order: one key, because one message ends them all; and one for `expiring`, which no
/// message ends.
pub(crate) fn key(order: &str, event: HookEvent) -> String {
    let part = match event {
        HookEvent::Expiring => "/expiring",
        HookEvent::Installed
        | HookEvent::Failed
        | HookEvent::ProbeFailed
        | HookEvent::Recovered
        | HookEvent::Revoked
        | HookEvent::DcvPublish
        | HookEvent::DcvRemove => "",
    };
    format!("certcollectd/order/{order}{part}")
}

/// The same for what is told of an account, or of the daemon itself.
pub(crate) fn notice_key(account: Option<&str>, kind: FindingKind) -> String {
    match account {
        Some(account) => format!("certcollectd/account/{account}/{kind}"),
        None => format!("certcollectd/daemon/{kind}"),
    }
}

/// How long a message about an order holds without another one, UNIX seconds.
pub(crate) fn until(record: &OrderRecord, event: HookEvent, now: Now) -> i64 {
    match event {
        HookEvent::Failed | HookEvent::Revoked => holds(&record.alarms, now),
        HookEvent::Expiring => after(STEP, now),
        HookEvent::ProbeFailed => after(ONCE, now),
        HookEvent::Installed | HookEvent::Recovered | HookEvent::DcvPublish | HookEvent::DcvRemove => {
            now.unix()
        }
    }
}

/// Until one of these was told again; what is over holds no longer.
pub(crate) fn holds<'a>(alarms: impl IntoIterator<Item = &'a Alarm>, now: Now) -> i64 {
    let told = alarms.into_iter().filter(|alarm| alarm.told > 0);
    let next = told.map(|alarm| now.wall_of(alarm.next + LATE).div_euclid(1000)).min();
    next.unwrap_or_default().max(now.unix())
}

fn after(span: Duration, now: Now) -> i64 {
    now.wall_of(now.time + span).div_euclid(1000)
}

/// A rehearsal touches no message that counts, and holds long enough to be looked at.
pub(crate) fn rehearsed(mut subject: Subject, now: Now) -> Subject {
    subject.key.push_str("/rehearsal");
    subject.until = subject.until.max(Some(after(LATE, now)));
    subject
}

/// A sentence, and a command; without a command there is nothing to do. No text of the vendor's is in it.
pub(crate) fn told(
    order: &Order,
    record: &OrderRecord,
    account: &AccountRecord,
    event: HookEvent,
    now: Now,
) -> (String, String) {
    let name = &order.name;
    let explain = format!("certcollectd explain {name}");
    let installed = record.installed.as_deref();
    // The most urgent of those that it tells, or what is left of it when it could be told late only.
    let found = |is_meant: &dyn Fn(FindingKind) -> bool, else_text: &str| {
        let found = finding::of_order(order, Some(record), account, now);
        let found = found.into_iter().find(|finding| is_meant(finding.kind));
        match found {
            Some(Finding { own, next, .. }) => (own, next),
            None => (format!("{name} {else_text}"), explain.clone()),
        }
    };
    match event {
        HookEvent::Installed => {
            let end = installed.map(|installed| rfc3339(installed.not_after)).unwrap_or_default();
            (format!("{name}: a certificate is installed that is valid until {}", day(&end)), String::new())
        }
        HookEvent::Failed => {
            let text = format!("needed somebody, and {} now", record.phase.predicate());
            found(&|kind| kind.event().is_some(), &text)
        }
        HookEvent::Revoked => {
            let text = format!("was about to be revoked, and {} now", record.phase.predicate());
            found(&|kind| kind.event() == Some(HookEvent::Revoked), &text)
        }
        HookEvent::Expiring => {
            let left = installed.map_or(0, |installed| installed.not_after - now.unix());
            let when = in_words(Duration::from_secs(left.unsigned_abs()));
            let text = if record.warned == 0 {
                format!("{name}: the subscription ends; no re-issue outlasts it")
            } else if left > 0 {
                format!("{name}: the installed certificate expires in {when}, and there is no newer one")
            } else {
                format!("{name}: the installed certificate expired {when} ago, and there is no newer one")
            };
            (text, explain)
        }
        HookEvent::ProbeFailed => {
            found(&|kind| kind == FindingKind::ProbeFailed, "was not served, and is served again")
        }
        HookEvent::DcvPublish => {
            (format!("{name}: a re-issue waits until the proof for its names can be seen"), explain)
        }
        HookEvent::DcvRemove => {
            (format!("{name}: the proof for the last re-issue is no longer needed"), String::new())
        }
        HookEvent::Recovered => {
            let text = if installed.is_some() { "is in order again" } else { "waits for the vendor again" };
            (format!("{name} {text}"), String::new())
        }
    }
}
