//! What is done with fuzzed bytes. One function for each target, and what must hold of it whatever the bytes are.
//!
//! The fuzzers call these, and so does `tests/it/corpus.rs`, which runs the whole corpus with every `cargo test`.

use bytes::Bytes;
use certcollectd::config::file::{self, Source};
use certcollectd_core::api::{Answer, Endpoint, RetryAfter, Untrusted, code, push, reply};
use certcollectd_core::cert::{
    self, Anchors, Certificate, Expectation, KeyExpectation, Policy, Purpose, Severity, verify,
};
use certcollectd_core::engine::time::{Now, Time};
use certcollectd_core::state::{self, Origin};

/// 20 November 2026, when most of the corpus is valid.
const NOW: i64 = 1_795_165_920;

/// What is done with one input.
type Target = fn(&[u8]);

/// The targets by name; each has a folder of this name in `fuzz/corpus`.
pub const TARGETS: [(&str, Target); 7] = [
    ("reply", reply),
    ("unpack", unpack),
    ("chain", chain),
    ("config", config),
    ("rows", rows),
    ("push", push),
    ("key", key),
];

/// Runs a target by its name.
pub fn run(name: &str, data: &[u8]) {
    let (_, target) = TARGETS.iter().find(|(known, _)| *known == name).expect("it is one of the table");
    target(data);
}

/// What a person is shown of foreign text is printable ASCII of a bounded length.
fn is_shown_safely(text: &Untrusted) {
    assert!(text.as_str().len() <= 4 * Untrusted::LIMIT + 16, "{text:?}");
    assert!(text.as_str().bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{text:?}");
}

/// Everything the vendor can answer, up to the certificates in it. The first byte chooses the endpoint, the
/// second the HTTP status.
fn reply(data: &[u8]) {
    let [endpoint, status, body @ ..] = data else { return };
    let endpoints = [
        Endpoint::CollectSsl,
        Endpoint::CollectMc,
        Endpoint::CollectSmime,
        Endpoint::DomainDetails,
        Endpoint::ReplaceSmime,
        Endpoint::ResendSmime,
        Endpoint::ReplaceSsl,
    ];
    let endpoint = endpoints[usize::from(*endpoint) % endpoints.len()];
    let status = [200, 200, 200, 201, 302, 401, 429, 500][usize::from(*status) % 8];
    let answer = Answer {
        status,
        content_type: None,
        retry_after: None,
        date: None,
        body: Bytes::copy_from_slice(body),
    };
    let Ok(reply) = reply::decode(endpoint, &answer) else { return };
    assert!(status < 500, "an error page is no answer");
    if let Some(message) = &reply.message {
        is_shown_safely(message);
    }
    let _ = code::classify(endpoint, &reply);
    let _ = cert::unpack_all(reply.parts.iter().map(|part| &part[..]));
}

/// Every wrapping of certificates.
fn unpack(data: &[u8]) {
    let Ok(found) = cert::unpack(data) else { return };
    assert!(!found.is_empty() && found.len() <= cert::unpack::MAX_CERTIFICATES);
    let text: String = found.iter().map(Certificate::to_pem).collect();
    assert_eq!(cert::unpack(text.as_bytes()).as_ref(), Ok(&found), "what we write as PEM is what we read");
    let bundle = cert::certs_only(&found);
    let mut again = cert::unpack(&bundle).expect("what we write as PKCS#7 can be read");
    // DER orders a SET OF; the set is the same.
    let mut sorted = found.clone();
    for list in [&mut again, &mut sorted] {
        list.sort_by_key(|certificate| *certificate.fingerprint().as_bytes());
    }
    assert_eq!(again, sorted);
}

/// Certificates, each behind its length in two bytes: chain building and the whole verdict.
fn chain(data: &[u8]) {
    let mut pool = Vec::new();
    let mut rest = data;
    while let Some((length, after)) = rest.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length)).min(after.len());
        let (der, next) = after.split_at(length);
        if let Ok(certificate) = Certificate::from_der(der) {
            assert_eq!(certificate.der(), der);
            let _ = (certificate.subject_text(), certificate.issuer_text(), certificate.serial_hex());
            pool.push(certificate);
        }
        rest = next;
        if pool.len() > 2 * cert::chain::MAX_POOL {
            break;
        }
    }
    for leaf in &pool {
        let chain = cert::chain::build(leaf, &pool, NOW);
        assert!(!chain.intermediates.contains(leaf), "a leaf is not above itself");
        assert!(chain.intermediates.iter().all(|certificate| pool.contains(certificate)));
    }
    let policy = Policy {
        key: Severity::Warn,
        domains: Severity::Block,
        coverage: Severity::Warn,
        chain: Severity::Block,
        dates: Severity::Block,
        downgrade: Severity::Block,
        trust: Severity::Warn,
    };
    let roots = pool.iter().filter(|certificate| certificate.is_self_issued());
    let anchors = Anchors::from_ders(roots.map(|certificate| certificate.der().to_vec()));
    let domains = ["www.example.com".to_owned().into(), "*.example.org".to_owned().into()];
    for purpose in [Purpose::Server, Purpose::Mark, Purpose::Email] {
        let expected = Expectation {
            policy,
            purpose,
            key: KeyExpectation::None,
            domains: &domains,
            covered: &domains,
            installed: None,
            anchors: Some(&anchors),
        };
        let verdict = verify::judge(&pool, &expected, NOW);
        assert!(verdict.leaf.is_some() || verdict.blocked(), "without a leaf there is nothing to install");
        if let Some(leaf) = &verdict.leaf {
            assert!(pool.contains(leaf));
        }
    }
}

/// The configuration, and everything that is said about it.
fn config(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let main = Source { path: "/etc/certcollectd/certcollectd.toml".into(), text: text.to_owned() };
    let _ = file::includes(&main);
    let sources = [main];
    let problems = match file::read(&sources) {
        Ok((_, warnings)) => warnings,
        Err(problems) => {
            assert!(problems.errors() > 0, "a refusal has a reason");
            problems
        }
    };
    let shown = problems.render(&sources, false);
    assert!(problems.is_empty() || !shown.is_empty());
    assert_eq!(problems.lines(&sources).len(), problems.iter().count());
    // The line that the corpus marks as a secret.
    if let Some(secret) = text.lines().find_map(|line| line.strip_prefix("password = \"FUZZ-SECRET")) {
        let secret = secret.trim_end_matches('"');
        assert!(secret.len() < 8 || !shown.contains(secret), "{shown}");
    }
}

/// Rows of the state file: what can be read can be written and read again, and is the same.
fn rows(data: &[u8]) {
    let [which, data @ ..] = data else { return };
    let now = Now { time: Time(5_000_000), wall: NOW * 1000 };
    let origin = Origin { same_boot: true, offset: None, present: None };
    match which % 3 {
        0 => {
            let Ok(text) = str::from_utf8(data) else { return };
            let Ok(record) = state::read_order("www", text, origin, now) else { return };
            let written = state::write_order(&record);
            let again =
                state::read_order("www", &written, origin, now).expect("what was written can be read");
            assert_eq!(state::write_order(&again), written);
            let other = Origin { same_boot: false, offset: Some(i64::MAX), present: Some(i64::MIN) };
            let _ = state::read_order("www", text, other, now);
        }
        1 => {
            let Ok(text) = str::from_utf8(data) else { return };
            let Ok(record) = state::read_account("main", text, origin, now) else { return };
            let written = state::write_account(&record);
            let again =
                state::read_account("main", &written, origin, now).expect("what was written can be read");
            assert_eq!(again, record);
        }
        _ => {
            let Ok(bundle) = state::read_bundle("www", data) else { return };
            assert_eq!(state::write_bundle(&bundle), data);
        }
    }
}

/// Notifications, foreign text, and the one header that is read.
fn push(data: &[u8]) {
    let (query, body) = data.split_at(data.len() / 2);
    for hint in [push::parse(data, b""), push::parse(query, body)].into_iter().flatten() {
        let names = hint.numbers.iter().chain(&hint.certificates).chain(&hint.serials);
        assert!(names.clone().all(|name| !name.is_empty() && !name.contains(char::is_control)), "{hint:?}");
        assert!(hint.revocation || names.count() > 0, "{hint:?}");
        assert!(hint.why.len() <= push::Hint::WORDS, "{hint:?}");
        assert!(hint.why.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{hint:?}");
    }
    is_shown_safely(&Untrusted::from_bytes(data));
    if let Ok(text) = str::from_utf8(data) {
        is_shown_safely(&Untrusted::new(text));
        let _ = RetryAfter::parse(text);
    }
}

/// The operator's own files: private keys, signing requests, trust anchors.
fn key(data: &[u8]) {
    let _ = cert::key::from_private_key_pem(data);
    if let Ok(csr) = cert::csr::read(data) {
        let _ = (csr.names().len(), csr.signature(), csr.common_name(), csr.unfit());
    }
    let _ = Anchors::from_pem(data);
}
