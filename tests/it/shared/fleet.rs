//! The commands for a fleet, by the real binary, at a real store.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use certcollectd::effects::shared::{Commit, Committed, Row, Shared, Trouble};
use certcollectd::sources::clock;
use certcollectd_core::api::Untrusted;
use certcollectd_core::cert::Certificate;
use certcollectd_core::config::fleet::StoreKind;
use certcollectd_core::fleet::form::Moment;
use certcollectd_core::fleet::keys::Key;
use certcollectd_core::fleet::published::{Bundle, Publication};
use certcollectd_core::fleet::report::{Report, Seen, State};
use rcgen::KeyPair;
use serde_json::Value;

use super::backend::{Backend, on_each_store};
use super::member::{Cluster, block_on};
use super::{put, row};
use crate::certs;
use crate::setting::{Setting, said};

const LEASE: &str = "lease = \"7s\"\nbeat = \"500ms\"\nmargin = \"500ms\"";
const QUICK: &str = "interval = \"300ms\"\ncall_gap = \"0s\"\nguard_interval = \"300ms\"\nsettle = \"1s\"\nrequest_timeout = \"1s\"";

/// A collector of the fleet in this store.
fn collector(backend: &Backend, name: &str) -> Setting {
    let mut setting = Setting::new();
    setting.polling(QUICK).table(&format!(
        "[fleet]\nrole = \"collector\"\nname = \"{name}\"\ngroups = [\"web\"]\n{}{LEASE}\n\
         [[order]]\nname = \"www\"\norder_number = \"1\"\ndomains = [\"www.example.com\"]\n",
        backend.keys()
    ));
    setting.write_configuration();
    setting
}

/// A follower, as far as its configuration goes.
fn follower(backend: &Backend, name: &str) -> Setting {
    let setting = Setting::new();
    let dir = setting.dir.path().display();
    setting.write(
        "certcollectd.toml",
        &format!(
            "state_dir = \"{dir}/state\"\ninstall_dir = \"{dir}/out\"\n[fleet]\nrole = \"follower\"\nname = \"{name}\"\n\
             groups = [\"web\"]\n{}[[order]]\nname = \"www\"\ndomains = [\"www.example.com\"]\n\
             key_file = \"{dir}/key.pem\"\n",
            backend.keys()
        ),
    );
    setting
}

fn json(setting: &Setting, arguments: &[&str]) -> (i32, Value) {
    let output = setting.command(arguments).output().unwrap();
    let value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(&output).1));
    (output.status.code().unwrap(), value)
}

fn published(order: &str, generation: u64) -> (Row, String) {
    let now = clock::now().unix();
    let leaf = certs::leaf(&KeyPair::generate().unwrap(), &["www.example.com"], now, now + 90 * 86_400);
    let leaf = Certificate::from_der(&leaf).unwrap();
    let fingerprint = leaf.fingerprint().to_string();
    let bundle = Bundle { leaf, chain: Vec::new() };
    let publication = Publication::new(order, generation, &bundle, Untrusted::new("issued")).unwrap();
    let key = Key::Publication { group: "web", order }.to_string();
    (Row { key, value: publication.to_row() }, fingerprint)
}

fn seen(host: &str, ago: i64) -> Row {
    let (at, groups) = (Moment(clock::now().unix() - ago), vec!["web".into()]);
    let value = Seen { at, groups, version: Untrusted::new("0.1.0"), process: "p".into() }.to_row();
    Row { key: Key::Seen { host }.to_string(), value }
}

fn report(host: &str, generation: u64, state: State, reason: &str, ago: i64) -> Row {
    let (at, reason) = (Moment(clock::now().unix() - ago), Untrusted::new(reason));
    let value = Report { generation, state, reason, at }.to_row();
    Row { key: Key::Report { host, order: "www" }.to_string(), value }
}

fn beat(term: u64, ago: i64, released: &str) -> Row {
    let at = clock::now().wall - ago * 1000;
    let text = format!(
        "{{\"host\":\"col-1\",\"process\":\"p\",\"term\":{term},\"beat\":9,\"at_ms\":{at}{released}}}"
    );
    row("lease", &text)
}

fn write(shared: &Shared, puts: Vec<Row>) {
    let commit = Commit { puts, ..Commit::default() };
    assert_eq!(block_on(shared.commit(&commit)), Committed::Done);
}

on_each_store!(
    status_says_who_leads_and_who_holds_a_roll_out,
    a_follower_sees_itself_and_says_so,
    a_store_that_is_away_is_said,
    a_host_is_forgotten_and_no_neighbour,
    status_of_a_follower_speaks_of_no_polls,
    words_to_a_roll_out_are_for_the_leader,
    a_store_that_went_back_is_accepted_once,
    status_is_watched_through_an_outage
);

fn status_says_who_leads_and_who_holds_a_roll_out(store: StoreKind) {
    let Some(backend) = Backend::start(store, 1) else { return };
    let shared = backend.connect();
    let collector = collector(&backend, "col-2");
    let (_, nothing) = json(&collector, &["fleet", "status", "--json"]);
    assert_eq!(
        (&nothing["leader"], &nothing["term"], &nothing["store"]),
        (&Value::Null, &Value::Null, &"ok".into())
    );
    assert_eq!(nothing["orders"].as_array().map(Vec::len), Some(0));

    let (publication, fingerprint) = published("www", 2);
    write(
        &shared,
        vec![
            beat(3, 0, ""),
            row("term", "{\"term\":3,\"process\":\"p\"}"),
            publication,
            seen("f1", 10),
            report("f1", 2, State::Done, "", 10),
            seen("f2", 10),
            report("f2", 2, State::Failed, "hook reload: failed: exit status 1", 10),
            seen("f3", 3600),
            report("f3", 1, State::Done, "", 3600),
        ],
    );
    let (code, status) = json(&collector, &["fleet", "status", "--json"]);
    assert_eq!((code, &status["leader"], &status["term"]), (0, &"col-1".into(), &3.into()), "{status:#}");
    assert!(status["beat_age_seconds"].as_u64().is_some_and(|age| age < 17), "{status:#}");
    assert_eq!(status["skew_seconds"], Value::Null, "no daemon runs that could know");
    let order = &status["orders"][0];
    assert_eq!(
        (
            &order["name"],
            &order["group"],
            &order["generation"],
            &order["fingerprint"],
            &order["state"],
            &order["wave"]
        ),
        (&"www".into(), &"web".into(), &2.into(), &fingerprint.into(), &"held".into(), &1.into())
    );
    let hosts = serde_json::json!({ "done": 1, "behind": 0, "failed": 1, "silent": 1 });
    assert_eq!(order["hosts"], hosts);
    let names: Vec<&str> =
        status["hosts"].as_array().unwrap().iter().map(|host| host["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["f1", "f2", "f3"]);
    assert_eq!(
        (&status["hosts"][1]["silent"], &status["hosts"][2]["silent"], &status["hosts"][2]["groups"]),
        (&false.into(), &true.into(), &serde_json::json!(["web"]))
    );
    let reported = &status["hosts"][1]["orders"][0];
    assert_eq!((&reported["generation"], &reported["state"]), (&2.into(), &"failed".into()));

    let (code, text) = collector.call(&["fleet", "status"]);
    assert_eq!(code, 0, "{text}");
    for part in [
        "col-1 leads, term 3",
        "www is held at generation 2: f2 is failed (hook reload: failed: exit status 1)",
        "certcollectd fleet skip www",
        "silent for 15 min or longer: f3",
        "1 host in order",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let (code, line) = collector.call(&["fleet", "status", "--nagios"]);
    assert!(code == 2 && line.starts_with("CERTCOLLECTD CRITICAL - www is held"), "{line}");
    assert!(line.ends_with(" | orders=1 rolling=0 held=1 hosts=3 silent=1\n"), "{line}");

    // The host has mended it; only the silent one is left to be warned of.
    write(&shared, vec![beat(3, 0, ""), report("f2", 2, State::Done, "", 0)]);
    let (code, line) = collector.call(&["fleet", "status", "--nagios"]);
    assert!(code == 1 && line.contains("silent for 15 min or longer: f3"), "{line}");
    for (lease, why) in [
        (beat(3, 30, ""), "no collector leads: the last beat of col-1 was 30 s ago"),
        (beat(3, 0, ",\"released\":true"), "no collector leads: col-1 has ended in order"),
    ] {
        write(&shared, vec![lease]);
        let (code, line) = collector.call(&["fleet", "status", "--nagios"]);
        assert!(code == 2 && line.contains(why), "{line}");
        assert_eq!(json(&collector, &["fleet", "status", "--json"]).1["leader"], Value::Null);
    }
    // What no program of ours has written is said, and hides nothing.
    assert_eq!(block_on(shared.commit(&put("pub/web/mail", "{}"))), Committed::Done);
    let (_, status) = json(&collector, &["fleet", "status", "--json"]);
    assert_eq!(status["orders"].as_array().map(Vec::len), Some(1));
    let findings = status["findings"].to_string();
    assert!(findings.contains("the row pub/web/mail of the store"), "{findings}");
}

fn a_follower_sees_itself_and_says_so(store: StoreKind) {
    let Some(backend) = Backend::start(store, 1) else { return };
    let shared = backend.connect();
    let (publication, _) = published("www", 2);
    write(
        &shared,
        vec![
            beat(3, 0, ""),
            publication,
            seen("f1", 0),
            report("f1", 2, State::Working, "it is being installed", 0),
            seen("f10", 0),
            report("f10", 2, State::Done, "", 0),
        ],
    );
    let follower = follower(&backend, "f1");
    let (code, status) = json(&follower, &["fleet", "status", "--json"]);
    assert_eq!((code, &status["leader"]), (0, &Value::Null), "{status:#}");
    let hosts = status["hosts"].as_array().unwrap();
    assert!(hosts.len() == 1 && hosts[0]["name"] == "f1", "{status:#}");
    assert_eq!(status["orders"][0]["state"], "rolling");
    let (_, text) = follower.call(&["explain", "www"]);
    for part in
        ["Generation 2 is published for the group web", "On this host it is working (it is being installed)."]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    let (_, text) = follower.call(&["fleet", "status"]);
    assert!(text.contains("this host is a follower") && !text.contains("no collector leads"), "{text}");
    assert_eq!(follower.call(&["fleet", "status", "--nagios"]).0, 0);
}

fn a_store_that_is_away_is_said(store: StoreKind) {
    let Some(mut backend) = Backend::start(store, 1) else { return };
    let collector = collector(&backend, "col-1");
    backend.kill(0);
    let (code, status) = json(&collector, &["fleet", "status", "--json"]);
    assert_eq!((code, &status["store"], &status["leader"]), (1, &"away".into(), &Value::Null), "{status:#}");
    let (code, line) = collector.call(&["fleet", "status", "--nagios"]);
    assert!(code == 2 && line.contains(&backend.endpoints()[0]), "{line}");
    let (code, text) = collector.call(&["fleet", "status"]);
    assert!(code == 1 && text.contains("who leads is unknown; the store is away"), "{text}");
    let alone = Setting::new();
    alone.write_configuration();
    for command in [&["status"][..], &["step-down"], &["forget", "web-1"]] {
        let (code, text) = alone.call(&[&["fleet"], command].concat());
        assert!(code == 2 && text.contains("has no [fleet]"), "{text}");
    }
}

fn status_is_watched_through_an_outage(store: StoreKind) {
    let Some(mut backend) = Backend::start(store, 1) else { return };
    write(&backend.connect(), vec![beat(3, 0, "")]);
    let collector = collector(&backend, "col-2");
    let mut command = collector.command(&["fleet", "status", "--watch"]);
    let mut watching = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut until = |what: &str| assert!(lines.any(|line| line.contains(what)), "it ended before {what}");
    until("col-1 leads, term 3");
    until("(every 2 s)");
    backend.kill(0);
    until("who leads is unknown; the store is away");
    backend.start_again(0);
    write(&backend.connect(), vec![beat(4, 0, "")]);
    until("col-1 leads, term 4");
    // Nobody reads it any more.
    drop(lines);
    assert_eq!(watching.wait().unwrap().code(), Some(0));
}

fn a_host_is_forgotten_and_no_neighbour(store: StoreKind) {
    let Some(backend) = Backend::start(store, 1) else { return };
    let shared = backend.connect();
    write(
        &shared,
        vec![
            seen("web-1", 3600),
            report("web-1", 1, State::Done, "", 3600),
            seen("web-10", 3600),
            seen("web-2", 60),
        ],
    );
    let keys = || -> Vec<String> {
        let rows = block_on(shared.list("hosts/")).unwrap().rows;
        rows.into_iter().map(|row| row.key).collect()
    };
    let collector = collector(&backend, "col-1");
    let (code, text) = collector.call(&["fleet", "forget", "web-1"]);
    assert!(code == 0 && text.contains("2 rows"), "{text}");
    assert_eq!(keys(), ["hosts/web-10/seen", "hosts/web-2/seen"]);
    let (code, text) = collector.call(&["fleet", "forget", "web-1"]);
    assert!(code == 1 && text.contains("knows of no host web-1"), "{text}");
    let (code, text) = collector.call(&["fleet", "forget", "web-2"]);
    assert!(code == 1 && text.contains("was heard of 6"), "{text}");
    assert_eq!(keys().len(), 2);
    assert_eq!(collector.call(&["fleet", "forget", "web-2", "--force"]).0, 0);
    assert_eq!(keys(), ["hosts/web-10/seen"]);
    let (code, text) = collector.call(&["fleet", "forget", "web-1/"]);
    assert!(code == 2 && text.contains("no name of a host"), "{text}");
}

#[test]
fn the_lines_that_grant_rights_run_and_grant_no_more() {
    let Some(cluster) = Cluster::start(1, &[]) else { return };
    cluster.enable_authentication(&[]);
    cluster.grant(&["web-1", "--role", "follower", "--group", "web", "--group", "mail"], "one");
    cluster.grant(&["web-10", "--role", "follower", "--group", "web"], "ten");
    cluster.grant(&["col-1", "--role", "collector"], "col");
    let may = |shared: &Shared, key: &str| match block_on(shared.commit(&put(key, "1"))) {
        Committed::Done => true,
        Committed::Refused(Trouble::Denied(_)) => false,
        other => panic!("{key}: {other:?}"),
    };
    let sees = |shared: &Shared, prefix: &str| match block_on(shared.list(prefix)) {
        Ok(_) => true,
        Err(Trouble::Denied(_)) => false,
        Err(other) => panic!("{prefix}: {other:?}"),
    };
    let all = [
        "lease",
        "term",
        "meta",
        "rows/salt",
        "pub/web/www",
        "go/web/www",
        "chain/00",
        "hosts/web-1/seen",
        "hints/1",
    ];
    let collector = Shared::connect(cluster.as_user("col-1", "col"));
    assert!(all.iter().all(|key| may(&collector, key)) && sees(&collector, ""));
    let [one, ten] = [("web-1", "one"), ("web-10", "ten")]
        .map(|(user, password)| Shared::connect(cluster.as_user(user, password)));
    for (follower, own, other) in [
        (&one, "hosts/web-1/orders/www", "hosts/web-10/seen"),
        (&ten, "hosts/web-10/seen", "hosts/web-1/seen"),
    ] {
        assert!(may(follower, own) && !may(follower, other) && !sees(follower, "hosts/"));
        assert!(["pub/web/", "go/web/", "chain/"].iter().all(|prefix| sees(follower, prefix)));
        assert!(block_on(follower.get(&["meta"])).is_ok());
        for secret in ["rows/", "hints/", "lease", "pub/", "pub/web-eu/", "go/"] {
            assert!(!sees(follower, secret), "{secret}");
        }
        assert!(all.iter().filter(|key| !key.starts_with("hosts/")).all(|key| !may(follower, key)));
    }
    assert!(sees(&one, "pub/mail/") && !sees(&ten, "pub/mail/"));
    let setting = Setting::new();
    for (arguments, why) in [
        (&["web-1", "--role", "follower"][..], "needs --group"),
        (&["col-1", "--role", "collector", "--group", "web"], "leave --group out"),
        (&["web 1", "--role", "collector"], "is no name"),
        (&["web-1", "--role", "collector", "--prefix", "a"], "end in a slash"),
    ] {
        let (code, text) = setting.call(&[&["fleet", "grant"], arguments].concat());
        assert!(code == 2 && text.contains(why), "{text}");
    }
    let odd = setting.call(&["fleet", "grant", "a", "--role", "collector", "--prefix", "it's mine/"]).1;
    assert!(odd.contains(r"readwrite 'it'\''s mine/' --prefix"), "{odd}");
}

fn status_of_a_follower_speaks_of_no_polls(store: StoreKind) {
    let Some(backend) = Backend::start(store, 1) else { return };
    let mut follower = follower(&backend, "f1");
    follower.start_again();
    let fleet = |store: &str| serde_json::json!({"role": "follower", "name": "f1", "store": store, "leader": null, "term": null});
    follower.until("it knows its store", |setting| setting.status()["fleet"] == fleet("ok"));
    let status = follower.status();
    assert_eq!(status["accounts"].as_array().map(Vec::len), Some(0));
    let order = &status["orders"][0];
    for key in ["account", "order_number", "next_poll"] {
        assert_eq!(order[key], Value::Null, "{key}");
    }
    for command in [&["status"][..], &["status", "www"], &["explain", "www"], &["forecast"]] {
        let (code, text) = follower.call(command);
        assert_eq!(code, 0, "{text}");
        for word in ["poll ", "POLL", "polls", "account", "vendor"] {
            assert!(!text.contains(word), "{command:?} says {word}: {text}");
        }
    }
    let (_, text) = follower.call(&["status"]);
    assert!(text.contains("f1 takes what its fleet publishes; the store is ok"), "{text}");
    let (_, text) = follower.call(&["explain", "www"]);
    assert!(text.contains("No collector has published anything of it."), "{text}");
    let (_, text) = follower.call(&["forecast"]);
    assert!(text.contains("www    fleet         waits for its first certificate"), "{text}");
    assert_eq!(follower.stop(), Some(0));
    drop(backend);
    follower.start_again();
    follower.until("the store is away", |setting| setting.status()["fleet"] == fleet("away"));
    let (code, line) = follower.call(&["status", "--nagios"]);
    assert!(code == 1 && line.contains("the fleet's store: "), "{line}");
    assert_eq!(follower.stop(), Some(0));
}

#[test]
fn check_names_each_endpoint_that_is_away() {
    let Some(cluster) = Cluster::start(1, &[]) else { return };
    let away = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let gone = format!("http://{}", away.local_addr().unwrap());
    drop(away);
    let mut setting = Setting::new();
    let mut check = |endpoints: &[&str]| {
        setting.clear_tables();
        setting.table(&format!(
            "[fleet]\nrole = \"collector\"\nname = \"col-1\"\ngroups = [\"web\"]\nstore = \"etcd\"\nendpoints = {endpoints:?}"
        ));
        setting.write_configuration();
        setting.call(&["check"])
    };
    let sound = cluster.endpoint(0);
    let (code, text) = check(&[&sound]);
    assert!(code == 0 && !text.contains("[fleet]"), "{text}");
    let (code, text) = check(&[&sound, &gone]);
    assert!(code == 0 && text.contains(&format!("[fleet]: etcd {gone}")) && !text.contains(&sound), "{text}");
    let (code, text) = check(&[&gone]);
    assert!(code == 2 && text.contains(&format!("[fleet]: etcd {gone}")), "{text}");
}

fn words_to_a_roll_out_are_for_the_leader(store: StoreKind) {
    let Some(backend) = Backend::start(store, 1) else { return };
    let shared = backend.connect();
    let (publication, _) = published("www", 2);
    let failed = report("f1", 2, State::Failed, "hook reload: no", 0);
    write(&shared, vec![publication, seen("f1", 0), seen("f2", 0), failed]);
    let (mut leader, mut other) = (collector(&backend, "col-1"), collector(&backend, "col-2"));
    let (code, text) = leader.call(&["fleet", "go", "www"]);
    assert!(code == 1 && text.contains("does not run on this host"), "{text}");
    leader.start();
    let leads = |setting: &Setting, name: &str| {
        let (_, status) = json(setting, &["fleet", "status", "--json"]);
        status["leader"] == name && status["skew_seconds"].is_u64()
    };
    leader.until("it leads", |setting| json(setting, &["fleet", "status", "--json"]).1["leader"] == "col-1");
    other.start();
    other.until("it sees the beat come", |setting| leads(setting, "col-1"));
    let (_, status) = json(&other, &["fleet", "status", "--json"]);
    assert_eq!((&status["leader"], &status["store"]), (&"col-1".into(), &"ok".into()), "{status:#}");

    let state =
        |setting: &Setting| json(setting, &["fleet", "status", "--json"]).1["orders"][0]["state"].clone();
    leader.until("the failed host holds it", |setting| state(setting) == "held");
    for word in ["go", "hold", "skip"] {
        let (code, text) = other.call(&["fleet", word, "www"]);
        assert!(code == 1 && text.contains("col-1 does: run it there"), "{word}: {text}");
        let (code, text) = leader.call(&["fleet", word, "nothing"]);
        assert!(code == 1 && text.contains("has no order nothing"), "{word}: {text}");
    }
    let (code, text) = leader.call(&["fleet", "skip", "www"]);
    assert!(code == 0 && text.contains("goes on without f1"), "{text}");
    leader.until("it goes on without that host", |setting| state(setting) == "rolling");
    let hosts = |setting: &Setting| json(setting, &["health", "--json"]).1["data"]["fleet"]["hosts"].clone();
    leader.until("its daemon counts them", |setting| {
        let hosts = hosts(setting);
        hosts["failed"] == 1 && hosts["behind"] == 1 && hosts["done"] == 0 && hosts["silent"] == 0
    });
    assert_eq!(hosts(&other), Value::Null, "only the one that leads watches them");
    assert_eq!(leader.call(&["fleet", "hold", "www"]).0, 0);
    leader.until("a person holds it", |setting| state(setting) == "held");
    let (code, line) = leader.call(&["fleet", "status", "--nagios"]);
    assert!(code == 1 && line.contains("by somebody's word"), "{line}");
    assert_eq!(leader.call(&["fleet", "go", "www"]).0, 0);
    leader.until("it may go everywhere", |setting| state(setting) == "rolling");
    write(&shared, vec![report("f2", 2, State::Done, "", 0)]);
    leader.until("every host has it but the one that was left out", |setting| state(setting) == "done");
    leader.until("its daemon counts them", |setting| {
        let hosts = hosts(setting);
        hosts["done"] == 1 && hosts["behind"] == 0 && hosts["lag_seconds"] == 0
    });

    for setting in [&leader, &other] {
        let (code, text) = setting.call(&["fleet", "accept-restore"]);
        assert!(code == 0 && text.contains("nothing to do"), "{text}");
    }
    let (code, text) = other.call(&["fleet", "step-down"]);
    assert!(code == 1 && text.contains("col-1 does: run it there"), "{text}");
    let (code, text) = leader.call(&["fleet", "step-down"]);
    assert!(code == 0 && text.contains("has stepped down"), "{text}");
    other.until("the other one leads", |setting| {
        json(setting, &["fleet", "status", "--json"]).1["leader"] == "col-2"
    });
    assert_eq!((leader.stop(), other.stop()), (Some(0), Some(0)));
}

fn a_store_that_went_back_is_accepted_once(store: StoreKind) {
    let Some(backend) = Backend::start(store, 1) else { return };
    let shared = backend.connect();
    let mut host = collector(&backend, "col-1");
    write(&shared, vec![beat(6, 0, ",\"released\":true"), row("term", "{\"term\":6,\"process\":\"p\"}")]);
    let fleet = |setting: &Setting| json(setting, &["fleet", "status", "--json"]).1;
    host.start().until("it leads", |host| fleet(host)["leader"] == "col-1");
    assert_eq!(host.stop(), Some(0));
    assert_eq!((&fleet(&host)["term"], &fleet(&host)["store"]), (&7.into(), &"ok".into()));

    write(&shared, vec![beat(5, 0, ",\"released\":true"), row("term", "{\"term\":5,\"process\":\"p\"}")]);
    let (code, line) = host.call(&["fleet", "status", "--nagios"]);
    assert!(code == 2 && line.contains("the store went back from term 7 to 5"), "{line}");
    assert!(line.contains("certcollectd fleet accept-restore"), "{line}");
    host.start_again();
    host.until("its daemon stands back", |host| host.status()["fleet"]["store"] == "behind");
    let (code, text) = host.call(&["fleet", "accept-restore"]);
    assert!(code == 0 && text.contains("at term 5 after 7"), "{text}");
    host.until("it leads again", |host| fleet(host)["leader"] == "col-1");
    assert_eq!(fleet(&host)["store"], "ok");
    assert_eq!(host.stop(), Some(0));

    // Also where it is cut off before it leads again.
    write(&shared, vec![beat(4, 0, ""), row("term", "{\"term\":4,\"process\":\"p\"}")]);
    host.start_again();
    host.until("its daemon stands back", |host| host.status()["fleet"]["store"] == "behind");
    assert_eq!(host.call(&["fleet", "accept-restore"]).0, 0);
    host.kill();
    assert_eq!(fleet(&host)["store"], "ok");
}

/// A unit with a watchdog ends whoever gives no sign. While nothing happens a standby has nothing to say, and must.
#[test]
fn a_standby_shows_the_watchdog_that_it_lives() {
    let Some(backend) = Backend::start(StoreKind::Etcd, 1) else { return };
    let setting = collector(&backend, "col-1");
    let socket = setting.path("notify");
    let listener = std::os::unix::net::UnixDatagram::bind(&socket).unwrap();
    listener.set_read_timeout(Some(std::time::Duration::from_secs(60))).unwrap();
    let mut command = setting.command(&["run"]);
    command.env("NOTIFY_SOCKET", &socket).env("WATCHDOG_USEC", "1500000").env_remove("WATCHDOG_PID");
    let mut collector = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut signs = 0;
    let mut message = [0; 4096];
    // The store is empty, so that it leads after a lease of seven seconds: four times as long as the watchdog waits.
    let leads = loop {
        let length = listener.recv(&mut message).unwrap();
        let text = String::from_utf8_lossy(&message[..length]).into_owned();
        signs += usize::from(text.contains("WATCHDOG=1"));
        if text.contains("order") {
            break signs;
        }
    };
    collector.kill().unwrap();
    collector.wait().unwrap();
    assert!(leads >= 5, "{leads} signs within a lease");
}
