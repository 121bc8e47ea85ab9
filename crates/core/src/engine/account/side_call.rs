//! Calls that are not polls: domain details, which the daemon also asks for on its own, and the operator's
//! S/MIME commands. They pass the same gate, and none of them is ever repeated blindly.

use crate::api::code::{Class, Row, is_error};
use crate::api::{Endpoint, OrderRef, Reply, Request, Untrusted};
use crate::config::Account;
use crate::engine::account::Accounts;
use crate::engine::account::Purpose;
use crate::engine::account::login::News;
use crate::engine::adopted::Adopted;
use crate::engine::command::{ReplaceCommand, Target};
use crate::engine::id::{OrderId, Token};
use crate::engine::order::answers::{READING, advice, described, internal_error};

/// A call that is not a poll, waiting for its turn or under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SideCall {
    kind: Kind,
    /// Who waits for the answer; `None` if the daemon asks on its own.
    token: Option<Token>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Domains { number: String, order: Option<OrderId> },
    Resend { number: String },
    Replace(Box<ReplaceCommand>),
}

impl SideCall {
    /// Domain details, at the operator's word or by ourselves; kept with the order if it is one of ours.
    pub fn domains(number: &str, order: Option<OrderId>, token: Option<Token>) -> Self {
        SideCall { kind: Kind::Domains { number: number.to_owned(), order }, token }
    }

    pub fn resend(number: &str, token: Token) -> Self {
        SideCall { kind: Kind::Resend { number: number.to_owned() }, token: Some(token) }
    }

    pub fn replace(command: Box<ReplaceCommand>, token: Token) -> Self {
        SideCall { kind: Kind::Replace(command), token: Some(token) }
    }

    /// The order that is to be replaced, if that is what it is about.
    pub(in crate::engine) fn replaced_number(&self) -> Option<&str> {
        match &self.kind {
            Kind::Replace(command) => Some(&command.replace.order_number),
            Kind::Domains { .. } | Kind::Resend { .. } => None,
        }
    }

    pub(in crate::engine) fn endpoint(&self) -> Endpoint {
        match self.kind {
            Kind::Domains { .. } => Endpoint::DomainDetails,
            Kind::Resend { .. } => Endpoint::ResendSmime,
            Kind::Replace(_) => Endpoint::ReplaceSmime,
        }
    }
}

/// Stands for what an account's calls are made with, the password aside: login name and address.
pub fn login_of(account: &Account) -> u64 {
    crate::engine::schedule::seed(&account.login_name, &account.base_url, 0)
}

impl Accounts<'_> {
    /// The order number and the account that a target means, and the order if it is configured.
    pub(in crate::engine) fn resolve(
        &self,
        target: &Target,
    ) -> Result<(usize, String, Option<OrderId>), String> {
        match target {
            Target::Order(name) => {
                let id = self
                    .orders
                    .find(name)
                    .ok_or_else(|| format!("no order named {} is configured", Untrusted::new(name)))?;
                match self.orders.number(id, &self.config) {
                    Some(number) => Ok((self.orders.slot(id).gate, number.to_owned(), Some(id))),
                    None => Err(format!(
                        "{name} is known to us as {} only, no answer of the vendor has named its order number so far, and this \
                         call needs it: use --order N",
                        self.entry(id).handle.describe()
                    )),
                }
            }
            Target::Number { number, account } => {
                let gate = self.gate_for_number(number, account.as_deref())?;
                let id = self.orders.ids().find(|id| {
                    !self.orders.slot(*id).removed
                        && self.orders.slot(*id).gate == gate
                        && self.orders.number(*id, &self.config) == Some(number)
                });
                Ok((gate, number.clone(), id))
            }
        }
    }

    /// The account for an order number: the one that was named, the one of the order, or the only one.
    pub(in crate::engine) fn gate_for_number(
        &self,
        number: &str,
        account: Option<&str>,
    ) -> Result<usize, String> {
        if number.is_empty() || number.chars().count() > OrderRef::MAX_ORDER_NUMBER {
            return Err(format!("an order number has 1 to {} characters", OrderRef::MAX_ORDER_NUMBER));
        }
        let live = |gate: &usize| !self.gates[*gate].removed;
        if let Some(account) = account {
            let gate = self.gate_of(account).filter(live);
            return gate.ok_or_else(|| format!("no account named {} is configured", Untrusted::new(account)));
        }
        let handle = OrderRef::OrderNumber(number.into());
        let mut orders =
            self.orders.ids().filter(|id| !self.orders.slot(*id).removed && self.entry(*id).handle == handle);
        if let Some(id) = orders.next() {
            return Ok(self.orders.slot(id).gate);
        }
        let gates: Vec<usize> = (0..self.gates.len()).filter(live).collect();
        match gates[..] {
            [only] => Ok(only),
            _ => {
                let names: Vec<&str> = gates.iter().map(|gate| &*self.gates[*gate].name).collect();
                Err(format!("say on which account with --account; there are: {}", names.join(", ")))
            }
        }
    }

    pub(in crate::engine) fn want_resend(&mut self, token: Token, target: &Target) {
        let found = self.resolve(target).and_then(|(gate, number, _)| {
            match self.gates[gate].shut(&self.config, &self.outbox, self.now) {
                Some(why) => Err(format!("nothing was sent: {why}")),
                None => Ok((gate, number)),
            }
        });
        match found {
            Ok((gate, number)) => self.gates[gate].side_calls.push_back(SideCall::resend(&number, token)),
            Err(why) => self.outbox.reply(token, false, &why),
        }
    }

    /// The account was closed, paused or removed since: a waiting command need not wait for that to end, and
    /// no one should find it done when that has ended.
    pub(in crate::engine) fn refuse_side_calls(&mut self, gate: usize) {
        if self.gates[gate].side_calls.is_empty() || self.gates[gate].in_flight.is_some() {
            return;
        }
        if let Some(why) = self.gates[gate].shut(&self.config, &self.outbox, self.now) {
            for side_call in std::mem::take(&mut self.gates[gate].side_calls) {
                self.tell_asker(&side_call, &format!("nothing was sent: {why}"));
            }
        }
    }

    fn tell_asker(&mut self, side_call: &SideCall, text: &str) {
        if let Some(token) = side_call.token {
            self.outbox.reply(token, false, text);
        }
    }

    pub(in crate::engine) fn start_next_side_call(&mut self, gate: usize) {
        if let Some(side_call) = self.gates[gate].side_calls.pop_front() {
            self.start_side_call(gate, side_call);
        }
    }

    pub(in crate::engine) fn start_side_call(&mut self, gate: usize, side_call: SideCall) {
        let request = match &side_call.kind {
            Kind::Domains { number, order } => {
                self.domains_asked(*order);
                Request::domain_details(number)
            }
            Kind::Resend { number } => Request::resend_smime(number),
            Kind::Replace(command) => self.intend(gate, command),
        };
        self.begin_call(gate, Purpose::SideCall(side_call), request);
    }

    /// The record in front of the call could not be saved, so the call was not made.
    pub(in crate::engine) fn side_call_dropped(&mut self, gate: usize, side_call: SideCall) {
        if let Kind::Replace(command) = &side_call.kind {
            self.not_replaced(gate, command);
        }
        self.tell_asker(&side_call, "nothing was sent: the state cannot be saved; see the log");
    }

    /// What the end of a side call means. Gives back the order that is to be collected from now on.
    pub(in crate::engine) fn side_call_ended(
        &mut self,
        gate: usize,
        side_call: SideCall,
        news: News,
    ) -> Option<Adopted> {
        match news {
            News::Unsent(failure, _) => {
                if let Kind::Replace(command) = &side_call.kind {
                    self.not_replaced(gate, command);
                }
                self.tell_asker(&side_call, &format!("nothing was sent: {failure}"));
            }
            News::Unheard(failure) => self.side_call_lost(gate, &side_call, &failure.to_string()),
            News::Unreadable(why) => {
                let why = why.unwrap_or_else(|| internal_error(READING));
                self.side_call_lost(gate, &side_call, &why);
            }
            News::Reply(row, reply) => return self.side_call_done(gate, side_call, row, &reply),
        }
        None
    }

    /// The call may have reached the vendor, but no answer was understood.
    fn side_call_lost(&mut self, gate: usize, side_call: &SideCall, why: &str) {
        match &side_call.kind {
            Kind::Replace(command) => self.replacement_unclear(gate, command, side_call.token, why),
            Kind::Domains { number, order } => {
                self.domains_unknown(side_call.token, *order, number, why);
                self.tell_asker(side_call, &format!("the domains of order {number} are not known: {why}"));
            }
            Kind::Resend { number } => {
                let text =
                    format!("it is not known whether the mail for order {number} was sent again: {why}");
                self.tell_asker(side_call, &text);
            }
        }
    }

    fn side_call_done(
        &mut self,
        gate: usize,
        side_call: SideCall,
        row: Row,
        reply: &Reply,
    ) -> Option<Adopted> {
        match &side_call.kind {
            Kind::Replace(command) => {
                return self.replacement_answered(gate, command, side_call.token, (row, reply));
            }
            Kind::Resend { number } => match side_call.token {
                Some(token) if !is_error(reply.code) => {
                    self.outbox.reply(
                        token,
                        true,
                        &format!("the collection mail of order {number} is sent again"),
                    );
                }
                _ => self.tell_asker(
                    &side_call,
                    &refused(&format!("the mail of order {number} is not sent again"), row, reply),
                ),
            },
            Kind::Domains { number, order } => {
                if row.class == Class::EndpointRefused {
                    self.details_refused(gate, &refused("the domains are not told", row, reply));
                }
                if !is_error(reply.code) {
                    self.domains_heard(*order, number, side_call.token, reply);
                } else {
                    let text = refused(&format!("the domains of order {number} are not told"), row, reply);
                    self.domains_unknown(side_call.token, *order, number, &text);
                    self.tell_asker(&side_call, &text);
                }
            }
        }
        None
    }
}

pub(in crate::engine) fn refused(what: &str, row: Row, reply: &Reply) -> String {
    format!("{what}: {}{}", described(row, reply), advice(row))
}
