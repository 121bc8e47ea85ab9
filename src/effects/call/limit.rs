//! A timeout that keeps running while the machine is suspended, unlike the runtime's timers.

use std::pin::pin;
use std::time::Duration;

use tokio::time::sleep;

use crate::effects::Clock;
use certcollectd_core::engine::time::Time;

/// The runtime's timer stands still during a suspend; so late after it the limit is looked at again.
const SLICE: Duration = Duration::from_secs(1);

/// A limit in boot time that has begun.
#[derive(Debug)]
pub(super) struct Limit {
    clock: Clock,
    end: Time,
}

impl Limit {
    pub(super) fn new(length: Duration, clock: Clock) -> Limit {
        Limit { clock, end: clock() + length }
    }

    /// What the work comes to; nothing if the limit runs out first.
    pub(super) async fn hold<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
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
    }

    /// Whether it has run out: what came before that was seen may have come after it all the same.
    pub(super) fn is_out(&self) -> bool {
        self.left().is_zero()
    }

    fn left(&self) -> Duration {
        self.end.since((self.clock)())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

    use super::*;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    const LENGTH: Duration = Duration::from_secs(600);

    #[test]
    fn work_within_the_limit_is_done() {
        let limit = Limit::new(LENGTH, || Time(0));
        assert_eq!(block_on(limit.hold(async { 7 })), Some(7));
        assert!(!limit.is_out());
    }

    /// As if the machine had slept: the runtime's own timer has most of its time left.
    #[test]
    fn boot_time_ends_what_does_not_end() {
        static READ: AtomicI64 = AtomicI64::new(0);
        let limit = Limit::new(LENGTH, || Time(READ.fetch_add(300_000, Relaxed)));
        assert_eq!(block_on(limit.hold(std::future::pending::<()>())), None);
        assert!(limit.is_out());
    }

    #[test]
    fn what_comes_after_the_end_is_told_apart() {
        static NOW: AtomicI64 = AtomicI64::new(0);
        let limit = Limit::new(LENGTH, || Time(NOW.load(Relaxed)));
        let work = async { NOW.store(600_000, Relaxed) };
        assert_eq!(block_on(limit.hold(work)), Some(()));
        assert!(limit.is_out());
    }
}
