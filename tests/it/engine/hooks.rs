//! Hooks are owed until they have worked, run together where they are the same, and tell of what comes to an end.

use std::time::Duration;

use certcollectd_core::config::{Action, HookEvent};
use certcollectd_core::engine::command::Command;
use certcollectd_core::engine::event::{Effect, Event};
use certcollectd_core::engine::hooks::run::HookResult;
use certcollectd_core::engine::id::Token;

use super::{SECOND, certificate, failed, issued, with_hook};
use crate::certs;
use crate::world::{self, DAY, HOUR, START, Say, World};

const MINUTE: Duration = Duration::from_secs(60);

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
fn identical_hooks_owed_in_one_sweep_run_once() {
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
    // Directory, cert, chain and fullchain, and once more the directory.
    let told = |order: &String| 5 * config.install_dir.join(order).as_os_str().len();
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
    world.pass(HOUR);
    let runs = |hook: &str| -> Vec<&Vec<String>> {
        world.ran.iter().filter(|ran| ran.hook == hook).map(|ran| &ran.orders).collect()
    };
    for orders in runs("reload") {
        assert!(orders.iter().map(told).sum::<usize>() <= 64 * 1024, "{} orders", orders.len());
    }
    assert!(runs("reload").len() <= 20, "{}", runs("reload").len());
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
    let told: Vec<&str> = world
        .notes
        .iter()
        .filter(|note| note.kind.as_str() == "hook-untold")
        .map(|note| &*note.text)
        .collect();
    assert!(told.len() == 1 && told[0].contains("CERTCOLLECTD_DIR"), "{told:?}");
}

#[test]
fn a_certificate_of_ten_thousand_names_starts_its_hook() {
    let names: Vec<String> = (0..10_000).map(|at| format!("host-{at}.example.com")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut world = World::new(with_hook("www"));
    world.say("www", [Say::Body(200, certs::issued(&certificate(&names, -1, 90)))]);
    world.pass(HOUR);
    assert_eq!((world.phase("www").as_str(), world.ran.len()), ("guarding", 1), "{:?}", world.errors());
    assert!(world.notes.iter().any(|note| note.text.contains("CERTCOLLECTD_DOMAINS is left empty")));
}

#[test]
fn a_single_order_does_not_wait_for_company() {
    let mut world = World::new(with_hook("www"));
    world.say("www", [issued(-1, 90)]);
    world.command(Command::Poll("www".into()));
    world.pass(Duration::from_secs(11));
    assert_eq!(world.ran[0].at, world.calls[0].at);
}

/// Orders that all owe the hook `reload`.
fn sharing(names: &[&str], gap: Duration) -> World {
    let mut config = world::config(names);
    config.calls.call_gap = gap;
    config.hooks.push(world::hook("reload"));
    for order in &mut config.orders {
        world::change(order, |settings| settings.hooks.push("reload".into()));
    }
    let mut world = World::new(config);
    let answer = issued(-1, 90);
    for name in names {
        world.say(name, [answer.clone()]);
    }
    world
}

#[test]
fn after_a_shared_run_failed_each_order_has_one_of_its_own() {
    let mut world = sharing(&["a", "b", "c"], Duration::ZERO);
    world.spoilt = vec!["b".into()];
    world.pass(MINUTE / 2);
    assert_eq!(world.ran.len(), 1);
    world.restart();
    world.pass(MINUTE);
    let orders: Vec<&[String]> = world.ran[1..].iter().map(|ran| &*ran.orders).collect();
    assert_eq!(orders, [["a"], ["b"], ["c"]]);
    let phases = ["a", "b", "c"].map(|name| world.phase(name));
    assert_eq!(phases, ["guarding", "deploying", "guarding"]);
    world.pass(10 * MINUTE);
    let of_b: Vec<u64> =
        world.ran[2..].windows(2).map(|two| two[1].at.since(two[0].at).as_secs() / 60).collect();
    assert!(world.ran[4..].iter().all(|ran| ran.orders == ["b"]), "{:?}", world.ran);
    assert_eq!(of_b[1..], [2, 4], "its own retries grow as ever");
    let failed: Vec<_> = world.notes.iter().filter(|note| note.kind.as_str() == "hook-failed").collect();
    assert!(failed[0].text.contains("for 3 orders"), "{}", failed[0].text);
    assert!(failed[0].text.contains("each in a run of its own"), "{}", failed[0].text);
}

#[test]
fn one_broken_order_among_a_thousand_holds_nobody_up() {
    let names: Vec<String> = (0..1000).map(|at| format!("o{at:03}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut world = sharing(&names, Duration::ZERO);
    world.spoilt = vec!["o500".into()];
    world.pass(2 * MINUTE);
    let owing: Vec<&&str> = names.iter().filter(|name| world.phase(name) != "guarding").collect();
    assert_eq!(owing, [&"o500"]);
}

#[test]
fn a_hook_that_is_itself_at_fault_is_not_run_for_each_order() {
    let names: Vec<String> = (0..100).map(|at| format!("o{at:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut world = sharing(&names, Duration::ZERO);
    world.spoilt = names.iter().map(ToString::to_string).collect();
    world.pass(DAY);
    let rounds = 5 + 24;
    assert!(world.ran.len() <= rounds * 10, "{} runs", world.ran.len());
    world.spoilt.clear();
    world.pass(HOUR);
    assert!(names.iter().all(|name| world.phase(name) == "guarding"));
}

#[test]
fn a_try_that_was_cut_off_is_no_failure_and_is_shared_again() {
    let mut world = sharing(&["a", "b"], Duration::ZERO);
    world.hooks_hang = true;
    world.pass(SECOND);
    world.hooks_hang = false;
    world.restart();
    world.pass(MINUTE);
    let orders: Vec<&[String]> = world.ran.iter().map(|ran| &*ran.orders).collect();
    assert_eq!(orders, [["a", "b"]; 2]);
    assert_eq!(world.phase("b"), "guarding");
}

#[test]
fn a_sweep_of_many_orders_reloads_a_few_times() {
    let names: Vec<String> = (0..40).map(|at| format!("o{at:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut world = sharing(&names, Duration::from_secs(10));
    world.pass(400 * SECOND);
    assert!(world.ran.len() <= 4, "{} runs", world.ran.len());
    assert!(names.iter().all(|name| world.phase(name) == "guarding"));
    // The last of them waits for nobody.
    let (last, ran) = (world.calls.last().unwrap().at, world.ran.last().unwrap().at);
    assert!(ran.since(last) < 6 * SECOND, "{:?}", ran.since(last));
    for pair in world.ran.windows(2) {
        assert!(pair[1].at.since(pair[0].at) <= 131 * SECOND);
    }
}

#[test]
fn the_merge_window_is_configured() {
    let runs = |window| {
        let mut config = (*sharing(&["a", "b", "c", "d"], 10 * SECOND).config).clone();
        config.calls.merge_window = window;
        let mut world = World::new(config);
        let answer = issued(-1, 90);
        for name in ["a", "b", "c", "d"] {
            world.say(name, [answer.clone()]);
        }
        world.pass(HOUR);
        world.ran.len()
    };
    assert_eq!([Duration::ZERO, 5 * SECOND, 15 * SECOND, 120 * SECOND].map(runs), [4, 4, 2, 1]);
}

#[test]
fn orders_that_are_asked_about_all_the_time_hold_nobody_up() {
    let mut config = (*sharing(&["a", "b", "c"], Duration::ZERO).config).clone();
    for order in &mut config.orders {
        world::change(order, |settings| {
            settings.cadence.interval = Duration::from_millis(300);
            settings.cadence.max_interval = Duration::from_millis(300);
        });
    }
    let mut world = World::new(config);
    world.say("a", [Say::text("errorCode=0"), issued(-1, 90)]);
    world.pass(7 * SECOND);
    assert_eq!(world.ran.len(), 1, "although b and c are pending and due again and again");
}

#[test]
fn an_operator_who_waits_for_one_order_does_not_wait_for_a_sweep() {
    let names: Vec<String> = (0..30).map(|at| format!("o{at:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut world = sharing(&names, Duration::from_secs(10));
    world.pass(SECOND);
    let token = world.command(Command::Poll("o20".into()));
    world.pass(16 * SECOND);
    assert!(world.reply(token).ok, "{}", world.reply(token).text);
    assert_eq!(world.phase("o20"), "guarding");
}

#[test]
fn orders_that_do_not_share_are_not_held_up() {
    let mut config = (*sharing(&["a", "b", "c"], 10 * SECOND).config).clone();
    let mut alone = (*config.hooks[0]).clone();
    alone.merge = false;
    config.hooks[0] = alone.into();
    let mut world = World::new(config);
    let answer = issued(-1, 90);
    for name in ["a", "b", "c"] {
        world.say(name, [answer.clone()]);
    }
    world.pass(MINUTE);
    let ran: Vec<_> = world.ran.iter().map(|ran| (ran.at, ran.orders.len())).collect();
    let calls: Vec<_> = world.calls.iter().map(|call| (call.at, 1)).collect();
    assert_eq!(ran, calls);
}

#[test]
fn a_failed_hook_of_an_order_without_files_tells_of_none() {
    let mut config = with_hook("www");
    let mut hook = (*world::hook("page")).clone();
    hook.on = vec![HookEvent::Failed];
    config.hooks.push(hook.into());
    world::change(&mut config.orders[0], |settings| settings.hooks.push("page".into()));
    let told = |say: Say| {
        let mut world = World::new(config.clone());
        for hook in ["page", "reload"] {
            world.hook_results.insert(hook.into(), vec![failed("exit code 1"), HookResult::Done]);
        }
        world.say("www", [say]);
        world.pass(30 * SECOND);
        let note = world.notes.iter().find(|note| note.kind.as_str() == "hook-failed");
        note.expect("a hook that failed").text.clone()
    };
    assert_eq!(told(Say::text("-20")), "hook page (failed): failed: exit code 1; next try in 60 s");
    assert!(told(issued(-1, 90)).contains("; the files stay installed, next try in 60 s"));
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

/// What the engine wants done for an event, not done.
fn wanted(world: &mut World, event: Event) -> Vec<Effect> {
    let effects = world.engine.handle(event, world.now);
    effects.into_iter().filter(|effect| !matches!(effect, Effect::Save(_) | Effect::Report(_))).collect()
}

#[test]
fn a_rehearsal_waits_for_what_is_under_way() {
    let mut world = World::new(with_hook("www"));
    world.say("www", [issued(-1, 90)]);
    world.pass(4 * HOUR);
    let command = |token, command| Event::Commanded { token, command };
    let mut called = wanted(&mut world, command(Token(98), Command::Poll("www".into())));
    assert!(matches!(called[..], [Effect::Call(_)]), "{called:?}");
    let rehearsed = wanted(&mut world, command(Token(99), Command::Rehearse("www".into())));
    assert!(rehearsed.is_empty(), "{rehearsed:?}");
    let answer = world.one(called.remove(0)).unwrap();
    let mut next = wanted(&mut world, answer);
    let at = next.iter().position(|effect| matches!(effect, Effect::RunHook(run) if run.rehearsal));
    let run = next.remove(at.unwrap_or_else(|| panic!("{next:?}")));
    assert!(!next.iter().any(|effect| matches!(effect, Effect::Inspect(_) | Effect::Install(_))), "{next:?}");
    let done = world.one(run).unwrap();
    world.handle(done);
    assert_eq!(world.reply(Token(99)).text, "hook reload: done");
    assert_eq!(world.phase("www"), "guarding");
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
