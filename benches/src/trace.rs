//! System calls and instructions, counted by strace and valgrind.

use std::ffi::OsString;
use std::io;
use std::path::Path;

use crate::bench::Bench;
use crate::daemon::{Daemon, wait};
use crate::mock::Mock;
use crate::site::Site;

/// What one run of a daemon under strace did.
#[derive(Debug, Clone, Copy, Default)]
pub struct Calls {
    pub polls: u64,
    pub calls: u64,
    /// Those of the calls that wait or wake: how many there are depends on what else the machine does.
    pub waits: u64,
    pub syncs: u64,
    pub renames: u64,
    /// Bytes written into the state's folder.
    pub state_bytes: u64,
}

impl Calls {
    /// What the longer of two runs did more, per poll.
    pub fn per_poll(self, shorter: Calls, of: impl Fn(Calls) -> u64) -> f64 {
        of(self).saturating_sub(of(shorter)) as f64 / self.polls.saturating_sub(shorter.polls).max(1) as f64
    }
}

/// The tool and its arguments: strace as a grandchild, so that the daemon keeps its number.
pub fn strace(to: &Path) -> Vec<OsString> {
    let mut words: Vec<OsString> = ["strace", "-D", "-f", "-yy", "-s", "16", "-o"].map(OsString::from).into();
    words.push(to.into());
    words
}

/// Polls so often, stops, and counts.
pub fn calls(bench: &Bench, site: &Site, mock: &Mock, polls: u64) -> io::Result<Calls> {
    let trace = site.log.join("trace");
    let before = mock.totals().polls;
    let mut daemon = Daemon::start(&bench.program, site, &strace(&trace))?;
    daemon.until_polled(mock, before + polls)?;
    let pid = daemon.pid();
    daemon.stop()?;
    Ok(Calls { polls: mock.totals().polls - before, ..counted(&trace, pid, site)? })
}

/// What a daemon that has ended did, without its polls.
pub fn counted(trace: &Path, pid: u32, site: &Site) -> io::Result<Calls> {
    Ok(count(&complete(trace, pid)?, &site.state.to_string_lossy()))
}

/// The whole trace, once the tracer has written the end of this process.
pub fn complete(trace: &Path, pid: u32) -> io::Result<String> {
    let pid = pid.to_string();
    // A number below 10,000 is followed by more than one blank.
    let is_last = |line: &str| {
        let (who, what) = line.split_once(' ').unwrap_or_default();
        who == pid && what.trim_start().starts_with("+++ ")
    };
    let read = || Ok::<_, io::Error>(String::from_utf8_lossy(&std::fs::read(trace)?).into_owned());
    wait("the trace has ended", || {
        let text = read()?;
        Ok(text.lines().rev().take(50).any(is_last))
    })?;
    read()
}

/// One line is one call; where another thread came between, its second half says "resumed".
fn count(trace: &str, state: &str) -> Calls {
    let mut calls = Calls::default();
    for line in trace.lines() {
        let Some((_, call)) = line.split_once(' ') else { continue };
        let call = call.trim_start();
        if call.starts_with("+++") || call.starts_with("---") || call.starts_with("<...") {
            continue;
        }
        calls.calls += 1;
        calls.waits += u64::from(is_wait(call));
        calls.syncs += u64::from(is_sync(call));
        calls.renames += u64::from(call.starts_with("rename"));
        if (call.starts_with("pwrite64(") || call.starts_with("write(")) && call.contains(state) {
            calls.state_bytes += asked_bytes(call);
        }
    }
    calls
}

fn is_wait(call: &str) -> bool {
    call.starts_with("futex(") || call.starts_with("epoll_wait(") || call.contains("<anon_inode:[eventfd")
}

pub fn is_sync(call: &str) -> bool {
    ["fsync(", "fdatasync(", "syncfs(", "sync_file_range("].iter().any(|name| call.starts_with(name))
}

/// The length in `pwrite64(fd, "data"..., LENGTH, offset)`: a file takes all of it.
fn asked_bytes(call: &str) -> u64 {
    let behind_data = call.rsplit('"').next().unwrap_or_default();
    behind_data.split(|c: char| !c.is_ascii_digit()).find_map(|number| number.parse().ok()).unwrap_or(0)
}

/// The words before a program whose instructions are counted.
pub fn valgrind(myself: &Path, summary: &Path) -> Vec<OsString> {
    let words = [
        "without-auxv",
        "valgrind",
        "--tool=cachegrind",
        "--cache-sim=no",
        "--cachegrind-out-file=/dev/null",
    ];
    let mut wrapper: Vec<OsString> = vec![myself.into()];
    wrapper.extend(words.map(OsString::from));
    let mut log = OsString::from("--log-file=");
    log.push(summary);
    wrapper.push(log);
    wrapper
}

/// What valgrind has counted of a program that has ended.
pub fn user_instructions(summary: &Path) -> io::Result<u64> {
    let text = std::fs::read_to_string(summary)?;
    let line = text.lines().find_map(|line| line.split_once("I ")?.1.split_once("refs:"));
    let number = line.map(|(_, number)| number.replace(',', ""));
    let instructions = number.and_then(|number| number.trim().parse().ok());
    instructions.ok_or_else(|| io::Error::other(format!("valgrind counted nothing: {text}")))
}

/// User instructions of a daemon that polls so often; and the polls.
pub fn instructions(bench: &Bench, site: &Site, mock: &Mock, polls: u64) -> io::Result<(u64, u64)> {
    let summary = site.log.join("valgrind");
    let before = mock.totals().polls;
    let mut daemon = Daemon::start(&bench.program, site, &valgrind(&bench.myself, &summary))?;
    daemon.until_polled(mock, before + polls)?;
    daemon.stop()?;
    Ok((user_instructions(&summary)?, mock.totals().polls - before))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_counted() {
        let trace = "7 pwrite64(4</s/state.db-wal>, \"\\1\\2, 3\"..., 4096, 82400) = 4096\n\
                     7 fsync(4</s/state.db-wal> <unfinished ...>\n8 write(2</log>, \"a\", 1) = 1\n\
                     7 <... fsync resumed>) = 0\n8 write(5</s/x>, \"a\", 24) = 24\n\
                     8 renameat2(AT_FDCWD</>, \"a\", AT_FDCWD</>, \"b\", 0) = 0\n8 futex(0x7f, 1) = 1\n\
                     8 write(5<anon_inode:[eventfd:3]>, \"a\", 8) = 8\n7 +++ exited with 0 +++\n";
        let calls = count(trace, "/s");
        assert_eq!((calls.calls, calls.waits, calls.syncs, calls.renames), (7, 2, 1, 1));
        assert_eq!(calls.state_bytes, 4120);
    }
}
