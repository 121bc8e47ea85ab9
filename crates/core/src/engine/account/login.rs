//! What a call shows about its account: refused, paused, unreachable, open again.
//!
//! The first refused login closes the account before anything else happens. Only a changed credential or the
//! operator lets one call through, and only an answer that requires an accepted login opens it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crate::api::code::{Class, Row};
use crate::api::{Answer, Endpoint, Failure, Reply, RetryAfter, code, reply};
use crate::cert::CLOCK_TOLERANCE;
use crate::config::Cadence;
use crate::engine::account::Accounts;
use crate::engine::account::gate::{InFlight, Purpose};
use crate::engine::account::record::{Cause, CredentialTag};
use crate::engine::event::Effect;
use crate::engine::finding::clocks;
use crate::engine::note::{ALARM_AFTER, Level, NoteKind};
use crate::engine::time::{in_words, rfc3339};
use crate::engine::wording::described;
use crate::engine::{note, schedule};

/// What a call means for its order or side call, once its account has heard the result.
#[derive(Debug)]
pub(crate) enum News {
    /// The vendor certainly did not see it. With the text reported for the account.
    Unsent(Failure, String),
    /// It may have been seen, and its answer was not.
    Unheard(Failure),
    /// Why the answer cannot be read; nothing where that is a bug.
    Unreadable(Option<String>),
    Reply(Row, Box<Reply>),
}

impl Accounts<'_> {
    /// A call has ended. Whatever it was for, its account hears of it first, before anything else is made of it: the gate,
    /// the row of calls without an answer, and the login.
    pub(crate) fn hear_first(
        &mut self,
        account: &str,
        outcome: Result<Answer, Failure>,
        credential: Option<CredentialTag>,
    ) -> Option<(usize, Purpose, News)> {
        let gate = self.gate_of_call(account)?;
        self.gates[gate].sent = credential;
        let InFlight { purpose, trial } = self.end_call(gate)?;
        self.count_outcome(gate, outcome.as_ref().map(|_| ()));
        let news = match outcome {
            Err(failure) if failure.unsent() => {
                self.gates[gate].record.trial = trial;
                let told = self.unreachable(gate, &failure);
                News::Unsent(failure, told)
            }
            Err(failure) => {
                if trial {
                    self.probe_unclear(gate, &failure.to_string());
                }
                News::Unheard(failure)
            }
            Ok(answer) => self.hear(gate, purpose.endpoint(), trial, &answer),
        };
        Some((gate, purpose, news))
    }

    /// Decodes an answer and applies what it says about the account.
    fn hear(&mut self, gate: usize, endpoint: Endpoint, trial: bool, answer: &Answer) -> News {
        // A bug in reading one answer must affect that order only.
        let decoded = catch_unwind(AssertUnwindSafe(|| reply::decode(endpoint, answer)));
        let Ok(decoded) = decoded else {
            if trial {
                self.probe_unclear(gate, "an internal error while reading the answer");
            }
            return News::Unreadable(None);
        };
        if let Some(asked) = answer.retry_after {
            self.asked_to_wait(gate, asked);
        }
        match decoded {
            Err(unreadable) => {
                if answer.status == 429 {
                    self.call_limit(gate, "the vendor reports too many calls (HTTP 429)");
                } else {
                    self.garbled(gate, &unreadable.to_string());
                }
                if trial {
                    self.probe_unclear(gate, &unreadable.to_string());
                }
                News::Unreadable(Some(unreadable.to_string()))
            }
            Ok(reply) => {
                self.gates[gate].record.answered = Some(self.now.unix());
                self.compare_clocks(gate, answer.date);
                let row = code::classify(endpoint, &reply);
                self.login_result(gate, row, &reply);
                News::Reply(row, Box::new(reply))
            }
        }
    }

    /// Dates of certificates and windows go by this machine's clock; the vendor's is a second opinion.
    fn compare_clocks(&mut self, gate: usize, date: Option<i64>) {
        let ahead = date.map(|date| self.now.unix().saturating_sub(date));
        let ahead = ahead.filter(|ahead| ahead.abs() > CLOCK_TOLERANCE);
        let before = std::mem::replace(&mut self.gates[gate].record.clock_ahead, ahead);
        if before.is_some() == ahead.is_some() {
            return;
        }
        let (level, text) = match ahead {
            Some(ahead) => (Level::Warn, format!("{}; set it, or one of both goes wrong", clocks(ahead))),
            None => (Level::Info, "this machine's clock agrees with the vendor's again".to_owned()),
        };
        let text = format!("account {}: {text}", self.gates[gate].name);
        self.note_account(level, NoteKind::Clock, gate, text);
        self.touch_gate(gate);
    }

    /// Applies what the reply says about the account, whatever it says about the order.
    fn login_result(&mut self, gate: usize, row: Row, reply: &Reply) {
        let was_closed = self.gates[gate].record.closed.is_some();
        if row.class == Class::AccountClosed {
            let text = described(row, reply);
            self.gates[gate].close(self.now.unix(), text.clone().into());
            self.touch_gate(gate);
            // Before anything else happens: no crash may forget this.
            self.outbox.save_first();
            let account = self.gates[gate].name.clone();
            // The file may already hold another credential than the refused one.
            self.outbox.say(Effect::TagCredential { account: account.clone() });
            let text = format!(
                "account {account} is closed: {text}; no further call is made on it; {}",
                self.when_refused(gate)
            );
            self.note_account(Level::Error, NoteKind::AccountClosed, gate, text);
            return;
        }
        if was_closed && !row.shows_login() {
            self.probe_unclear(gate, &described(row, reply));
        } else if was_closed {
            self.gates[gate].open();
            self.touch_gate(gate);
            self.outbox.save_first();
            let text =
                format!("account {} is open again: the vendor accepts the login", self.gates[gate].name);
            self.note_account(Level::Info, NoteKind::AccountOpen, gate, text);
        }
        if row.class == Class::AccountPaused {
            self.call_limit(gate, &described(row, reply));
        } else if self.gates[gate].record.paused_until.is_none_or(|until| until <= self.now.time) {
            self.gates[gate].unpause();
        }
    }

    fn call_limit(&mut self, gate: usize, why: &str) {
        let cadence = self.cadence_for_pauses(gate);
        self.gates[gate].record.pauses += 1;
        let wait = schedule::call_limit(&cadence, self.gates[gate].record.pauses);
        self.pause(gate, self.now.time + wait, Cause::Limit, why);
        self.outbox.save_first();
        let text = format!(
            "account {}: {why}; no call before {}; raise interval or call_gap if this recurs",
            self.gates[gate].name,
            rfc3339(self.now.wall_of(self.now.time + wait) / 1000)
        );
        self.note_account(Level::Error, NoteKind::CallLimit, gate, text);
    }

    fn asked_to_wait(&mut self, gate: usize, asked: RetryAfter) {
        let wait = match asked {
            RetryAfter::Seconds(seconds) => Duration::from_secs(seconds),
            RetryAfter::At(unix) => self.now.time_of(unix).since(self.now.time),
        };
        let until = self.now.time + schedule::retry_after(wait);
        self.pause(gate, until, Cause::Asked, "the vendor asked us to wait (Retry-After)");
        self.outbox.save_first();
    }

    /// The call that was let through is used up, and did not show whether the login is accepted.
    pub(crate) fn probe_unclear(&mut self, gate: usize, what: &str) {
        let account = self.gates[gate].name.clone();
        self.gates[gate].still_closed(what);
        self.touch_gate(gate);
        self.outbox.save_first();
        let flag = self.flag_for_another_try(gate);
        self.note_account(
            Level::Error,
            NoteKind::AccountClosed,
            gate,
            format!(
                "account {account} stays closed: the one call that was let through does not show whether the \
                 login is accepted: {what}; `certcollectd resume --account {account}{flag}` lets another one \
                 through"
            ),
        );
    }

    /// Pauses are proportional to how often this account's orders are polled.
    fn cadence_for_pauses(&self, gate: usize) -> Cadence {
        let of_order = self.gates[gate].queue.first().map(|(_, id)| self.entry(*id).settings.cadence);
        let mut cadences = self.orders.states.iter().filter(|state| state.gate == gate && !state.removed);
        of_order
            .or_else(|| cadences.next().map(|state| self.config.orders[state.entry].settings.cadence))
            .unwrap_or_default()
    }

    /// Nothing was sent: the account pauses. Returns the text reported for that.
    fn unreachable(&mut self, gate: usize, failure: &Failure) -> String {
        let cadence = self.cadence_for_pauses(gate);
        let record = &mut self.gates[gate].record;
        record.pauses += 1;
        let pauses = record.pauses;
        let wait = schedule::outage(&cadence, pauses);
        let text = failure.to_string();
        let cause = match failure {
            Failure::Credential(_) => Cause::Password,
            Failure::Setup(_)
            | Failure::Connect(_)
            | Failure::Tls(_)
            | Failure::Timeout(_)
            | Failure::Broken(_)
            | Failure::TooLarge(_)
            | Failure::HeadersTooLarge(_)
            | Failure::Encoded(_)
            | Failure::Internal(_) => Cause::Connection,
        };
        self.pause(gate, self.now.time + wait, cause, &text);
        let loud = pauses >= ALARM_AFTER || !matches!(failure, Failure::Connect(_));
        let level = if loud { Level::Error } else { Level::Warn };
        let account = self.gates[gate].name.clone();
        let text = format!("account {account}: {text}; nothing was sent; next try in {}", in_words(wait));
        self.note_account(level, NoteKind::Unreachable, gate, text.clone());
        text
    }

    /// An HTTP answer came, and none of the vendor's: whatever gave it is let alone for a while, like a host that cannot be
    /// reached.
    fn garbled(&mut self, gate: usize, why: &str) {
        let cadence = self.cadence_for_pauses(gate);
        self.gates[gate].record.pauses += 1;
        let pauses = self.gates[gate].record.pauses;
        let wait = schedule::outage(&cadence, pauses);
        self.pause(gate, self.now.time + wait, Cause::Garbled, why);
        let level = note::level_of(pauses);
        let text = format!("account {}: {why}; no calls for {}", self.gates[gate].name, in_words(wait));
        self.note_account(level, NoteKind::Garbled, gate, text);
    }
}
