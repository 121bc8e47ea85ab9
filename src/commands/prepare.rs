//! What every process that calls the vendor does first.

use std::path::Path;

use super::exit::Exit;
use super::print::{self, print_error};
use crate::effects::errno::cause;
use crate::effects::hook::reap;
use crate::sources::files::{self, LoadedConfig};
use crate::sources::{Inbox, signal, threads};
use crate::telemetry;
use certcollectd_core::config::Log;

/// For signals, for the first checks, and for work on the disk.
const THREADS: usize = 3;

pub(super) fn prepare(path: &Path) -> Result<LoadedConfig, Exit> {
    telemetry::protect_memory();
    let found =
        files::read(path, print::has_colours()).map_err(|text| give_up(Exit::Usage, text.trim_end()))?;
    telemetry::start_logging(&found.config.log);
    telemetry::report_panics();
    if let Err(error) = threads::spare(THREADS) {
        let why = format!(
            "cannot start {THREADS} more threads: {}; nothing was sent. Raise the process limit of this user or \
             unit (ulimit -u, TasksMax=, the pids limit of a container), or end what uses it up, and start again",
            cause(&error)
        );
        return Err(give_up(Exit::Failed, &why));
    }
    reap::become_reaper();
    reap::keep_descriptors();
    if !found.warnings.is_empty() {
        tracing::warn!("the configuration has warnings:\n{}", found.warnings.trim_end());
    }
    Ok(found)
}

/// Reports why a start or a command fails: in the journal as an error, since a unit's plain lines go unread.
pub(super) fn give_up(exit: Exit, text: &str) -> Exit {
    if telemetry::is_journal() {
        telemetry::start_logging(&Log::default());
        tracing::error!("{text}");
    } else {
        print_error(text);
    }
    exit
}

pub(super) fn listen_to_signals(sender: Inbox) -> Result<(), Exit> {
    signal::listen(sender)
        .map_err(|error| give_up(Exit::Failed, &format!("cannot handle signals: {}", cause(&error))))
}
