//! What the kernel says of a process.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::time::Duration;

/// Time on the CPU, children that were waited for included. Ticks of 10 ms: look at seconds.
pub fn cpu(pid: u32) -> io::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name of the program may hold blanks; what follows its bracket is numbers, utime the twelfth of them.
    let numbers = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: u64 =
        numbers.split_whitespace().skip(11).take(4).filter_map(|text| text.parse::<u64>().ok()).sum();
    Ok(Duration::from_secs(ticks) / u32::try_from(rustix::param::clock_ticks_per_second()).unwrap_or(100))
}

/// Resident memory, in KiB.
pub fn resident(pid: u32) -> io::Result<u64> {
    field(&format!("/proc/{pid}/status"), "VmRSS:")
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
