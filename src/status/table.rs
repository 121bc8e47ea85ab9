//! The status as text.

use super::{
    AccountStatus, Announcement, CertificateStatus, HookState, HookStatus, OrderStatus, Poller, ProbeStatus,
    RehearsalStatus, Status, WindowStatus,
};
use anstyle::Style;

use super::fit::{width, wrapped};
use super::screen::Screen;
use std::time::Duration;

use certcollectd_core::config::count;
use certcollectd_core::engine::finding::{FindingKind, Urgency};
use certcollectd_core::engine::order::phase::Phase;
use certcollectd_core::engine::time::{day, in_words};

pub(super) const HEADINGS: [&str; 5] = ["ORDER", "PHASE", "NEXT POLL", "CERTIFICATE", "NOTE"];

impl Status {
    /// What concerns no single order; without an urgency it needs nobody.
    pub(super) fn notices(&self) -> Vec<(Option<Urgency>, String)> {
        let here = self.of_daemon().into_iter();
        // That comes before everything else.
        let here = here.filter(|finding| finding.kind != FindingKind::StateLost);
        let here = here.map(|finding| (Some(finding.urgency), finding.text));
        let absent = self.told_absent().map(|notice| (Some(Urgency::Warning), notice));
        let fleet = self.fleet.iter().map(|fleet| (None, fleet.words()));
        fleet.chain(accounts(&self.accounts)).chain(here).chain(absent).collect()
    }
}

/// Rows below each other, each column as wide as its longest cell.
pub fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let widths: [usize; N] =
        std::array::from_fn(|column| rows.iter().map(|row| width(&row[column])).max().unwrap_or_default());
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).map(|(cell, wide)| {
            let blanks = " ".repeat(wide - width(cell));
            format!("{cell}{blanks}  ")
        });
        cells.collect::<String>().trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

/// What is under each heading; the certificate with the day on which it ends, or only what is left.
pub(super) fn row(order: &OrderStatus, is_long: bool) -> [String; 5] {
    let (phase, certificate) = (order.phase.as_str().to_owned(), certificate(order, is_long));
    [order.name.clone(), phase, next_poll(order), certificate, note(order)]
}

fn next_poll(order: &OrderStatus) -> String {
    match order.next_in {
        None if order.poller == Poller::Fleet => String::new(),
        None if order.poller == Poller::Leader => "by the leader".into(),
        None if order.barred => "account closed".into(),
        None if order.last_poll.is_none() && !order.phase.needs_person() => "at the start".into(),
        None => "-".into(),
        Some(seconds) if seconds <= 0 => "now".into(),
        Some(seconds) => format!("in {}", span(seconds)),
    }
}

fn span(seconds: i64) -> String {
    in_words(Duration::from_secs(seconds.unsigned_abs()))
}

fn certificate(order: &OrderStatus, is_long: bool) -> String {
    match &order.certificate {
        None => "-".into(),
        Some(installed) if installed.left <= 0 => format!("ended {} ago", span(installed.left)),
        Some(installed) if !is_long => span(installed.left),
        Some(installed) => {
            format!("until {} ({} left)", day(&installed.not_after), span(installed.left))
        }
    }
}

/// The most pressing thing.
fn note(order: &OrderStatus) -> String {
    let owed = order.hooks.iter().filter(|hook| hook.state != HookState::Done).count();
    if let Some(finding) = order.findings.first() {
        // The column before says the phase.
        let is_said = finding.predicate() == order.phase.predicate();
        finding.known.clone().filter(|_| is_said).unwrap_or_else(|| finding.in_full())
    } else if owed > 0 {
        format!("{} owed", count(owed, "hook"))
    } else if let Some(window) = &order.window {
        window.brief().to_owned()
    } else if order.rolled_back {
        format!("rolled back; `certcollectd accept {}` installs the newer certificate", order.name)
    } else if let Some(reissue) = order.reissue_note() {
        reissue
    } else {
        match order.phase {
            Phase::Waiting if order.poller == Poller::Fleet => "waits for what its fleet publishes".into(),
            Phase::Waiting => {
                order.vendor.as_ref().map_or_else(|| "not asked yet".into(), |vendor| vendor.text.clone())
            }
            Phase::Guarding => order.subscription().unwrap_or_default(),
            Phase::Collected
            | Phase::Deploying
            | Phase::Quarantined
            | Phase::Attention
            | Phase::Rejected
            | Phase::Revoked => String::new(),
        }
    }
}

fn accounts(accounts: &[AccountStatus]) -> Vec<(Option<Urgency>, String)> {
    let mut notices = Vec::new();
    for (account, standing) in accounts.iter().filter_map(|account| Some((account, account.standing()?))) {
        // What to do about a password that cannot be read is part of the reason.
        let advice = account.advice.as_ref().filter(|_| !account.lacks_password);
        let advice = advice.map(|advice| format!("; {advice}")).unwrap_or_default();
        let notice = format!("{standing}{advice}");
        let urgency = account.findings.first().map(|finding| finding.urgency);
        notices.push((urgency, notice));
    }
    let replacements = accounts.iter().flat_map(|account| &account.replacements);
    notices.extend(replacements.map(|replacement| (Some(Urgency::Warning), replacement.clone())));
    for account in accounts {
        if let Some(announced) = &account.revocation_announced {
            let urgency = if announced.proven { Urgency::Critical } else { Urgency::Warning };
            notices.push((Some(urgency), stranger(account, announced)));
        }
    }
    notices
}

/// An announced revocation that concerns no order here.
pub(super) fn stranger(account: &AccountStatus, announced: &Announcement) -> String {
    let doubt = if announced.proven {
        ""
    } else {
        "; the listener asks for no password, so the sender is unverified"
    };
    format!(
        "account {0}: at {1} the revocation of a certificate of no order here was announced: {2}{doubt}; check the \
         vendor's web site for which one; shown for seven days, or until `certcollectd resume --account {0}`",
        account.name, announced.at, announced.text
    )
}

impl Status {
    /// For people: everything about each order.
    pub fn details(&self, screen: &Screen) -> String {
        let orders = self.orders.iter().map(|order| details(order, screen));
        let notices = accounts(&self.accounts).into_iter().map(|(_, notice)| notice);
        let notices = notices.map(|notice| format!("\n{}\n", wrapped(&notice, screen.columns, 0)));
        std::iter::once(self.lost(screen)).chain(orders).chain(notices).collect()
    }

    /// Comes before everything else: the rest may be wrong.
    pub(super) fn lost(&self, screen: &Screen) -> String {
        let why = self.state_lost.as_ref().map(|why| format!("{}\n\n", wrapped(why, screen.columns, 0)));
        why.unwrap_or_default()
    }
}

/// Columns of the names in [`details`].
const NAMES: usize = 14;

fn details(order: &OrderStatus, screen: &Screen) -> String {
    let OrderStatus { name, account, product, order_number, polls, .. } = order;
    let but = if order.other_name.is_some() { ", which matches none of its domains" } else { "" };
    let since = order.since.as_deref().map(|since| format!(" since {since}")).unwrap_or_default();
    let last = order.last_poll.as_deref().unwrap_or("never");
    let of = match order.poller {
        Poller::Host | Poller::Leader => format!("{product} {order_number} on account {account}"),
        Poller::Fleet => format!("{product}, of the fleet"),
    };
    let is_polled = order.poller != Poller::Fleet;
    let mut lines = vec![
        ("order", Some(format!("{name} ({of})"))),
        ("for", order.fqdn.as_ref().map(|fqdn| format!("{fqdn}{but}"))),
        ("phase", Some(format!("{}{since}", order.phase))),
        ("because", order.reason.clone()),
    ];
    lines.extend(order.findings.iter().map(|finding| {
        let what = finding.predicate();
        ("needs you", Some(format!("{what}; next: {}", finding.next)))
    }));
    let asked =
        order.reissue.as_ref().and_then(|known| Some(format!("{}, since {}", known.brief()?, known.since)));
    let waits = order.reissue_since.as_ref().map(|since| format!("waits since {since}"));
    lines.extend([
        ("re-issue", asked.or(waits)),
        ("vendor", order.vendor.as_ref().map(|vendor| format!("{} (at {})", vendor.text, vendor.at))),
        ("polls", is_polled.then(|| format!("{polls}, last {last}"))),
        (
            "next poll",
            is_polled.then(|| order.next_poll.clone().unwrap_or_else(|| order.unpolled().to_owned())),
        ),
    ]);
    if let Some(installed) = &order.certificate {
        let CertificateStatus { serial, fingerprint, not_before, not_after, names, .. } = installed;
        let left = installed.left();
        lines.extend([
            ("certificate", Some(format!("serial {serial}, sha256 {fingerprint}"))),
            ("valid", Some(format!("{not_before} to {not_after}, {left}"))),
            ("names", Some(names.join(" "))),
            ("generation", Some(format!("{}, installed {}", installed.generation, installed.installed_at))),
        ]);
    }
    let alarm = order.revocation_announced.as_ref();
    let back = format!("a newer certificate waits for `certcollectd accept {name}`");
    let uncovered = |coverage| format!("{coverage}; `certcollectd accept {name}` if that is right");
    lines.extend([
        ("alarm", alarm.map(|alarm| format!("revocation announced at {}: {}", alarm.at, alarm.text))),
        ("rolled back", order.rolled_back.then_some(back)),
        ("term", order.subscription()),
    ]);
    lines.extend(order.hooks.iter().map(|known| {
        let HookStatus { hook, event, state, tries: _, next_try, last } = known;
        let last = last.as_deref().unwrap_or("not tried yet");
        let next = next_try.as_deref().map(|next| format!(", next try {next}")).unwrap_or_default();
        let tries = known.tried();
        ("hook", Some(format!("{hook} ({event}): {state}, {tries}, {last}{next}")))
    }));
    lines.extend(order.probes.iter().map(|probe| {
        let ProbeStatus { connect, address, last, at, .. } = probe;
        let of = if connect == address { String::new() } else { format!(" of {connect}") };
        ("probe", Some(format!("{address}{of} {last}, asked {at}")))
    }));
    let waits = |window: &WindowStatus| {
        format!("{}: serial {}, valid until {}", window.brief(), window.serial, window.not_after)
    };
    lines.extend([
        ("window", order.window.as_ref().map(waits)),
        ("rehearsal", order.rehearsal.as_ref().map(RehearsalStatus::words)),
        ("replacement", order.replacement.clone()),
        ("trouble", order.trouble.clone()),
        ("coverage", order.coverage().map(uncovered)),
        ("lost", order.lost.clone()),
        ("drift", order.drift.clone()),
    ]);
    let shown = lines.into_iter().filter_map(|(name, value)| {
        let style = if name == "needs you" { order.style() } else { Style::new() };
        let name = screen.paint(style, &format!("{name:<NAMES$}"));
        Some(format!("{name}{}\n", wrapped(&value?, screen.columns, NAMES)))
    });
    shown.collect()
}
