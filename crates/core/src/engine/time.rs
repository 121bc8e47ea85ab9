//! The two lines of time that decisions are made on. Nothing here reads a clock.
//!
//! Schedules run on [`Time`], the time since boot with suspend counted (CLOCK_BOOTTIME): no step of the
//! wall clock can make a poll early or lose one. Certificate dates and what people read run on wall time.

use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A moment in milliseconds since boot, suspend included. Moments of an earlier boot are negative after
/// the state has translated them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Time(pub i64);

impl Time {
    /// Before everything.
    pub const MIN: Time = Time(i64::MIN);

    /// After everything.
    pub const MAX: Time = Time(i64::MAX);

    /// After [`Time::MIN`], before everything else: what a push notification wants at once.
    pub const SOON: Time = Time(i64::MIN + 1);

    /// How long after `earlier` this is; zero if it is not after it.
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl Add<Duration> for Time {
    type Output = Time;

    fn add(self, duration: Duration) -> Time {
        Time(self.0.saturating_add(millis(duration)))
    }
}

impl Sub<Duration> for Time {
    type Output = Time;

    fn sub(self, duration: Duration) -> Time {
        Time(self.0.saturating_sub(millis(duration)))
    }
}

/// One reading of both clocks, taken together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// For schedules.
    pub time: Time,
    /// For dates: UNIX time in milliseconds, as right as the machine's clock is.
    pub wall: i64,
}

impl Now {
    /// UNIX time in seconds.
    pub fn unix(&self) -> i64 {
        self.wall.div_euclid(1000)
    }

    /// The wall time of a moment on the schedule's line, in milliseconds, as the clock stands now.
    pub fn wall_of(&self, time: Time) -> i64 {
        self.offset().saturating_add(time.0)
    }

    /// The moment on the schedule's line at which the wall clock will show `unix` seconds.
    pub fn time_of(&self, unix: i64) -> Time {
        Time(unix.saturating_mul(1000).saturating_sub(self.offset()))
    }

    /// Wall time minus schedule time, in milliseconds: constant until someone sets the clock.
    pub fn offset(&self) -> i64 {
        self.wall.saturating_sub(self.time.0)
    }
}

/// A moment as people and hooks read it: RFC 3339 in UTC, to the second.
pub fn rfc3339(unix: i64) -> String {
    jiff::Timestamp::from_second(unix).map_or_else(|_| format!("@{unix}"), |time| time.to_string())
}

/// The day in what [`rfc3339`] gives.
pub fn day(moment: &str) -> &str {
    moment.split('T').next().unwrap_or(moment)
}

/// A reading of the clock is rounded down to this, and what has just ended may have ended so much later.
pub(crate) const TICK: Duration = Duration::from_millis(1);

/// `90 s`, `12 min`, `3 h 20 min`, `2 days`: as exact as people want it.
pub fn in_words(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0 if !span.is_zero() => format!("{} ms", span.as_millis()),
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        7200..=172_799 => match seconds % 3600 / 60 {
            0 => format!("{} h", seconds / 3600),
            minutes => format!("{} h {minutes} min", seconds / 3600),
        },
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_and_schedule_translate_into_each_other() {
        let now = Now { time: Time(5_000), wall: 1_800_000_000_000 };
        assert_eq!(now.wall_of(Time(6_000)), 1_800_000_001_000);
        assert_eq!(now.time_of(1_800_000_001), Time(6_000));
        assert_eq!(now.unix(), 1_800_000_000);
    }

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Time(i64::MAX) + Duration::MAX, Time(i64::MAX));
        assert_eq!(Time::MIN.since(Time(0)), Duration::ZERO);
        assert_eq!(Time(10).since(Time(4)), Duration::from_millis(6));
    }

    #[test]
    fn dates_read_as_rfc_3339() {
        assert_eq!(rfc3339(1_795_165_920), "2026-11-20T09:12:00Z");
    }

    #[test]
    fn spans_read_well() {
        let shown = [0, 1, 119, 120, 7199, 7200, 12_000, 172_800]
            .map(|seconds| in_words(Duration::from_secs(seconds)));
        assert_eq!(shown, ["0 s", "1 s", "119 s", "2 min", "119 min", "2 h", "3 h 20 min", "2 days"]);
        assert_eq!(in_words(Duration::from_millis(250)), "250 ms");
    }
}
