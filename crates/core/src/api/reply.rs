//! A raw answer becomes a [`Reply`]: code, message, what was said, and the certificates still wrapped.
//!
//! Every tolerance for an odd *form* of answer is here; odd wrappings of certificates are undone in
//! `cert::unpack`. Nothing is guessed from a parse failure: an answer that does not fit is [`Unreadable`],
//! which is neither "pending" nor "rejected".

mod fields;
mod lines;

use std::sync::LazyLock;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize};

use super::answer::Answer;
use super::code::{ATTACHED, Class, LOGIN_REFUSED, classify, is_error};
use super::order::OrderRef;
use super::request::Endpoint;
use super::untrusted::Untrusted;
use crate::rare::Bare;

/// What the vendor said, decoded once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reply {
    pub code: i32,
    /// The vendor's words, with a negative code.
    pub message: Option<Untrusted>,
    /// The argument that the vendor complains about, where it says so apart (`errorItem`).
    pub item: Option<Untrusted>,
    /// The order number that the answer names, if it does.
    pub order_number: Option<String>,
    /// The certificate ID that the answer names, if it does.
    pub certificate_id: Option<String>,
    /// The unique value that the vendor looks for, if the answer names one.
    pub unique_value: Option<String>,
    /// Certificates, still in whatever wrapping they came.
    pub parts: Vec<Bytes>,
    /// Everything else that was said.
    pub details: Details,
}

/// The optional facts of an answer. All of them can be missing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Details {
    /// `certificateStatus`, for instance `Awaiting Validation`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_status: Option<Untrusted>,
    /// `validationStatus`, for instance `Awaiting Brand Validation`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_status: Option<Untrusted>,
    /// The name the certificate is for; can be empty even when issued.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fqdn: Option<Untrusted>,
    /// Start of the product term, UNIX seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub term_start: Option<i64>,
    /// End of the product term, UNIX seconds: no re-issue reaches beyond it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub term_end: Option<i64>,
    /// Domain and state word, as given; compare whole words: `NOTVALIDATED` holds `VALIDATED`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub domains: Vec<(Untrusted, Untrusted)>,
    /// What GetMDCDomainDetails says of each domain, in the vendor's numbering.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dcv: Vec<Dcv>,
    /// The integer statuses by their documented name, see [`super::code::Progress`].
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "documented")]
    pub statuses: Vec<(&'static str, i32)>,
    /// `caaStatus`, a word or two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caa: Option<Untrusted>,
    /// Keys that no document names, kept for diagnosis; bounded.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<(Untrusted, Untrusted)>,
}

impl Bare for Details {
    fn bare() -> &'static Details {
        static BARE: LazyLock<Details> = LazyLock::new(Details::default);
        &BARE
    }

    fn is_bare(&self) -> bool {
        *self == *Details::bare()
    }
}

impl Details {
    /// Whether `certificateStatus` says that the certificate is revoked; case and blanks around it do not count.
    pub fn is_revoked(&self) -> bool {
        self.certificate_status
            .as_ref()
            .is_some_and(|status| status.as_str().trim().eq_ignore_ascii_case("revoked"))
    }
}

/// One domain of an order, as GetMDCDomainDetails shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "DcvRow", into = "DcvRow")]
pub struct Dcv {
    /// Its name, or an IP address.
    pub domain: Untrusted,
    /// `CNAME_CSR_HASH`, `HTTP_CSR_HASH`, `HTTPS_CSR_HASH`, `EMAIL`, an e-mail address, ...; can be missing.
    pub method: Option<Untrusted>,
    /// `Validated`, `In progress`, ...; compare whole words.
    pub status: Option<Untrusted>,
}

type DcvRow = (Untrusted, Option<Untrusted>, Option<Untrusted>);

impl From<DcvRow> for Dcv {
    fn from((domain, method, status): DcvRow) -> Dcv {
        Dcv { domain, method, status }
    }
}

impl From<Dcv> for DcvRow {
    fn from(dcv: Dcv) -> DcvRow {
        (dcv.domain, dcv.method, dcv.status)
    }
}

impl Dcv {
    /// Whether control of the domain is proven. `Not Validated` is not.
    pub fn is_validated(&self) -> bool {
        self.status.as_ref().is_some_and(|status| is_validated(status.as_str()))
    }
}

/// Whether a state word says that control is proven: the whole word, because `NOTVALIDATED` holds `VALIDATED`.
pub fn is_validated(state: &str) -> bool {
    state.trim().eq_ignore_ascii_case("validated")
}

/// The integer statuses, in the order in which they are shown.
pub const STATUSES: [&str; 15] = [
    "csrStatus",
    "dcvStatus",
    "ovCallBackStatus",
    "organizationValidationStatus",
    "freeDVUPStatus",
    "evClickThroughStatus",
    "brandValStatus",
    "maStatus",
    "evAssumedName",
    "evLegalExistence",
    "evPhysicalExistence",
    "evOperationalExistence",
    "evSignerApproverRequester",
    "evSignerSecondApproval",
    "dcvStatusCode",
];

/// A name that no document has any more is left out.
fn documented<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(&'static str, i32)>, D::Error> {
    let known = |name: &str| STATUSES.into_iter().find(|known| *known == name);
    let statuses = Vec::<(String, i32)>::deserialize(deserializer)?;
    Ok(statuses.into_iter().filter_map(|(name, status)| Some((known(&name)?, status))).collect())
}

/// Why an answer could not be understood. Always a passing fault: back off, keep what is installed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// No redirect is ever followed: the body holds the password.
    #[error(
        "the vendor's address answered with a redirect (HTTP {0}), which is never followed; check base_url"
    )]
    Redirect(u16),
    /// Any other HTTP status that is not success.
    #[error("HTTP status {0}")]
    Http(u16),
    #[error("the answer is empty")]
    Empty,
    /// A web page: a portal, a proxy or an error page.
    #[error("the answer is a web page, not an answer of the API")]
    WebPage,
    /// None of the documented forms.
    #[error("the answer has none of the documented forms; it begins with \"{0}\"")]
    Form(Untrusted),
    /// A code that is missing, no number, or given twice and not the same.
    #[error("the answer's code cannot be read: {0}")]
    Code(Untrusted),
    /// Larger than any true answer.
    #[error("the answer has more than {0} parts")]
    TooMany(usize),
}

/// Maximum number of keys or lines read; a real answer has fewer than 60.
const MAX_ITEMS: usize = 1000;
/// Maximum number of unknown keys kept.
const MAX_OTHERS: usize = 16;
/// Maximum number of domains kept; the vendor's products end at 250 names.
const MAX_DOMAINS: usize = 1000;

/// Decodes one answer of an endpoint.
///
/// A code counts in answers with HTTP 2xx, and in 4xx where the body is a well-formed error: a login that
/// is refused with HTTP 401 is refused all the same. Of any other answer only a refused login counts.
pub fn decode(endpoint: Endpoint, answer: &Answer) -> Result<Reply, Unreadable> {
    let decoded = decode_body(endpoint, &answer.body);
    match (answer.status, decoded) {
        (200..=299, decoded) => decoded,
        (400..=499, Ok(reply)) if is_error(reply.code) => Ok(reply),
        // Whatever else is wrong there: a refused login is refused, and another call may lock the account.
        (_, Ok(reply)) if refuses_login(endpoint, &reply) => Ok(reply),
        (300..=399, _) => Err(Unreadable::Redirect(answer.status)),
        (status, _) => Err(Unreadable::Http(status)),
    }
}

fn decode_body(endpoint: Endpoint, body: &Bytes) -> Result<Reply, Unreadable> {
    let body = skip_blank(body);
    match body.first() {
        None => Err(Unreadable::Empty),
        Some(b'<') => Err(Unreadable::WebPage),
        Some(b'{') => fields::json(&body),
        // CollectMC, and CollectSSL with responseEncoding=1: "the output will consist simply of the
        // requested binary structure", so there is no status to read.
        Some(0x30) if endpoint.collects() && is_der(&body) => Ok(attached(body)),
        _ if endpoint.collects() && body.starts_with(b"PK\x03\x04") => Ok(attached(body)),
        // The success sample of CollectMC: armour from the first byte on, no status line.
        Some(b'-') if endpoint.collects() && lines::is_armour(&body) => Ok(attached(body)),
        _ if fields::is_urlencoded(&body) => fields::urlencoded(&body),
        // Where a page shows certificates without a status line, their base64 may come without armour as well.
        _ if endpoint.collects() && lines::is_bare(&body) => Ok(attached(body)),
        _ => lines::lines(endpoint, &body),
    }
}

/// By that code, or by another one that names the login.
fn refuses_login(endpoint: Endpoint, reply: &Reply) -> bool {
    reply.code == LOGIN_REFUSED || classify(endpoint, reply).class == Class::AccountClosed
}

/// An answer that is nothing but certificates.
fn attached(body: Bytes) -> Reply {
    Reply { code: ATTACHED, parts: vec![body], ..Reply::default() }
}

/// A DER or BER SEQUENCE of any size that holds a certificate begins 0x30 and a long or indefinite length,
/// 0x80 to 0x84. In text 0x30 is the digit 0, and no text goes on with such a byte.
fn is_der(body: &[u8]) -> bool {
    matches!(body, [0x30, 0x80..=0x84, _, ..])
}

/// Drops a byte order mark and blank space in front; some proxies add either.
fn skip_blank(body: &Bytes) -> Bytes {
    let mut start = if body.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    while body.get(start).is_some_and(u8::is_ascii_whitespace) {
        start += 1;
    }
    body.slice(start..)
}

/// Whether a text can be the number of an order or a certificate, which are opaque words.
fn is_number(text: &str) -> bool {
    (1..=OrderRef::MAX_ORDER_NUMBER).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Reads a moment in UNIX seconds; what lies before 1970 or beyond the year 9999 is none.
fn moment(text: &str) -> Option<i64> {
    const END: i64 = 253_402_300_799;
    text.trim().parse().ok().filter(|unix| (0..=END).contains(unix))
}

/// Reads a code: an optional sign and digits, nothing else.
fn code(text: &str) -> Result<i32, Unreadable> {
    let text = text.trim();
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || digits.len() > 9 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Unreadable::Code(Untrusted::new(text)));
    }
    text.parse().map_err(|_| Unreadable::Code(Untrusted::new(text)))
}

#[cfg(test)]
mod tests;
