//! Cables that are pulled out: what is sent is lost, nobody is told, and what was written may arrive when they are back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use certcollectd_core::config::fleet::StoreKind;
use certcollectd_sandbox::{Fault, FaultSpec, Options};

use super::super::Fleet;
use super::nobody_leads;
use crate::proof::{figure, number};
use crate::shared::backend::{Backend, on_each_store};
use crate::shared::switch::{Machine, Network, Place, Switch, apart};
use crate::simulation::Dice;

const COLLECTORS: [&str; 2] = ["a", "b"];
const HOST: &str = "f";

on_each_store!(etcd at once: whoever_loses_a_cable_the_calls_stay_apart);

fn whoever_loses_a_cable_the_calls_stay_apart(store: StoreKind) {
    if let Err(why) = apart(move |network| pull_cables(network, store)) {
        println!("PROOF-SKIP no machines of their own: {why}");
    }
}

fn pull_cables(mut network: Network, store: StoreKind) {
    let (rounds, seed) = (number("FLEET_CUTS", 1), number("FLEET_SEED", 1));
    println!("FLEET_SEED={seed} FLEET_CUTS={rounds}");
    let size = match store {
        StoreKind::Etcd => 3,
        StoreKind::Postgres => 2,
    };
    let members: Vec<Arc<Machine>> = (0..size).map(|_| network.machine()).collect();
    let places = members.iter().cloned().map(|machine| Place(Some(machine)));
    let Some(backend) = Backend::start_on(store, places.collect()) else {
        return println!("PROOF-SKIP {store} is not installed");
    };
    let address = network.address(Switch::Vendor);
    let vendor =
        Options { listen: (address, 0).into(), hosts: vec![address.to_string()], ..Options::default() };
    let mut fleet = Fleet::with(backend, vendor, &["www", "mail"]);
    fleet.restarts = true;
    fleet.vendor().vendor().faults.add(FaultSpec::always(Fault::Delay { ms: 150 })).unwrap();
    let mut hosts = BTreeMap::new();
    for name in [COLLECTORS[0], COLLECTORS[1], HOST] {
        let machine = network.machine();
        fleet.places.insert(name.to_owned(), Place(Some(machine.clone())));
        hosts.insert(name, machine);
    }
    for name in COLLECTORS {
        fleet.collector(name, "");
    }
    fleet.follower(HOST);
    let mut dice = Dice(seed);
    for _ in 0..rounds {
        a_leader_loses_the_store(&mut fleet, &hosts);
        a_leader_loses_the_vendor(&mut fleet, &hosts, &mut dice);
        a_store_loses_members(&mut fleet, &members);
    }
    fleet.assert_calls_kept_apart();
    figure(&format!(
        "{store}, each on a machine of its own: {rounds} times a leader's cable to the store pulled out, {rounds} times that to the \
         vendor, and {rounds} times the store's: {} calls in {} terms, 0 at once, 0 early, 0 after the lease, the newest published \
         and installed, {} processes ended by their timer; from seed {seed}",
        fleet.calls(),
        fleet.next_leader(0).1,
        fleet.restarts(),
    ));
}

fn until_settled(fleet: &mut Fleet) {
    fleet.until("the newest is published", |fleet| (0..2).all(|order| fleet.is_published(order)));
    fleet.until("it is installed", |fleet| (0..2).all(|order| fleet.is_up_to_date(HOST, order)));
}

/// Under a call: its answer comes, and nothing of it can be recorded. The other one leads.
fn a_leader_loses_the_store(fleet: &mut Fleet, hosts: &BTreeMap<&str, Arc<Machine>>) {
    let (leader, term) = fleet.next_leader(0);
    fleet.issue(0);
    fleet.until("a call is in flight", |fleet| fleet.calls_in_flight() > 0);
    let before = fleet.times_deposed(&leader);
    hosts[&*leader].pull_out(Switch::Store);
    assert_ne!(fleet.next_leader(term).0, leader);
    fleet.until("its term is over", |fleet| fleet.times_deposed(&leader) > before);
    until_settled(fleet);
    hosts[&*leader].plug_in(Switch::Store);
    fleet.until("it sees who leads", |fleet| fleet.store_of(&leader) == "ok");
}

/// Its calls are written and do not arrive; some may when the cable is back. It leads on, and is not called for.
fn a_leader_loses_the_vendor(fleet: &mut Fleet, hosts: &BTreeMap<&str, Arc<Machine>>, dice: &mut Dice) {
    let (leader, term) = fleet.next_leader(0);
    fleet.next_call();
    hosts[&*leader].pull_out(Switch::Vendor);
    fleet.issue(1);
    fleet.until("a call is missed", |fleet| {
        fleet.status(&leader)["orders"].to_string().contains("no complete answer")
    });
    // In the rest after it, or under the next call.
    sleep(Duration::from_millis(dice.below(3000)));
    assert_eq!(fleet.leader(), Some((leader.clone(), term)), "who leads has nothing to do with the vendor");
    hosts[&*leader].plug_in(Switch::Vendor);
    until_settled(fleet);
}

/// Those that are left decide nothing: the last call begins before the lease ends.
fn a_store_loses_members(fleet: &mut Fleet, members: &[Arc<Machine>]) {
    let (leader, term) = fleet.next_leader(0);
    fleet.next_call();
    let lost = &members[..members.len().div_ceil(2)];
    for machine in lost {
        machine.pull_out(Switch::Store);
    }
    nobody_leads(fleet, &leader);
    fleet.issue(0);
    for machine in lost {
        machine.plug_in(Switch::Store);
    }
    fleet.next_leader(term);
    until_settled(fleet);
}
