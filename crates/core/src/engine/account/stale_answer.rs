//! Answers to a question that the configuration has changed or dropped meanwhile. They say nothing of any order as it
//! is now, but as much of the account as ever; and the vendor's floor counts from them.

use crate::engine::account::Accounts;
use crate::engine::account::gate::Asked;
use crate::engine::account::login::News;
use crate::engine::id::OrderId;
use crate::engine::note::{Level, NoteKind};
use crate::engine::order::record::OrderRecord;
use crate::engine::order::state::{Busy, PollOutcome};
use crate::engine::time::Time;
use crate::engine::wording::said;

impl Accounts<'_> {
    /// A stale answer moves the floor of the number that it is about.
    pub(crate) fn answered_too_late(&mut self, gate: usize, id: OrderId, asked: &Asked, news: News) {
        let seen = self.seen_by(&news);
        self.asked_until(gate, &asked.handle, seen);
        let said = match news {
            News::Unsent(failure, _) | News::Unheard(failure) => failure.to_string(),
            News::Unreadable(why) => why.unwrap_or_else(|| "it cannot be read".into()),
            News::Reply(row, reply) => {
                self.orders.state_mut(id).poll_outcome = PollOutcome::of(row);
                said(&reply)
            }
        };
        self.order(id).reschedule_changed();
        let text = format!(
            "the answer about {} ({said}) arrived after the configuration changed; it is used for the account only",
            asked.handle
        );
        self.note_account(Level::Info, NoteKind::LateAnswer, gate, text);
    }

    /// The vendor has seen the last of a call about this number, under whatever name and entry the number is known today.
    fn asked_until(&mut self, gate: usize, handle: &str, end: Time) {
        let account = self.gates[gate].name.clone();
        let count = |record: &mut OrderRecord| {
            let mut changed = false;
            if record.account == account && *record.handle == *handle {
                record.polled = record.polled.max(Some(end));
                changed = true;
            }
            for former in &mut record.former {
                if former.account == account && *former.handle == *handle {
                    former.polled = former.polled.max(end);
                    changed = true;
                }
            }
            changed
        };
        for (name, known) in &mut self.orders.archive {
            if count(&mut known.record) {
                self.outbox.unsaved.archived.insert(name.clone());
            }
        }
        self.outbox.flush_soon(self.now);
        for id in self.orders.ids() {
            let state = self.orders.state_mut(id);
            if state.removed || !count(&mut state.record) {
                continue;
            }
            if state.busy != Busy::Calling {
                self.order(id).set_due();
            }
            self.order(id).touch();
        }
    }
}
