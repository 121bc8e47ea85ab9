//! Certificates made for tests: a root, an intermediate, and leaves for keys that the test knows.

use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use certcollectd_core::api::Product;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, KeyUsagePurpose, SanType, SerialNumber,
};

/// A certification authority of two levels.
pub struct Ca {
    pub root: CertifiedIssuer<'static, KeyPair>,
    pub intermediate: CertifiedIssuer<'static, KeyPair>,
}

/// One authority for all tests; keys take time.
pub fn ca() -> &'static Ca {
    static CA: OnceLock<Ca> = OnceLock::new();
    CA.get_or_init(|| {
        let params = |name| authority(name, 4_000_000_000);
        let root = CertifiedIssuer::self_signed(params("Test Root"), KeyPair::generate().unwrap()).unwrap();
        let intermediate =
            CertifiedIssuer::signed_by(params("Test CA 1"), KeyPair::generate().unwrap(), &root).unwrap();
        Ca { root, intermediate }
    })
}

fn authority(name: &str, not_after: i64) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = at(0);
    params.not_after = at(not_after);
    params
}

/// The root's twin in DER, signed by an older root.
pub fn cross(not_before: i64, not_after: i64) -> Vec<u8> {
    let key = KeyPair::generate().unwrap();
    let old = CertifiedIssuer::self_signed(authority("Older Root", not_after), key).unwrap();
    let mut twin = authority("Test Root", not_after);
    twin.not_before = at(not_before);
    twin.signed_by(ca().root.key(), &old).unwrap().der().to_vec()
}

fn at(unix: i64) -> time::OffsetDateTime {
    time::OffsetDateTime::from_unix_timestamp(unix).unwrap()
}

/// A leaf certificate in DER, for any purpose.
pub fn leaf(key: &KeyPair, names: &[&str], not_before: i64, not_after: i64) -> Vec<u8> {
    leaf_with(key, names, Vec::new(), not_before, not_after)
}

/// A leaf certificate in DER with its product's purpose.
pub fn leaf_for(key: &KeyPair, product: Product, names: &[&str], not_before: i64, not_after: i64) -> Vec<u8> {
    let usage = match product {
        Product::Ssl => ExtendedKeyUsagePurpose::ServerAuth,
        Product::Mark => ExtendedKeyUsagePurpose::Other(vec![1, 3, 6, 1, 5, 5, 7, 3, 31]),
        Product::Smime => ExtendedKeyUsagePurpose::EmailProtection,
    };
    leaf_with(key, names, vec![usage], not_before, not_after)
}

fn leaf_with(
    key: &KeyPair,
    names: &[&str],
    usages: Vec<ExtendedKeyUsagePurpose>,
    not_before: i64,
    not_after: i64,
) -> Vec<u8> {
    let (mailboxes, others): (Vec<&str>, Vec<&str>) = names.iter().partition(|name| name.contains('@'));
    let mut params =
        CertificateParams::new(others.into_iter().map(str::to_owned).collect::<Vec<_>>()).unwrap();
    let mailboxes = mailboxes.into_iter().map(|name| SanType::Rfc822Name(name.try_into().unwrap()));
    params.subject_alt_names.extend(mailboxes);
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, names[0]);
    params.extended_key_usages = usages;
    params.not_before = at(not_before);
    params.not_after = at(not_after);
    let mut serial = not_before.to_be_bytes().to_vec();
    serial.extend(not_after.to_be_bytes());
    serial[0] = 1;
    params.serial_number = Some(SerialNumber::from(serial));
    params.signed_by(key, &ca().intermediate).unwrap().der().to_vec()
}

/// The vendor's URL-encoded answer with a leaf and its chain, root first.
pub fn issued(leaf: &[u8]) -> Vec<u8> {
    issued_with(&[ca().root.der(), ca().intermediate.der()], leaf)
}

/// Such an answer with CA certificates of one's own choice.
pub fn issued_with(authorities: &[&[u8]], leaf: &[u8]) -> Vec<u8> {
    let encode =
        |der: &[u8]| form_urlencoded::byte_serialize(STANDARD.encode(der).as_bytes()).collect::<String>();
    let authorities: String =
        authorities.iter().map(|der| format!("caCertificate={}&", encode(der))).collect();
    format!("errorCode=2&{authorities}certificate={}", encode(leaf)).into_bytes()
}
