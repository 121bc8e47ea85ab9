//! The certification authorities: throw-away roots and intermediates, regenerated at each start.
//!
//! Their shape follows what the vendor delivers today. A TLS certificate hangs below an intermediate,
//! the intermediate below an upper CA that exists twice, once self-signed and once signed by an older
//! root: since 2025 bundles carry "Sectigo Public Server Authentication Root R46" cross-signed by
//! USERTrust next to the self-signed one. Mark certificates have a root of their own, which is in no
//! system's trust store. What is issued, and what can be wrong with it, is in [`issue`](super::issue).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, SanType, SerialNumber, date_time_ymd,
};
use serde::Serialize;

use super::bundle::Signer;
use super::der::pem;

/// One CA: its certificate, its key, and the parameters that an issuer is made from.
pub(super) struct Authority {
    pub(super) name: &'static str,
    pub(super) der: Vec<u8>,
    pub(super) key: KeyPair,
    params: CertificateParams,
}

impl Authority {
    /// Issues below this CA, as [`CertificateParams::signed_by`] wants it.
    pub(super) fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.params, &self.key)
    }

    /// Carries this CA's name and key identifier, but signs with another key. The identifier has to be
    /// claimed: rcgen would derive it from `key`, and the flaw would be "unknown issuer" instead of
    /// "wrong signature".
    pub(super) fn impostor<'a>(&self, key: &'a KeyPair) -> Issuer<'a, &'a KeyPair> {
        let mut params = self.params.clone();
        params.key_identifier_method = KeyIdMethod::PreSpecified(self.params.key_identifier(&self.key));
        Issuer::new(params, key)
    }
}

/// All authorities of one sandbox.
pub(super) struct Authorities {
    /// An old root that is needed for the cross-signature only.
    pub(super) legacy_root: Authority,
    /// The upper CA, self-signed.
    pub(super) root: Authority,
    /// The same subject and key as `root`, signed by `legacy_root`.
    pub(super) root_twin: Vec<u8>,
    pub(super) server_ca: Authority,
    pub(super) email_ca: Authority,
    pub(super) mark_root: Authority,
    pub(super) mark_ca: Authority,
    /// Root of the API's own TLS.
    pub(super) tls_root: Authority,
    /// The API's TLS server certificate.
    pub(super) tls_certificate: Vec<u8>,
    pub(super) tls_key: KeyPair,
    /// Signs PKCS#7 answers.
    pub(super) signer: Signer,
}

/// The certificates of the authorities as PEM, for the control port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuthorityPem {
    /// Root of the API's own TLS: what a client must trust to call the sandbox.
    pub api: String,
    pub root: String,
    /// The same subject and key as `root`, signed by `legacy_root`.
    pub root_twin: String,
    pub legacy_root: String,
    pub server_ca: String,
    pub email_ca: String,
    pub mark_root: String,
    pub mark_ca: String,
}

impl Authorities {
    /// Makes all keys (P-256) and CA certificates.
    /// The API's certificate is for localhost, both loopback addresses, and `hosts`: names or addresses.
    pub(super) fn new(hosts: &[String]) -> Result<Authorities, rcgen::Error> {
        let legacy_root = authority("Sandbox Legacy Certification Authority", None)?;
        let root = authority("Sandbox Public Root R46", None)?;
        let mark_root = authority("Sandbox Mark Root R1", None)?;
        let tls_root = authority("Sandbox API Root", None)?;
        let tls_key = KeyPair::generate()?;
        let signer_key = KeyPair::generate()?;
        let certificate = params("Sandbox Delivery Signer").self_signed(&signer_key)?.der().to_vec();
        Ok(Authorities {
            root_twin: root.params.signed_by(&root.key, &legacy_root.issuer())?.der().to_vec(),
            server_ca: authority("Sandbox Server Authentication CA DV R36", Some(&root))?,
            email_ca: authority("Sandbox Email Protection CA R36", Some(&root))?,
            mark_ca: authority("Sandbox Mark Issuing CA", Some(&mark_root))?,
            tls_certificate: tls_params(hosts)?.signed_by(&tls_key, &tls_root.issuer())?.der().to_vec(),
            signer: Signer { key: signer_key, certificate },
            legacy_root,
            root,
            mark_root,
            tls_root,
            tls_key,
        })
    }

    /// All of them as PEM.
    pub(super) fn as_pem(&self) -> AuthorityPem {
        let text = |der: &[u8]| pem("CERTIFICATE", der, "\n");
        AuthorityPem {
            api: text(&self.tls_root.der),
            root: text(&self.root.der),
            root_twin: text(&self.root_twin),
            legacy_root: text(&self.legacy_root.der),
            server_ca: text(&self.server_ca.der),
            email_ca: text(&self.email_ca.der),
            mark_root: text(&self.mark_root.der),
            mark_ca: text(&self.mark_ca.der),
        }
    }
}

/// A CA below `parent`, or a root.
fn authority(name: &'static str, parent: Option<&Authority>) -> Result<Authority, rcgen::Error> {
    let mut params = params(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    let certificate = match parent {
        Some(parent) => params.signed_by(&key, &parent.issuer())?,
        None => params.self_signed(&key)?,
    };
    Ok(Authority { name, der: certificate.der().to_vec(), key, params })
}

/// A long validity, so that a client with a wrong or a virtual clock can still rehearse.
fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = date_time_ymd(2010, 1, 1);
    params.not_after = date_time_ymd(2049, 12, 31);
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Sandbox");
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(serial());
    params
}

/// A random serial of 16 bytes, positive: twins with one key must still differ in it.
pub(super) fn serial() -> SerialNumber {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system has random bytes");
    bytes[0] = bytes[0] & 0x7f | 0x40;
    SerialNumber::from_slice(&bytes)
}

fn tls_params(hosts: &[String]) -> Result<CertificateParams, rcgen::Error> {
    let mut params = params("localhost");
    params.is_ca = IsCa::ExplicitNoCa;
    params.subject_alt_names = vec![
        SanType::DnsName("localhost".try_into()?),
        SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        SanType::IpAddress(IpAddr::V6(Ipv6Addr::LOCALHOST)),
    ];
    for host in hosts {
        params.subject_alt_names.push(match host.parse() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(host.as_str().try_into()?),
        });
    }
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}
