//! What the authorities issue: leaves that are as they should be, and leaves that are deliberately not.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, KeyUsagePurpose, RsaKeySize, SanType, SerialNumber, date_time_ymd,
};
use serde::{Deserialize, Serialize};

use super::ca::{Authorities, Authority, serial};
use super::clock::{DAY, Time};
use super::keys::PublicKey;
use super::mark::{LOGO_BYTES, LOGO_BYTES_RANGE, LOGOTYPE, MARK_USAGE, logotype};
use super::script::Product;

/// Days of validity where nothing is asked for: within the 200 that public TLS certificates may have
/// since March 2026.
const DAYS: i64 = 199;

/// The last second of the validity: "a 'not after' time of 23:59:59 GMT" (CollectSSL page).
const LAST_SECOND: i64 = DAY - 1;

/// Longest common name of X.520; longer names appear in the subject alternative names only.
const COMMON_NAME_MAX: usize = 64;

/// How a certificate is made. Everything may be left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CertificateSpec {
    /// PEM of a certificate request, a public key or a private key. Without it the order's present key
    /// is kept, or, at the first certificate, a fresh key is made; a fresh key can be fetched.
    pub key: Option<String>,
    /// Makes a fresh key even where the order has one already.
    pub new_key: bool,
    /// Kind of a fresh key.
    pub key_type: KeyType,
    /// Names in the certificate; without them, the order's domains.
    pub names: Option<Vec<String>>,
    /// Start of the validity, UNIX seconds; without it, 00:00:00 UTC of the day of issue.
    pub not_before: Option<i64>,
    /// End of the validity, UNIX seconds; without it, 23:59:59 UTC, `days` after the start.
    pub not_after: Option<i64>,
    /// Days of validity, 199 where it is left out.
    pub days: Option<u32>,
    /// Seconds by which the start lies earlier.
    pub backdate: u32,
    /// Serial number in hexadecimal, at most 20 bytes; without it, a random one.
    pub serial: Option<String>,
    /// Size of the logo in a mark certificate, 3,000 to 100,000 bytes; 12,000 where it is left out.
    pub logo_bytes: Option<usize>,
    /// Whether the logotype extension is critical; it may be either.
    pub logo_critical: bool,
    /// Certificate ID at the vendor, at most 16 digits; without it, the next free one.
    pub certificate_id: Option<String>,
    /// What is deliberately wrong.
    pub flaws: Vec<Flaw>,
}

/// Kinds of fresh keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyType {
    /// `p256`: ECDSA on P-256.
    #[default]
    P256,
    /// `p384`: ECDSA on P-384.
    P384,
    /// `rsa2048`: RSA with 2048 bits; takes a moment to make.
    Rsa2048,
}

/// What can be wrong with a certificate or its chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flaw {
    /// `expired`: the validity ended with the day before yesterday, so that at any time of the day no tolerance of clocks
    /// covers it.
    Expired,
    /// `not-yet-valid`: the validity begins in thirty days.
    NotYetValid,
    /// `other-key`: it is for a fresh key, whatever key was handed over.
    OtherKey,
    /// `missing-name`: the last of the names is missing; a single name is replaced by a foreign one.
    MissingName,
    /// `no-san`: there is no subject alternative name extension at all.
    NoSan,
    /// `missing-intermediate`: the chain lacks the intermediate.
    MissingIntermediate,
    /// `wrong-signature`: issuer name and key identifier are right, the signature is by another key.
    WrongSignature,
    /// `leaf-is-ca`: the leaf says that it is a CA.
    LeafIsCa,
    /// `older`: its validity begins and ends a day before that of the order's present certificate.
    Older,
}

/// An issued certificate with its key and chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// The end-entity certificate.
    pub der: Vec<u8>,
    /// The private key as PKCS#8 PEM, where the sandbox made it.
    pub key_pem: Option<String>,
    pub chain: Chain,
    /// Names in it.
    pub names: Vec<String>,
    /// Start of the validity, UNIX seconds.
    pub not_before: i64,
    /// End of the validity, UNIX seconds.
    pub not_after: i64,
    /// Serial number, hexadecimal.
    pub serial: String,
    /// The key it was meant for, also with [`Flaw::OtherKey`]; a re-issue keeps it.
    pub(super) public_key: PublicKey,
}

/// The CA certificates above a leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// The issuer of the leaf; absent with [`Flaw::MissingIntermediate`].
    pub intermediate: Option<CaCertificate>,
    /// The self-signed root.
    pub root: CaCertificate,
    /// The same CA as `root`, signed by another root, and that root: only below the TLS root.
    pub twin: Option<(CaCertificate, CaCertificate)>,
}

/// A CA certificate and a name for its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaCertificate {
    pub name: &'static str,
    /// Its bytes, shared by all chains.
    pub der: Arc<[u8]>,
}

impl CertificateSpec {
    /// Rejects what cannot be issued, before an order is accepted.
    pub(super) fn check(&self) -> Result<(), String> {
        if let Some(text) = &self.key {
            PublicKey::from_pem(text)?;
            if self.new_key {
                return Err("key and new_key exclude each other".into());
            }
        }
        if let Some(text) = &self.serial {
            parse_serial(text)?;
        }
        if let Some(bytes) = self.logo_bytes
            && !LOGO_BYTES_RANGE.contains(&bytes)
        {
            return Err(format!("logo_bytes must be within 3000 and 100000, not {bytes}"));
        }
        if let Some(id) = &self.certificate_id
            && (id.is_empty() || id.len() > 16 || !id.bytes().all(|byte| byte.is_ascii_digit()))
        {
            return Err(format!("certificate_id must be 1 to 16 digits, not '{id}'"));
        }
        Ok(())
    }
}

impl Authorities {
    /// Issues a certificate for `product` at `now`. `before` is the order's present certificate, `latest` a moment in UNIX
    /// seconds that it must not outlive.
    pub(super) fn issue(
        &self,
        product: Product,
        domains: &[String],
        spec: &CertificateSpec,
        before: Option<&Issued>,
        latest: Option<i64>,
        now: Time,
    ) -> Result<Issued, String> {
        spec.check()?;
        let has = |flaw| spec.flaws.contains(&flaw);
        let (public_key, key_pem) = choose_key(spec, before)?;
        let subject_key = if has(Flaw::OtherKey) { fresh_key(spec.key_type)?.0 } else { public_key.clone() };
        let (not_before, not_after) = validity(spec, before, now)?;
        let not_after = latest.map_or(not_after, |latest| not_after.min(latest));
        let mut names = spec.names.clone().unwrap_or_else(|| domains.to_vec());
        if has(Flaw::MissingName) {
            names.pop();
            if names.is_empty() {
                names.push(foreign_name(product).into());
            }
        }
        let mut params = leaf_params(product, &names, spec)?;
        set_validity(&mut params, not_before, not_after)?;
        let serial_number = match &spec.serial {
            Some(text) => parse_serial(text)?,
            None => serial(),
        };
        let serial = hex(&serial_number.to_bytes());
        params.serial_number = Some(serial_number);
        let (issuer, root) = self.line(product);
        let signed = if has(Flaw::WrongSignature) {
            let stranger = KeyPair::generate().map_err(text)?;
            params.signed_by(&subject_key, &issuer.impostor(&stranger))
        } else {
            params.signed_by(&subject_key, &issuer.issuer())
        };
        let der = signed.map_err(text)?.der().to_vec();
        let chain = Chain {
            intermediate: (!has(Flaw::MissingIntermediate)).then(|| certificate(issuer)),
            root: certificate(root),
            twin: (product != Product::Mark).then(|| {
                let twin =
                    CaCertificate { name: "Sandbox Public Root R46 Cross", der: (*self.root_twin).into() };
                (twin, certificate(&self.legacy_root))
            }),
        };
        Ok(Issued { der, key_pem, chain, names, not_before, not_after, serial, public_key })
    }

    /// The issuing CA and the root above it.
    fn line(&self, product: Product) -> (&Authority, &Authority) {
        match product {
            Product::Ssl => (&self.server_ca, &self.root),
            Product::Smime => (&self.email_ca, &self.root),
            Product::Mark => (&self.mark_ca, &self.mark_root),
        }
    }
}

fn certificate(authority: &Authority) -> CaCertificate {
    CaCertificate { name: authority.name, der: (*authority.der).into() }
}

/// The key that the certificate is meant for, with its private half where the sandbox made it.
fn choose_key(
    spec: &CertificateSpec,
    before: Option<&Issued>,
) -> Result<(PublicKey, Option<String>), String> {
    match (&spec.key, before) {
        (Some(text), _) => Ok((PublicKey::from_pem(text)?, None)),
        (None, Some(before)) if !spec.new_key => Ok((before.public_key.clone(), before.key_pem.clone())),
        (None, _) => fresh_key(spec.key_type).map(|(key, pem)| (key, Some(pem))),
    }
}

fn fresh_key(key_type: KeyType) -> Result<(PublicKey, String), String> {
    let pair = match key_type {
        KeyType::P256 => KeyPair::generate(),
        KeyType::P384 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
        KeyType::Rsa2048 => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048),
    }
    .map_err(text)?;
    let pem = pair.serialize_pem();
    Ok((PublicKey::from_pem(&pem)?, pem))
}

/// Start and end, in UNIX seconds.
fn validity(spec: &CertificateSpec, before: Option<&Issued>, now: Time) -> Result<(i64, i64), String> {
    let has = |flaw| spec.flaws.contains(&flaw);
    if has(Flaw::Older) {
        let before = before.ok_or("the flaw 'older' needs an order that has a certificate already")?;
        return Ok((before.not_before - DAY, before.not_after - DAY));
    }
    let days = spec.days.map_or(DAYS, i64::from);
    if has(Flaw::Expired) {
        let end = now.midnight().unix() - DAY - 1;
        return Ok((end + 1 - days.max(1) * DAY, end));
    }
    let start = match spec.not_before {
        Some(start) => start,
        None if has(Flaw::NotYetValid) => now.midnight().unix() + 30 * DAY,
        None => now.midnight().unix(),
    } - i64::from(spec.backdate);
    let last_day = start.div_euclid(DAY) + (days - 1).max(0);
    let end = spec.not_after.unwrap_or(last_day * DAY + LAST_SECOND);
    if end < start {
        return Err(format!("the validity would end at {end}, before it starts at {start}"));
    }
    Ok((start, end))
}

fn leaf_params(
    product: Product,
    names: &[String],
    spec: &CertificateSpec,
) -> Result<CertificateParams, String> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    if product == Product::Mark {
        params.distinguished_name.push(DnType::CountryName, "GB");
        params.distinguished_name.push(DnType::OrganizationName, "Example Limited");
    }
    if let Some(first) = names.first().filter(|name| name.len() <= COMMON_NAME_MAX) {
        params.distinguished_name.push(DnType::CommonName, first.as_str());
    }
    if !spec.flaws.contains(&Flaw::NoSan) {
        for name in names {
            params.subject_alt_names.push(san(product, name)?);
        }
    }
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.is_ca = if spec.flaws.contains(&Flaw::LeafIsCa) {
        params.key_usages.push(KeyUsagePurpose::KeyCertSign);
        IsCa::Ca(BasicConstraints::Unconstrained)
    } else {
        IsCa::ExplicitNoCa
    };
    params.extended_key_usages = vec![match product {
        Product::Ssl => ExtendedKeyUsagePurpose::ServerAuth,
        Product::Smime => ExtendedKeyUsagePurpose::EmailProtection,
        Product::Mark => ExtendedKeyUsagePurpose::Other(MARK_USAGE.to_vec()),
    }];
    if product == Product::Mark {
        let value = logotype(spec.logo_bytes.unwrap_or(LOGO_BYTES));
        let mut extension = CustomExtension::from_oid_content(&LOGOTYPE, value);
        extension.set_criticality(spec.logo_critical);
        params.custom_extensions.push(extension);
    }
    Ok(params)
}

fn san(product: Product, name: &str) -> Result<SanType, String> {
    if product != Product::Smime
        && let Ok(address) = name.parse::<IpAddr>()
    {
        return Ok(SanType::IpAddress(address));
    }
    let ascii = name.try_into().map_err(|_| format!("the name '{name}' is not ASCII; use its A-label"))?;
    Ok(if product == Product::Smime { SanType::Rfc822Name(ascii) } else { SanType::DnsName(ascii) })
}

fn foreign_name(product: Product) -> &'static str {
    match product {
        Product::Smime => "someone@unrelated.example",
        Product::Ssl | Product::Mark => "unrelated.example",
    }
}

/// Sets the validity. rcgen's time type comes from a crate that is not a dependency here; the epoch plus a
/// span makes one.
fn set_validity(params: &mut CertificateParams, start: i64, end: i64) -> Result<(), String> {
    let span = |seconds| {
        u64::try_from(seconds)
            .map(Duration::from_secs)
            .map_err(|_| "a validity before 1970 cannot be written")
    };
    params.not_before = date_time_ymd(1970, 1, 1) + span(start)?;
    params.not_after = date_time_ymd(1970, 1, 1) + span(end)?;
    Ok(())
}

fn parse_serial(text: &str) -> Result<SerialNumber, String> {
    let wrong = || format!("serial must be 1 to 20 bytes in hexadecimal, not '{text}'");
    if text.is_empty() || text.len() % 2 == 1 || text.len() > 40 || !text.is_ascii() {
        return Err(wrong());
    }
    let bytes: Result<Vec<u8>, _> =
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16)).collect();
    bytes.map(|bytes| SerialNumber::from_slice(&bytes)).map_err(|_| wrong())
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn text(error: rcgen::Error) -> String {
    format!("the certificate cannot be made: {error}")
}
