//! A minute of a daemon that was started again while nothing is due.

use std::collections::BTreeMap;
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::setting::Setting;
use super::{Counts, Found};
use crate::mock::Manner;
use crate::process;
use crate::site::Plan;

const LOOK: Duration = Duration::from_secs(60);

pub(super) fn count(binary: &Path) -> Counts {
    let plan = Plan { call_gap: "0s".into(), ..Plan::idle(10) };
    let setting = Setting::new(&plan, Manner::default())?;
    let mut daemon = setting.start(binary, &[])?;
    daemon.until_polled(&setting.mock, plan.orders)?;
    daemon.until_idle()?;
    daemon.stop()?;
    let asked = calls(&setting);
    let mut daemon = setting.start(binary, &[])?;
    daemon.until_up(2)?;
    daemon.until_idle()?;
    let before = process::sleeps(daemon.pid())?;
    thread::sleep(LOOK);
    let woken = process::woken(&before, &process::sleeps(daemon.pid())?);
    daemon.stop()?;
    let found = [("restart-calls", calls(&setting) - asked), ("wake-ups", woken)];
    Ok(BTreeMap::from_iter(found.map(|(name, count)| (name, Found::Count(count as f64)))))
}

fn calls(setting: &Setting) -> u64 {
    let totals = setting.mock.totals();
    totals.polls + totals.side_calls
}
