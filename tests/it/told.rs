//! What the vendor says reaches a person, and a re-issue under way leaves nothing unguarded.

/// Replacements whose outcome is unknown.
mod replacement;

use std::fs::{remove_dir_all, remove_file};
use std::time::Duration;

use certcollectd::status::{Explanation, Screen, Status, Verdict, verdict};
use certcollectd_core::engine::command::{Command, Target};
use certcollectd_core::engine::hooks::run::HookResult;
use certcollectd_core::engine::loaded::Loaded;
use certcollectd_core::engine::time::{Now, Time};
use certcollectd_sandbox::{CertificateSpec, OrderSpec, Product, State, Step};
use insta::assert_snapshot;
use rcgen::KeyPair;

use crate::certs;
use crate::setting::Setting;
use crate::world::{self, DAY, HOUR, START, Say, World};

const DAY_SECONDS: i64 = 86_400;
const DETAILS: &str = "GetMDCDomainDetails www";
const OPEN: &str =
    "errorCode=0&1_domainName=www.example.com&1_dcvMethod=CNAME_CSR_HASH&1_dcvStatus=In+progress";
const PROVEN: &str = "errorCode=0&1_domainName=www.example.com&1_dcvStatus=Validated";
const WAITS: &str = "errorCode=0&dcvStatus=2&mdcDomainDetails=www.example.com+NOTVALIDATED";

/// An answer with a certificate of 200 days from `from` on, in days after the start.
fn issued(from: i64, more: &str) -> Say {
    let start = START + from * DAY_SECONDS;
    let key = KeyPair::generate().unwrap();
    let leaf = certs::leaf(&key, &["www.example.com"], start, start + 200 * DAY_SECONDS);
    let mut body = certs::issued(&leaf);
    body.extend(more.as_bytes());
    Say::Body(200, body)
}

fn status(world: &World) -> Status {
    Status::new(&world.config, &world.load(), world.now)
}

fn note(world: &World) -> String {
    status(world).table(&Screen::default()).lines().nth(1).unwrap().to_owned()
}

fn nagios(world: &World) -> (Verdict, String) {
    verdict(&status(world))
}

fn explained(world: &World) -> Explanation {
    Explanation::new(&world.config, &world.load(), "www", Vec::new(), world.now).unwrap()
}

fn missing(world: &World) -> Vec<String> {
    explained(world).missing.into_iter().map(|missing| format!("{}; {}", missing.what, missing.who)).collect()
}

fn asked(world: &World) -> usize {
    world.side_calls.iter().filter(|side_call| side_call.number == DETAILS).count()
}

fn told(world: &World, kind: &str) -> Vec<String> {
    world.notes.iter().filter(|note| note.kind.as_str() == kind).map(|note| note.text.clone()).collect()
}

#[test]
fn a_revoked_certificate_is_never_installed() {
    for form in
        ["&certificateStatus=Revoked", "&certificateStatus=+REVOKED+", "&CERTIFICATESTATUS=revoked%20"]
    {
        let mut world = World::new(world::config(&["www"]));
        world.say("www", [issued(-1, form)]);
        world.pass(DAY);
        assert_eq!(world.phase("www"), "revoked", "{form}");
        assert!(world.disks.get("www").is_none_or(|disk| disk.link.is_none()), "{form}");
        assert_eq!(world.calls.len(), 1, "not asked again: {form}");
        assert_eq!(nagios(&world).0, Verdict::Critical, "{form}");
    }
}

#[test]
fn an_installed_order_whose_certificate_is_revoked_alarms() {
    for answer in [
        issued(-1, "&certificateStatus=Revoked"),
        Say::text("errorCode=1&certificateStatus=Revoked"),
        Say::text("errorCode=0&certificateStatus=Revoked"),
        Say::text("2\n\nRevoked\nComplete\n"),
        Say::text("1\nrevoked\n"),
    ] {
        let mut config = world::config(&["www"]);
        let mut hook = (*world::hook("page")).clone();
        hook.on = vec![certcollectd_core::config::HookEvent::Failed];
        config.hooks.push(hook.into());
        world::change(&mut config.orders[0], |settings| settings.hooks.push("page".into()));
        let mut world = World::new(config);
        world.say("www", [issued(-1, ""), answer.clone()]);
        world.pass(HOUR);
        let seen = world.seen("www");
        assert_eq!(nagios(&world).0, Verdict::Ok);
        world.pass(3 * DAY);
        assert_eq!(world.phase("www"), "revoked", "{answer:?}");
        assert_eq!(world.seen("www"), seen, "what is installed stays");
        assert_eq!(nagios(&world).0, Verdict::Critical);
        let told = world.ran.iter().filter(|ran| ran.hook == "page");
        assert_eq!(told.count(), 4, "at once, after 1, 6 and 24 hours");
    }
}

#[test]
fn a_re_issue_that_waits_is_told_like_a_first_order() {
    let mut world = World::new(world::config(&["www"]));
    world.say(DETAILS, [Say::text(PROVEN), Say::text(OPEN)]);
    world.say("www", [Say::text(WAITS), issued(-1, ""), Say::text(WAITS)]);
    world.pass(5 * HOUR);
    assert_eq!((world.phase("www").as_str(), asked(&world)), ("guarding", 1));
    assert!(missing(&world).is_empty());
    assert_eq!(nagios(&world).0, Verdict::Ok);
    let seen = world.seen("www");
    world.pass(2 * DAY);
    assert_eq!((world.phase("www").as_str(), asked(&world) > 1), ("guarding", true));
    assert_eq!(world.seen("www"), seen);
    assert_eq!(missing(&world), ["www.example.com: CNAME not seen yet; DNS team"]);
    assert!(note(&world).contains("re-issue waits: being processed by Sectigo (0)"), "{}", note(&world));
    assert!(
        status(&world).details(&Screen::default()).contains("re-issue"),
        "{}",
        status(&world).details(&Screen::default())
    );
    assert_eq!(nagios(&world).0, Verdict::Ok, "not before a first order would warn");
    let asked_then = asked(&world);
    world.restart();
    world.pass(3 * DAY);
    let more = asked(&world) - asked_then;
    assert!((2..=3).contains(&more), "no more often than max_interval: {more}");
    world.pass(4 * DAY);
    let (worst, line) = nagios(&world);
    assert_eq!(worst, Verdict::Warning);
    assert!(line.contains("www has a re-issue that has been waiting for more than a week"), "{line}");
    // The re-issue comes.
    world.say("www", [issued(8, "")]);
    world.pass(2 * DAY);
    assert_ne!(world.seen("www"), seen);
    assert_eq!(nagios(&world).0, Verdict::Ok);
    assert!(missing(&world).is_empty() && !note(&world).contains("re-issue"));
    let asked_then = asked(&world);
    world.pass(3 * DAY);
    assert_eq!(asked(&world), asked_then);
}

#[test]
fn what_was_proven_for_the_certificate_before_is_not_said_of_a_re_issue() {
    let mut world = World::new(world::config(&["www"]));
    world.say(DETAILS, [Say::text(PROVEN)]);
    world.say("www", [Say::text(WAITS), issued(-1, ""), Say::text(WAITS)]);
    // The domains were asked about within max_interval, for the first certificate.
    let mut polling = (*world.config).clone();
    world::change(&mut polling.orders[0], |settings| settings.cadence.guard_interval = Some(3 * HOUR));
    world.reload(polling);
    world.pass(8 * HOUR);
    assert_eq!(asked(&world), 1);
    assert_eq!(missing(&world), ["www.example.com: control is not proven; the operator of the domain"]);
}

#[test]
fn trouble_in_between_does_not_begin_the_wait_anew() {
    let mut world = World::new(world::config(&["www"]));
    let mut said = vec![issued(-1, "")];
    for _ in 0..80 {
        said.extend([Say::text(WAITS), Say::text("<html>"), Say::text("-14\nAn unknown error occurred!")]);
    }
    world.say("www", said);
    world.pass(10 * DAY);
    assert!(nagios(&world).1.contains("re-issue that has been waiting"), "{}", nagios(&world).1);
}

/// What an operator, or somebody else, did to the installed files.
fn damage(setting: &Setting, what: &str) {
    match what {
        "link" => remove_file(setting.path("out/www")).unwrap(),
        "generation" => {
            let target = std::fs::read_link(setting.path("out/www")).unwrap();
            remove_dir_all(setting.path("out").join(target)).unwrap();
        }
        "file" => remove_file(setting.path("out/www/fullchain.pem")).unwrap(),
        "all" => {
            remove_file(setting.path("out/www")).unwrap();
            remove_dir_all(setting.path("out/.www")).unwrap();
        }
        other => panic!("{other}"),
    }
}

#[test]
fn files_are_put_back_although_the_vendor_has_nothing_to_give() {
    for what in ["link", "generation", "file", "all"] {
        for then in [
            Step::default(),
            Step::error(-22),
            Step::error(-14),
            Step { state: State::Available, ..Step::default() },
        ] {
            let mut setting = Setting::new();
            let script = vec![Step::issued().polls(1), then.clone()];
            let spec = OrderSpec::new(Product::Ssl, "1", &["www.example.com"]).with_script(script);
            setting.order("www", spec, "domains = [\"www.example.com\"]\nkey_file = \"$DIR/key.pem\"\n[order.verify]\ntrust = \"off\"");
            let (code, said) = setting.once(&[]);
            assert_eq!(code, 0, "{said}");
            let installed = setting.read("out/www/fullchain.pem");
            damage(&setting, what);
            // The poll that brings nothing.
            setting.call(&["poll", "www"]);
            assert_eq!(setting.phase("www"), "guarding", "{what} {then:?}");
            assert_eq!(setting.read("out/www/fullchain.pem"), installed, "{what} {then:?}");
            assert_eq!(setting.read("out/www/cert.pem"), setting.newest("1"), "{what} {then:?}");
        }
    }
}

#[test]
fn files_of_an_earlier_version_are_put_back_once_they_were_looked_at() {
    let mut setting = Setting::new();
    let script = vec![Step::issued().polls(1), Step::default()];
    let spec = OrderSpec::new(Product::Ssl, "1", &["www.example.com"]).with_script(script);
    setting.order("www", spec, "key_file = \"$DIR/key.pem\"\n[order.verify]\ntrust = \"off\"");
    let (code, said) = setting.once(&[]);
    assert_eq!(code, 0, "{said}");
    remove_dir_all(setting.path("state/installed")).unwrap();
    setting.call(&["poll", "www"]);
    damage(&setting, "all");
    setting.call(&["poll", "www"]);
    assert_eq!(setting.read("out/www/cert.pem"), setting.newest("1"));
    // What somebody else wrote there is none of ours.
    for content in ["", "garbage", &setting.vendor().ca_pem().repeat(3)] {
        setting.vendor().vendor().set_script("1", vec![Step::default()]).unwrap();
        std::fs::write(setting.path("state/installed/www.pem"), content).unwrap();
        damage(&setting, "all");
        setting.call(&["poll", "www"]);
        assert!(!setting.path("out/www").exists(), "{content}");
        remove_file(setting.path("state/installed/www.pem")).unwrap();
        setting.vendor().vendor().set_script("1", vec![Step::issued()]).unwrap();
        setting.call(&["poll", "www"]);
        assert_eq!(setting.read("out/www/cert.pem"), setting.newest("1"));
    }
}

fn with_domains(domains: &[&str]) -> World {
    let mut config = world::config(&["www"]);
    config.orders[0].domains = domains.iter().map(|name| (*name).into()).collect();
    World::new(config)
}

#[test]
fn somebody_elses_name_is_told_at_the_first_answer() {
    for (domains, said, fits) in [
        (&["www.example.com"][..], "errorCode=0&fqdn=other.example.net", false),
        (&["www.example.com"], "0\nother.example.net\n", false),
        (&["www.example.com"], "errorCode=-22&errorMessage=x&fqdn=other.example.net", false),
        (&["www.example.com"], "errorCode=0&fqdn=", true),
        (&["www.example.com"], "errorCode=0", true),
        (&["www.example.com"], "errorCode=0&fqdn=WWW.EXAMPLE.COM", true),
        (&["www.example.com"], "errorCode=0&fqdn=*.example.com", true),
        (&["*.example.com"], "errorCode=0&fqdn=*.example.com", true),
        (&["*.example.com"], "errorCode=0&fqdn=*.example.net", false),
        (&["a.example.com", "b.example.com"], "errorCode=0&fqdn=b.example.com", true),
        (
            &["b.example.com"],
            "errorCode=0&fqdn=a.example.com&mdcDomainDetails=a.example.com+VALIDATED,+b.example.com+VALIDATED",
            true,
        ),
        (&["xn--mller-kva.example"], "errorCode=0&fqdn=m%C3%BCller.example", true),
        (&["xn--mller-kva.example"], "errorCode=0&fqdn=xn--mller-kva.example", true),
        (&[], "errorCode=0&fqdn=other.example.net", true),
    ] {
        let mut world = with_domains(domains);
        world.say("www", [Say::text(said)]);
        world.pass(DAY);
        world.restart();
        world.pass(HOUR);
        assert_eq!(told(&world, "other-name").len(), usize::from(!fits), "once: {domains:?} {said}");
        assert_eq!(nagios(&world).0 == Verdict::Ok, fits, "{domains:?} {said}");
        assert_eq!(note(&world).contains("matches none of its domains"), !fits, "{domains:?} {said}");
        assert_eq!(missing(&world).iter().any(|line| line.contains("matches none")), !fits, "{said}");
        let shown = explained(&world).text();
        assert_eq!(shown.contains("At the vendor it is for"), said.contains('.'), "{said}\n{shown}");
    }
}

#[test]
fn the_names_of_a_first_certificate_that_nothing_pins_down_are_told() {
    let mut world = World::new(world::config(&["www"]));
    world.say("www", [issued(-1, "")]);
    world.pass(HOUR);
    let collected = told(&world, "collected");
    assert!(collected[0].contains("for www.example.com; nothing in its entry confirms"), "{collected:?}");
    let mut world = with_domains(&["www.example.com"]);
    world.say("www", [issued(-1, "")]);
    world.pass(HOUR);
    assert!(!told(&world, "collected")[0].contains("nothing in its entry"));
}

/// The verdict so many hours later, without a word from anybody.
fn later(world: &World, hours: i64) -> (Verdict, String) {
    let millis = hours * 3_600_000;
    let now = Now { time: Time(world.now.time.0 + millis), wall: world.now.wall + millis };
    verdict(&Status::new(&world.config, &world.load(), now))
}

#[test]
fn what_lasts_longer_than_a_day_is_warned_of() {
    for (said, why) in [
        ("-22\nPayment pending", "www has been waiting for payment for more than a day"),
        ("-14\nAn unknown error occurred!", "www has had no usable answer for more than a day"),
        ("-23\nOdd", "www has had no usable answer for more than a day"),
        ("-160\nOdd", "www has had no usable answer for more than a day"),
        ("-42\nCall limit", "www has had no usable answer for more than a day"),
        ("<html>", "www has had no usable answer for more than a day"),
    ] {
        for first in [None, Some(issued(-1, ""))] {
            let installed = first.is_some();
            let mut config = world::config(&["www"]);
            config.calls.unknown_tries = 1000;
            world::change(&mut config.orders[0], |settings| settings.cadence.guard_interval = Some(3 * HOUR));
            let mut world = World::new(config);
            world.say("www", first.into_iter().chain([Say::text(said)]));
            world.pass(20 * HOUR);
            assert_eq!(nagios(&world).0, Verdict::Ok, "{said} {installed}");
            world.pass(2 * DAY);
            let (worst, line) = nagios(&world);
            assert_eq!(worst, Verdict::Warning, "{said} {installed}");
            assert!(line.contains(why), "{line}");
            // Over, and nobody need look.
            world.say("www", [Say::text("0")]);
            world.pass(3 * DAY);
            assert_eq!(later(&world, 0).0, Verdict::Ok, "{said} {installed}");
        }
    }
}

#[test]
fn who_must_pay_is_said() {
    let mut world = World::new(world::config(&["www"]));
    world.say("www", [Say::text("-22\nPayment pending")]);
    world.pass(HOUR);
    assert_eq!(missing(&world), ["the order is not paid; the team that pays for the order"]);
}

#[test]
fn domains_are_asked_about_by_the_number_that_answers_name() {
    use certcollectd_core::api::OrderRef;
    for handle in [OrderRef::CertificateId("6306".into()), OrderRef::BaseOrderNumber("6306".into())] {
        let details = "GetMDCDomainDetails 4711";
        let mut config = world::config(&["www"]);
        config.orders[0].handle = handle.clone();
        let mut world = World::new(config.clone());
        world.say(
            "6306",
            [Say::text("errorCode=0&dcvStatus=2"), Say::text("errorCode=0&dcvStatus=2&orderNumber=4711")],
        );
        world.say(details, [Say::text(OPEN)]);
        world.pass(HOUR);
        let token = world.command(Command::Domains(Target::Order("www".into())));
        let reply = world.reply(token);
        assert!(!reply.ok && reply.text.contains("--order N"), "{}", reply.text);
        world.pass(5 * HOUR);
        assert_eq!(
            world.side_calls.iter().map(|side_call| &*side_call.number).collect::<Vec<_>>(),
            [details]
        );
        assert_eq!(missing(&world), ["www.example.com: CNAME not seen yet; DNS team"]);
        world.restart();
        let token = world.command(Command::Domains(Target::Order("www".into())));
        world.pass(Duration::from_secs(60));
        assert!(world.reply(token).ok, "{}", world.reply(token).text);
        // Another handle is another order.
        config.orders[0].handle = OrderRef::CertificateId("6307".into());
        world.reload(config);
        let token = world.command(Command::Domains(Target::Order("www".into())));
        assert!(!world.reply(token).ok, "{handle:?}");
    }
}

#[test]
fn explain_reads_as_it_should_during_a_re_issue() {
    let mut world = with_domains(&["www.example.com"]);
    world.say(DETAILS, [Say::text(OPEN)]);
    world.say("www", [issued(-1, ""), Say::text("errorCode=0&dcvStatus=2&fqdn=www.example.com")]);
    world.pass(DAY + 4 * HOUR);
    assert_snapshot!(explained(&world).text(), @r##"
    www is ssl order www on account main.

    Now:
      It has been installed and guarded since 2026-11-20T09:12:00Z.
      Its re-issue has been pending since 2026-11-21T10:23:21Z.
      At the vendor it is for www.example.com.
      The vendor's last answer, of 2026-11-21T10:23:21Z: being processed by Sectigo (0).
      Installed is serial 010000006afebd60000000006c066960, valid until 2027-06-07T09:12:00Z, 197 days left, for www.example.com.

    Missing, and who must act:
      www.example.com: CNAME not seen yet; DNS team

    Next:
      The next poll is at 2026-11-21T13:38:09Z; `certcollectd poll www` polls now.
    "##);
}

#[test]
fn what_was_never_asked_about_is_polled_at_the_start_on_each_screen() {
    let world = World::new(world::config(&["www"]));
    let status = Status::new(&world.config, &Loaded::default(), world.now);
    let screen = Screen::default();
    assert!(status.table(&screen).contains("www    waiting  at the start"), "{}", status.table(&screen));
    assert!(status.details(&screen).contains("next poll     at the start"), "{}", status.details(&screen));
}

#[test]
fn of_two_hooks_that_failed_as_often_each_screen_names_the_same() {
    let mut config = world::config(&["www"]);
    for hook in ["first", "second"] {
        config.hooks.push(world::hook(hook));
        world::change(&mut config.orders[0], |settings| settings.hooks.push(hook.into()));
    }
    let mut world = World::new(config);
    for hook in ["first", "second"] {
        world.hook_results.insert(hook.into(), vec![HookResult::failed(format!("{hook} says no"))]);
    }
    world.say("www", [issued(0, "")]);
    world.pass(Duration::from_secs(1));
    assert!(nagios(&world).1.contains("hook first failed 1 time"), "{}", nagios(&world).1);
    assert!(note(&world).contains("hook first failed 1 time: first says no"), "{}", note(&world));
}

#[test]
fn check_warns_of_orders_that_nothing_pins_down_and_of_forms_in_dispute() {
    let mut setting = Setting::new();
    setting.order("www", OrderSpec::new(Product::Ssl, "1", &["www.example.com"]), "");
    setting.order(
        "keyed",
        OrderSpec::new(Product::Ssl, "2", &["www.example.com"]),
        "key_file = \"$DIR/key.pem\"",
    );
    setting.order(
        "named",
        OrderSpec::new(Product::Ssl, "3", &["www.example.com"]),
        "domains = [\"www.example.com\"]",
    );
    for (name, number, response) in [("zip", "4", "zip"), ("both", "5", "zip-binary")] {
        let keys = format!("domains = [\"example.com\"]\nresponse = \"{response}\"");
        setting.order(name, OrderSpec::new(Product::Mark, number, &["example.com"]), &keys);
    }
    setting.write_configuration();
    let (_, said) = setting.call(&["check"]);
    let unpinned = said.matches("nothing pins its certificate").count();
    assert!(unpinned == 1 && said.contains("order www: nothing pins"), "{said}");
    let disputed = said.matches("only the newer of the vendor's two pages on CollectMC").count();
    assert!(disputed == 1 && said.contains("order zip: only the newer"), "{said}");
}

const KEY: &str = "key_file = \"$DIR/key.pem\"\n";
const OWN_ROOT: &str = "[order.verify]\ntrust = \"off\"";

#[test]
fn revocation_reaches_the_binary_in_every_form() {
    for response in ["individual", "individual-lines", "pkcs7-lines", "zip"] {
        for installed in [false, true] {
            let revoked = Step { certificate_status: Some("Revoked".into()), ..Step::issued() };
            let script = if installed { vec![Step::issued().polls(1), revoked] } else { vec![revoked] };
            let mut setting = Setting::new();
            let spec = OrderSpec::new(Product::Ssl, "1", &["www.example.com"]).with_script(script);
            setting.order("www", spec, &format!("{KEY}response = \"{response}\"\n{OWN_ROOT}"));
            setting.once(&[]);
            if installed {
                assert_eq!(setting.phase("www"), "guarding", "{response}");
                setting.call(&["poll", "www"]);
            }
            assert_eq!(setting.phase("www"), "revoked", "{response} {installed}");
            assert_eq!(setting.path("out/www/cert.pem").exists(), installed, "{response}");
            assert_eq!(setting.call(&["status", "--nagios"]).0, 2, "{response}");
        }
    }
}

#[test]
fn files_are_looked_after_while_a_re_issue_is_in_quarantine() {
    let mut setting = Setting::new();
    let other = CertificateSpec {
        key: Some(KeyPair::generate().unwrap().serialize_pem()),
        ..CertificateSpec::default()
    };
    let refused = Step { certificate: Some(other), ..Step::issued() };
    let spec = OrderSpec::new(Product::Ssl, "1", &["www.example.com"])
        .with_script(vec![Step::issued().polls(1), refused]);
    setting.order("www", spec, &format!("{KEY}{OWN_ROOT}"));
    let (code, said) = setting.once(&[]);
    assert_eq!(code, 0, "{said}");
    let installed = setting.read("out/www/cert.pem");
    setting.call(&["poll", "www"]);
    assert_eq!(setting.phase("www"), "quarantined");
    for what in ["link", "all"] {
        damage(&setting, what);
        setting.call(&["poll", "www"]);
        assert_eq!(setting.read("out/www/cert.pem"), installed, "{what}");
    }
    setting.call(&["poll", "www"]);
    assert_eq!(setting.phase("www"), "quarantined");
}

#[test]
fn nobody_is_told_to_accept_what_nothing_tells_apart() {
    let mut world = World::new(world::config(&["www"]));
    let key = || KeyPair::generate().unwrap();
    let leaf = |name: &str| certs::leaf(&key(), &[name], START - 86_400, START + 90 * 86_400);
    let (one, other) = (leaf("a.example.com"), leaf("b.example.com"));
    world.say("www", [Say::Body(200, certs::issued_with(&[certs::ca().intermediate.der(), &other], &one))]);
    world.pass(HOUR);
    for _ in 0..2 {
        assert_eq!(world.phase("www"), "quarantined");
        let next = explained(&world).next.join(" ");
        assert!(next.contains("there is none to accept") && !next.contains("certcollectd accept"), "{next}");
        world.restart();
    }
    let accept = world.command(Command::Accept("www".into()));
    let reply = world.reply(accept);
    assert!(!reply.ok && reply.text.contains("there is none to accept"), "{}", reply.text);
    assert!(!world.kinds().contains(&"accepted"));
    // With one that can be told apart there is.
    let mut config = (*world.config).clone();
    config.orders[0].domains = Box::new(["c.example.com".into()]);
    world.say("www", [issued(-1, "")]);
    world.reload(config);
    world.pass(2 * DAY);
    let next = explained(&world).next.join(" ");
    assert!(next.contains("`certcollectd accept www`"), "{next}");
}
