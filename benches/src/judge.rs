//! An answer of the vendor, and what a daemon makes of it.

use bytes::Bytes;
use certcollectd_core::api::{Answer, Endpoint, reply};
use certcollectd_core::cert::verify::{Expectation, KeyCandidate, KeyExpectation, Policy, Purpose, judge};
use certcollectd_core::cert::{self, Certificate, key};

use crate::mock::{Authority, domain, issued};
use crate::site::FIRST;

/// 2027-01-15: within the validity of what the mock issues.
const NOW: i64 = 1_800_000_000;

#[derive(Debug)]
pub struct Case {
    pub answer: Answer,
    keys: Vec<KeyCandidate>,
    domains: Vec<Box<str>>,
    anchors: cert::Anchors,
}

impl Case {
    pub fn new(authority: &Authority) -> Case {
        let key = key::from_private_key_pem(authority.order_key_pem().as_bytes()).expect("a key of ours");
        Case {
            answer: answer(issued(authority, FIRST)),
            keys: vec![KeyCandidate { label: "order.key".into(), key: Ok(key) }],
            domains: vec![domain(FIRST).into()],
            anchors: cert::Anchors::from_pem(authority.root_pem().as_bytes()).expect("a root of ours"),
        }
    }

    /// Decodes, unpacks, judges.
    pub fn run(&self) {
        self.judge(&unpack(&self.answer));
    }

    pub fn judge(&self, certificates: &[Certificate]) {
        let expected = Expectation {
            policy: Policy::default(),
            purpose: Purpose::Server,
            key: KeyExpectation::Candidates(&self.keys),
            domains: &self.domains,
            installed: None,
            covered: &[],
            anchors: Some(&self.anchors),
        };
        let verdict = judge(certificates, &expected, NOW);
        assert!(!verdict.blocked() && verdict.findings.is_empty(), "{:?}", verdict.findings);
    }
}

/// An answer with this body.
pub fn answer(body: impl Into<Bytes>) -> Answer {
    Answer { status: 200, content_type: None, retry_after: None, date: None, body: body.into() }
}

/// The certificates of an answer.
pub fn unpack(answer: &Answer) -> Vec<Certificate> {
    let reply = reply::decode(Endpoint::CollectSsl, answer).expect("an answer of the mock");
    cert::unpack_all(reply.parts.iter().map(|part| &part[..])).expect("certificates of ours")
}
