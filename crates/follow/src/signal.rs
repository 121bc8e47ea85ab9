//! Signals: the system's numbers, and whether a process is ready for one.

use certcollectd_core::config::HookSignal;
use rustix::process::{Pid, Signal};

/// The system's number of a signal.
pub fn number_of(signal: HookSignal) -> Signal {
    match signal {
        HookSignal::Hup => Signal::HUP,
        HookSignal::Int => Signal::INT,
        HookSignal::Quit => Signal::QUIT,
        HookSignal::Term => Signal::TERM,
        HookSignal::Usr1 => Signal::USR1,
        HookSignal::Usr2 => Signal::USR2,
        HookSignal::Alrm => Signal::ALARM,
        HookSignal::Cont => Signal::CONT,
        HookSignal::Ttin => Signal::TTIN,
        HookSignal::Ttou => Signal::TTOU,
        HookSignal::Winch => Signal::WINCH,
        HookSignal::Urg => Signal::URG,
        HookSignal::Io => Signal::IO,
    }
}

/// Whether a process handles a signal: one that does not would be killed by it, or would never hear of it. Yes where
/// the system does not tell.
pub(crate) fn handles(pid: Pid, signal: Signal) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero()));
    status.map_or(true, |status| has_handler(&status, signal))
}

/// A handler, or a blocked signal that is waited for (sigwait, signalfd); proc_pid_status(5).
fn has_handler(status: &str, signal: Signal) -> bool {
    let bit = 1_u64 << (signal.as_raw() - 1);
    let mask = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        u64::from_str_radix(line.trim(), 16).ok()
    };
    match (mask("SigCgt:"), mask("SigBlk:")) {
        (Some(caught), Some(blocked)) => (caught | blocked) & bit != 0,
        (None, _) | (_, None) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handler_is_seen() {
        let status = |blocked: &str, caught: &str| {
            format!("Name:\tx\nSigBlk:\t{blocked}\nSigIgn:\t0\nSigCgt:\t{caught}\n")
        };
        let none = "0000000000000000";
        assert!(!has_handler(&status(none, none), Signal::HUP));
        assert!(has_handler(&status(none, "0000000000000001"), Signal::HUP));
        assert!(has_handler(&status("0000000000000001", none), Signal::HUP));
        assert!(!has_handler(&status(none, "0000000000000001"), Signal::USR2));
        assert!(has_handler("", Signal::HUP), "where the system does not tell");
    }
}
