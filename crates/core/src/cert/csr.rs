//! What a certificate request (PKCS#10, RFC 2986) asks for.

use x509_parser::asn1_rs::oid;
use x509_parser::certification_request::{X509CertificationRequest, X509CertificationRequestInfo};
use x509_parser::cri_attributes::ParsedCriAttribute;
use x509_parser::extensions::{ParsedExtension, X509Extension};
use x509_parser::oid_registry::{OID_PKCS9_EXTENSION_REQUEST, OID_X509_EXT_SUBJECT_ALT_NAME, Oid};
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Name;

use super::ber::{self, Reader};
use super::key::{KeyError, PublicKey};
use super::pem;
use super::san::{self, SanName};
use super::signature::{SignatureCheck, Signed};
use super::strength;

/// A certificate request, as far as a certificate can be compared with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Csr {
    der: Box<[u8]>,
    public_key: PublicKey,
    names: Box<[SanName]>,
    common_name: Option<Box<str>>,
    /// Whether it asks for something that is not among its names and its common name.
    asks_for_more: bool,
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

    /// The subject's common name in lower case, if it is a DNS name. A vendor may go by it whatever subjectAltName says.
    pub fn common_name(&self) -> Option<&str> {
        self.common_name.as_deref()
    }

    /// Why the vendor would not take it, or what it would make of it is not known, in words that go on after "the request".
    pub fn unfit(&self) -> Option<String> {
        let what_next = "make a new key and a request for it";
        match strength::kind(self.public_key.spki()) {
            Ok(strength::Kind::Fit) => {}
            Ok(strength::Kind::Weak(why)) => {
                return Some(format!("is for a key that is too weak: its {why}; {what_next}"));
            }
            Ok(strength::Kind::Other) | Err(_) => {
                return Some(format!(
                    "is for a key that public authorities do not certify: only RSA from 2048 bits, P-256 and P-384; {what_next}"
                ));
            }
        }
        if self.asks_for_more {
            return Some(
                "asks for names that cannot be read; make one for host names only, with one common name"
                    .to_owned(),
            );
        }
        match &self.signature {
            SignatureCheck::Good => None,
            SignatureCheck::Bad => Some(
                "is not signed with its own key, or was changed since; make it again with that key"
                    .to_owned(),
            ),
            SignatureCheck::Unsupported(what) => Some(format!(
                "has a signature that cannot be checked: {what}; make it again, signed with SHA-256"
            )),
        }
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
    let asked = asked_extensions(info);
    let sans =
        || asked.into_iter().flatten().filter(|extension| extension.oid == OID_X509_EXT_SUBJECT_ALT_NAME);
    let first = sans().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names),
        _ => None,
    });
    let (common_name, odd_subject) = common_name(&info.subject);
    let names: Box<[SanName]> = match first {
        Some(names) => san::read(names),
        None => common_name.iter().cloned().map(SanName::Dns).collect(),
    };
    let asks_for_more = asked.is_none()
        || sans().count() != usize::from(first.is_some())
        || first.is_some_and(|first| first.len() != names.len())
        || odd_subject;
    let spki = info.subject_pki.raw;
    Ok(Csr {
        der: der.into(),
        public_key: PublicKey::from_spki(spki)?,
        names,
        common_name: common_name.map(String::into_boxed_str),
        asks_for_more,
        signature: signed.check(spki),
    })
}

/// The extensions that it asks for; nothing where they are in several places, of which a vendor may read another one, or in
/// Microsoft's.
fn asked_extensions<'a>(info: &'a X509CertificationRequestInfo<'a>) -> Option<&'a [X509Extension<'a>]> {
    const EXTENSIONS: [Oid<'static>; 2] = [OID_PKCS9_EXTENSION_REQUEST, oid!(1.3.6.1.4.1.311.2.1.14)];
    let mut held = info.iter_attributes().filter(|attribute| EXTENSIONS.contains(&attribute.oid));
    let Some(only) = held.next() else { return Some(&[]) };
    match only.parsed_attribute() {
        // Of several values, the parser takes the first.
        ParsedCriAttribute::ExtensionRequest(asked)
            if ber::whole(only.value).is_ok() && held.next().is_none() =>
        {
            Some(&asked.extensions)
        }
        _ => None,
    }
}

/// The subject's host name, and whether it has another one, or one that cannot be read. What no host can be called is the
/// name of something else.
fn common_name(subject: &X509Name<'_>) -> (Option<String>, bool) {
    let mut host = None;
    let mut is_odd = false;
    for name in subject.iter_common_name() {
        match name.as_str() {
            Ok(text) if san::is_dns(text) => is_odd |= host.replace(text.to_ascii_lowercase()).is_some(),
            Ok(text) if !text.contains('.') || text.contains(char::is_whitespace) => {}
            Ok(_) | Err(_) => is_odd = true,
        }
    }
    (host, is_odd)
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
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

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

    #[test]
    fn a_request_is_fit_for_its_key_and_signature() {
        let request = |pem: &str, change: &dyn Fn(&mut CertificateParams)| {
            let mut params = CertificateParams::new(["www.example.com".to_owned()]).unwrap();
            params.distinguished_name = DistinguishedName::new();
            change(&mut params);
            let key = KeyPair::from_pem(pem).unwrap();
            read(params.serialize_request(&key).unwrap().der()).unwrap()
        };
        let key = |name| str::from_utf8(fixtures::file(name)).unwrap();
        let unnamed = |_: &mut CertificateParams| {};
        assert_eq!(request(key("rsa.pkcs8.key"), &unnamed).unfit(), None);
        assert_eq!(request(key("leaf.pkcs8.key"), &unnamed).unfit(), None);
        let p384 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap().serialize_pem();
        assert_eq!(request(&p384, &unnamed).unfit(), None);
        let other = "is for a key that public authorities do not certify: only RSA from 2048 bits, P-256 and P-384; make a \
                     new key and a request for it";
        let ed25519 = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap().serialize_pem();
        for odd in [key("p521.key"), &ed25519] {
            assert_eq!(request(odd, &unnamed).unfit().as_deref(), Some(other));
        }
        let mut der = fixtures::file("leaf.csr.der").to_vec();
        let at = der.windows(3).position(|bytes| bytes == b"www").unwrap();
        der[at] = b'v';
        assert_eq!(
            read(&der).unwrap().unfit().as_deref(),
            Some("is not signed with its own key, or was changed since; make it again with that key")
        );
        let more = "asks for names that cannot be read; make one for host names only, with one common name";
        let by_subject = |params: &mut CertificateParams| {
            params.distinguished_name.push(DnType::CommonName, "evil.example.");
        };
        let by_extension = |params: &mut CertificateParams| {
            let name = rcgen::string::Ia5String::try_from("evil.example.").unwrap();
            params.subject_alt_names.push(rcgen::SanType::DnsName(name));
        };
        for odd in [&by_subject as &dyn Fn(&mut CertificateParams), &by_extension] {
            assert_eq!(request(key("rsa.pkcs8.key"), odd).unfit().as_deref(), Some(more));
        }
        let twice = |params: &mut CertificateParams| {
            params.distinguished_name.push(DnType::CommonName, "www.example.com");
            params.distinguished_name.push(DnType::CustomDnType(vec![2, 5, 4, 3]), "evil.example");
        };
        assert_eq!(request(key("rsa.pkcs8.key"), &twice).unfit().as_deref(), Some(more));
        let no_host = request(key("rsa.pkcs8.key"), &|params| {
            params.distinguished_name.push(DnType::CommonName, "rcgen self signed cert");
        });
        assert_eq!((no_host.unfit(), no_host.common_name()), (None, None));
        let named = request(key("rsa.pkcs8.key"), &|params| {
            params.distinguished_name.push(DnType::CommonName, "Other.Example.com");
        });
        assert_eq!(named.unfit(), None);
        assert_eq!(named.common_name(), Some("other.example.com"));
        assert_eq!(named.names(), [SanName::Dns("www.example.com".into())]);
    }
    /// A short element of DER.
    fn wrap(tag: u8, content: &[u8]) -> Vec<u8> {
        [&[tag, u8::try_from(content.len()).unwrap()], content].concat()
    }

    /// A subjectAltName for this name, in a SEQUENCE of extensions.
    fn extensions(name: &str) -> Vec<u8> {
        let names = wrap(ber::SEQUENCE, &wrap(0x82, name.as_bytes()));
        let extension = [&[6, 3, 0x55, 0x1d, 0x11][..], &wrap(4, &names)].concat();
        wrap(ber::SEQUENCE, &wrap(ber::SEQUENCE, &extension))
    }

    #[test]
    fn names_in_a_second_place_are_not_overlooked() {
        const USUAL: &[u64] = &[1, 2, 840, 113549, 1, 9, 14];
        const MICROSOFT: &[u64] = &[1, 3, 6, 1, 4, 1, 311, 2, 1, 14];
        let (good, evil) = (extensions("www.example.com"), extensions("evil.example"));
        let key = KeyPair::generate().unwrap();
        let with = |attributes: &[(&'static [u64], &[&[u8]])]| {
            let mut params = CertificateParams::default();
            params.distinguished_name = DistinguishedName::new();
            params.distinguished_name.push(DnType::CommonName, "www.example.com");
            let attributes = attributes
                .iter()
                .map(|(oid, values)| rcgen::Attribute { oid, values: wrap(0x31, &values.concat()) });
            let request = params.serialize_request_with_attributes(&key, attributes.collect()).unwrap();
            read(request.der()).unwrap()
        };
        let whole = with(&[(USUAL, &[&good])]);
        assert_eq!((whole.unfit(), whole.names()), (None, &[SanName::Dns("www.example.com".into())][..]));
        assert_eq!(with(&[]).unfit(), None);
        for odd in [
            with(&[(USUAL, &[&good]), (USUAL, &[&evil])]),
            with(&[(USUAL, &[&good, &evil])]),
            with(&[(USUAL, &[&good]), (MICROSOFT, &[&evil])]),
            with(&[(MICROSOFT, &[&evil])]),
        ] {
            assert!(odd.unfit().is_some_and(|why| why.contains("names that cannot be read")), "{odd:?}");
        }
    }
}
