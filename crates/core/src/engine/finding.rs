//! What is not in order, how soon a person should look, and the one command that comes next: one table for every screen,
//! alert and message.

use std::cmp::Reverse;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cert;
use crate::config::{Account, HookEvent, Order, Severity, count};
use crate::engine::account::record::{AccountRecord, Cause};
use crate::engine::account::sent;
use crate::engine::note::ALARM_AFTER;
use crate::engine::order::lifetime::{TERM_WARNING, last_days, near};
use crate::engine::order::names;
use crate::engine::order::record::{Heard, Mood, OrderRecord, ProbeRecord, Probed, order_number};
use crate::engine::order::window::margin_begins;
use crate::engine::time::{Now, Time, day, in_words, rfc3339};
use crate::engine::vitals::Vitals;

const DAY: i64 = 24 * 3600;
/// Waiting longer than this is worth a look.
const LONG_WAIT: i64 = 7 * DAY;
/// Payment pending, or no usable answer, for longer than this is worth a look.
const LONG_TROUBLE: i64 = DAY;
/// A poll later than this means that no daemon runs: even `once` in a daily job is sooner.
const LATE: i64 = DAY;

words! {
    /// How soon a person should look, from late to soon.
    #[derive(Serialize)]
    #[serde(into = "&'static str")]
    pub enum Urgency {
        Warning = "warning",
        Critical = "critical",
    }
}

words! {
    /// What can be found: the name of it for machines.
    #[derive(Serialize, Deserialize)]
    #[serde(try_from = "String", into = "&'static str")]
    pub enum FindingKind {
        /// The daemon's files were removed or replaced under it.
        StateLost = "state-lost",
        StateUnsaved = "state-unsaved",
        /// The configuration on disk is invalid; the one before is in force.
        ConfigInvalid = "config-invalid",
        /// Something on this machine: a listener, a directory, a file that cannot be read.
        Local = "local",
        NoOrder = "no-order",
        /// It is installed and no longer configured.
        OrderAbsent = "order-absent",
        AccountClosed = "account-closed",
        PasswordUnreadable = "password-unreadable",
        /// Calls in a row without an answer.
        AccountRests = "account-rests",
        VendorUnreachable = "vendor-unreachable",
        /// This machine's clock and the vendor's are far apart.
        ClockWrong = "clock-wrong",
        /// A certificate that belongs to no order here is to be revoked.
        StrangerRevoked = "stranger-revocation-announced",
        AccountReplacement = "account-replacement-unknown",
        Quarantined = "quarantined",
        Attention = "attention",
        Rejected = "rejected",
        Revoked = "revoked",
        FilesLost = "files-lost",
        RevocationAnnounced = "revocation-announced",
        Expiring = "expiring",
        HookFailing = "hook-failing",
        NotInstalled = "not-installed",
        PollLate = "poll-late",
        ProbeFailed = "probe-failed",
        ProbeRolledBack = "probe-rolled-back",
        NamesUncovered = "names-uncovered",
        FilesModified = "files-modified",
        SubscriptionEnding = "subscription-ending",
        ReplacementUnknown = "replacement-unknown",
        /// The vendor's name for the order is none of its domains.
        OtherName = "other-name",
        WaitingLong = "waiting-long",
        /// A hook failed when it was rehearsed.
        RehearsalFailed = "rehearsal-failed",
        Unpaid = "unpaid",
        NoUsableAnswer = "no-usable-answer",
    }
}

impl TryFrom<String> for FindingKind {
    type Error = String;

    fn try_from(word: String) -> Result<FindingKind, String> {
        FindingKind::named(&word).ok_or_else(|| format!("there is no finding {word:?}"))
    }
}

impl FindingKind {
    /// With which event hooks tell it, as long as it lasts. What has a calendar or an event of its own is told by that.
    pub(crate) fn event(self) -> Option<HookEvent> {
        match self {
            FindingKind::StateLost
            | FindingKind::StateUnsaved
            | FindingKind::ConfigInvalid
            | FindingKind::AccountClosed
            | FindingKind::PasswordUnreadable
            | FindingKind::AccountRests
            | FindingKind::VendorUnreachable
            | FindingKind::ClockWrong
            | FindingKind::Quarantined
            | FindingKind::Attention
            | FindingKind::Rejected
            | FindingKind::FilesLost
            | FindingKind::HookFailing
            | FindingKind::RehearsalFailed
            | FindingKind::NotInstalled => Some(HookEvent::Failed),
            FindingKind::StrangerRevoked | FindingKind::Revoked | FindingKind::RevocationAnnounced => {
                Some(HookEvent::Revoked)
            }
            FindingKind::Local
            | FindingKind::NoOrder
            | FindingKind::OrderAbsent
            | FindingKind::AccountReplacement
            | FindingKind::Expiring
            | FindingKind::PollLate
            | FindingKind::ProbeFailed
            | FindingKind::ProbeRolledBack
            | FindingKind::NamesUncovered
            | FindingKind::FilesModified
            | FindingKind::SubscriptionEnding
            | FindingKind::ReplacementUnknown
            | FindingKind::OtherName
            | FindingKind::WaitingLong
            | FindingKind::Unpaid
            | FindingKind::NoUsableAnswer => None,
        }
    }

    /// Whether it is often over within seconds, without a person.
    pub(crate) fn mends_itself(self) -> bool {
        matches!(
            self,
            FindingKind::StateUnsaved
                | FindingKind::ConfigInvalid
                | FindingKind::PasswordUnreadable
                | FindingKind::FilesLost
                | FindingKind::NotInstalled
        )
    }

    /// The command that comes next, about the order or account of this name.
    pub fn next(self, name: &str) -> String {
        match self {
            FindingKind::StateLost
            | FindingKind::StateUnsaved
            | FindingKind::ConfigInvalid
            | FindingKind::Local
            | FindingKind::NoOrder
            | FindingKind::PasswordUnreadable => "certcollectd check".into(),
            FindingKind::AccountClosed
            | FindingKind::AccountRests
            | FindingKind::VendorUnreachable
            | FindingKind::StrangerRevoked
            | FindingKind::AccountReplacement => format!("certcollectd resume --account {name}"),
            FindingKind::OrderAbsent => format!("certcollectd forget {name}"),
            FindingKind::PollLate => "certcollectd health".into(),
            FindingKind::ClockWrong => "timedatectl".into(),
            FindingKind::RehearsalFailed => format!("certcollectd rehearse {name}"),
            FindingKind::Quarantined
            | FindingKind::Attention
            | FindingKind::Rejected
            | FindingKind::Revoked
            | FindingKind::FilesLost
            | FindingKind::RevocationAnnounced
            | FindingKind::Expiring
            | FindingKind::HookFailing
            | FindingKind::NotInstalled
            | FindingKind::ProbeFailed
            | FindingKind::ProbeRolledBack
            | FindingKind::NamesUncovered
            | FindingKind::FilesModified
            | FindingKind::SubscriptionEnding
            | FindingKind::ReplacementUnknown
            | FindingKind::OtherName
            | FindingKind::WaitingLong
            | FindingKind::Unpaid
            | FindingKind::NoUsableAnswer => format!("certcollectd explain {name}"),
        }
    }
}

/// One thing that is not in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    #[serde(rename = "finding")]
    pub kind: FindingKind,
    pub urgency: Urgency,
    /// A sentence without its end, with the name of what it is about.
    pub text: String,
    /// The command that comes next.
    pub next: String,
    /// The sentence behind that name.
    #[serde(skip)]
    pub what: String,
    /// All of it in our own words, for messages.
    #[serde(skip)]
    pub own: String,
}

impl Finding {
    /// `name` is the order's or account's, as commands take it; `subject` what the sentence is about.
    fn new(kind: FindingKind, urgency: Urgency, name: &str, subject: &str, what: impl Into<String>) -> Self {
        Finding::quoting(kind, urgency, (name, subject), what, "")
    }

    /// The same, and at its end what somebody else said.
    fn quoting(
        kind: FindingKind,
        urgency: Urgency,
        (name, subject): (&str, &str),
        what: impl Into<String>,
        said: &str,
    ) -> Self {
        let what: String = what.into();
        let blank = if what.starts_with(':') || subject.is_empty() { "" } else { " " };
        let own = format!("{subject}{blank}{what}");
        let (text, what) = (format!("{own}{said}"), format!("{what}{said}"));
        Finding { kind, urgency, text, next: kind.next(name), what, own }
    }
}

impl Finding {
    /// What stands behind the name, by itself.
    pub fn predicate(&self) -> &str {
        self.what.trim_start_matches(": ")
    }
}

/// The most urgent first; of those as urgent, in the order in which they were found.
pub fn sort(findings: &mut [Finding]) {
    findings.sort_by_key(|finding| Reverse(finding.urgency));
}

/// About the daemon itself; `lost` is what is known of missing files of its state.
pub fn of_daemon(lost: Option<&str>, vitals: Option<&Vitals>, orders: usize) -> Vec<Finding> {
    let find = |kind, urgency, what: String| Finding::new(kind, urgency, "", "", what);
    let mut findings = Vec::new();
    if let Some(why) = lost {
        findings.push(find(FindingKind::StateLost, Urgency::Critical, why.to_owned()));
    } else if let Some(why) = vitals.and_then(Vitals::unsaved) {
        let why = format!("{why}; `certcollectd check` says why");
        findings.push(find(FindingKind::StateUnsaved, Urgency::Critical, why));
    }
    if vitals.is_some_and(|vitals| vitals.misconfigured) {
        let why = "the configuration was changed and is invalid; the one before stays in force".to_owned();
        findings.push(find(FindingKind::ConfigInvalid, Urgency::Warning, why));
    }
    let local = vitals.into_iter().flat_map(|vitals| &vitals.findings);
    findings.extend(local.map(|why| find(FindingKind::Local, Urgency::Warning, why.clone())));
    if orders == 0 {
        findings.push(find(FindingKind::NoOrder, Urgency::Warning, "no order is configured".into()));
    }
    findings
}

/// An order that is installed and no longer configured; `described` as `www (order 123, until 2027-01-02)`.
pub fn of_absent(name: &str, described: &str) -> Finding {
    let what = "is installed, but no longer configured";
    Finding::new(FindingKind::OrderAbsent, Urgency::Warning, name, described, what)
}

/// About an account. `nameless` says whether a replacement is open for an order that is not configured here.
pub fn of_account(account: &Account, record: &AccountRecord, nameless: bool, now: Now) -> Vec<Finding> {
    let name = &*account.name;
    let subject = format!("account {name}");
    let find = |kind, urgency, what: String| Finding::new(kind, urgency, name, &subject, what);
    let mut findings = Vec::new();
    if record.closed.is_some() {
        let what = format!("is closed: {}", account.when_refused());
        findings.push(find(FindingKind::AccountClosed, Urgency::Critical, what));
    } else if record.lacks_password() {
        let what = format!("cannot be read: {}", account.password.remedy());
        let subject = format!("the password of {subject}");
        findings.push(Finding::new(FindingKind::PasswordUnreadable, Urgency::Critical, name, &subject, what));
    } else if record.paused_for == Some(Cause::Unheard) && record.unheard.is_some() {
        // Until one is answered, a pause that is over has mended nothing.
        let calls = record.unheard.as_ref().map_or(0, |unheard| unheard.calls);
        let what = match paused_until(record, now) {
            Some(until) => format!("rests until {until}: {calls} calls in a row without an answer"),
            None => format!("had no answer to {calls} calls in a row"),
        };
        findings.push(find(FindingKind::AccountRests, Urgency::Warning, what));
    } else if record.pauses >= ALARM_AFTER && record.paused_for == Some(Cause::Connection) {
        let tries = count(record.pauses, "time");
        let next = paused_until(record, now).map(|until| format!(", next try {until}")).unwrap_or_default();
        let what = format!("cannot reach the vendor: it failed {tries} in a row{next}");
        findings.push(find(FindingKind::VendorUnreachable, Urgency::Warning, what));
    }
    if let Some(ahead) = record.clock_ahead {
        findings.push(find(FindingKind::ClockWrong, Urgency::Warning, format!(": {}", clocks(ahead))));
    }
    if nameless {
        let what = "has a replacement with unknown outcome".to_owned();
        findings.push(find(FindingKind::AccountReplacement, Urgency::Warning, what));
    }
    if let Some(announced) = record.announced.as_deref().filter(|announced| announced.is_shown(now.unix())) {
        // Without a password, anyone may have sent it.
        let urgency = if announced.proven { Urgency::Critical } else { Urgency::Warning };
        let what = ": the revocation of a certificate of no order here is announced";
        let (kind, said) = (FindingKind::StrangerRevoked, format!(" ({})", announced.text));
        findings.push(Finding::quoting(kind, urgency, (name, &subject), what, &said));
    }
    sort(&mut findings);
    findings
}

/// `this machine's clock is 3h ahead of the vendor's`.
pub(crate) fn clocks(ahead: i64) -> String {
    let side = if ahead > 0 { "ahead of" } else { "behind" };
    let by = in_words(Duration::from_secs(ahead.unsigned_abs()));
    format!("this machine's clock is {by} {side} the vendor's")
}

fn paused_until(record: &AccountRecord, now: Now) -> Option<String> {
    let until = record.paused_until.filter(|until| *until > now.time)?;
    Some(rfc3339(now.wall_of(until).div_euclid(1000)))
}

/// About an order. A record of another number under the same name counts only for what is installed.
pub fn of_order(
    order: &Order,
    record: Option<&OrderRecord>,
    account: &AccountRecord,
    now: Now,
) -> Vec<Finding> {
    let Some(record) = record else { return Vec::new() };
    let same = Some(record).filter(|record| *record.handle == *order.handle.identity());
    let mut findings = Vec::new();
    let mut find = |kind, urgency, what: String, said: &str| {
        findings.push(Finding::quoting(kind, urgency, (&order.name, &order.name), what, said));
    };
    if let Some((kind, phase)) = same.and_then(|record| Some((stop(record)?, record.phase))) {
        find(kind, Urgency::Critical, phase.predicate().into(), "");
    }
    if record.lost.is_some() {
        find(FindingKind::FilesLost, Urgency::Critical, "lacks installed files".into(), "");
    }
    if let Some(announced) = record.revocation() {
        let what = "is about to be revoked: re-issue it now";
        let said = format!(" ({})", announced.text);
        find(FindingKind::RevocationAnnounced, Urgency::Critical, what.into(), &said);
    }
    if let Some(installed) = record.installed.as_deref() {
        let (left, life) = (installed.not_after - now.unix(), installed.life());
        let margin = margin_begins(installed.not_after, order.settings.window_margin);
        // What waits for a window is there in time, or is late itself.
        let is_waiting = same.is_some_and(OrderRecord::is_held) && now.unix() < margin;
        if left <= near(life) && !is_waiting {
            let urgency = if left <= last_days(life) { Urgency::Critical } else { Urgency::Warning };
            let what = match left {
                1.. => format!("has {} left", count(left.div_euclid(DAY), "day")),
                _ => {
                    let ago = in_words(Duration::from_secs(left.unsigned_abs()));
                    format!("has a certificate that ended {ago} ago")
                }
            };
            find(FindingKind::Expiring, urgency, what, "");
        }
    }
    let failing = record.owed().filter(|debt| debt.outcome.is_some());
    if let Some(debt) = failing.min_by_key(|debt| Reverse(debt.tries)) {
        let urgency = if debt.tries >= ALARM_AFTER { Urgency::Critical } else { Urgency::Warning };
        let what = format!("hook {} failed {}", debt.hook, count(debt.tries, "time"));
        find(FindingKind::HookFailing, urgency, what, "");
    }
    if same.is_some_and(|record| record.trouble.is_some()) {
        find(FindingKind::NotInstalled, Urgency::Critical, "cannot be installed".into(), "");
    }
    if let Some(late) = same.and_then(|record| lateness(record, account, now)) {
        let what =
            format!("should have been polled {} ago: is the daemon running?", count(late / 3600, "hour"));
        find(FindingKind::PollLate, Urgency::Warning, what, "");
    }
    let probed = same.and_then(|record| record.probed.as_deref());
    if let Some(unserved) = probed.and_then(|probed| unserved(order, record, probed)) {
        find(FindingKind::ProbeFailed, Urgency::Critical, format!(": {unserved}"), "");
    }
    if probed.is_some_and(|probed| probed.rollback.is_some()) {
        let what = "was rolled back, because the newer certificate is not served (probe)";
        find(FindingKind::ProbeRolledBack, Urgency::Warning, what.into(), "");
    }
    if let Some(names) = uncovered(order, record) {
        find(FindingKind::NamesUncovered, Urgency::Warning, format!("no longer covers {names}"), "");
    }
    if same.is_some_and(|record| record.drift.is_some()) {
        find(FindingKind::FilesModified, Urgency::Warning, "has modified files".into(), "");
    }
    let heard = same.and_then(|record| record.heard.as_deref());
    if let Some(end) = heard.and_then(|heard| heard.details.term_end) {
        let left = end.saturating_sub(now.unix());
        if record.installed.is_some() && left <= TERM_WARNING {
            let verb = if left > 0 { "ends" } else { "ended" };
            let what = format!("subscription {verb} {}", day(&rfc3339(end)));
            find(FindingKind::SubscriptionEnding, Urgency::Warning, what, "");
        }
    }
    let rehearsed = same.and_then(|record| record.rehearsed.as_deref());
    if let Some(failed) = rehearsed.and_then(|rehearsed| rehearsed.failed.as_deref()) {
        let said = format!(": {failed}");
        find(
            FindingKind::RehearsalFailed,
            Urgency::Warning,
            ": the rehearsal of its hooks failed".into(),
            &said,
        );
    }
    if order_number(order, same)
        .is_some_and(|number| sent::open(&account.replacements).any(|known| *known.number == *number))
    {
        let what = "has a replacement with unknown outcome";
        find(FindingKind::ReplacementUnknown, Urgency::Warning, what.into(), "");
    }
    let waits_since = same.and_then(OrderRecord::waits_since);
    let other_name = same.filter(|_| waits_since.is_some()).and_then(|record| names::misfit(order, record));
    if let Some(name) = other_name {
        let what = format!("is for {name} at the vendor, which matches none of its domains");
        find(FindingKind::OtherName, Urgency::Warning, what, "");
    }
    if waits_since.is_some_and(|since| now.unix() - now.wall_of(since).div_euclid(1000) > LONG_WAIT) {
        let reissue = same.is_some_and(|record| record.reissue.is_some());
        let what = if reissue { "has a re-issue that has" } else { "has" };
        find(
            FindingKind::WaitingLong,
            Urgency::Warning,
            format!("{what} been waiting for more than a week"),
            "",
        );
    }
    if let Some((kind, what)) = heard.and_then(|heard| lasting(heard, now)) {
        find(kind, Urgency::Warning, what, "");
    }
    sort(&mut findings);
    findings
}

/// What its phase asks of the operator.
pub(crate) fn stop(record: &OrderRecord) -> Option<FindingKind> {
    use crate::engine::order::phase::Phase;
    match record.phase {
        Phase::Quarantined => Some(FindingKind::Quarantined),
        Phase::Attention => Some(FindingKind::Attention),
        Phase::Rejected => Some(FindingKind::Rejected),
        Phase::Revoked => Some(FindingKind::Revoked),
        Phase::Waiting | Phase::Collected | Phase::Deploying | Phase::Guarding => None,
    }
}

/// For how long, in seconds, a poll has been due that nobody makes.
fn lateness(record: &OrderRecord, account: &AccountRecord, now: Now) -> Option<i64> {
    account.earliest_call(Time::MIN)?;
    let due = account.earliest_call(record.wanted(now)?)?;
    Some((now.time.0 - due.0) / 1000).filter(|late| *late > LATE)
}

/// `10.0.0.7:443 still serves …, though the reload succeeded`, if a probe that is configured found that.
fn unserved(order: &Order, record: &OrderRecord, probed: &Probed) -> Option<String> {
    let is_configured =
        |known: &&ProbeRecord| order.settings.probes.iter().any(|probe| *probe.label() == *known.label);
    let served = probed.probes.iter().filter(is_configured).flat_map(|probe| &probe.served);
    let wrong = served.filter_map(|served| Some(format!("{} {}", served.address, served.wrong.as_deref()?)));
    let wrong = wrong.collect::<Vec<_>>().join("; ");
    let reloaded = if record.is_reloaded() { ", though the reload succeeded" } else { "" };
    (!wrong.is_empty()).then(|| wrong + reloaded)
}

/// The names that an earlier certificate covered, and the installed one does not.
fn uncovered(order: &Order, record: &OrderRecord) -> Option<String> {
    match order.settings.verify.coverage {
        Severity::Off => return None,
        Severity::Block | Severity::Warn => {}
    }
    Some(cert::listed(record.uncovered.iter().map(|name| &**name))).filter(|names| !names.is_empty())
}

/// What the vendor's answers have left it in for too long.
fn lasting(heard: &Heard, now: Now) -> Option<(FindingKind, String)> {
    let (mood, since) = heard.mood();
    if now.unix() - since <= LONG_TROUBLE {
        return None;
    }
    match mood {
        Mood::Well => None,
        Mood::Unpaid => {
            Some((FindingKind::Unpaid, "has been waiting for payment for more than a day".into()))
        }
        Mood::Troubled => {
            let what = format!("has had no usable answer for more than a day: {}", heard.text);
            Some((FindingKind::NoUsableAnswer, what))
        }
    }
}
