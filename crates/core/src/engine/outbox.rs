//! What one event leads to: effects, reports, and the save that comes before them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::engine::changes::Changes;
use crate::engine::command::CommandReply;
use crate::engine::event::Effect;
use crate::engine::id::{OrderId, Token};
use crate::engine::note::Note;
use crate::engine::schedule;
use crate::engine::time::{Now, Time};

/// Changes that nothing waits for are saved after this, unless a call carries them along sooner: so a
/// pending poll costs one sync, shared by its result and the due time of the next.
const LAZY_SAVE: Duration = Duration::from_secs(1);

/// What an answer brought is saved after this, unless what follows from it is known sooner and saved along with it.
const SOON: Duration = Duration::from_millis(50);

/// Consecutive failed saves after which a process that should end does: the cause may outlast it.
const PATIENCE: u32 = 3;

/// Between two tries to save what would be forgotten with the end of the process.
const LAST_TRIES: Duration = Duration::from_secs(1);

/// Maximum number of rows that a save takes along for nobody's sake.
const ALONG: usize = 256;

/// Maximum number of history lines kept while the state cannot be saved.
const MAX_UNSAVED: usize = 1000;

/// What changed since the last save.
#[derive(Debug, Default)]
pub(crate) struct Unsaved {
    pub(crate) orders: BTreeSet<OrderId>,
    /// Orders whose rows a start would work out again as they are. With very many, the first call does not wait for
    /// them; readers of the state do.
    pub(crate) derived: BTreeSet<OrderId>,
    /// By index into the gates.
    pub(crate) accounts: BTreeSet<usize>,
    pub(crate) bundles: BTreeSet<OrderId>,
    pub(crate) adopted: BTreeSet<Arc<str>>,
    /// Orders that changed although they are not configured.
    pub(crate) archived: BTreeSet<Arc<str>>,
    /// Orders whose history and bundle go.
    pub(crate) forgotten: BTreeSet<Arc<str>>,
    /// Former names of accounts, whose rows must not be taken for the account again.
    pub(crate) left_names: BTreeSet<Arc<str>>,
    history: Vec<Note>,
    /// The relation of this boot to the wall clock.
    pub(crate) offset: bool,
}

/// A command that waits until its order has nothing left to do at present.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waiter {
    pub(crate) token: Token,
    /// Whether a call is part of what is wanted, so that a closed account, or no answer, is a failure.
    pub(crate) needs_call: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pub(crate) unsaved: Unsaved,
    /// Commands that wait for an order.
    pub(crate) waiters: BTreeMap<OrderId, Vec<Waiter>>,
    /// Carried out only once what they rely on is saved.
    effects: Vec<Effect>,
    messages: Vec<Effect>,
    save_now: bool,
    flush_at: Option<Time>,
    failed_saves: u32,
    /// Nothing that relies on a save is started before this.
    held_until: Option<Time>,
}

impl Outbox {
    /// An effect that relies on the save before it.
    pub(crate) fn start(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// A report, a reply, or a look at files or at a credential.
    pub(crate) fn say(&mut self, effect: Effect) {
        self.messages.push(effect);
    }

    /// See [`Waiter`].
    pub(crate) fn wait_for(&mut self, id: OrderId, token: Token, needs_call: bool) {
        self.waiters.entry(id).or_default().push(Waiter { token, needs_call });
    }

    /// Answers all commands that wait for an order with a refusal.
    pub(crate) fn refuse_waiters(&mut self, id: OrderId, why: &str) {
        for waiter in self.waiters.remove(&id).unwrap_or_default() {
            self.reply(waiter.token, false, why);
        }
    }

    pub(crate) fn reply(&mut self, token: Token, ok: bool, text: &str) {
        self.say(Effect::Reply { token, reply: CommandReply::new(ok, text) });
    }

    /// Logged and remembered.
    pub(crate) fn note(&mut self, note: Note, now: Now) {
        self.remember(note.clone(), now);
        self.say(Effect::Report(note));
    }

    /// A line of the history.
    fn remember(&mut self, note: Note, now: Now) {
        if self.unsaved.history.len() < MAX_UNSAVED {
            self.unsaved.history.push(note);
        }
        self.flush_soon(now);
    }

    pub(crate) fn flush_soon(&mut self, now: Now) {
        if self.flush_at.is_none() {
            self.flush_at = Some(self.held_until.unwrap_or(now.time + LAZY_SAVE));
        }
    }

    /// As [`Outbox::flush_soon`], for what would take hours to get again.
    pub(crate) fn flush_at_once(&mut self, now: Now) {
        let soon = self.held_until.unwrap_or(now.time + SOON);
        self.flush_at = Some(self.flush_at.map_or(soon, |at| at.min(soon)));
    }

    /// What changed must be durable before anything else happens.
    pub(crate) fn save_first(&mut self) {
        self.save_now = true;
    }

    /// Whether the last save failed; nothing is started until one succeeds.
    pub(crate) fn is_held(&self) -> bool {
        self.held_until.is_some()
    }

    pub(crate) fn held_until(&self) -> Option<Time> {
        self.held_until
    }

    pub(crate) fn flush_at(&self) -> Option<Time> {
        self.flush_at
    }

    pub(crate) fn failed_saves(&self) -> u32 {
        self.failed_saves
    }

    /// Whether saving has failed so often that a process which should end must stop waiting for it.
    pub(crate) fn gives_up(&self) -> bool {
        self.is_held() && self.failed_saves >= PATIENCE
    }

    /// Any other event than a failed save: the last save succeeded, if there was one.
    pub(crate) fn no_save_failed(&mut self) {
        if !self.is_held() {
            self.failed_saves = 0;
        }
    }

    /// The next try is due.
    pub(crate) fn release(&mut self, now: Now) {
        if self.held_until.is_some_and(|until| until <= now.time) {
            self.held_until = None;
        }
    }

    /// What could not be saved so far is tried again at once, by a process that ends.
    pub(crate) fn try_at_once(&mut self, now: Now) {
        if self.held_until.take().is_some() {
            self.flush_at = Some(now.time);
        }
    }

    /// The next try need not be waited for; says whether one was.
    pub(crate) fn cause_is_gone(&mut self, now: Now) -> bool {
        let Some(held) = &mut self.held_until else { return false };
        *held = now.time;
        self.failed_saves = 0;
        self.flush_at = Some(now.time);
        true
    }

    /// A save failed, with these lines of the history; says when the next is tried.
    pub(crate) fn retry_later(&mut self, history: Vec<Note>, stopping: bool, now: Now) -> Duration {
        self.failed_saves += 1;
        let wait = schedule::local(self.failed_saves);
        let wait = if stopping { wait.min(LAST_TRIES) } else { wait };
        self.held_until = Some(now.time + wait);
        self.flush_at = Some(now.time + wait);
        let newer = std::mem::replace(&mut self.unsaved.history, history);
        self.unsaved.history.extend(newer);
        wait
    }

    /// Whether this event ends in a save.
    pub(crate) fn saves(&self, stopping: bool, now: Now) -> bool {
        let relies = self.save_now || !self.effects.is_empty();
        let due = self.flush_at.is_some_and(|at| at <= now.time);
        due || ((relies || stopping) && !self.is_held())
    }

    /// The rows to be saved are taken; the history with them.
    pub(crate) fn take(&mut self, stopping: bool, now: Now) -> (Unsaved, Vec<Note>) {
        self.flush_at = None;
        let mut unsaved = std::mem::take(&mut self.unsaved);
        let history = std::mem::take(&mut unsaved.history);
        let mut derived = std::mem::take(&mut unsaved.derived);
        derived.retain(|id| !unsaved.orders.contains(id));
        if let Some(rest) = derived.iter().nth(ALONG).copied().filter(|_| !stopping) {
            self.unsaved.derived = derived.split_off(&rest);
            self.flush_soon(now);
        }
        unsaved.orders.extend(derived);
        (unsaved, history)
    }

    /// The list of effects, with the save in its place.
    pub(crate) fn drain(&mut self, changes: Option<Changes>) -> Vec<Effect> {
        let mut list = Vec::with_capacity(self.effects.len() + self.messages.len() + 1);
        list.extend(
            changes.filter(|changes| !changes.is_empty()).map(|changes| Effect::Save(Box::new(changes))),
        );
        if self.is_held() && list.is_empty() {
            self.messages.iter_mut().for_each(not_on_record);
        }
        self.save_now = false;
        list.append(&mut self.messages);
        list.append(&mut self.effects);
        list
    }
}

/// What is not saved must not be reported as done.
pub(crate) fn not_on_record(effect: &mut Effect) {
    if let Effect::Reply { reply, .. } = effect
        && reply.ok
    {
        reply.ok = false;
        reply.text.push_str(
            "\nthis is not saved yet, because the state cannot be written (the log says why); it is saved as \
             soon as possible, and lost if certcollectd ends before that",
        );
    }
}
