//! `fleet`: what an operator sees of a fleet, and does.
//!
//! | command | goes to |
//! | --- | --- |
//! | `status`, `forget` | the store itself; `status` asks the daemon of this host for what only that knows |
//! | `step-down`, `go`, `hold`, `skip`, `accept-restore` | the daemon of this host |
//! | `import`, `export` | the store and the state of this host, while no daemon runs |
//! | `grant` | nobody: it prints what an administrator of the store runs |

pub mod grant;
pub mod hosts;
pub mod moving;
pub mod status;

use std::path::Path;
use std::sync::Arc;

use super::exit::Exit;
use super::load::load;
use super::order;
use super::print::fail;
use crate::fleet::member;
use certcollectd_core::config::Config;
use certcollectd_core::config::fleet::Fleet;
use certcollectd_core::engine::command::{Command, FleetCommand};

/// The configuration of a host in a fleet, and its name there.
fn member(path: &Path) -> Result<(Arc<Config>, Fleet, Box<str>), Exit> {
    let config = load(path)?.config;
    let why = || format!("this host belongs to no fleet: {} has no [fleet]", path.display());
    let fleet = config.fleet.clone().ok_or_else(|| fail(Exit::Usage, &why()))?;
    let name = member::name(&fleet).map_err(|why| fail(Exit::Usage, &why))?;
    Ok((config, fleet, name))
}

/// `step-down`, `go`, `hold`, `skip`, `accept-restore`.
pub fn command(path: &Path, command: FleetCommand, json: bool) -> Result<(), Exit> {
    member(path)?;
    order::command(path, Command::Fleet(command), json)
}
