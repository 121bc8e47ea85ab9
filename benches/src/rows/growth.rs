//! Memory, and CPU of a poll, by the number of orders; the picture is made from this.

use std::io;
use std::time::Duration;

use rustix::process::Signal;

use crate::bench::{Bench, Place};
use crate::daemon::Daemon;
use crate::figure::Figure;
use crate::mock::{Manner, Mock};
use crate::picture;
use crate::process;
use crate::site::{Plan, Site};

/// The numbers of orders.
const FULL: [u64; 4] = [10, 1_000, 10_000, 100_000];
const SHORT: [u64; 3] = [10, 1_000, 10_000];

pub(super) fn run(bench: &Bench) -> io::Result<Vec<Figure>> {
    let sizes: &[u64] = if bench.short { &SHORT } else { &FULL };
    let mock = bench.mock(Manner::default())?;
    let memory = sizes.iter().map(|orders| lives(bench, &mock, *orders)).collect::<io::Result<Vec<_>>>()?;
    let cpu = poll_cost(bench, &mock, &sizes[1..])?;
    *bench.picture.borrow_mut() = Some(picture::draw(sizes, &memory, &cpu));
    let mut figures = Vec::new();
    let goals =
        |orders: u64| if orders == 100_000 { [Some(55.0), Some(60.0), Some(70.0)] } else { [None; 3] };
    for (orders, lives) in sizes.iter().zip(&memory) {
        for ((life, kib), goal) in ["fresh", "restarted", "reloaded"].iter().zip(lives).zip(goals(*orders)) {
            figures.push(Figure::new(
                format!("memory, {orders} orders, {life}"),
                goal,
                "MiB",
                vec![kib / 1024.0],
            ));
        }
    }
    let last = sizes.len() - 1;
    let between = (sizes[last] - sizes[1]) as f64;
    let each = (memory[last][0] - memory[1][0]) * 1024.0 / between;
    figures.push(Figure::new("memory per waiting order", 400.0, "B", vec![each]));
    for (orders, values) in sizes[1..].iter().zip(&cpu).skip(1) {
        let ratios = values.iter().zip(&cpu[0]).map(|(many, few)| many / few).collect();
        figures.push(Figure::new(format!("CPU per poll, {orders} orders to {}", sizes[1]), 1.1, "x", ratios));
    }
    Ok(figures)
}

/// KiB with `orders` waiting: fresh, after a restart with their rows, after four reloads.
fn lives(bench: &Bench, mock: &Mock, orders: u64) -> io::Result<[f64; 3]> {
    let site = bench.site(Place::Memory, mock, &Plan::idle(orders))?;
    let mut daemon = up(bench, &site, 1)?;
    let fresh = settled(&mut daemon)?;
    daemon.stop()?;
    let mut daemon = up(bench, &site, 2)?;
    let restarted = settled(&mut daemon)?;
    for reload in 1..=4 {
        daemon.signal(Signal::HUP)?;
        daemon
            .until("it has reloaded", |daemon| Ok(daemon.said("the configuration was reloaded") >= reload))?;
    }
    let reloaded = settled(&mut daemon)?;
    daemon.stop()?;
    Ok([fresh, restarted, reloaded])
}

/// A daemon that is up for the `time`-th time.
fn up(bench: &Bench, site: &Site, time: usize) -> io::Result<Daemon> {
    let mut daemon = bench.daemon(site)?;
    daemon.until_up(time)?;
    Ok(daemon)
}

/// KiB, once it rests. Rows of new orders are saved some hundred a second, for minutes; between two saves it rests.
fn settled(daemon: &mut Daemon) -> io::Result<f64> {
    daemon.until_calm(Duration::from_millis(500))?;
    Ok(process::resident(daemon.pid())? as f64)
}

/// CPU of a poll, a list of rounds for each size. All daemons live at once, one of them runs.
fn poll_cost(bench: &Bench, mock: &Mock, sizes: &[u64]) -> io::Result<Vec<Vec<f64>>> {
    let mut daemons = Vec::new();
    for orders in sizes {
        let site = bench.site(Place::Memory, mock, &Plan::waiting(*orders))?;
        // The first answer of an order costs more: it is history.
        let daemon = bench.polling(&site, mock, *orders + 200)?;
        daemon.signal(Signal::STOP)?;
        daemons.push(daemon);
    }
    let mut costs = vec![Vec::new(); sizes.len()];
    for _ in 0..bench.rounds() {
        for (daemon, costs) in daemons.iter().zip(&mut costs) {
            daemon.signal(Signal::CONT)?;
            costs.push(bench.cpu_per_poll(daemon, mock)?);
            daemon.signal(Signal::STOP)?;
        }
    }
    Ok(costs)
}
