//! `run`, and `once`: the same loop with another end.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{self, Receiver};

use super::block_on::block_on;
use super::exit::Exit;
use super::live::Live;
use super::lookout;
use super::prepare::{give_up, listen_to_signals, prepare};
use super::store::{UNSAVED, load_engine, open_store, take_lock};
use crate::daemon::{Daemon, Goal, Onlooker};
use crate::effects::store::save::Store;
use crate::fleet::collector::{Collector, End};
use crate::fleet::{follower, member};
use crate::sources::files::LoadedConfig;
use crate::sources::{INBOX, Inbox, Message, clock, control, http, push, watch};
use crate::status::told_absent;
use crate::telemetry;
use certcollectd_core::config::fleet::{Fleet, Role};
use certcollectd_core::config::{Config, count};

/// Is told whenever another configuration is in force.
type Lookout = Option<std::sync::mpsc::Sender<()>>;

pub fn run(path: &Path) -> Result<(), Exit> {
    let found = prepare(path)?;
    let store = open_store(&found.config, take_lock(&found.config.state_dir))?;
    block_on(serve(path, found, store))?
}

async fn serve(path: &Path, found: LoadedConfig, store: Store) -> Result<(), Exit> {
    let (sender, inbox) = mpsc::channel(INBOX);
    listen_to_signals(sender.clone())?;
    let config = found.config.clone();
    let socket = control::listen(config.state_dir.clone(), sender.clone()).await;
    if let Some(found) = &config.http {
        http::listen(found, sender.clone()).await;
    }
    if let Some(found) = &config.push {
        push::listen(found, sender.clone()).await;
    }
    let found = Arc::new(found);
    let lookout = lookout::start(path, found.clone(), sender.clone());
    if let Err(error) = watch::start(path, found, sender.clone()) {
        tracing::warn!("the configuration is not watched, so reload after each change: {error}");
    }
    let unsaved = match &config.fleet {
        Some(fleet) => in_fleet(path, &config, fleet, store, sender, inbox, lookout).await?,
        None => alone(path, &config, store, sender, inbox, lookout).await?,
    };
    if let Some(socket) = socket.get() {
        socket.remove();
    }
    if unsaved {
        tracing::error!(
            "stopped; everything since the last successful save of the state is lost: if a login was refused since then \
             (see above), fix the cause before starting again"
        );
        return Err(Exit::Failed);
    }
    tracing::info!("shut down cleanly");
    Ok(())
}

/// Whether the last save failed.
async fn alone(
    path: &Path,
    config: &Arc<Config>,
    store: Store,
    sender: Inbox,
    inbox: Receiver<Message>,
    lookout: Lookout,
) -> Result<bool, Exit> {
    let engine = load_engine(config, &store)?;
    if let Some(line) = told_absent(engine.config(), &engine.unconfigured(), clock::now()) {
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
    daemon.reread = Some((path.to_owned(), sender));
    daemon.lookout = lookout;
    telemetry::ready();
    Ok(daemon.run(Goal::Stop).await.unsaved)
}

/// Whether the last save failed.
async fn in_fleet(
    path: &Path,
    config: &Arc<Config>,
    fleet: &Fleet,
    store: Store,
    sender: Inbox,
    inbox: Receiver<Message>,
    lookout: Lookout,
) -> Result<bool, Exit> {
    let give_up = |why: String| give_up(Exit::Failed, &why);
    match &fleet.role {
        Role::Collector(settings) => {
            let collector = Collector::start(config.clone(), fleet, settings, &store, path, sender, lookout);
            let collector = collector.map_err(give_up)?;
            telemetry::ready();
            match collector.run(store, inbox).await {
                End::InOrder => Ok(false),
                End::Unsaved => Ok(true),
                End::Failed => {
                    let why = "what keeps the lease has ended; the log says why, and a restart helps";
                    Err(give_up(why.into()))
                }
            }
        }
        Role::Follower => {
            let known = member::known_fleet(&store).map_err(|error| give_up(error.to_string()))?;
            let engine = load_engine(config, &store)?;
            let mut daemon = Daemon::new(engine, store, inbox);
            follower::follow(&mut daemon, config, fleet, known, sender.clone()).map_err(give_up)?;
            daemon.reread = Some((path.to_owned(), sender));
            daemon.lookout = lookout;
            telemetry::ready();
            Ok(daemon.run(Goal::Stop).await.unsaved)
        }
    }
}

pub fn once(path: &Path, wait: Option<Duration>) -> Result<(), Exit> {
    let found = prepare(path)?;
    let config = found.config.clone();
    if config.fleet.is_some() {
        let why = "`once` is for a host on its own: in a fleet, `run` has to go on; take [fleet] out, or use `certcollectd run`";
        return Err(give_up(Exit::Usage, why));
    }
    let store = open_store(&config, take_lock(&config.state_dir))?;
    block_on(async {
        let (sender, inbox) = mpsc::channel(INBOX);
        listen_to_signals(sender)?;
        let mut engine = load_engine(&config, &store)?;
        if wait.is_none() {
            engine.poll_only_until(clock::now().time);
        }
        lookout::once(&Arc::new(found));
        let live = Live::new(engine.config(), engine.records(), wait, clock::now());
        let mut daemon = Daemon::new(engine, store, inbox);
        daemon.onlooker = live.map(|live| Box::new(live) as Box<dyn Onlooker>);
        let outcome = daemon.run(Goal::Settled(wait)).await;
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
