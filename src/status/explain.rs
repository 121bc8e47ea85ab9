//! One order in plain sentences: where it stands, what is missing and who must act, what is next, what was.

use serde::Serialize;

use super::fleet::FleetStatus;
use super::missing::{self, Missing};
use super::table::stranger;
use super::{
    AccountState, AccountStatus, Announcement, CertificateStatus, HookState, OrderStatus, Poller,
    ReissueStatus, Status, VendorStatus,
};
use certcollectd_core::api::code::Progress;
use certcollectd_core::api::reply::Details;
use certcollectd_core::config::{Config, count};
use certcollectd_core::engine::finding::FindingKind;
use certcollectd_core::engine::loaded::Loaded;
use certcollectd_core::engine::order::phase::Phase;
use certcollectd_core::engine::order::record::Mood;
use certcollectd_core::engine::time::{Now, day, rfc3339};

/// Maximum number of history lines shown to people; machines get all.
const SHOWN: usize = 20;

#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    pub order: OrderStatus,
    pub account: Option<AccountStatus>,
    /// Where it stands, in sentences.
    pub standing: Vec<String>,
    /// What the vendor still waits for.
    pub missing: Vec<Missing>,
    /// The vendor's integer statuses, in words.
    pub statuses: Vec<StatusEntry>,
    /// When the domains were asked about last, RFC 3339.
    pub domains_at: Option<String>,
    /// What happens next, or what the operator can do.
    pub next: Vec<String>,
    /// How far it has come in the fleet, in sentences; none for a host on its own.
    pub fleet: Vec<String>,
    /// Oldest first.
    pub history: Vec<HistoryEntry>,
}

#[derive(Debug, Clone, Serialize)]
pub struct StatusEntry {
    /// The documented name.
    pub name: String,
    /// -1, 0, 1 or 2.
    pub value: i32,
    /// What that means.
    pub means: &'static str,
}

#[derive(Debug, Clone, Serialize)]
pub struct HistoryEntry {
    /// RFC 3339.
    pub at: String,
    /// `error`, `warn`, `info` or `debug`.
    pub level: String,
    /// One word.
    pub kind: String,
    pub text: String,
}

impl Explanation {
    /// Puts it together; `None` if there is no such order.
    pub fn new(
        config: &Config,
        loaded: &Loaded,
        name: &str,
        history: Vec<HistoryEntry>,
        now: Now,
    ) -> Option<Explanation> {
        let mut status = Status::one(config, loaded, now, name);
        let order = status.orders.pop()?;
        let account = status.accounts.into_iter().find(|account| account.name == order.account);
        let record = loaded.orders.get(name).map(|known| &known.record);
        let heard = record.and_then(|record| record.heard.as_deref());
        let domains =
            record.and_then(|record| record.domains.as_deref()).and_then(|known| known.heard.as_ref());
        let reissue = record.and_then(|record| record.reissue_since);
        let waits = reissue.is_some()
            || record.is_none_or(|record| matches!(record.phase, Phase::Waiting | Phase::Attention));
        // What was proven for the previous certificate does not count for another one.
        let begun = reissue.map(|since| now.wall_of(since).div_euclid(1000));
        let domains = domains.filter(|heard| begun.is_none_or(|begun| heard.at >= begun));
        let [collected, named] = [heard, domains].map(|heard| heard.map(|heard| &*heard.details));
        let mut missing = if waits { missing::missing(collected, named) } else { Vec::new() };
        if waits && heard.is_some_and(|heard| Mood::of(heard.code) == Mood::Unpaid) {
            missing.insert(0, missing::unpaid());
        }
        if let Some(name) = &order.other_name {
            missing.insert(0, missing::misfit(name));
        }
        Some(Explanation {
            standing: standing(&order, account.as_ref()),
            missing,
            statuses: statuses(named.filter(|_| waits).or(collected)),
            domains_at: domains.map(|heard| rfc3339(heard.at)),
            next: next(&order, account.as_ref()),
            order,
            account,
            fleet: Vec::new(),
            history,
        })
    }

    /// Adds what the store of its fleet says.
    pub fn with(mut self, fleet: &FleetStatus) -> Explanation {
        self.fleet = fleet.explain(&self.order.name);
        self
    }

    pub fn text(&self) -> String {
        let OrderStatus { name, product, order_number, account, poller, .. } = &self.order;
        let mut text = match poller {
            Poller::Host | Poller::Leader => {
                format!("{name} is {product} order {order_number} on account {account}.\n")
            }
            Poller::Fleet => {
                format!("{name} is a certificate ({product}) that the fleet's collectors publish.\n")
            }
        };
        let mut part = |title: &str, lines: Vec<String>| {
            if !lines.is_empty() {
                text.push_str(&format!("\n{title}\n  {}\n", lines.join("\n  ")));
            }
        };
        let missing = self.missing.iter().map(|missing| format!("{}; {}", missing.what, missing.who));
        let statuses =
            self.statuses.iter().map(|status| format!("{} {}: {}", status.name, status.value, status.means));
        let skipped = self.history.len().saturating_sub(SHOWN);
        let history = self.history.iter().skip(skipped).map(|line| format!("{}  {}", line.at, line.text));
        let title = match skipped {
            0 => "History:".to_owned(),
            _ => format!("History, the last {SHOWN} of {} lines (--json has all):", self.history.len()),
        };
        part("Now:", self.standing.clone());
        part("In the fleet:", self.fleet.clone());
        part("Missing, and who must act:", missing.collect());
        part("The vendor's own words for it:", statuses.collect());
        part("Next:", self.next.clone());
        part(&title, history.collect());
        text
    }
}

fn standing(order: &OrderStatus, account: Option<&AccountStatus>) -> Vec<String> {
    let since = order.since.as_deref().map(|since| format!(" since {since}")).unwrap_or_default();
    let phase = match order.phase {
        Phase::Waiting if order.poller == Poller::Fleet => "Nothing of it is installed here yet".to_owned(),
        Phase::Waiting if order.polls == 0 => "The vendor has not been asked about it yet".to_owned(),
        Phase::Waiting => format!("It has been waiting for the vendor{since}"),
        Phase::Collected => format!("The certificate has been collected{since}, and is not in place yet"),
        Phase::Deploying => {
            format!("It is being deployed{since}: the files are put into place, or hooks are owed")
        }
        Phase::Guarding => format!("It has been installed and guarded{since}"),
        Phase::Quarantined => {
            format!("The vendor's certificate was refused and has been in quarantine{since}")
        }
        Phase::Attention => format!("It needs attention{since} and is not polled"),
        Phase::Rejected => format!("The vendor has rejected the order{since}; it is not polled"),
        Phase::Revoked => format!("The vendor has revoked the certificate{since}; it is not polled"),
    };
    let because = order.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    let reissue = order.reissue_since.as_ref();
    let announced = order.revocation_announced.as_ref();
    let mut lines = vec![
        Some(format!("{phase}{because}.")),
        reissue.map(|since| format!("Its re-issue has been pending since {since}.")),
        order.reissue.as_ref().and_then(ReissueStatus::standing),
        order.fqdn.as_ref().map(|name| format!("At the vendor it is for {name}.")),
        order.vendor.as_ref().map(|VendorStatus { at, text, .. }| {
            format!("The vendor's last answer, of {at}: {}.", text.trim_end_matches('.'))
        }),
        order.certificate.as_ref().map(
            |certificate| {
                let CertificateStatus { serial, not_after, names, .. } = certificate;
                let (left, names) = (certificate.left(), names.join(" "));
                format!("Installed is serial {serial}, valid until {not_after}, {left}, for {names}.")
            },
        ),
        announced.map(|Announcement { at, text, .. }| {
            format!(
                "At {at} a push notification announced that the vendor will revoke the certificate: {text}."
            )
        }),
        order.rolled_back.then(|| {
            let why = if order.rolled_back_by_probe { ", because the newer certificate was not served" } else { "" };
            format!("It was rolled back{why}: an older generation is in place, and the newer certificate is held back.")
        }),
    ];
    for hook in order.hooks.iter().filter(|hook| hook.state != HookState::Done) {
        let last = hook.last.as_deref().unwrap_or("not tried yet");
        let next = hook.next_try.as_deref().map(|next| format!(", next try {next}")).unwrap_or_default();
        lines.push(Some(format!("Hook {} is owed for {}: {last}{next}.", hook.hook, hook.event)));
    }
    for probe in order.probes.iter().filter(|probe| !probe.ok) {
        lines.push(Some(format!("{} {}, as a probe found at {}.", probe.address, probe.last, probe.at)));
    }
    if !order.probes.is_empty() && order.probes.iter().all(|probe| probe.ok) {
        let served = count(order.probes.len(), "probe");
        lines.push(Some(format!("It is served, as {served} found last.")));
    }
    if let Some(failed) = order.found(FindingKind::RehearsalFailed) {
        let mut failed = failed.to_owned();
        failed[..1].make_ascii_uppercase();
        lines.push(Some(format!("{failed}. What is installed is served as before.")));
    }
    let capital = |told: &String| format!("{}.", told.replacen("a replacement", "A replacement", 1));
    let covers = |coverage| format!("The installed certificate {coverage}, which the previous one covered.");
    let term = |end: &String| match (day(end), order.term_left) {
        (day, Some(..=0)) => format!("The subscription ended {day}; there will be no re-issue."),
        (day, _) => format!("The subscription ends {day}; no re-issue outlasts it."),
    };
    lines.extend([
        order.replacement.as_ref().map(capital),
        order.trouble.as_ref().map(|trouble| format!("Trouble on this machine: {trouble}.")),
        order.coverage().map(covers),
        order.lost.as_ref().map(|lost| format!("Installed files are missing or unreadable: {lost}.")),
        order.drift.as_ref().map(|drift| format!("The files differ from what was installed: {drift}.")),
        order.subscription_ends.as_ref().map(term),
    ]);
    if let Some(account) = account {
        lines.push(account.standing().map(|told| format!("{}.", told.replacen("account", "Account", 1))));
        let announced = account.revocation_announced.as_ref();
        lines.push(announced.map(|announced| format!("On {}.", stranger(account, announced))));
    }
    lines.into_iter().flatten().collect()
}

fn next(order: &OrderStatus, account: Option<&AccountStatus>) -> Vec<String> {
    let name = &order.name;
    let mut lines = Vec::new();
    if let Some(closed) = account.filter(|account| account.state == AccountState::Closed) {
        let advice = closed.advice.as_deref().unwrap_or_default();
        lines.push(format!("No calls on account {}: {advice}.", closed.name));
    }
    if order.revocation_announced.is_some() {
        lines.push(format!(
            "Re-issue it now under the same number. A newer certificate ends the alarm, as does `certcollectd accept {name}`."
        ));
    }
    if let Some(paused) = account.filter(|account| account.state == AccountState::Paused) {
        let until = paused.when.as_deref().unwrap_or("-");
        let reason = paused.reason.as_deref().unwrap_or("the vendor asked for it").trim_end_matches('.');
        lines.push(format!(
            "No calls on account {0} before {until}: {reason}. `certcollectd resume --account {0}` ends the pause.",
            paused.name
        ));
    }
    match order.phase {
        Phase::Attention | Phase::Rejected | Phase::Revoked => {
            lines.push(format!("Once the cause is fixed: `certcollectd resume {name}`, or change its entry."));
        }
        Phase::Quarantined if order.leafless => lines.push(
            "Look at the quarantine in the state directory: which certificate to install is unknown, so there is none to \
             accept. A better answer is installed automatically."
                .to_owned(),
        ),
        Phase::Quarantined => lines.push(format!(
            "Look at the quarantine in the state directory; `certcollectd accept {name}` installs it anyway."
        )),
        Phase::Waiting | Phase::Collected | Phase::Deploying | Phase::Guarding => {}
    }
    if let Some(reissue) = &order.reissue {
        lines.extend(reissue.next(name));
    }
    if let Some(window) = &order.window {
        lines.push(window.sentence(name));
    }
    if order.coverage().is_some() {
        lines.push(format!(
            "If the names were dropped on purpose: `certcollectd accept {name}`; otherwise order a re-issue with them."
        ));
    }
    if let Some(unserved) = order.unserved() {
        lines.push(format!(
            "Look at that server: {unserved}. `certcollectd rehearse {name}` runs the hooks again; the probe is repeated by \
             itself."
        ));
    }
    if order.found(FindingKind::RehearsalFailed).is_some() {
        lines.push(format!(
            "Once the hook is mended: `certcollectd rehearse {name}` runs it again, and ends this."
        ));
    }
    if order.rolled_back {
        lines.push(format!(
            "`certcollectd accept {name}` installs the newer certificate that was rolled back; one newer than that \
             is installed automatically."
        ));
    }
    if let Some(next) = &order.next_poll {
        let now = match account {
            Some(account) if account.state == AccountState::Paused => String::new(),
            _ => format!("; `certcollectd poll {name}` polls now"),
        };
        lines.push(format!("The next poll is at {next}{now}."));
    }
    lines
}

fn statuses(details: Option<&Details>) -> Vec<StatusEntry> {
    let all = details.into_iter().flat_map(|details| &details.statuses);
    all.map(|(name, value)| StatusEntry {
        name: (*name).to_owned(),
        value: *value,
        means: Progress::of(*value).means(),
    })
    .collect()
}
