//! Push notifications: they wake an order, and nobody can make us hammer the vendor with them.

use std::time::Duration;

use certcollectd::engine::event::{Command, Effect, Event};

use super::{SECOND, effects, gaps};
use crate::world::{self, HOUR, World};

fn hint(number: &str) -> certcollectd::api::push::Hint {
    certcollectd::api::push::Hint {
        number: number.into(),
        certificate: Some("9".into()),
        why: "issued".into(),
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
    use certcollectd::api::Handle;
    for (handle, woken) in [
        (Handle::CertificateId("9".into()), true),
        (Handle::CertificateId("8".into()), false),
        (Handle::OrderNumber("9".into()), false),
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
fn after_a_crash_in_mid_call_a_hint_waits_and_the_operator_need_not() {
    for operator in [false, true] {
        let mut world = World::new(world::config(&["a", "b"]));
        let list = effects(&mut world, Event::Started);
        let Some(Effect::Save(changes)) = list.into_iter().next() else { panic!("no save") };
        world.save(&changes);
        world.restart();
        world.pass(120 * SECOND);
        assert_eq!(world.calls.len(), 0);
        world.handle(Event::Hinted { hint: hint("b") });
        world.handle(Event::Hinted { hint: hint("b") });
        let told: Vec<&str> =
            world.notes.iter().map(|note| &*note.text).filter(|text| text.contains("push")).collect();
        let [told] = told[..] else { panic!("{told:?}") };
        let (_, at) = told.split_once("next poll ").expect(told);
        let at: jiff::Timestamp = at.parse().unwrap();
        assert!(at.as_second() > world.now.unix() + 2 * 3600, "{told}");
        world.pass(HOUR);
        assert_eq!(world.calls.len(), 0);
        if operator {
            world.command(Command::Poll("a".into()));
            world.pass(60 * SECOND);
            let called: Vec<&str> = world.calls.iter().map(|call| &*call.number).collect();
            assert_eq!(called, ["a", "b"], "the answer to the operator's call ends the suspicion");
        } else {
            world.pass(2 * HOUR);
            assert!(world.calls.iter().any(|call| call.number == "b"), "the hint is not forgotten");
        }
    }
}
