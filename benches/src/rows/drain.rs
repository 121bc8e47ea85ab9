//! All orders are due, and each is asked once.

use std::io;

use crate::bench::{Bench, Place};
use crate::figure::Figure;
use crate::mock::Manner;
use crate::site::Plan;

pub(super) fn run(bench: &Bench) -> io::Result<Vec<Figure>> {
    let orders = bench.many(100_000, 5_000);
    let mut figures = Vec::new();
    for (place, name, goal) in [(Place::Memory, "in memory", 6.0), (Place::Disk, "on disk", 15.0)] {
        let mock = bench.mock(Manner::default())?;
        let site = bench.site(place, &mock, &Plan { call_gap: "0s".into(), ..Plan::idle(orders) })?;
        let mut daemon = bench.polling(&site, &mock, 1)?;
        let (cpu, polls) = (daemon.cpu()?, mock.totals().polls);
        daemon.until_polled(&mock, orders)?;
        let each = (daemon.cpu()? - cpu).as_secs_f64() / (mock.totals().polls - polls).max(1) as f64;
        daemon.stop()?;
        let what = format!("drain of 100,000 due orders, state {name}, from {orders}");
        figures.push(Figure::new(what, goal, "CPU-s", vec![each * 100_000.0]));
    }
    Ok(figures)
}
