//! Certificates that wait for a window, and what does not wait.

use std::time::Duration;

use certcollectd::status::{Explanation, Screen, Status, Verdict, verdict};
use certcollectd_core::cert::Certificate;
use certcollectd_core::config::{Clock, Config, Day, Freeze, Window, Zone};
use certcollectd_core::engine::command::Command;
use certcollectd_core::engine::event::Event;
use certcollectd_core::engine::finding::FindingKind;
use certcollectd_core::engine::time::Now;

use super::{certificate, issued, with_hook};
use crate::certs;
use crate::status::schema;
use crate::world::{self, DAY, HOUR, Say, World};

// The world begins on Friday, 20 November 2026, at 09:12 UTC.

fn window(name: &str, days: &[Day], from: &str, to: &str) -> Window {
    let clock = |text| Clock::read(text).unwrap();
    Window {
        name: name.into(),
        days: days.to_vec(),
        from: clock(from),
        to: clock(to),
        zone: Zone::named("UTC").unwrap(),
    }
}

/// One order with a hook, installed on Tuesdays from 02:00 to 05:00.
fn tuesdays() -> Config {
    let mut config = with_hook("www");
    config.windows.push(window("night", &[Day::Tue], "02:00", "05:00").into());
    world::change(&mut config.orders[0], |settings| settings.windows = Box::new(["night".into()]));
    config
}

fn serial(say: &[u8]) -> String {
    Certificate::from_der(say).unwrap().serial_hex()
}

fn body(der: &[u8]) -> Say {
    Say::Body(200, certs::issued(der))
}

fn unix(text: &str) -> i64 {
    text.parse::<jiff::Timestamp>().unwrap().as_second()
}

fn pass_until(world: &mut World, text: &str) {
    let left = unix(text) - world.now.unix();
    world.pass(Duration::from_secs(u64::try_from(left).expect("it is yet to come")));
}

/// An installed certificate from before it had windows, and the next one collected and held.
fn held() -> (World, Vec<u8>, Vec<u8>) {
    let (old, new) = (certificate(&["www.example.com"], -1, 90), certificate(&["www.example.com"], 0, 90));
    let mut config = tuesdays();
    let windows = std::mem::take(&mut config.windows);
    world::change(&mut config.orders[0], |settings| settings.windows = Box::default());
    let mut world = World::new(config);
    world.say("www", [body(&old), body(&new)]);
    world.pass(HOUR);
    assert_eq!(world.seen("www"), Some(serial(&old)));
    let mut config = (*world.config).clone();
    config.windows = windows;
    world::change(&mut config.orders[0], |settings| settings.windows = Box::new(["night".into()]));
    world.reload(config);
    world.pass(26 * HOUR);
    assert_eq!(world.phase("www"), "collected", "{:#?}", world.notes);
    assert_eq!(world.seen("www"), Some(serial(&old)));
    (world, old, new)
}

#[test]
fn the_first_certificate_waits_verified_and_goes_in_when_the_window_opens() {
    let mut world = World::new(tuesdays());
    world.say("www", [issued(-1, 90)]);
    world.pass(HOUR);
    assert_eq!(world.phase("www"), "collected", "{:#?}", world.notes);
    assert_eq!(world.seen("www"), None);
    assert!(world.rows.bundles.contains_key("www"), "durable");
    let told = world.notes.iter().find(|note| note.kind.as_str() == "held").expect("it is told");
    assert!(
        told.text.contains("waits for window night, which opens Tue 2026-11-24 02:00 UTC"),
        "{}",
        told.text
    );
    assert!(told.text.contains("`certcollectd accept www --now`"), "{}", told.text);
    pass_until(&mut world, "2026-11-24T01:59:59Z");
    assert_eq!(world.seen("www"), None);
    assert!(world.ran.is_empty());
    pass_until(&mut world, "2026-11-24T02:00:01Z");
    assert!(world.seen("www").is_some());
    assert_eq!((world.phase("www").as_str(), world.ran.len()), ("guarding", 1));
    assert!(world.record("www")["held"].is_null());
    let told = world.notes.iter().filter(|note| note.kind.as_str() == "held").count();
    assert_eq!(told, 1, "{:#?}", world.notes);
}

#[test]
fn while_it_waits_the_vendor_is_asked_no_more_often_than_about_an_installed_order() {
    let mut world = World::new(tuesdays());
    world.say("www", [issued(-1, 90)]);
    pass_until(&mut world, "2026-11-24T01:00:00Z");
    assert!((4..=5).contains(&world.calls.len()), "once, and once a day: {}", world.calls.len());
    let (mut world, ..) = held();
    let calls = world.calls.len();
    pass_until(&mut world, "2026-11-24T01:00:00Z");
    assert!((2..=4).contains(&(world.calls.len() - calls)), "{}", world.calls.len() - calls);
}

#[test]
fn the_newest_goes_in() {
    let (mut world, old, _) = held();
    let newest = certificate(&["www.example.com"], 1, 90);
    world.say("www", [body(&newest), body(&old)]);
    pass_until(&mut world, "2026-11-23T23:00:00Z");
    assert_eq!(
        world.seen("www"),
        Some(serial(&old)),
        "the vendor goes back to an older one, which is no news"
    );
    assert_eq!(world.record("www")["held"]["serial"], Certificate::from_der(&newest).unwrap().serial_text());
    pass_until(&mut world, "2026-11-24T02:00:10Z");
    assert_eq!(world.seen("www"), Some(serial(&newest)));
    assert_eq!(world.ran.len(), 2);
}

#[test]
fn a_restart_and_a_reboot_lose_nothing() {
    let (mut world, old, new) = held();
    world.restart();
    world.pass(HOUR);
    assert_eq!((world.phase("www").as_str(), world.seen("www")), ("collected", Some(serial(&old))));
    world.reboot(HOUR);
    world.pass(HOUR);
    assert_eq!((world.phase("www").as_str(), world.seen("www")), ("collected", Some(serial(&old))));
    let told = world.notes.iter().filter(|note| note.kind.as_str() == "held").count();
    assert_eq!(told, 1, "{:#?}", world.notes);
    // The machine is down while the window is open; the next one serves.
    let off = unix("2026-11-24T06:00:00Z") - world.now.unix();
    world.reboot(Duration::from_secs(u64::try_from(off).unwrap()));
    world.pass(DAY);
    assert_eq!(world.seen("www"), Some(serial(&old)));
    pass_until(&mut world, "2026-12-01T02:00:10Z");
    assert_eq!(world.seen("www"), Some(serial(&new)));
}

#[test]
fn the_operators_word_opens_the_door() {
    let (mut world, old, new) = held();
    let plain = world.command(Command::Accept("www".into()));
    assert!(!world.reply(plain).ok);
    assert!(world.reply(plain).text.contains("accept www --now"), "{}", world.reply(plain).text);
    assert_eq!(world.seen("www"), Some(serial(&old)));
    let calls = world.calls.len();
    let now = world.command(Command::AcceptNow("www".into()));
    assert!(world.reply(now).ok, "{}", world.reply(now).text);
    assert_eq!((world.seen("www"), world.calls.len()), (Some(serial(&new)), calls));
    assert_eq!(world.phase("www"), "guarding");
    assert!(world.record("www")["at_once"].is_null());
    // The word was for that one.
    let newest = certificate(&["www.example.com"], 1, 90);
    world.say("www", [body(&newest)]);
    world.pass(26 * HOUR);
    assert_eq!((world.phase("www").as_str(), world.seen("www")), ("collected", Some(serial(&new))));
}

#[test]
fn what_is_accepted_from_quarantine_waits_unless_it_is_wanted_now() {
    for now in [false, true] {
        let mut config = tuesdays();
        config.orders[0].domains = Box::new(["other.example.com".into()]);
        let mut world = World::new(config);
        world.say("www", [issued(-1, 90)]);
        world.pass(HOUR);
        assert_eq!(world.phase("www"), "quarantined");
        let command = if now { Command::AcceptNow("www".into()) } else { Command::Accept("www".into()) };
        let token = world.command(command);
        let reply = world.reply(token);
        assert!(reply.ok, "{}", reply.text);
        assert_eq!(reply.text.contains("waits for window night"), !now, "{}", reply.text);
        assert_eq!(world.phase("www"), if now { "guarding" } else { "collected" });
        pass_until(&mut world, "2026-11-24T02:00:10Z");
        assert_eq!(world.phase("www"), "guarding", "the word still counts");
    }
}

#[test]
fn it_goes_in_anyway_when_the_installed_one_ends_within_the_margin() {
    let old = certificate(&["www.example.com"], -1, 20);
    let new = certificate(&["www.example.com"], 0, 90);
    let mut config = with_hook("www");
    let mut world = World::new(config.clone());
    world.say("www", [body(&old), body(&new)]);
    world.pass(HOUR);
    config.freezes.push(Freeze::read("2026-01-01/9999-12-31").unwrap());
    world.reload(config);
    // It ends on 9 December at 09:12; its last seven days begin on the 2nd.
    pass_until(&mut world, "2026-12-02T09:11:50Z");
    assert_eq!((world.phase("www").as_str(), world.seen("www")), ("collected", Some(serial(&old))));
    let held = world.notes.iter().find(|note| note.kind.as_str() == "held").unwrap();
    assert!(held.text.contains("none opens within a year"), "{}", held.text);
    assert!(!world.kinds().contains(&"expiring"), "one is there in time: {:#?}", world.notes);
    pass_until(&mut world, "2026-12-02T09:12:10Z");
    assert_eq!((world.phase("www").as_str(), world.seen("www")), ("guarding", Some(serial(&new))));
    let why = world.notes.iter().rfind(|note| note.kind.as_str() == "held").unwrap();
    assert!(why.text.contains("within its window_margin of 7 days"), "{}", why.text);
}

#[test]
fn it_goes_in_anyway_when_a_revocation_is_announced_by_one_who_knows_the_password() {
    for proven in [false, true] {
        let (mut world, old, new) = held();
        let hint = super::revocation::announced("orderNumber=www", proven);
        world.handle(Event::Hinted { hint });
        world.pass(Duration::from_secs(60));
        let wanted = if proven { serial(&new) } else { serial(&old) };
        assert_eq!(world.seen("www"), Some(wanted), "proven: {proven}");
    }
}

#[test]
fn what_replaces_a_revoked_certificate_does_not_wait() {
    let (old, new) = (certificate(&["www.example.com"], -1, 90), certificate(&["www.example.com"], 0, 90));
    let mut config = with_hook("www");
    let mut world = World::new(config.clone());
    world.say("www", [body(&old), Say::text("errorCode=-21&errorMessage=Revoked"), body(&new)]);
    world.pass(26 * HOUR);
    assert_eq!(world.phase("www"), "revoked");
    config.freezes.push(Freeze::read("2026-01-01/9999-12-31").unwrap());
    world.reload(config);
    world.command(Command::Resume("www".into()));
    world.pass(DAY);
    assert_eq!((world.phase("www").as_str(), world.seen("www")), ("guarding", Some(serial(&new))));
}

#[test]
fn lost_files_are_put_back_at_once_and_what_waits_goes_on_waiting() {
    let (mut world, old, new) = held();
    world.disks.get_mut("www").unwrap().generations.values_mut().for_each(|kept| kept.files.clear());
    world.restart();
    world.pass(Duration::from_secs(60));
    assert_eq!(world.seen("www"), Some(serial(&old)));
    let disk = &world.disks["www"];
    assert!(disk.generations[disk.link.as_ref().unwrap()].files.len() == 3, "put back: {:#?}", world.notes);
    assert_eq!(world.phase("www"), "collected");
    let calls = world.calls.len();
    world.pass(Duration::from_secs(60));
    assert_eq!(world.calls.len(), calls, "the one that waits was kept");
    pass_until(&mut world, "2026-11-24T02:00:10Z");
    assert_eq!((world.phase("www").as_str(), world.seen("www")), ("guarding", Some(serial(&new))));
}

#[test]
fn a_rollback_does_not_wait() {
    let (mut world, _, new) = held();
    world.command(Command::AcceptNow("www".into()));
    let newest = certificate(&["www.example.com"], 1, 90);
    world.say("www", [body(&newest)]);
    world.pass(26 * HOUR);
    assert_eq!((world.phase("www").as_str(), world.seen("www")), ("collected", Some(serial(&new))));
    let back = world.command(Command::Rollback("www".into()));
    assert!(world.reply(back).ok, "{}", world.reply(back).text);
    assert_ne!(world.seen("www"), Some(serial(&new)));
    // The newest is newer than what was rolled back from, so it comes by itself.
    pass_until(&mut world, "2026-11-24T02:00:10Z");
    world.pass(8 * DAY);
    assert_eq!((world.phase("www").as_str(), world.seen("www")), ("guarding", Some(serial(&newest))));
}

#[test]
fn a_reload_judges_anew() {
    let (mut world, old, new) = held();
    let mut config = (*world.config).clone();
    config.windows[0] = window("night", &Day::ALL, "00:00", "24:00").into();
    config.freezes.push(Freeze::read("2026-11-01/2026-11-30").unwrap());
    world.reload(config.clone());
    world.pass(HOUR);
    assert_eq!(world.seen("www"), Some(serial(&old)), "it is frozen");
    config.freezes.clear();
    world.reload(config);
    world.pass(Duration::from_secs(10));
    assert_eq!(world.seen("www"), Some(serial(&new)));
}

#[test]
fn a_clock_that_is_set_over_a_window_loses_nothing() {
    let (mut world, old, new) = held();
    // From Saturday over Tuesday to Wednesday.
    world.now.wall = unix("2026-11-25T10:00:00Z") * 1000;
    world.handle(Event::Woke);
    world.pass(HOUR);
    assert_eq!(world.seen("www"), Some(serial(&old)));
    // And back into the window.
    world.now.wall = unix("2026-11-24T04:00:00Z") * 1000;
    world.handle(Event::Woke);
    world.pass(Duration::from_secs(10));
    assert_eq!(world.seen("www"), Some(serial(&new)));
}

#[test]
fn a_certificate_is_verified_once_more_before_it_goes_in() {
    // It waits for longer than it lives.
    let mut config = with_hook("www");
    config.freezes.push(Freeze::read("2026-11-01/2026-12-31").unwrap());
    let mut world = World::new(config);
    world.say("www", [issued(-1, 10)]);
    pass_until(&mut world, "2027-01-02T00:00:00Z");
    assert_eq!(world.seen("www"), None);
    assert_eq!(world.phase("www"), "quarantined", "{:#?}", world.notes);
}

#[test]
fn nobody_is_woken_for_a_window_that_is_far_away() {
    let mut config = with_hook("www");
    config.freezes.push(Freeze::read("2026-11-01/9999-12-31").unwrap());
    world::change(&mut config.orders[0], |settings| settings.cadence.guard_interval = None);
    let mut world = World::new(config);
    world.say("www", [issued(-1, 900)]);
    world.pass(HOUR);
    let mut wakes = 0;
    let end = world.now.time + 30 * DAY;
    while let Some(wake) = world.engine.next_wake().filter(|wake| *wake < end) {
        let wait = wake.since(world.now.time);
        world.pass(wait + Duration::from_millis(1));
        wakes += 1;
    }
    assert!((29..=35).contains(&wakes), "once a day: {wakes}");
    assert_eq!(world.calls.len(), 1);
}

#[test]
fn waiting_is_shown_and_is_no_finding() {
    let (mut world, ..) = held();
    let status = Status::new(&world.config, &world.load(), world.now);
    let order = &status.orders[0];
    let window = order.window.as_ref().expect("it waits");
    assert_eq!(window.name.as_deref(), Some("night"));
    assert_eq!(window.opens.as_deref(), Some("2026-11-24T02:00:00Z"));
    assert_eq!(window.latest.as_deref(), Some("2027-02-10T09:12:00Z"), "seven days before the end");
    assert_eq!(window.brief(), "installs Tue 02:00 in window night");
    let json: serde_json::Value = serde_json::from_str(&status.json()).unwrap();
    assert_eq!(json["orders"][0]["window"]["opens"], "2026-11-24T02:00:00Z");
    assert_eq!(json["orders"][0]["phase"], "collected");
    let (table, details) = (status.table(&Screen::default()), status.details(&Screen::default()));
    assert!(table.contains("installs Tue 02:00 in window night"), "{table}");
    assert!(details.contains("installs Tue 02:00 in window night: serial "), "{details}");
    let (worst, line) = verdict(&status);
    assert_eq!(worst, Verdict::Ok, "{line}");
    assert_eq!((world.engine.summary().waiting, world.engine.summary().attention), (1, 0));
    let told = Explanation::new(&world.config, &world.load(), "www", Vec::new(), world.now).unwrap();
    let sentence = "It waits for window night, which opens Tue 2026-11-24 02:00 UTC (2026-11-24T02:00:00Z)";
    assert!(told.text().contains(sentence), "{}", told.text());
    assert!(told.text().contains("`certcollectd accept www --now` installs it now"), "{}", told.text());
    pass_until(&mut world, "2026-11-24T02:00:10Z");
    let status = Status::new(&world.config, &world.load(), world.now);
    assert!(status.orders[0].window.is_none());
}

#[test]
fn a_freeze_is_shown() {
    let mut config = with_hook("www");
    config.freezes.push(Freeze::read("2026-11-01/2026-12-31").unwrap());
    let mut world = World::new(config);
    world.say("www", [issued(-1, 90)]);
    world.pass(HOUR);
    let status = Status::new(&world.config, &world.load(), world.now);
    let window = status.orders[0].window.as_ref().expect("it waits");
    assert_eq!((window.name.as_deref(), window.latest.as_deref()), (None, None));
    assert_eq!(window.opens.as_deref(), Some("2027-01-01T00:00:00Z"));
    assert_eq!(window.freeze.as_deref(), Some("2026-11-01/2026-12-31"));
    assert_eq!(window.brief(), "installs 2027-01-01 after the freeze");
    schema::keeps(&serde_json::from_str(&status.json()).unwrap());
}

#[test]
fn an_end_within_the_margin_is_a_finding_again() {
    // Nothing runs that could install it.
    let (world, ..) = held();
    let ends = unix("2027-02-17T09:12:00Z");
    let at = |unix: i64| Now { wall: unix * 1000, ..world.now };
    let finds = |now| {
        let status = Status::new(&world.config, &world.load(), now);
        status.orders[0].findings.iter().any(|finding| finding.kind == FindingKind::Expiring)
    };
    assert!(!finds(at(ends - 8 * 86_400)), "near its end, and the next one is at hand");
    assert!(finds(at(ends - 6 * 86_400)));
}
