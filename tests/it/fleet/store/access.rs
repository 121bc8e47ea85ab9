//! Log-ins and rights at the store that are lost, and given back.

use certcollectd::effects::shared::Shared;
use certcollectd_core::config::fleet::StoreKind;

use super::super::{Fleet, PASSWORD};
use super::{HOST, ORDER, is_settled, says};
use crate::proof::figure;

const COLLECTORS: [&str; 2] = ["a", "b"];
const PREFIX: &str = "certcollectd/main/";

/// Two collectors and a host, each with a user of its own.
fn secured() -> Option<Fleet> {
    let mut fleet = Fleet::start(StoreKind::Etcd, 1, &[ORDER])?;
    fleet.cluster().enable_authentication(&[]);
    fleet.store = Shared::connect(fleet.cluster().as_user("root", "root"));
    let login = |fleet: &Fleet, name: &str| {
        let file = fleet.cluster().password_file(name, PASSWORD);
        format!("user = \"{name}\"\npassword = {{ file = \"{}\" }}", file.display())
    };
    for name in COLLECTORS {
        fleet.cluster().grant(&[name, "--role", "collector"], PASSWORD);
        let more = login(&fleet, name);
        fleet.collector(name, &more);
    }
    fleet.cluster().grant(&[HOST, "--role", "follower", "--group", super::super::GROUP], PASSWORD);
    let more = login(&fleet, HOST);
    fleet.follower_with(HOST, &more, "");
    fleet.next_leader(0);
    fleet.until("the first is installed", |fleet| is_settled(fleet));
    Some(fleet)
}

fn administer(fleet: &Fleet, arguments: &[&str]) {
    fleet.cluster().ctl(&[&["--user", "root:root"], arguments].concat());
}

/// Waits until it is said on a host, wherever somebody may look.
fn until_said(fleet: &mut Fleet, name: &str, what: &str) {
    fleet.until("its store counts as away", |fleet| fleet.store_of(name) == "away");
    fleet.until("it is said", |fleet| fleet.say(name, &["status", "--nagios"]).1.contains(what));
    let (code, text) = fleet.say(name, &["fleet", "status"]);
    assert!(code == 1 && text.contains(what), "{name}: {text}");
    assert!(says(fleet, name, what), "{name}: {}", fleet.read(&format!("{name}/log")));
    assert!(!fleet.read(&format!("{name}/log")).contains(PASSWORD), "{name}");
}

/// No collector may use the store meanwhile, then all of them again.
fn collectors_lose(fleet: &mut Fleet, take: impl Fn(&Fleet, &str), give: impl Fn(&Fleet, &str), what: &str) {
    let (leader, term) = fleet.next_leader(0);
    let before = fleet.times_deposed(&leader);
    COLLECTORS.iter().for_each(|name| take(fleet, name));
    fleet.until("its leader ends", |fleet| fleet.times_deposed(&leader) > before);
    for name in COLLECTORS {
        until_said(fleet, name, &format!("{what} {name}"));
    }
    assert_eq!(fleet.store_of(HOST), "ok");
    fleet.issue(0);
    COLLECTORS.iter().for_each(|name| give(fleet, name));
    fleet.next_leader(term);
    fleet.until("what was issued meanwhile is installed", |fleet| is_settled(fleet));
}

/// The host may not use the store, while a certificate is issued; then it may again.
fn the_host_loses(fleet: &mut Fleet, take: impl Fn(&Fleet, &str), give: impl Fn(&Fleet, &str), what: &str) {
    take(fleet, HOST);
    fleet.issue(0);
    fleet.until("it is published", |fleet| fleet.is_published(0));
    until_said(fleet, HOST, &format!("{what} {HOST}"));
    assert_ne!(fleet.read(&format!("{HOST}/out/{ORDER}/cert.pem")), "");
    give(fleet, HOST);
    fleet.until("it has said what it has installed", |fleet| is_settled(fleet));
    fleet.until("its store is well again", |fleet| fleet.store_of(HOST) == "ok");
}

#[test]
fn who_loses_a_log_in_or_a_right_says_so_and_goes_on_with_it() {
    let Some(mut fleet) = secured() else { return };

    // Tokens are in a member's memory only.
    for _ in 0..2 {
        fleet.restart_member(0);
        fleet.issue(0);
        fleet.until("it is installed", |fleet| is_settled(fleet));
    }

    let revoke = |fleet: &Fleet, name: &str| {
        administer(fleet, &["user", "revoke-role", name, name]);
    };
    let grant = |fleet: &Fleet, name: &str| administer(fleet, &["user", "grant-role", name, name]);
    collectors_lose(&mut fleet, revoke, grant, "give the role of user");
    the_host_loses(&mut fleet, revoke, grant, "give the role of user");

    // One right of several.
    let own = format!("{PREFIX}hosts/{HOST}/");
    let revoke_own = |fleet: &Fleet, name: &str| {
        administer(fleet, &["role", "revoke-permission", name, &own, "--prefix"]);
    };
    let grant_own = |fleet: &Fleet, name: &str| {
        administer(fleet, &["role", "grant-permission", name, "readwrite", &own, "--prefix"]);
    };
    the_host_loses(&mut fleet, revoke_own, grant_own, "give the role of user");

    let delete = |fleet: &Fleet, name: &str| administer(fleet, &["user", "delete", name]);
    let make = |fleet: &Fleet, name: &str| {
        administer(fleet, &["user", "add", &format!("{name}:{PASSWORD}")]);
        administer(fleet, &["user", "grant-role", name, name]);
    };
    collectors_lose(&mut fleet, delete, make, "refuses user");
    the_host_loses(&mut fleet, delete, make, "refuses user");

    fleet.assert_calls_kept_apart();
    figure(&format!(
        "tokens lost by a restart twice, a right and a user taken away and given back, of the collectors and of a host: {} calls in \
         {} terms, 0 at once, 0 early; each said so with the user's name, and installed what was issued meanwhile",
        fleet.calls(),
        fleet.next_leader(0).1,
    ));
}
