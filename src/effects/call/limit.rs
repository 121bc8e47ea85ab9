//! A timeout that keeps running while the machine is suspended, unlike the runtime's timers.

use std::os::fd::OwnedFd;
use std::pin::pin;
use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_gettime,
    timerfd_settime,
};
use tokio::time::{sleep, timeout};

/// The runtime's timer stands still during a suspend; so late after it the limit is looked at again.
const SLICE: Duration = Duration::from_secs(1);

/// A limit in boot time that has begun.
#[derive(Debug)]
pub(super) struct Limit {
    /// Nothing where the kernel has no such timer; then the runtime's own is all there is.
    boot: Option<OwnedFd>,
    length: Duration,
}

impl Limit {
    pub(super) fn new(length: Duration) -> Limit {
        Limit { boot: begin(length).ok(), length }
    }

    /// What the work comes to; nothing if the limit runs out first.
    pub(super) async fn hold<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        let in_slices = async {
            loop {
                tokio::select! {
                    biased;
                    result = &mut work => return Some(result),
                    () = sleep(self.left().clamp(Duration::from_millis(1), SLICE)) => {}
                }
                if self.is_out() {
                    return None;
                }
            }
        };
        timeout(self.length, in_slices).await.ok().flatten()
    }

    /// Whether it has run out: what came before that was seen may have come after it all the same.
    pub(super) fn is_out(&self) -> bool {
        self.left().is_zero()
    }

    fn left(&self) -> Duration {
        let Some(timer) = &self.boot else { return Duration::MAX };
        timerfd_gettime(timer)
            .ok()
            .and_then(|left| Duration::try_from(left.it_value).ok())
            .unwrap_or(Duration::MAX)
    }
}

fn begin(length: Duration) -> rustix::io::Result<OwnedFd> {
    let timer = timerfd_create(TimerfdClockId::Boottime, TimerfdFlags::CLOEXEC)?;
    let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
    let value = Timespec::try_from(length).unwrap_or(Timespec { tv_sec: i64::MAX, tv_nsec: 0 });
    timerfd_settime(&timer, TimerfdTimerFlags::empty(), &Itimerspec { it_interval: zero, it_value: value })?;
    Ok(timer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    /// As if the machine had slept: the runtime's own timer has most of its time left.
    fn slept() -> Limit {
        Limit { length: Duration::from_secs(600), ..Limit::new(Duration::from_millis(20)) }
    }

    #[test]
    fn work_within_the_limit_is_done() {
        let limit = Limit::new(Duration::from_secs(600));
        assert_eq!(block_on(limit.hold(async { 7 })), Some(7));
        assert!(!limit.is_out());
    }

    #[test]
    fn boot_time_ends_what_does_not_end() {
        let limit = slept();
        assert_eq!(block_on(limit.hold(std::future::pending::<()>())), None);
        assert!(limit.is_out());
    }

    #[test]
    fn what_comes_after_the_end_is_told_apart() {
        let limit = slept();
        let work = async {
            while !limit.is_out() {
                std::thread::yield_now();
            }
        };
        assert_eq!(block_on(limit.hold(work)), Some(()));
        assert!(limit.is_out());
    }

    #[test]
    fn without_a_timer_in_boot_time_the_limit_holds_as_well() {
        let limit = Limit { boot: None, length: Duration::from_millis(20) };
        assert_eq!(block_on(limit.hold(std::future::pending::<()>())), None);
    }
}
