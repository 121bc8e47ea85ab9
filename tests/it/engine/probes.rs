//! Probes are asked once the hooks have worked, and from then on; what is not served is told once, and rolled back once.

use std::time::Duration;

use certcollectd_core::cert::Fingerprint;
use certcollectd_core::config::{Config, FileKind, HookEvent, OnProbeFailure, Probe, Target};
use certcollectd_core::engine::command::Command;
use certcollectd_core::engine::hooks::run::HookResult;
use certcollectd_core::engine::probe::{Presented, ProbeAnswer};

use super::{certificate, failed, with_hook};
use crate::certs;
use crate::world::{self, DAY, HOUR, START, Say, World};

const MINUTE: Duration = Duration::from_secs(60);
const SERVER: &str = "10.0.0.7:443";

fn probe(on_failure: OnProbeFailure) -> Probe {
    Probe {
        connect: Target::Host("10.0.0.7".into(), 443),
        server_name: None,
        starttls: None,
        within: Probe::WITHIN,
        every: HOUR,
        on_failure,
    }
}

fn with_probe(on_failure: OnProbeFailure) -> Config {
    let mut config = with_hook("www");
    let mut tell = (*world::hook("tell")).clone();
    tell.on = vec![HookEvent::ProbeFailed, HookEvent::Recovered];
    config.hooks.push(tell.into());
    world::change(&mut config.orders[0], |settings| {
        settings.hooks.push("tell".into());
        settings.probes = Box::new([probe(on_failure)]);
    });
    config
}

/// An address that presents a certificate which is not the order's.
fn another(not_after: i64) -> Vec<ProbeAnswer> {
    let leaf = Fingerprint::from_bytes([0x5f; 32]);
    let presented = Presented { leaf, not_before: START - 90 * 86_400, not_after, chain: Vec::new() };
    vec![ProbeAnswer { address: SERVER.into(), outcome: Ok(presented) }]
}

fn told(world: &World) -> Vec<String> {
    let told = world.ran.iter().filter(|ran| ran.hook == "tell");
    told.map(|ran| ran.event.to_string()).collect()
}

/// Two certificates, the second a day after the first.
fn two_issues(world: &mut World) -> [Vec<u8>; 2] {
    let both = [certificate(&["www.example.com"], -1, 90), certificate(&["www.example.com"], 0, 90)];
    world.say("www", both.iter().map(|leaf| Say::Body(200, certs::issued(leaf))));
    both
}

#[test]
fn it_is_asked_after_the_hooks_and_then_every_hour() {
    let mut world = World::new(with_probe(OnProbeFailure::Warn));
    world.say("www", [super::issued(-1, 90)]);
    world.hook_results.insert("reload".into(), vec![failed("exit code 1"), HookResult::Done]);
    world.pass(MINUTE / 2);
    assert!(world.probed.is_empty(), "the hook has not worked yet");
    world.pass(MINUTE);
    assert_eq!(world.probed, [SERVER]);
    world.pass(DAY);
    assert!((21..=25).contains(&world.probed.len()), "{}", world.probed.len());
    assert!(told(&world).is_empty() && world.errors().is_empty(), "{:?}", world.errors());
    // A restart asks nobody sooner.
    let asked = world.probed.len();
    world.restart();
    world.pass(MINUTE);
    assert_eq!(world.probed.len(), asked);
}

#[test]
fn what_is_not_served_is_told_once_until_it_is_served_again() {
    let mut world = World::new(with_probe(OnProbeFailure::Warn));
    world.say("www", [super::issued(-1, 90)]);
    world.presents.insert(SERVER.into(), another(START + 3 * 86_400 + 3600));
    world.pass(3 * HOUR);
    assert_eq!(told(&world), ["probe-failed"]);
    let said =
        "10.0.0.7:443 still serves 5f5f5f5f5f5f5f5f…, which ends in 3 days, though the reload succeeded";
    assert_eq!(world.errors(), [said]);
    assert_eq!(world.phase("www"), "guarding", "without a rollback it stays as it is");
    let seen = world.seen("www");
    world.restart();
    world.pass(3 * HOUR);
    assert_eq!(told(&world), ["probe-failed"], "not again after a restart");
    // An address that is not there is no better.
    let gone = ProbeAnswer { address: SERVER.into(), outcome: Err("cannot be connected to".into()) };
    world.presents.insert(SERVER.into(), vec![gone]);
    world.pass(3 * HOUR);
    assert_eq!(told(&world), ["probe-failed"]);
    world.presents.clear();
    world.pass(2 * HOUR);
    assert_eq!(told(&world), ["probe-failed", "recovered"]);
    world.presents.insert(SERVER.into(), another(START));
    world.pass(2 * HOUR);
    assert_eq!(told(&world), ["probe-failed", "recovered", "probe-failed"]);
    assert_eq!(world.seen("www"), seen);
}

#[test]
fn a_chain_that_is_not_sent_is_not_served() {
    let mut world = World::new(with_probe(OnProbeFailure::Warn));
    let issued = certificate(&["www.example.com"], -1, 90);
    world.say("www", [Say::Body(200, certs::issued(&issued))]);
    world.pass(MINUTE);
    assert_eq!(world.record("www")["installed"]["chain"].as_array().unwrap().len(), 1);
    let leaf = Fingerprint::of(&issued);
    let presented = Presented { leaf, not_before: START, not_after: START + 86_400, chain: Vec::new() };
    let answer = ProbeAnswer { address: SERVER.into(), outcome: Ok(presented) };
    world.presents.insert(SERVER.into(), vec![answer]);
    world.pass(2 * HOUR);
    let said = "10.0.0.7:443 serves the certificate without its chain, though the reload succeeded";
    assert_eq!(world.errors(), [said]);
}

#[test]
fn a_new_certificate_is_rolled_back_once_and_stays_so_until_it_is_accepted() {
    let mut world = World::new(with_probe(OnProbeFailure::Rollback));
    two_issues(&mut world);
    world.pass(HOUR);
    let first = world.seen("www");
    // The server refuses the second one, and goes on with another that is neither.
    world.presents.insert(SERVER.into(), another(START + 86_400));
    world.pass(2 * DAY);
    assert_eq!(world.seen("www"), first, "{:#?}", world.notes);
    let record = world.record("www");
    assert_eq!(record["probed"]["rollback"], "done");
    let reloads = world.ran.iter().filter(|ran| ran.hook == "reload").count();
    assert_eq!(reloads, 3, "installed, installed, rolled back");
    assert_eq!(told(&world), ["probe-failed"]);
    world.presents.clear();
    world.pass(2 * DAY);
    assert_eq!(world.seen("www"), first, "it holds although the older one is served");
    assert_eq!(told(&world), ["probe-failed"], "and is no recovery");
    // What the operator brings back is not rolled back again.
    world.presents.insert(SERVER.into(), another(START + 5 * 86_400));
    let token = world.command(Command::Accept("www".into()));
    world.pass(2 * DAY);
    assert!(world.reply(token).ok, "{}", world.reply(token).text);
    assert_ne!(world.seen("www"), first);
    assert!(world.record("www")["probed"].get("rollback").is_none());
    world.presents.clear();
    world.pass(2 * HOUR);
    assert_eq!(told(&world), ["probe-failed", "recovered"]);
}

#[test]
fn another_generation_of_the_same_certificate_is_no_way_back() {
    let mut world = World::new(with_probe(OnProbeFailure::Rollback));
    two_issues(&mut world);
    world.pass(HOUR);
    let first = world.seen("www");
    world.hook_results.insert("reload".into(), vec![failed("exit code 1")]);
    world.pass(DAY + 3 * HOUR);
    assert_ne!(world.seen("www"), first);
    // Other files: the second one again, in a generation of its own, before anybody knows whether it is served.
    let mut config = with_probe(OnProbeFailure::Rollback);
    world::change(&mut config.orders[0], |settings| {
        settings.files = settings.files.clone().with(FileKind::Der, Some("cert.der"));
    });
    world.reload(config);
    world.pass(DAY);
    world.presents.insert(SERVER.into(), another(START + 5 * 86_400));
    world.hook_results.clear();
    world.pass(2 * HOUR);
    assert_eq!(world.seen("www"), first, "{:#?}", world.notes);
}

#[test]
fn a_rollback_is_given_up_where_there_is_nothing_before() {
    let mut world = World::new(with_probe(OnProbeFailure::Rollback));
    world.say("www", [super::issued(-1, 90)]);
    world.presents.insert(SERVER.into(), another(START));
    world.pass(HOUR);
    assert!(world.seen("www").is_some());
    assert!(world.record("www")["probed"].get("rollback").is_none());
    let why =
        "the installed certificate stays, although it is not served: there is no complete earlier generation";
    assert!(world.errors().iter().any(|error| error.starts_with(why)), "{:?}", world.errors());
    // Months later the same failure rolls nothing back.
    let seen = world.seen("www");
    world.pass(20 * DAY);
    assert_eq!(world.seen("www"), seen);
}

#[test]
fn a_probe_that_is_no_longer_configured_is_forgotten() {
    let mut world = World::new(with_probe(OnProbeFailure::Warn));
    world.say("www", [super::issued(-1, 90)]);
    world.presents.insert(SERVER.into(), another(START));
    world.pass(HOUR);
    assert_eq!(world.engine.summary().attention, 1);
    let mut config = with_probe(OnProbeFailure::Warn);
    world::change(&mut config.orders[0], |settings| settings.probes = Box::default());
    world.reload(config);
    world.pass(HOUR);
    assert_eq!(world.engine.summary().attention, 0);
    assert!(world.record("www")["probed"].get("probes").is_none());
}
