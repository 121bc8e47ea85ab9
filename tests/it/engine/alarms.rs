//! Who is told of what is wrong: once for one cause, again while it lasts, and when it is over.

use std::time::Duration;

use certcollectd_core::config::{Config, HookEvent};
use certcollectd_core::engine::account::record::CredentialTag;
use certcollectd_core::engine::command::Command;
use certcollectd_core::engine::event::Event;
use certcollectd_core::engine::hooks::run::HookResult;

use super::revocation::announced;
use super::{SECOND, failed, issued};
use crate::world::{self, DAY, HOUR, Ran, Say, World};

const MINUTE: Duration = Duration::from_secs(60);

/// Orders with a hook that reloads and one that tells of what is `on`.
fn telling(names: &[&str], on: &[HookEvent]) -> Config {
    let mut config = world::config(names);
    let mut tell = (*world::hook("tell")).clone();
    tell.on = on.to_vec();
    config.hooks = vec![world::hook("reload"), tell.into()];
    config.calls.call_gap = Duration::ZERO;
    for order in &mut config.orders {
        world::change(order, |settings| settings.hooks.extend(["reload".into(), "tell".into()]));
    }
    config
}

const LASTING: [HookEvent; 2] = [HookEvent::Failed, HookEvent::Recovered];

fn messages(world: &World) -> Vec<&Ran> {
    world.ran.iter().filter(|ran| ran.hook == "tell" && !ran.rehearsal).collect()
}

/// Event and summary of each message.
fn told(world: &World) -> Vec<(HookEvent, String)> {
    let told = messages(world).into_iter().map(|ran| (ran.event, ran.told[0].0.clone()));
    told.collect()
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|at| format!("o{at}")).collect()
}

#[test]
fn a_closed_account_is_one_message_however_many_orders_it_has() {
    let names = names(40);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut world = World::new(telling(&names, &LASTING));
    for name in &names {
        world.say(name, [Say::text("errorCode=-16&errorMessage=Incorrect+login+details")]);
    }
    world.credential = Some(CredentialTag(1));
    world.sent_credential = Some(CredentialTag(1));
    // The first two tries to tell fail, and a restart forgets neither.
    world.hook_results.insert("tell".into(), vec![failed("no route"), failed("no route"), HookResult::Done]);
    world.pass(90 * SECOND);
    world.restart();
    world.pass(30 * MINUTE);
    let all = messages(&world);
    assert_eq!(all.len(), 3, "{all:?}");
    assert!(all.iter().all(|ran| ran.event == HookEvent::Failed && ran.told == all[0].told));
    let (summary, next) = &all[0].told[0];
    assert!(summary.starts_with("account main is closed: "), "{summary}");
    assert_eq!(next, "certcollectd resume --account main");
    world.restart();
    world.pass(20 * MINUTE);
    assert_eq!(messages(&world).len(), 3, "a restart is no news");
    for name in &names {
        world.say(name, [issued(-1, 90)]);
    }
    world.credential = Some(CredentialTag(2));
    world.sent_credential = Some(CredentialTag(2));
    world.handle(Event::CredentialTouched { account: "main".into() });
    world.pass(2 * MINUTE);
    let last = told(&world).split_off(3);
    assert_eq!(
        last,
        [(HookEvent::Recovered, "account main is open again: the vendor accepts the login".into())]
    );
    world.pass(DAY);
    let all = messages(&world);
    assert_eq!(all.len(), 4);
    assert!(all.iter().all(|ran| ran.keys == ["certcollectd/account/main/account-closed"]), "{all:?}");
    assert_eq!(all.iter().map(|ran| ran.holds > 0).collect::<Vec<_>>(), [true, true, true, false]);
}

#[test]
fn what_lasts_is_told_again_after_1_6_and_24_hours_and_then_each_day() {
    let mut world = World::new(telling(&["www"], &LASTING));
    world.say("www", [Say::text("errorCode=-3&errorMessage=no")]);
    world.pass(4 * DAY - HOUR);
    let hours: Vec<u64> =
        messages(&world).iter().map(|ran| ran.at.since(messages(&world)[0].at).as_secs() / 3600).collect();
    assert_eq!(hours, [0, 1, 6, 24, 48, 72]);
    let (summary, next) = messages(&world)[0].told[0].clone();
    assert_eq!((&*summary, &*next), ("www needs attention", "certcollectd explain www"));
    world.say("www", [Say::text("errorCode=0")]);
    world.command(Command::Resume("www".into()));
    world.pass(DAY);
    let last = told(&world).split_off(6);
    assert_eq!(last, [(HookEvent::Recovered, "www waits for the vendor again".into())]);
}

#[test]
fn a_message_and_the_one_that_it_is_over_have_one_key_and_one_holds_until_the_next() {
    let mut world = World::new(telling(&["www"], &LASTING));
    world.say("www", [Say::text("errorCode=-3&errorMessage=no")]);
    world.pass(2 * HOUR);
    world.restart();
    world.pass(2 * DAY - 2 * HOUR - MINUTE);
    world.say("www", [Say::text("errorCode=0")]);
    world.command(Command::Resume("www".into()));
    world.pass(HOUR);
    let all = messages(&world);
    let hours: Vec<i64> = all.iter().map(|ran| ran.holds / 3600).collect();
    assert_eq!(hours, [2, 6, 19, 25, 0]);
    for pair in all.windows(2) {
        let next = i64::try_from(pair[1].at.since(pair[0].at).as_secs()).unwrap();
        assert!(next < pair[0].holds, "{pair:?}");
    }
    assert_eq!((all[4].event, all[4].holds), (HookEvent::Recovered, 0));
    assert!(all.iter().all(|ran| ran.keys == ["certcollectd/order/www"]), "{all:?}");
}

#[test]
fn what_is_rehearsed_has_a_key_of_its_own() {
    let mut world = World::new(telling(&["www"], &LASTING));
    world.say("www", [issued(-1, 90)]);
    world.pass(MINUTE);
    world.command(Command::Rehearse("www".into()));
    world.pass(MINUTE);
    let told = world.ran.iter().find(|ran| ran.hook == "tell" && ran.rehearsal).unwrap();
    assert_eq!((&*told.keys[0], told.holds), ("certcollectd/order/www/rehearsal", 3600));
}

#[test]
fn a_reload_that_fails_for_all_is_one_message() {
    let names = names(200);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut world = World::new(telling(&names, &LASTING));
    for name in &names {
        world.say(name, [issued(-1, 90)]);
    }
    world.hook_results.insert("reload".into(), vec![failed("exit code 1")]);
    world.pass(10 * MINUTE);
    let all = messages(&world);
    // The first eight fail alone before the hook itself is taken to be at fault.
    assert!((1..=3).contains(&all.len()), "{} messages", all.len());
    let named: Vec<&str> = all.iter().flat_map(|ran| &ran.orders).map(String::as_str).collect();
    assert!(named.len() <= 3 * 51, "{named:?}");
    let counted = all.iter().flat_map(|ran| &ran.told).find(|(summary, _)| summary.starts_with("and "));
    assert!(counted.is_some_and(|(_, next)| next == "certcollectd status"), "{all:?}");
    world.hook_results.clear();
    world.pass(2 * HOUR);
    let recovered = messages(&world).iter().filter(|ran| ran.event == HookEvent::Recovered).count();
    assert!((1..=3).contains(&recovered), "{recovered}");
}

#[test]
fn that_a_message_cannot_be_delivered_is_no_news() {
    let mut world = World::new(telling(&["www"], &LASTING));
    world.say("www", [Say::text("errorCode=-3&errorMessage=no")]);
    world.hook_results.insert("tell".into(), vec![failed("no route")]);
    world.pass(30 * MINUTE);
    assert!(messages(&world).iter().all(|ran| ran.event == HookEvent::Failed && ran.orders == ["www"]));
    assert_eq!(messages(&world).len(), 5, "0, 1, 3, 7 and 15 minutes");
    world.hook_results.clear();
    world.pass(20 * MINUTE);
    assert_eq!(messages(&world).len(), 6, "told in the end");
}

#[test]
fn a_revocation_goes_to_who_listens_to_it_and_else_to_who_listens_to_failures() {
    for (on, event) in [
        (&[HookEvent::Revoked][..], HookEvent::Revoked),
        (&[HookEvent::Failed], HookEvent::Failed),
        (&[HookEvent::Failed, HookEvent::Revoked], HookEvent::Revoked),
    ] {
        let mut world = World::new(telling(&["www"], on));
        world.say("www", [issued(-1, 90), Say::text("errorCode=-21&errorMessage=Revoked")]);
        world.pass(30 * 24 * HOUR);
        let first = told(&world).remove(0);
        assert_eq!(first, (event, "www is revoked".into()));
        assert!(messages(&world).iter().all(|ran| ran.event == event));
    }
}

#[test]
fn what_mends_itself_at_once_is_told_to_nobody() {
    let mut world = World::new(telling(&["www"], &LASTING));
    world.say("www", [issued(-1, 90)]);
    world.failing_stages = 1;
    world.pass(HOUR);
    assert_eq!((world.phase("www"), told(&world)), ("guarding".into(), Vec::new()));
    let mut world = World::new(telling(&["www"], &LASTING));
    world.say("www", [issued(-1, 90)]);
    world.failing_stages = 4;
    world.pass(HOUR);
    let expected = [
        (HookEvent::Failed, "www cannot be installed".to_owned()),
        (HookEvent::Recovered, "www is in order again".to_owned()),
    ];
    assert_eq!((world.phase("www"), told(&world)), ("guarding".into(), expected.into()));
}

#[test]
fn that_nothing_can_be_saved_is_told_all_the_same() {
    let mut world = World::new(telling(&["www"], &LASTING));
    world.pass(HOUR);
    world.failing_saves = usize::MAX;
    world.command(Command::Poll("www".into()));
    world.pass(10 * MINUTE);
    let (summary, next) = messages(&world)[0].told[0].clone();
    assert!(summary.starts_with("the state cannot be saved"), "{summary}");
    assert_eq!(next, "certcollectd check");
    assert_eq!(messages(&world).len(), 1);
    world.failing_saves = 0;
    world.pass(HOUR);
    let expected = (HookEvent::Recovered, "the state can be saved again".into());
    assert_eq!(told(&world).split_off(1), [expected]);
}

#[test]
fn a_configuration_that_is_no_longer_sound_is_told() {
    let mut world = World::new(telling(&["www"], &LASTING));
    world.handle(Event::Misconfigured);
    world.pass(10 * SECOND);
    assert!(messages(&world).is_empty(), "an editor may be at work");
    world.pass(HOUR / 2);
    assert!(told(&world)[0].1.contains("the one before stays in force"), "{:?}", told(&world));
    world.reload((*world.config).clone());
    world.pass(MINUTE);
    let expected = (HookEvent::Recovered, "the configuration is sound again, and in force".into());
    assert_eq!(told(&world).split_off(1), [expected]);
}

#[test]
fn a_vendor_that_cannot_be_reached_is_told_after_three_tries() {
    let refused = || {
        let why = certcollectd_core::api::Failure::Connect("connection refused".into());
        Say::Fail(why)
    };
    let mut world = World::new(telling(&["www"], &LASTING));
    world.say("www", [refused(), refused(), refused(), refused(), issued(-1, 90)]);
    world.pass(3 * HOUR);
    let all = told(&world);
    assert!(all[0].1.starts_with("account main cannot reach the vendor"), "{all:?}");
    assert_eq!(all[1..], [(HookEvent::Recovered, "account main reaches the vendor again".into())]);
}

#[test]
fn another_number_ends_what_was_told_of_the_one_before() {
    let mut config = telling(&["www"], &LASTING);
    let mut world = World::new(config.clone());
    world.say("www", [Say::text("errorCode=-20&errorMessage=Rejected")]);
    world.pass(HOUR / 2);
    assert_eq!(told(&world), [(HookEvent::Failed, "www is rejected".into())]);
    config.orders[0].handle = certcollectd_core::api::OrderRef::OrderNumber("2".into());
    world.say("2", [Say::text("errorCode=0")]);
    world.reload(config);
    world.pass(HOUR / 2);
    assert_eq!(told(&world)[1..], [(HookEvent::Recovered, "www waits for the vendor again".into())]);
}

#[test]
fn what_a_stranger_announces_is_told_in_our_words() {
    let mut world = World::new(telling(&["www"], &LASTING));
    world.say("www", [issued(-1, 90)]);
    world.pass(HOUR);
    world.handle(Event::Hinted { hint: announced("orderNumber=call+555", false) });
    world.pass(MINUTE);
    let expected = "account main: the revocation of a certificate of no order here is announced";
    assert_eq!(told(&world), [(HookEvent::Failed, expected.into())]);
    assert_eq!(messages(&world)[0].told[0].1, "certcollectd resume --account main");
}

#[test]
fn a_clock_that_is_far_off_the_vendors_is_told() {
    for (ahead, side) in [(3 * 3600, "ahead of"), (-3 * 3600, "behind")] {
        let mut world = World::new(telling(&["www"], &LASTING));
        world.say("www", [issued(-1, 90)]);
        world.clock_ahead = 600;
        world.pass(HOUR);
        assert!(messages(&world).is_empty(), "as far as dates are tolerated");
        world.clock_ahead = ahead;
        world.pass(2 * DAY);
        let expected = format!("account main: this machine's clock is 3 h {side} the vendor's");
        assert_eq!(told(&world)[0], (HookEvent::Failed, expected));
        assert_eq!(messages(&world)[0].told[0].1, "timedatectl");
        world.clock_ahead = 0;
        world.pass(2 * DAY);
        let last = told(&world).pop().unwrap();
        assert_eq!(
            last,
            (HookEvent::Recovered, "this machine's clock agrees with the vendor's again".into())
        );
    }
}

/// An account that the vendor has closed, with a message about it under way.
fn told_of_a_closed_account() -> World {
    let mut world = World::new(telling(&["www"], &LASTING));
    world.say("www", [Say::text("errorCode=-16&errorMessage=Incorrect+login+details"), issued(-1, 90)]);
    world.credential = Some(CredentialTag(1));
    world.sent_credential = Some(CredentialTag(1));
    world.hooks_hang = true;
    world.pass(MINUTE);
    assert_eq!(told(&world).len(), 1);
    world
}

#[test]
fn the_loop_sleeps_while_a_message_is_sent() {
    let world = told_of_a_closed_account();
    let wake = world.engine.next_wake();
    assert!(wake.is_none_or(|wake| wake.since(world.now.time) >= MINUTE), "{wake:?}");
}

#[test]
fn an_account_that_is_open_before_its_message_was_sent_is_told_to_be() {
    let mut world = told_of_a_closed_account();
    world.credential = Some(CredentialTag(2));
    world.sent_credential = Some(CredentialTag(2));
    world.handle(Event::CredentialTouched { account: "main".into() });
    world.pass(MINUTE);
    assert_eq!(told(&world).len(), 1, "one run of a hook at once");
    world.end_hooks();
    world.pass(MINUTE);
    let expected = (HookEvent::Recovered, "account main is open again: the vendor accepts the login".into());
    assert_eq!(told(&world).split_off(1), [expected]);
}

#[test]
fn that_all_is_over_is_told_last() {
    let mut world = World::new(telling(&["www"], &LASTING));
    world.say("www", [Say::text("errorCode=-3&errorMessage=no"), Say::text("errorCode=0")]);
    world.hook_results.insert("tell".into(), vec![failed("no route")]);
    world.pass(10 * MINUTE);
    world.command(Command::Resume("www".into()));
    world.pass(MINUTE);
    let before = told(&world).len();
    world.hook_results.clear();
    world.pass(2 * HOUR);
    let events: Vec<HookEvent> = told(&world).split_off(before).into_iter().map(|(event, _)| event).collect();
    assert_eq!(events, LASTING);
}

#[test]
fn nobody_is_told_that_it_is_over_when_it_has_begun_anew() {
    let mut world = World::new(telling(&["www"], &LASTING));
    world.say("www", [Say::text("errorCode=-3&errorMessage=no")]);
    world.pass(10 * MINUTE);
    world.say("www", [Say::text("errorCode=0"), Say::text("errorCode=-3&errorMessage=no")]);
    world.hook_results.insert("tell".into(), vec![failed("no route")]);
    world.command(Command::Resume("www".into()));
    world.pass(MINUTE);
    assert_eq!(told(&world).last().unwrap().0, HookEvent::Recovered);
    world.command(Command::Poll("www".into()));
    world.pass(MINUTE);
    let before = told(&world).len();
    world.hook_results.clear();
    world.pass(HOUR / 2);
    let events: Vec<HookEvent> = told(&world).split_off(before).into_iter().map(|(event, _)| event).collect();
    assert_eq!((world.phase("www").as_str(), &events[..]), ("attention", &[HookEvent::Failed][..]));
}

#[test]
fn what_comes_while_a_message_is_sent_is_told_after_it() {
    let mut world = World::new(telling(&["www"], &LASTING));
    world.say("www", [issued(-1, 90), Say::text("errorCode=-3&errorMessage=no")]);
    world.pass(HOUR);
    world.hooks_hang = true;
    world.command(Command::Poll("www".into()));
    world.pass(MINUTE);
    assert_eq!(told(&world).len(), 1);
    world.handle(Event::Hinted { hint: announced("orderNumber=www", true) });
    world.end_hooks();
    world.pass(MINUTE);
    assert_eq!(told(&world).len(), 2, "{:?}", told(&world));
}

#[test]
fn that_it_is_over_is_told_although_the_last_alarm_was_too_short_to_be_told() {
    let mut world = World::new(telling(&["www"], &LASTING));
    world.say("www", [issued(-2, 90)]);
    world.pass(HOUR);
    world.hook_results.insert("reload".into(), vec![failed("exit code 1"), HookResult::Done]);
    world.command(Command::Rehearse("www".into()));
    world.pass(MINUTE);
    assert_eq!(told(&world), [(HookEvent::Failed, "www: the rehearsal of its hooks failed".into())]);
    // A re-issue cannot be installed at the first try; meanwhile the hook is mended.
    world.say("www", [issued(-1, 90)]);
    world.failing_stages = 1;
    world.command(Command::Poll("www".into()));
    world.pass(2 * SECOND);
    world.command(Command::Rehearse("www".into()));
    world.pass(2 * SECOND);
    assert_eq!((world.phase("www"), told(&world).len()), ("collected".into(), 1));
    world.pass(HOUR);
    assert_eq!(world.phase("www"), "guarding");
    assert_eq!(told(&world)[1..], [(HookEvent::Recovered, "www is in order again".into())]);
}
