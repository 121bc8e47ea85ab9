//! One file for each subcommand, and for what several of them need.

mod asked;
pub mod check;
#[cfg(feature = "sandbox")]
pub mod demo;
pub mod doctor;
pub mod domains;
pub mod exit;
pub mod explain;
pub mod generate;
pub mod health;
mod lookout;
pub mod order;
pub mod print;
pub mod run;
#[cfg(feature = "sandbox")]
pub mod sandbox;
pub mod smime;
mod socket;
pub mod status;

use std::future::Future;
use std::path::Path;
use std::sync::Arc;

use tokio::runtime::Builder;
use tokio::task::LocalSet;

use self::exit::Exit;
use self::print::{fail, print, print_error};
use crate::config::Config;
use crate::effects::errno::cause;
use crate::effects::store::load::Reader;
use crate::engine;
use crate::sources::control;
use crate::sources::files::{self, Found};

/// Reads the configuration, or says what is wrong with it.
fn load(config: &Path) -> Result<Found, Exit> {
    files::read(config, print::has_colours()).map_err(|text| fail(Exit::Usage, text.trim_end()))
}

/// Reads the configuration for those who only show how things stand. What is wrong with it is said, and what can be
/// made out of it is given back all the same, with the flaw.
fn load_some(config: &Path) -> Result<(Arc<Config>, Option<Flaw>), Exit> {
    let unsound = match files::read_some(config, print::has_colours()) {
        Ok(found) => return Ok((found.config, None)),
        Err(unsound) => unsound,
    };
    print_error(unsound.text.trim_end());
    let Some(remains) = unsound.remains.filter(|config| Reader::exists(&config.state_dir)) else {
        return Err(Exit::Usage);
    };
    let served = if control::is_served(&remains.state_dir) {
        "a daemon runs, with the configuration as it was when it was last sound"
    } else {
        "no daemon runs"
    };
    print_error(&format!(
        "\nthe configuration is not sound ({served}); what follows is what the state in {} says of the entries that can be read",
        remains.state_dir.display()
    ));
    Ok((remains, Some(Flaw { first: unsound.first })))
}

/// Nothing can be said of an order.
fn unreadable(name: &str) -> String {
    format!("no entry of an order named {} can be read in it", crate::api::Foreign::new(name))
}

/// That a configuration is not sound.
struct Flaw {
    /// The first of its problems, in one line.
    first: String,
}

/// The configuration with the orders that were adopted after a replacement. A state that cannot be read is
/// said where it is needed.
fn with_adopted(config: &Arc<Config>) -> Arc<Config> {
    let reader = Reader::open(&config.state_dir).ok().flatten();
    let adopted = reader.and_then(|reader| reader.adopted().ok()).unwrap_or_default();
    engine::joined(config, &adopted)
}

/// Runs a future on the one thread that the daemon has.
fn block_on<T>(future: impl Future<Output = T>) -> Result<T, Exit> {
    let built = Builder::new_current_thread().enable_io().enable_time().build();
    let runtime = built.map_err(|error| {
        let cause = cause(&error);
        let why = format!("the system does not give what a process needs to wait for anything: {cause}");
        fail(Exit::Failed, &why)
    })?;
    let local = LocalSet::new();
    let result = local.block_on(&runtime, future);
    // A hanging name lookup must not delay the exit.
    runtime.shutdown_background();
    Ok(result)
}
