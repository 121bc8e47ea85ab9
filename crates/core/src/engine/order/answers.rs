//! The vendor's answers about an order, and what follows from them.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::api::code::{Class, Row};
use crate::api::{Failure, Reply, Untrusted, code, reply};
use crate::cert;
use crate::engine::account::gate::Asked;
use crate::engine::account::login::News;
use crate::engine::note;
use crate::engine::note::{ALARM_AFTER, Level, NoteKind};
use crate::engine::order::bundle::Bundle;
use crate::engine::order::phase::{Phase, Trigger};
use crate::engine::order::record::{Heard, Mood};
use crate::engine::order::state::PollOutcome;
use crate::engine::order::{Order, names, usual};
use crate::engine::time::Time;
use crate::engine::wording::{READING, advice, described, internal_error};
use crate::rare::Rare;

/// What a poll showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Polled {
    /// The certificate is still pending.
    Waits,
    /// The vendor has what is installed, and nothing newer.
    Unchanged,
    Other,
}

impl Order<'_> {
    /// The call may have reached the vendor, but brought nothing useful: no readable answer, or a code for a passing
    /// problem.
    pub(crate) fn no_news(&mut self, code: Option<i32>, text: String) {
        self.set_due();
        let record = &self.state.record;
        let failures = record.failures;
        let level = note::level_of(failures);
        let again = if failures > 1 { format!(", {failures} times in a row") } else { String::new() };
        self.heard(code, text.clone(), reply::Details::default());
        let text = format!("{text}{again}; {}", self.next_poll());
        // The history is bounded; the same failure day after day must not push everything else out of it.
        if failures <= ALARM_AFTER {
            self.note(level, NoteKind::NoNews, text);
        } else {
            self.log(level, NoteKind::NoNews, text);
        }
    }

    /// How its poll ended, and when the vendor has seen the last of it; says what the answer showed.
    pub(crate) fn polled(&mut self, asked: &Asked, news: News, seen: Time) -> Polled {
        self.state.record.polled = Some(seen);
        let known = asked.before.hinted.map(|_| self.known_state());
        let mut showed = Polled::Other;
        match news {
            News::Unheard(Failure::Internal(_)) => self.stop_after_bug("calling the vendor"),
            News::Unsent(failure, _) | News::Unheard(failure) => self.no_news(None, failure.to_string()),
            News::Unreadable(Some(why)) => self.no_news(None, why),
            News::Unreadable(None) => self.stop_after_bug(READING),
            News::Reply(row, reply) => {
                self.state.poll_outcome = PollOutcome::of(row);
                showed = self.take_reply(row, *reply);
            }
        }
        if let Some(known) = known {
            self.hint_followed(&known);
        }
        showed
    }

    /// Applies what the answer says about the order.
    fn take_reply(&mut self, row: Row, reply: Reply) -> Polled {
        if let (crate::api::OrderRef::OrderNumber(ours), Some(theirs)) =
            (&self.entry().handle, &reply.order_number)
            && **ours != **theirs
        {
            let theirs = Untrusted::new(theirs);
            self.no_news(None, format!("the answer is about another order ({theirs})"));
            return Polled::Other;
        }
        self.learn_number(reply.order_number.as_deref());
        if !matches!(row.class, Class::Ready | Class::Transient | Class::Unknown) {
            self.understood();
        }
        match row.class {
            Class::Ready => return self.issued(reply),
            Class::Available if !reply.parts.is_empty() => return self.issued(reply),
            Class::Available | Class::Waiting | Class::WaitingSlowly => {
                self.still_waiting(row, reply);
                self.reissue_under_way();
                return Polled::Waits;
            }
            Class::Transient => self.no_news(Some(reply.code), described(row, &reply)),
            Class::AccountClosed | Class::AccountPaused => {
                self.set_due();
                self.heard(Some(reply.code), described(row, &reply), reply.details);
            }
            Class::Ours | Class::Permission | Class::EndpointRefused | Class::Done | Class::Report => {
                self.given_up(Trigger::Stuck, row, reply);
            }
            Class::Rejected => {
                self.reissue_rejected(reply.code, &described(row, &reply));
                self.given_up(Trigger::Rejected, row, reply);
            }
            Class::Revoked => self.given_up(Trigger::Revoked, row, reply),
            Class::Unknown => self.not_understood(row, reply),
        }
        Polled::Other
    }

    /// Asking again would change nothing.
    fn given_up(&mut self, trigger: Trigger, row: Row, reply: Reply) {
        let text = described(row, &reply);
        self.heard(Some(reply.code), text.clone(), reply.details);
        self.stop(trigger, text, row.advice);
    }

    /// The answer was understood, whatever it said.
    fn understood(&mut self) {
        let record = &mut self.state.record;
        record.failures = 0;
        record.unknowns = 0;
    }

    fn not_understood(&mut self, row: Row, reply: Reply) {
        let limit = self.config.calls.unknown_tries;
        let record = &mut self.state.record;
        record.unknowns += 1;
        let text = described(row, &reply);
        if record.unknowns >= limit {
            self.heard(Some(reply.code), text.clone(), reply.details);
            self.stop(Trigger::Stuck, format!("{text}; {limit} times in a row"), row.advice);
            return;
        }
        self.set_due();
        self.heard(Some(reply.code), text.clone(), reply.details);
        let text = format!("{text}; {}", self.next_poll());
        self.note(Level::Warn, NoteKind::UnknownCode, text);
    }

    fn still_waiting(&mut self, row: Row, reply: Reply) {
        let now = self.now;
        let text = match &reply.message {
            Some(message) => format!("{} ({} \"{message}\")", row.means, reply.code),
            None => format!("{} ({})", row.means, reply.code),
        };
        // "Issued, but not in the answer" is said of the installed certificate.
        let record = &mut self.state.record;
        if record.installed.is_some() && row.class != Class::Available {
            record.reissue_since.get_or_insert(now.time);
        }
        let reissue = if record.reissue_since.is_some() { "a re-issue waits: " } else { "" };
        let advice = advice(row);
        let code = reply.code;
        let before = self.state.record.heard.as_ref();
        let told_before = before.is_some_and(|heard| heard.code == Some(code));
        let known_as = before.and_then(|heard| heard.details.fqdn.clone());
        self.heard(Some(code), format!("{text}{advice}"), reply.details);
        self.set_due();
        self.tell_misfit(known_as.as_ref());
        let kind =
            if row.class == Class::WaitingSlowly { NoteKind::PaymentPending } else { NoteKind::Pending };
        let level = if row.class == Class::WaitingSlowly && !told_before { Level::Warn } else { Level::Info };
        let text = format!("{reissue}{text}{advice}; {}", self.next_poll());
        if told_before {
            self.log(level, kind, text);
        } else {
            self.note(level, kind, text);
        }
    }

    /// The order number may be someone else's: reported once for each name.
    fn tell_misfit(&mut self, known_as: Option<&Untrusted>) {
        let entry = self.entry();
        let Some(name) = names::misfit(entry, &self.state.record) else { return };
        if Some(name) == known_as {
            return;
        }
        let text = format!(
            "the vendor has {} for {name}, which matches none of its domains ({}); check the number and the domains",
            entry.handle.describe(),
            entry.domains.join(", ")
        );
        self.note(Level::Warn, NoteKind::OtherName, text);
    }

    /// The vendor says that the certificate is in the answer.
    fn issued(&mut self, reply: Reply) -> Polled {
        if reply.parts.is_empty() {
            let text = "the vendor reports it as issued, but no certificate is in the answer";
            self.no_news(None, text.into());
            return Polled::Other;
        }
        let parts = || reply.parts.iter().map(|part| &part[..]);
        let unpacked = catch_unwind(AssertUnwindSafe(|| cert::unpack_all(parts())));
        let bundle = match unpacked {
            Err(_) => {
                self.stop_after_bug("unpacking the certificates");
                return Polled::Other;
            }
            Ok(Err(why)) => {
                self.no_news(None, format!("the vendor reports it as issued, but {why}"));
                return Polled::Other;
            }
            Ok(Ok(bundle)) => bundle,
        };
        self.understood();
        self.state.record.reissue_since = None;
        self.certificate_named(reply.certificate_id.as_deref());
        self.heard(Some(reply.code), "issued".into(), reply.details);
        if self.state.record.rollback {
            // The older generation first, from the bundle that is kept for it. What is newer still is offered again.
            self.set_due();
            let text = format!("issued; checked after the rollback; {}", self.next_poll());
            self.log(Level::Info, NoteKind::Guarded, text);
            return Polled::Other;
        }
        if self.is_in_place(&bundle) {
            self.nothing_new(bundle);
            return Polled::Unchanged;
        }
        if self.keeps_waiting(&bundle) {
            self.state.pending.look = self.state.record.installed.is_some();
            self.set_due();
            let text = format!("nothing newer than the certificate that waits; {}", self.next_poll());
            self.log(Level::Info, NoteKind::Guarded, text);
            return Polled::Other;
        }
        if self.state.record.is_held() {
            let text = "a newer certificate takes the place of the one that waits for a window";
            self.note(Level::Info, NoteKind::Held, text.into());
        }
        self.set_bundle(Bundle::Unjudged(bundle));
        self.state.record.trouble = None;
        self.state.pending.look = false;
        self.set_due();
        self.touch();
        self.outbox.flush_at_once(self.now);
        Polled::Other
    }

    /// The operator must act: the order is no longer polled.
    fn stop(&mut self, trigger: Trigger, text: String, advice: &str) {
        self.state.record.due = None;
        self.state.record.reissue_since = None;
        if trigger == Trigger::Revoked {
            self.state.record.revoked =
                self.state.record.installed.as_ref().map(|installed| installed.fingerprint);
        }
        if matches!(trigger, Trigger::Rejected | Trigger::Revoked) && !self.state.record.rollback {
            // Certificates on hold or in quarantine are now useless. A rollback that the operator asked for continues.
            let state = &mut *self.state;
            // Its link may be in place although its copies are not; then the files are not what is on record.
            state.pending.look |= state.record.staged.take().is_some();
            self.drop_bundle();
        }
        let name = self.state.name.clone();
        let installed = self.state.record.installed.is_some();
        let mut text = text;
        if !advice.is_empty() {
            text = format!("{text}; {advice}");
        }
        if self.change_phase(trigger, Some(text.clone())) {
            let stays = if installed { "; what is installed stays" } else { "" };
            let next = format!(
                "; it is not polled again until `certcollectd resume {name}` or a changed entry{stays}"
            );
            let kind = match self.state.record.phase {
                Phase::Rejected => NoteKind::Rejected,
                Phase::Revoked => NoteKind::Revoked,
                Phase::Waiting
                | Phase::Collected
                | Phase::Deploying
                | Phase::Guarding
                | Phase::Quarantined
                | Phase::Attention => NoteKind::Attention,
            };
            self.note(Level::Error, kind, format!("{text}{next}"));
        }
        self.outbox.save_first();
    }

    /// A bug surfaced while one order was handled: that order waits for the operator.
    pub(crate) fn stop_after_bug(&mut self, doing: &str) {
        self.stop(Trigger::Stuck, internal_error(doing), "");
    }

    pub(crate) fn heard(&mut self, code: Option<i32>, text: String, details: reply::Details) {
        let old = self.state.record.heard.take();
        let lasts = old.as_ref().map(|old| old.mood()).filter(|(mood, _)| *mood == Mood::of(code));
        let since = lasts.map(|(_, since)| since).filter(|since| *since != self.now.unix());
        // An answer without details keeps those of an earlier one.
        let details = match old {
            Some(old) if code.is_none_or(code::is_error) && details == reply::Details::default() => {
                old.details
            }
            Some(old) => Rare::from(reply::Details {
                term_start: details.term_start.or(old.details.term_start),
                term_end: details.term_end.or(old.details.term_end),
                ..details
            }),
            None => Rare::from(details),
        };
        self.state.record.heard =
            Some(Box::new(Heard { at: self.now.unix(), since, code, text: usual::shared(&text), details }));
        self.touch();
    }
}
