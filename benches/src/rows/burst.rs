//! Many orders are issued at once and share one hook: from the first "2" until all are reloaded.

use std::io;

use crate::bench::{Bench, Place};
use crate::clock::Moment;
use crate::figure::Figure;
use crate::mock::{Manner, Mock};
use crate::site::Plan;

pub(super) fn run(bench: &Bench) -> io::Result<Vec<Figure>> {
    let orders = bench.many(1_000, 200);
    let mut ratios = Vec::new();
    for _ in 0..bench.rounds().min(3) {
        let ready = Manner { ready_after: Some(0), ..Manner::default() };
        let mock = bench.mock(ready)?;
        let bare = bare(bench, &mock, orders)?;
        let mock = bench.mock(ready)?;
        let site =
            bench.site(Place::Disk, &mock, &Plan { interval: "1m".into(), ..Plan::installing(orders) })?;
        let (daemon, lines) = crate::daemon::Daemon::start_heard(&bench.program, &site)?;
        let ends = super::install::ends(&lines, orders)?;
        let end = ends.values().max().copied().unwrap_or_default();
        daemon.stop()?;
        ratios.push(since_first(&mock, end) / bare);
    }
    let what = format!("{orders} orders issued at once, to calls, installations and one hook in a row");
    Ok(vec![Figure::new(what, 1.3, "x", ratios)])
}

fn bare(bench: &Bench, mock: &Mock, orders: u64) -> io::Result<f64> {
    let folder = bench.folder(Place::Disk)?;
    let words =
        ["cycle", "--one-hook", "--orders", &orders.to_string(), "--folder", &folder.to_string_lossy()];
    let end = bench.reference(mock, &words)?[0];
    Ok(since_first(mock, Moment::from_nanoseconds(end as u64)))
}

/// Seconds since the first "2" of all.
fn since_first(mock: &Mock, end: Moment) -> f64 {
    let first = mock.counts(|counts| counts.orders.values().filter_map(|order| order.issued).min());
    end.since(first.unwrap_or_default()).as_secs_f64()
}
