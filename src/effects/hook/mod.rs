//! Hooks: a program, a signal, an HTTP call or a socket; always with a timeout, never through a shell.
//!
//! A program runs in a process group of its own with an environment built from nothing. Its output is read as
//! it comes, logged line by line up to a limit, and not waited for once the program has ended: a service that
//! a hook starts may keep the pipe open forever.

pub mod reap;
pub(super) mod script;
pub mod web;

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{ErrorKind, Read};
use std::os::unix::process::ExitStatusExt;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use self::reap::Leaders;
use super::access::{self, Reason, Wish};
use super::files::{open_file, random_name};
use crate::api::Foreign;
use crate::config::{Action, HookSignal};
use crate::engine::event::{HookResult, HookRun, Subject};
use crate::engine::time::rfc3339;

/// Exit code that means "this event is not for me" (the hook protocol of acmetool).
const NOT_FOR_ME: i32 = 42;
/// Maximum number of output bytes logged; the rest is read and discarded.
pub const MAX_OUTPUT: usize = 64 * 1024;
/// Between the polite signal and the other one.
pub const GRACE: Duration = Duration::from_secs(5);
/// After the end of the program: time for what is in the pipe already to arrive.
const DRAIN: Duration = Duration::from_millis(100);
/// An exit status on a socket is a few digits, so is a process number in a file; a chatty bridge may say more.
const MAX_STATUS: usize = 4096;
/// Number of last lines reported after a failure: the cause often precedes a hint where to look.
const LAST_LINES: usize = 3;
/// A variable that is passed on is not longer, or its default is told instead.
const MAX_INHERITED: usize = 8 * 1024;

/// A variable that has another value in each run. What the run leaves behind is known by it: an order alone would not
/// do, since an earlier run may have started a service that is to stay.
const MARK: &str = "CERTCOLLECTD_RUN";

/// Why a hook is not begun once more.
const HANGS: &str =
    "an earlier try of it hangs still; does the mount hang that its program, or its pid_file, lies on?";

/// Carries out one run.
pub async fn run(run: &HookRun, leaders: Leaders) -> HookResult {
    let limit = run.hook.timeout;
    match &run.hook.action {
        Action::Run(arguments) => program(run, arguments, leaders).await,
        Action::Signal { pid_file, signal } => {
            let begun = match turn(run, &leaders).await {
                Ok(begun) => begun,
                Err(why) => return failure(why),
            };
            let (pid_file, signal) = (pid_file.clone(), *signal);
            let sending = spawn_blocking(move || {
                let sent = send_signal(&pid_file, signal);
                drop(begun);
                sent
            });
            match timeout(limit, sending).await {
                Ok(sent) => sent.unwrap_or_else(|error| resume_unwind(error.into_panic())),
                Err(_) => timed_out(limit),
            }
        }
        Action::Http { url, method } => match timeout(limit, web::call(url, method)).await {
            Ok(result) => result,
            Err(_) => timed_out(limit),
        },
        Action::Socket(path) => match timeout(limit, socket(path)).await {
            Ok(result) => result,
            Err(_) => timed_out(limit),
        },
    }
}

pub(super) fn failure(why: impl Into<String>) -> HookResult {
    HookResult::failed(why)
}

/// A failure with the one thing to do.
fn advised(why: impl Into<String>, remedy: impl Into<String>) -> HookResult {
    HookResult::Failed { why: why.into(), last_words: Vec::new(), remedy: Some(remedy.into()) }
}

fn timed_out(limit: Duration) -> HookResult {
    failure(over(limit))
}

fn over(limit: Duration) -> String {
    format!("ended at its time limit of {}", humantime::format_duration(limit))
}

/// The environment of a hook: nothing but this, and the mark of the run. Several orders: names and domains are
/// separated by spaces, everything else stands on a line for each order, in the order of the names; what certbot tells its
/// hooks is about one certificate, and is not told.
pub fn environment(run: &HookRun) -> Vec<(&'static str, OsString)> {
    let lines = |of: &dyn Fn(&Subject) -> OsString| {
        let mut all = OsString::new();
        for (at, subject) in run.subjects.iter().enumerate() {
            if at > 0 {
                all.push("\n");
            }
            all.push(of(subject));
        }
        all
    };
    let names: Vec<&str> = run.subjects.iter().map(|subject| &*subject.order).collect();
    let mut domains: Vec<&str> = Vec::new();
    for domain in run.subjects.iter().flat_map(|subject| &subject.domains) {
        if !domains.contains(&domain.as_str()) {
            domains.push(domain);
        }
    }
    let domains = OsString::from(domains.join(" "));
    let dir = lines(&|subject| subject.dir.clone().into());
    let inherited = |name, default: &str| {
        std::env::var_os(name).filter(|value| value.len() <= MAX_INHERITED).unwrap_or_else(|| default.into())
    };
    let mut environment = vec![
        ("PATH", inherited("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")),
        ("LANG", inherited("LANG", "C.UTF-8")),
        ("CERTCOLLECTD_EVENT", run.event.word().into()),
        ("CERTCOLLECTD_ORDER", names.join(" ").into()),
        ("CERTCOLLECTD_ORDER_NUMBER", lines(&|subject| subject.number.clone().into())),
        ("CERTCOLLECTD_PRODUCT", lines(&|subject| subject.product.into())),
        ("CERTCOLLECTD_DIR", dir.clone()),
        ("CERTCOLLECTD_CERT", lines(&|subject| subject.cert.clone().into())),
        ("CERTCOLLECTD_CHAIN", lines(&|subject| subject.chain.clone().into())),
        ("CERTCOLLECTD_FULLCHAIN", lines(&|subject| subject.fullchain.clone().into())),
        ("CERTCOLLECTD_DOMAINS", domains.clone()),
        ("CERTCOLLECTD_SERIAL", lines(&|subject| subject.serial.clone().into())),
        ("CERTCOLLECTD_FINGERPRINT", lines(&|subject| subject.fingerprint.clone().into())),
        (
            "CERTCOLLECTD_NOT_AFTER",
            lines(&|subject| subject.not_after.map(rfc3339).unwrap_or_default().into()),
        ),
        ("CERTCOLLECTD_GENERATION", lines(&|subject| subject.generation.clone().into())),
    ];
    if run.subjects.len() == 1 {
        environment.extend([("RENEWED_LINEAGE", dir), ("RENEWED_DOMAINS", domains)]);
    }
    if run.rehearsal {
        environment.push(("CERTCOLLECTD_REHEARSAL", "1".into()));
    }
    environment
}

/// Where a program is. Looking it up here keeps the start on the fast path (posix_spawn), which a changed
/// PATH in the child's environment would leave.
pub fn find_program(name: &str) -> Result<PathBuf, String> {
    look_for_program(name).map_err(|why| match name.split_whitespace().collect::<Vec<_>>() {
        // A command line in one piece, as a shell would take it.
        words if words.len() > 1 => format!("{why}; give one argument each: {words:?}"),
        _ => why,
    })
}

fn look_for_program(name: &str) -> Result<PathBuf, String> {
    if name.contains('/') {
        let path = PathBuf::from(name);
        return obstacle(&path).map_or_else(|| Ok(path), |why| Err(format!("{name} {why}")));
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/sbin:/usr/bin:/sbin:/bin".into());
    std::env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|path| obstacle(path).is_none())
        .ok_or_else(|| format!("{name} is in none of the directories of PATH"))
}

/// Why a file is no program that this process may start.
fn obstacle(path: &Path) -> Option<String> {
    use std::os::unix::fs::PermissionsExt;
    match std::fs::metadata(path) {
        Ok(found) if !found.is_file() || found.permissions().mode() & 0o111 == 0 => {
            Some("is not executable".into())
        }
        Ok(_) => {
            let why = access::unstartable(path)?;
            // No one may where programs are forbidden altogether, and that has an answer of its own.
            let why = script::startable(path)
                .err()
                .unwrap_or_else(|| format!("{} for the user whom this runs as", access::cause(&why)));
            Some(format!("cannot be started: {why}"))
        }
        Err(why) if why.kind() == ErrorKind::NotFound => Some("does not exist".into()),
        Err(why) => Some(format!("cannot be reached: {}", access::cause(&why))),
    }
}

async fn program(run: &HookRun, arguments: &[String], leaders: Leaders) -> HookResult {
    let mark = random_name();
    let mut environment = environment(run);
    environment.push((MARK, (&mark).into()));
    let (mut child, pid) = match start(arguments, environment, run, &leaders).await {
        Ok(started) => started,
        Err(why) => return failure(why),
    };
    let output = Arc::new(Mutex::new(Output::new(&run.hook.name)));
    let readers = [
        child.stdout.take().map(|pipe| tokio::task::spawn_local(drain(pipe, output.clone()))),
        child.stderr.take().map(|pipe| tokio::task::spawn_local(drain(pipe, output.clone()))),
    ];
    let status = match timeout(run.hook.timeout, child.wait()).await {
        Ok(status) => status.map(Ended::By),
        Err(_) => end(&mut child, pid).await.map(|_| Ended::AtLimit),
    };
    leaders.ended(pid);
    if matches!(status, Ok(Ended::AtLimit)) {
        reap::end_strays(&leaders, MARK, &mark).await;
    }
    for reader in readers.into_iter().flatten() {
        let abort = reader.abort_handle();
        if timeout(DRAIN, reader).await.is_err() {
            abort.abort();
        }
    }
    let last_words = output.lock().expect("nobody panics with it").finish();
    match status {
        Ok(Ended::By(status)) => by_status(status, last_words),
        Ok(Ended::AtLimit) => HookResult::Failed { why: over(run.hook.timeout), last_words, remedy: None },
        Err(error) => HookResult::Failed {
            why: format!("its end cannot be learned: {error}"),
            last_words,
            remedy: None,
        },
    }
}

/// Waits until nothing of the hook is still being started.
async fn turn(run: &HookRun, leaders: &Leaders) -> Result<OwnedSemaphorePermit, String> {
    let turn = leaders.turn(&run.hook.name).acquire_owned();
    let turn = timeout(run.hook.timeout, turn).await.map_err(|_| HANGS.to_owned())?;
    Ok(turn.expect("it is never closed"))
}

/// Starts a program in a process group of its own; its number comes along. On a thread apart: on a mount that hangs the
/// kernel does not come back before it has read the program.
async fn start(
    arguments: &[String],
    environment: Vec<(&'static str, OsString)>,
    run: &HookRun,
    leaders: &Leaders,
) -> Result<(Child, i32), String> {
    let limit = run.hook.timeout;
    let begun = turn(run, leaders).await?;
    let (arguments, known) = (arguments.to_vec(), leaders.starting());
    let mut starting = spawn_blocking(move || {
        let child = spawn(&arguments, environment)?;
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).unwrap_or_default();
        known.done(pid);
        Ok((child, pid))
    });
    let started = timeout(limit, &mut starting).await;
    match started {
        Ok(started) => {
            // What ended meanwhile was left to this.
            reap::reap(leaders);
            started.unwrap_or_else(|error| resume_unwind(error.into_panic()))
        }
        Err(_) => {
            let leaders = leaders.clone();
            tokio::task::spawn_local(async move {
                if let Ok(Ok((mut child, pid))) = starting.await {
                    let _ = end(&mut child, pid).await;
                    leaders.ended(pid);
                }
                reap::reap(&leaders);
                drop(begun);
            });
            let limit = humantime::format_duration(limit);
            Err(format!("it could not be started within its time limit of {limit}; does its mount hang?"))
        }
    }
}

fn spawn(arguments: &[String], environment: Vec<(&'static str, OsString)>) -> Result<Child, String> {
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
        let why = script::startable(&path).err().unwrap_or_else(|| {
            match error.raw_os_error().map(Errno::from_raw_os_error) {
                Some(Errno::NOENT) => "the program that its first line names is not there".to_owned(),
                Some(Errno::NOEXEC) => {
                    "it is no program for this machine, and no first line such as #!/bin/sh names one for it"
                        .to_owned()
                }
                Some(Errno::ACCESS) => {
                    "permission denied; may the daemon's user run it and the program that its first line \
                                    names, and is its mount not noexec?"
                        .to_owned()
                }
                Some(Errno::TXTBSY) => "somebody is writing it just now".to_owned(),
                Some(Errno::TOOBIG) => {
                    "this system lets a program be told less; is LimitSTACK= very small?".to_owned()
                }
                _ => access::cause(&error),
            }
        });
        format!("{} cannot be started: {why}", path.display())
    })
}

enum Ended {
    By(ExitStatus),
    AtLimit,
}

fn by_status(status: ExitStatus, last_words: Vec<Foreign>) -> HookResult {
    let why = match (status.code(), status.signal()) {
        (Some(0), _) => return HookResult::Done,
        (Some(NOT_FOR_ME), _) => return HookResult::NotForMe,
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("ended by signal {signal}"),
        (None, None) => "ended in an unknown way".into(),
    };
    HookResult::Failed { why, last_words, remedy: None }
}

/// Ends the whole process group: asks, waits, then does not ask.
async fn end(child: &mut Child, pid: i32) -> std::io::Result<ExitStatus> {
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
    match polite.await {
        Ok(status) => status,
        Err(_) => {
            let _ = kill_process_group(group, Signal::KILL);
            // What hangs in the kernel, on a dead mount for instance, ends when it can.
            match timeout(GRACE, child.wait()).await {
                Ok(status) => status,
                Err(_) => {
                    Err(std::io::Error::other("it was killed and does not end; it hangs in the kernel"))
                }
            }
        }
    }
}

/// What a hook prints, on its way to the log.
struct Output {
    hook: Arc<str>,
    left: usize,
    line: Vec<u8>,
    last: VecDeque<Foreign>,
}

impl Output {
    fn new(hook: &Arc<str>) -> Self {
        Output { hook: hook.clone(), left: MAX_OUTPUT, line: Vec::new(), last: VecDeque::new() }
    }

    fn take(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if self.left == 1 {
                tracing::info!(
                    hook = &*self.hook,
                    "hook {} says more than {MAX_OUTPUT} bytes; the rest is not logged",
                    self.hook
                );
            }
            self.left = self.left.saturating_sub(1);
            match byte {
                b'\n' => self.end_line(),
                // A line beyond what is shown of it anyway is cut here.
                _ if self.line.len() < 4 * Foreign::LIMIT => self.line.push(*byte),
                _ => {}
            }
        }
    }

    /// The last lines are remembered however much came before them: that is where the error stands.
    fn end_line(&mut self) {
        let mut line = std::mem::take(&mut self.line);
        if !line.trim_ascii().is_empty() {
            let words = Foreign::from_bytes(&line);
            if self.left > 0 {
                tracing::info!(hook = &*self.hook, output = %words, "hook {} says: {words}", self.hook);
            }
            self.last.push_back(words);
            if self.last.len() > LAST_LINES {
                self.last.pop_front();
            }
        }
        line.clear();
        self.line = line;
    }

    fn finish(&mut self) -> Vec<Foreign> {
        self.end_line();
        self.last.drain(..).collect()
    }
}

async fn drain(mut pipe: impl AsyncRead + Unpin, output: Arc<Mutex<Output>>) {
    let mut buffer = [0; 8192];
    while let Ok(count @ 1..) = pipe.read(&mut buffer).await {
        output.lock().expect("nobody panics with it").take(&buffer[..count]);
    }
}

fn send_signal(pid_file: &Path, signal: HookSignal) -> HookResult {
    let shown = pid_file.display();
    let mut text = String::new();
    match open_file(pid_file).and_then(|file| file.take(MAX_STATUS as u64).read_to_string(&mut text)) {
        Ok(_) => {}
        Err(error) => {
            let Reason { cause, remedy } = access::reason(pid_file, Wish::Read, &error);
            let why = format!("pid_file {shown} cannot be read: {cause}");
            return advised(
                why,
                remedy.unwrap_or_else(|| "is the service running, and is that its file?".into()),
            );
        }
    };
    let number = text.lines().next().unwrap_or_default().trim();
    // Zero and negative numbers mean process groups, and everybody.
    let Some(pid) = number.parse().ok().filter(|pid| *pid > 0).and_then(Pid::from_raw) else {
        return failure(format!("{shown} holds no process number but \"{}\"", Foreign::new(number)));
    };
    if pid == rustix::process::getpid() {
        return failure(format!("{shown} names certcollectd itself"));
    }
    match kill_process(pid, number_of(signal)) {
        Ok(()) => HookResult::Done,
        Err(Errno::PERM) => advised(
            format!(
                "process {number} of {shown} belongs to another user, whom only root or CAP_KILL may send {signal}"
            ),
            "let the hook ask another unit",
        ),
        Err(Errno::SRCH) => {
            advised(format!("there is no process {number}; {shown} is stale"), "is the service running?")
        }
        Err(error) => {
            failure(format!("process {number} cannot be sent {signal}: {}", access::cause(&error.into())))
        }
    }
}

/// The system's number of a signal.
fn number_of(signal: HookSignal) -> Signal {
    match signal {
        HookSignal::Hup => Signal::HUP,
        HookSignal::Int => Signal::INT,
        HookSignal::Quit => Signal::QUIT,
        HookSignal::Term => Signal::TERM,
        HookSignal::Usr1 => Signal::USR1,
        HookSignal::Usr2 => Signal::USR2,
        HookSignal::Alrm => Signal::ALARM,
        HookSignal::Cont => Signal::CONT,
        HookSignal::Ttin => Signal::TTIN,
        HookSignal::Ttou => Signal::TTOU,
        HookSignal::Winch => Signal::WINCH,
        HookSignal::Urg => Signal::URG,
        HookSignal::Io => Signal::IO,
    }
}

/// The least-privilege bridge: the listener does one fixed thing, writes its exit status, and behind it the
/// last line of what that said.
async fn socket(path: &Path) -> HookResult {
    let shown = path.display();
    let mut stream = match tokio::net::UnixStream::connect(path).await {
        Ok(stream) => stream,
        Err(error) => return cannot_connect(path, error).await,
    };
    let mut said = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        match stream.read(&mut buffer).await {
            Ok(0) => break,
            Ok(count) => said.extend_from_slice(&buffer[..count]),
            Err(error) => return failure(format!("{shown} broke off: {}", access::cause(&error))),
        }
        if said.len() > MAX_STATUS {
            let Some(begin) =
                said.iter().position(|byte| *byte == b'\n').filter(|end| status_in(&said[..*end]).is_some())
            else {
                return failure(format!("{shown} said more than {MAX_STATUS} bytes and no exit status"));
            };
            // With the status known, only the end of what it says is of interest.
            said.drain(begin + 1..said.len() - MAX_STATUS / 2);
        }
    }
    let bridge = Bridge::read(&said);
    let why = match bridge.status {
        Ok(0) => return HookResult::Done,
        Ok(NOT_FOR_ME) => return HookResult::NotForMe,
        Ok(code) => format!("exit status {code} from {shown}"),
        Err(text) if text.as_str().is_empty() => format!("{shown} closed without an exit status"),
        Err(text) => format!("{shown} said \"{text}\" where an exit status belongs"),
    };
    let remedy = match unit_behind(path) {
        Some(unit) => format!("see `journalctl -u '{unit}@*'`"),
        None => "see the log of what listens there".into(),
    };
    HookResult::Failed { why, last_words: bridge.words.into_iter().collect(), remedy: Some(remedy) }
}

/// What a bridge said: the exit status on the first line and the last line of the output behind it, or output and the
/// exit status on the last line.
struct Bridge {
    /// Or what stands in its place.
    status: Result<i32, Foreign>,
    words: Option<Foreign>,
}

impl Bridge {
    fn read(said: &[u8]) -> Bridge {
        let lines: Vec<&[u8]> = said
            .split(|byte| *byte == b'\n')
            .map(<[u8]>::trim_ascii)
            .filter(|line| !line.is_empty())
            .collect();
        let words = |line: Option<&&[u8]>| line.map(|line| Foreign::from_bytes(line));
        match &lines[..] {
            [first, rest @ ..] if status_in(first).is_some() => {
                Bridge { status: Ok(status_in(first).unwrap_or_default()), words: words(rest.last()) }
            }
            [rest @ .., last] => Bridge {
                status: status_in(last).ok_or_else(|| Foreign::from_bytes(last)),
                words: words(rest.last()),
            },
            [] => Bridge { status: Err(Foreign::new("")), words: None },
        }
    }
}

/// An exit status, 0 to 255.
fn status_in(line: &[u8]) -> Option<i32> {
    std::str::from_utf8(line.trim_ascii()).ok()?.parse::<u8>().ok().map(i32::from)
}

/// The systemd unit behind a bridge that is named as the shipped one: `/run/certcollectd-reload/nginx.sock`.
fn unit_behind(socket: &Path) -> Option<String> {
    let of_ours = socket.parent()?.file_name()? == "certcollectd-reload";
    let name = socket.file_stem()?.to_str().filter(|name| crate::config::is_name(name))?;
    of_ours.then(|| format!("certcollectd-reload-{name}"))
}

/// Why nothing answers at a socket. Apart, since the way to it is looked at.
pub(super) async fn cannot_connect(socket: &Path, error: std::io::Error) -> HookResult {
    let path = socket.to_owned();
    let kind = error.kind();
    let looked = spawn_blocking(move || access::reason(&path, Wish::Connect, &error)).await;
    let Reason { cause, remedy } = looked.unwrap_or_else(|error| resume_unwind(error.into_panic()));
    let start = || match unit_behind(socket) {
        Some(unit) => format!("`systemctl enable --now {unit}.socket` makes it"),
        None => "start what listens there".into(),
    };
    let cause = if kind == ErrorKind::ConnectionRefused { "nobody listens there".into() } else { cause };
    let remedy =
        remedy.or_else(|| matches!(kind, ErrorKind::NotFound | ErrorKind::ConnectionRefused).then(start));
    HookResult::Failed {
        why: format!("cannot connect to {}: {cause}", socket.display()),
        last_words: Vec::new(),
        remedy,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_are_the_last_ones_however_much_was_said() {
        let mut output = Output::new(&"reload".into());
        for _ in 0..3 {
            output.take(&[b"chatter\n".repeat(MAX_OUTPUT / 8), b"and more".to_vec()].concat());
        }
        output.take(b"\ncannot bind: address in use\n\n");
        let words = output.finish();
        let words: Vec<&str> = words.iter().map(Foreign::as_str).collect();
        assert_eq!(words, ["chatter", "and more", "cannot bind: address in use"]);
        assert!(Output::new(&"quiet".into()).finish().is_empty());
    }

    #[test]
    fn what_is_told_at_most_is_what_linux_grants_at_least() {
        // The bounds of the engine and of the configuration, a little above.
        let domains = vec!["x".repeat(255); 64 * 1024 / 2 / 256];
        let hook = crate::config::Hook {
            name: "reload".into(),
            on: vec![crate::config::HookEvent::Installed],
            action: Action::Run(vec!["x".repeat(32 * 1024)]),
            timeout: crate::config::Hook::TIMEOUT,
            merge: true,
        };
        let run = HookRun {
            run: crate::engine::event::RunId(0),
            hook: Arc::new(hook),
            event: crate::config::HookEvent::Installed,
            subjects: vec![Subject { domains, ..Subject::default() }],
            rehearsal: true,
        };
        let told = environment(&run);
        let strings: usize = told.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
        let all = strings + 32 * 1024 + 8 * (told.len() + 8);
        // The system's own part, and what a script adds that starts the real program.
        assert!(all + 8 * 1024 <= 128 * 1024, "{all}");
        assert!(told.iter().all(|(_, value)| value.len() < 64 * 1024));
    }

    #[test]
    fn a_bridge_says_its_status_first_or_last() {
        let read = |said: &str| {
            let Bridge { status, words } = Bridge::read(said.as_bytes());
            (
                status.map_err(|text| text.to_string()),
                words.map(|words| words.to_string()).unwrap_or_default(),
            )
        };
        assert_eq!(read("0\n"), (Ok(0), String::new()));
        assert_eq!(read(" 42"), (Ok(42), String::new()));
        assert_eq!(read("1\nnginx is not active.\n"), (Ok(1), "nginx is not active.".into()));
        assert_eq!(read("1\r\nfirst\nlast\n\n"), (Ok(1), "last".into()));
        assert_eq!(read("reloading\ndone\n0\n"), (Ok(0), "done".into()));
        assert_eq!(read("256\n"), (Err("256".into()), String::new()));
        assert_eq!(read("no\nidea\n"), (Err("idea".into()), "no".into()));
        assert_eq!(read(""), (Err(String::new()), String::new()));
        let long = read(&format!("1\n{}\x07\n", "x".repeat(5000))).1;
        assert!(long.len() <= Foreign::LIMIT && long.is_ascii());
    }

    #[test]
    fn the_unit_behind_a_bridge_is_named_after_it() {
        let unit = |path: &str| unit_behind(Path::new(path));
        assert_eq!(unit("/run/certcollectd-reload/nginx.sock").as_deref(), Some("certcollectd-reload-nginx"));
        assert_eq!(unit("/run/haproxy/admin.sock"), None);
        assert_eq!(unit("/run/certcollectd-reload/a b.sock"), None);
    }
}
