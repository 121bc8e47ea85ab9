//! A collector whose clock is far from the leader's.

use std::time::Duration;

use certcollectd::effects::shared::{Commit, Committed, Row};
use certcollectd::sources::clock;
use certcollectd_core::config::fleet::StoreKind;
use certcollectd_core::fleet::keys::Key;
use certcollectd_core::fleet::lease::{Beat, Fence, MOST_SKEW};

use super::super::{Fleet, LEASE, LOOK};
use super::ORDER;
use crate::proof::figure;
use crate::shared::backend::on_each_store;

const APART: Duration = Duration::from_secs(65);

/// A leader's beat, by a clock that is ahead.
fn beat(fleet: &Fleet, number: u64) {
    let at_ms = clock::now().wall + i64::try_from(APART.as_millis()).unwrap();
    let lease_ms = u64::try_from(LEASE.as_millis()).unwrap();
    let (host, process) = ("x".into(), "p".into());
    let beat = Beat { host, process, term: 1, beat: number, at_ms, lease_ms, released: false };
    let fence = Fence { term: 1, process: "p".into() };
    let rows = [(Key::Lease, beat.to_row()), (Key::Term, fence.to_row())];
    let puts = rows.map(|(key, value)| Row { key: key.to_string(), value }).to_vec();
    assert_eq!(fleet.block_on(fleet.store.commit(&Commit { puts, ..Commit::default() })), Committed::Done);
}

on_each_store!(etcd at once: a_clock_that_is_apart_is_said_and_counts_twice_the_lease);

fn a_clock_that_is_apart_is_said_and_counts_twice_the_lease(store: StoreKind) {
    assert!(APART > MOST_SKEW);
    let Some(mut fleet) = Fleet::start(store, 1, &[ORDER]) else { return };
    fleet.collector("a", "");
    let mut number = 0;
    fleet.until("it says so", |fleet| {
        number += 1;
        beat(fleet, number);
        fleet.say("a", &["status", "--nagios"]).1.contains("this host's clock is 6")
    });
    let (_, text) = fleet.say("a", &["fleet", "status"]);
    assert!(text.contains("x leads, term 1") && text.contains("the clock of a is 6"), "{text}");
    // From now on nobody knows whose clock is right.
    let last = clock::now().time;
    beat(&fleet, number + 1);
    let (leader, term) = fleet.next_leader(1);
    let waited = clock::now().time.since(last);
    assert_eq!((&*leader, term), ("a", 2));
    assert!(waited > 2 * LEASE - LOOK, "it took over after {waited:?}");
    fleet.until("it does its work", |fleet| fleet.calls() > 0);
    figure(&format!(
        "a collector whose clock is {} s from the leader's: said, and a takeover after {:.1} leases without a beat",
        APART.as_secs(),
        waited.as_secs_f64() / LEASE.as_secs_f64(),
    ));
}
