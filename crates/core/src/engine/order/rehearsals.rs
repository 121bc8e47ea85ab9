//! Rehearsals by the calendar: the hooks of an installed order run now and then, so that one which no longer works is
//! noticed before it is needed.

use std::time::Duration;

use crate::config::HookEvent;
use crate::engine::note::{Level, NoteKind};
use crate::engine::order::Order;
use crate::engine::order::phase::{Phase, Standing};
use crate::engine::order::record::Rehearsed;
use crate::engine::order::state::OrderState;
use crate::engine::schedule;
use crate::engine::time::{Time, in_words};

/// One that failed is repeated after this, or sooner if rehearsals are.
const AGAIN: Duration = Duration::from_secs(24 * 3600);

impl OrderState {
    /// When its hooks are rehearsed: while it is guarded, and nothing is owed.
    pub(crate) fn rehearsal(&self) -> Option<Time> {
        let record = &self.record;
        let is_settled = record.phase == Phase::Guarding && record.standing() == Standing::Installed;
        record.rehearsed.as_ref()?.next.filter(|_| is_settled && !self.quiet)
    }
}

impl Order<'_> {
    /// Whether a hook puts its certificates into use.
    fn is_reloaded_by_a_hook(&self) -> bool {
        let hooks = self.entry().settings.hooks.iter().filter_map(|hook| self.config.hook(hook));
        hooks.into_iter().any(|hook| hook.on.contains(&HookEvent::Installed))
    }

    /// Finds out when the next rehearsal is due. The first ones are spread over the second half of the period.
    pub(crate) fn schedule_rehearsal(&mut self) {
        let every = self.config.rehearsal.filter(|_| self.is_reloaded_by_a_hook());
        let every = every.filter(|_| self.state.record.installed.is_some());
        let known = self.state.record.rehearsed.as_deref().and_then(|rehearsed| rehearsed.next);
        let next = every.map(|every| {
            let latest = self.now.time + every;
            let first = || self.now.time + schedule::within(every / 2, every, &self.state.name);
            known.map_or_else(first, |known| known.min(latest))
        });
        if next == known {
            return;
        }
        let rehearsed = self.state.record.rehearsed.get_or_insert_default();
        rehearsed.next = next;
        self.state.record.rehearsed.take_if(|rehearsed| **rehearsed == Rehearsed::default());
        self.touch();
    }

    /// It waits for a window of its order; a clock that was set is noticed after a day.
    pub(crate) fn postpone_rehearsal(&mut self, wait: Duration) {
        let wait = wait.clamp(Duration::from_secs(1), AGAIN);
        self.state.record.rehearsed.get_or_insert_default().next = Some(self.now.time + wait);
        self.touch();
    }

    /// One is about to begin.
    pub(crate) fn rehearsal_begun(&mut self) {
        let every = self.config.rehearsal.unwrap_or(AGAIN);
        let next = self.now.time + every;
        self.state.record.rehearsed.get_or_insert_default().next = Some(next);
        self.touch();
    }

    /// How it ended: which hook failed, and how.
    pub(crate) fn rehearsed(&mut self, failed: Option<String>) {
        let every = self.config.rehearsal;
        let wait = every.map(|every| if failed.is_some() { every.min(AGAIN) } else { every });
        let again = wait.map(|wait| format!("; again in {}", in_words(wait))).unwrap_or_default();
        let before = self.state.record.rehearsed.take();
        let was_failing = before.is_some_and(|before| before.failed.is_some());
        let (level, kind, text) = match &failed {
            Some(why) => {
                let text = format!(
                    "the rehearsal failed: {why}; what is installed stays, and is served as before{again}"
                );
                (Level::Warn, NoteKind::HookFailed, text)
            }
            None => (Level::Info, NoteKind::HookDone, format!("the rehearsal worked, for every hook{again}")),
        };
        self.state.record.rehearsed = Some(Box::new(Rehearsed {
            next: wait.map(|wait| self.now.time + wait),
            at: Some(self.now.unix()),
            failed: failed.map(String::into_boxed_str),
        }));
        self.touch();
        if was_failing && level == Level::Warn {
            self.log(level, kind, text);
        } else {
            self.note(level, kind, text);
        }
    }
}
