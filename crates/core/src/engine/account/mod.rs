//! The accounts: whether and how each calls, and what a call shows about it.

pub(crate) mod announced;
pub mod call;
pub(crate) mod calls;
pub(crate) mod configured;
pub(crate) mod domains;
pub mod gate;
pub(crate) mod login;
pub(crate) mod pause;
pub mod record;
pub(crate) mod renamed;
pub(crate) mod replacement;
pub(crate) mod resume;
pub mod sent;
pub(crate) mod side_call;
pub(crate) mod stale_answer;
pub mod unheard;

use std::sync::Arc;

use crate::config;
use crate::config::{Account, Config};
use crate::engine::account::gate::{Gate, gate_of};
use crate::engine::id::OrderId;
use crate::engine::note::{Level, Note, NoteKind};
use crate::engine::order::Order;
use crate::engine::orders::Orders;
use crate::engine::outbox::Outbox;
use crate::engine::time::Now;

/// All accounts, while they are decided about. Each answer is heard here before its order uses it.
pub(crate) struct Accounts<'a> {
    pub(crate) now: Now,
    pub(crate) config: &'a Arc<Config>,
    pub(crate) gates: &'a mut Vec<Gate>,
    pub(crate) orders: &'a mut Orders,
    pub(crate) outbox: &'a mut Outbox,
}

impl Accounts<'_> {
    pub(crate) fn gate_of(&self, account: &str) -> Option<usize> {
        gate_of(self.gates, account)
    }

    /// The entry of a gate's account, while it is configured.
    pub(crate) fn account_of(&self, gate: usize) -> Option<&Account> {
        self.config.account(&self.gates[gate].name).map(|account| &**account)
    }

    pub(crate) fn order(&mut self, id: OrderId) -> Order<'_> {
        self.orders.order(id, self.now, self.config, self.gates, self.outbox)
    }

    pub(crate) fn entry(&self, id: OrderId) -> &config::Order {
        &self.config.orders[self.orders.state(id).entry]
    }

    /// Marks an account's record as changed.
    pub(crate) fn touch_gate(&mut self, gate: usize) {
        self.outbox.unsaved.accounts.insert(gate);
        self.outbox.flush_soon(self.now);
    }

    /// Logs and remembers something about an account.
    pub(crate) fn note_account(&mut self, level: Level, kind: NoteKind, gate: usize, text: String) {
        let account = Some(self.gates[gate].name.clone());
        self.outbox.note(Note { level, kind, order: None, account, at: self.now.unix(), text }, self.now);
    }
}
