//! How things stand as a whole: for `once`, for readiness and for the service manager.
//!
//! The counts are kept up with each change, so that asking for them costs nothing per order.

use super::id::OrderId;
use super::order::Phase;
use super::time::Now;
use super::{Engine, Slot};

/// Counts over all configured orders and accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    pub orders: usize,
    /// Not issued yet, or being deployed.
    pub waiting: usize,
    /// Those of them whose account is not closed: waiting may help.
    pub hopeful: usize,
    /// Installed, nothing owed.
    pub in_order: usize,
    /// The operator must act, or something on this machine fails.
    pub attention: usize,
    /// Hooks that have not worked yet.
    pub owed_hooks: usize,
    /// Accounts whose login is refused.
    pub closed: usize,
    /// Accounts whose password cannot be read.
    pub unreadable: usize,
}

/// What one order adds to the counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Tally {
    standing: Counted,
    owed: usize,
    gate: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Counted {
    #[default]
    Not,
    Waiting,
    InOrder,
    Attention,
}

/// The sums of all tallies.
#[derive(Debug, Clone, Default)]
pub(super) struct Tallies {
    waiting: Vec<usize>,
    in_order: usize,
    attention: usize,
    owed: usize,
}

impl Tallies {
    fn apply(&mut self, tally: Tally, add: bool) {
        let change = |count: &mut usize, by: usize| *count = if add { *count + by } else { *count - by };
        if self.waiting.len() <= tally.gate {
            self.waiting.resize(tally.gate + 1, 0);
        }
        change(&mut self.owed, tally.owed);
        match tally.standing {
            Counted::Not => {}
            Counted::Waiting => change(&mut self.waiting[tally.gate], 1),
            Counted::InOrder => change(&mut self.in_order, 1),
            Counted::Attention => change(&mut self.attention, 1),
        }
    }
}

fn tally(slot: &Slot) -> Tally {
    if slot.removed {
        return Tally::default();
    }
    let record = &slot.record;
    let failing = record.owed().any(|debt| debt.outcome.is_some());
    let alarmed = record.phase == Phase::Guarding && record.revocation().is_some();
    let held_up = record.trouble.is_some() || record.lost.is_some() || failing;
    let standing = if record.phase.needs_person() || held_up || alarmed {
        Counted::Attention
    } else if record.phase == Phase::Guarding {
        Counted::InOrder
    } else {
        Counted::Waiting
    };
    Tally { standing, owed: record.owed().count(), gate: slot.gate }
}

impl Engine {
    pub(super) fn recount(&mut self, id: OrderId) {
        let slot = &mut self.orders.slots[id.0 as usize];
        let new = tally(slot);
        let old = std::mem::replace(&mut slot.tally, new);
        if old != new {
            self.tallies.apply(old, false);
            self.tallies.apply(new, true);
        }
    }

    pub fn summary(&self) -> Summary {
        let waiting: usize = self.tallies.waiting.iter().sum();
        let gates = || self.gates.iter().enumerate().filter(|(_, gate)| !gate.removed);
        let open = gates().filter(|(_, gate)| gate.record.closed.is_none());
        Summary {
            orders: waiting + self.tallies.in_order + self.tallies.attention,
            waiting,
            hopeful: open.map(|(at, _)| self.tallies.waiting.get(at).copied().unwrap_or(0)).sum(),
            in_order: self.tallies.in_order,
            attention: self.tallies.attention,
            owed_hooks: self.tallies.owed,
            closed: gates().filter(|(_, gate)| gate.record.closed.is_some()).count(),
            unreadable: gates().filter(|(_, gate)| gate.record.lacks_password()).count(),
        }
    }

    /// Whether something is under way, or could be started without waiting for more than `call_gap`, that was
    /// already due at `cutoff`; while the state cannot be saved, whether it is to be tried again. For `once`: it leaves
    /// when nothing of that kind is left.
    pub fn is_occupied(&self, cutoff: Now) -> bool {
        if self.cannot_save() {
            return !self.gives_up_saving();
        }
        if self.is_busy() || self.ledger.has_work() {
            return true;
        }
        let work = self.orders.timers.first().is_some_and(|(at, _)| *at <= cutoff.time);
        let gap = self.config.calls.call_gap;
        let calls = self.gates.iter().any(|gate| {
            let due = gate.queue.first().is_some_and(|(due, _)| *due <= cutoff.time);
            let paused = gate.record.paused_until.is_some_and(|until| until > cutoff.time + gap);
            due && !paused && gate.opens(gap).is_some()
        });
        work || calls
    }
}
