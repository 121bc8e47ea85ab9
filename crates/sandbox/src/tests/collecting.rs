//! What the Collect endpoints say in each form, with every option.

use super::*;
use crate::{CertificateSpec, Dcv, DcvState};

/// 29/10/2025, the date of the CollectSSL page's own example.
const DAY: Time = Time { unix_ms: 1_761_696_000_000 };

/// A vendor whose order 1 has a certificate that begins on [`DAY`] and is valid for one year.
fn dated() -> Vendor {
    let mut vendor = vendor();
    let spec =
        CertificateSpec { not_before: Some(DAY.unix()), days: Some(365), ..CertificateSpec::default() };
    vendor.issue("1", Some(spec)).unwrap();
    vendor
}

#[test]
fn the_status_depends_on_what_is_asked_for() {
    let mut vendor = vendor();
    for (order, query, expected) in [
        ("1", 0, "1\n"),
        ("1", 1, "2\n-"),
        ("1", 2, "2\n-"),
        ("1", 3, "2\n-"),
        ("4", 0, "0\n"),
        ("4", 1, "0\n"),
    ] {
        let answer = post(&mut vendor, SSL, &format!("orderNumber={order}&queryType={query}"));
        assert!(text(&answer).starts_with(expected), "{order} {query}: {}", text(&answer));
        assert_eq!(answer.content_type, "text/plain");
    }
    vendor.set_script("1", vec![Step::available(1), Step::issued()]).unwrap();
    assert_eq!(text(&post(&mut vendor, SSL, "orderNumber=1&queryType=1")), "1\n");
    assert_eq!(post(&mut vendor, SSL, "orderNumber=1&queryType=1").code, Some(2));
}

#[test]
fn the_query_type_decides_which_certificates_come() {
    let mut vendor = vendor();
    for (query, authorities, leaves) in [(1, 2, 1), (2, 0, 1), (3, 2, 0)] {
        let body = format!("orderNumber=1&queryType={query}&responseFormat=1");
        let answer = post(&mut vendor, SSL, &body);
        assert_eq!(answer.content_type, "application/x-www-form-urlencoded");
        assert_eq!(values(&answer, "caCertificate").len(), authorities);
        assert_eq!(values(&answer, "certificate").len(), leaves);
        let lines = post(&mut vendor, SSL, &format!("orderNumber=1&queryType={query}"));
        assert_eq!(text(&lines).matches("-----BEGIN CERTIFICATE-----\n").count(), authorities + leaves);
    }
}

const EVERYTHING: &str = "showValidityPeriod=Y&showFQDN=Y&showExtStatus=Y&showMDCDomainDetails=Y\
                          &showMDCDomainDetails2=Y&showStatusDetails=Y";

/// The lines of an answer, the certificates as one word.
fn lines(answer: &Answer) -> Vec<String> {
    let mut lines = Vec::new();
    let mut within = false;
    for line in text(answer).lines() {
        within |= line.starts_with("-----BEGIN");
        if !within {
            lines.push(line.to_owned());
        } else if line.starts_with("-----END") {
            within = false;
            if lines.last().is_none_or(|last| last != "PEM") {
                lines.push("PEM".into());
            }
        }
    }
    lines
}

fn statuses() -> Vec<String> {
    let mut lines = vec!["csrStatus=1".to_owned(), "dcvStatus=1".to_owned()];
    let others = crate::script::STATUS_KEYS[2..].iter();
    // Of orders with extended validation only.
    let others = others.filter(|key| !["evClickThroughStatus", "brandValStatus"].contains(key));
    lines.extend(others.map(|key| format!("{key}=-1")));
    lines.push("caaStatus=Authorized".into());
    lines
}

#[test]
fn an_issued_order_in_lines() {
    let mut vendor = dated();
    let body = format!("orderNumber=1&queryType=1&{EVERYTHING}");
    let owned = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();

    let page = lines(&post(&mut vendor, SSL, &body));
    let dates = "29/10/2025 28/10/2026";
    let start = owned(&["2", dates, "www.example.com", "PEM", "", "Issued", "Complete"]);
    assert_eq!(page, [start, statuses(), owned(&["1761696000 1793232000"])].concat());

    set_shape(&mut vendor, "early-lines");
    let early = lines(&post(&mut vendor, SSL, &body));
    let start = owned(&["2", dates, "1761696000 1793232000", "www.example.com", "Issued", "Complete"]);
    assert_eq!(early, [start, statuses(), owned(&["PEM"])].concat());

    set_shape(&mut vendor, "split-dates+empty-fqdn+sparse-details");
    let split = lines(&post(&mut vendor, SSL, &body));
    let expected = [
        "2",
        "29/10/2025",
        "28/10/2026",
        "",
        "PEM",
        "",
        "Issued",
        "Complete",
        "csrStatus=1",
        "dcvStatus=1",
        "caaStatus=Authorized",
        "1761696000",
        "1793232000",
    ];
    assert_eq!(split, expected);
}

/// Order 4 with one domain validated, one awaiting the brand's validation, and other details.
fn pending() -> Vendor {
    let mut vendor = vendor();
    let domain = |name: &str, state| Dcv { domain: name.into(), method: None, state };
    let step = Step {
        dcv: vec![domain("a.example", DcvState::Validated), domain("b.example", DcvState::AwaitingBrand)],
        status: [("brandValStatus".to_owned(), 2)].into(),
        caa: Some("Error 17".into()),
        ..Step::default()
    };
    vendor.set_script("4", vec![step]).unwrap();
    vendor
}

#[test]
fn a_pending_order_in_lines() {
    let mut vendor = pending();
    set_shape(&mut vendor, "sparse-details");
    let answer = post(&mut vendor, SSL, &format!("orderNumber=4&queryType=1&{EVERYTHING}"));
    let expected = [
        "0",
        "a.example",
        "Awaiting Validation",
        "Awaiting Brand Validation",
        "a.example VALIDATED, b.example NOTVALIDATED",
        "csrStatus=1",
        "dcvStatus=2",
        "brandValStatus=2",
        "caaStatus=Error 17",
        "a.example VALIDATED, b.example AWAITINGBRAND",
    ];
    assert_eq!(lines(&answer), expected);
}

#[test]
fn a_pending_order_url_encoded() {
    let mut vendor = pending();
    set_shape(&mut vendor, "sparse-details");
    let answer = post(&mut vendor, SSL, &format!("orderNumber=4&queryType=1&responseFormat=1&{EVERYTHING}"));
    assert_eq!(
        text(&answer),
        "errorCode=0&fqdn=a.example&certificateStatus=Awaiting+Validation\
         &validationStatus=Awaiting+Brand+Validation\
         &mdcDomainDetails=a.example+VALIDATED%2C+b.example+NOTVALIDATED\
         &mdcDomainDetails2=a.example+VALIDATED%2C+b.example+AWAITINGBRAND\
         &csrStatus=1&dcvStatus=2&brandValStatus=2&caaStatus=Error+17"
    );
}

#[test]
fn an_issued_order_url_encoded() {
    let mut vendor = dated();
    set_shape(&mut vendor, "ids");
    let answer = post(&mut vendor, SSL, &format!("orderNumber=1&queryType=1&responseFormat=1&{EVERYTHING}"));
    for (key, expected) in [
        ("errorCode", "2"),
        ("orderNumber", "1"),
        ("certificateID", "7000000001"),
        ("notBefore", "1761696000"),
        ("notAfter", "1793231999"),
        ("certificateDuration", "365"),
        ("productTermStartDate", "1761696000"),
        ("productTermEndDate", "1793232000"),
        ("productTermDuration", "365"),
        ("fqdn", "www.example.com"),
        ("certificateStatus", "Issued"),
        ("validationStatus", "Complete"),
        ("dcvStatus", "1"),
        ("caaStatus", "Authorized"),
    ] {
        assert_eq!(value(&answer, key), expected, "{key}");
    }
    assert!(values(&answer, "mdcDomainDetails").is_empty(), "with status 0 only");
    assert!(values(&answer, "errorMessage").is_empty(), "below 0 only");
}

#[test]
fn options_that_are_not_asked_for_are_not_answered() {
    let mut vendor = dated();
    let answer = post(&mut vendor, SSL, "orderNumber=1&queryType=0&responseFormat=1&showFQDN=N");
    assert_eq!(text(&answer), "errorCode=1");
}

#[test]
fn a_replaced_certificate_is_collected_by_its_id() {
    let mut vendor = dated();
    let body = "queryType=2&responseFormat=1&showValidityPeriod=Y";
    let old_id = vendor.book().get("1").unwrap().certificate_id().to_owned();
    vendor.reissue("1", &CertificateSpec::default()).unwrap();
    let new = post(&mut vendor, SSL, &format!("orderNumber=1&{body}"));
    let old = post(&mut vendor, SSL, &format!("certificateID={old_id}&{body}"));
    assert_ne!(value(&new, "certificate"), value(&old, "certificate"));
    assert_eq!(value(&old, "notBefore"), DAY.unix().to_string());
    vendor.revoke("1").unwrap();
    assert_eq!(post(&mut vendor, SSL, &format!("certificateID={old_id}&{body}")).code, Some(-21));
}

#[test]
fn a_family_is_collected_by_its_base_order_number() {
    let mut vendor = dated();
    let mut order = OrderSpec::new(Product::Ssl, "11", &["www.example.com"]);
    order.base_order_number = Some("1".into());
    vendor.put_order(order).unwrap();
    set_shape(&mut vendor, "ids");
    let collect = |vendor: &mut Vendor| {
        value(&post(vendor, SSL, "baseOrderNumber=1&queryType=1&responseFormat=1"), "orderNumber")
    };
    assert_eq!(collect(&mut vendor), "1", "the other one is not issued yet");
    vendor.issue("11", None).unwrap();
    assert_eq!(collect(&mut vendor), "11");
}

#[test]
fn time_moves_a_script() {
    let mut vendor = vendor();
    vendor
        .set_script("1", vec![Step { for_ms: Some(3_600_000), ..Step::default() }, Step::issued()])
        .unwrap();
    let now = crate::now();
    let body = "orderNumber=1&queryType=0";
    assert_eq!(post_at(&mut vendor, SSL, body, now).code, Some(0));
    vendor.advance_clock(std::time::Duration::from_secs(3_601));
    assert_eq!(post_at(&mut vendor, SSL, body, now).code, Some(1));
}

#[test]
fn mark_certificates_have_no_query_type() {
    let mut vendor = vendor();
    vendor.set_script("2", vec![Step::pending(1), Step::available(1), Step::issued()]).unwrap();
    assert_eq!(text(&post(&mut vendor, MC, "orderNumber=2")), "0\n");
    assert_eq!(text(&post(&mut vendor, MC, "ORDERNUMBER=2&RESPONSETYPE=2&RESPONSEENCODING=1")), "1\n");
    let answer = post(&mut vendor, MC, "orderNumber=2");
    assert_eq!(lines(&answer), ["2", "PEM"]);
    set_shape(&mut vendor, "no-status-line+crlf");
    let answer = post(&mut vendor, "/products/!CollectMC", "orderNumber=2");
    assert!(text(&answer).starts_with("-----BEGIN CERTIFICATE-----\r\n"));
    assert_eq!((answer.code, text(&answer).matches("-----BEGIN").count()), (Some(2), 3));
}

#[test]
fn errors_of_mark_certificates_come_in_two_forms() {
    let mut vendor = vendor();
    assert_eq!(text(&post(&mut vendor, MC, "")), "-3\nThe 'orderNumber' argument is missing!\n");
    set_shape(&mut vendor, "form-errors");
    assert_eq!(
        text(&post(&mut vendor, MC, "")),
        "errorCode=-3&errorMessage=The+%27orderNumber%27+argument+is+missing%21&errorDetail=orderNumber"
    );
}

#[test]
fn smime_certificates_come_in_lines_only() {
    let mut vendor = vendor();
    let answer = post(&mut vendor, SMIME, "orderNumber=3&queryType=1&showValidityPeriod=Y");
    let lines = lines(&answer);
    assert_eq!((lines.len(), lines[0].as_str(), lines[2].as_str()), (3, "2", "PEM"), "{lines:?}");
    assert_eq!(post(&mut vendor, SMIME, "orderNumber=3&queryType=1&responseFormat=1").code, Some(-2));
    assert_eq!(text(&post(&mut vendor, SMIME, "orderNumber=3&queryType=0")), "1\n");
}

#[test]
fn an_order_can_have_a_shape_of_its_own() {
    let mut vendor = vendor();
    let mut order = OrderSpec::new(Product::Ssl, "1", &["www.example.com"]);
    order.shape = Some("crlf".into());
    vendor.put_order(order).unwrap();
    assert_eq!(text(&post(&mut vendor, SSL, "orderNumber=1&queryType=0")), "1\r\n");
    assert_eq!(text(&post(&mut vendor, SSL, "orderNumber=4&queryType=0")), "0\n");
}

#[test]
fn a_text_body_can_be_dressed() {
    let mut vendor = vendor();
    set_shape(&mut vendor, "bom+newline-tail");
    assert_eq!(text(&post(&mut vendor, SSL, "orderNumber=1&queryType=0")), "\u{feff}1\n\n\n");
    set_shape(&mut vendor, "junk-tail");
    assert_eq!(text(&post(&mut vendor, SSL, "orderNumber=1&queryType=0")), "1\n\n<!-- 17 ms -->\n");
}
