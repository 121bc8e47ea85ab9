//! The engine, told one thing after the other: bytes in, effects out.

/// The account gate.
mod account;
mod alarms;
/// Leave to call.
mod calls_until;
/// From a verified bundle to files in place.
mod chain;
/// Names that a re-issue left out.
mod coverage;
mod deploy;
/// Orders that leave the configuration.
mod forget;
mod hints;
/// Hooks that are owed.
mod hooks;
/// A mistake of ours in one order's work.
mod panics;
mod parameters;
/// Whether what is installed is served.
mod probes;
/// What a fleet's collectors publish.
mod published;
/// Another configuration in the middle of work.
mod rehearsals;
mod reissue;
mod reload;
mod resume;
mod revocation;
/// Back to the generation before.
mod rollback;
/// A state that cannot be saved.
mod saving;
/// Orders that wait for a person.
mod stopped;
/// Files that other programs serve become the installed generation.
mod takeover;
/// Calls without an answer.
mod unheard;
/// Keys that cannot be read.
mod unread;
/// What waits for its time of the day.
mod windows;

use std::time::Duration;

use certcollectd_core::api::Failure;
use certcollectd_core::engine::Engine;
use certcollectd_core::engine::command::Command;
use certcollectd_core::engine::event::{Effect, Event};
use certcollectd_core::engine::hooks::run::HookResult;
use certcollectd_core::engine::loaded::{Loaded, Remembered};
use certcollectd_core::engine::time::{Now, Time};
use rcgen::KeyPair;

use crate::certs;
use crate::world::{self, DAY, HOUR, START, Say, World};

const SECOND: Duration = Duration::from_secs(1);

fn certificate(names: &[&str], from_days: i64, days: i64) -> Vec<u8> {
    let from = START + from_days * 86_400;
    certs::leaf(&KeyPair::generate().unwrap(), names, from, from + days * 86_400)
}

fn issued(from_days: i64, days: i64) -> Say {
    Say::Body(200, certs::issued(&certificate(&["www.example.com"], from_days, days)))
}

fn failed(why: &str) -> HookResult {
    HookResult::failed(why)
}

fn with_hook(name: &str) -> certcollectd_core::config::Config {
    let mut config = world::config(&[name]);
    config.hooks.push(world::hook("reload"));
    world::change(&mut config.orders[0], |settings| settings.hooks.push("reload".into()));
    config
}

fn gaps(world: &World, number: &str) -> Vec<Duration> {
    let times: Vec<Time> =
        world.calls.iter().filter(|call| call.number == number).map(|call| call.at).collect();
    times.windows(2).map(|pair| pair[1].since(pair[0])).collect()
}

#[test]
fn pending_twice_then_issued_is_installed_reloaded_and_guarded() {
    let mut world = World::new(with_hook("www"));
    world.say("www", [Say::text("errorCode=0"), Say::text("0\n"), issued(-1, 90)]);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.calls.len(), 1, "a new order is asked about at once");
    assert_eq!(world.phase("www"), "waiting");
    world.pass(10 * HOUR);
    assert_eq!(world.phase("www"), "guarding", "{:#?}", world.notes);
    assert_eq!(world.calls.len(), 3);
    assert_eq!(world.ran.len(), 1);
    assert!(world.seen("www").is_some());
    assert!(
        gaps(&world, "www").iter().all(|gap| *gap >= 3 * HOUR && *gap <= 4 * HOUR),
        "{:?}",
        gaps(&world, "www")
    );
    // The guard asks once a day and finds nothing new: no second installation, no second hook.
    world.pass(10 * DAY);
    assert!((9..=10).contains(&(world.calls.len() - 3)), "{}", world.calls.len());
    assert_eq!(world.ran.len(), 1);
    assert_eq!(world.disks["www"].generations.len(), 1);
    assert!(!world.rows.bundles.contains_key("www"), "the bundle is kept only until it is installed");
}

#[test]
fn the_due_time_is_durable_before_the_call() {
    let mut again = World::new(world::config(&["www"]));
    again.pass(Duration::ZERO);
    assert_eq!(again.calls.len(), 1);
    again.calls.clear();
    let before = again.now;
    for _ in 0..50 {
        again.restart();
        again.pass(Duration::from_secs(30));
    }
    assert!(again.calls.is_empty(), "fifty restarts in {:?} ask nothing", again.now.time.since(before.time));
}

/// The list of effects that an event leads to, as the engine gives it.
fn effects(world: &mut World, event: Event) -> Vec<Effect> {
    world.engine.handle(event, world.now)
}

#[test]
fn a_save_with_the_next_due_time_stands_before_the_call() {
    let mut world = World::new(world::config(&["www"]));
    let list = effects(&mut world, Event::Started);
    let [Effect::Save(changes), Effect::Call(_)] = &list[..] else { panic!("{list:?}") };
    let record = &changes.orders[0].1;
    assert!(record.due.unwrap() >= world.now.time + 3 * HOUR);
    assert!(record.polled.unwrap() >= world.now.time);
    let account = &changes.accounts[0].1;
    assert!(account.calling);
}

/// One order whose interval is not spread.
fn to_the_millisecond() -> certcollectd_core::config::Config {
    let mut config = world::config(&["www"]);
    world::change(&mut config.orders[0], |settings| settings.cadence.spread_permille = 0);
    config
}

/// An engine that goes on from what a save has written.
fn restarted(world: &World, list: &[Effect], after: Duration) -> (Engine, Now) {
    let Effect::Save(changes) = &list[0] else { panic!("{list:?}") };
    let now = Now { time: world.now.time + after, wall: world.now.wall + after.as_millis() as i64 };
    let orders = changes.orders.iter().map(|(name, record)| {
        let remembered = Remembered { record: record.clone(), bundle: None };
        (name.clone(), remembered)
    });
    let loaded = Loaded {
        orders: orders.collect(),
        accounts: changes.accounts.iter().cloned().collect(),
        ..Loaded::default()
    };
    (Engine::new(world.engine.config().clone(), loaded, now), now)
}

#[test]
fn a_call_that_left_late_before_a_crash_keeps_the_interval() {
    let mut world = World::new(to_the_millisecond());
    let list = effects(&mut world, Event::Started);
    // Connecting took most of the time limit; the vendor saw the call in the moment of the crash.
    let late = Duration::from_secs(50);
    let (mut engine, now) = restarted(&world, &list, late);
    let at_start = engine.handle(Event::Started, now);
    assert!(!at_start.iter().any(|effect| matches!(effect, Effect::Call(_))), "{at_start:?}");
    let due = engine.records().orders["www"].record.due.unwrap();
    assert!(due >= now.time + 3 * HOUR, "{:?} after the restart", due.since(now.time));
    // The next start, before anything was called, does not know of that call any more, and needs not.
    let saved = engine.handle(Event::Woke, Now { time: now.time + 2 * SECOND, wall: now.wall + 2000 });
    let (engine, _) = restarted(&world, &saved, late + 3 * SECOND);
    assert!(engine.records().orders["www"].record.due.unwrap() >= now.time + 3 * HOUR);
}

#[test]
fn the_interval_counts_from_the_end_of_the_millisecond() {
    let mut world = World::new(to_the_millisecond());
    effects(&mut world, Event::Started);
    let outcome = Err(world::silence());
    effects(&mut world, Event::Answered { account: "main".into(), outcome, credential: None });
    let due = world.engine.records().orders["www"].record.due.unwrap();
    assert!(due > world.now.time + 3 * HOUR, "the clock may have shown this for most of a millisecond");
}

#[test]
fn a_clock_set_right_after_a_reboot_makes_no_poll_early_at_the_next_start() {
    let mut world = World::new(world::config(&["a"]));
    world.pass(HOUR);
    assert_eq!(world.calls.len(), 1);
    world.reboot(Duration::from_secs(60));
    // The clock was wrong all the time, by ten years.
    world.now.wall += 315_360_000_000;
    world.handle(Event::Woke);
    world.pass(HOUR / 6);
    world.restart();
    world.pass(HOUR);
    assert_eq!(world.calls.len(), 1, "{:?}", world.calls);
}

#[test]
fn unreachable_leaves_the_order_due_and_waits_longer_each_time() {
    let mut world = World::new(world::config(&["a", "b"]));
    let fails = std::iter::repeat_n(Say::Fail(Failure::Connect("no route to host".into())), 4);
    world.say("a", fails.chain([Say::text("errorCode=0")]));
    world.pass(HOUR);
    let times: Vec<u64> = world.calls.windows(2).map(|pair| pair[1].at.since(pair[0].at).as_secs()).collect();
    assert_eq!(times[..4], [60, 120, 240, 480], "the host is asked for once, not once for each order");
    assert_eq!(world.calls.last().unwrap().number, "b");
    assert_eq!(world.record("a")["heard"]["code"], 0);
}

#[test]
fn hostile_answers_install_nothing_and_stop_nothing() {
    let pages: [Say; 12] = [
        Say::text(""),
        Say::text("<html><body>2</body></html>"),
        Say::text("2"),
        Say::text("errorCode=2&certificate=AAAA"),
        Say::text("errorCode=2&errorCode=0"),
        Say::Body(500, b"2".to_vec()),
        Say::Body(302, b"".to_vec()),
        Say::Body(200, vec![0xff; 1000]),
        Say::Fail(world::silence()),
        Say::Fail(Failure::TooLarge(1 << 20)),
        Say::Fail(Failure::Broken("reset".into())),
        Say::text("errorCode=2&orderNumber=other&certificate=AAAA"),
    ];
    for page in pages {
        let mut world = World::new(world::config(&["bad", "good"]));
        world.say("bad", [page.clone()]);
        world.say("good", [issued(-1, 90)]);
        world.pass(5 * DAY);
        assert_eq!(world.phase("bad"), "waiting", "{page:?}");
        assert!(world.seen("bad").is_none(), "{page:?}");
        assert_eq!(world.phase("good"), "guarding", "{page:?}");
        assert!(gaps(&world, "bad").iter().all(|gap| *gap >= 3 * HOUR), "{page:?}");
        assert!(gaps(&world, "bad").last().unwrap() > &(20 * HOUR), "backed off: {:?}", gaps(&world, "bad"));
        assert!(world.account_row("main").get("closed").is_none(), "{page:?}");
    }
}

#[test]
fn final_and_wrong_answers_stop_the_order_until_somebody_says_otherwise() {
    for (body, phase) in [
        ("-20\nRejected", "rejected"),
        ("-21\nRevoked", "revoked"),
        ("errorCode=-4&errorMessage=The+value+of+the+%27orderNumber%27+argument+is+invalid%21", "attention"),
        ("-91\nno permission", "attention"),
        ("-17", "attention"),
    ] {
        let mut world = World::new(world::config(&["www"]));
        world.say("www", [Say::text(body), issued(-1, 90)]);
        world.pass(10 * DAY);
        assert_eq!((world.phase("www").as_str(), world.calls.len()), (phase, 1), "{body}");
        let poll = world.command(Command::Poll("www".into()));
        assert!(world.reply(poll).text.contains("resume www"), "{}", world.reply(poll).text);
        assert!(!world.reply(poll).text.contains("is attention"), "{}", world.reply(poll).text);
        world.restart();
        world.pass(DAY);
        assert_eq!(world.calls.len(), 1, "{body}");
        let resume = world.command(Command::Resume("www".into()));
        assert!(world.reply(resume).ok, "{}", world.reply(resume).text);
        assert_eq!(world.phase("www"), "guarding", "{body}");
    }
}

#[test]
fn unknown_codes_wait_and_then_ask_for_a_person() {
    let mut world = World::new(world::config(&["www"]));
    world.say("www", [Say::text("-160\nsomething odd")]);
    world.pass(30 * DAY);
    assert_eq!(world.phase("www"), "attention");
    assert_eq!(world.calls.len(), 10);
    assert!(gaps(&world, "www").iter().all(|gap| *gap >= 3 * HOUR));
}

#[test]
fn clock_jumps_neither_hurry_nor_lose_a_poll() {
    for jump in [-10 * 365, -1, 1, 10 * 365] {
        let mut world = World::new(world::config(&["www"]));
        world.pass(HOUR);
        world.now.wall += jump * 86_400_000;
        world.handle(Event::Woke);
        world.restart();
        world.pass(9 * HOUR);
        assert_eq!(world.calls.len(), 4, "{jump}");
        assert!(gaps(&world, "www").iter().all(|gap| *gap >= 3 * HOUR));
        // The clock is mended, then the machine restarts: the schedule holds still.
        world.now.wall -= jump * 86_400_000;
        world.handle(Event::Woke);
        world.pass(Duration::from_secs(2));
        let before = world.calls.len();
        let due = world.record("www")["due_ms"].as_i64().unwrap() - world.now.time.0;
        world.reboot(Duration::from_secs(60));
        world.pass(Duration::from_millis(u64::try_from(due - 120_000).unwrap()));
        assert_eq!(world.calls.len(), before, "{jump}: not sooner");
        world.pass(Duration::from_secs(200));
        assert_eq!(world.calls.len(), before + 1, "{jump}: not lost");
    }
}

#[test]
fn a_clock_that_is_put_right_brings_the_warnings_that_are_due() {
    let mut config = world::config(&["www"]);
    world::change(&mut config.orders[0], |settings| settings.cadence.guard_interval = None);
    let mut world = World::new(config);
    world.say("www", [issued(-1, 90)]);
    world.pass(HOUR);
    assert_eq!(world.phase("www"), "guarding");
    world.now.wall += 80 * 86_400_000;
    world.handle(Event::Woke);
    world.pass(Duration::from_secs(60));
    assert!(world.kinds().contains(&"expiring"), "{:?}", world.kinds());
}

#[test]
fn the_floor_belongs_to_the_number() {
    let mut world = World::new(world::config(&["www"]));
    world.pass(Duration::from_secs(60));
    let mut renamed = world::order("web");
    renamed.handle = certcollectd_core::api::OrderRef::OrderNumber("www".into());
    let mut config = world::config(&[]);
    config.orders.push(renamed.clone());
    world.reload(config.clone());
    world.pass(HOUR);
    assert_eq!(world.calls.len(), 1);
    // Away and back again, with a restart in between.
    world.reload(world::config(&[]));
    world.pass(Duration::from_secs(60));
    world.restart();
    world.reload(config);
    world.pass(HOUR);
    assert_eq!(world.calls.len(), 1);
    world.pass(2 * HOUR);
    assert_eq!(world.calls.len(), 2);
}

#[test]
fn reload_adds_removes_and_changes_orders_in_flight() {
    let mut world = World::new(world::config(&["a", "b"]));
    world.pass(HOUR);
    world.reload(world::config(&["b", "c"]));
    world.pass(HOUR);
    assert_eq!(world.calls.iter().filter(|call| call.number == "c").count(), 1);
    world.pass(DAY);
    assert_eq!(world.calls.iter().filter(|call| call.number == "a").count(), 1);
    // A shorter interval counts from the last poll on.
    let mut config = world::config(&["b", "c"]);
    world::change(&mut config.orders[0], |settings| settings.cadence.interval = HOUR);
    world.reload(config);
    let before = world.calls.iter().filter(|call| call.number == "b").count();
    world.pass(10 * HOUR);
    let after = world.calls.iter().filter(|call| call.number == "b").count();
    assert!((9..=11).contains(&(after - before)), "{}", after - before);
}

#[test]
fn an_unknown_name_is_answered() {
    let mut world = World::new(world::config(&["www"]));
    let token = world.command(Command::Poll("nobody".into()));
    assert!(!world.reply(token).ok);
    let token = world.command(Command::ResumeAccount("nobody".into()));
    assert!(!world.reply(token).ok);
}

#[test]
fn poll_waits_for_the_gap_and_answers_with_what_was_heard() {
    let mut world = World::new(world::config(&["a", "b"]));
    world.pass(Duration::from_secs(20));
    let calls = world.calls.len();
    let token = world.command(Command::Poll("a".into()));
    world.pass(Duration::from_secs(11));
    assert_eq!(world.calls.len(), calls + 1);
    assert!(world.reply(token).text.contains("being processed by Sectigo"), "{}", world.reply(token).text);
    let gap = world.calls.windows(2).map(|pair| pair[1].at.since(pair[0].at)).min().unwrap();
    assert!(gap >= Duration::from_secs(10));
}

#[test]
fn a_process_that_is_to_end_gives_up_after_the_third_save_that_failed() {
    let mut world = World::new(world::config(&["a"]));
    world.failing_saves = usize::MAX;
    let start = world.now;
    world.engine.poll_only_until(start.time);
    let mut tries = Vec::new();
    world.pass(Duration::ZERO);
    while world.engine.is_occupied(start) {
        tries.push(world.engine.failed_saves());
        world.pass(SECOND);
    }
    tries.dedup();
    assert_eq!(tries, [1, 2]);
    assert!(world.engine.gives_up_saving());
    assert!(world.calls.is_empty());
    // What is over by the second try does not end it.
    let mut world = World::new(world::config(&["a"]));
    world.failing_saves = 1;
    world.pass(SECOND);
    assert!(world.engine.is_occupied(start) && !world.engine.gives_up_saving());
    world.pass(20 * SECOND);
    assert!(!world.engine.is_occupied(start) && !world.engine.cannot_save());
    assert_eq!(world.calls.len(), 1);
}

#[test]
fn one_pending_poll_is_one_save() {
    let mut config = world::config(&["a", "b", "c", "d"]);
    config.calls.call_gap = Duration::ZERO;
    let mut world = World::new(config);
    world.pass(HOUR);
    let (saves, calls) = (world.saves, world.calls.len());
    // Four orders in a row share their saves: the result of one goes with the due time of the next.
    assert_eq!(calls, 4);
    assert!(saves <= calls + 1, "{saves} saves for {calls} calls");
}
