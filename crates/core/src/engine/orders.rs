//! All orders that are known: those that are configured, and the records of those that are not.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::Remembered;
use super::account::Gate;
use super::adopted::Adopted;
use super::account::stale_answer::Floors;
use super::id::OrderId;
use super::order::Former;
use super::order::slot::Slot;
use super::order::{self, Order};
use super::outbox::Outbox;
use super::time::{Now, Time};
use crate::config::Config;

#[derive(Debug, Default)]
pub(super) struct Orders {
    pub(super) slots: Vec<Slot>,
    pub(super) names: HashMap<Arc<str>, OrderId>,
    /// When what is due on this machine is due.
    pub(super) timers: BTreeSet<(Time, OrderId)>,
    /// Orders that are doing something outside.
    pub(super) busy: BTreeSet<OrderId>,
    /// Orders that changed since [`super::Engine::catch_up`].
    pub(super) changed: BTreeSet<OrderId>,
    /// Orders from replacements; those that the configuration as it was written does not have are part of it here.
    pub(super) adopted: Vec<Adopted>,
    /// Records of orders that are not configured at present.
    pub(super) archive: HashMap<Arc<str>, Remembered>,
}

impl Orders {
    pub(super) fn ids(&self) -> impl Iterator<Item = OrderId> + use<> {
        (0..u32::try_from(self.slots.len()).unwrap_or(u32::MAX)).map(OrderId)
    }

    pub(super) fn slot(&self, id: OrderId) -> &Slot {
        &self.slots[id.0 as usize]
    }

    /// Whoever may change an order marks it.
    pub(super) fn slot_mut(&mut self, id: OrderId) -> &mut Slot {
        self.changed.insert(id);
        &mut self.slots[id.0 as usize]
    }

    pub(super) fn slot_name(&self, id: OrderId) -> Arc<str> {
        self.slot(id).name.clone()
    }

    pub(super) fn order<'a>(
        &'a mut self,
        id: OrderId,
        now: Now,
        config: &'a Config,
        gates: &'a [Gate],
        outbox: &'a mut Outbox,
    ) -> Order<'a> {
        let slot = self.slot_mut(id);
        Order { id, now, config, gate: &gates[slot.gate], slot, outbox }
    }

    /// See [`order::number`].
    pub(super) fn number<'a>(&'a self, id: OrderId, config: &'a Config) -> Option<&'a str> {
        let slot = self.slot(id);
        order::number(&config.orders[slot.entry], Some(&slot.record))
    }

    /// The configured order of this name.
    pub(super) fn find(&self, name: &str) -> Option<OrderId> {
        self.names.get(name).copied().filter(|id| !self.slot(*id).removed)
    }

    /// The vendor's floor belongs to the number, whatever we call the order today.
    pub(super) fn floors(&self) -> Floors {
        let archived = self.archive.values().map(|known| &known.record);
        let present = self.slots.iter().map(|slot| &slot.record);
        let mut floors = Floors::new();
        for record in archived.chain(present) {
            for former in record.former.iter().cloned().chain(Former::of(record)) {
                let Former { account, handle, polled, asked } = former;
                let known = floors.entry((account, handle)).or_insert((polled, asked));
                *known = (known.0.max(polled), known.1.max(asked));
            }
        }
        floors
    }
}
