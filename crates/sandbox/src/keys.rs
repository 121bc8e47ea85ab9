//! Public keys as they reach the CA: in a certificate signing request, as a public key, or as the
//! private key that a test hands over.

use rcgen::{KeyPair, PublicKeyData, SignatureAlgorithm};
use rustls_pki_types::pem::{PemObject as _, SectionKind};
use x509_parser::prelude::{FromDer as _, X509CertificationRequest};
use x509_parser::x509::SubjectPublicKeyInfo;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The smallest RSA key that AutoReplaceSMIME takes; below it the answer is -13 ("The key size in the
/// CSR is not supported"). The number is the one of the CA/Browser Forum's S/MIME requirements, 6.1.5.
pub(super) const RSA_BITS_MIN: usize = 2048;

/// A public key that a certificate can be made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PublicKey {
    bits: Vec<u8>,
    algorithm: &'static SignatureAlgorithm,
    rsa_bits: Option<usize>,
}

impl PublicKeyData for PublicKey {
    fn der_bytes(&self) -> &[u8] {
        &self.bits
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.algorithm
    }
}

impl PublicKey {
    /// Takes the first section of a PEM text that holds a key: a signing request, a public key, or a
    /// private key in PKCS#8, PKCS#1 or SEC1 form.
    pub(super) fn from_pem(text: &str) -> Result<PublicKey, String> {
        for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(text.as_bytes()) {
            let (kind, der) = section.map_err(|error| format!("the key is not PEM: {error}"))?;
            match kind {
                SectionKind::Csr => return PublicKey::from_csr(&der),
                SectionKind::PublicKey => return PublicKey::from_spki(&der),
                SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey => {
                    let pair = KeyPair::try_from(der)
                        .map_err(|error| format!("the private key cannot be read: {error}"))?;
                    return PublicKey::from_spki(&pair.subject_public_key_info());
                }
                _ => {}
            }
        }
        Err("the key must be PEM: a certificate request, a public key or a private key".into())
    }

    /// A certificate signing request as AutoReplaceSMIME takes it: base64, armour optional.
    pub(super) fn from_csr_text(text: &str) -> Result<PublicKey, String> {
        if text.contains("-----BEGIN") {
            return PublicKey::from_pem(text);
        }
        let compact: String = text.split_ascii_whitespace().collect();
        let der = STANDARD.decode(compact).map_err(|error| format!("the CSR is not base64: {error}"))?;
        PublicKey::from_csr(&der)
    }

    pub(super) fn from_csr(der: &[u8]) -> Result<PublicKey, String> {
        let (_, request) = X509CertificationRequest::from_der(der)
            .map_err(|error| format!("the CSR cannot be read: {error}"))?;
        PublicKey::from_spki(request.certification_request_info.subject_pki.raw)
    }

    fn from_spki(der: &[u8]) -> Result<PublicKey, String> {
        let (_, info) = SubjectPublicKeyInfo::from_der(der)
            .map_err(|error| format!("the public key cannot be read: {error}"))?;
        let name = info.algorithm.algorithm.to_id_string();
        let curve = info.algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
        let bits = info.subject_public_key.data.to_vec();
        let mut rsa_bits = None;
        let algorithm = match (name.as_str(), curve.map(|oid| oid.to_id_string()).as_deref()) {
            ("1.2.840.113549.1.1.1", _) => {
                let parsed = info.parsed().map_err(|error| format!("the RSA key cannot be read: {error}"))?;
                rsa_bits = Some(parsed.key_size());
                &rcgen::PKCS_RSA_SHA256
            }
            ("1.2.840.10045.2.1", Some("1.2.840.10045.3.1.7")) => &rcgen::PKCS_ECDSA_P256_SHA256,
            ("1.2.840.10045.2.1", Some("1.3.132.0.34")) => &rcgen::PKCS_ECDSA_P384_SHA384,
            ("1.2.840.10045.2.1", Some("1.3.132.0.35")) => &rcgen::PKCS_ECDSA_P521_SHA512,
            ("1.3.101.112", _) => &rcgen::PKCS_ED25519,
            (other, _) => return Err(format!("keys of the algorithm {other} are not supported")),
        };
        Ok(PublicKey { bits, algorithm, rsa_bits })
    }

    /// Whether the key is an RSA key below the size that the vendor takes.
    pub(super) fn too_small(&self) -> bool {
        self.rsa_bits.is_some_and(|bits| bits < RSA_BITS_MIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::CertificateParams;

    #[test]
    fn one_key_in_three_wrappings_is_the_same_key() {
        for algorithm in
            [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519]
        {
            let pair = KeyPair::generate_for(algorithm).unwrap();
            let request = CertificateParams::default().serialize_request(&pair).unwrap();
            let csr = request.pem().unwrap();
            let from_private = PublicKey::from_pem(&pair.serialize_pem()).unwrap();
            assert_eq!(from_private.subject_public_key_info(), pair.subject_public_key_info());
            assert_eq!(PublicKey::from_pem(&pair.public_key_pem()).unwrap(), from_private);
            assert_eq!(PublicKey::from_pem(&csr).unwrap(), from_private);
            assert_eq!(PublicKey::from_csr_text(&csr).unwrap(), from_private);
            let bare = STANDARD.encode(request.der());
            assert_eq!(PublicKey::from_csr_text(&bare).unwrap(), from_private);
            assert!(!from_private.too_small());
        }
    }

    #[test]
    fn what_is_no_key_is_refused_with_a_reason() {
        assert!(PublicKey::from_pem("").unwrap_err().contains("must be PEM"));
        assert!(PublicKey::from_csr_text("MIIB!").unwrap_err().contains("base64"));
        assert!(PublicKey::from_csr_text("AAAA").unwrap_err().contains("CSR"));
    }
}
