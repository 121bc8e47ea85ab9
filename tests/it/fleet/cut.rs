//! Hosts that do not reach the store or the vendor, and a store that answers nobody.

mod cables;
mod in_flight;
mod quorum;

use std::collections::BTreeMap;

use certcollectd::sources::clock;
use certcollectd_core::config::fleet::StoreKind;
use certcollectd_core::fleet::keys::Key;
use certcollectd_core::fleet::lease::Beat;
use certcollectd_sandbox::{Fault, FaultSpec};

use super::way::Way;
use super::{Fleet, LEASE};
use crate::proof::{figure, number};
use crate::shared::backend::on_each_store;

/// The ways of a collector.
struct Ways {
    store: Way,
    vendor: Way,
}

/// Two of them, each with ways of its own.
fn collectors(fleet: &mut Fleet) -> BTreeMap<&'static str, Ways> {
    let address = fleet.backend.address(0);
    let mut ways = BTreeMap::new();
    for name in ["a", "b"] {
        let own = Ways { store: Way::to(address), vendor: Way::to(fleet.vendor().api_address()) };
        let endpoint = fleet.backend.endpoint(own.store.address);
        fleet.collector_at(name, "", &[endpoint], &format!("https://{}", own.vendor.address));
        fleet.begin(name);
        ways.insert(name, own);
    }
    ways
}

/// Beats of the present term.
fn beats(fleet: &Fleet) -> u64 {
    let row = fleet.row(Key::Lease);
    row.map_or(0, |row| serde_json::from_slice::<Beat>(&row).unwrap().beat)
}

/// The leader loses the store and goes on reaching the vendor: the other one leads.
fn cut_from_store(fleet: &mut Fleet, ways: &BTreeMap<&str, Ways>) {
    let (leader, term) = fleet.next_leader(0);
    let before = fleet.times_deposed(&leader);
    fleet.next_call();
    ways[&*leader].store.cut();
    assert_ne!(fleet.next_leader(term).0, leader);
    fleet.next_call();
    fleet.until("it knows that its term is over", |fleet| fleet.times_deposed(&leader) > before);
    ways[&*leader].store.mend();
    fleet.next_call();
}

/// The leader loses the vendor: nobody else calls in its place, and it goes on once it can.
fn cut_from_vendor(fleet: &mut Fleet, ways: &BTreeMap<&str, Ways>) {
    let (leader, term) = fleet.next_leader(0);
    ways[&*leader].vendor.cut();
    let beat = beats(fleet);
    fleet.until("it beats on", |fleet| beats(fleet) > beat + 3);
    let calls = fleet.calls();
    fleet.issue(0);
    fleet.until("it beats on", |fleet| beats(fleet) > beat + 5);
    assert_eq!((fleet.calls(), fleet.leader()), (calls, Some((leader.clone(), term))));
    ways[&*leader].vendor.mend();
    fleet.until("what was issued meanwhile is published", |fleet| fleet.is_published(0));
}

/// The store answers nobody: the last call begins before the lease ends.
fn store_stands_still(fleet: &mut Fleet) {
    let (leader, term) = fleet.next_leader(0);
    fleet.next_call();
    let frozen = fleet.backend.freeze(0);
    nobody_leads(fleet, &leader);
    drop(frozen);
    fleet.next_leader(term);
    fleet.issue(1);
    fleet.until("somebody goes on", |fleet| fleet.is_published(1));
}

/// The store was lost right now: waits until its leader knows it, and has called nobody after its lease.
fn nobody_leads(fleet: &mut Fleet, leader: &str) {
    let (since, before) = (clock::now().wall, fleet.times_deposed(leader));
    fleet.until("nobody leads", |fleet| fleet.times_deposed(leader) > before);
    let last = fleet.vendor().vendor().record().calls(0).last().expect("there were calls").at.unix_ms;
    assert!(last - since < i64::try_from(LEASE.as_millis()).unwrap(), "a call {} ms later", last - since);
}

on_each_store!(who_is_cut_off_stops_calling_and_somebody_goes_on);

fn who_is_cut_off_stops_calling_and_somebody_goes_on(store: StoreKind) {
    let rounds = number("FLEET_CUTS", 1);
    println!("FLEET_CUTS={rounds}");
    let Some(mut fleet) = Fleet::start(store, 1, &["www", "mail"]) else { return };
    fleet.vendor().vendor().faults.add(FaultSpec::always(Fault::Delay { ms: 100 })).unwrap();
    let ways = collectors(&mut fleet);
    for _ in 0..rounds {
        cut_from_store(&mut fleet, &ways);
        cut_from_vendor(&mut fleet, &ways);
        store_stands_still(&mut fleet);
    }
    fleet.assert_calls_kept_apart();
    figure(&format!(
        "{store}: {rounds} times the leader cut from the store, {rounds} times from the vendor, {rounds} times a store that answers nobody: {} \
         calls in {} terms, 0 at once, 0 early, 0 after the lease, the newest certificates published",
        fleet.calls(),
        fleet.next_leader(0).1,
    ));
}
