//! The configuration as a command needs it: sound, or as much of it as can be read.

use std::path::Path;
use std::sync::Arc;

use super::exit::Exit;
use super::print::{self, fail, print_error};
use crate::effects::store::load::Reader;
use crate::sources::control;
use crate::sources::files::{self, Found};
use certcollectd_core::config::Config;

/// Reads the configuration, or says what is wrong with it.
pub(super) fn load(config: &Path) -> Result<Found, Exit> {
    files::read(config, print::has_colours()).map_err(|text| fail(Exit::Usage, text.trim_end()))
}

/// Reads the configuration for those who only show how things stand. What is wrong with it is said,
/// and what can be made out of it is given back all the same, with the flaw.
pub(super) fn load_some(config: &Path) -> Result<(Arc<Config>, Option<Flaw>), Exit> {
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

/// That a configuration is not sound.
pub(super) struct Flaw {
    /// The first of its problems, in one line.
    pub(super) first: String,
}
