//! What the mock counts.

use std::collections::HashMap;
use std::time::Duration;

use serde::Serialize;

use crate::clock::Moment;

/// One order, as the vendor sees it.
#[derive(Debug, Clone, Copy)]
pub struct Order {
    pub polls: u64,
    pub last: Moment,
    pub largest_gap: Duration,
    /// When the first "2" was sent.
    pub issued: Option<Moment>,
}

#[derive(Debug, Default)]
pub struct Counts {
    pub orders: HashMap<u64, Order>,
    /// When the first poll of all came.
    pub first_poll: Option<Moment>,
    /// From each answer to the next request.
    pub gaps: Vec<Duration>,
    totals: Totals,
    in_flight: u64,
    answered: Option<Moment>,
}

/// The sums, as the control port shows them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Calls of CollectSSL and CollectMC.
    pub polls: u64,
    /// All other calls.
    pub side_calls: u64,
    pub connections: u64,
    /// TLS sessions that were resumed.
    pub resumptions: u64,
    /// The most calls that were in flight at the same time.
    pub max_in_flight: u64,
    pub orders: u64,
    /// Orders whose certificate was sent.
    pub issued: u64,
}

impl Counts {
    /// A poll has arrived; says how often that order was polled, this time included.
    pub fn polled(&mut self, order: u64, now: Moment) -> u64 {
        self.totals.polls += 1;
        self.first_poll.get_or_insert(now);
        let entry = self.orders.entry(order).or_insert(Order {
            polls: 0,
            last: now,
            largest_gap: Duration::ZERO,
            issued: None,
        });
        entry.polls += 1;
        entry.largest_gap = entry.largest_gap.max(now.since(entry.last));
        entry.last = now;
        entry.polls
    }

    /// A certificate is about to be sent.
    pub fn issued(&mut self, order: u64, now: Moment) {
        if let Some(order) = self.orders.get_mut(&order)
            && order.issued.is_none()
        {
            order.issued = Some(now);
            self.totals.issued += 1;
        }
    }

    pub fn side_call(&mut self) {
        self.totals.side_calls += 1;
    }

    pub fn connected(&mut self, resumed: bool) {
        self.totals.connections += 1;
        self.totals.resumptions += u64::from(resumed);
    }

    pub fn begun(&mut self, now: Moment) {
        self.gaps.extend(self.answered.take().map(|answered| now.since(answered)));
        self.in_flight += 1;
        self.totals.max_in_flight = self.totals.max_in_flight.max(self.in_flight);
    }

    pub fn ended(&mut self, now: Moment) {
        self.answered = Some(now);
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    pub fn totals(&self) -> Totals {
        Totals { orders: self.orders.len() as u64, ..self.totals }
    }

    pub fn reset(&mut self) {
        *self = Counts { in_flight: self.in_flight, ..Counts::default() };
    }
}
