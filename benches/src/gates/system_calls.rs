//! System calls, syncs, renames and bytes of pending polls: differences of runs of different length.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::setting::Setting;
use super::{Counts, Found, strace};
use crate::mock::Manner;
use crate::site::Plan;
use crate::trace::Calls;

/// How many orders are few, and many.
const FEW: u64 = 100;
const MANY: u64 = 2_000;
/// Polls of the shorter and of the longer run. Each order was asked before: the first answer costs a line of history.
const SHORT: u64 = MANY + 200;
const LONG: u64 = SHORT + 2_000;

pub(super) fn count(binary: &Path) -> Counts {
    let names =
        ["poll-system-calls", "poll-syncs", "poll-renames", "poll-bytes", "poll-bytes-2000", "connections"];
    if let Some(why) = strace::missing() {
        return Ok(names.map(|name| (name, Found::Skipped(why.clone()))).into());
    }
    let few = [run(binary, FEW, SHORT)?, run(binary, FEW, LONG)?];
    let many = [run(binary, MANY, SHORT)?, run(binary, MANY, LONG)?];
    let each = |[short, long]: [Run; 2], of: fn(Calls) -> u64| long.calls.per_poll(short.calls, of);
    let found = [
        each(few, |calls| calls.calls - calls.waits),
        each(few, |calls| calls.syncs),
        each(few, |calls| calls.renames),
        each(few, |calls| calls.state_bytes),
        each(many, |calls| calls.state_bytes),
        few[1].connections as f64,
    ];
    Ok(BTreeMap::from_iter(names.into_iter().zip(found.map(Found::Count))))
}

#[derive(Clone, Copy)]
struct Run {
    calls: Calls,
    connections: u64,
}

fn run(binary: &Path, orders: u64, polls: u64) -> io::Result<Run> {
    let setting = Setting::new(&Plan::waiting(orders), Manner::default())?;
    let mut daemon = setting.start(binary, &strace::words(&setting))?;
    daemon.until_polled(&setting.mock, polls)?;
    Ok(Run { calls: strace::stop(&setting, daemon)?, connections: setting.mock.totals().connections })
}
