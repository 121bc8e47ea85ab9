//! `run`, and `once`: the same loop with another end.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::exit::Exit;
use super::{block_on, lookout, print_error};
use crate::config::{Config, Log, count};
use crate::daemon::{Daemon, Goal};
use crate::effects::errno::cause;
use crate::effects::hook::reap;
use crate::effects::store::error::StoreError;
use crate::effects::store::lock::Lock;
use crate::effects::store::save::Store;
use crate::engine::Engine;
use crate::sources::files::{self, Found};
use crate::sources::{INBOX, Inbox, clock, control, http, push, signal, threads, watch};
use crate::status::Status;
use crate::telemetry;

pub fn run(path: &Path) -> Result<(), Exit> {
    let found = prepare(path)?;
    let store = open_store(&found.config)?;
    block_on(serve(path, found, store))?
}

async fn serve(path: &Path, found: Found, store: Store) -> Result<(), Exit> {
    let (sender, inbox) = mpsc::channel(INBOX);
    listen_to_signals(sender.clone())?;
    let config = found.config.clone();
    let socket = control::listen(config.state_dir.clone(), sender.clone()).await;
    listen(&config, &sender).await;
    let engine = engine(&config, &store)?;
    let found = Arc::new(found);
    let lookout = lookout::start(path, found.clone(), sender.clone());
    if let Err(error) = watch::start(path, found, sender.clone()) {
        tracing::warn!(
            "changes of the configuration are not noticed by themselves, reload after each: {error}"
        );
    }
    if let Some(line) = Status::new(engine.config(), &engine.records(), clock::now()).told_absent() {
        tracing::warn!("{line}");
    }
    let summary = engine.summary();
    tracing::info!(
        "certcollectd {} is up with {} on {}; state in {}, certificates in {}",
        env!("CARGO_PKG_VERSION"),
        count(summary.orders, "order"),
        count(config.accounts.len(), "account"),
        config.state_dir.display(),
        config.install_dir.display()
    );
    let mut daemon = Daemon::new(engine, store, inbox);
    daemon.reread_from(path.to_owned(), sender);
    if let Some(lookout) = lookout {
        daemon.look_out_with(lookout);
    }
    telemetry::ready();
    let outcome = daemon.run(Goal::Stop).await;
    if let Some(socket) = socket.get() {
        socket.remove();
    }
    if outcome.unsaved {
        tracing::error!(
            "stopped, and what happened since the state could last be saved is forgotten: if a login was refused since then \
             (see above), do not start again before the cause is mended"
        );
        return Err(Exit::Failed);
    }
    tracing::info!("stopped in order");
    Ok(())
}

/// The optional listeners.
async fn listen(config: &Config, inbox: &Inbox) {
    if let Some(found) = &config.http {
        http::listen(found.clone(), inbox.clone()).await;
    }
    if let Some(found) = &config.push {
        push::listen(found.clone(), inbox.clone()).await;
    }
}

pub fn once(path: &Path, wait: Option<Duration>) -> Result<(), Exit> {
    let found = prepare(path)?;
    let config = found.config.clone();
    let store = open_store(&config)?;
    block_on(async {
        let (sender, inbox) = mpsc::channel(INBOX);
        listen_to_signals(sender)?;
        let mut engine = engine(&config, &store)?;
        if wait.is_none() {
            engine.poll_only_until(clock::now().time);
        }
        lookout::once(&Arc::new(found));
        let outcome = Daemon::new(engine, store, inbox).run(Goal::Settled(wait)).await;
        let summary = outcome.summary;
        if outcome.unsaved {
            Err(give_up(Exit::Failed, UNSAVED))
        } else if summary.closed > 0 {
            Err(Exit::Closed)
        } else if summary.attention > 0 || summary.unreadable > 0 {
            Err(Exit::Attention)
        } else if summary.waiting > 0 {
            Err(Exit::Waiting)
        } else {
            Ok(())
        }
    })?
}

fn listen_to_signals(sender: Inbox) -> Result<(), Exit> {
    signal::listen(sender)
        .map_err(|error| give_up(Exit::Failed, &format!("signals cannot be listened to: {}", cause(&error))))
}

/// What every process that calls the vendor does first.
pub(super) fn prepare(path: &Path) -> Result<Found, Exit> {
    telemetry::protect_memory();
    let found = files::read(path, super::print::has_colours())
        .map_err(|text| give_up(Exit::Usage, text.trim_end()))?;
    telemetry::start_logging(&found.config.log);
    telemetry::report_panics();
    if let Err(error) = threads::spare(THREADS) {
        let why = format!(
            "the system gives no {THREADS} threads more: {}; nothing was sent. Raise the limit of processes of this user or \
             unit (ulimit -u, TasksMax=, the pids limit of a container), or end what uses it up, and start again",
            cause(&error)
        );
        return Err(give_up(Exit::Failed, &why));
    }
    reap::become_reaper();
    reap::keep_descriptors();
    if !found.warnings.is_empty() {
        tracing::warn!("the configuration has weak points:\n{}", found.warnings.trim_end());
    }
    Ok(found)
}

/// Says why a start or a command ends here: in the journal as an error, since a unit's plain lines go unread.
fn give_up(exit: Exit, text: &str) -> Exit {
    if telemetry::is_journal() {
        telemetry::start_logging(&Log { format: Log::FORMAT, level: Log::LEVEL.into() });
        tracing::error!("{text}");
    } else {
        print_error(text);
    }
    exit
}

pub(super) fn open_store(config: &Config) -> Result<Store, Exit> {
    for looks_left in (0..LOOKS).rev() {
        match Lock::take(&config.state_dir) {
            // A command holds the lock for a moment and does not listen; a daemon does both.
            Err(StoreError::Locked { .. }) if looks_left > 0 && !control::is_served(&config.state_dir) => {
                std::thread::sleep(AGAIN);
            }
            Err(StoreError::Orphaned { why: None, .. }) if looks_left > LOOKS - SILENCES => {
                std::thread::sleep(AGAIN);
            }
            lock => return open_store_with(config, lock),
        }
    }
    Err(Exit::Failed)
}

/// For signals, for the first look, and for what is done on the disk.
const THREADS: usize = 3;

/// What is left to say after the log has named the cause.
pub(super) const UNSAVED: &str =
    "gave up: the state cannot be saved, and without that nothing is called or installed; the log says why";

/// How often to check whether the lock is free, or who holds it: for five seconds.
pub(super) const LOOKS: u32 = 50;
/// How many of them to spend on a process that is there and silent: one that is just ending is gone
/// by then.
pub(super) const SILENCES: u32 = 2;
/// Between two looks.
pub(super) const AGAIN: Duration = Duration::from_millis(100);

/// Opens the state under a lock, or says why not.
pub(super) fn open_store_with(config: &Config, lock: Result<Lock, StoreError>) -> Result<Store, Exit> {
    lock.and_then(|lock| Store::open(&config.state_dir, lock)).map_err(|error| {
        let exit = match error {
            StoreError::Locked { .. } | StoreError::Orphaned { .. } => Exit::Usage,
            StoreError::Newer(..)
            | StoreError::Damaged { .. }
            | StoreError::Lost { .. }
            | StoreError::Io { .. } => Exit::Failed,
        };
        give_up(exit, &error.to_string())
    })
}

pub(super) fn engine(config: &Arc<Config>, store: &Store) -> Result<Engine, Exit> {
    let now = clock::now();
    let loaded = store.load(now).map_err(|error| give_up(Exit::Failed, &error.to_string()))?;
    Ok(Engine::new(config.clone(), loaded, now))
}
