//! Leave to call, where another host may call from a moment on.
//!
//! The moment is looked at when the body leaves, because that is what the vendor acts on. A process that stands still between
//! that look and the write would write too late, and cannot look again. So before the look a timer of the kernel is set to
//! the same moment, on the clock that counts suspend, with a signal that ends the process before its next instruction.

use std::cell::RefCell;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use nix::sys::signal::{SigEvent, SigevNotify, Signal};
use nix::sys::time::TimeSpec;
use nix::sys::timer::{Expiration, Timer, TimerSetTimeFlags};
use nix::time::ClockId;
use tokio::task::yield_now;

use crate::effects::Clock;
use certcollectd_core::engine::time::Time;

/// The last moment at which a call may begin, as it is known by now; all copies are one.
#[derive(Debug, Clone)]
pub struct Leave(Arc<AtomicI64>);

impl Leave {
    pub fn until(last: Time) -> Leave {
        Leave(Arc::new(AtomicI64::new(last.0)))
    }

    pub fn set(&self, last: Time) {
        self.0.store(last.0, Relaxed);
    }

    pub fn last(&self) -> Time {
        Time(self.0.load(Relaxed))
    }
}

/// Why nothing was sent.
#[derive(Debug)]
pub(super) enum NotSent {
    /// The moment is over.
    TooLate,
    /// The timer could not be set.
    NoTimer(nix::Error),
}

impl fmt::Display for NotSent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotSent::TooLate => f.write_str(
                "another host of the fleet may call by now; nothing was sent, and whoever leads asks next",
            ),
            NotSent::NoTimer(why) => {
                write!(f, "the kernel gives no timer for the call: {why}; nothing was sent")
            }
        }
    }
}

impl std::error::Error for NotSent {}

/// A request's body that leaves while there is leave, or not at all.
pub(super) struct Leaving {
    bytes: Option<Bytes>,
    leave: Leave,
    /// The end of the call's own time.
    end: Time,
    clock: Clock,
}

impl Leaving {
    pub(super) fn new(bytes: Bytes, leave: Leave, limit: Duration, clock: Clock) -> Leaving {
        Leaving { bytes: Some(bytes), leave, end: clock() + limit, clock }
    }

    fn look(&self) -> Result<(), NotSent> {
        let last = self.leave.last().min(self.end);
        let is_over = || (self.clock)() > last;
        // A timer that is set to what is over would end the process for nothing.
        if is_over() {
            return Err(NotSent::TooLate);
        }
        let timer = timer(last).map_err(NotSent::NoTimer)?;
        if is_over() {
            return Err(NotSent::TooLate);
        }
        let number = keep(timer);
        tokio::spawn(async move {
            // By then the task of the connection has gone on to its write.
            yield_now().await;
            drop_kept(number);
        });
        Ok(())
    }
}

impl Body for Leaving {
    type Data = Bytes;
    type Error = NotSent;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, NotSent>>> {
        let looked = self.bytes.is_some().then(|| self.look());
        let bytes = self.bytes.take();
        Poll::Ready(match (bytes, looked) {
            (Some(bytes), Some(Ok(()))) => Some(Ok(Frame::data(bytes))),
            (_, Some(Err(why))) => Some(Err(why)),
            (None, _) | (Some(_), None) => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

/// Ends the process as soon as its clock shows more than `last`.
fn timer(last: Time) -> nix::Result<Timer> {
    let end = SigEvent::new(SigevNotify::SigevSignal { signal: Signal::SIGALRM, si_value: 0 });
    let mut timer = Timer::new(ClockId::CLOCK_BOOTTIME, end)?;
    let at = Duration::from_millis(u64::try_from(last.0.saturating_add(1)).unwrap_or(1));
    timer.set(Expiration::OneShot(TimeSpec::from_duration(at)), TimerSetTimeFlags::TFD_TIMER_ABSTIME)?;
    Ok(timer)
}

thread_local! {
    /// The timers that run, which do not leave the thread; one for each account at most.
    static KEPT: RefCell<(u64, Vec<(u64, Timer)>)> = const { RefCell::new((0, Vec::new())) };
}

fn keep(timer: Timer) -> u64 {
    KEPT.with_borrow_mut(|(count, kept)| {
        *count += 1;
        kept.push((*count, timer));
        *count
    })
}

fn drop_kept(number: u64) {
    KEPT.with_borrow_mut(|(_, kept)| kept.retain(|(known, _)| *known != number));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    /// So far in the future of any machine that no timer goes off.
    fn now() -> Time {
        Time(1 << 50)
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    const LIMIT: Duration = Duration::from_secs(600);

    fn sent(last: Time, limit: Duration) -> Result<Bytes, NotSent> {
        let mut body = Leaving::new(Bytes::from_static(b"a=b"), Leave::until(last), limit, now);
        assert_eq!((body.size_hint().exact(), body.is_end_stream()), (Some(3), false));
        let sent = block_on(async {
            let frame = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await;
            while KEPT.with_borrow(|(_, kept)| !kept.is_empty()) {
                yield_now().await;
            }
            frame
        });
        assert!(body.is_end_stream());
        sent.expect("one frame").map(|frame| frame.into_data().unwrap())
    }

    #[test]
    fn it_leaves_while_there_is_leave_and_takes_the_timer_off() {
        assert_eq!(sent(now() + LIMIT, LIMIT).unwrap(), "a=b");
    }

    #[test]
    fn what_is_over_is_not_sent() {
        assert!(matches!(sent(now() - LIMIT, LIMIT), Err(NotSent::TooLate)));
        assert!(matches!(sent(Time::MIN, LIMIT), Err(NotSent::TooLate)));
    }

    #[test]
    fn the_time_of_the_call_itself_ends_as_well() {
        static NOW: AtomicI64 = AtomicI64::new(1 << 50);
        let body = Leaving::new(Bytes::new(), Leave::until(Time::MAX), LIMIT, || Time(NOW.load(Relaxed)));
        NOW.fetch_add(600_001, Relaxed);
        assert!(matches!(body.look(), Err(NotSent::TooLate)));
    }

    #[test]
    fn the_latest_leave_counts() {
        let leave = Leave::until(Time::MIN);
        let body = Leaving::new(Bytes::new(), leave.clone(), LIMIT, now);
        assert!(matches!(body.look(), Err(NotSent::TooLate)));
        leave.set(now() + LIMIT);
        assert!(block_on(async { body.look() }).is_ok());
    }
}
