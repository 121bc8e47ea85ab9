//! Programs that are started, and the last line that they print.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead, BufReader, PipeReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process_group, wait};

use crate::link::cause;

/// Bytes of a line that are kept.
const MAX_LINE: u64 = 4096;

/// For what is in the pipe when the program ends; something that it started may keep the pipe open.
const DRAIN: Duration = Duration::from_millis(200);

/// A program that tests or reloads.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) pid: Pid,
    last_line: Arc<Mutex<Option<String>>>,
    /// Broken off when all was read.
    reading: Receiver<()>,
}

/// Starts the server. It has a process group of its own, so that a terminal's interrupt does not reach it twice.
pub(crate) fn server(words: &[OsString]) -> Result<Pid, String> {
    spawn(command(words))
}

/// Starts a program; what it prints goes to standard error line by line.
pub(crate) fn program(words: &[String]) -> Result<Program, String> {
    let failed = |error: io::Error| format!("{} cannot be started: {}", words[0], cause(&error));
    let (reader, writer) = io::pipe().map_err(failed)?;
    let last_line = Arc::new(Mutex::new(None));
    let (read, reading) = channel();
    let last = last_line.clone();
    // First, since a program that is started must be read; it ends with the last writer.
    std::thread::Builder::new().spawn(move || pass_on(reader, &last, read)).map_err(failed)?;
    let mut command = command(words);
    command.stdin(Stdio::null()).stdout(writer.try_clone().map_err(failed)?).stderr(writer);
    let pid = spawn(command)?;
    Ok(Program { pid, last_line, reading })
}

/// What a program prints, to standard error, and its last line; `_read` is dropped at the end.
fn pass_on(reader: PipeReader, last: &Mutex<Option<String>>, _read: Sender<()>) {
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    while let Ok(1..) = reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line) {
        let _ = io::stderr().write_all(&line);
        let text = String::from_utf8_lossy(&line).trim().to_owned();
        if !text.is_empty() {
            *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
        }
        line.clear();
    }
}

impl Program {
    /// The last line that it printed before it ended.
    pub(crate) fn last_line(&self) -> Option<String> {
        let _ = self.reading.recv_timeout(DRAIN);
        self.last_line.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends it with all of its process group.
    pub(crate) fn kill(&self) {
        let _ = kill_process_group(self.pid, Signal::KILL);
    }
}

fn command(words: &[impl AsRef<OsStr>]) -> Command {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).process_group(0);
    command
}

/// Its exit is collected by [`ended`], together with those of orphans.
fn spawn(mut command: Command) -> Result<Pid, String> {
    let child = command.spawn().map_err(|error| {
        format!("{} cannot be started: {}", command.get_program().to_string_lossy(), cause(&error))
    })?;
    Ok(Pid::from_child(&child))
}

/// The next child that has ended, whoever started it: process 1 inherits orphans.
pub(crate) fn ended() -> Option<(Pid, Ending)> {
    wait(WaitOptions::NOHANG).ok().flatten().map(|(pid, status)| (pid, Ending::of(status)))
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Exit(u8),
    Signal(i32),
}

impl Ending {
    fn of(status: WaitStatus) -> Ending {
        match status.terminating_signal() {
            Some(signal) => Ending::Signal(signal),
            None => {
                Ending::Exit(status.exit_status().and_then(|code| u8::try_from(code).ok()).unwrap_or(255))
            }
        }
    }

    /// As a shell says it: 128 and the signal where one ended it.
    pub(crate) fn code(self) -> u8 {
        match self {
            Ending::Exit(code) => code,
            Ending::Signal(signal) => u8::try_from(128 + signal).unwrap_or(255),
        }
    }
}

impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Ending::Exit(code) => write!(f, "exit code {code}"),
            Ending::Signal(signal) => write!(f, "killed by signal {signal}"),
        }
    }
}
