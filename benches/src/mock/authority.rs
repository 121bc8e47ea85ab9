//! The certificates: the API's own, and a chain of three for each order.

use std::sync::atomic::{AtomicU64, Ordering};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, Error, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType, SerialNumber, date_time_ymd,
};

/// The domain of an order, by its number.
pub fn domain(order: u64) -> String {
    format!("www{order}.example.com")
}

/// A CA of three levels, P-256 throughout, and the key that all orders share.
#[derive(Debug)]
pub struct Authority {
    api_root: Vec<u8>,
    api: Vec<u8>,
    api_key: KeyPair,
    root: Vec<u8>,
    intermediate: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
    order_key: KeyPair,
    serial: AtomicU64,
}

impl Authority {
    pub fn new() -> Result<Authority, Error> {
        let serial = AtomicU64::new(1);
        let [root_key, intermediate_key, api_root_key, api_key, order_key] = keys()?;
        let root_params = authority("Bench Root", &serial);
        let root = root_params.self_signed(&root_key)?.der().to_vec();
        let root_issuer = Issuer::new(root_params, root_key);
        let params = authority("Bench Issuing CA", &serial);
        let intermediate = params.signed_by(&intermediate_key, &root_issuer)?.der().to_vec();
        let api_root_params = authority("Bench API Root", &serial);
        let api_root = api_root_params.self_signed(&api_root_key)?.der().to_vec();
        let mut api = server("localhost", &serial)?;
        api.subject_alt_names.push(SanType::IpAddress(std::net::Ipv4Addr::LOCALHOST.into()));
        let api = api.signed_by(&api_key, &Issuer::new(api_root_params, api_root_key))?.der().to_vec();
        let issuer = Issuer::new(params, intermediate_key);
        Ok(Authority { api_root, api, api_key, root, intermediate, issuer, order_key, serial })
    }

    /// Issues for an order, each time with another serial.
    pub fn issue(&self, order: u64) -> Vec<u8> {
        let issue = || server(&domain(order), &self.serial)?.signed_by(&self.order_key, &self.issuer);
        issue().expect("a name of ours is valid").der().to_vec()
    }

    /// What signed them: the root first, as the vendor sends them.
    pub fn chain(&self) -> [&[u8]; 2] {
        [&self.root, &self.intermediate]
    }

    /// Certificate and PKCS#8 key of the API.
    pub fn api_identity(&self) -> (Vec<u8>, Vec<u8>) {
        (self.api.clone(), self.api_key.serialize_der())
    }

    pub fn api_root_pem(&self) -> String {
        pem(&self.api_root)
    }

    pub fn root_pem(&self) -> String {
        pem(&self.root)
    }

    pub fn order_key_pem(&self) -> String {
        self.order_key.serialize_pem()
    }
}

fn keys<const N: usize>() -> Result<[KeyPair; N], Error> {
    let keys: Vec<KeyPair> = (0..N).map(|_| KeyPair::generate()).collect::<Result<_, _>>()?;
    Ok(keys.try_into().expect("as many as were made"))
}

/// A certificate as PEM.
pub fn pem(der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

fn named(name: &str, serial: &AtomicU64) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2049, 12, 31);
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(SerialNumber::from(serial.fetch_add(1, Ordering::Relaxed)));
    params
}

fn authority(name: &str, serial: &AtomicU64) -> CertificateParams {
    let mut params = named(name, serial);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    params
}

fn server(name: &str, serial: &AtomicU64) -> Result<CertificateParams, Error> {
    let mut params = named(name, serial);
    params.is_ca = IsCa::ExplicitNoCa;
    params.subject_alt_names = vec![SanType::DnsName(name.try_into()?)];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}
