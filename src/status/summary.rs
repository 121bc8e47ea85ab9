//! Who needs a person, who waits and who is in order: the line that sums up, and the order of every list for people.

use std::cmp::Reverse;
use std::fmt;

use super::{OrderStatus, Status};
use certcollectd_core::engine::finding::Urgency;
use certcollectd_core::engine::order::phase::Phase;

certcollectd_core::words! {
    /// What becomes of an order if nobody acts, from bad to good.
    pub enum Need {
        /// A person must look: there is a finding.
        You = "need you",
        /// It goes on by itself, and is not there yet.
        Time = "wait",
        Nothing = "in order",
    }
}

/// How many there are of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Orders with findings; besides them accounts, orders that are no longer configured, and what fails on this machine.
    pub you: usize,
    /// Orders.
    pub time: usize,
    /// Orders.
    pub nothing: usize,
}

impl Summary {
    pub fn of(&self, need: Need) -> usize {
        match need {
            Need::You => self.you,
            Need::Time => self.time,
            Need::Nothing => self.nothing,
        }
    }

    /// `2 need you`, `1 needs you`.
    pub fn part(&self, need: Need) -> String {
        let number = self.of(need);
        match (need, number) {
            (Need::You, 1) => "1 needs you".into(),
            (Need::Time, 1) => "1 waits".into(),
            (Need::You | Need::Time | Need::Nothing, _) => format!("{number} {need}"),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Need::ALL.map(|need| self.part(need)).join(" · "))
    }
}

impl OrderStatus {
    pub fn need(&self) -> Need {
        match self.phase {
            _ if !self.findings.is_empty() => Need::You,
            Phase::Waiting | Phase::Collected | Phase::Deploying => Need::Time,
            Phase::Guarding => Need::Nothing,
            Phase::Quarantined | Phase::Attention | Phase::Rejected | Phase::Revoked => Need::You,
        }
    }

    /// How urgent its worst finding is.
    pub fn urgency(&self) -> Option<Urgency> {
        self.findings.first().map(|finding| finding.urgency)
    }
}

impl Status {
    pub fn summary(&self) -> Summary {
        let of = |need| self.orders.iter().filter(|order| order.need() == need).count();
        let accounts = self.accounts.iter().filter(|account| !account.findings.is_empty());
        let besides = accounts.count() + self.absent.len() + self.of_daemon().len();
        Summary { you: of(Need::You) + besides, time: of(Need::Time), nothing: of(Need::Nothing) }
    }

    /// The orders, the worst first; of those as bad, the one whose certificate ends first.
    pub fn worst_first(&self) -> Vec<&OrderStatus> {
        let mut orders: Vec<&OrderStatus> = self.orders.iter().collect();
        let end = |order: &OrderStatus| order.certificate.as_ref().map_or(i64::MAX, |known| known.left);
        orders.sort_by_key(|order| (order.need(), Reverse(order.urgency()), end(order)));
        orders
    }
}
