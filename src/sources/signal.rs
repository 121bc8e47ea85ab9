//! Signals: TERM and INT shut down cleanly, a second one exits at once; HUP reloads; CHLD reaps children.

use std::io;

use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::{Inbox, Message};

/// Exit code after the second stop signal.
const AT_ONCE: i32 = 1;

/// Handles signals on a thread of its own: the second stop signal must work even if the loop does not.
pub fn listen(inbox: Inbox) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGCHLD])?;
    std::thread::Builder::new().name("signals".into()).stack_size(128 * 1024).spawn(move || {
        let mut stopping = false;
        for signal in signals.forever() {
            let message = match signal {
                SIGHUP => Message::Reload,
                SIGCHLD => Message::Child,
                _ if stopping => std::process::exit(AT_ONCE),
                _ => {
                    stopping = true;
                    Message::Stop
                }
            };
            // A full inbox must not keep this thread from the second stop signal. Reloads and children are
            // handled with whatever fills the inbox; a stop must arrive.
            let important = matches!(message, Message::Stop);
            if inbox.try_send(message).is_err() && important {
                let inbox = inbox.clone();
                std::thread::spawn(move || inbox.blocking_send(Message::Stop));
            }
        }
    })?;
    Ok(())
}
