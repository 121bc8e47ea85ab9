//! A replacement that was sent, and whose answer was lost.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use certcollectd::status::{Explanation, Screen, Verdict};
use certcollectd_core::api::{OrderRef, Product, Replace};
use certcollectd_core::engine::command::{Command, ReplaceCommand};
use rcgen::KeyPair;

use super::{DAY_SECONDS, nagios, status};
use crate::certs;
use crate::world::{self, DAY, HOUR, START, Say, World};

/// An S/MIME order of number 5, and a request for it.
fn mailbox() -> (World, KeyPair, Command) {
    let mut config = world::config(&["jane"]);
    world::change(&mut config.orders[0], |settings| {
        settings.product = Product::Smime;
        settings.cadence.guard_interval = Some(3 * HOUR);
    });
    config.orders[0].handle = OrderRef::OrderNumber("5".into());
    config.orders.push(world::order("other"));
    let key = KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["jane@example.com".to_owned()]).unwrap();
    let csr = STANDARD.encode(params.serialize_request(&key).unwrap().der());
    let replace = Replace { order_number: "5".into(), csr, ..Default::default() };
    let command = ReplaceCommand { account: None, replace, adopt: None, again: false };
    (World::new(config), key, Command::Replace(Box::new(command)))
}

fn jane(key: &KeyPair, from: i64) -> Say {
    let start = START + from * DAY_SECONDS;
    let end = start + 90 * DAY_SECONDS;
    Say::Body(200, certs::issued(&certs::leaf_for(key, Product::Smime, &["jane@example.com"], start, end)))
}

const UNCLEAR: &str = "has a replacement with unknown outcome";

/// Whether the lost replacement is still told, everywhere or nowhere.
fn is_open(world: &World) -> bool {
    let (worst, line) = nagios(world);
    let named = explain_of(world, "jane").text().contains("A replacement of order 5 was sent at");
    let status = status(world);
    let open = status.orders[0].replacement.is_some();
    assert_eq!(named, open);
    assert_eq!(worst == Verdict::Warning && line.contains(UNCLEAR), open, "{line}");
    assert_eq!(
        status.table(&Screen::default()).contains("certcollectd resume jane"),
        open,
        "{}",
        status.table(&Screen::default())
    );
    assert!(status.orders[1].replacement.is_none());
    open
}

fn explain_of(world: &World, name: &str) -> Explanation {
    Explanation::new(&world.config, &world.load(), name, Vec::new(), world.now).unwrap()
}

#[test]
fn a_lost_replacement_is_told_until_it_is_settled() {
    let lost =
        [Say::Fail(world::silence()), Say::text("<html>"), Say::text("-14\nx"), Say::Body(503, Vec::new())];
    for (how, lost) in
        ["resume", "again", "refused", "collected", "not-collected"].into_iter().zip(lost.iter().cycle())
    {
        let (mut world, key, command) = mailbox();
        let old = KeyPair::generate().unwrap();
        world.say("5", [jane(&old, -1)]);
        world.say(
            "AutoReplaceSMIME 5",
            [lost.clone(), Say::text(if how == "refused" { "-122\nno" } else { "0\n777" })],
        );
        world.pass(HOUR);
        assert!(!is_open(&world));
        world.command(command.clone());
        world.pass(HOUR);
        assert!(is_open(&world), "{how}");
        world.restart();
        world.pass(2 * DAY);
        assert!(is_open(&world), "{how}");
        match how {
            "resume" => _ = world.command(Command::Resume("jane".into())),
            "again" | "refused" => {
                let Command::Replace(mut command) = command.clone() else { unreachable!() };
                command.again = true;
                world.command(Command::Replace(command));
            }
            "collected" => world.say("5", [jane(&key, 2)]),
            // Somebody else's key.
            _ => world.say("5", [jane(&KeyPair::generate().unwrap(), 2)]),
        }
        world.pass(DAY);
        assert_eq!(is_open(&world), how == "refused" || how == "not-collected", "{how}");
        // What was sent is known for ever.
        let again = world.command(command);
        world.pass(HOUR);
        assert!(!world.reply(again).ok && world.reply(again).text.contains("--again"), "{how}");
    }
}

#[test]
fn a_lost_replacement_of_an_order_without_a_name_is_told_with_its_account() {
    let (mut world, _, command) = mailbox();
    let Command::Replace(mut command) = command else { unreachable!() };
    command.replace.order_number = "6".into();
    world.say("AutoReplaceSMIME 6", [Say::Fail(world::silence())]);
    world.command(Command::Replace(command));
    world.pass(DAY);
    world.restart();
    let shown = status(&world).table(&Screen::default());
    assert!(shown.contains("a replacement of order 6") && shown.contains("resume --account main"), "{shown}");
    let (worst, line) = nagios(&world);
    assert!(worst == Verdict::Warning && line.contains(UNCLEAR), "{line}");
    assert!(serde_json::to_string(&status(&world)).unwrap().contains("a replacement of order 6"));
    world.command(Command::ResumeAccount("main".into()));
    world.pass(HOUR);
    assert_eq!(nagios(&world).0, Verdict::Ok);
}
