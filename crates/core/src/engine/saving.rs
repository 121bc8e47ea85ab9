//! When the state is saved, what of it, and what happens to the effects behind a failed save.

use std::sync::Arc;

use crate::engine::Engine;
use crate::engine::account::gate::gate_of;
use crate::engine::account::record::AccountRecord;
use crate::engine::changes::Changes;
use crate::engine::event::Effect;
use crate::engine::id::OrderId;
use crate::engine::install::InspectPurpose;
use crate::engine::note::{Level, NoteKind};
use crate::engine::order::state::Busy;
use crate::engine::outbox::not_on_record;
use crate::engine::time::in_words;

impl Engine {
    /// Starts nothing new. Retries failed saves at once: the disk may have room again.
    pub(crate) fn begin_shutdown(&mut self) {
        self.stopping = true;
        self.outbox.try_at_once(self.now);
    }

    /// Whether the last save failed; nothing is started until one succeeds.
    pub fn cannot_save(&self) -> bool {
        self.outbox.is_held()
    }

    /// Whether saving has failed so often that a process which should end must stop waiting for it.
    pub fn gives_up_saving(&self) -> bool {
        self.outbox.gives_up()
    }

    /// The list of effects, with the save in its place.
    pub(crate) fn drain_effects(&mut self) -> Vec<Effect> {
        let changes = self.outbox.saves(self.stopping, self.now).then(|| self.take_changes());
        self.outbox.drain(changes)
    }

    fn take_changes(&mut self) -> Changes {
        let (unsaved, history) = self.outbox.take(self.stopping, self.now);
        let row = |id: OrderId| (self.orders.name_of(id), self.orders.state(id).record.clone());
        let archived = unsaved.archived.into_iter().filter_map(|name| {
            let record = self.orders.archive.get(&name)?.record.clone();
            Some((name, record))
        });
        let bundle = |id: OrderId| {
            let state = self.orders.state(id);
            (state.name.clone(), state.bundle.certificates().filter(|_| state.record.bundled).cloned())
        };
        // After the clock was wrong, it is unknown which of two rows of one login is newer.
        let left = unsaved.left_names.into_iter().filter(|name| gate_of(&self.gates, name).is_none());
        let left = left.map(|name| (name, AccountRecord::default()));
        let accounts = unsaved.accounts.into_iter().map(|gate| &self.gates[gate]);
        let adopted = |name: Arc<str>| {
            let known = self.orders.adopted.iter().find(|known| known.name == name).cloned();
            (name, known)
        };
        Changes {
            orders: unsaved.orders.into_iter().map(row).chain(archived).collect(),
            accounts: left.chain(accounts.map(|gate| (gate.name.clone(), gate.record.clone()))).collect(),
            bundles: unsaved.bundles.into_iter().map(bundle).collect(),
            adopted: unsaved.adopted.into_iter().map(adopted).collect(),
            forgotten: unsaved.forgotten.into_iter().collect(),
            history,
            offset: self.offset.filter(|_| unsaved.offset),
        }
    }

    /// The state cannot be written: take back what was not done, and start nothing until it can.
    pub(crate) fn save_failed(&mut self, changes: Changes, dropped: Vec<Effect>, error: &str) {
        let wait = self.outbox.retry_later(changes.history, self.stopping, self.now);
        for (name, _) in &changes.orders {
            match self.orders.find(name) {
                Some(id) => _ = self.outbox.unsaved.orders.insert(id),
                None => _ = self.outbox.unsaved.archived.insert(name.clone()),
            }
        }
        for (name, _) in &changes.accounts {
            match gate_of(&self.gates, name) {
                Some(gate) => _ = self.outbox.unsaved.accounts.insert(gate),
                None => _ = self.outbox.unsaved.left_names.insert(name.clone()),
            }
        }
        for (name, _) in &changes.bundles {
            self.outbox.unsaved.bundles.extend(self.orders.find(name));
        }
        self.outbox.unsaved.adopted.extend(changes.adopted.into_iter().map(|(name, _)| name));
        self.outbox.unsaved.forgotten.extend(changes.forgotten);
        self.outbox.unsaved.offset |= changes.offset.is_some();
        for effect in dropped {
            self.take_back(effect);
        }
        self.note(
            Level::Error,
            NoteKind::State,
            format!(
                "the state cannot be saved: {error}; no call is made and nothing is installed until it can; next try in {}",
                in_words(wait)
            ));
        for gate in 0..self.gates.len() {
            self.accounts().refuse_side_calls(gate);
            self.accounts().refuse_waiters(gate);
        }
    }

    /// The next try need not be waited for.
    pub(crate) fn state_back(&mut self) {
        if self.outbox.cause_is_gone(self.now) {
            self.note(Level::Info, NoteKind::State, "the state's files are back in place".into());
        }
    }

    fn take_back(&mut self, effect: Effect) {
        let idle = match effect {
            Effect::Save(_) => None,
            Effect::Report(_) | Effect::TagCredential { .. } | Effect::Tell(_) => {
                self.outbox.say(effect);
                None
            }
            mut reply @ Effect::Reply { .. } => {
                not_on_record(&mut reply);
                self.outbox.say(reply);
                None
            }
            Effect::Call(call) => self
                .accounts()
                .gate_of_call(&call.account)
                .and_then(|gate| self.accounts().call_dropped(gate)),
            Effect::Inspect(inspect) => {
                let id = inspect.order;
                let state = self.orders.state_mut(id);
                match inspect.purpose {
                    InspectPurpose::Look => state.pending.look = true,
                    InspectPurpose::Verify { .. } => state.pending.verify = true,
                    InspectPurpose::RollBack { .. } => state.pending.rollback = true,
                }
                Some(id)
            }
            Effect::Install(stage) => {
                let id = stage.order;
                let state = self.orders.state_mut(id);
                state.record.placing = None;
                state.written_for = None;
                Some(id)
            }
            Effect::Activate(activate) => Some(activate.order),
            Effect::Sweep { order, .. } => {
                self.orders.state_mut(order).pending.sweep = true;
                Some(order)
            }
            Effect::Probe(run) => {
                self.order(run.order).schedule_probes();
                Some(run.order)
            }
            // Still wanted.
            Effect::Survey(run) => Some(run.order),
            Effect::ReadRequest(run) => Some(run.order),
            Effect::Quarantine(quarantine) => {
                self.orders.state_mut(quarantine.order).pending.quarantine = true;
                Some(quarantine.order)
            }
            Effect::RunHook(run) => {
                self.hooks().hook_unstarted(run.run);
                None
            }
        };
        if let Some(id) = idle {
            self.orders.state_mut(id).busy = Busy::Idle;
        }
    }
}
