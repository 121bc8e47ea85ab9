//! Members of the store that are gone, so that those left decide nothing.

use certcollectd_core::config::fleet::StoreKind;
use certcollectd_sandbox::{Fault, FaultSpec};

use super::super::Fleet;
use super::nobody_leads;
use crate::proof::{figure, number};
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

/// What a person sees on these hosts meanwhile.
fn assert_said(fleet: &Fleet, hosts: &[&str], left: usize) {
    let one = fleet.cluster().endpoint(left);
    for name in hosts {
        let (code, text) = fleet.say(name, &["fleet", "status"]);
        assert!(code == 1 && text.contains(&one) && text.contains("no leader"), "{name}: {text}");
        let (code, line) = fleet.say(name, &["status", "--nagios"]);
        assert!(code == 1 || code == 2, "{name}: {line}");
        assert!(line.contains("the fleet's store: ") && line.contains(&one), "{name}: {line}");
        assert!(fleet.read(&format!("{name}/log")).contains("the fleet's store: "), "{name}");
    }
}

#[test]
fn a_store_without_a_quorum_stops_calls_and_nothing_else() {
    let rounds = number("FLEET_CUTS", 1);
    println!("FLEET_CUTS={rounds}");
    let Some(mut fleet) = Fleet::start(StoreKind::Etcd, 3, &["www"]) else { return };
    fleet.vendor().vendor().faults.add(FaultSpec::always(Fault::Delay { ms: 100 })).unwrap();
    for name in COLLECTORS {
        fleet.collector(name, "");
    }
    fleet.follower(HOST);
    for round in 0..2 * rounds {
        let (leader, term) = fleet.next_leader(0);
        fleet.until("the newest is installed", |fleet| fleet.is_up_to_date(HOST, 0));
        fleet.next_call();
        let left = usize::try_from(round).unwrap() % fleet.backend.size();
        let ends = round % 2 == 0;
        let frozen = lose_the_others(&mut fleet, left, ends);
        nobody_leads(&mut fleet, &leader);
        fleet.issue(0);
        // A watch at a member that stands still is silent for up to a minute.
        let hosts = if ends { &HOSTS[..] } else { &COLLECTORS };
        fleet.until("they say so", |fleet| hosts.iter().all(|name| fleet.store_of(name) == "away"));
        assert_said(&fleet, hosts, left);
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
        "{rounds} times two of three members of etcd gone, and {rounds} times two that stood still: {} calls in {} terms, 0 at once, \
         0 early, 0 after the lease; what was issued meanwhile installed afterwards",
        fleet.calls(),
        fleet.next_leader(0).1,
    ));
}
