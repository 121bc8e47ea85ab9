//! What a fleet's collectors publish, and accounts that another collector has closed.

use std::sync::Arc;
use std::time::Duration;

use certcollectd_core::cert::Certificate;
use certcollectd_core::config::fleet::{Fleet, Role, StoreKind};
use certcollectd_core::config::{Account, Config, OnProbeFailure, Probe, Target};
use certcollectd_core::engine::Engine;
use certcollectd_core::engine::account::record::CredentialTag;
use certcollectd_core::engine::command::Command;
use certcollectd_core::engine::event::Event;
use certcollectd_core::engine::hooks::run::HookResult;
use certcollectd_core::engine::probe::ProbeAnswer;
use certcollectd_core::engine::time::Time;
use certcollectd_core::fleet::progress;
use certcollectd_core::fleet::report::State;

use super::certificate;
use crate::certs;
use crate::world::{self, DAY, HOUR, Say, World};

fn follower() -> Config {
    let mut config = world::config(&["www"]);
    config.accounts = vec![Arc::new(Account::fleet())];
    config.orders[0].account = Fleet::ACCOUNT.into();
    config.orders[0].domains = Box::new(["www.example.com".into()]);
    config.fleet = Some(Fleet {
        name: Some("web-1".into()),
        role: Role::Follower,
        groups: Box::new(["web".into()]),
        store: StoreKind::Etcd,
        endpoints: Box::default(),
        ca_file: None,
        client_cert: None,
        login: None,
        prefix: Fleet::PREFIX.into(),
    });
    config
}

fn world() -> World {
    let mut world = World::new(follower());
    world.engine.call_only_until(Time::MIN);
    world
}

fn bundle(names: &[&str], from_days: i64) -> Vec<Certificate> {
    let leaf = certificate(names, from_days, 90);
    let intermediate = certs::ca().intermediate.der().to_vec();
    [leaf, intermediate].iter().map(|der| Certificate::from_der(der).unwrap()).collect()
}

fn publish(world: &mut World, generation: u64, bundle: &[Certificate]) {
    let event = Event::Published { order: "www".into(), generation, bundle: bundle.to_vec() };
    world.handle(event);
    world.pass(Duration::from_secs(2));
}

#[test]
fn what_is_published_is_installed_and_nobody_is_asked() {
    let mut world = world();
    publish(&mut world, 1, &bundle(&["www.example.com"], -1));
    world.pass(DAY);
    assert_eq!(world.phase("www"), "guarding");
    assert_eq!(world.record("www")["offered"]["highest"], 1);
    publish(&mut world, 5, &bundle(&["www.example.com"], 0));
    assert_eq!(world.record("www")["offered"]["highest"], 5);
    assert!(world.kinds().contains(&"published"), "{:?}", world.kinds());
    assert_eq!(world.calls.len(), 0);
}

#[test]
fn what_is_refused_stays_out_and_raises_no_mark() {
    let mut world = world();
    let good = bundle(&["www.example.com"], -1);
    publish(&mut world, 1, &good);
    let seen = world.seen("www");
    publish(&mut world, 1_000_000, &bundle(&["other.example.com"], 0));
    assert_eq!(world.phase("www"), "quarantined");
    assert_eq!(world.seen("www"), seen, "the good one is still served");
    let offered = &world.record("www")["offered"];
    assert_eq!((&offered["generation"], &offered["highest"]), (&1_000_000.into(), &1.into()));
    // The collectors publish a good one again, under a number below the forged one's.
    publish(&mut world, 2, &bundle(&["www.example.com"], 0));
    assert_eq!(world.phase("www"), "guarding");
    assert_ne!(world.seen("www"), seen);
    assert_eq!(world.record("www")["offered"]["highest"], 2);
}

#[test]
fn a_restart_knows_what_was_accepted() {
    let mut world = world();
    publish(&mut world, 3, &bundle(&["www.example.com"], -1));
    world.restart();
    assert_eq!(world.record("www")["offered"]["highest"], 3);
}

#[test]
fn a_follower_asks_the_vendor_nothing_for_an_operator_either() {
    let mut world = world();
    for command in [Command::Poll("www".into()), Command::Resume("www".into())] {
        let token = world.command(command);
        assert!(!world.reply(token).ok);
        assert!(world.reply(token).text.contains("a follower asks the vendor nothing"));
    }
    world.pass(DAY);
    assert_eq!(world.calls.len(), 0);
}

/// The state goes to a machine with another password file, as the leader's does.
fn taken_over(world: &mut World, tag: u16) {
    world.credential = Some(CredentialTag(tag));
    world.engine = Engine::new(world.config.clone(), world.load(), world.now);
    world.handle(Event::TookOver);
}

#[test]
fn a_closed_account_stays_closed_at_a_takeover() {
    let mut world = World::new(world::config(&["www"]));
    world.say("www", [Say::text("-16\nno")]);
    world.credential = Some(CredentialTag(1));
    world.pass(HOUR);
    assert_eq!(world.calls.len(), 1);
    for tag in 2..6 {
        taken_over(&mut world, tag);
        // The watch begins with a look at each password.
        world.handle(Event::CredentialTouched { account: "main".into() });
        world.pass(DAY);
        assert_eq!(world.calls.len(), 1, "no host tries what it happens to have");
    }
    world.credential = Some(CredentialTag(77));
    world.handle(Event::CredentialTouched { account: "main".into() });
    world.pass(HOUR);
    assert_eq!(world.calls.len(), 2, "a change that was seen here is tried");
}

#[test]
fn an_operator_opens_a_closed_account_after_a_takeover() {
    let mut world = World::new(world::config(&["www"]));
    world.say("www", [Say::text("-16\nno")]);
    world.credential = Some(CredentialTag(1));
    world.pass(HOUR);
    taken_over(&mut world, 2);
    world.pass(HOUR);
    world.say("www", [Say::text("errorCode=0")]);
    let token = world.command(Command::ResumeAccount("main".into()));
    world.pass(HOUR);
    assert!(world.reply(token).ok, "{}", world.reply(token).text);
    assert!(world.account_row("main").get("closed").is_none());
}

#[test]
fn how_far_a_host_is_shows_in_its_record() {
    let mut config = follower();
    config.hooks.push(world::hook("reload"));
    world::change(&mut config.orders[0], |settings| {
        settings.hooks.push("reload".into());
        settings.probes = Box::new([probe()]);
    });
    let mut world = World::new(config);
    world.engine.call_only_until(Time::MIN);
    let label = probe().label();
    let gone = ProbeAnswer { address: label.clone().into(), outcome: Err("refuses connections".into()) };
    world.presents.insert(label.clone(), vec![gone]);
    world.hook_results.insert("reload".into(), vec![HookResult::failed("exit code 1"), HookResult::Done]);
    world.hooks_hang = true;
    world.failing_stages = 1;
    let bundle = bundle(&["www.example.com"], -1);
    let leaf = bundle[0].fingerprint();
    let far = |world: &World| progress::of(&[probe()], &world.load().orders["www"].record, leaf);

    publish(&mut world, 1, &bundle);
    assert_eq!(far(&world).0, State::Failed, "the disk is full: {:?}", far(&world));
    world.pass(Duration::from_secs(20));
    assert_eq!(far(&world), (State::Working, "hook reload is to run".into()));
    world.end_hooks();
    world.pass(Duration::from_secs(2));
    assert_eq!(far(&world), (State::Failed, "hook reload failed: exit code 1".into()));
    world.pass(Duration::from_secs(120));
    assert_eq!(far(&world), (State::Failed, format!("{label} refuses connections")));
    world.presents.clear();
    world.pass(2 * HOUR);
    assert_eq!(far(&world), (State::Done, String::new()));
    // Another one is published, and not good; the first one is what is served.
    publish(&mut world, 2, &self::bundle(&["other.example.com"], 0));
    assert_eq!(far(&world).0, State::Done);
    let token = world.command(Command::Rollback("www".into()));
    world.pass(Duration::from_secs(120));
    assert!(!world.reply(token).ok, "there is none before it");
}

fn probe() -> Probe {
    Probe {
        connect: Target::Host("10.0.0.7".into(), 443),
        server_name: None,
        starttls: None,
        within: Probe::WITHIN,
        every: HOUR,
        on_failure: OnProbeFailure::Warn,
    }
}

/// It was on its own before, with an account and a number.
#[test]
fn a_host_that_joins_keeps_what_it_serves() {
    let mut world = World::new(world::config(&["www"]));
    let leaf = certificate(&["www.example.com"], -1, 90);
    world.say("www", [Say::Body(200, certs::issued(&leaf))]);
    world.pass(HOUR);
    let seen = world.seen("www");
    assert!(seen.is_some());
    world.config = follower().into();
    world.restart();
    world.engine.call_only_until(Time::MIN);
    let calls = world.calls.len();
    world.pass(3 * DAY);
    assert_eq!((world.seen("www"), world.phase("www").as_str()), (seen.clone(), "guarding"));
    // The same certificate, then a newer one.
    let same =
        [leaf, certs::ca().intermediate.der().to_vec()].map(|der| Certificate::from_der(&der).unwrap());
    publish(&mut world, 1, &same);
    assert_eq!(world.seen("www"), seen);
    assert_eq!(world.record("www")["offered"]["highest"], 1);
    publish(&mut world, 2, &bundle(&["www.example.com"], 0));
    assert_ne!(world.seen("www"), seen);
    assert_eq!(world.calls.len(), calls);
}
