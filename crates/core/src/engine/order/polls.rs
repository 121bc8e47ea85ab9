//! An order's polls: the request, and when it is polled next.

use crate::api::code::Class;
use crate::api::{Product, Request};
use crate::config::Fleet;
use crate::engine::account::gate::{Asked, Before};
use crate::engine::order::phase::Phase;
use crate::engine::order::state::{Busy, PollOutcome};
use crate::engine::order::{Order, lifetime};
use crate::engine::schedule;
use crate::engine::time::{Time, rfc3339};

impl Order<'_> {
    /// A poll goes out that arrives at `arrives` at the latest. What is asked, and about what.
    pub(crate) fn begin_poll(&mut self, arrives: Time) -> (Request, Asked) {
        let request = self.collect_request();
        let entry = self.entry();
        let handle: Box<str> = entry.handle.identity().into();
        let state = &mut *self.state;
        let (urgent, hinted) = (std::mem::take(&mut state.urgent), state.record.take_hint());
        state.poll_outcome = PollOutcome::Nothing;
        state.busy = Busy::Calling;
        let record = &mut state.record;
        let before =
            Before { polled: record.polled, due: record.due, failures: record.failures, urgent, hinted };
        // Recorded before the call, as if its end would never be known.
        record.account = entry.account.clone();
        record.handle = handle.clone();
        record.polled = Some(arrives);
        record.failures += 1;
        record.polls = record.polls.wrapping_add(1);
        self.set_due();
        (request, Asked { handle, endpoint: entry.settings.product.endpoint(), before })
    }

    /// Sets the next poll from what the record says.
    pub(crate) fn set_due(&mut self) {
        let due = self.due_after_poll();
        self.state.record.due = due;
        self.touch();
    }

    /// When the order is to be polled next, derived from its record alone, so that a restart or a changed
    /// cadence arrives at the same time again.
    pub(crate) fn due_after_poll(&self) -> Option<Time> {
        let entry = self.entry();
        let cadence = &entry.settings.cadence;
        let record = &self.state.record;
        let Some(polled) = record.polled else { return Some(self.now.time) };
        let at = self.now.wall_of(polled).div_euclid(1000);
        let waited = polled.since(record.waiting_since);
        let class = record.heard.as_ref().and_then(|heard| heard.class());
        let is_urgent = !record.is_held() && lifetime::is_near(record.installed.as_deref(), at);
        let guard = schedule::guarded(cadence, is_urgent);
        let delay = match record.phase {
            Phase::Attention | Phase::Rejected | Phase::Revoked => return None,
            // Even without a guard: only polls show what becomes of a re-issue.
            Phase::Guarding | Phase::Deploying if record.failures == 0 && self.watches_reissue() => {
                schedule::pending(cadence, self.reissue_age())
            }
            Phase::Guarding | Phase::Deploying if self.watches_reissue() => {
                schedule::backed_off(cadence, record.failures)
            }
            // Without a guard nothing installed is asked about, whatever the last answer was.
            Phase::Guarding | Phase::Deploying | Phase::Collected
                if record.installed.is_some() || record.is_held() =>
            {
                let guard = guard?;
                if record.failures > 0 {
                    schedule::backed_off(cadence, record.failures).min(guard)
                } else if class.is_some_and(Class::is_in_progress) {
                    cadence.interval.min(guard)
                } else {
                    guard
                }
            }
            Phase::Waiting | Phase::Collected | Phase::Deploying | Phase::Guarding | Phase::Quarantined => {
                if record.failures > 0 {
                    schedule::backed_off(cadence, record.failures)
                } else if class == Some(Class::WaitingSlowly) {
                    schedule::pending_slowly(cadence, waited)
                } else {
                    schedule::pending(cadence, waited)
                }
            }
        };
        let seed = schedule::stable_hash(&entry.name, entry.handle.text(), u64::from(record.polls));
        Some(polled + schedule::spread(delay, cadence, seed))
    }

    /// `next poll 2026-11-20T14:20:00Z`, or why there is none.
    pub(crate) fn next_poll(&self) -> String {
        if self.config.fleet.as_ref().is_some_and(Fleet::is_follower) {
            return "a newer one is taken when the collectors publish it".into();
        }
        let state = &*self.state;
        let due = if state.urgent { Some(self.now.time) } else { state.record.wanted(self.now) };
        match due {
            Some(due) => match self.gate.record.earliest_call(due) {
                Some(due) => format!("next poll {}", rfc3339(self.now.wall_of(due).div_euclid(1000))),
                None => format!("no poll while account {} is closed", state.record.account),
            },
            None => "no further poll".into(),
        }
    }

    /// The call that collects an order: in the form that its entry, its account or its product wants, with the
    /// parameters of both. An account's are for `ssl` orders.
    pub(crate) fn collect_request(&self) -> Request {
        let entry = self.entry();
        let settings = &entry.settings;
        let account = self.config.account(&entry.account);
        let response = settings.response.or_else(|| account.and_then(|account| account.response));
        let own = || settings.params.iter();
        let shared = account.iter().flat_map(|account| &account.params).filter(|(name, _)| {
            settings.product == Product::Ssl && !own().any(|(known, _)| known.eq_ignore_ascii_case(name))
        });
        Request::collect(settings.product, &entry.handle, response)
            .along(own().chain(shared).map(|(name, value)| (&**name, &**value)))
    }

    /// Whether the order's entry still names what was asked about, and where.
    pub(crate) fn still_means(&self, gate: usize, asked: &Asked) -> bool {
        let state = &*self.state;
        !state.removed
            && state.gate == gate
            && state.record.handle == asked.handle
            && self.entry().settings.product.endpoint() == asked.endpoint
    }

    /// While a call is under way, a change of the entry leaves the schedule alone; now it is rebuilt.
    pub(crate) fn reschedule_changed(&mut self) {
        if !self.state.removed {
            self.set_due();
        }
    }

    /// A poll that certainly did not reach the vendor leaves no trace in the schedule.
    pub(crate) fn poll_unsent(&mut self, gate: usize, asked: &Asked) {
        if !self.still_means(gate, asked) {
            // The schedule is another number's now, and stood still while the call was under way.
            return self.reschedule_changed();
        }
        let before = asked.before;
        let state = &mut *self.state;
        state.urgent = before.urgent;
        if before.hinted.is_some() {
            state.record.pushed().hinted = before.hinted;
        }
        state.record.polled = before.polled;
        state.record.due = before.due;
        state.record.failures = before.failures;
        self.touch();
    }
}
