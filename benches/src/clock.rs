//! The clock of all measurements.

use std::time::{Duration, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// A moment, in nanoseconds of CLOCK_MONOTONIC, which all processes share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Moment(u64);

impl Moment {
    pub fn since(self, earlier: Moment) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    pub fn from_nanoseconds(nanoseconds: u64) -> Moment {
        Moment(nanoseconds)
    }

    pub fn nanoseconds(self) -> u64 {
        self.0
    }
}

pub fn now() -> Moment {
    let now = clock_gettime(ClockId::Monotonic);
    Moment(now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64)
}

/// Time that this process has spent on the CPU.
pub fn own_cpu() -> Duration {
    let cpu = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(cpu.tv_sec.cast_unsigned(), cpu.tv_nsec as u32)
}

/// The date, in UTC.
pub fn today() -> String {
    let now = clock_gettime(ClockId::Realtime);
    let now = UNIX_EPOCH + Duration::from_secs(now.tv_sec.cast_unsigned());
    humantime::format_rfc3339_seconds(now).to_string().chars().take(10).collect()
}
