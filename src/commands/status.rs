//! `status`: what the state file says, whether or not the daemon runs.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::block_on::block_on;
use super::exit::Exit;
use super::load::{load_some, read_state, shown};
use super::print::{fail, print};
use super::socket;
use super::unknown::unknown_order;
use crate::effects::store::error::StoreError;
use crate::effects::store::presence;
use crate::sources::clock;
use crate::sources::files::InvalidConfig;
use crate::status::{Screen, Status, Verdict, verdict};
use crate::terminal;
use certcollectd_core::config::Config;
use certcollectd_core::engine::loaded::Loaded;
use certcollectd_core::engine::vitals::Vitals;

pub fn status(path: &Path, name: Option<&str>, json: bool) -> Result<(), Exit> {
    let (config, invalid) = load_some(path)?;
    let (status, exit) = look(&config, invalid.as_ref(), name).map_err(|(exit, why)| fail(exit, &why))?;
    print(&if json { status.json() } else { in_words(&status, name, &screen()) });
    exit
}

/// `status --nagios`.
pub fn nagios(path: &Path, name: Option<&str>) -> Result<(), Exit> {
    let unknown = |why: &str| {
        print(&format!("CERTCOLLECTD UNKNOWN - {why}"));
        Exit::Unknown
    };
    let (config, invalid) = load_some(path)
        .map_err(|_| unknown("the configuration cannot be read; `certcollectd check` says why"))?;
    let status = read(&config).map_err(|trouble| match trouble {
        Trouble::Lost(why) => {
            print(&format!("CERTCOLLECTD CRITICAL - {why}"));
            Exit::Critical
        }
        Trouble::Unread(why) => unknown(&why),
    })?;
    let status = status.ok_or_else(|| {
        let dir = config.state_dir.display();
        unknown(&format!("the daemon has never run here: there is no state in {dir}"))
    })?;
    let status = narrowed(status, invalid.as_ref(), name).map_err(|why| fail(Exit::Unknown, &why))?;
    let (verdict, line) = verdict(&status);
    // Only a critical finding is worse than an incomplete screen.
    if let Some(invalid) = invalid.filter(|_| !matches!(verdict, Verdict::Critical)) {
        return Err(unknown(&format!("the configuration is invalid: {}", invalid.first)));
    }
    print(&line);
    match verdict {
        Verdict::Ok => Ok(()),
        Verdict::Warning => Err(Exit::Warning),
        Verdict::Critical => Err(Exit::Critical),
    }
}

pub(super) fn in_words(status: &Status, name: Option<&str>, screen: &Screen) -> String {
    if name.is_some() { status.details(screen) } else { status.table(screen) }
}

/// What standard output shows.
pub(super) fn screen() -> Screen {
    let size = terminal::size(&io::stdout());
    Screen {
        columns: size.map(|size| size.columns),
        rows: size.map(|size| size.rows),
        colours: terminal::has_colours(&io::stdout()),
    }
}

/// What is shown, and how the command ends then.
pub(super) type Shown = (Status, Result<(), Exit>);

/// Why nothing is shown.
pub(super) type Failure = (Exit, String);

pub(super) fn look(
    config: &Arc<Config>,
    invalid: Option<&InvalidConfig>,
    name: Option<&str>,
) -> Result<Shown, Failure> {
    let status = read(config).map_err(|(Trouble::Lost(why) | Trouble::Unread(why))| (Exit::Failed, why))?;
    // Where no daemon ever ran, every order waits to be asked about.
    let status = status.unwrap_or_else(|| Status::new(config, &Loaded::default(), clock::now()));
    let status = narrowed(status, invalid, name).map_err(|why| (Exit::Usage, why))?;
    let exit = shown(status.state_lost.as_ref(), invalid);
    Ok((status, exit))
}

/// Narrowed to the requested order, or why it is unknown.
fn narrowed(
    mut status: Status,
    invalid: Option<&InvalidConfig>,
    name: Option<&str>,
) -> Result<Status, String> {
    if invalid.is_some() {
        // They may be in the part that cannot be read, and a running daemon still guards them.
        status.absent.clear();
    }
    let Some(name) = name else { return Ok(status) };
    if !status.has(name) {
        return Err(unknown_order(invalid, name, status.orders.iter().map(|order| &*order.name)));
    }
    status.keep(name);
    Ok(status)
}

/// Why there is no status.
enum Trouble {
    /// The state was removed from under a running daemon.
    Lost(String),
    Unread(String),
}

/// What the state file says, if there is one.
fn read(config: &Arc<Config>) -> Result<Option<Status>, Trouble> {
    let lost = presence::complaint(&config.state_dir);
    match (read_file(config), lost) {
        // What is there, if anything, was not written by the running daemon.
        (Ok(None) | Err(_), Some(why)) => Err(Trouble::Lost(why)),
        (Err(why), None) => Err(Trouble::Unread(why.to_string())),
        (Ok(None), None) => Ok(None),
        (Ok(Some(mut status)), lost) => {
            status.state_lost = lost;
            Ok(Some(status))
        }
    }
}

fn read_file(config: &Arc<Config>) -> Result<Option<Status>, StoreError> {
    let now = clock::now();
    let Some((_, config, loaded)) = read_state(config, now)? else { return Ok(None) };
    let status = Status::new(&config, &loaded, now);
    Ok(Some(match block_on(socket::ping(&config.state_dir)) {
        Ok(Some(Ok(vitals))) => status.with(&vitals),
        Ok(Some(Err(why))) => status.with(&Vitals { findings: [why].into(), ..Vitals::default() }),
        // No daemon is running, or it belongs to another user.
        Ok(None) | Err(_) => status,
    }))
}
