//! All orders that are known: those that are configured, and the records of those that are not.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::config::Config;
use crate::engine::account::gate::Gate;
use crate::engine::adopted::Adopted;
use crate::engine::by_name::ByName;
use crate::engine::id::OrderId;
use crate::engine::loaded::Remembered;
use crate::engine::order::Order;
use crate::engine::order::floor::LastAsked;
use crate::engine::order::record::{Former, order_number};
use crate::engine::order::state::OrderState;
use crate::engine::outbox::Outbox;
use crate::engine::reissue::record::UsedTokens;
use crate::engine::time::{Now, Time};

/// Number of orders inspected at once when the daemon starts; the others follow, one per [`STEP`].
const AT_ONCE: usize = 500;
const STEP: Duration = Duration::from_millis(2);

#[derive(Debug, Default)]
pub(crate) struct Orders {
    /// What tells this state from every other, see [`crate::engine::loaded::Loaded::identity`].
    pub(crate) identity: Arc<str>,
    pub(crate) states: Vec<OrderState>,
    pub(crate) by_name: ByName,
    /// When what is due on this machine is due.
    pub(crate) timers: BTreeSet<(Time, OrderId)>,
    /// Orders that are doing something outside.
    pub(crate) busy: BTreeSet<OrderId>,
    /// Orders that changed since [`super::Engine::catch_up`].
    pub(crate) changed: BTreeSet<OrderId>,
    /// Orders from replacements; those without an entry of their own are added to the configuration here.
    pub(crate) adopted: Vec<Adopted>,
    /// Records of orders that are not configured at present.
    pub(crate) archive: HashMap<Arc<str>, Remembered>,
}

impl Orders {
    pub(crate) fn ids(&self) -> impl Iterator<Item = OrderId> + use<> {
        (0..u32::try_from(self.states.len()).unwrap_or(u32::MAX)).map(OrderId)
    }

    pub(crate) fn state(&self, id: OrderId) -> &OrderState {
        &self.states[id.0 as usize]
    }

    /// Marks the order as changed.
    pub(crate) fn state_mut(&mut self, id: OrderId) -> &mut OrderState {
        self.changed.insert(id);
        &mut self.states[id.0 as usize]
    }

    pub(crate) fn name_of(&self, id: OrderId) -> Arc<str> {
        self.state(id).name.clone()
    }

    pub(crate) fn order<'a>(
        &'a mut self,
        id: OrderId,
        now: Now,
        config: &'a Config,
        gates: &'a [Gate],
        outbox: &'a mut Outbox,
    ) -> Order<'a> {
        self.changed.insert(id);
        let state = &mut self.states[id.0 as usize];
        Order { id, now, config, gate: &gates[state.gate], state, identity: &self.identity, outbox }
    }

    /// See [`order_number`].
    pub(crate) fn number<'a>(&'a self, id: OrderId, config: &'a Config) -> Option<&'a str> {
        let state = self.state(id);
        order_number(&config.orders[state.entry], Some(&state.record))
    }

    /// The configured order of this name.
    pub(crate) fn find(&self, name: &str) -> Option<OrderId> {
        self.by_name.find(name, &self.states).filter(|id| !self.state(*id).removed)
    }

    /// The vendor's floor belongs to the number, whatever the order is called today.
    pub(crate) fn last_asked(&self) -> LastAsked {
        let archived = self.archive.values().map(|known| &known.record);
        let present = self.states.iter().map(|state| &state.record);
        let mut last_asked = LastAsked::new();
        for record in archived.chain(present) {
            for former in record.former.iter().cloned().chain(Former::of(record)) {
                let Former { account, handle, polled, asked } = former;
                let known = last_asked.entry((account, handle)).or_insert((polled, asked));
                *known = (known.0.max(polled), known.1.max(asked));
            }
        }
        last_asked
    }

    /// The tokens that calls were sent with, by account and number. They are the number's, whatever the order is called today.
    pub(crate) fn used_tokens(&self) -> UsedTokens {
        let archived = self.archive.values().map(|known| &known.record);
        let present = self.states.iter().map(|state| &state.record);
        let mut used = UsedTokens::new();
        for record in archived.chain(present).filter(|record| !record.tokens.is_empty()) {
            let number = (record.account.clone(), record.handle.clone());
            used.entry(number).or_default().extend(record.tokens.iter().cloned());
        }
        used
    }

    /// Looks anew whether what waits for a window may be installed.
    pub(crate) fn judge_windows(&mut self) {
        self.ids().for_each(|id| self.judge_window(id));
    }

    pub(crate) fn judge_window(&mut self, id: OrderId) {
        if let Some(underway) = self.states[id.0 as usize].underway.present() {
            underway.shut_until = None;
        }
    }

    /// What happened to the installed files while no process ran is found at a start, without a call. With
    /// very many orders the looks follow one another.
    pub(crate) fn look_at_all(&mut self, now: Time) {
        let mut from = now;
        let installed = self.states.iter_mut().filter(|state| state.record.installed.is_some());
        for (at, state) in installed.enumerate() {
            if at >= AT_ONCE {
                from = from + STEP;
            }
            state.look_from = Some(from);
        }
    }
}
