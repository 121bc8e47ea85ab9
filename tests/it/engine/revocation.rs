//! The announcement of a revocation: an alarm until the order has a newer certificate.

use certcollectd::status::page::View;
use certcollectd::status::{Exposition, Screen, Status, Verdict, verdict};
use certcollectd_core::api::push::{Hint, parse};
use certcollectd_core::config::HookEvent;
use certcollectd_core::engine::command::Command;
use certcollectd_core::engine::event::Event;
use certcollectd_core::engine::time::Now;

use super::{SECOND, issued, with_hook};
use crate::world::{self, DAY, HOUR, Say, World};

pub(super) fn announced(rest: &str, proven: bool) -> Hint {
    let body = format!("eventType=PreRevocationNotification&revocationDate=2026-12-01&{rest}");
    Hint { proven, ..parse(b"", body.as_bytes()).unwrap() }
}

fn status(world: &World) -> Status {
    Status::new(&world.config, &world.load(), world.now)
}

/// An installed order, with a hook for what fails.
fn guarded() -> World {
    let mut config = with_hook("www");
    let mut hook = (*world::hook("page")).clone();
    hook.on = vec![HookEvent::Failed];
    config.hooks.push(hook.into());
    world::change(&mut config.orders[0], |settings| settings.hooks.push("page".into()));
    let mut world = World::new(config);
    world.say("www", [issued(-2, 90)]);
    world.pass(HOUR);
    assert_eq!(world.phase("www"), "guarding");
    world
}

fn paged(world: &World) -> usize {
    world.ran.iter().filter(|ran| ran.hook == "page").count()
}

#[test]
fn it_is_an_alarm_until_a_newer_certificate_is_in_place() {
    for proven in [false, true] {
        let mut world = guarded();
        for _ in 0..3 {
            world.handle(Event::Hinted { hint: announced("orderNumber=www", proven) });
            world.pass(10 * SECOND);
        }
        assert_eq!(paged(&world), 1, "told once, however often it comes");
        let errors = world.errors().into_iter().filter(|text| text.contains("will revoke")).count();
        assert_eq!(errors, 1, "{:?}", world.errors());
        let alarmed = |world: &World| {
            let (worst, line) = verdict(&status(world));
            assert_eq!(worst, Verdict::Critical, "{line}");
            assert!(line.contains("www is about to be revoked") && line.contains("2026-12-01"), "{line}");
            assert!(world.engine.summary().attention == 1);
        };
        alarmed(&world);
        assert_eq!(world.phase("www"), "guarding", "it proves nothing");
        world.restart();
        world.pass(10 * DAY);
        world.reload((*world.config).clone());
        world.command(Command::Resume("www".into()));
        world.command(Command::ResumeAccount("main".into()));
        world.reboot(DAY);
        alarmed(&world);
        let shown = status(&world);
        let threat = "is about to be revoked: re-issue it now (";
        for (text, tells) in [
            (shown.table(&Screen::default()), threat),
            (shown.details(&Screen::default()), "revocation announced"),
            (shown.page(View::default()), threat),
            (shown.metrics(Exposition::Text), "order_revocation_announced{order=\"www\"} 1"),
        ] {
            assert!(text.contains(tells), "{tells}: {text}");
        }
        world.say("www", [issued(-1, 90)]);
        world.pass(2 * DAY);
        assert_eq!(verdict(&status(&world)).0, Verdict::Ok);
        assert!(world.kinds().contains(&"revocation-answered"));
        assert_eq!(world.engine.summary().attention, 0);
        // Back to the threatened one: a second announcement is a new alarm.
        let told = paged(&world);
        world.handle(Event::Hinted { hint: announced("orderNumber=www", proven) });
        world.pass(10 * SECOND);
        assert_eq!(paged(&world), told + 1);
        let back = world.command(Command::Rollback("www".into()));
        assert!(world.reply(back).ok);
        alarmed(&world);
    }
}

#[test]
fn it_may_name_the_certificate_instead_of_the_order() {
    let mut world = guarded();
    let serial = status(&world).orders[0].certificate.as_ref().unwrap().serial.clone();
    let spelled: Vec<&str> = (0..serial.len()).step_by(2).map(|at| &serial[at..at + 2]).collect();
    let spelled = format!("serialNumber=00:{}", spelled.join(":").to_uppercase());
    world.handle(Event::Hinted { hint: announced(&spelled, true) });
    world.pass(10 * SECOND);
    assert!(status(&world).orders[0].revocation_announced.is_some());
    // The number that the vendor gave the certificate when it was collected.
    let mut world = World::new(world::config(&["www"]));
    let leaf = super::certificate(&["www.example.com"], -1, 90);
    let answer = [&crate::certs::issued(&leaf)[..], b"&certificateID=4711"].concat();
    world.say("www", [Say::Body(200, answer)]);
    world.pass(HOUR);
    world.restart();
    world.handle(Event::Hinted { hint: announced("certificateId=4711", true) });
    world.pass(10 * SECOND);
    assert!(status(&world).orders[0].revocation_announced.is_some());
}

#[test]
fn the_operator_can_say_that_it_is_known() {
    let mut world = guarded();
    world.handle(Event::Hinted { hint: announced("orderNumber=www", true) });
    world.pass(10 * SECOND);
    let token = world.command(Command::Accept("www".into()));
    assert!(world.reply(token).ok, "{}", world.reply(token).text);
    world.restart();
    assert_eq!(verdict(&status(&world)).0, Verdict::Ok);
    let token = world.command(Command::Accept("www".into()));
    assert!(!world.reply(token).ok);
}

/// What is collected after the announcement may well be what is to be revoked.
#[test]
fn a_first_certificate_is_a_newer_one_only_if_it_was_made_after_that() {
    let mut world = World::new(world::config(&["www"]));
    world.pass(HOUR);
    world.say("www", [issued(-1, 90)]);
    world.handle(Event::Hinted { hint: announced("orderNumber=www", true) });
    world.pass(HOUR);
    assert_eq!(world.phase("www"), "guarding");
    assert_eq!(verdict(&status(&world)).0, Verdict::Critical);
    world.say("www", [issued(0, 90)]);
    world.pass(2 * DAY);
    assert_eq!(verdict(&status(&world)).0, Verdict::Ok);
}

#[test]
fn one_about_no_order_of_ours_alarms_the_account_for_a_week_or_until_a_word() {
    for (proven, worst) in [(false, Verdict::Warning), (true, Verdict::Critical)] {
        let mut world = guarded();
        for number in 0..50 {
            world.handle(Event::Hinted { hint: announced(&format!("orderNumber=other{number}"), proven) });
        }
        world.handle(Event::Hinted { hint: announced("", proven) });
        world.pass(10 * SECOND);
        assert_eq!(paged(&world), 1, "a flood is one message");
        let notes = world.kinds().into_iter().filter(|kind| *kind == "revocation-announced").count();
        assert!((1..=9).contains(&notes), "{notes}");
        world.restart();
        let (found, line) = verdict(&status(&world));
        assert_eq!(found, worst, "{line}");
        assert!(line.contains("account main") && line.contains("2026-12-01"), "{line}");
        assert!(
            status(&world)
                .metrics(Exposition::Text)
                .contains("account_revocation_announced{account=\"main\"} 1")
        );
        let later = |world: &World, hours: i64| {
            let millis = hours * 3_600_000;
            let now = Now { time: world.now.time, wall: world.now.wall + millis };
            verdict(&Status::new(&world.config, &world.load(), now)).0
        };
        assert_eq!((later(&world, 7 * 24 - 1), later(&world, 7 * 24 + 1)), (worst, Verdict::Ok));
        world.command(Command::ResumeAccount("main".into()));
        world.restart();
        assert_eq!(verdict(&status(&world)).0, Verdict::Ok);
    }
}

#[test]
fn another_name_for_the_order_ends_no_alarm() {
    for restarts in [false, true] {
        let mut world = guarded();
        world.handle(Event::Hinted { hint: announced("orderNumber=www", true) });
        world.pass(10 * SECOND);
        let mut config = (*world.config).clone();
        config.orders[0].name = "web".into();
        config.orders[0].handle = certcollectd_core::api::OrderRef::OrderNumber("www".into());
        world.reload(config);
        if restarts {
            world.restart();
        }
        let (worst, line) = verdict(&status(&world));
        assert_eq!(worst, Verdict::Critical, "{line}");
        assert!(line.contains("web is about to be revoked"), "{line}");
        // The certificate that is to be revoked is installed under the new name.
        world.pass(DAY);
        assert_eq!(
            (world.phase("web").as_str(), verdict(&status(&world)).0),
            ("guarding", Verdict::Critical)
        );
        world.say("www", [issued(1, 90)]);
        world.pass(2 * DAY);
        assert_eq!(verdict(&status(&world)).0, Verdict::Ok);
    }
}

#[test]
fn one_word_of_the_operator_ends_all_that_the_order_is_shown_for() {
    let mut world = guarded();
    let fewer = super::certificate(&["other.example.com"], 0, 90);
    world.say("www", [Say::Body(200, crate::certs::issued(&fewer))]);
    world.pass(2 * DAY);
    world.handle(Event::Hinted { hint: announced("orderNumber=www", true) });
    world.pass(10 * SECOND);
    let shown = &status(&world).orders[0];
    assert!(shown.revocation_announced.is_some() && !shown.uncovered.is_empty());
    let token = world.command(Command::Accept("www".into()));
    let reply = world.reply(token);
    assert!(
        reply.ok && reply.text.contains("revocation is cleared; no longer required: www.example.com"),
        "{}",
        reply.text
    );
    world.restart();
    assert_eq!(verdict(&status(&world)).0, Verdict::Ok);
}
