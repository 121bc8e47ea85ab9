//! Chains through cross-signed CA certificates: what was judged and installed once does not change by itself.

use std::sync::Arc;

use certcollectd_core::cert::{Anchors, Certificate};
use certcollectd_core::config::Severity;
use rcgen::KeyPair;

use super::SECOND;
use crate::certs;
use crate::world::{self, DAY, HOUR, START, Say, World};

/// The subject of each intermediate that readers see.
fn chain(world: &World) -> Vec<String> {
    let disk = &world.disks["www"];
    let generation = &disk.generations[disk.link.as_ref().unwrap()];
    generation.certificates[1..].iter().map(Certificate::subject_text).collect()
}

/// An order whose answer has these CA certificates before the intermediate, and a leaf that was issued a day ago.
fn world_with(trust: Severity, dates: Severity, authorities: &[&[u8]]) -> World {
    let mut config = world::config(&["www"]);
    world::change(&mut config.orders[0], |settings| {
        settings.verify.trust = trust;
        settings.verify.dates = dates;
    });
    let mut world = World::new(config);
    let (from, key) = (START - 86_400, KeyPair::generate().unwrap());
    let leaf = certs::leaf(&key, &["www.example.com"], from, from + 90 * 86_400);
    let all = [authorities, &[certs::ca().intermediate.der()]].concat();
    world.say("www", [Say::Body(200, certs::issued_with(&all, &leaf))]);
    world
}

/// Staged, in place with the next try, by this process or by another one.
fn installed(world: &mut World, restart: bool) {
    world.failing_swaps = 1;
    world.pass(SECOND);
    assert!(world.seen("www").is_none(), "staged and not in place");
    if restart {
        world.restart();
    }
    world.pass(HOUR);
}

/// Put back from what the vendor still sends.
fn lost_and_put_back(world: &mut World) {
    for generation in world.disks.get_mut("www").unwrap().generations.values_mut() {
        generation.files.clear();
        generation.certificates.clear();
    }
    world.pass(2 * DAY);
}

#[test]
fn what_was_left_out_does_not_come_back() {
    for restart in [false, true] {
        // It was good when the leaf was issued.
        let cross = certs::cross(0, START - 6 * 3600);
        let mut world = world_with(Severity::Warn, Severity::Block, &[&cross]);
        world.anchors = Some(Arc::new(Anchors::from_ders([certs::ca().root.der()])));
        installed(&mut world, restart);
        assert_eq!(chain(&world), ["CN=Test CA 1"]);
        let told = world.notes.iter().filter(|note| note.text.contains("left out")).count();
        assert_eq!(told, 1, "{:?}", world.notes);
        lost_and_put_back(&mut world);
        assert_eq!(chain(&world), ["CN=Test CA 1"]);
    }
}

#[test]
fn what_was_kept_is_not_left_out_later() {
    for (not_before, not_after) in [
        // Expired, which this order does not mind.
        (0, START - 6 * 3600),
        // Not yet valid when the leaf was issued.
        (START - 3600, START + 365 * 86_400),
    ] {
        for restart in [false, true] {
            let cross = certs::cross(not_before, not_after);
            let authorities: [&[u8]; 2] = [&cross, certs::ca().root.der()];
            let authorities = &authorities[..if not_before == 0 { 1 } else { 2 }];
            let mut world = world_with(Severity::Off, Severity::Off, authorities);
            installed(&mut world, restart);
            assert_eq!(chain(&world), ["CN=Test CA 1", "CN=Test Root"]);
            lost_and_put_back(&mut world);
            assert_eq!(chain(&world), ["CN=Test CA 1", "CN=Test Root"]);
        }
    }
}
