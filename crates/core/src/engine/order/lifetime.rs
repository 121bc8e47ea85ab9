//! How long certificates may live, when one nears its end, and when the warnings ahead of that and of the end of the
//! subscription are due.

use crate::engine::order::record::{Generation, OrderRecord};
use crate::engine::time::{Now, Time};

/// Number of warnings for one certificate: near its end, three days before it, and at it.
pub const EXPIRY_WARNINGS: u8 = 3;

/// How long before the end of the product term the operator is warned, in seconds: a new order takes new
/// validation.
pub const TERM_WARNING: i64 = 30 * DAY;

const DAY: i64 = 24 * 3600;

/// How many days a public TLS certificate may live, and how many days a validation of its domains may be used, if it is
/// issued from this day on, UNIX seconds: CA/Browser Forum Ballot SC-081v3, Baseline Requirements for TLS 6.3.2 and
/// 4.2.1.
const LIMITS: [(i64, i64, i64); 4] = [
    (i64::MIN, 398, 398),
    // 15 March 2026, 2027 and 2029.
    (1_773_532_800, 200, 200),
    (1_805_068_800, 100, 100),
    (1_868_227_200, 47, 10),
];

/// The longest life and the longest use of a validation for what is issued then, in seconds.
pub(crate) fn limits(issued: i64) -> (i64, i64) {
    let held = LIMITS.iter().rfind(|(from, ..)| *from <= issued);
    held.map_or((i64::MAX, i64::MAX), |(_, life, reuse)| (life * DAY, reuse * DAY))
}

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
pub(crate) fn warning_at(installed: &Generation, stage: u8) -> Option<i64> {
    let before = match stage {
        0 => near(installed.life()),
        1 => last_days(installed.life()),
        2 => 0,
        _ => return None,
    };
    Some(installed.not_after - before)
}

/// Whether an installed certificate nears its end at `unix`.
pub(crate) fn is_near(installed: Option<&Generation>, unix: i64) -> bool {
    installed.is_some_and(|installed| unix >= installed.not_after - near(installed.life()))
}

/// The end of the product term, if it is known and there was no warning yet.
pub(crate) fn unwarned_term(record: &OrderRecord) -> Option<i64> {
    record.heard.as_ref()?.details.term_end.filter(|end| record.term_warned != Some(*end))
}

/// When the next warning is due.
pub(crate) fn next_warning(record: &OrderRecord, now: Now) -> Option<Time> {
    let installed = record.installed.as_deref()?;
    // One that waits for a window comes in time.
    let expiry = warning_at(installed, record.warned).filter(|_| !record.is_held());
    let term = unwarned_term(record).map(|end| end - TERM_WARNING);
    Some(now.time_of([expiry, term].into_iter().flatten().min()?))
}
