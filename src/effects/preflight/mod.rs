//! Checks for what would fail later or should not be so, made by `check` and at each start. Nothing is
//! changed.

mod exposed;
mod eyes;
mod listeners;
mod programs;
mod service;
mod way;

use std::path::Path;

use crate::config::file::Level;
use crate::config::locate::{Finding, Key};
use certcollectd_core::config::Config;

pub use eyes::User;
pub use listeners::taken as taken_ports;
pub use service::{SYSTEMD, service};

/// What stands in the way of installation, programs that cannot start, and files that others may change. `files` are
/// those of the configuration; `service` is the user that the daemon runs as.
pub fn look(config: &Config, files: &[&Path], service: &User) -> Vec<Finding> {
    let mut found = Vec::new();
    way::look(config, files, &mut found);
    programs::look(config, service, &mut found);
    exposed::look(config, files, service, &mut found);
    found
}

/// What the current user may do and the daemon's user may not.
pub fn look_as(config: &Config, files: &[&Path], service: &User) -> Vec<Finding> {
    let mut found = Vec::new();
    eyes::look(config, files, service, &mut found);
    found
}

fn finding(level: Level, about: Option<Key>, message: String, help: &str) -> Finding {
    Finding { level, message, about, help: (!help.is_empty()).then(|| help.to_owned()) }
}

#[cfg(test)]
mod tests;
