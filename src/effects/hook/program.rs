//! Hooks that are programs: each in a process group of its own, ended with all that it left behind when its time is up.

use std::collections::VecDeque;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::panic::resume_unwind;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::environment::{Entry, environment};
use super::executable::{find_program, startable};
use super::reap::{self, Permits};
use super::{NOT_FOR_ME, over};
use crate::effects::errno;
use crate::effects::files::random_name;
use certcollectd_core::api::Untrusted;
use certcollectd_core::engine::hooks::run::{HookResult, HookRun};

/// Maximum number of output bytes logged; the rest is read and discarded.
const MAX_OUTPUT: usize = 64 * 1024;

/// Between the polite signal and the other one.
const GRACE: Duration = Duration::from_secs(5);

/// After the end of the program: time for what is in the pipe already to arrive.
const DRAIN: Duration = Duration::from_millis(100);

/// Number of last lines reported after a failure: the cause often precedes a hint where to look.
const LAST_LINES: usize = 3;

/// A variable that has another value in each run. What the run leaves behind is known by it: an order alone would not
/// do, since an earlier run may have started a service that is to stay.
pub(super) const MARK: &str = "CERTCOLLECTD_RUN";

/// What is run, and how long it may take.
pub(in crate::effects) struct Job {
    /// One of a name runs at a time.
    pub(in crate::effects) name: Arc<str>,
    /// The program and its arguments.
    pub(in crate::effects) arguments: Vec<String>,
    /// All that it gets, without [`MARK`].
    pub(in crate::effects) environment: Vec<Entry>,
    pub(in crate::effects) limit: Duration,
}

/// How a program ended.
pub(in crate::effects) enum Ending {
    Exited(ExitStatus),
    /// Its time was up, and its whole process tree was ended.
    OverTime,
    Unknown(io::Error),
}

impl Ending {
    /// Why it did not work, in words; nothing where it did.
    pub(in crate::effects) fn failure(&self, limit: Duration) -> Option<String> {
        Some(match self {
            Ending::Exited(status) => match (status.code(), status.signal()) {
                (Some(0), _) => return None,
                (Some(code), _) => format!("exit code {code}"),
                (None, Some(signal)) => format!("ended by signal {signal}"),
                (None, None) => "ended in an unknown way".into(),
            },
            Ending::OverTime => over(limit),
            Ending::Unknown(error) => format!("its exit status cannot be read: {error}"),
        })
    }
}

/// What takes a program's output as it comes.
pub(in crate::effects) trait Sink: 'static {
    fn take(&mut self, bytes: &[u8]);
}

pub(super) async fn run(run: &HookRun, arguments: &[String], permits: Permits) -> HookResult {
    let limit = run.hook.timeout;
    let job = Job {
        name: run.hook.name.clone(),
        arguments: arguments.to_vec(),
        environment: environment(run),
        limit,
    };
    let output = Output::shared(format!("hook {}", run.hook.name), Some(&run.hook.name));
    let ending = match carry_out(job, (output.clone(), output.clone()), &permits).await {
        Ok(ending) => ending,
        Err(why) => return HookResult::failed(why),
    };
    let last_words = output.lock().expect("no holder panics").finish();
    match ending.failure(limit) {
        None => HookResult::Done,
        Some(_) if matches!(&ending, Ending::Exited(status) if status.code() == Some(NOT_FOR_ME)) => {
            HookResult::NotForMe
        }
        Some(why) => HookResult::Failed { why, last_words, remedy: None },
    }
}

/// Runs a program to its end; `out` takes what it prints, `errors` what it prints as errors. `Err` where it could not be
/// started.
pub(in crate::effects) async fn carry_out(
    mut job: Job,
    (out, errors): (Arc<Mutex<impl Sink>>, Arc<Mutex<impl Sink>>),
    permits: &Permits,
) -> Result<Ending, String> {
    let mark = random_name();
    job.environment.push((MARK.into(), (&mark).into()));
    let limit = job.limit;
    let (mut child, pid) = start(job, permits).await?;
    let readers = [
        child.stdout.take().map(|pipe| tokio::task::spawn_local(drain(pipe, out))),
        child.stderr.take().map(|pipe| tokio::task::spawn_local(drain(pipe, errors))),
    ];
    // Without a status, its time was up.
    let status = match timeout(limit, child.wait()).await {
        Ok(status) => status.map(Some),
        Err(_) => end(&mut child, pid).await.map(|_| None),
    };
    reap::ended(pid);
    if matches!(status, Ok(None)) {
        reap::end_strays(MARK, &mark).await;
    }
    for reader in readers.into_iter().flatten() {
        let abort = reader.abort_handle();
        if timeout(DRAIN, reader).await.is_err() {
            abort.abort();
        }
    }
    Ok(match status {
        Ok(Some(status)) => Ending::Exited(status),
        Ok(None) => Ending::OverTime,
        Err(error) => Ending::Unknown(error),
    })
}

/// Starts a program in a process group of its own; its number comes along. On a thread apart: on a mount that hangs the
/// kernel does not come back before it has read the program.
async fn start(job: Job, permits: &Permits) -> Result<(Child, i32), String> {
    let limit = job.limit;
    let begun = permits.begin(&job.name, limit).await?;
    let known = reap::starting();
    let mut starting = spawn_blocking(move || {
        let child = spawn(&job.arguments, job.environment)?;
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).unwrap_or_default();
        known.done(pid);
        Ok((child, pid))
    });
    let started = timeout(limit, &mut starting).await;
    match started {
        Ok(started) => {
            // What ended meanwhile was left to this.
            reap::reap();
            started.unwrap_or_else(|error| resume_unwind(error.into_panic()))
        }
        Err(_) => {
            tokio::task::spawn_local(async move {
                if let Ok(Ok((mut child, pid))) = starting.await {
                    let _ = end(&mut child, pid).await;
                    reap::ended(pid);
                }
                reap::reap();
                drop(begun);
            });
            let limit = humantime::format_duration(limit);
            Err(format!("it could not be started within its time limit of {limit}; does its mount hang?"))
        }
    }
}

fn spawn(arguments: &[String], environment: Vec<Entry>) -> Result<Child, String> {
    let (name, rest) = arguments.split_first().ok_or("no program is configured")?;
    let path = find_program(name)?;
    let spawned = Command::new(&path)
        .arg0(name)
        .args(rest)
        .env_clear()
        .envs(environment)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn();
    spawned.map_err(|error| {
        // What the kernel says of a script in one word, the script itself tells.
        let errno = error.raw_os_error().map(Errno::from_raw_os_error);
        let why = startable(&path).err().unwrap_or_else(|| match errno {
            Some(Errno::NOENT) => "the interpreter in its first line does not exist".into(),
            Some(Errno::NOEXEC) => {
                "it is not a program for this machine, nor a script with a first line such as \
                                    #!/bin/sh"
                    .into()
            }
            Some(Errno::ACCESS) => {
                "permission denied; may the daemon's user run it and its interpreter, and is \
                                    its mount not noexec?"
                    .into()
            }
            Some(Errno::TXTBSY) => "it is being written to".into(),
            Some(Errno::TOOBIG) => {
                "this system allows less for arguments and environment; is LimitSTACK= very small?".into()
            }
            _ => errno::cause(&error),
        });
        format!("{} cannot be started: {why}", path.display())
    })
}

/// Ends the whole process group: asks, waits, then does not ask.
async fn end(child: &mut Child, pid: i32) -> io::Result<ExitStatus> {
    let Some(group) = Pid::from_raw(pid) else { return child.wait().await };
    let _ = kill_process_group(group, Signal::TERM);
    let polite = timeout(GRACE, async {
        let status = child.wait().await;
        // The leader may end before the others of its group do.
        while test_kill_process_group(group).is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        status
    });
    if let Ok(status) = polite.await {
        return status;
    }
    let _ = kill_process_group(group, Signal::KILL);
    // What hangs in the kernel, on a dead mount for instance, ends when it can.
    let killed = timeout(GRACE, child.wait()).await;
    killed
        .unwrap_or_else(|_| Err(io::Error::other("it was killed and does not exit; it hangs in the kernel")))
}

/// What a program prints, on its way to the log.
pub(in crate::effects) struct Output {
    /// Who prints, in words.
    who: String,
    hook: Option<Arc<str>>,
    left: usize,
    line: Vec<u8>,
    last: VecDeque<Untrusted>,
}

impl Output {
    pub(in crate::effects) fn shared(who: String, hook: Option<&Arc<str>>) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Output::new(who, hook)))
    }

    fn new(who: String, hook: Option<&Arc<str>>) -> Self {
        Output { who, hook: hook.cloned(), left: MAX_OUTPUT, line: Vec::new(), last: VecDeque::new() }
    }

    /// The last lines are remembered however much came before them: that is where the error stands.
    fn end_line(&mut self) {
        let mut line = std::mem::take(&mut self.line);
        if !line.trim_ascii().is_empty() {
            let words = Untrusted::from_bytes(&line);
            if self.left > 0 {
                tracing::info!(hook = self.hook.as_deref(), output = %words, "{} says: {words}", self.who);
            }
            self.last.push_back(words);
            if self.last.len() > LAST_LINES {
                self.last.pop_front();
            }
        }
        line.clear();
        self.line = line;
    }

    pub(in crate::effects) fn finish(&mut self) -> Vec<Untrusted> {
        self.end_line();
        self.last.drain(..).collect()
    }
}

impl Sink for Output {
    fn take(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if self.left == 1 {
                tracing::info!(
                    hook = self.hook.as_deref(),
                    "{} printed more than {MAX_OUTPUT} bytes; the rest is not logged",
                    self.who
                );
            }
            self.left = self.left.saturating_sub(1);
            match byte {
                b'\n' => self.end_line(),
                // A line beyond what is shown of it anyway is cut here.
                _ if self.line.len() < 4 * Untrusted::LIMIT => self.line.push(*byte),
                _ => {}
            }
        }
    }
}

async fn drain(mut pipe: impl AsyncRead + Unpin, sink: Arc<Mutex<impl Sink>>) {
    let mut buffer = [0; 8192];
    while let Ok(count @ 1..) = pipe.read(&mut buffer).await {
        sink.lock().expect("no holder panics").take(&buffer[..count]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_are_the_last_ones_however_much_was_said() {
        let mut output = Output::new("hook reload".into(), None);
        for _ in 0..3 {
            output.take(&[b"chatter\n".repeat(MAX_OUTPUT / 8), b"and more".to_vec()].concat());
        }
        output.take(b"\ncannot bind: address in use\n\n");
        let words = output.finish();
        let words: Vec<&str> = words.iter().map(Untrusted::as_str).collect();
        assert_eq!(words, ["chatter", "and more", "cannot bind: address in use"]);
        assert!(Output::new("hook quiet".into(), None).finish().is_empty());
    }
}
