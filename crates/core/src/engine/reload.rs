//! A configuration is put into force: at the start, and again while orders are under way.

use crate::engine::account::Accounts;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::account::stale_answer::{Floors, become_another, keep_floor};
use super::account::unheard;
use super::account::{AccountRecord, Gate};
use super::id::OrderId;
use super::note::Level;
use super::order::deploy;
use super::order::{Former, OrderRecord, Phase, Trigger};
use super::same_number::Threats;
use super::time::Time;
use super::{Busy, Engine, NoteKind, Pending, Remembered, Slot};
use crate::config::{Config, Order, count};

/// No schedule of ours reaches further than this; what the state says beyond is the work of a wrong clock.
const LONGEST_SCHEDULE: Duration = Duration::from_secs(60 * 24 * 3600);

impl Accounts<'_> {
    /// Adds every configured account that is not there yet; gives back what was known of others.
    pub(super) fn add_gates(
        &mut self,
        mut known: HashMap<Arc<str>, AccountRecord>,
    ) -> BTreeMap<Arc<str>, AccountRecord> {
        let config = self.config.clone();
        for account in &config.accounts {
            let login = Some(super::account::side_call::login_of(account));
            if let Some(gate) = self.gate_of(&account.name) {
                self.gates[gate].removed = false;
                if std::mem::replace(&mut self.gates[gate].record.login, login) != login {
                    self.touch_gate(gate);
                }
                continue;
            }
            let mut record = known.remove(&account.name).unwrap_or_default();
            let is_new = std::mem::replace(&mut record.login, login) != login;
            record.paused_until =
                record.paused_until.map(|until| until.min(self.now.time + LONGEST_SCHEDULE));
            record.called = record.called.map(|called| called.min(self.now.time));
            if let Some(unheard) = &mut record.unheard {
                unheard.until = unheard.until.min(self.now.time + unheard::LONGEST_CALL);
            }
            record.details_refused = record
                .details_refused
                .filter(|refused| refused.login == super::account::side_call::login_of(account));
            self.gates.push(Gate::new(account.name.clone(), record));
            if is_new {
                self.touch_gate(self.gates.len() - 1);
            }
        }
        // What a configured account left behind under a former name is no account of its own.
        let present: Vec<Option<u64>> = self.gates.iter().map(|gate| gate.record.login).collect();
        let another = |record: &AccountRecord| record.login.is_some() && !present.contains(&record.login);
        known.into_iter().filter(|(_, record)| another(record)).collect()
    }

    /// An account that is not configured: it may come back by a reload, and a refused login is still refused then.
    pub(super) fn keep_account(&mut self, name: Arc<str>, record: AccountRecord) -> usize {
        let mut gate = Gate::new(name, record);
        gate.removed = true;
        self.gates.push(gate);
        self.gates.len() - 1
    }

    /// What a reload does not end.
    fn closed_words(&self) -> String {
        let closed = self.gates.iter().filter(|gate| !gate.removed && gate.record.closed.is_some());
        let names: Vec<&str> = closed.take(5).map(|gate| &*gate.name).collect();
        match names.as_slice() {
            [] => String::new(),
            names => {
                let (first, all) = (names[0], names.join(", "));
                format!(
                    "; still closed is account {all}: a reload does not open it, a changed password or `certcollectd resume \
                     --account {first}` does"
                )
            }
        }
    }
}

impl Engine {
    /// Adds every configured order that is not there yet.
    pub(super) fn add_orders(&mut self) {
        let config = self.config.clone();
        let (floors, threats) = (self.orders.floors(), self.orders.threats());
        for (entry, order) in config.orders.iter().enumerate() {
            if self.orders.find(&order.name).is_none() {
                self.add_order(entry, order, (&floors, &threats));
            }
        }
        self.accounts().count_lost_calls();
        self.accounts().leave_old_ways();
    }

    fn add_order(&mut self, entry: usize, order: &Order, (floors, threats): (&Floors, &Threats)) {
        let handle: Box<str> = order.handle.identity().into();
        let known = self.orders.archive.remove(&order.name);
        let fresh = known.is_none();
        let Remembered { mut record, bundle } = known.unwrap_or_else(|| Remembered {
            record: OrderRecord::new(order.account.clone(), handle.clone(), self.now),
            bundle: None,
        });
        let another = record.handle != handle || record.account != order.account;
        if another {
            become_another(&mut record, order, &handle, self.now);
        }
        if fresh {
            record.pushed = threats.get(&(record.account.clone(), record.handle.clone())).cloned();
        }
        if fresh || another {
            keep_floor(&mut record, floors);
        }
        record.polled = record.polled.map(|polled| polled.min(self.now.time + unheard::LONGEST_CALL));
        for debt in &mut record.debts {
            // A try without an end is repeated: at least once. The others keep their time, within reason.
            debt.next = debt.next.map(|next| {
                if debt.started { self.now.time } else { next.min(self.now.time + LONGEST_SCHEDULE) }
            });
            debt.started = false;
        }
        if let Some(trouble) = &mut record.trouble {
            // A restart is a good moment to look whether it is over.
            trouble.next = trouble.next.min(self.now.time);
        }
        let bundle = bundle.filter(|_| !another);
        if record.bundled && bundle.is_none() {
            record.bundled = false;
            if record.phase == Phase::Collected || record.phase == Phase::Quarantined {
                record.phase = super::order::transition(Phase::Collected, Trigger::Lost, record.standing());
            }
        }
        let pending = Pending {
            verify: bundle.is_some() && record.staged.is_none() && !record.phase.is_stopped(),
            look: record.installed.as_ref().is_some_and(|installed| installed.spec != deploy::spec_of(order)),
            ..Pending::default()
        };
        let gate = self
            .accounts()
            .gate_of(&order.account)
            .expect("the configuration names only accounts that it has");
        let id =
            OrderId(u32::try_from(self.orders.slots.len()).expect("fewer than four thousand million orders"));
        self.orders.slots.push(Slot {
            name: order.name.clone(),
            entry,
            gate,
            record,
            bundle,
            material: None,
            busy: Busy::Idle,
            pending,
            urgent: false,
            poll_outcome: super::order::slot::PollOutcome::default(),
            queued: None,
            timed: None,
            ready: false,
            look_from: None,
            hold_until: None,
            removed: false,
            quiet: false,
            tally: super::summary::Tally::default(),
        });
        self.orders.names.insert(order.name.clone(), id);
        let due = self.order(id).due_after_poll();
        let record = &mut self.orders.slot_mut(id).record;
        if record.due != due || fresh || another {
            record.due = due;
            self.order(id).touch();
        }
    }

    pub(super) fn configured(&mut self, config: Arc<Config>) {
        let written = config;
        let renamed = self.accounts().follow_renames(&written);
        let config = super::joined(&written, &self.orders.adopted);
        let old = std::mem::replace(&mut self.config, config.clone());
        let by_name: HashMap<Arc<str>, usize> =
            config.orders.iter().enumerate().map(|(at, order)| (order.name.clone(), at)).collect();
        // Accounts first: orders point at them.
        for gate in &mut self.gates {
            gate.removed = config.account(&gate.name).is_none();
        }
        self.accounts().add_gates(HashMap::new());
        self.accounts().hold_names();
        self.accounts().compare_again();
        for id in self.orders.ids() {
            if self.orders.slot(id).removed {
                continue;
            }
            let before = &old.orders[self.orders.slot(id).entry];
            match by_name.get(&self.orders.slot(id).name) {
                None => self.remove_order(id),
                Some(entry) => {
                    self.orders.slot_mut(id).entry = *entry;
                    let after = &config.orders[*entry];
                    // The name of its account may have gone to another login.
                    let moved = self.accounts().gate_of(&after.account) != Some(self.orders.slot(id).gate);
                    if before != after || moved || old.calls != config.calls {
                        self.reconfigure(id, before, after);
                    }
                    self.hooks().drop_hooks(id);
                }
            }
        }
        self.add_orders();
        self.give_up_adopted(&written);
        // The accounts below look into their queues.
        self.orders.changed.extend(self.orders.ids());
        self.catch_up(Time::MIN);
        for account in &config.accounts {
            let before = old.accounts.iter().find(|known| {
                let name = renamed.get(&known.name).unwrap_or(&known.name);
                *name == account.name
            });
            if before.is_some_and(|before| before != account) {
                self.accounts().details_allowed_again(&account.name);
                self.accounts().credential_touched(&account.name);
            }
        }
        let text = format!(
            "the configuration was read anew: {}, {}{}",
            count(config.orders.len(), "order"),
            count(config.accounts.len(), "account"),
            self.accounts().closed_words()
        );
        self.note(Level::Info, NoteKind::Reloaded, text);
        self.outbox.save_first();
    }

    fn reconfigure(&mut self, id: OrderId, before: &Order, after: &Order) {
        let now = self.now;
        let handle: Box<str> = after.handle.identity().into();
        let gate = self
            .accounts()
            .gate_of(&after.account)
            .expect("the configuration names only accounts that it has");
        let same_account = self.orders.slot(id).gate == gate;
        if !same_account {
            // It leaves the old gate's queue before it joins the new one's.
            if let Some(queued) = self.orders.slot_mut(id).queued.take() {
                let old = self.orders.slot(id).gate;
                self.gates[old].queue.remove(&(queued, id));
            }
            self.orders.slot_mut(id).gate = gate;
        }
        let same_number = before.handle == after.handle
            && same_account
            && before.settings.product == after.settings.product;
        if !same_number {
            let floors = self.orders.floors();
            self.hooks().unready(id);
            self.order(id).drop_bundle();
            let record = &mut self.orders.slot_mut(id).record;
            become_another(record, after, &handle, now);
            keep_floor(record, &floors);
            self.orders.slot_mut(id).pending = Pending::default();
            // The operator who wanted it polled now meant the other number.
            self.orders.slot_mut(id).urgent = false;
            let name = self.orders.slot_name(id);
            self.outbox.refuse_waiters(id, &format!("{name} names another order now"));
            self.order(id).note(
                Level::Info,
                NoteKind::Reconfigured,
                format!("now collects {}", after.handle.describe()),
            );
        } else if before != after && self.orders.slot(id).record.phase.needs_person() {
            self.orders.slot_mut(id).record.unknowns = 0;
            self.orders.slot_mut(id).pending.broken = false;
            if self.orders.slot(id).bundle.is_some() {
                self.orders.slot_mut(id).pending.verify = true;
            }
            if self.order(id).change_phase(Trigger::Resumed, None)
                && self.orders.slot(id).record.phase != Phase::Quarantined
            {
                self.order(id).note(
                    Level::Info,
                    NoteKind::Resumed,
                    "taken up again: its entry was changed".into(),
                );
            }
        }
        let key_or_gate = before.key != after.key
            || before.settings.verify != after.settings.verify
            || before.settings.trust_anchors != after.settings.trust_anchors
            || before.domains != after.domains;
        if key_or_gate
            && self.orders.slot(id).bundle.is_some()
            && self.orders.slot(id).record.staged.is_none()
        {
            let slot = self.orders.slot_mut(id);
            slot.material = None;
            slot.pending.verify = true;
            if let Some(trouble) = &mut slot.record.trouble {
                trouble.next = now.time;
            }
        }
        let files = before.settings.files != after.settings.files || before.copies != after.copies;
        if files
            && self.orders.slot(id).record.installed.is_some()
            && self.orders.slot(id).record.phase != Phase::Collected
        {
            self.orders.slot_mut(id).pending.look = true;
        }
        if self.orders.slot(id).busy != Busy::Calling {
            self.order(id).set_due();
        }
        self.order(id).touch();
    }

    /// Files stay, the record stays in the state, nothing is polled any more.
    fn remove_order(&mut self, id: OrderId) {
        let name = self.orders.slot_name(id);
        self.order(id).tell_removed();
        self.hooks().unready(id);
        self.outbox.refuse_waiters(id, &format!("{name} is no longer configured"));
        self.hooks().end_rehearsals(id);
        let slot = self.orders.slot_mut(id);
        slot.removed = true;
        let slot = self.orders.slot_mut(id);
        let remembered = Remembered { record: slot.record.clone(), bundle: slot.bundle.take() };
        let (queued, timed, gate) = (slot.queued.take(), slot.timed.take(), slot.gate);
        if let Some(queued) = queued {
            self.gates[gate].queue.remove(&(queued, id));
        }
        self.gates[gate].wishes.remove(&id);
        if let Some(timed) = timed {
            self.orders.timers.remove(&(timed, id));
        }
        self.orders.archive.insert(name.clone(), remembered);
        self.orders.names.remove(&name);
        if self.outbox.unsaved.orders.remove(&id) {
            self.outbox.unsaved.archived.insert(name);
        }
        self.outbox.unsaved.bundles.remove(&id);
    }
}
