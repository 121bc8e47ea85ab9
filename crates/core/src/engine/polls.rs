//! Polls: which order is asked next, and when it is asked again.

use super::account::login::News;
use crate::api::reply::Details;
use crate::engine::account::Accounts;
use std::time::Duration;

use super::account::{Asked, Before, InFlight, Purpose, Turn};
use super::account::{Call, CredentialTag};
use super::event::Effect;
use super::id::OrderId;
use super::order::expiry;
use super::order::slot::{PollOutcome, Slot};
use super::time::{Time, rfc3339};
use super::{Busy, Engine, schedule};
use crate::api::code::Class;
use crate::api::{Answer, Failure, Request};
use crate::engine::order::{Order, Phase};

/// A reading of the clock is rounded down to this, and what has just ended may have ended so much later.
pub(super) const TICK: Duration = Duration::from_millis(1);

impl Order<'_> {
    /// A poll that certainly did not reach the vendor leaves no trace in the schedule.
    pub(super) fn poll_unsent(&mut self, gate: usize, asked: &Asked) {
        if !self.still_means(gate, asked) {
            // The schedule is another number's now, and stood still while the call was under way.
            return self.reschedule_changed();
        }
        let before = asked.before;
        let slot = &mut *self.slot;
        slot.urgent = before.urgent;
        if before.hinted.is_some() {
            slot.record.pushed().hinted = before.hinted;
        }
        slot.record.polled = before.polled;
        slot.record.due = before.due;
        slot.record.failures = before.failures;
        self.touch();
    }

    /// Sets the next poll from what the record says.
    pub(super) fn set_due(&mut self) {
        let due = self.due_after_poll();
        self.slot.record.due = due;
        self.touch();
    }

    /// When the order is to be polled next, derived from its record alone, so that a restart or a changed
    /// cadence arrives at the same time again.
    pub(super) fn due_after_poll(&self) -> Option<Time> {
        let entry = self.entry();
        let cadence = &entry.settings.cadence;
        let record = &self.slot.record;
        let Some(polled) = record.polled else { return Some(self.now.time) };
        let at = self.now.wall_of(polled).div_euclid(1000);
        let waited = polled.since(record.waiting_since);
        let class = record.heard.as_ref().and_then(|heard| heard.class());
        let guard = schedule::guarded(cadence, expiry::is_near(record.installed.as_deref(), at));
        let delay = match record.phase {
            Phase::Attention | Phase::Rejected | Phase::Revoked => return None,
            // Without a guard nothing installed is asked about, whatever the last answer was.
            Phase::Guarding | Phase::Deploying | Phase::Collected if record.installed.is_some() => {
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
        let seed = schedule::seed(&entry.name, entry.handle.text(), u64::from(record.polls));
        Some(polled + schedule::spread(delay, cadence, seed))
    }

    /// `next poll 2026-11-20T14:20:00Z`, or why there is none.
    pub(super) fn next_poll(&self) -> String {
        let slot = &*self.slot;
        let due = match slot {
            Slot { urgent: true, .. } => Some(self.now.time),
            _ => slot.record.wanted(self.now),
        };
        match due {
            Some(due) => match self.gate.record.not_before(due) {
                Some(due) => format!("next poll {}", rfc3339(self.now.wall_of(due).div_euclid(1000))),
                None => format!("no poll while account {} is closed", slot.record.account),
            },
            None => "no further poll".into(),
        }
    }
}

impl Accounts<'_> {
    /// What the end of a poll means for its order.
    fn polled(&mut self, gate: usize, id: OrderId, asked: &Asked, news: News) {
        let meant = self.order(id).still_means(gate, asked);
        match news {
            News::Unsent(_, told) => {
                self.order(id).poll_unsent(gate, asked);
                if meant {
                    self.order(id).heard(None, told, Details::default());
                }
            }
            news if !meant => self.answered_too_late(gate, id, asked, news),
            news => {
                let seen = self.seen_by(&news);
                if self.order(id).polled(asked, news, seen) {
                    self.wish_for_domains(id);
                }
            }
        }
        if !self.orders.slot(id).removed {
            self.order(id).judge_again();
            self.order(id).look_after();
        }
    }

    fn start_call(&mut self, gate: usize, id: OrderId) {
        let request = self.order(id).collect_request();
        let entry = self.entry(id);
        let account = entry.account.clone();
        let (handle, endpoint): (Box<str>, _) =
            (entry.handle.identity().into(), entry.settings.product.endpoint());
        let arrives = self.latest_arrival();
        let slot = self.orders.slot_mut(id);
        let (urgent, hinted) = (std::mem::take(&mut slot.urgent), slot.record.take_hint());
        slot.poll_outcome = PollOutcome::Nothing;
        let record = &mut slot.record;
        let before =
            Before { polled: record.polled, due: record.due, failures: record.failures, urgent, hinted };
        // Recorded before the call, on the assumption that its end will never be heard of.
        record.account = account.clone();
        record.handle = handle.clone();
        record.polled = Some(arrives);
        record.failures += 1;
        record.polls = record.polls.wrapping_add(1);
        self.order(id).set_due();
        self.orders.slot_mut(id).busy = Busy::Calling;
        self.order(id).touch();
        self.begin_call(
            gate,
            Purpose::Poll { order: id, asked: Asked { handle, endpoint, before } },
            request,
        );
    }

    /// A call goes out; that it does is recorded first.
    pub(super) fn begin_call(&mut self, gate: usize, purpose: Purpose, request: Request) {
        let limit = self.config.calls.request_timeout;
        let state = &mut self.gates[gate];
        let probe = state.record.closed.is_some();
        state.record.probe = false;
        state.record.called = Some(self.now.time);
        state.record.calling = true;
        state.record.ends = Some(self.now.time + limit);
        state.record.calls += 1;
        state.in_flight = Some(InFlight { purpose, probe });
        let account = state.name.clone();
        self.touch_gate(gate);
        self.outbox.start(Effect::Call(Call { account, request }));
    }

    /// The save in front of a call failed, so the call was not made.
    pub(super) fn call_dropped(&mut self, gate: usize) -> Option<OrderId> {
        let in_flight = self.end_call(gate)?;
        match in_flight.purpose {
            Purpose::Poll { order, asked } => {
                self.gates[gate].record.probe = in_flight.probe;
                self.order(order).poll_unsent(gate, &asked);
                Some(order)
            }
            Purpose::SideCall(side_call) => {
                self.gates[gate].record.probe = in_flight.probe;
                self.side_call_dropped(gate, side_call);
                None
            }
        }
    }

    pub(super) fn end_call(&mut self, gate: usize) -> Option<InFlight> {
        let in_flight = self.gates[gate].in_flight.take()?;
        if self.gates[gate].former.take().is_some() {
            self.hold_names();
        }
        let state = &mut self.gates[gate];
        state.record.called = Some(self.now.time);
        state.record.calling = false;
        state.record.ends = None;
        self.touch_gate(gate);
        if let Purpose::Poll { order, .. } = &in_flight.purpose {
            self.orders.slot_mut(*order).busy = Busy::Idle;
        }
        Some(in_flight)
    }
}

impl Engine {
    pub(super) fn answered(
        &mut self,
        account: &str,
        outcome: Result<Answer, Failure>,
        credential: Option<CredentialTag>,
    ) {
        let Some((gate, purpose, news)) = self.accounts().hear_first(account, outcome, credential) else {
            return;
        };
        match purpose {
            Purpose::Poll { order, asked } => self.accounts().polled(gate, order, &asked, news),
            Purpose::SideCall(side_call) => {
                if let Some(adopted) = self.accounts().side_call_ended(gate, side_call, news) {
                    self.adopt_order(adopted);
                }
            }
        }
    }

    /// Starts a call on every account whose gate allows one and where something is to be asked.
    pub(super) fn start_calls(&mut self) {
        let gap = self.config.calls.call_gap;
        for gate in 0..self.gates.len() {
            self.accounts().refuse_side_calls(gate);
            self.accounts().refuse_waiters(gate);
            self.catch_up(self.now.time + TICK);
            while let Some(turn) = self.gates[gate].turn(gap, self.now.time) {
                match turn {
                    Turn::SideCall => self.accounts().start_next_side_call(gate),
                    Turn::Poll(id) => self.accounts().start_call(gate, id),
                    Turn::Wish(id) => self.accounts().start_wish(gate, id),
                }
            }
        }
    }
}
