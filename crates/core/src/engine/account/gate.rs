//! The gate of one account: may we call now?
//!
//! One call in flight, `call_gap` between calls, a pause when the vendor asks for one. The first refused login
//! closes the account; only a changed credential or the operator lets a call through, and then exactly one.
//! Whether it is closed does not depend on time, so no clock can open it.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::api::Endpoint;
use crate::config::Config;
use crate::engine::account::record::{AccountRecord, Cause, Closed, CredentialTag};
use crate::engine::command::ReplaceCommand;
use crate::engine::id::{OrderId, Token};
use crate::engine::outbox::Outbox;
use crate::engine::time::{Now, Time, rfc3339};

/// The gate itself: the record, and what is only true within this process.
#[derive(Debug)]
pub struct Gate {
    pub name: Arc<str>,
    /// Its name before a reload renamed it, until the call that was in flight then has ended.
    pub former: Option<Arc<str>>,
    /// Its name is the former name of another account: no call until that one's call has ended.
    pub held: bool,
    pub record: AccountRecord,
    /// Orders that may be polled, by due time. A poll command sorts before everything else, a push notification
    /// right after it.
    pub queue: BTreeSet<(Time, OrderId)>,
    /// Calls of commands; these only wait for the gate.
    pub side_calls: VecDeque<SideCall>,
    /// Orders whose domain details the daemon asks for when nothing else is due.
    pub wishes: BTreeSet<OrderId>,
    /// The credential of the last answered call, if known.
    pub sent: Option<CredentialTag>,
    /// The credential that lay here when another machine's record of a refusal was taken over.
    pub found: Found,
    /// Commands that want a call let through, until the credential has been compared with the refused one.
    pub resuming: Vec<Token>,
    pub in_flight: Option<InFlight>,
    pub removed: bool,
}

/// Whether a credential has been looked at since a closed account was taken over from another machine. What was there by
/// then is no change, however it differs from what was refused there: several machines could each try an old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// The record is this machine's own.
    Never,
    Asked,
    Credential(CredentialTag),
}

impl Gate {
    /// A gate as the state left it, or a fresh one.
    pub fn new(name: Arc<str>, record: AccountRecord) -> Self {
        Gate {
            name,
            former: None,
            held: false,
            record,
            queue: BTreeSet::new(),
            side_calls: VecDeque::new(),
            wishes: BTreeSet::new(),
            sent: None,
            found: Found::Never,
            resuming: Vec::new(),
            in_flight: None,
            removed: false,
        }
    }

    /// From when on the gate lets a call through; `None` while it needs something else than time.
    pub fn opens(&self, call_gap: Duration) -> Option<Time> {
        if self.in_flight.is_some()
            || self.removed
            || self.held
            || (self.record.closed.is_some() && !self.record.trial)
        {
            return None;
        }
        let gap = self
            .record
            .called
            .map_or(Time::MIN, |called| called + call_gap)
            .max(self.record.may_arrive_until());
        Some(self.record.paused_until.map_or(gap, |pause| pause.max(gap)))
    }

    /// When the next call is to go out, whatever it is for.
    pub fn next_call(&self, call_gap: Duration) -> Option<Time> {
        let opens = self.opens(call_gap)?;
        let side_call = self.side_calls.front().map(|_| opens);
        let poll = self.queue.first().map(|(due, _)| opens.max(*due));
        let wish = self.wish().map(|_| opens);
        [side_call, poll, wish].into_iter().flatten().min()
    }

    /// What to call for now: commands first, then polls that are due, then wishes.
    pub fn next_turn(&self, call_gap: Duration, now: Time) -> Option<Turn> {
        if self.next_call(call_gap)? > now {
            return None;
        }
        if !self.side_calls.is_empty() {
            return Some(Turn::SideCall);
        }
        match (self.queue.first(), self.wish()) {
            (Some((due, id)), _) if *due <= now => Some(Turn::Poll(*id)),
            (_, Some(id)) => Some(Turn::Wish(id)),
            (_, None) => None,
        }
    }

    /// Why no call can be made at present.
    pub(crate) fn why_shut(&self, config: &Config, outbox: &Outbox, now: Now) -> Option<String> {
        let Gate { name, record, .. } = self;
        if self.removed {
            return Some("its account is no longer configured".into());
        }
        if let Some(closed) = record.closed.as_ref().filter(|_| !record.trial) {
            let remedy = config.account(name).map(|account| account.when_refused()).unwrap_or_default();
            return Some(format!("account {name} is closed: {}; {remedy}", closed.describe()));
        }
        if outbox.is_held() {
            return Some("the state cannot be saved; see the log".into());
        }
        let until = record.paused_until.filter(|until| *until > now.time)?;
        let until = rfc3339(now.wall_of(until) / 1000);
        let why = record.paused_why.as_deref().unwrap_or("the vendor asked for it");
        Some(format!(
            "account {name} is paused until {until}: {why}; `certcollectd resume --account {name}` ends the pause"
        ))
    }

    /// Whose domain details are wished for; not while the account is closed: the one call that is let through is for
    /// what can open it.
    fn wish(&self) -> Option<OrderId> {
        self.wishes.first().copied().filter(|_| self.record.closed.is_none())
    }

    /// Whether a side call of this kind is under way.
    pub fn has_in_flight(&self, is_it: impl Fn(&SideCall) -> bool) -> bool {
        self.in_flight.as_ref().is_some_and(|in_flight| match &in_flight.purpose {
            Purpose::SideCall(side_call) => is_it(side_call),
            Purpose::Poll { .. } => false,
        })
    }

    /// Whether a re-issue of this order is about to be asked for, or under way.
    pub(crate) fn is_asking(&self, id: OrderId) -> bool {
        let is_it =
            |side_call: &SideCall| matches!(side_call.kind, Kind::Reissue { order, .. } if order == id);
        self.side_calls.iter().any(is_it) || self.has_in_flight(is_it)
    }

    pub fn close(&mut self, at: i64, text: Box<str>) {
        let before = self.record.closed.take();
        let since = before.as_ref().map_or(at, |closed| closed.since);
        let again = Some(at).filter(|at| *at != since);
        let mut spent = Vec::new();
        if let Some(mut before) = before {
            before.spend(before.refused);
            before.spend(before.tried);
            spent = before.spent;
            spent.retain(|tag| Some(*tag) != self.sent);
        }
        self.record.closed =
            Some(Closed { since, text, unclear: None, again, refused: self.sent, tried: None, spent });
        self.record.trial = false;
    }

    /// The one call that was let through did not show whether the login is accepted.
    pub fn still_closed(&mut self, what: &str) {
        if let Some(closed) = &mut self.record.closed {
            closed.unclear = Some(what.into());
        }
    }

    /// The vendor took the login.
    pub fn open(&mut self) {
        self.record.closed = None;
        self.record.trial = false;
    }
}

impl Gate {
    /// No call before `until`; a pause that is in force is never shortened.
    pub(crate) fn pause(&mut self, until: Time, cause: Cause, why: &str, now: Time) {
        let record = &mut self.record;
        let known = record.paused_until.filter(|known| *known > now);
        record.paused_until = Some(known.map_or(until, |known| known.max(until)));
        if known.is_none() || record.paused_for <= Some(cause) {
            record.paused_why = Some(why.into());
            record.paused_for = Some(cause);
        }
    }

    /// The pauses in a row are over.
    pub(crate) fn unpause(&mut self) {
        let record = &mut self.record;
        record.paused_until = None;
        record.paused_why = None;
        record.paused_for = None;
        record.paused_way = None;
        record.pauses = 0;
    }
}

/// The gate of the account of this name.
pub(crate) fn gate_of(gates: &[Gate], account: &str) -> Option<usize> {
    gates.iter().position(|gate| &*gate.name == account)
}

#[derive(Debug, Clone)]
pub struct InFlight {
    pub purpose: Purpose,
    /// Whether it is the one call that a closed account is allowed.
    pub trial: bool,
}

/// What a call is for.
#[derive(Debug, Clone)]
pub enum Purpose {
    Poll {
        order: OrderId,
        /// What was asked about: the entry may have changed by the time of the answer.
        asked: Asked,
    },
    /// Anything else.
    SideCall(SideCall),
}

impl Purpose {
    pub(crate) fn endpoint(&self) -> Endpoint {
        match self {
            Purpose::Poll { asked, .. } => asked.endpoint,
            Purpose::SideCall(side_call) => side_call.endpoint(),
        }
    }
}

/// Whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// The first of [`Gate::side_calls`].
    SideCall,
    /// This order's poll.
    Poll(OrderId),
    Wish(OrderId),
}

/// What a poll asked about.
#[derive(Debug, Clone)]
pub struct Asked {
    pub handle: Box<str>,
    pub endpoint: Endpoint,
    /// The order's record before the call, in case the vendor never sees it.
    pub before: Before,
}

/// What a call changes in advance, to be undone if nothing was sent.
#[derive(Debug, Clone, Copy)]
pub struct Before {
    pub polled: Option<Time>,
    pub due: Option<Time>,
    pub failures: u32,
    /// Whether the operator wanted it polled now.
    pub urgent: bool,
    /// From when on a push notification wanted it polled.
    pub hinted: Option<Time>,
}

/// A call that is not a poll, queued or in flight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SideCall {
    pub(crate) kind: Kind,
    /// The command that waits for the answer; `None` if the daemon asks on its own.
    pub(crate) token: Option<Token>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Domains {
        number: String,
        order: Option<OrderId>,
    },
    Resend {
        number: String,
    },
    Replace(Box<ReplaceCommand>),
    Reissue {
        order: OrderId,
        /// When the poll ended that looked first.
        looked: Option<Time>,
    },
}

impl SideCall {
    /// Domain details, for a command or for the daemon; kept in the order's record if it is configured.
    pub fn domains(number: &str, order: Option<OrderId>, token: Option<Token>) -> Self {
        SideCall { kind: Kind::Domains { number: number.to_owned(), order }, token }
    }

    pub(crate) fn reissue(order: OrderId, looked: Option<Time>) -> Self {
        SideCall { kind: Kind::Reissue { order, looked }, token: None }
    }

    pub fn resend(number: &str, token: Token) -> Self {
        SideCall { kind: Kind::Resend { number: number.to_owned() }, token: Some(token) }
    }

    pub fn replace(command: Box<ReplaceCommand>, token: Token) -> Self {
        SideCall { kind: Kind::Replace(command), token: Some(token) }
    }

    /// The order that is to be replaced, if that is what it is about.
    pub(crate) fn replaced_number(&self) -> Option<&str> {
        match &self.kind {
            Kind::Replace(command) => Some(&command.replace.order_number),
            Kind::Domains { .. } | Kind::Resend { .. } | Kind::Reissue { .. } => None,
        }
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        match self.kind {
            Kind::Domains { .. } => Endpoint::DomainDetails,
            Kind::Resend { .. } => Endpoint::ResendSmime,
            Kind::Replace(_) => Endpoint::ReplaceSmime,
            Kind::Reissue { .. } => Endpoint::ReplaceSsl,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::account::record::{Cause, Unheard};

    const GAP: Duration = Duration::from_secs(10);

    fn at(seconds: i64) -> Time {
        Time(seconds * 1000)
    }

    fn gate(record: AccountRecord) -> Gate {
        let mut gate = Gate::new("main".into(), record);
        gate.queue.insert((at(0), OrderId(1)));
        gate
    }

    #[test]
    fn the_gap_counts_from_the_end_of_the_last_call() {
        let gate = gate(AccountRecord { called: Some(at(995)), ..AccountRecord::default() });
        assert_eq!(gate.next_call(GAP), Some(at(1005)));
    }

    #[test]
    fn closed_means_closed_at_any_time() {
        let mut gate = gate(AccountRecord::default());
        gate.close(77, "refused".into());
        assert_eq!(gate.next_call(GAP), None);
        gate.record.trial = true;
        assert!(gate.next_call(GAP).is_some());
        gate.close(99, "refused again".into());
        assert_eq!(gate.next_call(GAP), None);
        assert_eq!(gate.record.closed.as_ref().unwrap().since, 77);
        gate.open();
        assert!(gate.next_call(GAP).is_some());
    }

    #[test]
    fn what_may_still_arrive_holds_the_operator_as_well() {
        let unheard = Some(Unheard { calls: 1, until: at(1020), tag: None });
        let mut gate = gate(AccountRecord { called: Some(at(1000)), unheard, ..AccountRecord::default() });
        assert_eq!(gate.next_call(GAP), Some(at(1020)));
        gate.queue.insert((Time::MIN, OrderId(2)));
        gate.side_calls.push_back(SideCall::resend("5", Token(1)));
        assert_eq!(gate.next_call(GAP), Some(at(1020)));
        assert_eq!(gate.next_call(3 * GAP), Some(at(1030)), "a longer gap holds");
    }

    #[test]
    fn wishes_give_way_to_what_is_due_and_all_to_the_operator() {
        let mut gate = gate(AccountRecord::default());
        let turn = |gate: &Gate| gate.next_turn(GAP, at(1000));
        gate.wishes.insert(OrderId(7));
        assert_eq!(turn(&gate), Some(Turn::Poll(OrderId(1))));
        gate.queue.clear();
        gate.queue.insert((at(2000), OrderId(1)));
        assert_eq!(turn(&gate), Some(Turn::Wish(OrderId(7))));
        gate.side_calls.push_back(SideCall::resend("5", Token(1)));
        assert_eq!(turn(&gate), Some(Turn::SideCall));
        gate.close(77, "refused".into());
        assert_eq!(turn(&gate), None);
    }

    #[test]
    fn nothing_is_called_within_a_pause() {
        let mut gate = gate(AccountRecord::default());
        gate.pause(at(5000), Cause::Limit, "call limit", at(1000));
        assert_eq!(gate.next_call(GAP), Some(at(5000)));
        gate.unpause();
        assert_eq!(gate.next_call(GAP), Some(at(0)));
    }

    #[test]
    fn of_two_pauses_the_later_end_and_the_weightier_cause_hold() {
        let mut gate = Gate::new("main".into(), AccountRecord::default());
        let held = |gate: &Gate| (gate.record.paused_until, gate.record.paused_for);
        gate.pause(at(5000), Cause::Limit, "call limit", at(1000));
        gate.pause(at(2000), Cause::Connection, "outage", at(1000));
        assert_eq!(held(&gate), (Some(at(5000)), Some(Cause::Limit)));
        gate.pause(at(6000), Cause::Connection, "outage", at(5000));
        assert_eq!(held(&gate), (Some(at(6000)), Some(Cause::Connection)), "the first one is over");
        gate.unpause();
        assert_eq!(held(&gate), (None, None));
    }
}
