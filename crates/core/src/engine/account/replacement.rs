//! S/MIME replacements: AutoReplaceSMIME is not idempotent, so what was sent is remembered before it is sent,
//! and nothing is sent twice but at the operator's explicit word.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::api::code::{Class, Row, is_error};
use crate::api::{OrderRef, Replace, Reply, Request, Untrusted};
use crate::cert;
use crate::cert::{Certificate, Fingerprint};
use crate::engine::account::Accounts;
use crate::engine::account::gate::SideCall;
use crate::engine::account::record::AccountRecord;
use crate::engine::account::sent::{Outcome, Replacement, is_unknown, open, unclear};
use crate::engine::adopted::Adopted;
use crate::engine::command::{CommandReply, ReplaceCommand};
use crate::engine::event::Effect;
use crate::engine::id::{OrderId, Token};
use crate::engine::note::{Level, NoteKind};
use crate::engine::time::rfc3339;
use crate::engine::wording::{described, refusal};

/// Maximum number of replacements remembered per account; they are saved with each of its calls.
const REMEMBERED: usize = 500;

impl Accounts<'_> {
    pub(crate) fn want_replacement(&mut self, token: Token, command: Box<ReplaceCommand>) {
        let number = command.replace.order_number.clone();
        let found = self.gate_for_number(&number, command.account.as_deref());
        let wrong =
            found.as_ref().err().cloned().or_else(|| self.why_not_sent(*found.as_ref().ok()?, &command));
        if let Some(wrong) = wrong {
            return self.outbox.reply(token, false, &wrong);
        }
        let Ok(gate) = found else { return };
        self.gates[gate].side_calls.push_back(SideCall::replace(command, token));
    }

    /// What speaks against sending this replacement.
    fn why_not_sent(&self, gate: usize, command: &ReplaceCommand) -> Option<String> {
        let replace = &command.replace;
        let number = &replace.order_number;
        if replace.csr.len() > Replace::MAX_CSR {
            return Some(format!("the request is longer than {} characters", Replace::MAX_CSR));
        }
        if let Some(name) = &command.adopt {
            if !crate::config::is_name(name) {
                return Some(format!("{} is not a valid order name", Untrusted::new(name)));
            }
            if self.orders.find(name).is_some() {
                return Some(format!("an order named {name} already exists; nothing was sent"));
            }
        }
        let same = |side_call: &SideCall| side_call.replaced_number() == Some(number.as_str());
        if self.gates[gate].side_calls.iter().any(same) || self.gates[gate].has_in_flight(same) {
            return Some(format!("a replacement of order {number} is already in progress"));
        }
        if let Some(why) = self.gates[gate].why_shut(self.config, self.outbox, self.now) {
            return Some(format!("nothing was sent: {why}"));
        }
        if command.again {
            return None;
        }
        let remembered = &self.gates[gate].record.replacements;
        if remembered.len() >= REMEMBERED && remembered.iter().all(|known| is_unknown(&known.outcome)) {
            return Some(format!(
                "nothing was sent: it is unknown whether the last {REMEMBERED} replacements were made; check \
                 them on the vendor's web site first; --again sends this one anyway"
            ));
        }
        let request = request_hash(command);
        let mut known = remembered.iter().rev().filter(|known| *known.number == **number);
        // The same request decides, whatever was sent after it; else the last one.
        let same = known.clone().find(|known| known.csr == request);
        let sent = same.or_else(|| known.next())?;
        let at = rfc3339(sent.at);
        match &sent.outcome {
            Outcome::Unknown(why) => Some(unclear(number, &at, why.as_deref())),
            Outcome::Made(made) if sent.csr == request => {
                let made = made.as_ref().map(|made| format!(" by order {made}")).unwrap_or_default();
                Some(format!(
                    "nothing was sent: order {number} was replaced{made} at {at} with this same request; \
                     --again replaces it once more"
                ))
            }
            Outcome::Made(_) => None,
        }
    }

    /// Before anything is sent: from here on, no answer means an unknown outcome.
    pub(crate) fn intend(&mut self, gate: usize, command: &ReplaceCommand) -> Request {
        let replacements = &mut self.gates[gate].record.replacements;
        if replacements.len() >= REMEMBERED {
            // What is known to have been made says least.
            let at = replacements.iter().position(|known| !is_unknown(&known.outcome));
            replacements.remove(at.unwrap_or(0));
        }
        replacements.push(Replacement {
            number: command.replace.order_number.as_str().into(),
            csr: request_hash(command),
            key: key_of(&command.replace.csr),
            at: self.now.unix(),
            outcome: Outcome::Unknown(None),
            settled: false,
        });
        self.touch_gate(gate);
        let text = format!("replacing the certificate of order {}", command.replace.order_number);
        self.note_account(Level::Info, NoteKind::Replace, gate, text);
        Request::replace_smime(&command.replace)
    }

    fn pending(record: &mut AccountRecord, command: &ReplaceCommand) -> Option<usize> {
        record.replacements.iter().rposition(|known| {
            *known.number == *command.replace.order_number && known.csr == request_hash(command)
        })
    }

    /// Whoever resumes an order has checked what happened to its replacement. The replacement stays on record,
    /// so the same request is still not sent twice by mistake.
    pub(crate) fn settle_replacement(&mut self, gate: usize, wanted: impl Fn(&str) -> bool) {
        let record = &mut self.gates[gate].record;
        let open: Vec<Box<str>> = open(&record.replacements)
            .filter(|known| wanted(&known.number))
            .map(|known| known.number.clone())
            .collect();
        for known in record.replacements.iter_mut().filter(|known| open.contains(&known.number)) {
            known.settled |= is_unknown(&known.outcome);
        }
        if !open.is_empty() {
            self.touch_gate(gate);
            self.outbox.save_first();
        }
        for number in &open {
            let text =
                format!("the unclear replacement of order {} is considered settled", Untrusted::new(number));
            self.note_account(Level::Info, NoteKind::ReplacementSettled, gate, text);
        }
    }

    /// As `settle_replacement`, for orders that are not configured.
    pub(crate) fn settle_unconfigured(&mut self, gate: usize) {
        let open: Vec<Box<str>> =
            open(&self.gates[gate].record.replacements).map(|known| known.number.clone()).collect();
        let named = |number: &str| {
            let of_gate =
                |id: &OrderId| !self.orders.state(*id).removed && self.orders.state(*id).gate == gate;
            self.orders.ids().filter(of_gate).any(|id| self.orders.number(id, self.config) == Some(number))
        };
        let nameless: Vec<Box<str>> = open.into_iter().filter(|number| !named(number)).collect();
        if !nameless.is_empty() {
            self.settle_replacement(gate, |number| nameless.iter().any(|known| **known == *number));
        }
    }

    /// A certificate for the key of a lost replacement was collected, so it was made.
    pub(crate) fn settle_collected(&mut self, gate: usize, leaf: &Certificate) {
        // Certificates begin with the day, or with the hour, of their issue.
        const DAY: i64 = 24 * 3600;
        let key = Fingerprint::of(leaf.spki());
        let is_made = |known: &&Replacement| known.key == Some(key) && leaf.not_before() + DAY > known.at;
        let numbers: Vec<Box<str>> = open(&self.gates[gate].record.replacements)
            .filter(is_made)
            .map(|known| known.number.clone())
            .collect();
        if !numbers.is_empty() {
            self.settle_replacement(gate, |number| numbers.iter().any(|known| **known == *number));
        }
    }

    /// The vendor certainly saw nothing of it.
    pub(crate) fn not_replaced(&mut self, gate: usize, command: &ReplaceCommand) {
        let record = &mut self.gates[gate].record;
        if let Some(at) = Self::pending(record, command) {
            record.replacements.remove(at);
        }
        self.touch_gate(gate);
        self.outbox.save_first();
    }

    /// It was sent, and no answer was understood.
    pub(crate) fn replacement_unclear(
        &mut self,
        gate: usize,
        command: &ReplaceCommand,
        token: Option<Token>,
        why: &str,
    ) {
        let record = &mut self.gates[gate].record;
        if let Some(at) = Self::pending(record, command) {
            record.replacements[at].outcome = Outcome::Unknown(Some(why.into()));
        }
        self.touch_gate(gate);
        self.outbox.save_first();
        let text = unclear(&command.replace.order_number, &rfc3339(self.now.unix()), Some(why));
        self.note_account(Level::Error, NoteKind::ReplaceUnclear, gate, text.clone());
        if let Some(token) = token {
            self.outbox.reply(token, false, &text);
        }
    }

    pub(crate) fn replacement_answered(
        &mut self,
        gate: usize,
        command: &ReplaceCommand,
        token: Option<Token>,
        (row, reply): (Row, &Reply),
    ) -> Option<Adopted> {
        let number = &command.replace.order_number;
        if !is_error(reply.code) {
            return self.replaced(gate, command, token, reply);
        }
        if matches!(row.class, Class::Transient | Class::Unknown) {
            // "Unknown error" says nothing of how far the vendor got.
            let why = described(row, reply);
            self.replacement_unclear(gate, command, token, &why);
            return None;
        }
        self.not_replaced(gate, command);
        let text = refusal(&format!("order {number} was not replaced"), row, reply);
        self.note_account(Level::Error, NoteKind::NotReplaced, gate, text.clone());
        if let Some(token) = token {
            self.outbox.reply(token, false, &text);
        }
        None
    }

    fn replaced(
        &mut self,
        gate: usize,
        command: &ReplaceCommand,
        token: Option<Token>,
        reply: &Reply,
    ) -> Option<Adopted> {
        let number = &command.replace.order_number;
        let usable = |made: &&String| {
            !made.is_empty()
                && made.chars().count() <= OrderRef::MAX_ORDER_NUMBER
                && !made.contains(char::is_control)
        };
        let made: Option<Box<str>> =
            reply.order_number.as_ref().filter(usable).map(|made| made.as_str().into());
        let record = &mut self.gates[gate].record;
        if let Some(at) = Self::pending(record, command) {
            record.replacements[at].outcome = Outcome::Made(made.clone());
        }
        self.touch_gate(gate);
        self.outbox.save_first();
        let mut lines = vec![match &made {
            Some(made) => format!("order {number} was replaced; the new order is {}", Untrusted::new(made)),
            None => format!("order {number} was replaced; the vendor named no new order number"),
        }];
        let mut adopted = None;
        match (&command.adopt, &made) {
            (Some(name), Some(made)) if self.orders.find(name).is_none() => {
                adopted = Some(Adopted {
                    name: Arc::from(name.as_str()),
                    account: self.gates[gate].name.clone(),
                    number: made.clone(),
                    replaced: number.as_str().into(),
                    request: Some(command.replace.csr.as_str().into()),
                    since: self.now.unix(),
                });
                lines.push(format!("it is collected as {name} from now on, until an [[order]] of that name or number takes over"));
            }
            (Some(name), Some(_)) => {
                lines.push(format!("an order named {name} exists by now, so the new one was not adopted"));
            }
            (Some(name), None) => lines.push(format!(
                "so nothing could be adopted as {name}; look the number up on the vendor's web site and add \
                 an [[order]]"
            )),
            (None, _) => {}
        }
        let text = lines.join("\n");
        self.note_account(Level::Info, NoteKind::Replaced, gate, text.clone());
        if let Some(token) = token {
            let data = serde_json::json!({ "order_number": number, "new_order_number": made, "adopted": command.adopt.as_ref().filter(|_| made.is_some()) });
            self.outbox.say(Effect::Reply { token, reply: CommandReply { ok: true, text, data } });
        }
        adopted
    }
}

/// Tells a repetition from another replacement.
fn request_hash(command: &ReplaceCommand) -> Fingerprint {
    Fingerprint::of(command.replace.csr.as_bytes())
}

/// Of a request in base64, with or without armour.
fn key_of(csr: &str) -> Option<Fingerprint> {
    let plain: String = csr.split_whitespace().collect();
    let der = STANDARD.decode(plain).ok();
    let csr = cert::csr::read(der.as_deref().unwrap_or(csr.as_bytes())).ok()?;
    Some(Fingerprint::of(csr.public_key().spki()))
}
