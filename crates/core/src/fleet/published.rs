//! What the leader publishes of an order, read as if an enemy had written it.
//!
//! Nothing here says whether a certificate may be installed: its key, its names, its path and its dates are judged on the
//! host, as those of a collected one are.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::api::Untrusted;
use crate::cert::{CertError, Certificate, Fingerprint};
use crate::engine::time::rfc3339;

use super::form::{self, Malformed};
use super::keys;

/// The version of the form that this program writes and reads.
pub const FORMAT: u32 = 1;
/// The longest row, in octets.
pub const MOST_OCTETS: usize = 64 * 1024;
/// Certificates above the leaf.
pub const MOST_CHAIN: usize = 8;
/// A generation further above the one before is no news: else a forged one with the highest number would end the counting.
pub const FURTHEST: u64 = 1 << 32;

/// Why a row is not taken. What was installed stays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error(
        "it has format {0}, and this program reads format {FORMAT}: a newer certcollectd wrote it, upgrade this host"
    )]
    Format(u32),
    #[error("it is for the order {0}, and stands in another one's place")]
    Order(Untrusted),
    #[error("its generation is 0, and generations begin with 1")]
    Generation,
    #[error("its leaf is not base64")]
    Base64,
    #[error("its leaf cannot be read: {0}")]
    Leaf(CertError),
    #[error(
        "it says that its certificate is valid from {said_from} to {said_to}, and the certificate says from {from} to {to}"
    )]
    Dates { said_from: Untrusted, said_to: Untrusted, from: String, to: String },
    #[error("its chain has {0} certificates, and at most {MOST_CHAIN} are read")]
    LongChain(usize),
    #[error("its chain names {0}, which is not a SHA-256 in lower-case hexadecimal")]
    Digest(Untrusted),
    #[error("its chain names the certificate {0} twice")]
    Twice(Fingerprint),
    #[error("the certificate {0} of its chain is not in the store")]
    Missing(Fingerprint),
    #[error("what is stored as the certificate {0} of its chain is too long: {1}")]
    LongLink(Fingerprint, Malformed),
    #[error("what is stored as the certificate {said} of its chain has another digest, {found}")]
    OtherDigest { said: Fingerprint, found: Fingerprint },
    #[error("the certificate {0} of its chain cannot be read: {1}")]
    Link(Fingerprint, CertError),
}

/// A certificate with those above it, as they are to be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    pub leaf: Certificate,
    /// The leaf's issuer first; at most [`MOST_CHAIN`], none twice.
    pub chain: Vec<Certificate>,
}

/// The row `pub/<group>/<order>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    pub order: Box<str>,
    /// From 1 on; counts what was published of this order and is never used again.
    pub generation: u64,
    pub leaf: Certificate,
    /// As [`Bundle::chain`]; the certificates stand in rows of their own.
    pub chain: Vec<Fingerprint>,
    /// Why there is a new one, for people.
    pub reason: Untrusted,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    format: u32,
    order: String,
    generation: u64,
    /// DER in base64.
    leaf: String,
    chain: Vec<String>,
    not_before: String,
    not_after: String,
    reason: Untrusted,
}

/// Of a row whose other fields may be unknown.
#[derive(Deserialize)]
struct FormatOnly {
    format: u32,
}

impl Publication {
    /// The row for a bundle; refused if no host would take it.
    pub fn new(
        order: &str,
        generation: u64,
        bundle: &Bundle,
        reason: Untrusted,
    ) -> Result<Publication, Refusal> {
        let chain: Vec<Fingerprint> = bundle.chain.iter().map(Certificate::fingerprint).collect();
        for certificate in &bundle.chain {
            form::fits(certificate.der(), MOST_OCTETS)
                .map_err(|long| Refusal::LongLink(certificate.fingerprint(), long))?;
        }
        let publication =
            Publication { order: order.into(), generation, leaf: bundle.leaf.clone(), chain, reason };
        Publication::read(order, &publication.to_row())
    }

    /// Reads the row that stands in the place of `order`.
    pub fn read(order: &str, bytes: &[u8]) -> Result<Publication, Refusal> {
        let FormatOnly { format } = form::read(bytes, MOST_OCTETS)?;
        if format != FORMAT {
            return Err(Refusal::Format(format));
        }
        let row: Row = form::read(bytes, MOST_OCTETS)?;
        if row.order != order {
            return Err(Refusal::Order(Untrusted::new(&row.order)));
        }
        if row.generation == 0 {
            return Err(Refusal::Generation);
        }
        let leaf = STANDARD.decode(&row.leaf).map_err(|_| Refusal::Base64)?;
        let leaf = Certificate::from_der(&leaf).map_err(Refusal::Leaf)?;
        let (from, to) = (rfc3339(leaf.not_before()), rfc3339(leaf.not_after()));
        if (&row.not_before, &row.not_after) != (&from, &to) {
            let (said_from, said_to) = (Untrusted::new(&row.not_before), Untrusted::new(&row.not_after));
            return Err(Refusal::Dates { said_from, said_to, from, to });
        }
        let chain = chain(&row.chain, &leaf)?;
        Ok(Publication { order: order.into(), generation: row.generation, leaf, chain, reason: row.reason })
    }

    pub fn to_row(&self) -> Vec<u8> {
        form::written(&Row {
            format: FORMAT,
            order: self.order.to_string(),
            generation: self.generation,
            leaf: STANDARD.encode(self.leaf.der()),
            chain: self.chain.iter().map(Fingerprint::to_string).collect(),
            not_before: rfc3339(self.leaf.not_before()),
            not_after: rfc3339(self.leaf.not_after()),
            reason: self.reason.clone(),
        })
    }

    /// Puts it together; `stored` gives what the row of a digest holds.
    pub fn bundle<'a>(&self, stored: impl Fn(Fingerprint) -> Option<&'a [u8]>) -> Result<Bundle, Refusal> {
        let link = |digest: &Fingerprint| {
            let der = stored(*digest).ok_or(Refusal::Missing(*digest))?;
            read_chain(*digest, der)
        };
        let chain = self.chain.iter().map(link).collect::<Result<_, _>>()?;
        Ok(Bundle { leaf: self.leaf.clone(), chain })
    }
}

/// Reads the row `chain/<SHA-256>`.
pub fn read_chain(digest: Fingerprint, der: &[u8]) -> Result<Certificate, Refusal> {
    form::fits(der, MOST_OCTETS).map_err(|long| Refusal::LongLink(digest, long))?;
    let found = Fingerprint::of(der);
    if found != digest {
        return Err(Refusal::OtherDigest { said: digest, found });
    }
    Certificate::from_der(der).map_err(|wrong| Refusal::Link(digest, wrong))
}

fn chain(digests: &[String], leaf: &Certificate) -> Result<Vec<Fingerprint>, Refusal> {
    if digests.len() > MOST_CHAIN {
        return Err(Refusal::LongChain(digests.len()));
    }
    let mut known = HashSet::from([leaf.fingerprint()]);
    let read = |text: &String| {
        let digest = keys::digest(text).ok_or_else(|| Refusal::Digest(Untrusted::new(text)))?;
        if known.insert(digest) { Ok(digest) } else { Err(Refusal::Twice(digest)) }
    };
    digests.iter().map(read).collect()
}

/// Whether a generation is newer than the highest that was accepted here, or the first. Only what was accepted raises that one.
pub fn is_news(seen: Option<u64>, generation: u64) -> bool {
    seen.is_none_or(|seen| generation > seen && generation - seen <= FURTHEST)
}

/// The generation to publish next. `seen` is the highest that this collector has seen, `stored` the one in the store, `reported`
/// what hosts say that they have.
///
/// It is above all that a host can have accepted, and news for every host that has the last one, whatever one of them says. If a
/// forgery went as far as it can, the one after this is above it.
pub fn next_generation(
    seen: Option<u64>,
    stored: Option<u64>,
    reported: impl IntoIterator<Item = u64>,
) -> u64 {
    let last = stored.filter(|stored| is_news(seen, *stored)).or(seen);
    // Also where nothing was ever published: a host may report any number.
    let last = last.unwrap_or(0);
    let highest = reported.into_iter().filter(|reported| is_news(Some(last), *reported)).max();
    highest.unwrap_or(last).saturating_add(1).min(last.saturating_add(FURTHEST))
}

/// What is wrong with a store of another id than the fleet that this host knows. What to do follows.
pub const OTHER_FLEET: &str = "the fleet's store holds another fleet than the one that this host has been in";

/// The row `meta`: which fleet this is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Meta {
    format: u32,
    id: Box<str>,
    /// The host that has this fleet's state for itself now: nobody leads the fleet any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    moved_to: Option<Box<str>>,
}

impl Meta {
    const MOST_OCTETS: usize = 1024;

    /// `random` makes the fleet's id: another one in the place of the one that was seen first is another fleet.
    pub fn new(random: [u8; 16]) -> Meta {
        Meta { format: FORMAT, id: crate::cert::hex(&random).into(), moved_to: None }
    }

    /// The fleet of this id, if it is one.
    pub fn of(id: &str) -> Option<Meta> {
        let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let is_id = id.len() == 32 && id.bytes().all(is_hex);
        is_id.then(|| Meta { format: FORMAT, id: id.into(), moved_to: None })
    }

    /// The same fleet at its end.
    pub fn moved(self, host: &str) -> Meta {
        Meta { moved_to: Some(host.into()), ..self }
    }

    pub fn moved_to(&self) -> Option<&str> {
        self.moved_to.as_deref()
    }

    /// 32 hex digits in lower case.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn read(bytes: &[u8]) -> Result<Meta, Refusal> {
        let FormatOnly { format } = form::read(bytes, Meta::MOST_OCTETS)?;
        if format != FORMAT {
            return Err(Refusal::Format(format));
        }
        let meta: Meta = form::read(bytes, Meta::MOST_OCTETS)?;
        if Meta::of(&meta.id).is_none() {
            let what = format!("{} is no id of a fleet", Untrusted::new(&meta.id));
            return Err(Malformed::Form(Untrusted::new(&what)).into());
        }
        Ok(meta)
    }

    pub fn to_row(&self) -> Vec<u8> {
        form::written(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::cert::{SignatureCheck, signed_by};

    const LEAF: &[u8] = include_bytes!("../../../../tests/data/cert/leaf.der");
    const INTER: &[u8] = include_bytes!("../../../../tests/data/cert/inter.der");
    const CROSS: &[u8] = include_bytes!("../../../../tests/data/cert/cross.der");

    fn certificate(der: &[u8]) -> Certificate {
        Certificate::from_der(der).unwrap()
    }

    fn bundle() -> Bundle {
        Bundle { leaf: certificate(LEAF), chain: vec![certificate(INTER), certificate(CROSS)] }
    }

    fn good() -> Publication {
        Publication::new("www", 7, &bundle(), Untrusted::new("re-issued")).unwrap()
    }

    fn stored(digest: Fingerprint) -> Option<&'static [u8]> {
        [INTER, CROSS].into_iter().find(|der| Fingerprint::of(der) == digest)
    }

    /// The good row with another value in one place.
    fn with(field: &str, value: Value) -> Vec<u8> {
        let mut row: Value = serde_json::from_slice(&good().to_row()).unwrap();
        row[field] = value;
        row.to_string().into_bytes()
    }

    fn refused(row: &[u8]) -> String {
        Publication::read("www", row).unwrap_err().to_string()
    }

    /// Whether this is the good one, or nothing that a host could take for it.
    fn is_harmless(read: Result<Publication, Refusal>) -> bool {
        let Ok(read) = read else { return true };
        let Ok(found) = read.bundle(stored) else { return true };
        found == bundle()
            || found.leaf != bundle().leaf
                && signed_by(&found.leaf, &certificate(INTER)) != SignatureCheck::Good
    }

    #[test]
    fn what_is_published_is_read_again() {
        let publication = good();
        let row = publication.to_row();
        assert_eq!(Publication::read("www", &row), Ok(publication.clone()));
        assert_eq!(publication.bundle(stored), Ok(bundle()));
        let chain: Vec<_> = [INTER, CROSS].map(|der| Fingerprint::of(der).to_string()).into();
        let expected = json!({
            "format": 1, "order": "www", "generation": 7, "leaf": STANDARD.encode(LEAF), "chain": chain,
            "not_before": rfc3339(certificate(LEAF).not_before()),
            "not_after": rfc3339(certificate(LEAF).not_after()), "reason": "re-issued",
        });
        assert_eq!(serde_json::from_slice::<Value>(&row).unwrap(), expected);
    }

    #[test]
    fn each_thing_that_is_wrong_has_its_sentence() {
        let inter = Fingerprint::of(INTER).to_string();
        let many: Vec<_> = (0..9).map(|number| Fingerprint::of(&[number]).to_string()).collect();
        for (row, expected) in [
            (with("format", json!(2)), "it has format 2, and this program reads format 1"),
            (with("more", json!(1)), "unknown field `more`"),
            (with("order", json!("mail\u{1b}")), r"it is for the order mail\u{1b}, and stands"),
            (with("generation", json!(0)), "its generation is 0"),
            (with("generation", json!(-1)), "invalid value: integer `-1`"),
            (with("leaf", json!("????")), "its leaf is not base64"),
            (with("leaf", json!("AAAA")), "its leaf cannot be read: it is not a well-formed"),
            (
                with("not_after", json!("2099-01-01T00:00:00Z")),
                "to 2099-01-01T00:00:00Z, and the certificate says",
            ),
            (with("not_before", json!("\n")), "valid from  to"),
            (with("chain", json!(many)), "its chain has 9 certificates"),
            (
                with("chain", json!([inter.to_uppercase()])),
                "which is not a SHA-256 in lower-case hexadecimal",
            ),
            (with("chain", json!([inter, inter])), "twice"),
            (with("chain", json!([Fingerprint::of(LEAF).to_string()])), "twice"),
            (with("reason", json!("x".repeat(MOST_OCTETS))), "and at most 65536 are read"),
            (b"{\"format\": 1, \"format\": 1}".to_vec(), "duplicate field `format`"),
            ([&good().to_row()[..], b"{}"].concat(), "trailing characters"),
            (b"[]".to_vec(), "invalid length 0"),
        ] {
            let text = refused(&row);
            assert!(text.contains(expected), "{text}\n{expected}");
            assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{text:?}");
        }
    }

    #[test]
    fn a_chain_is_what_its_digests_say() {
        let publication = good();
        let [inter, cross] = [INTER, CROSS].map(Fingerprint::of);
        assert_eq!(publication.bundle(|_| None), Err(Refusal::Missing(inter)));
        let swapped = Refusal::OtherDigest { said: inter, found: cross };
        assert_eq!(publication.bundle(|_| Some(CROSS)), Err(swapped));
        let long = vec![0; MOST_OCTETS + 1];
        let read = read_chain(Fingerprint::of(&long), &long);
        assert!(matches!(read, Err(Refusal::LongLink(_, Malformed::TooLong { .. }))), "{read:?}");
        let read = read_chain(Fingerprint::of(b"text"), b"text");
        assert_eq!(read, Err(Refusal::Link(Fingerprint::of(b"text"), CertError::Malformed)));
        assert_eq!(read_chain(inter, INTER), Ok(certificate(INTER)));
    }

    #[test]
    fn nothing_is_published_that_no_host_takes() {
        let twice = Bundle { chain: vec![certificate(INTER); 2], ..bundle() };
        let refused = Publication::new("www", 7, &twice, Untrusted::new(""));
        assert_eq!(refused, Err(Refusal::Twice(Fingerprint::of(INTER))));
        assert_eq!(Publication::new("www", 0, &bundle(), Untrusted::new("")), Err(Refusal::Generation));
    }

    #[test]
    fn a_field_that_is_altered_or_missing_is_noticed() {
        let others = [
            json!(null),
            json!(true),
            json!(-1),
            json!(1.5),
            json!(8),
            json!(""),
            json!("x"),
            json!(["x"]),
            json!({}),
            json!([Fingerprint::of(LEAF).to_string()]),
            json!(STANDARD.encode(INTER)),
        ];
        let row: Value = serde_json::from_slice(&good().to_row()).unwrap();
        for (field, value) in row.as_object().unwrap() {
            for other in &others {
                let read = Publication::read("www", &with(field, other.clone()));
                // These two are the leader's word; what is installed does not come from them.
                let same = match field.as_str() {
                    "generation" => read.as_ref().is_ok_and(|read| read.generation == 8),
                    "reason" => read.is_ok(),
                    _ => false,
                };
                assert!(
                    same || is_harmless(read.clone()) && (other == value || read.is_err()),
                    "{field}: {other}"
                );
            }
            let mut less = row.clone();
            less.as_object_mut().unwrap().remove(field);
            assert!(refused(less.to_string().as_bytes()).contains("missing field"), "{field}");
        }
    }

    #[test]
    fn a_higher_generation_is_news() {
        for (seen, generation, is) in [
            (None, 1, true),
            (None, u64::MAX, true),
            (Some(7), 7 + FURTHEST, true),
            (Some(7), 8 + FURTHEST, false),
            (Some(7), 7, false),
            (Some(7), 6, false),
            (Some(7), 8, true),
            (Some(7), u64::MAX, false),
            (Some(u64::MAX), u64::MAX, false),
            (Some(u64::MAX - 1), u64::MAX, true),
        ] {
            assert_eq!(is_news(seen, generation), is, "{seen:?} {generation}");
        }
    }

    #[test]
    fn the_next_generation_is_above_all_that_count() {
        assert_eq!(next_generation(None, None, []), 1);
        assert_eq!(next_generation(Some(7), Some(3), [3]), 8);
        assert_eq!(next_generation(Some(3), Some(7), [3]), 8);
        assert_eq!(next_generation(None, None, [9, 3, 7]), 10);
        // One host lies.
        assert_eq!(next_generation(Some(7), Some(7), [7, u64::MAX]), 8);
        // A forgery in the store, which hosts have accepted or not.
        assert_eq!(next_generation(Some(7), Some(1007), [7]), 1008);
        assert_eq!(next_generation(Some(7), Some(u64::MAX), [7, 1007]), 1008);
        assert_eq!([next_generation(None, None, [u64::MAX]), next_generation(None, None, [7])], [1, 8]);
        // The furthest one takes two steps, because the others can take no longer one.
        assert_eq!(next_generation(Some(7), Some(7), [7 + FURTHEST]), 7 + FURTHEST);
        assert_eq!(next_generation(Some(7), Some(7 + FURTHEST), [7 + FURTHEST]), 8 + FURTHEST);
    }

    #[test]
    fn a_fleet_is_known_by_its_id() {
        let meta = Meta::new([0xab; 16]);
        assert_eq!(Meta::read(&meta.to_row()), Ok(meta.clone()));
        assert_eq!(meta.to_row(), format!("{{\"format\":1,\"id\":\"{}\"}}", "ab".repeat(16)).into_bytes());
        let read = |text: &str| Meta::read(text.as_bytes()).unwrap_err().to_string();
        assert!(read("{\"format\": 2, \"id\": [], \"more\": 1}").contains("has format 2"));
        assert!(read("{\"format\": 1, \"id\": \"\\u001b\"}").contains(r"\u{1b} is no id of a fleet"));
        assert!(read(&format!("{{\"format\": 1, \"id\": \"{}\"}}", "AB".repeat(16))).contains("is no id"));
    }

    proptest! {
        #[test]
        fn no_row_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Publication::read("www", &bytes).is_err());
            prop_assert!(Meta::read(&bytes).is_err());
            prop_assert!(read_chain(Fingerprint::of(&bytes), &bytes).is_err());
        }

        #[test]
        fn an_octet_that_is_altered_does_no_harm(at in any::<prop::sample::Index>(), octet in any::<u8>()) {
            let mut row = good().to_row();
            let at = at.index(row.len());
            row[at] = octet;
            prop_assert!(is_harmless(Publication::read("www", &row)));
        }

        #[test]
        fn a_row_that_is_cut_is_refused(at in any::<prop::sample::Index>()) {
            let row = good().to_row();
            prop_assert!(Publication::read("www", &row[..at.index(row.len())]).is_err());
        }

        #[test]
        fn no_report_keeps_the_next_generation_from_the_others(
            last in 1..u64::MAX / 2, reported in prop::collection::vec(any::<u64>(), 0..8), near in 1..FURTHEST,
        ) {
            let reported = || reported.iter().copied().chain([last + near]);
            let next = next_generation(Some(last), Some(last), reported());
            prop_assert!(is_news(Some(last), next));
            for accepted in reported().filter(|one| *one > last && *one < last + FURTHEST) {
                prop_assert!(is_news(Some(accepted), next));
            }
        }
    }
}
