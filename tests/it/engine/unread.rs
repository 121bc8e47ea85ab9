//! Keys and trust anchors that cannot be read are this machine's trouble: the certificate waits for them.

use certcollectd_core::cert::{KeyCandidate, key};
use certcollectd_core::config::{KeySource, Severity};
use certcollectd_core::engine::command::Command;
use certcollectd_core::engine::install::InstallError;
use certcollectd_core::engine::note::Level;
use rcgen::KeyPair;

use super::{SECOND, with_hook};
use crate::certs;
use crate::world::{DAY, HOUR, START, Say, World, change};

fn unread(path: &str) -> InstallError {
    InstallError {
        step: "read the key",
        path: path.into(),
        cause: "permission denied".into(),
        advice: Some("let the daemon read it".into()),
        stale: false,
    }
}

fn unreadable(path: &str) -> KeyCandidate {
    KeyCandidate { label: path.into(), key: Err("permission denied".into()) }
}

fn candidate(path: &str, pair: &KeyPair) -> KeyCandidate {
    let key = key::from_private_key_pem(pair.serialize_pem().as_bytes()).map_err(|why| why.to_string());
    KeyCandidate { label: path.into(), key }
}

fn issued_for(pair: &KeyPair, name: &str) -> Say {
    Say::Body(200, certs::issued(&certs::leaf(pair, &[name], START - 86_400, START + 90 * 86_400)))
}

/// One order with these key files, and the key of what the vendor has issued.
fn with_keys(paths: &[&str]) -> (World, KeyPair) {
    let mut config = with_hook("www");
    config.orders[0].key = KeySource::Keys(paths.iter().map(Into::into).collect());
    let pair = KeyPair::generate().unwrap();
    let mut world = World::new(config);
    world.say("www", [issued_for(&pair, "www.example.com")]);
    (world, pair)
}

#[test]
fn a_key_that_cannot_be_read_delays_and_loses_nothing() {
    let (mut world, pair) = with_keys(&["/k"]);
    world.keys.insert("www".into(), vec![unreadable("/k")]);
    world.unread.insert("www".into(), vec![unread("/k")]);
    world.pass(HOUR);
    assert_eq!(world.phase("www"), "collected", "{:#?}", world.notes);
    let trouble = world.record("www")["trouble"]["text"].as_str().unwrap().to_owned();
    assert_eq!(trouble, "cannot read the key /k: permission denied; let the daemon read it");
    let told: Vec<_> = world.notes.iter().filter(|note| note.kind.as_str() == "unread").collect();
    assert_eq!((told.len(), told[0].level), (1, Level::Warn), "said once: {told:?}");
    assert!(told[0].text.contains(&trouble) && !told[0].text.contains("accept"), "{}", told[0].text);
    let accept = world.command(Command::Accept("www".into()));
    assert!(!world.reply(accept).ok && world.reply(accept).text.contains(&trouble));
    world.restart();
    world.pass(DAY);
    assert_eq!((world.phase("www").as_str(), world.calls.len()), ("collected", 1));
    // Within half a minute of being readable.
    world.keys.insert("www".into(), vec![candidate("/k", &pair)]);
    world.unread.clear();
    world.pass(30 * SECOND);
    assert_eq!((world.phase("www").as_str(), world.ran.len(), world.calls.len()), ("guarding", 1, 1));
    assert!(world.record("www")["trouble"].is_null());
}

#[test]
fn the_operators_word_tries_it_at_once() {
    let (mut world, pair) = with_keys(&["/k"]);
    world.keys.insert("www".into(), vec![unreadable("/k")]);
    world.unread.insert("www".into(), vec![unread("/k")]);
    world.pass(HOUR);
    world.keys.insert("www".into(), vec![candidate("/k", &pair)]);
    world.unread.clear();
    world.command(Command::Resume("www".into()));
    assert_eq!(world.phase("www"), "guarding");
}

#[test]
fn another_file_of_anchors_is_tried_at_once() {
    let (mut world, pair) = with_keys(&["/k"]);
    world.keys.insert("www".into(), vec![unreadable("/k")]);
    world.unread.insert("www".into(), vec![unread("/k")]);
    world.pass(HOUR);
    world.keys.insert("www".into(), vec![candidate("/k", &pair)]);
    world.unread.clear();
    let mut config = (*world.config).clone();
    change(&mut config.orders[0], |settings| settings.trust_anchors = Some("/roots.pem".into()));
    world.reload(config);
    assert_eq!(world.phase("www"), "guarding");
}

#[test]
fn what_can_be_read_decides_where_it_can() {
    // The other candidate fits.
    let (mut world, pair) = with_keys(&["/old", "/new"]);
    world.keys.insert("www".into(), vec![unreadable("/old"), candidate("/new", &pair)]);
    world.unread.insert("www".into(), vec![unread("/old")]);
    world.pass(HOUR);
    assert_eq!(world.phase("www"), "guarding");
    // None fits, but one could not be read, and may be the one.
    let (mut world, _) = with_keys(&["/old", "/new"]);
    let other = KeyPair::generate().unwrap();
    world.keys.insert("www".into(), vec![candidate("/old", &other), unreadable("/new")]);
    world.unread.insert("www".into(), vec![unread("/new")]);
    world.pass(HOUR);
    assert_eq!(world.phase("www"), "collected");
    // It can be read now, and does not fit either.
    world.keys.insert("www".into(), vec![candidate("/old", &other), candidate("/new", &other)]);
    world.unread.clear();
    world.pass(30 * SECOND);
    assert_eq!(world.phase("www"), "quarantined");
    assert!(world.record("www")["trouble"].is_null());
}

#[test]
fn a_key_that_takes_the_place_of_a_wrong_one_is_found_whatever_the_vendor_says() {
    for then in [Say::Body(200, b"errorCode=0".to_vec()), Say::Body(503, b"busy".to_vec())] {
        let (mut world, pair) = with_keys(&["/k"]);
        world.keys.insert("www".into(), vec![candidate("/k", &KeyPair::generate().unwrap())]);
        world.pass(HOUR);
        assert_eq!(world.phase("www"), "quarantined", "{:#?}", world.notes);
        world.say("www", vec![then; 40]);
        world.pass(2 * DAY);
        assert_eq!(world.phase("www"), "quarantined");
        let told = world.kinds().iter().filter(|kind| **kind == "quarantined").count();
        assert_eq!(told, 1, "said once: {:#?}", world.notes);
        world.restart();
        world.keys.insert("www".into(), vec![candidate("/k", &pair)]);
        world.pass(DAY);
        assert_eq!((world.phase("www").as_str(), world.ran.len()), ("guarding", 1), "{:#?}", world.notes);
    }
}

#[test]
fn what_is_wrong_whatever_the_key_says_is_quarantined() {
    let (mut world, pair) = with_keys(&["/k"]);
    let mut config = (*world.config).clone();
    config.orders[0].domains = Box::new(["other.example.com".into()]);
    world = World::new(config);
    world.say("www", [issued_for(&pair, "www.example.com")]);
    world.keys.insert("www".into(), vec![unreadable("/k")]);
    world.unread.insert("www".into(), vec![unread("/k")]);
    world.pass(HOUR);
    assert_eq!(world.phase("www"), "quarantined");
}

#[test]
fn an_installed_certificate_stays_while_the_key_of_the_next_one_cannot_be_read() {
    let (mut world, pair) = with_keys(&["/k"]);
    world.keys.insert("www".into(), vec![candidate("/k", &pair)]);
    world.pass(HOUR);
    let first = world.seen("www");
    assert!(first.is_some());
    let next = KeyPair::generate().unwrap();
    let leaf = certs::leaf(&next, &["www.example.com"], START, START + 120 * 86_400);
    world.say("www", [Say::Body(200, certs::issued(&leaf))]);
    world.keys.insert("www".into(), vec![unreadable("/k")]);
    world.unread.insert("www".into(), vec![unread("/k")]);
    world.pass(2 * DAY);
    assert_eq!((world.phase("www").as_str(), world.seen("www")), ("collected", first.clone()));
    world.keys.insert("www".into(), vec![candidate("/k", &next)]);
    world.unread.clear();
    world.pass(30 * SECOND);
    assert_eq!((world.phase("www").as_str(), world.ran.len()), ("guarding", 2));
    assert_ne!(world.seen("www"), first);
}

#[test]
fn a_check_that_blocks_nothing_keeps_nothing_waiting() {
    let (world, pair) = with_keys(&["/k"]);
    let mut config = (*world.config).clone();
    change(&mut config.orders[0], |settings| settings.verify.key = Severity::Warn);
    let mut world = World::new(config);
    world.say("www", [issued_for(&pair, "www.example.com")]);
    world.keys.insert("www".into(), vec![unreadable("/k")]);
    world.unread.insert("www".into(), vec![unread("/k")]);
    world.pass(HOUR);
    assert_eq!(world.phase("www"), "guarding");
}
