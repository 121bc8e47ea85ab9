//! What all rows share: the program, where to measure, how often.

use std::cell::{Cell, RefCell};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::cli::Cli;
use crate::daemon::Daemon;
use crate::mock::{Manner, Mock};
use crate::site::{Plan, Site};
use crate::store::Store;

/// Where state, log and certificates are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Disk,
    /// tmpfs: what a sync costs is left out.
    Memory,
}

#[derive(Debug)]
pub struct Bench {
    pub program: PathBuf,
    /// This program, for references and wrappers.
    pub myself: PathBuf,
    pub short: bool,
    /// How many a fleet has.
    pub followers: u64,
    /// Made by the row `growth`.
    pub picture: RefCell<Option<String>>,
    disk: PathBuf,
    memory: PathBuf,
    next: Cell<u32>,
    /// All that the command may use.
    cores: CpuSet,
}

impl Bench {
    /// From here on this process and all that it starts run on one core, the first that it may use: a wake-up across
    /// cores costs more than a poll.
    pub fn new(program: PathBuf, disk: &Path, memory: &Path, cli: &Cli) -> io::Result<Bench> {
        let myself = std::env::current_exe()?;
        let cores = sched_getaffinity(None)?;
        pin(&cores)?;
        Ok(Bench {
            program,
            myself,
            cores,
            short: cli.short,
            followers: cli.followers,
            picture: RefCell::new(None),
            disk: disk.into(),
            memory: memory.into(),
            next: Cell::new(0),
        })
    }

    /// Rounds of what is measured in turn.
    pub fn rounds(&self) -> usize {
        if self.short { 2 } else { 5 }
    }

    /// How long a daemon is looked at in one round.
    pub fn window(&self) -> Duration {
        Duration::from_secs(if self.short { 1 } else { 3 })
    }

    /// As many, or fewer where it is to be short.
    pub fn many(&self, full: u64, short: u64) -> u64 {
        if self.short { short } else { full }
    }

    /// A new folder. It stays until all is measured: ext4 makes those that create files soon after a deletion pay for it.
    pub fn folder(&self, place: Place) -> io::Result<PathBuf> {
        self.next.set(self.next.get() + 1);
        let below = match place {
            Place::Disk => &self.disk,
            Place::Memory => &self.memory,
        };
        let folder = below.join(self.next.get().to_string());
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    pub fn mock(&self, manner: Manner) -> io::Result<Mock> {
        Mock::start(&self.folder(Place::Memory)?, manner, [0, 0])
    }

    pub fn site(&self, place: Place, mock: &Mock, plan: &Plan) -> io::Result<Site> {
        Site::write(&self.folder(place)?, &mock.files, plan)
    }

    pub fn daemon(&self, site: &Site) -> io::Result<Daemon> {
        Daemon::start(&self.program, site, &[])
    }

    /// Starts one and waits until it has polled so often.
    pub fn polling(&self, site: &Site, mock: &Mock, polls: u64) -> io::Result<Daemon> {
        let before = mock.totals().polls;
        let mut daemon = self.daemon(site)?;
        daemon.until_polled(mock, before + polls)?;
        Ok(daemon)
    }

    /// Seconds of CPU per poll while a daemon polls.
    pub fn cpu_per_poll(&self, daemon: &Daemon, mock: &Mock) -> io::Result<f64> {
        let (cpu, polls) = (daemon.cpu()?, mock.totals().polls);
        std::thread::sleep(self.window());
        let (cpu, polls) = (daemon.cpu()? - cpu, mock.totals().polls - polls);
        Ok(cpu.as_secs_f64() / polls.max(1) as f64)
    }

    /// Runs it, and what it starts, on all cores: a fleet has more than one.
    pub fn on_all_cores<T>(&self, run: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        sched_setaffinity(None::<Pid>, &self.cores)?;
        let outcome = run();
        pin(&self.cores)?;
        outcome
    }

    pub fn cores(&self) -> u64 {
        u64::from(self.cores.count())
    }

    pub fn store(&self) -> io::Result<Store> {
        Store::start(&self.folder(Place::Disk)?)
    }

    /// Runs a reference of this program, and returns the numbers that it prints.
    pub fn reference(&self, mock: &Mock, words: &[&str]) -> io::Result<Vec<f64>> {
        numbers(&mut self.referring(mock, words))
    }

    /// The command that runs a reference.
    pub fn referring(&self, mock: &Mock, words: &[&str]) -> Command {
        let files = ["--mock".into(), mock.files.folder.clone().into_os_string()];
        let mut command = Command::new(&self.myself);
        command.args(["reference"].iter().chain(words).map(OsString::from).chain(files));
        command
    }
}

/// Runs a program to its end; what it printed, as numbers.
pub fn numbers(command: &mut Command) -> io::Result<Vec<f64>> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(io::Error::other(format!("{command:?} ended with {}", output.status)));
    }
    Ok(String::from_utf8_lossy(&output.stdout)
        .split_whitespace()
        .filter_map(|text| text.parse().ok())
        .collect())
}

fn pin(may: &CpuSet) -> io::Result<()> {
    let first = (0..CpuSet::MAX_CPU).find(|core| may.is_set(*core)).expect("it runs on some core");
    let mut one = CpuSet::new();
    one.set(first);
    Ok(sched_setaffinity(None::<Pid>, &one)?)
}

/// Whether a tool is installed.
pub fn has(tool: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(tool).is_file()))
}
