//! `run`, and `once`: the same loop with another end.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::{block_on, lookout, print_error};
use crate::cli::exit;
use crate::config::{Config, Log, count};
use crate::daemon::{Daemon, Goal};
use crate::effects::access::cause;
use crate::effects::call::credential;
use crate::effects::hook::reap;
use crate::effects::install::in_place;
use crate::effects::store::error::StoreError;
use crate::effects::store::lock::Lock;
use crate::effects::store::save::Store;
use crate::engine::Engine;
use crate::sources::files::{self, Found};
use crate::sources::{INBOX, Inbox, Snapshot, clock, control, http, push, signal, threads, watch};
use crate::status::{Exposition, Status};
use crate::telemetry;

pub fn run(path: &Path) -> u8 {
    let found = match prepare(path) {
        Ok(found) => found,
        Err(code) => return code,
    };
    let store = match open_store(&found.config) {
        Ok(store) => store,
        Err(code) => return code,
    };
    block_on(serve(path, found, store)).unwrap_or_else(|code| code)
}

async fn serve(path: &Path, found: Found, store: Store) -> u8 {
    let (sender, inbox) = mpsc::channel(INBOX);
    if let Err(error) = signal::listen(sender.clone()) {
        give_up(&format!("signals cannot be listened to: {}", cause(&error)));
        return exit::FAILED;
    }
    let config = found.config.clone();
    let socket = control::listen(config.state_dir.clone(), sender.clone()).await;
    listen(&config, &sender).await;
    let engine = match engine(&config, &store) {
        Ok(engine) => engine,
        Err(code) => return code,
    };
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
        return exit::FAILED;
    }
    tracing::info!("stopped in order");
    exit::OK
}

/// The optional listeners.
async fn listen(config: &Config, inbox: &Inbox) {
    if let Some(found) = &config.http {
        let renderers = http::Renderers {
            metrics: |snapshot, accept| {
                let exposition = Exposition::accepted(accept);
                (exposition.content_type(), status_of(snapshot).metrics(exposition))
            },
            status: |snapshot| {
                serde_json::to_string_pretty(&status_of(snapshot)).expect("strings, numbers and lists")
            },
            page: |snapshot| status_of(snapshot).page(),
            absent: in_place::absent,
        };
        http::listen(found.clone(), renderers, inbox.clone()).await;
    }
    if let Some(found) = &config.push {
        push::listen(found.clone(), credential::read, inbox.clone()).await;
    }
}

fn status_of(snapshot: &Snapshot) -> Status {
    Status::new(&snapshot.config, &snapshot.loaded, clock::now()).with(&snapshot.vitals)
}

pub fn once(path: &Path, wait: Option<Duration>) -> u8 {
    let found = match prepare(path) {
        Ok(found) => found,
        Err(code) => return code,
    };
    let config = found.config.clone();
    let store = match open_store(&config) {
        Ok(store) => store,
        Err(code) => return code,
    };
    block_on(async {
        let (sender, inbox) = mpsc::channel(INBOX);
        if let Err(error) = signal::listen(sender) {
            give_up(&format!("signals cannot be listened to: {}", cause(&error)));
            return exit::FAILED;
        }
        let mut engine = match engine(&config, &store) {
            Ok(engine) => engine,
            Err(code) => return code,
        };
        if wait.is_none() {
            engine.poll_only_until(clock::now().time);
        }
        lookout::once(&Arc::new(found));
        let outcome = Daemon::new(engine, store, inbox).run(Goal::Settled(wait)).await;
        let summary = outcome.summary;
        if outcome.unsaved {
            give_up(UNSAVED);
            exit::FAILED
        } else if summary.closed > 0 {
            exit::CLOSED
        } else if summary.attention > 0 || summary.unreadable > 0 {
            exit::ATTENTION
        } else if summary.waiting > 0 {
            exit::WAITING
        } else {
            exit::OK
        }
    })
    .unwrap_or_else(|code| code)
}

/// What every process that calls the vendor does first.
pub(super) fn prepare(path: &Path) -> Result<Found, u8> {
    telemetry::protect_memory();
    let found = files::read(path, super::print::has_colours()).map_err(|text| {
        give_up(text.trim_end());
        exit::USAGE
    })?;
    telemetry::start_logging(&found.config.log);
    telemetry::report_panics();
    if let Err(error) = threads::spare(THREADS) {
        give_up(&format!(
            "the system gives no {THREADS} threads more: {}; nothing was sent. Raise the limit of processes of this user or \
             unit (ulimit -u, TasksMax=, the pids limit of a container), or end what uses it up, and start again",
            cause(&error)
        ));
        return Err(exit::FAILED);
    }
    reap::become_reaper();
    reap::keep_descriptors();
    if !found.warnings.is_empty() {
        tracing::warn!("the configuration has weak points:\n{}", found.warnings.trim_end());
    }
    Ok(found)
}

/// Says why a start or a command ends here: in the journal as an error, since a unit's plain lines go unread.
fn give_up(text: &str) {
    if telemetry::is_journal() {
        telemetry::start_logging(&Log { format: Log::FORMAT, level: Log::LEVEL.into() });
        tracing::error!("{text}");
    } else {
        print_error(text);
    }
}

pub(super) fn open_store(config: &Config) -> Result<Store, u8> {
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
    Err(exit::FAILED)
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
pub(super) fn open_store_with(config: &Config, lock: Result<Lock, StoreError>) -> Result<Store, u8> {
    lock.and_then(|lock| Store::open(&config.state_dir, lock)).map_err(|error| {
        give_up(&error.to_string());
        match error {
            StoreError::Locked { .. } | StoreError::Orphaned { .. } => exit::USAGE,
            StoreError::Newer(..)
            | StoreError::Damaged { .. }
            | StoreError::Lost { .. }
            | StoreError::Io { .. } => exit::FAILED,
        }
    })
}

pub(super) fn engine(config: &Arc<Config>, store: &Store) -> Result<Engine, u8> {
    let now = clock::now();
    let loaded = store.load(now).map_err(|error| {
        give_up(&error.to_string());
        exit::FAILED
    })?;
    Ok(Engine::new(config.clone(), loaded, now))
}
