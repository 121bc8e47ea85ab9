//! A timer that goes on while the machine is suspended, and wakes the process once.
//!
//! The runtime's own stands still during a suspend, and a long one wakes the process several times on its way: it
//! moves from a coarse wheel to finer ones.

use std::cell::Cell;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::sleep;

use super::clock;
use certcollectd_core::engine::time::Time;

/// Up to here the runtime's own timer will do, without a system call; a suspend makes it so late at most.
const SHORT: Duration = Duration::from_secs(1);

/// One timer, for one waiter at a time.
#[derive(Debug)]
pub struct Alarm {
    /// Nothing where the kernel gives none; then the runtime's own is all there is.
    timer: Option<AsyncFd<OwnedFd>>,
    /// When it ends, or ended.
    end: Cell<Time>,
}

impl Alarm {
    /// Within a runtime.
    #[expect(
        deprecated,
        reason = "what takes its place is unsafe, for types that may close or change their descriptor; OwnedFd does neither"
    )]
    pub fn unset() -> Alarm {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timer = timerfd_create(TimerfdClockId::Boottime, flags).ok();
        let timer = timer.and_then(|timer| AsyncFd::with_interest(timer, Interest::READABLE).ok());
        Alarm { timer, end: Cell::new(Time::MIN) }
    }

    /// Waits so long at most. One that was to end sooner does: to set it anew each time would cost a system call, and to
    /// wake once too often costs less.
    pub async fn within(&self, time: Duration) {
        let timer = self.timer.as_ref().filter(|timer| time > SHORT && self.set(timer.get_ref(), time));
        let Some(timer) = timer else { return sleep(time).await };
        let ended = |timer: &OwnedFd| Ok(rustix::io::read(timer, &mut [0; 8])?);
        let _ = timer.async_io(Interest::READABLE, ended).await;
    }

    /// Whether it is set. Setting it takes back an end that nobody waited for.
    fn set(&self, timer: &OwnedFd, time: Duration) -> bool {
        let now = clock::now().time;
        let is_pending = self.end.get() > now && self.end.get() <= now + time;
        if is_pending {
            return true;
        }
        let is_set = set(timer, time).is_ok();
        self.end.set(if is_set { now + time } else { Time::MIN });
        is_set
    }
}

fn set(timer: &OwnedFd, time: Duration) -> rustix::io::Result<()> {
    let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
    let it_value = Timespec::try_from(time).unwrap_or(Timespec { tv_sec: i64::MAX, tv_nsec: 0 });
    timerfd_settime(timer, TimerfdTimerFlags::empty(), &Itimerspec { it_interval: zero, it_value }).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_io().enable_time().build().unwrap().block_on(future)
    }

    #[test]
    fn it_ends_by_the_kernels_timer_and_by_the_runtimes() {
        block_on(async {
            let kernels = SHORT + Duration::from_millis(10);
            for timer in [Alarm::unset().timer, None] {
                let alarm = Alarm { timer, end: Cell::new(Time::MIN) };
                alarm.within(Duration::from_millis(1)).await;
                alarm.within(kernels).await;
                alarm.within(kernels).await;
            }
        });
    }

    /// Whether it ends before anything else has happened.
    async fn ends_at_once(alarm: &Alarm, time: Duration) -> bool {
        let others = async {
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            () = alarm.within(time) => true,
            () = others => false,
        }
    }

    #[test]
    fn an_end_that_nobody_waited_for_does_not_end_the_next_wait() {
        block_on(async {
            let alarm = Alarm::unset();
            let timer = alarm.timer.as_ref().expect("the kernel has such timers");
            set(timer.get_ref(), Duration::from_millis(1)).unwrap();
            // The runtime knows of the end now.
            let _ = timer.readable().await.unwrap();
            assert!(!ends_at_once(&alarm, Duration::from_secs(3600)).await);
        });
    }

    #[test]
    fn a_timer_that_cannot_be_set_is_not_waited_for() {
        block_on(async {
            let (alarm, null) = (Alarm::unset(), std::fs::File::open("/dev/null").unwrap().into());
            for _ in 0..2 {
                assert!(!alarm.set(&null, Duration::from_secs(3600)));
            }
        });
    }

    #[test]
    fn it_is_set_anew_for_what_is_sooner_only() {
        block_on(async {
            let (alarm, hour) = (Alarm::unset(), Duration::from_secs(3600));
            assert!(!ends_at_once(&alarm, hour).await);
            let end = alarm.end.get();
            assert!(!ends_at_once(&alarm, 2 * hour).await);
            assert_eq!(alarm.end.get(), end);
            alarm.within(SHORT + Duration::from_millis(1)).await;
            assert!(alarm.end.get() < end);
        });
    }
}
