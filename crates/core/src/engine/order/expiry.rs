//! Warnings ahead of a certificate's end, while no newer one is there, and ahead of the end of the subscription, beyond
//! which no re-issue reaches.

use crate::config::HookEvent;
use crate::engine::note::Level;
use crate::engine::order::{Generation, Order, OrderRecord};
use crate::engine::time::{Now, Time, rfc3339};
use crate::engine::{NoteKind, note};
use std::time::Duration;

/// Number of warnings for one certificate: near its end, three days before it, and at it.
pub const EXPIRY_WARNINGS: u8 = 3;

/// How long before the end of the product term the operator is warned, in seconds: a new order takes new
/// validation.
pub const TERM_WARNING: i64 = 30 * DAY;

const DAY: i64 = 24 * 3600;

/// How long before its end a certificate counts as near it, in seconds: a quarter of its life, at most 14 days.
/// A 47-day certificate is re-issued with 11 days to go, a 200-day one with two weeks.
pub fn near(life: i64) -> i64 {
    (life / 4).clamp(0, 14 * DAY)
}

/// How long before its end a certificate has its last days, in seconds: what is not near then is not near at all.
pub fn last_days(life: i64) -> i64 {
    near(life).min(3 * DAY)
}

/// When the warning number `stage` is due, in UNIX seconds.
fn warning_at(installed: &Generation, stage: u8) -> Option<i64> {
    let before = match stage {
        0 => near(installed.life()),
        1 => last_days(installed.life()),
        2 => 0,
        _ => return None,
    };
    Some(installed.not_after - before)
}

/// Whether an installed certificate nears its end at `unix`.
pub(in crate::engine) fn is_near(installed: Option<&Generation>, unix: i64) -> bool {
    installed.is_some_and(|installed| unix >= installed.not_after - near(installed.life()))
}

/// The end of the product term, if the vendor has told it and no warning was given yet.
fn unwarned_term(record: &OrderRecord) -> Option<i64> {
    record.heard.as_ref()?.details.term_end.filter(|end| record.term_warned != Some(*end))
}

/// When the next warning is due.
pub(in crate::engine) fn next_warning(record: &OrderRecord, now: Now) -> Option<Time> {
    let installed = record.installed.as_deref()?;
    let expiry = warning_at(installed, record.warned);
    let term = unwarned_term(record).map(|end| end - TERM_WARNING);
    Some(now.time_of([expiry, term].into_iter().flatten().min()?))
}

impl Order<'_> {
    /// Tells once that the subscription of an installed order ends.
    pub(in crate::engine) fn warn_of_term(&mut self) {
        let record = &self.slot.record;
        let end = unwarned_term(record)
            .filter(|end| record.installed.is_some() && end - TERM_WARNING <= self.now.unix());
        let Some(end) = end else { return };
        self.slot.record.term_warned = Some(end);
        self.touch();
        let left = end - self.now.unix();
        let text = if left > 0 {
            let left = note::duration(Duration::from_secs(left.unsigned_abs()));
            format!(
                "the subscription ends in {left}, at {}: no re-issue reaches beyond it; renew it, or place a new order",
                rfc3339(end)
            )
        } else {
            format!(
                "the subscription has ended at {}: there will be no re-issue; renew it, or place a new order",
                rfc3339(end)
            )
        };
        self.note(Level::Warn, NoteKind::TermEnding, text);
        self.owe_hooks(HookEvent::Expiring);
    }

    /// Gives the warnings whose time has come; of several that were slept through, one.
    pub(in crate::engine) fn warn_of_expiry(&mut self) {
        let record = &self.slot.record;
        let Some(installed) = record.installed.as_deref() else { return };
        let due = |stage: &u8| warning_at(installed, *stage).is_some_and(|at| at <= self.now.unix());
        let warned = (record.warned..EXPIRY_WARNINGS).take_while(due).last().map(|stage| stage + 1);
        let Some(warned) = warned else { return };
        let end = installed.not_after;
        let left = end - self.now.unix();
        let act = match record.reissue {
            Some(_) => "its re-issue still waits: see `certcollectd explain`",
            None => "have it re-issued",
        };
        self.slot.record.warned = warned;
        self.touch();
        let text = if left > 0 {
            let left = note::duration(Duration::from_secs(left.unsigned_abs()));
            format!(
                "the installed certificate ends in {left}, at {}, and the vendor has no newer one; {act}",
                rfc3339(end)
            )
        } else {
            format!("the installed certificate has ended at {}; {act}", rfc3339(end))
        };
        let level = if warned == 1 { Level::Warn } else { Level::Error };
        self.note(level, NoteKind::Expiring, text);
        self.owe_hooks(HookEvent::Expiring);
        // From here on it is asked about as often as manners allow.
        if warned == 1 && self.slot.record.due.is_some() {
            self.set_due();
        }
    }
}
