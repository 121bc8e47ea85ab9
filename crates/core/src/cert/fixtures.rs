//! The fixtures of `tests/data/cert/`, and certificates made in the test.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, date_time_ymd,
};

use super::Certificate;

macro_rules! files {
    ($($name:literal)*) => {
        /// Every fixture, by file name.
        pub(super) const ALL: &[(&str, &[u8])] =
            &[$(($name, include_bytes!(concat!("../../../../tests/data/cert/", $name)))),*];
    };
}

files! {
    "bomb.zip" "bundle.p12" "bundle.pem" "bundle.zip" "by-p521.der" "by-pss.der" "by-psskey.der"
    "by-rsa1024.der" "by-sha1.der" "by-v1.der" "certs-only.p7.pem" "certs-only.p7b" "cross.der" "ed25519.der"
    "ed25519.key" "enveloped.p7b" "indefinite.p7b" "inter.der" "leaf.csr.der" "leaf.csr.pem" "leaf.der"
    "leaf.encrypted.key" "leaf.pkcs8.key" "leaf.proctype.key" "leaf.sec1.key" "mark.der" "nseq.der" "nseq.pem"
    "oldroot.der" "p521.der" "p521.key" "pss.der" "pss.key" "pssroot.der" "root.der" "rsa.der" "rsa.pkcs1.key"
    "rsa.pkcs8.key" "rsa1024.der" "rsa1024.key" "rsa1024root.der" "rsaroot.der" "serial21.der" "signer.p7b"
    "stream.p7b" "trusted.pem" "v1.der"
}

pub(super) fn file(name: &str) -> &'static [u8] {
    ALL.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("no fixture {name}")).1
}

/// One of the fixtures that are a DER certificate.
pub(super) fn certificate(name: &str) -> Certificate {
    Certificate::from_der(file(&format!("{name}.der"))).unwrap()
}

/// A time at which all fixtures are valid: 2027-01-15, UNIX seconds. They were made in November 2026 for a hundred
/// years.
pub(super) const NOW: i64 = 1_800_000_000;

/// A name and a key, for certificates made in the test (P-256).
pub(super) struct Entity {
    name: &'static str,
    key: KeyPair,
}

/// A new key under this common name.
pub(super) fn entity(name: &'static str) -> Entity {
    entity_with_key(name, KeyPair::generate().unwrap())
}

/// A name with a key that was made elsewhere.
pub(super) fn entity_with_key(name: &'static str, key: KeyPair) -> Entity {
    Entity { name, key }
}

impl Entity {
    /// Signs a certificate for `subject`: a CA without limits if `change` leaves it so, valid in 2026 and 2027.
    pub(super) fn issue(&self, subject: &Entity, change: impl FnOnce(&mut CertificateParams)) -> Certificate {
        Certificate::from_der(&self.der(subject, change)).unwrap()
    }

    /// The same as DER, for what is not meant to be readable.
    pub(super) fn der(&self, subject: &Entity, change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        let mut params = subject.params();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.use_authority_key_identifier_extension = true;
        change(&mut params);
        // Every server certificate has a name; here one that nobody asks for.
        let is_plain = !matches!(params.is_ca, IsCa::Ca(_)) && params.custom_extensions.is_empty();
        if is_plain && params.subject_alt_names.is_empty() {
            let unnamed = CertificateParams::new(["unnamed.example".to_owned()]).unwrap();
            params.subject_alt_names = unnamed.subject_alt_names;
        }
        let issuer = self.params();
        let issuer = Issuer::from_params(&issuer, &self.key);
        params.signed_by(&subject.key, &issuer).unwrap().der().to_vec()
    }

    /// Signs a server certificate for these names.
    pub(super) fn leaf(&self, subject: &Entity, names: &[&str]) -> Certificate {
        self.issue(subject, |params| {
            params.is_ca = IsCa::ExplicitNoCa;
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            params.subject_alt_names = CertificateParams::new(names).unwrap().subject_alt_names;
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        })
    }

    /// Its own root certificate.
    pub(super) fn root(&self) -> Certificate {
        self.issue(self, |_| {})
    }

    /// The private key, PKCS#8 in PEM.
    pub(super) fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    fn params(&self) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, self.name);
        params.not_before = date_time_ymd(2026, 1, 1);
        params.not_after = date_time_ymd(2028, 1, 1);
        params
    }
}
