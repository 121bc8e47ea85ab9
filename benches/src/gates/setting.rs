//! A mock vendor and a daemon that asks it.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::clock;
use crate::mock::{Manner, Mock};
use crate::site::{Plan, Site};

/// What is not so after this time has failed. Under valgrind on a busy machine, a tenth of it is used.
const PATIENCE: Duration = Duration::from_secs(240);

/// Waits until something is so.
pub(super) fn until(what: &str, mut is_so: impl FnMut() -> Result<bool, String>) -> Result<(), String> {
    let begun = clock::now();
    while !is_so()? {
        if clock::now().since(begun) > PATIENCE {
            return Err(format!("after {} s still not: {what}", PATIENCE.as_secs()));
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// A vendor, and a place for a daemon; both end with it.
#[derive(Debug)]
pub(super) struct Setting {
    pub(super) mock: Mock,
    pub(super) site: Site,
    pub(super) folder: TempDir,
}

impl Setting {
    pub(super) fn new(plan: &Plan, manner: Manner) -> Result<Setting, String> {
        let problem = |error: std::io::Error| format!("no setting: {error}");
        let folder = tempfile::tempdir().map_err(problem)?;
        let mock = Mock::start(&folder.path().join("mock"), manner, [0, 0]).map_err(problem)?;
        let site = Site::write(folder.path(), &mock.files, plan).map_err(problem)?;
        Ok(Setting { mock, site, folder })
    }

    /// Starts the daemon, as it is or behind a program that looks at it.
    pub(super) fn start(&self, binary: &Path, behind: &[OsString]) -> Result<Daemon<'_>, String> {
        let binary = fs::canonicalize(binary).map_err(|error| format!("{}: {error}", binary.display()))?;
        let mut words: Vec<OsString> = behind.to_vec();
        words.push(binary.into());
        let log =
            File::options().create(true).append(true).open(self.log()).map_err(|error| error.to_string())?;
        let child = Command::new(&words[0])
            .args(&words[1..])
            .arg("run")
            .arg("--config")
            .arg(&self.site.config)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|error| format!("{}: {error}", words[0].display()))?;
        Ok(Daemon { child: Some(child), setting: self })
    }

    fn log(&self) -> std::path::PathBuf {
        self.site.log.join("daemon")
    }

    /// How often the daemon's log says something.
    pub(super) fn said(&self, what: &str) -> usize {
        fs::read_to_string(self.log()).unwrap_or_default().matches(what).count()
    }

    /// The end of the daemon's log, for whoever looks for a cause.
    fn last_words(&self) -> String {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(8)..].join("\n")
    }
}

/// A daemon that runs; dropped, it is killed.
#[derive(Debug)]
pub(super) struct Daemon<'setting> {
    child: Option<Child>,
    setting: &'setting Setting,
}

impl Daemon<'_> {
    pub(super) fn pid(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// Waits while the daemon lives.
    pub(super) fn until(&mut self, what: &str, mut is_so: impl FnMut() -> bool) -> Result<(), String> {
        let ended = until(what, || match self.ended()? {
            Some(status) => Err(format!("the daemon ended with {status} before: {what}")),
            None => Ok(is_so()),
        });
        ended.map_err(|problem| format!("{problem}\n{}", self.setting.last_words()))
    }

    pub(super) fn until_polled(&mut self, polls: u64) -> Result<(), String> {
        let mock = self.setting.mock.clone();
        self.until(&format!("{polls} polls"), || mock.totals().polls >= polls)
    }

    /// Until it was started so many times in this setting.
    pub(super) fn until_up(&mut self, times: usize) -> Result<(), String> {
        let setting = self.setting;
        self.until("it is up", || setting.said(" is up with ") >= times)
    }

    fn ended(&mut self) -> Result<Option<ExitStatus>, String> {
        self.child.as_mut().map_or(Ok(None), |child| child.try_wait().map_err(|error| error.to_string()))
    }

    /// Ends it in order.
    pub(super) fn stop(mut self) -> Result<(), String> {
        let pid = Pid::from_raw(self.pid() as i32).ok_or("it does not run")?;
        kill_process(pid, Signal::TERM).map_err(|error| format!("it cannot be ended: {error}"))?;
        let mut status = None;
        until("the daemon has ended", || {
            status = self.ended()?;
            Ok(status.is_some())
        })?;
        self.child = None;
        match status.filter(|status| !status.success()) {
            Some(status) => Err(format!("the daemon ended with {status}\n{}", self.setting.last_words())),
            None => Ok(()),
        }
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
