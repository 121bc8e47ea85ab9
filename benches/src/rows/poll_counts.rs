//! What noise cannot move.

use std::io;

use crate::bench::{Bench, Place, has};
use crate::figure::Figure;
use crate::mock::Manner;
use crate::site::Plan;
use crate::trace;

pub(super) fn run(bench: &Bench) -> io::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    let (few, many) = (300, bench.many(1300, 800));
    let mock = bench.mock(Manner::default())?;
    let site = || bench.site(Place::Disk, &mock, &Plan::waiting(100));
    if has("valgrind") {
        let (short, long) = (site()?, site()?);
        let (less, first) = trace::instructions(bench, &short, &mock, few)?;
        let (more, second) = trace::instructions(bench, &long, &mock, many)?;
        let each = more.saturating_sub(less) as f64 / second.saturating_sub(first).max(1) as f64;
        figures.push(Figure::new(
            "user instructions per pending poll, thousands",
            110.0,
            "k",
            vec![each / 1000.0],
        ));
    } else {
        figures.push(Figure::skipped("user instructions per pending poll", "valgrind is not installed"));
    }
    if has("strace") {
        let (short, long) = (site()?, site()?);
        let less = trace::calls(bench, &short, &mock, few)?;
        let more = trace::calls(bench, &long, &mock, many)?;
        let each = |of: fn(trace::Calls) -> u64| vec![more.per_poll(less, of)];
        figures.push(Figure::new("system calls per pending poll", 12.0, "", each(|calls| calls.calls)));
        figures.push(Figure::new("syncs per pending poll", 1.1, "", each(|calls| calls.syncs)));
        figures.push(Figure::new("renames per pending poll", 0.0, "", each(|calls| calls.renames)));
        figures.push(Figure::new(
            "bytes written for the state per poll",
            2048.0,
            "B",
            each(|calls| calls.state_bytes),
        ));
    } else {
        figures
            .push(Figure::skipped("system calls, syncs, renames, bytes per poll", "strace is not installed"));
    }
    let totals = mock.totals();
    figures.push(Figure::new("calls in flight at most", 1.0, "", vec![totals.max_in_flight as f64]));
    Ok(figures)
}
