//! How things stand as a whole: for `once`, for readiness and for the service manager.
//!
//! The counts are kept up with each change, so that asking for them costs nothing per order.

use crate::engine::Engine;
use crate::engine::tally::Summary;
use crate::engine::time::Now;

impl Engine {
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
            let asks = !gate.side_calls.is_empty();
            (due || asks) && !paused && gate.opens(gap).is_some()
        });
        work || calls
    }
}
