//! From the moment at which the first "2" of an order is sent to the end of its hook.

use std::collections::HashMap;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use crate::bench::{Bench, Place};
use crate::clock::Moment;
use crate::daemon::{Line, PATIENCE};
use crate::figure::{Figure, quantile};
use crate::mock::{Manner, Mock};
use crate::site::{FIRST, Plan};

/// Time between two calls: an installation is over before the next order is asked about.
const GAP: &str = "60ms";

pub(super) fn run(bench: &Bench) -> io::Result<Vec<Figure>> {
    let orders = bench.many(40, 12);
    let (mut own, mut bare) = (Vec::new(), Vec::new());
    let (mut least, mut middle, mut tail) = (vec![], vec![], vec![]);
    for _ in 0..bench.rounds() {
        let mock = bench.mock(Manner { ready_after: Some(1), ..Manner::default() })?;
        let cycle = cycle(bench, &mock, orders)?;
        let mock = bench.mock(Manner { ready_after: Some(1), ..Manner::default() })?;
        let daemon = daemon(bench, &mock, orders)?;
        least.push(daemon[0] / cycle[0]);
        middle.push(quantile(&daemon, 0.5) / quantile(&cycle, 0.5));
        tail.push(quantile(&daemon, 0.99) / quantile(&daemon, 0.5));
        own.extend(daemon);
        bare.extend(cycle);
    }
    let milliseconds = |values: Vec<f64>| values.into_iter().map(|value| value * 1e3).collect();
    Ok(vec![
        Figure::new("first \"2\" to hook done, least, to the bare cycle's least", 1.3, "x", least),
        Figure::new("the same, p50 to p50", 1.3, "x", middle),
        Figure::new("p99 to p50 (a quiet disk is needed)", 2.0, "x", tail),
        Figure::new("first \"2\" to hook done", None, "ms", milliseconds(own)),
        Figure::new("the bare cycle", None, "ms", milliseconds(bare)),
    ])
}

/// Sorted seconds, one for each order.
fn cycle(bench: &Bench, mock: &Mock, orders: u64) -> io::Result<Vec<f64>> {
    let folder = bench.folder(Place::Disk)?;
    let words =
        ["cycle", "--orders", &orders.to_string(), "--gap", GAP, "--folder", &folder.to_string_lossy()];
    let printed = bench.reference(mock, &words)?;
    let ends = printed.chunks(2).filter_map(|pair| match pair {
        // An f64 holds 104 days of nanoseconds.
        [order, end] => Some((*order as u64, Moment::from_nanoseconds(*end as u64))),
        _ => None,
    });
    sorted(mock, &ends.collect())
}

fn daemon(bench: &Bench, mock: &Mock, orders: u64) -> io::Result<Vec<f64>> {
    let plan =
        Plan { interval: "10ms".into(), call_gap: GAP.into(), merge: false, ..Plan::installing(orders) };
    let site = bench.site(Place::Disk, mock, &plan)?;
    let (daemon, lines) = crate::daemon::Daemon::start_heard(&bench.program, &site)?;
    let ends = ends(&lines, orders)?;
    daemon.stop()?;
    sorted(mock, &ends)
}

/// When the hook of each order had worked, by the log.
pub(super) fn ends(lines: &Receiver<Line>, orders: u64) -> io::Result<HashMap<u64, Moment>> {
    let (mut ends, mut last) = (HashMap::new(), String::new());
    while (ends.len() as u64) < orders {
        let (moment, line) = lines.recv_timeout(PATIENCE).map_err(|error| {
            let why = match error {
                RecvTimeoutError::Disconnected => "the daemon ended",
                RecvTimeoutError::Timeout => "the daemon said nothing more",
            };
            let done = ends.len();
            io::Error::other(format!("{why}; {done} of {orders} hooks had worked; its last line: {last}"))
        })?;
        if let Some((head, rest)) = line.split_once(": hook reload (installed)")
            && rest.ends_with("done")
            && let Some(number) = head.rsplit_once("www").and_then(|(_, number)| number.parse().ok())
        {
            ends.entry(number).or_insert(moment);
        }
        last = line;
    }
    Ok(ends)
}

fn sorted(mock: &Mock, ends: &HashMap<u64, Moment>) -> io::Result<Vec<f64>> {
    let issued = |order: &u64| mock.counts(|counts| counts.orders.get(order).and_then(|order| order.issued));
    let mut spans: Vec<f64> = ends
        .iter()
        .filter_map(|(order, end)| Some(end.since(issued(order)?)))
        .map(|span: Duration| span.as_secs_f64())
        .collect();
    spans.sort_by(f64::total_cmp);
    let whole = !spans.is_empty() && ends.keys().all(|order| *order >= FIRST);
    whole.then_some(spans).ok_or_else(|| io::Error::other("no order was installed"))
}
