//! What every store does.

use std::time::Duration;

use certcollectd::effects::shared::{Change, Commit, Committed, MOST_ROWS, News, Shared};
use futures_util::future::join_all;
use tokio::time::timeout;

use super::member::{Cluster, block_on};
use super::pooler::Pooler;
use super::server::Server;
use super::{expect, put, row, swap, text};

/// Does the same with each store that is installed, and with PostgreSQL behind a pooler; the closure makes one more client of it.
fn each(test: impl AsyncFn(&dyn Fn() -> Shared)) {
    if let Some(cluster) = Cluster::start(1, &[]) {
        block_on(test(&|| cluster.connect()));
    }
    if let Some(server) = Server::start(&[]) {
        block_on(test(&|| server.connect()));
    }
    if let Some(server) = Server::start(&[])
        && let Some(pooler) = Pooler::start(&server, "")
    {
        block_on(test(&|| Shared::connect(pooler.settings())));
    }
}

#[test]
fn a_commit_is_done_if_all_is_as_expected() {
    each(async |connect| {
        let shared = connect();
        assert_eq!(shared.commit(&swap("term", None, "1")).await, Committed::Done);
        assert_eq!(shared.commit(&swap("term", None, "2")).await, Committed::Fenced);
        assert_eq!(shared.commit(&swap("term", Some("2"), "3")).await, Committed::Fenced);
        let absent = shared.commit(&swap("none", Some(""), "1")).await;
        assert_eq!(absent, Committed::Fenced, "absent is not empty");
        let fenced = |term: &str| Commit {
            expected: vec![expect("term", Some(term)), expect("c", None)],
            puts: vec![row("a", "1"), row("b", "")],
            deletes: vec!["term".into()],
        };
        assert_eq!(shared.commit(&fenced("0")).await, Committed::Fenced);
        assert_eq!(text(&shared.get(&["term"]).await.unwrap()[0]), Some("1"), "nothing of it happened");
        assert_eq!(shared.list("").await.unwrap().rows, [row("term", "1")]);
        assert_eq!(shared.commit(&fenced("1")).await, Committed::Done);
        let found = shared.get(&["b", "term", "a", "c"]).await.unwrap();
        assert_eq!(found.iter().map(text).collect::<Vec<_>>(), [Some(""), None, Some("1"), None]);
        assert_eq!(shared.commit(&swap("b", Some(""), "x")).await, Committed::Done, "empty is not absent");
        assert_eq!(shared.commit(&swap("b", Some("x"), "x")).await, Committed::Done);
        assert_eq!(shared.commit(&swap("term", None, "4")).await, Committed::Done, "deleted is absent");
        assert_eq!(shared.get(&[]).await, Ok(vec![]));
    });
}

#[test]
fn keys_are_in_the_order_of_their_bytes() {
    each(async |connect| {
        let shared = connect();
        let keys = ["r/A", "r/B", "r/\\'", "r/_", "r/a", "r/a%", "r/a-b", "r/a.b", "r/a/b", "r/ab"];
        let puts = keys.iter().rev().map(|key| row(key, key)).chain([row("r", "x"), row("s", "x")]);
        assert_eq!(
            shared.commit(&Commit { puts: puts.collect(), ..Commit::default() }).await,
            Committed::Done
        );
        let rows = shared.list("r/").await.unwrap().rows;
        assert!(rows.iter().map(|row| &*row.key).eq(keys), "{rows:?}");
        let below = shared.list("r/a").await.unwrap().rows;
        assert!(below.iter().map(|row| &*row.key).eq(keys[4..].iter().copied()), "{below:?}");
        let found = shared.get(&keys).await.unwrap();
        assert!(found.iter().zip(keys).all(|(found, key)| text(found) == Some(key)), "{found:?}");
    });
}

/// Also where it takes several pages.
#[test]
fn a_listing_is_of_one_moment() {
    each(async |connect| {
        let shared = connect();
        let keys: Vec<String> = (0..1200).map(|number| format!("rows/{number:04}")).collect();
        for some in keys.chunks(MOST_ROWS) {
            let puts = some.iter().map(|key| row(key, "0")).collect();
            assert_eq!(shared.commit(&Commit { puts, ..Commit::default() }).await, Committed::Done);
        }
        let writer = async {
            for number in 1..=40 {
                let value = number.to_string();
                let puts = [&keys[0], &keys[1199]].map(|key| row(key, &value)).to_vec();
                assert_eq!(shared.commit(&Commit { puts, ..Commit::default() }).await, Committed::Done);
            }
        };
        let reader = async {
            for _ in 0..8 {
                let listing = shared.list("rows/").await.unwrap();
                assert!(listing.rows.iter().map(|row| &row.key).eq(&keys));
                assert_eq!(listing.rows[0].value, listing.rows[1199].value);
            }
        };
        futures_util::future::join(writer, reader).await;
        let before = shared.list("rows/").await.unwrap().revision;
        assert_eq!(shared.commit(&put("rows/1200", "")).await, Committed::Done);
        assert!(shared.list("").await.unwrap().revision > before);
    });
}

#[test]
fn of_many_takeovers_at_once_one_wins() {
    each(async |connect| {
        let clients: Vec<Shared> = (0..12).map(|_| connect()).collect();
        let mut before: Option<String> = None;
        for round in 0..20 {
            let takeover = |number: usize| {
                let (lease, term) = (format!("{round}-{number}"), format!("{round}-{number}"));
                Commit {
                    expected: vec![expect("term", before.as_deref()), expect("lease", before.as_deref())],
                    puts: vec![row("lease", &lease), row("term", &term)],
                    deletes: Vec::new(),
                }
            };
            let commits: Vec<Commit> = (0..clients.len()).map(takeover).collect();
            let outcomes =
                join_all(clients.iter().zip(&commits).map(|(client, commit)| client.commit(commit))).await;
            let won: Vec<usize> = (0..outcomes.len()).filter(|at| outcomes[*at] == Committed::Done).collect();
            let [won] = won[..] else { panic!("round {round}: {outcomes:?}") };
            let others = outcomes.iter().filter(|outcome| **outcome == Committed::Fenced).count();
            assert_eq!(others, clients.len() - 1, "round {round}: {outcomes:?}");
            let found = clients[0].get(&["lease", "term"]).await.unwrap();
            let winner = format!("{round}-{won}");
            assert_eq!(found.iter().map(text).collect::<Vec<_>>(), [Some(&*winner), Some(&*winner)]);
            // Half of the rounds begin where there is nothing.
            before = Some(winner);
            if round % 2 == 0 {
                let deletes = vec!["lease".into(), "term".into()];
                let done = clients[0].commit(&Commit { deletes, ..Commit::default() }).await;
                assert_eq!(done, Committed::Done);
                before = None;
            }
        }
    });
}

#[test]
fn counting_together_loses_nothing() {
    each(async |connect| {
        let clients: Vec<Shared> = (0..4).map(|_| connect()).collect();
        let count = async |shared: &Shared| {
            for _ in 0..20 {
                loop {
                    let before = shared.get(&["n"]).await.unwrap().remove(0);
                    let before = before.map(|value| String::from_utf8(value).unwrap());
                    let number = before.as_ref().map_or(0, |text| text.parse::<u32>().unwrap());
                    match shared.commit(&swap("n", before.as_deref(), &(number + 1).to_string())).await {
                        Committed::Done => break,
                        Committed::Fenced => {}
                        other => panic!("{other:?}"),
                    }
                }
            }
        };
        join_all(clients.iter().map(count)).await;
        assert_eq!(text(&clients[0].get(&["n"]).await.unwrap()[0]), Some("80"));
    });
}

#[test]
fn a_watch_ends_with_what_a_listing_shows() {
    each(async |connect| {
        let shared = connect();
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
        let mut seen = Vec::new();
        let mut until = async |last: Change| {
            while seen.last() != Some(&last) {
                // However often the wait is given up.
                match timeout(Duration::from_micros(200), watch.next()).await {
                    Ok(News::Changes(changes)) => seen.extend(changes),
                    Ok(News::Lost(why)) => panic!("{why}"),
                    Err(_) => {}
                }
            }
            std::mem::take(&mut seen)
        };
        let first = until(Change::Put(row("rows/b", ""))).await;
        assert!(first.contains(&Change::Deleted("rows/a".into())), "{first:?}");
        // From now on by other clients, while it waits.
        let other = connect();
        for number in 0..50 {
            let value = number.to_string();
            assert_eq!(other.commit(&put("rows/c", &value)).await, Committed::Done);
            let news = until(Change::Put(row("rows/c", &value))).await;
            assert_eq!(news, [Change::Put(row("rows/c", &value))]);
        }
        let large = "x".repeat(1_000_000);
        assert_eq!(other.commit(&put("rows/d", &large)).await, Committed::Done);
        assert_eq!(until(Change::Put(row("rows/d", &large))).await.len(), 1);
    });
}
