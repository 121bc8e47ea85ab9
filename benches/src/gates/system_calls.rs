//! System calls, syncs, renames and bytes of pending polls: differences of runs of different length.

use std::collections::BTreeMap;
use std::path::Path;

use super::setting::Setting;
use super::strace::{self, Scope, Trace};
use super::{Counts, Found};
use crate::mock::Manner;
use crate::site::Plan;

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
    let few = difference(binary, FEW, Scope::All)?;
    let many = difference(binary, MANY, Scope::Writes)?;
    let found = [
        few.trace.calls,
        few.trace.syncs,
        few.trace.renames,
        few.trace.state_bytes,
        many.trace.state_bytes,
        few.connections,
    ];
    Ok(BTreeMap::from_iter(names.into_iter().zip(found.map(Found::Count))))
}

struct Difference {
    /// Of one poll.
    trace: Trace,
    /// Of the longer run.
    connections: f64,
}

fn difference(binary: &Path, orders: u64, scope: Scope) -> Result<Difference, String> {
    let (short, begun, _) = run(binary, orders, scope, SHORT)?;
    let (long, ended, connections) = run(binary, orders, scope, LONG)?;
    let polls = (ended - begun) as f64;
    Ok(Difference { trace: long.each(short, polls), connections: connections as f64 })
}

/// What was traced, in so many polls over so many connections.
fn run(binary: &Path, orders: u64, scope: Scope, polls: u64) -> Result<(Trace, u64, u64), String> {
    let setting = Setting::new(&Plan::waiting(orders), Manner::default())?;
    let mut daemon = setting.start(binary, &strace::words(&setting, scope))?;
    let pid = daemon.pid();
    daemon.until_polled(polls)?;
    daemon.stop()?;
    let totals = setting.mock.totals();
    Ok((strace::read(&setting, pid)?, totals.polls, totals.connections))
}
