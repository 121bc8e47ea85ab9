//! A daemon under strace, and what its trace counts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::setting::{self, Setting};

/// Sums over all threads of one run.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Trace {
    /// Apart from waiting and waking: how often threads do that depends on who else has work.
    pub(super) calls: f64,
    pub(super) syncs: f64,
    pub(super) renames: f64,
    /// Bytes written to files below the state's folder.
    pub(super) state_bytes: f64,
}

impl Trace {
    /// What one of `times` things costs that this run did more often than a shorter one.
    pub(super) fn each(self, shorter: Trace, times: f64) -> Trace {
        Trace {
            calls: (self.calls - shorter.calls) / times,
            syncs: (self.syncs - shorter.syncs) / times,
            renames: (self.renames - shorter.renames) / times,
            state_bytes: (self.state_bytes - shorter.state_bytes) / times,
        }
    }
}

/// Which calls are traced: all, or only those that write, which costs far less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    All,
    Writes,
}

/// Why strace cannot be used here.
pub(super) fn missing() -> Option<String> {
    match Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).output() {
        Ok(output) if output.status.success() => None,
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            Some(format!("strace does not work here: {}", said.lines().last().unwrap_or("it says nothing")))
        }
        Err(error) => Some(format!("strace: {error}")),
    }
}

fn log(setting: &Setting) -> PathBuf {
    setting.folder.path().join("trace")
}

/// The words before a program. With -D it is the program that is our child, and not strace.
pub(super) fn words(setting: &Setting, scope: Scope) -> Vec<String> {
    let mut words: Vec<String> =
        ["strace", "-D", "-f", "-q", "-y", "-s", "0", "-e", "signal=none"].map(String::from).into();
    if scope == Scope::Writes {
        let calls = "trace=write,writev,pwrite64,pwritev,pwritev2,fsync,fdatasync,rename,renameat,renameat2";
        words.extend(["--seccomp-bpf", "-e", calls].map(String::from));
    }
    words.extend(["-o".into(), log(setting).display().to_string()]);
    words
}

/// What was traced of a daemon that has ended.
pub(super) fn read(setting: &Setting, pid: u32) -> Result<Trace, String> {
    let path = log(setting);
    let mut text = String::new();
    // strace writes on after its program has ended.
    setting::until("strace has written everything", || {
        text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let last = format!("{pid} ");
        Ok(text
            .lines()
            .rev()
            .take(50)
            .any(|line| line.starts_with(&last) && line.contains("+++ exited with ")))
    })?;
    Ok(sum(&text, &setting.site.state))
}

fn sum(text: &str, state: &Path) -> Trace {
    let in_state = format!("<{}/", state.display());
    let mut trace = Trace::default();
    for line in text.lines() {
        let Some((_, call)) = line.split_once(' ') else { continue };
        let call = call.trim_start();
        // The second part of a call, and what is none: "<... read resumed>", "+++ exited with 0 +++".
        if call.starts_with(['<', '+', '-']) {
            continue;
        }
        let Some((name, arguments)) = call.split_once('(') else { continue };
        match name {
            "futex" | "epoll_wait" => continue,
            "read" | "write" if arguments.contains("<anon_inode:[eventfd]>") => continue,
            _ => trace.calls += 1.0,
        }
        match name {
            "fsync" | "fdatasync" => trace.syncs += 1.0,
            "rename" | "renameat" | "renameat2" => trace.renames += 1.0,
            "write" | "pwrite64" if arguments.contains(&in_state) => {
                trace.state_bytes += length(arguments).unwrap_or_default();
            }
            _ => {}
        }
    }
    trace
}

/// The length that a write asks for: `7</state/state.db-wal>, ""..., 4096, 4152) = 4096`.
fn length(arguments: &str) -> Option<f64> {
    let (_, behind) = arguments.split_once("\"...,").or_else(|| arguments.split_once("\","))?;
    behind.trim_start().split([',', ')', ' ']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_summed_over_its_threads() {
        let text = "\
7 pwrite64(9</s/state/state.db-wal>, \"\"..., 4096, 4152) = 4096
8 write(9</s/log/daemon>, \"\"..., 80) = 80
7 fdatasync(9</s/state/state.db-wal> <unfinished ...>
8 write(11</s/state/lock>, \"\", 0) = 0
7 <... fdatasync resumed>) = 0
8 renameat2(AT_FDCWD</>, \"\"..., AT_FDCWD</>, \"\"..., 0) = 0
8 pwrite64(9</s/state/state.db-wal>, \"\"..., 24, 0 <unfinished ...>
8 futex(0x7f, FUTEX_WAKE_PRIVATE, 1) = 1
8 write(5<anon_inode:[eventfd]>, \"\"..., 8) = 8
8 +++ exited with 0 +++
";
        let trace = sum(text, Path::new("/s/state"));
        assert_eq!(trace, Trace { calls: 6.0, syncs: 1.0, renames: 1.0, state_bytes: 4120.0 });
    }
}
