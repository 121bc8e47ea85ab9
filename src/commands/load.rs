//! The configuration as a command needs it: valid, or as much of it as can be read.

use std::path::Path;
use std::sync::Arc;

use super::exit::Exit;
use super::print::{self, fail, print_error};
use crate::effects::store::error::StoreError;
use crate::effects::store::load::Reader;
use crate::sources::control;
use crate::sources::files::{self, InvalidConfig, LoadedConfig};
use certcollectd_core::config::Config;
use certcollectd_core::engine::adopted::joined;
use certcollectd_core::engine::loaded::Loaded;
use certcollectd_core::engine::time::Now;

/// Reads the configuration, or reports what is wrong with it.
pub(super) fn load(config: &Path) -> Result<LoadedConfig, Exit> {
    files::read(config, print::has_colours()).map_err(|text| fail(Exit::Usage, text.trim_end()))
}

/// Reads the configuration for commands that only show the state. Reports what is wrong with it,
/// and returns the readable part nevertheless, with the reason.
pub(super) fn load_some(config: &Path) -> Result<(Arc<Config>, Option<InvalidConfig>), Exit> {
    let mut invalid = match files::read_some(config, print::has_colours()) {
        Ok(found) => return Ok((found.config, None)),
        Err(invalid) => invalid,
    };
    print_error(invalid.text.trim_end());
    let Some(remains) = invalid.remains.take().filter(|config| Reader::exists(&config.state_dir)) else {
        return Err(Exit::Usage);
    };
    let served = if control::is_served(&remains.state_dir) {
        "a daemon is running, with the last valid configuration"
    } else {
        "no daemon is running"
    };
    print_error(&format!(
        "\nthe configuration is invalid ({served}); below is what the state in {} says about the entries that can be read",
        remains.state_dir.display()
    ));
    Ok((remains, Some(invalid)))
}

/// What the state file holds, and the configuration with what follows from it; nothing where no daemon ever ran.
pub(super) fn read_state(
    config: &Arc<Config>,
    now: Now,
) -> Result<Option<(Reader, Arc<Config>, Loaded)>, StoreError> {
    let Some(reader) = Reader::open(&config.state_dir)? else { return Ok(None) };
    let mut loaded = reader.load(now)?;
    loaded.follow_renames(config);
    let config = joined(config, &loaded.adopted);
    Ok(Some((reader, config, loaded)))
}

/// How a command ends that has shown the state.
pub(super) fn shown(lost: Option<&String>, invalid: Option<&InvalidConfig>) -> Result<(), Exit> {
    match (lost, invalid) {
        (Some(_), _) => Err(Exit::Failed),
        (None, Some(_)) => Err(Exit::Usage),
        (None, None) => Ok(()),
    }
}
