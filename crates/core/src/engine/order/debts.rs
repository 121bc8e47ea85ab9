//! The hooks that an order owes: owed until they have worked.

use std::sync::Arc;

use crate::config::HookEvent;
use crate::engine::hooks::ledger::Key;
use crate::engine::hooks::run::{HookResult, outcome};
use crate::engine::note::{ALARM_AFTER, Level, NoteKind};
use crate::engine::order::Order;
use crate::engine::order::record::Debt;
use crate::engine::order::state::Busy;
use crate::engine::time::in_words;
use crate::engine::{note, schedule};

impl Order<'_> {
    /// Enters the order's hooks for an event; what was owed for the same event before is replaced, and
    /// what has begun is not over.
    pub(crate) fn owe_hooks(&mut self, event: HookEvent) {
        let now = self.now;
        let hooks = self.entry().settings.hooks_for(event);
        let listens = |name: &Arc<str>| Some((name.clone(), self.config.hook(name)?.listens(event)?));
        let wanted: Vec<(Arc<str>, HookEvent)> = hooks.iter().filter_map(listens).collect();
        let record = &mut self.state.record;
        let is_untrue = |debt: &Debt| event.lasts() && debt.event == HookEvent::Recovered;
        self.state.pending.unready |= record.owed().any(is_untrue);
        record.debts.retain(|debt| !is_untrue(debt) && (debt.event != event || hooks.contains(&debt.hook)));
        for (hook, event) in wanted {
            let fresh = Debt::new(hook.clone(), event, now);
            match record.debts.iter_mut().find(|debt| debt.hook == hook && debt.event == event) {
                Some(debt) => *debt = fresh,
                None => record.debts.push(fresh),
            }
        }
        self.touch();
    }

    /// A hook that is no longer configured cannot run; reports it, and drops the debt.
    pub(crate) fn forgive(&mut self, hook: &str, event: HookEvent) {
        let record = &mut self.state.record;
        let is_meant = |debt: &Debt| &*debt.hook == hook && debt.event == event;
        let owed = record.owed().any(is_meant);
        record.debts.retain(|debt| !is_meant(debt));
        if owed {
            let text = format!(
                "hook {hook} was owed ({}), but is no longer configured for this order; dropped",
                event.as_str()
            );
            self.note(Level::Warn, NoteKind::HookDropped, text);
        }
        self.finish_deploying();
        self.touch();
    }

    /// A run for it is begun.
    pub(crate) fn run_started(&mut self, key: &Key) {
        self.state.ready = false;
        if let Some(debt) = self.debt(key) {
            debt.started = true;
            debt.tries += 1;
        }
        self.touch();
    }

    /// The run was not begun after all.
    pub(crate) fn run_dropped(&mut self, key: &Key) {
        self.state.busy = Busy::Idle;
        if let Some(debt) = self.debt(key) {
            debt.started = false;
            debt.tries = debt.tries.saturating_sub(1);
        }
    }

    fn debt(&mut self, (hook, event): &Key) -> Option<&mut Debt> {
        self.state.record.debts.iter_mut().find(|debt| debt.hook == *hook && debt.event == *event)
    }

    /// How a run for so many orders ended.
    pub(crate) fn record_result(&mut self, key: &Key, orders: usize, result: &HookResult) {
        let now = self.now;
        let kept = if self.state.record.installed.is_some() { "the files stay installed, " } else { "" };
        // One that came to be owed anew meanwhile has a run of its own.
        let Some(debt) = self.debt(key).filter(|debt| debt.started) else { return };
        let outcome = outcome(result);
        debt.started = false;
        debt.ended = Some(now.unix());
        debt.outcome = Some(outcome.as_str().into());
        let tries = debt.tries;
        let (hook, event) = (&key.0, key.1.as_str());
        let (shared, next) = match orders {
            0 | 1 => (String::new(), ""),
            _ if key.1 == HookEvent::Installed => {
                (format!(" in a run for {orders} orders"), ", each in a run of its own")
            }
            _ => (format!(" in a message about {orders} orders"), ""),
        };
        match result {
            HookResult::Done | HookResult::NotForMe => {
                debt.next = None;
                let text = format!("hook {hook} ({event}){shared}: {outcome}");
                self.note(Level::Info, NoteKind::HookDone, text);
                self.finish_deploying();
            }
            HookResult::Failed { .. } => {
                let wait = schedule::hook(tries);
                debt.next = Some(now.time + wait);
                let often = if tries > 1 { format!(", {tries} times in a row") } else { String::new() };
                let text = format!(
                    "hook {hook} ({event}){shared}: {outcome}{often}; {kept}next try in {}{next}",
                    in_words(wait)
                );
                let level = note::level_of(tries);
                if tries <= ALARM_AFTER {
                    self.note(level, NoteKind::HookFailed, text);
                } else {
                    self.log(level, NoteKind::HookFailed, text);
                }
            }
        }
        self.touch();
    }
}
