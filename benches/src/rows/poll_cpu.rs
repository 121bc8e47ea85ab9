//! CPU of a pending poll, on one keep-alive connection, without a pause.

use std::io;

use crate::bench::{Bench, Place};
use crate::figure::Figure;
use crate::mock::Manner;
use crate::site::Plan;

pub(super) fn run(bench: &Bench) -> io::Result<Vec<Figure>> {
    let mock = bench.mock(Manner::default())?;
    let record =
        |place| Ok::<_, io::Error>(bench.folder(place)?.join("record").to_string_lossy().into_owned());
    let (in_memory, on_disk) = (record(Place::Memory)?, record(Place::Disk)?);
    let polls = bench.many(20_000, 4_000).to_string();
    let synced = bench.many(3_000, 800).to_string();
    let (mut apart, mut unsynced, mut whole) = (vec![], vec![], vec![]);
    let (mut own, mut own_disk) = (vec![], vec![]);
    for _ in 0..bench.rounds() {
        let reqwest = bench.reference(&mock, &["reqwest", "--polls", &polls])?[0];
        let memory = daemon(bench, &mock, Place::Memory)?;
        let raw_memory = bench.reference(&mock, &["raw", "--polls", &polls, "--record", &in_memory])?[0];
        let raw = bench.reference(&mock, &["raw", "--polls", &synced, "--record", &on_disk])?[0];
        let disk = daemon(bench, &mock, Place::Disk)?;
        apart.push(memory / reqwest);
        unsynced.push(memory / raw_memory);
        whole.push(disk / raw);
        own.push(memory * 1e6);
        own_disk.push(disk * 1e6);
    }
    Ok(vec![
        Figure::new("CPU per pending poll, state in memory, to a bare reqwest loop", 2.0, "x", apart),
        Figure::new(
            "CPU per pending poll, to a raw loop, both with the record in memory",
            None,
            "x",
            unsynced,
        ),
        Figure::new("CPU per pending poll, to a raw loop with append + fdatasync", 1.5, "x", whole),
        Figure::new("CPU per pending poll, state in memory", None, "us", own),
        Figure::new("CPU per pending poll, state on disk", None, "us", own_disk),
    ])
}

/// Seconds of CPU per poll of 100 orders.
pub(super) fn daemon(bench: &Bench, mock: &crate::mock::Mock, place: Place) -> io::Result<f64> {
    let site = bench.site(place, mock, &Plan::waiting(100))?;
    let daemon = bench.polling(&site, mock, 300)?;
    let each = bench.cpu_per_poll(&daemon, mock)?;
    daemon.stop()?;
    Ok(each)
}
