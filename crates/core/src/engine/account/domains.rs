//! What the vendor knows of an order's domains: when the daemon asks on its own, and what it keeps.
//!
//! GetMDCDomainDetails says which domain lacks what, which CollectSSL does not. It is asked for orders that
//! have waited longer than one interval, for their first certificate or for another one, or whose answer shows
//! open validation; no more often than `max_interval`, and not at all once the vendor says that this endpoint
//! is not open to the account.

use serde_json::json;

use crate::api::reply::Details;
use crate::api::{Product, Reply, Untrusted};
use crate::engine::account::Accounts;
use crate::engine::account::gate::SideCall;
use crate::engine::account::record::{CredentialTag, Refused, login_of};
use crate::engine::command::{CommandReply, Target};
use crate::engine::event::Effect;
use crate::engine::id::{OrderId, Token};
use crate::engine::note::{Level, Note, NoteKind};
use crate::engine::time::{Now, rfc3339};

impl Accounts<'_> {
    pub(crate) fn want_domains(&mut self, token: Token, target: &Target) {
        let found = self.resolve(target).and_then(|(gate, number, id)| {
            if let Some(other) =
                id.map(|id| self.entry(id).settings.product).filter(|product| *product != Product::Ssl)
            {
                return Err(format!(
                    "order {number} is of product {}; the vendor has domain details for ssl orders only",
                    other.as_str()
                ));
            }
            match self.gates[gate].why_shut(self.config, self.outbox, self.now) {
                Some(why) => Err(format!("nothing was asked: {why}")),
                None => Ok((gate, number, id)),
            }
        });
        match found {
            Ok((gate, number, id)) => {
                self.gates[gate].side_calls.push_back(SideCall::domains(&number, id, Some(token)));
            }
            Err(why) => self.outbox.reply(token, false, &why),
        }
    }

    /// After an answer that the order is still waiting: asks for its domains if that may explain why.
    pub(crate) fn wish_for_domains(&mut self, id: OrderId) {
        if self.order(id).wants_domains() {
            let gate = self.orders.state(id).gate;
            self.gates[gate].wishes.insert(id);
        }
    }

    /// The turn of a wish has come, if it still is one.
    pub(crate) fn start_wish(&mut self, gate: usize, id: OrderId) {
        self.gates[gate].wishes.remove(&id);
        if self.orders.state(id).removed
            || self.orders.state(id).gate != gate
            || !self.order(id).wants_domains()
        {
            return;
        }
        let Some(number) = self.order(id).known_number().map(str::to_owned) else { return };
        self.start_side_call(gate, SideCall::domains(&number, Some(id), None));
    }

    /// Recorded before the call, so that a crash causes no early call.
    pub(crate) fn domains_asked(&mut self, order: Option<OrderId>) {
        let asked = self.latest_arrival();
        if let Some(id) = order.filter(|id| !self.orders.state(*id).removed) {
            self.order(id).domains_asked(asked);
        }
    }

    /// No usable answer: what was known stays. A command gets it in its reply; the log has only what the daemon
    /// asked on its own.
    pub(crate) fn domains_unknown(
        &mut self,
        asker: Option<Token>,
        order: Option<OrderId>,
        number: &str,
        why: &str,
    ) {
        if asker.is_some() {
            return;
        }
        let text = format!("cannot get the domains of order {number}: {why}; the order is still polled");
        match order.filter(|id| !self.orders.state(*id).removed) {
            Some(id) => self.order(id).log(Level::Warn, NoteKind::Domains, text),
            None => {
                let note = Note {
                    level: Level::Warn,
                    kind: NoteKind::Domains,
                    order: None,
                    account: None,
                    at: self.now.unix(),
                    text,
                };
                self.outbox.say(Effect::Report(note));
            }
        }
    }

    pub(crate) fn domains_heard(
        &mut self,
        order: Option<OrderId>,
        number: &str,
        token: Option<Token>,
        reply: &Reply,
    ) {
        let now = self.now;
        let details = &reply.details;
        let open = details.dcv.iter().filter(|dcv| !dcv.is_validated()).count();
        let text = match details.dcv.len() {
            0 => "the vendor names no domains".to_owned(),
            1 if open == 0 => "the domain is validated".to_owned(),
            1 => "the domain is not validated".to_owned(),
            all if open == 0 => format!("all {all} domains are validated"),
            all => {
                let are = if open == 1 { "is" } else { "are" };
                format!("{open} of {all} domains {are} not validated")
            }
        };
        if let Some(id) = order.filter(|id| !self.orders.state(*id).removed) {
            self.order(id).domains_heard(&text, open > 0, reply);
        }
        if let Some(token) = token {
            let data = as_data(number, details, now);
            let text = format!("order {number}: {text}");
            self.outbox.say(Effect::Reply { token, reply: CommandReply { ok: true, text, data } });
        }
    }

    /// "Permission denied!": the login is fine, this endpoint is not open to the account.
    pub(crate) fn domains_refused(&mut self, gate: usize, text: &str) {
        let account = self.gates[gate].name.clone();
        let Some(login) = self.account_of(gate).map(login_of) else { return };
        let first = self.gates[gate].record.details_refused.is_none();
        self.gates[gate].record.details_refused =
            Some(Refused { since: self.now.unix(), text: text.into(), tag: None, login });
        self.gates[gate].wishes.clear();
        self.touch_gate(gate);
        self.outbox.say(Effect::TagCredential { account: account.clone() });
        if first {
            let text = format!(
                "account {account}: {text}; the daemon asks again only after the account's entry or credential changes"
            );
            self.note_account(Level::Warn, NoteKind::DomainsRefused, gate, text);
        }
    }

    /// The credential was read: another one than the refused one may be allowed more.
    pub(crate) fn domains_tagged(&mut self, gate: usize, tag: Option<CredentialTag>) {
        let Some(refused) = &mut self.gates[gate].record.details_refused else { return };
        match (refused.tag, tag) {
            (_, None) => return,
            (None, Some(tag)) => refused.tag = Some(tag),
            (Some(known), Some(tag)) if known != tag => self.gates[gate].record.details_refused = None,
            (Some(_), Some(_)) => return,
        }
        self.touch_gate(gate);
    }

    /// The account's entry was changed.
    pub(crate) fn domains_allowed_again(&mut self, account: &str) {
        if let Some(gate) = self.gate_of(account)
            && self.gates[gate].record.details_refused.take().is_some()
        {
            self.touch_gate(gate);
        }
    }
}

/// For machines, and for the table of `domains`.
fn as_data(number: &str, details: &Details, now: Now) -> serde_json::Value {
    let domains: Vec<_> = details
        .dcv
        .iter()
        .map(|dcv| {
            json!({
                "domain": dcv.domain.as_str(),
                "method": dcv.method.as_ref().map(Untrusted::as_str),
                "state": dcv.status.as_ref().map(Untrusted::as_str),
                "validated": dcv.is_validated(),
            })
        })
        .collect();
    let statuses: serde_json::Map<String, serde_json::Value> =
        details.statuses.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    json!({ "order_number": number, "at": rfc3339(now.unix()), "domains": domains, "statuses": statuses, "caa": details.caa.as_ref().map(Untrusted::as_str) })
}
