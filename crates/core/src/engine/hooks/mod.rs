//! Hooks: which orders owe them, which share a run, and what its result means.

pub(crate) mod company;
pub(crate) mod ledger;
pub(crate) mod rehearsal;
pub mod run;
pub(crate) mod runs;
pub(crate) mod told;

use crate::config;
use crate::config::Config;
use crate::engine::account::gate::Gate;
use crate::engine::hooks::ledger::Ledger;
use crate::engine::id::OrderId;
use crate::engine::order::Order;
use crate::engine::orders::Orders;
use crate::engine::outbox::Outbox;
use crate::engine::time::{Now, Time};

/// The debts of orders, and the runs that pay them. One run may be for many orders; accounts cannot be changed here.
pub(crate) struct Hooks<'a> {
    pub(crate) now: Now,
    pub(crate) config: &'a Config,
    pub(crate) ledger: &'a mut Ledger,
    pub(crate) orders: &'a mut Orders,
    pub(crate) gates: &'a [Gate],
    /// No call begins after this.
    pub(crate) calls_until: Time,
    pub(crate) outbox: &'a mut Outbox,
}

impl Hooks<'_> {
    pub(crate) fn order(&mut self, id: OrderId) -> Order<'_> {
        self.orders.order(id, self.now, self.config, self.gates, self.outbox)
    }

    pub(crate) fn entry(&self, id: OrderId) -> &config::Order {
        &self.config.orders[self.orders.state(id).entry]
    }
}
