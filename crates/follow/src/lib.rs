//! The companion in a web server's container: waits for the first certificate, starts the server, reloads it when the
//! link to its certificates changes, and reports how that went.
//!
//! ```text
//!  cli ──> Plan ──> companion     one loop: a look each second, signals, exits of children
//!                     link         which generation each DIR leads to, and what is in it
//!                     attempt      one start or reload: test, reload, a moment to see whether the server lives
//!                     child        programs, and the last line that they print
//!                     report       the report for the daemon, its request; file: how they are written and read
//!                     placeholder  a self-signed certificate until the first one is there
//! ```
//!
//! It looks once a second and watches nothing: that costs less than 40 system calls, needs no watches of the kernel, and
//! works on every mount. A bind mount, an overlay or a network file system may not tell of a change.
//!
//! As process 1 it passes signals on, collects the exits of orphans, and ends as the server ends. It never ends the
//! server itself: who sends the second signal, or SIGKILL, is the one who sent the first.
//!
//! A reload is an attempt for what the links lead to at its beginning. If they lead elsewhere when the test has
//! passed, the test is made again; if they do so after the reload, there is another attempt: only the newest counts.
//! What failed is tried again after 15 s, 30 s, ... 15 min, at the next change, and whenever the daemon asks.

#![forbid(unsafe_code)]

mod attempt;
mod child;
pub mod cli;
mod clock;
mod companion;
pub mod file;
mod link;
mod placeholder;
mod report;
pub mod signal;
