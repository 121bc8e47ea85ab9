//! What came in: every call, the number of connections, calls in flight, gaps, refused logins.
//!
//! Times are real ones, not the sandbox's own. The password is never kept, only whether it was right.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

use super::clock::Time;
use super::orders::Taken;

/// Calls that are remembered one by one; older ones are only counted.
const CALLS_KEPT: usize = 10_000;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Call {
    /// Counts from 1 since the last reset; [`Record`] gives it.
    pub number: u64,
    /// When it had come in, milliseconds since 1970.
    pub at: Time,
    /// Vendor's name of the endpoint; the path where it is none.
    pub endpoint: String,
    pub method: String,
    /// Connection it came on, counted from 1.
    pub connection: u64,
    /// `loginName` as sent.
    pub account: Option<String>,
    /// Whether the password was the account's; `None` where name or password is missing.
    pub password_right: Option<bool>,
    /// The order it was about, if there is one.
    pub order: Option<String>,
    /// Names of the parameters as sent, in that order.
    pub parameters: Vec<String>,
    /// With AutoReplaceSSL, where the order book took it: what was sent, without the login.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, String>,
    /// Whether the URL had a query, where secrets have no business.
    pub query: bool,
    /// Vendor's code of the answer; `None` where the answer had none.
    pub code: Option<i32>,
    /// HTTP status of the answer.
    pub status: u16,
    /// Names of the faults that were applied.
    pub faults: Vec<String>,
    /// Calls that were in flight when it came in, this one included.
    pub in_flight: u32,
    /// Whether the answer has been handed over, or the client has left.
    pub ended: bool,
}

/// Calls in flight and the gaps between calls, for one account or one order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    pub calls: u64,
    pub in_flight: u32,
    pub max_in_flight: u32,
    /// Smallest time from the start of one call to the start of the next, in milliseconds.
    pub smallest_gap_ms: Option<u64>,
    /// Smallest time from the end of one call to the start of the next, in milliseconds; 0 where they
    /// overlapped.
    pub smallest_pause_ms: Option<u64>,
    pub logins_refused: u64,
    #[serde(skip)]
    last_start: Option<Time>,
    #[serde(skip)]
    last_end: Option<Time>,
}

/// What AutoReplaceSSL came to for one order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Reissues {
    /// Calls that made an issued order ask for another certificate, whatever became of their answers.
    pub accepted: u64,
    /// Calls that were answered below zero and changed nothing.
    pub refused: u64,
    /// Calls that changed an order in flight.
    pub edits: u64,
    /// Calls whose request token had been used before.
    pub reused_tokens: u64,
}

/// Sums over all calls since the last reset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// TCP connections to the API.
    pub connections: u64,
    /// Those of them whose TLS handshake failed.
    pub tls_failures: u64,
    pub all: Tally,
    pub endpoints: BTreeMap<String, u64>,
    /// By login name as sent.
    pub accounts: BTreeMap<String, Tally>,
    /// Calls that collect, by order number: the vendor's floor is about these.
    pub orders: BTreeMap<String, Tally>,
    /// AutoReplaceSSL, by the number of the order that it changed or was about.
    pub reissues: BTreeMap<String, Reissues>,
}

#[derive(Debug, Default)]
pub struct Record {
    calls: VecDeque<Call>,
    counters: Counters,
    /// Changes with each reset, so that a call that began before is not counted after.
    era: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ticket {
    number: u64,
    era: u64,
    account: Option<String>,
    order: Option<String>,
}

impl Record {
    /// Notes a TCP connection and gives it its number.
    pub(super) fn connected(&mut self) -> u64 {
        self.counters.connections += 1;
        self.counters.connections
    }

    pub(super) fn tls_failed(&mut self) {
        self.counters.tls_failures += 1;
    }

    /// Takes a call in. `collects` says whether it counts as a poll of its order.
    pub(super) fn arrived(&mut self, call: Call, collects: bool) -> Ticket {
        let counters = &mut self.counters;
        counters.all.start(call.at);
        *counters.endpoints.entry(call.endpoint.clone()).or_default() += 1;
        let account = call.account.clone();
        if let Some(account) = &account {
            counters.accounts.entry(account.clone()).or_default().start(call.at);
        }
        let order = call.order.clone().filter(|_| collects);
        if let Some(order) = &order {
            counters.orders.entry(order.clone()).or_default().start(call.at);
        }
        if self.calls.len() == CALLS_KEPT {
            self.calls.pop_front();
        }
        let Tally { calls: number, in_flight, .. } = counters.all;
        self.calls.push_back(Call { number, in_flight, ..call });
        Ticket { number, era: self.era, account, order }
    }

    pub(super) fn answered(&mut self, ticket: &Ticket, code: Option<i32>, status: u16, faults: Vec<String>) {
        if let Some(call) = self.call_mut(ticket) {
            (call.code, call.status, call.faults) = (code, status, faults);
        }
    }

    /// A call of AutoReplaceSSL was taken.
    pub(super) fn reissued(&mut self, ticket: &Ticket, taken: &Taken, fields: BTreeMap<String, String>) {
        let order = self.reissues(&taken.number);
        if taken.edit {
            order.edits += 1;
        } else {
            order.accepted += 1;
        }
        order.reused_tokens += u64::from(taken.reused);
        if let Some(call) = self.call_mut(ticket) {
            call.fields = fields;
        }
    }

    /// The counters of one order's re-issues.
    pub(super) fn reissues(&mut self, order: &str) -> &mut Reissues {
        self.counters.reissues.entry(order.into()).or_default()
    }

    pub(super) fn login_refused(&mut self, ticket: &Ticket) {
        let Counters { all, accounts, .. } = &mut self.counters;
        all.logins_refused += 1;
        if let Some(account) = ticket.account.as_ref().and_then(|account| accounts.get_mut(account)) {
            account.logins_refused += 1;
        }
    }

    pub(super) fn ended(&mut self, ticket: &Ticket, at: Time) {
        if ticket.era != self.era {
            return;
        }
        let Counters { all, accounts, orders, .. } = &mut self.counters;
        let account = ticket.account.as_ref().and_then(|account| accounts.get_mut(account));
        let order = ticket.order.as_ref().and_then(|order| orders.get_mut(order));
        for tally in [Some(all), account, order].into_iter().flatten() {
            tally.end(at);
        }
        if let Some(call) = self.call_mut(ticket) {
            call.ended = true;
        }
    }

    /// The calls after the one with this number, oldest first; the oldest may be forgotten.
    pub fn calls(&self, after: u64) -> impl Iterator<Item = &Call> {
        self.calls.iter().filter(move |call| call.number > after)
    }

    pub fn counters(&self) -> Counters {
        self.counters.clone()
    }

    /// Forgets everything. Calls in flight are not counted when they end.
    pub fn reset(&mut self) {
        *self = Record { era: self.era + 1, ..Record::default() };
    }

    fn call_mut(&mut self, ticket: &Ticket) -> Option<&mut Call> {
        if ticket.era != self.era {
            return None;
        }
        let first = self.calls.front()?.number;
        self.calls.get_mut(usize::try_from(ticket.number.checked_sub(first)?).ok()?)
    }
}

impl Tally {
    fn start(&mut self, at: Time) {
        let smaller = |old: Option<u64>, new: u64| Some(old.map_or(new, |old| old.min(new)));
        if let Some(last) = self.last_start {
            self.smallest_gap_ms = smaller(self.smallest_gap_ms, at.since(last));
            let pause = match self.last_end {
                Some(end) if self.in_flight == 0 => at.since(end),
                Some(_) | None => 0,
            };
            self.smallest_pause_ms = smaller(self.smallest_pause_ms, pause);
        }
        self.last_start = Some(at);
        self.calls += 1;
        self.in_flight += 1;
        self.max_in_flight = self.max_in_flight.max(self.in_flight);
    }

    fn end(&mut self, at: Time) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.last_end = Some(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrive(record: &mut Record, at: i64, account: &str, order: &str) -> Ticket {
        let call = Call {
            at: Time { unix_ms: at },
            endpoint: "CollectSSL".into(),
            account: Some(account.into()),
            order: Some(order.into()),
            ..Call::default()
        };
        record.arrived(call, true)
    }

    #[test]
    fn gaps_and_calls_in_flight_are_counted_apart() {
        let mut record = Record::default();
        let at = |unix_ms| Time { unix_ms };
        let one = arrive(&mut record, 0, "a", "1");
        let two = arrive(&mut record, 100, "b", "2");
        record.ended(&one, at(150));
        record.ended(&two, at(200));
        let three = arrive(&mut record, 1_000, "a", "1");
        record.ended(&three, at(1_001));
        let counters = record.counters();
        assert_eq!((counters.all.max_in_flight, counters.all.in_flight), (2, 0));
        assert_eq!((counters.all.smallest_gap_ms, counters.all.smallest_pause_ms), (Some(100), Some(0)));
        let account = &counters.accounts["a"];
        assert_eq!((account.calls, account.max_in_flight), (2, 1));
        assert_eq!((account.smallest_gap_ms, account.smallest_pause_ms), (Some(1_000), Some(850)));
        assert_eq!(counters.orders["2"].smallest_gap_ms, None);
        assert_eq!(counters.endpoints["CollectSSL"], 3);
    }

    #[test]
    fn a_reset_forgets_calls_in_flight() {
        let mut record = Record::default();
        let before = arrive(&mut record, 0, "a", "1");
        record.reset();
        let after = arrive(&mut record, 10, "a", "1");
        record.ended(&before, Time { unix_ms: 20 });
        assert_eq!(record.counters().all.in_flight, 1);
        record.answered(&after, Some(0), 200, vec!["delay".into()]);
        let call = record.calls(0).next().unwrap();
        assert_eq!((call.number, call.code, call.ended), (1, Some(0), false));
    }

    #[test]
    fn only_so_many_calls_are_kept() {
        let mut record = Record::default();
        for at in 0..CALLS_KEPT as i64 + 5 {
            let ticket = arrive(&mut record, at, "a", "1");
            record.answered(&ticket, Some(0), 200, Vec::new());
        }
        assert_eq!(record.calls(0).count(), CALLS_KEPT);
        assert_eq!(record.calls(CALLS_KEPT as u64).count(), 5);
        assert!(record.calls(0).all(|call| call.code == Some(0)));
    }
}
