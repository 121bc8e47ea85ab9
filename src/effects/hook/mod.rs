//! Hooks: a program, a signal, an HTTP call, a socket or a companion; always with a timeout, never through a shell.
//!
//! A program runs in a process group of its own with an environment built from nothing. Its output is read as
//! it comes, logged line by line up to a limit, and not waited for once the program has ended: a service that
//! a hook starts may keep the pipe open forever.

pub(super) mod environment;
pub mod executable;
mod follow;
pub mod kept;
pub(super) mod program;
pub mod reap;
mod signal;
mod socket;
pub mod web;

use std::time::Duration;

use tokio::time::timeout;

use self::reap::Permits;
use super::blocking::apart;
use certcollectd_core::config::Action;
use certcollectd_core::engine::hooks::run::{HookResult, HookRun};

/// Exit code that means "this event is not for me" (the hook protocol of acmetool).
const NOT_FOR_ME: i32 = 42;

/// A failure with the one thing to do.
fn advised(why: impl Into<String>, remedy: impl Into<String>) -> HookResult {
    HookResult::Failed { why: why.into(), last_words: Vec::new(), remedy: Some(remedy.into()) }
}

fn over(limit: Duration) -> String {
    format!("ended at its time limit of {}", humantime::format_duration(limit))
}

/// Carries out one run.
pub async fn run(run: &HookRun, permits: Permits) -> HookResult {
    let limit = run.hook.timeout;
    let ended = match &run.hook.action {
        Action::Run(arguments) => return program::run(run, arguments, permits).await,
        Action::Follow(companion) => return follow::ask(run, companion, permits).await,
        Action::Signal { pid_file, signal } => {
            let begun = match permits.begin(&run.hook.name, run.hook.timeout).await {
                Ok(begun) => begun,
                Err(why) => return HookResult::failed(why),
            };
            let (pid_file, signal) = (pid_file.clone(), *signal);
            let send = move || {
                let _begun = begun;
                signal::send(&pid_file, signal)
            };
            timeout(limit, apart(send)).await
        }
        Action::Http(call) => timeout(limit, web::call(call, run)).await,
        Action::Socket(path) => timeout(limit, socket::ask(path)).await,
    };
    ended.unwrap_or_else(|_| HookResult::failed(over(limit)))
}
