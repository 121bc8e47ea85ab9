//! Push notifications: they wake an order, and nobody can make us hammer the vendor with them.

use std::time::Duration;

use certcollectd::status::{Status, Verdict, verdict};
use certcollectd_core::engine::command::Command;
use certcollectd_core::engine::event::{Effect, Event};

use super::{SECOND, effects, gaps};
use crate::world::{self, HOUR, Say, World};

fn hint(number: &str) -> certcollectd_core::api::push::Hint {
    certcollectd_core::api::push::Hint {
        numbers: vec![number.into()],
        certificates: vec!["9".into()],
        why: "issued".into(),
        ..Default::default()
    }
}

#[test]
fn a_hint_wakes_an_order_but_not_again_and_again() {
    let mut world = World::new(world::config(&["www"]));
    world.pass(HOUR);
    for _ in 0..100 {
        world.handle(Event::Hinted { hint: hint("www") });
        world.handle(Event::Hinted { hint: hint("other") });
        world.pass(Duration::from_secs(20));
    }
    assert!((2..=5).contains(&(world.calls.len() - 1)), "{}", world.calls.len());
}

/// Whoever sends hints that bring nothing, all day, over restarts, gains next to nothing.
#[test]
fn hints_that_bring_nothing_wait_longer_each_time() {
    let mut world = World::new(world::config(&["www"]));
    let flood = |world: &mut World, duration: Duration| {
        let end = world.now.time + duration;
        while world.now.time < end {
            world.handle(Event::Hinted { hint: hint("www") });
            world.pass(Duration::from_secs(20));
        }
    };
    world.pass(HOUR);
    flood(&mut world, 12 * HOUR);
    world.restart();
    flood(&mut world, 12 * HOUR);
    let gaps = gaps(&world, "www");
    assert!(gaps.len() <= 14, "{gaps:?}");
    assert!(gaps[0] >= HOUR);
    for (gap, rest) in gaps[1..].iter().zip([600, 1200, 2400, 4800, 9600, 10_800, 10_800]) {
        assert!(*gap >= Duration::from_secs(rest), "{gaps:?}");
    }
    // One that brings news ends that.
    world.say("www", [super::issued(-1, 90)]);
    let end = world.now.time + 4 * HOUR;
    while world.phase("www") != "guarding" {
        assert!(world.now.time < end, "the hints are followed in the end");
        flood(&mut world, 20 * SECOND);
    }
    let before = world.calls.len();
    flood(&mut world, Duration::from_secs(1300));
    assert!(world.calls.len() > before, "ten minutes again");
}

/// What is told of how things stand is built from the state file.
#[test]
fn the_poll_that_follows_a_hint_is_shown_and_outlasts_a_restart() {
    let mut world = World::new(world::config(&["www"]));
    world.pass(120 * SECOND);
    let next = |world: &World| {
        let status = Status::new(&world.config, &world.load(), world.now);
        let at: jiff::Timestamp = status.orders[0].next_poll.as_ref().unwrap().parse().unwrap();
        at.as_second() - world.now.unix()
    };
    assert!(next(&world) > 3600);
    world.handle(Event::Hinted { hint: hint("www") });
    world.pass(2 * SECOND);
    assert!((400..600).contains(&next(&world)), "{}", next(&world));
    world.restart();
    world.pass(600 * SECOND);
    assert_eq!(world.calls.len(), 2);
    // Long after the last poll it is now.
    world.pass(2 * HOUR);
    world.engine.attend_to(None);
    world.handle(Event::Hinted { hint: hint("www") });
    world.pass(2 * SECOND);
    assert_eq!((next(&world), world.calls.len()), (0, 2), "a process that is here for something else");
    assert_eq!(verdict(&Status::new(&world.config, &world.load(), world.now)).0, Verdict::Ok);
    world.reboot(HOUR);
    world.pass(30 * SECOND);
    assert_eq!(world.calls.len(), 3);
}

#[test]
fn every_notification_is_kept_and_a_flood_leaves_room_for_the_rest() {
    let mut world = World::new(world::config(&["www", "gone"]));
    world.say("gone", [Say::text("-20\nRejected")]);
    world.pass(120 * SECOND);
    let kept = |world: &World, order: &str| -> Vec<String> {
        let notes = world.rows.history.iter().filter(|note| note.kind.as_str() == "push");
        notes.filter(|note| note.order.as_deref() == Some(order)).map(|note| note.text.clone()).collect()
    };
    let push = |form: &str| certcollectd_core::api::push::parse(form.as_bytes(), b"").unwrap();
    for order in ["www", "gone"] {
        for said in ["statusCode=12", "statusCode=3&statusDesc=CAA", "statusCode=3&statusDesc=CAA"] {
            world.handle(Event::Hinted { hint: push(&format!("orderNumber={order}&{said}")) });
        }
        world.pass(2 * SECOND);
        let kept = kept(&world, order);
        assert_eq!(kept.len(), 2, "{kept:?}");
        assert!(kept[0].contains("awaiting brand validation"), "{kept:?}");
        assert!(kept[1].contains("failed before signing (status 3), \"CAA\""), "{kept:?}");
        let follows = if order == "www" { "next poll 2026-" } else { "no further poll" };
        assert!(kept.iter().all(|text| text.contains(follows)), "{kept:?}");
    }
    for at in 0..2000 {
        world.handle(Event::Hinted { hint: push(&format!("orderNumber=gone&statusDesc={at}")) });
        world.pass(2 * SECOND);
    }
    assert!(kept(&world, "gone").len() <= 2 + 2 * 9, "{}", kept(&world, "gone").len());
}

/// The vendor's word can come right after a poll that was answered a moment before it came true.
#[test]
fn a_hint_soon_after_a_poll_waits_until_the_order_has_rested() {
    for in_mid_call in [false, true] {
        let mut world = World::new(world::config(&["www"]));
        if in_mid_call {
            let mut list = effects(&mut world, Event::Started);
            let Some(call @ Effect::Call(_)) = list.pop() else { panic!("no call") };
            world.handle(Event::Hinted { hint: hint("www") });
            let answered = world.one(call).expect("an answer");
            world.handle(answered);
        } else {
            world.pass(120 * SECOND);
            world.handle(Event::Hinted { hint: hint("www") });
        }
        world.pass(HOUR);
        let gaps = gaps(&world, "www");
        let [gap] = gaps[..] else { panic!("{gaps:?}") };
        assert!(gap >= Duration::from_secs(600) && gap < Duration::from_secs(660), "{gap:?}");
    }
}

#[test]
fn a_hint_wakes_an_order_that_is_known_by_its_certificate() {
    use certcollectd_core::api::OrderRef;
    for (handle, woken) in [
        (OrderRef::CertificateId("9".into()), true),
        (OrderRef::CertificateId("8".into()), false),
        (OrderRef::OrderNumber("9".into()), false),
    ] {
        let mut config = world::config(&["www"]);
        config.orders[0].handle = handle;
        let mut world = World::new(config);
        world.pass(HOUR);
        let before = world.calls.len();
        world.handle(Event::Hinted { hint: hint("123") });
        world.pass(Duration::from_secs(20));
        assert_eq!(world.calls.len() > before, woken);
    }
}

/// A hint can come from anybody, and the lost answer may have been a refused login.
#[test]
fn a_hint_waits_while_the_account_rests() {
    let mut world = World::new(world::config(&["a", "b"]));
    world.pass(HOUR);
    world.say("a", [Say::Fail(world::silence()), Say::text("errorCode=0")]);
    world.say("b", [Say::Fail(world::silence()), Say::text("errorCode=0")]);
    world.command(Command::Poll("a".into()));
    world.command(Command::Poll("b".into()));
    world.pass(60 * SECOND);
    assert_eq!(world.calls.len(), 4, "two calls in a row had no answer");
    let rested = world.now.time;
    world.handle(Event::Hinted { hint: hint("b") });
    let told = world.notes.iter().map(|note| &*note.text).find(|text| text.contains("push")).expect("a note");
    let (_, at) = told.split_once("next poll ").expect(told);
    let at: jiff::Timestamp = at.parse().unwrap();
    assert!(at.as_second() > world.now.unix() + 2 * 3600, "{told}");
    world.pass(4 * HOUR);
    let next = &world.calls[4];
    assert!(next.at.since(rested) > 2 * HOUR, "{next:?}");
    assert!(world.calls[4..].iter().any(|call| call.number == "b"), "the hint is not forgotten");
}
