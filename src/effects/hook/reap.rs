//! Processes that hooks leave behind. The daemon is their reaper, so a double fork is no way out.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, kill_process, set_child_subreaper, waitpid};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::effects::blocking;

/// Why a hook is not begun once more.
const HANGS: &str =
    "an earlier run of it still hangs; does the mount of its program, or of its pid_file, hang?";

/// The hooks that run now, whose exit only their own tasks may collect. There is one, as there is one set of children.
static RUNNING: Mutex<Running> = Mutex::new(Running { pids: BTreeSet::new(), starting: 0 });

#[derive(Debug)]
struct Running {
    pids: BTreeSet<i32>,
    /// Programs that are being started on other threads: their process numbers are not known yet.
    starting: usize,
}

fn running() -> MutexGuard<'static, Running> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A program is about to be started; until the result is dropped no exit status is collected.
pub fn starting() -> Starting {
    running().starting += 1;
    Starting { pid: None }
}

/// Its exit was collected.
pub fn ended(pid: i32) {
    running().pids.remove(&pid);
}

/// Permits by hook: an earlier run may hang.
#[derive(Debug, Clone, Default)]
pub struct Permits(Arc<Mutex<HashMap<Arc<str>, Arc<Semaphore>>>>);

impl Permits {
    /// The permit for starting or sending something of this hook, kept until the kernel is done with it: what
    /// hangs on a mount would be done twice later on, and cost a thread each time.
    pub async fn begin(&self, name: &Arc<str>, limit: Duration) -> Result<OwnedSemaphorePermit, String> {
        let permit = {
            let mut permits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            permits.entry(name.clone()).or_insert_with(blocking::permit).clone()
        };
        let begun = timeout(limit, permit.acquire_owned()).await.map_err(|_| HANGS.to_owned())?;
        Ok(begun.expect("it is never closed"))
    }
}

/// The start of a program.
#[derive(Debug)]
pub struct Starting {
    pid: Option<i32>,
}

impl Starting {
    /// It was started, and this is its number.
    pub fn done(mut self, pid: i32) {
        self.pid = Some(pid);
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        let mut running = running();
        running.starting -= 1;
        running.pids.extend(self.pid);
    }
}

/// A process that loses its parent below us becomes our child, not that of process 1.
pub fn become_reaper() {
    if let Err(error) = set_child_subreaper(Some(rustix::process::getpid())) {
        tracing::warn!("processes that hooks leave behind cannot be adopted: {error}");
    }
}

/// Keeps to ourselves what we inherited beside standard input and output: our own descriptors are closed in
/// every hook anyway, but a pipe of our parent's would stay open in a service that a hook starts.
pub fn keep_descriptors() {
    close_fds::set_fds_cloexec_threadsafe(3, &[]);
}

/// Collects the exit of every child that is not a hook's first process, which its own task waits for.
pub fn reap() {
    for pid in strays() {
        let _ = waitpid(Some(pid), WaitOptions::NOHANG);
    }
}

/// Ends what a hook left behind when its time was up: our adopted children that carry the mark of its run.
/// Killing one may hand us its children, hence the rounds. What hangs in the kernel ends when it can, and is not waited
/// for.
pub async fn end_strays(name: &str, value: &str) {
    const ROUNDS: usize = 100;
    const PAUSE: Duration = Duration::from_millis(10);
    let wanted = format!("{name}={value}");
    for _ in 0..ROUNDS {
        let found: Vec<Pid> = children().filter(|pid| carries(*pid, wanted.as_bytes())).collect();
        if found.is_empty() {
            break;
        }
        for pid in found {
            let _ = kill_process(pid, Signal::KILL);
        }
        reap();
        tokio::time::sleep(PAUSE).await;
    }
    reap();
}

fn carries(pid: Pid, wanted: &[u8]) -> bool {
    let environment = std::fs::read(format!("/proc/{}/environ", pid.as_raw_nonzero())).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|entry| entry == wanted)
}

/// All children but the hooks' first processes; none while one of these may be among them unknown.
fn strays() -> Vec<Pid> {
    let running = running();
    if running.starting > 0 {
        return Vec::new();
    }
    children().filter(|pid| !running.pids.contains(&pid.as_raw_nonzero().get())).collect()
}

fn children() -> impl Iterator<Item = Pid> {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    tasks
        .filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|children| {
            children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<i32>>()
        })
        .filter_map(Pid::from_raw)
}
