//! A primary of PostgreSQL that dies, or is away for a while, and the standby that takes over.

use std::time::Duration;

use certcollectd_core::config::fleet::StoreKind;
use certcollectd_sandbox::{Fault, FaultSpec};

use super::Fleet;
use crate::proof::{figure, number};
use crate::shared::backend::{Backend, Servers};
use crate::simulation::Dice;

const ORDERS: [&str; 2] = ["www", "mail"];

fn servers(fleet: &mut Fleet) -> &mut Servers {
    match &mut fleet.backend {
        Backend::Postgres(servers) => servers,
        Backend::Etcd(_) => panic!("it is on etcd"),
    }
}

/// By the store: its term, and the newest generation of each order.
fn state(fleet: &Fleet) -> Vec<u64> {
    let term = fleet.leader().map_or(0, |(_, term)| term);
    let generations = ORDERS.iter().map(|order| fleet.publication(order).map_or(0, |it| it.generation));
    std::iter::once(term).chain(generations).collect()
}

#[test]
fn a_standby_that_takes_over_has_all_that_was_confirmed() {
    let (rounds, seed) = (number("FLEET_FAILOVERS", 2), number("FLEET_SEED", 1));
    println!("FLEET_SEED={seed} FLEET_FAILOVERS={rounds}");
    let mut dice = Dice(seed);
    let Some(mut fleet) = Fleet::start(StoreKind::Postgres, 2, &ORDERS) else { return };
    fleet.vendor().vendor().faults.add(FaultSpec::always(Fault::Delay { ms: 150 })).unwrap();
    for name in ["a", "b"] {
        fleet.collector(name, "");
    }
    fleet.follower("f");
    let (_, first) = fleet.next_leader(0);
    for round in 0..rounds {
        fleet.next_call();
        fleet.issue(0);
        // In the middle of whatever follows from it.
        std::thread::sleep(Duration::from_millis(dice.below(1000)));
        let before = state(&fleet);
        // Dead, or only away for a while.
        let old = servers(&mut fleet).primary;
        let frozen = (round % 2 == 1).then(|| fleet.backend.freeze(old));
        if frozen.is_none() {
            fleet.backend.kill(old);
        }
        servers(&mut fleet).fail_over();
        fleet.until("all that was confirmed is there", |fleet| {
            before.iter().zip(state(fleet)).all(|(before, after)| *before <= after)
        });
        fleet.next_call();
        fleet.issue(1);
        fleet.until("it is published without a standby", |fleet| fleet.is_published(1));
        if frozen.is_some() {
            drop(frozen);
            // Both take connections now, and a host that is started may reach the old one first.
            let (leader, term) = fleet.next_leader(0);
            fleet.kill(&leader);
            fleet.begin(&leader);
            fleet.next_leader(term);
            fleet.next_call();
        }
        servers(&mut fleet).make_safe();
    }
    for order in 0..ORDERS.len() {
        fleet.issue(order);
    }
    fleet.until("the newest certificates are installed", |fleet| {
        (0..ORDERS.len()).all(|order| fleet.is_up_to_date("f", order))
    });
    fleet.assert_calls_kept_apart();
    for name in ["a", "b"] {
        assert!(!fleet.read(&format!("{name}/log")).contains("went back"), "{name} has seen what was lost");
    }
    let (_, last) = fleet.next_leader(0);
    figure(&format!(
        "postgres: {rounds} times a primary that is killed or stands still, and its synchronous standby in its place: {} calls in {} terms, 0 at once, 0 early, \
         nothing that was confirmed lost, the newest installed; from seed {seed}",
        fleet.calls(),
        last + 1 - first,
    ));
}
