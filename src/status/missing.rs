//! What an order still waits for, and who must act: the vendor's status integers and words, put into words.

use serde::Serialize;

use certcollectd_core::api::Untrusted;
use certcollectd_core::api::code::Progress;
use certcollectd_core::api::reply::{Dcv, Details, is_validated};

/// One thing that is not done yet.
#[derive(Debug, Clone, Serialize)]
pub struct Missing {
    /// What, for instance `b.example.com: CNAME not seen yet`.
    pub what: String,
    pub who: &'static str,
}

const SECTIGO: &str = "Sectigo";
const DNS: &str = "DNS team";
const WEB: &str = "web team";
const MAILBOX: &str = "the reader of that mailbox";
const OWNER: &str = "the operator of the domain";
const ORGANISATION: &str = "the organisation's contact";
const SIGNER: &str = "the contract signer";
const ORDERER: &str = "the team that placed the order";
const PAYER: &str = "the team that pays for the order";
const WRITER: &str = "the author of its entry in the configuration";

const BRAND: &str = "brandValStatus";

/// The integer statuses: name, what is not done, who must act when it has not begun, who while it is in
/// progress.
const STATUSES: [(&str, &str, &str, &str); 12] = [
    ("csrStatus", "the certificate request is not accepted", ORDERER, SECTIGO),
    ("ovCallBackStatus", "the call-back to the organisation has not taken place", ORGANISATION, ORGANISATION),
    ("organizationValidationStatus", "the organisation is not validated", SECTIGO, SECTIGO),
    ("freeDVUPStatus", "the free upgrade from DV is not done", SECTIGO, SECTIGO),
    ("evClickThroughStatus", "the EV agreement is not accepted", SIGNER, SIGNER),
    (BRAND, "the brand is not validated", SECTIGO, SECTIGO),
    ("evAssumedName", "EV: the assumed name is not verified", ORGANISATION, SECTIGO),
    ("evLegalExistence", "EV: the legal existence is not verified", ORGANISATION, SECTIGO),
    ("evPhysicalExistence", "EV: the physical existence is not verified", ORGANISATION, SECTIGO),
    ("evOperationalExistence", "EV: the operational existence is not verified", ORGANISATION, SECTIGO),
    (
        "evSignerApproverRequester",
        "EV: signer, approver and requester are not verified",
        ORGANISATION,
        SECTIGO,
    ),
    ("evSignerSecondApproval", "EV: the second approval is missing", SECTIGO, SECTIGO),
];

fn missing_from(who: &'static str, what: impl Into<String>) -> Missing {
    Missing { what: what.into(), who }
}

/// The order is not paid.
pub(super) fn unpaid() -> Missing {
    missing_from(PAYER, "the order is not paid")
}

/// The vendor's name for it matches none of the order's domains.
pub(super) fn misfit(name: &str) -> Missing {
    missing_from(WRITER, format!("it is for {name}, which matches none of its domains"))
}

/// Everything that is not done, from the last answer of the collecting endpoint and, where it was asked, from
/// GetMDCDomainDetails.
pub(super) fn missing(collect: Option<&Details>, domains: Option<&Details>) -> Vec<Missing> {
    let mut found = Vec::new();
    let of_domains = of_domains(collect, domains);
    let named = !of_domains.is_empty();
    // Up to three fields tell of the brand, from the most to the least exact.
    let mut brand = of_domains.iter().any(|(brand, _)| *brand);
    found.extend(of_domains.into_iter().map(|(_, missing)| missing));
    let statuses = || [domains, collect].into_iter().flatten().flat_map(|details| &details.statuses);
    let value =
        |name: &str| statuses().find(|(known, _)| *known == name).map(|(_, value)| Progress::of(*value));
    // Which domain it is matters more than that it is one of them.
    let control = value("dcvStatusCode").or_else(|| value("dcvStatus"));
    if !named && control.is_some_and(Progress::is_open) {
        found.push(missing_from("DNS team or web team", "control of a domain is not proven"));
    }
    for (name, what, open, in_progress) in STATUSES {
        if name == BRAND && (brand || !value(name).is_some_and(Progress::is_open)) {
            continue;
        }
        brand |= name == BRAND;
        match value(name) {
            Some(Progress::NotBegun) => found.push(missing_from(open, what)),
            Some(Progress::Begun) => {
                found.push(missing_from(in_progress, format!("{what}, it is in progress")));
            }
            Some(Progress::NotRequired | Progress::Done | Progress::Unknown) | None => {}
        }
    }
    if value("maStatus").is_some_and(Progress::is_open) {
        found.push(missing_from(SECTIGO, "the check that the vendor calls maStatus is not done"));
    }
    found.extend(collect.into_iter().chain(domains).find_map(of_caa));
    let told = |details: &&Details| !(brand && details.validation_status.as_ref().is_some_and(awaits_brand));
    found.extend(collect.filter(told).and_then(of_validation));
    found
}

/// `AWAITINGBRAND`, `Awaiting brand validation`.
fn awaits_brand(state: &Untrusted) -> bool {
    let letters = state.as_str().bytes().filter(u8::is_ascii_alphabetic);
    letters.take(13).map(|letter| letter.to_ascii_uppercase()).eq(*b"AWAITINGBRAND")
}

/// What is missing for each domain, and whether it is the brand.
fn of_domains(collect: Option<&Details>, domains: Option<&Details>) -> Vec<(bool, Missing)> {
    let brand =
        |domain: &Untrusted| (true, missing_from(SECTIGO, format!("{domain}: the brand is not validated")));
    let listed: Vec<&Dcv> = domains.iter().flat_map(|details| &details.dcv).collect();
    if !listed.is_empty() {
        let open = listed.into_iter().filter(|dcv| !dcv.is_validated());
        return open
            .map(|dcv| match dcv.status.as_ref().is_some_and(awaits_brand) {
                true => brand(&dcv.domain),
                false => (false, of_domain(dcv)),
            })
            .collect();
    }
    let words = collect.iter().flat_map(|details| &details.domains);
    let open = words.filter(|(_, state)| !is_validated(state.as_str()));
    open.map(|(domain, state)| match state.as_str().to_ascii_uppercase().as_str() {
        _ if awaits_brand(state) => brand(domain),
        "NOTVALIDATED" => (false, missing_from(OWNER, format!("{domain}: control is not proven"))),
        _ => (false, missing_from(OWNER, format!("{domain}: the vendor says {state}"))),
    })
    .collect()
}

fn of_domain(dcv: &Dcv) -> Missing {
    let domain = &dcv.domain;
    let method = dcv.method.as_ref().map(Untrusted::as_str).unwrap_or_default();
    let file = |scheme| format!("file not seen yet below {scheme}://{domain}/.well-known/pki-validation/");
    let (who, what) = match method.to_ascii_uppercase().as_str() {
        "CNAME_CSR_HASH" | "CNAME" => (DNS, "CNAME not seen yet".to_owned()),
        "TXT_CSR_HASH" | "TXT" => (DNS, "TXT record not seen yet".to_owned()),
        "HTTP_CSR_HASH" | "HTTP" => (WEB, file("http")),
        "HTTPS_CSR_HASH" | "HTTPS" => (WEB, file("https")),
        "" => (OWNER, "control is not proven".to_owned()),
        _ if method.contains('@') => (MAILBOX, format!("the mail to {method} is not answered")),
        "EMAIL" => (MAILBOX, "the validation mail is not answered".to_owned()),
        _ => (OWNER, format!("control is not proven by {method}")),
    };
    missing_from(who, format!("{domain}: {what}"))
}

/// The words of `caaStatus` [doc].
fn of_caa(details: &Details) -> Option<Missing> {
    let caa = details.caa.as_ref()?;
    Some(match caa.as_str().to_ascii_lowercase().as_str() {
        "authorized" | "empty" => return None,
        "not authorized" => missing_from(DNS, "a CAA record does not allow Sectigo to issue"),
        "unrecognized critical tag" => {
            missing_from(DNS, "a CAA record has a critical tag that Sectigo does not know")
        }
        "malformed response" | "timeout" | "error" => {
            missing_from(DNS, format!("the look-up of CAA records failed ({caa})"))
        }
        "awaiting completion" => missing_from(SECTIGO, "the check of CAA records is not done"),
        _ => missing_from(DNS, format!("the check of CAA records ended with \"{caa}\"")),
    })
}

/// The words of `validationStatus` [seed: CollectSSL].
fn of_validation(details: &Details) -> Option<Missing> {
    let status = details.validation_status.as_ref()?;
    Some(match status.as_str().to_ascii_lowercase().as_str() {
        "complete" => return None,
        "awaiting legal documents" => missing_from(ORGANISATION, "Sectigo waits for legal documents"),
        "awaiting document translation" => missing_from(SECTIGO, "documents are being translated"),
        "awaiting private whois entry release" => {
            missing_from(OWNER, "the private WHOIS entry is not released")
        }
        "awaiting brand validation" => missing_from(SECTIGO, "the brand is not validated"),
        _ => missing_from(SECTIGO, format!("the validation status is \"{status}\"")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use certcollectd_core::api::reply::decode;
    use certcollectd_core::api::{Answer, Endpoint};

    fn details(endpoint: Endpoint, body: &str) -> Details {
        let body = bytes::Bytes::copy_from_slice(body.as_bytes());
        let answer = Answer { status: 200, content_type: None, retry_after: None, date: None, body };
        decode(endpoint, &answer).unwrap().details
    }

    fn check(collect: &str, domains: &str, expected: &[&str]) {
        let collect = details(Endpoint::CollectSsl, collect);
        let domains =
            Some(domains).filter(|body| !body.is_empty()).map(|body| details(Endpoint::DomainDetails, body));
        let found: Vec<String> = missing(Some(&collect), domains.as_ref())
            .into_iter()
            .map(|missing| format!("{}; {}", missing.what, missing.who))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn each_domain_says_what_is_missing_and_who_must_act() {
        check(
            "errorCode=0&dcvStatus=2",
            "errorCode=0&1_domainName=a.example.com&1_dcvMethod=CNAME_CSR_HASH&1_dcvStatus=Validated\
             &2_domainName=b.example.com&2_dcvMethod=CNAME_CSR_HASH&2_dcvStatus=In+progress\
             &3_domainName=c.example.com&3_dcvMethod=HTTP_CSR_HASH&3_dcvStatus=Not+Validated\
             &4_domainName=d.example.com&4_dcvMethod=admin%40example.com&4_dcvStatus=In+progress\
             &5_domainName=e.example.com&dcvStatusCode=2",
            &[
                "b.example.com: CNAME not seen yet; DNS team",
                "c.example.com: file not seen yet below http://c.example.com/.well-known/pki-validation/; web team",
                "d.example.com: the mail to admin@example.com is not answered; the reader of that mailbox",
                "e.example.com: control is not proven; the operator of the domain",
            ],
        );
    }

    #[test]
    fn words_are_compared_whole() {
        check(
            "errorCode=0&mdcDomainDetails=a.example+VALIDATED,+b.example+NOTVALIDATED,+c.example+AWAITINGBRAND,+d.example+ODD",
            "",
            &[
                "b.example: control is not proven; the operator of the domain",
                "c.example: the brand is not validated; Sectigo",
                "d.example: the vendor says ODD; the operator of the domain",
            ],
        );
    }

    #[test]
    fn the_brand_is_told_once_by_whichever_field_is_most_exact() {
        let word = "&validationStatus=Awaiting+Brand+Validation";
        let listed =
            "&mdcDomainDetails=a.example.com+NOTVALIDATED&mdcDomainDetails2=a.example.com+AWAITINGBRAND";
        let of_domain = ["a.example.com: the brand is not validated; Sectigo"];
        check(&format!("errorCode=0&brandValStatus=0{listed}{word}"), "", &of_domain);
        check(
            &format!("errorCode=0&brandValStatus=0{word}"),
            "errorCode=0&1_domainName=a.example.com&1_dcvMethod=CNAME_CSR_HASH&1_dcvStatus=Awaiting+brand+validation",
            &of_domain,
        );
        check(
            &format!("errorCode=0&brandValStatus=2{word}"),
            "",
            &["the brand is not validated, it is in progress; Sectigo"],
        );
        check(&format!("errorCode=0{word}"), "", &["the brand is not validated; Sectigo"]);
        check(&format!("errorCode=0&brandValStatus=1{word}"), "", &["the brand is not validated; Sectigo"]);
    }

    #[test]
    fn integers_are_told_by_their_meaning() {
        check(
            "errorCode=0&csrStatus=1&dcvStatus=0&ovCallBackStatus=0&organizationValidationStatus=2&evClickThroughStatus=-1\
             &evLegalExistence=0&caaStatus=Not+Authorized&validationStatus=Awaiting+Legal+Documents",
            "",
            &[
                "control of a domain is not proven; DNS team or web team",
                "the call-back to the organisation has not taken place; the organisation's contact",
                "the organisation is not validated, it is in progress; Sectigo",
                "EV: the legal existence is not verified; the organisation's contact",
                "a CAA record does not allow Sectigo to issue; DNS team",
                "Sectigo waits for legal documents; the organisation's contact",
            ],
        );
        check(
            "errorCode=0&csrStatus=1&dcvStatus=1&ovCallBackStatus=-1&caaStatus=Empty&validationStatus=Complete",
            "",
            &[],
        );
        check(
            "errorCode=0&csrStatus=7&caaStatus=Error+42",
            "",
            &["the check of CAA records ended with \"Error 42\"; DNS team"],
        );
    }
}
