//! A name that is not configured.

use crate::sources::files::InvalidConfig;
use certcollectd_core::api::Untrusted;

/// The message, with the names that are.
pub(super) fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> String {
    const SHOWN: usize = 20;
    let known: Vec<&str> = known.collect();
    let more = match known.len().checked_sub(SHOWN) {
        Some(more @ 1..) => format!(" and {more} more"),
        _ => String::new(),
    };
    let known = match &known[..known.len().min(SHOWN)] {
        [] => "there are none".to_owned(),
        shown => format!("there are: {}{more}", shown.join(", ")),
    };
    format!("no {what} named {} is configured; {known}", Untrusted::new(name))
}

/// As [`unknown`], where the order may stand in a part of the configuration that cannot be read.
pub(super) fn unknown_order<'a>(
    invalid: Option<&InvalidConfig>,
    name: &str,
    known: impl Iterator<Item = &'a str>,
) -> String {
    match invalid {
        Some(_) => format!("it has no readable entry for an order named {}", Untrusted::new(name)),
        None => unknown("order", name, known),
    }
}
