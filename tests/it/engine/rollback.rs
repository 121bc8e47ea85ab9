//! Back to the generation before, at the operator's word.

use std::time::Duration;

use certcollectd_core::cert::{KeyCandidate, key};
use certcollectd_core::config::{Config, FileCopy, FileKind, KeySource};
use certcollectd_core::engine::command::Command;
use rcgen::KeyPair;

use crate::certs;
use crate::world::{self, DAY, HOUR, START, Say, World};

fn candidate(label: &str, pair: &KeyPair) -> KeyCandidate {
    let key = key::from_private_key_pem(pair.serialize_pem().as_bytes()).map_err(|why| why.to_string());
    KeyCandidate { label: label.into(), key }
}

/// A second certificate, for a new key, in place of the first.
fn re_keyed(config: impl FnOnce(&mut Config)) -> (World, [KeyPair; 2]) {
    let mut configuration = world::config(&["www"]);
    configuration.orders[0].key = KeySource::Keys(vec!["/k1".into(), "/k2".into()].into());
    config(&mut configuration);
    let mut world = World::new(configuration);
    let pairs = [KeyPair::generate().unwrap(), KeyPair::generate().unwrap()];
    let [one, two] = &pairs;
    world.keys.insert("www".into(), vec![candidate("/k1", one), candidate("/k2", two)]);
    let issued = |pair: &KeyPair, days: i64| {
        let leaf =
            certs::leaf(pair, &["www.example.com"], START - 86_400 + days, START + (90 + days) * 86_400);
        Say::Body(200, certs::issued(&leaf))
    };
    world.say("www", [issued(one, 0), issued(two, 1)]);
    world.pass(3 * DAY);
    assert_eq!(world.record("www")["installed"]["key"], "/k2", "{:#?}", world.notes);
    (world, pairs)
}

fn combined_elsewhere(config: &mut Config) {
    let copy = FileCopy {
        from: FileKind::Combined,
        to: "/etc/haproxy/site.pem".into(),
        owner: None,
        group: None,
        mode: None,
    };
    config.orders[0].copies = Box::new([copy]);
}

#[test]
fn the_key_of_the_older_generation_goes_back_with_it() {
    let (mut world, _) = re_keyed(combined_elsewhere);
    let second = world.seen("www");
    let rollback = world.command(Command::Rollback("www".into()));
    assert!(world.reply(rollback).ok, "{}", world.reply(rollback).text);
    assert_ne!(world.seen("www"), second);
    assert_eq!(world.record("www")["installed"]["key"], "/k1");
}

#[test]
fn a_rollback_for_which_a_copy_cannot_be_made_is_refused() {
    let (mut world, [_, two]) = re_keyed(combined_elsewhere);
    let second = world.seen("www");
    let unreadable = KeyCandidate { label: "/k1".into(), key: Err("permission denied".into()) };
    world.keys.insert("www".into(), vec![unreadable, candidate("/k2", &two)]);
    let rollback = world.command(Command::Rollback("www".into()));
    let reply = world.reply(rollback);
    assert!(!reply.ok, "{}", reply.text);
    for part in ["/etc/haproxy/site.pem", "/k1 (permission denied), /k2", "key_file"] {
        assert!(reply.text.contains(part), "{}", reply.text);
    }
    assert_eq!((world.seen("www"), world.phase("www")), (second, "guarding".into()));
    assert!(world.record("www")["staged"].is_null());

    // A root, which the generation does not keep, is no reason to stay with what made somebody go back.
    let (mut world, _) = re_keyed(|config| {
        combined_elsewhere(config);
        config.orders[0].copies[0].from = FileKind::Root;
    });
    let second = world.seen("www");
    let rollback = world.command(Command::Rollback("www".into()));
    assert!(world.reply(rollback).ok, "{}", world.reply(rollback).text);
    assert_ne!(world.seen("www"), second);
    let told = "so /etc/haproxy/site.pem stays unchanged";
    assert!(world.notes.iter().any(|note| note.text.contains(told)), "{:?}", world.notes);

    // What needs no key outside its generation goes back all the same.
    let (mut world, [_, two]) = re_keyed(|_| ());
    let second = world.seen("www");
    world.keys.insert("www".into(), vec![candidate("/k2", &two)]);
    let rollback = world.command(Command::Rollback("www".into()));
    assert!(world.reply(rollback).ok, "{}", world.reply(rollback).text);
    assert_ne!(world.seen("www"), second);
    assert!(world.record("www")["installed"]["key"].is_null());
}

/// Three certificates: installed first, installed second, and one that begins in `days`.
fn three(days: i64) -> [Say; 3] {
    [super::issued(-2, 90), super::issued(-1, 91), super::issued(days, 92)]
}

#[test]
fn accept_ends_a_rollback_although_a_newer_certificate_waits_for_its_time() {
    let mut world = World::new(world::config(&["www"]));
    let [first, second, third] = three(9);
    world.say("www", [first, second.clone(), third.clone()]);
    world.pass(2 * DAY - 2 * HOUR);
    let second_seen = world.seen("www");
    let rollback = world.command(Command::Rollback("www".into()));
    assert!(world.reply(rollback).ok, "{}", world.reply(rollback).text);
    let first_seen = world.seen("www");
    world.pass(DAY);
    assert!(world.record("www")["heard"]["text"].as_str().unwrap().contains("it is installed then"));
    assert_eq!(world.seen("www"), first_seen);
    world.say("www", [second]);
    let accept = world.command(Command::Accept("www".into()));
    world.pass(HOUR);
    assert!(world.reply(accept).ok, "{}", world.reply(accept).text);
    assert_eq!(world.seen("www"), second_seen);
    // And what was never rolled back, or is back already, has nothing to accept.
    let again = world.command(Command::Accept("www".into()));
    assert!(!world.reply(again).ok, "{}", world.reply(again).text);
}

#[test]
fn an_accept_that_does_nothing_leaves_a_rollback_as_it_is() {
    let mut world = World::new(world::config(&["www"]));
    let [first, second, third] = three(1);
    world.say("www", [first, second.clone(), third, second.clone()]);
    world.pass(2 * DAY - 2 * HOUR);
    world.command(Command::Rollback("www".into()));
    let first_seen = world.seen("www");
    // The newer one is on its way, but there is no room for it.
    world.failing_stages = 1000;
    world.pass(DAY);
    assert_eq!(world.phase("www"), "collected", "{:#?}", world.notes);
    let accept = world.command(Command::Accept("www".into()));
    let reply = world.reply(accept);
    assert!(!reply.ok && reply.text.contains("is being deployed"), "{}", reply.text);
    assert!(!world.record("www")["refused"].is_null());
    assert_eq!(world.seen("www"), first_seen);
}

#[test]
fn accept_of_what_is_in_quarantine_leaves_the_rollback_to_the_installation() {
    let mut config = world::config(&["www"]);
    let mut world = World::new(config.clone());
    let [first, second, third] = three(1);
    world.say("www", [first, second, third]);
    world.pass(2 * DAY - 2 * HOUR);
    world.command(Command::Rollback("www".into()));
    config.orders[0].domains = Box::new(["other.example.com".into()]);
    world.reload(config);
    world.pass(DAY);
    assert_eq!(world.phase("www"), "quarantined", "{:#?}", world.notes);
    world.failing_stages = 1;
    world.command(Command::Accept("www".into()));
    assert!(!world.record("www")["refused"].is_null(), "until the accepted one is in place");
    world.pass(HOUR);
    assert_eq!(world.phase("www"), "guarding");
    assert!(world.record("www")["refused"].is_null());
}

#[test]
fn an_accepted_certificate_of_a_stopped_order_comes_when_it_is_taken_up() {
    let mut world = World::new(world::config(&["www"]));
    let [first, second, _] = three(1);
    world.say("www", [first, second.clone(), Say::text("-3\n")]);
    world.pass(2 * DAY - 2 * HOUR);
    let second_seen = world.seen("www");
    world.command(Command::Rollback("www".into()));
    world.pass(DAY);
    assert_eq!(world.phase("www"), "attention");
    let accept = world.command(Command::Accept("www".into()));
    let reply = world.reply(accept);
    for part in ["accepted; it is installed once it has been collected again, but", "certcollectd resume www"]
    {
        assert!(!reply.ok && reply.text.contains(part), "{}", reply.text);
    }
    world.say("www", [second]);
    world.command(Command::Resume("www".into()));
    assert_eq!(world.seen("www"), second_seen);
}

#[test]
fn a_rollback_that_waits_for_the_disk_stays_wanted() {
    let mut world = World::new(world::config(&["www"]));
    let [first, second, third] = three(2);
    world.say("www", [first, second.clone()]);
    world.pass(2 * DAY - 2 * HOUR);
    let second_seen = world.seen("www");
    world.failing_swaps = 3;
    let rollback = world.command(Command::Rollback("www".into()));
    assert!(!world.reply(rollback).ok && world.reply(rollback).text.contains("no space left"));
    // Asked in between, the vendor offers what it is to be rolled back from, or something newer.
    for offered in [second, third] {
        world.say("www", [offered]);
        let poll = world.command(Command::Poll("www".into()));
        world.pass(Duration::from_secs(10));
        assert!(!world.reply(poll).ok, "{}", world.reply(poll).text);
        world.restart();
        world.failing_swaps = 1;
    }
    world.failing_swaps = 0;
    world.pass(HOUR);
    assert_eq!(world.phase("www"), "guarding", "{:#?}", world.notes);
    assert_ne!(world.seen("www"), second_seen);
    assert!(!world.record("www")["refused"].is_null());
    // What is newer than both is not lost.
    let rolled_back = world.seen("www");
    world.pass(3 * DAY);
    assert_ne!(world.seen("www"), rolled_back);
    assert_ne!(world.seen("www"), second_seen);
}

#[test]
fn a_rollback_whose_generation_is_spoilt_meanwhile_is_given_up() {
    let mut world = World::new(world::config(&["www"]));
    let [first, second, _] = three(2);
    world.say("www", [first, second]);
    world.pass(2 * DAY - 2 * HOUR);
    let second_seen = world.seen("www");
    world.failing_swaps = 1;
    world.command(Command::Rollback("www".into()));
    let disk = world.disks.get_mut("www").unwrap();
    disk.generations.first_entry().unwrap().get_mut().files.clear();
    world.pass(Duration::from_secs(60));
    assert_eq!(
        (world.phase("www").as_str(), world.seen("www")),
        ("guarding", second_seen),
        "{:#?}",
        world.notes
    );
    assert!(
        world.notes.iter().any(|note| note.text.contains("the rollback was cancelled")),
        "{:#?}",
        world.notes
    );
    assert!(!world.rows.bundles.contains_key("www"));
}

#[test]
fn accept_gives_a_rollback_up_that_cannot_be_brought_to_its_end() {
    let mut world = World::new(world::config(&["www"]));
    world.say("www", three(2));
    world.pass(2 * DAY - 2 * HOUR);
    let second = world.seen("www");
    world.failing_swaps = 100_000;
    world.command(Command::Rollback("www".into()));
    world.pass(2 * DAY);
    assert_eq!(world.seen("www"), second, "neither the older one nor a newer one");
    let accept = world.command(Command::Accept("www".into()));
    assert!(world.reply(accept).ok, "{}", world.reply(accept).text);
    world.failing_swaps = 0;
    world.pass(3 * DAY);
    assert_eq!(world.phase("www"), "guarding");
    assert_ne!(world.seen("www"), second, "the newer one");
}
