//! From a verified bundle to files in place, and back: what is refused, what waits, what a disk does.

use std::time::Duration;

use certcollectd_core::config::{FileKind, Files};
use certcollectd_core::engine::command::Command;
use certcollectd_core::engine::event::{Effect, Event};

use certcollectd_core::cert::Certificate;

use super::{certificate, issued, with_hook};
use crate::world::{self, DAY, HOUR, START, Say, World};

#[test]
fn a_newer_certificate_replaces_an_older_one_and_never_the_other_way() {
    let mut world = World::new(with_hook("www"));
    let old = issued(-1, 90);
    let new = issued(3, 90);
    world.say("www", [old.clone(), old.clone(), old.clone(), old.clone(), new.clone(), old.clone()]);
    world.pass(3 * DAY);
    let first = world.seen("www").unwrap();
    world.pass(2 * DAY);
    let second = world.seen("www").unwrap();
    assert_ne!(first, second);
    assert_eq!(world.ran.len(), 2);
    // The vendor goes back to the older one: refused, the newer one stays.
    world.pass(3 * DAY);
    assert_eq!(world.seen("www").unwrap(), second);
    assert_eq!(world.phase("www"), "quarantined");
    assert!(world.errors().iter().any(|text| text.contains("downgrade")), "{:?}", world.errors());
    // Offered the right one again, it settles by itself.
    world.say("www", [new]);
    world.pass(3 * DAY);
    assert_eq!(world.phase("www"), "guarding");
    assert_eq!(world.ran.len(), 2);
}

#[test]
fn what_was_refused_is_installed_at_the_operators_word() {
    let mut config = with_hook("www");
    config.orders[0].domains = Box::new(["other.example.com".into()]);
    let mut world = World::new(config);
    world.say("www", [issued(-1, 90)]);
    world.pass(HOUR);
    assert_eq!(world.phase("www"), "quarantined");
    assert!(world.seen("www").is_none());
    assert!(world.record("www")["reason"].as_str().unwrap().contains("other.example.com"));
    world.restart();
    let calls = world.calls.len();
    let accept = world.command(Command::Accept("www".into()));
    assert!(world.reply(accept).ok, "{}", world.reply(accept).text);
    assert_eq!((world.phase("www").as_str(), world.ran.len()), ("guarding", 1));
    assert_eq!(world.calls.len(), calls, "from the bundle that was kept");
    let again = world.command(Command::Accept("www".into()));
    assert!(!world.reply(again).ok);
}

#[test]
fn a_mended_configuration_lets_a_refused_bundle_through_without_a_call() {
    let mut config = with_hook("www");
    config.orders[0].domains = Box::new(["other.example.com".into()]);
    let mut world = World::new(config.clone());
    world.say("www", [issued(-1, 90)]);
    world.pass(HOUR);
    let calls = world.calls.len();
    config.orders[0].domains = Box::new(["www.example.com".into()]);
    world.reload(config);
    world.pass(Duration::from_secs(10));
    assert_eq!((world.phase("www").as_str(), world.calls.len()), ("guarding", calls));
}

#[test]
fn a_certificate_of_tomorrow_is_installed_tomorrow() {
    let mut world = World::new(with_hook("www"));
    world.say("www", [issued(1, 90)]);
    world.pass(12 * HOUR);
    assert_eq!(world.phase("www"), "waiting");
    assert!(world.seen("www").is_none());
    let heard = &world.record("www")["heard"]["text"];
    assert!(heard.as_str().unwrap().contains("it is installed then"), "{heard}");
    world.restart();
    world.pass(13 * HOUR);
    assert_eq!((world.phase("www").as_str(), world.ran.len()), ("guarding", 1));
    let ran = world.now.wall_of(world.ran[0].at) / 1000;
    assert!((START + 86_400 - 600..=START + 86_400 + 3600).contains(&ran), "{}", ran - START);
}

#[test]
fn a_full_disk_delays_and_loses_nothing() {
    let mut world = World::new(with_hook("www"));
    world.say("www", [issued(-1, 90), Say::text("errorCode=0")]);
    world.failing_stages = 4;
    world.failing_swaps = 3;
    world.pass(Duration::from_secs(5));
    assert_eq!(world.phase("www"), "collected");
    world.restart();
    world.pass(HOUR);
    assert_eq!((world.phase("www").as_str(), world.ran.len()), ("guarding", 1));
    assert_eq!(world.calls.len(), 1, "the certificate was not asked for again");
}

#[test]
fn without_a_state_that_can_be_written_nobody_is_called() {
    let mut world = World::new(world::config(&["a", "b"]));
    world.pass(Duration::ZERO);
    let calls = world.calls.len();
    world.failing_saves = 5;
    world.pass(Duration::from_secs(100));
    let during = world.calls.len();
    assert_eq!(during, calls, "calls wait for the state: {:?}", world.errors());
    world.pass(HOUR);
    assert_eq!(world.failing_saves, 0);
    assert!(world.calls.len() > calls);
    assert!(world.errors()[0].contains("the state cannot be saved"));
    assert_eq!(world.record("b")["heard"]["code"], 0);
}

#[test]
fn a_lost_state_is_a_cold_start_that_runs_no_hook() {
    let mut world = World::new(with_hook("www"));
    world.say("www", [issued(-1, 90)]);
    world.pass(DAY);
    assert_eq!(world.ran.len(), 1);
    world.rows = world::Rows::default();
    world.restart();
    world.pass(DAY);
    assert_eq!((world.phase("www").as_str(), world.ran.len()), ("guarding", 1));
    assert_eq!(world.disks["www"].generations.len(), 1, "nothing was written");
    assert!(world.kinds().contains(&"adopted"));
}

#[test]
fn a_lost_state_runs_no_hook_where_a_root_is_wanted_that_was_never_sent() {
    let mut config = with_hook("www");
    world::change(&mut config.orders[0], |settings| {
        settings.files = Files::default().with(FileKind::Root, Some("root.pem"));
    });
    let mut world = World::new(config);
    world.say("www", [issued(-1, 90)]);
    world.pass(DAY);
    world.rows = world::Rows::default();
    world.restart();
    world.pass(DAY);
    assert_eq!((world.phase("www").as_str(), world.ran.len()), ("guarding", 1));
    assert_eq!(world.disks["www"].generations.len(), 1, "nothing was written");
}

#[test]
fn rolled_back_stays_rolled_back_until_accepted() {
    let mut world = World::new(with_hook("www"));
    let (old, new) = (issued(-1, 90), issued(3, 90));
    world.say("www", [old.clone(), old.clone(), old.clone(), old.clone(), new.clone()]);
    world.pass(3 * DAY);
    let first = world.seen("www").unwrap();
    world.pass(3 * DAY);
    let second = world.seen("www").unwrap();
    assert_ne!(first, second);
    let rollback = world.command(Command::Rollback("www".into()));
    assert!(world.reply(rollback).ok, "{}", world.reply(rollback).text);
    assert_eq!(world.seen("www").unwrap(), first);
    assert_eq!(world.ran.len(), 3);
    world.restart();
    world.pass(3 * DAY);
    assert_eq!((world.seen("www").unwrap(), world.phase("www")), (first, "guarding".to_owned()));
    let accept = world.command(Command::Accept("www".into()));
    world.pass(HOUR);
    assert!(world.reply(accept).ok, "{}", world.reply(accept).text);
    assert_eq!(world.seen("www").unwrap(), second);
    assert_eq!(world.ran.len(), 4);
}

#[test]
fn rolled_back_twice_stays_there_too() {
    let mut world = World::new(with_hook("www"));
    let [first, second, third] = [issued(-1, 90), issued(3, 90), issued(6, 90)];
    let mut says = vec![first; 4];
    says.extend(vec![second; 3]);
    says.push(third);
    world.say("www", says);
    world.pass(2 * DAY);
    let first = world.seen("www").unwrap();
    world.pass(9 * DAY);
    let third = world.seen("www").unwrap();
    assert_eq!(world.disks["www"].generations.len(), 3);
    for _ in 0..2 {
        let rollback = world.command(Command::Rollback("www".into()));
        assert!(world.reply(rollback).ok, "{}", world.reply(rollback).text);
    }
    assert_eq!(world.seen("www").unwrap(), first);
    world.pass(3 * DAY);
    assert_eq!(world.seen("www").unwrap(), first, "{:#?}", world.notes);
    world.command(Command::Accept("www".into()));
    world.pass(HOUR);
    assert_eq!(world.seen("www").unwrap(), third);
}

#[test]
fn a_newer_certificate_ends_a_rollback() {
    let mut world = World::new(with_hook("www"));
    let [first, second, third] = [issued(-1, 90), issued(3, 90), issued(9, 90)];
    let mut says = vec![first; 4];
    says.extend(vec![second.clone(); 8]);
    says.push(third);
    world.say("www", says);
    world.pass(6 * DAY);
    let rollback = world.command(Command::Rollback("www".into()));
    assert!(world.reply(rollback).ok);
    world.pass(2 * DAY);
    assert!(!world.record("www")["refused"].is_null(), "{:#?}", world.record("www"));
    world.pass(8 * DAY);
    assert!(world.record("www")["refused"].is_null(), "{:#?}", world.record("www"));
    let accept = world.command(Command::Accept("www".into()));
    assert!(!world.reply(accept).ok, "there is nothing left to accept");
}

#[test]
fn missing_files_are_put_back_and_changed_ones_reported() {
    let mut world = World::new(with_hook("www"));
    world.say("www", [issued(-1, 90)]);
    world.pass(HOUR);
    world.disks.get_mut("www").unwrap().link = None;
    world.pass(2 * DAY);
    assert!(world.seen("www").is_some());
    assert_eq!(world.ran.len(), 2, "readers may have lost it, so they are told again");
    // Another certificate is a person's doing; what is no certificate is nobody's.
    let disk = world.disks.get_mut("www").unwrap();
    let current = disk.link.clone().unwrap();
    let other = pem_of("other.example.com");
    disk.generations.get_mut(&current).unwrap().files.insert("cert.pem".into(), other.clone());
    world.pass(3 * DAY);
    assert!(world.record("www")["drift"].as_str().unwrap().contains("cert.pem was changed"));
    assert_eq!(world.disks["www"].generations[&current].files["cert.pem"], other);
    assert_eq!(world.kinds().iter().filter(|kind| **kind == "drift").count(), 1, "said once");
    for ruined in [&b""[..], b"by hand", &other[..other.len() / 2]] {
        let disk = world.disks.get_mut("www").unwrap();
        let current = disk.link.clone().unwrap();
        disk.generations.get_mut(&current).unwrap().files.insert("chain.pem".into(), ruined.to_vec());
        world.pass(3 * DAY);
        assert_ne!(world.disks["www"].link.as_ref(), Some(&current), "{ruined:?}");
        assert!(world.record("www")["drift"].is_null(), "{}", world.record("www"));
    }
}

fn pem_of(name: &str) -> Vec<u8> {
    Certificate::from_der(&certificate(&[name], -1, 90)).unwrap().to_pem().into_bytes()
}

#[test]
fn a_link_that_leads_to_nothing_is_set_right() {
    let mut world = World::new(with_hook("www"));
    world.say("www", [issued(-1, 90)]);
    world.pass(HOUR);
    let current = world.disks["www"].link.clone().unwrap();
    for (link, gone) in [(Some("20200101T000000Z-00"), false), (None, false), (Some(&*current), true)] {
        let disk = world.disks.get_mut("www").unwrap();
        disk.link = link.map(str::to_owned);
        if gone {
            disk.generations.clear();
        }
        world.pass(2 * DAY);
        let disk = &world.disks["www"];
        assert!(disk.generations.contains_key(disk.link.as_ref().unwrap()), "{link:?}");
        assert_eq!(world.phase("www"), "guarding");
        assert!(world.record("www")["lost"].is_null());
    }
}

#[test]
fn a_start_looks_at_the_files_without_a_call() {
    let mut world = World::new(with_hook("www"));
    world.say("www", [issued(-1, 90)]);
    world.pass(HOUR);
    let (calls, ran) = (world.calls.len(), world.ran.len());
    world.disks.get_mut("www").unwrap().link = None;
    world.restart();
    assert!(world.seen("www").is_some());
    assert_eq!((world.calls.len(), world.ran.len()), (calls, ran + 1));
    // With all of it gone there is nothing to write it from: said until the vendor hands it out again.
    world.disks.get_mut("www").unwrap().generations.clear();
    world.rows.bundles.clear();
    world.restart();
    let mended = world.phase("www") == "guarding" && world.record("www")["lost"].is_null();
    if !mended {
        let lost = world.record("www")["lost"].to_string();
        assert!(lost.contains("readers cannot find cert.pem, chain.pem, fullchain.pem"), "{lost}");
        assert_eq!(world.engine.summary().attention, 1);
    }
    world.pass(2 * DAY);
    assert!(world.record("www")["lost"].is_null());
    assert!(world.seen("www").is_some());
}

#[test]
fn what_cannot_be_looked_at_is_an_alarm_until_it_can() {
    let mut world = World::new(with_hook("www"));
    world.say("www", [issued(-1, 90)]);
    world.pass(HOUR);
    let installed = world.seen("www").unwrap();
    world.disks.get_mut("www").unwrap().unreadable =
        Some("cannot open /install/.www: permission denied".into());
    world.pass(2 * DAY);
    assert_eq!(world.record("www")["lost"], "cannot open /install/.www: permission denied");
    assert_eq!(world.kinds().iter().filter(|kind| **kind == "lost").count(), 1, "said once");
    assert_eq!(world.engine.summary().attention, 1);
    world.disks.get_mut("www").unwrap().unreadable = None;
    // Without a poll.
    let calls = world.calls.len();
    world.pass(Duration::from_secs(301));
    assert_eq!(world.calls.len(), calls);
    assert!(world.record("www")["lost"].is_null());
    assert_eq!((world.seen("www").unwrap(), world.ran.len()), (installed, 1));
}

/// Until readers see the new files; the event that says so, which the engine has not heard.
fn until_placed(world: &mut World) -> Event {
    let mut events = vec![Event::Started];
    while let Some(event) = events.pop() {
        for effect in world.engine.handle(event, world.now) {
            match effect {
                Effect::Save(changes) => world.save(&changes),
                Effect::Install(stage) => {
                    let written = world.install(&stage).unwrap();
                    return Event::Installed { order: stage.order, result: Ok(written) };
                }
                effect => events.extend(world.one(effect)),
            }
        }
    }
    panic!("nothing was installed");
}

#[test]
fn a_crash_between_the_swap_and_its_record_owes_the_hooks() {
    let mut world = World::new(with_hook("www"));
    world.say("www", [issued(-1, 90)]);
    // The process ends before that is on record.
    until_placed(&mut world);
    let placed = world.disks["www"].link.clone().expect("readers see it");
    assert_eq!(world.record("www")["placing"], *placed, "as is on record");
    assert!(world.record("www")["installed"].is_null() && world.ran.is_empty());
    world.restart();
    world.pass(HOUR);
    assert_eq!((world.phase("www").as_str(), world.ran.len()), ("guarding", 1));
    assert_eq!(world.disks["www"].link.as_ref(), Some(&placed), "and is not written again");
    assert_eq!(world.ran[0].generations, [placed]);
    assert!(world.record("www")["placing"].is_null());
    // Nothing of it is left to be mistaken for an interrupted installation later.
    world.restart();
    world.pass(HOUR);
    assert_eq!(world.ran.len(), 1);
}

#[test]
fn what_was_written_before_a_reload_is_written_again_as_it_says() {
    let mut config = with_hook("www");
    let mut world = World::new(config.clone());
    world.say("www", [issued(-1, 90)]);
    let placed = until_placed(&mut world);
    world::change(&mut config.orders[0], |settings| {
        settings.files = Files::default().with(FileKind::Chain, Some("ca.pem"));
    });
    world.reload(config);
    world.handle(placed);
    world.pass(Duration::from_secs(10));
    let files = world.record("www")["installed"]["files"].to_string();
    assert!(files.contains("ca.pem") && world.phase("www") == "guarding", "{files}");
}

#[test]
fn a_crash_before_the_swap_installs_what_is_on_record_without_a_call() {
    let mut world = World::new(with_hook("www"));
    world.say("www", [issued(-1, 90)]);
    world.failing_swaps = 1;
    world.pass(Duration::from_millis(1));
    let record = world.record("www");
    assert!(world.seen("www").is_none() && !record["staged"].is_null(), "{record}");
    world.restart();
    let calls = world.calls.len();
    world.pass(HOUR);
    assert_eq!((world.phase("www").as_str(), world.ran.len(), world.calls.len()), ("guarding", 1, calls));
}

#[test]
fn an_answer_is_saved_even_where_the_key_cannot_be_looked_at() {
    let mut world = World::new(with_hook("www"));
    world.say("www", [issued(-1, 90)]);
    // The look at the key hangs: its event does not come.
    let mut events = vec![Event::Started];
    while let Some(event) = events.pop() {
        for effect in world.engine.handle(event, world.now) {
            match effect {
                Effect::Save(changes) => world.save(&changes),
                Effect::Inspect(_) => {}
                effect => events.extend(world.one(effect)),
            }
        }
    }
    assert!(world.rows.bundles.is_empty(), "it waits for what follows from it");
    let wake = world.engine.next_wake().unwrap();
    assert!(wake.since(world.now.time) <= Duration::from_millis(50));
    world.pass(Duration::from_millis(60));
    assert_eq!(world.rows.bundles.len(), 1);
}
