//! Hooks are owed until they have worked, run together where they are the same, and tell of what comes to an end.

use std::time::Duration;

use certcollectd::config::{Action, HookEvent};
use certcollectd::engine::event::{Command, HookResult};

use super::{failed, issued, with_hook};
use crate::world::{self, DAY, HOUR, START, World};

#[test]
fn a_hook_is_owed_until_it_has_worked() {
    let mut world = World::new(with_hook("www"));
    world.say("www", [issued(-1, 90)]);
    world.hook_results.insert(
        "reload".into(),
        vec![failed("exit code 1"), failed("exit code 1"), failed("exit code 1"), HookResult::Done],
    );
    world.pass(Duration::from_secs(30));
    assert_eq!(world.phase("www"), "deploying");
    assert_eq!(world.ran.len(), 1);
    world.restart();
    world.pass(HOUR);
    let times: Vec<u64> =
        world.ran.windows(2).map(|pair| pair[1].at.since(pair[0].at).as_secs() / 60).collect();
    assert_eq!(times, [1, 2, 4]);
    assert_eq!(world.phase("www"), "guarding");
    assert_eq!(world.errors().len(), 1, "alarm after three: {:?}", world.errors());
    world.pass(3 * DAY);
    assert_eq!(world.ran.len(), 4);
}

#[test]
fn a_hook_that_is_not_meant_counts_as_done() {
    let mut world = World::new(with_hook("www"));
    world.say("www", [issued(-1, 90)]);
    world.hook_results.insert("reload".into(), vec![HookResult::NotForMe]);
    world.pass(HOUR);
    assert_eq!((world.phase("www").as_str(), world.ran.len()), ("guarding", 1));
}

#[test]
fn identical_hooks_owed_within_five_seconds_run_once() {
    let mut config = world::config(&["a", "b", "c"]);
    config.calls.call_gap = Duration::ZERO;
    config.hooks.push(world::hook("reload"));
    for order in &mut config.orders {
        world::change(order, |settings| settings.hooks.push("reload".into()));
    }
    let mut world = World::new(config);
    for name in ["a", "b", "c"] {
        world.say(name, [issued(-1, 90)]);
    }
    world.pass(DAY);
    assert_eq!(world.ran.len(), 1, "{:?}", world.ran);
    assert_eq!(world.ran[0].orders, ["a", "b", "c"]);
    assert!(["a", "b", "c"].iter().all(|name| world.phase(name) == "guarding"));
}

#[test]
fn no_more_orders_share_a_run_than_a_program_can_be_told_of() {
    let names: Vec<String> = (0..100).map(|at| format!("customer-{at:03}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut config = world::config(&names);
    config.calls.call_gap = Duration::ZERO;
    config.install_dir = format!("/{}", "long/".repeat(400)).into();
    let told = |order: &String| config.install_dir.join(order).join("fullchain.pem").as_os_str().len() + 1;
    config.hooks.push(world::hook("reload"));
    let mut call = (*world::hook("call")).clone();
    call.action = Action::Socket("/run/reload.sock".into());
    config.hooks.push(call.into());
    for order in &mut config.orders {
        world::change(order, |settings| settings.hooks.extend(["call".into(), "reload".into()]));
    }
    let mut world = World::new(config.clone());
    let answer = issued(-1, 90);
    for name in &names {
        world.say(name, [answer.clone()]);
    }
    world.hook_results.insert("reload".into(), vec![failed("exit code 1"), HookResult::Done]);
    world.pass(HOUR);
    let runs = |hook: &str| -> Vec<&Vec<String>> {
        world.ran.iter().filter(|ran| ran.hook == hook).map(|ran| &ran.orders).collect()
    };
    for orders in runs("reload") {
        assert!(orders.iter().map(told).sum::<usize>() <= 64 * 1024, "{} orders", orders.len());
    }
    // One run failed and was made once more.
    assert_eq!(runs("reload").len(), 5);
    // Nobody tells a socket anything.
    assert!(runs("call").iter().any(|orders| orders.len() > 50), "{:?}", runs("call").len());
    assert!(names.iter().all(|name| world.phase(name) == "guarding"));
}

#[test]
fn an_order_that_one_environment_cannot_hold_runs_alone() {
    let mut config = with_hook("www");
    config.install_dir = format!("/{}", "long/".repeat(20_000)).into();
    let mut world = World::new(config);
    world.say("www", [issued(-1, 90)]);
    world.pass(HOUR);
    assert_eq!((world.phase("www").as_str(), world.ran.len()), ("guarding", 1));
}

#[test]
fn a_single_order_does_not_wait_for_company() {
    let mut world = World::new(with_hook("www"));
    world.say("www", [issued(-1, 90)]);
    world.command(Command::Poll("www".into()));
    world.pass(Duration::from_secs(11));
    assert_eq!(world.ran[0].at, world.calls[0].at);
}

#[test]
fn expiry_is_announced_three_times() {
    let mut config = with_hook("www");
    let mut hook = (*world::hook("page")).clone();
    hook.on = vec![HookEvent::Expiring];
    config.hooks.push(hook.into());
    world::change(&mut config.orders[0], |settings| settings.hooks.push("page".into()));
    let mut world = World::new(config);
    world.say("www", [issued(-1, 47)]);
    world.pass(34 * DAY);
    assert_eq!(world.ran.iter().filter(|ran| ran.hook == "page").count(), 0);
    world.pass(14 * DAY);
    let pages: Vec<i64> = world
        .ran
        .iter()
        .filter(|ran| ran.hook == "page")
        .map(|ran| (world.now.wall_of(ran.at) / 1000 - START) / 86_400)
        .collect();
    assert_eq!(pages, [34, 43, 46]);
    assert_eq!(
        world.calls.iter().filter(|call| call.at > world.now.time - 10 * DAY).count() / 10,
        7,
        "near its end it is asked about at the interval"
    );
}

#[test]
fn rehearsal_runs_the_hooks_and_owes_nothing() {
    let mut world = World::new(with_hook("www"));
    let token = world.command(Command::Rehearse("www".into()));
    assert!(!world.reply(token).ok, "nothing is installed yet");
    world.say("www", [issued(-1, 90)]);
    world.command(Command::Poll("www".into()));
    world.pass(HOUR);
    world.hook_results.insert("reload".into(), vec![failed("exit code 3")]);
    let token = world.command(Command::Rehearse("www".into()));
    assert_eq!(world.reply(token).text, "hook reload: failed: exit code 3");
    assert!(world.ran.last().unwrap().rehearsal);
    world.pass(DAY);
    assert_eq!(world.ran.len(), 2, "a failed rehearsal is not repeated");
    assert_eq!(world.phase("www"), "guarding");
}
