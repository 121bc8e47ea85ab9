//! One order: everything decided about it, through a view that reaches no other order.

pub(crate) mod alarms;
pub(crate) mod answers;
pub(crate) mod bundle;
pub(crate) mod commands;
pub mod contents;
pub(crate) mod coverage;
pub(crate) mod debts;
pub(crate) mod deploy;
pub(crate) mod domains;
pub(crate) mod expiry;
pub(crate) mod floor;
pub(crate) mod guard;
pub(crate) mod hints;
pub mod lifetime;
pub mod names;
pub mod phase;
pub(crate) mod polls;
pub(crate) mod probes;
pub mod record;
pub(crate) mod rehearsals;
pub(crate) mod rollback;
pub(crate) mod state;
pub(crate) mod unread;
pub(crate) mod usual;
pub(crate) mod verdict;
pub mod window;

use crate::config;
use crate::config::Config;
use crate::engine::account::gate::Gate;
use crate::engine::event::Effect;
use crate::engine::id::OrderId;
use crate::engine::note::{Level, Note, NoteKind};
use crate::engine::order::phase::{Phase, Trigger, transition};
use crate::engine::order::state::OrderState;
use crate::engine::outbox::Outbox;
use crate::engine::time::Now;

/// One order, while it is decided about: reaches no other order, and only reads its account.
pub(crate) struct Order<'a> {
    pub(crate) id: OrderId,
    pub(crate) now: Now,
    pub(crate) config: &'a Config,
    pub(crate) state: &'a mut OrderState,
    pub(crate) gate: &'a Gate,
    pub(crate) identity: &'a str,
    pub(crate) outbox: &'a mut Outbox,
}

impl<'a> Order<'a> {
    pub(crate) fn entry(&self) -> &'a config::Order {
        &self.config.orders[self.state.entry]
    }

    /// Marks its record as changed.
    pub(crate) fn touch(&mut self) {
        self.outbox.unsaved.orders.insert(self.id);
        self.outbox.flush_soon(self.now);
    }

    /// Marks the record as changed in a way that a start arrives at again.
    pub(crate) fn touch_derived(&mut self) {
        self.outbox.unsaved.derived.insert(self.id);
        self.outbox.flush_soon(self.now);
    }

    /// Logged and remembered.
    pub(crate) fn note(&mut self, level: Level, kind: NoteKind, text: String) {
        let note = self.compose(level, kind, text);
        self.outbox.note(note, self.now);
    }

    /// Logged, not remembered: repetitions would push everything else out of the bounded history.
    pub(crate) fn log(&mut self, level: Level, kind: NoteKind, text: String) {
        let note = self.compose(level, kind, text);
        self.outbox.say(Effect::Report(note));
    }

    /// Moves the order to another phase, by the table; whether phase or reason changed.
    pub(crate) fn change_phase(&mut self, trigger: Trigger, reason: Option<String>) -> bool {
        let now = self.now;
        let record = &mut self.state.record;
        let old = record.phase;
        let new = transition(old, trigger, record.standing());
        let reason: Option<Box<str>> = reason.map(String::into_boxed_str);
        let changed = new != old || (new.needs_person() && record.reason != reason);
        if new != old {
            record.phase = new;
            record.since = now.unix();
            if new == Phase::Waiting {
                record.waiting_since = now.time;
            }
        }
        if new != old || reason.is_some() {
            record.reason = reason;
        }
        self.touch();
        changed
    }

    fn compose(&self, level: Level, kind: NoteKind, text: String) -> Note {
        let order = Some(self.state.name.clone());
        Note { level, kind, order, account: None, at: self.now.unix(), text }
    }
}
