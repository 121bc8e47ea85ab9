//! Calls that are not polls: domain details, which the daemon also asks for on its own, and the operator's
//! S/MIME commands. They pass the same gate, and none of them is ever repeated blindly.

use crate::api::code::{Class, Row, is_error};
use crate::api::{Answer, Endpoint, Failure, Foreign, Handle, Reply, Request};
use crate::config::Account;
use crate::engine::Engine;
use crate::engine::account::Purpose;
use crate::engine::command::{ReplaceCommand, Target};
use crate::engine::id::{OrderId, Token};
use crate::engine::order::answers::{READING, advice, described, internal_error};
use crate::engine::time::Now;

/// A call that is not a poll, waiting for its turn or under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Errand {
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

impl Errand {
    /// Domain details, at the operator's word or by ourselves; kept with the order if it is one of ours.
    pub fn domains(number: &str, order: Option<OrderId>, token: Option<Token>) -> Self {
        Errand { kind: Kind::Domains { number: number.to_owned(), order }, token }
    }

    pub fn resend(number: &str, token: Token) -> Self {
        Errand { kind: Kind::Resend { number: number.to_owned() }, token: Some(token) }
    }

    pub fn replace(command: Box<ReplaceCommand>, token: Token) -> Self {
        Errand { kind: Kind::Replace(command), token: Some(token) }
    }

    /// The order that is to be replaced, if that is what it is about.
    pub(in crate::engine) fn replaced_number(&self) -> Option<&str> {
        match &self.kind {
            Kind::Replace(command) => Some(&command.replace.order_number),
            Kind::Domains { .. } | Kind::Resend { .. } => None,
        }
    }

    fn endpoint(&self) -> Endpoint {
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

impl Engine {
    /// The order number and the account that a target means, and the order if it is configured.
    pub(in crate::engine) fn resolve(
        &self,
        target: &Target,
    ) -> Result<(usize, String, Option<OrderId>), String> {
        match target {
            Target::Order(name) => {
                let id = self
                    .find(name)
                    .ok_or_else(|| format!("no order named {} is configured", Foreign::new(name)))?;
                match self.known_number(id) {
                    Some(number) => Ok((self.slot(id).gate, number.to_owned(), Some(id))),
                    None => Err(format!(
                        "{name} is known to us as {} only, no answer of the vendor has named its order number so far, and this \
                         call needs it: use --order N",
                        self.entry(id).handle.describe()
                    )),
                }
            }
            Target::Number { number, account } => {
                let gate = self.gate_for_number(number, account.as_deref())?;
                let id = self.ids().find(|id| {
                    !self.slot(*id).removed
                        && self.slot(*id).gate == gate
                        && self.known_number(*id) == Some(number)
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
        if number.is_empty() || number.chars().count() > Handle::MAX_ORDER_NUMBER {
            return Err(format!("an order number has 1 to {} characters", Handle::MAX_ORDER_NUMBER));
        }
        let live = |gate: &usize| !self.gates[*gate].removed;
        if let Some(account) = account {
            let gate = self.gate_of(account).filter(live);
            return gate.ok_or_else(|| format!("no account named {} is configured", Foreign::new(account)));
        }
        let handle = Handle::OrderNumber(number.into());
        let mut orders = self.ids().filter(|id| !self.slot(*id).removed && self.entry(*id).handle == handle);
        if let Some(id) = orders.next() {
            return Ok(self.slot(id).gate);
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

    pub(in crate::engine) fn want_resend(&mut self, token: Token, target: &Target, now: Now) {
        let found = self.resolve(target).and_then(|(gate, number, _)| match self.shut(gate, now) {
            Some(why) => Err(format!("nothing was sent: {why}")),
            None => Ok((gate, number)),
        });
        match found {
            Ok((gate, number)) => self.gates[gate].errands.push_back(Errand::resend(&number, token)),
            Err(why) => self.reply(token, false, &why),
        }
    }

    /// The account was closed, paused or removed since: a waiting command need not wait for that to end, and
    /// no one should find it done when that has ended.
    pub(in crate::engine) fn refuse_errands(&mut self, gate: usize, now: Now) {
        if self.gates[gate].errands.is_empty() || self.gates[gate].in_flight.is_some() {
            return;
        }
        if let Some(why) = self.shut(gate, now) {
            for errand in std::mem::take(&mut self.gates[gate].errands) {
                self.tell_asker(&errand, &format!("nothing was sent: {why}"));
            }
        }
    }

    fn tell_asker(&mut self, errand: &Errand, text: &str) {
        if let Some(token) = errand.token {
            self.reply(token, false, text);
        }
    }

    pub(in crate::engine) fn start_next_errand(&mut self, gate: usize, now: Now) {
        if let Some(errand) = self.gates[gate].errands.pop_front() {
            self.start_errand(gate, errand, now);
        }
    }

    pub(in crate::engine) fn start_errand(&mut self, gate: usize, errand: Errand, now: Now) {
        let request = match &errand.kind {
            Kind::Domains { number, order } => {
                self.domains_asked(*order, now);
                Request::domain_details(number)
            }
            Kind::Resend { number } => Request::resend_smime(number),
            Kind::Replace(command) => self.intend(gate, command, now),
        };
        self.begin_call(gate, Purpose::Errand(errand), request, now);
    }

    /// The record in front of the call could not be saved, so the call was not made.
    pub(in crate::engine) fn errand_dropped(&mut self, gate: usize, errand: Errand, now: Now) {
        if let Kind::Replace(command) = &errand.kind {
            self.not_replaced(gate, command, now);
        }
        self.tell_asker(&errand, "nothing was sent: the state cannot be saved; see the log");
    }

    pub(in crate::engine) fn errand_answered(
        &mut self,
        gate: usize,
        errand: Errand,
        probe: bool,
        outcome: Result<Answer, Failure>,
        now: Now,
    ) {
        let endpoint = errand.endpoint();
        match outcome {
            Err(failure) if failure.unsent() => {
                self.gates[gate].record.probe = probe;
                if let Kind::Replace(command) = &errand.kind {
                    self.not_replaced(gate, command, now);
                }
                self.tell_asker(&errand, &format!("nothing was sent: {failure}"));
                self.unreachable(gate, None, &failure, now);
            }
            Err(failure) => {
                if probe {
                    self.probe_unclear(gate, &failure.to_string(), now);
                }
                self.errand_lost(gate, &errand, &failure.to_string(), now);
            }
            Ok(answer) => match self.hear(gate, endpoint, probe, &answer, now) {
                Ok((row, reply)) => self.errand_done(gate, errand, row, &reply, now),
                Err(why) => {
                    let why = why.unwrap_or_else(|| internal_error(READING));
                    self.errand_lost(gate, &errand, &why, now);
                }
            },
        }
    }

    /// The call may have reached the vendor, but no answer was understood.
    fn errand_lost(&mut self, gate: usize, errand: &Errand, why: &str, now: Now) {
        match &errand.kind {
            Kind::Replace(command) => self.replacement_unclear(gate, command, errand.token, why, now),
            Kind::Domains { number, order } => {
                self.domains_unknown(errand.token, *order, number, why, now);
                self.tell_asker(errand, &format!("the domains of order {number} are not known: {why}"));
            }
            Kind::Resend { number } => {
                let text =
                    format!("it is not known whether the mail for order {number} was sent again: {why}");
                self.tell_asker(errand, &text);
            }
        }
    }

    fn errand_done(&mut self, gate: usize, errand: Errand, row: Row, reply: &Reply, now: Now) {
        match &errand.kind {
            Kind::Replace(command) => {
                self.replacement_answered(gate, command, errand.token, (row, reply), now);
            }
            Kind::Resend { number } => match errand.token {
                Some(token) if !is_error(reply.code) => {
                    self.reply(token, true, &format!("the collection mail of order {number} is sent again"));
                }
                _ => self.tell_asker(
                    &errand,
                    &refused(&format!("the mail of order {number} is not sent again"), row, reply),
                ),
            },
            Kind::Domains { number, order } => {
                if row.class == Class::EndpointRefused {
                    self.details_refused(gate, &refused("the domains are not told", row, reply), now);
                }
                if !is_error(reply.code) {
                    self.domains_heard(*order, number, errand.token, reply, now);
                } else {
                    let text = refused(&format!("the domains of order {number} are not told"), row, reply);
                    self.domains_unknown(errand.token, *order, number, &text, now);
                    self.tell_asker(&errand, &text);
                }
            }
        }
    }
}

pub(in crate::engine) fn refused(what: &str, row: Row, reply: &Reply) -> String {
    format!("{what}: {}{}", described(row, reply), advice(row))
}
