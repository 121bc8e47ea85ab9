//! A mistake of ours in one order's work.

use certcollectd_core::api::Failure;
use certcollectd_core::engine::command::Command;

use super::issued;
use crate::world::{self, DAY, HOUR, Say, Work, World};

#[test]
fn a_panic_in_one_orders_work_is_that_orders_attention_and_nothing_more() {
    for work in [Work::Inspect, Work::Stage, Work::Activate] {
        let mut world = World::new(world::config(&["bad", "good"]));
        world.say("bad", [issued(-1, 90)]);
        world.say("good", [issued(-1, 90)]);
        world.panicking = Some(("bad", work));
        world.pass(HOUR);
        assert_eq!(world.phase("bad"), "attention", "{work:?}");
        assert_eq!(world.phase("good"), "guarding", "{work:?}");
        let notes: Vec<_> = world.notes.iter().filter(|note| note.text.contains("internal error")).collect();
        assert_eq!(notes.len(), 1, "{work:?}: said once, not again and again: {notes:#?}");
        assert!(notes[0].text.contains("certcollectd resume bad"), "{work:?}: {}", notes[0].text);
        let calls = world.calls.len();
        world.pass(DAY);
        let of_bad = world.calls[calls..].iter().filter(|call| call.number == "bad").count();
        assert_eq!(of_bad, 0, "{work:?}: a person is asked first");
        assert!(world.seen("bad").is_none(), "{work:?}");
        // Mended: what was collected is installed.
        world.panicking = None;
        world.command(Command::Resume("bad".into()));
        world.pass(HOUR);
        assert_eq!(world.phase("bad"), "guarding", "{work:?}: {:#?}", world.notes);
        assert!(world.seen("bad").is_some(), "{work:?}");
    }
}

#[test]
fn a_panic_while_calling_is_that_orders_attention_and_nothing_more() {
    let mut world = World::new(world::config(&["bad", "good"]));
    world.say("bad", [Say::Fail(Failure::Internal("the call ended early".into())), issued(-1, 90)]);
    world.say("good", [issued(-1, 90)]);
    world.pass(HOUR);
    assert_eq!(world.phase("bad"), "attention");
    assert_eq!(world.phase("good"), "guarding");
    world.command(Command::Resume("bad".into()));
    world.pass(HOUR);
    assert_eq!(world.phase("bad"), "guarding");
}
