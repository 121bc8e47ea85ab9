//! From the start of the program to its first poll, and how long commands take.

use std::io;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::bench::{Bench, Place};
use crate::clock;
use crate::daemon::Daemon;
use crate::figure::Figure;
use crate::mock::{Manner, Mock};
use crate::site::{Plan, Site};

/// In turn, in each round; the best is what neither the machine nor a poll has disturbed.
const TRIES: u32 = 5;

pub(super) fn run(bench: &Bench) -> io::Result<Vec<Figure>> {
    let mock = bench.mock(Manner::default())?;
    let (mut few, mut check, mut status) = (vec![], vec![], vec![]);
    for _ in 0..2 * bench.rounds() {
        let site = bench.site(Place::Disk, &mock, &Plan::idle(10))?;
        mock.reset();
        let mut daemon = bench.daemon(&site)?;
        daemon.until_polled(&mock, 1)?;
        let first = mock.counts(|counts| counts.first_poll).unwrap_or_default();
        few.push(first.since(daemon.started).as_secs_f64() * 1e3);
        let (mut least_check, mut least_status) = (f64::INFINITY, f64::INFINITY);
        for _ in 0..TRIES {
            least_check = least_check.min(command(bench, &mut daemon, "check", &site)?);
            least_status = least_status.min(command(bench, &mut daemon, "status", &site)?);
        }
        check.push(least_check);
        status.push(least_status);
        daemon.stop()?;
    }
    let many = bench.many(100_000, 10_000);
    let (mut fresh, mut known) = (vec![], vec![]);
    for _ in 0..bench.rounds().min(3) {
        let [first, second] = twice(bench, &mock, many)?;
        fresh.push(first);
        known.push(second);
    }
    let goal = |goal: f64| (many == 100_000).then_some(goal);
    Ok(vec![
        Figure::new("start to first poll, 10 orders", 15.0, "ms", few),
        Figure::new(format!("start to first poll, {many} orders, fresh"), goal(0.3), "CPU-s", fresh),
        Figure::new("the same, with its state and a new interval", goal(0.45), "CPU-s", known),
        Figure::new("check, 10 orders, best of a round", 10.0, "ms", check),
        Figure::new("status, 10 orders, best of a round", 10.0, "ms", status),
    ])
}

/// Milliseconds of a command beside a daemon that rests: an answer to an earlier one is over and done with.
fn command(bench: &Bench, daemon: &mut Daemon, name: &str, site: &Site) -> io::Result<f64> {
    daemon.until_calm(Duration::from_millis(100))?;
    let begin = clock::now();
    let mut command = Command::new(&bench.program);
    command
        .args([name, "--config"])
        .arg(&site.config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let status = command.status()?;
    let took = clock::now().since(begin).as_secs_f64() * 1e3;
    // 1 is a finding: warnings are no concern here.
    if status.code().is_some_and(|code| code <= 1) {
        Ok(took)
    } else {
        Err(io::Error::other(format!("{name}: {status}")))
    }
}

/// CPU seconds until the first poll: of a first start, and of one with its state and another interval.
fn twice(bench: &Bench, mock: &Mock, orders: u64) -> io::Result<[f64; 2]> {
    let folder = bench.folder(Place::Memory)?;
    let start = |plan: &Plan| {
        let site = Site::write(&folder, &mock.files, plan)?;
        mock.reset();
        let mut daemon = bench.daemon(&site)?;
        daemon.until_polled(mock, 1)?;
        let cpu = daemon.cpu()?.as_secs_f64();
        daemon.stop()?;
        Ok::<_, io::Error>(cpu)
    };
    Ok([start(&Plan::idle(orders))?, start(&Plan { call_gap: "10s".into(), ..Plan::waiting(orders) })?])
}
