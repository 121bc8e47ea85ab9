//! AutoReplaceSSL: another certificate under the same order number.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::CertificateSigningRequestDer;
use rustls_pki_types::pem::PemObject as _;
use serde::{Deserialize, Serialize};
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer as _, X509CertificationRequest};

use super::answer::{Answer, Format, Pairs, form};
use super::der::pem;
use super::issue::CertificateSpec;
use super::keys::PublicKey;
use super::orders::{Order, Standing, Status};
use super::params::{Args, Endpoint};
use super::proof::Token;
use super::refusal::Refusal;
use super::shape::Shape;

const ENDPOINT: Endpoint = Endpoint::ReplaceSsl;

/// What follows from a token that was used before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReusedToken {
    /// `rejected-later`: the call is taken, and the order is rejected with -20 after a poll that says 0.
    #[default]
    RejectedLater,
    /// `refused`: the call is refused with -20.
    Refused,
}

/// What was asked for and is not issued yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The request as PEM.
    pub csr: String,
    /// The names that the certificate will have.
    pub names: Vec<String>,
    /// `dcvMethod`.
    pub method: String,
    /// Those of the names whose control is not proven yet.
    pub unproven: Vec<String>,
    pub(super) token: Token,
}

impl Asked {
    /// How its certificate is made, where `wanted` leaves that open.
    pub(super) fn certificate(&self, wanted: CertificateSpec) -> CertificateSpec {
        CertificateSpec {
            key: wanted.key.or_else(|| (!wanted.new_key).then(|| self.csr.clone())),
            names: wanted.names.or_else(|| Some(self.names.clone())),
            ..wanted
        }
    }
}

/// Checks a call, and what it asks for. The names are those of the request, whatever they are; a name list that was
/// sent comes first, and the vendor's own additions last.
pub(super) fn asked(args: &Args, order: &Order, standing: &Standing, now: i64) -> Result<Asked, Refusal> {
    let csr = csr_der(args.get("csr").unwrap_or_default())?;
    let requested = requested_names(&csr)?;
    let key = PublicKey::from_csr(&csr).map_err(|_| about_csr(-11))?;
    if key.too_small() {
        return Err(about_csr(-13));
    }
    match &standing.status {
        Status::Pending | Status::Issued(_) | Status::Available(_) => {}
        Status::Error { code, .. } => return Err(Refusal::of(ENDPOINT, *code)),
    }
    // The product term is over: a new order is needed.
    if !order.certificates.is_empty() && standing.term.1 <= now {
        return Err(Refusal::of(ENDPOINT, -20));
    }
    let had: &[String] = match order.certificates.last() {
        Some(newest) => &newest.issued.names,
        None => &order.spec.domains,
    };
    let names = certified_names(args, requested, had)?;
    match (has_wildcard(had), has_wildcard(&names)) {
        (false, true) => return Err(about_csr(-5)),
        (true, false) => return Err(about_csr(-6)),
        (false, false) | (true, true) => {}
    }
    // "EMAIL" is what a call without a method means; it needs an address.
    let method = args.get("dcvMethod").unwrap_or("EMAIL");
    let address = args.get("dcvEmailAddress").or_else(|| args.get("dcvEmailAddresses"));
    if args.get("dcvMethod") == Some("EMAIL") && address.is_none() {
        return Err(Refusal::missing("dcvEmailAddress"));
    }
    Ok(Asked {
        csr: pem("CERTIFICATE REQUEST", &csr, "\n"),
        unproven: names.clone(),
        names,
        method: method.into(),
        token: Token::new(&csr, args.get("uniqueValue")),
    })
}

fn about_csr(code: i32) -> Refusal {
    Refusal { item: Some("csr".into()), ..Refusal::of(ENDPOINT, code) }
}

/// A request as PEM or as bare base64.
pub(super) fn csr_der(text: &str) -> Result<Vec<u8>, Refusal> {
    if text.contains("-----BEGIN") {
        let request = CertificateSigningRequestDer::from_pem_slice(text.as_bytes());
        return Ok(request.map_err(|_| about_csr(-10))?.to_vec());
    }
    let compact: String = text.split_ascii_whitespace().collect();
    STANDARD.decode(compact).map_err(|_| about_csr(-9))
}

/// The common name and the subject alternative names, each once.
fn requested_names(csr: &[u8]) -> Result<Vec<String>, Refusal> {
    let (_, request) = X509CertificationRequest::from_der(csr).map_err(|_| about_csr(-10))?;
    let mut names = Vec::new();
    let common = request.certification_request_info.subject.iter_common_name().next();
    add(&mut names, common.and_then(|name| name.as_str().ok()).unwrap_or_default());
    for extension in request.requested_extensions().into_iter().flatten() {
        let ParsedExtension::SubjectAlternativeName(san) = extension else { continue };
        for name in &san.general_names {
            match name {
                GeneralName::DNSName(name) => add(&mut names, name),
                GeneralName::IPAddress(bytes) => add(&mut names, &address(bytes).unwrap_or_default()),
                _ => {}
            }
        }
    }
    if names.is_empty() { Err(about_csr(-8)) } else { Ok(names) }
}

fn address(bytes: &[u8]) -> Option<String> {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    let address = four.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from));
    address.ok().map(|address| address.to_string())
}

fn add(names: &mut Vec<String>, name: &str) {
    let name = name.to_ascii_lowercase();
    if !name.is_empty() && !names.contains(&name) {
        names.push(name);
    }
}

/// The names of the new certificate, the primary one first. `had` are those of the present one.
fn certified_names(args: &Args, requested: Vec<String>, had: &[String]) -> Result<Vec<String>, Refusal> {
    let listed: Vec<String> = args
        .get("domainNames")
        .unwrap_or_default()
        .split([',', ' '])
        .filter(|name| !name.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    let mut names = Vec::new();
    if let Some(primary) = args.get("primaryDomainName").map(str::to_ascii_lowercase) {
        if !listed.contains(&primary) {
            return Err(Refusal::invalid("primaryDomainName"));
        }
        add(&mut names, &primary);
    }
    for name in requested.iter().chain(&listed) {
        add(&mut names, name);
    }
    // What the vendor added to the present certificate by itself, it adds again.
    for name in requested {
        let companion = companion(&name);
        if had.iter().any(|had| had.eq_ignore_ascii_case(&companion)) {
            add(&mut names, &companion);
        }
    }
    Ok(names)
}

/// The bare name of `www.` and `*.`, and for every other name the one with `www.`.
fn companion(name: &str) -> String {
    let bare = name.strip_prefix("www.").or_else(|| name.strip_prefix("*."));
    bare.map_or_else(|| format!("www.{name}"), Into::into)
}

fn has_wildcard(names: &[String]) -> bool {
    names.iter().any(|name| name.starts_with("*."))
}

/// The answer to a call that was taken. It has no order number: the order keeps its own.
pub(super) fn taken(args: &Args, certificate_id: &str, format: Format, shape: &Shape) -> Answer {
    let id = args.yes("showCertificateID").then_some(certificate_id);
    // Hours.
    let fields = [
        ("certificateID", id),
        ("expectedDeliveryTime", Some("0")),
        ("uniqueValue", args.get("uniqueValue")),
    ];
    let fields = fields.into_iter().filter_map(|(key, value)| Some((key, value?)));
    match format {
        Format::Lines => {
            let lines: Vec<String> =
                ["0"].into_iter().chain(fields.map(|(_, value)| value)).map(Into::into).collect();
            Answer::lines(0, &lines, shape)
        }
        Format::Form | Format::Json => {
            let mut pairs: Pairs = vec![("errorCode".into(), 0.into())];
            pairs.extend(fields.map(|(key, value)| (key.to_owned(), value.into())));
            form(0, pairs, shape)
        }
    }
}
