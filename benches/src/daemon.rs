//! One daemon that is measured, from its start to its end.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::clock::{self, Moment};
use crate::process;
use crate::site::Site;

/// A line of the log, and when it came.
pub type Line = (Moment, String);

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
        let mut command = Command::new(words.next().expect("at least the program"));
        command.args(words).arg(&site.config).env_remove("RUST_LOG");
        let started = clock::now();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn()?;
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

    /// How many lines of the log hold `words`.
    pub fn said(&self, words: &str) -> io::Result<usize> {
        Ok(std::fs::read_to_string(&self.log)?.matches(words).count())
    }

    /// Ends it in order; what a tool around it still writes is complete then.
    pub fn stop(mut self) -> io::Result<()> {
        self.signal(Signal::TERM)?;
        wait(Duration::from_secs(120), "its end", || Ok(self.child.try_wait()?.is_some()))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It has ended already, or a measurement was broken off.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for a condition, at most so long.
pub fn wait(most: Duration, what: &str, mut holds: impl FnMut() -> io::Result<bool>) -> io::Result<()> {
    let begin = clock::now();
    while !holds()? {
        if clock::now().since(begin) > most {
            return Err(io::Error::other(format!("waited {most:?} in vain for {what}")));
        }
        thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}
