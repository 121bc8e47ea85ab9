//! Orders that wait for a person: what was collected before is neither judged nor installed by itself.

use certcollectd_core::cert::{KeyCandidate, key};
use certcollectd_core::config::{HookEvent, KeySource};
use certcollectd_core::engine::command::Command;
use rcgen::KeyPair;

use super::{issued, with_hook};
use crate::certs;
use crate::world::{self, DAY, HOUR, START, Say, World};

#[test]
fn a_restart_leaves_a_stopped_order_alone() {
    for (answer, phase) in [("-20\nRejected", "rejected"), ("-21\nRevoked", "revoked"), ("-3\n", "attention")]
    {
        let mut config = with_hook("www");
        let mut tell = (*config.hooks[0]).clone();
        tell.on = vec![HookEvent::Failed];
        config.hooks = vec![tell.into()];
        config.orders[0].domains = Box::new(["other.example.com".into()]);
        let mut world = World::new(config);
        world.say("www", [issued(-1, 90), Say::text(answer)]);
        world.pass(DAY);
        assert_eq!(world.phase("www"), phase);
        assert_eq!(world.ran.len(), 5, "refused, an hour later, stopped, after an hour and after six");
        let calls = world.calls.len();
        for _ in 0..3 {
            world.restart();
            world.pass(DAY);
        }
        assert_eq!(world.phase("www"), phase);
        assert_eq!((world.ran.len(), world.calls.len()), (5 + 3, calls), "once a day, whatever restarts");
        let accept = world.command(Command::Accept("www".into()));
        let reply = world.reply(accept);
        assert!(!reply.ok && reply.text.contains("certcollectd resume www"), "{}", reply.text);
        // Only where the vendor has not called it off, what was refused is still of use.
        assert_eq!(world.rows.bundles.contains_key("www"), phase == "attention");
        world.say("www", [Say::text("errorCode=0")]);
        world.command(Command::Resume("www".into()));
        world.pass(HOUR);
        assert_eq!(world.phase("www"), if phase == "attention" { "quarantined" } else { "waiting" });
    }
}

#[test]
fn what_the_vendor_revoked_is_not_installed_once_its_key_is_mended() {
    let mut config = world::config(&["www"]);
    config.orders[0].key = KeySource::Keys(vec!["/k".into()].into());
    let mut world = World::new(config.clone());
    let [right, wrong] = [KeyPair::generate().unwrap(), KeyPair::generate().unwrap()];
    let candidate = |pair: &KeyPair| {
        let key = key::from_private_key_pem(pair.serialize_pem().as_bytes()).map_err(|why| why.to_string());
        vec![KeyCandidate { label: "/k".into(), key }]
    };
    let leaf = certs::leaf(&right, &["www.example.com"], START - 86_400, START + 90 * 86_400);
    world.keys.insert("www".into(), candidate(&wrong));
    world.say("www", [Say::Body(200, certs::issued(&leaf)), Say::text("-21\nRevoked")]);
    world.pass(DAY);
    assert_eq!(world.phase("www"), "revoked");
    world.keys.insert("www".into(), candidate(&right));
    world.restart();
    world.pass(DAY);
    assert_eq!((world.phase("www").as_str(), world.seen("www")), ("revoked", None));
    config.orders[0].domains = Box::new(["www.example.com".into()]);
    world.reload(config);
    world.pass(DAY);
    assert_eq!(
        (world.phase("www").as_str(), world.seen("www")),
        ("revoked", None),
        "asked again, not installed"
    );
}

#[test]
fn what_the_vendor_revoked_on_its_way_is_not_installed() {
    // Its time has not come yet.
    let mut world = World::new(world::config(&["www"]));
    world.say("www", [issued(1, 90), Say::text("-21\nRevoked")]);
    world.pass(3 * DAY);
    assert_eq!((world.phase("www").as_str(), world.seen("www")), ("revoked", None));
    // Something is in the way of the link, until after that.
    let mut world = World::new(with_hook("www"));
    world.say("www", [issued(-1, 90), Say::text("-21\nRevoked")]);
    world.failing_swaps = 1000;
    world.pass(DAY);
    assert_eq!(world.phase("www"), "revoked", "{:#?}", world.notes);
    world.failing_swaps = 0;
    world.restart();
    world.pass(DAY);
    assert_eq!((world.phase("www").as_str(), world.seen("www"), world.ran.len()), ("revoked", None, 0));
}
