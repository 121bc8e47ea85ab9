//! What the collectors of the fleet have published for an order, in place of an answer of the vendor.

use crate::cert::Certificate;
use crate::engine::Engine;
use crate::engine::id::OrderId;
use crate::engine::note::{Level, NoteKind};
use crate::engine::order::Order;
use crate::engine::order::bundle::Bundle;
use crate::engine::order::record::Offered;
use crate::engine::order::state::Busy;

/// A publication that waits until its order has nothing else to do.
#[derive(Debug)]
pub(crate) struct Published {
    generation: u64,
    bundle: Vec<Certificate>,
}

impl Engine {
    /// The newest publication of an order counts.
    pub(crate) fn published(&mut self, name: &str, generation: u64, bundle: Vec<Certificate>) {
        if let Some(id) = self.orders.find(name) {
            self.published.insert(id, Published { generation, bundle });
        }
    }

    /// Begins with those whose orders are idle.
    pub(crate) fn take_published(&mut self) {
        if self.published.is_empty() || self.stopping || self.outbox.is_held() {
            return;
        }
        let idle = |id: &OrderId| self.orders.state(*id).busy == Busy::Idle;
        let idle: Vec<OrderId> = self.published.keys().copied().filter(idle).collect();
        for id in idle {
            let Some(published) = self.published.remove(&id) else { continue };
            if !self.orders.state(id).removed {
                self.order(id).take_published(published);
            }
        }
    }
}

impl Order<'_> {
    fn take_published(&mut self, published: Published) {
        let Published { generation, bundle } = published;
        self.state.record.failures = 0;
        let leaf = bundle.first().map(Certificate::fingerprint);
        let is_known = self.state.record.offered.as_ref().is_some_and(|offered| Some(offered.leaf) == leaf);
        if let Some(leaf) = bundle.first() {
            let highest = self.state.record.offered.as_ref().and_then(|offered| offered.highest);
            let offered = Offered { generation, leaf: leaf.fingerprint(), highest };
            self.state.record.offered = Some(Box::new(offered));
            self.accept_offered();
        }
        if self.is_in_place(&bundle) {
            return self.nothing_new(bundle);
        }
        if self.keeps_waiting(&bundle) {
            self.state.pending.look = self.state.record.installed.is_some();
            return self.touch();
        }
        if !is_known {
            let text = format!("generation {generation} was published");
            self.note(Level::Info, NoteKind::Published, text);
        }
        self.set_bundle(Bundle::Unjudged(bundle));
        self.state.record.trouble = None;
        self.state.pending.look = false;
        self.touch();
        self.outbox.flush_at_once(self.now);
    }

    /// What is in place may be what was offered.
    pub(crate) fn accept_offered(&mut self) {
        let record = &mut *self.state.record.seldom;
        let (Some(offered), Some(installed)) = (&mut record.offered, &record.installed) else { return };
        if offered.leaf == installed.fingerprint {
            offered.highest = offered.highest.max(Some(offered.generation));
        }
    }
}
