//! What was found, with help where there is any.

use crate::config::file::Level;
use crate::config::locate::{Finding, Key};

pub(super) fn finding(level: Level, about: Option<Key>, message: String, help: &str) -> Finding {
    Finding { level, message, about, help: (!help.is_empty()).then(|| help.to_owned()) }
}
