//! Hooks that are signals to the process that a file names.

use std::io::Read;
use std::path::Path;

use certcollectd_follow::signal::number_of;
use rustix::io::Errno;
use rustix::process::{Pid, kill_process};

use super::advised;
use crate::effects::access::{self, Reason, Wish};
use crate::effects::errno;
use crate::effects::files::open_file;
use certcollectd_core::api::Untrusted;
use certcollectd_core::config::HookSignal;
use certcollectd_core::engine::hooks::run::HookResult;

/// Bytes of a file that are looked at for a process number.
const MAX_PID_FILE: u64 = 4096;

pub(super) fn send(pid_file: &Path, signal: HookSignal) -> HookResult {
    let shown = pid_file.display();
    let mut text = String::new();
    let read = open_file(pid_file).and_then(|(file, _)| file.take(MAX_PID_FILE).read_to_string(&mut text));
    if let Err(error) = read {
        let Reason { cause, remedy } = access::reason(pid_file, Wish::Read, &error);
        let remedy = remedy.unwrap_or_else(|| "is the service running, and is that its file?".into());
        return advised(format!("pid_file {shown} cannot be read: {cause}"), remedy);
    }
    let number = text.lines().next().unwrap_or_default().trim();
    // Zero and negative numbers mean process groups, and all processes.
    let Some(pid) = number.parse().ok().filter(|pid| *pid > 0).and_then(Pid::from_raw) else {
        return HookResult::failed(format!(
            "{shown} contains no process ID but \"{}\"",
            Untrusted::new(number)
        ));
    };
    if pid == rustix::process::getpid() {
        return HookResult::failed(format!("{shown} names certcollectd itself"));
    }
    match kill_process(pid, number_of(signal)) {
        Ok(()) => HookResult::Done,
        Err(Errno::PERM) => advised(
            format!(
                "process {number} of {shown} belongs to another user; only root or CAP_KILL may send it {signal}"
            ),
            "let another unit do it",
        ),
        Err(Errno::SRCH) => {
            advised(format!("there is no process {number}; {shown} is stale"), "is the service running?")
        }
        Err(error) => HookResult::failed(format!(
            "process {number} cannot be sent {signal}: {}",
            errno::cause(&error.into())
        )),
    }
}
