//! Whether the system gives threads at all. Libraries take that for granted: one that is refused a thread panics, and
//! panics again on its way out, which is the end of the process.

use std::io;
use std::sync::mpsc;
use std::thread::{Builder, JoinHandle};

/// Room for nothing.
const STACK: usize = 16 * 1024;

/// Whether `wanted` more threads can be had at once. They end before this returns.
pub fn spare(wanted: usize) -> io::Result<()> {
    let mut begun: Vec<(mpsc::Sender<()>, JoinHandle<()>)> = Vec::new();
    let mut refused = None;
    for _ in 0..wanted {
        let (release, released) = mpsc::channel::<()>();
        let wait = move || {
            let _ = released.recv();
        };
        match Builder::new().name("spare".into()).stack_size(STACK).spawn(wait) {
            Ok(thread) => begun.push((release, thread)),
            Err(why) => {
                refused = Some(why);
                break;
            }
        }
    }
    for (release, thread) in begun {
        drop(release);
        let _ = thread.join();
    }
    refused.map_or(Ok(()), Err)
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
