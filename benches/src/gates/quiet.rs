//! A minute of a daemon that was started again while nothing is due.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::setting::{self, Setting};
use super::{Counts, Found};
use crate::clock;
use crate::mock::Manner;
use crate::site::Plan;

const LOOK: Duration = Duration::from_secs(60);

pub(super) fn count(binary: &Path) -> Counts {
    let plan = Plan { call_gap: "0s".into(), ..Plan::idle(10) };
    let setting = Setting::new(&plan, Manner::default())?;
    let mut daemon = setting.start(binary, &[])?;
    daemon.until_polled(plan.orders)?;
    settled(daemon.pid())?;
    daemon.stop()?;
    let asked = calls(&setting);
    let mut daemon = setting.start(binary, &[])?;
    daemon.until_up(2)?;
    settled(daemon.pid())?;
    let before = wake_ups(daemon.pid())?;
    thread::sleep(LOOK);
    let after = wake_ups(daemon.pid())?;
    // A thread that has ended meanwhile was one for work.
    let woken =
        after.iter().map(|(thread, now)| now - before.get(thread).copied().unwrap_or_default()).sum::<u64>();
    daemon.stop()?;
    let found = [("restart-calls", calls(&setting) - asked), ("wake-ups", woken)];
    Ok(BTreeMap::from_iter(found.map(|(name, count)| (name, Found::Count(count as f64)))))
}

fn calls(setting: &Setting) -> u64 {
    let totals = setting.mock.totals();
    totals.polls + totals.side_calls
}

/// Waits until a process has had nothing to do for two seconds.
pub(super) fn settled(pid: u32) -> Result<(), String> {
    const CALM: Duration = Duration::from_secs(2);
    let (mut seen, mut since) = (wake_ups(pid)?, clock::now());
    setting::until("the daemon is idle", || {
        let now = wake_ups(pid)?;
        if now != seen {
            (seen, since) = (now, clock::now());
        }
        Ok(clock::now().since(since) > CALM)
    })
}

/// How often each thread of a process has gone to sleep, and so was woken.
fn wake_ups(pid: u32) -> Result<BTreeMap<u32, u64>, String> {
    let problem = |error: std::io::Error| format!("the threads of the daemon: {error}");
    let mut threads = BTreeMap::new();
    for thread in fs::read_dir(format!("/proc/{pid}/task")).map_err(problem)? {
        let thread = thread.map_err(problem)?;
        // One that has ended meanwhile has none.
        let Ok(status) = fs::read_to_string(thread.path().join("status")) else { continue };
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        let number = line.and_then(|number| number.trim().parse().ok()).unwrap_or_default();
        threads.insert(thread.file_name().to_string_lossy().parse().unwrap_or_default(), number);
    }
    Ok(threads)
}
