//! Commands for one order.

use crate::cert::Fingerprint;
use crate::engine::id::Token;
use crate::engine::note::{Level, NoteKind};
use crate::engine::order::Order;
use crate::engine::order::phase::Phase;
use crate::engine::order::state::Busy;
use crate::engine::time::rfc3339;

impl Order<'_> {
    pub(crate) fn poll_now(&mut self, token: Token) {
        if let Some(why) = self.why_not_polled() {
            let text = format!("{} was not polled: {why}", self.state.name.clone());
            return self.outbox.reply(token, false, &text);
        }
        self.ask_now(token);
    }

    fn why_not_polled(&self) -> Option<String> {
        let record = &self.state.record;
        let stopped = || {
            let reason = record.reason.as_deref().unwrap_or("the operator must act");
            let (phase, name) = (record.phase.predicate(), self.state.name.clone());
            format!("it {phase}: {reason}; run `certcollectd resume {name}` to continue")
        };
        self.gate
            .why_shut(self.config, self.outbox, self.now)
            .or_else(|| record.phase.is_stopped().then(stopped))
    }

    fn ask_now(&mut self, token: Token) {
        self.state.urgent = self.state.busy != Busy::Calling;
        self.wait_for(token, true);
    }

    pub(crate) fn wait_for(&mut self, token: Token, needs_call: bool) {
        self.outbox.wait_for(self.id, token, needs_call);
    }

    /// Where an order stands, in a few sentences.
    pub(crate) fn describe(&self) -> String {
        let record = &self.state.record;
        let name = self.state.name.clone();
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
        lines.extend(self.waits_for());
        for debt in record.owed() {
            let outcome = debt.outcome.as_deref().unwrap_or("not tried yet");
            lines.push(format!("hook {} is owed: {outcome}", debt.hook));
        }
        lines.push(self.next_poll());
        lines.join("\n")
    }

    pub(crate) fn accept(&mut self, token: Token, now: bool) {
        let name = self.state.name.clone();
        let state = &mut *self.state;
        let record = &mut state.record;
        if record.rollback && record.trouble.is_some() {
            // A failing rollback must not keep newer generations out.
            self.give_rollback_up("the operator wants the newer certificate");
            let text = format!(
                "{name}: the rollback was cancelled; the current certificate stays, newer ones are installed again"
            );
            return self.outbox.reply(token, true, &text);
        }
        if let Some(trouble) = record.trouble.as_ref().filter(|_| state.pending.unread) {
            let text = format!("{name} is waiting for installation, not for acceptance: {}", trouble.text);
            return self.outbox.reply(token, false, &text);
        }
        if let Some(held) = record.held.as_ref().map(|held| held.leaf).filter(|_| record.is_held()) {
            return self.accept_held(token, held, now);
        }
        if record.staged.is_some() || record.phase == Phase::Collected {
            return self.outbox.reply(token, false, &being_deployed(&name));
        }
        let is_known = record.phase == Phase::Quarantined && !record.leafless;
        let leaf = state.underway.bundle.certificates().filter(|_| is_known);
        if let Some(leaf) = leaf.and_then(|bundle| bundle.first()) {
            let leaf = leaf.fingerprint();
            record.accepted = Some(leaf);
            if now {
                record.at_once = Some(leaf);
            }
            state.pending.verify = true;
            state.underway.hold_until = None;
            let text = "the operator accepted the quarantined certificate";
            self.note(Level::Warn, NoteKind::Accepted, text.into());
            self.outbox.save_first();
            self.wait_for(token, false);
            return self.touch();
        }
        let Some(rolled_back) = record.rolled_back_from.take() else {
            let known = self.revocation_accepted();
            let known = known.then(|| "the alarm of the announced revocation is cleared".to_owned());
            let missed = self.coverage_accepted();
            let missed = missed.map(|names| format!("no longer required: {names}"));
            let settled: Vec<String> = known.into_iter().chain(missed).collect();
            if !settled.is_empty() {
                return self.outbox.reply(token, true, &format!("{name}: accepted; {}", settled.join("; ")));
            }
            let record = &self.state.record;
            if record.phase == Phase::Quarantined && record.leafless {
                let why = record.reason.as_deref().unwrap_or_default();
                let text = format!(
                    "{name}: it is unknown which certificate to install, so there is none to accept: {why}"
                );
                return self.outbox.reply(token, false, &text);
            }
            let stopped = match record.phase.is_stopped() {
                true => {
                    format!(": it {}; run `certcollectd resume {name}` to continue", record.phase.predicate())
                }
                false => String::new(),
            };
            return self.outbox.reply(token, false, &format!("{name} has nothing in quarantine{stopped}"));
        };
        // Rolled back from: collected again, then installed.
        record.accepted = Some(rolled_back);
        if now {
            record.at_once = Some(rolled_back);
        }
        self.forget_probe_rollback();
        let text = "the operator accepted the rolled-back certificate again";
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

impl Order<'_> {
    /// Its certificate waits for a window: only the word for now is an answer to that.
    fn accept_held(&mut self, token: Token, leaf: Fingerprint, now: bool) {
        if !now {
            let name = &self.state.name;
            let text = format!("{name}: nothing to accept; {}", self.waits_for().unwrap_or_default());
            return self.outbox.reply(token, false, &text);
        }
        self.hurry(leaf);
        let text = "the operator wants the certificate that waits for a window installed now";
        self.note(Level::Warn, NoteKind::Accepted, text.into());
        self.outbox.save_first();
        self.wait_for(token, false);
    }
}

pub(crate) fn being_deployed(name: &str) -> String {
    format!("{name} is being deployed; try again when that is done")
}
