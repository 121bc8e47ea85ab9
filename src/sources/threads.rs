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
        let _all_begun = wait.lock();
        (0..wanted).try_for_each(|_| {
            let spare = Builder::new().name("spare".into()).stack_size(STACK);
            spare.spawn_scoped(threads, || drop(wait.lock())).map(drop)
        })
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
