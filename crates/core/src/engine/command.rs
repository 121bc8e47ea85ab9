//! The operator's word.

use crate::engine::account::Accounts;
use serde::{Deserialize, Serialize};

use super::event::Effect;
use super::id::{OrderId, Token};
use super::note::Level;
use super::order::slot::PollOutcome;
use super::order::{Order, Phase, Trigger};
use super::time::rfc3339;
use super::{Busy, Engine, NoteKind};
use crate::api::Replace;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    Poll(String),
    /// Take an order up again that needed attention.
    Resume(String),
    /// Let one probe through on a closed account, with another password than the one that was refused.
    ResumeAccount(String),
    /// The same with whatever password is there.
    ResumeSamePassword(String),
    /// Install what is in quarantine, or what was rolled back from.
    Accept(String),
    /// Put the generation before the current one back.
    Rollback(String),
    Rehearse(String),
    /// End what is remembered of an order that is configured no more.
    Forget(String),
    /// Ask the vendor for the state of an order's domains.
    Domains(Target),
    /// Have the collection mail of an S/MIME order sent again.
    Resend(Target),
    Replace(Box<ReplaceCommand>),
}

/// Which order of the vendor's a command is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// One that is configured, by its name.
    Order(String),
    Number {
        /// `orderNumber`, 1 to 128 characters.
        number: String,
        /// On which account; needed where there are several and no configured order has the number.
        account: Option<String>,
    },
}

/// What `smime replace` wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplaceCommand {
    pub account: Option<String>,
    pub replace: Replace,
    /// The name under which the new order is to be collected.
    pub adopt: Option<String>,
    /// Sent although it may have been sent before.
    pub again: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandReply {
    /// Whether what was wanted was done.
    pub ok: bool,
    /// In words, lines separated by line ends.
    pub text: String,
    /// The same for machines, where there is more to tell than the words; else null.
    pub data: serde_json::Value,
}

impl CommandReply {
    /// The key in [`CommandReply::data`] after a poll: what its answer says of the login.
    pub const LOGIN: &str = "login";
    /// Its value where the answer cannot have come without an accepted login.
    pub const ACCEPTED: &str = "accepted";
    /// Its value where the vendor refused the login.
    pub const REFUSED: &str = "refused";

    pub fn new(ok: bool, text: impl Into<String>) -> Self {
        CommandReply { ok, text: text.into(), data: serde_json::Value::Null }
    }
}

impl Order<'_> {
    fn poll_now(&mut self, token: Token) {
        if let Some(why) = self.why_not_polled() {
            let text = format!("{} was not polled: {why}", self.slot.name.clone());
            return self.outbox.reply(token, false, &text);
        }
        self.ask_now(token);
    }

    fn why_not_polled(&self) -> Option<String> {
        let record = &self.slot.record;
        let stopped = || {
            let reason = record.reason.as_deref().unwrap_or("a person must act");
            let (phase, name) = (record.phase.predicate(), self.slot.name.clone());
            format!("it {phase}: {reason}; `certcollectd resume {name}` takes it up again")
        };
        self.gate.shut(self.config, self.outbox, self.now).or_else(|| record.phase.is_stopped().then(stopped))
    }

    fn ask_now(&mut self, token: Token) {
        self.slot.urgent = self.slot.busy != Busy::Calling;
        self.wait_for(token, true);
    }

    pub(super) fn wait_for(&mut self, token: Token, needs_call: bool) {
        self.outbox.wait_for(self.id, token, needs_call);
    }

    /// Where an order stands, in a few sentences.
    fn describe(&self) -> String {
        let record = &self.slot.record;
        let name = self.slot.name.clone();
        let mut lines = vec![match &record.reason {
            Some(reason) => format!("{name} {}: {reason}", record.phase.predicate()),
            None => format!("{name} {}", record.phase.predicate()),
        }];
        if let Some(heard) = &record.heard {
            lines.push(format!("the vendor: {}", heard.text));
        }
        if let Some(installed) = &record.installed {
            lines.push(format!(
                "installed: serial {}, valid until {}",
                installed.serial,
                rfc3339(installed.not_after)
            ));
        }
        if let Some(trouble) = &record.trouble {
            lines.push(format!("trouble: {}", trouble.text));
        }
        for debt in record.owed() {
            let outcome = debt.outcome.as_deref().unwrap_or("not tried yet");
            lines.push(format!("hook {} is owed: {outcome}", debt.hook));
        }
        lines.push(self.next_poll());
        lines.join("\n")
    }

    fn accept(&mut self, token: Token) {
        let name = self.slot.name.clone();
        let slot = &mut *self.slot;
        let record = &mut slot.record;
        if record.rollback && record.trouble.is_some() {
            // What keeps the older generation from its place must not keep newer ones out.
            self.give_rollback_up("the newer certificate is wanted");
            let text = format!(
                "{name}: the rollback was given up; what is installed now stays, newer certificates are taken again"
            );
            return self.outbox.reply(token, true, &text);
        }
        if let Some(trouble) = record.trouble.as_ref().filter(|_| slot.pending.unread) {
            let text = format!("{name} waits to be installed, not to be accepted: {}", trouble.text);
            return self.outbox.reply(token, false, &text);
        }
        if record.staged.is_some() || record.phase == Phase::Collected {
            return self.outbox.reply(token, false, &being_deployed(&name));
        }
        let is_known = record.phase == Phase::Quarantined && !record.leafless;
        let leaf = slot.bundle.as_ref().filter(|_| is_known);
        if let Some(leaf) = leaf.and_then(|bundle| bundle.first()) {
            record.accepted = Some(leaf.fingerprint());
            slot.pending.verify = true;
            slot.hold_until = None;
            let text = "the quarantined certificate is accepted by the operator";
            self.note(Level::Warn, NoteKind::Accepted, text.into());
            self.outbox.save_first();
            self.wait_for(token, false);
            return self.touch();
        }
        let Some(refused) = record.refused.take() else {
            let known = self.revocation_accepted();
            let known = known.then(|| "the announced revocation is no alarm any more".to_owned());
            let missed = self.coverage_accepted();
            let missed = missed.map(|names| format!("{names} is not missed any more"));
            let settled: Vec<String> = known.into_iter().chain(missed).collect();
            if !settled.is_empty() {
                return self.outbox.reply(token, true, &format!("{name}: accepted; {}", settled.join("; ")));
            }
            let record = &self.slot.record;
            if record.phase == Phase::Quarantined && record.leafless {
                let why = record.reason.as_deref().unwrap_or_default();
                let text = format!(
                    "{name}: which certificate to install is not known, so there is none to accept: {why}"
                );
                return self.outbox.reply(token, false, &text);
            }
            let stopped = match record.phase.is_stopped() {
                true => {
                    format!(
                        ": it {}; `certcollectd resume {name}` takes it up again",
                        record.phase.predicate()
                    )
                }
                false => String::new(),
            };
            return self.outbox.reply(token, false, &format!("{name} has nothing in quarantine{stopped}"));
        };
        // Rolled back from: collected again, then installed.
        record.accepted = Some(refused);
        let text = "the certificate that was rolled back is accepted again";
        self.note(Level::Info, NoteKind::Accepted, text.into());
        self.touch();
        self.outbox.save_first();
        if let Some(why) = self.why_not_polled() {
            let text =
                format!("{name}: accepted; it is installed once it has been collected again, but {why}");
            return self.outbox.reply(token, false, &text);
        }
        self.ask_now(token);
    }
}

impl Accounts<'_> {
    /// A command waiting for a poll that cannot be made at present need not wait for that to end. The order
    /// stays due; but an account that is closed can be so for weeks, and then the poll is no longer what was
    /// wanted.
    pub(super) fn refuse_waiters(&mut self, gate: usize) {
        if self.outbox.waiters.is_empty() || self.gates[gate].in_flight.is_some() {
            return;
        }
        let Some(why) = self.gates[gate].shut(&self.config, &self.outbox, self.now) else { return };
        let waiting = |id: &OrderId| self.orders.slot(*id).gate == gate && self.orders.slot(*id).urgent;
        let ids: Vec<OrderId> = self.outbox.waiters.keys().copied().filter(waiting).collect();
        for id in ids {
            if self.gates[gate].record.not_before(self.now.time).is_none() {
                self.orders.slot_mut(id).urgent = false;
            }
            let (name, next) = (self.orders.slot_name(id), self.order(id).next_poll());
            let (refused, others) = self
                .outbox
                .waiters
                .remove(&id)
                .unwrap_or_default()
                .into_iter()
                .partition::<Vec<_>, _>(|waiter| waiter.needs_call);
            if !others.is_empty() {
                self.outbox.waiters.insert(id, others);
            }
            for waiter in refused {
                self.outbox.reply(
                    waiter.token,
                    false,
                    &format!("{name} was not polled: nothing was sent: {why}; {next}"),
                );
            }
        }
    }
}

impl Engine {
    pub(super) fn commanded(&mut self, token: Token, command: Command) {
        if self.stopping {
            return self.outbox.reply(token, false, "certcollectd is stopping");
        }
        let (name, carry_out): (_, fn(&mut Engine, Token, OrderId)) = match &command {
            Command::Poll(name) => (name, |engine, token, id| engine.order(id).poll_now(token)),
            Command::Accept(name) => (name, |engine, token, id| engine.order(id).accept(token)),
            Command::Rollback(name) => (name, |engine, token, id| engine.order(id).want_rollback(token)),
            Command::Resume(name) => (name, Engine::resume),
            Command::Rehearse(name) => (name, |engine, token, id| engine.hooks().rehearse(token, id)),
            Command::ResumeAccount(account) => return self.accounts().resume_account(token, account, false),
            Command::ResumeSamePassword(account) => {
                return self.accounts().resume_account(token, account, true);
            }
            Command::Forget(name) => return self.forget(token, name),
            Command::Domains(target) => return self.accounts().want_domains(token, target),
            Command::Resend(target) => return self.accounts().want_resend(token, target),
            Command::Replace(command) => return self.accounts().want_replacement(token, command.clone()),
        };
        let Some(id) = self.orders.find(name) else {
            return self.outbox.reply(
                token,
                false,
                &format!("no order named {} is configured", crate::api::Untrusted::new(name)),
            );
        };
        carry_out(self, token, id);
    }

    /// Replies to those who wait for an order, once it has come to rest.
    pub(super) fn answer_waiters(&mut self, id: OrderId) {
        if !self.outbox.waiters.contains_key(&id) {
            return;
        }
        let slot = self.orders.slot(id);
        let at_rest = slot.busy == Busy::Idle && !slot.ready;
        let work = self.orders.slot(id).local_work().is_some_and(|(at, _)| at <= self.now.time);
        let debts = slot.record.owed().any(|debt| debt.next.is_some_and(|next| next <= self.now.time));
        if !at_rest || work || debts {
            return;
        }
        let text = self.order(id).describe();
        let slot = self.orders.slot(id);
        let closed = self.gates.get(slot.gate).is_some_and(|gate| gate.record.closed.is_some());
        let (called, login) = match slot.poll_outcome {
            PollOutcome::Nothing => (false, "unknown"),
            PollOutcome::Answer => (!closed, "unknown"),
            PollOutcome::Refused => (false, CommandReply::REFUSED),
            PollOutcome::Login => (true, CommandReply::ACCEPTED),
        };
        let ok = !slot.record.phase.needs_person() && slot.record.trouble.is_none();
        let urgent = slot.urgent;
        let waiters = self.outbox.waiters.remove(&id).unwrap_or_default();
        // A poll still to be made delays no one who waits for something else.
        let (calls, done): (Vec<_>, Vec<_>) =
            waiters.into_iter().partition(|waiter| urgent && waiter.needs_call);
        if !calls.is_empty() {
            self.outbox.waiters.insert(id, calls);
        }
        for waiter in done {
            let mut reply = CommandReply::new(ok && (called || !waiter.needs_call), &*text);
            if waiter.needs_call {
                reply.data = serde_json::json!({ CommandReply::LOGIN: login });
            }
            self.outbox.say(Effect::Reply { token: waiter.token, reply });
        }
    }

    fn resume(&mut self, token: Token, id: OrderId) {
        let now = self.now;
        self.orders.slot_mut(id).pending.broken = false;
        let record = &mut self.orders.slot_mut(id).record;
        let stopped = record.phase.needs_person();
        record.unknowns = 0;
        record.failures = 0;
        if let Some(trouble) = &mut record.trouble {
            trouble.next = now.time;
        }
        for debt in record.debts.iter_mut().filter(|debt| debt.next.is_some()) {
            debt.next = Some(now.time);
        }
        if self.orders.slot(id).bundle.is_some() {
            self.orders.slot_mut(id).pending.verify = true;
        }
        if let Some(number) = self.order(id).known_number().map(str::to_owned) {
            let gate = self.orders.slot(id).gate;
            self.accounts().settle_replacement(gate, |known| known == number);
        }
        if stopped {
            self.order(id).change_phase(Trigger::Resumed, None);
            self.order(id).note(Level::Info, NoteKind::Resumed, "taken up again by the operator".into());
        }
        self.order(id).set_due();
        self.outbox.save_first();
        self.order(id).poll_now(token);
    }
}

pub(super) fn being_deployed(name: &str) -> String {
    format!("{name} is being deployed; try again when that is done")
}
