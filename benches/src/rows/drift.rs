//! What grows with the number of polls: memory, open files, connections.

use std::io;

use crate::bench::{Bench, Place};
use crate::figure::Figure;
use crate::mock::Manner;
use crate::process;
use crate::site::Plan;

/// Each order was asked often, and all buffers have their size.
const EARLY: u64 = 2_000;

pub(super) fn run(bench: &Bench) -> io::Result<Vec<Figure>> {
    let late = bench.many(100_000, 20_000);
    let mock = bench.mock(Manner::default())?;
    let site = bench.site(Place::Memory, &mock, &Plan::waiting(100))?;
    let mut daemon = bench.polling(&site, &mock, EARLY)?;
    let look = |pid| Ok::<_, io::Error>([process::resident(pid)?, process::open_files(pid)?]);
    let before = look(daemon.pid())?;
    daemon.until_polled(&mock, late)?;
    let after = look(daemon.pid())?;
    daemon.stop()?;
    let [memory, files] = [0, 1].map(|of| vec![after[of] as f64 - before[of] as f64]);
    let totals = mock.totals();
    let connections = totals.connections as f64 * 1_000.0 / totals.polls as f64;
    Ok(vec![
        Figure::new(format!("memory after {late} polls, less that after {EARLY}"), 0.0, "KiB", memory),
        Figure::new("open files then, less those before", 0.0, "", files),
        Figure::new("connections per 1,000 polls", 2.0, "", vec![connections]),
    ])
}
