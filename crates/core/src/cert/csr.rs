//! What a certificate request (PKCS#10, RFC 2986) asks for.

use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;

use super::ber::{self, Reader};
use super::key::{KeyError, PublicKey};
use super::pem;
use super::san::{self, SanName};
use super::signature::{SignatureCheck, Signed};

/// A certificate request, as far as a certificate can be compared with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Csr {
    der: Box<[u8]>,
    public_key: PublicKey,
    names: Box<[SanName]>,
    signature: SignatureCheck,
}

impl Csr {
    /// The whole signed request, DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// The names asked for: those of subjectAltName, else the common name if it is a DNS name.
    pub fn names(&self) -> &[SanName] {
        &self.names
    }

    /// Whether the request was signed with its own key and not changed since.
    pub fn signature(&self) -> &SignatureCheck {
        &self.signature
    }
}

/// Reads a request in PEM or DER.
pub fn read(bytes: &[u8]) -> Result<Csr, KeyError> {
    if bytes.len() > ber::MAX_INPUT {
        return Err(KeyError::TooLarge);
    }
    if ber::is_der(bytes) {
        return read_der(ber::whole(bytes).map_err(|_| KeyError::Malformed)?.raw);
    }
    let items = pem::read(bytes, pem::MAX_BLOCKS)?;
    // `NEW CERTIFICATE REQUEST` is what older tools write.
    let mut requests = items.iter().filter(|item| item.label.ends_with("CERTIFICATE REQUEST"));
    let request = requests.next().ok_or(KeyError::NoRequest)?;
    match requests.next() {
        Some(_) => Err(KeyError::SeveralRequests),
        None => read_der(&request.der),
    }
}

fn read_der(der: &[u8]) -> Result<Csr, KeyError> {
    let Ok(([], parsed)) = X509CertificationRequest::from_der(der) else { return Err(KeyError::Malformed) };
    let info = &parsed.certification_request_info;
    let signed = Signed::read(der).map_err(|_| KeyError::Malformed)?;
    let asked = parsed.requested_extensions().into_iter().flatten().find_map(|extension| match extension {
        ParsedExtension::SubjectAlternativeName(names) => Some(san::read(&names.general_names)),
        _ => None,
    });
    let names = asked.unwrap_or_else(|| {
        let common_name = info.subject.iter_common_name().next().and_then(|name| name.as_str().ok());
        common_name.and_then(san::read_common_name).into_iter().collect()
    });
    let spki = info.subject_pki.raw;
    Ok(Csr { der: der.into(), public_key: PublicKey::from_spki(spki)?, names, signature: signed.check(spki) })
}

/// Whether this DER has the shape of a request: its version, a small number, comes first of all.
pub(super) fn looks_like_one(der: &[u8]) -> bool {
    let first = Reader::new(der)
        .expect(ber::SEQUENCE)
        .and_then(|outer| outer.children()?.expect(ber::SEQUENCE))
        .and_then(|info| info.children()?.element());
    let subject = |element: &ber::Element<'_>| element.tag == ber::INTEGER && element.content == [0];
    matches!(first, Ok(Some(element)) if subject(&element))
}

#[cfg(test)]
mod tests {
    use super::super::{fixtures, key};
    use super::*;

    #[test]
    fn reads_requests() {
        for bytes in [fixtures::file("leaf.csr.pem"), fixtures::file("leaf.csr.der")] {
            let request = read(bytes).unwrap();
            assert_eq!(*request.signature(), SignatureCheck::Good);
            assert!(request.public_key().matches(&fixtures::certificate("leaf")));
            assert_eq!(
                request.public_key(),
                key::from_private_key_pem(fixtures::file("leaf.sec1.key")).unwrap().first()
            );
            assert_eq!(request.names(), [SanName::Dns("www.example.com".into())]);
        }
        let mut der = fixtures::file("leaf.csr.der").to_vec();
        let at = der.windows(3).position(|bytes| bytes == b"www").unwrap();
        der[at] = b'v';
        assert_ne!(*read(&der).unwrap().signature(), SignatureCheck::Good);
        der.push(1);
        assert_eq!(read(&der), Err(KeyError::Malformed));
        assert_eq!(read(b""), Err(KeyError::NoRequest));
        assert_eq!(read(fixtures::certificate("leaf").der()), Err(KeyError::Malformed));
        assert_eq!(read(fixtures::certificate("leaf").to_pem().as_bytes()), Err(KeyError::NoRequest));
    }
}
