//! Rehearsals: an order's hooks run one after the other against what is installed.

use std::sync::Arc;

use crate::config::{Hook, HookEvent};
use crate::engine::hooks::Hooks;
use crate::engine::hooks::ledger::{Company, Rehearsal, RunPurpose};
use crate::engine::hooks::run::{HookResult, outcome};
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
                Work::Verify | Work::Look | Work::RollBack | Work::Quarantine | Work::Sweep | Work::Probe,
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
        let left: Vec<Arc<Hook>> =
            configured.iter().filter_map(|hook| self.config.hook(hook)).cloned().collect();
        if left.is_empty() {
            return self.outbox.reply(token, true, &format!("{name} has no hooks"));
        }
        self.ledger.rehearsals.push(Rehearsal {
            token,
            order: id,
            run: None,
            current: None,
            left,
            results: Vec::new(),
            ok: true,
        });
    }

    /// A rehearsal begins once nothing else is under way for its order.
    pub(crate) fn start_rehearsals(&mut self, stopping: bool) {
        let begins = |engine: &Hooks, rehearsal: &Rehearsal| {
            let idle = engine.orders.state(rehearsal.order).busy == Busy::Idle;
            rehearsal.run.is_none() && (idle || stopping)
        };
        while let Some(at) = self.ledger.rehearsals.iter().position(|rehearsal| begins(self, rehearsal)) {
            if stopping {
                let token = self.ledger.rehearsals.remove(at).token;
                self.outbox.reply(token, false, "certcollectd is stopping");
            } else {
                self.rehearse_on(at);
            }
        }
    }

    fn rehearse_on(&mut self, at: usize) {
        let id = self.ledger.rehearsals[at].order;
        if self.ledger.rehearsals[at].left.is_empty() {
            let done = self.ledger.rehearsals.remove(at);
            self.outbox.reply(done.token, done.ok, &done.results.join("\n"));
            return;
        }
        let hook = self.ledger.rehearsals[at].left.remove(0);
        let event = hook.on.first().copied().unwrap_or(HookEvent::Installed);
        self.ledger.rehearsals[at].current = Some(hook.name.clone());
        let company = Company { orders: vec![id], subjects: vec![self.subject(id, event)], apart: true };
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
        let name = rehearsal.current.take().unwrap_or_default();
        rehearsal.ok &= !matches!(result, HookResult::Failed { .. });
        rehearsal.results.push(format!("hook {name}: {}", outcome(result)));
        self.rehearse_on(at);
    }
}
