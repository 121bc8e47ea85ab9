//! Syncs and renames of an install: the difference of runs with few and with more orders that are issued.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::setting::Setting;
use super::{Counts, Found, strace};
use crate::mock::Manner;
use crate::site::Plan;
use crate::trace::Calls;

const FEW: u64 = 2;
const MORE: u64 = 12;

pub(super) fn count(binary: &Path) -> Counts {
    let names = ["install-syncs", "install-renames"];
    if let Some(why) = strace::missing() {
        return Ok(names.map(|name| (name, Found::Skipped(why.clone()))).into());
    }
    let (few, more) = (run(binary, FEW)?, run(binary, MORE)?);
    let each = |more: u64, few: u64| Found::Count(more.saturating_sub(few) as f64 / (MORE - FEW) as f64);
    let found = [each(more.syncs, few.syncs), each(more.renames, few.renames)];
    Ok(BTreeMap::from_iter(names.into_iter().zip(found)))
}

fn run(binary: &Path, orders: u64) -> io::Result<Calls> {
    // Each order's install is over before the next one is asked for: no save is shared, and no run of the hook.
    let plan =
        Plan { interval: "3h".into(), call_gap: "500ms".into(), merge: false, ..Plan::installing(orders) };
    let setting = Setting::new(&plan, Manner { ready_after: Some(0), ..Manner::default() })?;
    let mut daemon = setting.start(binary, &strace::words(&setting))?;
    daemon.until("all hooks have run", |daemon| Ok(daemon.said("(installed): done") as u64 >= orders))?;
    strace::stop(&setting, daemon)
}
