//! Totals over all orders, updated with each change, so that reading them needs no pass over the orders.

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
pub(crate) struct Tally {
    pub(crate) standing: Counted,
    pub(crate) owed: u32,
    pub(crate) gate: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Counted {
    #[default]
    Not,
    Waiting,
    InOrder,
    Attention,
}

/// The sums of all tallies.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tallies {
    pub(crate) waiting: Vec<usize>,
    pub(crate) in_order: usize,
    pub(crate) attention: usize,
    pub(crate) owed: usize,
}

impl Tallies {
    /// Replaces what an order added to the counts.
    pub(crate) fn recount(&mut self, old: &mut Tally, new: Tally) {
        let old = std::mem::replace(old, new);
        if old != new {
            self.apply(old, false);
            self.apply(new, true);
        }
    }

    fn apply(&mut self, tally: Tally, add: bool) {
        let change = |count: &mut usize, by: usize| *count = if add { *count + by } else { *count - by };
        let gate = tally.gate as usize;
        if self.waiting.len() <= gate {
            self.waiting.resize(gate + 1, 0);
        }
        change(&mut self.owed, tally.owed as usize);
        match tally.standing {
            Counted::Not => {}
            Counted::Waiting => change(&mut self.waiting[gate], 1),
            Counted::InOrder => change(&mut self.in_order, 1),
            Counted::Attention => change(&mut self.attention, 1),
        }
    }
}
