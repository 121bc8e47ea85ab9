//! The operator's word on a closed account: the password that was refused is not sent again by mistake.

use certcollectd_core::api::Failure;
use certcollectd_core::engine::account::record::CredentialTag;
use certcollectd_core::engine::command::Command;
use certcollectd_core::engine::event::Event;

use crate::world::{self, DAY, HOUR, Say, World};

fn closed() -> World {
    let mut world = World::new(world::config(&["a", "b"]));
    world.say("a", [Say::text("-16\nno")]);
    world.say("b", [Say::text("-16\nno")]);
    world.pass(HOUR);
    assert_eq!(world.calls.len(), 1);
    world
}

/// Whether the word was taken, and what was said.
fn resume(world: &mut World) -> (usize, String) {
    let before = world.calls.len();
    let token = world.command(Command::ResumeAccount("main".into()));
    world.pass(HOUR);
    let text = world.reply(token).text.clone();
    if world.calls.len() == before {
        assert!(!world.reply(token).ok, "{text}");
    }
    (world.calls.len() - before, text)
}

#[test]
fn the_refused_password_needs_another_word_over_restarts() {
    let mut world = closed();
    for _ in 0..3 {
        let (calls, text) = resume(&mut world);
        assert_eq!(calls, 0, "{text}");
        for part in
            ["is the one that the vendor refused at 2026-11-20T09:12:00Z", "/secret", "--same-password"]
        {
            assert!(text.contains(part), "{text}");
        }
        world.restart();
        world.pass(DAY);
    }
    assert_eq!(world.calls.len(), 1);
    world.command(Command::ResumeSamePassword("main".into()));
    world.pass(DAY);
    assert_eq!(world.calls.len(), 2);
    // Refused once more, a day and more later; that is what is told then.
    let (calls, text) = resume(&mut world);
    assert!(calls == 0 && text.contains("2026-11-23T"), "{text}");
}

#[test]
fn another_password_needs_no_other_word() {
    let mut world = closed();
    // Written, and not noticed yet.
    world.credential = Some(CredentialTag(2));
    let (calls, text) = resume(&mut world);
    assert_eq!(calls, 1, "{text}");
}

#[test]
fn what_was_tried_without_an_answer_is_tried_again_at_a_word() {
    let mut world = World::new(world::config(&["a"]));
    let broken = Say::Fail(Failure::Broken("reset".into()));
    world.say("a", [Say::text("-16\nno"), broken, Say::text("errorCode=0")]);
    world.pass(HOUR);
    world.credential = Some(CredentialTag(2));
    world.handle(Event::CredentialTouched { account: "main".into() });
    world.pass(DAY);
    world.restart();
    world.pass(DAY);
    assert_eq!(world.calls.len(), 2, "by itself, once");
    assert!(!world.errors().last().unwrap().contains("--same-password"), "{:?}", world.errors());
    // The old one is the refused one still.
    world.credential = Some(CredentialTag(1));
    let (calls, text) = resume(&mut world);
    assert_eq!(calls, 0, "{text}");
    world.credential = Some(CredentialTag(2));
    let (calls, text) = resume(&mut world);
    assert_eq!(calls, 1, "{text}");
    assert!(world.account_row("main").get("closed").is_none());
}

#[test]
fn where_nobody_knows_what_was_refused_nothing_is_sent_without_that_word() {
    let mut world = World::new(world::config(&["a"]));
    world.credential = None;
    world.say("a", [Say::text("-16\nno")]);
    world.pass(HOUR);
    let (calls, text) = resume(&mut world);
    assert!(calls == 0 && text.contains("password cannot be read"), "{text}");
    world.credential = Some(CredentialTag(1));
    let (calls, text) = resume(&mut world);
    assert!(calls == 0 && text.contains("not recorded"), "{text}");
    world.command(Command::ResumeSamePassword("main".into()));
    world.pass(HOUR);
    assert_eq!(world.calls.len(), 2);
}
