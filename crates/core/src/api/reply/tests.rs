use super::*;

fn answer(status: u16, body: &[u8]) -> Answer {
    Answer { status, content_type: None, retry_after: None, date: None, body: Bytes::copy_from_slice(body) }
}

fn ok(body: &str) -> Reply {
    decode(Endpoint::CollectSsl, &answer(200, body.as_bytes())).expect(body)
}

fn check_code(body: &str, code: i32, message: Option<&str>) {
    for endpoint in [Endpoint::CollectSsl, Endpoint::CollectMc, Endpoint::CollectSmime] {
        let reply = decode(endpoint, &answer(200, body.as_bytes())).expect(body);
        assert_eq!(reply.code, code, "{body:?}");
        assert_eq!(reply.message.as_ref().map(Untrusted::as_str), message, "{body:?}");
    }
}

fn check_unreadable(body: &[u8], expected: &str) {
    for endpoint in [Endpoint::CollectSsl, Endpoint::CollectMc, Endpoint::CollectSmime] {
        let error = decode(endpoint, &answer(200, body)).expect_err("unreadable");
        assert!(error.to_string().contains(expected), "{error} / {expected}");
    }
}

#[test]
fn codes_in_every_form() {
    check_code("0", 0, None);
    check_code("0\n", 0, None);
    check_code("\u{feff}0\r\n", 0, None);
    check_code("\r\n0\r\n", 0, None);
    check_code(
        "-20\nThe certificate request has been rejected!",
        -20,
        Some("The certificate request has been rejected!"),
    );
    check_code("-20\r\nRejected!\r\n", -20, Some("Rejected!"));
    check_code("errorCode=0", 0, None);
    check_code(
        "errorCode=-3&errorMessage=The+%27x%27+argument+is+missing%21",
        -3,
        Some("The 'x' argument is missing!"),
    );
    check_code("ERRORCODE=-3&errormessage=m&errorDetail=d", -3, Some("m"));
    check_code("&errorMessage=late&\nerrorCode=-14&", -14, Some("late"));
    check_code(
        r#"{"error":{"code":-16,"description":"Incorrect login details","item":"loginName"}}"#,
        -16,
        Some("Incorrect login details"),
    );
    check_code(r#"{"errorCode":"-2","errorMessage":"x"}"#, -2, Some("x"));
}

#[test]
fn what_is_no_answer_is_never_a_code() {
    check_unreadable(b"", "empty");
    check_unreadable(b" \r\n\t", "empty");
    check_unreadable(b"<html>-16</html>", "web page");
    check_unreadable(b"\n\n<!DOCTYPE html>\n2\n", "web page");
    check_unreadable(b"Internal Server Error", "documented forms");
    check_unreadable(b"2 certificates", "documented forms");
    check_unreadable(b"--16", "documented forms");
    check_unreadable(b"999999999999", "documented forms");
    check_unreadable(b"2.0", "documented forms");
    check_unreadable(b"{\"a\":", "documented forms");
    check_unreadable(b"{}", "code");
    check_unreadable(b"errorCode=", "code");
    check_unreadable(b"errorCode=two", "code");
    check_unreadable(b"errorCode=2&errorCode=-4", "two codes");
    check_unreadable(&[0xff; 40], "documented forms");
}

#[test]
fn http_status_decides_what_counts() {
    let decode = |status, body: &str| decode(Endpoint::CollectSsl, &answer(status, body.as_bytes()));
    assert_eq!(decode(302, "0"), Err(Unreadable::Redirect(302)));
    for body in ["-14", "0", "2\n-----BEGIN"] {
        assert_eq!(decode(500, body), Err(Unreadable::Http(500)));
    }
    assert_eq!(decode(500, "errorCode=-16&errorMessage=Incorrect+login").map(|reply| reply.code), Ok(-16));
    for body in ["errorCode=2&errorCode=-16", "errorCode=-16&errorCode=0"] {
        assert_eq!(decode(200, body).map(|reply| reply.code), Ok(-16));
    }
    // A refused login is one whatever carries it, and whichever code says so.
    for status in [101, 302, 307, 399, 503, 999] {
        for body in ["-16\nLogin", "errorCode=-3&errorMessage=Invalid+value&errorItem=loginPassword"] {
            assert!(decode(status, body).is_ok(), "{status} {body}");
        }
    }
    assert_eq!(decode(307, "errorCode=-4&errorItem=orderNumber"), Err(Unreadable::Redirect(307)));
    assert_eq!(decode(404, "<html>"), Err(Unreadable::Http(404)));
    assert_eq!(decode(403, "2"), Err(Unreadable::Http(403)));
    assert_eq!(decode(401, "-16\nLogin").map(|reply| reply.code), Ok(-16));
}

#[test]
fn the_url_encoded_form_keeps_what_was_said() {
    let reply = ok("errorCode=0&orderNumber=12&certificateID=34&fqdn=&certificateStatus=Awaiting+Validation\
        &validationStatus=Complete&productTermStartDate=1761696000&productTermEndDate=1793232000\
        &mdcDomainDetails=a.example.com+VALIDATED%2C+b.example.com+NOTVALIDATED\
        &mdcDomainDetails2=b.example.com+AWAITINGBRAND&csrStatus=1&dcvStatus=2&ovCallbackStatus=-1\
        &caaStatus=Awaiting+Completion&notBefore=1&newKey=new+value");
    assert_eq!(reply.order_number.as_deref(), Some("12"));
    assert_eq!(reply.certificate_id.as_deref(), Some("34"));
    let details = &reply.details;
    assert_eq!(details.fqdn, None);
    assert_eq!(details.certificate_status.as_ref().unwrap().as_str(), "Awaiting Validation");
    assert_eq!(details.term_end, Some(1_793_232_000));
    let domains: Vec<String> =
        details.domains.iter().map(|(name, state)| format!("{name}={state}")).collect();
    assert_eq!(domains, ["a.example.com=VALIDATED", "b.example.com=AWAITINGBRAND"]);
    assert_eq!(details.statuses, [("csrStatus", 1), ("dcvStatus", 2), ("ovCallBackStatus", -1)]);
    assert_eq!(details.caa.as_ref().unwrap().as_str(), "Awaiting Completion");
    assert_eq!(details.others.len(), 1);
}

#[test]
fn certificate_values_may_be_encoded_twice() {
    let part = |value: &str| {
        let reply = ok(&format!("errorCode=2&certificate={value}"));
        String::from_utf8(reply.parts[0].to_vec()).unwrap()
    };
    let twice = |text: &str| {
        let once: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
        form_urlencoded::byte_serialize(once.as_bytes()).collect::<String>()
    };
    for text in
        ["MIIB+/==", "MIIB+\r\nabc/", "-----BEGIN CERTIFICATE-----\nMIIB+/==\n-----END CERTIFICATE-----\n"]
    {
        assert_eq!(part(&twice(text)), text);
    }
    assert_eq!(part("MIIB%2B%2F%3D%3D"), "MIIB+/==");
    // Not an encoding, but someone's words.
    for text in ["100%25+sure", "%25", "%25zz", "%2541%25"] {
        assert!(part(text).contains('%'), "{text}");
    }
}

#[test]
fn bare_base64_is_certificates_where_they_are_collected() {
    let base64 = "MIICWjCCAgGgAwIBAgIUVENaRQ0WyPOdHsSJ2XNkvWMFEKQwCgYIKoZIzj0EAwIw";
    for body in [
        base64.to_owned(),
        format!("{base64}\r\n{base64}\r\nMA==\r\n"),
        format!("\n{}", base64.replace("MIIC", "MIAG")),
        base64.replace("MIICW", "UEsDB"),
        base64.replace("MIICWj", "LS0tLS"),
    ] {
        for endpoint in [Endpoint::CollectMc, Endpoint::CollectSsl, Endpoint::CollectSmime] {
            let reply = decode(endpoint, &answer(200, body.as_bytes())).expect(&body);
            assert_eq!((reply.code, reply.parts.len()), (2, 1), "{body}");
        }
        assert!(decode(Endpoint::DomainDetails, &answer(200, body.as_bytes())).is_err(), "{body}");
        assert!(decode(Endpoint::CollectMc, &answer(500, body.as_bytes())).is_err(), "{body}");
    }
    check_unreadable(b"MIIC", "documented forms");
    check_unreadable(format!("{base64} and more!").as_bytes(), "documented forms");
    check_unreadable(b"Maintenance is under way at present and will be over in a while", "documented forms");
}

#[test]
fn domain_details_may_be_encoded_twice() {
    let reply = ok("errorCode=0&mdcDomainDetails=a.example%2BVALIDATED%252C%2Bb.example%2BNOTVALIDATED");
    let domains: Vec<String> =
        reply.details.domains.iter().map(|(name, state)| format!("{name}={state}")).collect();
    assert_eq!(domains, ["a.example=VALIDATED", "b.example=NOTVALIDATED"]);
}

fn domains(body: &str) -> Vec<String> {
    let reply = decode(Endpoint::DomainDetails, &answer(200, body.as_bytes())).expect(body);
    let show = |text: &Option<Untrusted>| text.as_ref().map_or("-", Untrusted::as_str).to_owned();
    reply
        .details
        .dcv
        .iter()
        .map(|dcv| format!("{} {} {}", dcv.domain, show(&dcv.method), show(&dcv.status)))
        .collect()
}

#[test]
fn domain_details_in_both_forms() {
    // The vendor's own sample breaks its lines between pairs.
    let form = "errorCode=0&\n2_domainName=www.example.com&\n2_dcvMethod=CNAME_CSR_HASH&\n2_dcvStatus=In+progress&\n\
        1_domainName=example.com&\n1_dcvStatus=Validated&\ndcvStatusCode=2&3_dcvStatus=Validated&_domainName=x";
    let expected = ["example.com - Validated", "www.example.com CNAME_CSR_HASH In progress"];
    assert_eq!(domains(form), expected);
    let flat = r#"{"errorCode":0,"1_domainName":"example.com","1_dcvStatus":"Validated",
        "2_domainName":"www.example.com","2_dcvMethod":"CNAME_CSR_HASH","2_dcvStatus":"In progress"}"#;
    assert_eq!(domains(flat), expected);
    let list = r#"{"errorCode":0,"domains":[{"domainName":"example.com","dcvMethod":null,"dcvStatus":"Validated"},
        {"DomainName":"www.example.com","dcvMethod":"CNAME_CSR_HASH","dcvStatus":"In progress"},{"other":1},7]}"#;
    assert_eq!(domains(list), expected);
}

#[test]
fn not_validated_is_not_validated() {
    for (state, expected) in [
        ("Validated", true),
        ("VALIDATED", true),
        ("NOTVALIDATED", false),
        ("Not Validated", false),
        ("", false),
    ] {
        assert_eq!(is_validated(state), expected, "{state}");
    }
}

#[test]
fn repeated_certificate_values_are_all_kept() {
    let reply = ok("caCertificate=AAA%3D&errorCode=2&caCertificate=BBB+C&certificate=CCC&certificate=");
    let parts: Vec<&[u8]> = reply.parts.iter().map(|part| &part[..]).collect();
    assert_eq!(parts, [&b"AAA="[..], b"BBB C", b"CCC"]);
}

#[test]
fn optional_lines_are_told_by_their_form_in_any_order() {
    let armour = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    let one = ok(&format!(
        "2\n14/05/2013 13/05/2014\n1761696000 1793232000\nwww.example.com\nIssued\nComplete\n{armour}{armour}"
    ));
    let other = ok(&format!(
        "2\r\n{armour}{armour}\r\nComplete\r\nIssued\r\nwww.example.com\r\n1761696000 1793232000\r\n14/05/2013 13/05/2014"
    ));
    for reply in [one, other] {
        assert_eq!(reply.code, 2);
        assert_eq!(reply.parts.len(), 1);
        assert_eq!(reply.parts[0].windows(5).filter(|word| word == b"BEGIN").count(), 2);
        assert_eq!(reply.details.fqdn.as_ref().unwrap().as_str(), "www.example.com");
        assert_eq!(reply.details.certificate_status.as_ref().unwrap().as_str(), "Issued");
        assert_eq!(reply.details.validation_status.as_ref().unwrap().as_str(), "Complete");
        assert_eq!(reply.details.term_start, Some(1_761_696_000));
    }
    let pending = ok("0\ndomain1.com VALIDATED, domain2.com NOTVALIDATED\nAwaiting Validation");
    assert_eq!(pending.details.domains.len(), 2);
    assert!(pending.parts.is_empty());
}

#[test]
fn bare_structures_count_as_attached() {
    let armour = b"----- BEGIN CERTIFICATE -----\nMIIB\n---- END CERTIFICATE -----\n";
    for body in [&b"\x30\x82\x01\x00\x06"[..], b"\x30\x80\x06\x09\x2a", b"PK\x03\x04zip", armour] {
        let reply = decode(Endpoint::CollectMc, &answer(200, body)).unwrap();
        assert_eq!((reply.code, reply.parts.len()), (2, 1));
    }
    // An error code that begins with the same byte as DER stays a code.
    assert_eq!(ok("0\nwww.example.com\nAwaiting Validation\n").code, 0);
}

#[test]
fn base64_and_binary_after_a_status_line_are_parts() {
    let blob = "MIIBszCCARwCAQEwDQYJKoZIhvcNAQEFBQAwHTEbMBkGA1UE";
    let reply = ok(&format!("2\n{blob}\n{blob}\nAA==\nIssued\nComplete\n"));
    assert_eq!(reply.parts.len(), 1);
    assert!(reply.parts[0].ends_with(b"AA==\n"));
    assert_eq!(reply.details.certificate_status.as_ref().unwrap().as_str(), "Issued");
    let reply = decode(Endpoint::CollectMc, &answer(200, b"2\n\x30\x82\x01\x00\x06\x0a\x0d")).unwrap();
    assert_eq!(&reply.parts[0][..], b"\x30\x82\x01\x00\x06\x0a\x0d");
}

#[test]
fn base64_in_lines_keeps_its_short_last_line_whatever_ends_a_line() {
    let long = "MIIC".repeat(16);
    for end in ["\n", "\r\n", "\r"] {
        for blank in ["", end] {
            let data = [&long, &long, "TUlJQw"].join(&format!("{end}{blank}"));
            let reply = ok(&format!("2{end}Issued{end}{data}{end}{end}Complete{end}"));
            assert_eq!(reply.parts.len(), 1, "{end:?}");
            assert_eq!(reply.parts[0].trim_ascii_end(), data.as_bytes(), "{end:?}");
            assert!(reply.details.others.is_empty(), "{end:?} {:?}", reply.details.others);
            assert!(reply.details.validation_status.is_some(), "{end:?}");
        }
    }
}

#[test]
fn bounded_however_long_the_answer() {
    let many = "a=b&".repeat(5000) + "errorCode=0";
    assert!(matches!(
        decode(Endpoint::CollectSsl, &answer(200, many.as_bytes())),
        Err(Unreadable::TooMany(_) | Unreadable::Form(_))
    ));
    let talk = "0\n".to_owned() + &"words and words\n".repeat(5000);
    assert_eq!(decode(Endpoint::CollectSsl, &answer(200, talk.as_bytes())), Err(Unreadable::TooMany(1000)));
}

proptest::proptest! {
    #[test]
    fn no_input_panics(body in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..400), status in 100u16..600) {
        for endpoint in [Endpoint::CollectSsl, Endpoint::CollectMc, Endpoint::DomainDetails, Endpoint::ReplaceSmime] {
            let _ = decode(endpoint, &answer(status, &body));
        }
    }
}
