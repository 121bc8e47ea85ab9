//! `[rehearsal]`.

use std::time::Duration;

use crate::config::parse::reader::Table;
use crate::config::value::{DURATION_HELP, LONGEST, duration};

/// Shortest period: a reload each second is more than any server is asked for.
const SHORTEST: Duration = Duration::from_secs(1);

pub(crate) fn every(table: &Table<'_>) -> Option<Duration> {
    let help = "how often, such as every = \"30d\"";
    table.need("every", help)?.parse(DURATION_HELP, |text| duration(text, SHORTEST, LONGEST))
}
