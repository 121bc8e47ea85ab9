//! Resident memory of a daemon whose orders were all asked once and wait.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::setting::Setting;
use super::{Counts, Found, quiet};
use crate::mock::Manner;
use crate::site::Plan;

pub(super) fn count(binary: &Path) -> Counts {
    let [few, _] = run(binary, 10)?;
    let [many, restarted] = run(binary, 10_000)?;
    let found = [("memory-10", few), ("memory-10000", many), ("memory-10000-restarted", restarted)];
    Ok(BTreeMap::from_iter(found.map(|(name, size)| (name, Found::Count(size)))))
}

/// KiB after all were asked, and after a restart.
fn run(binary: &Path, orders: u64) -> Result<[f64; 2], String> {
    let plan = Plan { call_gap: "0s".into(), ..Plan::idle(orders) };
    let setting = Setting::new(&plan, Manner::default())?;
    let mut daemon = setting.start(binary, &[])?;
    daemon.until_polled(orders)?;
    let pid = daemon.pid();
    quiet::settled(pid)?;
    let fresh = resident(pid)?;
    daemon.stop()?;
    let mut daemon = setting.start(binary, &[])?;
    daemon.until_up(2)?;
    let pid = daemon.pid();
    quiet::settled(pid)?;
    let restarted = resident(pid)?;
    daemon.stop()?;
    Ok([fresh, restarted])
}

/// VmRSS, KiB.
fn resident(pid: u32) -> Result<f64, String> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok());
    number.ok_or_else(|| format!("{path} has no VmRSS"))
}
