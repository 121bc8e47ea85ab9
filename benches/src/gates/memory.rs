//! Resident memory of a daemon whose orders were all asked once and wait.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::setting::Setting;
use super::{Counts, Found};
use crate::mock::Manner;
use crate::process;
use crate::site::Plan;

pub(super) fn count(binary: &Path) -> Counts {
    let [few, _] = run(binary, 10)?;
    let [many, restarted] = run(binary, 10_000)?;
    let found = [("memory-10", few), ("memory-10000", many), ("memory-10000-restarted", restarted)];
    Ok(BTreeMap::from_iter(found.map(|(name, size)| (name, Found::Count(size)))))
}

/// KiB after all were asked, and after a restart.
fn run(binary: &Path, orders: u64) -> io::Result<[f64; 2]> {
    let plan = Plan { call_gap: "0s".into(), ..Plan::idle(orders) };
    let setting = Setting::new(&plan, Manner::default())?;
    let mut daemon = setting.start(binary, &[])?;
    daemon.until_polled(&setting.mock, orders)?;
    daemon.until_idle()?;
    let fresh = process::resident(daemon.pid())? as f64;
    daemon.stop()?;
    let mut daemon = setting.start(binary, &[])?;
    daemon.until_up(2)?;
    daemon.until_idle()?;
    let restarted = process::resident(daemon.pid())? as f64;
    daemon.stop()?;
    Ok([fresh, restarted])
}
