//! Pools and expectations in, the leaf and the findings out.

use std::slice;

use rcgen::{
    BasicConstraints, CustomExtension, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, NameConstraints,
    date_time_ymd,
};

use super::*;
use crate::cert::fixtures::{Entity, NOW, certificate, entity};
use crate::cert::key;
use crate::cert::pem::PemError;

/// A root, an issuer and what it issues.
struct Authority {
    root: Entity,
    inter: Entity,
    chain: [Certificate; 2],
}

fn authority() -> Authority {
    let [root, inter] = ["root", "inter"].map(entity);
    let chain = [root.issue(&inter, |_| {}), root.root()];
    Authority { root, inter, chain }
}

impl Authority {
    fn pool(&self, leaves: &[&Certificate]) -> Vec<Certificate> {
        self.chain.iter().rev().chain(leaves.iter().copied()).cloned().collect()
    }
}

fn expectation() -> Expectation<'static> {
    let policy = Policy { trust: Severity::Off, ..Policy::default() };
    let key = KeyExpectation::None;
    Expectation {
        policy,
        purpose: Purpose::Server,
        key,
        domains: &[],
        installed: None,
        covered: &[],
        anchors: None,
    }
}

/// Judges, and compares the leaf and the findings; a finding that warns has a `?` in front.
fn check(
    pool: &[Certificate],
    expected: &Expectation<'_>,
    leaf: Option<&Certificate>,
    findings: &[&str],
) -> Verdict {
    check_at(NOW, pool, expected, leaf, findings)
}

fn check_at(
    now: i64,
    pool: &[Certificate],
    expected: &Expectation<'_>,
    leaf: Option<&Certificate>,
    findings: &[&str],
) -> Verdict {
    let verdict = judge(pool, expected, now);
    let show = |finding: &Finding| match finding.level {
        Severity::Block => finding.to_string(),
        Severity::Warn => format!("?{finding}"),
        Severity::Off => panic!("{finding} is off"),
    };
    assert_eq!(verdict.findings.iter().map(show).collect::<Vec<_>>(), findings);
    assert_eq!(verdict.leaf.as_ref(), leaf);
    assert_eq!(verdict.blocked(), findings.iter().any(|text| !text.starts_with('?')));
    verdict
}

fn candidate(label: &str, owner: &Entity) -> KeyCandidate {
    KeyCandidate {
        label: label.to_owned(),
        key: key::from_private_key_pem(owner.key_pem().as_bytes()).map_err(|error| error.to_string()),
    }
}

fn unreadable(label: &str) -> KeyCandidate {
    KeyCandidate { label: label.to_owned(), key: Err("permission denied".to_owned()) }
}

#[test]
fn an_ordinary_answer_passes() {
    let pool = ["root", "inter", "leaf"].map(certificate);
    let domains =
        ["www.example.com".into(), "a.example.org".into(), "192.0.2.7".into(), "OPS@example.com".into()];
    let expected = Expectation { domains: &domains, ..expectation() };
    let verdict = check(&pool, &expected, Some(&pool[2]), &[]);
    assert_eq!(verdict.chain.intermediates, [pool[1].clone()]);
    assert_eq!(verdict.chain.root.as_ref(), Some(&pool[0]));
    assert_eq!((verdict.key, verdict.not_yet_valid_until), (None, None));
}

#[test]
fn the_key_chooses_the_leaf() {
    let authority = authority();
    let [one, other] = ["one", "other"].map(entity);
    let (mine, foreign) = (authority.inter.leaf(&one, &[]), authority.inter.leaf(&other, &[]));
    let pool = authority.pool(&[&foreign, &mine]);
    let candidates =
        [unreadable("/k/new"), candidate("/k/stray", &authority.root), candidate("/k/www", &one)];
    // The root's own key is a candidate too, but a CA is chosen last.
    let expected = Expectation { key: KeyExpectation::Candidates(&candidates), ..expectation() };
    assert_eq!(check(&pool, &expected, Some(&mine), &[]).key, Some(2));

    let public_key = candidates[2].key.clone().unwrap();
    let expected = Expectation { key: KeyExpectation::Csr(Ok(public_key.first())), ..expectation() };
    assert_eq!(check(&pool, &expected, Some(&mine), &[]).key, None);
}

#[test]
fn of_two_with_the_key_the_newer_is_meant() {
    let authority = authority();
    let www = entity("www");
    let old = authority.inter.leaf(&www, &[]);
    let new = authority.inter.issue(&www, |params| {
        params.is_ca = IsCa::ExplicitNoCa;
        params.not_before = date_time_ymd(2026, 9, 1);
    });
    let candidates = [candidate("/k/www", &www)];
    let expected = Expectation { key: KeyExpectation::Candidates(&candidates), ..expectation() };
    check(&authority.pool(&[&old, &new]), &expected, Some(&new), &[]);
    check(&authority.pool(&[&new, &old]), &expected, Some(&new), &[]);
    // A CA with that key comes last, however new.
    let ca = authority.inter.issue(&www, |params| params.not_before = date_time_ymd(2026, 10, 1));
    check(&authority.pool(&[&old, &ca]), &expected, Some(&old), &[]);
}

#[test]
fn a_key_that_fits_nothing_is_named() {
    let authority = authority();
    let [www, other] = ["www", "other"].map(entity);
    let leaf = authority.inter.leaf(&www, &[]);
    let pool = authority.pool(&[&leaf]);
    let with = |candidates: &[KeyCandidate], finding: &str| {
        let expected = Expectation { key: KeyExpectation::Candidates(candidates), ..expectation() };
        assert_eq!(check(&pool, &expected, Some(&leaf), &[finding]).key, None);
    };
    let stray = candidate("/k/stray", &other);
    with(slice::from_ref(&stray), "key: the certificate's public key matches none of /k/stray");
    with(
        &[unreadable("/k/www"), stray],
        "key: the certificate's public key matches none of /k/stray; \
        /k/www cannot be used: permission denied",
    );
    with(
        &[unreadable("/k/www")],
        "key: there is no key to compare with; /k/www cannot be used: permission denied",
    );
    let many: Vec<_> = (0..8).map(|at| candidate(&format!("/k/{at}"), &other)).collect();
    with(&many, "key: the certificate's public key matches none of /k/0, /k/1, /k/2, /k/3, /k/4 and 3 more");

    let public_key = candidate("", &other).key.unwrap();
    let key = KeyExpectation::Csr(Ok(public_key.first()));
    let text = "key: the certificate's public key does not match the certificate request";
    check(&pool, &Expectation { key, ..expectation() }, Some(&leaf), &[text]);
    let key = KeyExpectation::Csr(Err("no such file".to_owned()));
    let text = "key: there is no key to compare with; the certificate request cannot be used: no such file";
    check(&pool, &Expectation { key, ..expectation() }, Some(&leaf), &[text]);
    check(&pool, &Expectation { key: KeyExpectation::Candidates(&[]), ..expectation() }, Some(&leaf), &[]);
}

#[test]
fn keys_that_the_library_refuses_are_compared_all_the_same() {
    let file = |name: &str| crate::cert::fixtures::file(name);
    for name in ["rsa1024", "pss"] {
        let key = key::from_private_key_pem(file(&format!("{name}.key"))).map_err(|error| error.to_string());
        let candidates = [KeyCandidate { label: "/k".to_owned(), key }];
        let expected = Expectation { key: KeyExpectation::Candidates(&candidates), ..expectation() };
        let pool = ["root", "inter", "leaf", "rsa", name].map(certificate);
        let weak = ["leaf: the certificate's RSA key has only 1024 bits"];
        check(&pool, &expected, Some(&pool[4]), if name == "rsa1024" { &weak } else { &[] });
    }
}

#[test]
fn a_certificate_that_protects_nobody_is_refused_whatever_the_policy() {
    let off = Policy {
        key: Severity::Off,
        domains: Severity::Off,
        coverage: Severity::Off,
        chain: Severity::Off,
        dates: Severity::Off,
        downgrade: Severity::Off,
        trust: Severity::Off,
    };
    let authority = authority();
    let www = entity("www");
    // Names that are missing, none at all, nothing that can be read, and nothing that a client can compare.
    let san = |content: &[u8]| vec![CustomExtension::from_oid_content(&[2, 5, 29, 17], content.to_vec())];
    let other = vec![CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 1], vec![5, 0])];
    for extensions in [
        other,
        san(&[0x30, 0]),
        san(b"garbage"),
        san(&[]),
        san(&[0x30, 4, 0x82, 2, 0xff, 0xfe]),
        san(&[0x30, 3, 0x82, 1, b'a', 0]),
    ] {
        let leaf = authority.inter.issue(&www, |params| {
            params.is_ca = IsCa::NoCa;
            params.custom_extensions = extensions;
        });
        let text =
            "leaf: the certificate names no server: its subjectAltName is missing, empty or unreadable";
        for policy in [off, Policy { trust: Severity::Off, ..Policy::default() }] {
            check(&authority.pool(&[&leaf]), &Expectation { policy, ..expectation() }, Some(&leaf), &[text]);
        }
        let mail = Expectation { purpose: Purpose::Email, ..expectation() };
        check(&authority.pool(&[&leaf]), &mail, Some(&leaf), &[]);
    }
    let weak = certificate("rsa1024");
    let pool = [weak.clone(), certificate("inter"), certificate("root")];
    for purpose in [Purpose::Server, Purpose::Mark, Purpose::Email] {
        let text = "leaf: the certificate's RSA key has only 1024 bits";
        check(&pool, &Expectation { policy: off, purpose, ..expectation() }, Some(&weak), &[text]);
    }
}

#[test]
fn names_that_no_client_takes_are_said() {
    let authority = authority();
    let www = entity("www");
    let one =
        "?leaf: one of the certificate's names is neither a DNS name nor an address; no client accepts it";
    let two =
        "?leaf: 2 of the certificate's names are neither DNS names nor addresses; no client accepts them";
    let odd: [(&[&[u8]], &[&str]); 4] = [
        (&[b"\x82\x05a.b\0c"], &[one]),
        (&[b"\x82\x03a\xff.", b"\x87\x03abc"], &[two]),
        (&[b"\x82\x04a b."], &[one]),
        // What is for someone else.
        (&[b"\x81\x03a@b", b"\x86\x03a:b", b"\x88\x01\x2a", b"\xa4\x02\x30\0"], &[]),
    ];
    for (names, expected) in odd {
        let names = [&[b"\x82\x0fwww.example.com".as_slice()], names].concat().concat();
        let content = [&[0x30, u8::try_from(names.len()).unwrap()][..], &names].concat();
        let leaf = authority.inter.issue(&www, |params| {
            params.is_ca = IsCa::NoCa;
            params.custom_extensions = vec![CustomExtension::from_oid_content(&[2, 5, 29, 17], content)];
        });
        let domains = ["www.example.com".into()];
        let expectation = Expectation { domains: &domains, ..expectation() };
        check(&authority.pool(&[&leaf]), &expectation, Some(&leaf), expected);
    }
}

#[test]
fn a_weak_intermediate_is_said_to_be_weak() {
    let pool = ["by-rsa1024", "rsa1024root"].map(certificate);
    let anchors = Anchors::from_ders([pool[1].der()]);
    // As an intermediate it is one of a chain that nobody would follow.
    let chain = Chain { intermediates: vec![pool[1].clone()], root: None, complete: Completeness::Open };
    let expected = Expectation { anchors: Some(&anchors), ..expectation() };
    let found = trust::check(&pool[0], &chain, &expected, NOW).unwrap_err();
    assert!(found.ends_with("is weak: its RSA key has only 1024 bits"), "{found}");
}

#[test]
fn without_a_key_elimination_chooses() {
    let authority = authority();
    let [www, mail, odd] = ["www", "mail", "odd"].map(entity);
    let leaf = authority.inter.leaf(&www, &["www.example.com"]);
    let mail = authority.inter.issue(&mail, |params| {
        params.is_ca = IsCa::NoCa;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::EmailProtection];
    });
    check(&authority.pool(&[&leaf]), &expectation(), Some(&leaf), &[]);
    check(&authority.pool(&[&leaf, &leaf]), &expectation(), Some(&leaf), &[]);
    check(&authority.pool(&[&mail, &leaf]), &expectation(), Some(&leaf), &[]);
    let for_mail = Expectation { purpose: Purpose::Email, ..expectation() };
    check(&authority.pool(&[&mail, &leaf]), &for_mail, Some(&mail), &[]);
    // One that nothing says a CA of, and that issued another, is no leaf.
    let silent = authority.root.issue(&odd, |params| params.is_ca = IsCa::NoCa);
    let below = odd.issue(&www, |params| params.is_ca = IsCa::NoCa);
    let text = "chain: the certificate was signed by a certificate that may not sign certificates";
    check(&[silent, below.clone()], &expectation(), Some(&below), &[text]);

    let pool = ["leaf", "mark", "inter", "root"].map(certificate);
    check(&pool, &Expectation { purpose: Purpose::Mark, ..expectation() }, Some(&pool[1]), &[]);
}

#[test]
fn domains_choose_between_several() {
    let authority = authority();
    let [one, other] = ["one", "other"].map(entity);
    let (one, other) =
        (authority.inter.leaf(&one, &["a.example"]), authority.inter.leaf(&other, &["b.example"]));
    let pool = authority.pool(&[&one, &other]);
    let domains = ["b.example".into()];
    check(&pool, &Expectation { domains: &domains, ..expectation() }, Some(&other), &[]);
    let text = "leaf: 2 certificates could be the ordered one; configure its key or domains";
    check(&pool, &expectation(), None, &[text]);
    let domains = ["c.example".into()];
    check(&pool, &Expectation { domains: &domains, ..expectation() }, None, &[text]);
}

#[test]
fn no_leaf_is_a_finding_of_its_own() {
    let check = |names: &[&str], text: &str| {
        let pool: Vec<_> = names.iter().map(|name| certificate(name)).collect();
        check(&pool, &expectation(), None, &[text]);
    };
    check(&[], "leaf: there is no certificate");
    check(&["inter"], "leaf: the only certificate is a CA certificate");
    check(&["inter", "root"], "leaf: none of the 2 certificates is an end-entity certificate");
}

#[test]
fn missing_domains_are_named() {
    let pool = ["leaf", "inter", "root"].map(certificate);
    let check = |domains: &[&str], text: &str| {
        let domains: Vec<Box<str>> = domains.iter().map(|&domain| domain.into()).collect();
        check(&pool, &Expectation { domains: &domains, ..expectation() }, Some(&pool[0]), &[text]);
    };
    check(&["example.com"], "domains: the certificate does not cover example.com");
    check(
        &["a", "www.example.com", "a.b.example.org"],
        "domains: the certificate does not cover a, a.b.example.org",
    );
    check(
        &["a", "b", "c", "d", "e", "f", "g"],
        "domains: the certificate does not cover a, b, c, d, e and 2 more",
    );
}

#[test]
fn dates_have_ten_minutes_of_tolerance() {
    let authority = authority();
    let leaf = authority.inter.issue(&entity("www"), |params| {
        params.is_ca = IsCa::ExplicitNoCa;
        params.not_before = date_time_ymd(2026, 6, 1);
        params.not_after = date_time_ymd(2027, 6, 1);
    });
    let pool = authority.pool(&[&leaf]);
    let check = |now: i64, findings: &[&str], until: Option<i64>| {
        let verdict = check_at(now, &pool, &expectation(), Some(&leaf), findings);
        assert_eq!(verdict.not_yet_valid_until, until);
    };
    let (start, end) = (leaf.not_before(), leaf.not_after());
    let early = "dates: the certificate is not valid before 2026-06-01T00:00:00Z";
    let late = "dates: the certificate expired at 2027-06-01T00:00:00Z";
    check(start - CLOCK_TOLERANCE - 1, &[early], Some(start));
    check(start - CLOCK_TOLERANCE, &[], None);
    check(end + CLOCK_TOLERANCE, &[], None);
    check(end + CLOCK_TOLERANCE + 1, &[late], None);

    let mut off = expectation();
    off.policy.dates = Severity::Off;
    assert_eq!(check_at(start - 86_400, &pool, &off, Some(&leaf), &[]).not_yet_valid_until, None);
    off.policy.dates = Severity::Warn;
    let early = format!("?{early}");
    assert_eq!(
        check_at(start - 86_400, &pool, &off, Some(&leaf), &[&early]).not_yet_valid_until,
        Some(start)
    );
}

#[test]
fn no_time_is_too_odd() {
    let pool = ["leaf", "inter", "root"].map(certificate);
    let anchors = Anchors::from_ders([pool[2].der()]);
    let expected = Expectation { policy: Policy::default(), anchors: Some(&anchors), ..expectation() };
    for now in [i64::MIN, -1, 0, i64::MAX] {
        let verdict = judge(&pool, &expected, now);
        assert!(verdict.blocked());
        assert_eq!(verdict.not_yet_valid_until.is_some(), now < NOW);
    }
}

#[test]
fn intermediates_must_be_valid_too() {
    let [root, inter, www] = ["root", "inter", "www"].map(entity);
    let leaf = inter.leaf(&www, &[]);
    let expired = root.issue(&inter, |params| params.not_after = date_time_ymd(2026, 6, 1));
    let text = "dates: the intermediate CN=inter expired at 2026-06-01T00:00:00Z";
    check(&[leaf.clone(), expired], &expectation(), Some(&leaf), &[text]);
    let early = root.issue(&inter, |params| params.not_before = date_time_ymd(2027, 6, 1));
    let text = "dates: the intermediate CN=inter is not valid before 2027-06-01T00:00:00Z";
    let verdict = check(&[leaf.clone(), early], &expectation(), Some(&leaf), &[text]);
    assert_eq!(verdict.not_yet_valid_until, None);
}

#[test]
fn a_step_back_from_the_installed_one_is_a_finding() {
    let pool = ["leaf", "inter", "root"].map(certificate);
    let leaf = &pool[0];
    let other = pool[1].fingerprint();
    let check = |fingerprint, start: i64, end: i64, findings: &[&str]| {
        let (not_before, not_after) = (leaf.not_before() + start, leaf.not_after() + end);
        let installed = Some(Installed { fingerprint, not_before, not_after });
        check(&pool, &Expectation { installed, ..expectation() }, Some(leaf), findings);
    };
    let date = |offset: i64, of: i64| jiff::Timestamp::from_second(of + offset).unwrap();
    let older = |by: i64| {
        let (new, old) = (date(0, leaf.not_before()), date(by, leaf.not_before()));
        format!("downgrade: the new certificate starts earlier ({new}) than the installed one ({old})")
    };
    let (new, old) = (date(0, leaf.not_after()), date(1, leaf.not_after()));
    let shorter =
        format!("downgrade: the new certificate expires earlier ({new}) than the installed one ({old})");
    check(other, 0, 0, &[]);
    check(other, -1, -1, &[]);
    check(other, 1, 0, &[&older(1)]);
    check(other, 0, 1, &[&shorter]);
    check(other, 1, 1, &[&shorter, &older(1)]);
    check(leaf.fingerprint(), 1, 1, &[]);
}

#[test]
fn a_broken_chain_is_a_finding() {
    let leaf = certificate("leaf");
    let text = "chain: the issuer of the certificate was not sent with it";
    check(slice::from_ref(&leaf), &expectation(), Some(&leaf), &[text]);
    check(&[leaf.clone(), certificate("inter")], &expectation(), Some(&leaf), &[]);
    let selfsigned = entity("x").issue(&entity("x"), |_| {});
    check(&[selfsigned], &expectation(), None, &["leaf: the only certificate is a CA certificate"]);
    let own = entity("x");
    let own = own.leaf(&own, &[]);
    check(slice::from_ref(&own), &expectation(), Some(&own), &["chain: the certificate is self-signed"]);
}

#[test]
fn no_policy_lets_a_ca_pass_as_leaf() {
    let authority = authority();
    let www = entity("www");
    let leaf = authority.inter.issue(&www, |_| {});
    let candidates = [candidate("/k/www", &www)];
    let mut expected = Expectation { key: KeyExpectation::Candidates(&candidates), ..expectation() };
    expected.policy.chain = Severity::Off;
    let pool = authority.pool(&[&leaf]);
    check(&pool, &expected, Some(&leaf), &["chain: the certificate is a CA certificate"]);
}

#[test]
fn the_policy_decides_what_a_finding_does() {
    let leaf = certificate("leaf");
    let domains = ["example.net".into()];
    let mut expected = Expectation { domains: &domains, ..expectation() };
    expected.policy = Policy { domains: Severity::Warn, chain: Severity::Off, ..expected.policy };
    let text = "?domains: the certificate does not cover example.net";
    check(slice::from_ref(&leaf), &expected, Some(&leaf), &[text]);
}

#[test]
fn an_expired_cross_signed_ca_is_left_out_where_nobody_needs_it() {
    let [old, root, inter, www] = ["old", "root", "inter", "www"].map(entity);
    let expires = |params: &mut rcgen::CertificateParams| params.not_after = date_time_ymd(2026, 6, 1);
    let leaf = inter.leaf(&www, &["www.example.com"]);
    let issuer = root.issue(&inter, |_| {});
    let cross = old.issue(&root, expires);
    let pool = [leaf.clone(), issuer.clone(), cross.clone(), old.issue(&old, expires)];
    let trusted = Anchors::from_ders([root.root().der()]);
    let strangers = Anchors::from_ders([old.root().der()]);
    let judge = |pool: &[Certificate], anchors, level, findings: &[&str]| {
        let policy = Policy { trust: level, ..Policy::default() };
        let expected = Expectation { policy, anchors, ..expectation() };
        check(pool, &expected, Some(&leaf), findings).chain.intermediates
    };
    let expired = "dates: the intermediate CN=root expired at 2026-06-01T00:00:00Z";
    let left = format!("?{expired}; it is left out, as the chain below it is trusted");
    assert_eq!(judge(&pool, Some(&trusted), Severity::Warn, &[&left]), slice::from_ref(&issuer));
    // Someone may need it, or nobody can tell.
    let untrusted = "?trust: a certificate of the chain has expired";
    let whole = [issuer.clone(), cross];
    assert_eq!(judge(&pool, Some(&strangers), Severity::Warn, &[expired, untrusted]), whole);
    assert_eq!(judge(&pool, None, Severity::Off, &[expired]), whole);
    // Nothing is missed where the root itself was sent: the chain does not go through the other one.
    let rooted = [&pool[..], &[root.root()]].concat();
    assert_eq!(judge(&rooted, None, Severity::Off, &[]), slice::from_ref(&issuer));
    // Without its own issuer a certificate is no use to anyone, however it is trusted.
    let pool = [leaf.clone(), root.issue(&inter, expires)];
    let expired = "dates: the intermediate CN=inter expired at 2026-06-01T00:00:00Z";
    judge(&pool, Some(&trusted), Severity::Warn, &[expired, untrusted]);
}

#[test]
fn trust_is_a_second_opinion() {
    let authority = authority();
    let [www, mail] = ["www", "mail"].map(entity);
    let leaf = authority.inter.leaf(&www, &["www.example.com"]);
    let anchors = Anchors::from_ders([authority.chain[1].der()]);
    let strangers = Anchors::from_ders([certificate("root").der(), b"rubbish"]);
    assert_eq!((anchors.len(), strangers.len()), (1, 1));
    let check = |now, pool: &[Certificate], anchors, purpose, leaf: &Certificate, findings: &[&str]| {
        let expected = Expectation { policy: Policy::default(), anchors, purpose, ..expectation() };
        check_at(now, pool, &expected, Some(leaf), findings);
    };
    let pool = authority.pool(&[&leaf]);
    check(NOW, &pool, Some(&anchors), Purpose::Server, &leaf, &[]);
    check(NOW, &pool, Some(&anchors), Purpose::Email, &leaf, &[]);
    check(
        NOW,
        &pool,
        Some(&strangers),
        Purpose::Server,
        &leaf,
        &["?trust: the chain does not end at a trust anchor"],
    );
    let none = "?trust: it could not be checked: there are no trust anchors";
    check(NOW, &pool, None, Purpose::Server, &leaf, &[none]);
    // The tolerance of the dates is that of trust.
    let (end, server) = (leaf.not_after(), Purpose::Server);
    check(end + CLOCK_TOLERANCE, &pool, Some(&anchors), server, &leaf, &[]);
    check(leaf.not_before() - CLOCK_TOLERANCE, &pool, Some(&anchors), server, &leaf, &[]);
    let late = [
        "dates: the certificate expired at 2028-01-01T00:00:00Z",
        "dates: the intermediate CN=inter expired at 2028-01-01T00:00:00Z",
        "?trust: a certificate of the chain has expired",
    ];
    check(end + CLOCK_TOLERANCE + 1, &pool, Some(&anchors), server, &leaf, &late);

    let mail = authority.inter.issue(&mail, |params| {
        params.is_ca = IsCa::ExplicitNoCa;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::EmailProtection];
    });
    let pool = authority.pool(&[&mail]);
    check(NOW, &pool, Some(&anchors), Purpose::Email, &mail, &[]);
    check(
        NOW,
        &pool,
        Some(&anchors),
        Purpose::Server,
        &mail,
        &["?trust: the certificate is not meant for TLS servers"],
    );

    let mark = ["mark", "inter"].map(certificate);
    let text = "?trust: a critical extension is unknown to strict clients";
    check(NOW, &mark, Some(&strangers), Purpose::Mark, &mark[0], &[text]);
}

/// Leaf and intermediates as they would be installed, judged against these anchors.
fn trusted(
    leaf: &Certificate,
    intermediates: &[&Certificate],
    anchors: &[&Certificate],
) -> Result<(), String> {
    let anchors = Anchors::from_ders(anchors.iter().map(|anchor| anchor.der()));
    let intermediates = intermediates.iter().map(|&ca| ca.clone()).collect();
    let chain = Chain { intermediates, root: None, complete: Completeness::Open };
    trust::check(leaf, &chain, &Expectation { anchors: Some(&anchors), ..expectation() }, NOW)
}

#[test]
fn trust_says_the_true_reason() {
    let [root, other, inter, www] = ["root", "root", "inter", "www"].map(entity);
    let leaf = inter.leaf(&www, &["www.example.com"]);
    let issuer = root.issue(&inter, |_| {});
    let check = |found: Result<(), String>, reason: &str| assert_eq!(found.unwrap_err(), reason);
    assert_eq!(trusted(&leaf, &[&issuer], &[&other.root(), &root.root()]), Ok(()));
    check(
        trusted(&leaf, &[&issuer], &[&other.root()]),
        "the trust anchor CN=root has a different key from the chain's issuer",
    );
    // Neither this nor what follows is about a signature, though an anchor of that name has another key.
    let limited =
        |limit| root.issue(&inter, |params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(limit)));
    let sub = entity("sub");
    let long = sub.leaf(&www, &["www.example.com"]);
    check(
        trusted(&long, &[&inter.issue(&sub, |_| {}), &limited(0)], &[&other.root(), &root.root()]),
        "an issuer allows fewer intermediates below it",
    );
    let renewed = entity("inter");
    let by_renewed = renewed.leaf(&www, &["www.example.com"]);
    let own = inter.issue(&renewed, |_| {});
    assert!(own.is_self_issued());
    check(
        trusted(&by_renewed, &[&own, &limited(0)], &[&other.root(), &root.root()]),
        "strict clients count a self-issued intermediate against the path length, unlike RFC 5280",
    );
    let names = |subtree: GeneralSubtree| {
        root.issue(&inter, |params| {
            params.name_constraints =
                Some(NameConstraints { permitted_subtrees: vec![subtree], excluded_subtrees: Vec::new() });
        })
    };
    check(
        trusted(
            &leaf,
            &[&names(GeneralSubtree::DnsName("example.org".into()))],
            &[&other.root(), &root.root()],
        ),
        "a name violates an issuer's name constraints",
    );
    let mut organisation = rcgen::DistinguishedName::new();
    organisation.push(rcgen::DnType::OrganizationName, "Example");
    check(
        trusted(
            &leaf,
            &[&names(GeneralSubtree::DirectoryName(organisation))],
            &[&other.root(), &root.root()],
        ),
        "an issuer constrains names of a type that is not checked here (directory names, e-mail addresses, URIs)",
    );
    let [child, weak] = ["by-rsa1024", "rsa1024root"].map(certificate);
    check(
        trusted(&child, &[], &[&weak]),
        &format!("the trust anchor {} is weak: its RSA key has only 1024 bits", weak.subject_text()),
    );
}

#[test]
fn anchors_come_from_files_that_someone_chose() {
    let check = |text: &[u8], expected: Result<usize, AnchorsError>| {
        assert_eq!(Anchors::from_pem(text).map(|anchors| anchors.len()), expected);
    };
    let file = crate::cert::fixtures::file;
    check(file("bundle.pem"), Ok(3));
    check(certificate("v1").to_pem().as_bytes(), Ok(1));
    check(b"", Err(AnchorsError::None));
    let other = |number, line| Err(AnchorsError::NoCertificate { number, line });
    check(file("leaf.sec1.key"), other(1, 1));
    let pem = |error| Err(AnchorsError::Pem(error));
    check(&file("bundle.pem")[..900], pem(PemError::CutOff(1)));
    check(file("nseq.pem"), other(1, 1));
    check(file("trusted.pem"), other(1, 1));
    // As many as there are BEGINs, or an error: whatever the line ends, joined lines included.
    let [one, two] = ["root", "inter"].map(|name| certificate(name).to_pem());
    let joined = format!("{}{two}", one.trim_end());
    let mac = joined.replace('\n', "\r");
    for text in [
        &joined,
        &mac,
        &format!("\u{feff}# roots\r\n{one}\r\n{two}"),
        &format!("{two}{one}").replace("X509 ", ""),
    ] {
        check(text.as_bytes(), Ok(2));
    }
    let rubbish = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let lines = one.lines().count();
    for stranger in
        [rubbish, &rubbish.replace("CERTIFICATE", "X509 CRL"), str::from_utf8(file("leaf.sec1.key")).unwrap()]
    {
        check(format!("{one}{stranger}{two}").as_bytes(), other(2, lines + 1));
    }
    check(
        format!("{one}{}{two}", rubbish.replace("AAAA", "A*A")).as_bytes(),
        pem(PemError::Base64(lines + 1)),
    );
    check(one.replacen("-----END", "-----ENDE", 1).as_bytes(), pem(PemError::CutOff(lines)));
    check(&vec![b'\n'; MAX_ANCHORS_INPUT + 1], Err(AnchorsError::TooLarge));
}
