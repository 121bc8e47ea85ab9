//! Calls without an answer: a timeout, a broken connection, the end of the process.
//!
//! Such a call is not over when we stop waiting: what was written can reach the vendor for as long as the kernel goes on
//! sending it, and the answer that was lost may have been a refused login. So the account waits until nothing can arrive
//! any more, and then makes one more call. From the second in a row on, whatever they were for, it rests as if it had been
//! refused: for an interval, then for twice that. Any answer that is heard ends the row.

use std::time::Duration;

use crate::api::Failure;
use crate::config::{Cadence, Calls};
use crate::engine::account::Accounts;
use crate::engine::account::login::News;
use crate::engine::account::record::{Cause, CredentialTag, Unheard};
use crate::engine::note::{Level, NoteKind};
use crate::engine::schedule;
use crate::engine::time::{TICK, Time, rfc3339};

/// A call that was begun is on record as one that ends, and arrives, as late as it may. What is on record beyond that is
/// the work of a wrong clock.
pub const LONGEST_CALL: Duration = Calls::LONGEST.saturating_add(Calls::LONGEST_SETTLE);

/// Consecutive unanswered calls after which the account rests.
const SUSPICIOUS: u32 = 2;

impl Accounts<'_> {
    /// The latest time at which a call that starts now can reach the vendor.
    pub(crate) fn latest_arrival(&self) -> Time {
        self.now.time + self.config.calls.request_timeout + self.config.calls.settle
    }

    /// When the vendor has seen the last of a call that ends now, for the floor of what it was about.
    pub(crate) fn seen_by(&self, news: &News) -> Time {
        match news {
            News::Unsent(..) | News::Unreadable(_) | News::Reply(..) => self.now.time + TICK,
            News::Unheard(_) => self.now.time + self.config.calls.settle,
        }
    }

    /// A call has ended.
    pub(crate) fn count_outcome(&mut self, gate: usize, outcome: Result<(), &Failure>) {
        match outcome {
            Ok(()) => self.gates[gate].record.unheard = None,
            Err(failure) if failure.unsent() => {}
            Err(failure) => {
                let tag = self.gates[gate].sent;
                self.count_unheard(gate, self.now.time, tag, &failure.to_string());
            }
        }
    }

    /// A call was on record whose end was not: the process has ended meanwhile. It counts as one that ran to its time
    /// limit, because the vendor may still be at work on it.
    pub(crate) fn count_lost_calls(&mut self) {
        for gate in 0..self.gates.len() {
            let state = &mut self.gates[gate];
            if !state.record.calling || state.in_flight.is_some() {
                continue;
            }
            let began = state.record.called.unwrap_or(self.now.time);
            let limit = self.config.calls.request_timeout;
            let end = state.record.ends.take().max(Some(began + limit)).unwrap_or(self.now.time);
            let end = end.min(self.now.time + Calls::LONGEST);
            state.record.calling = false;
            state.record.called = Some(end);
            self.floor_of_lost_call(gate, began, end);
            let settled = end + self.config.calls.settle.max(self.config.calls.call_gap);
            if settled > self.now.time {
                let text = format!(
                    "account {}: certcollectd ended during a call, which may still reach the vendor; no call before {}",
                    self.gates[gate].name,
                    rfc3339(self.now.wall_of(settled).div_euclid(1000))
                );
                self.note_account(Level::Warn, NoteKind::Unanswered, gate, text);
            }
            self.count_unheard(gate, end, None, "certcollectd ended before the answer came");
        }
    }

    /// An earlier version put no more than the start of the call on the order's record.
    fn floor_of_lost_call(&mut self, gate: usize, began: Time, end: Time) {
        let floor = end + self.config.calls.settle;
        for id in self.orders.ids() {
            let state = self.orders.state_mut(id);
            if state.gate == gate && !state.removed && state.record.polled > Some(began + TICK) {
                state.record.polled = state.record.polled.max(Some(floor));
                self.order(id).set_due();
            }
        }
    }

    fn count_unheard(&mut self, gate: usize, end: Time, tag: Option<CredentialTag>, why: &str) {
        let calls = self.config.calls;
        let record = &mut self.gates[gate].record;
        let in_a_row = record.unheard.as_ref().map_or(0, |before| before.calls).saturating_add(1);
        record.unheard = Some(Unheard {
            calls: in_a_row,
            until: end + calls.settle.max(calls.call_gap),
            // Where it is not known, a changed credential may have been sent already.
            tag,
        });
        self.touch_gate(gate);
        if in_a_row >= SUSPICIOUS {
            self.rest(gate, in_a_row, end, why);
        }
        // The file may already hold another credential than the one that was sent.
        self.check_credential(gate);
    }

    fn rest(&mut self, gate: usize, in_a_row: u32, end: Time, why: &str) {
        let until = end + schedule::rest(&self.longest_cadence(gate), in_a_row + 1 - SUSPICIOUS);
        if until <= self.now.time {
            return;
        }
        let text = format!(
            "{in_a_row} calls in a row got no answer, the last one because {why}; the login may have been \
             refused unnoticed"
        );
        self.pause(gate, until, Cause::Unheard, &text);
        self.outbox.save_first();
        if self.gates[gate].record.closed.is_some() {
            return;
        }
        let account = self.gates[gate].name.clone();
        let until = rfc3339(self.now.wall_of(until).div_euclid(1000));
        let text = format!(
            "account {account} rests until {until}: {text}; check on the vendor's web site that the login \
             works and is not locked; a changed password or `certcollectd resume --account {account}` lets \
             one call through"
        );
        self.note_account(Level::Error, NoteKind::Unanswered, gate, text);
    }

    /// The longest interval of the account's orders: any of them may be next.
    fn longest_cadence(&self, gate: usize) -> Cadence {
        let orders = self.orders.states.iter().filter(|state| state.gate == gate && !state.removed);
        let cadences = orders.map(|state| self.config.orders[state.entry].settings.cadence);
        let longest = cadences.reduce(|one, other| Cadence {
            interval: one.interval.max(other.interval),
            max_interval: one.max_interval.max(other.max_interval),
            ..one
        });
        longest.unwrap_or(self.config.cadence)
    }

    /// The credential was read: if it is another one than in the unanswered calls, one more call may be tried.
    pub(crate) fn unheard_tagged(&mut self, gate: usize, tag: Option<CredentialTag>) {
        let record = &mut self.gates[gate].record;
        let rests = record.rests(self.now.time);
        let (Some(unheard), Some(tag)) = (&mut record.unheard, tag) else { return };
        let another = unheard.tag.is_some_and(|known| known != tag);
        if another && !rests {
            // An unanswered request is reported by the call itself.
            return;
        }
        if unheard.tag.replace(tag) != Some(tag) {
            self.touch_gate(gate);
        }
        if another {
            let text = format!(
                "account {}: the credential was changed; one call is let through to try it",
                self.gates[gate].name
            );
            self.note_account(Level::Info, NoteKind::AccountTrial, gate, text);
            self.let_one_through(gate);
        }
    }
}
