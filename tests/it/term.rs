//! The product term: shown, and a person is told before it ends, because no re-issue outlasts it.

use certcollectd::status::{Screen, Status, Verdict, verdict};
use certcollectd_core::config::HookEvent;
use certcollectd_core::engine::note::Level;
use insta::assert_snapshot;
use rcgen::KeyPair;

use crate::certs;
use crate::world::{self, DAY, HOUR, START, Say, World};

const DAY_SECONDS: i64 = 86_400;

/// An answer with a certificate of 47 days from `from` on, in days, and the term's end.
fn issued(from: i64, term_end: &str) -> Say {
    let start = START + from * DAY_SECONDS;
    let key = KeyPair::generate().unwrap();
    let leaf = certs::leaf(&key, &["www.example.com"], start, start + 47 * DAY_SECONDS);
    let mut body = certs::issued(&leaf);
    body.extend(format!("&productTermStartDate=1761696000&productTermEndDate={term_end}").into_bytes());
    Say::Body(200, body)
}

fn world() -> World {
    let mut config = world::config(&["www"]);
    let mut hook = (*world::hook("page")).clone();
    hook.on = vec![HookEvent::Expiring];
    config.hooks.push(hook.into());
    world::change(&mut config.orders[0], |settings| settings.hooks.push("page".into()));
    World::new(config)
}

fn status(world: &World) -> Status {
    Status::new(&world.config, &world.load(), world.now)
}

fn warnings(world: &World) -> Vec<&str> {
    let told = world.notes.iter().filter(|note| note.kind.as_str() == "term-ending");
    told.inspect(|note| assert_eq!(note.level, Level::Warn)).map(|note| note.text.as_str()).collect()
}

#[test]
fn the_end_of_the_term_is_shown_and_warned_of_once() {
    let mut world = world();
    let end = START + 40 * DAY_SECONDS;
    world.say("www", [issued(-1, &end.to_string())]);
    world.pass(9 * DAY);
    assert_eq!(warnings(&world), [""; 0]);
    assert_eq!(verdict(&status(&world)).0, Verdict::Ok);
    assert_snapshot!(status(&world).table(&Screen::default()), @r##"
    ORDER  PHASE     NEXT POLL      CERTIFICATE                      NOTE
    www    guarding  in 15 h 2 min  until 2027-01-05 (37 days left)  subscription ends 2026-12-30

    0 need you · 0 wait · 1 in order
    "##);
    world.pass(DAY + HOUR);
    assert_eq!(warnings(&world).len(), 1);
    assert_snapshot!(warnings(&world)[0], @r##"the subscription ends in 30 days, at 2026-12-30T09:12:00Z: no re-issue outlasts it; renew it, or place a new order"##);
    assert_eq!(world.ran.iter().filter(|ran| ran.hook == "page").count(), 1);
    let (worst, line) = verdict(&status(&world));
    assert_eq!(worst, Verdict::Warning);
    assert_snapshot!(line, @r##"CERTCOLLECTD WARNING - www subscription ends 2026-12-30 | orders=1 guarding=1 problems=1 days_left=35"##);
    assert!(
        status(&world).details(&Screen::default()).contains("subscription ends 2026-12-30"),
        "{}",
        status(&world).details(&Screen::default())
    );
    // Neither a restart nor the same date again is news.
    world.restart();
    world.pass(5 * DAY);
    assert_eq!(warnings(&world).len(), 1);
}

#[test]
fn a_renewed_term_is_warned_of_anew() {
    let mut world = world();
    let (first, second) = (START + 35 * DAY_SECONDS, START + 60 * DAY_SECONDS);
    let early = issued(-1, &first.to_string());
    let renewed = issued(8, &second.to_string());
    world.say("www", std::iter::repeat_n(early, 9).chain([renewed]));
    world.pass(8 * DAY);
    assert_eq!(warnings(&world).len(), 1);
    world.pass(20 * DAY);
    assert_eq!(warnings(&world).len(), 1, "the renewed term does not end soon");
    world.pass(5 * DAY);
    assert_eq!(warnings(&world).len(), 2);
}

#[test]
fn a_term_that_has_ended_is_said_in_the_past() {
    let mut world = world();
    world.say("www", [issued(-1, &(START - 3600).to_string())]);
    world.pass(DAY);
    assert_snapshot!(warnings(&world).join("\n"), @r##"the subscription ended at 2026-11-20T08:12:00Z: there will be no re-issue; renew it, or place a new order"##);
    assert!(
        status(&world).details(&Screen::default()).contains("subscription ended 2026-11-20"),
        "{}",
        status(&world).details(&Screen::default())
    );
}

#[test]
fn an_absurd_date_is_no_date() {
    for end in ["-1", "99999999999999999", "9223372036854775807", "99999999999999999999999", "soon", ""] {
        let mut world = world();
        world.say("www", [issued(-1, end)]);
        world.pass(DAY);
        assert_eq!(world.phase("www"), "guarding", "{end}");
        assert_eq!(warnings(&world), [""; 0], "{end}");
        assert!(!status(&world).details(&Screen::default()).contains("subscription"), "{end}");
    }
}

#[test]
fn an_order_that_is_still_pending_is_not_warned_of_its_term() {
    let mut world = world();
    let end = START + 10 * DAY_SECONDS;
    world.say("www", [Say::text(&format!("errorCode=0&productTermEndDate={end}"))]);
    world.pass(12 * DAY);
    assert_eq!(warnings(&world), [""; 0]);
    assert!(status(&world).details(&Screen::default()).contains("subscription ended"));
}
