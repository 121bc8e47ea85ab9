use std::sync::Arc;
use std::time::Duration;

use certcollectd_core::api::{Failure, RetryAfter};
use certcollectd_core::config::{Account, Config};
use certcollectd_core::engine::account::record::CredentialTag;
use certcollectd_core::engine::command::{Command, Target};
use certcollectd_core::engine::event::{Effect, Event};

use super::{SECOND, effects};
use crate::world::{self, DAY, HOUR, Say, World};

const EIGHT: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

/// A vendor that refuses each login, later than anybody waits for it.
fn deaf(names: &[&str]) -> World {
    let mut world = World::new(world::config(names));
    for name in names {
        world.say(name, [Say::Fail(world::silence())]);
        world.say(&format!("GetMDCDomainDetails {name}"), [Say::Fail(world::silence())]);
    }
    world
}

/// The process dies with the answer to a call outstanding: what it had saved is all that is left.
fn die_in_mid_call(world: &mut World, event: Event) {
    for effect in effects(world, event) {
        match effect {
            Effect::Save(changes) => world.save(&changes),
            Effect::Call(_) => return world.restart(),
            _ => {}
        }
    }
    panic!("there was no call");
}

fn logins(world: &World) -> usize {
    world.calls.len() + world.side_calls.len()
}

fn unanswerable() -> [Failure; 6] {
    [
        world::silence(),
        Failure::Broken("reset".into()),
        Failure::TooLarge(1),
        Failure::HeadersTooLarge(1),
        Failure::Encoded(certcollectd_core::api::Untrusted::new("gzip")),
        Failure::Internal("x".into()),
    ]
}

#[test]
fn the_account_waits_for_what_may_still_arrive_whoever_wants_a_call() {
    for failure in unanswerable() {
        let mut world = World::new(world::config(&["a", "b", "c"]));
        world.say("a", [Say::Fail(failure.clone()), Say::text("errorCode=0")]);
        world.pass(Duration::ZERO);
        let end = world.now.time;
        world.command(Command::Poll("b".into()));
        world.command(Command::Domains(Target::Order("c".into())));
        world.pass(19 * SECOND);
        assert_eq!(logins(&world), 1, "{failure}");
        world.pass(DAY);
        let next = world.calls[1].at.min(world.side_calls[0].at);
        assert_eq!(next.since(end), 20 * SECOND, "{failure}");
        let again = world.calls.iter().find(|call| call.number == "a" && call.at > end);
        let Some(again) = again else { continue };
        assert!(
            again.at.since(end) >= 3 * HOUR + 20 * SECOND,
            "{failure}: the order's floor counts from there"
        );
    }
}

/// Without a spread, which would hide how near to its floor it is.
#[test]
fn an_order_is_asked_again_an_interval_after_the_latest_arrival() {
    for failure in unanswerable() {
        let mut config = world::config(&["a"]);
        world::change(&mut config.orders[0], |settings| settings.cadence.spread_permille = 0);
        let mut world = World::new(config);
        world.say("a", [Say::Fail(failure.clone()), Say::text("errorCode=0")]);
        world.pass(DAY);
        let polls: Vec<_> = world.calls.iter().map(|call| call.at).collect();
        if let [first, second, ..] = polls[..] {
            assert_eq!(second.since(first), 3 * HOUR + 20 * SECOND, "{failure}");
        } else {
            assert!(
                matches!(failure, Failure::Internal(_)),
                "{failure}: a mistake of ours waits for a person"
            );
        }
    }
}

#[test]
fn a_longer_gap_holds_and_what_was_not_sent_needs_no_rest() {
    let mut config = world::config(&["a", "b"]);
    config.calls.call_gap = 90 * SECOND;
    let mut world = World::new(config);
    world.say("a", [Say::Fail(world::silence())]);
    world.pass(HOUR);
    assert_eq!(world.calls[1].at.since(world.calls[0].at), 90 * SECOND);
    for failure in [Failure::Connect("x".into()), Failure::Tls("x".into()), Failure::Setup("x".into())] {
        let mut world = World::new(world::config(&["a", "b"]));
        world.say("a", [Say::Fail(failure), Say::text("errorCode=0")]);
        world.pass(HOUR);
        assert!(world.account_row("main").get("unheard").is_none());
        assert!(world.calls[2..].iter().any(|call| call.number == "b"));
    }
}

#[test]
fn with_eight_orders_and_a_wrong_password_two_logins_are_all_within_an_interval() {
    let mut world = deaf(&EIGHT);
    world.pass(3 * HOUR);
    assert_eq!(logins(&world), 2);
    assert!(world.errors()[0].contains("account main rests until"), "{:?}", world.errors());
    assert!(world.errors()[0].contains("resume --account main"), "{:?}", world.errors());
    // Twice as long each time, up to `max_interval`: after 3, 6, 12 and 24 hours.
    world.pass(18 * HOUR + HOUR / 2);
    assert_eq!(logins(&world), 5);
    world.pass(10 * DAY);
    assert!((14..=16).contains(&logins(&world)), "{}", logins(&world));
}

#[test]
fn neither_starts_nor_commands_nor_hints_make_it_more() {
    let mut world = deaf(&EIGHT);
    for round in 0..200_usize {
        let name = EIGHT[round % EIGHT.len()];
        match round % 5 {
            0 => world.restart(),
            1 => _ = world.command(Command::Poll(name.into())),
            2 => _ = world.command(Command::Domains(Target::Order(name.into()))),
            3 => world.handle(Event::CredentialTouched { account: "main".into() }),
            _ => world.reload(world::config(&EIGHT)),
        }
        world.pass(50 * SECOND);
    }
    assert!(world.now.time.0 < 1_000_000 + 3 * 3_600_000, "within an interval");
    assert_eq!(logins(&world), 2);
}

#[test]
fn a_call_lost_in_a_crash_ends_with_its_time_limit() {
    for settle in [20, 5] {
        let mut config = world::config(&["a", "b"]);
        config.calls.settle = settle * SECOND;
        let mut world = World::new(config);
        let began = world.now.time;
        die_in_mid_call(&mut world, Event::Started);
        let poll = world.command(Command::Poll("b".into()));
        world.command(Command::Poll("a".into()));
        // However often it is started meanwhile, it is one lost call.
        for _ in 0..5 {
            world.pass(SECOND);
            world.restart();
            world.command(Command::Poll("b".into()));
        }
        world.pass(HOUR);
        assert!(world.replies.iter().all(|(token, _)| *token != poll), "whoever asked died with it");
        let rest = (60 + settle.max(10)) * SECOND;
        assert_eq!(world.calls[0].at.since(began), rest);
        assert_eq!(world.calls[0].number, "b");
        assert!(world.account_row("main").get("unheard").is_none(), "the answer ends the row");
        world.pass(3 * HOUR);
        let again = world.calls.iter().find(|call| call.number == "a").expect("its time has come");
        assert!(again.at.since(began) >= 3 * HOUR + (60 + settle) * SECOND, "{:?}", again.at.since(began));
    }
}

#[test]
fn calls_lost_in_crashes_count_like_any_other() {
    let mut world = deaf(&EIGHT);
    let began = world.now.time;
    die_in_mid_call(&mut world, Event::Started);
    while world.engine.next_wake().is_some_and(|wake| wake.since(began) < 80 * SECOND) {
        world.pass(SECOND);
    }
    world.now.time = began + 80 * SECOND;
    world.now.wall += 80_000;
    die_in_mid_call(&mut world, Event::Woke);
    let poll = world.command(Command::Poll("h".into()));
    assert!(world.reply(poll).text.contains("account main is paused until"), "{}", world.reply(poll).text);
    assert!(world.reply(poll).text.contains("resume --account main"), "{}", world.reply(poll).text);
    world.reboot(60 * SECOND);
    let rebooted = world.now.time;
    world.pass(5 * HOUR);
    let first = &world.calls[0];
    assert!(first.at.since(rebooted) > 2 * HOUR + HOUR / 2, "{:?}", first.at.since(rebooted));
    assert_eq!(logins(&world), 1, "and then one more");
}

/// An earlier version wrote no more than that a call was begun.
#[test]
fn a_call_lost_under_an_earlier_version_counts_as_well() {
    let mut world = World::new(world::config(&["a", "b"]));
    let began = world.now.time;
    for effect in effects(&mut world, Event::Started) {
        let Effect::Save(changes) = effect else { break };
        world.save(&changes);
    }
    let mut row = world.account_row("main");
    row.as_object_mut().unwrap().remove("ends_ms");
    world.rows.accounts.insert("main".into(), (1, row.to_string()));
    let mut row = world.record("a");
    row["polled_ms"] = (began.0 + 1000).into();
    world.rows.orders.insert("a".into(), (1, row.to_string()));
    world.restart();
    world.pass(HOUR);
    assert_eq!(world.calls[0].at.since(began), 80 * SECOND);
    world.pass(3 * HOUR);
    let again = world.calls.iter().find(|call| call.number == "a").expect("its time has come");
    assert!(again.at.since(began) >= 3 * HOUR + 80 * SECOND);
}

#[test]
fn any_answer_ends_the_row_and_what_was_not_sent_does_not() {
    for (between, ends) in [
        (Say::text("errorCode=0"), true),
        (Say::text("-14\nunknown"), true),
        (Say::Body(503, b"later".to_vec()), true),
        (Say::text("<html>"), true),
        (Say::Fail(Failure::Connect("refused".into())), false),
        (Say::Fail(Failure::Credential("gone".into())), false),
    ] {
        let mut world = World::new(world::config(&["a", "b", "c"]));
        world.say("a", [Say::Fail(world::silence())]);
        world.say("b", [between.clone(), Say::Fail(world::silence())]);
        world.say("c", [Say::Fail(world::silence())]);
        world.pass(HOUR);
        let row = world.account_row("main");
        let rests = row["paused_for"] == "unanswered";
        assert_eq!(rests, !ends, "{between:?}: {row}");
        assert_eq!(row["unheard"]["calls"], if ends { 1 } else { 2 }, "{between:?}");
    }
}

#[test]
fn the_operator_or_a_changed_password_lets_one_call_through() {
    for operator in [true, false] {
        let mut world = deaf(&EIGHT);
        world.sent_credential = Some(CredentialTag(1));
        world.pass(HOUR);
        assert_eq!(logins(&world), 2);
        for more in 1..4 {
            let tag = CredentialTag(1 + more);
            if operator {
                let token = world.command(Command::ResumeAccount("main".into()));
                world.pass(SECOND);
                assert!(!world.reply(token).ok, "{}", world.reply(token).text);
            } else {
                world.credential = Some(tag);
                world.sent_credential = Some(tag);
                world.handle(Event::CredentialTouched { account: "main".into() });
                world.handle(Event::CredentialTouched { account: "main".into() });
            }
            world.pass(3 * HOUR - HOUR / 2);
            world.restart();
            world.handle(Event::CredentialTouched { account: "main".into() });
            world.pass(60 * SECOND);
            assert_eq!(logins(&world), 2 + usize::from(more), "operator {operator}");
        }
        // With the right one everything goes on.
        for name in EIGHT {
            world.say(name, [Say::text("errorCode=0")]);
            world.say(&format!("GetMDCDomainDetails {name}"), [Say::text("errorCode=0")]);
        }
        world.command(Command::ResumeAccount("main".into()));
        world.pass(HOUR);
        assert!(logins(&world) >= 10, "{}", logins(&world));
        assert!(world.account_row("main").get("paused_until_ms").is_none());
    }
}

#[test]
fn a_password_that_was_changed_while_nobody_looked_lets_one_call_through() {
    let mut world = deaf(&EIGHT);
    world.sent_credential = Some(CredentialTag(1));
    world.pass(HOUR);
    world.restart();
    world.pass(60 * SECOND);
    assert_eq!(logins(&world), 2);
    world.credential = Some(CredentialTag(2));
    world.sent_credential = Some(CredentialTag(2));
    world.restart();
    world.pass(60 * SECOND);
    assert_eq!(logins(&world), 3);
}

/// Which credential a call had that was lost in a crash is not known: it may have been the changed one.
#[test]
fn a_changed_password_that_a_lost_call_may_have_tried_lets_none_through() {
    let mut world = deaf(&EIGHT);
    world.sent_credential = Some(CredentialTag(1));
    world.pass(SECOND);
    assert_eq!(logins(&world), 1);
    world.credential = Some(CredentialTag(2));
    world.sent_credential = Some(CredentialTag(2));
    world.handle(Event::CredentialTouched { account: "main".into() });
    let next = world.engine.next_wake().expect("another order is due");
    world.now.wall += next.0 - world.now.time.0;
    world.now.time = next;
    die_in_mid_call(&mut world, Event::Woke);
    world.pass(2 * HOUR);
    assert_eq!(logins(&world), 1, "besides the lost one");
}

#[test]
fn what_is_no_answer_of_the_vendors_makes_the_account_back_off() {
    for say in [
        Say::Body(503, b"later".to_vec()),
        Say::Body(500, b"-14\nunknown".to_vec()),
        Say::Body(404, b"<html>".to_vec()),
        Say::Body(302, Vec::new()),
        Say::text("<html>portal"),
        Say::text(""),
        Say::text("garbage"),
    ] {
        let mut world = World::new(world::config(&EIGHT));
        for name in EIGHT {
            world.say(name, [say.clone()]);
        }
        world.pass(HOUR);
        let gaps: Vec<u64> =
            world.calls.windows(2).map(|pair| pair[1].at.since(pair[0].at).as_secs()).collect();
        assert_eq!(gaps, [60, 120, 240, 480, 960], "{say:?}");
        let poll = world.command(Command::Poll("a".into()));
        let reply = world.reply(poll);
        assert!(!reply.ok && reply.text.contains("resume --account main"), "{}", reply.text);
        assert!(world.account_row("main").get("unheard").is_none(), "it was heard");
    }
}

#[test]
fn side_calls_make_it_back_off_as_well() {
    let mut world = World::new(world::config(&["a"]));
    world.pass(HOUR);
    world.say("GetMDCDomainDetails a", [Say::Body(502, b"<html>".to_vec())]);
    world.command(Command::Domains(Target::Order("a".into())));
    world.pass(2 * SECOND);
    assert_eq!(world.account_row("main")["paused_for"], "garbled");
}

#[test]
fn a_short_interval_is_the_longest_first_rest_after_garbage() {
    let mut config = world::config(&["a", "b"]);
    for order in &mut config.orders {
        world::change(order, |settings| settings.cadence.interval = 30 * SECOND);
    }
    let mut world = World::new(config);
    world.say("a", [Say::text("<html>")]);
    world.pass(45 * SECOND);
    assert_eq!(world.calls[1].at.since(world.calls[0].at), 30 * SECOND);
}

#[test]
fn garbage_opens_no_closed_account() {
    let mut world = World::new(world::config(&["a", "b"]));
    for name in ["a", "b"] {
        world.say(name, [Say::text("-16\nno")]);
    }
    world.pass(HOUR);
    for name in ["a", "b"] {
        world.say(name, [Say::text("<html>")]);
    }
    world.command(Command::ResumeSamePassword("main".into()));
    world.pass(DAY);
    assert_eq!(world.calls.len(), 2);
    assert!(world.account_row("main").get("closed").is_some());
}

/// The longest interval of the account's orders: any of them may be the next that is asked about.
#[test]
fn the_most_patient_order_says_how_long_the_account_rests() {
    let mut config = world::config(&["a", "b", "c"]);
    world::change(&mut config.orders[0], |settings| settings.cadence.interval = 60 * SECOND);
    world::change(&mut config.orders[2], |settings| settings.cadence.interval = 5 * HOUR);
    let mut world = World::new(config);
    for name in ["a", "b", "c"] {
        world.say(name, [Say::Fail(world::silence())]);
    }
    world.pass(5 * HOUR);
    assert_eq!(logins(&world), 2);
    world.pass(60 * SECOND);
    assert_eq!(logins(&world), 3);
}

fn with_account(change: impl FnOnce(&mut Account)) -> Config {
    let mut config = world::config(&["a"]);
    let mut account = (*config.accounts[0]).clone();
    change(&mut account);
    config.accounts[0] = Arc::new(account);
    config
}

#[test]
fn another_way_to_the_vendor_ends_a_pause_for_want_of_one() {
    let ways: [fn(&mut Account); 3] = [
        |account| account.base_url = "https://secure.example.com".into(),
        |account| account.ca_file = Some("/etc/ca.pem".into()),
        |account| account.proxy = Some("http://proxy:3128".into()),
    ];
    let asked = Say::Later(503, RetryAfter::Seconds(3000), b"later".to_vec());
    for change in ways {
        for restarts in [false, true] {
            for (say, ends) in [
                (Say::Fail(Failure::Connect("no route".into())), true),
                (Say::Fail(Failure::Tls("unknown issuer".into())), true),
                (Say::Fail(Failure::Setup("ca_file".into())), true),
                (Say::text("-42\nlimit"), false),
                (asked.clone(), false),
            ] {
                let mut world = World::new(with_account(|_| {}));
                world.say("a", [say.clone(), say.clone(), say.clone(), Say::text("errorCode=0")]);
                world.pass(3 * 60 * SECOND + SECOND);
                // A pause of minutes at least is in force.
                let calls = world.calls.len();
                world.reload(with_account(|account| account.login_name = "login".into()));
                world.pass(SECOND);
                assert_eq!(world.calls.len(), calls, "nothing was changed: {say:?}");
                if restarts {
                    world.config = Arc::new(with_account(change));
                    world.restart();
                } else {
                    world.reload(with_account(change));
                }
                world.pass(20 * SECOND);
                let paused = world.account_row("main").get("paused_until_ms").is_some();
                assert_eq!(paused, !ends, "restarts {restarts}: {say:?}");
                assert_eq!(world.calls.len() > calls, ends, "restarts {restarts}: {say:?}");
            }
        }
    }
}

#[test]
fn another_way_ends_no_rest() {
    let mut world = World::new(world::config(&["a", "b", "c"]));
    for name in ["a", "b", "c"] {
        world.say(name, [Say::Fail(world::silence())]);
    }
    world.pass(HOUR);
    let mut config = world::config(&["a", "b", "c"]);
    config.accounts = with_account(|account| account.proxy = Some("http://proxy:3128".into())).accounts;
    world.reload(config);
    world.pass(HOUR);
    assert_eq!(logins(&world), 2);
}

/// An order whose number is another one's by the time of the answer.
#[test]
fn the_floor_of_a_former_number_counts_from_the_latest_arrival() {
    let mut world = World::new(world::config(&["a", "b"]));
    let mut list = effects(&mut world, Event::Started);
    let Some(call @ Effect::Call(_)) = list.pop() else { panic!("no call") };
    let mut swapped = world::config(&["a", "b"]);
    swapped.orders[0].handle = certcollectd_core::api::OrderRef::OrderNumber("x".into());
    world.say("a", [Say::Fail(world::silence()), Say::text("errorCode=0")]);
    world.reload(swapped);
    let end = world.now.time;
    let answered = world.one(call).expect("an answer");
    world.handle(answered);
    world.reload(world::config(&["a", "b"]));
    world.pass(DAY);
    let again = world.calls.iter().filter(|call| call.number == "a").nth(1).expect("a second poll");
    assert!(again.at.since(end) >= 3 * HOUR + 20 * SECOND, "{:?}", again.at.since(end));
}

#[test]
fn how_it_rests_is_told() {
    use certcollectd::status::{AccountState, Exposition, Screen, Status, Verdict, verdict};
    let mut world = deaf(&EIGHT);
    world.pass(HOUR);
    let status = Status::new(&world.config, &world.load(), world.now);
    let account = &status.accounts[0];
    assert_eq!(
        (account.state, account.cause, account.unanswered),
        (AccountState::Paused, Some("unanswered"), 2)
    );
    let (found, line) = verdict(&status);
    assert_eq!(found, Verdict::Warning);
    assert!(line.contains("account main rests until 2026-"), "{line}");
    assert!(
        status.table(&Screen::default()).contains("`certcollectd resume --account main` ends that"),
        "{}",
        status.table(&Screen::default())
    );
    let metrics = status.metrics(Exposition::Text);
    for line in ["account_paused{account=\"main\"} 1", "account_unanswered_calls{account=\"main\"} 2"] {
        assert!(metrics.contains(line), "{metrics}");
    }
    assert!(metrics.contains("account_paused_until_seconds{account=\"main\"} 179"), "{metrics}");
    let history = Vec::new();
    let told = certcollectd::status::Explanation::new(&world.config, &world.load(), "h", history, world.now);
    let next = told.unwrap().next.join("\n");
    assert!(next.contains("No calls on account main before 2026-"), "{next}");
    assert!(next.contains("resume --account main"), "{next}");
}
