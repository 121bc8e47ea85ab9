//! A certificate's way from the vendor to many followers, each a process: installed, its hook run, reported.

use std::collections::HashMap;
use std::io;
use std::sync::mpsc::Receiver;
use std::thread;

use certcollectd_core::fleet::keys::{HOSTS, Key};
use certcollectd_core::fleet::report::{Report, State};

use crate::bench::{Bench, Place, has, numbers};
use crate::clock::Moment;
use crate::daemon::{Daemon, PATIENCE};
use crate::figure::{Figure, quantile};
use crate::mock::{Manner, Mock};
use crate::process;
use crate::site::{FIRST, Member, Plan, Role, Site};
use crate::store::{Put, Store};

const AT_ONCE: &str = "[{ share = 1.0 }]";
/// None of them soaks.
const WAVES: &str = "[{ hosts = [\"web-0\"] }, { share = 0.1 }, { share = 1.0 }]";
/// Followers that start together.
const BATCH: usize = 10;

pub(super) fn run(bench: &Bench) -> io::Result<Vec<Figure>> {
    if !has("etcd") {
        return Ok(vec![Figure::skipped("published to many followers", "etcd is not installed")]);
    }
    bench.on_all_cores(|| Fleet::start(bench)?.measure(bench))
}

struct Fleet {
    mock: Mock,
    puts: Receiver<Put>,
    leader: Option<Daemon>,
    followers: Vec<Daemon>,
    /// Ends last.
    store: Store,
    leader_site: Site,
}

impl Fleet {
    fn start(bench: &Bench) -> io::Result<Fleet> {
        let (store, mock) = (bench.store()?, bench.mock(Manner::default())?);
        let puts = store.watch(HOSTS)?;
        let leader_site = bench.site(Place::Disk, &mock, &plan(bench, &store, "collect-1", AT_ONCE))?;
        let mut fleet = Fleet { mock, puts, leader: None, followers: Vec::new(), store, leader_site };
        for number in 0..bench.followers {
            let member = Member {
                name: format!("web-{number}"),
                store: fleet.store.endpoint.clone(),
                role: Role::Follower,
            };
            let site = bench.site(
                Place::Disk,
                &fleet.mock,
                &Plan { member: Some(member), ..Plan::installing(orders(bench)) },
            )?;
            fleet.followers.push(bench.daemon(&site)?);
            if fleet.followers.len().is_multiple_of(BATCH) {
                fleet.until_signed()?;
            }
        }
        fleet.until_signed()?;
        Ok(fleet)
    }

    /// Until the store knows of each follower.
    fn until_signed(&mut self) -> io::Result<()> {
        let known = |rows: Vec<(String, Vec<u8>)>| {
            rows.iter().filter(|(key, _)| matches!(Key::parse(key), Some(Key::Seen { .. }))).count()
        };
        let (store, followers) = (&self.store, self.followers.len());
        let Some(last) = self.followers.last_mut() else { return Ok(()) };
        last.until("all followers have signed", |_| Ok(known(store.list(HOSTS)?) == followers))
    }

    /// Has a leader with these waves.
    fn lead(&mut self, bench: &Bench, wave: &'static str) -> io::Result<()> {
        if let Some(leader) = self.leader.take() {
            leader.stop()?;
        }
        let (folder, files) = (self.leader_site.folder(), &self.mock.files);
        self.leader_site = Site::write(&folder, files, &plan(bench, &self.store, "collect-1", wave))?;
        let polls = self.mock.totals().polls;
        self.leader = Some(bench.polling(&self.leader_site, &self.mock, polls.max(1))?);
        Ok(())
    }

    fn measure(mut self, bench: &Bench) -> io::Result<Vec<Figure>> {
        let (mut last, mut each, mut waves, mut bare) = (vec![], vec![], vec![], vec![]);
        let mut rounds = FIRST..FIRST + orders(bench);
        let cpu = |fleet: &Fleet| {
            fleet.followers.iter().map(|follower| Ok(follower.cpu()?.as_secs_f64())).sum::<io::Result<f64>>()
        };
        self.lead(bench, AT_ONCE)?;
        let before = cpu(&self)?;
        for order in rounds.by_ref().take(bench.rounds()) {
            let spans = self.spread(order)?;
            last.push(spans[spans.len() - 1]);
            each.push(quantile(&spans, 0.5));
        }
        let cpu = (cpu(&self)? - before) * 1e3 / (bench.rounds() as f64 * self.followers.len() as f64);
        self.lead(bench, WAVES)?;
        for order in rounds {
            let spans = self.spread(order)?;
            waves.push(spans[spans.len() - 1]);
            bare.push(cycles(bench)?);
        }
        let memory = self.followers.iter().map(|follower| process::proportional(follower.pid()));
        let memory = memory.sum::<io::Result<u64>>()? as f64 / self.followers.len() as f64 / 1024.0;
        for daemon in self.followers.drain(..).chain(self.leader.take()) {
            daemon.stop()?;
        }
        let name = format!("first \"2\" to {} followers done and heard of", bench.followers);
        let ratio = |of: &[f64]| of.iter().zip(&bare).map(|(fleet, bare)| fleet / bare).collect::<Vec<_>>();
        let worst = last.iter().copied().fold(0.0, f64::max);
        Ok(vec![
            Figure::new(format!("{name}, all at once, the last"), 0.5, "s", last.clone()),
            Figure::new("the same, of the worst round", 1.0, "s", vec![worst]),
            Figure::new("the same, the follower in the middle", None, "s", each),
            Figure::new(format!("{name}, in waves of one, a tenth, all, the last"), 0.8, "s", waves.clone()),
            Figure::new("as many bare cycles, as many at a time as there are cores", None, "s", bare.clone()),
            Figure::new("all at once, to the bare cycles", None, "x", ratio(&last)),
            Figure::new("in waves, to the bare cycles", None, "x", ratio(&waves)),
            Figure::new("CPU of a follower for one certificate, without its hook", None, "ms", vec![cpu]),
            Figure::new("memory of a follower, its part of shared pages", None, "MiB", vec![memory]),
        ])
    }

    /// Has the vendor issue an order; sorted seconds from then until each follower was heard of as done.
    fn spread(&self, order: u64) -> io::Result<Vec<f64>> {
        self.mock.set(Manner { ready_below: order + 1, ..Manner::default() });
        let name = format!("www{order}");
        let mut done: HashMap<String, Moment> = HashMap::new();
        while done.len() < self.followers.len() {
            let put = self.puts.recv_timeout(PATIENCE).map_err(|why| {
                io::Error::other(format!("{why}; {} of {} are done", done.len(), self.followers.len()))
            })?;
            let Some(Key::Report { host, order }) = Key::parse(&put.key) else { continue };
            let report = Report::read(&put.value).map_err(io::Error::other)?;
            match report.state {
                State::Done if order == name => {
                    done.entry(host.to_owned()).or_insert(put.moment);
                }
                State::Done | State::Working => {}
                State::Failed
                | State::Quarantined
                | State::WaitsForKey
                | State::WaitsForWindow
                | State::NotConfigured => {
                    return Err(io::Error::other(format!("{host}: {}: {}", report.state, report.reason)));
                }
            }
        }
        let issued = self.mock.counts(|counts| counts.orders.get(&order).and_then(|order| order.issued));
        let issued = issued.unwrap_or_default();
        let mut spans: Vec<f64> = done.values().map(|end| end.since(issued).as_secs_f64()).collect();
        spans.sort_by(f64::total_cmp);
        Ok(spans)
    }
}

/// One for each round at once, and one for each in waves.
fn orders(bench: &Bench) -> u64 {
    2 * bench.rounds() as u64
}

/// Polls are far apart: those of other orders disturb little.
fn plan(bench: &Bench, store: &Store, name: &str, wave: &'static str) -> Plan {
    let member = Member { name: name.into(), store: store.endpoint.clone(), role: Role::Collector { wave } };
    Plan {
        interval: "5s".into(),
        call_gap: "100ms".into(),
        hook: None,
        member: Some(member),
        ..Plan::installing(orders(bench))
    }
}

/// Seconds that the machine needs for as many bare installations with their hooks.
fn cycles(bench: &Bench) -> io::Result<f64> {
    let mock = bench.mock(Manner { ready_after: Some(0), ..Manner::default() })?;
    let orders = bench.followers.div_ceil(bench.cores()).to_string();
    let mut commands = Vec::new();
    for _ in 0..bench.cores() {
        let folder = bench.folder(Place::Disk)?;
        commands.push(
            bench.referring(&mock, &["cycle", "--orders", &orders, "--folder", &folder.to_string_lossy()]),
        );
    }
    let printed = thread::scope(|scope| {
        let running: Vec<_> = commands.iter_mut().map(|command| scope.spawn(|| numbers(command))).collect();
        let ends = running.into_iter().map(|one| one.join().expect("it does not panic"));
        ends.collect::<io::Result<Vec<_>>>()
    })?;
    // Each line is an order and the end of its hook.
    let end = printed.iter().flatten().copied().fold(0.0, f64::max);
    let first = mock.counts(|counts| counts.orders.values().filter_map(|order| order.issued).min());
    Ok(Moment::from_nanoseconds(end as u64).since(first.unwrap_or_default()).as_secs_f64())
}
