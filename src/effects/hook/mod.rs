//! Hooks: a program, a signal, an HTTP call or a socket; always with a timeout, never through a shell.
//!
//! A program runs in a process group of its own with an environment built from nothing. Its output is read as
//! it comes, logged line by line up to a limit, and not waited for once the program has ended: a service that
//! a hook starts may keep the pipe open forever.

mod environment;
pub mod executable;
mod program;
pub mod reap;
mod result;
mod signal;
mod socket;
pub mod web;

use std::panic::resume_unwind;

use tokio::task::spawn_blocking;
use tokio::time::timeout;

use self::reap::ProcessGroups;
use self::result::over;
use certcollectd_core::config::Action;
use certcollectd_core::engine::hooks::{HookResult, HookRun};

/// Carries out one run.
pub async fn run(run: &HookRun, groups: ProcessGroups) -> HookResult {
    let limit = run.hook.timeout;
    let ended = match &run.hook.action {
        Action::Run(arguments) => return program::run(run, arguments, groups).await,
        Action::Signal { pid_file, signal } => {
            let begun = match groups.begin(&run.hook).await {
                Ok(begun) => begun,
                Err(why) => return HookResult::failed(why),
            };
            let (pid_file, signal) = (pid_file.clone(), *signal);
            let sending = spawn_blocking(move || {
                let sent = signal::send(&pid_file, signal);
                drop(begun);
                sent
            });
            let sent = timeout(limit, sending).await;
            sent.map(|sent| sent.unwrap_or_else(|error| resume_unwind(error.into_panic())))
        }
        Action::Http { url, method } => timeout(limit, web::call(url, method)).await,
        Action::Socket(path) => timeout(limit, socket::ask(path)).await,
    };
    ended.unwrap_or_else(|_| HookResult::failed(over(limit)))
}
