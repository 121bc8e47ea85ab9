//! Answers to a question that the configuration has changed or dropped meanwhile. They say nothing of any order as it
//! is now, but as much of the account as ever; and the vendor's floor counts from them.

use crate::engine::account::Accounts;
use crate::engine::account::login::News;
use std::collections::HashMap;
use std::sync::Arc;

use crate::config;
use crate::engine::account::Asked;
use crate::engine::id::OrderId;
use crate::engine::note::Level;
use crate::engine::order::slot::PollOutcome;
use crate::engine::order::{Domains, Former, Order, OrderRecord};
use crate::engine::time::{Now, Time};
use crate::engine::{Busy, NoteKind};

/// Maximum number of an entry's former order numbers remembered.
const FORMER: usize = 4;

impl Order<'_> {
    /// Whether the order's entry still names what was asked about, and where.
    pub(in crate::engine) fn still_means(&self, gate: usize, asked: &Asked) -> bool {
        let slot = &*self.slot;
        !slot.removed
            && slot.gate == gate
            && slot.record.handle == asked.handle
            && self.entry().settings.product.endpoint() == asked.endpoint
    }

    /// While a call is under way, a change of the entry leaves the schedule alone; now it is rebuilt.
    pub(in crate::engine) fn reschedule_changed(&mut self) {
        if !self.slot.removed {
            self.set_due();
        }
    }
}

impl Accounts<'_> {
    /// Such an answer moves the floor of the number that it is about.
    pub(in crate::engine) fn answered_too_late(
        &mut self,
        gate: usize,
        id: OrderId,
        asked: &Asked,
        news: News,
    ) {
        let seen = self.seen_by(&news);
        self.asked_until(gate, &asked.handle, seen);
        let said = match news {
            News::Unsent(failure, _) | News::Unheard(failure) => failure.to_string(),
            News::Unreadable(why) => why.unwrap_or_else(|| "it cannot be read".into()),
            News::Reply(row, reply) => {
                self.orders.slot_mut(id).poll_outcome = PollOutcome::of(row);
                crate::engine::order::answers::said(&reply)
            }
        };
        self.order(id).reschedule_changed();
        let text = format!(
            "the answer about {} ({said}) came after the configuration had changed; it counts for the account only",
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
            let slot = self.orders.slot_mut(id);
            if slot.removed || !count(&mut slot.record) {
                continue;
            }
            if slot.busy != Busy::Calling {
                self.order(id).set_due();
            }
            self.order(id).touch();
        }
    }
}

/// When numbers were asked about, by account and number: polls, and calls for the domain details.
pub(in crate::engine) type Floors = HashMap<(Arc<str>, Box<str>), (Time, Option<Time>)>;

/// The vendor's floor is the number's, whatever we call the order today.
pub(in crate::engine) fn keep_floor(record: &mut OrderRecord, floors: &Floors) {
    let Some((polled, asked)) = floors.get(&(record.account.clone(), record.handle.clone())) else { return };
    record.polled = Some(*polled);
    if record.domains.is_none() {
        record.domains = asked.map(|asked| Box::new(Domains { asked, heard: None }));
    }
}

/// The entry names another order now: what is installed stays and is still compared with; all else is new. When the
/// old one was asked about stays known, in case the entry names it again.
pub(in crate::engine) fn become_another(
    record: &mut OrderRecord,
    order: &config::Order,
    handle: &str,
    now: Now,
) {
    let old = record.clone();
    *record = OrderRecord::new(order.account.clone(), handle.into(), now);
    record.installed.clone_from(&old.installed);
    record.pushed = crate::engine::push::of_another_number(&old);
    record.lost.clone_from(&old.lost);
    record.uncovered.clone_from(&old.uncovered);
    record.warned = old.warned;
    record.debts.clone_from(&old.debts);
    record.former.clone_from(&old.former);
    record.former.extend(Former::of(&old));
    record.former.retain(|former| former.account != order.account || *former.handle != *handle);
    record.former.sort_by_key(|former| std::cmp::Reverse(former.polled));
    record.former.truncate(FORMER);
}
