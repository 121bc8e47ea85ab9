//! Wake-ups while nothing is due.

use std::io;
use std::time::Duration;

use crate::bench::{Bench, Place};
use crate::figure::Figure;
use crate::mock::Manner;
use crate::process;
use crate::site::Plan;

pub(super) fn run(bench: &Bench) -> io::Result<Vec<Figure>> {
    let seconds = bench.many(120, 30);
    let mut daemons = Vec::new();
    for orders in [10, bench.many(10_000, 1_000)] {
        let mock = bench.mock(Manner::default())?;
        let site = bench.site(Place::Disk, &mock, &Plan { call_gap: "0s".into(), ..Plan::idle(orders) })?;
        let mut daemon = bench.polling(&site, &mock, orders)?;
        // GetMDCDomainDetails calls follow.
        daemon.until_idle()?;
        daemons.push((orders, daemon));
    }
    let sleeps =
        || daemons.iter().map(|(_, daemon)| process::sleeps(daemon.pid())).collect::<io::Result<Vec<_>>>();
    let before = sleeps()?;
    std::thread::sleep(Duration::from_secs(seconds));
    let after = sleeps()?;
    let rates = before
        .iter()
        .zip(&after)
        .map(|(before, after)| process::woken(before, after) as f64 / seconds as f64);
    Ok(daemons
        .iter()
        .zip(rates)
        .map(|((orders, _), rate)| {
            Figure::new(format!("wake-ups a second, {orders} orders"), 0.03, "", vec![rate])
        })
        .collect())
}
