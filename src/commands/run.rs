//! `run`, and `once`: the same loop with another end.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use tokio::sync::mpsc;

use super::{block_on, complain, load};
use crate::cli::exit;
use crate::config::file::Level;
use crate::config::invisible;
use crate::config::point::{self, Key};
use crate::config::{Config, SecretSource};
use crate::daemon::{Daemon, Goal};
use crate::effects::lock::Lock;
use crate::effects::preflight::User;
use crate::effects::save::Store;
use crate::effects::store_error::StoreError;
use crate::effects::{credential, preflight, probe, reap};
use crate::engine::Engine;
use crate::sources::files::Found;
use crate::sources::{INBOX, Inbox, Snapshot, clock, control, http, push, signal, watch};
use crate::status::Status;
use crate::telemetry;

/// `run`.
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
        complain(&format!("signals cannot be listened to: {error}"));
        return exit::FAILED;
    }
    let config = found.config.clone();
    match control::bind(&config.state_dir) {
        Ok(listener) => {
            tokio::task::spawn_local(control::serve(listener, sender.clone()));
        }
        Err(error) => {
            complain(&format!(
                "the control socket cannot be made in {}: {error}",
                config.state_dir.display()
            ));
            return exit::FAILED;
        }
    }
    if let Err(why) = listen(&config, &sender).await {
        complain(&why);
        return exit::FAILED;
    }
    let engine = match engine(&config, &store) {
        Ok(engine) => engine,
        Err(code) => return code,
    };
    let found = Arc::new(found);
    warn_of_weak_points(&found);
    if let Err(error) = watch::start(path, found, sender.clone()) {
        tracing::warn!(
            "changes of the configuration are not noticed by themselves, reload after each: {error}"
        );
    }
    let summary = engine.summary();
    tracing::info!(
        "certcollectd {} is up with {} orders on {} accounts; state in {}, certificates in {}",
        env!("CARGO_PKG_VERSION"),
        summary.orders,
        config.accounts.len(),
        config.state_dir.display(),
        config.install_dir.display()
    );
    let mut daemon = Daemon::new(engine, store, inbox);
    daemon.reread_from(path.to_owned(), sender);
    telemetry::ready();
    let outcome = daemon.run(Goal::Stop).await;
    let _ = std::fs::remove_file(config.state_dir.join(control::SOCKET));
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
async fn listen(config: &Config, inbox: &Inbox) -> Result<(), String> {
    if let Some(found) = &config.http {
        let renderers = http::Renderers {
            metrics: |snapshot| status_of(snapshot).metrics(snapshot.failed_saves),
            status: |snapshot| {
                serde_json::to_string_pretty(&status_of(snapshot)).expect("strings, numbers and lists")
            },
            page: |snapshot| status_of(snapshot).page(),
        };
        let address = found.listen;
        http::listen(found.clone(), renderers, inbox.clone())
            .await
            .map_err(|error| format!("[http] listen {address}: {error}"))?;
    }
    if let Some(found) = &config.push {
        let address = found.listen;
        push::listen(found.clone(), credential::read, inbox.clone())
            .await
            .map_err(|error| format!("[push] listen {address}: {error}"))?;
    }
    Ok(())
}

fn status_of(snapshot: &Snapshot) -> Status {
    Status::new(&snapshot.config, &snapshot.loaded, clock::now())
}

/// `once`.
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
            complain(&format!("signals cannot be listened to: {error}"));
            return exit::FAILED;
        }
        let mut engine = match engine(&config, &store) {
            Ok(engine) => engine,
            Err(code) => return code,
        };
        if wait.is_none() {
            engine.poll_only_until(clock::now().time);
        }
        warn_of_weak_points(&Arc::new(found));
        let outcome = Daemon::new(engine, store, inbox).run(Goal::Settled(wait)).await;
        let summary = outcome.summary;
        if outcome.unsaved {
            complain(UNSAVED);
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
    let found = load(path)?;
    telemetry::start_logging(&found.config.log);
    telemetry::report_panics();
    reap::become_reaper();
    reap::keep_descriptors();
    if !found.warnings.is_empty() {
        tracing::warn!("the configuration has weak points:\n{}", found.warnings.trim_end());
    }
    Ok(found)
}

pub(super) fn open_store(config: &Config) -> Result<Store, u8> {
    for looks_left in (0..LOOKS).rev() {
        match Lock::take(&config.state_dir) {
            // A command holds the lock for a moment and does not listen; a daemon does both.
            Err(StoreError::Locked { .. }) if looks_left > 0 && !control::is_served(&config.state_dir) => {
                std::thread::sleep(AGAIN);
            }
            lock => return open_store_with(config, lock),
        }
    }
    Err(exit::FAILED)
}

/// A start waits so long for a look at what the configuration names.
const FIRST_LOOK: Duration = Duration::from_secs(3);

/// What is left to say after the log has named the cause.
pub(super) const UNSAVED: &str =
    "gave up: the state cannot be saved, and without that nothing is called or installed; the log says why";

/// So often is looked whether the lock is free, or who holds it: for five seconds.
pub(super) const LOOKS: u32 = 50;
/// Between two looks.
pub(super) const AGAIN: Duration = Duration::from_millis(100);

/// Opens the state under a lock, or says why not.
pub(super) fn open_store_with(config: &Config, lock: Result<Lock, StoreError>) -> Result<Store, u8> {
    lock.and_then(|lock| Store::open(&config.state_dir, lock)).map_err(|error| {
        complain(&error.to_string());
        match error {
            StoreError::Locked { .. } => exit::USAGE,
            _ => exit::FAILED,
        }
    })
}

pub(super) fn engine(config: &Arc<Config>, store: &Store) -> Result<Engine, u8> {
    let now = clock::now();
    let loaded = store.load(now).map_err(|error| {
        complain(&error.to_string());
        exit::FAILED
    })?;
    Ok(Engine::new(config.clone(), loaded, now))
}

/// What will fail on the day is said today. On a mount that hangs looking takes for ever, so that is not waited for.
fn warn_of_weak_points(found: &Arc<Found>) {
    let (looking, looked) = std::sync::mpsc::channel::<()>();
    let apart = found.clone();
    let thread = std::thread::Builder::new().name("weak points".into()).spawn(move || {
        look_for_weak_points(&apart);
        drop(looking);
    });
    if thread.is_err() {
        return look_for_weak_points(found);
    }
    if looked.recv_timeout(FIRST_LOOK) == Err(RecvTimeoutError::Timeout) {
        tracing::warn!(
            "not all files and directories that the configuration names could be looked at within {} s; does a mount \
             hang? Whatever needs nothing of it goes on",
            FIRST_LOOK.as_secs()
        );
    }
}

fn look_for_weak_points(found: &Found) {
    for account in &found.config.accounts {
        for (key, source) in account.secrets() {
            look_at_secret(found, &account.name, key, source);
        }
    }
    let files: Vec<&Path> = found.sources.iter().map(|source| &*source.path).collect();
    for finding in preflight::look(&found.config, &files, &User::me()) {
        let help = finding.help.map(|help| format!("; {help}")).unwrap_or_default();
        let place = finding.about.map(|about| format!("; {}", place(found, about))).unwrap_or_default();
        match finding.level {
            Level::Error => tracing::error!("{}{help}{place}", finding.message),
            Level::Warning => tracing::warn!("{}{help}{place}", finding.message),
        }
    }
    for problem in probe::probe(&found.config) {
        let what = if problem.about == Key::top("install_dir") { "nothing" } else { "not everything" };
        tracing::error!("{what} can be installed: {}; {}", problem.error, place(found, problem.about));
    }
}

fn look_at_secret(found: &Found, account: &str, key: &'static str, source: &SecretSource) {
    let place = || place(found, Key::account(account, &[key]));
    match credential::read(source) {
        Err(why) => {
            let advice = source.when_unread();
            let what = if key == "password" { "the password" } else { key };
            tracing::error!(
                account,
                "account {account}: {what} cannot be read: {why}; {advice}; {}",
                place()
            );
        }
        Ok(secret) => {
            let odd = invisible::oddities(&secret);
            if !odd.is_empty() {
                let (odd, remedy) = (odd.join(", "), source.remedy());
                tracing::warn!(
                    account,
                    "account {account}: {key} has {odd}, which nobody sees; if that is not meant: {remedy}"
                );
            }
            if let Some(exposed) = credential::exposure(source) {
                tracing::warn!(account, "account {account}: {exposed}");
            }
        }
    }
}

/// Where something stands, for the log: `see FILE:LINE:COLUMN`.
fn place(found: &Found, key: Key) -> String {
    format!("see {}", point::place(&found.sources, &key))
}
