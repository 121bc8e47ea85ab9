//! Members or servers of the store that are gone, so that those left decide nothing.

use certcollectd_core::config::fleet::StoreKind;
use certcollectd_sandbox::{Fault, FaultSpec};

use super::super::Fleet;
use super::nobody_leads;
use crate::proof::{figure, number};
use crate::shared::backend::{Backend, on_each_store};
use crate::shared::member::Frozen;

const COLLECTORS: [&str; 2] = ["a", "b"];
const HOST: &str = "f";
const HOSTS: [&str; 3] = ["a", "b", HOST];

/// All but this one end, or stand still for as long as the answer lives.
fn lose_the_others(fleet: &mut Fleet, left: usize, ends: bool) -> Vec<Frozen> {
    let others = (0..fleet.backend.size()).filter(|at| *at != left);
    let others: Vec<usize> = others.collect();
    if ends {
        others.iter().for_each(|at| fleet.backend.kill(*at));
        return Vec::new();
    }
    others.iter().map(|at| fleet.backend.freeze(*at)).collect()
}

/// Which one is left. A primary that is gone is what `fleet-failover` is about.
fn left(fleet: &Fleet, round: u64) -> usize {
    match &fleet.backend {
        Backend::Etcd(cluster) => usize::try_from(round).unwrap() % cluster.size(),
        Backend::Postgres(servers) => servers.primary,
    }
}

/// What a host's log has warned of the store beyond these bytes.
fn warnings(fleet: &Fleet, name: &str, from: usize) -> Vec<String> {
    let log = fleet.read(&format!("{name}/log"));
    let warnings = log[from..].lines().filter_map(|line| line.split_once("WARN the fleet's store: "));
    warnings.map(|(_, text)| text.to_owned()).collect()
}

/// What a person sees on these hosts meanwhile.
fn assert_said(fleet: &Fleet, hosts: &[&str], left: usize) {
    let one = fleet.backend.endpoint(fleet.backend.address(left));
    let why = match fleet.backend.kind() {
        StoreKind::Etcd => "no leader",
        StoreKind::Postgres => "synchronous standbys",
    };
    for name in hosts {
        let (_, text) = fleet.say(name, &["fleet", "status"]);
        assert!(text.contains(&one) && text.contains(why), "{name}: {text}");
        let (code, line) = fleet.say(name, &["status", "--nagios"]);
        assert!(code == 1 || code == 2, "{name}: {line}");
        assert!(line.contains("the fleet's store: ") && line.contains(&one), "{name}: {line}");
    }
}

on_each_store!(etcd at once: a_store_without_a_quorum_stops_calls_and_nothing_else);

fn a_store_without_a_quorum_stops_calls_and_nothing_else(store: StoreKind) {
    let rounds = number("FLEET_CUTS", 1);
    println!("FLEET_CUTS={rounds}");
    let size = match store {
        StoreKind::Etcd => 3,
        StoreKind::Postgres => 2,
    };
    let Some(mut fleet) = Fleet::start(store, size, &["www"]) else { return };
    fleet.vendor().vendor().faults.add(FaultSpec::always(Fault::Delay { ms: 100 })).unwrap();
    for name in COLLECTORS {
        fleet.collector(name, "");
    }
    fleet.follower(HOST);
    for round in 0..2 * rounds {
        let (leader, term) = fleet.next_leader(0);
        fleet.until("the newest is installed", |fleet| fleet.is_up_to_date(HOST, 0));
        fleet.next_call();
        let left = left(&fleet, round);
        let ends = round % 2 == 0;
        let logged = COLLECTORS.map(|name| fleet.read(&format!("{name}/log")).len());
        let frozen = lose_the_others(&mut fleet, left, ends);
        nobody_leads(&mut fleet, &leader);
        fleet.issue(0);
        // A watch at a member that stands still is silent for up to a minute; a primary without its standby can be read.
        let hosts = match store {
            StoreKind::Etcd if ends => &HOSTS[..],
            StoreKind::Etcd | StoreKind::Postgres => &COLLECTORS,
        };
        fleet.until("they say so", |fleet| hosts.iter().all(|name| fleet.store_of(name) == "away"));
        assert_said(&fleet, hosts, left);
        for (name, from) in COLLECTORS.into_iter().zip(logged) {
            let said = warnings(&fleet, name, from);
            // Not with each try: there have been five at least. A request under way when they go fails in another way.
            assert!((1..=3).contains(&said.len()), "{name}: {said:?}");
        }
        drop(frozen);
        if ends {
            let others = (0..fleet.backend.size()).filter(|at| *at != left);
            others.collect::<Vec<_>>().into_iter().for_each(|at| fleet.backend.start_again(at));
        }
        fleet.next_leader(term);
        fleet.until("what was issued meanwhile is published", |fleet| fleet.is_published(0));
        fleet.until("it is installed", |fleet| fleet.is_up_to_date(HOST, 0));
        fleet.until("all is well again", |fleet| HOSTS.iter().all(|name| fleet.store_of(name) == "ok"));
    }
    fleet.assert_calls_kept_apart();
    figure(&format!(
        "{store}: {rounds} times all but one of {size} gone, and {rounds} times standing still: {} calls in {} terms, 0 at once, 0 \
         early, 0 after the lease; what was issued meanwhile installed afterwards",
        fleet.calls(),
        fleet.next_leader(0).1,
    ));
}
