//! The one call, in the same turn of the account as the poll that looked first.

use std::time::Duration;

use crate::api::code::{Class, Row, is_error};
use crate::api::{ReplaceSsl, Reply, Request, Untrusted};
use crate::cert::{self, Fingerprint};
use crate::engine::account::Accounts;
use crate::engine::account::gate::SideCall;
use crate::engine::id::{OrderId, Token};
use crate::engine::note::{Level, NoteKind};
use crate::engine::order::Order;
use crate::engine::reissue::plan::Plan;
use crate::engine::reissue::record::{Stage, UsedToken};
use crate::engine::time::Time;
use crate::engine::wording::{described, refusal, said};

const DAY: i64 = 24 * 3600;
/// How much later than the account's gap allows the call may go out after the poll that looked first. A process that was
/// stopped, or a machine that slept, looks again.
const LOOK_HOLDS: Duration = Duration::from_secs(60);

impl Accounts<'_> {
    /// A poll has just shown that the vendor has what is installed: the next call of the account is the re-issue.
    pub(crate) fn ask_after_look(&mut self, gate: usize, id: OrderId) {
        let looked = self.gates[gate].record.called;
        if self.order(id).looks_first() {
            self.gates[gate].side_calls.push_front(SideCall::reissue(id, looked));
        }
    }

    /// The turn has come: saves the intent and says what is sent, unless something speaks against it by now.
    pub(crate) fn intend_reissue(
        &mut self,
        gate: usize,
        id: OrderId,
        looked: Option<Time>,
    ) -> Option<Request> {
        if self.orders.state(id).removed
            || self.orders.state(id).gate != gate
            || !self.order(id).looks_first()
        {
            return None;
        }
        if self.gates[gate].record.called != looked {
            self.order(id).hold_reissue("another call came after the poll that looked first".into());
            return None;
        }
        let longest = self.config.calls.call_gap + LOOK_HOLDS;
        if looked.is_none_or(|looked| self.now.time.since(looked) > longest) {
            self.order(id).hold_reissue("the poll that looked first is too long ago".into());
            return None;
        }
        let replace = self.order(id).intend_reissue()?;
        let unix = self.now.unix();
        let sent = &mut self.gates[gate].record.reissues.sent;
        sent.retain(|at| *at > unix - DAY);
        sent.push(unix);
        self.touch_gate(gate);
        Some(Request::replace_ssl(&replace))
    }

    /// Whether the order still has the intent whose call has ended. One that was removed has it on record, where it reads as
    /// unclear; one whose entry names another order by now has none.
    fn still_intends(&mut self, gate: usize, id: OrderId, outcome: &str) -> bool {
        let state = self.orders.state(id);
        if state.removed {
            return false;
        }
        let is_intended = state.record.reissue.as_ref().is_some_and(|known| known.stage == Stage::Intended);
        if is_intended && state.gate == gate {
            return true;
        }
        let text = format!(
            "a re-issue was asked for before the entry of {} was changed to another order: {outcome}; the vendor's web site shows \
             what became of it",
            state.name
        );
        self.note_account(Level::Warn, NoteKind::LateAnswer, gate, text);
        false
    }

    /// The vendor certainly saw nothing of it.
    pub(crate) fn reissue_unsent(&mut self, gate: usize, id: OrderId, why: &str) {
        if !self.still_intends(gate, id, &format!("nothing was sent: {why}")) {
            return;
        }
        self.gates[gate].record.reissues.sent.pop();
        self.touch_gate(gate);
        self.order(id).reissue_unsent(why);
        self.outbox.save_first();
    }

    /// It was sent, and no answer was understood.
    pub(crate) fn reissue_unclear(&mut self, gate: usize, id: OrderId, code: Option<i32>, why: &str) {
        if !self.still_intends(gate, id, why) {
            return;
        }
        self.gates[gate].record.reissues.in_vain += 1;
        self.touch_gate(gate);
        self.order(id).reissue_unclear(code, why);
        self.outbox.save_first();
    }

    pub(crate) fn reissue_answered(&mut self, gate: usize, id: OrderId, row: Row, reply: &Reply) {
        if !self.still_intends(gate, id, &said(reply)) {
            return;
        }
        if !is_error(reply.code) {
            self.gates[gate].record.reissues.in_vain = 0;
            self.touch_gate(gate);
            self.order(id).reissue_taken(reply);
            return self.outbox.save_first();
        }
        match row.class {
            // They say nothing of how far the vendor got.
            Class::Transient | Class::Unknown => {
                self.reissue_unclear(gate, id, Some(reply.code), &described(row, reply));
            }
            Class::Ready
            | Class::Available
            | Class::Waiting
            | Class::WaitingSlowly
            | Class::AccountClosed
            | Class::AccountPaused
            | Class::EndpointRefused
            | Class::Ours
            | Class::Permission
            | Class::Rejected
            | Class::Revoked
            | Class::Done
            | Class::Report => {
                self.gates[gate].record.reissues.in_vain += 1;
                self.touch_gate(gate);
                self.order(id).reissue_refused(reply.code, &refusal("the vendor says", row, reply));
                self.outbox.save_first();
            }
        }
    }

    /// What polls have shown of a re-issue that was unclear ends the row of those in vain.
    pub(crate) fn reissue_cleared(&mut self, gate: usize) {
        if self.gates[gate].record.reissues.in_vain > 0 {
            self.gates[gate].record.reissues.in_vain = 0;
            self.touch_gate(gate);
        }
    }

    /// The operator knows why re-issues were in vain: `resume --reissues`.
    pub(crate) fn resume_reissues(&mut self, token: Token, account: Option<&str>) {
        let gates: Vec<usize> = match account {
            Some(name) => self.gate_of(name).filter(|gate| !self.gates[*gate].removed).into_iter().collect(),
            None => (0..self.gates.len()).filter(|gate| !self.gates[*gate].removed).collect(),
        };
        let mut names = Vec::new();
        for gate in gates {
            if self.gates[gate].record.reissues.is_stopped() {
                names.push(self.gates[gate].name.to_string());
                let text =
                    format!("account {}: re-issues go on at the operator's word", self.gates[gate].name);
                self.note_account(Level::Info, NoteKind::Resumed, gate, text);
            }
            self.reissue_cleared(gate);
        }
        self.outbox.save_first();
        let text = match names.is_empty() {
            true => "no account's re-issues were stopped".to_owned(),
            false => format!("re-issues go on: account {}", names.join(", ")),
        };
        self.outbox.reply(token, true, &text);
    }
}

impl Order<'_> {
    pub(crate) fn looks_first(&self) -> bool {
        self.state.record.reissue.as_ref().is_some_and(|known| known.looks_first())
    }

    /// All is ready, and nothing goes out: why.
    pub(crate) fn hold_reissue(&mut self, why: String) {
        let Some(known) = self.state.record.reissue.as_deref_mut() else { return };
        if known.held.as_deref() == Some(&*why) {
            return;
        }
        known.held = Some(why.as_str().into());
        let text = format!(
            "the re-issue was not sent: {why}; the next poll that shows what is installed decides again"
        );
        self.note(Level::Warn, NoteKind::Reissue, text);
        self.touch();
    }

    /// From here on, no answer means an unknown outcome.
    fn intend_reissue(&mut self) -> Option<ReplaceSsl> {
        // Files that another program served may have been taken over since.
        self.reissue_over();
        let known = self.state.record.reissue.as_deref().filter(|known| known.looks_first())?.clone();
        let der = known.request();
        let csr = cert::csr::read(&der).ok()?;
        let plan = Plan::new(self.entry(), &self.state.record, &csr, known);
        let why = self.facts(Some(&plan.token), plan.wrong_names.as_deref(), false).first();
        if let Some(why) = why {
            self.hold_reissue(why);
            return None;
        }
        let unix = self.now.unix();
        self.state
            .record
            .tokens
            .push(UsedToken { csr: Fingerprint::of(&der), unique: plan.reissue.unique.clone() });
        if let Some(known) = self.state.record.reissue.as_deref_mut() {
            known.enter(Stage::Intended, unix);
            known.sent = Some(unix);
        }
        let text = format!("the vendor is asked for a re-issue, {}", plan.reissue.described());
        self.note(Level::Info, NoteKind::Reissue, text);
        self.touch();
        Some(plan.replace_ssl())
    }

    fn reissue_unsent(&mut self, why: &str) {
        let unix = self.now.unix();
        self.state.record.tokens.pop();
        if let Some(known) = self.state.record.reissue.as_deref_mut() {
            known.enter(Stage::Preparing, unix);
            known.sent = None;
        }
        self.hold_reissue(why.to_owned());
        self.set_due();
    }

    fn reissue_unclear(&mut self, code: Option<i32>, why: &str) {
        self.reissue_said(Stage::Unclear, code, why);
        let name = self.state.name.clone();
        let text = format!(
            "it is unclear whether the re-issue was made: {why}; it is not repeated; the polls show what became of it: \
             `certcollectd explain {name}`"
        );
        self.note(Level::Error, NoteKind::ReissueUnclear, text);
    }

    fn reissue_taken(&mut self, reply: &Reply) {
        let now = self.now.time;
        self.state.record.reissue_since.get_or_insert(now);
        let known = self.state.record.reissue.as_deref();
        let other = reply
            .unique_value
            .as_deref()
            .filter(|value| known.is_some_and(|known| !known.unique.eq_ignore_ascii_case(value)));
        let named =
            reply.certificate_id.as_deref().map(|id| format!(", as certificate {}", Untrusted::new(id)));
        let other = other.map(|value| {
            format!("; it looks for the unique value {value} and not for the one that was sent: publish that")
        });
        let more = named.unwrap_or_default() + &other.unwrap_or_default();
        self.reissue_said(Stage::Open, Some(reply.code), &format!("the vendor took it{more}"));
        let text = format!("the vendor took the re-issue{more}; {}", self.next_poll());
        self.note(Level::Info, NoteKind::Reissue, text);
    }

    pub(crate) fn reissue_refused(&mut self, code: i32, why: &str) {
        self.reissue_said(Stage::Refused, Some(code), why);
        let name = self.state.name.clone();
        let text = format!(
            "the re-issue was refused: {why}; what is installed stays; once that is mended: `certcollectd reissue {name} --again`"
        );
        self.note(Level::Error, NoteKind::ReissueRefused, text);
    }

    fn reissue_said(&mut self, stage: Stage, code: Option<i32>, said: &str) {
        let unix = self.now.unix();
        if let Some(known) = self.state.record.reissue.as_deref_mut() {
            known.enter(stage, unix);
            known.code = code;
            known.said = Some(said.into());
        }
        self.set_due();
        self.touch();
    }
}
