//! What will happen when, for the orders that are configured, and what a person must do by which day: from lifetimes,
//! product terms, windows, and the limits that public certificates are issued under. Pure: the time comes in.
//!
//! A forecast supposes that each certificate is re-issued on the day on which it nears its end, for as long as the one
//! before, as far as the limits of that day allow.

use std::collections::HashMap;
use std::time::Duration;

use crate::api::Product;
use crate::config::{Config, Order, count};
use crate::engine::calendar::{Calendar, Opening};
use crate::engine::loaded::Loaded;
use crate::engine::order::lifetime::{TERM_WARNING, limits, near};
use crate::engine::order::phase::Phase;
use crate::engine::order::record::OrderRecord;
use crate::engine::order::window::margin_begins;
use crate::engine::reissue::record::{Reissue, Stage};
use crate::engine::schedule;
use crate::engine::time::{Now, day, rfc3339};

const DAY: i64 = 24 * 3600;
/// How far it looks, in days.
pub const REACH: i64 = 400;
/// Certificates of one order; more live too short to be told one by one.
const MOST: usize = 200;
/// Warnings; more are counted.
const WARNINGS: usize = 20;

words! {
    /// Who acts.
    pub enum Who {
        /// The operator, or who else manages the order at the vendor.
        You = "you",
        Vendor = "vendor",
        /// The collectors of its fleet.
        Fleet = "fleet",
        /// It happens by itself.
        Daemon = "certcollectd",
    }
}

words! {
    /// What kind of event it is.
    pub enum EventKind {
        /// An order that does not go on by itself.
        Stopped = "stopped",
        /// A certificate that is pending at the vendor.
        Pending = "pending",
        Reissue = "reissue",
        Validate = "validate",
        Collected = "collected",
        Installed = "installed",
        Renew = "renew",
        TermEnds = "term-ends",
        Expires = "expires",
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// UNIX seconds; for what somebody must do, by when.
    pub at: i64,
    pub kind: EventKind,
    pub who: Who,
    /// In words, behind the name of the order.
    pub what: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderForecast {
    pub name: String,
    /// By their time.
    pub events: Vec<Event>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountForecast {
    pub name: String,
    /// Polls that come due on a usual day.
    pub calls_per_day: u64,
    /// Polls that `call_gap` leaves room for; nothing where it is zero.
    pub possible_per_day: Option<u64>,
    /// The day on which most come due, UNIX seconds of its beginning, and how many those are.
    pub busiest: (i64, u64),
}

/// The days from `from` until `until`, in UNIX seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forecast {
    pub from: i64,
    pub until: i64,
    /// As the configuration has them.
    pub orders: Vec<OrderForecast>,
    pub accounts: Vec<AccountForecast>,
    pub warnings: Vec<String>,
}

/// What a re-issue that was asked for here wants of a person.
fn wants_person(reissue: &Reissue) -> Option<(EventKind, &'static str)> {
    match reissue.stage {
        Stage::Preparing if !reissue.proven => {
            Some((EventKind::Validate, "publish the proof of control that its re-issue waits for"))
        }
        Stage::Unclear => Some((EventKind::Reissue, "find out whether its re-issue was made")),
        Stage::Refused => Some((EventKind::Reissue, "mend what the vendor refused its re-issue for")),
        Stage::Preparing | Stage::Intended | Stage::Open | Stage::Closed => None,
    }
}

/// Who is at the next re-issue, if somebody is.
fn at_work(record: &OrderRecord) -> Option<Who> {
    if record.reissue_since.is_some() {
        return Some(Who::Vendor);
    }
    match record.reissue.as_deref()?.stage {
        Stage::Preparing => Some(Who::Daemon),
        // It may have been made: nobody should ask once more.
        Stage::Intended | Stage::Unclear | Stage::Open => Some(Who::Vendor),
        Stage::Refused | Stage::Closed => None,
    }
}

/// What the state and the configuration lead to.
pub fn forecast(config: &Config, loaded: &Loaded, now: Now) -> Forecast {
    let (from, until) = (now.unix(), now.unix() + REACH * DAY);
    let mut loads: HashMap<&str, Load> = HashMap::new();
    let mut warnings = Warnings::default();
    let mut orders = Vec::with_capacity(config.orders.len());
    for order in &config.orders {
        let record = loaded.orders.get(&order.name).map(|known| &known.record);
        let record = record.filter(|record| *record.handle == *order.handle.identity());
        let load = loads.entry(&order.account).or_default();
        load.usual += polls_per_day(order, record);
        let mut course =
            Course { config, order, from, until, events: Vec::new(), load, warnings: &mut warnings };
        course.run(record);
        let mut events = course.events;
        events.retain(|event| event.at <= until);
        events.sort_by_key(|event| event.at);
        orders.push(OrderForecast { name: order.name.to_string(), events });
    }
    let gap = config.calls.call_gap;
    // A follower calls nobody.
    let accounts = config.accounts.iter().filter(|_| !config.follows()).map(|account| {
        let load = loads.remove(&*account.name).unwrap_or_default();
        load.account(&account.name, gap, from, &mut warnings)
    });
    let accounts = accounts.collect();
    Forecast { from, until, orders, accounts, warnings: warnings.told() }
}

/// How often an order is polled on a usual day.
fn polls_per_day(order: &Order, record: Option<&OrderRecord>) -> f64 {
    let cadence = &order.settings.cadence;
    let every = match record {
        Some(record) if record.phase.is_stopped() => None,
        Some(record) if record.installed.is_some() || record.is_held() => schedule::guarded(cadence, false),
        Some(_) | None => Some(cadence.interval),
    };
    every.map_or(0.0, per_day)
}

fn per_day(every: Duration) -> f64 {
    DAY as f64 / every.as_secs_f64()
}

/// One order's way through the days.
struct Course<'a> {
    config: &'a Config,
    order: &'a Order,
    from: i64,
    until: i64,
    events: Vec<Event>,
    load: &'a mut Load,
    warnings: &'a mut Warnings,
}

impl Course<'_> {
    fn run(&mut self, record: Option<&OrderRecord>) {
        let name = &*self.order.name;
        let stopped = record.filter(|record| record.phase.needs_person());
        if let Some(record) = stopped {
            let what = format!("{}: `certcollectd explain {name}`", record.phase.predicate());
            self.add(self.from, EventKind::Stopped, Who::You, what);
        }
        let installed = record.and_then(|record| record.installed.as_deref());
        let held = record.and_then(|record| record.held.as_ref().filter(|_| record.is_held()));
        if let Some(held) = held {
            self.install(self.from, installed.map(|installed| installed.not_after), held.not_after);
        }
        let current = match (held, installed) {
            // When it was issued is not remembered; it was found soon after.
            (Some(held), _) => (held.since, held.not_after),
            (None, Some(installed)) => (installed.not_before, installed.not_after),
            (None, None) => {
                let source = if self.config.follows() { Who::Fleet } else { Who::Vendor };
                let (who, what) = match record.map(|record| record.phase) {
                    Some(Phase::Collected | Phase::Deploying) => (Who::Daemon, "is about to be installed"),
                    Some(_) | None => (source, "waits for its first certificate"),
                };
                let who = if stopped.is_some() { Who::You } else { who };
                return self.add(self.from, EventKind::Pending, who, what.into());
            }
        };
        let term = record.and_then(|record| record.heard.as_ref()?.details.term_end);
        if let Some(term) = term {
            self.end_of_term(term);
        }
        let reissue = record.and_then(|record| record.reissue.as_deref());
        if let Some((kind, what)) = reissue.and_then(wants_person) {
            self.add(self.from, kind, Who::You, what.to_owned());
        }
        let pending = record.and_then(at_work);
        self.renewals(current, term.unwrap_or(i64::MAX), stopped.is_some(), pending);
    }

    fn end_of_term(&mut self, term: i64) {
        let end = rfc3339(term);
        if term > self.from {
            let what =
                format!("renew the subscription, or place a new order: the subscription ends {}", day(&end));
            self.add((term - TERM_WARNING).max(self.from), EventKind::Renew, Who::You, what);
            let what = "the subscription ends; no re-issue outlasts it".to_owned();
            self.add(term, EventKind::TermEnds, Who::Vendor, what);
        } else {
            let what = format!("place a new order: the subscription ended {}", day(&end));
            self.add(self.from, EventKind::Renew, Who::You, what);
        }
    }

    /// One re-issue after the other, until the term ends or a person is needed; `pending`: who is at the first one.
    fn renewals(
        &mut self,
        (mut begins, mut ends): (i64, i64),
        term: i64,
        is_stopped: bool,
        pending: Option<Who>,
    ) {
        let mut validated = begins;
        for which in 0..MOST {
            let life = ends - begins;
            let due = (ends - near(life)).max(self.from);
            if due > self.until {
                return;
            }
            let (longest, reuse) = match self.order.settings.product {
                Product::Ssl => limits(due),
                // Their limits are others; as long as before.
                Product::Mark | Product::Smime => (i64::MAX, i64::MAX),
            };
            let next = due.saturating_add(life.min(longest)).min(term);
            if is_stopped || next <= ends {
                let verb = if ends > self.from { "expires" } else { "has expired" };
                let what = format!("its certificate {verb}; no newer one is in sight");
                return self.add(ends.max(self.from), EventKind::Expires, Who::You, what);
            }
            let end = rfc3339(ends);
            let (who, what) = match pending.filter(|_| which == 0) {
                Some(who) => (who, format!("its pending re-issue is needed: it ends {}", day(&end))),
                None => (Who::You, format!("have it re-issued at the vendor: it ends {}", day(&end))),
            };
            self.add(due, EventKind::Reissue, who, what);
            if due - validated > reuse {
                let what = format!("validate its domains anew: a validation counts for {} days", reuse / DAY);
                self.add(due, EventKind::Validate, Who::You, what);
                validated = due;
            }
            self.collect(due, ends, next);
            (begins, ends) = (due, next);
        }
    }

    fn collect(&mut self, issued: i64, ends: i64, next_ends: i64) {
        if self.config.follows() {
            self.add(issued, EventKind::Collected, Who::Fleet, "is published".into());
            return self.install(issued, Some(ends), next_ends);
        }
        let cadence = &self.order.settings.cadence;
        let Some(every) = schedule::guarded(cadence, true) else {
            let what = format!("its guard is off: `certcollectd poll {}`", self.order.name);
            self.add(issued, EventKind::Collected, Who::You, what);
            return self.install(issued, Some(ends), next_ends);
        };
        self.load.add(issued, per_day(every));
        let collected = issued + i64::try_from(every.as_secs()).unwrap_or(DAY);
        self.add(collected, EventKind::Collected, Who::Daemon, "is collected".into());
        self.install(collected, Some(ends), next_ends);
    }

    /// Collected at `from`; the one before, if there is one, ends at `ends`.
    fn install(&mut self, from: i64, ends: Option<i64>, next_ends: i64) {
        let opening = Calendar::of(self.config, self.order).opening(from);
        let margin = self.order.settings.window_margin;
        let forced = ends.map(|ends| margin_begins(ends, margin).max(from));
        let until = rfc3339(next_ends);
        let until = day(&until);
        let (at, how) = match (opening, forced) {
            (Opening::Open, _) => (from, String::new()),
            (Opening::Opens(at, window), forced) if forced.is_none_or(|forced| at <= forced) => (
                at,
                window.map_or_else(
                    || " after the freeze".into(),
                    |window| format!(" in window {}", window.name),
                ),
            ),
            (Opening::Opens(..) | Opening::Never, Some(forced)) => {
                let end = rfc3339(forced);
                self.warnings.add(format!(
                    "{}: no window opens in time for its next certificate; it is installed outside them on {}",
                    self.order.name,
                    day(&end)
                ));
                (forced, " by its window_margin".into())
            }
            (Opening::Opens(..) | Opening::Never, None) => {
                let text =
                    format!("{}: no window opens within a year for its first certificate", self.order.name);
                return self.warnings.add(text);
            }
        };
        let what = format!("is installed{how}, until {until}");
        self.add(at, EventKind::Installed, Who::Daemon, what);
    }

    fn add(&mut self, at: i64, kind: EventKind, who: Who, what: String) {
        self.events.push(Event { at, kind, who, what });
    }
}

/// Polls of one account.
#[derive(Debug, Default)]
struct Load {
    /// On each day.
    usual: f64,
    /// Besides, by the number of the day since 1970.
    more: HashMap<i64, f64>,
}

impl Load {
    fn add(&mut self, at: i64, calls: f64) {
        *self.more.entry(at.div_euclid(DAY)).or_default() += calls;
    }

    fn on(&self, day: i64) -> u64 {
        (self.usual + self.more.get(&day).copied().unwrap_or_default()).ceil() as u64
    }

    fn account(&self, name: &str, gap: Duration, from: i64, warnings: &mut Warnings) -> AccountForecast {
        let possible = (!gap.is_zero()).then(|| per_day(gap) as u64);
        let today = from.div_euclid(DAY);
        let end = today + REACH;
        let busiest = (today..end).rev().max_by_key(|day| self.on(*day)).unwrap_or_default();
        let is_full = |day: i64| possible.is_some_and(|possible| self.on(day) > possible);
        let mut next = today;
        while let Some(first) = (next..end).find(|day| is_full(*day)) {
            let last = (first..end).take_while(|day| is_full(*day)).last().unwrap_or(first);
            let most = (first..=last).map(|day| self.on(day)).max().unwrap_or_default();
            let [begin, until] = [first, last].map(|number| rfc3339(number * DAY));
            let when = if first == last {
                format!("on {}", day(&begin))
            } else {
                format!("from {} to {}", day(&begin), day(&until))
            };
            warnings.add(format!(
                "account {name}: {when} up to {} are due in a day, and call_gap leaves room for {}; lengthen \
                 guard_interval, or spread the re-issues over more days",
                count(most, "call"),
                possible.unwrap_or_default()
            ));
            next = last + 1;
        }
        AccountForecast {
            name: name.to_owned(),
            calls_per_day: self.usual.ceil() as u64,
            possible_per_day: possible,
            busiest: (busiest * DAY, self.on(busiest)),
        }
    }
}

#[derive(Debug, Default)]
struct Warnings {
    texts: Vec<String>,
    left_out: usize,
}

impl Warnings {
    fn add(&mut self, text: String) {
        if self.texts.len() < WARNINGS { self.texts.push(text) } else { self.left_out += 1 }
    }

    fn told(mut self) -> Vec<String> {
        if self.left_out > 0 {
            self.texts.push(format!("and {}", count(self.left_out, "more warning")));
        }
        self.texts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_change_on_their_days() {
        let at = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_second();
        for (from, life, reuse) in [
            ("2026-03-14T23:59:59Z", 398, 398),
            ("2026-03-15T00:00:00Z", 200, 200),
            ("2027-03-14T23:59:59Z", 200, 200),
            ("2027-03-15T00:00:00Z", 100, 100),
            ("2029-03-14T23:59:59Z", 100, 100),
            ("2029-03-15T00:00:00Z", 47, 10),
        ] {
            assert_eq!(limits(at(from)), (life * DAY, reuse * DAY), "{from}");
        }
    }
}
