//! Calls that are not polls: domain details, which the daemon also asks for on its own, and the operator's
//! S/MIME commands. They pass the same gate, and none of them is ever repeated blindly.

use crate::api::code::{Class, Row, is_error};
use crate::api::{OrderRef, Reply, Request, Untrusted};
use crate::engine::account::Accounts;
use crate::engine::account::gate::{Kind, Purpose, SideCall};
use crate::engine::account::login::News;
use crate::engine::adopted::Adopted;
use crate::engine::command::Target;
use crate::engine::id::{OrderId, Token};
use crate::engine::wording::{READING, internal_error, refusal};

impl Accounts<'_> {
    /// The order number and the account that a target means, and the order if it is configured.
    pub(crate) fn resolve(&self, target: &Target) -> Result<(usize, String, Option<OrderId>), String> {
        match target {
            Target::Order(name) => {
                let id = self
                    .orders
                    .find(name)
                    .ok_or_else(|| format!("no order named {} is configured", Untrusted::new(name)))?;
                match self.orders.number(id, self.config) {
                    Some(number) => Ok((self.orders.state(id).gate, number.to_owned(), Some(id))),
                    None => Err(format!(
                        "{name} is known as {} only; no answer has named its order number yet, and this call \
                         needs it: use --order N",
                        self.entry(id).handle.describe()
                    )),
                }
            }
            Target::Number { number, account } => {
                let gate = self.gate_for_number(number, account.as_deref())?;
                let id = self.orders.ids().find(|id| {
                    !self.orders.state(*id).removed
                        && self.orders.state(*id).gate == gate
                        && self.orders.number(*id, self.config) == Some(number)
                });
                Ok((gate, number.clone(), id))
            }
        }
    }

    /// The account for an order number: the one that was named, the one of the order, or the only one.
    pub(crate) fn gate_for_number(&self, number: &str, account: Option<&str>) -> Result<usize, String> {
        if number.is_empty() || number.chars().count() > OrderRef::MAX_ORDER_NUMBER {
            return Err(format!("an order number has 1 to {} characters", OrderRef::MAX_ORDER_NUMBER));
        }
        let live = |gate: &usize| !self.gates[*gate].removed;
        if let Some(account) = account {
            let gate = self.gate_of(account).filter(live);
            return gate.ok_or_else(|| format!("no account named {} is configured", Untrusted::new(account)));
        }
        let handle = OrderRef::OrderNumber(number.into());
        let mut orders = self
            .orders
            .ids()
            .filter(|id| !self.orders.state(*id).removed && self.entry(*id).handle == handle);
        if let Some(id) = orders.next() {
            return Ok(self.orders.state(id).gate);
        }
        let gates: Vec<usize> = (0..self.gates.len()).filter(live).collect();
        match gates[..] {
            [only] => Ok(only),
            _ => {
                let names: Vec<&str> = gates.iter().map(|gate| &*self.gates[*gate].name).collect();
                Err(format!("choose an account with --account; there are: {}", names.join(", ")))
            }
        }
    }

    pub(crate) fn want_resend(&mut self, token: Token, target: &Target) {
        let found = self.resolve(target).and_then(|(gate, number, _)| {
            match self.gates[gate].why_shut(self.config, self.outbox, self.now) {
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
    pub(crate) fn refuse_side_calls(&mut self, gate: usize) {
        if self.gates[gate].side_calls.is_empty() || self.gates[gate].in_flight.is_some() {
            return;
        }
        if let Some(why) = self.gates[gate].why_shut(self.config, self.outbox, self.now) {
            for side_call in std::mem::take(&mut self.gates[gate].side_calls) {
                if let Kind::Reissue { order, .. } = side_call.kind
                    && !self.orders.state(order).removed
                {
                    self.order(order).hold_reissue(why.clone());
                }
                self.tell_asker(&side_call, &format!("nothing was sent: {why}"));
            }
        }
    }

    fn tell_asker(&mut self, side_call: &SideCall, text: &str) {
        if let Some(token) = side_call.token {
            self.outbox.reply(token, false, text);
        }
    }

    pub(crate) fn start_next_side_call(&mut self, gate: usize) {
        if let Some(side_call) = self.gates[gate].side_calls.pop_front() {
            self.start_side_call(gate, side_call);
        }
    }

    pub(crate) fn start_side_call(&mut self, gate: usize, side_call: SideCall) {
        let request = match &side_call.kind {
            Kind::Domains { number, order } => {
                self.domains_asked(*order);
                Request::domain_details(number)
            }
            Kind::Resend { number } => Request::resend_smime(number),
            Kind::Replace(command) => self.intend(gate, command),
            Kind::Reissue { order, looked } => match self.intend_reissue(gate, *order, *looked) {
                Some(request) => request,
                None => return,
            },
        };
        self.begin_call(gate, Purpose::SideCall(side_call), request);
    }

    /// The save before the call failed, so the call was not made.
    pub(crate) fn side_call_dropped(&mut self, gate: usize, side_call: SideCall) {
        let why = "the state cannot be saved; see the log";
        self.side_call_unsent(gate, &side_call, why);
        self.tell_asker(&side_call, &format!("nothing was sent: {why}"));
    }

    /// Handles the end of a side call. Returns an order to be collected from now on.
    pub(crate) fn side_call_ended(
        &mut self,
        gate: usize,
        side_call: SideCall,
        news: News,
    ) -> Option<Adopted> {
        match news {
            News::Unsent(failure, _) => {
                self.side_call_unsent(gate, &side_call, &failure.to_string());
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

    /// The vendor certainly saw nothing of it.
    fn side_call_unsent(&mut self, gate: usize, side_call: &SideCall, why: &str) {
        match &side_call.kind {
            Kind::Replace(command) => self.not_replaced(gate, command),
            Kind::Reissue { order, .. } => self.reissue_unsent(gate, *order, why),
            Kind::Domains { .. } | Kind::Resend { .. } => {}
        }
    }

    /// The call may have reached the vendor, but no answer was understood.
    fn side_call_lost(&mut self, gate: usize, side_call: &SideCall, why: &str) {
        match &side_call.kind {
            Kind::Replace(command) => self.replacement_unclear(gate, command, side_call.token, why),
            Kind::Reissue { order, .. } => self.reissue_unclear(gate, *order, None, why),
            Kind::Domains { number, order } => {
                self.domains_unknown(side_call.token, *order, number, why);
                self.tell_asker(side_call, &format!("the domains of order {number} are unknown: {why}"));
            }
            Kind::Resend { number } => {
                let text = format!(
                    "it is unknown whether the collection mail of order {number} was sent again: {why}"
                );
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
            Kind::Reissue { order, .. } => self.reissue_answered(gate, *order, row, reply),
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
                    &refusal(&format!("the collection mail of order {number} is not sent again"), row, reply),
                ),
            },
            Kind::Domains { number, order } => {
                if row.class == Class::EndpointRefused {
                    self.domains_refused(gate, &refusal("no domain details", row, reply));
                }
                if !is_error(reply.code) {
                    self.domains_heard(*order, number, side_call.token, reply);
                } else {
                    let text = refusal(&format!("no domain details of order {number}"), row, reply);
                    self.domains_unknown(side_call.token, *order, number, &text);
                    self.tell_asker(&side_call, &text);
                }
            }
        }
        None
    }
}

impl Accounts<'_> {
    /// A command waiting for a poll that cannot be made at present need not wait for that to end. The order
    /// stays due; but an account that is closed can be so for weeks, and then the poll is no longer what was
    /// wanted.
    pub(crate) fn refuse_waiters(&mut self, gate: usize) {
        if self.outbox.waiters.is_empty() || self.gates[gate].in_flight.is_some() {
            return;
        }
        let Some(why) = self.gates[gate].why_shut(self.config, self.outbox, self.now) else { return };
        let waiting = |id: &OrderId| self.orders.state(*id).gate == gate && self.orders.state(*id).urgent;
        let ids: Vec<OrderId> = self.outbox.waiters.keys().copied().filter(waiting).collect();
        for id in ids {
            if self.gates[gate].record.earliest_call(self.now.time).is_none() {
                self.orders.state_mut(id).urgent = false;
            }
            let (name, next) = (self.orders.name_of(id), self.order(id).next_poll());
            let (refused, others) = self
                .outbox
                .waiters
                .remove(&id)
                .unwrap_or_default()
                .into_iter()
                .partition::<Vec<_>, _>(|waiter| waiter.needs_call);
            if !others.is_empty() {
                self.outbox.waiters.insert(id, others);
            }
            for waiter in refused {
                self.outbox.reply(
                    waiter.token,
                    false,
                    &format!("{name} was not polled: nothing was sent: {why}; {next}"),
                );
            }
        }
    }
}
