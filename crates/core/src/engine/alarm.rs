//! What a person is told while it lasts: once, and again after 1 h, 6 h, 24 h and each day after that.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::HookEvent;
use crate::engine::finding::FindingKind;
use crate::engine::hooks::ledger::Key;
use crate::engine::row::is_default;
use crate::engine::schedule;
use crate::engine::time::{Now, Time};

const HOUR: Duration = Duration::from_secs(3600);
/// From each message to the next, the last again and again.
const AGAIN: [Duration; 4] = [HOUR, HOUR.saturating_mul(5), HOUR.saturating_mul(18), HOUR.saturating_mul(24)];

/// One thing that lasts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alarm {
    pub kind: FindingKind,
    /// Since when, UNIX seconds.
    pub since: i64,
    /// Tells it from another one of its kind.
    #[serde(default, skip_serializing_if = "is_default")]
    pub cause: u64,
    /// How often it was told.
    #[serde(default, skip_serializing_if = "is_default")]
    pub told: u32,
    /// When it is told next.
    #[serde(rename = "next_ms")]
    pub next: Time,
}

impl Alarm {
    pub(crate) fn new(kind: FindingKind, cause: u64, now: Now) -> Alarm {
        Alarm { kind, since: now.unix(), cause, told: 0, next: now.time + kind.grace() }
    }

    pub(crate) fn is_due(&self, now: Now) -> bool {
        self.next <= now.time
    }

    /// It is told now.
    pub(crate) fn tell(&mut self, now: Now) {
        let step = usize::try_from(self.told).map_or(AGAIN.len(), |told| told).min(AGAIN.len() - 1);
        self.told = self.told.saturating_add(1);
        self.next = now.time + AGAIN[step];
    }
}

/// An alarm that is no order's, and who is still to be told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notice {
    pub alarm: Alarm,
    /// It was told, and is over.
    #[serde(default, skip_serializing_if = "is_default")]
    pub over: bool,
    /// Hooks that have not worked yet for the last message, each with the event that it listens to.
    #[serde(default, skip_serializing_if = "is_default")]
    pub owed: Vec<(Arc<str>, HookEvent)>,
    /// Failures since the last one that worked.
    #[serde(default, skip_serializing_if = "is_default")]
    pub failures: u32,
    /// No hook is tried before this.
    #[serde(rename = "retry_ms", skip_serializing_if = "Option::is_none")]
    pub retry: Option<Time>,
}

impl Notice {
    pub(crate) fn new(kind: FindingKind, now: Now) -> Notice {
        let alarm = Alarm::new(kind, 0, now);
        Notice { alarm, over: false, owed: Vec::new(), failures: 0, retry: None }
    }

    /// The next message is for these.
    pub(crate) fn owe(&mut self, hooks: Vec<(Arc<str>, HookEvent)>) {
        self.owed = hooks;
        self.failures = 0;
        self.retry = None;
    }

    /// When something is to be done about it. A hook that cannot run now is looked at when another run has ended.
    pub(crate) fn next(&self, can_run: impl Fn(&str) -> bool) -> Option<Time> {
        let message = (!self.over).then_some(self.alarm.next);
        let owed = self.owed.iter().any(|(hook, _)| can_run(hook));
        [message, owed.then(|| self.retry.unwrap_or(Time::MIN))].into_iter().flatten().min()
    }

    /// How a hook of it ended, unless it has another message by now.
    pub(crate) fn told(&mut self, told: &Key, worked: bool, now: Now) {
        if !self.owed.contains(told) {
            return;
        }
        if worked {
            self.owed.retain(|owed| owed != told);
            self.failures = 0;
        } else {
            self.failures += 1;
            self.retry = Some(now.time + schedule::hook(self.failures));
        }
    }

    /// Converts its times, as [`crate::engine::order::record::OrderRecord::rebase`] does.
    pub(crate) fn rebase(&mut self, future: impl Fn(&mut Time)) {
        future(&mut self.alarm.next);
        self.retry.iter_mut().for_each(future);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_at_once_after_1_6_and_24_hours_and_each_day() {
        let mut now = Now { time: Time(0), wall: 0 };
        let mut alarm = Alarm::new(FindingKind::Attention, 0, now);
        let mut hours = Vec::new();
        for _ in 0..7 {
            assert!(alarm.is_due(now));
            hours.push(now.time.0 / 3_600_000);
            alarm.tell(now);
            assert!(!alarm.is_due(now));
            now.time = alarm.next;
        }
        assert_eq!(hours, [0, 1, 6, 24, 48, 72, 96]);
        assert!(!Alarm::new(FindingKind::NotInstalled, 0, now).is_due(now), "it may mend itself");
    }
}
