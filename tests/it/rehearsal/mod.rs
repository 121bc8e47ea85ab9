//! The real binary against the sandbox: real TLS, real files, real processes, port 0.

/// That it lives.
mod alive;
/// Files with owners and modes.
mod files;
/// Hooks as real processes.
mod hooks;
/// What the journal is told.
mod journal;
/// What listens: metrics and push.
pub(crate) mod listening;
/// The login, and the one call in flight.
mod login;

use certcollectd_sandbox::{CertificateSpec, Fault, FaultSpec, Flaw, OrderSpec, Product, Step};

use crate::setting::{Setting, openssl_verifies};

pub(crate) fn ssl(number: &str) -> OrderSpec {
    OrderSpec::new(Product::Ssl, number, &["www.example.com"])
}

fn mark(number: &str) -> OrderSpec {
    OrderSpec::new(Product::Mark, number, &["example.com"])
}

pub(crate) const KEY: &str = "key_file = \"$DIR/key.pem\"";

/// The keys of an order that is verified against the sandbox's own root, which no platform has.
pub(crate) const OWN_ROOT: &str = "[order.verify]\ntrust = \"off\"";

#[test]
fn pending_twice_then_issued_both_products() {
    let mut setting = Setting::new();
    let pending = || vec![Step::pending(2), Step::issued()];
    setting.order(
        "www",
        ssl("1").with_script(pending()),
        &format!("{KEY}\ndomains = [\"www.example.com\"]\n{OWN_ROOT}"),
    );
    setting.order("logo", mark("2").with_script(pending()), "");
    setting.start();
    setting.until_phase("www", "guarding");
    setting.until_phase("logo", "guarding");
    let root = setting.vendor().vendor().authorities().root;
    openssl_verifies(&setting.installed("www"), &root).unwrap();
    assert_eq!(setting.read("out/www/cert.pem"), setting.newest("1"));
    assert_eq!(setting.read("out/logo/cert.pem"), setting.newest("2"));
    let full = setting.read("out/www/cert.pem") + &setting.read("out/www/chain.pem");
    assert_eq!(setting.read("out/www/fullchain.pem"), full);
    assert_eq!(setting.stop(), Some(0));
    let counters = setting.vendor().vendor().record().counters();
    assert_eq!(counters.all.max_in_flight, 1);
    assert!(counters.connections <= 2, "one connection is kept: {}", counters.connections);
    for tally in counters.orders.values() {
        assert!(tally.smallest_gap_ms.unwrap() >= 300, "{tally:?}");
    }
}

/// Every shape that api.md calls seen in production.
const SHAPES: [&str; 15] = [
    "documented",
    "pem64",
    "pem",
    "der64-lines",
    "raw-plus",
    "issuer-first",
    "shuffled+twin",
    "root-first+twin",
    "duplicates",
    "no-root",
    "upper-keys+shuffled-pairs+extra-keys",
    "crlf+bom",
    "junk-tail",
    "sparse-details+empty-fqdn",
    "ids+percent-space",
];

#[test]
fn every_shape_of_a_good_answer_is_installed() {
    let mut setting = Setting::new();
    for (at, shape) in SHAPES.iter().enumerate() {
        let mut order = ssl(&format!("10{at}"));
        order.shape = Some((*shape).to_owned());
        setting.order(&format!("s{at}"), order, &format!("{KEY}\n{OWN_ROOT}"));
    }
    let (code, said) = setting.once(&[]);
    assert_eq!(code, 0, "{said}");
    let root = setting.vendor().vendor().authorities().root;
    for (at, shape) in SHAPES.iter().enumerate() {
        let name = format!("s{at}");
        assert_eq!(
            setting.read(&format!("out/{name}/cert.pem")),
            setting.newest(&format!("10{at}")),
            "{shape}"
        );
        openssl_verifies(&setting.installed(&name), &root).unwrap_or_else(|why| panic!("{shape}: {why}"));
        assert!(
            !setting.read(&format!("out/{name}/chain.pem")).contains(&root),
            "{shape}: the root is left out"
        );
    }
}

#[test]
fn every_shape_of_a_mark_answer_is_installed() {
    let shapes = [
        "documented",
        "pkcs7-ber",
        "pkcs7-certs-only",
        "pkcs7-unrelated",
        "status-line+armour-anyway",
        "no-status-line+armour-anyway",
    ];
    let mut setting = Setting::new();
    for (at, shape) in shapes.iter().enumerate() {
        let mut order = mark(&format!("20{at}"));
        order.shape = Some((*shape).to_owned());
        order.certificate.logo_bytes = Some(100_000);
        setting.order(&format!("m{at}"), order, "");
    }
    let (code, said) = setting.once(&[]);
    assert_eq!(code, 0, "{said}");
    for (at, shape) in shapes.iter().enumerate() {
        assert_eq!(
            setting.read(&format!("out/m{at}/cert.pem")),
            setting.newest(&format!("20{at}")),
            "{shape}"
        );
    }
}

#[test]
fn hostile_answers_install_nothing_and_stop_nobody() {
    let faults = [
        Fault::Html,
        Fault::Empty,
        Fault::Garbage { bytes: 5000 },
        Fault::Close,
        Fault::Cut { after: 100, polite: false, length: true },
        Fault::Huge { mib: 3, length: certcollectd_sandbox::Length::Honest },
        Fault::Huge { mib: 3, length: certcollectd_sandbox::Length::None },
        Fault::EndlessHeaders,
        Fault::RawGarbage,
        Fault::Gzip,
        Fault::NoCertificate,
        Fault::HttpStatus { status: 500, retry_after: None, retry_after_date: false },
        Fault::HttpStatus { status: 503, retry_after: None, retry_after_date: false },
        Fault::HttpStatus { status: 403, retry_after: None, retry_after_date: false },
        Fault::Redirect { status: 307, location: "https://127.0.0.1:1/".into() },
        Fault::Redirect { status: 302, location: "/products/download/CollectSSL".into() },
    ];
    let mut setting = Setting::new();
    // So that one poll is one poll, however slow the machine is.
    setting.polling("interval = \"1h\"\ncall_gap = \"0s\"");
    // Each on an account of its own: what is no answer of the vendor's makes an account back off.
    for (at, fault) in faults.iter().enumerate() {
        let number = format!("30{at}");
        setting.account(&format!("a{at}"));
        setting.order(&format!("h{at}"), ssl(&number), &format!("account = \"a{at}\"\n{KEY}"));
        setting.vendor().vendor().faults.add(FaultSpec::always(fault.clone()).for_order(&number)).unwrap();
    }
    setting.order("good", ssl("399"), &format!("account = \"main\"\n{KEY}\n{OWN_ROOT}"));
    let (code, said) = setting.once(&[]);
    assert_eq!(code, 3, "{said}");
    assert_eq!(setting.phase("good"), "guarding");
    for (at, fault) in faults.iter().enumerate() {
        let name = format!("h{at}");
        let status = setting.order_status(&name);
        assert_eq!(status["phase"], "waiting", "{fault:?}: {status}");
        assert!(
            status["vendor"]["text"].as_str().is_some_and(|text| !text.is_empty()),
            "{fault:?}: {status}"
        );
        assert!(!setting.installed(&name).exists(), "{fault:?}");
        assert_eq!(setting.calls(&format!("30{at}")), 1, "{fault:?}");
    }
}

#[test]
fn flawed_certificates_go_to_quarantine_and_the_old_one_stays() {
    let flaws = [
        (Flaw::Expired, "dates"),
        (Flaw::OtherKey, "key"),
        (Flaw::MissingName, "domains"),
        (Flaw::NoSan, "domains"),
        (Flaw::MissingIntermediate, "chain"),
        (Flaw::WrongSignature, "chain"),
        (Flaw::LeafIsCa, ""),
        (Flaw::Older, "downgrade"),
    ];
    let mut setting = Setting::new();
    for at in 0..flaws.len() {
        let keys = format!("{KEY}\ndomains = [\"www.example.com\"]\nhooks = [\"count\"]\n{OWN_ROOT}");
        setting.order(&format!("f{at}"), ssl(&format!("40{at}")), &keys);
    }
    setting.table("[[hook]]\nname = \"count\"\nmerge = false\nrun = [\"/bin/sh\", \"-c\", \"echo $CERTCOLLECTD_ORDER >> $DIR/hooks\"]");
    let (code, said) = setting.once(&[]);
    assert_eq!(code, 0, "{said}");
    let before: Vec<String> =
        (0..flaws.len()).map(|at| setting.read(&format!("out/f{at}/fullchain.pem"))).collect();
    for (at, (flaw, _)) in flaws.iter().enumerate() {
        let spec = CertificateSpec { flaws: vec![*flaw], ..CertificateSpec::default() };
        setting.vendor().vendor().reissue(&format!("40{at}"), &spec).unwrap();
    }
    let all_refused = |setting: &Setting| {
        setting.call(&["once"]);
        (0..flaws.len()).all(|at| setting.phase(&format!("f{at}")) == "quarantined")
    };
    setting.until("every order is polled again", all_refused);
    assert_eq!(setting.call(&["once"]).0, 4);
    for (at, (flaw, check)) in flaws.iter().enumerate() {
        let status = setting.order_status(&format!("f{at}"));
        assert_eq!(status["phase"], "quarantined", "{flaw:?}: {status:#}");
        assert!(status["reason"].as_str().unwrap().contains(check), "{flaw:?}: {status:#}");
        assert_eq!(setting.read(&format!("out/f{at}/fullchain.pem")), before[at], "{flaw:?}");
        assert!(setting.read(&format!("state/quarantine/f{at}/reason.txt")).contains(check), "{flaw:?}");
    }
    assert_eq!(setting.read("hooks").lines().count(), flaws.len(), "no hook for what was refused");
}

#[test]
fn accept_and_rollback_while_the_daemon_is_down() {
    let mut setting = Setting::new();
    setting.order("www", ssl("1"), &format!("{KEY}\ndomains = [\"other.example.com\"]\n{OWN_ROOT}"));
    assert_eq!(setting.once(&[]).0, 4);
    let (code, said) = setting.call(&["accept", "www"]);
    assert_eq!(code, 0, "{said}");
    let first = setting.read("out/www/cert.pem");
    setting
        .vendor()
        .vendor()
        .reissue("1", &CertificateSpec { days: Some(300), ..CertificateSpec::default() })
        .unwrap();
    let (_, said) = setting.call(&["poll", "www"]);
    assert!(said.contains("quarantined"), "{said}");
    let (code, said) = setting.call(&["accept", "www"]);
    assert_eq!(code, 0, "{said}");
    let second = setting.read("out/www/cert.pem");
    assert_ne!(first, second);
    let (code, said) = setting.call(&["rollback", "www"]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(setting.read("out/www/cert.pem"), first);
    let (code, said) = setting.call(&["rollback", "www"]);
    assert_eq!(code, 1, "nothing before it: {said}");
}

/// The first orders are due again before the last has been asked about; it leaves all the same.
#[test]
fn once_asks_about_each_order_once() {
    let mut setting = Setting::new();
    setting.polling("interval = \"1ms\"\ncall_gap = \"10ms\"");
    for at in 0..5 {
        setting.order(&format!("o{at}"), ssl(&format!("51{at}")).with_script(vec![Step::pending(100)]), "");
    }
    let (code, said) = setting.once(&[]);
    assert_eq!(code, 3, "{said}");
    for at in 0..5 {
        assert_eq!(setting.calls(&format!("51{at}")), 1, "{said}");
    }
}

#[test]
fn a_changed_configuration_is_taken_up_and_a_bad_one_is_not() {
    let mut setting = Setting::new();
    setting.table("[[hook]]\nname = \"unused\"\nrun = [\"true\"]");
    setting.start();
    setting.until_up(1);
    setting.order("www", ssl("1"), &format!("{KEY}\n{OWN_ROOT}"));
    setting.write_configuration();
    setting.until_phase("www", "guarding");
    // A bad one keeps the old one in force and says where it is bad.
    let good = setting.configuration();
    setting.write("certcollectd.toml", &good.replace("interval = \"300ms\"", "intreval = \"300ms\""));
    setting.until("it complains", |setting| setting.log().contains("the previous one stays in force"));
    assert!(setting.log().contains("intreval"), "{}", setting.log());
    let calls = setting.calls("1");
    setting.until("polling goes on", |setting| setting.calls("1") > calls + 2);
    // Put into place by rename, as editors do, and as Kubernetes does: through a link.
    setting.order("two", ssl("2"), &format!("{KEY}\n{OWN_ROOT}"));
    std::fs::create_dir(setting.path("data2")).unwrap();
    setting.write("data2/certcollectd.toml", &setting.configuration());
    std::os::unix::fs::symlink("data2/certcollectd.toml", setting.path("new")).unwrap();
    std::fs::rename(setting.path("new"), setting.path("certcollectd.toml")).unwrap();
    setting.until("the second order is known", |setting| setting.installed("two").exists());
    setting.order("three", ssl("3"), &format!("{KEY}\n{OWN_ROOT}"));
    setting.write("data2/certcollectd.toml", &setting.configuration());
    setting.until("the third order is known", |setting| setting.installed("three").exists());
    assert_eq!(setting.stop(), Some(0));
}

#[test]
fn the_certificate_of_a_reissue_reaches_the_server_by_itself() {
    let mut setting = Setting::new();
    setting.order("www", ssl("1"), &format!("{KEY}\nhooks = [\"count\"]\n{OWN_ROOT}"));
    setting.table("[[hook]]\nname = \"count\"\nrun = [\"/bin/sh\", \"-c\", \"echo $CERTCOLLECTD_SERIAL >> $DIR/serials\"]");
    setting.start();
    setting.until_phase("www", "guarding");
    for days in [200, 201, 202] {
        setting
            .vendor()
            .vendor()
            .reissue("1", &CertificateSpec { days: Some(days), ..CertificateSpec::default() })
            .unwrap();
        setting.until("it is installed", |setting| setting.holds("out/www/cert.pem", &setting.newest("1")));
    }
    setting.until_phase("www", "guarding");
    let serials = setting.read("serials");
    assert_eq!(serials.lines().count(), 4, "{serials}");
    let calls = setting.calls("1");
    setting.until("the guard looks again", |setting| setting.calls("1") > calls + 3);
    assert_eq!(setting.read("serials"), serials, "no hook for a certificate that is installed");
    assert_eq!(setting.stop(), Some(0));
}

#[test]
fn once_waits_as_long_as_it_is_told() {
    let mut setting = Setting::new();
    // So that a slow machine does not come round to guarding what it has just installed.
    setting.polling("interval = \"300ms\"\ncall_gap = \"0s\"\nguard_interval = \"1h\"");
    setting.order(
        "www",
        ssl("1").with_script(vec![Step::pending(3), Step::issued()]),
        &format!("{KEY}\n{OWN_ROOT}"),
    );
    let (code, said) = setting.once(&[]);
    assert_eq!((code, setting.calls("1")), (3, 1), "{said}");
    let (code, said) = setting.once(&["--wait", "60s"]);
    assert_eq!((code, setting.calls("1")), (0, 4), "{said}");
    setting.order("two", ssl("2").with_script(vec![Step::pending(1_000_000)]), KEY);
    let (code, said) = setting.once(&["--wait", "1s"]);
    assert_eq!(code, 3, "{said}");
    setting.order("three", ssl("3").with_script(vec![Step::error(-20)]), KEY);
    let (code, said) = setting.once(&[]);
    assert_eq!(code, 4, "{said}");
}

#[test]
fn ten_thousand_orders_start_at_once() {
    let mut setting = Setting::new();
    setting.polling("interval = \"3h\"\ncall_gap = \"10s\"");
    for at in 0..10_000 {
        setting.table(&format!("[[order]]\nname = \"o{at}\"\norder_number = \"{at}\""));
    }
    setting.start();
    setting.until("the first call is made", |setting| setting.all_calls() == 1);
    let start = setting.order_status("o9999");
    assert_eq!(start["phase"], "waiting");
    assert_eq!(setting.stop(), Some(0));
    setting.start_again();
    setting.until_up(2);
    assert_eq!(setting.stop(), Some(0));
}
