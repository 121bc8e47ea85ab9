//! What a strict client would say: webpki's whole path check against a set of roots.
//!
//! This is a second opinion beside `chain`. It refuses what other clients accept (unknown critical extensions,
//! version 1, more than six intermediates), so by default it warns. It judges the chain as it would be
//! installed, not what could be built from everything that was sent.

use std::fmt;
use std::time::Duration;

use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use webpki::{
    EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, KeyUsage, anchor_from_trusted_cert,
};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, GeneralSubtree, ParsedExtension};
use x509_parser::prelude::FromDer;

use super::super::pem::{self, PemError};
use super::super::signature::{SignatureCheck, Signed};
use super::super::{Certificate, Chain, ber, strength};
use super::{CLOCK_TOLERANCE, Expectation, Purpose, proven};

/// Bytes of a file with roots. The usual bundle has 150 roots and 250 KB.
pub const MAX_ANCHORS_INPUT: usize = 8 << 20;
/// Roots of one set.
pub const MAX_ANCHORS: usize = 2000;

/// A set of roots that are trusted as they are.
#[derive(Clone)]
pub struct Anchors(Box<[TrustAnchor<'static>]>);

/// Why a file with roots cannot be used. Blocks are counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnchorsError {
    /// Above [`MAX_ANCHORS_INPUT`].
    #[error("the file is larger than {MAX_ANCHORS_INPUT} bytes")]
    TooLarge,
    /// Not a single certificate in PEM form.
    #[error("it contains no certificate in PEM form")]
    None,
    /// More than [`MAX_ANCHORS`] blocks, or a damaged one.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// This block holds something else, by its label or in fact.
    #[error("block {number}, on line {line}, is not a certificate")]
    NoCertificate { number: usize, line: usize },
}

/// Reads a file of root certificates in PEM, as `trust_anchors` and `ca_file` name it. All of it must be
/// readable: the operator chose each of them, and one that is skipped goes unnoticed until it is needed.
pub fn read_roots(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, AnchorsError> {
    if text.len() > MAX_ANCHORS_INPUT {
        return Err(AnchorsError::TooLarge);
    }
    let items = pem::read(text, MAX_ANCHORS)?;
    if items.is_empty() {
        return Err(AnchorsError::None);
    }
    let root = |(at, item): (usize, &pem::Item<'_>)| {
        let labelled = matches!(item.label, "CERTIFICATE" | "X509 CERTIFICATE");
        let root = labelled.then(|| CertificateDer::from(item.der.to_vec()));
        root.filter(|root| anchor(root).is_some())
            .ok_or(AnchorsError::NoCertificate { number: at + 1, line: item.line })
    };
    items.iter().enumerate().map(root).collect()
}

impl Anchors {
    pub fn from_pem(text: &[u8]) -> Result<Anchors, AnchorsError> {
        Ok(Anchors::from_ders(read_roots(text)?))
    }

    /// Takes the platform's roots, DER. Those that cannot be read are left out, as TLS libraries do: no one
    /// chose them one by one.
    pub fn from_ders<I>(ders: I) -> Anchors
    where
        I: IntoIterator,
        I::Item: AsRef<[u8]>,
    {
        Anchors(ders.into_iter().filter_map(|der| anchor(der.as_ref())).take(MAX_ANCHORS).collect())
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Anchors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Anchors({})", self.len())
    }
}

fn anchor(der: &[u8]) -> Option<TrustAnchor<'static>> {
    anchor_from_trusted_cert(&CertificateDer::from(der)).ok().map(|anchor| anchor.to_owned())
}

/// `Err` with the reason, if a strict client would not accept leaf and intermediates at `now`.
pub(super) fn check(
    leaf: &Certificate,
    chain: &Chain,
    expected: &Expectation<'_>,
    now: i64,
) -> Result<(), String> {
    let Some(anchors) = expected.anchors else {
        return Err("it could not be checked: there are no trust anchors".to_owned());
    };
    // Strict clients refuse it, and webpki would blame a signature.
    for ca in &chain.intermediates {
        if let Some(weakness) = strength::weakness(ca.spki()) {
            return Err(format!("the intermediate {} is weak: its {weakness}", ca.subject_text()));
        }
    }
    // The tolerance of the date check, which webpki does not know.
    let now = match (leaf.not_before(), leaf.not_after()) {
        (start, _) if now < start && start.saturating_sub(now) <= CLOCK_TOLERANCE => start,
        (_, end) if end < now && now.saturating_sub(end) <= CLOCK_TOLERANCE => end,
        _ => now,
    };
    let time = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now).unwrap_or(0)));
    let intermediates: Vec<_> = chain.intermediates.iter().map(|ca| CertificateDer::from(ca.der())).collect();
    let usage = match expected.purpose {
        Purpose::Server => Usage::Server(KeyUsage::server_auth()),
        Purpose::Mark | Purpose::Email => Usage::Any,
    };
    let der = CertificateDer::from(leaf.der());
    let links = proven::links(leaf, chain);
    let table = webpki::ALL_VERIFICATION_ALGS.iter();
    let table: Vec<_> = table.map(|inner| proven::Algorithm { inner: *inner, links: &links }).collect();
    let algorithms: Vec<_> = table.iter().map(|known| known as &dyn SignatureVerificationAlgorithm).collect();
    let verify = |anchors: &[TrustAnchor<'_>]| {
        EndEntityCert::try_from(&der).and_then(|leaf| {
            leaf.verify_for_usage(&algorithms, anchors, &intermediates, time, &usage, None, None).map(|_| ())
        })
    };
    verify(&anchors.0).map_err(|error| match error {
        // Of several ways that fail webpki tells of the worst, which is a signature by another key of the same name.
        webpki::Error::InvalidSignatureForPublicKey if chain.complete.is_sound() => {
            match signers(leaf, chain, anchors) {
                // Among certificates of one name it tells of the signatures that do not fit even then; those that do are
                // proven, so what is left is how it counts them.
                Ok(signers) => match verify(&signers) {
                    Err(webpki::Error::InvalidSignatureForPublicKey)
                        if chain.intermediates.iter().any(|ca| ca.path_len().is_some()) =>
                    {
                        reason(&webpki::Error::PathLenConstraintViolated, chain)
                    }
                    Err(error) => reason(&error, chain),
                    Ok(()) => reason(&error, chain),
                },
                Err(why) => why,
            }
        }
        error => reason(&error, chain),
    })
}

/// The anchors whose key signed the end of the chain, or why there is none.
fn signers(
    leaf: &Certificate,
    chain: &Chain,
    anchors: &Anchors,
) -> Result<Vec<TrustAnchor<'static>>, String> {
    let top = chain.intermediates.last().unwrap_or(leaf);
    let signed = Signed::read(top.der()).map_err(|_| "a signature cannot be read".to_owned())?;
    let whole = |content: &[u8]| ber::encode(ber::SEQUENCE, &[content]);
    let named = anchors.0.iter().filter(|anchor| whole(anchor.subject.as_ref()) == top.issuer());
    let mut why = NO_ANCHOR.to_owned();
    let mut good = Vec::new();
    for anchor in named {
        let spki = whole(anchor.subject_public_key_info.as_ref());
        match (signed.check(&spki), strength::weakness(&spki)) {
            (SignatureCheck::Good, _) => good.push(anchor.clone()),
            (_, Some(weakness)) => {
                why = format!("the trust anchor {} is weak: its {weakness}", top.issuer_text())
            }
            (SignatureCheck::Unsupported(what), None) => {
                why = format!(
                    "the signature by the trust anchor {} cannot be checked: {what}",
                    top.issuer_text()
                );
            }
            (SignatureCheck::Bad, None) => {
                why = format!(
                    "the trust anchor {} has a different key from the chain's issuer",
                    top.issuer_text()
                );
            }
        }
    }
    if good.is_empty() { Err(why) } else { Ok(good) }
}

const NO_ANCHOR: &str = "the chain does not end at a trust anchor";

/// webpki's own validator asks for one usage; marks and mail are judged by `leaf` and may carry several.
enum Usage {
    Server(KeyUsage),
    Any,
}

impl ExtendedKeyUsageValidator for &Usage {
    fn validate(&self, mut usages: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        match self {
            Usage::Server(server) => server.validate(usages),
            Usage::Any => usages.try_for_each(|usage| usage.map(drop)),
        }
    }
}

fn reason(error: &webpki::Error, chain: &Chain) -> String {
    use webpki::Error;
    let known = match error {
        Error::UnknownIssuer => NO_ANCHOR,
        Error::CertExpired { .. } => "a certificate of the chain has expired",
        Error::CertNotValidYet { .. } => "a certificate of the chain is not valid yet",
        Error::CaUsedAsEndEntity => "the certificate is a CA certificate",
        Error::EndEntityUsedAsCa => "an intermediate is not a CA",
        Error::RequiredEkuNotFoundContext(_) => "the certificate is not meant for TLS servers",
        Error::UnsupportedCriticalExtension => "a critical extension is unknown to strict clients",
        Error::UnsupportedCertVersion => "a certificate is not of version 3",
        Error::NameConstraintViolation if chain.intermediates.iter().any(limits_other_names) => {
            "an issuer constrains names of a type that is not checked here (directory names, e-mail addresses, URIs)"
        }
        Error::NameConstraintViolation => "a name violates an issuer's name constraints",
        // Everywhere else the path length was judged already, by RFC 5280, 6.1.4.
        Error::PathLenConstraintViolated
            if chain.complete.is_sound() && chain.intermediates.iter().any(Certificate::is_self_issued) =>
        {
            "strict clients count a self-issued intermediate against the path length, unlike RFC 5280"
        }
        Error::PathLenConstraintViolated => "an issuer allows fewer intermediates below it",
        Error::MaximumPathDepthExceeded => "the chain has more than six intermediates",
        Error::InvalidSignatureForPublicKey => "a signature was not made by its issuer",
        Error::UnsupportedSignatureAlgorithmContext(_)
        | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
            "a signature's algorithm is refused by strict clients"
        }
        // The variant's name alone: what some variants carry comes from the certificate.
        other => {
            let shown = format!("{other:?}");
            let end = shown.find(|character: char| !character.is_ascii_alphanumeric()).unwrap_or(shown.len());
            return format!("strict clients refuse it ({})", &shown[..end]);
        }
    };
    known.to_owned()
}

/// Whether an issuer's name constraints (RFC 5280 section 4.2.1.10) are about more than DNS names and IP addresses.
fn limits_other_names(issuer: &Certificate) -> bool {
    let Ok((_, parsed)) = X509Certificate::from_der(issuer.der()) else { return false };
    let trees = |trees: &Option<Vec<GeneralSubtree<'_>>>| {
        trees
            .iter()
            .flatten()
            .any(|tree| !matches!(tree.base, GeneralName::DNSName(_) | GeneralName::IPAddress(_)))
    };
    parsed.extensions().iter().any(|extension| match extension.parsed_extension() {
        ParsedExtension::NameConstraints(limits) => {
            trees(&limits.permitted_subtrees) || trees(&limits.excluded_subtrees)
        }
        _ => false,
    })
}
