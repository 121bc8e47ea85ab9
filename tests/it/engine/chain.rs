//! Bundles that go on holding a cross-signed CA certificate after it has expired.

use std::sync::Arc;

use certcollectd::cert::{Anchors, Certificate};
use certcollectd::config::Severity;
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

#[test]
fn what_was_left_out_of_the_chain_does_not_come_back() {
    for restart in [false, true] {
        let mut config = world::config(&["www"]);
        world::change(&mut config.orders[0], |settings| settings.verify.trust = Severity::Warn);
        let mut world = World::new(config);
        world.anchors = Some(Arc::new(Anchors::from_ders([certs::ca().root.der()])));
        // It was good when the leaf was issued, a day ago.
        let cross = certs::cross(START - 6 * 3600);
        let (from, key) = (START - 86_400, KeyPair::generate().unwrap());
        let leaf = certs::leaf(&key, &["www.example.com"], from, from + 90 * 86_400);
        world.say(
            "www",
            [Say::Body(200, certs::issued_with(&[&cross, certs::ca().intermediate.der()], &leaf))],
        );
        world.failing_swaps = 1;
        world.pass(SECOND);
        assert!(world.seen("www").is_none(), "staged and not in place");
        if restart {
            world.restart();
        }
        world.pass(HOUR);
        assert_eq!(chain(&world), ["CN=Test CA 1"]);
        let told = world.notes.iter().filter(|note| note.text.contains("left out")).count();
        assert_eq!(told, 1, "{:?}", world.notes);
        // Put back from what the vendor still sends.
        let disk = world.disks.get_mut("www").unwrap();
        for generation in disk.generations.values_mut() {
            generation.files.clear();
            generation.certificates.clear();
        }
        world.pass(2 * DAY);
        assert_eq!(chain(&world), ["CN=Test CA 1"]);
    }
}
