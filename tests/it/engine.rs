//! The engine, told one thing after the other: bytes in, effects out.

use std::time::Duration;

use certcollectd::api::Failure;
use certcollectd::config::HookEvent;
use certcollectd::engine::event::{Command, CredentialTag, Effect, Event, HookResult, Token};
use certcollectd::engine::time::{Now, Time};
use certcollectd::engine::{Engine, Loaded, Remembered};
use rcgen::KeyPair;

use crate::certs;
use crate::world::{self, DAY, HOUR, START, Say, Work, World};

const SECOND: Duration = Duration::from_secs(1);

fn certificate(names: &[&str], from_days: i64, days: i64) -> Vec<u8> {
    let from = START + from_days * 86_400;
    certs::leaf(&KeyPair::generate().unwrap(), names, from, from + days * 86_400)
}

fn issued(from_days: i64, days: i64) -> Say {
    Say::Body(200, certs::issued(&certificate(&["www.example.com"], from_days, days)))
}

fn failed(why: &str) -> HookResult {
    HookResult::Failed { why: why.into(), last_words: None }
}

fn with_hook(name: &str) -> certcollectd::config::Config {
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
fn to_the_millisecond() -> certcollectd::config::Config {
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
    let outcome = Err(Failure::Timeout);
    effects(&mut world, Event::Answered { account: "main".into(), outcome, credential: None });
    let due = world.engine.records().orders["www"].record.due.unwrap();
    assert!(due > world.now.time + 3 * HOUR, "the clock may have shown this for most of a millisecond");
}

#[test]
fn a_refused_login_is_saved_before_anything_else() {
    let mut world = World::new(world::config(&["a", "b"]));
    effects(&mut world, Event::Started);
    let outcome = Ok(certcollectd::api::Answer {
        status: 200,
        content_type: None,
        retry_after: None,
        body: bytes::Bytes::from_static(b"-16\nno"),
    });
    let list = effects(&mut world, Event::Answered { account: "main".into(), outcome, credential: None });
    let Effect::Save(changes) = &list[0] else { panic!("{list:?}") };
    assert!(changes.accounts[0].1.closed.is_some());
    assert!(!list.iter().any(|effect| matches!(effect, Effect::Call(_))));
}

#[test]
fn a_refused_login_closes_the_account_for_good() {
    let mut world = World::new(world::config(&["a", "b", "c"]));
    for name in ["a", "b", "c"] {
        world.say(name, [Say::text("-16\nIncorrect login details")]);
    }
    world.pass(DAY);
    for _ in 0..20 {
        world.restart();
        world.pass(DAY);
        world.reload(world::config(&["a", "b", "c"]));
        world.handle(Event::CredentialTouched { account: "main".into() });
        world.reboot(HOUR);
        world.pass(DAY);
    }
    assert_eq!(world.calls.len(), 1, "one login, however often it is started anew");
    assert_eq!(world.phase("a"), "waiting", "the order stays");
    assert!(world.errors()[0].contains("resume --account main"), "{:?}", world.errors());
}

#[test]
fn a_changed_credential_lets_exactly_one_call_through() {
    let mut world = World::new(world::config(&["a", "b"]));
    world.say("a", [Say::text("-16\nno")]);
    world.say("b", [Say::text("-16\nno")]);
    world.pass(HOUR);
    assert_eq!(world.calls.len(), 1);
    for tag in 2..12 {
        world.credential = Some(CredentialTag(tag));
        world.handle(Event::CredentialTouched { account: "main".into() });
        world.pass(DAY);
        world.handle(Event::CredentialTouched { account: "main".into() });
        world.restart();
        world.pass(DAY);
        assert_eq!(world.calls.len(), usize::from(tag), "one for each changed credential");
    }
    // Changed while nobody looked.
    world.credential = Some(CredentialTag(99));
    world.restart();
    world.pass(DAY);
    assert_eq!(world.calls.len(), 12);
    // The right one: the account opens and everything goes on.
    world.say("a", [Say::text("errorCode=0")]);
    world.say("b", [Say::text("errorCode=0")]);
    world.credential = Some(CredentialTag(100));
    world.handle(Event::CredentialTouched { account: "main".into() });
    world.pass(DAY);
    assert!(world.calls.len() >= 14, "both orders are asked about again: {}", world.calls.len());
    assert!(world.account_row("main").get("closed").is_none());
}

#[test]
fn the_operator_lets_one_call_through_a_closed_account() {
    let mut world = World::new(world::config(&["a", "b"]));
    world.say("a", [Say::text("-16\nno")]);
    world.say("b", [Say::text("-16\nno")]);
    world.pass(HOUR);
    let poll = world.command(Command::Poll("a".into()));
    assert!(!world.reply(poll).ok);
    assert!(world.reply(poll).text.contains("account main is closed"), "{}", world.reply(poll).text);
    assert_eq!(world.calls.len(), 1);
    let resume = world.command(Command::ResumeAccount("main".into()));
    world.pass(HOUR);
    assert_eq!(world.calls.len(), 2);
    assert!(world.replies.iter().any(|(token, _)| *token == resume), "the operator gets an answer");
    world.pass(2 * DAY);
    assert_eq!(world.calls.len(), 2);
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
fn two_words_during_one_probe_are_one_call() {
    let mut world = World::new(world::config(&["a", "b", "c"]));
    world.pass(HOUR);
    world.say("a", [Say::text("-16\nno")]);
    world.say("b", [Say::text("errorCode=0")]);
    world.pass(3 * HOUR);
    assert!(world.account_row("main").get("closed").is_some(), "{:?}", world.calls);
    let word =
        |token| Event::Commanded { token: Token(token), command: Command::ResumeAccount("main".into()) };
    let calls = |effects: Vec<Effect>| -> Vec<Effect> {
        effects.into_iter().filter(|effect| matches!(effect, Effect::Call(_))).collect()
    };
    let mut first = calls(world.engine.handle(word(101), world.now));
    assert_eq!((first.len(), calls(world.engine.handle(word(102), world.now)).len()), (1, 0));
    world.say("a", [Say::text("errorCode=0")]);
    let before = world.calls.len();
    let answer = world.one(first.remove(0)).expect("an answer");
    world.handle(answer);
    world.pass(HOUR);
    let early: Vec<_> = ["a", "b", "c"]
        .into_iter()
        .filter(|name| gaps(&world, name).iter().any(|gap| *gap < 3 * HOUR))
        .collect();
    assert!(early.len() <= 1, "one call was let through, not {early:?}: {:?}", &world.calls[before..]);
}

#[test]
fn a_probe_that_never_left_is_not_spent() {
    let mut world = World::new(world::config(&["a"]));
    world.say(
        "a",
        [Say::text("-16\nno"), Say::Fail(Failure::Connect("refused".into())), Say::text("errorCode=0")],
    );
    world.pass(HOUR);
    world.command(Command::ResumeAccount("main".into()));
    world.pass(HOUR);
    assert_eq!(world.calls.len(), 3, "one refused, one that did not connect, one that opened the account");
    assert!(world.account_row("main").get("closed").is_none());
}

#[test]
fn a_probe_without_a_readable_answer_is_spent() {
    let mut world = World::new(world::config(&["a"]));
    world.say("a", [Say::text("-16\nno"), Say::Fail(Failure::Timeout), Say::text("errorCode=0")]);
    world.pass(HOUR);
    world.command(Command::ResumeAccount("main".into()));
    world.pass(3 * DAY);
    assert_eq!(world.calls.len(), 2);
    assert!(world.account_row("main").get("closed").is_some());
}

#[test]
fn calls_keep_their_gap() {
    let names: Vec<String> = (0..30).map(|at| format!("o{at}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut world = World::new(world::config(&names));
    world.pass(2 * DAY);
    let gap = world.calls.windows(2).map(|pair| pair[1].at.since(pair[0].at)).min().unwrap();
    assert!(gap >= Duration::from_secs(10), "{gap:?}");
    for name in names {
        assert!(gaps(&world, name).iter().all(|gap| *gap >= 3 * HOUR), "{name}");
    }
}

#[test]
fn call_limit_and_retry_after_pause_the_whole_account() {
    let mut world = World::new(world::config(&["a", "b"]));
    world.say("a", [Say::text("errorCode=-42&errorMessage=Call+limit+reached"), Say::text("errorCode=0")]);
    world.pass(11 * HOUR);
    assert_eq!(world.calls.len(), 1);
    world.pass(2 * HOUR);
    assert_eq!(world.calls.len(), 3);
    let row = world.account_row("main");
    assert!(row.get("paused_until_ms").is_none(), "{row}");
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
        Say::Fail(Failure::Timeout),
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
fn a_single_order_does_not_wait_for_company() {
    let mut world = World::new(with_hook("www"));
    world.say("www", [issued(-1, 90)]);
    world.command(Command::Poll("www".into()));
    world.pass(Duration::from_secs(11));
    assert_eq!(world.ran[0].at, world.calls[0].at);
}

#[test]
fn a_newer_certificate_replaces_an_older_one_and_never_the_other_way() {
    let mut world = World::new(with_hook("www"));
    let old = issued(-1, 90);
    let new = issued(3, 90);
    world.say("www", [old.clone(), old.clone(), old.clone(), old.clone(), new.clone(), old.clone()]);
    world.pass(3 * DAY);
    let first = world.seen("www").unwrap();
    world.pass(2 * DAY);
    let second = world.seen("www").unwrap();
    assert_ne!(first, second);
    assert_eq!(world.ran.len(), 2);
    // The vendor goes back to the older one: refused, the newer one stays.
    world.pass(3 * DAY);
    assert_eq!(world.seen("www").unwrap(), second);
    assert_eq!(world.phase("www"), "quarantined");
    assert!(world.errors().iter().any(|text| text.contains("downgrade")), "{:?}", world.errors());
    // Offered the right one again, it settles by itself.
    world.say("www", [new]);
    world.pass(3 * DAY);
    assert_eq!(world.phase("www"), "guarding");
    assert_eq!(world.ran.len(), 2);
}

#[test]
fn what_was_refused_is_installed_at_the_operators_word() {
    let mut config = with_hook("www");
    config.orders[0].domains = Box::new(["other.example.com".into()]);
    let mut world = World::new(config);
    world.say("www", [issued(-1, 90)]);
    world.pass(HOUR);
    assert_eq!(world.phase("www"), "quarantined");
    assert!(world.seen("www").is_none());
    assert!(world.record("www")["reason"].as_str().unwrap().contains("other.example.com"));
    world.restart();
    let calls = world.calls.len();
    let accept = world.command(Command::Accept("www".into()));
    assert!(world.reply(accept).ok, "{}", world.reply(accept).text);
    assert_eq!((world.phase("www").as_str(), world.ran.len()), ("guarding", 1));
    assert_eq!(world.calls.len(), calls, "from the bundle that was kept");
    let again = world.command(Command::Accept("www".into()));
    assert!(!world.reply(again).ok);
}

#[test]
fn a_mended_configuration_lets_a_refused_bundle_through_without_a_call() {
    let mut config = with_hook("www");
    config.orders[0].domains = Box::new(["other.example.com".into()]);
    let mut world = World::new(config.clone());
    world.say("www", [issued(-1, 90)]);
    world.pass(HOUR);
    let calls = world.calls.len();
    config.orders[0].domains = Box::new(["www.example.com".into()]);
    world.reload(config);
    world.pass(Duration::from_secs(10));
    assert_eq!((world.phase("www").as_str(), world.calls.len()), ("guarding", calls));
}

#[test]
fn a_certificate_of_tomorrow_is_installed_tomorrow() {
    let mut world = World::new(with_hook("www"));
    world.say("www", [issued(1, 90)]);
    world.pass(12 * HOUR);
    assert_eq!(world.phase("www"), "waiting");
    assert!(world.seen("www").is_none());
    let heard = &world.record("www")["heard"]["text"];
    assert!(heard.as_str().unwrap().contains("it is installed then"), "{heard}");
    world.restart();
    world.pass(13 * HOUR);
    assert_eq!((world.phase("www").as_str(), world.ran.len()), ("guarding", 1));
    let ran = world.now.wall_of(world.ran[0].at) / 1000;
    assert!((START + 86_400 - 600..=START + 86_400 + 3600).contains(&ran), "{}", ran - START);
}

#[test]
fn a_full_disk_delays_and_loses_nothing() {
    let mut world = World::new(with_hook("www"));
    world.say("www", [issued(-1, 90), Say::text("errorCode=0")]);
    world.failing_stages = 4;
    world.failing_swaps = 3;
    world.pass(Duration::from_secs(5));
    assert_eq!(world.phase("www"), "collected");
    world.restart();
    world.pass(HOUR);
    assert_eq!((world.phase("www").as_str(), world.ran.len()), ("guarding", 1));
    assert_eq!(world.calls.len(), 1, "the certificate was not asked for again");
}

#[test]
fn without_a_state_that_can_be_written_nobody_is_called() {
    let mut world = World::new(world::config(&["a", "b"]));
    world.pass(Duration::ZERO);
    let calls = world.calls.len();
    world.failing_saves = 5;
    world.pass(Duration::from_secs(100));
    let during = world.calls.len();
    assert_eq!(during, calls, "calls wait for the state: {:?}", world.errors());
    world.pass(HOUR);
    assert_eq!(world.failing_saves, 0);
    assert!(world.calls.len() > calls);
    assert!(world.errors()[0].contains("the state cannot be saved"));
    assert_eq!(world.record("b")["heard"]["code"], 0);
}

#[test]
fn a_refused_login_is_honoured_even_if_it_cannot_be_saved() {
    let mut world = World::new(world::config(&["a", "b"]));
    world.pass(HOUR);
    world.say("a", [Say::text("-16\nno")]);
    world.command(Command::Poll("a".into()));
    world.failing_saves = 0;
    let calls = world.calls.len();
    world.failing_saves = 3;
    world.pass(DAY);
    assert_eq!(world.calls.len(), calls);
    assert!(world.account_row("main").get("closed").is_some(), "saved once it could be");
}

#[test]
fn a_lost_state_is_a_cold_start_that_runs_no_hook() {
    let mut world = World::new(with_hook("www"));
    world.say("www", [issued(-1, 90)]);
    world.pass(DAY);
    assert_eq!(world.ran.len(), 1);
    world.rows = world::Rows::default();
    world.restart();
    world.pass(DAY);
    assert_eq!((world.phase("www").as_str(), world.ran.len()), ("guarding", 1));
    assert_eq!(world.disks["www"].generations.len(), 1, "nothing was written");
    assert!(world.kinds().contains(&"adopted"));
}

#[test]
fn rolled_back_stays_rolled_back_until_accepted() {
    let mut world = World::new(with_hook("www"));
    let (old, new) = (issued(-1, 90), issued(3, 90));
    world.say("www", [old.clone(), old.clone(), old.clone(), old.clone(), new.clone()]);
    world.pass(3 * DAY);
    let first = world.seen("www").unwrap();
    world.pass(3 * DAY);
    let second = world.seen("www").unwrap();
    assert_ne!(first, second);
    let rollback = world.command(Command::Rollback("www".into()));
    assert!(world.reply(rollback).ok, "{}", world.reply(rollback).text);
    assert_eq!(world.seen("www").unwrap(), first);
    assert_eq!(world.ran.len(), 3);
    world.restart();
    world.pass(3 * DAY);
    assert_eq!((world.seen("www").unwrap(), world.phase("www")), (first, "guarding".to_owned()));
    let accept = world.command(Command::Accept("www".into()));
    world.pass(HOUR);
    assert!(world.reply(accept).ok, "{}", world.reply(accept).text);
    assert_eq!(world.seen("www").unwrap(), second);
    assert_eq!(world.ran.len(), 4);
}

#[test]
fn rolled_back_twice_stays_there_too() {
    let mut world = World::new(with_hook("www"));
    let [first, second, third] = [issued(-1, 90), issued(3, 90), issued(6, 90)];
    let mut says = vec![first; 4];
    says.extend(vec![second; 3]);
    says.push(third);
    world.say("www", says);
    world.pass(2 * DAY);
    let first = world.seen("www").unwrap();
    world.pass(9 * DAY);
    let third = world.seen("www").unwrap();
    assert_eq!(world.disks["www"].generations.len(), 3);
    for _ in 0..2 {
        let rollback = world.command(Command::Rollback("www".into()));
        assert!(world.reply(rollback).ok, "{}", world.reply(rollback).text);
    }
    assert_eq!(world.seen("www").unwrap(), first);
    world.pass(3 * DAY);
    assert_eq!(world.seen("www").unwrap(), first, "{:#?}", world.notes);
    world.command(Command::Accept("www".into()));
    world.pass(HOUR);
    assert_eq!(world.seen("www").unwrap(), third);
}

#[test]
fn a_newer_certificate_ends_a_rollback() {
    let mut world = World::new(with_hook("www"));
    let [first, second, third] = [issued(-1, 90), issued(3, 90), issued(9, 90)];
    let mut says = vec![first; 4];
    says.extend(vec![second.clone(); 8]);
    says.push(third);
    world.say("www", says);
    world.pass(6 * DAY);
    let rollback = world.command(Command::Rollback("www".into()));
    assert!(world.reply(rollback).ok);
    world.pass(2 * DAY);
    assert!(!world.record("www")["refused"].is_null(), "{:#?}", world.record("www"));
    world.pass(8 * DAY);
    assert!(world.record("www")["refused"].is_null(), "{:#?}", world.record("www"));
    let accept = world.command(Command::Accept("www".into()));
    assert!(!world.reply(accept).ok, "there is nothing left to accept");
}

#[test]
fn missing_files_are_put_back_and_changed_ones_reported() {
    let mut world = World::new(with_hook("www"));
    world.say("www", [issued(-1, 90)]);
    world.pass(HOUR);
    world.disks.get_mut("www").unwrap().link = None;
    world.pass(2 * DAY);
    assert!(world.seen("www").is_some());
    assert_eq!(world.ran.len(), 2, "readers may have lost it, so they are told again");
    let disk = world.disks.get_mut("www").unwrap();
    let current = disk.link.clone().unwrap();
    disk.generations.get_mut(&current).unwrap().files.insert("cert.pem".into(), b"by hand".to_vec());
    world.pass(3 * DAY);
    assert!(world.record("www")["drift"].as_str().unwrap().contains("cert.pem was changed"));
    assert_eq!(world.disks["www"].generations[&current].files["cert.pem"], b"by hand");
    assert_eq!(world.kinds().iter().filter(|kind| **kind == "drift").count(), 1, "said once");
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
fn the_floor_belongs_to_the_number() {
    let mut world = World::new(world::config(&["www"]));
    world.pass(Duration::from_secs(60));
    let mut renamed = world::order("web");
    renamed.handle = certcollectd::api::Handle::OrderNumber("www".into());
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
fn the_operator_is_told_when_the_login_is_refused_again() {
    let mut world = World::new(world::config(&["a", "b"]));
    world.say("a", [Say::text("-16\nIncorrect login details")]);
    world.say("b", [Say::text("-16\nIncorrect login details")]);
    world.pass(HOUR);
    let token = world.command(Command::ResumeAccount("main".into()));
    world.pass(HOUR);
    let reply = world.reply(token);
    assert!(!reply.ok, "{}", reply.text);
    assert!(reply.text.contains("no poll while account main is closed"), "{}", reply.text);
    assert!(!reply.text.contains("next poll"), "{}", reply.text);
}

#[test]
fn a_poll_that_meets_a_refused_login_has_failed() {
    let mut world = World::new(world::config(&["www"]));
    world.say("www", [Say::text("errorCode=0"), Say::text("-16\nIncorrect login details")]);
    world.pass(HOUR);
    let token = world.command(Command::Poll("www".into()));
    world.pass(HOUR);
    assert!(!world.reply(token).ok, "{}", world.reply(token).text);
}

#[test]
fn the_next_poll_is_not_before_the_end_of_a_pause() {
    let mut world = World::new(world::config(&["www"]));
    world.say("www", [Say::text("errorCode=0"), Say::text("-42\nCall limit reached")]);
    world.pass(HOUR);
    let token = world.command(Command::Poll("www".into()));
    world.pass(Duration::from_secs(30));
    let calls = world.calls.len();
    let text = world.reply(token).text.clone();
    let told: jiff::Timestamp =
        text.lines().last().unwrap().strip_prefix("next poll ").expect(&text).parse().unwrap();
    world.pass(Duration::from_secs(
        u64::try_from(told.as_second() - world.now.unix() - 1).expect("in the future"),
    ));
    assert_eq!(world.calls.len(), calls);
    world.pass(Duration::from_secs(60));
    assert_eq!(world.calls.len(), calls + 1, "{text}");
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

fn hint(number: &str) -> certcollectd::api::push::Hint {
    certcollectd::api::push::Hint { number: number.into(), why: "issued".into() }
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
