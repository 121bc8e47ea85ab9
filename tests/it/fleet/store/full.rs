//! A store without room.

use std::panic::resume_unwind;
use std::thread;

use certcollectd::effects::shared::{Commit, Committed, Row, Trouble};
use certcollectd_core::config::fleet::StoreKind;

use super::super::Fleet;
use super::{HOST, ORDER, is_settled, says};
use crate::proof::{figure, own_mounts};
use crate::shared::backend::{Backend, on_each_store};
use crate::shared::member::Cluster;
use crate::simulation::Dice;

on_each_store!(etcd at once: a_store_that_is_full_costs_nothing_once_it_has_room);

fn a_store_that_is_full_costs_nothing_once_it_has_room(store: StoreKind) {
    // A disk of its own is in mounts of its own.
    let thread = thread::spawn(move || match small(store) {
        Ok(backend) => fill_it(Fleet::on(backend, &[ORDER])),
        Err(why) => println!("PROOF-SKIP {why}"),
    });
    thread.join().unwrap_or_else(|panic| resume_unwind(panic));
}

/// One that has room for a few megabytes.
fn small(store: StoreKind) -> Result<Backend, String> {
    let missing = || format!("{store} is not installed");
    match store {
        StoreKind::Etcd => {
            let cluster = Cluster::start(1, &["--quota-backend-bytes", "4000000"]);
            cluster.map(Backend::Etcd).ok_or_else(missing)
        }
        StoreKind::Postgres => {
            own_mounts()?;
            let mut backend = Backend::start(store, 1).ok_or_else(missing)?;
            if let Backend::Postgres(servers) = &mut backend {
                servers.primary().move_to_small_disk()?;
            }
            Ok(backend)
        }
    }
}

/// Rows that nobody asks for, until not even a small one has room; how many it took.
fn fill(fleet: &Fleet) -> u32 {
    let (mut dice, mut at, mut tries) = (Dice(1), 0, 0);
    for size in [500_000, 50_000, 5_000] {
        loop {
            // Bytes that cannot be made smaller.
            let value = (0..size).map(|_| u8::try_from(dice.below(256)).unwrap()).collect();
            let row = Row { key: format!("filler/{at}"), value };
            match fleet.block_on(fleet.store.commit(&Commit { puts: vec![row], ..Commit::default() })) {
                Committed::Done => at += 1,
                Committed::Refused(Trouble::Full(_)) => break,
                // A busy machine; the same row once more.
                Committed::Unknown(_) => tries += 1,
                other => panic!("{other:?}"),
            }
            assert!(at < 1000 && tries < 100, "it is never full");
        }
    }
    at
}

fn make_room(fleet: &Fleet) {
    match &fleet.backend {
        Backend::Etcd(cluster) => {
            cluster.ctl(&["del", "--prefix", "certcollectd/main/filler/"]);
            cluster.compact();
            cluster.ctl(&["defrag"]);
            cluster.ctl(&["alarm", "disarm"]);
        }
        // To delete takes room as well.
        Backend::Postgres(servers) => servers.all[servers.primary].enlarge_small_disk(),
    }
}

fn fill_it(mut fleet: Fleet) {
    fleet.collector("a", "");
    fleet.follower(HOST);
    let (_, term) = fleet.next_leader(0);
    fleet.until("the first is installed", |fleet| is_settled(fleet));
    let filled = fill(&fleet);
    assert!(filled > 0, "it had no room from the start");
    fleet.issue(0);
    fleet.until("it says so", |fleet| says(fleet, "a", "has no space left"));
    let after = match fleet.backend.kind() {
        // It takes no beat either.
        StoreKind::Etcd => {
            fleet.until("its leader ends", |fleet| fleet.times_deposed("a") > 0);
            fleet.until("it is said", |fleet| fleet.store_of("a") == "full");
            term
        }
        // What a row had before makes room for it.
        StoreKind::Postgres => 0,
    };
    make_room(&fleet);
    fleet.next_leader(after);
    fleet.until("what was issued meanwhile is installed", |fleet| is_settled(fleet));
    fleet.until("all is well again", |fleet| fleet.store_of("a") == "ok");
    fleet.assert_calls_kept_apart();
    figure(&format!(
        "{}: full: said, nothing lost, and the newest installed once there was room; compacted under all watches",
        fleet.backend.kind()
    ));
}
