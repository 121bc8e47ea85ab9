//! What is PostgreSQL's own: tables, standbys, warnings, rights.

use std::sync::Arc;
use std::time::Duration;

use certcollectd::effects::shared::postgres::{Grantee, grants};
use certcollectd::effects::shared::{
    Change, Commit, Committed, News, Revision, Shared, StoreSettings, Trouble,
};
use futures_util::future::{join, join_all};

use super::access::certificate;
use super::member::{PASSWORD, block_on};
use super::proxy::{Answers, foreign, until};
use super::server::{Server, endpoint};
use super::{changes, commit_at_last, expect, is_away, lost, put, row, swap, text};
use crate::certs::ca;

#[test]
fn a_collector_makes_the_table_and_a_follower_does_not() {
    let Some(server) = Server::start(&[]) else { return };
    let follower = Shared::connect(StoreSettings { makes_tables: false, ..server.settings() });
    block_on(async {
        for trouble in [follower.list("").await.unwrap_err(), follower.get(&["meta"]).await.unwrap_err()] {
            assert!(matches!(&trouble, Trouble::Other(text) if text.contains("a collector")), "{trouble}");
        }
        let outcome = follower.commit(&put("hosts/a/seen", "1")).await;
        assert!(matches!(outcome, Committed::Refused(Trouble::Other(_))), "{outcome:?}");
        let problems = follower.check().await.remove(0).problems;
        assert!(problems.len() == 1 && problems[0].contains("a collector"), "{problems:?}");
        // Many at once.
        let collectors: Vec<Shared> = (0..8).map(|_| server.connect()).collect();
        let outcomes =
            join_all(collectors.iter().map(async |one| one.commit(&swap("term", None, "1")).await));
        let outcomes = outcomes.await;
        let done = outcomes.iter().filter(|outcome| **outcome == Committed::Done).count();
        assert_eq!(done, 1, "{outcomes:?}");
        assert_eq!(follower.list("").await.unwrap().rows, [row("term", "1")]);
        assert_eq!(follower.check().await[0].problems, [""; 0]);
    });
}

#[test]
fn a_lost_answer_is_unknown_only_if_all_was_sent() {
    let Some(server) = Server::start(&[]) else { return };
    let direct = server.connect();
    let through = |word, answers| {
        Shared::connect(StoreSettings {
            endpoints: vec![endpoint(&until(&server.address(), word, answers)), server.endpoint()],
            timeout: Duration::from_millis(500),
            ..server.settings()
        })
    };
    block_on(async {
        for (answers, name) in [(Answers::Broken, "broken"), (Answers::Dropped, "dropped")] {
            // Of the second half.
            let shared = through("pg_notify", answers);
            let outcome = shared.commit(&swap(name, None, "1")).await;
            assert!(
                matches!(&outcome, Committed::Unknown(trouble) if is_away(trouble)),
                "{name}: {outcome:?}"
            );
            assert_eq!(text(&direct.get(&[name]).await.unwrap()[0]), Some("1"), "it was written");
            assert_eq!(shared.commit(&swap(name, Some("1"), "2")).await, Committed::Done);
            // Of the first: nothing was written, and the next one is asked.
            let shared = through("FOR UPDATE", answers);
            assert_eq!(shared.commit(&swap(name, Some("2"), "3")).await, Committed::Done);
            let shared = through("REPEATABLE READ", answers);
            assert_eq!(text(&shared.get(&[name]).await.unwrap()[0]), Some("3"));
        }
    });
}

#[test]
fn what_no_standby_has_is_not_done() {
    let Some(mut server) = Server::start(&[]) else { return };
    let shared = Shared::connect(StoreSettings { timeout: Duration::from_secs(2), ..server.settings() });
    block_on(async { assert_eq!(shared.commit(&swap("a", None, "1")).await, Committed::Done) });
    let mut standby = server.standby();
    let state = "SELECT sync_state FROM pg_stat_replication";
    server.wait_until("the standby follows", |server| server.psql("postgres", state) == "async");
    let problems = block_on(shared.check()).remove(0).problems;
    assert!(problems.len() == 1 && problems[0].contains("synchronous_standby_names"), "{problems:?}");
    server.psql("postgres", "ALTER SYSTEM SET synchronous_standby_names = 'standby'");
    // Neither lowers what a commit means, or hides what became of it.
    server.psql("postgres", "ALTER ROLE certcollectd SET synchronous_commit = off");
    server.psql("postgres", "ALTER ROLE certcollectd SET client_min_messages = error");
    server.psql("postgres", "SELECT pg_reload_conf()");
    server.wait_until("it is synchronous", |server| server.psql("postgres", state) == "sync");
    let shared = Shared::connect(StoreSettings { timeout: Duration::from_secs(2), ..server.settings() });
    block_on(async {
        assert_eq!(shared.commit(&swap("a", Some("1"), "2")).await, Committed::Done);
        assert_eq!(shared.check().await[0].problems, [""; 0]);
    });
    standby.kill();
    block_on(async {
        // The server would say that it is done.
        let cancel = async {
            let cancel =
                "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
            while server.psql("postgres", cancel) == "0" {
                tokio::task::yield_now().await;
            }
        };
        let (outcome, ()) = join(shared.commit(&swap("a", Some("2"), "3")), cancel).await;
        let Committed::Unknown(trouble) = outcome else { panic!("{outcome:?}") };
        assert!(trouble.to_string().contains("canceling wait for synchronous replication"), "{trouble}");
        let says_so =
            |trouble: &Trouble| is_away(trouble) && trouble.to_string().contains("synchronous standbys");
        // Nobody cuts the wait short.
        let outcome = shared.commit(&put("b", "1")).await;
        assert!(matches!(&outcome, Committed::Unknown(trouble) if says_so(trouble)), "{outcome:?}");
        // That one still holds its row.
        let outcome = shared.commit(&swap("b", None, "2")).await;
        assert!(matches!(&outcome, Committed::Refused(trouble) if says_so(trouble)), "{outcome:?}");
        let problems = shared.check().await.remove(0).problems;
        assert!(problems.len() == 1 && problems[0].contains("no standby is connected"), "{problems:?}");
        assert_eq!(text(&shared.get(&["b"]).await.unwrap()[0]), None, "what may come is not shown");
    });
    standby.start_again();
    server.wait_until("it follows again", |server| server.psql("postgres", state) == "sync");
    block_on(async {
        let mut outcome = shared.commit(&swap("b", Some("1"), "2")).await;
        while outcome == Committed::Fenced {
            outcome = shared.commit(&swap("b", Some("1"), "2")).await;
        }
        assert_eq!(outcome, Committed::Done, "it came late, as unknown as it was");
    });
}

#[test]
fn the_server_that_takes_writes_is_used() {
    let Some(mut server) = Server::start(&[]) else { return };
    block_on(async { assert_eq!(server.connect().commit(&put("a", "1")).await, Committed::Done) });
    let mut standby = server.standby();
    let has_it = "SELECT count(*) FROM certcollectd_rows";
    standby.wait_until("it has the row", |standby| standby.psql("fleet", has_it) == "1");
    let alone = Shared::connect(standby.settings());
    let both = || StoreSettings {
        endpoints: vec![standby.endpoint(), server.endpoint()],
        watch_idle: Duration::from_millis(400),
        ..server.settings()
    };
    let shared = Shared::connect(both());
    let mut watch = block_on(async {
        let trouble = alone.list("").await.unwrap_err();
        assert!(is_away(&trouble) && trouble.to_string().contains("is a standby"), "{trouble}");
        let outcome = alone.commit(&put("a", "2")).await;
        assert!(matches!(&outcome, Committed::Refused(trouble) if is_away(trouble)), "{outcome:?}");
        let report = alone.check().await.remove(0);
        assert!(report.version.is_some() && report.problems[0].contains("no endpoint"), "{report:?}");
        assert_eq!(shared.commit(&swap("a", Some("1"), "2")).await, Committed::Done);
        let reports = shared.check().await;
        assert_eq!(reports[0].problems, [""; 0]);
        shared.list("").await.unwrap().revision
    });
    standby.wait_until("it has both", |standby| {
        standby.psql("fleet", "SELECT convert_from(value, 'UTF8') FROM certcollectd_rows") == "2"
    });
    server.kill();
    standby.promote();
    block_on(async {
        let mut outcome = shared.commit(&swap("a", Some("2"), "3")).await;
        while matches!(outcome, Committed::Refused(_) | Committed::Unknown(_)) {
            outcome = shared.commit(&swap("a", Some("2"), "3")).await;
        }
        assert_eq!(outcome, Committed::Done);
        // It knows nothing of the transactions of another server.
        let why = lost(&mut shared.watch("", watch)).await;
        assert!(why.contains("another server"), "{why}");
        watch = shared.list("").await.unwrap().revision;
        assert_eq!(shared.commit(&put("b", "1")).await, Committed::Done);
        let seen = changes(&mut shared.watch("", watch), 1).await;
        assert_eq!(seen, [Change::Put(row("b", "1"))]);
    });
}

/// As a server is left by some that replaced it: it takes connections, and is behind.
#[test]
fn a_server_that_is_read_only_is_passed_over() {
    let Some(old) = Server::start(&[]) else { return };
    let Some(new) = Server::start(&[]) else { return };
    block_on(async {
        assert_eq!(old.connect().commit(&put("a", "1")).await, Committed::Done);
        assert_eq!(new.connect().commit(&put("a", "2")).await, Committed::Done);
        old.psql("postgres", "ALTER DATABASE fleet SET default_transaction_read_only = on");
        let alone = Shared::connect(old.settings());
        let trouble = alone.list("").await.unwrap_err();
        assert!(is_away(&trouble) && trouble.to_string().contains("read-only"), "{trouble}");
        let outcome = alone.commit(&put("a", "3")).await;
        assert!(matches!(&outcome, Committed::Refused(trouble) if is_away(trouble)), "{outcome:?}");
        let both = || StoreSettings { endpoints: vec![old.endpoint(), new.endpoint()], ..new.settings() };
        assert_eq!(Shared::connect(both()).list("").await.unwrap().rows, [row("a", "2")]);
        let outcome = Shared::connect(both()).commit(&swap("a", Some("2"), "3")).await;
        assert_eq!(outcome, Committed::Done);
    });
}

#[test]
fn two_servers_that_take_writes_are_one_too_many() {
    let Some(server) = Server::start(&[]) else { return };
    let standby = server.standby();
    let both = StoreSettings { endpoints: vec![standby.endpoint(), server.endpoint()], ..server.settings() };
    // The same one twice.
    let same = StoreSettings { endpoints: vec![server.endpoint(), server.endpoint()], ..server.settings() };
    block_on(async {
        assert_eq!(server.connect().commit(&put("a", "1")).await, Committed::Done);
        standby.promote();
        let problems = async |settings| -> String {
            let reports = Shared::connect(settings).check().await;
            reports.into_iter().flat_map(|report| report.problems).collect()
        };
        let said = problems(both).await;
        assert!(said.contains("more than one server takes writes"), "{said}");
        assert_eq!(problems(same).await, "");
    });
}

#[test]
fn what_is_set_for_a_user_changes_nothing() {
    let Some(server) = Server::start(&[]).map(Arc::new) else { return };
    for (setting, value) in [
        ("statement_timeout", "50ms"),
        ("lock_timeout", "50ms"),
        ("idle_in_transaction_session_timeout", "50ms"),
        ("idle_session_timeout", "50ms"),
        ("default_transaction_isolation", "serializable"),
        ("bytea_output", "escape"),
        ("standard_conforming_strings", "off"),
    ] {
        server.psql("postgres", &format!("ALTER ROLE certcollectd SET {setting} = '{value}'"));
    }
    let shared = server.connect();
    block_on(async {
        assert_eq!(shared.commit(&swap("a", None, "1\\")).await, Committed::Done);
        let sleeps = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
        let slow = tokio::task::spawn_blocking({
            let server = server.clone();
            let hold = "BEGIN; SELECT FROM certcollectd_rows FOR UPDATE; SELECT pg_sleep(0.5); COMMIT";
            move || server.psql("fleet", hold)
        });
        while server.psql("fleet", sleeps) == "0" {
            tokio::task::yield_now().await;
        }
        assert_eq!(shared.commit(&swap("a", Some("1\\"), "2")).await, Committed::Done);
        slow.await.unwrap();
        assert_eq!(text(&shared.get(&["a"]).await.unwrap()[0]), Some("2"));
    });
}

#[test]
fn a_server_without_a_free_connection_is_said() {
    let Some(server) = Server::start(&["max_connections=5", "superuser_reserved_connections=3"]) else {
        return;
    };
    block_on(async {
        let others = [server.connect(), server.connect()];
        for other in &others {
            assert_eq!(other.commit(&put("a", "1")).await, Committed::Done);
        }
        let shared = server.connect();
        let outcome = shared.commit(&put("a", "2")).await;
        let Committed::Refused(Trouble::Away(text)) = outcome else { panic!("{outcome:?}") };
        assert!(text.contains("max_connections"), "{text}");
        drop(others);
        commit_at_last(&shared, &put("a", "2")).await;
    });
}

#[test]
fn a_server_that_was_started_anew_costs_no_request() {
    let Some(mut server) = Server::start(&[]) else { return };
    let shared = server.connect();
    block_on(async {
        for value in ["1", "2"] {
            assert_eq!(shared.commit(&put("a", value)).await, Committed::Done);
            server.kill();
            server.start_again();
            assert_eq!(shared.list("").await.unwrap().rows, [row("a", value)]);
            server.kill();
            server.start_again();
        }
    });
}

#[test]
fn a_password_that_changed_is_read_from_its_file() {
    let Some(mut server) = Server::start(&[]) else { return };
    let settings = server.add_user("web");
    server.psql("fleet", &grants(&settings.prefix, "web", Grantee::Collector).unwrap());
    let shared = Shared::connect(settings);
    block_on(async {
        assert_eq!(shared.commit(&put("a", "1")).await, Committed::Done);
        server.psql("fleet", "ALTER ROLE web PASSWORD 'another'");
        // Who is logged in stays so.
        assert_eq!(shared.commit(&put("a", "2")).await, Committed::Done);
        server.kill();
        server.start_again();
        let outcome = shared.commit(&put("a", "3")).await;
        assert!(
            matches!(&outcome, Committed::Refused(Trouble::Denied(text)) if text.contains("write it into")),
            "{outcome:?}"
        );
        std::fs::write(server.dir().join(format!("password-{}", PASSWORD.len())), "another").unwrap();
        assert_eq!(shared.commit(&put("a", "3")).await, Committed::Done);
    });
}

#[test]
fn a_watch_misses_no_commit_that_began_earlier() {
    let Some(server) = Server::start(&[]).map(Arc::new) else { return };
    let settings = StoreSettings { watch_idle: Duration::from_millis(200), ..server.settings() };
    let shared = Shared::connect(settings);
    block_on(async {
        assert_eq!(shared.commit(&put("rows/a", "1")).await, Committed::Done);
        server.psql("fleet", "CREATE TABLE gate ()");
        let from = shared.list("rows/").await.unwrap().revision;
        let mut watch = shared.watch("rows/", from);
        let slow = tokio::task::spawn_blocking({
            let server = server.clone();
            move || {
                server.psql(
                    "fleet",
                    "DO $$ BEGIN INSERT INTO certcollectd_rows VALUES ('certcollectd/main/', 'rows/b', 'x'); \
                     WHILE NOT EXISTS (SELECT FROM gate) LOOP PERFORM pg_sleep(0.01); END LOOP; END $$",
                )
            }
        });
        let sleeps = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
        while server.psql("fleet", sleeps) == "0" {
            tokio::task::yield_now().await;
        }
        assert_eq!(shared.commit(&put("rows/c", "1")).await, Committed::Done);
        assert_eq!(changes(&mut watch, 1).await, [Change::Put(row("rows/c", "1"))]);
        server.psql("fleet", "INSERT INTO gate DEFAULT VALUES");
        slow.await.unwrap();
        // Nobody told the watch.
        assert_eq!(changes(&mut watch, 1).await, [Change::Put(row("rows/b", "x"))]);
    });
}

#[test]
fn a_watch_without_hints_is_only_slower() {
    let Some(server) = Server::start(&[]) else { return };
    let shared = Shared::connect(StoreSettings {
        endpoints: vec![endpoint(&until(&server.address(), "LISTEN", Answers::Broken))],
        watch_idle: Duration::from_millis(400),
        ..server.settings()
    });
    block_on(async {
        let from = shared.list("").await.unwrap().revision;
        let mut watch = shared.watch("", from);
        for number in 0..3 {
            assert_eq!(shared.commit(&put("a", &number.to_string())).await, Committed::Done);
            assert_eq!(changes(&mut watch, 1).await, [Change::Put(row("a", &number.to_string()))]);
        }
    });
}

#[test]
fn a_store_that_was_restored_ends_a_watch() {
    let Some(mut server) = Server::start(&[]) else { return };
    let settings = StoreSettings { watch_idle: Duration::from_millis(400), ..server.settings() };
    let shared = Shared::connect(settings.clone());
    block_on(async {
        assert_eq!(shared.commit(&put("a", "1")).await, Committed::Done);
        let why = lost(&mut shared.watch("", Revision(1_000_000_000))).await;
        assert!(why.contains("restored"), "{why}");
        // The same rows in a table that was filled anew.
        let from = shared.list("").await.unwrap().revision;
        let mut watch = shared.watch("", from);
        server.psql(
            "fleet",
            "CREATE TABLE copy AS SELECT * FROM certcollectd_rows; TRUNCATE certcollectd_rows; \
             INSERT INTO certcollectd_rows SELECT * FROM copy",
        );
        let why = lost(&mut watch).await;
        assert_eq!(watch.next().await, News::Lost(why), "it stays lost");
        assert_eq!(shared.list("").await.unwrap().rows, [row("a", "1")]);
        // Rows of a server that had more transactions are seen once, by the listing.
        server.psql("fleet", "UPDATE certcollectd_rows SET changed = '1000000000'");
        let mut watch = shared.watch("", shared.list("").await.unwrap().revision);
        assert_eq!(shared.commit(&put("b", "1")).await, Committed::Done);
        assert_eq!(changes(&mut watch, 1).await, [Change::Put(row("b", "1"))]);
        server.kill();
        lost(&mut watch).await;
        server.start_again();
        let from = shared.list("").await.unwrap().revision;
        assert_eq!(shared.commit(&put("a", "2")).await, Committed::Done);
        assert_eq!(changes(&mut shared.watch("", from), 1).await, [Change::Put(row("a", "2"))]);
    });
}

#[test]
fn old_rows_without_a_value_go() {
    let Some(server) = Server::start(&[]) else { return };
    let shared = server.connect();
    let delete = |key: &str| Commit { deletes: vec![key.into()], ..Commit::default() };
    block_on(async {
        for key in ["a", "b"] {
            assert_eq!(shared.commit(&put(key, "1")).await, Committed::Done);
        }
        assert_eq!(shared.commit(&delete("a")).await, Committed::Done);
        server.psql("fleet", "UPDATE certcollectd_rows SET at = now() - interval '8 days'");
        assert_eq!(shared.commit(&delete("none")).await, Committed::Done);
        assert_eq!(server.psql("fleet", "SELECT key FROM certcollectd_rows"), "b");
    });
}

#[test]
fn a_follower_writes_no_rows_but_its_own() {
    let Some(server) = Server::start(&[]) else { return };
    let prefix = "it's/\"main\"\\/";
    let settings = |user: &str| StoreSettings { prefix: prefix.into(), ..server.add_user(user) };
    let [leader, web, other] = ["lead\"er", "web-1", "web-10"].map(settings);
    let follower = |host| Grantee::Follower { host, groups: &["web"] };
    for (user, grantee) in
        [("lead\"er", Grantee::Collector), ("web-1", follower("web-1")), ("web-10", follower("web-10"))]
    {
        let sql = grants(prefix, user, grantee).unwrap();
        server.psql("fleet", &sql);
        server.psql("fleet", &sql);
    }
    let [leader, web, other] = [leader, web, other].map(Shared::connect);
    let denied = |outcome: Committed| {
        assert!(
            matches!(&outcome, Committed::Refused(Trouble::Denied(text)) if text.contains("give user web-1")),
            "{outcome:?}"
        );
    };
    block_on(async {
        for key in
            ["term", "meta", "rows/orders/www", "pub/web/www", "pub/web-eu/www", "chain/00", "go/web/www"]
        {
            assert_eq!(leader.commit(&swap(key, None, "1")).await, Committed::Done, "{key}");
        }
        assert_eq!(leader.commit(&swap("pub/web/www", Some("1"), "2")).await, Committed::Done);
        assert_eq!(other.commit(&put("hosts/web-10/seen", "1")).await, Committed::Done);
        let own = Commit { expected: vec![expect("hosts/web-1/seen", None)], ..put("hosts/web-1/seen", "1") };
        assert_eq!(web.commit(&own).await, Committed::Done);
        assert_eq!(web.commit(&put("hosts/web-1/seen", "2")).await, Committed::Done);

        let seen = web.list("").await.unwrap().rows;
        let keys: Vec<&str> = seen.iter().map(|row| row.key.as_str()).collect();
        assert_eq!(keys, ["chain/00", "go/web/www", "hosts/web-1/seen", "meta", "pub/web/www"]);
        assert_eq!(leader.list("").await.unwrap().rows.len(), 9);

        for key in ["hosts/web-10/seen", "hosts/web-1", "pub/web/www", "term", "chain/00", "meta"] {
            denied(web.commit(&put(key, "3")).await);
        }
        denied(web.commit(&Commit { puts: vec![row("term", "3")], ..put("hosts/web-1/seen", "3") }).await);
        let foreign = Commit { deletes: vec!["pub/web/www".into(), "term".into()], ..Commit::default() };
        web.commit(&foreign).await;
        let found =
            leader.get(&["pub/web/www", "term", "hosts/web-10/seen", "hosts/web-1/seen"]).await.unwrap();
        assert_eq!(found.iter().map(text).collect::<Vec<_>>(), [Some("2"), Some("1"), Some("1"), Some("2")]);
        let gone = Commit { deletes: vec!["hosts/web-1/seen".into()], ..Commit::default() };
        assert_eq!(web.commit(&gone).await, Committed::Done);
        assert_eq!(leader.commit(&swap("hosts/web-1/seen", None, "4")).await, Committed::Done);
        assert_eq!(web.check().await[0].problems, [""; 0]);
    });
    assert!(grants(prefix, &"x".repeat(62), Grantee::Collector).unwrap_err().contains("61 bytes"));
}

#[test]
fn the_statements_that_grant_rights_run() {
    let Some(server) = Server::start(&[]) else { return };
    let run = |arguments: &[&str]| {
        server.grant(arguments);
        Shared::connect(server.as_user(arguments[0], PASSWORD))
    };
    let follower = run(&["web-1", "--role", "follower", "--group", "web"]);
    let collector = run(&["col-1", "--role", "collector"]);
    block_on(async {
        assert_eq!(collector.commit(&swap("pub/web/www", None, "1")).await, Committed::Done);
        assert_eq!(follower.commit(&put("hosts/web-1/seen", "1")).await, Committed::Done);
        let outcome = follower.commit(&put("pub/web/www", "2")).await;
        assert!(matches!(outcome, Committed::Refused(Trouble::Denied(_))), "{outcome:?}");
        assert_eq!(collector.list("").await.unwrap().rows.len(), 2);
    });
}

#[test]
fn a_log_in_that_fails_is_said_and_not_what_was_tried() {
    let Some(server) = Server::start(&[]) else { return };
    let right = server.add_user("web");
    let denied = |settings: StoreSettings, part: &str| {
        let shared = Shared::connect(settings);
        let (outcome, listed, reports) = block_on(async {
            (shared.commit(&put("a", "1")).await, shared.list("").await, shared.check().await)
        });
        let Committed::Refused(Trouble::Denied(text)) = outcome else { panic!("{outcome:?}") };
        assert_eq!(listed, Err(Trouble::Denied(text.clone())));
        assert!(text.contains(part), "{part}: {text}");
        assert!(reports[0].version.is_none() && reports[0].problems.len() == 1, "{reports:?}");
        assert!(!format!("{text}{reports:?}").contains(&PASSWORD[..8]), "{text} {reports:?}");
    };
    denied(server.as_user("web", &PASSWORD[..PASSWORD.len() - 1]), "write it into ");
    denied(server.as_user("nobody", PASSWORD), "user nobody");
    let database = server.endpoint().replace("/fleet", "/flete");
    denied(StoreSettings { endpoints: vec![database], ..right.clone() }, "database flete");
    let trouble = block_on(Shared::connect(right.clone()).list("")).unwrap_err();
    assert!(trouble.to_string().contains("a collector"), "it is logged in: {trouble}");
    let path = server.dir().join(format!("password-{}", PASSWORD.len()));
    std::fs::remove_file(path).unwrap();
    denied(right, "the password for the store cannot be read");
}

#[test]
fn with_a_ca_file_the_server_is_verified() {
    let Some(mut server) = Server::start(&[]) else { return };
    let dir = server.dir().to_owned();
    let own = certificate(&dir, "server", None);
    let ca_file = dir.join("ca.pem");
    std::fs::write(&ca_file, ca().root.pem()).unwrap();
    for file in [&own.cert_file, &own.key_file, &ca_file] {
        server.give(file);
    }
    let settings = StoreSettings { ca_file: Some(ca_file.clone()), ..server.settings() };
    let trouble = block_on(Shared::connect(settings.clone()).list("")).unwrap_err();
    assert!(is_away(&trouble) && trouble.to_string().contains("turn `ssl` on"), "{trouble}");
    for (setting, file) in
        [("ssl_cert_file", &own.cert_file), ("ssl_key_file", &own.key_file), ("ssl_ca_file", &ca_file)]
    {
        server.psql("postgres", &format!("ALTER SYSTEM SET {setting} = '{}'", file.display()));
    }
    server.psql("postgres", "ALTER SYSTEM SET ssl = on");
    server.only("hostssl all all 127.0.0.1/32 trust clientcert=verify-ca\n");
    server.kill();
    server.start_again();
    let client = certificate(&dir, "client", None);
    block_on(async {
        let shown = StoreSettings { client_cert: Some(client.clone()), ..settings.clone() };
        assert_eq!(Shared::connect(shown.clone()).commit(&put("a", "1")).await, Committed::Done);
        let bare = Shared::connect(settings.clone()).list("").await.unwrap_err();
        assert!(matches!(bare, Trouble::Denied(_)), "{bare}");
        let plain = Shared::connect(server.settings()).list("").await.unwrap_err();
        assert!(matches!(plain, Trouble::Denied(_)), "{plain}");
        let stranger = Shared::connect(StoreSettings { ca_file: None, ..shown.clone() });
        let trouble = stranger.list("").await.unwrap_err();
        assert!(is_away(&trouble) && trouble.to_string().contains("ca_file"), "{trouble}");
        std::fs::write(&client.key_file, "no key").unwrap();
        let trouble = Shared::connect(shown).list("").await.unwrap_err();
        assert!(matches!(&trouble, Trouble::Other(text) if text.contains("client.key")), "{trouble}");
    });
}

#[test]
fn what_is_no_server_is_not_taken_for_an_empty_one() {
    let Some(server) = Server::start(&["fsync=off"]) else { return };
    let http = foreign("200 OK", "{}").replace("http://", "");
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let away = endpoint(&gone.local_addr().unwrap().to_string());
    drop(gone);
    block_on(async {
        for endpoint in [endpoint(&http), away.clone()] {
            let shared =
                Shared::connect(StoreSettings { endpoints: vec![endpoint.clone()], ..server.settings() });
            let trouble = shared.list("").await.unwrap_err();
            assert!(is_away(&trouble) && trouble.to_string().contains(&endpoint), "{trouble}");
            let outcome = shared.commit(&put("a", "1")).await;
            assert!(matches!(&outcome, Committed::Refused(trouble) if is_away(trouble)), "{outcome:?}");
            assert_eq!(shared.check().await[0].version, None);
        }
        let endpoints = vec![away, server.endpoint()];
        let shared = Shared::connect(StoreSettings { endpoints, ..server.settings() });
        assert_eq!(shared.commit(&put("a", "1")).await, Committed::Done);
        let problems = shared.check().await.remove(1).problems;
        assert!(problems.len() == 1 && problems[0].contains("fsync"), "{problems:?}");
    });
}
