//! `bridge`: behind a socket of the service manager. It accepts one connection, does its one fixed thing, and says how
//! that went.

use std::io::{self, PipeReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use listenfd::ListenFd;

use super::exit::Exit;
use super::print::fail;

/// The longest last line that is sent, in bytes; what is longer is cut off.
const MOST: usize = 2000;
/// How long the output is read on once the command has ended.
const DRAIN: Duration = Duration::from_secs(1);

/// `bridge UNIT` reloads that unit; `bridge -- COMMAND` runs another fixed command. The client cannot choose what is run.
pub fn bridge(unit: Option<&str>, command: &[String]) -> Result<(), Exit> {
    let (program, arguments) = match (unit, command) {
        (Some(unit), _) => ("systemctl", vec!["reload", unit]),
        (None, [program, arguments @ ..]) => {
            (program.as_str(), arguments.iter().map(String::as_str).collect())
        }
        (None, []) => return Err(fail(Exit::Usage, "bridge needs a unit, or -- and a command")),
    };
    let listener = listener().map_err(|why| fail(Exit::Usage, &why))?;
    let (connection, _) =
        listener.accept().map_err(|error| fail(Exit::Failed, &format!("no connection: {error}")))?;
    let (status, last) = match run(program, &arguments) {
        Ok((status, last)) => (code(status), last),
        Err(error) => (127, format!("{program} cannot be started: {error}")),
    };
    answer(connection, status, &last).map_err(|error| {
        fail(Exit::Failed, &format!("the connection broke off before the result was sent: {error}"))
    })
}

/// The socket as systemd passes it, or as the standard input of a unit with `StandardInput=socket`.
fn listener() -> Result<UnixListener, String> {
    let passed = ListenFd::from_env().take_unix_listener(0);
    if let Some(listener) =
        passed.map_err(|error| format!("the socket that was passed is of no use: {error}"))?
    {
        return Ok(listener);
    }
    let stdin = io::stdin().as_fd().try_clone_to_owned().map_err(|error| error.to_string())?;
    let listener = UnixListener::from(stdin);
    match listener.local_addr() {
        Ok(_) => Ok(listener),
        Err(_) => Err("no socket was passed; the service manager starts this behind a socket unit, such as \
                       certcollectd-reload@nginx.socket"
            .into()),
    }
}

/// How it ended, and the last line of what it said. All of it goes to the log as well. What it started and left running
/// may hold the pipe open, and is waited for a moment only.
fn run(program: &str, arguments: &[&str]) -> io::Result<(ExitStatus, String)> {
    let (reader, writer) = io::pipe()?;
    let last = Arc::new(Mutex::new(LastLine::default()));
    let (ended, end) = mpsc::channel();
    let shared = last.clone();
    // First, since what a command prints must be read.
    std::thread::Builder::new().spawn(move || {
        pass_on(reader, &shared);
        let _ = ended.send(());
    })?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn()?;
    // The command holds the writing ends, until it is dropped.
    drop(command);
    let status = child.wait()?;
    let _ = end.recv_timeout(DRAIN);
    let last = last.lock().unwrap_or_else(PoisonError::into_inner).text();
    Ok((status, last))
}

fn pass_on(mut reader: PipeReader, last: &Mutex<LastLine>) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = reader.read(&mut buffer) {
        let _ = io::stderr().write_all(&buffer[..count]);
        last.lock().unwrap_or_else(PoisonError::into_inner).add(&buffer[..count]);
    }
}

/// The last line that is not blank, and the beginning of the one after it; each cut off after [`MOST`] bytes.
#[derive(Default)]
struct LastLine {
    last: Vec<u8>,
    begun: Vec<u8>,
}

impl LastLine {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if *byte == b'\n' {
                self.end();
            } else if self.begun.len() < MOST {
                self.begun.push(*byte);
            }
        }
    }

    fn end(&mut self) {
        let line = std::mem::take(&mut self.begun);
        if !line.trim_ascii().is_empty() {
            self.last = line;
        }
    }

    fn text(&mut self) -> String {
        self.end();
        String::from_utf8_lossy(self.last.trim_ascii()).into_owned()
    }
}

/// As a shell says it: 128 and the signal where one ended it.
fn code(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(255)
}

/// The last line, then the exit status in a line of its own.
fn answer(mut connection: UnixStream, status: i32, last: &str) -> io::Result<()> {
    let last = if last.is_empty() { String::new() } else { format!("{last}\n") };
    connection.write_all(format!("{last}{status}\n").as_bytes())
}
