//! The bodies of the answers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use form_urlencoded::Serializer;

use super::authority::Authority;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endpoint {
    Ssl,
    Mark,
    Domains,
    Unknown,
}

impl Endpoint {
    pub(super) fn of(path: &str) -> Endpoint {
        match path {
            "/products/download/CollectSSL" => Endpoint::Ssl,
            "/products/download/CollectMC" | "/products/!CollectMC" => Endpoint::Mark,
            "/products/!GetMDCDomainDetails" => Endpoint::Domains,
            _ => Endpoint::Unknown,
        }
    }
}

/// An order number is digits here.
pub(super) fn order_number(body: &[u8]) -> Option<u64> {
    form_urlencoded::parse(body)
        .find(|(key, _)| key.eq_ignore_ascii_case("orderNumber"))
        .and_then(|(_, number)| number.parse().ok())
}

/// Being processed. CollectMC says so in lines, CollectSSL in the form that is asked for.
pub(super) fn pending(endpoint: Endpoint, order: u64) -> String {
    match endpoint {
        Endpoint::Ssl => format!("errorCode=0&orderNumber={order}"),
        Endpoint::Mark | Endpoint::Unknown => "0\n".into(),
        Endpoint::Domains => format!(
            "errorCode=0&1_domainName={}&1_dcvMethod=CNAME_CSR_HASH&1_dcvStatus=Validated",
            super::authority::domain(order)
        ),
    }
}

/// Issued, each certificate on its own, in the URL-encoded form.
pub fn issued(authority: &Authority, order: u64) -> String {
    let mut form = Serializer::new(String::new());
    form.append_pair("errorCode", "2");
    form.append_pair("orderNumber", &order.to_string());
    form.append_pair("certificateID", &order.to_string());
    for ca in authority.chain() {
        form.append_pair("caCertificate", &STANDARD.encode(ca));
    }
    form.append_pair("certificate", &STANDARD.encode(authority.issue(order)));
    form.append_pair("certificateStatus", "Issued");
    form.finish()
}

/// An order that the mock cannot read.
pub(super) fn refused() -> String {
    "errorCode=-3&errorMessage=orderNumber".into()
}
