//! The page for people: what it says, in which order, and that nothing foreign gets into its markup.

use certcollectd::status::{Need, Status};
use certcollectd_core::engine::vitals::Vitals;

use crate::certs;
use crate::world::{self, DAY, HOUR, START, Say, World};

fn status(world: &World) -> Status {
    Status::new(&world.config, &world.load(), world.now)
}

/// A certificate with so many days to go out of ninety.
fn issued(days: i64) -> Say {
    let (begin, end) = (START - (90 - days) * 86_400, START + days * 86_400);
    let leaf = certs::leaf(&rcgen::KeyPair::generate().unwrap(), &["www.example.com"], begin, end);
    Say::Body(200, certs::issued(&leaf))
}

#[test]
fn what_needs_a_person_is_counted_and_comes_first() {
    let mut world = World::new(world::config(&["fine", "slow", "soon", "gone", "odd"]));
    world.say("fine", [issued(60)]);
    world.say("slow", [Say::text("errorCode=0")]);
    world.say("soon", [issued(8)]);
    world.say("gone", [issued(1)]);
    world.say("odd", [Say::text("errorCode=-20&errorMessage=Rejected")]);
    world.pass(HOUR);
    let shown = status(&world);
    assert_eq!(shown.summary().to_string(), "3 need you · 1 waits · 1 in order");
    let names: Vec<&str> = shown.worst_first().iter().map(|order| &*order.name).collect();
    assert_eq!(names, ["gone", "odd", "soon", "slow", "fine"]);
    assert_eq!(shown.summary().part(Need::Nothing), "1 in order");
}

#[test]
fn what_is_no_order_can_need_a_person_too() {
    let mut world = World::new(world::config(&["www"]));
    world.say("www", [Say::text("errorCode=-16&errorMessage=Incorrect+login+details")]);
    world.pass(DAY);
    let vitals = Vitals { failed_saves: 1, ..Vitals::default() };
    assert_eq!(status(&world).summary().to_string(), "1 needs you · 1 waits · 0 in order");
    assert_eq!(status(&world).with(&vitals).summary().to_string(), "2 need you · 1 waits · 0 in order");
}
