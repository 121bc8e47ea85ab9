//! Listing, reading and committing, and what is known of a commit that went wrong.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use certcollectd::effects::shared::{Commit, Committed, Row, Shared, StoreSettings, Trouble};
use certcollectd_core::config::fleet::StoreKind;

use super::member::{Cluster, block_on};
use super::proxy::{Answers, Proxy, foreign};
use super::{is_away, put, row, settings, swap, text};

#[test]
fn only_what_is_below_the_prefix_is_listed() {
    let Some(cluster) = Cluster::start(1, &[]) else { return };
    cluster.ctl(&["put", "certcollectd/main", "above"]);
    cluster.ctl(&["put", "certcollectd/main0", "below"]);
    cluster.ctl(&["put", "certcollectd/main/other", "x"]);
    // No key of ours: it is not text.
    let foreign: [&[u8]; 3] = [b"put", b"certcollectd/main/rows/\xff", b"x"];
    cluster.ctl(&foreign.map(OsStr::from_bytes));
    let shared = cluster.connect();
    block_on(async {
        assert_eq!(shared.commit(&put("rows/1", "")).await, Committed::Done);
        assert_eq!(shared.list("").await.unwrap().rows, [row("other", "x"), row("rows/1", "")]);
        assert_eq!(shared.list("nothing/").await.unwrap().rows, []);
    });
}

#[test]
fn a_listing_of_large_rows_takes_smaller_pages() {
    let Some(cluster) = Cluster::start(1, &[]) else { return };
    let shared = cluster.connect();
    block_on(async {
        let value = vec![b'x'; 1_400_000];
        for number in 0..10 {
            let puts = vec![Row { key: format!("rows/{number}"), value: value.clone() }];
            assert_eq!(shared.commit(&Commit { puts, ..Commit::default() }).await, Committed::Done);
        }
        let rows = shared.list("rows/").await.unwrap().rows;
        assert!(rows.len() == 10 && rows.iter().all(|row| row.value == value));
    });
}

#[test]
fn the_prefix_is_in_front_of_each_key() {
    let Some(cluster) = Cluster::start(1, &[]) else { return };
    let shared = cluster.connect();
    assert_eq!(block_on(shared.commit(&put("b", "x"))), Committed::Done);
    assert_eq!(cluster.ctl(&["get", "certcollectd/main/b", "--print-value-only"]).trim(), "x");
}

#[test]
fn a_lost_answer_is_unknown_and_not_asked_for_elsewhere() {
    let Some(cluster) = Cluster::start(1, &[]) else { return };
    let direct = cluster.connect();
    for (answers, name) in [(Answers::Broken, "broken"), (Answers::Dropped, "dropped")] {
        let endpoints = vec![Proxy::start(&cluster.endpoint(0), answers).endpoint, cluster.endpoint(0)];
        let timeout = Duration::from_millis(500);
        let shared =
            || Shared::connect(StoreSettings { endpoints: endpoints.clone(), timeout, ..cluster.settings() });
        block_on(async {
            // If it were sent again, it would be fenced, or done.
            let Committed::Unknown(trouble) = shared().commit(&swap(name, None, "1")).await else {
                panic!("{name}: nobody knows");
            };
            assert!(is_away(&trouble) && trouble.to_string().contains(&endpoints[0]), "{trouble}");
            assert_eq!(text(&direct.get(&[name]).await.unwrap()[0]), Some("1"), "it was written");
            // What changes nothing goes on to the next one, and so does the next commit after one that was
            // lost.
            let other = shared();
            assert_eq!(text(&other.get(&[name]).await.unwrap()[0]), Some("1"));
            assert_eq!(other.commit(&swap(name, Some("1"), "2")).await, Committed::Done);
            let third = shared();
            assert!(matches!(third.commit(&put(name, "3")).await, Committed::Unknown(_)));
            assert_eq!(third.commit(&put(name, "4")).await, Committed::Done);
        });
    }
}

#[test]
fn a_full_store_refuses() {
    let Some(cluster) = Cluster::start(1, &["--quota-backend-bytes", "1000000"]) else { return };
    let shared = cluster.connect();
    block_on(async {
        let value = "x".repeat(100_000);
        let keys: Vec<String> = (0..20).map(|number| format!("rows/{number:02}")).collect();
        let mut outcomes = Vec::new();
        for key in &keys {
            outcomes.push(shared.commit(&put(key, &value)).await);
        }
        let rows = shared.list("rows/").await.unwrap().rows;
        for (key, outcome) in keys.iter().zip(&outcomes) {
            let is_there = rows.iter().any(|row| row.key == *key);
            match outcome {
                Committed::Done => assert!(is_there),
                Committed::Refused(Trouble::Full(text)) => {
                    assert!(!is_there && text.contains("no space left"), "{text}");
                }
                // The one that crosses the quota is written, although etcd says that it is not.
                Committed::Unknown(Trouble::Full(_)) => assert!(is_there),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(outcomes[0], Committed::Done);
        assert!(matches!(outcomes[19], Committed::Refused(Trouble::Full(_))));
        // Who reads what it wrote, where all is as it was to be, knows nothing.
        assert!(matches!(shared.commit(&put("rows/00", &value)).await, Committed::Unknown(Trouble::Full(_))));
        let problems = shared.check().await.remove(0).problems;
        assert!(problems.iter().any(|problem| problem.contains("NOSPACE")), "{problems:?}");
    });
}

#[test]
fn a_value_that_is_too_large_is_refused() {
    let Some(cluster) = Cluster::start(1, &[]) else { return };
    let shared = cluster.connect();
    block_on(async {
        for size in [1_600_000, 2_600_000] {
            let outcome = shared.commit(&put("rows/large", &"x".repeat(size))).await;
            let Committed::Refused(Trouble::Other(text)) = outcome else { panic!("{outcome:?}") };
            assert!(text.contains("larg"), "{text}");
        }
        assert_eq!(shared.get(&["rows/large"]).await.unwrap(), [None]);
    });
}

#[test]
fn another_member_is_asked_when_one_is_down() {
    let Some(mut cluster) = Cluster::start(3, &[]) else { return };
    let settings = StoreSettings { timeout: Duration::from_secs(1), ..cluster.settings() };
    let shared = Shared::connect(settings.clone());
    block_on(async {
        assert_eq!(shared.commit(&swap("a", None, "1")).await, Committed::Done);
        cluster.kill(0);
        // Until the others have a leader, nobody knows; then the fence tells whether it was written.
        let mut outcome = shared.commit(&swap("a", Some("1"), "2")).await;
        while matches!(outcome, Committed::Unknown(_) | Committed::Refused(_)) {
            outcome = shared.commit(&swap("a", Some("1"), "2")).await;
        }
        assert_eq!(text(&shared.get(&["a"]).await.unwrap()[0]), Some("2"), "{outcome:?}");
        // A connection that cannot be made is none on which anything was lost.
        let fresh = Shared::connect(settings.clone());
        assert_eq!(fresh.commit(&swap("a", Some("2"), "3")).await, Committed::Done);

        // Frozen, it takes connections and is silent: for reads the third one is asked.
        let frozen = cluster.freeze(1);
        let fresh = Shared::connect(settings.clone());
        let found = fresh.get(&["a"]).await;
        assert!(found.is_err_and(|trouble| is_away(&trouble)), "one of three is no quorum");
        drop(frozen);
        cluster.kill(1);
        let trouble = fresh.list("").await.unwrap_err();
        assert!(is_away(&trouble), "{trouble}");
        for endpoint in &settings.endpoints {
            assert!(trouble.to_string().contains(endpoint), "{trouble}");
        }
        assert!(
            matches!(fresh.commit(&put("a", "4")).await, Committed::Unknown(trouble) if is_away(&trouble))
        );
        cluster.kill(2);
        let outcome = fresh.commit(&put("a", "5")).await;
        assert!(
            matches!(&outcome, Committed::Refused(trouble) if is_away(trouble)),
            "nothing was sent: {outcome:?}"
        );
    });
}

#[test]
fn what_is_no_store_is_not_taken_for_an_empty_one() {
    for (status, body) in [
        ("200 OK", "{}"),
        ("200 OK", "<html>"),
        ("200 OK", "{\"error\":{\"code\":14,\"message\":\"x\"}}"),
        ("302 Found", ""),
        ("502 Bad Gateway", "<html>"),
    ] {
        let endpoints = vec![foreign(status, body)];
        let settings = settings(StoreKind::Etcd, endpoints);
        let shared = Shared::connect(settings);
        block_on(async {
            assert!(shared.list("").await.is_err(), "{body}");
            assert!(shared.get(&[]).await.is_err(), "{body}");
            assert!(matches!(shared.commit(&put("a", "1")).await, Committed::Unknown(_)), "{body}");
            assert_eq!(shared.check().await[0].version, None, "{body}");
        });
    }
}
