//! How every order and account stands, for people and for machines.
//!
//! Built from the configuration and the state file, so it is right while the daemon is down.

mod absent;
mod explain;
mod exposition;
mod metrics;
mod missing;
mod nagios;
mod page;
mod table;
mod words;

use serde::Serialize;

use certcollectd_core::api::Untrusted;
use certcollectd_core::cert;
use certcollectd_core::config::{Account, Config, Order, Severity};
use certcollectd_core::engine::Loaded;
use certcollectd_core::engine::TERM_WARNING;
use certcollectd_core::engine::account::pause::Cause;
use certcollectd_core::engine::account::replacement::{self, Replacement};
use certcollectd_core::engine::account::{AccountRecord, Closed};
use certcollectd_core::engine::order::names;
use certcollectd_core::engine::order::{self, Debt, Generation, Mood, OrderRecord, Phase};
use certcollectd_core::engine::push::Announced;
use certcollectd_core::engine::time::{Now, Time, day, rfc3339};
use certcollectd_core::engine::vitals::Vitals;

pub use absent::Absent;
pub use explain::{Explanation, HistoryEntry};
pub use exposition::Exposition;
pub use missing::{Missing, missing};
pub use nagios::{Verdict, verdict};
pub use words::{AccountState, HookState};

/// Everything that `status --json` shows.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// When this was put together, RFC 3339.
    pub at: String,
    /// One entry for each configured order, in the order of the configuration.
    pub orders: Vec<OrderStatus>,
    /// One entry for each configured account.
    pub accounts: Vec<AccountStatus>,
    /// What does not work on this machine and is retried automatically; known while a daemon runs.
    pub findings: Vec<String>,
    #[serde(skip)]
    vitals: Option<Vitals>,
    /// Orders that hold an installed certificate and are configured no more, by name.
    pub absent: Vec<Absent>,
    /// The daemon's files are not in their place: what it says. What is shown is then not what it knows.
    pub state_lost: Option<String>,
    #[serde(skip)]
    unix: i64,
}

#[derive(Debug, Clone, Serialize)]
pub struct OrderStatus {
    pub name: String,
    pub account: String,
    /// `ssl`, `mark` or `smime`.
    pub product: &'static str,
    /// The number it is known by at the vendor.
    pub order_number: String,
    /// The phase; `waiting` for one that the daemon has not seen yet.
    pub phase: Phase,
    /// Since when, RFC 3339.
    pub since: Option<String>,
    pub reason: Option<String>,
    /// The name that the vendor has for it.
    pub fqdn: Option<String>,
    /// The same, where it goes with none of the order's domains: the number may be someone else's.
    pub other_name: Option<String>,
    /// Since when another certificate beside the installed one is waited for, RFC 3339.
    pub reissue_since: Option<String>,
    /// Last call about it, RFC 3339.
    pub last_poll: Option<String>,
    /// Next scheduled call about it, RFC 3339; nothing while its account is closed.
    pub next_poll: Option<String>,
    pub polls: u32,
    pub vendor: Option<VendorStatus>,
    pub certificate: Option<CertificateStatus>,
    /// Hooks of the installed generation, owed and done.
    pub hooks: Vec<HookStatus>,
    /// Whether its replacement was made is unknown: what is known, and what the operator must do.
    pub replacement: Option<String>,
    /// Trouble on this machine.
    pub trouble: Option<String>,
    /// How the files differ from what was installed.
    pub drift: Option<String>,
    /// The vendor is said to be about to revoke the certificate; until a newer one is in place.
    pub revocation_announced: Option<Announcement>,
    /// What of the installed files readers do not find, or why that cannot be told.
    pub lost: Option<String>,
    /// Names that a certificate before covered and the installed one does not, until `accept`.
    pub uncovered: Vec<String>,
    /// Whether an older generation is in place at the operator's word, until a newer certificate than the one
    /// rolled back from comes, or `accept`.
    pub rolled_back: bool,
    /// End of the product term, RFC 3339: no re-issue reaches beyond it.
    pub subscription_ends: Option<String>,
    #[serde(skip)]
    term_left: Option<i64>,
    #[serde(skip)]
    needs_person: bool,
    /// It is unknown which certificate in quarantine is the order's.
    #[serde(skip)]
    leafless: bool,
    /// Since when a certificate is waited for, the first one or another one, UNIX seconds.
    #[serde(skip)]
    waits_since: Option<i64>,
    /// What lasts, and since when, UNIX seconds.
    #[serde(skip)]
    mood: Option<(Mood, i64)>,
    /// A poll would be due, but the account is closed.
    #[serde(skip)]
    barred: bool,
    #[serde(skip)]
    next_in: Option<i64>,
}

/// A revocation that a push notification announces.
#[derive(Debug, Clone, Serialize)]
pub struct Announcement {
    /// When that was heard, RFC 3339.
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
    /// What a pause is for: `password`, `connection`, `garbled`, `retry-after`, `call-limit` or `unanswered`.
    pub cause: Option<&'static str>,
    /// Calls in a row without an answer.
    pub unanswered: u32,
    pub calls: u64,
    /// Replacements of orders that are not configured here and whose outcome is unknown: what is known, and
    /// what the operator must do.
    pub replacements: Vec<String>,
    /// The vendor is said to be about to revoke a certificate that is no order's here.
    pub revocation_announced: Option<Announcement>,
    #[serde(skip)]
    lacks_password: bool,
    #[serde(skip)]
    answered: Option<i64>,
    #[serde(skip)]
    rests: bool,
    /// Seconds until a pause ends.
    #[serde(skip)]
    paused_for: Option<i64>,
}

impl Status {
    pub fn new(config: &Config, loaded: &Loaded, now: Now) -> Status {
        Status {
            at: rfc3339(now.unix()),
            orders: config
                .orders
                .iter()
                .map(|order| {
                    let record = loaded.orders.get(&order.name).map(|known| &known.record);
                    OrderStatus::new(order, record, loaded.accounts.get(&order.account), now)
                })
                .collect(),
            accounts: config
                .accounts
                .iter()
                .map(|account| {
                    let record = loaded.accounts.get(&account.name);
                    AccountStatus {
                        replacements: nameless(config, loaded, &account.name),
                        ..AccountStatus::new(account, record, now)
                    }
                })
                .collect(),
            findings: Vec::new(),
            vitals: None,
            absent: absent::absent(config, loaded, now),
            state_lost: None,
            unix: now.unix(),
        }
    }

    /// Adds what a running daemon knows of itself.
    pub fn with(mut self, vitals: &Vitals) -> Status {
        let unsaved = vitals.unsaved().map(|why| format!("{why}; the log and `certcollectd check` say why"));
        self.findings = unsaved.into_iter().chain(vitals.findings.iter().cloned()).collect();
        self.vitals = Some(vitals.clone());
        self
    }

    /// Whether there is an order of this name.
    pub fn has(&self, name: &str) -> bool {
        self.orders.iter().any(|order| order.name == name)
    }

    /// Keeps one order and its account only; `false` if there is none of that name.
    pub fn keep(&mut self, name: &str) -> bool {
        self.orders.retain(|order| order.name == name);
        let orders = &self.orders;
        self.accounts.retain(|account| orders.iter().any(|order| order.account == account.name));
        self.absent.retain(|absent| absent.name == name);
        !self.orders.is_empty()
    }

    /// One sentence about the orders that are installed and configured no more; nothing where there are none.
    pub fn told_absent(&self) -> Option<String> {
        absent::line(&self.absent)
    }

    /// As people read it: a table of all orders.
    pub fn table(&self) -> String {
        table::table(self)
    }

    pub fn metrics(&self, exposition: Exposition) -> String {
        metrics::metrics(self, exposition)
    }

    pub fn page(&self) -> String {
        page::page(self)
    }

    /// As people read it: everything about each order.
    pub fn details(&self) -> String {
        table::details(self)
    }
}

impl OrderStatus {
    /// `no longer covers mail.example.com`, if that was not accepted.
    fn coverage(&self) -> Option<String> {
        let names = cert::listed(self.uncovered.iter().map(String::as_str));
        (!names.is_empty()).then(|| format!("no longer covers {names}"))
    }

    /// `subscription ends 2027-05-02`, if the vendor has told it.
    fn subscription(&self) -> Option<String> {
        let day = day(self.subscription_ends.as_deref()?);
        let verb = if self.term_left? > 0 { "ends" } else { "ended" };
        Some(format!("subscription {verb} {day}"))
    }

    /// `re-issue waits: …`, if one does.
    fn reissue(&self) -> Option<String> {
        self.reissue_since.as_ref()?;
        let said = self.vendor.as_ref().map_or("", |vendor| &vendor.text);
        Some(format!("re-issue waits: {said}"))
    }

    /// `is for … at the vendor`, if that goes with none of its domains.
    fn misfit(&self) -> Option<String> {
        let name = self.other_name.as_ref()?;
        Some(format!("is for {name} at the vendor, which goes with none of its domains"))
    }

    /// Whether it ends so soon that a warning was given.
    fn term_is_near(&self) -> bool {
        self.certificate.is_some() && self.term_left.is_some_and(|left| left <= TERM_WARNING)
    }
}

/// The advice for a replacement that is open.
fn told(replacement: &Replacement, settle: &str) -> String {
    format!("{}; when you know what became of it: `certcollectd resume {settle}`", replacement.told())
}

/// The open replacements of an account whose order has no name here.
fn nameless(config: &Config, loaded: &Loaded, account: &str) -> Vec<String> {
    let record = loaded.accounts.get(account);
    let open = record.into_iter().flat_map(|record| replacement::open(&record.replacements));
    let is_named = |known: &Replacement| {
        config.orders.iter().any(|order| {
            let record = loaded.orders.get(&order.name).map(|known| &known.record);
            *order.account == *account && order::number(order, record) == Some(&*known.number)
        })
    };
    let settle = format!("--account {account}");
    open.filter(|known| !is_named(known)).map(|known| told(known, &settle)).collect()
}

fn replacement_of(order: &Order, record: Option<&OrderRecord>, account: &AccountRecord) -> Option<String> {
    let number = order::number(order, record)?;
    let found = replacement::open(&account.replacements).find(|known| *known.number == *number)?;
    Some(told(found, &order.name))
}

fn fqdn(record: &OrderRecord) -> Option<&Untrusted> {
    record.heard.as_ref()?.details.fqdn.as_ref()
}

fn when(time: Time, now: Now) -> String {
    rfc3339(now.wall_of(time).div_euclid(1000))
}

impl OrderStatus {
    fn new(order: &Order, record: Option<&OrderRecord>, account: Option<&AccountRecord>, now: Now) -> Self {
        let handle = order.handle.identity();
        // A record of another number under the same name tells nothing about this order but what is installed.
        let same = record.filter(|record| *record.handle == *handle);
        let due = same.and_then(|record| record.wanted(now));
        let barred = due.is_some() && account.is_some_and(|account| account.not_before(Time::MIN).is_none());
        let due = due.and_then(|due| account.map_or(Some(due), |account| account.not_before(due)));
        let term_end = same.and_then(|record| record.heard.as_ref()).and_then(|heard| heard.details.term_end);
        OrderStatus {
            name: order.name.to_string(),
            account: order.account.to_string(),
            product: order.settings.product.as_str(),
            order_number: order.handle.text().to_owned(),
            phase: same.map_or(Phase::Waiting, |record| record.phase),
            since: same.map(|record| rfc3339(record.since)),
            reason: same.and_then(|record| record.reason.as_ref()).map(ToString::to_string),
            // While a call is under way, and after one without an answer, the record says when it has arrived at the latest.
            last_poll: same.and_then(|record| record.polled).map(|time| when(time.min(now.time), now)),
            next_poll: due.map(|time| when(time, now)),
            polls: same.map_or(0, |record| record.polls),
            vendor: same.and_then(|record| record.heard.as_ref()).map(|heard| VendorStatus {
                at: rfc3339(heard.at),
                code: heard.code,
                text: heard.text.to_string(),
            }),
            certificate: record
                .and_then(|record| record.installed.as_ref())
                .map(|installed| CertificateStatus::new(installed, now)),
            hooks: record
                .map(|record| record.debts.iter().map(|debt| HookStatus::new(debt, now)).collect())
                .unwrap_or_default(),
            replacement: account.and_then(|account| replacement_of(order, same, account)),
            trouble: same.and_then(|record| record.trouble.as_ref()).map(|trouble| trouble.text.to_string()),
            drift: same.and_then(|record| record.drift.as_ref()).map(ToString::to_string),
            revocation_announced: record.and_then(OrderRecord::revocation).map(Announcement::new),
            lost: record.and_then(|record| record.lost.as_ref()).map(ToString::to_string),
            uncovered: record
                .filter(|_| order.settings.verify.coverage != Severity::Off)
                .map(|record| record.uncovered.iter().map(ToString::to_string).collect())
                .unwrap_or_default(),
            subscription_ends: term_end.map(rfc3339),
            term_left: term_end.map(|end| end.saturating_sub(now.unix())),
            needs_person: same.is_some_and(|record| record.phase.needs_person()),
            leafless: same.is_some_and(|record| record.leafless),
            waits_since: match same {
                Some(record) => record.waits_since().map(|since| now.wall_of(since).div_euclid(1000)),
                None => None,
            },
            mood: same.and_then(|record| record.heard.as_ref()).map(|heard| heard.mood()),
            fqdn: same.and_then(fqdn).map(ToString::to_string),
            other_name: same
                .filter(|record| record.waits_since().is_some())
                .and_then(|record| names::misfit(order, record))
                .map(ToString::to_string),
            reissue_since: same.and_then(|record| record.reissue).map(|since| when(since, now)),
            barred,
            rolled_back: same.is_some_and(|record| record.refused.is_some()),
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
}

impl AccountStatus {
    fn new(account: &Account, record: Option<&AccountRecord>, now: Now) -> Self {
        let closed = record.and_then(|record| record.closed.as_ref());
        let paused = record.and_then(|record| record.paused_until).filter(|until| *until > now.time);
        let why = record.and_then(|record| record.paused_why.as_ref());
        let lacks_password = closed.is_none() && record.is_some_and(AccountRecord::lacks_password);
        AccountStatus {
            name: account.name.to_string(),
            state: match (closed, paused) {
                (Some(_), _) => AccountState::Closed,
                (None, Some(_)) => AccountState::Paused,
                (None, None) => AccountState::Open,
            },
            when: closed.map(|closed| rfc3339(closed.since)).or_else(|| paused.map(|until| when(until, now))),
            reason: closed.map(Closed::describe).or_else(|| paused.and(why).map(ToString::to_string)),
            advice: match (closed, paused) {
                (Some(_), _) => Some(account.when_refused()),
                _ if lacks_password => Some(account.password.remedy()),
                (None, Some(_)) => {
                    Some(format!("`certcollectd resume --account {}` ends that", account.name))
                }
                (None, None) => None,
            },
            cause: record
                .filter(|_| closed.is_none() && paused.is_some())
                .and_then(|record| record.paused_for)
                .map(Cause::as_str),
            unanswered: record.and_then(|record| record.unheard.as_ref()).map_or(0, |unheard| unheard.calls),
            calls: record.map_or(0, |record| record.calls),
            replacements: Vec::new(),
            revocation_announced: record
                .and_then(|record| record.announced.as_deref())
                .filter(|announced| announced.is_shown(now.unix()))
                .map(Announcement::new),
            answered: record.and_then(|record| record.answered),
            rests: closed.is_none() && record.is_some_and(|record| record.rests(now.time)),
            paused_for: paused.map(|until| (until.0 - now.time.0) / 1000),
            lacks_password,
        }
    }
}
