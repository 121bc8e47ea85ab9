//! The status as one line and an exit code for Nagios and its many relatives.

use std::cmp::Reverse;

use super::{AccountState, HookState, OrderStatus, Status};
use certcollectd_core::config::count;
use certcollectd_core::engine::note::ALARM_AFTER;
use certcollectd_core::engine::order::lifetime::{last_days, near};
use certcollectd_core::engine::order::phase::Phase;
use certcollectd_core::engine::order::record::Mood;
use certcollectd_core::engine::vitals::Vitals;

certcollectd_core::words! {
    /// What a monitoring plugin says, from good to bad.
    pub enum Verdict {
        Ok = "OK",
        Warning = "WARNING",
        Critical = "CRITICAL",
    }
}

const DAY: i64 = 24 * 3600;
/// Waiting longer than this is worth a look.
const LONG_WAIT: i64 = 7 * DAY;
/// Payment pending, or no usable answer, for longer than this is worth a look.
const LONG_TROUBLE: i64 = DAY;
/// A poll later than this means that no daemon runs: even `once` in a daily job is sooner.
const LATE: i64 = DAY;

/// The worst of all, and the line that says why.
pub fn verdict(status: &Status) -> (Verdict, String) {
    let mut findings: Vec<(Verdict, String)> = Vec::new();
    let mut find = |verdict, why| findings.push((verdict, why));
    if let Some(why) = &status.state_lost {
        find(Verdict::Critical, why.clone());
    } else if let Some(why) = status.vitals.as_ref().and_then(Vitals::unsaved) {
        find(Verdict::Critical, format!("{why}; `certcollectd check` says why"));
    }
    for account in &status.accounts {
        let name = &account.name;
        let advice = account.advice.as_deref().unwrap_or_default();
        if account.state == AccountState::Closed {
            find(Verdict::Critical, format!("account {name} is closed: {advice}"));
        } else if account.lacks_password {
            find(Verdict::Critical, format!("the password of account {name} cannot be read: {advice}"));
        } else if account.rests {
            let until = account.when.as_deref().unwrap_or("-");
            let calls = account.unanswered;
            let why = format!("account {name} rests until {until}: {calls} calls in a row without an answer");
            find(Verdict::Warning, why);
        }
    }
    for account in status.accounts.iter().filter(|account| !account.replacements.is_empty()) {
        let why = format!("account {} has a replacement with unknown outcome", account.name);
        find(Verdict::Warning, why);
    }
    for account in &status.accounts {
        let Some(announced) = &account.revocation_announced else { continue };
        // Without a password, anyone may have sent it.
        let verdict = if announced.proven { Verdict::Critical } else { Verdict::Warning };
        let why = format!(
            "account {}: the revocation of a certificate of no order here is announced ({})",
            account.name, announced.text
        );
        find(verdict, why);
    }
    for order in &status.orders {
        if let Some((verdict, why)) = look_at(order, status.unix) {
            let blank = if why.starts_with(':') { "" } else { " " };
            find(verdict, format!("{}{blank}{why}", order.name));
        }
    }
    for finding in status.vitals.iter().flat_map(|vitals| &vitals.findings) {
        find(Verdict::Warning, finding.clone());
    }
    for absent in &status.absent {
        let why = format!("{} is installed, but no longer configured", absent.describe());
        find(Verdict::Warning, why);
    }
    if status.orders.is_empty() {
        find(Verdict::Warning, "no order is configured".into());
    }
    findings.sort_by_key(|finding| Reverse(finding.0));
    let worst = findings.first().map_or(Verdict::Ok, |finding| finding.0);
    const SHOWN: usize = 5;
    let mut why: Vec<String> = findings.iter().take(SHOWN).map(|(_, why)| why.clone()).collect();
    if findings.len() > SHOWN {
        why.push(format!("and {} more", findings.len() - SHOWN));
    }
    if why.is_empty() {
        why.push(count(status.orders.len(), "order"));
    }
    let days = status.orders.iter().filter_map(|order| Some(order.certificate.as_ref()?.days_left)).min();
    let guarded = status.orders.iter().filter(|order| order.phase == Phase::Guarding).count();
    let days = days.map(|days| format!(" days_left={days}")).unwrap_or_default();
    let line = format!(
        "CERTCOLLECTD {worst} - {} | orders={} guarding={guarded} problems={}{days}",
        // A bar in the text would begin the performance data.
        why.join(", ").replace('|', "/"),
        status.orders.len(),
        findings.len()
    );
    (worst, line)
}

/// The worst finding of an order; of several as bad, the first in this list.
fn look_at(order: &OrderStatus, unix: i64) -> Option<(Verdict, String)> {
    if order.phase.needs_person() {
        return Some((Verdict::Critical, order.phase.predicate().to_owned()));
    }
    let announced = order.revocation_announced.as_ref();
    let near = order.certificate.as_ref().filter(|installed| installed.left <= near(installed.life));
    let failing = order.hooks.iter().filter(|hook| hook.state == HookState::Failing);
    let late = order.next_in.map(|left| -left).filter(|late| *late > LATE && !order.barred);
    let warning = |why: &str| (Verdict::Warning, why.to_owned());
    let findings = [
        order.lost.as_ref().map(|_| (Verdict::Critical, "lacks installed files".to_owned())),
        announced.map(|announced| {
            let why = format!("is about to be revoked: re-issue it now ({})", announced.text);
            (Verdict::Critical, why)
        }),
        near.map(|installed| {
            let ends = installed.left <= last_days(installed.life);
            let verdict = if ends { Verdict::Critical } else { Verdict::Warning };
            (verdict, format!("has {} left", count(installed.days_left, "day")))
        }),
        failing.min_by_key(|hook| Reverse(hook.tries)).map(|hook| {
            let verdict = if hook.tries >= ALARM_AFTER { Verdict::Critical } else { Verdict::Warning };
            (verdict, format!("hook {} failed {}", hook.hook, count(hook.tries, "time")))
        }),
        order.trouble.as_ref().map(|_| (Verdict::Critical, "cannot be installed".to_owned())),
        late.map(|late| {
            let hours = count(late / 3600, "hour");
            warning(&format!("should have been polled {hours} ago: is the daemon running?"))
        }),
        order.unserved().map(|unserved| (Verdict::Critical, format!(": {unserved}"))),
        order
            .rolled_back_by_probe
            .then(|| warning("was rolled back, because the newer certificate is not served (probe)")),
        order.coverage().map(|coverage| (Verdict::Warning, coverage)),
        order.drift.as_ref().map(|_| warning("has modified files")),
        order.subscription().filter(|_| order.term_is_near()).map(|term| (Verdict::Warning, term)),
        order.replacement.as_ref().map(|_| warning("has a replacement with unknown outcome")),
        order.misfit().map(|misfit| (Verdict::Warning, misfit)),
        order.waits_since.filter(|since| unix - since > LONG_WAIT).map(|_| {
            let what = if order.reissue_since.is_some() { "has a re-issue that has" } else { "has" };
            warning(&format!("{what} been waiting for more than a week"))
        }),
        match order.mood.filter(|(_, since)| unix - since > LONG_TROUBLE) {
            Some((Mood::Unpaid, _)) => Some(warning("has been waiting for payment for more than a day")),
            Some((Mood::Troubled, _)) => {
                let said = order.vendor.as_ref().map_or("", |vendor| &vendor.text);
                Some(warning(&format!("has had no usable answer for more than a day: {said}")))
            }
            Some((Mood::Well, _)) | None => None,
        },
    ];
    findings.into_iter().flatten().min_by_key(|(verdict, _)| Reverse(*verdict))
}
