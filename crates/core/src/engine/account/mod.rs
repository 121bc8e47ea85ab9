//! The gate of one account: may we call now?
//!
//! One call in flight, `call_gap` between calls, a pause when the vendor asks for one, and a door that the
//! first refused login closes for good. Only a changed credential or the operator's word opens it, and then
//! for exactly one call. The door's state does not depend on time, so no clock can open it.

pub(in crate::engine) mod login;
pub mod pause;
pub(in crate::engine) mod renamed;
pub mod replacement;
pub(in crate::engine) mod resume;
pub mod side_call;
pub(in crate::engine) mod stale_answer;
pub mod unheard;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::api::{Endpoint, Request};
use crate::config::{self, Account, Config};
use crate::engine::account::pause::Cause;
use crate::engine::account::replacement::Replacement;
use crate::engine::account::side_call::SideCall;
use crate::engine::account::unheard::Unheard;
use crate::engine::id::{OrderId, Token};
use crate::engine::is_default;
use crate::engine::note::{Level, Note, NoteKind};
use crate::engine::order::Order;
use crate::engine::orders::Orders;
use crate::engine::outbox::Outbox;
use crate::engine::push::Announced;
use crate::engine::time::{Now, Time, rfc3339};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// On which account; login and address are looked up there.
    pub account: Arc<str>,
    /// What is sent, but for the login.
    pub request: Request,
}

/// Tells a changed credential from the same one: 16 bits of a slow, salted hash. Enough to notice a
/// change (all but one in 65,536), too little to confirm a guess, and kept only while an account is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialTag(pub u16);

/// What is remembered of an account, restarts included.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccountRecord {
    /// Set while the vendor refuses the login.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed: Option<Closed>,
    /// One call may go out although the account is closed.
    #[serde(skip_serializing_if = "is_default")]
    pub probe: bool,
    /// Stands for login and address, see [`crate::engine::account::side_call::login_of`]; nothing in a state that is older than this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login: Option<u64>,
    /// No call before this.
    #[serde(rename = "paused_until_ms", skip_serializing_if = "Option::is_none")]
    pub paused_until: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused_why: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused_for: Option<Cause>,
    /// Stands for the way to the vendor at that time: host, roots and proxy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused_way: Option<u64>,
    /// Pauses in a row, for the doubling.
    #[serde(skip_serializing_if = "is_default")]
    pub pauses: u32,
    /// The end of the last call, or its start while it is under way.
    #[serde(rename = "called_ms", skip_serializing_if = "Option::is_none")]
    pub called: Option<Time>,
    /// A call was begun whose end is not recorded.
    #[serde(skip_serializing_if = "is_default")]
    pub calling: bool,
    /// When that call ends at the latest.
    #[serde(rename = "ends_ms", skip_serializing_if = "Option::is_none")]
    pub ends: Option<Time>,
    /// Set while the last calls had no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unheard: Option<Unheard>,
    #[serde(skip_serializing_if = "is_default")]
    pub calls: u64,
    /// When the vendor answered last so that it could be understood, UNIX seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered: Option<i64>,
    /// Set while GetMDCDomainDetails is not open to the account, so that the daemon does not call it on its
    /// own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details_refused: Option<Refused>,
    /// The announcement of a revocation that is about no order known here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub announced: Option<Box<Announced>>,
    /// S/MIME replacements that were sent, oldest first: what must not be sent twice by mistake.
    #[serde(skip_serializing_if = "is_default")]
    pub replacements: Vec<Replacement>,
}

/// Why an endpoint is not asked any more, and with which login that was so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refused {
    /// UNIX seconds.
    pub since: i64,
    /// What the vendor said, in our words with the vendor's quoted.
    pub text: Box<str>,
    /// The credential of that time, once it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<CredentialTag>,
    /// Stands for the account's entry of that time, see [`crate::engine::account::side_call::login_of`].
    pub login: u64,
}

impl AccountRecord {
    /// Translates its times, as [`crate::engine::order::OrderRecord::rebase`] does.
    pub fn rebase(&mut self, past: impl Fn(&mut Time), future: impl Fn(&mut Time)) {
        self.called.iter_mut().for_each(past);
        [&mut self.paused_until, &mut self.ends].into_iter().flatten().for_each(&future);
        self.unheard.iter_mut().for_each(|unheard| future(&mut unheard.until));
    }

    /// Whether the account is paused because its password cannot be read.
    pub fn lacks_password(&self) -> bool {
        self.paused_for == Some(Cause::Password)
    }

    /// When an order that is due may be called about: not within a pause, not while a call without an answer may still
    /// arrive, and never while the account is closed.
    pub fn not_before(&self, due: Time) -> Option<Time> {
        let open = self.closed.is_none() || self.probe;
        let due = due.max(self.settles());
        open.then(|| self.paused_until.map_or(due, |until| until.max(due)))
    }
}

/// Why and since when an account is closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Closed {
    /// UNIX seconds.
    pub since: i64,
    /// What the vendor said, in our words with the vendor's quoted.
    pub text: Box<str>,
    /// What came of the call that was let through since, where that does not tell whether the login is accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unclear: Option<Box<str>>,
    /// When it was refused last, if that was later, UNIX seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub again: Option<i64>,
    /// The credential that was refused, once it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<CredentialTag>,
    /// Another one that a call was let through with since, without an answer that tells anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tried: Option<CredentialTag>,
    /// More that had their one call since the account was closed, the oldest first, at most [`Closed::MOST_SPENT`]: one that
    /// is put back is no new one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub spent: Vec<CredentialTag>,
}

impl Closed {
    /// An operator tries fewer, and a program that keeps changing a password file has fewer to choose from.
    pub const MOST_SPENT: usize = 16;

    /// This credential, if it is known, had its one call.
    pub(in crate::engine) fn spend(&mut self, tag: Option<CredentialTag>) {
        let Some(tag) = tag.filter(|tag| !self.spent.contains(tag)) else { return };
        if self.spent.len() == Closed::MOST_SPENT {
            self.spent.remove(0);
        }
        self.spent.push(tag);
    }

    /// The refusal, and what came of the call since.
    pub fn describe(&self) -> String {
        match &self.unclear {
            Some(unclear) => format!(
                "{}; the call let through since does not tell whether the login is accepted now: {unclear}",
                self.text
            ),
            None => self.text.to_string(),
        }
    }
}

/// The gate itself: the record, and what is only true within this process.
#[derive(Debug)]
pub struct Gate {
    pub name: Arc<str>,
    /// Its name before the configuration renamed it, until the call comes back that was under way then.
    pub former: Option<Arc<str>>,
    /// Its name is another one's former one: no call until that one's has come back.
    pub held: bool,
    pub record: AccountRecord,
    /// Orders that may be polled, by when they are due; the operator's word counts as due since ever, a push
    /// notification as due right after that.
    pub queue: BTreeSet<(Time, OrderId)>,
    /// The operator's other calls; these wait for nothing but the gate.
    pub side_calls: VecDeque<SideCall>,
    /// Orders whose domain details the daemon wants to know, when nothing else is due.
    pub wishes: BTreeSet<OrderId>,
    /// The credential of the call that was answered last, where it is known.
    pub sent: Option<CredentialTag>,
    /// Operators who want a call let through, until the credential has been compared with the one that was refused.
    pub resuming: Vec<Token>,
    pub in_flight: Option<InFlight>,
    pub removed: bool,
}

/// All accounts, while something about them is decided. An answer is heard here before anything is made of it.
pub(in crate::engine) struct Accounts<'a> {
    pub(in crate::engine) now: Now,
    pub(in crate::engine) config: &'a Arc<Config>,
    pub(in crate::engine) gates: &'a mut Vec<Gate>,
    pub(in crate::engine) orders: &'a mut Orders,
    pub(in crate::engine) outbox: &'a mut Outbox,
}

impl Accounts<'_> {
    pub(in crate::engine) fn gate_of(&self, account: &str) -> Option<usize> {
        gate_of(self.gates, account)
    }

    /// The entry of a gate's account, while it is configured.
    pub(in crate::engine) fn account_of(&self, gate: usize) -> Option<&Account> {
        self.config.account(&self.gates[gate].name).map(|account| &**account)
    }

    pub(in crate::engine) fn order(&mut self, id: OrderId) -> Order<'_> {
        self.orders.order(id, self.now, self.config, self.gates, self.outbox)
    }

    pub(in crate::engine) fn entry(&self, id: OrderId) -> &config::Order {
        &self.config.orders[self.orders.slot(id).entry]
    }

    /// Marks an account's record as changed.
    pub(in crate::engine) fn touch_gate(&mut self, gate: usize) {
        self.outbox.unsaved.accounts.insert(gate);
        self.outbox.flush_soon(self.now);
    }

    /// Told and remembered, about an account.
    pub(in crate::engine) fn note_account(
        &mut self,
        level: Level,
        kind: NoteKind,
        gate: usize,
        text: String,
    ) {
        let account = Some(self.gates[gate].name.clone());
        self.outbox.note(Note { level, kind, order: None, account, at: self.now.unix(), text }, self.now);
    }
}

/// The gate of the account of this name.
pub(in crate::engine) fn gate_of(gates: &[Gate], account: &str) -> Option<usize> {
    gates.iter().position(|gate| &*gate.name == account)
}

#[derive(Debug, Clone)]
pub struct InFlight {
    pub purpose: Purpose,
    /// Whether it is the one call that a closed account is allowed.
    pub probe: bool,
}

/// What a call is for.
#[derive(Debug, Clone)]
pub enum Purpose {
    Poll {
        order: OrderId,
        /// What was asked about: the entry may name something else by the time of the answer.
        asked: Asked,
    },
    /// Anything else.
    SideCall(SideCall),
}

impl Purpose {
    pub(in crate::engine) fn endpoint(&self) -> Endpoint {
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
    /// What the order's record said before, in case the vendor sees nothing of the call.
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
            || (self.record.closed.is_some() && !self.record.probe)
        {
            return None;
        }
        let gap = self.record.called.map_or(Time::MIN, |called| called + call_gap).max(self.record.settles());
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

    /// Who may call now, if anyone may: the operator first, then what is due, then what is only wished for.
    pub fn turn(&self, call_gap: Duration, now: Time) -> Option<Turn> {
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
    pub(in crate::engine) fn shut(&self, config: &Config, outbox: &Outbox, now: Now) -> Option<String> {
        let Gate { name, record, .. } = self;
        if self.removed {
            return Some("its account is no longer configured".into());
        }
        if let Some(closed) = record.closed.as_ref().filter(|_| !record.probe) {
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
            "account {name} pauses until {until}: {why}; `certcollectd resume --account {name}` ends that"
        ))
    }

    /// Whose domain details are wished for; not while the account is closed: the one call that is let through is for
    /// what can open it.
    fn wish(&self) -> Option<OrderId> {
        self.wishes.first().copied().filter(|_| self.record.closed.is_none())
    }

    /// Whether a side call of this kind is under way.
    pub fn flies(&self, is_it: impl Fn(&SideCall) -> bool) -> bool {
        self.in_flight.as_ref().is_some_and(|in_flight| match &in_flight.purpose {
            Purpose::SideCall(side_call) => is_it(side_call),
            Purpose::Poll { .. } => false,
        })
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
        self.record.probe = false;
    }

    /// The one call that was let through did not tell whether the vendor takes the login.
    pub fn still_closed(&mut self, what: &str) {
        if let Some(closed) = &mut self.record.closed {
            closed.unclear = Some(what.into());
        }
    }

    /// The vendor took the login.
    pub fn open(&mut self) {
        self.record.closed = None;
        self.record.probe = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        gate.record.probe = true;
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
        let turn = |gate: &Gate| gate.turn(GAP, at(1000));
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
}
