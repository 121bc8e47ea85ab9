//! Syncs of a first installation, from the arrival of the "2" to the end of the hook.

use std::io;

use crate::bench::{Bench, Place, has};
use crate::daemon::Daemon;
use crate::figure::Figure;
use crate::mock::Manner;
use crate::site::Plan;
use crate::trace;

/// An answer with certificates has more bytes; one without has fewer.
const LARGE: u64 = 1000;

pub(super) fn run(bench: &Bench) -> io::Result<Vec<Figure>> {
    let what = "syncs from the first \"2\" to the hook's end";
    if !has("strace") {
        return Ok(vec![Figure::skipped(what, "strace is not installed")]);
    }
    let (mut syncs, mut renames) = (Vec::new(), Vec::new());
    // Each in a daemon of its own: polls of other orders have syncs, too.
    for _ in 0..bench.rounds() {
        let mock = bench.mock(Manner { ready_after: Some(1), ..Manner::default() })?;
        let site =
            bench.site(Place::Disk, &mock, &Plan { interval: "10ms".into(), ..Plan::installing(1) })?;
        let path = site.log.join("trace");
        let mut daemon = Daemon::start(&bench.program, &site, &trace::strace(&path))?;
        daemon.until("the hook has run", |daemon| Ok(daemon.said("hook reload (installed): done") > 0))?;
        let pid = daemon.pid();
        daemon.stop()?;
        let (synced, renamed) = count(&trace::complete(&path, pid)?, mock.api.port());
        syncs.extend(synced);
        renames.extend(renamed);
    }
    let numbers = |values: Vec<u64>| values.into_iter().map(|value| value as f64).collect::<Vec<_>>();
    if syncs.is_empty() {
        return Ok(vec![Figure::skipped(what, "the trace shows no installation from beginning to end")]);
    }
    Ok(vec![
        Figure::new(what, 8.0, "", numbers(syncs)),
        Figure::new("renames in that time", None, "", numbers(renames)),
    ])
}

/// Of each installation. The answer is a large read on a connection to the vendor; the hook is a process of its own.
fn count(trace: &str, port: u16) -> (Vec<u64>, Vec<u64>) {
    let vendor = format!("->127.0.0.1:{port}]");
    let (mut syncs, mut renames) = (Vec::new(), Vec::new());
    let mut open: Option<(u64, u64)> = None;
    let mut hook = None;
    for line in trace.lines() {
        let Some((pid, call)) = line.split_once(' ') else { continue };
        let call = call.trim_start();
        let read = call.starts_with("recvfrom(") || call.starts_with("read(");
        if read && call.contains(&vendor) {
            let length = call.rsplit_once("= ").and_then(|(_, length)| length.parse::<u64>().ok());
            if length.is_some_and(|length| length > LARGE) {
                open = Some((0, 0));
            }
        } else if call.starts_with("execve(") && call.contains("/bin/true") {
            hook = Some(pid);
        } else if call.starts_with("+++ exited") && hook == Some(pid) {
            hook = None;
            if let Some((synced, renamed)) = open.take() {
                syncs.push(synced);
                renames.push(renamed);
            }
        } else if let Some((synced, renamed)) = &mut open {
            *synced += u64::from(trace::is_sync(call));
            *renamed += u64::from(call.starts_with("rename"));
        }
    }
    (syncs, renames)
}
