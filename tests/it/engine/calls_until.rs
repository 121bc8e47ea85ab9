//! Leave to call, which another host may have from a moment on.

use std::time::Duration;

use certcollectd_core::engine::event::Event;
use certcollectd_core::engine::time::Time;

use super::SECOND;
use crate::world::{self, HOUR, World};

#[test]
fn no_call_begins_after_the_last_moment() {
    let mut world = World::new(world::config(&["www", "mail"]));
    world.engine.call_only_until(world.now.time);
    world.pass(24 * HOUR);
    assert_eq!(world.calls.len(), 1, "the gap ends after the last moment");
    let last = world.now.time + 4 * HOUR;
    world.handle(Event::CallsUntil { last });
    world.pass(24 * HOUR);
    let begun: Vec<Time> = world.calls.iter().map(|call| call.at).collect();
    assert!(begun.len() > 3, "{begun:?}");
    assert!(begun.iter().all(|at| *at <= last), "{begun:?}");
}

/// What is due and may not be called is no reason to wake up.
#[test]
fn who_may_not_call_sleeps() {
    let mut world = World::new(world::config(&["www"]));
    world.engine.call_only_until(Time::MIN);
    world.pass(HOUR);
    let next = world.engine.next_wake();
    assert!(next.is_none_or(|next| next > world.now.time + SECOND), "{next:?} at {:?}", world.now.time);
    world.handle(Event::CallsUntil { last: Time::MAX });
    world.pass(Duration::from_secs(1));
    assert_eq!(world.calls.len(), 1);
}
