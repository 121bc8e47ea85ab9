//! When to ask again: arithmetic with bounds, no state.
//!
//! One rule stands above the others: no delay is ever shorter than the order's `interval`.

use std::time::Duration;

use crate::config::Cadence;

/// No schedule reaches further than this; a later time in the state comes from a wrong clock.
pub const LONGEST_SCHEDULE: Duration = Duration::from_secs(60 * 24 * 3600);
/// How long a pending order is polled at its plain interval; after that, ever less often. Validation that
/// takes a week waits for a human, who wants no faster answer than twice a day.
pub const LONG_WAIT: Duration = Duration::from_secs(7 * 24 * 3600);
/// Intervals between polls while a payment is due: that waits for a human from the start.
const SLOW_FACTOR: u32 = 4;
/// Call limit reached: the first pause in intervals; it doubles each time.
const LIMIT_FACTOR: u32 = 4;
/// An unreachable host is retried after this, then twice that, and so on.
const OUTAGE_START: Duration = Duration::from_secs(60);
/// The longest pause after failures to reach the host; an outage of a day shall not cost another hour.
const OUTAGE_CAP: Duration = Duration::from_secs(3600);
/// `Retry-After` beyond a day is not believed (RFC 9773 section 4.3.2 clamps likewise).
const RETRY_AFTER_CAP: Duration = Duration::from_secs(24 * 3600);
/// Hooks: first and longest delay between tries.
const HOOK_START: Duration = Duration::from_secs(60);
const HOOK_CAP: Duration = Duration::from_secs(3600);
/// Local trouble (a full disk, a missing right): first and longest delay between tries.
const LOCAL_START: Duration = Duration::from_secs(10);
const LOCAL_CAP: Duration = Duration::from_secs(600);
/// A proof of control that is not seen yet: DNS takes its time.
const PROOF_START: Duration = Duration::from_secs(5);
const PROOF_CAP: Duration = Duration::from_secs(300);
/// An unreadable key: it should be in use within half a minute of becoming readable.
const UNREAD_CAP: Duration = Duration::from_secs(20);

/// Still pending after `waited`: the plain interval, doubled for each full [`LONG_WAIT`], up to the cap.
pub fn pending(cadence: &Cadence, waited: Duration) -> Duration {
    let weeks = u32::try_from(waited.as_secs() / LONG_WAIT.as_secs()).unwrap_or(u32::MAX);
    doubled(cadence.interval, weeks, cadence.max_interval)
}

/// Pending until someone pays.
pub fn pending_slowly(cadence: &Cadence, waited: Duration) -> Duration {
    pending(cadence, waited).max(cadence.interval.saturating_mul(SLOW_FACTOR).min(cadence.max_interval))
}

/// After `failures` (at least one) polls in a row that brought nothing readable.
pub fn backed_off(cadence: &Cadence, failures: u32) -> Duration {
    doubled(cadence.interval, failures.saturating_sub(1), cadence.max_interval)
}

/// An installed order; `None` when the guard is off. `urgent`: the certificate nears its end, so it is
/// asked about as often as manners allow.
pub fn guarded(cadence: &Cadence, urgent: bool) -> Option<Duration> {
    let guard = cadence.guard_interval?;
    Some(if urgent { guard.min(cadence.interval) } else { guard }.max(cadence.interval))
}

/// Lengthens a delay by up to the cadence's spread, the same way each time for the same order and poll.
/// Only lengthens: the vendor's floor is a floor.
pub fn spread(delay: Duration, cadence: &Cadence, seed: u64) -> Duration {
    let share = mix(seed) >> 32;
    let most = delay.as_millis() * u128::from(cadence.spread_permille) / 1000;
    let extra = most * u128::from(share) / u128::from(u32::MAX);
    delay + Duration::from_millis(u64::try_from(extra).unwrap_or(u64::MAX))
}

/// Somewhere between two durations, the same each time for a name.
pub fn within(least: Duration, most: Duration, name: &str) -> Duration {
    let share = mix(stable_hash(name, "", 0)) >> 32;
    let room = most.saturating_sub(least).as_millis() * u128::from(share) / u128::from(u32::MAX);
    least + Duration::from_millis(u64::try_from(room).unwrap_or(u64::MAX))
}

/// A seed for [`spread`] from what names an order and counts its polls.
pub fn stable_hash(name: &str, number: &str, polls: u64) -> u64 {
    // FNV-1a: short, fixed for all time, good enough to spread; the standard hasher promises no stability.
    let bytes = name.bytes().chain([0]).chain(number.bytes()).chain(polls.to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The pause of an account after the call limit was reached `times` (at least one) in a row.
pub fn call_limit(cadence: &Cadence, times: u32) -> Duration {
    let first = cadence.interval.saturating_mul(LIMIT_FACTOR).min(cadence.max_interval);
    doubled(first, times.saturating_sub(1), cadence.max_interval)
}

/// The pause of an account after the host could not be reached `times` (at least one) in a row.
pub fn outage(cadence: &Cadence, times: u32) -> Duration {
    let cap = OUTAGE_CAP.min(cadence.max_interval);
    doubled(OUTAGE_START.min(cadence.interval), times.saturating_sub(1), cap)
}

/// The rest of an account after calls in a row without an answer, the `times`th of a row (at least one).
pub fn rest(cadence: &Cadence, times: u32) -> Duration {
    doubled(cadence.interval, times.saturating_sub(1), cadence.max_interval)
}

/// What the vendor asks for, within reason.
pub fn retry_after(asked: Duration) -> Duration {
    asked.min(RETRY_AFTER_CAP)
}

/// Until the next try of a hook that has failed `tries` (at least one) times: 1, 2, 4, ... 60 minutes.
pub fn hook(tries: u32) -> Duration {
    doubled(HOOK_START, tries.saturating_sub(1), HOOK_CAP)
}

/// Until the proof of control is looked for again, after `looks` (at least one): 5 s, 10 s, ... 5 minutes.
pub fn proof(looks: u32) -> Duration {
    doubled(PROOF_START, looks.saturating_sub(1), PROOF_CAP)
}

/// Until the next try after `tries` (at least one) failures on this machine: 10 s, 20 s, ... 10 minutes.
pub fn local(tries: u32) -> Duration {
    doubled(LOCAL_START, tries.saturating_sub(1), LOCAL_CAP)
}

/// Until a file of the operator's that could not be read is tried again, after `tries` (at least one): 10 s, then 20 s.
pub fn unread(tries: u32) -> Duration {
    doubled(LOCAL_START, tries.saturating_sub(1), UNREAD_CAP)
}

fn doubled(start: Duration, times: u32, cap: Duration) -> Duration {
    start.saturating_mul(2u32.saturating_pow(times.min(31))).min(cap.max(start))
}

/// The finaliser of SplitMix64: neighbouring seeds give unrelated numbers.
pub(crate) fn mix(seed: u64) -> u64 {
    let a = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let b = (a ^ (a >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    b ^ (b >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn defaults() -> Cadence {
        Cadence {
            interval: Cadence::INTERVAL,
            max_interval: Cadence::MAX_INTERVAL,
            guard_interval: Some(Cadence::GUARD_INTERVAL),
            spread_permille: Cadence::SPREAD_PERMILLE,
        }
    }

    #[test]
    fn with_the_defaults() {
        let cadence = defaults();
        assert_eq!(pending(&cadence, Duration::ZERO), 3 * HOUR);
        assert_eq!(pending(&cadence, 6 * DAY), 3 * HOUR);
        assert_eq!(pending(&cadence, 8 * DAY), 6 * HOUR);
        assert_eq!(pending(&cadence, 60 * DAY), 24 * HOUR);
        assert_eq!(pending_slowly(&cadence, Duration::ZERO), 12 * HOUR);
        assert_eq!(
            [1, 2, 3, 4, 5].map(|times| backed_off(&cadence, times)),
            [3, 6, 12, 24, 24].map(|n| n * HOUR)
        );
        assert_eq!([1, 2, 3].map(|times| call_limit(&cadence, times)), [12, 24, 24].map(|n| n * HOUR));
        assert_eq!([1, 2, 7, 9].map(|times| outage(&cadence, times).as_secs()), [60, 120, 3600, 3600]);
        assert_eq!([1, 2, 3, 6, 7, 99].map(|times| hook(times).as_secs() / 60), [1, 2, 4, 32, 60, 60]);
        assert_eq!([1, 2, 9].map(|times| local(times).as_secs()), [10, 20, 600]);
        assert_eq!([1, 2, 9].map(|times| unread(times).as_secs()), [10, 20, 20]);
        assert_eq!(guarded(&cadence, false), Some(24 * HOUR));
        assert_eq!(guarded(&cadence, true), Some(3 * HOUR));
        assert_eq!(guarded(&Cadence { guard_interval: None, ..cadence }, true), None);
    }

    #[test]
    fn spread_is_stable_and_differs_between_orders() {
        let cadence = defaults();
        let delay = |name: &str, polls| spread(3 * HOUR, &cadence, stable_hash(name, "1", polls));
        assert_eq!(delay("www", 7), delay("www", 7));
        let delays: std::collections::BTreeSet<_> =
            (0..1000).map(|order| delay(&format!("order{order}"), 1).as_secs() / 60).collect();
        assert!(delays.len() >= 18, "the 18 minutes of spread are used: {}", delays.len());
    }

    proptest! {
        #[test]
        fn nothing_is_ever_sooner_than_the_interval(
            interval in 1u64..1_000_000, longer in 0u64..1_000_000, guard in 1u64..1_000_000,
            permille in 0u16..=500, times in 1u32..10_000, waited in 0u64..100_000_000, seed in any::<u64>(),
        ) {
            let cadence = Cadence {
                interval: Duration::from_millis(interval),
                max_interval: Duration::from_millis(interval + longer),
                guard_interval: Some(Duration::from_millis(guard)),
                spread_permille: permille,
            };
            let waited = Duration::from_secs(waited);
            let delays = [
                pending(&cadence, waited),
                pending_slowly(&cadence, waited),
                backed_off(&cadence, times),
                guarded(&cadence, true).unwrap(),
                guarded(&cadence, false).unwrap(),
            ];
            for delay in delays {
                let spread = spread(delay, &cadence, seed);
                prop_assert!(delay >= cadence.interval);
                prop_assert!(spread >= delay && spread <= delay.mul_f64(1.0 + f64::from(permille) / 1000.0) + Duration::from_millis(1));
            }
            for delay in [pending(&cadence, waited), pending_slowly(&cadence, waited), backed_off(&cadence, times)] {
                prop_assert!(delay <= cadence.max_interval);
            }
        }
    }
}
