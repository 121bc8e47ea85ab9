//! Pools in both orders, and the chain that comes out.

use rcgen::{BasicConstraints, IsCa, KeyUsagePurpose, date_time_ymd};

use super::Completeness::{
    BadSignature, NoIssuer, NotCa, Open, PathTooLong, Rooted, SelfSigned, Unsupported,
};
use super::*;
use crate::cert::fixtures::{Entity, NOW, certificate, entity};

/// Certificates by the names that the case gives them.
struct Pool(Vec<(&'static str, Certificate)>);

impl Pool {
    fn fixtures(names: &[&'static str]) -> Pool {
        Pool(names.iter().map(|name| (*name, certificate(name))).collect())
    }

    fn name(&self, wanted: &Certificate) -> &'static str {
        self.0.iter().find(|(_, certificate)| certificate == wanted).unwrap().0
    }

    /// Builds from the first one, with the rest of the pool in both orders. `expected` is the chain leaf first,
    /// the root after a bar.
    fn check(&self, expected: &str, complete: Completeness) {
        let mut pool: Vec<_> = self.0.iter().map(|(_, certificate)| certificate.clone()).collect();
        let leaf = pool[0].clone();
        for _ in 0..2 {
            let chain = build(&leaf, &pool, NOW);
            let names: Vec<_> =
                chain.intermediates.iter().map(|certificate| self.name(certificate)).collect();
            let root = chain.root.iter().map(|root| format!("|{}", self.name(root))).collect::<String>();
            assert_eq!(names.join(" ") + &root, expected);
            assert_eq!(chain.complete, complete);
            pool.reverse();
        }
    }
}

#[test]
fn orders_by_signature_and_leaves_the_root_out() {
    Pool::fixtures(&["leaf", "inter", "root"]).check("inter|root", Rooted);
    Pool::fixtures(&["leaf", "root", "mark", "inter", "p521"]).check("inter|root", Rooted);
    Pool::fixtures(&["leaf", "inter"]).check("inter", Open);
    Pool::fixtures(&["leaf", "root"]).check("", NoIssuer);
    Pool::fixtures(&["leaf"]).check("", NoIssuer);
    Pool::fixtures(&["by-v1", "v1"]).check("|v1", Rooted);
    Pool::fixtures(&["by-p521", "p521"]).check("|p521", Rooted);
    Pool::fixtures(&["root"]).check("", SelfSigned);
}

#[test]
fn a_root_may_have_signed_itself_with_anything() {
    Pool::fixtures(&["by-pss", "rsaroot"]).check("|rsaroot", Rooted);
}

#[test]
fn what_cannot_be_checked_is_not_called_bad() {
    let sha1 = "sha1WithRSAEncryption".to_owned();
    Pool::fixtures(&["by-sha1", "rsaroot"]).check("", Unsupported { above: 0, algorithm: sha1 });
}

#[test]
fn goes_through_the_cross_signed_twin() {
    Pool::fixtures(&["leaf", "inter", "root", "cross", "oldroot"]).check("inter cross|oldroot", Rooted);
    Pool::fixtures(&["leaf", "inter", "root", "cross"]).check("inter cross|root", Open);
    Pool::fixtures(&["leaf", "inter", "cross"]).check("inter cross", Open);
}

/// A leaf, its issuer, the issuer's root, the root's twin signed by an old root, and the old root.
fn twins(change: impl Fn(&mut rcgen::CertificateParams)) -> Pool {
    let [old, root, inter, leaf] = ["old", "root", "inter", "leaf"].map(entity);
    Pool(vec![
        ("leaf", inter.leaf(&leaf, &[])),
        ("inter", root.issue(&inter, |_| {})),
        ("root", root.root()),
        ("cross", old.issue(&root, &change)),
        ("old", old.issue(&old, change)),
    ])
}

#[test]
fn avoids_an_expired_twin() {
    // Be the twin the older or the newer one.
    twins(|params| params.not_before = date_time_ymd(2025, 1, 1)).check("inter cross|old", Rooted);
    twins(|params| params.not_before = date_time_ymd(2026, 2, 1)).check("inter cross|old", Rooted);
    twins(|params| params.not_after = date_time_ymd(2026, 6, 1)).check("inter|root", Rooted);
    twins(|params| params.not_before = date_time_ymd(2027, 6, 1)).check("inter|root", Rooted);
}

#[test]
fn avoids_a_twin_that_breaks_off() {
    let Pool(mut pool) = twins(|_| {});
    let mut der = pool[3].1.der().to_vec();
    let last = der.len() - 1;
    der[last] ^= 1;
    pool[3].1 = Certificate::from_der(&der).unwrap();
    Pool(pool).check("inter|root", Rooted);
}

#[test]
fn prefers_the_valid_one_of_two_issuers_with_one_key() {
    let [root, inter, leaf] = ["root", "inter", "leaf"].map(entity);
    let expired = root.issue(&inter, |params| params.not_after = date_time_ymd(2026, 6, 1));
    let future = root.issue(&inter, |params| params.not_before = date_time_ymd(2027, 6, 1));
    let leaf = ("leaf", inter.leaf(&leaf, &[]));
    let valid = ("valid", root.issue(&inter, |_| {}));
    Pool(vec![leaf.clone(), ("expired", expired.clone()), ("future", future), valid]).check("valid", Open);
    Pool(vec![leaf, ("expired", expired)]).check("expired", Open);
}

#[test]
fn names_alone_prove_nothing() {
    let [root, inter, impostor, leaf] = ["root", "inter", "inter", "leaf"].map(entity);
    let leaf = ("leaf", inter.leaf(&leaf, &[]));
    let impostor = ("impostor", root.issue(&impostor, |_| {}));
    let inter = ("inter", root.issue(&inter, |_| {}));
    Pool(vec![leaf.clone(), impostor.clone()]).check("", BadSignature { above: 0 });
    Pool(vec![leaf, impostor, inter, ("root", root.root())]).check("inter|root", Rooted);
}

#[test]
fn higher_up_a_namesake_is_ignored_and_a_damaged_link_is_not() {
    let [root, namesake, inter, leaf] = ["root", "root", "inter", "leaf"].map(entity);
    let leaf = ("leaf", inter.leaf(&leaf, &[]));
    let sound = root.issue(&inter, |_| {});
    // Same name, and the key identifiers say that it is another key: not the issuer, no harm.
    Pool(vec![leaf.clone(), ("inter", sound.clone()), ("namesake", namesake.root())]).check("inter", Open);

    let mut der = sound.der().to_vec();
    let last = der.len() - 1;
    der[last] ^= 1;
    let damaged = Certificate::from_der(&der).unwrap();
    Pool(vec![leaf, ("damaged", damaged), ("root", root.root())]).check("damaged", BadSignature { above: 1 });
}

#[test]
fn an_issuer_must_be_a_ca() {
    let [root, inter, leaf] = ["root", "inter", "leaf"].map(entity);
    let leaf = ("leaf", inter.leaf(&leaf, &[]));
    let cases: [fn(&mut rcgen::CertificateParams); 3] = [
        |params| params.is_ca = IsCa::NoCa,
        |params| params.is_ca = IsCa::ExplicitNoCa,
        |params| params.key_usages = vec![KeyUsagePurpose::DigitalSignature],
    ];
    for case in cases {
        let inter = ("inter", root.issue(&inter, case));
        Pool(vec![leaf.clone(), inter, ("root", root.root())]).check("", NotCa { above: 0 });
    }
}

#[test]
fn path_length_counts_the_intermediates_below() {
    let [root, upper, lower, leaf] = ["root", "upper", "lower", "leaf"].map(entity);
    let limit = |length| {
        move |params: &mut rcgen::CertificateParams| {
            params.is_ca = IsCa::Ca(BasicConstraints::Constrained(length));
        }
    };
    let pool = |upper_limit, root_limit| {
        Pool(vec![
            ("leaf", lower.leaf(&leaf, &[])),
            ("lower", upper.issue(&lower, limit(0))),
            ("upper", root.issue(&upper, limit(upper_limit))),
            ("root", root.issue(&root, limit(root_limit))),
        ])
    };
    pool(1, 2).check("lower upper|root", Rooted);
    pool(0, 2).check("lower", PathTooLong { above: 1 });
    pool(1, 1).check("lower upper", PathTooLong { above: 2 });
}

#[test]
fn a_new_key_of_the_same_ca_does_not_count_for_the_path_length() {
    let [root, old, new, leaf] = ["root", "inter", "inter", "leaf"].map(entity);
    Pool(vec![
        ("leaf", new.leaf(&leaf, &[])),
        ("rollover", old.issue(&new, |_| {})),
        ("old", root.issue(&old, |params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)))),
    ])
    .check("rollover old", Open);
}

#[test]
fn never_loops() {
    let [a, b, leaf] = ["a", "b", "leaf"].map(entity);
    let leaf = ("leaf", a.leaf(&leaf, &[]));
    let (a_by_b, b_by_a) = (("a by b", b.issue(&a, |_| {})), ("b by a", a.issue(&b, |_| {})));
    Pool(vec![leaf.clone(), a_by_b.clone(), b_by_a.clone()]).check("a by b b by a", Open);
    // A way that ends comes before one that would go in circles.
    Pool(vec![leaf.clone(), a_by_b.clone(), b_by_a.clone(), ("a", a.root())]).check("|a", Rooted);
    Pool(vec![leaf, a_by_b, b_by_a, ("a", a.root()), ("b", b.root())]).check("a by b|b", Rooted);
}

#[test]
fn signature_checks_are_counted() {
    // All of one name, each signed by the next, and without key identifiers the right one is tried last.
    let cas: Vec<Entity> = (0..=20).map(|_| entity("ca")).collect();
    let without_ids =
        |params: &mut rcgen::CertificateParams| params.use_authority_key_identifier_extension = false;
    let leaf = cas[0].leaf(&entity("leaf"), &[]);
    let pool: Vec<_> = (0..20)
        .map(|at| {
            cas[at + 1].issue(&cas[at], |params| {
                without_ids(params);
                params.not_before = date_time_ymd(2026, 1, 1 + at as u8);
            })
        })
        .collect();
    assert_eq!(build(&leaf, &pool, NOW).complete, Completeness::TooCostly);
    assert_eq!(build(&leaf, &pool[..6], NOW).intermediates, pool[..6]);
}

#[test]
fn paths_are_counted() {
    // Ten levels of three certificates with one name and one key: 59,049 ways up, below 100 signatures.
    let names = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10"];
    let levels = names.map(entity);
    let leaf = levels[0].leaf(&entity("leaf"), &[]);
    let mut pool = Vec::new();
    for pair in levels.windows(2) {
        pool.extend((0..3).map(|_| pair[1].issue(&pair[0], |_| {})));
    }
    let mut search = Search::new(&leaf, &pool, NOW);
    search.extend(&mut vec![0]);
    assert_eq!(search.steps, 0);
    let chain = build(&leaf, &pool, NOW);
    assert_eq!((chain.intermediates.len(), chain.complete), (10, Open));
}

#[test]
fn says_it_in_words() {
    let check = |complete: Completeness, expected: &str| assert_eq!(complete.to_string(), expected);
    check(NoIssuer, "the issuer of the certificate was not sent with it");
    check(
        BadSignature { above: 0 },
        "the signature of the certificate was not made by the issuer that was sent with it",
    );
    check(NotCa { above: 2 }, "intermediate 2 was signed by a certificate that may not sign certificates");
}
