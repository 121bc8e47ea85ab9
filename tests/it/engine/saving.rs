//! What becomes of things while the state cannot be saved.

use certcollectd_core::engine::command::Command;
use certcollectd_core::engine::event::{Effect, Event};

use super::effects;
use crate::world::{self, HOUR, Say, World};

/// The first login is refused, and that cannot be saved.
fn refused_and_not_saved(failing: usize) -> World {
    let mut world = World::new(world::config(&["a", "b"]));
    for name in ["a", "b"] {
        world.say(name, [Say::text("-16\nno")]);
    }
    let mut call = None;
    for effect in world.engine.handle(Event::Started, world.now) {
        match effect {
            Effect::Save(changes) => world.save(&changes),
            effect => call = Some(effect),
        }
    }
    let answer = world.one(call.expect("a call")).expect("an answer");
    world.failing_saves = failing;
    world.handle(answer);
    assert!(world.account_row("main").get("closed").is_none(), "it is not on record");
    world
}

#[test]
fn a_stop_saves_what_could_not_be_saved_before() {
    let mut world = refused_and_not_saved(1);
    world.handle(Event::Stopping);
    assert!(world.account_row("main").get("closed").is_some());
    assert!(world.engine.is_idle() && !world.engine.cannot_save());
    world.restart();
    world.pass(HOUR);
    assert_eq!(world.calls.len(), 1, "one login");
}

#[test]
fn a_stop_goes_on_trying_every_second() {
    let mut world = refused_and_not_saved(3);
    world.handle(Event::Stopping);
    assert!(!world.engine.is_idle());
    world.pass(std::time::Duration::from_secs(3));
    assert!(world.account_row("main").get("closed").is_some());
    assert!(world.engine.is_idle() && !world.engine.cannot_save());
}

#[test]
fn nothing_is_reported_as_done_that_is_not_on_record() {
    let mut world = World::new(world::config(&["a"]));
    world.pass(HOUR);
    world.failing_saves = 1;
    // The first meets the failing save, the second the wait for the next try.
    for _ in 0..2 {
        let token = world.command(Command::ResumeAccount("main".into()));
        let reply = world.reply(token);
        assert!(!reply.ok && reply.text.contains("not saved yet"), "{}", reply.text);
    }
    world.pass(HOUR);
    let token = world.command(Command::ResumeAccount("main".into()));
    assert!(world.reply(token).ok, "{}", world.reply(token).text);
}

fn many() -> Vec<String> {
    (0..600).map(|at| format!("o{at}")).collect()
}

/// Started with [`many`] new orders: how many rows the first save has, and whether the order that is called about is
/// among them.
fn started() -> (World, usize, bool) {
    let names = many();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut world = World::new(world::config(&names));
    let list = effects(&mut world, Event::Started);
    let [Effect::Save(changes), .., Effect::Call(_)] = &list[..] else { panic!("{list:?}") };
    let asked = changes.orders.iter().filter(|(_, record)| record.polls == 1).count();
    world.save(changes);
    (world, changes.orders.len(), asked == 1)
}

/// With very many orders the first call does not wait until all of them are on record.
#[test]
fn new_orders_are_on_record_a_few_at_a_time() {
    let (mut world, rows, asked) = started();
    assert!((256..=257).contains(&rows) && asked, "{rows}");
    world.pass(std::time::Duration::from_secs(5));
    assert_eq!(world.rows.orders.len(), 600);
}

#[test]
fn a_stop_puts_all_orders_on_record() {
    let (mut world, _, _) = started();
    world.handle(Event::Stopping);
    assert_eq!(world.rows.orders.len(), 600);
}

/// The row under its old name can be forgotten at any time.
#[test]
fn what_an_order_has_from_its_old_name_is_on_record_at_once() {
    let mut world = World::new(world::config(&["old"]));
    world.pass(HOUR);
    let names = many();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut config = world::config(&names);
    let last = config.orders.last_mut().unwrap();
    let mut renamed = last.clone();
    renamed.handle = world.engine.config().orders[0].handle.clone();
    *last = renamed;
    let list = effects(&mut world, Event::Configured { config: config.into() });
    let Effect::Save(changes) = &list[0] else { panic!("{list:?}") };
    let (_, record) = changes.orders.iter().find(|(name, _)| **name == *"o599").expect("its row");
    assert!(record.polled.is_some());
}
