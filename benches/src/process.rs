//! What the kernel says of a process.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::time::Duration;

use nix::time::ClockId;
use nix::unistd::Pid;

/// Time on the CPU of all its threads, those that have ended included; not that of hooks.
pub fn cpu(pid: u32) -> io::Result<Duration> {
    Ok(ClockId::pid_cpu_clock_id(Pid::from_raw(pid.cast_signed()))?.now()?.into())
}

/// Resident memory, in KiB.
pub fn resident(pid: u32) -> io::Result<u64> {
    field(&format!("/proc/{pid}/status"), "VmRSS:")
}

/// Resident memory, in KiB; of pages that several processes share, each its part.
pub fn proportional(pid: u32) -> io::Result<u64> {
    field(&format!("/proc/{pid}/smaps_rollup"), "Pss:")
}

pub fn open_files(pid: u32) -> io::Result<u64> {
    Ok(fs::read_dir(format!("/proc/{pid}/fd"))?.count() as u64)
}

/// How often each of its threads has gone to sleep.
pub fn sleeps(pid: u32) -> io::Result<HashMap<OsString, u64>> {
    let mut threads = HashMap::new();
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let task = task?;
        let status = task.path().join("status");
        // A thread that has just ended says nothing.
        if let Ok(sleeps) = field(&status.to_string_lossy(), "voluntary_ctxt_switches:") {
            threads.insert(task.file_name(), sleeps);
        }
    }
    Ok(threads)
}

/// How often threads were woken in between. One that has ended was for work, and had none.
pub fn woken(before: &HashMap<OsString, u64>, after: &HashMap<OsString, u64>) -> u64 {
    after.iter().map(|(thread, now)| now - before.get(thread).copied().unwrap_or_default()).sum()
}

fn field(path: &str, name: &str) -> io::Result<u64> {
    let text = fs::read_to_string(path)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .ok_or_else(|| io::Error::other(format!("{path} has no {name}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn a_thread_that_has_ended_still_counts() {
        let myself = std::process::id();
        let (own, seen) = (clock::own_cpu(), cpu(myself).unwrap());
        std::thread::spawn(|| {
            let begin = clock::own_cpu();
            while clock::own_cpu() - begin < Duration::from_millis(3) {}
        })
        .join()
        .unwrap();
        let seen = cpu(myself).unwrap() - seen;
        let own = clock::own_cpu() - own;
        assert!((Duration::from_millis(3)..=own).contains(&seen), "{seen:?} of {own:?}");
    }
}
