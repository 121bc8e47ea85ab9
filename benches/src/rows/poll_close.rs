//! CPU of a pending poll when the vendor ends the connection with each answer.

use std::io;

use super::poll_cpu;
use crate::bench::{Bench, Place};
use crate::figure::Figure;
use crate::mock::Manner;

pub(super) fn run(bench: &Bench) -> io::Result<Vec<Figure>> {
    let mock = bench.mock(Manner { close: true, ..Manner::default() })?;
    let polls = bench.many(4_000, 1_000).to_string();
    let (mut ratios, mut resumed, mut own) = (vec![], vec![], vec![]);
    for _ in 0..bench.rounds() {
        let raw = bench.reference(&mock, &["raw", "--reconnect", "--polls", &polls])?[0];
        mock.reset();
        let daemon = poll_cpu::daemon(bench, &mock, Place::Memory)?;
        let totals = mock.totals();
        // The first one has no session yet.
        resumed.push(totals.resumptions as f64 / totals.connections.saturating_sub(1).max(1) as f64);
        ratios.push(daemon / raw);
        own.push(daemon * 1e6);
    }
    Ok(vec![
        Figure::new(
            "CPU per poll, connection closed each time, to a raw loop that resumes its session",
            1.5,
            "x",
            ratios,
        ),
        Figure::new("share of the connections that resumed a session", None, "", resumed).at_least(0.99),
        Figure::new("CPU per poll, connection closed each time, state in memory", None, "us", own),
    ])
}
