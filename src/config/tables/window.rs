//! `[[window]]`, and `freeze` at the top of the file.

use std::sync::Arc;

use crate::config::parse::diagnostic::{Diagnostic, Span};
use crate::config::parse::reader::{Item, Table};
use crate::config::value::{InvalidValue, did_you_mean, refuse, refuse_if, shown};
use certcollectd_core::config::{Clock, Day, Freeze, FreezeError, Window, Zone};

const CLOCK_HELP: &str = "a time of the day as text, such as \"02:00\"";
const DAYS_HELP: &str = "a list of days, such as days = [\"mon\", \"tue\"]";
const ZONE_HELP: &str = "a name of the IANA database, such as timezone = \"Europe/Berlin\" or \"UTC\"";
const FREEZE_HELP: &str = "the first and the last day, such as freeze = [\"2026-12-18/2027-01-04\"]";

/// A window as written.
pub(crate) struct Draft {
    pub(crate) name: Arc<str>,
    pub(crate) name_at: Span,
    /// Nothing where something of it cannot be read.
    pub(crate) window: Option<Window>,
}

/// Nothing where its name cannot be read.
pub(crate) fn window(table: &Table<'_>) -> Option<Draft> {
    let (name, name_at) = table.name("a name of your own, such as name = \"night\"; orders refer to it");
    let days = days(table);
    let from = table.need("from", CLOCK_HELP).and_then(|item| item.parse(CLOCK_HELP, from));
    let to = table.need("to", CLOCK_HELP).and_then(|item| Some((item.parse(CLOCK_HELP, clock)?, item.at)));
    let zone = table.need("timezone", ZONE_HELP).and_then(|item| item.parse(ZONE_HELP, zone));
    if let (Some(from), Some((to, at))) = (from, to)
        && from == to
    {
        Diagnostic::error("`to` is the same as `from`", at)
            .help("a whole day is from = \"00:00\" and to = \"24:00\"")
            .add_to(table.diagnostics());
        return Some(Draft { name: name?, name_at, window: None });
    }
    let name = name?;
    let window = || Some(Window { name: name.clone(), days: days?, from: from?, to: to?.0, zone: zone? });
    Some(Draft { window: window(), name, name_at })
}

/// Every day, where none is written.
fn days(table: &Table<'_>) -> Option<Vec<Day>> {
    let Some(item) = table.get("days") else { return Some(Day::ALL.to_vec()) };
    let words = Day::ALL.map(|day| (day.as_str(), day));
    let mut read = 0;
    let days = item.list(DAYS_HELP, |element| {
        read += 1;
        element.word(&words)
    });
    if item.is_empty_list() {
        item.refuse("is an empty list", "omit it for every day");
    }
    (!days.is_empty() && item.elements().is_some_and(|elements| elements.len() == read)).then_some(days)
}

fn clock(text: &str) -> Result<Clock, InvalidValue> {
    Clock::read(text)
        .ok_or_else(|| InvalidValue::new("is not a time from \"00:00\" to \"24:00\"", CLOCK_HELP))
}

fn from(text: &str) -> Result<Clock, InvalidValue> {
    let from = clock(text)?;
    refuse_if(from.is_end_of_day(), "is the end of a day", "write \"00:00\", and the day on which that is")?;
    Ok(from)
}

fn zone(text: &str) -> Result<Zone, InvalidValue> {
    Zone::named(text).ok_or_else(|| {
        let meant = did_you_mean(text, Zone::names());
        InvalidValue::new(
            format!("is not a known time zone: {}", shown(text)),
            format!("{meant} {ZONE_HELP}").trim_start(),
        )
    })
}

/// `freeze`.
pub(crate) fn freezes(item: &Item<'_>) -> Vec<Freeze> {
    item.list(FREEZE_HELP, |element| element.parse(FREEZE_HELP, freeze))
}

fn freeze(text: &str) -> Result<Freeze, InvalidValue> {
    Freeze::read(text).or_else(|error| match error {
        FreezeError::NotTwoDays => refuse("is not two days with a slash between them", FREEZE_HELP),
        FreezeError::NoSuchDay => refuse("has a day that does not exist", FREEZE_HELP),
        FreezeError::Backwards => refuse("ends before it begins", FREEZE_HELP),
    })
}

/// Windows that no order names do nothing, which is seldom meant.
pub(crate) fn unused(draft: &Draft) -> Diagnostic {
    Diagnostic::warning(format!("no order uses the window `{}`", draft.name), draft.name_at)
        .help(format!("add windows = [\"{}\"] to the orders that it is for, or to [defaults]", draft.name))
}
