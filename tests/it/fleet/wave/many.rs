//! As many hosts as the largest fleets have: their rows are real, and the leader; they themselves are no processes.

use std::collections::BTreeSet;

use certcollectd::effects::shared::{Commit, Committed, Row};
use certcollectd::sources::clock;
use certcollectd_core::api::Untrusted;
use certcollectd_core::config::fleet::StoreKind;
use certcollectd_core::fleet::form::Moment;
use certcollectd_core::fleet::keys::Key;
use certcollectd_core::fleet::report::{Report, Seen, State};
use certcollectd_core::fleet::rollout::{Go, may_install};
use futures_util::future::join_all;

use super::super::{Fleet, GROUP};
use super::{ORDER, status};
use crate::proof::{figure, number};

const CANARY: &str = "h00000";
const WAVES: &str = "wave = [{ hosts = [\"h00000\"] }, { share = 0.1 }, { share = 1.0, at_once = 1000 }]";
/// Rows in one commit: etcd takes 128.
const TOGETHER: usize = 100;
/// Reports that are under way at once.
const WRITERS: usize = 64;

fn moment() -> Moment {
    Moment(clock::now().unix())
}

fn put(fleet: &Fleet, puts: Vec<Row>) {
    let commit = Commit { puts, ..Commit::default() };
    assert_eq!(fleet.block_on(fleet.store.commit(&commit)), Committed::Done);
}

fn sign(fleet: &Fleet, hosts: &[String]) {
    let seen = |host: &String| {
        let (groups, version) = (vec![GROUP.into()], Untrusted::new("0.1.0"));
        let row = Seen { at: moment(), groups, version, process: "p".into() };
        Row { key: Key::Seen { host }.to_string(), value: row.to_row() }
    };
    for some in hosts.chunks(TOGETHER) {
        put(fleet, some.iter().map(seen).collect());
    }
}

/// Each host that has leave says that it is done, in a commit of its own.
fn say_done(fleet: &Fleet, generation: u64, hosts: &[&String]) {
    let say = async |host: &String| {
        let report = Report { generation, state: State::Done, reason: Untrusted::new(""), at: moment() };
        let row = Row { key: Key::Report { host, order: ORDER }.to_string(), value: report.to_row() };
        fleet.store.commit(&Commit { puts: vec![row], ..Commit::default() }).await
    };
    for some in hosts.chunks(WRITERS) {
        let outcomes = fleet.block_on(join_all(some.iter().map(|host| say(host))));
        assert!(outcomes.iter().all(|outcome| *outcome == Committed::Done), "{outcomes:?}");
    }
}

/// Plays the hosts until all have the generation; how many rounds of leave there were.
fn spread(fleet: &mut Fleet, generation: u64, hosts: &[String]) -> usize {
    let (mut open, mut rounds): (BTreeSet<&String>, _) = (hosts.iter().collect(), 0);
    while !open.is_empty() {
        let mut let_in = Vec::new();
        fleet.until("somebody is let in", |fleet| {
            let Some(published) = fleet.publication(ORDER).filter(|it| it.generation == generation) else {
                return false;
            };
            let go = fleet.row(Key::Go { group: GROUP, order: ORDER }).map(|row| Go::read(&row).unwrap());
            let may =
                |host: &&&String| may_install(host, &published, go.as_ref(), None, clock::now()).is_some();
            let_in = open.iter().filter(may).copied().collect::<Vec<_>>();
            !let_in.is_empty()
        });
        let is_first = open.len() == hosts.len();
        assert!(!is_first || let_in == [CANARY], "the canary is the first: {} are let in", let_in.len());
        say_done(fleet, generation, &let_in);
        open.retain(|host| !let_in.contains(host));
        rounds += 1;
    }
    rounds
}

/// Seconds of CPU that a host's daemon has had.
fn cpu(fleet: &Fleet, host: &str) -> f64 {
    let pid = fleet.hosts[host].child.as_ref().unwrap().id();
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let after_name = stat.rsplit_once(')').unwrap().1;
    let ticks = after_name.split_whitespace().skip(11).take(2).map(|it| it.parse::<u64>().unwrap());
    ticks.sum::<u64>() as f64 / rustix::param::clock_ticks_per_second() as f64
}

#[test]
fn one_leader_leads_thousands_of_hosts() {
    let count = number("FLEET_HOSTS", 1000);
    println!("FLEET_HOSTS={count}");
    let Some(mut fleet) = Fleet::start(StoreKind::Etcd, 1, &[ORDER]) else { return };
    let hosts: Vec<String> = (0..count).map(|at| format!("h{at:05}")).collect();
    sign(&fleet, &hosts);
    fleet.collector("a", WAVES);
    fleet.next_leader(0);
    spread(&mut fleet, 1, &hosts);
    fleet.until("the first is everywhere", |fleet| status(fleet, "a")["state"] == "done");
    let (before, begin) = (cpu(&fleet, "a"), clock::now().time);
    fleet.issue(0);
    let rounds = spread(&mut fleet, 2, &hosts);
    fleet.until("it is everywhere", |fleet| status(fleet, "a")["state"] == "done");
    let (used, took) = (cpu(&fleet, "a") - before, clock::now().time.since(begin));
    assert_eq!(status(&fleet, "a")["hosts"]["done"], count);
    fleet.assert_calls_kept_apart();
    figure(&format!(
        "{count} hosts in waves of one, a tenth and all, 1,000 at once: let in {rounds} times, the canary first; {:.1} s, of which the \
         leader used {used:.1} of its CPU",
        took.as_secs_f64()
    ));
}
