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
    let highest = reported.into_iter().filter(|reported| is_news(last, *reported)).max();
    let next = highest.or(last).unwrap_or(0).saturating_add(1);
    last.map_or(next, |last| next.min(last.saturating_add(FURTHEST)))
}

/// The row `meta`: which fleet this is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Meta {
    format: u32,
    id: Box<str>,
}

impl Meta {
    const MOST_OCTETS: usize = 1024;

    /// `random` makes the fleet's id: another one in the place of the one that was seen first is another fleet.
    pub fn new(random: [u8; 16]) -> Meta {
        Meta { format: FORMAT, id: crate::cert::hex(&random).into() }
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
        let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if meta.id.len() != 32 || !meta.id.bytes().all(is_hex) {
            let what = format!("{} is no id of a fleet", Untrusted::new(&meta.id));
            return Err(Malformed::Form(Untrusted::new(&what)).into());
        }
        Ok(meta)
    }

    pub fn to_row(&self) -> Vec<u8> {
        form::written(self)
    }
}
