//! Applies a configuration: at the start, and on each reload.

use std::collections::HashMap;
use std::sync::Arc;

use crate::config;
use crate::config::{Config, count};
use crate::engine::Engine;
use crate::engine::account::unheard::LONGEST_CALL;
use crate::engine::adopted::{Adopted, joined};
use crate::engine::id::OrderId;
use crate::engine::loaded::Remembered;
use crate::engine::note::{Level, NoteKind};
use crate::engine::order::bundle::Bundle;
use crate::engine::order::deploy;
use crate::engine::order::floor::{LastAsked, become_another, keep_floor};
use crate::engine::order::phase::{Phase, Trigger, transition};
use crate::engine::order::record::{OrderRecord, ProbeRollback};
use crate::engine::order::state::{Busy, OrderState, Pending, PollOutcome, Underway, Work};
use crate::engine::reissue::record::{UsedTokens, keep_tokens};
use crate::engine::same_number::Threats;
use crate::engine::schedule::LONGEST_SCHEDULE;
use crate::engine::tally::Tally;
use crate::engine::time::Time;

impl Engine {
    /// Adds every configured order that is not there yet.
    pub(crate) fn add_orders(&mut self) {
        let config = self.config.clone();
        let (last_asked, threats, used) = if self.knows_all(&config) {
            Default::default()
        } else {
            (self.orders.last_asked(), self.orders.threats(), self.orders.used_tokens())
        };
        for (entry, order) in config.orders.iter().enumerate() {
            if self.orders.find(&order.name).is_none() {
                self.add_order(entry, order, (&last_asked, &threats, &used));
            }
        }
        // As large as the whole state at a start.
        self.orders.archive.shrink_to_fit();
        self.accounts().count_lost_calls();
        self.accounts().leave_old_ways();
    }

    /// Whether each order is here, or was remembered under its name and number.
    fn knows_all(&self, config: &Config) -> bool {
        config.orders.iter().all(|order| {
            self.orders.find(&order.name).is_some()
                || self.orders.archive.get(&order.name).is_some_and(|known| {
                    known.record.account == order.account && *known.record.handle == *order.handle.identity()
                })
        })
    }

    fn add_order(
        &mut self,
        entry: usize,
        order: &config::Order,
        (last_asked, threats, used): (&LastAsked, &Threats, &UsedTokens),
    ) {
        let handle: Box<str> = order.handle.identity().into();
        let known = self.orders.archive.remove(&order.name);
        let fresh = known.is_none();
        let unsaved = self.outbox.unsaved.archived.remove(&order.name);
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
            keep_floor(&mut record, last_asked);
            keep_tokens(&mut record, used);
        }
        record.polled = record.polled.map(|polled| polled.min(self.now.time + LONGEST_CALL));
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
                record.phase = transition(Phase::Collected, Trigger::Lost, record.standing());
            }
        }
        let pending = Pending {
            verify: bundle.is_some() && record.staged.is_none() && !record.phase.is_stopped(),
            look: record.installed.as_ref().is_some_and(|installed| installed.spec != deploy::spec_of(order)),
            rollback: record
                .probed
                .as_ref()
                .is_some_and(|probed| probed.rollback == Some(ProbeRollback::Wanted)),
            ..Pending::default()
        };
        let gate = self
            .accounts()
            .gate_of(&order.account)
            .expect("the configuration names only accounts that it has");
        let id = OrderId(
            u32::try_from(self.orders.states.len()).expect("fewer than four thousand million orders"),
        );
        self.orders.states.push(OrderState {
            name: order.name.clone(),
            entry,
            gate,
            record,
            busy: Busy::Idle,
            pending,
            urgent: false,
            poll_outcome: PollOutcome::default(),
            queued: None,
            timed: None,
            ready: false,
            removed: false,
            quiet: false,
            tally: Tally::default(),
            underway: Underway {
                bundle: bundle.map_or(Bundle::None, Bundle::Unjudged),
                ..Underway::default()
            }
            .into(),
        });
        self.orders.by_name.insert(id, &self.orders.states);
        self.order(id).schedule_probes();
        self.order(id).schedule_rehearsal();
        if self.order(id).reissue_interrupted() {
            self.gates[gate].record.reissues.in_vain += 1;
            self.accounts().touch_gate(gate);
        }
        let due = self.order(id).due_after_poll();
        let record = &mut self.orders.state_mut(id).record;
        let changed = record.due != due;
        record.due = due;
        // What it has from another name's row is lost with that row.
        let inherits =
            fresh && (record.polled.is_some() || record.pushed.is_some() || !record.tokens.is_empty());
        if another || inherits || unsaved {
            self.order(id).touch();
        } else if changed || fresh {
            self.order(id).touch_derived();
        }
        self.orders.state_mut(id).tidy();
    }

    pub(crate) fn configured(&mut self, config: Arc<Config>) {
        let written = config;
        let renamed = self.accounts().follow_renames(&written);
        let config = joined(&written, &self.orders.adopted);
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
            if self.orders.state(id).removed {
                continue;
            }
            let before = &old.orders[self.orders.state(id).entry];
            match by_name.get(&self.orders.state(id).name) {
                None => self.remove_order(id),
                Some(entry) => {
                    self.orders.state_mut(id).entry = *entry;
                    let after = &config.orders[*entry];
                    // The name of its account may have gone to another login.
                    let moved = self.accounts().gate_of(&after.account) != Some(self.orders.state(id).gate);
                    if before != after || moved || old.calls != config.calls {
                        self.reconfigure(id, before, after);
                    }
                    self.hooks().drop_hooks(id);
                    self.order(id).schedule_rehearsal();
                }
            }
        }
        if old.windows != config.windows || old.freezes != config.freezes {
            self.orders.judge_windows();
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
                self.accounts().domains_allowed_again(&account.name);
                self.accounts().credential_touched(&account.name);
            }
        }
        let text = format!(
            "the configuration was reloaded: {}, {}{}",
            count(config.orders.len(), "order"),
            count(config.accounts.len(), "account"),
            self.accounts().closed_words()
        );
        self.note(Level::Info, NoteKind::Reloaded, text);
        self.outbox.save_first();
    }

    fn reconfigure(&mut self, id: OrderId, before: &config::Order, after: &config::Order) {
        let now = self.now;
        let handle: Box<str> = after.handle.identity().into();
        let gate = self
            .accounts()
            .gate_of(&after.account)
            .expect("the configuration names only accounts that it has");
        let same_account = self.orders.state(id).gate == gate;
        if !same_account {
            // It leaves the old gate's queue before it joins the new one's.
            if let Some(queued) = self.orders.state_mut(id).queued.take() {
                let old = self.orders.state(id).gate;
                self.gates[old].queue.remove(&(queued, id));
            }
            self.orders.state_mut(id).gate = gate;
        }
        let same_number = before.handle == after.handle
            && same_account
            && before.settings.product == after.settings.product;
        if !same_number {
            let (last_asked, used) = (self.orders.last_asked(), self.orders.used_tokens());
            self.hooks().unready(id);
            let why = format!("{} now names another order", self.orders.name_of(id));
            self.outbox.refuse_waiters(id, &why);
            self.order(id).refuse_askers(&why);
            self.order(id).drop_bundle();
            let record = &mut self.orders.state_mut(id).record;
            become_another(record, after, &handle, now);
            keep_floor(record, &last_asked);
            keep_tokens(record, &used);
            self.orders.state_mut(id).pending = Pending::default();
            // The command that wanted it polled now meant the other number.
            self.orders.state_mut(id).urgent = false;
            self.order(id).note(
                Level::Info,
                NoteKind::Reconfigured,
                format!("now collects {}", after.handle.describe()),
            );
        } else if before != after && self.orders.state(id).record.phase.needs_person() {
            self.orders.state_mut(id).record.unknowns = 0;
            self.orders.state_mut(id).pending.broken = false;
            let state = self.orders.state_mut(id);
            state.pending.verify |= !state.bundle.is_none();
            if self.order(id).change_phase(Trigger::Resumed, None)
                && self.orders.state(id).record.phase != Phase::Quarantined
            {
                self.order(id).note(Level::Info, NoteKind::Resumed, "resumed: its entry was changed".into());
            }
        }
        let key_or_policy = before.key != after.key
            || before.settings.verify != after.settings.verify
            || before.settings.trust_anchors != after.settings.trust_anchors
            || before.domains != after.domains;
        if key_or_policy
            && !self.orders.state(id).bundle.is_none()
            && self.orders.state(id).record.staged.is_none()
        {
            if self.orders.state(id).busy == Busy::Local(Work::Stage) {
                // It is on its way to readers. If that fails it is verified before the next try.
                self.orders.state_mut(id).pending.verify = true;
            } else {
                self.order(id).rejudge_bundle();
            }
            if let Some(trouble) = &mut self.orders.state_mut(id).record.trouble {
                trouble.next = now.time;
            }
        }
        let files = before.settings.files != after.settings.files
            || before.copies != after.copies
            || before.settings.group != after.settings.group;
        self.orders.judge_window(id);
        let state = self.orders.state(id);
        let is_installed = state.record.installed.is_some()
            && (state.record.phase != Phase::Collected || state.record.is_held());
        // What is on its way to readers was begun as the entry was before.
        if files && (is_installed || state.busy == Busy::Local(Work::Stage)) {
            self.orders.state_mut(id).pending.look = true;
        }
        if self.orders.state(id).busy != Busy::Calling {
            self.order(id).set_due();
        }
        self.order(id).schedule_probes();
        self.order(id).touch();
    }

    /// Files stay, the record stays in the state, nothing is polled any more.
    fn remove_order(&mut self, id: OrderId) {
        let name = self.orders.name_of(id);
        self.order(id).tell_removed();
        self.hooks().unready(id);
        let why = format!("{name} is no longer configured");
        self.outbox.refuse_waiters(id, &why);
        self.order(id).refuse_askers(&why);
        self.hooks().end_rehearsals(id);
        let state = self.orders.state_mut(id);
        state.removed = true;
        let state = self.orders.state_mut(id);
        let remembered = Remembered {
            record: state.record.clone(),
            bundle: std::mem::take(&mut state.bundle).certificates().cloned(),
        };
        let (queued, timed, gate) = (state.queued.take(), state.timed.take(), state.gate);
        if let Some(queued) = queued {
            self.gates[gate].queue.remove(&(queued, id));
        }
        self.gates[gate].wishes.remove(&id);
        if let Some(timed) = timed {
            self.orders.timers.remove(&(timed, id));
        }
        self.orders.archive.insert(name.clone(), remembered);
        self.orders.by_name.remove(&name, &self.orders.states);
        let derived = self.outbox.unsaved.derived.remove(&id);
        if self.outbox.unsaved.orders.remove(&id) || derived {
            self.outbox.unsaved.archived.insert(name);
        }
        self.outbox.unsaved.bundles.remove(&id);
    }
}

impl Engine {
    /// Adopted orders that the written configuration now has are no longer adopted.
    pub(crate) fn give_up_adopted(&mut self, written: &Config) {
        let (taken, left) = std::mem::take(&mut self.orders.adopted)
            .into_iter()
            .partition(|adopted| adopted.is_configured(written));
        self.orders.adopted = left;
        for gone in taken {
            let text = format!(
                "order {} was adopted as {} after a replacement; the configuration has it now and takes precedence",
                gone.number, gone.name
            );
            match self.orders.find(&gone.name) {
                Some(id) => self.order(id).note(Level::Info, NoteKind::TakenOver, text),
                None => self.note(Level::Info, NoteKind::TakenOver, text),
            }
            self.outbox.unsaved.adopted.insert(gone.name);
        }
    }

    /// Adds an order to those that are collected.
    pub(crate) fn adopt_order(&mut self, adopted: Adopted) {
        self.outbox.unsaved.adopted.insert(adopted.name.clone());
        self.orders.adopted.push(adopted);
        self.config = joined(&self.config, &self.orders.adopted);
        self.add_orders();
    }
}
