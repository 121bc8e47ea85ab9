//! Changes as they happen, and the end of a watch.

use std::time::Duration;

use certcollectd::effects::shared::{Change, Commit, Committed, News, Revision, Shared, StoreSettings};
use certcollectd_core::config::fleet::StoreKind;
use tokio::time::timeout;

use super::member::{Cluster, block_on};
use super::proxy::foreign;
use super::{changes, lost, put, row, settings};

#[test]
fn what_one_commit_did_comes_before_the_next() {
    let Some(cluster) = Cluster::start(1, &[]) else { return };
    let shared = cluster.connect();
    block_on(async {
        assert_eq!(shared.commit(&put("rows/a", "1")).await, Committed::Done);
        let revision = shared.list("rows/").await.unwrap().revision;
        let both = Commit {
            puts: vec![row("rows/b", "2"), row("other/b", "2")],
            deletes: vec!["rows/a".into()],
            ..Commit::default()
        };
        assert_eq!(shared.commit(&both).await, Committed::Done);
        assert_eq!(shared.commit(&put("rows/b", "")).await, Committed::Done);
        let mut watch = shared.watch("rows/", revision);
        let since = changes(&mut watch, 3).await;
        let (put_b, deleted_a) = (Change::Put(row("rows/b", "2")), Change::Deleted("rows/a".into()));
        assert!(
            since[..2] == [put_b.clone(), deleted_a.clone()] || since[..2] == [deleted_a, put_b],
            "{since:?}"
        );
        assert_eq!(since[2], Change::Put(row("rows/b", "")));
    });
}

#[test]
fn many_large_changes_come_in_parts() {
    let Some(cluster) = Cluster::start(1, &[]) else { return };
    let shared = cluster.connect();
    block_on(async {
        let from = shared.list("").await.unwrap().revision;
        for number in 0..8 {
            let name = format!("rows/{number}");
            assert_eq!(shared.commit(&put(&name, &"x".repeat(1_200_000))).await, Committed::Done);
        }
        let seen = changes(&mut shared.watch("rows/", from), 8).await;
        let keys = seen.iter().map(|change| match change {
            Change::Put(row) => row.key.as_str(),
            Change::Deleted(key) => panic!("{key}"),
        });
        assert!(keys.eq((0..8).map(|number| format!("rows/{number}"))));
    });
}

#[test]
fn compacted_changes_end_it() {
    let Some(cluster) = Cluster::start(1, &[]) else { return };
    let shared = cluster.connect();
    block_on(async {
        let from = shared.list("").await.unwrap().revision;
        for value in ["1", "2", "3"] {
            assert_eq!(shared.commit(&put("a", value)).await, Committed::Done);
        }
        let now = shared.list("").await.unwrap().revision;
        cluster.ctl(&["compaction", &now.0.to_string()]);
        let mut watch = shared.watch("", from);
        let why = lost(&mut watch).await;
        assert!(why.contains("compacted") && why.contains(&cluster.endpoint(0)), "{why}");
        assert_eq!(watch.next().await, News::Lost(why), "it stays lost");
        let mut watch = shared.watch("", now);
        assert_eq!(shared.commit(&put("a", "4")).await, Committed::Done);
        assert_eq!(changes(&mut watch, 1).await, [Change::Put(row("a", "4"))]);
    });
}

#[test]
fn a_store_that_went_back_ends_it() {
    let Some(cluster) = Cluster::start(1, &[]) else { return };
    let why = block_on(async { lost(&mut cluster.connect().watch("", Revision(1_000))).await });
    assert!(why.contains("1000"), "{why}");
}

#[test]
fn a_member_that_ends_ends_it() {
    let Some(mut cluster) = Cluster::start(1, &[]) else { return };
    let shared = cluster.connect();
    block_on(async {
        let from = shared.list("").await.unwrap().revision;
        let mut watch = shared.watch("", from);
        assert_eq!(shared.commit(&put("a", "1")).await, Committed::Done);
        assert_eq!(changes(&mut watch, 1).await.len(), 1);
        cluster.kill(0);
        cluster.start_again(0).await;
        let why = lost(&mut watch).await;
        assert!(why.contains(&cluster.endpoint(0)), "{why}");
        // And from the same place it goes on.
        assert_eq!(changes(&mut shared.watch("", from), 1).await, [Change::Put(row("a", "1"))]);
    });
}

#[test]
fn a_member_without_quorum_ends_it() {
    let Some(mut cluster) = Cluster::start(3, &[]) else { return };
    let endpoints = vec![cluster.endpoint(0)];
    let shared = Shared::connect(StoreSettings { endpoints, ..cluster.settings() });
    block_on(async {
        let from = shared.list("").await.unwrap().revision;
        let mut watch = shared.watch("", from);
        assert_eq!(shared.commit(&put("a", "1")).await, Committed::Done);
        assert_eq!(changes(&mut watch, 1).await.len(), 1);
        cluster.kill(1);
        cluster.kill(2);
        // Long before it would be idle too long.
        let why = lost(&mut watch).await;
        assert!(why.contains("leader"), "{why}");
        let why = lost(&mut shared.watch("", from)).await;
        assert!(why.contains("leader"), "none begins there, either: {why}");
        let report = shared.check().await.remove(0);
        assert!(report.problems.iter().any(|problem| problem.contains("no leader")), "{report:?}");
    });
}

#[test]
fn a_frozen_member_ends_it_and_another_one_is_asked() {
    let Some(cluster) = Cluster::start(3, &[]) else { return };
    let settings = StoreSettings {
        watch_idle: Duration::from_millis(700),
        timeout: Duration::from_secs(1),
        ..cluster.settings()
    };
    let shared = Shared::connect(settings);
    block_on(async {
        let from = shared.list("").await.unwrap().revision;
        let mut watch = shared.watch("", from);
        assert_eq!(shared.commit(&put("a", "1")).await, Committed::Done);
        assert_eq!(changes(&mut watch, 1).await.len(), 1);
        let _frozen = cluster.freeze(0);
        // However often the wait is given up meanwhile.
        let why = loop {
            match timeout(Duration::from_millis(100), watch.next()).await {
                Ok(News::Lost(why)) => break why,
                Ok(News::Changes(changes)) => panic!("{changes:?}"),
                Err(_) => {}
            }
        };
        assert!(why.contains("700ms"), "{why}");
        // The frozen one may have led.
        let listing = loop {
            if let Ok(listing) = shared.list("").await {
                break listing;
            }
        };
        assert_eq!(listing.rows, [row("a", "1")]);
        assert_eq!(shared.commit(&put("a", "2")).await, Committed::Done);
        assert_eq!(changes(&mut shared.watch("", listing.revision), 1).await, [Change::Put(row("a", "2"))]);
    });
}

#[test]
fn what_is_no_watch_ends_it() {
    for (status, body) in [
        ("200 OK", "{}\n"),
        ("200 OK", "<html>\n"),
        ("200 OK", ""),
        ("200 OK", "{\"error\":{\"grpc_code\":14,\"message\":\"etcdserver: no leader\"}}\n"),
        ("404 Not Found", "Not Found"),
    ] {
        let settings = settings(StoreKind::Etcd, vec![foreign(status, body)]);
        block_on(async { lost(&mut Shared::connect(settings).watch("", Revision(1))).await });
    }
}
