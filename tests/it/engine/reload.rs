//! Another configuration comes into force while something is under way.

use std::sync::Arc;
use std::time::Duration;

use certcollectd_core::api::{Failure, OrderRef};
use certcollectd_core::config::{Account, Config, HookEvent};
use certcollectd_core::engine::command::Command;
use certcollectd_core::engine::event::{Effect, Event};
use certcollectd_core::engine::hooks::run::HookResult;
use certcollectd_core::engine::id::Token;

use super::{gaps, issued, with_hook};
use crate::world::{self, DAY, HOUR, Say, World};

/// Carries out everything but calls, which are left under way.
fn fly(world: &mut World, event: Event) -> Vec<Effect> {
    let mut flying = Vec::new();
    let mut events = vec![event];
    while let Some(event) = events.pop() {
        for effect in world.engine.handle(event, world.now) {
            match effect {
                Effect::Save(changes) => world.save(&changes),
                call @ Effect::Call(_) => flying.push(call),
                other => events.extend(world.one(other)),
            }
        }
    }
    flying
}

/// The answer to the one call that is under way.
fn land(world: &mut World, mut flying: Vec<Effect>) {
    assert_eq!(flying.len(), 1);
    let answer = world.one(flying.remove(0)).expect("a call has an answer");
    world.handle(answer);
}

fn account(name: &str, login: &str) -> Arc<Account> {
    Arc::new(Account { login_name: login.into(), ..(*world::account(name)).clone() })
}

fn with_number(mut config: Config, number: &str) -> Config {
    config.orders[0].handle = OrderRef::OrderNumber(number.into());
    config
}

fn accounts_called(world: &World) -> Vec<&str> {
    world.calls.iter().map(|call| &*call.account).collect()
}

#[test]
fn a_refused_login_closes_the_account_though_its_order_is_gone() {
    let renamed = || with_number(world::config(&["web", "b"]), "a");
    for after in [world::config(&["b"]), renamed(), with_number(world::config(&["a", "b"]), "new")] {
        let mut world = World::new(world::config(&["a", "b"]));
        for number in ["a", "b", "new"] {
            world.say(number, [Say::text("-16\nno")]);
        }
        let flying = fly(&mut world, Event::Started);
        world.reload(after);
        land(&mut world, flying);
        world.pass(30 * DAY);
        assert_eq!(world.calls.len(), 1, "one login");
        assert!(world.account_row("main").get("closed").is_some());
    }
}

#[test]
fn an_answer_about_one_number_is_none_about_another() {
    for answer in [Say::text("-20\nRejected"), issued(-1, 90), Say::Fail(Failure::Connect("refused".into()))]
    {
        let mut world = World::new(world::config(&["a"]));
        world.say("a", [answer]);
        world.say("new", [Say::text("errorCode=0")]);
        let flying = fly(&mut world, Event::Started);
        world.reload(with_number(world::config(&["a"]), "new"));
        land(&mut world, flying);
        assert_eq!((world.phase("a"), world.seen("a")), ("waiting".into(), None));
        world.pass(DAY);
        assert!(gaps(&world, "new").len() > 5, "the new number is asked about: {:?}", world.calls);
    }
}

#[test]
fn a_number_keeps_its_interval_whatever_its_entry_named_meanwhile() {
    for (restart, flying) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut world = World::new(world::config(&["www"]));
        world.say("www", [Say::text("errorCode=0")]);
        let under_way = if flying { fly(&mut world, Event::Started) } else { Vec::new() };
        if !flying {
            world.pass(Duration::from_secs(60));
        }
        world.reload(with_number(world::config(&["www"]), "typo"));
        if flying {
            world.now.time.0 += 20_000;
            world.now.wall += 20_000;
            land(&mut world, under_way);
        }
        world.pass(Duration::from_secs(60));
        if restart {
            world.restart();
        }
        world.reload(with_number(world::config(&["www"]), "www"));
        world.pass(DAY);
        let gaps = gaps(&world, "www");
        assert!(gaps.len() > 5, "{gaps:?}");
        assert!(gaps.iter().all(|gap| *gap >= 3 * HOUR), "restart {restart}, flying {flying}: {gaps:?}");
    }
}

#[test]
fn an_order_goes_with_the_name_of_its_account_to_another_login() {
    let mut config = world::config(&["www"]);
    let mut world = World::new(config.clone());
    world.pass(HOUR);
    assert_eq!(accounts_called(&world), ["main"]);
    config.accounts = vec![account("old", "login"), account("main", "second")];
    world.reload(config);
    world.pass(DAY);
    assert!(world.calls.len() > 5 && accounts_called(&world).iter().all(|name| *name == "main"));
}

#[test]
fn an_order_goes_on_when_another_account_takes_the_name_of_its_own() {
    let mut config = world::config(&["www", "b"]);
    config.accounts = vec![account("main", "login"), account("second", "other")];
    config.orders[1].account = "second".into();
    let mut world = World::new(config.clone());
    world.pass(HOUR);
    config.accounts = vec![account("main", "other")];
    config.orders[1].account = "main".into();
    world.reload(config);
    world.pass(DAY);
    for number in ["www", "b"] {
        assert!(gaps(&world, number).len() > 5, "{:?}", world.calls);
        assert!(gaps(&world, number).iter().all(|gap| *gap >= 3 * HOUR));
    }
}

/// Found by the simulation, seed 9973 of 365 days.
#[test]
fn an_order_that_comes_back_to_an_account_of_another_name_keeps_its_time_through_a_crash() {
    let mut config = world::config(&["www", "b"]);
    let mut world = World::new(config.clone());
    world.pass(HOUR);
    world.reload(world::config(&["b"]));
    world.pass(Duration::from_secs(60));
    config.accounts = vec![account("second", "login")];
    config.orders.iter_mut().for_each(|order| order.account = "second".into());
    world.reload(config);
    world.restart();
    world.pass(DAY);
    for number in ["www", "b"] {
        assert!(gaps(&world, number).len() > 5, "{:?}", world.calls);
        assert!(gaps(&world, number).iter().all(|gap| *gap >= 3 * HOUR), "{:?}", gaps(&world, number));
    }
}

#[test]
fn an_answer_comes_back_to_the_account_that_lost_its_name() {
    let mut config = world::config(&["www", "b"]);
    config.accounts = vec![account("a", "x"), account("b", "y")];
    config.orders[0].account = "a".into();
    config.orders[1].account = "b".into();
    let mut world = World::new(config.clone());
    world.say("www", [Say::text("-20\nRejected"), Say::text("errorCode=0")]);
    let flying = fly(&mut world, Event::Started);
    assert_eq!(flying.len(), 2);
    config.accounts = vec![account("a", "y")];
    config.orders[1].account = "a".into();
    world.reload(config);
    for call in flying {
        let answer = world.one(call).unwrap();
        world.handle(answer);
    }
    world.pass(10 * DAY);
    assert_eq!((world.phase("www"), world.phase("b")), ("waiting".into(), "waiting".into()));
    assert!(gaps(&world, "www").len() > 5 && gaps(&world, "b").len() > 5, "{:?}", world.calls);
}

#[test]
fn an_order_can_be_removed_after_a_crash_in_mid_call() {
    let mut world = World::new(world::config(&["a", "b"]));
    drop(fly(&mut world, Event::Started));
    world.restart();
    world.pass(Duration::from_secs(60));
    world.reload(world::config(&["a"]));
    world.pass(DAY);
    assert!(world.calls.len() > 5);
}

#[test]
fn a_rehearsal_of_an_order_that_is_removed_ends_with_a_reply() {
    let mut config = world::config(&["a", "www"]);
    for name in ["one", "two"] {
        config.hooks.push(world::hook(name));
        world::change(&mut config.orders[1], |settings| settings.hooks.push(name.into()));
    }
    let mut world = World::new(config.clone());
    world.say("www", [issued(-1, 90)]);
    world.pass(HOUR);
    let token = Token(99);
    let command = Event::Commanded { token, command: Command::Rehearse("www".into()) };
    let effects = world.engine.handle(command, world.now);
    let run = effects.into_iter().find_map(|effect| match effect {
        Effect::RunHook(run) => Some(run.run),
        _ => None,
    });
    config.orders.pop();
    world.reload(config);
    world.handle(Event::HookEnded { run: run.expect("the first hook runs"), result: HookResult::Done });
    let reply = world.reply(token);
    assert!(!reply.ok, "{}", reply.text);
    assert!(
        reply.text.contains("hook one: done") && reply.text.contains("hook two: not run"),
        "{}",
        reply.text
    );
}

#[test]
fn a_hook_that_stops_listening_to_one_event_is_still_owed_for_another() {
    let mut config = with_hook("www");
    let listening = |on: &[HookEvent]| {
        let mut hook = (*world::hook("reload")).clone();
        hook.on = on.to_vec();
        Arc::new(hook)
    };
    config.hooks[0] = listening(&[HookEvent::Installed, HookEvent::Failed]);
    config.orders[0].domains = Box::new(["other.example.com".into()]);
    let mut world = World::new(config.clone());
    world.hook_results.insert("reload".into(), vec![HookResult::Done, super::failed("exit 1")]);
    world.say("www", [issued(-1, 90)]);
    world.pass(HOUR / 2);
    assert_eq!((world.phase("www"), world.ran.len()), ("quarantined".into(), 1));
    config.orders[0].domains = Box::new([]);
    world.reload(config.clone());
    world.pass(Duration::from_secs(30));
    assert_eq!((world.phase("www"), world.ran.len()), ("deploying".into(), 2));
    config.hooks[0] = listening(&[HookEvent::Installed]);
    world.reload(config);
    assert_eq!(world.phase("www"), "deploying", "still owed");
    world.hook_results.clear();
    world.pass(HOUR);
    assert_eq!((world.phase("www"), world.ran.len()), ("guarding".into(), 3));
}

#[test]
fn a_word_about_one_number_is_none_about_another() {
    let mut world = World::new(world::config(&["a", "b"]));
    world.pass(HOUR);
    world.command(Command::Poll("a".into()));
    // Within the gap after that call.
    let token = world.command(Command::Poll("b".into()));
    let mut config = world::config(&["a", "b"]);
    config.orders[1].handle = OrderRef::OrderNumber("new".into());
    world.reload(config.clone());
    assert!(world.reply(token).text.contains("now names another order"));
    world.pass(Duration::from_secs(60));
    config.orders[1].handle = OrderRef::OrderNumber("b".into());
    world.reload(config);
    world.pass(DAY);
    assert!(gaps(&world, "b").iter().all(|gap| *gap >= 3 * HOUR), "{:?}", world.calls);
}

#[test]
fn a_closed_account_that_loses_its_name_stays_closed() {
    for restart in [false, true] {
        let with = |accounts: &[(&str, &str)]| {
            let mut config = world::config(&["www", "b"]);
            config.accounts = accounts.iter().map(|(name, login)| account(name, login)).collect();
            config.orders[0].account = accounts[0].0.into();
            config.orders[1].account = accounts[accounts.len() - 1].0.into();
            config
        };
        let mut world = World::new(with(&[("a", "one"), ("b", "two")]));
        world.say("b", [Say::text("-16\nno")]);
        world.pass(HOUR);
        // The first login takes the name of the one that is closed, and that one is gone.
        let put = |world: &mut World, config: Config| {
            if restart {
                world.config = Arc::new(config);
                world.restart();
            } else {
                world.reload(config);
            }
        };
        put(&mut world, with(&[("b", "one")]));
        world.pass(HOUR);
        world.restart();
        let before = world.calls.len();
        put(&mut world, with(&[("b", "one"), ("c", "two")]));
        world.pass(10 * DAY);
        assert!(world.calls.len() > before);
        let refused = world.calls[before..].iter().filter(|call| call.account == "c").count();
        assert_eq!(refused, 0, "restart {restart}");
    }
}

#[test]
fn an_order_that_was_removed_and_added_again_is_what_it_is_now() {
    let with = |account_of_www: Option<&str>, first: &str| {
        let mut config = world::config(&["b", "www"]);
        config.accounts = vec![account(first, "one"), account("c", "two")];
        config.orders[0].account = first.into();
        match account_of_www {
            Some(name) => config.orders[1].account = name.into(),
            None => _ = config.orders.pop(),
        }
        config
    };
    let mut world = World::new(with(Some("a"), "a"));
    world.say("b", [Say::text("-16\nno")]);
    world.say("www", [issued(-1, 90)]);
    world.pass(HOUR);
    world.reload(with(None, "a"));
    world.reload(with(Some("c"), "a"));
    world.pass(HOUR);
    assert_eq!(world.phase("www"), "guarding");
    world.reload(with(Some("c"), "a2"));
    let calls = world.calls.len();
    world.restart();
    world.pass(HOUR);
    assert_eq!(world.phase("www"), "guarding");
    assert_eq!(world.calls.len(), calls, "neither forgotten nor asked about anew");
}

#[test]
fn the_floor_of_a_removed_order_is_saved() {
    let mut world = World::new(world::config(&["a", "b"]));
    world.say("a", [Say::text("errorCode=0")]);
    let flying = fly(&mut world, Event::Started);
    world.reload(world::config(&["b"]));
    world.now.time.0 += 50_000;
    world.now.wall += 50_000;
    let answered = world.now.time;
    land(&mut world, flying);
    world.pass(Duration::from_secs(60));
    world.restart();
    world.reload(world::config(&["a", "b"]));
    world.pass(DAY);
    let again = world.calls.iter().filter(|call| call.number == "a").nth(1).expect("it is asked about again");
    assert!(again.at.since(answered) >= 3 * HOUR, "{:?}", again.at.since(answered));
}

#[test]
fn a_number_keeps_its_interval_though_a_call_about_another_was_not_sent() {
    let swapped = || {
        let mut config = world::config(&["a", "b"]);
        config.orders[0].handle = OrderRef::OrderNumber("b".into());
        config.orders[1].handle = OrderRef::OrderNumber("a".into());
        config
    };
    for saved in [true, false] {
        let mut world = World::new(world::config(&["a", "b"]));
        world.pass(HOUR);
        // Both were asked about; the operator wants `a` asked about again.
        world.say("a", [Say::Fail(Failure::Connect("no route".into())), Say::text("errorCode=0")]);
        let word = Event::Commanded { token: Token(9), command: Command::Poll("a".into()) };
        let flying = fly(&mut world, word);
        world.failing_saves = usize::from(!saved);
        world.reload(swapped());
        land(&mut world, flying);
        let before = world.calls.iter().filter(|call| call.number == "b").count();
        world.pass(HOUR);
        let after = world.calls.iter().filter(|call| call.number == "b").count();
        assert_eq!(after, before, "saved {saved}: {:?}", gaps(&world, "b"));
    }
}
