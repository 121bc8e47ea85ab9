//! Polls: which order is asked next, and what follows from what the vendor said.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::account::{Asked, Before, Flight, Purpose, Turn};
use super::event::{Call, CredentialTag, Effect, Level, OrderId};
use super::order::{Heard, News, Phase};
use super::slot::{Brought, Slot};
use super::time::{Now, Time, rfc3339};
use super::{Busy, Engine, expiry, schedule};
use crate::api::code::{self, Class, Row};
use crate::api::push::Hint;
use crate::api::reply;
use crate::api::{Answer, Endpoint, Failure, Reply, Request};
use crate::cert;
use crate::config::HookEvent;

/// The vendor sees a call a little after it was recorded; so even a crash in mid-call keeps the vendor's floor.
const DISPATCH: Duration = Duration::from_secs(1);
/// A reading of the clock is rounded down to this, and what has just ended may have ended so much later.
pub(super) const TICK: Duration = Duration::from_millis(1);
/// So many failures in a row, and a person should look although nothing was given up.
const ALARM: u32 = 3;

impl Engine {
    /// Starts a call on every account whose gate allows one and where something is to be asked.
    pub(super) fn start_calls(&mut self, now: Now) {
        let gap = self.config.calls.call_gap;
        for gate in 0..self.gates.len() {
            self.refuse_errands(gate, now);
            self.refuse_waiters(gate, now);
            while let Some(turn) = self.gates[gate].turn(gap, now.time) {
                match turn {
                    Turn::Errand => self.start_next_errand(gate, now),
                    Turn::Poll(id) => self.start_call(gate, id, now),
                    Turn::Wish(id) => self.start_wish(gate, id, now),
                }
            }
        }
    }

    fn start_call(&mut self, gate: usize, id: OrderId, now: Now) {
        let entry = self.entry(id);
        let response = self
            .config
            .accounts
            .iter()
            .find(|known| known.name == entry.account)
            .and_then(|known| known.response);
        let request = Request::collect(entry.settings.product, &entry.handle, response);
        let account = entry.account.clone();
        let (handle, endpoint): (Box<str>, _) =
            (handle_text(entry).into(), entry.settings.product.endpoint());
        let slot = self.slot_mut(id);
        let (urgent, hinted) = (std::mem::take(&mut slot.urgent), std::mem::take(&mut slot.hinted));
        slot.brought = Brought::Nothing;
        let record = &mut slot.record;
        let before =
            Before { polled: record.polled, due: record.due, failures: record.failures, urgent, hinted };
        // Recorded before the call, on the assumption that its end will never be heard of.
        record.account = account.clone();
        record.handle = handle.clone();
        record.polled = Some(now.time + DISPATCH);
        record.failures += 1;
        record.polls = record.polls.wrapping_add(1);
        self.set_due(id, now);
        self.set_busy(id, Busy::Calling);
        self.touch(id, now);
        self.reindex(id, now);
        self.take_off(
            gate,
            Purpose::Poll { order: id, asked: Asked { handle, endpoint, before } },
            request,
            now,
        );
    }

    /// A call goes out; that it does is recorded first.
    pub(super) fn take_off(&mut self, gate: usize, purpose: Purpose, request: Request, now: Now) {
        let state = &mut self.gates[gate];
        let probe = state.record.closed.is_some();
        state.record.probe = false;
        state.record.called = Some(now.time);
        state.record.calling = true;
        state.record.calls += 1;
        state.flight = Some(Flight { purpose, probe });
        let account = state.name.clone();
        self.touch_gate(gate, now);
        self.effects.push(Effect::Call(Call { account, request }));
    }

    /// A poll that certainly did not reach the vendor leaves no trace in the schedule.
    fn poll_unsent(&mut self, gate: usize, id: OrderId, asked: &Asked, probe: bool, now: Now) {
        self.gates[gate].record.probe = probe;
        if !self.still_means(gate, id, asked) {
            return;
        }
        let before = asked.before;
        let slot = self.slot_mut(id);
        slot.urgent = before.urgent;
        slot.hinted = before.hinted;
        slot.record.polled = before.polled;
        slot.record.due = before.due;
        slot.record.failures = before.failures;
        self.touch(id, now);
    }

    /// The save in front of a call failed, so the call was not made.
    pub(super) fn call_dropped(&mut self, gate: usize, now: Now) -> Option<OrderId> {
        let flight = self.end_flight(gate, now)?;
        match flight.purpose {
            Purpose::Poll { order, asked } => {
                self.poll_unsent(gate, order, &asked, flight.probe, now);
                Some(order)
            }
            Purpose::Errand(errand) => {
                self.gates[gate].record.probe = flight.probe;
                self.errand_dropped(gate, errand, now);
                None
            }
        }
    }

    fn end_flight(&mut self, gate: usize, now: Now) -> Option<Flight> {
        let flight = self.gates[gate].flight.take()?;
        if self.gates[gate].former.take().is_some() {
            self.hold_names();
        }
        let state = &mut self.gates[gate];
        state.record.called = Some(now.time);
        state.record.calling = false;
        state.suspect_until = None;
        self.touch_gate(gate, now);
        if let Purpose::Poll { order, .. } = &flight.purpose {
            self.set_busy(*order, Busy::Idle);
        }
        Some(flight)
    }

    pub(super) fn answered(
        &mut self,
        account: &str,
        outcome: Result<Answer, Failure>,
        credential: Option<CredentialTag>,
        now: Now,
    ) {
        let Some(gate) = self.gate_of_call(account) else { return };
        self.gates[gate].sent = credential;
        let Some(flight) = self.end_flight(gate, now) else { return };
        match flight.purpose {
            Purpose::Poll { order, asked } => {
                self.polled(gate, order, &asked, flight.probe, outcome, now);
            }
            Purpose::Errand(errand) => self.errand_answered(gate, errand, flight.probe, outcome, now),
        }
    }

    fn polled(
        &mut self,
        gate: usize,
        id: OrderId,
        asked: &Asked,
        probe: bool,
        outcome: Result<Answer, Failure>,
        now: Now,
    ) {
        let meant = self.still_means(gate, id, asked);
        match outcome {
            Err(failure) if failure.unsent() => {
                self.poll_unsent(gate, id, asked, probe, now);
                self.unreachable(gate, meant.then_some(id), &failure, now);
            }
            outcome if !meant => self.answered_too_late(gate, id, asked, probe, outcome, now),
            outcome => {
                self.slot_mut(id).record.polled = Some(now.time + TICK);
                if let (Err(failure), true) = (&outcome, probe) {
                    self.probe_unclear(gate, &failure.to_string(), now);
                }
                match outcome {
                    Err(Failure::Internal(_)) => self.broken_by(id, "calling the vendor", now),
                    Err(failure) => self.no_news(id, None, failure.to_string(), now),
                    Ok(answer) => self.read(gate, id, probe, &answer, now),
                }
            }
        }
        if !self.slot(id).removed {
            self.reindex(id, now);
            self.answer_waiters(id, now);
        }
    }

    /// The call may have reached the vendor, but brought nothing that helps: no answer that can be understood, or a
    /// code for trouble that passes.
    fn no_news(&mut self, id: OrderId, code: Option<i32>, text: String, now: Now) {
        self.set_due(id, now);
        let record = &self.slot(id).record;
        let failures = record.failures;
        let level = if failures >= ALARM { Level::Error } else { Level::Warn };
        let again = if failures > 1 { format!(", {failures} times in a row") } else { String::new() };
        self.heard(id, code, text.clone(), reply::Details::default(), now);
        let text = format!("{text}{again}; {}", self.next_poll(id, now));
        // The history is bounded; the same trouble day after day must not push everything else out of it.
        if failures <= ALARM {
            self.note(level, "no-news", Some(id), now, text);
        } else {
            self.tell(level, "no-news", Some(id), now, text);
        }
    }

    fn read(&mut self, gate: usize, id: OrderId, probe: bool, answer: &Answer, now: Now) {
        let endpoint = self.entry(id).settings.product.endpoint();
        match self.hear(gate, endpoint, probe, answer, now) {
            Ok((row, reply)) => {
                self.slot_mut(id).brought = match row.class {
                    Class::AccountClosed => Brought::Refused,
                    _ if row.shows_login() => Brought::Login,
                    _ => Brought::Answer,
                };
                self.take_reply(id, row, reply, now);
            }
            Err(Some(why)) => self.no_news(id, None, why, now),
            Err(None) => self.broken_by(id, "reading the vendor's answer", now),
        }
    }

    /// What an answer says; what it says of the account is taken in. Otherwise why it cannot be read, which is nothing
    /// where that is a mistake of ours.
    pub(super) fn hear(
        &mut self,
        gate: usize,
        endpoint: Endpoint,
        probe: bool,
        answer: &Answer,
        now: Now,
    ) -> Result<(Row, Reply), Option<String>> {
        // A mistake of ours in reading one answer must stay that order's trouble.
        let decoded = catch_unwind(AssertUnwindSafe(|| reply::decode(endpoint, answer)));
        let Ok(decoded) = decoded else {
            if probe {
                self.probe_unclear(gate, "an internal error while reading the answer", now);
            }
            return Err(None);
        };
        if let Some(asked) = answer.retry_after {
            self.asked_to_wait(gate, asked, now);
        }
        match decoded {
            Err(unreadable) => {
                if answer.status == 429 {
                    self.call_limit(gate, "the vendor says that there are too many calls (HTTP 429)", now);
                }
                if probe {
                    self.probe_unclear(gate, &unreadable.to_string(), now);
                }
                Err(Some(unreadable.to_string()))
            }
            Ok(reply) => {
                let row = code::classify(endpoint, &reply);
                self.login_result(gate, row, &reply, now);
                Ok((row, reply))
            }
        }
    }

    fn take_reply(&mut self, id: OrderId, row: Row, reply: Reply, now: Now) {
        if let (crate::api::Handle::OrderNumber(ours), Some(theirs)) =
            (&self.entry(id).handle, &reply.order_number)
            && **ours != **theirs
        {
            let theirs = crate::api::Foreign::new(theirs);
            return self.no_news(id, None, format!("the answer is about another order ({theirs})"), now);
        }
        if !matches!(row.class, Class::Ready | Class::Transient | Class::Unknown) {
            self.understood(id);
        }
        match row.class {
            Class::Ready => self.issued(id, reply, now),
            Class::Available if !reply.parts.is_empty() => self.issued(id, reply, now),
            Class::Available | Class::Waiting | Class::WaitingSlowly => {
                self.still_waiting(id, row, reply, now)
            }
            Class::Transient => {
                self.no_news(id, Some(reply.code), format!("{} ({})", row.means, said(&reply)), now);
            }
            Class::AccountClosed | Class::AccountPaused => {
                self.set_due(id, now);
                let text = format!("{} ({})", row.means, said(&reply));
                self.heard(id, Some(reply.code), text, reply.details, now);
            }
            Class::Ours | Class::Permission | Class::EndpointRefused | Class::Done | Class::Report => {
                let text = format!("{} ({})", row.means, said(&reply));
                self.heard(id, Some(reply.code), text.clone(), reply.details, now);
                self.stop(id, News::Stuck, text, row.advice, now);
            }
            Class::Rejected => {
                let text = format!("{} ({})", row.means, said(&reply));
                self.heard(id, Some(reply.code), text.clone(), reply.details, now);
                self.stop(id, News::Rejected, text, row.advice, now);
            }
            Class::Revoked => {
                let text = format!("{} ({})", row.means, said(&reply));
                self.heard(id, Some(reply.code), text.clone(), reply.details, now);
                self.stop(id, News::Revoked, text, row.advice, now);
            }
            Class::Unknown => self.not_understood(id, row, reply, now),
        }
    }

    /// The answer made sense, whatever it said.
    fn understood(&mut self, id: OrderId) {
        let record = &mut self.slot_mut(id).record;
        record.failures = 0;
        record.unknowns = 0;
    }

    fn not_understood(&mut self, id: OrderId, row: Row, reply: Reply, now: Now) {
        let limit = self.config.calls.unknown_tries;
        let record = &mut self.slot_mut(id).record;
        record.unknowns += 1;
        let text = format!("{} ({})", row.means, said(&reply));
        if record.unknowns >= limit {
            self.heard(id, Some(reply.code), text.clone(), reply.details, now);
            self.stop(id, News::Stuck, format!("{text}; {limit} times in a row"), row.advice, now);
            return;
        }
        self.set_due(id, now);
        self.heard(id, Some(reply.code), text.clone(), reply.details, now);
        let text = format!("{text}; {}", self.next_poll(id, now));
        self.note(Level::Warn, "unknown-code", Some(id), now, text);
    }

    fn still_waiting(&mut self, id: OrderId, row: Row, reply: Reply, now: Now) {
        let text = match &reply.message {
            Some(message) => format!("{} ({} \"{message}\")", row.means, reply.code),
            None => format!("{} ({})", row.means, reply.code),
        };
        let advice = if row.advice.is_empty() { String::new() } else { format!("; {}", row.advice) };
        let code = reply.code;
        let told_before = self.slot(id).record.heard.as_ref().is_some_and(|heard| heard.code == Some(code));
        self.heard(id, Some(code), format!("{text}{advice}"), reply.details, now);
        self.set_due(id, now);
        let kind = if row.class == Class::WaitingSlowly { "payment-pending" } else { "pending" };
        self.wish_for_domains(id, now);
        let level = if row.class == Class::WaitingSlowly && !told_before { Level::Warn } else { Level::Info };
        let text = format!("{text}{advice}; {}", self.next_poll(id, now));
        if told_before {
            self.tell(level, kind, Some(id), now, text);
        } else {
            self.note(level, kind, Some(id), now, text);
        }
    }

    /// The vendor says that the certificate is in the answer.
    fn issued(&mut self, id: OrderId, reply: Reply, now: Now) {
        if reply.parts.is_empty() {
            let text = "the vendor says that it is issued, but no certificate is in the answer";
            return self.no_news(id, None, text.into(), now);
        }
        let parts = || reply.parts.iter().map(|part| &part[..]);
        let unpacked = catch_unwind(AssertUnwindSafe(|| cert::unpack_all(parts())));
        let bundle = match unpacked {
            Err(_) => return self.broken_by(id, "unpacking the certificates", now),
            Ok(Err(why)) => {
                return self.no_news(id, None, format!("the vendor says that it is issued, but {why}"), now);
            }
            Ok(Ok(bundle)) => bundle,
        };
        self.understood(id);
        self.heard(id, Some(reply.code), "issued".into(), reply.details, now);
        if self.slot(id).record.rollback {
            // The older generation first, from the bundle that is kept for it. What is newer still is offered again.
            self.set_due(id, now);
            let text = format!("issued; looked at after the rollback; {}", self.next_poll(id, now));
            return self.tell(Level::Info, "guarded", Some(id), now, text);
        }
        if self.is_in_place(id, &bundle) {
            return self.nothing_new(id, bundle, now);
        }
        let slot = self.slot_mut(id);
        slot.bundle = Some(bundle);
        slot.material = None;
        slot.hold_until = None;
        slot.record.bundled = true;
        slot.record.trouble = None;
        slot.todo.verify = true;
        slot.todo.look = false;
        slot.todo.spare = false;
        self.bundles.push(id);
        self.set_due(id, now);
        self.touch(id, now);
        self.save_first();
    }

    /// A person must act: the order is not polled any more.
    fn stop(&mut self, id: OrderId, news: News, text: String, advice: &str, now: Now) {
        self.slot_mut(id).record.due = None;
        if matches!(news, News::Rejected | News::Revoked) && !self.slot(id).record.rollback {
            // Neither what waits for its time nor what is in quarantine is any good now. An older generation that the
            // operator wants back is gone on with.
            self.slot_mut(id).record.staged = None;
            self.drop_bundle(id);
        }
        let name = self.slot_name(id);
        let installed = self.slot(id).record.installed.is_some();
        let mut text = text;
        if !advice.is_empty() {
            text = format!("{text}; {advice}");
        }
        if self.turn(id, news, Some(text.clone()), now) {
            let stays = if installed { "; what is installed stays" } else { "" };
            let next = format!(
                "; it is not polled any more until `certcollectd resume {name}` or a changed entry{stays}"
            );
            let kind = self.slot(id).record.phase.word();
            self.note(Level::Error, kind, Some(id), now, format!("{text}{next}"));
            self.owe_hooks(id, HookEvent::Failed, now);
        }
        self.save_first();
    }

    /// A mistake of ours became visible while one order was handled: that order waits for a person.
    pub(super) fn broken_by(&mut self, id: OrderId, doing: &str, now: Now) {
        let text = format!("internal error while {doing}; please report it");
        self.stop(id, News::Stuck, text, "", now);
    }

    /// Sets the next poll from what the record says.
    pub(super) fn set_due(&mut self, id: OrderId, now: Now) {
        let due = self.due_after_poll(id, now);
        self.slot_mut(id).record.due = due;
        self.touch(id, now);
    }

    /// When the order is to be polled next, derived from its record alone, so that a restart or a changed
    /// cadence arrives at the same time again.
    pub(super) fn due_after_poll(&self, id: OrderId, now: Now) -> Option<Time> {
        let entry = self.entry(id);
        let cadence = &entry.settings.cadence;
        let record = &self.slot(id).record;
        let Some(polled) = record.polled else { return Some(now.time) };
        let at = now.wall_of(polled).div_euclid(1000);
        let waited = polled.since(record.waiting_since);
        let in_progress =
            record.heard.as_ref().is_some_and(|heard| matches!(heard.code, Some(0 | 1 | -22 | -26 | -125)));
        let guard = schedule::guarded(cadence, expiry::is_near(record.installed.as_deref(), at));
        let delay = match record.phase {
            Phase::Attention | Phase::Rejected | Phase::Revoked => return None,
            // Without a guard nothing installed is asked about, whatever the last answer was.
            Phase::Guarding | Phase::Deploying | Phase::Collected if record.installed.is_some() => {
                let guard = guard?;
                if record.failures > 0 {
                    schedule::backed_off(cadence, record.failures).min(guard)
                } else if in_progress {
                    cadence.interval.min(guard)
                } else {
                    guard
                }
            }
            _ if record.failures > 0 => schedule::backed_off(cadence, record.failures),
            _ if record.heard.as_ref().is_some_and(|heard| heard.code == Some(-22)) => {
                schedule::pending_slowly(cadence, waited)
            }
            _ => schedule::pending(cadence, waited),
        };
        let seed = schedule::seed(&entry.name, entry.handle.text(), u64::from(record.polls));
        Some(polled + schedule::spread(delay, cadence, seed))
    }

    /// Remembers what was heard.
    pub(super) fn heard(
        &mut self,
        id: OrderId,
        code: Option<i32>,
        text: String,
        details: reply::Details,
        now: Now,
    ) {
        let old = self.slot_mut(id).record.heard.take();
        // What an answer without details leaves open was said by an earlier one.
        let details = match old {
            Some(old) if code.is_none_or(|code| code < 0) && details == reply::Details::default() => {
                old.details
            }
            Some(old) => reply::Details {
                term_start: details.term_start.or(old.details.term_start),
                term_end: details.term_end.or(old.details.term_end),
                ..details
            },
            None => details,
        };
        self.slot_mut(id).record.heard =
            Some(Box::new(Heard { at: now.unix(), code, text: text.into(), details }));
        self.touch(id, now);
    }

    /// `next poll 2026-11-20T14:20:00Z`, or why there is none.
    pub(super) fn next_poll(&self, id: OrderId, now: Now) -> String {
        let slot = self.slot(id);
        let gate = self.gates.get(slot.gate);
        let suspect = || gate.and_then(|gate| gate.suspect_until).unwrap_or(Time::MIN);
        let due = match slot {
            Slot { urgent: true, .. } => Some(now.time),
            Slot { hinted: true, .. } => Some(now.time.max(suspect())),
            _ => slot.record.due,
        };
        match due {
            Some(due) => match gate.map_or(Some(due), |gate| gate.record.not_before(due)) {
                Some(due) => format!("next poll {}", rfc3339(now.wall_of(due).div_euclid(1000))),
                None => format!("no poll while account {} is closed", slot.record.account),
            },
            None => "no further poll".into(),
        }
    }

    pub(super) fn hinted(&mut self, hint: &Hint, now: Now) {
        let matches = |id: &OrderId| {
            let slot = self.slot(*id);
            !slot.removed && slot.record.phase.is_polled() && self.entry(*id).handle.text() == hint.number
        };
        let hinted: Vec<OrderId> = self.ids().filter(matches).collect();
        for id in hinted {
            let slot = self.slot(id);
            let rest = self.entry(id).settings.cadence.interval.min(HINT_REST);
            let rested = slot.record.polled.is_none_or(|polled| now.time.since(polled) >= rest);
            if rested && !slot.urgent && !slot.hinted && slot.busy == Busy::Idle {
                self.slot_mut(id).hinted = true;
                self.reindex(id, now);
                let next = self.next_poll(id, now);
                self.note(
                    Level::Info,
                    "push",
                    Some(id),
                    now,
                    format!("a push notification says: {}; {next}", hint.why),
                );
            }
        }
    }
}

/// A hint proves nothing about who gave it, so a forged one must not make us hammer the vendor, or log in while it is
/// not known whether the last login was refused.
const HINT_REST: Duration = Duration::from_secs(600);

/// The parameter and its value, as remembered in the state.
pub(super) fn handle_text(entry: &crate::config::Order) -> String {
    format!("{} {}", entry.handle.parameter(), entry.handle.text())
}

/// Code and words of a reply, quoted.
pub(super) fn said(reply: &Reply) -> String {
    match &reply.message {
        Some(message) => format!("code {}: \"{message}\"", reply.code),
        None => format!("code {}", reply.code),
    }
}
