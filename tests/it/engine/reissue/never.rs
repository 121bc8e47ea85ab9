//! What must never happen, whatever happens meanwhile.

use super::*;

#[test]
fn a_look_is_good_for_the_call_right_behind_it_only() {
    let mut case = Case::new();
    let polls = case.world.calls.len();
    let token = case.reissue();
    while case.world.calls.len() == polls {
        case.world.pass(SECOND);
    }
    // The process is stopped for an hour, in which anything may have happened at the vendor.
    let hour = i64::try_from(HOUR.as_millis()).unwrap();
    case.world.now = Now { time: case.world.now.time + HOUR, wall: case.world.now.wall + hour };
    case.world.handle(Event::Woke);
    assert_eq!((case.sent(), case.stage().as_str()), (0, "preparing"));
    assert!(case.reply(token).text.contains("nothing was sent"), "{}", case.reply(token).text);
    case.world.pass(DAY);
    assert_eq!((case.sent(), case.stage().as_str()), (1, "open"), "another look, and then the call");
}

fn answer(case: &mut Case, text: &str) {
    let outcome = Ok(certcollectd_core::api::Answer {
        status: 200,
        content_type: None,
        retry_after: None,
        date: None,
        body: bytes::Bytes::from(text.as_bytes().to_vec()),
    });
    case.world.handle(Event::Answered { account: "main".into(), outcome, credential: None });
}

#[test]
fn a_call_in_flight_is_not_replaced_by_another_intent() {
    let mut case = Case::new();
    case.world.surveys.insert("www".into(), vec![missing()]);
    case.reissue();
    case.world.surveys.insert("www".into(), vec![seen()]);
    case.reissue();
    case.pass_to_the_call();
    let first = case.world.record("www")["reissue"]["unique"].clone();
    let token = case.reissue_with(|command| {
        command.again = true;
        command.dcv = Some(Dcv::Reuse);
    });
    assert!(case.reply(token).text.contains("nothing was sent"), "{}", case.reply(token).text);
    answer(&mut case, "errorCode=0");
    case.world.pass(DAY);
    assert_eq!(case.world.record("www")["reissue"]["unique"], first);
    assert_eq!(case.stage(), "open");
}

#[test]
fn an_answer_does_not_reach_another_number() {
    let mut case = Case::new();
    case.world.surveys.insert("www".into(), vec![missing()]);
    case.reissue();
    case.world.surveys.insert("www".into(), vec![seen()]);
    let token = case.reissue();
    case.pass_to_the_call();
    let mut config = (*case.world.config).clone();
    config.orders[0].handle = certcollectd_core::api::OrderRef::OrderNumber("other".into());
    case.world.reload(config);
    assert!(case.reply(token).text.contains("it is unclear"), "{}", case.reply(token).text);
    answer(&mut case, "errorCode=0");
    case.world.pass(SECOND * 2);
    let record = case.world.record("www");
    assert!(record["reissue_ms"].is_null() && record["reissue"].is_null(), "{record:#}");
}

#[test]
fn a_dry_run_is_answered_whatever_the_order_waits_for() {
    let mut case = Case::new();
    case.world.failing_swaps = 1000;
    case.world.say("www", [leaf(&case.key, NAMES, 0, 90)]);
    case.world.command(Command::Poll("www".into()));
    case.world.pass(HOUR);
    let token = case.reissue_with(|command| command.dry_run = true);
    case.world.pass(SECOND * 30);
    assert!(case.world.replies.iter().any(|(known, _)| *known == token), "staged");

    let mut case = Case::new();
    case.world.failing_stages = 1000;
    case.world.say("www", [leaf(&case.key, NAMES, 0, 90)]);
    case.world.command(Command::Poll("www".into()));
    case.world.pass(HOUR);
    let token = case.reissue_with(|command| command.dry_run = true);
    case.world.pass(SECOND * 30);
    assert!(case.world.replies.iter().any(|(known, _)| *known == token), "collected");

    let mut case = Case::new();
    case.world.say("www", [leaf(&case.key, NAMES, 30, 90)]);
    case.world.command(Command::Poll("www".into()));
    case.world.pass(HOUR);
    let token = case.reissue_with(|command| command.dry_run = true);
    case.world.pass(SECOND * 30);
    assert!(case.world.replies.iter().any(|(known, _)| *known == token), "not yet valid");
    let token = case.reissue_with(|command| command.dcv = Some(Dcv::Reuse));
    case.world.pass(SECOND * 30);
    assert!(case.world.replies.iter().any(|(known, _)| *known == token), "not yet valid");
}

#[test]
fn a_renamed_order_does_not_use_a_token_again() {
    let mut case = Case::new();
    case.world.say(REPLACE, [Say::text("errorCode=-15&errorMessage=no"), Say::text("errorCode=0")]);
    case.reissue();
    case.world.pass(HOUR);
    assert_eq!(case.sent(), 1);
    let unique = case.world.record("www")["reissue"]["unique"].clone();
    let mut config = (*case.world.config).clone();
    config.orders[0].name = "web".into();
    case.world.requests.insert("web".into(), case.world.requests["www"].clone());
    case.world.reload(config);
    case.world.pass(DAY);
    assert_eq!(case.world.phase("web"), "guarding");
    case.reissue_with(|command| command.order = "web".into());
    case.world.pass(HOUR);
    assert_ne!(case.world.record("web")["reissue"]["unique"], unique);
}

#[test]
fn an_order_that_needs_a_person_is_not_polled_for_its_re_issue() {
    let mut case = Case::new();
    case.world.surveys.insert("www".into(), vec![missing()]);
    case.reissue();
    case.world.say("www", [Say::text("errorCode=-2&errorMessage=no")]);
    case.world.command(Command::Poll("www".into()));
    case.world.pass(HOUR);
    assert_eq!(case.world.phase("www"), "attention");
    let polls = case.world.calls.len();
    case.world.say("www", [case.installed.clone()]);
    case.world.surveys.insert("www".into(), vec![seen()]);
    let token = case.reissue();
    case.world.pass(DAY);
    assert_eq!((case.world.calls.len(), case.sent()), (polls, 0));
    case.stops(token, "certcollectd resume www");
    case.world.command(Command::Resume("www".into()));
    case.world.pass(DAY);
    assert_eq!((case.sent(), case.stage().as_str()), (1, "open"));
}

#[test]
fn one_that_was_made_after_all_is_not_asked_for_again() {
    let lost = || {
        let mut case = Case::new();
        case.world.say(REPLACE, [Say::Fail(world::silence()), Say::text("errorCode=0")]);
        case.reissue();
        case.world.pass(30 * SECOND);
        assert_eq!(case.stage(), "unclear");
        case.world.surveys.insert("www".into(), vec![missing()]);
        let first = case.world.record("www")["reissue"]["unique"].clone();
        case.reissue_with(|command| command.again = true);
        assert_eq!(case.stage(), "preparing");
        assert_ne!(case.world.record("www")["reissue"]["unique"], first);
        case.world.restart();
        (case, first)
    };
    let (mut case, first) = lost();
    case.world.say("www", [Say::text("errorCode=0")]);
    case.world.command(Command::Poll("www".into()));
    case.world.pass(HOUR);
    assert_eq!((case.sent(), case.stage().as_str()), (1, "open"));
    assert_eq!(case.world.record("www")["reissue"]["unique"], first);
    assert_eq!(case.ran(HookEvent::DcvPublish), 3, "its own proof is published again");
    // What it brings is compared with what was installed, whatever was prepared since.
    let (mut case, _) = lost();
    let before = case.world.seen("www");
    case.world.say("www", [leaf(&case.key, &["shop.example.org"], 0, 90)]);
    case.world.command(Command::Poll("www".into()));
    case.world.pass(HOUR);
    assert_eq!(case.world.phase("www"), "quarantined");
    assert_eq!(case.world.seen("www"), before);
}

#[test]
fn what_relies_on_an_earlier_proof_publishes_and_removes_nothing() {
    let mut case = Case::new();
    case.reissue_with(|command| command.dcv = Some(Dcv::Reuse));
    case.world.pass(HOUR);
    case.world.say("www", [leaf(&case.key, NAMES, 0, 90)]);
    case.world.pass(DAY);
    assert_eq!(case.stage(), "closed");
    assert_eq!((case.ran(HookEvent::DcvPublish), case.ran(HookEvent::DcvRemove)), (0, 0));
}

#[test]
fn a_unique_value_in_other_letters_is_the_same_record() {
    let mut case = Case::new();
    case.world.say(REPLACE, [Say::text("errorCode=-15&errorMessage=no")]);
    case.reissue_with(|command| command.unique = Some("abc123".into()));
    case.world.pass(HOUR);
    assert_eq!(case.sent(), 1);
    let token = case.reissue_with(|command| {
        command.again = true;
        command.unique = Some("ABC123".into());
    });
    assert!(case.reply(token).text.contains("was sent before"), "{}", case.reply(token).text);
}

#[test]
fn one_that_was_taken_and_withdrawn_is_not_waited_for_for_ever() {
    let mut case = Case::new();
    case.reissue();
    case.world.pass(HOUR);
    let waits = Say::text("errorCode=0");
    case.world.say("www", [case.installed.clone(), waits.clone(), case.installed.clone(), waits]);
    case.world.pass(4 * DAY);
    assert_eq!(case.stage(), "open");
    case.world.say("www", [case.installed.clone()]);
    case.world.pass(3 * DAY);
    assert_eq!((case.sent(), case.stage().as_str()), (1, "unclear"), "nothing is repeated by itself");
    let token = case.reissue();
    assert!(case.reply(token).text.contains("--again"), "{}", case.reply(token).text);
    let token = case.reissue_with(|command| command.again = true);
    case.world.pass(HOUR);
    assert!(case.reply(token).ok, "{}", case.reply(token).text);
    assert_eq!(case.sent(), 2);
}

#[test]
fn what_stops_it_now_is_told_and_not_what_did_before() {
    let mut case = Case::new();
    case.world.say("www", [Say::text("errorCode=0")]);
    let token = case.reissue_with(|command| command.dcv = Some(Dcv::Reuse));
    case.world.pass(HOUR);
    case.stops(token, "under way at the vendor");
    case.world.say("www", [Say::text("errorCode=-20&errorMessage=no")]);
    case.world.command(Command::Poll("www".into()));
    case.world.pass(HOUR);
    let token = case.reissue();
    case.stops(token, "certcollectd resume www");
}

#[test]
fn what_a_person_published_is_seen_although_the_hook_fails() {
    let mut case = Case::new();
    case.world.hook_results.insert("dns".into(), vec![failed("exit code 1")]);
    case.reissue();
    assert!(case.world.surveyed.is_empty());
    let token = case.reissue();
    case.world.pass(HOUR);
    assert!(case.reply(token).ok, "{}", case.reply(token).text);
    assert_eq!((case.sent(), case.stage().as_str()), (1, "open"));
}

#[test]
fn one_that_could_not_be_sent_leaves_the_unclear_one_before_it() {
    let mut case = Case::new();
    case.world.say(REPLACE, [Say::Fail(world::silence()), Say::Fail(Failure::Connect("refused".into()))]);
    case.reissue();
    case.world.pass(DAY);
    assert_eq!(case.stage(), "unclear");
    case.reissue_with(|command| command.again = true);
    case.world.pass(60 * SECOND);
    assert_eq!(case.stage(), "preparing");
    case.world.command(Command::WithdrawReissue("www".into()));
    case.world.pass(SECOND);
    assert_eq!(case.stage(), "unclear", "nobody knows of the first one what became of it");
}
