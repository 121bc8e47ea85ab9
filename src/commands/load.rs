//! The configuration as a command needs it: sound, or as much of it as can be read.

use std::path::Path;
use std::sync::Arc;

use super::exit::Exit;
use super::print::{self, fail, print_error};
use crate::effects::store::load::Reader;
use crate::sources::control;
use crate::sources::files::{self, InvalidConfig, LoadedConfig};
use certcollectd_core::config::Config;

/// Reads the configuration, or says what is wrong with it.
pub(super) fn load(config: &Path) -> Result<LoadedConfig, Exit> {
    files::read(config, print::has_colours()).map_err(|text| fail(Exit::Usage, text.trim_end()))
}

/// Reads the configuration for those who only show how things stand. What is wrong with it is said,
/// and what can be made out of it is given back all the same, with why it is not sound.
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
        "a daemon runs, with the configuration as it was when it was last sound"
    } else {
        "no daemon runs"
    };
    print_error(&format!(
        "\nthe configuration is not sound ({served}); what follows is what the state in {} says of the entries that can be read",
        remains.state_dir.display()
    ));
    Ok((remains, Some(invalid)))
}
