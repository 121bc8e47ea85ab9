//! What the installed certificate covers, the next one should cover as well.

use certcollectd::status::{Status, Verdict, verdict};
use certcollectd_core::config::{Config, Severity};
use certcollectd_core::engine::command::Command;

use super::{certificate, with_hook};
use crate::certs;
use crate::world::{self, DAY, HOUR, Say, World};

/// A certificate of so many days ahead for these names.
fn of(from_days: i64, names: &[&str]) -> Say {
    Say::Body(200, certs::issued(&certificate(names, from_days, 90)))
}

fn told(world: &World) -> (Verdict, String) {
    verdict(&Status::new(&world.config, &world.load(), world.now))
}

fn missed(world: &World) -> Vec<String> {
    let names = &world.record("www")["uncovered"];
    names.as_array().into_iter().flatten().map(|name| name.as_str().unwrap().to_owned()).collect()
}

/// Installed for the first names, then offered a certificate for the second ones.
fn reissued(config: Config, before: &[&str], after: &[&str]) -> World {
    let mut world = World::new(config);
    world.say("www", [of(-1, before), of(0, after)]);
    world.pass(HOUR);
    assert_eq!(world.phase("www"), "guarding");
    world.pass(2 * DAY);
    world
}

#[test]
fn a_name_that_is_lost_is_told_until_somebody_accepts_that() {
    let before = ["www.example.com", "mail.example.com", "192.0.2.1", "*.example.org"];
    let mut world = reissued(with_hook("www"), &before, &["www.example.com", "a.example.org"]);
    assert_eq!((world.phase("www").as_str(), world.ran.len()), ("guarding", 2));
    assert_eq!(missed(&world), ["mail.example.com", "192.0.2.1", "*.example.org"]);
    let text = "coverage: the certificate no longer covers mail.example.com, 192.0.2.1, *.example.org";
    assert!(world.notes.iter().any(|note| note.text.contains(text)), "{:#?}", world.notes);
    let (worst, line) = told(&world);
    assert_eq!(worst, Verdict::Warning);
    assert!(line.contains("www no longer covers mail.example.com, 192.0.2.1, *.example.org"), "{line}");
    // Files that are written anew, a restart and certificates of the same kind leave it as it is.
    world.disks.get_mut("www").unwrap().link = None;
    world.restart();
    assert_eq!(missed(&world).len(), 3);
    world.say("www", [of(2, &["www.example.com", "mail.example.com"])]);
    world.pass(3 * DAY);
    assert_eq!(missed(&world), ["192.0.2.1", "*.example.org", "a.example.org"]);
    let accept = world.command(Command::Accept("www".into()));
    assert!(world.reply(accept).ok, "{}", world.reply(accept).text);
    assert!(missed(&world).is_empty());
    assert_eq!(told(&world).0, Verdict::Ok);
    world.restart();
    world.pass(3 * DAY);
    assert!(missed(&world).is_empty());
    let again = world.command(Command::Accept("www".into()));
    assert!(!world.reply(again).ok);
}

#[test]
fn after_a_loss_of_the_state_the_files_tell_what_was_covered() {
    for (after, lost) in
        [(&["www.example.com"][..], &["mail.example.com"][..]), (&["www.example.com", "*.example.com"], &[])]
    {
        let mut world = World::new(with_hook("www"));
        world.say("www", [of(-1, &["www.example.com", "mail.example.com"]), of(0, after)]);
        world.pass(HOUR);
        world.rows = world::Rows::default();
        world.restart();
        world.pass(2 * DAY);
        assert_eq!((world.phase("www").as_str(), world.ran.len()), ("guarding", 2));
        assert_eq!(missed(&world), lost);
        world.restart();
        assert_eq!(missed(&world), lost);
        let accept = world.command(Command::Accept("www".into()));
        assert_eq!(world.reply(accept).ok, !lost.is_empty());
        assert!(missed(&world).is_empty());
    }
}

#[test]
fn what_still_covers_is_no_loss() {
    for (before, after) in [
        (&["www.example.com", "example.com"][..], &["*.example.com", "example.com"][..]),
        (&["*.example.com"], &["*.example.com", "www.example.com"]),
        (&["WWW.example.com"], &["www.example.com", "mail.example.com"]),
        (&["www.example.com", "2001:db8::1"], &["2001:db8:0::1", "www.example.com"]),
    ] {
        let world = reissued(with_hook("www"), before, after);
        assert_eq!(missed(&world), Vec::<String>::new(), "{before:?} {after:?}");
        assert_eq!(told(&world).0, Verdict::Ok);
        assert_eq!(world.ran.len(), 2, "it was installed");
    }
}

#[test]
fn a_certificate_that_covers_it_again_ends_it() {
    let names = ["www.example.com", "mail.example.com"];
    let mut world = reissued(with_hook("www"), &names, &names[..1]);
    assert_eq!(missed(&world), ["mail.example.com"]);
    world.say("www", [of(2, &["www.example.com", "*.example.com"])]);
    world.pass(3 * DAY);
    assert!(missed(&world).is_empty());
    assert_eq!(told(&world).0, Verdict::Ok);
}

#[test]
fn a_rollback_is_the_operators_word() {
    let names = ["www.example.com", "mail.example.com"];
    // Back to what covered it.
    let mut world = reissued(with_hook("www"), &names, &names[..1]);
    let rollback = world.command(Command::Rollback("www".into()));
    assert!(world.reply(rollback).ok);
    assert!(missed(&world).is_empty());
    // And to what did not.
    let mut world = reissued(with_hook("www"), &names[..1], &names);
    let rollback = world.command(Command::Rollback("www".into()));
    assert!(world.reply(rollback).ok);
    assert!(missed(&world).is_empty());
}

#[test]
fn it_can_block_and_it_can_be_off() {
    let with = |severity| {
        let mut config = with_hook("www");
        world::change(&mut config.orders[0], |settings| settings.verify.coverage = severity);
        config
    };
    let names = ["www.example.com", "mail.example.com"];
    let mut world = reissued(with(Severity::Block), &names, &names[..1]);
    assert_eq!((world.phase("www").as_str(), world.ran.len()), ("quarantined", 1));
    let reason = &world.record("www")["reason"];
    assert_eq!(
        reason,
        "coverage: the certificate no longer covers mail.example.com, which the installed one covers"
    );
    let accept = world.command(Command::Accept("www".into()));
    assert!(world.reply(accept).ok, "{}", world.reply(accept).text);
    assert_eq!((world.phase("www").as_str(), world.ran.len()), ("guarding", 2));
    assert_eq!((missed(&world), told(&world).0), (Vec::new(), Verdict::Ok));
    let world = reissued(with(Severity::Off), &names, &names[..1]);
    assert_eq!((world.phase("www").as_str(), told(&world).0), ("guarding", Verdict::Ok));
    assert!(!world.notes.iter().any(|note| note.text.contains("coverage")));
}

#[test]
fn files_on_disk_are_a_promise_too() {
    let names = ["www.example.com", "mail.example.com"];
    let mut world = World::new(with_hook("www"));
    world.say("www", [of(-1, &names)]);
    world.pass(HOUR);
    world.rows = world::Rows::default();
    world.say("www", [of(0, &names[..1])]);
    world.restart();
    world.pass(DAY);
    let text = "no longer covers mail.example.com";
    assert!(world.notes.iter().any(|note| note.text.contains(text)), "{:#?}", world.notes);
}

/// The same order under another name.
fn renamed(world: &World, name: &str) -> Config {
    let mut config = (*world.config).clone();
    config.orders[0].name = name.into();
    config.orders[0].handle = certcollectd_core::api::OrderRef::OrderNumber("www".into());
    config
}

#[test]
fn another_name_for_the_order_forgets_no_name_of_its_certificate() {
    let names = ["www.example.com", "mail.example.com"];
    for restarts in [false, true] {
        // Missed under the old name, and missing only after the change.
        for (before, lost) in [(&names[..1], &names[1..]), (&names[..], &names[1..]), (&names[..], &[])] {
            let mut world = reissued(with_hook("www"), &names, before);
            let config = renamed(&world, "web");
            world.reload(config);
            if restarts {
                world.restart();
            }
            let after = if lost.is_empty() { &names[..] } else { &names[..1] };
            world.say("www", [of(2, after)]);
            world.pass(3 * DAY);
            assert_eq!(world.phase("web"), "guarding");
            let missed = world.record("web")["uncovered"].as_array().cloned().unwrap_or_default();
            assert_eq!(missed, lost, "{before:?}");
            let accept = world.command(Command::Accept("web".into()));
            assert_eq!(world.reply(accept).ok, !lost.is_empty());
            assert_eq!(told(&world).0, Verdict::Ok);
        }
    }
}

#[test]
fn what_was_forgotten_under_another_name_is_not_missed() {
    let names = ["www.example.com", "mail.example.com"];
    let mut world = reissued(with_hook("www"), &names, &names);
    let config = renamed(&world, "web");
    let mut none = config.clone();
    none.orders.clear();
    world.reload(none);
    let forget = world.command(Command::Forget("www".into()));
    assert!(world.reply(forget).ok, "{}", world.reply(forget).text);
    world.say("www", [of(2, &names[..1])]);
    world.reload(config);
    world.pass(3 * DAY);
    assert_eq!(world.phase("web"), "guarding");
    assert!(world.record("web")["uncovered"].is_null());
}
