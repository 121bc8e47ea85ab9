//! Public keys: of a certificate, of a private key, of a request. Whether they are the same one.
//!
//! A private key is read for this only; every copy made here is wiped when dropped, and the crypto library
//! wipes its own. No octet of a key appears in an error or in `Debug`.

use std::fmt;

use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer};
use zeroize::Zeroizing;

use super::Certificate;
use super::ber::{self, BerError, Element, Reader, encode};
pub use super::lookalike::{self, Lookalike};
use super::pem::{self, PemError};

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Above [`ber::MAX_INPUT`].
    #[error("the file is too large for a key")]
    TooLarge,
    #[error("the file is empty")]
    Empty,
    #[error(transparent)]
    Pem(#[from] PemError),
    /// PKCS#8 `ENCRYPTED PRIVATE KEY`, or the older `Proc-Type: 4,ENCRYPTED`.
    #[error("the private key is encrypted, and a daemon cannot ask for a passphrase")]
    Encrypted,
    /// Something else that has a name.
    #[error("{0}")]
    Instead(Lookalike),
    /// Other PEM blocks, or none.
    #[error("it contains no private key in PEM form")]
    NoKey,
    /// Other PEM blocks, or none.
    #[error("it contains no certificate request")]
    NoRequest,
    /// Which of them the certificate was ordered with cannot be told.
    #[error("it contains several certificate requests; keep only the one that was sent to the vendor")]
    SeveralRequests,
    /// A key that the crypto library refuses and that is not RSA either.
    #[error(
        "the private key is of a kind that is not supported: RSA, ECDSA on P-256, P-384 or P-521, and Ed25519 are; \
         a csr_file can have a key of any kind"
    )]
    Unsupported,
    #[error("it is damaged or has an unknown structure")]
    Malformed,
}

/// A public key, as SubjectPublicKeyInfo. Two RSA keys are equal if modulus and exponent are: the key type may
/// say RSASSA-PSS in the one and rsaEncryption in the other.
#[derive(Clone)]
pub struct PublicKey(Box<[u8]>);

impl PublicKey {
    /// Takes a DER SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7).
    pub fn from_spki(der: &[u8]) -> Result<PublicKey, KeyError> {
        let whole = ber::whole(der).and_then(|whole| Spki::read(whole.raw).map(|_| whole.raw));
        whole.map(|raw| PublicKey(raw.into())).map_err(|_| KeyError::Malformed)
    }

    /// SubjectPublicKeyInfo, DER.
    pub fn spki(&self) -> &[u8] {
        &self.0
    }

    /// Whether the certificate carries this key.
    pub fn matches(&self, certificate: &Certificate) -> bool {
        same(&self.0, certificate.spki())
    }

    fn from_rsa(key: &Rsa<'_>) -> PublicKey {
        let number = encode(ber::SEQUENCE, &[&integer(key.modulus), &integer(key.exponent)]);
        let bits = encode(ber::BIT_STRING, &[&[0], &number]);
        let algorithm = encode(ber::SEQUENCE, &[&encode(ber::OID, &[RSA_ENCRYPTION]), &[5, 0]]);
        PublicKey(encode(ber::SEQUENCE, &[&algorithm, &bits]).into())
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &PublicKey) -> bool {
        same(&self.0, &other.0)
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", super::Fingerprint::of(&self.0).short())
    }
}

/// Public keys of which the certificate may carry any: those of the private keys in one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKeys(Box<[PublicKey]>);

impl PublicKeys {
    /// Whether the certificate carries one of them.
    pub fn matches(&self, certificate: &Certificate) -> bool {
        self.0.iter().any(|key| key.matches(certificate))
    }

    /// Whether this is one of them.
    pub fn hold(&self, wanted: &PublicKey) -> bool {
        self.0.contains(wanted)
    }

    /// The first of them; there is at least one.
    pub fn first(&self) -> &PublicKey {
        &self.0[0]
    }
}

/// A private key that was read, and can be written again without what stood beside it.
pub struct PrivateKey {
    public: PublicKey,
    /// PKCS#1, SEC1 or PKCS#8, as in the file; wiped when dropped.
    der: Zeroizing<Vec<u8>>,
    label: &'static str,
}

impl PrivateKey {
    /// The public key that belongs to it.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// PEM of the kind that it had: 64 columns, line feeds, one at the end. Wiped when dropped.
    pub fn to_pem(&self) -> Zeroizing<Vec<u8>> {
        pem::encode_secret(self.label, &self.der)
    }
}

/// The public keys of all private keys in a PEM text, see [`private_keys`].
pub fn from_private_key_pem(text: &[u8]) -> Result<PublicKeys, KeyError> {
    Ok(PublicKeys(private_keys(text)?.into_iter().map(|key| key.public).collect()))
}

/// All private keys in a PEM text, at least one: PKCS#1, PKCS#8 or SEC1, with or without a byte order mark, other
/// blocks, and text between them, whatever its line ends. Those that cannot be used are passed over if another can.
///
/// RSA keys that the crypto library refuses because of their size or type are read by structure, so that a
/// certificate can still be compared with them.
pub fn private_keys(text: &[u8]) -> Result<Vec<PrivateKey>, KeyError> {
    if text.len() > ber::MAX_INPUT {
        return Err(KeyError::TooLarge);
    }
    if text.trim_ascii().is_empty() {
        return Err(KeyError::Empty);
    }
    in_armour(text).map_err(|error| match (error, lookalike::of(text)) {
        (
            KeyError::NoKey
            | KeyError::Pem(PemError::CutOff(_) | PemError::Base64(_))
            | KeyError::Unsupported,
            Some(what),
        ) => KeyError::Instead(what),
        (error, _) => error,
    })
}

fn in_armour(text: &[u8]) -> Result<Vec<PrivateKey>, KeyError> {
    let mut keys = Vec::new();
    let mut unusable = None;
    for item in pem::read(text, pem::MAX_BLOCKS)? {
        if item.label.ends_with("PRIVATE KEY") {
            match private_key(item) {
                Ok(key) => keys.push(key),
                Err(error) => _ = unusable.get_or_insert(error),
            }
        }
    }
    if keys.is_empty() { Err(unusable.unwrap_or(KeyError::NoKey)) } else { Ok(keys) }
}

fn private_key(item: pem::Item<'_>) -> Result<PrivateKey, KeyError> {
    if item.encrypted || item.label == "ENCRYPTED PRIVATE KEY" {
        return Err(KeyError::Encrypted);
    }
    let (label, key) = match item.label {
        "RSA PRIVATE KEY" => ("RSA PRIVATE KEY", PrivateKeyDer::Pkcs1(PrivatePkcs1KeyDer::from(&**item.der))),
        "EC PRIVATE KEY" => ("EC PRIVATE KEY", PrivateKeyDer::Sec1(PrivateSec1KeyDer::from(&**item.der))),
        "PRIVATE KEY" => ("PRIVATE KEY", PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(&**item.der))),
        _ => return Err(KeyError::Unsupported),
    };
    let public = public_key(&key)?;
    Ok(PrivateKey { public, der: item.der, label })
}

fn public_key(key: &PrivateKeyDer<'_>) -> Result<PublicKey, KeyError> {
    if let Some(public_key) = supported(key) {
        return Ok(public_key);
    }
    let pkcs1 = match key {
        PrivateKeyDer::Pkcs1(key) => key.secret_pkcs1_der(),
        PrivateKeyDer::Pkcs8(key) => rsa_in_pkcs8(key.secret_pkcs8_der()).ok_or(KeyError::Unsupported)?,
        _ => return Err(KeyError::Unsupported),
    };
    let rsa = Rsa::of_private(pkcs1).map_err(|_| KeyError::Malformed)?;
    if (2048..=8192).contains(&rsa.bits()) {
        // In this range the library refuses only what does not hold together, such as a modulus that is not the
        // product of its primes. The type RSASSA-PSS is the exception: without it the key is an ordinary one.
        return supported(&PrivateKeyDer::Pkcs1(PrivatePkcs1KeyDer::from(pkcs1))).ok_or(KeyError::Malformed);
    }
    Ok(PublicKey::from_rsa(&rsa))
}

fn supported(key: &PrivateKeyDer<'_>) -> Option<PublicKey> {
    let key = any_supported_type(key).ok()?;
    Some(PublicKey(key.public_key()?.as_ref().into()))
}

fn same(one: &[u8], other: &[u8]) -> bool {
    one == other || rsa(one).is_some_and(|one| rsa(other) == Some(one))
}

fn rsa(spki: &[u8]) -> Option<Rsa<'_>> {
    Spki::read(spki).ok()?.rsa()?.ok()
}

/// SubjectPublicKeyInfo, taken apart (RFC 5280 section 4.1.2.7).
pub(super) struct Spki<'a> {
    /// Content of the AlgorithmIdentifier.
    pub(super) algorithm: &'a [u8],
    /// Its object identifier, and what follows that.
    pub(super) kind: &'a [u8],
    pub(super) parameters: Option<Element<'a>>,
    pub(super) key: &'a [u8],
}

impl<'a> Spki<'a> {
    pub(super) fn read(der: &'a [u8]) -> Result<Spki<'a>, BerError> {
        let mut fields = Reader::new(der).expect(ber::SEQUENCE)?.children()?;
        let algorithm = fields.expect(ber::SEQUENCE)?;
        let mut parts = algorithm.children()?;
        Ok(Spki {
            algorithm: algorithm.content,
            kind: parts.expect(ber::OID)?.content,
            parameters: parts.element()?,
            key: fields.bit_string()?,
        })
    }

    /// The numbers, or why they cannot be read; `None` unless it says rsaEncryption or id-RSASSA-PSS (RFC 3279 section
    /// 2.3.1, RFC 4055).
    pub(super) fn rsa(&self) -> Option<Result<Rsa<'a>, BerError>> {
        let read = || Rsa::read(Reader::new(self.key).expect(ber::SEQUENCE)?.children()?);
        is_rsa(self.kind).then(read)
    }
}

fn is_rsa(kind: &[u8]) -> bool {
    kind == RSA_ENCRYPTION || kind == RSASSA_PSS
}

/// The two public numbers of an RSA key, without leading zeros.
#[derive(PartialEq, Eq)]
pub(super) struct Rsa<'a> {
    pub(super) modulus: &'a [u8],
    pub(super) exponent: &'a [u8],
}

impl<'a> Rsa<'a> {
    /// From RSAPrivateKey (RFC 8017 section A.1.2): a version, then the same two numbers.
    fn of_private(pkcs1: &'a [u8]) -> Result<Rsa<'a>, BerError> {
        let mut fields = Reader::new(pkcs1).expect(ber::SEQUENCE)?.children()?;
        fields.expect(ber::INTEGER)?;
        Rsa::read(fields)
    }

    fn read(mut fields: Reader<'a>) -> Result<Rsa<'a>, BerError> {
        let modulus = ber::unsigned(fields.expect(ber::INTEGER)?.content);
        let exponent = ber::unsigned(fields.expect(ber::INTEGER)?.content);
        if modulus.is_empty() || exponent.is_empty() {
            return Err(BerError::Unexpected);
        }
        Ok(Rsa { modulus, exponent })
    }

    /// Length of the modulus.
    pub(super) fn bits(&self) -> usize {
        self.modulus.len() * 8 - self.modulus.first().map_or(0, |octet| octet.leading_zeros() as usize)
    }
}

/// The RSAPrivateKey inside PrivateKeyInfo (RFC 5958 section 2): version, type, then an OCTET STRING with it.
fn rsa_in_pkcs8(der: &[u8]) -> Option<&[u8]> {
    let mut fields = Reader::new(der).expect(ber::SEQUENCE).ok()?.children().ok()?;
    fields.expect(ber::INTEGER).ok()?;
    let kind = fields.expect(ber::SEQUENCE).ok()?.children().ok()?.expect(ber::OID).ok()?.content;
    let key = fields.expect(ber::OCTET_STRING).ok()?.content;
    is_rsa(kind).then_some(key)
}

/// A DER INTEGER of a positive number: a zero in front where the first bit would read as a sign.
fn integer(octets: &[u8]) -> Vec<u8> {
    let sign: &[u8] = if octets.first().is_none_or(|octet| *octet >= 0x80) { &[0] } else { &[] };
    encode(ber::INTEGER, &[sign, octets])
}

/// 1.2.840.113549.1.1.1
const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
/// 1.2.840.113549.1.1.10
const RSASSA_PSS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10];

#[cfg(test)]
mod tests {
    use super::super::fixtures::{self, certificate};
    use super::*;

    fn key(name: &str) -> Vec<u8> {
        fixtures::file(&format!("{name}.key")).to_vec()
    }

    fn check(text: &[u8], expected: Result<&str, KeyError>) {
        let found = from_private_key_pem(text);
        match expected {
            Ok(name) => {
                let found = found.unwrap_or_else(|error| panic!("{name}: {error}"));
                assert!(found.matches(&certificate(name)), "{name}");
                assert!(!found.matches(&certificate("root")), "{name}");
            }
            Err(error) => assert_eq!(found, Err(error)),
        }
    }

    #[test]
    fn reads_every_form_of_key() {
        check(&key("leaf.sec1"), Ok("leaf"));
        check(&key("leaf.pkcs8"), Ok("leaf"));
        check(&key("rsa.pkcs1"), Ok("rsa"));
        check(&key("rsa.pkcs8"), Ok("rsa"));
        check(&key("p521"), Ok("p521"));
        check(&key("ed25519"), Ok("ed25519"));
        check(&key("rsa1024"), Ok("rsa1024"));
        check(&key("pss"), Ok("pss"));
    }

    #[test]
    fn tolerates_what_editors_and_tools_do() {
        let text = String::from_utf8(key("leaf.pkcs8")).unwrap();
        check(format!("\u{feff}{text}").as_bytes(), Ok("leaf"));
        check(text.replace('\n', "\r\n").as_bytes(), Ok("leaf"));
        check(format!("the key of www:\n\n{text}\nend").as_bytes(), Ok("leaf"));
        check(format!("{}{text}", certificate("root").to_pem()).as_bytes(), Ok("leaf"));
    }

    #[test]
    fn every_key_of_a_file_is_read_and_written_clean() {
        let [sec1, pkcs8, rsa] =
            ["leaf.sec1", "leaf.pkcs8", "rsa.pkcs1"].map(|name| String::from_utf8(key(name)).unwrap());
        let clean = |text: &str| {
            let blocks = pem::read(text.as_bytes(), pem::MAX_BLOCKS).unwrap();
            let own: Vec<_> = blocks.iter().filter(|item| item.label.ends_with("PRIVATE KEY")).collect();
            own.iter().map(|item| pem::encode(item.label, &item.der)).collect::<String>()
        };
        let certificate_text = certificate("root").to_pem();
        let mac = |text: &str| text.replace('\n', "\r");
        let joined = |text: &str| text.trim_end().to_owned();
        for file in [
            format!("{certificate_text}{rsa}{sec1}"),
            format!("\u{feff}{}{}", mac(&rsa), mac(&pkcs8)),
            format!("{}{}{}", joined(&rsa), joined(&pkcs8), joined(&certificate_text)),
            format!("{}\n{rsa}{sec1}", String::from_utf8(key("leaf.encrypted")).unwrap()),
        ] {
            let keys = private_keys(file.as_bytes()).unwrap();
            let written: String =
                keys.iter().map(|key| String::from_utf8(key.to_pem().to_vec()).unwrap()).collect();
            let expected = clean(&file);
            assert!(expected.ends_with(&written), "{file}");
            assert!(written.lines().all(|line| line.len() <= 64 && !line.contains('\r')));
            for name in ["leaf", "rsa"] {
                let fits = keys.iter().filter(|key| key.public().matches(&certificate(name))).count();
                assert_eq!(fits, 1, "{name} in {file}");
            }
        }
    }

    #[test]
    fn says_what_is_wrong() {
        check(b"", Err(KeyError::Empty));
        check(b" \r\n", Err(KeyError::Empty));
        check(b"hello", Err(KeyError::NoKey));
        check(certificate("leaf").to_pem().as_bytes(), Err(KeyError::NoKey));
        check(fixtures::file("leaf.csr.pem"), Err(KeyError::NoKey));
        check(&key("leaf.encrypted"), Err(KeyError::Encrypted));
        check(&key("leaf.proctype"), Err(KeyError::Encrypted));
        check(
            b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----",
            Err(KeyError::Instead(Lookalike::OpenSsh)),
        );
        check(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", Err(KeyError::Unsupported));
        check(
            b"-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----",
            Err(KeyError::Malformed),
        );
        let pem = |error| Err(KeyError::Pem(error));
        check(b"-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----", pem(PemError::Base64(1)));
        check(b"-----BEGIN PRIVATE KEY-----\nAAAA\n", pem(PemError::CutOff(1)));
        check(&vec![b'a'; ber::MAX_INPUT + 1], Err(KeyError::TooLarge));
    }

    #[test]
    fn a_damaged_rsa_key_does_not_pass_by_its_modulus() {
        let text = String::from_utf8(key("rsa.pkcs1")).unwrap();
        let body = pem::blocks(text.as_bytes(), pem::MAX_BLOCKS).unwrap()[0].body.to_vec();
        let mut der = pem::decode(&body).unwrap().to_vec();
        let last = der.len() - 1;
        der[last / 2] ^= 1;
        check(pem::encode("RSA PRIVATE KEY", &der).as_bytes(), Err(KeyError::Malformed));
    }

    #[test]
    fn nothing_of_a_key_is_shown() {
        let text = key("leaf.sec1");
        let public_key = from_private_key_pem(&text).unwrap().first().clone();
        assert_eq!(format!("{public_key:?}").len(), "PublicKey(00000000)".len());
    }
}
