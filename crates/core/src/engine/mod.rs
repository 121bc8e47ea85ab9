//! Decides; does nothing.
//!
//! [`Engine::handle`] is the way in: an event and the time go in, a list of effects comes out.
//! [`Engine::next_wake`] says when to come back. It never awaits, and it has no clock, no file and no random
//! source, so the same events at the same times give the same effects.
//!
//! Two rules hold for every list: a [`Effect::Save`] stands before the effects that rely on it, and at most
//! one effect is under way per order and one call per account.
//!
//! The modules: [`order`] is one order's way from the vendor's answer to its files, [`account`] whether and how an account
//! calls, [`hooks`] what is owed to the servers; [`outbox`] what one event leads to, and the save before it. Beside
//! them stand what sets them going ([`command`], [`push`], `reload`) and the arithmetic ([`schedule`],
//! [`time`]).

pub mod account;
pub mod adopted;
pub mod alarm;
pub(crate) mod by_name;
pub mod calendar;
pub mod changes;
pub mod command;
pub mod event;
pub mod finding;
pub mod forget;
pub mod hooks;
pub mod id;
pub mod install;
pub mod loaded;
pub mod note;
pub mod order;
pub mod outbox;
pub mod probe;
pub mod push;
pub mod reissue;
pub mod schedule;
pub mod takeover;
pub mod tally;
pub mod time;
pub mod vitals;

mod notices;
mod operator;
mod orders;
mod published;
mod reload;
mod row;
mod same_number;
mod saving;
mod summary;
mod wording;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::api::{Answer, Failure};
use crate::cert::Certificate;
use crate::config::Config;
use crate::engine::account::Accounts;
use crate::engine::account::gate::{Gate, Purpose, Turn, gate_of};
use crate::engine::account::record::CredentialTag;
use crate::engine::adopted::joined;
use crate::engine::by_name::ByName;
use crate::engine::event::{Effect, Event};
use crate::engine::hooks::Hooks;
use crate::engine::hooks::ledger::Ledger;
use crate::engine::id::OrderId;
use crate::engine::loaded::{Loaded, Remembered};
use crate::engine::note::{Level, Note, NoteKind};
use crate::engine::notices::Notices;
use crate::engine::order::state::Busy;
use crate::engine::order::{Order, alarms};
use crate::engine::orders::Orders;
use crate::engine::outbox::Outbox;
use crate::engine::published::Published;
use crate::engine::push::Recent;
use crate::engine::tally::Tallies;
use crate::engine::time::{Now, TICK, Time};

/// A step of the wall clock by more than this is noticed, in milliseconds.
const CLOCK_STEP: i64 = 1000;

/// The deciding part of the daemon.
#[derive(Debug)]
pub struct Engine {
    /// When the event that is being handled came.
    now: Now,
    config: Arc<Config>,
    orders: Orders,
    gates: Vec<Gate>,
    ledger: Ledger,
    notices: Notices,
    /// Push notifications that were kept lately.
    recent: Recent,
    stopping: bool,
    tallies: Tallies,
    offset: Option<i64>,
    /// What is due later is left to another process.
    horizon: Option<Time>,
    /// No call begins after this.
    calls_until: Time,
    /// Publications that wait for their orders.
    published: BTreeMap<OrderId, Published>,
    outbox: Outbox,
}

impl Engine {
    /// An engine for this configuration that continues from the state.
    pub fn new(config: Arc<Config>, mut loaded: Loaded, now: Now) -> Engine {
        let written = config;
        let renamed = loaded.follow_renames(&written);
        let config = joined(&written, &loaded.adopted);
        let mut engine = Engine {
            now,
            orders: Orders {
                states: Vec::with_capacity(config.orders.len()),
                by_name: ByName::with_capacity(config.orders.len()),
                identity: loaded.identity,
                adopted: loaded.adopted,
                archive: loaded.orders,
                ..Orders::default()
            },
            config,
            gates: Vec::new(),
            ledger: Ledger::default(),
            notices: Notices::default(),
            recent: Recent::default(),
            stopping: false,
            tallies: Tallies::default(),
            offset: None,
            horizon: None,
            calls_until: Time::MAX,
            published: BTreeMap::new(),
            outbox: Outbox::default(),
        };
        engine.outbox.unsaved.adopted.extend(renamed.adopted);
        engine.outbox.unsaved.archived.extend(renamed.orders);
        engine.outbox.unsaved.left_names.extend(renamed.left);
        for (name, record) in engine.accounts().add_gates(loaded.accounts) {
            engine.accounts().keep_account(name, record);
        }
        for (name, record) in renamed.nameless {
            let gate = engine.accounts().keep_account(name, record);
            engine.accounts().touch_gate(gate);
            engine.outbox.save_first();
        }
        for account in renamed.accounts {
            if let Some(gate) = gate_of(&engine.gates, &account) {
                engine.accounts().touch_gate(gate);
                engine.outbox.save_first();
            }
        }
        engine.add_orders();
        engine.give_up_adopted(&written);
        for id in engine.orders.ids() {
            engine.recount(id);
        }
        engine
    }

    /// Acts only for the order of this name, for a process that runs one command.
    pub fn attend_to(&mut self, name: Option<&str>) {
        for state in &mut self.orders.states {
            state.quiet = name.is_none_or(|name| &*state.name != name);
        }
    }

    /// Makes no polls that come due after this: with many orders, the first are due again before the last have been
    /// polled, and a process that should end never would.
    pub fn poll_only_until(&mut self, horizon: Time) {
        self.horizon = Some(horizon);
    }

    /// No call begins after this, until an [`Event::CallsUntil`] says another time.
    pub fn call_only_until(&mut self, last: Time) {
        self.calls_until = last;
    }

    /// Handles one event; returns what to do, in order.
    pub fn handle(&mut self, event: Event, now: Now) -> Vec<Effect> {
        self.now = now;
        if !matches!(event, Event::SaveFailed { .. }) {
            self.outbox.no_save_failed();
        }
        self.notice_clock();
        match event {
            Event::Started => {
                self.started();
                // A closed account whose credential may have changed while no process ran.
                for gate in 0..self.gates.len() {
                    self.accounts().check_credential(gate);
                }
            }
            Event::TookOver => {
                self.started();
                self.accounts().find_credentials();
            }
            Event::Woke => {}
            Event::Answered { account, outcome, credential } => {
                self.answered(&account, outcome, credential);
            }
            Event::CredentialTagged { account, tag } => self.accounts().credential_tagged(&account, tag),
            Event::CredentialTouched { account } => self.accounts().credential_touched(&account),
            Event::Inspected { order, inspection } => {
                let on_record = self.orders.names_under_old_name(order);
                self.order(order).inspected(*inspection, &on_record);
            }
            Event::Installed { order, result } => {
                let leaf = self.order(order).installed(result);
                self.in_place(order, leaf);
            }
            Event::Activated { order, result } => {
                let leaf = self.order(order).activated(result);
                self.in_place(order, leaf);
            }
            Event::RequestRead { order, found } => self.order(order).request_read(*found),
            Event::Surveyed { order, survey } => self.order(order).surveyed(&survey),
            Event::Probed { run, answers } => self.order(run.order).probed(&run, answers),
            Event::Tidied { order, problem } => self.order(order).tidied(problem),
            Event::Panicked { order } => self.order(order).panicked(),
            Event::HookEnded { run, result } => {
                if let Some((told, key)) = self.hooks().hook_ended(run, &result) {
                    self.notice_told(&told, &key, &result);
                }
            }
            Event::SaveFailed { changes, dropped, error } => self.save_failed(*changes, dropped, &error),
            Event::StateBack => self.state_back(),
            Event::Hinted { hint } => self.hinted(&hint),
            Event::Commanded { token, command } => self.commanded(token, command),
            Event::Misconfigured => self.notices.misconfigured = true,
            Event::Configured { config } => {
                self.notices.misconfigured = false;
                self.configured(config);
            }
            Event::Published { order, generation, bundle } => self.published(&order, generation, bundle),
            Event::CallsUntil { last } => self.calls_until = last,
            Event::Stopping => self.begin_shutdown(),
        }
        self.outbox.release(now);
        self.take_published();
        let stopping = self.stopping;
        self.hooks().start_rehearsals(stopping);
        self.catch_up(Time::MIN);
        // A safety net: a bug in what follows must not make it due again at once.
        let later = now.time + TICK;
        if !self.stopping && !self.outbox.is_held() {
            self.run_due();
            self.catch_up(later);
            for hook in self.hooks().waiting() {
                self.hooks().start(&hook);
                self.catch_up(later);
            }
            self.start_calls();
        }
        self.catch_up(later);
        self.give_notice();
        self.drain_effects()
    }

    /// When to call [`Engine::handle`] with [`Event::Woke`], if nothing happens before.
    pub fn next_wake(&self) -> Option<Time> {
        let held = self.outbox.held_until();
        let timers = self.orders.timers.first().map(|(time, _)| *time);
        let calls = self.gates.iter().filter_map(|gate| gate.next_call(self.config.calls.call_gap)).min();
        let calls = calls.filter(|time| self.now.time.max(*time) <= self.calls_until);
        let hooks = self.ledger.next_wake();
        let work = [timers, calls, hooks].into_iter().flatten().min().filter(|_| !self.stopping);
        let work = work.map(|time| held.map_or(time, |held| time.max(held)));
        let notice = self.next_notice().filter(|_| !self.stopping);
        [work, notice, self.outbox.flush_at()].into_iter().flatten().min()
    }

    /// Until when something of a call may still reach the vendor, if what is under way is given up now.
    pub fn arrives_until(&self) -> Time {
        let calls = self.gates.iter().map(|gate| match gate.in_flight {
            Some(_) => self.now.time + self.config.calls.settle,
            None => gate.record.may_arrive_until(),
        });
        calls.max().unwrap_or(Time::MIN)
    }

    /// Whether nothing is under way outside the engine and nothing waits to be saved.
    pub fn is_idle(&self) -> bool {
        !self.is_busy() && self.outbox.flush_at().is_none()
    }

    /// Whether anything is under way outside the engine.
    pub fn is_busy(&self) -> bool {
        !self.orders.busy.is_empty()
            || !self.ledger.running.is_empty()
            || self.gates.iter().any(|gate| gate.in_flight.is_some())
    }

    /// All records, without bundles; costs a pass over all orders.
    pub fn records(&self) -> Loaded {
        let present = self.orders.states.iter().filter(|state| !state.removed);
        let present = present.map(|state| (&state.name, &state.record));
        let others = self.orders.archive.iter().map(|(name, known)| (name, &known.record));
        Loaded {
            orders: present
                .chain(others)
                .map(|(name, record)| (name.clone(), Remembered { record: record.clone(), bundle: None }))
                .collect(),
            accounts: self.gates.iter().map(|gate| (gate.name.clone(), gate.record.clone())).collect(),
            adopted: self.orders.adopted.clone(),
            identity: self.orders.identity.clone(),
        }
    }

    /// The records of orders that are not configured, without bundles.
    pub fn unconfigured(&self) -> Loaded {
        let records = self.orders.archive.iter();
        let records = records
            .map(|(name, known)| (name.clone(), Remembered { record: known.record.clone(), bundle: None }));
        Loaded { orders: records.collect(), ..Loaded::default() }
    }

    /// The configuration on disk was changed and is invalid.
    pub fn is_misconfigured(&self) -> bool {
        self.notices.misconfigured
    }

    /// Saves that failed in a row.
    pub fn failed_saves(&self) -> u32 {
        self.outbox.failed_saves()
    }

    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    fn started(&mut self) {
        self.orders.look_at_all(self.now.time);
        self.orders.changed.extend(self.orders.ids());
    }

    /// The wall clock was set: reschedules what depends on dates, and saves the new offset.
    fn notice_clock(&mut self) {
        let offset = self.now.offset();
        if self.offset.is_some_and(|known| (known - offset).abs() <= CLOCK_STEP) {
            return;
        }
        let first = self.offset.is_none();
        self.offset = Some(offset);
        self.outbox.unsaved.offset = true;
        self.outbox.flush_soon(self.now);
        if !first {
            self.note(
                Level::Warn,
                NoteKind::Clock,
                "the system clock was set; schedules are not affected".into(),
            );
            // What an earlier boot wrote is read by wall time at a start; from now on that would be off by
            // this step. Rewritten, it is on this boot's own timeline.
            for gate in 0..self.gates.len() {
                self.accounts().touch_gate(gate);
            }
            for id in self.orders.ids() {
                if !self.orders.state(id).removed {
                    self.order(id).touch();
                }
            }
            self.orders.judge_windows();
            // Warnings stand in the timers by what the clock showed.
            self.orders.changed.extend(self.orders.ids());
        }
    }

    fn accounts(&mut self) -> Accounts<'_> {
        Accounts {
            now: self.now,
            config: &self.config,
            gates: &mut self.gates,
            orders: &mut self.orders,
            outbox: &mut self.outbox,
        }
    }

    fn hooks(&mut self) -> Hooks<'_> {
        Hooks {
            now: self.now,
            config: &self.config,
            ledger: &mut self.ledger,
            orders: &mut self.orders,
            gates: &self.gates,
            calls_until: self.calls_until,
            outbox: &mut self.outbox,
        }
    }

    fn order(&mut self, id: OrderId) -> Order<'_> {
        self.orders.order(id, self.now, &self.config, &self.gates, &mut self.outbox)
    }

    /// Readers see a certificate, if one was put into place.
    fn in_place(&mut self, order: OrderId, leaf: Option<Certificate>) {
        if let Some(leaf) = leaf {
            let gate = self.orders.state(order).gate;
            self.accounts().settle_collected(gate, &leaf);
        }
    }

    /// Logs and remembers something about the process as a whole.
    fn note(&mut self, level: Level, kind: NoteKind, text: String) {
        let note = Note { level, kind, order: None, account: None, at: self.now.unix(), text };
        self.outbox.note(note, self.now);
    }

    /// Updates the indexes for every changed order: the busy set, its gate's queue, and the timers (there not before
    /// `earliest`), its tally, and the commands waiting for it.
    fn catch_up(&mut self, earliest: Time) {
        for id in std::mem::take(&mut self.orders.changed) {
            self.raise_alarms(id);
            if std::mem::take(&mut self.orders.states[id.0 as usize].pending.unready) {
                self.hooks().unready(id);
            }
            self.reindex(id, earliest);
            self.recount(id);
            self.orders.states[id.0 as usize].tidy();
            self.answer_waiters(id);
            self.answer_askers(id);
        }
    }

    fn raise_alarms(&mut self, id: OrderId) {
        let state = self.orders.state(id);
        if state.removed || state.quiet {
            return;
        }
        let entry = &self.config.orders[state.entry];
        if let Some(alarms) = alarms::due(entry, &state.record, self.now) {
            self.order(id).raise_alarms(alarms);
        }
    }

    fn recount(&mut self, id: OrderId) {
        let state = &mut self.orders.states[id.0 as usize];
        let new = state.tally();
        self.tallies.recount(&mut state.tally, new);
    }

    fn reindex(&mut self, id: OrderId, earliest: Time) {
        let queued = self.orders.state(id).next_call(self.horizon);
        let timed = self.orders.state(id).next_work(self.now).map(|at| at.max(earliest));
        let state = &mut self.orders.states[id.0 as usize];
        if state.busy == Busy::Idle {
            self.orders.busy.remove(&id);
        } else {
            self.orders.busy.insert(id);
        }
        if state.queued != queued {
            let queue = &mut self.gates[state.gate].queue;
            if let Some(old) = state.queued {
                queue.remove(&(old, id));
            }
            if let Some(new) = queued {
                queue.insert((new, id));
            }
            state.queued = queued;
        }
        if state.timed != timed {
            if let Some(old) = state.timed {
                self.orders.timers.remove(&(old, id));
            }
            if let Some(new) = timed {
                self.orders.timers.insert((new, id));
            }
            state.timed = timed;
        }
    }

    /// Starts the local work that is due.
    fn run_due(&mut self) {
        while let Some((time, id)) = self.orders.timers.first().copied() {
            if time > self.now.time {
                break;
            }
            self.orders.timers.pop_first();
            self.orders.state_mut(id).timed = None;
            self.order(id).warn_of_expiry();
            self.order(id).warn_of_term();
            match self.orders.state(id).local_work().filter(|(at, _)| *at <= self.now.time) {
                Some((_, work)) => self.order(id).start_local(work),
                None => {
                    self.hooks().queue_debts(id);
                    self.hooks().rehearse_by_calendar(id);
                }
            }
        }
    }
}

impl Engine {
    pub(crate) fn answered(
        &mut self,
        account: &str,
        outcome: Result<Answer, Failure>,
        credential: Option<CredentialTag>,
    ) {
        let Some((gate, purpose, news)) = self.accounts().hear_first(account, outcome, credential) else {
            return;
        };
        match purpose {
            Purpose::Poll { order, asked } => self.accounts().polled(gate, order, &asked, news),
            Purpose::SideCall(side_call) => {
                if let Some(adopted) = self.accounts().side_call_ended(gate, side_call, news) {
                    self.adopt_order(adopted);
                }
            }
        }
    }

    /// Starts a call on every account that has one to make and whose gate allows it.
    pub(crate) fn start_calls(&mut self) {
        let gap = self.config.calls.call_gap;
        for gate in 0..self.gates.len() {
            self.accounts().refuse_side_calls(gate);
            self.accounts().refuse_waiters(gate);
            self.catch_up(self.now.time + TICK);
            while self.now.time <= self.calls_until
                && let Some(turn) = self.gates[gate].next_turn(gap, self.now.time)
            {
                match turn {
                    Turn::SideCall => self.accounts().start_next_side_call(gate),
                    Turn::Poll(id) => self.accounts().start_call(gate, id),
                    Turn::Wish(id) => self.accounts().start_wish(gate, id),
                }
            }
        }
    }
}
