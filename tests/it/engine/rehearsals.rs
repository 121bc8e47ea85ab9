//! Hooks that are rehearsed by the calendar.

use std::collections::BTreeSet;
use std::time::Duration;

use certcollectd::status::{Screen, Status, Verdict, verdict};
use certcollectd_core::config::{Config, Freeze, HookEvent};
use certcollectd_core::engine::command::Command;
use certcollectd_core::engine::hooks::run::HookResult;
use certcollectd_core::engine::time::{Time, rfc3339};

use super::{failed, issued};
use crate::world::{self, DAY, HOUR, Say, World};

const MONTH: Duration = DAY.saturating_mul(30);

fn rehearsing(names: &[&str]) -> Config {
    let mut config = world::config(names);
    let mut tell = (*world::hook("tell")).clone();
    tell.on = vec![HookEvent::Failed, HookEvent::Recovered];
    config.hooks = vec![world::hook("reload"), tell.into()];
    config.rehearsal = Some(MONTH);
    for order in &mut config.orders {
        world::change(order, |settings| settings.hooks.extend(["reload".into(), "tell".into()]));
    }
    config
}

fn rehearsals(world: &World) -> Vec<(Time, String)> {
    let all = world.ran.iter().filter(|ran| ran.rehearsal);
    all.map(|ran| (ran.at, format!("{} {}", ran.hook, ran.orders.join(" ")))).collect()
}

fn told(world: &World) -> Vec<(HookEvent, String)> {
    let told = world.ran.iter().filter(|ran| ran.hook == "tell");
    told.map(|ran| (ran.event, ran.told[0].0.clone())).collect()
}

#[test]
fn the_hooks_of_each_order_are_rehearsed_once_a_period_and_not_all_at_once() {
    let names: Vec<String> = (0..20).map(|at| format!("o{at}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut world = World::new(rehearsing(&names));
    for name in &names {
        world.say(name, [issued(-1, 400)]);
    }
    for day in 0..60 {
        if day % 7 == 0 {
            world.restart();
        }
        world.pass(DAY);
    }
    let ran = rehearsals(&world);
    assert!(ran.iter().all(|(_, what)| what.starts_with("reload ")), "installed only: {ran:?}");
    for name in &names {
        let times: Vec<Time> =
            ran.iter().filter(|(_, what)| *what == format!("reload {name}")).map(|(at, _)| *at).collect();
        assert!(matches!(times[..], [_, _] | [_, _, _]), "{name}: {times:?}");
        for pair in times.windows(2) {
            let gap = pair[1].since(pair[0]);
            assert!(gap >= MONTH && gap < MONTH + HOUR, "{gap:?}");
        }
    }
    let days: BTreeSet<i64> = ran.iter().map(|(at, _)| at.0 / 86_400_000).collect();
    assert!(days.len() >= 12, "spread over {} days", days.len());
}

#[test]
fn those_that_are_due_at_once_follow_each_other() {
    let names: Vec<String> = (0..20).map(|at| format!("o{at}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut world = World::new(rehearsing(&names));
    for name in &names {
        world.say(name, [issued(-1, 400)]);
    }
    world.pass(HOUR);
    // All of them are due then.
    world.reload(Config { rehearsal: Some(HOUR), ..(*world.config).clone() });
    world.hooks_hang = true;
    world.pass(HOUR + HOUR / 2);
    assert_eq!(rehearsals(&world).len(), 1, "a hook never runs twice at once");
    world.end_hooks();
    let ran: BTreeSet<String> = rehearsals(&world).into_iter().map(|(_, what)| what).collect();
    assert_eq!(ran.len(), names.len());
}

#[test]
fn a_failed_one_is_told_like_a_failed_hook_and_is_no_outage() {
    let mut world = World::new(rehearsing(&["www"]));
    world.say("www", [issued(-1, 400)]);
    world.pass(HOUR);
    let seen = world.seen("www");
    world.hook_results.insert("reload".into(), vec![failed("exit code 1")]);
    world.pass(MONTH);
    let expected = (HookEvent::Failed, "www: the rehearsal of its hooks failed".to_owned());
    assert_eq!(told(&world)[0], expected);
    assert_eq!(
        world.ran.iter().find(|ran| ran.hook == "tell").unwrap().told[0].1,
        "certcollectd rehearse www"
    );
    let status = Status::new(&world.config, &world.load(), world.now);
    let (worst, line) = verdict(&status);
    assert_eq!(worst, Verdict::Warning, "{line}");
    assert!(line.contains("the rehearsal of its hooks failed: hook reload: failed: exit code 1"), "{line}");
    assert!(
        status.details(&Screen::default()).contains("\nrehearsal     failed at "),
        "{}",
        status.details(&Screen::default())
    );
    assert_eq!(status.orders[0].rehearsal.as_ref().unwrap().ok, Some(false));
    assert_eq!((world.phase("www"), world.seen("www")), ("guarding".into(), seen));
    assert_eq!(world.engine.summary().attention, 0);
    // The operator mends it, and need not wait for the calendar.
    world.hook_results.insert("reload".into(), vec![HookResult::Done]);
    let token = world.command(Command::Rehearse("www".into()));
    world.pass(HOUR);
    assert!(world.reply(token).ok, "{}", world.reply(token).text);
    assert_eq!(told(&world).last().unwrap().0, HookEvent::Recovered);
    assert_eq!(verdict(&Status::new(&world.config, &world.load(), world.now)).0, Verdict::Ok);
}

#[test]
fn it_waits_for_the_end_of_a_freeze() {
    let mut config = rehearsing(&["www"]);
    config.freezes.push(Freeze::read("2026-11-25/2027-01-10").unwrap());
    let mut world = World::new(config);
    world.say("www", [issued(-1, 400)]);
    world.pass(60 * DAY);
    let ran: Vec<String> =
        rehearsals(&world).iter().map(|(at, _)| rfc3339(world.now.wall_of(*at) / 1000)).collect();
    assert_eq!(ran.len(), 1, "{ran:?}");
    assert!(ran[0].starts_with("2027-01-11T00:00"), "{ran:?}");
}

#[test]
fn it_does_not_run_for_what_is_not_in_place_and_ends_with_the_setting() {
    let mut config = rehearsing(&["www", "new"]);
    let mut world = World::new(config.clone());
    world.say("www", [issued(-1, 400)]);
    world.say("new", [Say::text("errorCode=0")]);
    world.pass(MONTH);
    let ran = rehearsals(&world);
    assert!(matches!(&ran[..], [(_, what)] if what == "reload www"), "{ran:?}");
    config.rehearsal = None;
    world.reload(config.clone());
    world.pass(2 * MONTH);
    assert_eq!(rehearsals(&world).len(), 1);
    // Taken up again, a shorter period counts at once.
    config.rehearsal = Some(DAY);
    world.reload(config);
    world.pass(3 * DAY);
    assert!((3..=4).contains(&rehearsals(&world).len()), "{:?}", rehearsals(&world));
}
