//! What came in: every call, the number of connections, calls in flight, gaps, refused logins.
//!
//! Times are real ones, not the sandbox's own. The password is never kept, only whether it was right.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde::Serialize;

use super::clock::Time;
use super::params::Endpoint;

/// Calls that are remembered one by one; older ones are only counted.
const CALLS_KEPT: usize = 10_000;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Call {
    /// Counts from 1 since the last reset.
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
}

#[derive(Debug, Default)]
pub struct Record {
    calls: VecDeque<Call>,
    all: Tally,
    connections: u64,
    tls_failures: u64,
    endpoints: BTreeMap<String, u64>,
    accounts: HashMap<String, Tally>,
    orders: HashMap<String, Tally>,
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

/// What is known of a call when it has come in.
#[derive(Debug)]
pub(super) struct Arrival<'a> {
    pub(super) at: Time,
    pub(super) endpoint: Option<Endpoint>,
    pub(super) path: &'a str,
    pub(super) method: &'a str,
    pub(super) connection: u64,
    pub(super) account: Option<&'a str>,
    pub(super) password_right: Option<bool>,
    pub(super) order: Option<&'a str>,
    pub(super) parameters: Vec<String>,
    pub(super) query: bool,
}

impl Record {
    /// Notes a TCP connection and gives it its number.
    pub(super) fn connected(&mut self) -> u64 {
        self.connections += 1;
        self.connections
    }

    pub(super) fn tls_failed(&mut self) {
        self.tls_failures += 1;
    }

    pub(super) fn arrived(&mut self, arrival: Arrival<'_>) -> Ticket {
        let Arrival { at, account, order, .. } = arrival;
        let polled = order.filter(|_| arrival.endpoint.is_some_and(Endpoint::collects));
        self.all.start(at);
        if let Some(account) = account {
            self.accounts.entry(account.into()).or_default().start(at);
        }
        if let Some(order) = polled {
            self.orders.entry(order.into()).or_default().start(at);
        }
        let endpoint = match arrival.endpoint {
            Some(endpoint) => endpoint.name().to_owned(),
            None => arrival.path.to_owned(),
        };
        *self.endpoints.entry(endpoint.clone()).or_default() += 1;
        if self.calls.len() == CALLS_KEPT {
            self.calls.pop_front();
        }
        let number = self.all.calls;
        self.calls.push_back(Call {
            number,
            at,
            endpoint,
            method: arrival.method.into(),
            connection: arrival.connection,
            account: account.map(Into::into),
            password_right: arrival.password_right,
            order: order.map(Into::into),
            parameters: arrival.parameters,
            query: arrival.query,
            code: None,
            status: 0,
            faults: Vec::new(),
            in_flight: self.all.in_flight,
            ended: false,
        });
        Ticket { number, era: self.era, account: account.map(Into::into), order: polled.map(Into::into) }
    }

    pub(super) fn answered(&mut self, ticket: &Ticket, code: Option<i32>, status: u16, faults: Vec<String>) {
        if let Some(call) = self.call_mut(ticket) {
            (call.code, call.status, call.faults) = (code, status, faults);
        }
    }

    pub(super) fn login_refused(&mut self, ticket: &Ticket) {
        self.all.logins_refused += 1;
        let account = ticket.account.as_ref().and_then(|account| self.accounts.get_mut(account));
        if let Some(account) = account {
            account.logins_refused += 1;
        }
    }

    pub(super) fn ended(&mut self, ticket: &Ticket, at: Time) {
        if ticket.era != self.era {
            return;
        }
        self.all.end(at);
        let account = ticket.account.as_ref().and_then(|account| self.accounts.get_mut(account));
        let order = ticket.order.as_ref().and_then(|order| self.orders.get_mut(order));
        for tally in [account, order].into_iter().flatten() {
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

    /// All sums.
    pub fn counters(&self) -> Counters {
        let sorted = |tallies: &HashMap<String, Tally>| {
            tallies.iter().map(|(name, tally)| (name.clone(), tally.clone())).collect()
        };
        Counters {
            connections: self.connections,
            tls_failures: self.tls_failures,
            all: self.all.clone(),
            endpoints: self.endpoints.clone(),
            accounts: sorted(&self.accounts),
            orders: sorted(&self.orders),
        }
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
        record.arrived(Arrival {
            at: Time { unix_ms: at },
            endpoint: Some(Endpoint::CollectSsl),
            path: "/products/download/CollectSSL",
            method: "POST",
            connection: 1,
            account: Some(account),
            password_right: Some(true),
            order: Some(order),
            parameters: vec!["loginName".into()],
            query: false,
        })
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
