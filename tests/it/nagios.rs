//! What a monitoring system is told when nobody is at work any more.

use std::time::Duration;

use certcollectd::status::{Explanation, Screen, Status, Verdict, verdict};
use certcollectd_core::engine::hooks::run::HookResult;
use certcollectd_core::engine::time::{Now, Time};
use certcollectd_core::engine::vitals::Vitals;
use certcollectd_sandbox::{OrderSpec, Product};
use insta::assert_snapshot;

use crate::certs;
use crate::setting::{PASSWORD, Setting};
use crate::world::{self, DAY, HOUR, START, Say, World};

/// The verdict at a moment to which the daemon did not live.
fn later(world: &World, hours: i64) -> (Verdict, String) {
    let millis = hours * 3_600_000;
    let now = Now { time: Time(world.now.time.0 + millis), wall: world.now.wall + millis };
    verdict(&Status::new(&world.config, &world.load(), now))
}

#[test]
fn a_poll_that_nobody_makes_is_warned_of_after_a_day() {
    let mut world = World::new(world::config(&["www"]));
    world.say("www", [Say::text("errorCode=0")]);
    world.pass(HOUR);
    assert_eq!(later(&world, 0).0, Verdict::Ok);
    // A daily `once` is late by 21 hours each time.
    assert_eq!(later(&world, 24).0, Verdict::Ok);
    let (worst, line) = later(&world, 30);
    assert_eq!(worst, Verdict::Warning);
    assert_snapshot!(line, @"CERTCOLLECTD WARNING - www should have been polled 27 hours ago: is the daemon running? | orders=1 guarding=0 problems=1");
}

#[test]
fn a_poll_that_a_closed_account_bars_is_not_late() {
    let mut world = World::new(world::config(&["www"]));
    world.say("www", [Say::text("errorCode=-16&errorMessage=Incorrect+login+details")]);
    world.pass(DAY);
    let (worst, line) = later(&world, 48);
    assert_eq!(worst, Verdict::Critical);
    assert_snapshot!(line, @"CERTCOLLECTD CRITICAL - account main is closed: fix the cause at the vendor's web site; for a new password: write it into /secret (it is tried at once); if the current one is right: `certcollectd resume --account main --same-password` lets one call through | orders=1 guarding=0 problems=1");
}

#[test]
fn the_worst_that_can_be_said_of_an_order_decides() {
    for (tries, verdict, why) in [
        (1, Verdict::Warning, "www has 12 days left"),
        (2, Verdict::Warning, "www has 12 days left"),
        (3, Verdict::Critical, "www hook reload failed 3 times"),
    ] {
        let mut config = world::config(&["www"]);
        config.hooks.push(world::hook("reload"));
        world::change(&mut config.orders[0], |settings| settings.hooks.push("reload".into()));
        let mut world = World::new(config);
        let leaf = certs::leaf(
            &rcgen::KeyPair::generate().unwrap(),
            &["www.example.com"],
            START - 77 * 86_400,
            START + 13 * 86_400,
        );
        world.say("www", [Say::Body(200, certs::issued(&leaf))]);
        let failed = HookResult::failed("exit code 1");
        world.hook_results.insert("reload".into(), vec![failed]);
        // It is tried again after a minute, and after two more.
        world.pass([1, 90, 300].map(Duration::from_secs)[tries - 1]);
        let (worst, line) = later(&world, 0);
        assert_eq!(worst, verdict, "{line}");
        assert!(line.contains(why), "{line}");
    }
}

#[test]
fn a_certificate_that_is_over_is_said_in_the_past() {
    let mut world = World::new(world::config(&["www"]));
    let key = rcgen::KeyPair::generate().unwrap();
    let leaf = certs::leaf(&key, &["www.example.com"], START - 77 * 86_400, START + 13 * 86_400);
    world.say("www", [Say::Body(200, certs::issued(&leaf))]);
    world.pass(16 * DAY);
    let (worst, line) = later(&world, 0);
    assert_eq!(worst, Verdict::Critical);
    assert!(line.contains("www has a certificate that ended 3 days ago"), "{line}");
    let details = Status::new(&world.config, &world.load(), world.now).details(&Screen::default());
    assert!(details.contains("2026-12-03T09:12:00Z, ended 3 days ago"), "{details}");
    let explained =
        Explanation::new(&world.config, &world.load(), "www", Vec::new(), world.now).unwrap().text();
    assert!(explained.contains("valid until 2026-12-03T09:12:00Z, ended 3 days ago, for"), "{explained}");
}

#[test]
fn where_the_daemon_never_ran_nothing_is_known() {
    let mut setting = Setting::new();
    setting.order("www", OrderSpec::new(Product::Ssl, "1", &["www.example.com"]), "");
    setting.write_configuration();
    let (code, said) = setting.call(&["status", "--nagios"]);
    assert!(code == 3 && said.contains("UNKNOWN - the daemon has never run here"), "{said}");
    // For people it is a list of orders that wait.
    let (code, said) = setting.call(&["status"]);
    assert!(code == 0 && said.contains("not asked yet"), "{said}");
}

#[test]
fn a_password_that_cannot_be_read_is_critical() {
    let mut setting = Setting::new();
    setting.order("www", OrderSpec::new(Product::Ssl, "1", &["www.example.com"]), "");
    std::fs::remove_file(setting.path("password")).unwrap();
    assert_eq!(setting.once(&[]).0, 4);
    let (code, said) = setting.call(&["status", "--nagios"]);
    assert!(code == 2 && said.contains("CRITICAL - the password of account main cannot be read"), "{said}");
    setting.write("password", PASSWORD);
    setting.until("it is read again", |setting| setting.once(&[]).0 == 0);
    assert_eq!(setting.call(&["status", "--nagios"]).0, 0);
}

#[test]
fn a_state_that_cannot_be_saved_is_critical() {
    let mut world = World::new(world::config(&["www"]));
    world.say("www", [Say::text("errorCode=0")]);
    world.pass(HOUR);
    let vitals = Vitals { failed_saves: 1, ..Vitals::default() };
    let status = Status::new(&world.config, &world.load(), world.now).with(&vitals);
    let (worst, line) = verdict(&status);
    assert_eq!(worst, Verdict::Critical);
    assert_snapshot!(line, @"CERTCOLLECTD CRITICAL - the state cannot be saved, so nothing is called or installed; `certcollectd check` says why | orders=1 guarding=0 problems=1");
    assert!(
        status.table(&Screen::default()).contains("\nthe state cannot be saved"),
        "{}",
        status.table(&Screen::default())
    );
}
