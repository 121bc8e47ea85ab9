//! What becomes of things while the state cannot be saved.

use certcollectd_core::engine::command::Command;
use certcollectd_core::engine::event::{Effect, Event};

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
