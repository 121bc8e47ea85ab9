//! The leader's commits, whatever becomes of their answers.

use std::rc::Rc;
use std::time::Duration;

use certcollectd::effects::shared::keeper::Term;
use certcollectd::effects::shared::ledger::{Ledger, Unwritten};
use certcollectd::effects::shared::{Commit, Committed, Shared, StoreSettings};
use certcollectd_core::engine::time::{Now, Time};

use super::member::{Cluster, block_on};
use super::proxy::{Answers, Proxy};
use super::server::Server;
use super::{expect, put, row, text};

const FENCE: &str = "{\"term\":7,\"process\":\"me\"}";

fn now() -> Now {
    Now { time: Time(50_000), wall: 1_800_000_000_000 }
}

fn ledger(shared: Shared) -> Ledger {
    let term = Term { number: 7, fence: FENCE.into(), calls_until: Time::MAX };
    Ledger::new(Rc::new(shared), &term, now)
}

/// A ledger that goes on in a store where this term leads, and the store.
async fn leading(shared: Shared, settings: StoreSettings) -> (Shared, Ledger) {
    assert_eq!(shared.commit(&put("term", FENCE)).await, Committed::Done);
    let ledger = ledger(Shared::connect(settings));
    ledger.identify(None).await.unwrap();
    (shared, ledger)
}

fn wanted(key: &str, value: &str) -> Vec<(String, Option<Vec<u8>>)> {
    vec![(key.into(), Some(value.into()))]
}

/// As it would lie in a buffer on its way.
#[test]
fn a_commit_that_comes_late_changes_nothing() {
    let Some(cluster) = Cluster::start(1, &[]) else { return };
    block_on(async {
        let (shared, ledger) = leading(cluster.connect(), cluster.settings()).await;
        let counted = shared.get(&["rows/commit"]).await.unwrap().pop().unwrap();
        let late = Commit {
            expected: vec![expect("term", Some(FENCE)), expect("rows/commit", text(&counted))],
            puts: vec![row("rows/orders/www", "old"), row("rows/commit", "2")],
            ..Commit::default()
        };
        ledger.write(wanted("rows/orders/www", "new")).await.unwrap();
        assert_eq!(shared.commit(&late).await, Committed::Fenced);
        let found = shared.get(&["rows/orders/www"]).await.unwrap();
        assert_eq!(text(&found[0]), Some("new"));
    });
}

#[test]
fn an_answer_that_is_lost_is_looked_up() {
    let Some(cluster) = Cluster::start(1, &[]) else { return };
    block_on(async {
        let proxy = Proxy::start(&cluster.endpoint(0), Answers::Passed);
        let mut settings = cluster.settings();
        settings.endpoints = vec![proxy.endpoint.clone()];
        settings.timeout = Duration::from_secs(1);
        let (shared, ledger) = leading(cluster.connect(), settings).await;
        // The first answer is lost, and with it all until the way is whole again.
        proxy.set(Answers::Broken);
        let lost = ledger.write(wanted("rows/orders/www", "one")).await;
        assert!(matches!(lost, Err(Unwritten::Trouble(_))), "{lost:?}");
        proxy.set(Answers::Passed);
        ledger.write(wanted("rows/orders/www", "two")).await.unwrap();
        let found = shared.get(&["rows/orders/www"]).await.unwrap();
        assert_eq!(text(&found[0]), Some("two"));
    });
}

/// After a wait for a standby that was cut short, the primary shows what would be lost with it.
#[test]
fn what_no_standby_has_is_not_taken_as_written() {
    let Some(mut server) = Server::start(&[]) else { return };
    let mut standby = server.standby();
    server.wait_for_standbys(true);
    block_on(async {
        let settings = StoreSettings { timeout: Duration::from_secs(2), ..server.settings() };
        let (shared, ledger) = leading(server.connect(), settings).await;
        standby.kill();
        let cut_short = async {
            loop {
                server.psql(
                    "postgres",
                    "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'",
                );
                tokio::task::yield_now().await;
            }
        };
        let written = tokio::select! {
            written = ledger.write(wanted("rows/orders/www", "one")) => written,
            () = cut_short => unreachable!(),
        };
        assert!(matches!(written, Err(Unwritten::Trouble(_))), "{written:?}");
        let found = shared.get(&["rows/orders/www"]).await.unwrap();
        assert_eq!(text(&found[0]), Some("one"), "the primary alone has it");
        standby.start_again();
        while ledger.write(wanted("rows/orders/www", "two")).await.is_err() {}
        server.kill();
        standby.promote();
        let found = standby.connect().get(&["rows/orders/www"]).await.unwrap();
        assert_eq!(text(&found[0]), Some("two"));
    });
}

#[test]
fn who_does_not_lead_writes_nothing() {
    let Some(cluster) = Cluster::start(1, &[]) else { return };
    block_on(async {
        let (shared, ledger) = leading(cluster.connect(), cluster.settings()).await;
        assert_eq!(shared.commit(&put("term", "another")).await, Committed::Done);
        let written = ledger.write(wanted("rows/orders/www", "one")).await;
        assert_eq!(written, Err(Unwritten::Deposed));
        assert_eq!(shared.get(&["rows/orders/www"]).await.unwrap(), [None]);
    });
}

/// More than one commit takes, in rows and in bytes.
#[test]
fn many_rows_are_all_written() {
    let Some(cluster) = Cluster::start(1, &[]) else { return };
    block_on(async {
        let (shared, ledger) = leading(cluster.connect(), cluster.settings()).await;
        let large = "x".repeat(400_000);
        let rows = (0..250).map(|number| (format!("rows/orders/o{number}"), Some(b"small".to_vec())));
        let large =
            (0..4).map(|number| (format!("rows/bundles/b{number}"), Some(large.clone().into_bytes())));
        ledger.write(rows.chain(large).collect()).await.unwrap();
        assert_eq!(shared.list("rows/orders/").await.unwrap().rows.len(), 250);
        assert_eq!(shared.list("rows/bundles/").await.unwrap().rows.len(), 4);
    });
}
