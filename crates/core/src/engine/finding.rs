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
use crate::engine::reissue::record::{Reissue, Stage};
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
        /// It is unclear whether the vendor made a re-issue.
        ReissueUnclear = "reissue-unclear",
        ReissueRefused = "reissue-refused",
        /// A re-issue has waited for a day: for its proof of control, or for what stops it.
        ReissueHeld = "reissue-held",
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

const FAILED: Option<HookEvent> = Some(HookEvent::Failed);
const REVOKED: Option<HookEvent> = Some(HookEvent::Revoked);
const AT_ONCE: Duration = Duration::ZERO;
/// What often mends itself is told if it is still there after this.
const GRACE: Duration = Duration::from_secs(30);

const CHECK: &str = "certcollectd check";
const EXPLAIN: &str = "certcollectd explain {}";
const RESUME: &str = "certcollectd resume --account {}";

const OVER: &str = "{} is in order again";

impl FindingKind {
    /// With which event hooks tell it as long as it lasts, and after which time; the command that comes next; and what is
    /// told when it is over. `{}` stands for the name of the order or account. What has a calendar or an event of its own
    /// is told by that.
    fn row(self) -> (Option<HookEvent>, Duration, &'static str, &'static str) {
        match self {
            FindingKind::StateLost => (FAILED, AT_ONCE, CHECK, "the state can be saved again"),
            FindingKind::StateUnsaved => (FAILED, GRACE, CHECK, "the state can be saved again"),
            FindingKind::ConfigInvalid => {
                (FAILED, GRACE, CHECK, "the configuration is sound again, and in force")
            }
            FindingKind::Local => (None, AT_ONCE, CHECK, OVER),
            FindingKind::NoOrder => (None, AT_ONCE, CHECK, OVER),
            FindingKind::OrderAbsent => (None, AT_ONCE, "certcollectd forget {}", OVER),
            FindingKind::AccountClosed => {
                (FAILED, AT_ONCE, RESUME, "account {} is open again: the vendor accepts the login")
            }
            FindingKind::PasswordUnreadable => {
                (FAILED, GRACE, CHECK, "the password of account {} can be read again")
            }
            FindingKind::AccountRests => (FAILED, AT_ONCE, RESUME, "account {} has an answer again"),
            FindingKind::VendorUnreachable => {
                (FAILED, AT_ONCE, RESUME, "account {} reaches the vendor again")
            }
            FindingKind::ClockWrong => {
                (FAILED, AT_ONCE, "timedatectl", "this machine's clock agrees with the vendor's again")
            }
            FindingKind::StrangerRevoked => {
                (REVOKED, AT_ONCE, RESUME, "account {}: the announced revocation is no longer an alarm")
            }
            FindingKind::AccountReplacement => (None, AT_ONCE, RESUME, OVER),
            FindingKind::Quarantined => (FAILED, AT_ONCE, EXPLAIN, OVER),
            FindingKind::Attention => (FAILED, AT_ONCE, EXPLAIN, OVER),
            FindingKind::Rejected => (FAILED, AT_ONCE, EXPLAIN, OVER),
            FindingKind::Revoked => (REVOKED, AT_ONCE, EXPLAIN, OVER),
            FindingKind::FilesLost => (FAILED, GRACE, EXPLAIN, OVER),
            FindingKind::RevocationAnnounced => (REVOKED, AT_ONCE, EXPLAIN, OVER),
            FindingKind::Expiring => (None, AT_ONCE, EXPLAIN, OVER),
            FindingKind::HookFailing => (FAILED, AT_ONCE, EXPLAIN, OVER),
            FindingKind::NotInstalled => (FAILED, GRACE, EXPLAIN, OVER),
            FindingKind::PollLate => (None, AT_ONCE, "certcollectd health", OVER),
            FindingKind::ProbeFailed => (None, AT_ONCE, EXPLAIN, OVER),
            FindingKind::ProbeRolledBack => (None, AT_ONCE, EXPLAIN, OVER),
            FindingKind::NamesUncovered => (None, AT_ONCE, EXPLAIN, OVER),
            FindingKind::FilesModified => (None, AT_ONCE, EXPLAIN, OVER),
            FindingKind::SubscriptionEnding => (None, AT_ONCE, EXPLAIN, OVER),
            FindingKind::ReplacementUnknown => (None, AT_ONCE, EXPLAIN, OVER),
            FindingKind::ReissueUnclear => (FAILED, AT_ONCE, EXPLAIN, OVER),
            FindingKind::ReissueRefused => (FAILED, AT_ONCE, EXPLAIN, OVER),
            FindingKind::ReissueHeld => (FAILED, AT_ONCE, EXPLAIN, OVER),
            FindingKind::OtherName => (None, AT_ONCE, EXPLAIN, OVER),
            FindingKind::WaitingLong => (None, AT_ONCE, EXPLAIN, OVER),
            FindingKind::RehearsalFailed => (FAILED, AT_ONCE, "certcollectd rehearse {}", OVER),
            FindingKind::Unpaid => (None, AT_ONCE, EXPLAIN, OVER),
            FindingKind::NoUsableAnswer => (None, AT_ONCE, EXPLAIN, OVER),
        }
    }

    pub(crate) fn event(self) -> Option<HookEvent> {
        self.row().0
    }

    pub(crate) fn grace(self) -> Duration {
        self.row().1
    }

    /// The command that comes next, about the order or account of this name.
    pub fn next(self, name: &str) -> String {
        self.row().2.replace("{}", name)
    }

    pub(crate) fn over(self, name: &str) -> String {
        self.row().3.replace("{}", name)
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
    /// What is known besides: the reason, or what to do.
    #[serde(skip)]
    pub known: Option<String>,
}

impl Finding {
    /// `name` is the order's or account's, as commands take it; `subject` what the sentence is about.
    fn new(kind: FindingKind, urgency: Urgency, name: &str, subject: &str, what: impl Into<String>) -> Self {
        let what: String = what.into();
        let blank = if what.starts_with(':') || subject.is_empty() { "" } else { " " };
        let text = format!("{subject}{blank}{what}");
        Finding { kind, urgency, own: text.clone(), text, next: kind.next(name), what, known: None }
    }

    /// At its end, what somebody else said.
    fn quoting(mut self, said: &str) -> Self {
        self.text.push_str(said);
        self.what.push_str(said);
        self
    }

    fn knowing(mut self, known: Option<&str>) -> Self {
        self.known = known.map(str::to_owned);
        self
    }

    /// What stands behind the name, by itself.
    pub fn predicate(&self) -> &str {
        self.what.trim_start_matches(": ")
    }

    /// The same, with what is known besides.
    pub fn in_full(&self) -> String {
        match &self.known {
            Some(known) => format!("{}: {known}", self.predicate()),
            None => self.predicate().to_owned(),
        }
    }
}

/// The most urgent first; of those as urgent, as their kinds are declared.
fn sort(findings: &mut [Finding]) {
    findings.sort_by_key(|finding| (Reverse(finding.urgency), finding.kind));
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
    if let Some(vitals) = vitals {
        let trouble = vitals.fleet.as_ref().and_then(|fleet| fleet.trouble.as_ref());
        let trouble = trouble.map(|why| format!("the fleet's store: {why}"));
        let trouble = trouble.filter(|why| !vitals.findings.contains(why));
        let local = vitals.findings.iter().cloned().chain(trouble);
        findings.extend(local.map(|why| find(FindingKind::Local, Urgency::Warning, why)));
    }
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
        let what = format!("cannot be read: {}", account.password_remedy());
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
        let said = format!(" ({})", announced.text);
        findings.push(find(FindingKind::StrangerRevoked, urgency, what.into()).quoting(&said));
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

/// Of an order, what hooks tell while it lasts, and a hook that has failed fewer times than that.
pub(crate) fn told_of_order(order: &Order, record: &OrderRecord, now: Now) -> Vec<Finding> {
    let same = Some(record).filter(|record| *record.handle == *order.handle.identity());
    let mut findings = Vec::new();
    let about = |kind, urgency, what: &str| Finding::new(kind, urgency, &order.name, &order.name, what);
    if let Some((kind, phase)) = same.and_then(|record| Some((stop(record)?, record.phase))) {
        findings.push(about(kind, Urgency::Critical, phase.predicate()).knowing(record.reason.as_deref()));
    }
    if let Some(lost) = record.lost.as_deref() {
        let finding = about(FindingKind::FilesLost, Urgency::Critical, "lacks installed files");
        findings.push(finding.knowing(Some(lost)));
    }
    if let Some(announced) = record.revocation() {
        let what = "is about to be revoked: re-issue it now";
        let said = format!(" ({})", announced.text);
        findings.push(about(FindingKind::RevocationAnnounced, Urgency::Critical, what).quoting(&said));
    }
    let failing = record.owed().filter(|debt| debt.outcome.is_some());
    if let Some(debt) = failing.min_by_key(|debt| Reverse(debt.tries)) {
        let urgency = if debt.tries >= ALARM_AFTER { Urgency::Critical } else { Urgency::Warning };
        let what = format!("hook {} failed {}", debt.hook, count(debt.tries, "time"));
        let known = debt.outcome.as_deref().map(|outcome| outcome.trim_start_matches("failed: "));
        findings.push(about(FindingKind::HookFailing, urgency, &what).knowing(known));
    }
    if let Some(trouble) = same.and_then(|record| record.trouble.as_deref()) {
        let finding = about(FindingKind::NotInstalled, Urgency::Critical, "cannot be installed");
        findings.push(finding.knowing(Some(&trouble.text)));
    }
    let rehearsed = same.and_then(|record| record.rehearsed.as_deref());
    if let Some(failed) = rehearsed.and_then(|rehearsed| rehearsed.failed.as_deref()) {
        let said = format!(": {failed}");
        findings.push(
            about(FindingKind::RehearsalFailed, Urgency::Warning, ": the rehearsal of its hooks failed")
                .quoting(&said),
        );
    }
    let reissue = same.and_then(|record| record.reissue.as_deref());
    if let Some((kind, what)) = reissue.and_then(|known| standing_of(known, now)) {
        let known = reissue.and_then(|known| known.said.as_deref().or(known.held.as_deref()));
        findings.push(about(kind, Urgency::Warning, what).knowing(known));
    }
    findings
}

/// What a re-issue asks of the operator.
fn standing_of(known: &Reissue, now: Now) -> Option<(FindingKind, &'static str)> {
    match known.stage {
        Stage::Unclear => Some((
            FindingKind::ReissueUnclear,
            "was to be re-issued, and it is unclear whether that was done",
        )),
        Stage::Refused => Some((FindingKind::ReissueRefused, "was not re-issued: the vendor refused it")),
        Stage::Preparing if now.unix() - known.since <= DAY => None,
        Stage::Preparing if known.proven => {
            Some((FindingKind::ReissueHeld, "was to be re-issued, and that has been held up for a day"))
        }
        Stage::Preparing => Some((
            FindingKind::ReissueHeld,
            "was to be re-issued, and the proof of control has been missing for a day",
        )),
        Stage::Intended | Stage::Open | Stage::Closed => None,
    }
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
    let mut findings = told_of_order(order, record, now);
    let about = |kind, urgency, what: &str| Finding::new(kind, urgency, &order.name, &order.name, what);
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
            findings.push(about(FindingKind::Expiring, urgency, &what));
        }
    }
    if let Some(late) = same.and_then(|record| lateness(record, account, now)) {
        let what =
            format!("should have been polled {} ago: is the daemon running?", count(late / 3600, "hour"));
        findings.push(about(FindingKind::PollLate, Urgency::Warning, &what));
    }
    let probed = same.and_then(|record| record.probed.as_deref());
    if let Some(unserved) = probed.and_then(|probed| unserved(order, record, probed)) {
        findings.push(about(FindingKind::ProbeFailed, Urgency::Critical, &format!(": {unserved}")));
    }
    if probed.is_some_and(|probed| probed.rollback.is_some()) {
        let what = "was rolled back, because the newer certificate is not served (probe)";
        let known = format!("`certcollectd accept {}` installs it", order.name);
        findings.push(about(FindingKind::ProbeRolledBack, Urgency::Warning, what).knowing(Some(&known)));
    }
    if let Some(names) = uncovered(order, record) {
        let what = format!("no longer covers {names}");
        let known = format!("`certcollectd accept {}` if that is right", order.name);
        findings.push(about(FindingKind::NamesUncovered, Urgency::Warning, &what).knowing(Some(&known)));
    }
    if let Some(drift) = same.and_then(|record| record.drift.as_deref()) {
        let finding = about(FindingKind::FilesModified, Urgency::Warning, "has modified files");
        findings.push(finding.knowing(Some(drift)));
    }
    let heard = same.and_then(|record| record.heard.as_deref());
    if let Some(end) = heard.and_then(|heard| heard.details.term_end) {
        let left = end.saturating_sub(now.unix());
        if record.installed.is_some() && left <= TERM_WARNING {
            let verb = if left > 0 { "ends" } else { "ended" };
            let what = format!("subscription {verb} {}", day(&rfc3339(end)));
            findings.push(about(FindingKind::SubscriptionEnding, Urgency::Warning, &what));
        }
    }
    let number = order_number(order, same);
    let open =
        number.and_then(|number| sent::open(&account.replacements).find(|known| *known.number == *number));
    if let Some(replacement) = open {
        let what = "has a replacement with unknown outcome";
        let known = replacement.advice(&order.name);
        findings.push(about(FindingKind::ReplacementUnknown, Urgency::Warning, what).knowing(Some(&known)));
    }
    let waits_since = same.and_then(OrderRecord::waits_since);
    let other_name = same.filter(|_| waits_since.is_some()).and_then(|record| names::misfit(order, record));
    if let Some(name) = other_name {
        let what = format!("is for {name} at the vendor, which matches none of its domains");
        findings.push(about(FindingKind::OtherName, Urgency::Warning, &what));
    }
    if waits_since.is_some_and(|since| now.unix() - now.wall_of(since).div_euclid(1000) > LONG_WAIT) {
        let reissue = same.is_some_and(|record| record.reissue_since.is_some());
        let what = if reissue { "has a re-issue that has" } else { "has" };
        findings.push(about(
            FindingKind::WaitingLong,
            Urgency::Warning,
            &format!("{what} been waiting for more than a week"),
        ));
    }
    if let Some((kind, what)) = heard.and_then(|heard| lasting(heard, now)) {
        findings.push(about(kind, Urgency::Warning, &what));
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
