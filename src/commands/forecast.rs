//! `forecast`: what will happen when, from the configuration and the state file, whether or not the daemon runs.

use std::path::Path;

use super::exit::Exit;
use super::load::{load_some, read_state, shown};
use super::print::{fail, print, print_error};
use super::status::screen;
use crate::effects::store::presence;
use crate::sources::clock;
use crate::status::{forecast_json, forecast_text};
use certcollectd_core::engine::loaded::Loaded;
use certcollectd_core::forecast;

pub fn forecast(path: &Path, json: bool) -> Result<(), Exit> {
    let (config, invalid) = load_some(path)?;
    let now = clock::now();
    let lost = presence::complaint(&config.state_dir);
    if let Some(why) = &lost {
        print_error(why);
    }
    let state = read_state(&config, now).map_err(|error| fail(Exit::Failed, &error.to_string()))?;
    let (config, loaded) = match state {
        Some((_, config, loaded)) => (config, loaded),
        None if lost.is_some() => return Err(Exit::Failed),
        // The daemon never ran here.
        None => (config, Loaded::default()),
    };
    let forecast = forecast::forecast(&config, &loaded, now);
    print(&if json { forecast_json(&forecast) } else { forecast_text(&forecast, &screen()) });
    shown(lost.as_ref(), invalid.as_ref())
}
