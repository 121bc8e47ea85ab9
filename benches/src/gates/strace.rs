//! A daemon under strace.

use std::io;
use std::path::PathBuf;
use std::process::Command;

use super::setting::Setting;
use crate::daemon::Daemon;
use crate::trace::{self, Calls};

/// Why strace cannot be used here.
pub(super) fn missing() -> Option<String> {
    match Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).output() {
        Ok(output) if output.status.success() => None,
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let last = said.lines().last().unwrap_or("it says nothing");
            Some(format!("strace does not work here: {last}"))
        }
        Err(error) => Some(format!("strace: {error}")),
    }
}

fn file(setting: &Setting) -> PathBuf {
    setting.folder.path().join("trace")
}

/// The words before the program.
pub(super) fn words(setting: &Setting) -> Vec<std::ffi::OsString> {
    trace::strace(&file(setting))
}

/// Ends a daemon, and says what it did.
pub(super) fn stop(setting: &Setting, daemon: Daemon) -> io::Result<Calls> {
    let pid = daemon.pid();
    daemon.stop()?;
    let calls = trace::counted(&file(setting), pid, &setting.site)?;
    Ok(Calls { polls: setting.mock.totals().polls, ..calls })
}
