//! Log-ins and rights at the store that are lost, and given back.

use certcollectd::effects::shared::Shared;
use certcollectd_core::config::fleet::StoreKind;

use super::super::{Fleet, GROUP};
use super::{HOST, ORDER, is_settled, says};
use crate::proof::figure;
use crate::shared::backend::{Backend, on_each_store};
use crate::shared::member::{PASSWORD, PREFIX};

const COLLECTORS: [&str; 2] = ["a", "b"];

/// What an administrator takes from a user, and gives back.
#[derive(Debug, Clone, Copy)]
enum Loss {
    Rights,
    /// Those to a host's own rows.
    OwnRows,
    User,
}

impl Loss {
    fn take(self, fleet: &Fleet, name: &str) {
        match &fleet.backend {
            Backend::Etcd(_) => match self {
                Loss::Rights => administer(fleet, &["user", "revoke-role", name, name]),
                Loss::OwnRows => {
                    administer(fleet, &["role", "revoke-permission", name, &own_rows(name), "--prefix"]);
                }
                Loss::User => administer(fleet, &["user", "delete", name]),
            },
            Backend::Postgres(servers) => servers.psql(&match self {
                Loss::Rights => format!("REVOKE ALL ON certcollectd_rows FROM {name}"),
                Loss::OwnRows => format!("REVOKE INSERT, UPDATE ON certcollectd_rows FROM {name}"),
                // Who is logged in stays so.
                Loss::User => format!(
                    "ALTER ROLE {name} NOLOGIN; \
                     SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{name}'"
                ),
            }),
        }
    }

    fn give(self, fleet: &Fleet, name: &str) {
        match &fleet.backend {
            Backend::Etcd(_) => match self {
                Loss::Rights => administer(fleet, &["user", "grant-role", name, name]),
                Loss::OwnRows => administer(
                    fleet,
                    &["role", "grant-permission", name, "readwrite", &own_rows(name), "--prefix"],
                ),
                Loss::User => {
                    administer(fleet, &["user", "add", &format!("{name}:{PASSWORD}")]);
                    administer(fleet, &["user", "grant-role", name, name]);
                }
            },
            Backend::Postgres(servers) => servers.psql(&match self {
                Loss::Rights | Loss::OwnRows => {
                    format!("GRANT SELECT, INSERT, UPDATE, DELETE ON certcollectd_rows TO {name}")
                }
                Loss::User => format!("ALTER ROLE {name} LOGIN"),
            }),
        }
    }

    /// The words for it before the user's name.
    fn is_said(self, store: StoreKind) -> &'static str {
        match (self, store) {
            (Loss::Rights | Loss::OwnRows, StoreKind::Etcd) => "give the role of user",
            (Loss::Rights | Loss::OwnRows, StoreKind::Postgres) => "give user",
            (Loss::User, _) => "refuses user",
        }
    }
}

fn own_rows(name: &str) -> String {
    format!("{PREFIX}hosts/{name}/")
}

fn administer(fleet: &Fleet, arguments: &[&str]) {
    fleet.cluster().ctl(&[&["--user", "root:root"], arguments].concat());
}

/// Two collectors and a host, each with a user of its own.
fn secured(store: StoreKind) -> Option<Fleet> {
    let mut fleet = Fleet::start(store, 1, &[ORDER])?;
    if let Backend::Etcd(cluster) = &fleet.backend {
        cluster.enable_authentication(&[]);
        fleet.store = Shared::connect(cluster.as_user("root", "root"));
    }
    for name in COLLECTORS {
        let more = fleet.backend.user(name, &["--role", "collector"]);
        fleet.collector(name, &more);
    }
    let more = fleet.backend.user(HOST, &["--role", "follower", "--group", GROUP]);
    fleet.follower_with(HOST, &more, "");
    fleet.next_leader(0);
    fleet.until("the first is installed", |fleet| is_settled(fleet));
    Some(fleet)
}

/// Waits until it is said on a host, wherever somebody may look.
fn until_said(fleet: &mut Fleet, name: &str, what: &str) {
    fleet.until("its store counts as away", |fleet| fleet.store_of(name) == "away");
    fleet.until("it is said", |fleet| fleet.say(name, &["status", "--nagios"]).1.contains(what));
    let (_, text) = fleet.say(name, &["fleet", "status"]);
    assert!(text.contains(what), "{name}: {text}");
    assert!(says(fleet, name, what), "{name}: {}", fleet.read(&format!("{name}/log")));
    assert!(!fleet.read(&format!("{name}/log")).contains(PASSWORD), "{name}");
}

/// No collector may use the store meanwhile, then all of them again.
fn collectors_lose(fleet: &mut Fleet, loss: Loss) {
    let (leader, term) = fleet.next_leader(0);
    let before = fleet.times_deposed(&leader);
    COLLECTORS.iter().for_each(|name| loss.take(fleet, name));
    fleet.until("its leader ends", |fleet| fleet.times_deposed(&leader) > before);
    for name in COLLECTORS {
        until_said(fleet, name, &format!("{} {name}", loss.is_said(fleet.backend.kind())));
    }
    assert_eq!(fleet.store_of(HOST), "ok");
    fleet.issue(0);
    COLLECTORS.iter().for_each(|name| loss.give(fleet, name));
    fleet.next_leader(term);
    fleet.until("what was issued meanwhile is installed", |fleet| is_settled(fleet));
}

/// The host may not use the store, while a certificate is issued; then it may again.
fn the_host_loses(fleet: &mut Fleet, loss: Loss) {
    loss.take(fleet, HOST);
    fleet.issue(0);
    fleet.until("it is published", |fleet| fleet.is_published(0));
    until_said(fleet, HOST, &format!("{} {HOST}", loss.is_said(fleet.backend.kind())));
    assert_ne!(fleet.read(&format!("{HOST}/out/{ORDER}/cert.pem")), "");
    loss.give(fleet, HOST);
    fleet.until("it has said what it has installed", |fleet| is_settled(fleet));
    fleet.until("its store is well again", |fleet| fleet.store_of(HOST) == "ok");
}

on_each_store!(etcd at once: who_loses_a_log_in_or_a_right_says_so_and_goes_on_with_it);

fn who_loses_a_log_in_or_a_right_says_so_and_goes_on_with_it(store: StoreKind) {
    let Some(mut fleet) = secured(store) else { return };
    // Tokens of etcd are in a member's memory only.
    for _ in 0..2 {
        fleet.restart_member(0);
        fleet.issue(0);
        fleet.until("it is installed", |fleet| is_settled(fleet));
    }
    for loss in [Loss::Rights, Loss::User] {
        collectors_lose(&mut fleet, loss);
    }
    for loss in [Loss::Rights, Loss::OwnRows, Loss::User] {
        the_host_loses(&mut fleet, loss);
    }
    fleet.assert_calls_kept_apart();
    figure(&format!(
        "{store}: restarted twice, rights and users taken away and given back, of the collectors and of a host: {} calls in {} terms, \
         0 at once, 0 early; each said so with the user's name, and installed what was issued meanwhile",
        fleet.calls(),
        fleet.next_leader(0).1,
    ));
}
