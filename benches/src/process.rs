//! What the kernel says of a process.

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

/// How often its threads have gone to sleep, and so were woken.
pub fn sleeps(pid: u32) -> io::Result<u64> {
    let mut sum = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread that has just ended says nothing.
        let status = task?.path().join("status");
        sum += field(&status.to_string_lossy(), "voluntary_ctxt_switches:").unwrap_or(0);
    }
    Ok(sum)
}

fn field(path: &str, name: &str) -> io::Result<u64> {
    let text = fs::read_to_string(path)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .ok_or_else(|| io::Error::other(format!("{path} has no {name}")))
}
