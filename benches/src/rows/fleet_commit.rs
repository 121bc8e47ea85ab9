//! A leader's poll: its state goes to the store before the call, and to its host.

use std::io;

use certcollectd_core::fleet::keys::{Key, ROWS};

use crate::bench::{Bench, Place, has};
use crate::clock;
use crate::daemon::Daemon;
use crate::figure::{Figure, quantile};
use crate::mock::{Manner, Mock};
use crate::site::{Member, Plan, Role};
use crate::store::Store;

/// Each order was asked, and all have their history.
const EARLY: u64 = 200;

pub(super) fn run(bench: &Bench) -> io::Result<Vec<Figure>> {
    if !has("etcd") {
        return Ok(vec![Figure::skipped("what a shared state costs before a call", "etcd is not installed")]);
    }
    bench.on_all_cores(|| measure(bench))
}

fn measure(bench: &Bench) -> io::Result<Vec<Figure>> {
    let (store, mock) = (bench.store()?, bench.mock(Manner::default())?);
    let member = Member {
        name: "collect-1".into(),
        store: store.endpoint.clone(),
        role: Role::Collector { wave: "[{ share = 1.0 }]" },
    };
    let site = bench.site(Place::Disk, &mock, &Plan { member: Some(member), ..Plan::waiting(100) })?;
    let leader = bench.polling(&site, &mock, EARLY)?;
    let (mut shared, mut commits, mut puts) = (vec![], vec![], vec![]);
    for _ in 0..bench.rounds() {
        let before = counted(&store)?;
        let (gap, polls) = gap(bench, &mock);
        commits.push((counted(&store)? - before) as f64 / polls as f64);
        shared.push(gap);
    }
    let cpu = bench.cpu_per_poll(&leader, &mock)?;
    leader.stop()?;
    for _ in 0..bench.rounds() {
        puts.push(put(&store)?);
    }
    let mock = bench.mock(Manner::default())?;
    let site = bench.site(Place::Disk, &mock, &Plan::waiting(100))?;
    let alone: Daemon = bench.polling(&site, &mock, EARLY)?;
    let gaps = (0..bench.rounds()).map(|_| gap(bench, &mock).0).collect();
    alone.stop()?;
    Ok(vec![
        Figure::new("from an answer to the next request, state shared, p50", 3.0, "ms", shared),
        Figure::new("the same of a host on its own", None, "ms", gaps),
        Figure::new("a row put into the store by a bare client, p50", None, "ms", puts),
        Figure::new("commits in the store per pending poll", 1.0, "", commits),
        Figure::new("CPU of the leader per pending poll", None, "us", vec![cpu * 1e6]),
    ])
}

/// The middle of the times between an answer and the next request, in ms, and how many polls there were.
fn gap(bench: &Bench, mock: &Mock) -> (f64, u64) {
    mock.reset();
    std::thread::sleep(bench.window());
    mock.counts(|counts| {
        let mut gaps: Vec<f64> = counts.gaps.iter().map(|gap| gap.as_secs_f64() * 1e3).collect();
        gaps.sort_by(f64::total_cmp);
        (quantile(&gaps, 0.5), counts.totals().polls)
    })
}

/// How many commits the leaders have made.
pub(super) fn counted(store: &Store) -> io::Result<u64> {
    let rows = store.list(&Key::Commit.to_string())?;
    let count = rows.first().and_then(|(_, value)| std::str::from_utf8(value).ok()?.parse().ok());
    count.ok_or_else(|| io::Error::other("the leader has counted no commit"))
}

fn put(store: &Store) -> io::Result<f64> {
    let mut spans = Vec::new();
    for _ in 0..200 {
        let begin = clock::now();
        store.put(&[(format!("{ROWS}bench"), vec![b'x'; 700])])?;
        spans.push(clock::now().since(begin).as_secs_f64() * 1e3);
    }
    spans.sort_by(f64::total_cmp);
    Ok(quantile(&spans, 0.5))
}
