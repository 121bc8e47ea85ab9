//! Whether the system can start threads. Libraries take that for granted: one that is refused a thread panics, and
//! panics again while unwinding, which aborts the process.

use std::io;
use std::sync::Mutex;
use std::thread::{Builder, scope};

/// The threads do nothing.
const STACK: usize = 16 * 1024;

/// Whether `wanted` more threads can run at once. They end before this returns.
pub fn spare(wanted: usize) -> io::Result<()> {
    let wait = Mutex::new(());
    scope(|threads| {
        let all_begun = wait.lock();
        let mut begun = Vec::with_capacity(wanted);
        let refused = (0..wanted).try_for_each(|_| {
            let spare = Builder::new().name("spare".into()).stack_size(STACK);
            begun.push(spare.spawn_scoped(threads, || drop(wait.lock()))?);
            Ok(())
        });
        drop(all_begun);
        // The end of the scope waits for what they do, not for the threads themselves.
        for thread in begun {
            let _ = thread.join();
        }
        refused
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn threads_are_given_back() {
        for _ in 0..100 {
            super::spare(8).unwrap();
        }
    }
}
