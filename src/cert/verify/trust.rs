//! What a strict client would say: webpki's whole path check against a set of roots.
//!
//! This is a second opinion beside `chain`. It refuses what other clients accept (unknown critical extensions,
//! version 1, more than six intermediates), so by default it warns. It judges the chain as it would be
//! installed, not what could be built from everything that was sent.

use std::fmt;
use std::time::Duration;

use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{
    EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, KeyUsage, anchor_from_trusted_cert,
};

use super::super::pem::{self, PemError};
use super::super::{Certificate, Chain};
use super::{CLOCK_TOLERANCE, Expectation, Purpose};

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
    /// More than [`MAX_ANCHORS`].
    #[error("it has more than {MAX_ANCHORS} blocks")]
    TooMany,
    /// Not a single certificate in PEM form.
    #[error("there is no certificate in PEM form in it")]
    None,
    /// A block without its end, or one that is no base64, on this line.
    #[error("its PEM armour is damaged at line {0}")]
    Armour(usize),
    /// This block holds something else, by its label or in fact.
    #[error("block {number}, on line {line}, is no certificate")]
    NoCertificate {
        /// Which block.
        number: usize,
        /// On which line it begins.
        line: usize,
    },
}

/// Reads a file of root certificates in PEM, as `trust_anchors` and `ca_file` name it. All of it must be readable: the
/// operator chose each of them, and one that is passed over is missed by nobody until the day.
pub fn read_roots(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, AnchorsError> {
    if text.len() > MAX_ANCHORS_INPUT {
        return Err(AnchorsError::TooLarge);
    }
    let items = pem::read(text, MAX_ANCHORS).map_err(|error| match error {
        PemError::CutOff(line) | PemError::Base64(line) => AnchorsError::Armour(line),
        PemError::TooMany => AnchorsError::TooMany,
    })?;
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
    /// As [`read_roots`].
    pub fn from_pem(text: &[u8]) -> Result<Anchors, AnchorsError> {
        Ok(Anchors::from_ders(read_roots(text)?))
    }

    /// Takes the platform's roots, DER. Those that cannot be read are left out, as TLS libraries do: nobody chose
    /// them one by one.
    pub fn from_ders<I>(ders: I) -> Anchors
    where
        I: IntoIterator,
        I::Item: AsRef<[u8]>,
    {
        Anchors(ders.into_iter().filter_map(|der| anchor(der.as_ref())).take(MAX_ANCHORS).collect())
    }

    /// How many roots there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
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
    EndEntityCert::try_from(&der)
        .and_then(|leaf| {
            let algorithms = webpki::ALL_VERIFICATION_ALGS;
            leaf.verify_for_usage(algorithms, &anchors.0, &intermediates, time, usage, None, None).map(|_| ())
        })
        .map_err(|error| reason(&error))
}

/// webpki's own validator asks for one usage; marks and mail are judged by `leaf` and may carry several.
enum Usage {
    Server(KeyUsage),
    Any,
}

impl ExtendedKeyUsageValidator for Usage {
    fn validate(&self, mut usages: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        match self {
            Usage::Server(server) => server.validate(usages),
            Usage::Any => usages.try_for_each(|usage| usage.map(drop)),
        }
    }
}

fn reason(error: &webpki::Error) -> String {
    use webpki::Error;
    let known = match error {
        Error::UnknownIssuer => "the chain ends at no trust anchor",
        Error::CertExpired { .. } => "a certificate of the chain has expired",
        Error::CertNotValidYet { .. } => "a certificate of the chain is not valid yet",
        Error::CaUsedAsEndEntity => "the certificate is itself one of a CA",
        Error::EndEntityUsedAsCa => "an intermediate is not a CA",
        Error::RequiredEkuNotFoundContext(_) => "the certificate is not meant for TLS servers",
        Error::UnsupportedCriticalExtension => "a critical extension is unknown to strict clients",
        Error::UnsupportedCertVersion => "a certificate is not of version 3",
        Error::NameConstraintViolation => "a name lies outside what an issuer may certify",
        Error::PathLenConstraintViolated => "an issuer does not allow so many intermediates below it",
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
