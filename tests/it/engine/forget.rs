//! Orders that leave the configuration, and what is left of them at the operator's word.

use certcollectd::status::{Screen, Status, Verdict, verdict};
use certcollectd_core::engine::command::Command;
use certcollectd_core::engine::event::Event;
use certcollectd_core::engine::note::Level;

use super::{gaps, issued};
use crate::world::{self, DAY, HOUR, World};

/// `www` is installed and `new` still waits; then only `other` is configured.
fn left() -> World {
    let mut world = World::new(world::config(&["www", "new", "other"]));
    world.say("www", [issued(-1, 90)]);
    world.pass(HOUR);
    world.reload(world::config(&["other"]));
    world
}

fn told(world: &World) -> (Verdict, String) {
    verdict(&Status::new(&world.config, &world.load(), world.now))
}

#[test]
fn an_installed_order_that_goes_is_warned_of_with_its_number_until_it_is_back() {
    let mut world = left();
    let removed: Vec<_> = world.notes.iter().filter(|note| note.kind.as_str() == "removed").collect();
    let of = |name: &str| removed.iter().find(|note| note.order.as_deref() == Some(name)).unwrap();
    assert_eq!((of("www").level, of("new").level), (Level::Warn, Level::Info));
    assert!(of("www").text.starts_with("order www is no longer configured"), "{}", of("www").text);
    for _ in 0..2 {
        let (worst, line) = told(&world);
        assert_eq!(worst, Verdict::Warning);
        assert!(line.contains("www (order www, until 2027-") && !line.contains("new ("), "{line}");
        let shown = Status::new(&world.config, &world.load(), world.now).table(&Screen::default());
        assert!(shown.contains("`certcollectd forget www`"), "{shown}");
        let live = Status::new(&world.config, &world.engine.records(), world.now);
        assert_eq!(live.absent.len(), 1, "the daemon itself says so");
        world.restart();
    }
    world.reload(world::config(&["www", "other"]));
    assert_eq!(told(&world).0, Verdict::Ok);
}

#[test]
fn a_number_that_has_another_name_is_not_gone() {
    let mut world = World::new(world::config(&["www"]));
    world.say("www", [issued(-1, 90)]);
    world.pass(HOUR);
    let mut renamed = world::config(&["web"]);
    renamed.orders[0].handle = certcollectd_core::api::OrderRef::OrderNumber("www".into());
    world.reload(renamed);
    assert!(Status::new(&world.config, &world.load(), world.now).absent.is_empty());
}

#[test]
fn what_is_forgotten_is_warned_of_no_more_and_never_asked_about_early() {
    let mut world = left();
    let token = world.command(Command::Forget("www".into()));
    assert!(world.reply(token).ok, "{}", world.reply(token).text);
    assert_eq!(told(&world).0, Verdict::Ok);
    assert!(!world.rows.history.iter().any(|note| note.order.as_deref() == Some("www")));
    world.restart();
    assert_eq!(told(&world).0, Verdict::Ok);
    // Added again, under its name or another: the vendor's floor is the number's.
    for name in ["www", "web"] {
        let mut config = world::config(&["other", name]);
        config.orders[1].handle = certcollectd_core::api::OrderRef::OrderNumber("www".into());
        world.reload(config);
        world.pass(DAY);
        assert!(gaps(&world, "www").iter().all(|gap| *gap >= 3 * HOUR), "{:?}", gaps(&world, "www"));
        assert!(world.seen("www").is_some());
        world.reload(world::config(&["other"]));
        let token = world.command(Command::Forget(name.into()));
        assert!(world.reply(token).ok, "{}", world.reply(token).text);
    }
    assert!(world.calls.iter().filter(|call| call.number == "www").count() > 2);
}

#[test]
fn only_what_is_known_and_not_configured_can_be_forgotten() {
    let mut world = left();
    let mut said = |name: &str| {
        let token = world.command(Command::Forget(name.into()));
        let reply = world.reply(token);
        assert!(!reply.ok);
        reply.text.clone()
    };
    assert!(said("other").contains("other is configured"), "{}", said("other"));
    assert!(said("wwww\u{1b}").contains("there are: new, www"), "{}", said("wwww"));
    for name in ["www", "new"] {
        let token = world.command(Command::Forget(name.into()));
        assert!(world.reply(token).ok);
        let token = world.command(Command::Forget(name.into()));
        assert!(!world.reply(token).ok, "once is enough");
    }
}

#[test]
fn what_cannot_be_saved_is_not_forgotten() {
    let mut world = left();
    world.failing_saves = 1;
    let token = world.command(Command::Forget("www".into()));
    assert!(!world.reply(token).ok, "{}", world.reply(token).text);
    assert_eq!(told(&world).0, Verdict::Warning);
    world.pass(HOUR);
    assert_eq!(told(&world).0, Verdict::Ok, "it was caught up on");
}

#[test]
fn no_order_at_all_is_a_warning() {
    let world = World::new(world::config(&[]));
    let (worst, line) = told(&world);
    assert_eq!(worst, Verdict::Warning);
    assert!(line.contains("no order is configured"), "{line}");
}

#[test]
fn a_state_that_is_back_is_not_waited_for() {
    let mut world = World::new(world::config(&["www"]));
    world.failing_saves = 1;
    world.pass(std::time::Duration::from_secs(1));
    assert!(world.engine.cannot_save() && world.calls.is_empty());
    world.handle(Event::StateBack);
    assert!(!world.engine.cannot_save());
    assert_eq!((world.engine.failed_saves(), world.rows.orders.len()), (0, 1));
    // Nothing was the matter: nothing happens.
    world.handle(Event::StateBack);
    assert_eq!(world.kinds().iter().filter(|kind| **kind == "state").count(), 2);
}
