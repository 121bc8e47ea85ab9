//! Leave to call, which another host may have from a moment on.

use std::time::Duration;

use certcollectd_core::cert::Certificate;
use certcollectd_core::engine::event::Event;
use certcollectd_core::engine::time::Time;

use super::{SECOND, certificate};
use crate::certs;
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

/// An order that nothing is published of is due for ever, and brings no company.
#[test]
fn a_hook_does_not_wait_for_what_may_not_be_called() {
    let mut config = world::config(&["www", "mail"]);
    config.hooks.push(world::hook("reload"));
    for order in &mut config.orders {
        world::change(order, |settings| settings.hooks.push("reload".into()));
    }
    let mut world = World::new(config);
    world.engine.call_only_until(Time::MIN);
    let issuer = certs::ca().intermediate.der().to_vec();
    let bundle = [certificate(&["www.example.com"], -1, 90), issuer];
    let bundle = bundle.map(|der| Certificate::from_der(&der).unwrap()).to_vec();
    world.handle(Event::Published { order: "www".into(), generation: 1, bundle });
    world.pass(SECOND);
    assert_eq!(world.ran.len(), 1, "{:?}", world.errors());
    assert!(world.calls.is_empty());
}
