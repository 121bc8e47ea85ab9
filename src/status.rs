//! The status of every order and account, for people and for machines.
//!
//! Built from the configuration and the state file, so it is right while the daemon is down.

mod absent;
mod brief;
mod explain;
mod exposition;
mod findings;
mod fit;
pub mod fleet;
mod forecast;
mod metrics;
mod missing;
mod nagios;
pub mod page;
mod probes;
mod rehearsal;
mod reissue;
mod schema;
mod screen;
mod summary;
mod table;
mod window;
mod words;

use std::time::Duration;

use serde::{Serialize, Serializer};

use certcollectd_core::config::{Account, Config, Order, Severity};
use certcollectd_core::engine::account::record::AccountRecord;
use certcollectd_core::engine::account::record::Cause;
use certcollectd_core::engine::account::sent::{self, Replacement};
use certcollectd_core::engine::finding::{self, Finding, FindingKind};
use certcollectd_core::engine::loaded::Loaded;
use certcollectd_core::engine::order::names;
use certcollectd_core::engine::order::phase::Phase;
use certcollectd_core::engine::order::record::{Announced, Debt, Generation, OrderRecord, order_number};
use certcollectd_core::engine::time::{Now, Time, day, in_words, rfc3339};
use certcollectd_core::engine::vitals::Vitals;

pub use absent::{Absent, told_absent};
pub use brief::{Brief, Pressing};
pub use explain::{Explanation, HistoryEntry};
pub use exposition::Exposition;
pub use findings::Found;
pub use fleet::FleetStanding;
pub use forecast::{forecast_json, forecast_text};
pub use nagios::{Verdict, verdict};
pub use probes::ProbeStatus;
pub use rehearsal::RehearsalStatus;
pub use reissue::ReissueStatus;
pub use schema::schema;
pub use screen::Screen;
pub use summary::{Need, Summary};
pub use table::columns;
pub use window::WindowStatus;
pub use words::{AccountState, HookState};

/// Everything that `status --json` shows.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// When this was put together, RFC 3339.
    pub at: String,
    /// One entry for each configured order, in the order of the configuration.
    pub orders: Vec<OrderStatus>,
    /// One entry for each configured account; none on a follower of a fleet.
    pub accounts: Vec<AccountStatus>,
    /// How this host stands in its fleet, as its daemon knows; nothing without a fleet or a daemon.
    pub fleet: Option<FleetStanding>,
    #[serde(skip)]
    vitals: Option<Vitals>,
    /// Orders that hold an installed certificate and are no longer configured, by name.
    pub absent: Vec<Absent>,
    /// The daemon's files are missing or replaced: what it says. The rest is then not what it knows.
    pub state_lost: Option<String>,
    #[serde(skip)]
    unix: i64,
    /// Whether metrics have series of each order.
    #[serde(skip)]
    per_order: bool,
}

#[derive(Debug, Clone, Serialize)]
pub struct OrderStatus {
    pub name: String,
    /// Empty on a follower of a fleet, for machines null.
    #[serde(serialize_with = "null_if_empty")]
    pub account: String,
    /// `ssl`, `mark` or `smime`.
    pub product: &'static str,
    /// Its number at the vendor; as the account on a follower.
    #[serde(serialize_with = "null_if_empty")]
    pub order_number: String,
    /// The phase; `waiting` for one that the daemon has not seen yet.
    pub phase: Phase,
    /// Since when, RFC 3339.
    pub since: Option<String>,
    pub reason: Option<String>,
    /// The name that the vendor has for it.
    pub fqdn: Option<String>,
    /// The same, if it matches none of the order's domains: the number may be someone else's.
    pub other_name: Option<String>,
    /// Since when a re-issue has been pending, RFC 3339.
    pub reissue_since: Option<String>,
    /// The last re-issue that was asked for here, or is being prepared.
    pub reissue: Option<ReissueStatus>,
    /// Last call about it, RFC 3339.
    pub last_poll: Option<String>,
    /// Next scheduled call about it, RFC 3339; nothing while its account is closed, or another host polls it.
    pub next_poll: Option<String>,
    pub polls: u32,
    pub vendor: Option<VendorStatus>,
    pub certificate: Option<CertificateStatus>,
    /// Hooks of the installed generation, owed and done.
    pub hooks: Vec<HookStatus>,
    /// Whether what is installed is served: one entry for each address that was asked.
    pub probes: Vec<ProbeStatus>,
    /// What waits to be installed until a window opens.
    pub window: Option<WindowStatus>,
    /// The rehearsals of its hooks, if there were any or one is due by the calendar.
    pub rehearsal: Option<RehearsalStatus>,
    /// Whether its replacement was made is unknown: what is known, and what the operator must do.
    pub replacement: Option<String>,
    /// Trouble on this machine.
    pub trouble: Option<String>,
    /// How the files differ from what was installed.
    pub drift: Option<String>,
    /// The announced revocation of the certificate, until a newer one is in place.
    pub revocation_announced: Option<Announcement>,
    /// Which installed files are missing for readers, or why that is unknown.
    pub lost: Option<String>,
    /// Names that an earlier certificate covered and the installed one does not, until `accept`.
    pub uncovered: Vec<String>,
    /// Whether an older generation is in place after a rollback: until `accept`, or a certificate newer than the one
    /// that was rolled back.
    pub rolled_back: bool,
    /// Whether that was done because the newer certificate was not served.
    pub rolled_back_by_probe: bool,
    /// End of the product term, RFC 3339: no re-issue reaches beyond it.
    pub subscription_ends: Option<String>,
    /// What is not in order with it, the most urgent first.
    pub findings: Vec<Finding>,
    #[serde(skip)]
    poller: Poller,
    #[serde(skip)]
    term_left: Option<i64>,
    /// It is unknown which certificate in quarantine is the order's.
    #[serde(skip)]
    leafless: bool,
    /// Since when a certificate is pending, the first one or a re-issue, UNIX seconds.
    #[serde(skip)]
    waits_since: Option<i64>,
    /// A poll would be due, but the account is closed.
    #[serde(skip)]
    barred: bool,
    #[serde(skip)]
    next_in: Option<i64>,
}

/// Who asks the vendor about an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Poller {
    Host,
    /// Another collector of the fleet.
    Leader,
    /// The fleet's collectors, of which this host is none.
    Fleet,
}

fn null_if_empty<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    Some(text).filter(|text| !text.is_empty()).serialize(serializer)
}

/// A revocation that a push notification announces.
#[derive(Debug, Clone, Serialize)]
pub struct Announcement {
    /// When it was received, RFC 3339.
    pub at: String,
    pub text: String,
    /// Whether the sender knew the password of the listener.
    pub proven: bool,
}

impl Announcement {
    fn new(announced: &Announced) -> Self {
        let Announced { at, text, leaf: _, proven } = announced;
        Announcement { at: rfc3339(*at), text: text.to_string(), proven: *proven }
    }
}

#[derive(Debug, Clone, Serialize)]
pub struct VendorStatus {
    /// When, RFC 3339.
    pub at: String,
    /// The code, if there was one.
    pub code: Option<i32>,
    pub text: String,
}

#[derive(Debug, Clone, Serialize)]
pub struct CertificateStatus {
    /// Lower-case hexadecimal.
    pub serial: String,
    /// SHA-256 of the certificate, lower-case hexadecimal.
    pub fingerprint: String,
    /// RFC 3339.
    pub not_before: String,
    /// RFC 3339.
    pub not_after: String,
    /// Whole days until then; negative when it is over.
    pub days_left: i64,
    /// Names in it.
    pub names: Vec<String>,
    /// Directory of the generation.
    pub generation: String,
    /// RFC 3339.
    pub installed_at: String,
    #[serde(skip)]
    at: i64,
    #[serde(skip)]
    life: i64,
    #[serde(skip)]
    left: i64,
}

#[derive(Debug, Clone, Serialize)]
pub struct HookStatus {
    pub hook: String,
    pub event: &'static str,
    /// `owed`, `failing` or `done`.
    pub state: HookState,
    pub tries: u32,
    /// Next try, RFC 3339.
    pub next_try: Option<String>,
    pub last: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
pub struct AccountStatus {
    pub name: String,
    /// `open`, `paused` or `closed`.
    pub state: AccountState,
    /// Since when it is closed, or until when it is paused, RFC 3339.
    pub when: Option<String>,
    /// Why it is not open.
    pub reason: Option<String>,
    /// What the operator does about a refused login, a password that cannot be read, or a pause.
    pub advice: Option<String>,
    /// What is not in order with it, the most urgent first.
    pub findings: Vec<Finding>,
    /// What a pause is for: `password`, `connection`, `garbled`, `retry-after`, `call-limit` or `unanswered`.
    pub cause: Option<&'static str>,
    /// Calls in a row without an answer.
    pub unanswered: u32,
    pub calls: u64,
    /// Replacements of orders that are not configured here and whose outcome is unknown: what is known, and
    /// what the operator must do.
    pub replacements: Vec<String>,
    /// The announced revocation of a certificate that belongs to no order here.
    pub revocation_announced: Option<Announcement>,
    #[serde(skip)]
    lacks_password: bool,
    #[serde(skip)]
    answered: Option<i64>,
    /// Seconds until a pause ends.
    #[serde(skip)]
    paused_for: Option<i64>,
}

impl Status {
    pub fn new(config: &Config, loaded: &Loaded, now: Now) -> Status {
        Status::some(config, loaded, now, |_| true)
    }

    /// One order and its account only.
    pub fn one(config: &Config, loaded: &Loaded, now: Now, name: &str) -> Status {
        let mut status = Status::some(config, loaded, now, |order| *order.name == *name);
        status.keep(name);
        status
    }

    fn some(config: &Config, loaded: &Loaded, now: Now, wanted: impl Fn(&Order) -> bool) -> Status {
        let blank = AccountRecord::default();
        let account = |name: &str| loaded.accounts.get(name).unwrap_or(&blank);
        let orders = config.orders.iter().filter(|order| wanted(order)).map(|order| {
            let record = loaded.orders.get(&order.name).map(|known| &known.record);
            OrderStatus::new(config, order, record, account(&order.account), now)
        });
        let accounts = config.accounts.iter().filter(|_| !config.follows()).map(|known| {
            let record = account(&known.name);
            AccountStatus::new(known, record, nameless(config, loaded, &known.name, record), now)
        });
        Status {
            at: rfc3339(now.unix()),
            orders: orders.collect(),
            accounts: accounts.collect(),
            fleet: None,
            vitals: None,
            absent: absent::absent(config, loaded, now),
            state_lost: None,
            unix: now.unix(),
            per_order: config.metrics.per_order,
        }
    }

    /// Adds what a running daemon knows of itself.
    pub fn with(mut self, vitals: &Vitals) -> Status {
        self.vitals = Some(vitals.clone());
        self.fleet = vitals.fleet.as_ref().map(FleetStanding::new);
        if self.fleet.as_ref().is_some_and(FleetStanding::stands_by) {
            self.orders.iter_mut().for_each(OrderStatus::leave_to_leader);
        }
        self
    }

    /// Whether there is an order of this name.
    pub fn has(&self, name: &str) -> bool {
        self.orders.iter().any(|order| order.name == name)
    }

    /// Keeps one order and its account only.
    pub fn keep(&mut self, name: &str) {
        self.orders.retain(|order| order.name == name);
        let orders = &self.orders;
        self.accounts.retain(|account| orders.iter().any(|order| order.account == account.name));
        self.absent.retain(|absent| absent.name == name);
    }
}

impl OrderStatus {
    /// What is found of this kind, in words that go on after its name.
    fn found(&self, kind: FindingKind) -> Option<&str> {
        let finding = self.findings.iter().find(|finding| finding.kind == kind)?;
        Some(finding.predicate())
    }

    /// Another collector asks the vendor about it.
    fn leave_to_leader(&mut self) {
        self.poller = Poller::Leader;
        (self.next_poll, self.next_in, self.barred) = (None, None, false);
        self.findings.retain(|finding| finding.kind != FindingKind::PollLate);
    }

    /// Why no poll is scheduled.
    fn unpolled(&self) -> &'static str {
        match self.poller {
            Poller::Host => {}
            Poller::Leader => return "by the collector that leads",
            Poller::Fleet => return "none here: the fleet's collectors poll",
        }
        if self.barred {
            "not while its account is closed"
        } else if self.phase.is_stopped() {
            "when resumed"
        } else if self.last_poll.is_none() {
            "at the start"
        } else {
            "none"
        }
    }

    /// `10.0.0.7:443 still serves …, though the reload succeeded`, if something is not served.
    fn unserved(&self) -> Option<&str> {
        self.found(FindingKind::ProbeFailed)
    }

    /// `no longer covers mail.example.com`, if that was not accepted.
    fn coverage(&self) -> Option<&str> {
        self.found(FindingKind::NamesUncovered)
    }

    /// `subscription ends 2027-05-02`, if the vendor has said so.
    fn subscription(&self) -> Option<String> {
        let day = day(self.subscription_ends.as_deref()?);
        let verb = if self.term_left? > 0 { "ends" } else { "ended" };
        Some(format!("subscription {verb} {day}"))
    }

    /// How a re-issue stands that was asked for here, else `re-issue waits: …` if one does.
    fn reissue_note(&self) -> Option<String> {
        if let Some(brief) = self.reissue.as_ref().and_then(ReissueStatus::brief) {
            return Some(format!("re-issue: {brief}"));
        }
        self.reissue_since.as_ref()?;
        let said = self.vendor.as_ref().map_or("", |vendor| &vendor.text);
        Some(format!("re-issue waits: {said}"))
    }
}

/// The open replacements of an account whose order has no name here.
fn nameless(config: &Config, loaded: &Loaded, account: &str, record: &AccountRecord) -> Vec<String> {
    let is_named = |known: &Replacement| {
        config.orders.iter().any(|order| {
            let record = loaded.orders.get(&order.name).map(|known| &known.record);
            *order.account == *account && order_number(order, record) == Some(&*known.number)
        })
    };
    let settle = format!("--account {account}");
    let open = sent::open(&record.replacements);
    open.filter(|known| !is_named(known)).map(|known| known.advice(&settle)).collect()
}

fn replacement_of(order: &Order, record: Option<&OrderRecord>, account: &AccountRecord) -> Option<String> {
    let number = order_number(order, record)?;
    let found = sent::open(&account.replacements).find(|known| *known.number == *number)?;
    Some(found.advice(&order.name))
}

fn when(time: Time, now: Now) -> String {
    rfc3339(now.wall_of(time).div_euclid(1000))
}

impl OrderStatus {
    fn new(
        config: &Config,
        order: &Order,
        record_of_name: Option<&OrderRecord>,
        account: &AccountRecord,
        now: Now,
    ) -> Self {
        let handle = order.handle.identity();
        // A record of another number under the same name counts only for what is installed.
        let same = record_of_name.filter(|record| *record.handle == *handle);
        let blank;
        let (own, record) = match (same, record_of_name) {
            (Some(own), Some(record)) => (own, record),
            (own, record) => {
                blank = OrderRecord::new(order.account.clone(), handle.as_str().into(), now);
                (own.unwrap_or(&blank), record.unwrap_or(&blank))
            }
        };
        let follows = config.follows();
        let due = same.filter(|_| !follows).and_then(|record| record.wanted(now));
        let barred = due.is_some() && account.earliest_call(Time::MIN).is_none();
        let due = due.and_then(|due| account.earliest_call(due));
        let waits_since = same.and_then(OrderRecord::waits_since);
        let heard = own.heard.as_deref();
        let term_end = heard.and_then(|heard| heard.details.term_end);
        let uncovered = match order.settings.verify.coverage {
            Severity::Off => &[][..],
            Severity::Block | Severity::Warn => &record.uncovered,
        };
        OrderStatus {
            name: order.name.to_string(),
            account: if follows { String::new() } else { order.account.to_string() },
            product: order.settings.product.as_str(),
            order_number: if follows { String::new() } else { order.handle.text().to_owned() },
            phase: own.phase,
            since: same.map(|record| rfc3339(record.since)),
            reason: own.reason.as_ref().map(ToString::to_string),
            // During a call, and after one without an answer, the record holds the latest time of its arrival.
            last_poll: own.polled.map(|time| when(time.min(now.time), now)),
            next_poll: due.map(|time| when(time, now)),
            polls: own.polls,
            vendor: heard.map(|heard| VendorStatus {
                at: rfc3339(heard.at),
                code: heard.code,
                text: heard.text.to_string(),
            }),
            certificate: record.installed.as_ref().map(|installed| CertificateStatus::new(installed, now)),
            hooks: record.debts.iter().map(|debt| HookStatus::new(debt, now)).collect(),
            probes: probes::probes(order, own.probed.as_deref()),
            window: same.and_then(|record| WindowStatus::new(config, order, record, now)),
            rehearsal: own.rehearsed.as_deref().map(|rehearsed| RehearsalStatus::new(rehearsed, now)),
            replacement: replacement_of(order, same, account),
            trouble: own.trouble.as_ref().map(|trouble| trouble.text.to_string()),
            drift: own.drift.as_ref().map(ToString::to_string),
            revocation_announced: record.revocation().map(Announcement::new),
            lost: record.lost.as_ref().map(ToString::to_string),
            uncovered: uncovered.iter().map(ToString::to_string).collect(),
            subscription_ends: term_end.map(rfc3339),
            findings: {
                let mut findings = finding::of_order(order, record_of_name, account, now);
                findings.retain(|finding| !follows || finding.kind != FindingKind::PollLate);
                findings
            },
            poller: if follows { Poller::Fleet } else { Poller::Host },
            term_left: term_end.map(|end| end.saturating_sub(now.unix())),
            leafless: own.leafless,
            waits_since: waits_since.map(|since| now.wall_of(since).div_euclid(1000)),
            fqdn: heard.and_then(|heard| heard.details.fqdn.as_ref()).map(ToString::to_string),
            other_name: waits_since.and_then(|_| names::misfit(order, own)).map(ToString::to_string),
            reissue: ReissueStatus::new(own, now),
            reissue_since: own.reissue_since.map(|since| when(since, now)),
            barred,
            rolled_back: own.rolled_back_from.is_some(),
            rolled_back_by_probe: own.probed.as_ref().is_some_and(|probed| probed.rollback.is_some()),
            next_in: due.map(|time| (time.0 - now.time.0) / 1000),
        }
    }
}

impl CertificateStatus {
    fn new(installed: &Generation, now: Now) -> Self {
        let left = installed.not_after - now.unix();
        CertificateStatus {
            serial: installed.serial.to_string(),
            fingerprint: installed.fingerprint.to_string(),
            not_before: rfc3339(installed.not_before),
            not_after: rfc3339(installed.not_after),
            days_left: left.div_euclid(24 * 3600),
            names: installed.names.iter().map(ToString::to_string).collect(),
            generation: installed.name.to_string(),
            installed_at: rfc3339(installed.at),
            at: installed.at,
            life: installed.life(),
            left,
        }
    }

    /// `40 days left`, `ended 3 days ago`.
    fn left(&self) -> String {
        let span = in_words(Duration::from_secs(self.left.unsigned_abs()));
        if self.left > 0 { format!("{span} left") } else { format!("ended {span} ago") }
    }
}

impl HookStatus {
    fn new(debt: &Debt, now: Now) -> Self {
        HookStatus {
            hook: debt.hook.to_string(),
            event: debt.event.as_str(),
            state: match (debt.next, &debt.outcome) {
                (None, _) => HookState::Done,
                (Some(_), None) => HookState::Owed,
                (Some(_), Some(_)) => HookState::Failing,
            },
            tries: debt.tries,
            next_try: debt.next.map(|time| when(time, now)),
            last: debt.outcome.as_ref().map(ToString::to_string),
        }
    }

    /// `2 tries`.
    fn tried(&self) -> String {
        if self.tries == 1 { "1 try".to_owned() } else { format!("{} tries", self.tries) }
    }
}

impl AccountStatus {
    fn new(account: &Account, record: &AccountRecord, replacements: Vec<String>, now: Now) -> Self {
        let closed = record.closed.as_ref();
        let paused = record.paused_until.filter(|until| *until > now.time);
        let lacks_password = closed.is_none() && record.lacks_password();
        let announced = record.announced.as_deref().filter(|announced| announced.is_shown(now.unix()));
        let (state, when, reason, advice) = match (closed, paused) {
            (Some(closed), _) => (
                AccountState::Closed,
                Some(rfc3339(closed.since)),
                Some(closed.describe()),
                Some(account.when_refused()),
            ),
            (None, Some(until)) => (
                AccountState::Paused,
                Some(when(until, now)),
                record.paused_why.as_ref().map(ToString::to_string),
                Some(format!("`certcollectd resume --account {}` ends that", account.name)),
            ),
            (None, None) => (AccountState::Open, None, None, None),
        };
        AccountStatus {
            name: account.name.to_string(),
            state,
            when,
            reason,
            advice: if lacks_password { Some(account.password_remedy()) } else { advice },
            findings: finding::of_account(account, record, !replacements.is_empty(), now),
            cause: record.paused_for.filter(|_| state == AccountState::Paused).map(Cause::as_str),
            unanswered: record.unheard.as_ref().map_or(0, |unheard| unheard.calls),
            calls: record.calls,
            replacements,
            revocation_announced: announced.map(Announcement::new),
            answered: record.answered,
            paused_for: paused.map(|until| (until.0 - now.time.0) / 1000),
            lacks_password,
        }
    }

    /// `account main is paused until …: …`, if it is not open.
    fn standing(&self) -> Option<String> {
        let word = match self.state {
            AccountState::Open => return None,
            AccountState::Closed => "since",
            AccountState::Paused => "until",
        };
        let (when, reason) = (self.when.as_deref()?, self.reason.as_deref().unwrap_or("-"));
        Some(format!("account {} is {} {word} {when}: {reason}", self.name, self.state))
    }
}
