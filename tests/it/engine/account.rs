//! The account gate: one call at a time, with its gap; what closes it, what pauses it, and what lets one call through.

use std::time::Duration;

use certcollectd_core::api::Failure;
use certcollectd_core::engine::account::record::CredentialTag;
use certcollectd_core::engine::command::Command;
use certcollectd_core::engine::event::{Effect, Event};
use certcollectd_core::engine::id::Token;

use super::{effects, gaps};
use crate::world::{self, DAY, HOUR, Say, World};

#[test]
fn a_refused_login_is_saved_before_anything_else() {
    let mut world = World::new(world::config(&["a", "b"]));
    effects(&mut world, Event::Started);
    let outcome = Ok(certcollectd_core::api::Answer {
        status: 200,
        content_type: None,
        retry_after: None,
        date: None,
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

/// Two that fight over the password file, each with its own.
#[test]
fn a_credential_that_is_put_back_is_no_new_one() {
    let mut world = World::new(world::config(&["a"]));
    world.say("a", std::iter::repeat_n(Say::text("-16\nno"), 3));
    world.pass(HOUR);
    let first = world.credential;
    let change = |world: &mut World, tag| {
        world.credential = tag;
        world.handle(Event::CredentialTouched { account: "main".into() });
        world.pass(HOUR);
    };
    let other = Some(CredentialTag(2));
    assert_ne!(first, other);
    for round in 0..5 {
        change(&mut world, other);
        change(&mut world, first);
        world.restart();
        world.pass(DAY);
        assert_eq!(world.calls.len(), 2, "one login for each of the two, round {round}");
    }
    let resume = world.command(Command::ResumeAccount("main".into()));
    world.pass(HOUR);
    assert!(!world.reply(resume).ok && world.reply(resume).text.contains("was already tried"));
    assert_eq!(world.calls.len(), 2);
    // Whoever knows better says so, and a third one is new.
    world.command(Command::ResumeSamePassword("main".into()));
    world.pass(DAY);
    assert_eq!(world.calls.len(), 3);
    change(&mut world, other);
    assert_eq!(world.calls.len(), 3);
    world.say("a", [Say::text("errorCode=0")]);
    change(&mut world, Some(CredentialTag(3)));
    assert!(world.calls.len() > 3 && world.account_row("main").get("closed").is_none());
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
    let resume = world.command(Command::ResumeSamePassword("main".into()));
    world.pass(HOUR);
    assert_eq!(world.calls.len(), 2);
    assert!(world.replies.iter().any(|(token, _)| *token == resume), "the operator gets an answer");
    world.pass(2 * DAY);
    assert_eq!(world.calls.len(), 2);
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
        |token| Event::Commanded { token: Token(token), command: Command::ResumeSamePassword("main".into()) };
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
    world.command(Command::ResumeSamePassword("main".into()));
    world.pass(HOUR);
    assert_eq!(world.calls.len(), 3, "one refused, one that did not connect, one that opened the account");
    assert!(world.account_row("main").get("closed").is_none());
}

#[test]
fn a_probe_without_a_readable_answer_is_spent() {
    let mut world = World::new(world::config(&["a"]));
    world.say("a", [Say::text("-16\nno"), Say::Fail(world::silence()), Say::text("errorCode=0")]);
    world.pass(HOUR);
    world.command(Command::ResumeSamePassword("main".into()));
    world.pass(3 * DAY);
    assert_eq!(world.calls.len(), 2);
    assert!(world.account_row("main").get("closed").is_some());
}

/// Arguments, transport and "unknown error" may be told before the login is looked at.
#[test]
fn a_probe_that_does_not_tell_of_the_login_is_spent_and_opens_nothing() {
    for answer in [
        "-14\nUnknown error",
        "-4\nThe value of the 'orderNumber' argument is invalid!",
        "-2\nwhat",
        "-1\nno https",
        "-42\nCall limit reached",
        "-160\ngeneral error",
        "3\n",
    ] {
        let mut world = World::new(world::config(&["a", "b", "c"]));
        for name in ["a", "c"] {
            world.say(name, [Say::text("-16\nno")]);
        }
        world.say("b", [Say::text(answer), Say::text("-16\nno")]);
        world.pass(HOUR);
        let token = world.command(Command::ResumeSamePassword("main".into()));
        world.pass(3 * DAY);
        let called: Vec<&str> = world.calls.iter().map(|call| &*call.number).collect();
        assert_eq!(called, ["a", "b"], "{answer:?}");
        assert!(!world.reply(token).ok, "{}", world.reply(token).text);
        let row = world.account_row("main");
        let code = answer.split('\n').next().unwrap();
        let refusal = row["closed"]["text"].as_str().expect("it stays closed").to_owned();
        let unclear = row["closed"]["unclear"].as_str().expect("the trial call told nothing");
        assert!(refusal.contains("login refused") && unclear.contains(code), "{refusal} {unclear}");
        let tells = |said: &&str| {
            said.contains("stays closed") && said.contains(code) && said.contains("resume --account main")
        };
        assert!(world.errors().iter().any(tells), "{:?}", world.errors());
        // Another word is one more.
        world.say("c", [Say::text("-14\nUnknown error")]);
        world.command(Command::ResumeSamePassword("main".into()));
        world.pass(DAY);
        assert_eq!(world.calls.len(), 3, "{answer:?}");
        let row = world.account_row("main");
        assert_eq!(row["closed"]["text"].as_str(), Some(&*refusal));
        let unclear = row["closed"]["unclear"].as_str().unwrap();
        assert!(unclear.contains("-14"), "the last one is told: {unclear}");
    }
}

#[test]
fn what_is_said_of_an_order_or_a_right_opens_the_account() {
    for answer in ["errorCode=0", "-20\nRejected", "-22\nPayment pending", "-91\nno permission"] {
        let mut world = World::new(world::config(&["a"]));
        world.say("a", [Say::text("-16\nno"), Say::text(answer)]);
        world.pass(HOUR);
        world.command(Command::ResumeSamePassword("main".into()));
        world.pass(HOUR);
        assert!(world.account_row("main").get("closed").is_none(), "{answer:?}");
    }
}

#[test]
fn a_probe_whose_answer_never_came_is_told() {
    let mut world = World::new(world::config(&["a"]));
    world.say("a", [Say::text("-16\nno"), Say::Fail(world::silence())]);
    world.pass(HOUR);
    world.command(Command::ResumeSamePassword("main".into()));
    world.pass(HOUR);
    let said = world.errors().last().unwrap().to_string();
    assert!(said.contains("main stays closed") && said.contains("no complete answer"), "{said}");
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
fn the_operator_is_told_when_the_login_is_refused_again() {
    let mut world = World::new(world::config(&["a", "b"]));
    world.say("a", [Say::text("-16\nIncorrect login details")]);
    world.say("b", [Say::text("-16\nIncorrect login details")]);
    world.pass(HOUR);
    let token = world.command(Command::ResumeSamePassword("main".into()));
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

/// What the vendor is known not to have seen is said at once, with what comes next.
#[test]
fn a_poll_that_cannot_be_sent_is_answered() {
    for failure in [
        Failure::Credential("permission denied".into()),
        Failure::Connect("connection refused".into()),
        Failure::Setup("ca_file".into()),
        Failure::Tls("expired".into()),
    ] {
        let mut world = World::new(world::config(&["a", "b"]));
        world.pass(HOUR);
        world.say("a", [Say::Fail(failure.clone()), Say::text("errorCode=0")]);
        let word =
            |token, name: &str| Event::Commanded { token: Token(token), command: Command::Poll(name.into()) };
        world.handle(word(71, "a"));
        let reply = world.reply(Token(71)).clone();
        assert!(!reply.ok, "{}", reply.text);
        for part in ["a was not polled: nothing was sent", &failure.to_string(), "next poll 2026-"] {
            assert!(reply.text.contains(part), "{part}: {}", reply.text);
        }
        // It does so by itself.
        let calls = world.calls.len();
        world.pass(HOUR);
        assert_eq!(world.calls.len(), calls + 1);
    }
}

#[test]
fn whoever_waits_for_the_gap_is_answered_when_the_account_closes_or_pauses() {
    for (answer, why) in
        [("-16\nno", "account main is closed"), ("-42\nlimit", "account main is paused until")]
    {
        let mut world = World::new(world::config(&["a", "b", "c"]));
        world.pass(HOUR);
        world.say("a", [Say::text(answer), Say::text("errorCode=0")]);
        let word =
            |token, name: &str| Event::Commanded { token: Token(token), command: Command::Poll(name.into()) };
        let calls = |list: Vec<Effect>| list.into_iter().find(|effect| matches!(effect, Effect::Call(_)));
        let call = calls(effects(&mut world, word(71, "a"))).expect("a call");
        assert!(calls(effects(&mut world, word(72, "c"))).is_none());
        let answered = world.one(call).expect("an answer");
        world.handle(answered);
        assert!(world.replies.iter().any(|(token, _)| *token == Token(71)));
        let reply = world.reply(Token(72)).clone();
        assert!(!reply.ok && reply.text.contains(why), "{}", reply.text);
        assert!(reply.text.contains("c was not polled: nothing was sent"), "{}", reply.text);
        if answer.starts_with("-16") {
            // What was said not to be done is not done when the account opens, be it weeks later.
            let calls = world.calls.len();
            world.command(Command::ResumeSamePassword("main".into()));
            world.pass(HOUR);
            let called: Vec<&str> = world.calls[calls..].iter().map(|call| &*call.number).collect();
            assert_eq!(called, ["b"], "the one that is due first");
        }
    }
}

#[test]
fn a_poll_whose_record_cannot_be_saved_is_answered() {
    let mut world = World::new(world::config(&["a"]));
    world.pass(HOUR);
    world.failing_saves = 1;
    let token = world.command(Command::Poll("a".into()));
    assert!(!world.reply(token).ok);
    assert!(world.reply(token).text.contains("the state cannot be saved"), "{}", world.reply(token).text);
    // Nor is anybody kept waiting who comes meanwhile.
    let calls = world.calls.len();
    let token = world.command(Command::Poll("a".into()));
    assert!(world.reply(token).text.contains("the state cannot be saved"), "{}", world.reply(token).text);
    world.pass(HOUR);
    assert_eq!(world.calls.len(), calls + 1);
}

#[test]
fn a_second_word_during_the_one_call_is_answered_with_it() {
    let mut world = World::new(world::config(&["a", "b", "c"]));
    world.say("a", [Say::text("-16\nno")]);
    world.say("b", [Say::text("-16\nno")]);
    world.pass(HOUR);
    let word =
        |token| Event::Commanded { token: Token(token), command: Command::ResumeSamePassword("main".into()) };
    let calls = |list: Vec<Effect>| list.into_iter().find(|effect| matches!(effect, Effect::Call(_)));
    let call = calls(effects(&mut world, word(101))).expect("a call");
    assert!(calls(effects(&mut world, word(102))).is_none());
    let answered = world.one(call).expect("an answer");
    world.handle(answered);
    for token in [101, 102] {
        assert!(!world.reply(Token(token)).ok);
    }
}

#[test]
fn a_poll_without_a_readable_answer_has_failed() {
    for answer in
        [Say::Fail(world::silence()), Say::Body(500, b"x".to_vec()), Say::text("<html>portal"), Say::text("")]
    {
        let mut world = World::new(world::config(&["a"]));
        world.pass(HOUR);
        world.say("a", [answer]);
        let token = world.command(Command::Poll("a".into()));
        let reply = world.reply(token);
        assert!(!reply.ok && reply.text.contains("next poll"), "{}", reply.text);
        assert_eq!(reply.data["login"], "unknown");
    }
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
fn a_poll_that_waits_holds_up_no_rollback() {
    let mut world = World::new(world::config(&["www"]));
    world.say("www", [super::issued(-2, 90), super::issued(-1, 90)]);
    world.pass(2 * DAY);
    world.say("www", vec![Say::Fail(Failure::Connect("no route".into())); 1000]);
    let poll = world.command(Command::Poll("www".into()));
    assert!(!world.reply(poll).ok);
    let back = world.command(Command::Rollback("www".into()));
    assert!(world.reply(back).ok, "{}", world.reply(back).text);
}
