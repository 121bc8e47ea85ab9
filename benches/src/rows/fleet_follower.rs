//! What a follower costs while nothing happens, beside a host on its own that has the same orders installed.

use std::io;
use std::time::Duration;

use crate::bench::{Bench, Place, has};
use crate::daemon::Daemon;
use crate::figure::Figure;
use crate::mock::{Manner, Mock};
use crate::process;
use crate::site::{Member, Plan, Role, Site};

const ORDERS: u64 = 10;

pub(super) fn run(bench: &Bench) -> io::Result<Vec<Figure>> {
    if !has("etcd") {
        return Ok(vec![Figure::skipped("an idle follower", "etcd is not installed")]);
    }
    bench.on_all_cores(|| measure(bench))
}

fn measure(bench: &Bench) -> io::Result<Vec<Figure>> {
    let (store, mock) = (bench.store()?, bench.mock(Manner { ready_after: Some(0), ..Manner::default() })?);
    let of = |name: &str, role: Role| Plan {
        interval: "3h".into(),
        member: Some(Member { name: name.into(), store: store.endpoint.clone(), role }),
        ..Plan::installing(ORDERS)
    };
    let wave = "[{ share = 1.0 }]";
    let plan = Plan { hook: None, ..of("collect-1", Role::Collector { wave }) };
    let leader = bench.daemon(&bench.site(Place::Disk, &mock, &plan)?)?;
    let (mut followers, mut alone) = (Vec::new(), Vec::new());
    for number in 0..bench.many(4, 2) {
        followers.push(settled(bench, &mock, &of(&format!("web-{number}"), Role::Follower))?);
        alone.push(settled(bench, &mock, &Plan { member: None, ..of("", Role::Follower) })?);
    }
    let memory = |daemons: &[Daemon]| {
        let each = daemons.iter().map(|daemon| Ok(process::resident(daemon.pid())? as f64 / 1024.0));
        each.collect::<io::Result<Vec<f64>>>()
    };
    let cpu = |daemons: &[Daemon]| {
        daemons.iter().map(|daemon| Ok(daemon.cpu()?.as_secs_f64())).collect::<io::Result<Vec<f64>>>()
    };
    // A follower signs every 300 s, and lists all rows every 60.
    let seconds = bench.many(300, 60);
    let before = [cpu(&followers)?, cpu(&alone)?];
    std::thread::sleep(Duration::from_secs(seconds));
    let after = [cpu(&followers)?, cpu(&alone)?];
    let hour = 3600.0 / seconds as f64;
    let hours = |of: usize| before[of].iter().zip(&after[of]).map(|(before, after)| (after - before) * hour);
    let more = hours(0).zip(hours(1)).map(|(follower, alone)| follower - alone).collect();
    let [memories, bare] = [memory(&followers)?, memory(&alone)?];
    let larger = memories.iter().zip(&bare).map(|(follower, alone)| follower - alone).collect();
    for daemon in followers.into_iter().chain(alone).chain([leader]) {
        daemon.stop()?;
    }
    Ok(vec![
        Figure::new(format!("memory, {ORDERS} orders, more than a host on its own"), 1.0, "MiB", larger),
        Figure::new("memory of the host on its own", None, "MiB", bare),
        Figure::new("CPU of an idle hour, more than a host on its own", 0.3, "CPU-s", more),
        Figure::new("CPU of an idle hour of the host on its own", None, "CPU-s", hours(1).collect()),
    ])
}

/// Has it install everything; then one that was started anew, and rests.
fn settled(bench: &Bench, mock: &Mock, plan: &Plan) -> io::Result<Daemon> {
    let site: Site = bench.site(Place::Disk, mock, plan)?;
    let mut daemon = bench.daemon(&site)?;
    daemon
        .until("all is installed", |daemon| Ok(daemon.said(": hook reload (installed)") as u64 >= ORDERS))?;
    daemon.stop()?;
    let mut daemon = bench.daemon(&site)?;
    daemon.until_idle()?;
    Ok(daemon)
}
