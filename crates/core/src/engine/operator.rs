//! Commands: carried out, and answered.

use crate::config::Fleet;
use crate::engine::Engine;
use crate::engine::command::{Command, CommandReply, ReissueCommand};
use crate::engine::event::Effect;
use crate::engine::id::{OrderId, Token};
use crate::engine::note::{Level, NoteKind};
use crate::engine::order::phase::Trigger;
use crate::engine::order::state::{Busy, PollOutcome};

impl Engine {
    pub(crate) fn commanded(&mut self, token: Token, command: Command) {
        if self.stopping {
            return self.outbox.reply(token, false, "certcollectd is stopping");
        }
        if command.asks_the_vendor() && self.config.fleet.as_ref().is_some_and(Fleet::is_follower) {
            let text = "a follower asks the vendor nothing: what the collectors publish is taken by itself";
            return self.outbox.reply(token, false, text);
        }
        let (name, carry_out): (_, fn(&mut Engine, Token, OrderId)) = match &command {
            Command::Poll(name) => (name, |engine, token, id| engine.order(id).poll_now(token)),
            Command::Accept(name) => (name, |engine, token, id| engine.order(id).accept(token, false)),
            Command::AcceptNow(name) => (name, |engine, token, id| engine.order(id).accept(token, true)),
            Command::Rollback(name) => (name, |engine, token, id| engine.order(id).want_rollback(token)),
            Command::Resume(name) => (name, Engine::resume),
            Command::WithdrawReissue(name) => {
                (name, |engine, token, id| engine.order(id).withdraw_reissue(token))
            }
            Command::Rehearse(name) => (name, |engine, token, id| engine.hooks().rehearse(token, id)),
            Command::ResumeAccount(account) => return self.accounts().resume_account(token, account, false),
            Command::ResumeSamePassword(account) => {
                return self.accounts().resume_account(token, account, true);
            }
            Command::TakeOver(takeovers) => return self.take_over(token, takeovers.clone()),
            Command::CheckTakeOver(takeovers) => return self.check_take_over(token, takeovers),
            Command::Forget(name) => return self.forget(token, name),
            Command::Fleet(_) => {
                let text = "this host is in no fleet: its configuration has no [fleet]";
                return self.outbox.reply(token, false, text);
            }
            Command::Domains(target) => return self.accounts().want_domains(token, target),
            Command::Resend(target) => return self.accounts().want_resend(token, target),
            Command::Reissue(command) => {
                return self.want_reissue(token, ReissueCommand::clone(command));
            }
            Command::ResumeReissues(account) => {
                return self.accounts().resume_reissues(token, account.as_deref());
            }
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

    fn want_reissue(&mut self, token: Token, command: ReissueCommand) {
        match self.orders.find(&command.order) {
            Some(id) => self.order(id).want_reissue(token, command),
            None => {
                let name = crate::api::Untrusted::new(&command.order);
                self.outbox.reply(token, false, &format!("no order named {name} is configured"));
            }
        }
    }

    /// Replies to the commands that wait for an order's re-issue.
    pub(crate) fn answer_askers(&mut self, id: OrderId) {
        if self.orders.state(id).reissuing.is_some() {
            self.order(id).answer_askers();
        }
    }

    /// Replies to the commands that wait for an order, once it has nothing left to do at present.
    pub(crate) fn answer_waiters(&mut self, id: OrderId) {
        if !self.outbox.waiters.contains_key(&id) {
            return;
        }
        let state = self.orders.state(id);
        let at_rest = state.busy == Busy::Idle && !state.ready;
        let work = self.orders.state(id).local_work().is_some_and(|(at, _)| at <= self.now.time);
        let debts = state.record.payable().any(|debt| debt.next.is_some_and(|next| next <= self.now.time));
        if !at_rest || work || debts {
            return;
        }
        let text = self.order(id).describe();
        let state = self.orders.state(id);
        let closed = self.gates.get(state.gate).is_some_and(|gate| gate.record.closed.is_some());
        let (called, login) = match state.poll_outcome {
            PollOutcome::Nothing => (false, "unknown"),
            PollOutcome::Answer => (!closed, "unknown"),
            PollOutcome::Refused => (false, CommandReply::REFUSED),
            PollOutcome::Login => (true, CommandReply::ACCEPTED),
        };
        let ok = !state.record.phase.needs_person() && state.record.trouble.is_none();
        let urgent = state.urgent;
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
        self.orders.state_mut(id).pending.broken = false;
        let record = &mut self.orders.state_mut(id).record;
        let stopped = record.phase.needs_person();
        record.unknowns = 0;
        record.failures = 0;
        if let Some(trouble) = &mut record.trouble {
            trouble.next = now.time;
        }
        for debt in record.debts.iter_mut().filter(|debt| debt.next.is_some()) {
            debt.next = Some(now.time);
        }
        let state = self.orders.state_mut(id);
        state.pending.verify |= !state.bundle.is_none();
        if let Some(number) = self.order(id).known_number().map(str::to_owned) {
            let gate = self.orders.state(id).gate;
            self.accounts().settle_replacement(gate, |known| known == number);
        }
        if stopped {
            self.order(id).change_phase(Trigger::Resumed, None);
            self.order(id).note(Level::Info, NoteKind::Resumed, "resumed by the operator".into());
        }
        self.order(id).set_due();
        self.outbox.save_first();
        self.order(id).poll_now(token);
    }
}
