//! Calls that are not polls: domain details, S/MIME replacements, the collection mail. What the engine decides,
//! and the commands of the real binary against the sandbox.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use certcollectd_core::api::{self, Failure};
use certcollectd_core::engine::account::record::CredentialTag;
use certcollectd_core::engine::command::{Command, ReplaceCommand, Target};
use certcollectd_core::engine::event::Event;
use certcollectd_sandbox::{Fault, FaultSpec, OrderSpec, Product, Step};
use rcgen::{CertificateParams, KeyPair};

use crate::certs;
use crate::setting::Setting;
use crate::world::{self, DAY, HOUR, START, Say, World};

const DETAILS: &str = "GetMDCDomainDetails www";
const REPLACE: &str = "AutoReplaceSMIME 5";
const OPEN: &str = "errorCode=0&1_domainName=a.example.com&1_dcvMethod=CNAME_CSR_HASH&1_dcvStatus=In+progress\
                    &2_domainName=b.example.com&2_dcvMethod=EMAIL&2_dcvStatus=Validated&dcvStatusCode=2";

fn asked(world: &World) -> usize {
    world.side_calls.iter().filter(|side_call| side_call.number == DETAILS).count()
}

#[test]
fn domains_are_asked_for_once_an_order_waits_longer_than_its_interval() {
    let mut world = World::new(world::config(&["www"]));
    world.say(DETAILS, [Say::text(OPEN)]);
    world.pass(2 * HOUR);
    assert_eq!((world.calls.len(), asked(&world)), (1, 0), "the first answer shows nothing open");
    world.pass(2 * HOUR);
    assert_eq!((world.calls.len(), asked(&world)), (2, 1));
    world.pass(18 * HOUR);
    assert_eq!(asked(&world), 1, "no more often than max_interval");
    for _ in 0..4 {
        world.restart();
        world.pass(HOUR);
    }
    assert_eq!(asked(&world), 1, "not after a restart either");
    world.pass(8 * DAY);
    assert!((7..=9).contains(&asked(&world)), "{}", asked(&world));
    let row = world.record("www");
    assert_eq!(row["domains"]["heard"]["dcv"][0][0], "a.example.com", "{row:#}");
}

#[test]
fn open_validation_is_looked_into_at_once() {
    let mut world = World::new(world::config(&["www"]));
    world.say("www", [Say::text("errorCode=0&dcvStatus=2")]);
    world.say(DETAILS, [Say::text(OPEN)]);
    world.pass(HOUR);
    assert_eq!((world.calls.len(), asked(&world)), (1, 1));
    let gap = world.side_calls[0].at.since(world.calls[0].at);
    assert!(gap >= certcollectd_core::config::Calls::default().call_gap, "{gap:?}");
}

#[test]
fn domains_of_orders_that_have_none_are_not_asked_for() {
    let mut config = world::config(&["www"]);
    world::change(&mut config.orders[0], |settings| settings.product = api::Product::Mark);
    let mut world = World::new(config);
    world.say("www", [Say::text("0\n")]);
    world.pass(3 * DAY);
    assert!(world.side_calls.is_empty());
}

#[test]
fn permission_denied_ends_the_asking_and_nothing_else() {
    let mut world = World::new(world::config(&["www"]));
    world.say("www", [Say::text("errorCode=0&dcvStatus=0")]);
    world.say(DETAILS, [Say::text("errorCode=-16&errorMessage=Permission+denied!")]);
    world.pass(5 * DAY);
    world.restart();
    world.handle(Event::CredentialTouched { account: "main".into() });
    world.pass(5 * DAY);
    assert_eq!(asked(&world), 1);
    assert!(world.calls.len() > 20, "the order is polled all the same");
    assert!(world.account_row("main").get("closed").is_none());
    world.credential = Some(CredentialTag(2));
    world.handle(Event::CredentialTouched { account: "main".into() });
    world.pass(2 * DAY);
    assert_eq!(asked(&world), 2, "another credential may be allowed more");
    let mut config = world::config(&["www"]);
    let mut account = (*config.accounts[0]).clone();
    account.login_name = "another".into();
    config.accounts[0] = account.into();
    world.reload(config);
    world.pass(2 * DAY);
    assert_eq!(asked(&world), 3, "another login may be allowed more");
}

#[test]
fn a_refused_login_on_a_side_call_closes_the_account() {
    let mut world = World::new(world::config(&["www"]));
    world.say("www", [Say::text("errorCode=0&dcvStatus=0")]);
    world.say(DETAILS, [Say::text("errorCode=-16&errorMessage=Incorrect+login+details")]);
    world.pass(3 * DAY);
    assert_eq!((world.calls.len(), asked(&world)), (1, 1));
    assert!(world.account_row("main").get("closed").is_some());
    let token = world.command(Command::Domains(Target::Order("www".into())));
    assert!(world.reply(token).text.contains("account main is closed"), "{}", world.reply(token).text);
}

#[test]
fn permission_denied_does_not_open_a_closed_account() {
    let mut config = world::config(&["www"]);
    config.orders.push(world::order("b"));
    let mut world = World::new(config);
    // At rest before the refusal, so that nothing of it can be the one call.
    world.say("www", [Say::text("-20\nRejected")]);
    world.say("b", [Say::text("-16\nno")]);
    world.say(DETAILS, [Say::text("errorCode=-16&errorMessage=Permission+denied!")]);
    world.pass(HOUR);
    assert!(world.account_row("main").get("closed").is_some());
    let mut config = (*world.config).clone();
    config.orders.pop();
    world.reload(config);
    world.command(Command::ResumeSamePassword("main".into()));
    world.pass(HOUR);
    assert_eq!((world.calls.len(), asked(&world)), (2, 0), "no order is due");
    let token = world.command(Command::Domains(Target::Order("www".into())));
    world.pass(HOUR);
    assert_eq!(asked(&world), 1);
    assert!(!world.reply(token).ok);
    let row = world.account_row("main");
    assert!(
        row["closed"]["unclear"].as_str().is_some_and(|text| text.contains("Permission denied!")),
        "{row}"
    );
}

#[test]
fn a_wish_does_not_use_up_the_one_call_of_a_closed_account() {
    let mut config = world::config(&["www", "b"]);
    world::change(&mut config.orders[0], |settings| settings.cadence.interval = DAY);
    let mut world = World::new(config);
    world.say("www", [Say::text("errorCode=0&dcvStatus=0")]);
    world.say("b", [Say::text("-16\nno"), Say::text("errorCode=0")]);
    world.say(DETAILS, [Say::text("errorCode=-16&errorMessage=Permission+denied!")]);
    world.pass(HOUR);
    assert_eq!((world.calls.len(), asked(&world)), (2, 0), "the refusal came before the wish had its turn");
    world.command(Command::ResumeSamePassword("main".into()));
    world.pass(HOUR);
    assert!(world.account_row("main").get("closed").is_none());
    assert_eq!((world.calls.len(), asked(&world)), (3, 1));
}

#[test]
fn what_waits_on_an_account_that_is_removed_is_dropped() {
    let mut config = world::config(&["a"]);
    let mut second = (*config.accounts[0]).clone();
    (second.name, second.login_name) = ("second".into(), "other".into());
    config.accounts.push(second.clone().into());
    let mut world = World::new(config.clone());
    world.pass(HOUR);
    let target = Target::Number { number: "7".into(), account: Some("second".into()) };
    world.command(Command::Domains(target.clone()));
    let within_the_gap = world.command(Command::Resend(target));
    let sent =
        |world: &World| world.side_calls.iter().filter(|side_call| side_call.account == "second").count();
    assert_eq!(sent(&world), 1);
    config.accounts.pop();
    world.reload(config.clone());
    let reply = world.reply(within_the_gap);
    assert!(!reply.ok && reply.text.contains("nothing was sent"), "{}", reply.text);
    assert!(reply.text.contains("no longer configured"), "{}", reply.text);
    world.pass(30 * DAY);
    config.accounts.push(second.into());
    world.reload(config);
    world.pass(HOUR);
    assert_eq!(sent(&world), 1);
}

#[test]
fn a_credential_that_changed_during_the_call_is_tried() {
    let mut world = World::new(world::config(&["www"]));
    world.say("www", [Say::text("-16\nno"), Say::text("errorCode=0")]);
    // The call sent the old one; when its answer is read, the file holds the new one.
    world.sent_credential = Some(CredentialTag(7));
    world.credential = Some(CredentialTag(8));
    world.pass(HOUR);
    assert_eq!(world.calls.len(), 2);
    assert!(world.account_row("main").get("closed").is_none());
}

fn replace(again: bool) -> Command {
    let replace = api::Replace { order_number: "5".into(), csr: "MIIC".into(), ..api::Replace::default() };
    let adopt = Some("mail".to_owned());
    Command::Replace(Box::new(ReplaceCommand { account: None, replace, adopt, again }))
}

fn sent(world: &World) -> usize {
    world.side_calls.iter().filter(|side_call| side_call.number == REPLACE).count()
}

#[test]
fn a_replacement_is_never_sent_twice_by_itself() {
    for lost in [
        Say::Fail(world::silence()),
        Say::Body(502, b"bad gateway".to_vec()),
        Say::text("<html>"),
        Say::text("-14\nunknown error"),
    ] {
        let mut world = World::new(world::config(&["www"]));
        world.say(REPLACE, [lost, Say::text("0\n777")]);
        let first = world.command(replace(false));
        world.pass(HOUR);
        assert!(!world.reply(first).ok);
        assert!(world.reply(first).text.contains("unknown whether"), "{}", world.reply(first).text);
        world.restart();
        world.pass(10 * DAY);
        let second = world.command(replace(false));
        world.pass(HOUR);
        assert!(!world.reply(second).ok);
        assert!(world.reply(second).text.contains("--again"), "{}", world.reply(second).text);
        assert_eq!(sent(&world), 1);
        let third = world.command(replace(true));
        world.pass(HOUR);
        assert!(world.reply(third).ok, "{}", world.reply(third).text);
        assert_eq!(sent(&world), 2);
    }
}

#[test]
fn a_request_that_was_sent_is_known_whatever_was_sent_after_it() {
    let of = |csr: &str, again: bool| {
        let replace = api::Replace { order_number: "5".into(), csr: csr.into(), ..api::Replace::default() };
        Command::Replace(Box::new(ReplaceCommand { account: None, replace, adopt: None, again }))
    };
    for first in [Say::Fail(world::silence()), Say::text("0\n777")] {
        let mut world = World::new(world::config(&["www"]));
        world.say(REPLACE, [first, Say::text("0\n778"), Say::text("0\n779")]);
        for (csr, again) in [("MIIA", false), ("MIIB", true)] {
            world.command(of(csr, again));
            world.pass(HOUR);
        }
        let token = world.command(of("MIIA", false));
        world.pass(HOUR);
        assert!(world.reply(token).text.contains("--again"), "{}", world.reply(token).text);
        assert_eq!(sent(&world), 2);
        // Another one is another matter.
        let token = world.command(of("MIIC", false));
        world.pass(HOUR);
        assert!(world.reply(token).ok, "{}", world.reply(token).text);
    }
}

#[test]
fn what_was_certainly_not_made_may_be_tried_again() {
    for no in [Say::Fail(Failure::Connect("refused".into())), Say::text("-13\nkey size")] {
        let mut world = World::new(world::config(&["www"]));
        world.say(REPLACE, [no, Say::text("errorCode=0&orderNumber=777")]);
        let first = world.command(replace(false));
        world.pass(HOUR);
        assert!(!world.reply(first).ok);
        let second = world.command(replace(false));
        world.pass(HOUR);
        assert!(world.reply(second).ok, "{}", world.reply(second).text);
        assert_eq!(world.reply(second).data["new_order_number"], "777");
    }
}

#[test]
fn an_adopted_order_is_collected_over_restarts_until_the_configuration_takes_over() {
    let mut world = World::new(world::config(&["www"]));
    world.say(REPLACE, [Say::text("errorCode=0&orderNumber=777")]);
    world.say("777", [Say::text("0\n")]);
    let token = world.command(replace(false));
    world.pass(HOUR);
    assert!(world.reply(token).ok, "{}", world.reply(token).text);
    let polls = |world: &World| world.calls.iter().filter(|call| call.number == "777").count();
    assert_eq!(polls(&world), 1);
    world.restart();
    world.pass(7 * HOUR);
    assert_eq!(polls(&world), 3);
    let repeated = world.command(replace(false));
    assert!(!world.reply(repeated).ok, "the name is taken, and it was made already");
    // The configuration takes it over, and then ends it.
    let mut config = world::config(&["www"]);
    let mut taken = world::order("mail");
    taken.handle = api::OrderRef::OrderNumber("777".into());
    world::change(&mut taken, |settings| settings.product = api::Product::Smime);
    config.orders.push(taken);
    world.reload(config);
    world.reload(world::config(&["www"]));
    world.restart();
    let before = polls(&world);
    world.pass(3 * DAY);
    assert_eq!(polls(&world), before);
}

/// The file of the request may be gone, or not be the daemon's to read; what was sent tells the key all the same.
#[test]
fn what_is_collected_for_an_adopted_order_has_the_key_of_the_request_and_the_mailbox_of_the_order() {
    let [sent, foreign] = [KeyPair::generate().unwrap(), KeyPair::generate().unwrap()];
    let params = CertificateParams::new(vec!["jane@example.com".to_owned()]).unwrap();
    let csr = STANDARD.encode(params.serialize_request(&sent).unwrap().der());
    for (key, mailbox, refused) in [
        (&foreign, "jane@example.com", Some("key: ")),
        (&sent, "john@example.com", Some("domains: ")),
        (&sent, "jane@example.com", None),
    ] {
        let mut config = world::config(&["jane"]);
        world::change(&mut config.orders[0], |settings| settings.product = api::Product::Smime);
        config.orders[0].handle = api::OrderRef::OrderNumber("5".into());
        config.orders[0].domains = Box::new(["jane@example.com".into()]);
        let mut world = World::new(config);
        world.say(REPLACE, [Say::text("errorCode=0&orderNumber=777")]);
        let leaf = certs::leaf_for(key, api::Product::Smime, &[mailbox], START - 86_400, START + 90 * 86_400);
        world.say("777", [Say::Body(200, certs::issued(&leaf))]);
        let Command::Replace(mut command) = replace(false) else { unreachable!() };
        command.replace.csr.clone_from(&csr);
        world.command(Command::Replace(command));
        world.pass(HOUR);
        world.restart();
        world.pass(DAY);
        let reason = world.record("mail")["reason"].as_str().unwrap_or_default().to_owned();
        match refused {
            Some(why) => assert!(reason.contains(why), "{reason}: {}", world.phase("mail")),
            None => assert_eq!((world.phase("mail").as_str(), reason.as_str()), ("guarding", "")),
        }
    }
}

fn smime(number: &str) -> OrderSpec {
    OrderSpec::new(Product::Smime, number, &["someone@example.com"])
}

fn request(name: &str) -> String {
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.serialize_request(&KeyPair::generate().unwrap()).unwrap().pem().unwrap()
}

#[test]
fn the_five_endpoints_work_from_the_command_line() {
    let mut setting = Setting::new();
    setting.order(
        "www",
        OrderSpec::new(Product::Ssl, "1", &["www.example.com"]).with_script(vec![Step::pending(1_000_000)]),
        "",
    );
    let mail = smime("5");
    setting.vendor().vendor().put_order(mail).unwrap();
    setting.write("new.csr", &request("someone@example.com"));
    setting.write_configuration();
    for with_daemon in [false, true] {
        if with_daemon {
            setting.start();
        }
        let (code, said) = setting.call(&["domains", "www"]);
        assert_eq!(code, 0, "{said}");
        assert!(said.contains("DOMAIN") && said.contains("order 1:"), "{said}");
        let (code, said) = setting.call(&["domains", "--order", "1", "--json"]);
        assert_eq!(code, 0, "{said}");
        assert!(said.contains("\"domains\""), "{said}");
        let (code, said) = setting.call(&["smime", "resend", "--order", "5"]);
        assert_eq!(code, 0, "{said}");
        let (code, said) = setting.call(&["domains", "--order", "404"]);
        assert_eq!(code, 1, "{said}");
    }
    let csr = setting.path("new.csr");
    let csr = csr.to_str().unwrap();
    let (code, said) =
        setting.call(&["smime", "replace", "--order", "5", "--csr", csr, "--revoke-old", "--adopt", "mail"]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("the new order is"), "{said}");
    setting.until_phase("mail", "guarding");
    let (code, said) = setting.call(&["smime", "replace", "--order", "5", "--csr", csr]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("with this same request"), "{said}");
    let (code, said) = setting.call(&["explain", "www"]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("waiting for the vendor") && said.contains("History:"), "{said}");
    assert_eq!(setting.stop(), Some(0));
    assert_eq!(setting.vendor().vendor().record().counters().all.max_in_flight, 1);
}

#[test]
fn a_lost_answer_to_a_replacement_is_said_and_not_repeated() {
    let setting = Setting::new();
    setting.vendor().vendor().put_order(smime("5")).unwrap();
    setting.write("new.csr", &request("someone@example.com"));
    setting.write_configuration();
    setting.vendor().vendor().faults.add(FaultSpec::always(Fault::Close)).unwrap();
    let csr = setting.path("new.csr");
    let arguments = ["smime", "replace", "--order", "5", "--csr", csr.to_str().unwrap()];
    let (code, said) = setting.call(&arguments);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("unknown whether"), "{said}");
    setting.vendor().vendor().faults.clear();
    let calls = setting.all_calls();
    let (code, said) = setting.call(&arguments);
    assert_eq!((code, setting.all_calls()), (1, calls), "{said}");
    assert!(said.contains("--again"), "{said}");
}

#[test]
fn arguments_are_checked_before_a_call_is_spent() {
    let mut setting = Setting::new();
    setting.order("www", OrderSpec::new(Product::Ssl, "1", &["www.example.com"]), "");
    setting.write_configuration();
    setting.write("cut.csr", &request("a@example.com").replacen("MII", "MIJ", 1));
    setting.write("good.csr", &request("a@example.com"));
    setting.write("key.csr", &setting.read("key.pem"));
    let long = "9".repeat(129);
    let (cut, good, key) = (setting.path("cut.csr"), setting.path("good.csr"), setting.path("key.csr"));
    let [cut, good, key] = [&cut, &good, &key].map(|path| path.to_str().unwrap());
    for wrong in [
        &["domains"][..],
        &["domains", "www", "--order", "1"],
        &["domains", "--order", ""],
        &["domains", "--order", &long],
        &["domains", "nosuch"],
        &["smime", "resend", "--order", &long],
        &["smime", "replace", "--order", "", "--csr", good],
        &["smime", "replace", "--order", "5"],
        &["smime", "replace", "--order", "5", "--csr", "/nonexistent"],
        &["smime", "replace", "--order", "5", "--csr", cut],
        &["smime", "replace", "--order", "5", "--csr", key],
        &["smime", "replace", "--order", "5", "--csr", good, "--signature-hash", "MD5"],
        &["smime", "replace", "--order", "5", "--csr", good, "--param", "loginPassword=x"],
        &["smime", "replace", "--order", "5", "--csr", good, "--adopt", "Not A Name"],
        &["smime", "resend", "--order", "5", "--account", "nosuch"],
        &["explain", "nosuch"],
    ] {
        let (code, said) = setting.call(wrong);
        assert_eq!(code, 2, "{wrong:?}: {said}");
        assert!(!said.contains("certcollectd.toml"), "it is the argument that is wrong: {said}");
    }
    assert_eq!(setting.all_calls(), 0);
}

#[test]
fn completions_and_manual_pages_are_made() {
    let setting = Setting::new();
    for shell in ["bash", "zsh", "fish"] {
        let (code, said) = setting.call(&["completions", shell]);
        assert_eq!(code, 0, "{said}");
        assert!(said.contains("certcollectd") && said.contains("rehearse"), "{shell}");
    }
    let dir = setting.path("man");
    assert_eq!(setting.call(&["man", dir.to_str().unwrap()]).0, 0);
    assert!(std::fs::read_to_string(dir.join("certcollectd-once.1")).unwrap().contains("wait"));
}
