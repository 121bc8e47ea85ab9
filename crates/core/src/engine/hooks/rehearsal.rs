//! Rehearsals: an order's hooks run one after the other against what is installed, by an operator's word or by the
//! calendar.

use std::sync::Arc;

use crate::config::{Hook, HookEvent};
use crate::engine::calendar::Calendar;
use crate::engine::hooks::Hooks;
use crate::engine::hooks::ledger::{Company, Rehearsal, RunPurpose};
use crate::engine::hooks::run::{HookResult, outcome};
use crate::engine::hooks::told;
use crate::engine::id::{OrderId, RunId, Token};
use crate::engine::order::state::{Busy, Work};

impl Hooks<'_> {
    pub(crate) fn rehearse(&mut self, token: Token, id: OrderId) {
        let name = self.orders.name_of(id);
        if self.orders.state(id).record.installed.is_none() {
            return self.outbox.reply(
                token,
                false,
                &format!("{name} has nothing installed to rehearse with"),
            );
        }
        // Installing files or running a hook can take long; everything else is waited for.
        let is_in_the_way = match self.orders.state(id).busy {
            Busy::Local(Work::Stage | Work::Activate) | Busy::Hook => true,
            Busy::Local(
                Work::Verify
                | Work::Look
                | Work::RollBack
                | Work::Quarantine
                | Work::Sweep
                | Work::Probe
                | Work::ReadRequest
                | Work::Survey,
            )
            | Busy::Idle
            | Busy::Calling => false,
        };
        if is_in_the_way {
            return self.outbox.reply(
                token,
                false,
                &format!("{name} is being installed; try again in a moment"),
            );
        }
        let configured = &self.entry(id).settings.hooks;
        let known = configured.iter().filter_map(|hook| self.config.hook(hook));
        let left: Vec<Arc<Hook>> = known.filter(|hook| !hook.is_for_proofs()).cloned().collect();
        if left.is_empty() {
            return self.outbox.reply(token, true, &format!("{name} has no hooks"));
        }
        self.ledger.rehearsals.push(Rehearsal::new(Some(token), id, left));
    }

    /// The same where it is due, for the hooks that put a certificate into use.
    pub(crate) fn rehearse_by_calendar(&mut self, id: OrderId) {
        let state = self.orders.state(id);
        let is_due = state.rehearsal().is_some_and(|at| at <= self.now.time);
        if !is_due || state.ready || state.removed || state.busy != Busy::Idle {
            return;
        }
        // A reload that fails is no better in a freeze than a certificate that is wrong.
        let opening = Calendar::of(self.config, self.entry(id)).opening(self.now.unix());
        if !opening.is_open() {
            let wait = opening.wait(self.now.unix());
            return self.order(id).postpone_rehearsal(wait);
        }
        let hooks = self.entry(id).settings.hooks.iter().filter_map(|hook| self.config.hook(hook));
        let left = hooks.filter(|hook| hook.on.contains(&HookEvent::Installed)).cloned().collect();
        self.order(id).rehearsal_begun();
        // The one before still waits for its turn.
        if self.ledger.rehearsals.iter().any(|rehearsal| rehearsal.order == id) {
            return;
        }
        self.ledger.rehearsals.push(Rehearsal::new(None, id, left));
        self.start_rehearsals(false);
    }

    /// A rehearsal begins, and goes on, once nothing else is under way for its order and its next hook may run. By the
    /// calendar it has time: what is owed comes first.
    pub(crate) fn start_rehearsals(&mut self, stopping: bool) {
        let begins = |engine: &Hooks, rehearsal: &Rehearsal| {
            let idle = engine.orders.state(rehearsal.order).busy == Busy::Idle;
            let is_free = |hook: &Arc<Hook>| {
                let is_owed = engine.ledger.ready.keys().any(|(owed, _)| *owed == hook.name);
                engine.ledger.has_room_for(&hook.name) && (rehearsal.token.is_some() || !is_owed)
            };
            rehearsal.run.is_none() && (stopping || idle && rehearsal.left.first().is_none_or(is_free))
        };
        while let Some(at) = self.ledger.rehearsals.iter().position(|rehearsal| begins(self, rehearsal)) {
            if stopping {
                if let Some(token) = self.ledger.rehearsals.remove(at).token {
                    self.outbox.reply(token, false, "certcollectd is stopping");
                }
            } else {
                self.rehearse_on(at);
            }
        }
    }

    fn rehearse_on(&mut self, at: usize) {
        let id = self.ledger.rehearsals[at].order;
        if self.ledger.rehearsals[at].left.is_empty() {
            let done = self.ledger.rehearsals.remove(at);
            if let Some(token) = done.token {
                self.outbox.reply(token, done.ok, &done.results.join("\n"));
            }
            if done.reloads && !self.orders.state(id).removed {
                self.order(id).rehearsed(done.failed);
            }
            return;
        }
        let hook = self.ledger.rehearsals[at].left.remove(0);
        let is_reload = hook.on.contains(&HookEvent::Installed);
        let first = hook.on.first().copied();
        let event = if is_reload { HookEvent::Installed } else { first.unwrap_or(HookEvent::Installed) };
        self.ledger.rehearsals[at].current = Some(hook.clone());
        let subject = told::rehearsed(self.subject(id, event), self.now);
        let company = Company { orders: vec![id], subjects: vec![subject], apart: true };
        let run = self.run_hook(hook, event, company, RunPurpose::Rehearsal);
        self.ledger.rehearsals[at].run = Some(run);
    }

    /// A running hook may finish; nothing else runs for an order that is gone.
    pub(crate) fn end_rehearsals(&mut self, id: OrderId) {
        let name = self.orders.name_of(id);
        for rehearsal in self.ledger.rehearsals.iter_mut().filter(|rehearsal| rehearsal.order == id) {
            for hook in std::mem::take(&mut rehearsal.left) {
                rehearsal.ok = false;
                rehearsal
                    .results
                    .push(format!("hook {}: not run, {name} is no longer configured", hook.name));
            }
        }
        let waits = |rehearsal: &Rehearsal| rehearsal.order == id && rehearsal.run.is_none();
        while let Some(at) = self.ledger.rehearsals.iter().position(waits) {
            self.rehearse_on(at);
        }
    }

    pub(crate) fn rehearsed(&mut self, run: RunId, result: &HookResult) {
        let Some(at) = self.ledger.rehearsals.iter().position(|rehearsal| rehearsal.run == Some(run)) else {
            return;
        };
        let rehearsal = &mut self.ledger.rehearsals[at];
        let Some(hook) = rehearsal.current.take() else { return };
        let failed = matches!(result, HookResult::Failed { .. });
        let text = format!("hook {}: {}", hook.name, outcome(result));
        rehearsal.ok &= !failed;
        if hook.on.contains(&HookEvent::Installed) {
            rehearsal.reloads = true;
            if failed {
                rehearsal.failed.get_or_insert_with(|| text.clone());
            }
        }
        rehearsal.results.push(text);
        rehearsal.run = None;
        if rehearsal.left.is_empty() {
            self.rehearse_on(at);
        }
    }
}
