//! What a certificate is; no files.
//!
//! Bytes in, values out: no I/O, no clock (what needs the time takes `now`, UNIX seconds), no chance. Everything
//! here reads what strangers wrote, so every loop and list has a bound, nothing panics, and no error text
//! repeats foreign bytes.
//!
//! The way of an answer: [`unpack()`] makes certificates of whatever wrapping came, [`judge`] chooses the leaf,
//! lets [`chain`] order the rest and says what does not hold, [`certs_only`] wraps the result again.
//! Revocation is not looked at: the vendor tells it in the order's status.

pub mod ber;
pub mod chain;
pub mod key;
pub mod lookalike;
pub mod pkcs7;
pub mod san;
pub mod unpack;
pub mod verify;

pub mod csr;
mod dn;
mod pem;
mod signature;
mod strength;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod hostile;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::oid_registry;
use x509_parser::prelude::FromDer;
use x509_parser::x509::{X509Name, X509Version};

pub use chain::{Chain, Completeness};
pub use csr::Csr;
pub use key::{KeyError, PrivateKey, PublicKey, PublicKeys};
pub use pkcs7::certs_only;
pub use san::SanName;
pub use signature::{SignatureCheck, check as signed_by};
pub use unpack::{UnpackError, unpack, unpack_all};
pub use verify::{
    Anchors, AnchorsError, CLOCK_TOLERANCE, Check, Expectation, Finding, Installed, KeyCandidate,
    KeyExpectation, MAX_ANCHORS_INPUT, Policy, Purpose, Severity, Verdict, judge, listed, read_roots,
};

/// Maximum number of octets of a serial number shown.
const MAX_SERIAL: usize = 64;

/// Why bytes are no certificate that we read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertError {
    /// Not the structure of RFC 5280 section 4.1, or cut off.
    #[error("it is not a well-formed X.509 certificate")]
    Malformed,
    /// Bytes after the end of the structure.
    #[error("trailing data follows the certificate")]
    Trailing,
    /// The named extension decides about trust and cannot be read.
    #[error("its extension {0} cannot be read")]
    Extension(&'static str),
    /// RFC 5280 section 4.2: "a certificate MUST NOT include more than one instance of a particular extension".
    #[error("its extension {0} is there twice")]
    Twice(&'static str),
}

/// Whether a certificate covers a name that another one covered, as [`SanName`] is written: the same name, or what
/// [`san::covers`] allows.
pub fn still_covers(certificate: &Certificate, name: &str) -> bool {
    let names = certificate.names();
    names.iter().any(|known| known.to_string().eq_ignore_ascii_case(name)) || san::covers(names, name)
}

/// Label and content of every PEM block in a text, whatever stands between them; nothing if one of them cannot be read.
pub fn pem_blocks(text: &[u8]) -> Option<Vec<(String, zeroize::Zeroizing<Vec<u8>>)>> {
    let items = pem::read(text, pem::MAX_BLOCKS).ok()?;
    Some(items.into_iter().map(|item| (item.label.to_owned(), item.der)).collect())
}

/// An X.509 certificate, read once. Cloning shares the memory; two are equal if their DER is.
#[derive(Clone)]
pub struct Certificate(Arc<Inner>);

struct Inner {
    der: Box<[u8]>,
    subject: Range<usize>,
    issuer: Range<usize>,
    serial: Range<usize>,
    spki: Range<usize>,
    tbs: Range<usize>,
    facts: Facts,
    not_before: i64,
    not_after: i64,
    fingerprint: Fingerprint,
}

/// What the extensions say.
#[derive(Default)]
struct Facts {
    ca: Option<bool>,
    path_len: Option<u32>,
    /// Whether keyUsage, if there is one, allows to sign certificates.
    cert_sign: Option<bool>,
    names: Option<Box<[SanName]>>,
    unreadable_names: usize,
    usages: Option<Box<[String]>>,
    subject_key_id: Option<Range<usize>>,
    authority_key_id: Option<Range<usize>>,
}

impl Certificate {
    /// Reads one DER certificate that fills the input.
    ///
    /// Tolerates what certificates in the field have and strict readers refuse: serial numbers above 20 octets,
    /// version 1, unknown critical extensions. An unreadable subjectAltName counts as none, so that an
    /// unrelated oddity in a bundle does not stop it; the domain check misses the names then.
    pub fn from_der(der: &[u8]) -> Result<Certificate, CertError> {
        let (rest, parsed) = X509Certificate::from_der(der).map_err(|_| CertError::Malformed)?;
        if !rest.is_empty() {
            return Err(CertError::Trailing);
        }
        // The parser lets the outer tag's class and what follows the signature pass; clients do not.
        signature::Signed::read(der).map_err(|_| CertError::Malformed)?;
        let span = |part: &[u8]| span(der, part).ok_or(CertError::Malformed);
        let tbs = &parsed.tbs_certificate;
        let mut facts = Facts::read(der, &parsed)?;
        let self_issued = tbs.subject.as_raw() == tbs.issuer.as_raw();
        if facts.ca.is_none() {
            // Version 1 has no way to say "CA". Whether it signed itself is not asked: such roots often carry
            // MD5 or SHA-1, which is no longer checked, and each link to them is checked anyway.
            facts.ca = Some(tbs.version != X509Version::V3 && self_issued);
        }
        Ok(Certificate(Arc::new(Inner {
            subject: span(tbs.subject.as_raw())?,
            issuer: span(tbs.issuer.as_raw())?,
            serial: span(tbs.raw_serial())?,
            spki: span(tbs.subject_pki.raw)?,
            tbs: span(tbs.as_ref())?,
            facts,
            not_before: tbs.validity.not_before.timestamp(),
            not_after: tbs.validity.not_after.timestamp(),
            fingerprint: Fingerprint::of(der),
            der: der.into(),
        })))
    }

    /// The whole certificate, DER.
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// The subject's name, DER, with tag and length.
    pub fn subject(&self) -> &[u8] {
        &self.0.der[self.0.subject.clone()]
    }

    /// The subject's first common name in lower case, if it is a DNS name.
    pub fn common_name(&self) -> Option<String> {
        let (_, subject) = X509Name::from_der(self.subject()).ok()?;
        san::common_name(&subject)
    }

    /// The issuer's name, DER, with tag and length.
    pub fn issuer(&self) -> &[u8] {
        &self.0.der[self.0.issuer.clone()]
    }

    /// The subject for people: RFC 4514, in printable ASCII of at most 200 characters.
    pub fn subject_text(&self) -> String {
        dn::text(self.subject())
    }

    /// The issuer for people, as [`Certificate::subject_text`].
    pub fn issuer_text(&self) -> String {
        dn::text(self.issuer())
    }

    /// The serial number in lower-case hex: two digits an octet, without leading zero octets.
    pub fn serial_hex(&self) -> String {
        let octets = ber::unsigned(&self.0.der[self.0.serial.clone()]);
        if octets.is_empty() { "00".to_owned() } else { hex(octets) }
    }

    /// The serial number for people and for the state: as [`Certificate::serial_hex`], but beyond 64 octets only its start
    /// and its length. RFC 5280 section 4.1.2.2 allows 20.
    pub fn serial_text(&self) -> String {
        let hex = self.serial_hex();
        match hex.len() / 2 {
            0..=MAX_SERIAL => hex,
            octets => format!("{}... ({octets} octets)", &hex[..40]),
        }
    }

    /// SHA-256 of the DER.
    pub fn fingerprint(&self) -> Fingerprint {
        self.0.fingerprint
    }

    /// Valid from, UNIX seconds.
    pub fn not_before(&self) -> i64 {
        self.0.not_before
    }

    /// Valid up to and including, UNIX seconds.
    pub fn not_after(&self) -> i64 {
        self.0.not_after
    }

    /// SubjectPublicKeyInfo, DER, with tag and length.
    pub fn spki(&self) -> &[u8] {
        &self.0.der[self.0.spki.clone()]
    }

    /// Whether basicConstraints says CA. Versions 1 and 2 cannot say so: there it is self-issued.
    pub fn is_ca(&self) -> bool {
        self.0.facts.ca == Some(true)
    }

    /// The names of subjectAltName that can be shown and compared; at most [`san::MAX_NAMES`].
    pub fn names(&self) -> &[SanName] {
        self.0.facts.names.as_deref().unwrap_or_default()
    }

    /// How many names of subjectAltName are meant for servers and can be read by no client.
    fn unreadable_names(&self) -> usize {
        self.0.facts.unreadable_names
    }

    /// The extended key usages as dotted object identifiers.
    pub fn extended_key_usages(&self) -> &[String] {
        self.0.facts.usages.as_deref().unwrap_or_default()
    }

    /// Whether subject and issuer are the same name. It says nothing about the signature.
    pub fn is_self_issued(&self) -> bool {
        self.subject() == self.issuer()
    }

    /// The subject key identifier: a hint, never a proof (RFC 5280 section 4.2.1.2).
    pub fn subject_key_id(&self) -> Option<&[u8]> {
        self.0.facts.subject_key_id.clone().map(|span| &self.0.der[span])
    }

    /// The issuer's key identifier: a hint, never a proof (RFC 5280 section 4.2.1.1).
    pub fn authority_key_id(&self) -> Option<&[u8]> {
        self.0.facts.authority_key_id.clone().map(|span| &self.0.der[span])
    }

    /// PEM: 64 columns, line feeds, one at the end (RFC 7468 section 5).
    pub fn to_pem(&self) -> String {
        pem::encode("CERTIFICATE", self.der())
    }

    /// How many intermediates may follow below this CA (RFC 5280 section 4.2.1.9).
    fn path_len(&self) -> Option<u32> {
        self.0.facts.path_len
    }

    /// Whether it may sign certificates: a CA, and keyUsage does not say otherwise (RFC 5280 section 4.2.1.3).
    fn may_issue(&self) -> bool {
        self.is_ca() && self.0.facts.cert_sign != Some(false)
    }

    /// What the issuer signed.
    fn tbs(&self) -> &[u8] {
        &self.0.der[self.0.tbs.clone()]
    }

    fn is_valid_at(&self, now: i64) -> bool {
        self.not_before() <= now && now <= self.not_after()
    }
}

impl Facts {
    fn read(der: &[u8], parsed: &X509Certificate<'_>) -> Result<Facts, CertError> {
        let mut facts = Facts::default();
        for extension in parsed.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::BasicConstraints(constraints) => {
                    once(&mut facts.ca, constraints.ca, "basicConstraints")?;
                    facts.path_len = constraints.path_len_constraint;
                }
                ParsedExtension::KeyUsage(usage) => {
                    once(&mut facts.cert_sign, usage.key_cert_sign(), "keyUsage")?;
                }
                ParsedExtension::ExtendedKeyUsage(_) => {
                    once(&mut facts.usages, usages(extension.value), "extendedKeyUsage")?;
                }
                ParsedExtension::SubjectAlternativeName(names) => {
                    // Clients refuse what has more behind its end, the parser does not.
                    let names = ber::whole(extension.value).map_or(&[][..], |_| &names.general_names);
                    once(&mut facts.names, san::read(names), "subjectAltName")?;
                    facts.unreadable_names = san::unreadable(names);
                }
                ParsedExtension::SubjectKeyIdentifier(id) => facts.subject_key_id = span(der, id.0),
                ParsedExtension::AuthorityKeyIdentifier(id) => {
                    facts.authority_key_id = id.key_identifier.as_ref().and_then(|id| span(der, id.0));
                }
                ParsedExtension::ParseError { .. } => {
                    for (oid, name) in DECISIVE {
                        if extension.oid == oid {
                            return Err(CertError::Extension(name));
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(facts)
    }
}

/// Extensions that decide what a certificate may do: unread, they are an error.
const DECISIVE: [(oid_registry::Oid<'static>, &str); 3] = [
    (oid_registry::OID_X509_EXT_BASIC_CONSTRAINTS, "basicConstraints"),
    (oid_registry::OID_X509_EXT_KEY_USAGE, "keyUsage"),
    (oid_registry::OID_X509_EXT_EXTENDED_KEY_USAGE, "extendedKeyUsage"),
];

fn once<T>(place: &mut Option<T>, value: T, name: &'static str) -> Result<(), CertError> {
    match place.replace(value) {
        Some(_) => Err(CertError::Twice(name)),
        None => Ok(()),
    }
}

/// The identifiers in ExtKeyUsageSyntax, at most [`ber::MAX_CHILDREN`]; the parser turns the well-known ones into flags.
fn usages(value: &[u8]) -> Box<[String]> {
    let list = ber::Reader::new(value).expect(ber::SEQUENCE).and_then(|list| list.children());
    let next = |list: &mut ber::Reader<'_>| Some(ber::dotted(list.element().ok()??.content));
    list.into_iter().flat_map(|mut list| std::iter::from_fn(move || next(&mut list))).collect()
}

/// Where a part that was borrowed from the whole lies in it.
fn span(whole: &[u8], part: &[u8]) -> Option<Range<usize>> {
    let start = (part.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)?;
    let span = start..start.checked_add(part.len())?;
    whole.get(span.clone()).map(|_| span)
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Certificate) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.der == other.0.der
    }
}

impl Eq for Certificate {}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({}, {})", self.subject_text(), self.fingerprint().short())
    }
}

/// SHA-256 of a certificate, a request, a key or a file. Shown as 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    pub fn of(content: &[u8]) -> Fingerprint {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, content);
        Fingerprint(digest.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }

    /// A digest that was stored.
    pub fn from_bytes(octets: [u8; 32]) -> Fingerprint {
        Fingerprint(octets)
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads what `Display` writes; `None` for anything but 64 hex digits.
    pub fn from_hex(text: &str) -> Option<Fingerprint> {
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let mut octets = [0; 32];
        for (octet, at) in octets.iter_mut().zip((0..64).step_by(2)) {
            *octet = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
        }
        Some(Fingerprint(octets))
    }

    /// The first eight hex digits: enough to tell one order's certificates apart, short enough for a file name.
    pub fn short(&self) -> String {
        hex(&self.0[..4])
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Fingerprint, &'static str> {
        Fingerprint::from_hex(&text).ok_or("a fingerprint is malformed")
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> String {
        fingerprint.to_string()
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

pub fn hex(octets: &[u8]) -> String {
    use fmt::Write as _;
    octets.iter().fold(String::with_capacity(octets.len() * 2), |mut text, octet| {
        let _ = write!(text, "{octet:02x}");
        text
    })
}

#[cfg(test)]
mod tests;
