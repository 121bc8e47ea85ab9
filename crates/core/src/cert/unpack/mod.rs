//! Every wrapping that occurs becomes certificates.
//!
//! Clients in production had to learn that the vendor's values come as base64 DER without armour, as base64
//! of a whole PEM text, or as PEM as it is; that a `+` not percent-encoded arrives as a space; and that
//! PKCS#7, Netscape sequences and ZIP archives are offered besides. So the content decides, never a label, a
//! file name or a content type. Nothing is guessed about which certificate is whose: that is `chain`'s and
//! `verify`'s work.

mod archive;
mod base64;

pub use super::ber::MAX_INPUT;
use super::ber::{self, BerError, Element, Reader, is_der};
use super::{CertError, Certificate, csr, pem};

/// Distinct certificates in one answer. Public chains have two to five.
pub const MAX_CERTIFICATES: usize = 10;
/// Wrappings around wrappings: base64 of a ZIP of a PEM file whose body is PKCS#7 has three and the structure.
pub const MAX_NESTING: u8 = 4;
/// Bytes looked at in one input, over all wrappings and all readings of spaces in base64.
const MAX_WORK: usize = 16 * MAX_INPUT;

/// Why no certificates came out. The texts hold no foreign bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnpackError {
    /// The input is sound and holds no certificate.
    #[error("it contains no certificate, only {0}")]
    Nothing(Seen),
    /// Above [`MAX_INPUT`].
    #[error("it is larger than {MAX_INPUT} bytes")]
    TooLarge,
    /// More than [`MAX_CERTIFICATES`].
    #[error("it holds more than {MAX_CERTIFICATES} certificates")]
    TooMany,
    /// More than [`MAX_NESTING`] wrappings, or more work than an honest input makes.
    #[error("it is wrapped too many times")]
    TooDeep,
    /// A PEM block without its other end, or too many blocks.
    #[error("a PEM block is cut off, or there are more than {} of them", pem::MAX_BLOCKS)]
    Armour,
    /// A PEM block that is no base64.
    #[error("a PEM block is not valid base64")]
    Base64,
    /// openssl's own form, which carries local trust settings beside the certificate.
    #[error(
        "it is a TRUSTED CERTIFICATE, openssl's own form with trust settings; an ordinary certificate is needed"
    )]
    Trusted,
    /// Binary data that begins like DER or BER and is none.
    #[error("its structure is damaged: {0}")]
    Structure(#[from] BerError),
    /// One of the distinct certificates, counted from 1, cannot be read.
    #[error("certificate number {number} is damaged: {source}")]
    Certificate { number: usize, source: CertError },
    /// An archive that is damaged, encrypted or packed in a way other than "stored" or "deflated".
    #[error("the ZIP archive cannot be read")]
    Archive,
    /// An archive with more or larger entries than a certificate collection has.
    #[error(
        "the ZIP archive unpacks to more than {} entries, {} bytes in one or {MAX_INPUT} in all",
        archive::MAX_ENTRIES,
        archive::MAX_ENTRY
    )]
    ArchiveTooLarge,
}

words! {
    /// What an input without certificates looks like.
    pub enum Seen {
        Empty = "empty data",
        Html = "HTML",
        Text = "text",
        /// In PEM or DER.
        PrivateKey = "a private key",
        EncryptedPrivateKey = "an encrypted private key",
        Request = "a certificate request",
        Pkcs12 = "a PKCS#12 archive",
        EmptyPkcs7 = "a PKCS#7 structure without certificates",
        OtherPkcs7 = "a PKCS#7 structure of another kind, such as encrypted data",
        /// Its entries are something else, or there are none.
        EmptyArchive = "a ZIP archive without certificates",
        Der = "DER data of another kind",
        Binary = "binary data of an unknown kind",
    }
}

/// Unpacks one value of an answer, or one file. Certificates come in the order of the input, each once.
pub fn unpack(bytes: &[u8]) -> Result<Vec<Certificate>, UnpackError> {
    unpack_all([bytes])
}

/// Unpacks several values that belong together, such as `certificate` and each `caCertificate` of one answer.
///
/// The limit on certificates holds for all of them together. An empty value is passed over if another one
/// holds something.
pub fn unpack_all<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<Certificate>, UnpackError> {
    let mut unpacker = Unpacker { found: Vec::new(), work: MAX_WORK, inflated: MAX_INPUT };
    for part in parts {
        if part.len() > MAX_INPUT {
            return Err(UnpackError::TooLarge);
        }
        match unpacker.any(part, 0) {
            Ok(()) | Err(UnpackError::Nothing(Seen::Empty)) => {}
            Err(error) => return Err(error),
        }
    }
    if unpacker.found.is_empty() { Err(UnpackError::Nothing(Seen::Empty)) } else { Ok(unpacker.found) }
}

struct Unpacker {
    found: Vec<Certificate>,
    /// Bytes that may still be looked at.
    work: usize,
    /// Bytes that may still come out of archives.
    inflated: usize,
}

/// `Ok` from these functions means that at least one certificate was there, known already or not.
impl Unpacker {
    fn any(&mut self, bytes: &[u8], depth: u8) -> Result<(), UnpackError> {
        self.work = self.work.checked_sub(bytes.len()).ok_or(UnpackError::TooDeep)?;
        if depth > MAX_NESTING {
            return Err(UnpackError::TooDeep);
        }
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
        let text = bytes.trim_ascii_end();
        if text.is_empty() {
            Err(UnpackError::Nothing(Seen::Empty))
        } else if is_der(bytes) {
            self.der(bytes)
        } else if archive::is_archive(bytes) {
            self.archive(bytes, depth)
        } else if pem::is_armoured(text) {
            self.armoured(text)
        } else if text.starts_with(b"<") {
            Err(UnpackError::Nothing(Seen::Html))
        } else {
            // A space at the end can have been a plus sign, an end of line cannot.
            let ends = bytes.len() - bytes.iter().rev().take_while(|byte| b"\r\n\t".contains(byte)).count();
            self.bare_base64(&bytes[..ends], depth)
        }
    }

    fn armoured(&mut self, text: &[u8]) -> Result<(), UnpackError> {
        let mut seen = Err(UnpackError::Nothing(Seen::Text));
        for block in pem::blocks(text, pem::MAX_BLOCKS).map_err(|_| UnpackError::Armour)? {
            match block.label {
                "CERTIFICATE" | "X509 CERTIFICATE" | "PKCS7" | "PKCS #7 SIGNED DATA" | "CMS" => {
                    self.base64(block.body, Unpacker::der)?;
                    seen = Ok(());
                }
                "TRUSTED CERTIFICATE" => return Err(UnpackError::Trusted),
                label if seen.is_err() => {
                    if label == "ENCRYPTED PRIVATE KEY" || block.encrypted {
                        seen = Err(UnpackError::Nothing(Seen::EncryptedPrivateKey));
                    } else if label.ends_with("PRIVATE KEY") {
                        seen = Err(UnpackError::Nothing(Seen::PrivateKey));
                    } else if label.ends_with("CERTIFICATE REQUEST") {
                        seen = Err(UnpackError::Nothing(Seen::Request));
                    }
                }
                _ => {}
            }
        }
        seen
    }

    /// Base64 without armour around anything else.
    fn bare_base64(&mut self, text: &[u8], depth: u8) -> Result<(), UnpackError> {
        let printable = text.iter().all(|byte| !byte.is_ascii_control() || byte.is_ascii_whitespace());
        match self.base64(text, |unpacker, inner| unpacker.any(inner, depth + 1)) {
            // Words and numbers are valid base64 too, of rubbish: what was seen is the text.
            Err(UnpackError::Base64 | UnpackError::Nothing(Seen::Binary | Seen::Text | Seen::Empty)) => {
                let seen = if printable && str::from_utf8(text).is_ok() { Seen::Text } else { Seen::Binary };
                Err(UnpackError::Nothing(seen))
            }
            other => other,
        }
    }

    /// Hands each reading of a base64 text to `inner` until one holds certificates. The last reading's error
    /// stands for all.
    fn base64(
        &mut self,
        text: &[u8],
        inner: impl Fn(&mut Unpacker, &[u8]) -> Result<(), UnpackError>,
    ) -> Result<(), UnpackError> {
        let mut result = Err(UnpackError::Base64);
        for reading in base64::readings(text) {
            self.work = self.work.checked_sub(text.len()).ok_or(UnpackError::TooDeep)?;
            let Some(bytes) = pem::decode(&reading) else { continue };
            let before = self.found.len();
            result = inner(self, &bytes);
            if result.is_ok() {
                break;
            }
            self.found.truncate(before);
        }
        result
    }

    /// A certificate or one of the two structures that hold them, told apart by the first element inside.
    fn der(&mut self, bytes: &[u8]) -> Result<(), UnpackError> {
        if !is_der(bytes) {
            return Err(UnpackError::Nothing(Seen::Binary));
        }
        let outer = ber::whole(bytes)?;
        let mut fields = outer.children()?;
        let first = fields.element()?.ok_or(BerError::Unexpected)?;
        match first.tag {
            ber::OID => self.content_info(first.content, fields),
            ber::SEQUENCE if csr::looks_like_one(outer.raw) => Err(UnpackError::Nothing(Seen::Request)),
            ber::SEQUENCE if is_encrypted_key(&first, fields.clone()) => {
                Err(UnpackError::Nothing(Seen::EncryptedPrivateKey))
            }
            // A certificate has three elements; a CertRepContent without caPubs has its responses only.
            ber::SEQUENCE if matches!(fields.clone().element(), Ok(None)) => self.anywhere(&outer, 0),
            ber::SEQUENCE => self.certificate(outer.raw),
            ber::INTEGER => Err(UnpackError::Nothing(after_version(first.content))),
            ber::CONTEXT_1 => self.anywhere(&outer, 0),
            _ => Err(UnpackError::Nothing(Seen::Der)),
        }
    }

    /// ContentInfo of PKCS#7 (RFC 5652 section 3) and the Netscape certificate sequence have the same outer form:
    /// what it is, then the content under `[0]`.
    fn content_info(&mut self, kind: &[u8], mut fields: Reader<'_>) -> Result<(), UnpackError> {
        let mut content = || fields.expect(ber::CONTEXT_0)?.children()?.expect(ber::SEQUENCE)?.children();
        match kind {
            SIGNED_DATA => self.signed_data(content()?),
            NETSCAPE_SEQUENCE => self.certificates(content()?, Seen::Der),
            _ if kind.starts_with(PKCS7) => Err(UnpackError::Nothing(Seen::OtherPkcs7)),
            _ => Err(UnpackError::Nothing(Seen::Der)),
        }
    }

    /// RFC 5652 section 5.1: version, digest algorithms, encapsulated content, and then perhaps the
    /// certificates under `[0]`. Signers are ignored: the only authority on a certificate is its issuer's.
    fn signed_data(&mut self, mut fields: Reader<'_>) -> Result<(), UnpackError> {
        fields.expect(ber::INTEGER)?;
        fields.expect(ber::SET)?;
        fields.expect(ber::SEQUENCE)?;
        match fields.element()? {
            Some(element) if element.tag == ber::CONTEXT_0 => {
                self.certificates(element.children()?, Seen::EmptyPkcs7)
            }
            _ => Err(UnpackError::Nothing(Seen::EmptyPkcs7)),
        }
    }

    /// A list of certificates. Other choices that RFC 5652 section 10.2.2 allows there (attribute
    /// certificates) are passed over.
    fn certificates(&mut self, mut list: Reader<'_>, if_none: Seen) -> Result<(), UnpackError> {
        let mut result = Err(UnpackError::Nothing(if_none));
        while let Some(element) = list.element()? {
            if element.tag == ber::SEQUENCE {
                self.certificate(element.raw)?;
                result = Ok(());
            }
        }
        result
    }

    /// CertRepContent, which CollectSMIME calls CMMF (RFC 4210 section 5.3.4: `[1] caPubs`, then the responses, each
    /// with a certificate some levels down). Whatever is a certificate in it counts.
    fn anywhere(&mut self, element: &Element<'_>, depth: u8) -> Result<(), UnpackError> {
        let mut result = Err(UnpackError::Nothing(Seen::Der));
        let Ok(mut children) = element.children() else { return result };
        while let Some(child) = children.element()? {
            self.work = self.work.checked_sub(child.raw.len()).ok_or(UnpackError::TooDeep)?;
            if child.tag == ber::SEQUENCE && Certificate::from_der(child.raw).is_ok() {
                self.certificate(child.raw)?;
                result = Ok(());
            } else if depth < MAX_LEVELS && self.anywhere(&child, depth + 1).is_ok() {
                result = Ok(());
            }
        }
        result
    }

    fn certificate(&mut self, der: &[u8]) -> Result<(), UnpackError> {
        let number = self.found.len() + 1;
        let certificate =
            Certificate::from_der(der).map_err(|source| UnpackError::Certificate { number, source })?;
        if !self.found.contains(&certificate) {
            if self.found.len() == MAX_CERTIFICATES {
                return Err(UnpackError::TooMany);
            }
            self.found.push(certificate);
        }
        Ok(())
    }
}

/// Levels of a CertRepContent that are looked into; its certificates are at most six down.
const MAX_LEVELS: u8 = 8;

/// EncryptedPrivateKeyInfo (RFC 5958 section 3): an algorithm and an OCTET STRING.
fn is_encrypted_key(first: &Element<'_>, mut fields: Reader<'_>) -> bool {
    let algorithm = first.children().and_then(|mut inner| inner.expect(ber::OID));
    algorithm.is_ok() && fields.expect(ber::OCTET_STRING).is_ok()
}

/// What begins with a version number: PKCS#12 has 3 (RFC 7292 section 4), private keys have 0 or 1.
fn after_version(version: &[u8]) -> Seen {
    match version {
        [3] => Seen::Pkcs12,
        [0 | 1] => Seen::PrivateKey,
        _ => Seen::Der,
    }
}

/// 1.2.840.113549.1.7
const PKCS7: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7];
/// 1.2.840.113549.1.7.2
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2];
/// 2.16.840.1.113730.2.5
const NETSCAPE_SEQUENCE: &[u8] = &[0x60, 0x86, 0x48, 1, 0x86, 0xf8, 0x42, 2, 5];

#[cfg(test)]
mod tests;
