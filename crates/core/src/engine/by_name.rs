//! Finds orders by name. It holds their numbers only: the names are with the orders.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

use crate::engine::id::OrderId;
use crate::engine::order::state::OrderState;

#[derive(Debug, Default)]
pub(crate) struct ByName {
    ids: HashTable<OrderId>,
    hasher: RandomState,
}

impl ByName {
    pub(crate) fn with_capacity(orders: usize) -> ByName {
        ByName { ids: HashTable::with_capacity(orders), hasher: RandomState::new() }
    }

    pub(crate) fn find(&self, name: &str, states: &[OrderState]) -> Option<OrderId> {
        self.ids.find(self.hasher.hash_one(name), |id| *states[id.0 as usize].name == *name).copied()
    }

    /// Adds an order whose name is not there.
    pub(crate) fn insert(&mut self, id: OrderId, states: &[OrderState]) {
        let hash = |id: &OrderId| self.hasher.hash_one(&*states[id.0 as usize].name);
        self.ids.insert_unique(hash(&id), id, hash);
    }

    pub(crate) fn remove(&mut self, name: &str, states: &[OrderState]) {
        let is_it = |id: &OrderId| *states[id.0 as usize].name == *name;
        if let Ok(found) = self.ids.find_entry(self.hasher.hash_one(name), is_it) {
            found.remove();
        }
    }
}
