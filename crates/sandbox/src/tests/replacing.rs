//! GetMDCDomainDetails, AutoReplaceSMIME and ResendCollectionEmailSMIME.

use super::*;
use crate::{Dcv, DcvState, DialSettings};
use serde_json::{Value, json};

/// The order of the first sample error (which is none) on the GetMDCDomainDetails page.
fn sampled() -> Vendor {
    let mut vendor = vendor();
    let domain =
        |name: &str, method: &str, state| Dcv { domain: name.into(), method: Some(method.into()), state };
    let status = [
        ("organizationValidationStatus", 1),
        ("evClickThroughStatus", 0),
        ("evLegalExistence", 0),
        ("evAssumedName", 0),
        ("evPhysicalExistence", 0),
        ("evOperationalExistence", 0),
        ("evSignerApproverRequester", 0),
        ("evSignerSecondApproval", 0),
    ];
    let step = Step {
        dcv: vec![
            domain("example.com", "admin@example.com", DcvState::Validated),
            domain("www.example.com", "CNAME_CSR_HASH", DcvState::InProgress),
        ],
        status: status.map(|(key, value)| (key.to_owned(), value)).into(),
        ..Step::default()
    };
    vendor.set_script("4", vec![step]).unwrap();
    vendor
}

#[test]
fn domain_details_are_those_of_the_sample() {
    let mut vendor = sampled();
    let answer = post(&mut vendor, DETAILS, "orderNumber=4&showStatusDetails=Y");
    assert_eq!(
        text(&answer),
        "errorCode=0&1_domainName=example.com&1_dcvMethod=admin%40example.com&1_dcvStatus=Validated\
         &2_domainName=www.example.com&2_dcvMethod=CNAME_CSR_HASH&2_dcvStatus=In+progress\
         &csrStatus=1&dcvStatusCode=2&ovCallBackStatus=-1&organizationValidationStatus=1&freeDVUPStatus=-1\
         &evClickThroughStatus=0&evLegalExistence=0&evAssumedName=0&evPhysicalExistence=0\
         &evOperationalExistence=0&evSignerApproverRequester=0&evSignerSecondApproval=0"
    );
    assert_eq!(vendor.book().get("4").unwrap().polls, 0, "this is no poll");
}

#[test]
fn domain_details_in_json_are_flat_or_nested() {
    let mut vendor = sampled();
    let body = "orderNumber=4&responseFormat=2";
    let answer = post(&mut vendor, DETAILS, body);
    assert_eq!(answer.content_type, "application/json");
    let flat: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((&flat["errorCode"], &flat["2_dcvStatus"]), (&json!(0), &json!("In progress")));
    set_shape(&mut vendor, "json-nested");
    let nested: Value = serde_json::from_slice(&post(&mut vendor, DETAILS, body).body).unwrap();
    assert_eq!(nested["domains"][1]["domainName"], "www.example.com");
    assert_eq!(nested.get("csrStatus"), None, "not asked for");
}

fn csr() -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    rcgen::CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap()
}

fn replace_body(csr: &str, rest: &str) -> String {
    let csr: String = form_urlencoded::byte_serialize(csr.as_bytes()).collect();
    format!("orderNumber=3&csr={csr}{rest}")
}

#[test]
fn a_replacement_is_a_new_order_for_the_new_key() {
    let mut vendor = vendor();
    let csr = csr();
    let answer = post(&mut vendor, REPLACE, &replace_body(&csr, ""));
    assert_eq!(text(&answer), "0\n900000001\n");
    assert_eq!(text(&post(&mut vendor, SMIME, "orderNumber=900000001&queryType=0")), "0\n");
    let collected = post(&mut vendor, SMIME, "orderNumber=900000001&queryType=2");
    let pem = text(&collected).strip_prefix("2\n").unwrap().to_owned();
    if let Some(public) = openssl_reads(&["req", "-noout", "-pubkey"], csr.as_bytes()) {
        assert_eq!(openssl_reads(&["x509", "-noout", "-pubkey"], pem.as_bytes()).unwrap(), public);
    }
    assert_eq!(post(&mut vendor, SMIME, "orderNumber=3&queryType=0").code, Some(1), "the old one lives");
}

#[test]
fn a_replacement_is_answered_in_three_formats_and_made_each_time() {
    let mut vendor = vendor();
    let csr = csr();
    let answer = post(&mut vendor, REPLACE, &replace_body(&csr, "&responseFormat=1"));
    assert_eq!(text(&answer), "errorCode=0&orderNumber=900000001");
    let answer = post(&mut vendor, REPLACE, &replace_body(&csr, "&responseFormat=2&REVOKEOLDORDER=Y"));
    let value: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(value, json!({ "errorCode": 0, "orderNumber": "900000002" }));
    assert_eq!(post(&mut vendor, SMIME, "orderNumber=3&queryType=0").code, Some(-21));
    let again = post(&mut vendor, REPLACE, &replace_body(&csr, "&responseFormat=2"));
    let value: Value = serde_json::from_slice(&again.body).unwrap();
    assert_eq!(value["errorCode"], -21, "a revoked order cannot be replaced");
}

#[test]
fn a_replacement_may_not_tell_its_number() {
    let mut vendor = vendor();
    for (shape, format, expected) in [
        ("no-new-number", 0, "0\n"),
        ("no-new-number", 1, "errorCode=0"),
        ("no-new-number+json-flat", 2, "{\n  \"errorCode\": 0\n}"),
        ("json-nested", 2, "{\n  \"errorCode\": 0,\n  \"orderNumber\": 900000004\n}"),
    ] {
        set_shape(&mut vendor, shape);
        let answer = post(&mut vendor, REPLACE, &replace_body(&csr(), &format!("&responseFormat={format}")));
        assert_eq!(text(&answer), expected);
    }
}

#[test]
fn armour_around_a_csr_is_optional() {
    let mut vendor = vendor();
    let csr = csr();
    let bare: String = csr.lines().filter(|line| !line.starts_with("-----")).collect();
    assert_eq!(post(&mut vendor, REPLACE, &replace_body(&bare, "")).code, Some(0));
    assert_eq!(post(&mut vendor, SMIME, "orderNumber=900000001&queryType=0").code, Some(0));
    assert_eq!(post(&mut vendor, SMIME, "orderNumber=900000001&queryType=1").code, Some(2));
}

#[test]
fn what_cannot_be_replaced_is_refused() {
    let mut vendor = vendor();
    let code = |vendor: &mut Vendor, csr: &str, rest: &str| {
        post(vendor, REPLACE, &replace_body(csr, rest)).code.unwrap()
    };
    let good = csr();
    assert_eq!(code(&mut vendor, "garbage", ""), -4);
    assert_eq!(code(&mut vendor, &"A".repeat(32_768), ""), -4);
    assert_eq!(code(&mut vendor, &good, "&signatureHash=SHA-2"), -4);
    assert_eq!(code(&mut vendor, &good, "&caCertificateID=7"), -91);
    assert_eq!(code(&mut vendor, &good, "&language=en"), -2);
    let extra = Some(vec!["language".into()]);
    vendor.set_dials(DialSettings { extra_arguments: extra, ..Default::default() }).unwrap();
    assert_eq!(code(&mut vendor, &good, "&LANGUAGE=en&signatureHash=REQUIRE_SHA2"), 0);
    let mut account = AccountSpec::new("demo", "Secret");
    account.ca_agreement = true;
    vendor.accounts.put(account).unwrap();
    assert_eq!(code(&mut vendor, &good, "&caCertificateID=7"), 0);
    for (script, expected) in
        [(Step::default(), -122), (Step::error(-26), -26), (Step::error(-20), -122), (Step::error(-42), -42)]
    {
        vendor.set_script("3", vec![script]).unwrap();
        assert_eq!(code(&mut vendor, &good, ""), expected);
    }
}

#[test]
fn a_small_key_is_refused() {
    let arguments =
        ["req", "-new", "-newkey", "rsa:1024", "-nodes", "-keyout", "/dev/null", "-subj", "/CN=x"];
    // Some builds refuse to make such keys; then there is nothing to show.
    let Some((true, text)) = openssl(&arguments, b"") else { return };
    let csr = &text[text.find("-----BEGIN CERTIFICATE REQUEST").unwrap()..];
    let end = csr.find("-----END CERTIFICATE REQUEST-----").unwrap() + 33;
    assert_eq!(post(&mut vendor(), REPLACE, &replace_body(&csr[..end], "")).code, Some(-13));
}

#[test]
fn the_collection_mail_goes_out_when_issued() {
    let mut vendor = vendor();
    assert_eq!(text(&post(&mut vendor, RESEND, "orderNumber=3")), "0\n");
    for (step, expected) in [
        (Step::default(), "-125\nThe Certificate is not issued yet.\n"),
        (Step::error(-21), "-122\nThe Certificate is in wrong state.\n"),
    ] {
        vendor.set_script("3", vec![step]).unwrap();
        assert_eq!(text(&post(&mut vendor, RESEND, "orderNumber=3")), expected);
    }
    for (code, words) in
        [(-123, "The agreement was not passed."), (-124, "The Certificate has actions not yet completed.")]
    {
        let mut order = OrderSpec::new(Product::Smime, "3", &["user@example.com"]);
        order.resend_code = Some(code);
        vendor.put_order(order).unwrap();
        assert_eq!(text(&post(&mut vendor, RESEND, "orderNumber=3")), format!("{code}\n{words}\n"));
    }
}
