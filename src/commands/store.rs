//! The state under its lock, and the engine that continues from it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::exit::Exit;
use super::prepare::give_up;
use crate::effects::store::error::StoreError;
use crate::effects::store::lock::Lock;
use crate::effects::store::save::Store;
use crate::fleet::member::MIRRORED;
use crate::sources::{clock, control};
use certcollectd_core::config::Config;
use certcollectd_core::engine::Engine;

/// The last message after the log has named the cause.
pub(super) const UNSAVED: &str =
    "gave up: the state cannot be saved, so nothing is called or installed; the log says why";

/// How often to check whether the lock is free, or who holds it: for five seconds.
const LOOKS: u32 = 50;
/// How many of them to spend on a process that exists but does not answer: one that is just ending is gone
/// by then.
const SILENCES: u32 = 2;
/// Between two checks.
const AGAIN: Duration = Duration::from_millis(100);

/// Takes the lock. Waits for a command, which holds it briefly, and for a daemon that does not listen yet.
pub(super) fn take_lock(state_dir: &Path) -> Result<Lock, StoreError> {
    for looks_left in (1..LOOKS).rev() {
        match Lock::take(state_dir) {
            Err(StoreError::Locked { .. }) if !control::is_served(state_dir) => {}
            Err(StoreError::Orphaned { why: None, .. }) if looks_left > LOOKS - SILENCES => {}
            taken => return taken,
        }
        std::thread::sleep(AGAIN);
    }
    Lock::take(state_dir)
}

/// Opens the state under a lock, or reports why not.
pub(super) fn open_store(config: &Config, lock: Result<Lock, StoreError>) -> Result<Store, Exit> {
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

pub(super) fn load_engine(config: &Arc<Config>, store: &Store) -> Result<Engine, Exit> {
    let now = clock::now();
    let failed = |error: StoreError| give_up(Exit::Failed, &error.to_string());
    let mirrored = store.mark(MIRRORED).map_err(failed)?.unwrap_or_default();
    if config.fleet.is_none() && !mirrored.is_empty() {
        let why = format!(
            "the state in {} belongs to a fleet, and without [fleet] this host would call the vendor beside it: put [fleet] \
             back. To end the fleet: put it back, stop all collectors, `certcollectd fleet export`, then take it out",
            config.state_dir.display()
        );
        return Err(give_up(Exit::Usage, &why));
    }
    let loaded = store.load(now).map_err(failed)?;
    Ok(Engine::new(config.clone(), loaded, now))
}
