//! kill -9 of the leader at random moments, and of a member of the store now and then.

use std::collections::BTreeMap;
use std::time::Duration;

use certcollectd::sources::clock;
use certcollectd_core::cert::Fingerprint;
use certcollectd_core::config::fleet::StoreKind;
use certcollectd_core::fleet::published::Publication;

use super::{Fleet, LEASE, LOGIN};
use crate::proof::{figure, number};
use crate::setting::said;
use crate::shared::backend::on_each_store;
use crate::simulation::Dice;
use certcollectd_sandbox::{AccountSpec, Fault, FaultSpec};

const ORDERS: [&str; 3] = ["www", "mail", "shop"];
const COLLECTORS: [&str; 3] = ["a", "b", "c"];

/// Everything that was published, oldest first, by order.
fn publications(fleet: &Fleet) -> BTreeMap<String, Vec<(u64, Fingerprint)>> {
    let mut all = BTreeMap::<String, Vec<_>>::new();
    for row in fleet.backend.history("pub/") {
        let order = row.key.rsplit('/').next().unwrap().to_owned();
        let read = Publication::read(&order, &row.value).unwrap();
        all.entry(order).or_default().push((read.generation, read.leaf.fingerprint()));
    }
    all
}

/// No number stands for two certificates, and none comes after a higher one.
fn assert_generations_only_rise(publications: &BTreeMap<String, Vec<(u64, Fingerprint)>>) -> usize {
    let mut count = 0;
    for (order, all) in publications {
        for pair in all.windows(2) {
            let [(before, old), (after, new)] = [pair[0], pair[1]];
            assert!(after > before || (after, new) == (before, old), "{order}: {after} after {before}");
        }
        count += all.last().map_or(0, |(last, _)| usize::try_from(*last).unwrap());
    }
    count
}

on_each_store!(
    a_leader_killed_at_random_costs_neither_a_certificate_nor_a_call,
    a_refused_log_in_is_the_last_one_whoever_leads
);

fn a_leader_killed_at_random_costs_neither_a_certificate_nor_a_call(store: StoreKind) {
    let (kills, seed) = (number("FLEET_KILLS", 3), number("FLEET_SEED", 1));
    println!("FLEET_SEED={seed} FLEET_KILLS={kills}");
    let mut dice = Dice(seed);
    let size = match store {
        StoreKind::Etcd => 3,
        StoreKind::Postgres => 2,
    };
    let Some(mut fleet) = Fleet::start(store, size, &ORDERS) else { return };
    fleet.vendor().vendor().faults.add(FaultSpec::always(Fault::Delay { ms: 150 })).unwrap();
    for name in COLLECTORS {
        fleet.collector(name, "");
    }
    fleet.follower("f");
    let (mut leader, mut term) = fleet.next_leader(0);
    let (mut took, mut members, mut in_flight) = (Vec::new(), 0, 0);
    for round in 0..kills {
        fleet.next_call();
        // Right after a call has come in, or whenever: before one, after its answer, between the rows that follow from it.
        if round % 2 == 0 {
            fleet.until("a call is in flight", |fleet| fleet.calls_in_flight() > 0);
        } else {
            fleet.issue(usize::try_from(dice.below(ORDERS.len() as u64)).unwrap());
            std::thread::sleep(Duration::from_millis(dice.below(1000)));
        }
        in_flight += u64::from(fleet.calls_in_flight() > 0);
        fleet.kill(&leader);
        let killed = clock::now().time;
        if round % 3 == 2 {
            let member = usize::try_from(dice.below(size as u64)).unwrap();
            fleet.restart_member(member);
            members += 1;
        }
        fleet.begin(&leader);
        (leader, term) = fleet.next_leader(term);
        took.push(clock::now().time.since(killed));
    }
    for order in 0..ORDERS.len() {
        fleet.issue(order);
    }
    fleet.until("the newest certificates are installed", |fleet| {
        (0..ORDERS.len()).all(|order| fleet.is_up_to_date("f", order))
    });
    fleet.assert_calls_kept_apart();
    let published = assert_generations_only_rise(&publications(&fleet));
    took.sort_unstable();
    let middle = took[took.len() / 2];
    assert!(middle < 2 * LEASE, "a takeover takes {middle:?}, and the lease is {LEASE:?}: {took:?}");
    figure(&format!(
        "{store}: {kills} kills of the leader, {in_flight} of them with a call in flight, and {members} of a member: {} terms, {} calls, \
         0 at once, 0 early, {published} generations published, no number twice, the newest installed; a new leader after {:.1} leases \
         (the half) and {:.1} (the slowest), from seed {seed}",
        term,
        fleet.calls(),
        middle.as_secs_f64() / LEASE.as_secs_f64(),
        took[took.len() - 1].as_secs_f64() / LEASE.as_secs_f64(),
    ));
}

/// Invariant 5. The next leader has another password, and does not try it: each of many hosts with an old file would.
fn a_refused_log_in_is_the_last_one_whoever_leads(store: StoreKind) {
    let Some(mut fleet) = Fleet::start(store, 1, &["www"]) else { return };
    fleet.vendor().vendor().accounts.put(AccountSpec::new(LOGIN, "new")).unwrap();
    let refused = |fleet: &Fleet| fleet.vendor().vendor().record().counters().all.logins_refused;
    let is_closed = |fleet: &Fleet, host: &str| {
        let output = fleet.command(host, &["status", "--json"]).output().unwrap();
        let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        status["accounts"][0]["state"] == "closed"
    };
    for name in ["a", "b"] {
        fleet.collector(name, "");
    }
    let (leader, term) = fleet.next_leader(0);
    let other = if leader == "a" { "b" } else { "a" };
    fleet.write(&format!("{other}/password"), "older");
    fleet.until("the account is closed", |fleet| is_closed(fleet, &leader));
    fleet.kill(&leader);
    assert_eq!(fleet.next_leader(term).0, other);
    fleet.until("the next leader knows it", |fleet| is_closed(fleet, other));
    let (code, text) = said(&fleet.command(other, &["poll", "www"]).output().unwrap());
    assert_ne!(code, 0, "{text}");
    assert_eq!(refused(&fleet), 1, "{text}");
    fleet.write(&format!("{other}/password"), "new");
    fleet.until("a changed password is tried", |fleet| fleet.is_published(0));
    assert_eq!(refused(&fleet), 1);
    figure(&format!(
        "{store}: 1 refused log-in, a leader killed after it, and 0 log-ins of the next one before its password changed",
    ));
}
