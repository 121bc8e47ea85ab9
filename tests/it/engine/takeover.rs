//! What is served already is recorded as installed, before the configuration names its order.

use certcollectd_core::api::OrderRef;
use certcollectd_core::cert::Certificate;
use certcollectd_core::config::Config;
use certcollectd_core::engine::command::Command;
use certcollectd_core::engine::id::OrderId;
use certcollectd_core::engine::install::{Activate, Stage};
use certcollectd_core::engine::takeover::{Takeover, generation_name, material};

use super::{certificate, gaps, issued, with_hook};
use crate::certs::{self, ca};
use crate::world::{self, DAY, HOUR, Say, World};

/// Lays a certificate out for the entry of `name` in `config`.
fn laid_out(world: &mut World, config: &Config, name: &str, leaf: &[u8]) -> Takeover {
    let leaf = Certificate::from_der(leaf).unwrap();
    let intermediate = Certificate::from_der(ca().intermediate.der()).unwrap();
    let entry = config.orders.iter().find(|order| *order.name == *name).unwrap();
    let material = material(&leaf, &[leaf.clone(), intermediate], None, world.now);
    let stage = Stage {
        order: OrderId(0),
        name: entry.name.clone(),
        generation: generation_name(&leaf, world.now),
        material: material.clone(),
        files: entry.settings.files.clone(),
        copies: Box::default(),
    };
    let staged = world.stage(&stage).unwrap();
    let activate = Activate {
        order: OrderId(0),
        name: entry.name.clone(),
        generation: staged.generation.clone(),
        expected: staged.files.clone(),
        material: material.clone(),
        files: entry.settings.files.clone(),
        copies: Box::default(),
        relinks: false,
    };
    world.activate(&activate).unwrap();
    Takeover::new(entry, &staged.generation, &material, staged.files)
}

fn served() -> Vec<u8> {
    certificate(&["www.example.com"], -1, 90)
}

fn take_over(world: &mut World, takeover: &Takeover) -> (bool, String) {
    let token = world.command(Command::TakeOver(vec![takeover.clone()]));
    let reply = world.reply(token);
    assert_eq!(reply.ok, reply.data.as_array().unwrap().is_empty());
    (reply.ok, reply.text.clone())
}

#[test]
fn the_same_certificate_changes_nothing_and_a_newer_one_is_installed_with_its_hooks() {
    for restarts in [false, true] {
        let mut world = World::new(world::config(&[]));
        let config = with_hook("www");
        let leaf = served();
        let takeover = laid_out(&mut world, &config, "www", &leaf);
        assert_eq!(take_over(&mut world, &takeover), (true, String::new()));
        // Again, as after a crash before the entry was written.
        assert_eq!(take_over(&mut world, &takeover), (true, String::new()));
        if restarts {
            world.restart();
        }
        world.say("www", [Say::Body(200, certs::issued(&leaf))]);
        world.reload(config);
        world.pass(HOUR);
        assert_eq!(world.phase("www"), "guarding", "{:#?}", world.notes);
        assert!(world.ran.is_empty() && world.calls.len() == 1);
        let generation = world.record("www")["installed"]["name"].clone();
        assert_eq!(generation, *takeover.generation.name);
        world.say("www", [issued(0, 180)]);
        world.pass(2 * DAY);
        assert_ne!(world.record("www")["installed"]["name"], generation);
        assert_eq!(world.ran.len(), 1, "its hook");
    }
}

#[test]
fn the_floor_is_the_numbers_also_of_an_order_that_is_taken_over() {
    let mut world = World::new(world::config(&["old"]));
    world.pass(HOUR);
    world.reload(world::config(&[]));
    let mut config = world::config(&["www"]);
    config.orders[0].handle = OrderRef::OrderNumber("old".into());
    let takeover = laid_out(&mut world, &config, "www", &served());
    assert!(take_over(&mut world, &takeover).0);
    world.reload(config);
    world.pass(2 * DAY);
    let gaps = gaps(&world, "old");
    assert!(!gaps.is_empty() && gaps.iter().all(|gap| *gap >= 3 * HOUR), "{gaps:?}");
}

#[test]
fn what_is_installed_or_means_another_number_is_not_taken_over() {
    let mut world = World::new(world::config(&["www", "new"]));
    world.say("www", [issued(-1, 90)]);
    world.pass(HOUR);
    let config = world::config(&["www", "new", "x"]);
    let installed = laid_out(&mut world, &config, "www", &served());
    let (ok, why) = take_over(&mut world, &installed);
    assert!(!ok && why.starts_with("www: not taken over: generation "), "{why}");
    // One that waits is.
    let waiting = laid_out(&mut world, &config, "new", &served());
    let other = Takeover { handle: "orderNumber 7".into(), ..waiting.clone() };
    let (ok, why) = take_over(&mut world, &other);
    assert!(!ok && why.contains("it is configured with number new"), "{why}");
    assert!(take_over(&mut world, &waiting).0);
    assert_eq!(world.phase("new"), "guarding");
    let nobody = Takeover { account: "nobody".into(), name: "x".into(), ..waiting.clone() };
    assert!(take_over(&mut world, &nobody).1.contains("there is no account nobody"));
    let outside = Takeover { name: "../x".into(), ..waiting };
    assert!(take_over(&mut world, &outside).1.contains("no name of an order"));
}

#[test]
fn what_cannot_be_saved_is_not_taken_over() {
    let mut world = World::new(world::config(&[]));
    let takeover = laid_out(&mut world, &world::config(&["www"]), "www", &served());
    world.failing_saves = 1;
    let token = world.command(Command::TakeOver(vec![takeover]));
    assert!(!world.reply(token).ok, "{}", world.reply(token).text);
}

#[test]
fn an_order_that_was_removed_with_another_certificate_installed_is_not_replaced() {
    let mut world = World::new(world::config(&["www"]));
    world.say("www", [issued(-1, 90)]);
    world.pass(HOUR);
    world.reload(world::config(&[]));
    let config = world::config(&["www"]);
    let other = laid_out(&mut world, &config, "www", &certificate(&["www.example.com"], -2, 80));
    let (ok, why) = take_over(&mut world, &other);
    assert!(!ok && why.contains("from an earlier entry") && why.contains("forget www"), "{why}");
    let token = world.command(Command::CheckTakeOver(vec![other]));
    assert_eq!(world.reply(token).data, serde_json::json!({ "refused": ["www"], "installed": [] }));
}
