//! What a person is told about an order while it lasts, and that it is over.

use crate::config::{HookEvent, Order as Entry};
use crate::engine::alarm::Alarm;
use crate::engine::finding::{self, Finding, FindingKind};
use crate::engine::note::ALARM_AFTER;
use crate::engine::order::Order;
use crate::engine::order::record::OrderRecord;
use crate::engine::schedule::stable_hash;
use crate::engine::time::Now;

/// The alarms of an order as they should be now, if that is a change or one of them is due.
pub(crate) fn due(entry: &Entry, record: &OrderRecord, now: Now) -> Option<Vec<Alarm>> {
    let is_loud = |finding: &Finding| match finding.kind {
        FindingKind::HookFailing => is_unreloaded(record),
        kind => kind.event().is_some(),
    };
    let loud = finding::told_of_order(entry, record, now).into_iter().filter(is_loud);
    let alarms: Vec<Alarm> = loud.map(|finding| standing(record, finding.kind, now)).collect();
    (alarms != record.alarms || alarms.iter().any(|alarm| alarm.is_due(now))).then_some(alarms)
}

/// Whether a hook keeps failing that puts the certificate into use. That of one which tells people is no news for them.
fn is_unreloaded(record: &OrderRecord) -> bool {
    record
        .owed()
        .any(|debt| debt.event == HookEvent::Installed && debt.outcome.is_some() && debt.tries >= ALARM_AFTER)
}

/// The alarm that is on record, or a new one. Another reason is another alarm.
fn standing(record: &OrderRecord, kind: FindingKind, now: Now) -> Alarm {
    let reason = record.reason.as_deref().filter(|_| finding::stop(record) == Some(kind));
    let cause = reason.map_or(0, |reason| stable_hash(reason, "", 0));
    let known = record.alarms.iter().find(|alarm| alarm.kind == kind && alarm.cause == cause);
    known.cloned().unwrap_or_else(|| Alarm::new(kind, cause, now))
}

impl Order<'_> {
    /// Takes in what has begun and what is over; tells what is due.
    pub(crate) fn raise_alarms(&mut self, mut alarms: Vec<Alarm>) {
        let mut events = Vec::new();
        for alarm in alarms.iter_mut().filter(|alarm| alarm.is_due(self.now)) {
            alarm.tell(self.now);
            events.extend(alarm.kind.event());
        }
        events.sort();
        events.dedup();
        self.state.record.alarmed |= !events.is_empty();
        self.state.record.alarms = alarms;
        for event in events {
            self.owe_hooks(event);
        }
        self.touch();
        if self.state.record.alarmed {
            self.tell_recovery();
        }
    }

    /// Tells that all that was told is over, if it is.
    pub(crate) fn tell_recovery(&mut self) {
        let record = &self.state.record;
        let unserved = record.probed.as_ref().is_some_and(|probed| probed.told);
        if record.alarms.is_empty() && !unserved {
            self.state.record.alarmed = false;
            self.owe_hooks(HookEvent::Recovered);
        }
    }
}
