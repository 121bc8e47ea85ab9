//! When the state is saved, what of it, and what happens to the effects behind a failed save.

use std::time::Duration;

use super::account::AccountRecord;
use super::event::{Changes, Effect, InspectPurpose, Level, OrderId};
use super::slot::Busy;
use super::time::Now;
use super::{Engine, NoteKind, note, schedule};

/// Changes that nothing waits for are saved after this, unless a call carries them along sooner: so a
/// pending poll costs one sync, shared by its result and the due time of the next.
const LAZY_SAVE: Duration = Duration::from_secs(1);

/// Consecutive failed saves after which a process that is to end does so: the cause may outlast it.
const PATIENCE: u32 = 3;

/// Between two tries to save what would be forgotten with the end of the process.
const LAST_TRIES: Duration = Duration::from_secs(1);

/// What the next start would not know of must not be reported as done.
fn not_on_record(effect: &mut Effect) {
    if let Effect::Reply { reply, .. } = effect
        && reply.ok
    {
        reply.ok = false;
        reply.text.push_str(
            "\nthis is not on record yet, because the state cannot be saved (the log says why); it is saved as soon as it can be, \
             and forgotten if certcollectd ends before",
        );
    }
}

impl Engine {
    /// Nothing new is begun. What could not be saved so far is tried again at once: the disk may have room by now.
    pub(super) fn wind_up(&mut self, now: Now) {
        self.stopping = true;
        if self.held_until.take().is_some() {
            self.flush_at = Some(now.time);
        }
    }

    /// Whether the last save failed; nothing is started until one succeeds.
    pub fn cannot_save(&self) -> bool {
        self.held_until.is_some()
    }

    /// Whether saving has failed so often that a process which someone waits for must not wait for it any longer.
    pub fn gives_up_saving(&self) -> bool {
        self.cannot_save() && self.failed_saves >= PATIENCE
    }

    pub(super) fn flush_soon(&mut self, now: Now) {
        if self.flush_at.is_none() {
            self.flush_at = Some(self.held_until.unwrap_or(now.time + LAZY_SAVE));
        }
    }

    /// What changed must be durable before anything else happens.
    pub(super) fn save_first(&mut self) {
        self.save_now = true;
    }

    /// The list of effects, with the save in its place.
    pub(super) fn collect(&mut self, now: Now) -> Vec<Effect> {
        let relies = self.save_now || !self.effects.is_empty();
        let due = self.flush_at.is_some_and(|at| at <= now.time);
        let held = self.held_until.is_some();
        let mut list = Vec::with_capacity(self.effects.len() + self.told.len() + 1);
        if (relies && !held) || due || (self.stopping && !held) {
            let changes = self.take_changes();
            if !changes.is_empty() {
                list.push(Effect::Save(Box::new(changes)));
            }
        }
        if held && list.is_empty() {
            self.told.iter_mut().for_each(not_on_record);
        }
        self.save_now = false;
        list.append(&mut self.told);
        list.append(&mut self.effects);
        list
    }

    fn take_changes(&mut self) -> Changes {
        self.flush_at = None;
        let row = |id: OrderId, engine: &Engine| (engine.slot_name(id), engine.slot(id).record.clone());
        let mut orders: Vec<_> =
            std::mem::take(&mut self.dirty_orders).into_iter().map(|id| row(id, self)).collect();
        for name in std::mem::take(&mut self.archive_dirty) {
            if let Some(known) = self.archive.get(&name) {
                orders.push((name, known.record.clone()));
            }
        }
        // Which of two rows of one login is the newer one cannot be told once the clock was wrong.
        let left = std::mem::take(&mut self.left_names);
        let dirty = std::mem::take(&mut self.dirty_gates);
        let left = left.into_iter().filter(|name| self.gate_of(name).is_none());
        let dirty = dirty.into_iter().map(|gate| &self.gates[gate]);
        let accounts = left
            .map(|name| (name, AccountRecord::default()))
            .chain(dirty.map(|gate| (gate.name.clone(), gate.record.clone())))
            .collect();
        let bundles = std::mem::take(&mut self.bundles)
            .into_iter()
            .map(|id| {
                (self.slot_name(id), self.slot(id).bundle.clone().filter(|_| self.slot(id).record.bundled))
            })
            .collect();
        let offset = self.offset.filter(|_| std::mem::take(&mut self.offset_dirty));
        let adopted = std::mem::take(&mut self.adopted_dirty)
            .into_iter()
            .map(|name| {
                let known = self.adopted.iter().find(|known| known.name == name).cloned();
                (name, known)
            })
            .collect();
        let forgotten = std::mem::take(&mut self.forgotten).into_iter().collect();
        Changes {
            orders,
            accounts,
            bundles,
            adopted,
            forgotten,
            history: std::mem::take(&mut self.history),
            offset,
        }
    }

    /// The state cannot be written: take back what was not done, and start nothing until it can.
    pub(super) fn save_failed(&mut self, changes: Changes, dropped: Vec<Effect>, error: &str, now: Now) {
        self.failed_saves += 1;
        let wait = schedule::local(self.failed_saves);
        let wait = if self.stopping { wait.min(LAST_TRIES) } else { wait };
        self.held_until = Some(now.time + wait);
        self.flush_at = Some(now.time + wait);
        for (name, _) in &changes.orders {
            match self.names.get(name) {
                Some(id) => _ = self.dirty_orders.insert(*id),
                None => _ = self.archive_dirty.insert(name.clone()),
            }
        }
        for (name, _) in &changes.accounts {
            match self.gate_of(name) {
                Some(gate) => _ = self.dirty_gates.insert(gate),
                None => _ = self.left_names.insert(name.clone()),
            }
        }
        for (name, _) in &changes.bundles {
            self.bundles.extend(self.names.get(name));
        }
        self.adopted_dirty.extend(changes.adopted.into_iter().map(|(name, _)| name));
        self.forgotten.extend(changes.forgotten);
        self.offset_dirty |= changes.offset.is_some();
        let newer = std::mem::replace(&mut self.history, changes.history);
        self.history.extend(newer);
        for effect in dropped {
            self.take_back(effect, now);
        }
        self.note(
            Level::Error,
            NoteKind::State,
            None,
            now,
            format!(
                "the state cannot be saved: {error}; no call is made and nothing is installed until it can; next try in {}",
                note::duration(wait)
            ),
        );
        for gate in 0..self.gates.len() {
            self.refuse_errands(gate, now);
            self.refuse_waiters(gate, now);
        }
    }

    /// The next try need not be waited for.
    pub(super) fn state_back(&mut self, now: Now) {
        if let Some(held) = &mut self.held_until {
            *held = now.time;
            self.failed_saves = 0;
            self.flush_at = Some(now.time);
            self.note(
                Level::Info,
                NoteKind::State,
                None,
                now,
                "the state's files are in their place again".into(),
            );
        }
    }

    fn take_back(&mut self, effect: Effect, now: Now) {
        let idle = match effect {
            Effect::Save(_) => None,
            Effect::Report(_) | Effect::Fingerprint { .. } => {
                self.told.push(effect);
                None
            }
            mut reply @ Effect::Reply { .. } => {
                not_on_record(&mut reply);
                self.told.push(reply);
                None
            }
            Effect::Call(call) => {
                self.gate_of_call(&call.account).and_then(|gate| self.call_dropped(gate, now))
            }
            Effect::Inspect(inspect) => {
                let id = inspect.order;
                let slot = self.slot_mut(id);
                match inspect.purpose {
                    InspectPurpose::Look => slot.todo.look = true,
                    InspectPurpose::Verify { .. } => slot.todo.verify = true,
                    InspectPurpose::RollBack { .. } => slot.todo.rollback = true,
                }
                Some(id)
            }
            Effect::Stage(stage) => Some(stage.order),
            Effect::Activate(activate) => Some(activate.order),
            Effect::Sweep { order, .. } => {
                self.slot_mut(order).todo.sweep = true;
                Some(order)
            }
            Effect::Quarantine(quarantine) => {
                self.slot_mut(quarantine.order).todo.quarantine = true;
                Some(quarantine.order)
            }
            Effect::RunHook(run) => {
                self.hook_unstarted(run.run, now);
                None
            }
        };
        if let Some(id) = idle {
            self.set_busy(id, Busy::Idle);
        }
    }
}
