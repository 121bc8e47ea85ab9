//! A fleet of which every host reaches PostgreSQL through a pooler, which lets no notification through.

use certcollectd_core::config::fleet::StoreKind;

use super::super::Fleet;
use super::{HOST, ORDER, is_settled};
use crate::proof::figure;
use crate::shared::backend::Backend;
use crate::shared::pooler::Pooler;

const COLLECTORS: [&str; 2] = ["a", "b"];

#[test]
fn a_fleet_behind_a_pooler_is_only_slower() {
    let Some(mut backend) = Backend::start(StoreKind::Postgres, 1) else {
        return println!("PROOF-SKIP PostgreSQL is not installed");
    };
    if let Backend::Postgres(servers) = &mut backend {
        servers.pooler = Pooler::start(servers.primary(), "").map(Box::new);
        if servers.pooler.is_none() {
            return println!("PROOF-SKIP pgbouncer is not installed");
        }
    }
    let mut fleet = Fleet::on(backend, &[ORDER]);
    for name in COLLECTORS {
        fleet.collector(name, "");
    }
    fleet.follower(HOST);
    let (leader, term) = fleet.next_leader(0);
    fleet.until("the first is installed", |fleet| is_settled(fleet));
    // The pooler finds the server again by itself.
    fleet.restart_member(0);
    fleet.kill(&leader);
    fleet.begin(&leader);
    fleet.next_leader(term);
    fleet.next_call();
    fleet.issue(0);
    fleet.until("the newest is installed", |fleet| is_settled(fleet));
    fleet.assert_calls_kept_apart();
    figure(&format!(
        "postgres behind a pooler in transaction mode, restarted, and a leader killed: {} calls in {} terms, 0 at once, 0 early, the \
         newest installed",
        fleet.calls(),
        fleet.next_leader(0).1
    ));
}
