//! Reading files of the operator's without keeping the loop waiting.
//!
//! A thread that touches a hung mount blocks in the kernel and cannot be cancelled. So such files are read on
//! threads of their own, and after a timeout nothing waits for them any more. A reader takes a permit and
//! keeps it until the kernel returns: however often it is tried again, one thread hangs and not a hundred.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::timeout;

/// Reading a small file takes milliseconds, over a network some more.
const PATIENCE: Duration = Duration::from_secs(10);

/// One permit, for one reader at a time.
pub fn permit() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(1))
}

/// Does the work on a thread of its own.
pub async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    spawn_blocking(work).await.unwrap_or_else(|error| resume_unwind(error.into_panic()))
}

/// Does the work when it gets the permit. `Err`, in words, when it takes longer than `PATIENCE`; it may still be done
/// then, and its result is dropped.
pub async fn with_timeout<T: Send + 'static>(
    permit: &Arc<Semaphore>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    within(PATIENCE, permit, work).await
}

/// Does the work when it gets the permit, however long that takes: for what nothing waits for.
pub async fn run<T: Send + 'static>(permit: &Arc<Semaphore>, work: impl FnOnce() -> T + Send + 'static) -> T {
    attempt(permit, work).await.unwrap_or_else(|error| resume_unwind(error.into_panic()))
}

/// As [`run`], but `Err` where the work panics, for callers that must answer anyway.
pub async fn attempt<T: Send + 'static>(
    permit: &Arc<Semaphore>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JoinError> {
    let permit = permit.clone().acquire_owned().await.expect("it is never closed");
    let done = spawn_blocking(move || {
        let done = work();
        drop(permit);
        done
    });
    done.await
}

async fn within<T: Send + 'static>(
    patience: Duration,
    permit: &Arc<Semaphore>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    let free = permit.available_permits() > 0;
    timeout(patience, run(permit, work)).await.map_err(|_| {
        let seconds = patience.as_secs();
        match free {
            true => format!("it could not be read within {seconds} s; does its mount hang?"),
            false => format!(
                "it could not be read within {seconds} s, because an earlier attempt still hangs; does its mount hang?"
            ),
        }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn what_hangs_is_given_up_and_costs_one_thread() {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_time().max_blocking_threads(1).build().unwrap();
        runtime.block_on(async {
            let hanging = permit();
            let (release, hang) = mpsc::channel::<()>();
            let short = Duration::from_millis(50);
            let first = within(short, &hanging, move || hang.recv().is_err()).await;
            assert!(first.unwrap_err().contains("hang"));
            // No other one begins, so that there is no second thread to hang.
            let second = within(short, &hanging, || true).await;
            assert!(second.unwrap_err().contains("an earlier attempt"));
            drop(release);
            assert_eq!(with_timeout(&hanging, || 3).await, Ok(3), "and continues");
        });
    }
}
