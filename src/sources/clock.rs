//! The one reader of the clock.

use rustix::time::{ClockId, clock_gettime};

use certcollectd_core::engine::time::{Now, Time};

/// Both clocks: boot time, which goes on while the machine is suspended, and wall time.
pub fn now() -> Now {
    let millis = |id| {
        let time = clock_gettime(id);
        time.tv_sec.saturating_mul(1000).saturating_add(time.tv_nsec / 1_000_000)
    };
    Now { time: Time(millis(ClockId::Boottime)), wall: millis(ClockId::Realtime) }
}
