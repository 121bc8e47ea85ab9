//! One daemon that is measured, from its start to its end.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::clock::{self, Moment};
use crate::mock::Mock;
use crate::process;
use crate::site::Site;

/// More than anything here takes, under valgrind and on a busy machine too.
pub const PATIENCE: Duration = Duration::from_secs(900);

/// Its environment is what a daemon that is measured gets, and PATH.
const UNIT: &str = include_str!("../../systemd/certcollectd.service");

/// A line of the log, and when it came.
pub type Line = (Moment, String);

/// It runs; dropped, it is killed.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    log: PathBuf,
    pub started: Moment,
}

impl Daemon {
    /// Starts it below `wrapper` (none, or a tool and its arguments) with its log in a file.
    pub fn start(program: &Path, site: &Site, wrapper: &[OsString]) -> io::Result<Daemon> {
        let log = site.log.join("log");
        let file = File::options().create(true).append(true).open(&log)?;
        Daemon::spawn(program, site, wrapper, Stdio::from(file), log)
    }

    /// The same; its log comes line by line.
    pub fn start_heard(program: &Path, site: &Site) -> io::Result<(Daemon, Receiver<Line>)> {
        let mut daemon = Daemon::spawn(program, site, &[], Stdio::piped(), site.log.join("log"))?;
        let (sender, lines) = channel();
        let pipe: ChildStderr = daemon.child.stderr.take().expect("it is a pipe");
        thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                if sender.send((clock::now(), line)).is_err() {
                    break;
                }
            }
        });
        Ok((daemon, lines))
    }

    fn spawn(
        program: &Path,
        site: &Site,
        wrapper: &[OsString],
        log: Stdio,
        path: PathBuf,
    ) -> io::Result<Daemon> {
        let mut words = wrapper.iter().cloned().chain([program.into(), "run".into(), "--config".into()]);
        let first = words.next().expect("at least the program");
        let mut command = Command::new(&first);
        command.args(words).arg(&site.config);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).envs(environment(UNIT));
        let started = clock::now();
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|error| io::Error::other(format!("{}: {error}", first.display())))?;
        Ok(Daemon { child, log: path, started })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn cpu(&self) -> io::Result<Duration> {
        process::cpu(self.pid())
    }

    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let pid = Pid::from_raw(self.pid().cast_signed()).expect("a child has a number");
        Ok(kill_process(pid, signal)?)
    }

    /// How often its log says something.
    pub fn said(&self, words: &str) -> usize {
        std::fs::read_to_string(&self.log).unwrap_or_default().matches(words).count()
    }

    /// Waits for something while the daemon lives.
    pub fn until(
        &mut self,
        what: &str,
        mut is_so: impl FnMut(&Daemon) -> io::Result<bool>,
    ) -> io::Result<()> {
        wait(what, || match self.child.try_wait()? {
            Some(status) => Err(self.ended(status, what)),
            None => is_so(self),
        })
    }

    /// Until the vendor has seen so many polls.
    pub fn until_polled(&mut self, mock: &Mock, polls: u64) -> io::Result<()> {
        self.until(&format!("{polls} polls"), |_| Ok(mock.totals().polls >= polls))
    }

    /// Until it was up so many times, by its log.
    pub fn until_up(&mut self, times: usize) -> io::Result<()> {
        self.until("it is up", |daemon| Ok(daemon.said(" is up with ") >= times))
    }

    /// Until it has had nothing to do for two seconds.
    pub fn until_idle(&mut self) -> io::Result<()> {
        self.until_calm(Duration::from_secs(2))
    }

    /// Until it has used no CPU for so long.
    pub fn until_calm(&mut self, calm: Duration) -> io::Result<()> {
        let (mut seen, mut since) = (self.cpu()?, clock::now());
        self.until("it is idle", |daemon| {
            let now = daemon.cpu()?;
            if now != seen {
                (seen, since) = (now, clock::now());
            }
            Ok(clock::now().since(since) > calm)
        })
    }

    /// Ends it in order; what a tool around it still writes is complete then.
    pub fn stop(mut self) -> io::Result<()> {
        self.signal(Signal::TERM)?;
        let mut status = None;
        wait("its end", || {
            status = self.child.try_wait()?;
            Ok(status.is_some())
        })?;
        match status.filter(|status| !status.success()) {
            Some(status) => Err(self.ended(status, "it was told to")),
            None => Ok(()),
        }
    }

    /// With the end of its log, for whoever looks for a cause.
    fn ended(&self, status: ExitStatus, before: &str) -> io::Error {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines[lines.len().saturating_sub(8)..].join("\n");
        io::Error::other(format!("the daemon ended with {status}, before: {before}\n{last}"))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It has ended already, or a measurement was broken off.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a unit says in `Environment=`, which has no quotes there.
fn environment(unit: &str) -> impl Iterator<Item = (&str, &str)> {
    let lines = unit.lines().filter_map(|line| line.strip_prefix("Environment="));
    lines.flat_map(str::split_whitespace).filter_map(|word| word.split_once('='))
}

/// Waits until something is so.
pub fn wait(what: &str, mut is_so: impl FnMut() -> io::Result<bool>) -> io::Result<()> {
    let begin = clock::now();
    while !is_so()? {
        if clock::now().since(begin) > PATIENCE {
            return Err(io::Error::other(format!("after {} s still not: {what}", PATIENCE.as_secs())));
        }
        thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_says_how_memory_is_given_back() {
        let found: Vec<_> = environment(UNIT).collect();
        assert_eq!(found, [("MALLOC_ARENA_MAX", "1"), ("MALLOC_TRIM_THRESHOLD_", "131072")]);
    }
}
