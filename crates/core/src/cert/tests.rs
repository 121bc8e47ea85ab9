//! Fields, oddities and refusals of single certificates.

use rcgen::CustomExtension;

use super::fixtures::{NOW, certificate, entity, file};
use super::*;

#[test]
fn reads_the_fields() {
    let leaf = certificate("leaf");
    let inter = certificate("inter");
    assert_eq!(leaf.subject_text(), "CN=www.example.com,O=Fixture Inc,C=XX");
    assert_eq!(leaf.issuer_text(), "CN=Fixture Issuing CA,O=Fixture Inc,C=XX");
    assert_eq!(leaf.issuer(), inter.subject());
    assert!(leaf.not_before() < NOW && leaf.not_after() > NOW);
    assert_eq!(leaf.not_after() - leaf.not_before(), 36_500 * 86_400);
    assert_eq!(leaf.extended_key_usages(), ["1.3.6.1.5.5.7.3.1"]);
    assert_eq!(leaf.authority_key_id(), inter.subject_key_id());
    assert!(leaf.authority_key_id().is_some());
    assert!(!leaf.is_ca() && !leaf.is_self_issued());
    assert!(inter.is_ca() && !inter.is_self_issued());
    assert!(certificate("root").is_ca() && certificate("root").is_self_issued());
    assert_eq!(inter.path_len(), Some(0));
    // The key is a whole SubjectPublicKeyInfo.
    assert_eq!(leaf.spki()[..2], [0x30, 0x59]);
    assert_eq!(leaf.der(), file("leaf.der"));
}

#[test]
fn names_of_odd_types_are_left_out() {
    let names: Vec<_> = certificate("leaf").names().iter().map(ToString::to_string).collect();
    let expected = [
        "www.example.com",
        "*.example.org",
        "192.0.2.7",
        "2001:db8::7",
        "ops@example.com",
        "https://example.com/x",
    ];
    assert_eq!(names, expected);
    assert!(certificate("root").names().is_empty());
}

#[test]
fn reads_what_strict_readers_refuse() {
    assert_eq!(certificate("serial21").serial_hex(), "0102030405060708090a0b0c0d0e0f101112131415");
    assert_eq!(certificate("mark").extended_key_usages(), ["1.3.6.1.5.5.7.3.31"]);
    let v1 = certificate("v1");
    assert!(v1.is_ca() && v1.names().is_empty() && v1.subject_key_id().is_none());
    // Version 3 says what is a CA.
    let subject = entity("x");
    assert!(!subject.issue(&subject, |params| params.is_ca = rcgen::IsCa::NoCa).is_ca());
    for name in ["pss", "rsa1024", "by-sha1", "p521", "ed25519"] {
        assert!(!certificate(name).spki().is_empty());
    }
}

#[test]
fn serial_numbers_have_no_padding() {
    let check = |serial: &[u8], expected: &str| {
        let subject = entity("x");
        let serial = rcgen::SerialNumber::from_slice(serial);
        let made = subject.issue(&subject, |params| params.serial_number = Some(serial));
        assert_eq!(made.serial_hex(), expected);
    };
    check(&[0x00, 0x80, 0x01], "8001");
    check(&[0x0a], "0a");
    check(&[0x00], "00");
}

#[test]
fn an_absurd_serial_number_is_not_shown_whole() {
    let text = |octets: usize| {
        let subject = entity("x");
        let serial = rcgen::SerialNumber::from_slice(&vec![0x5a; octets]);
        subject.issue(&subject, |params| params.serial_number = Some(serial)).serial_text()
    };
    assert_eq!(text(64), "5a".repeat(64));
    assert_eq!(text(64 * 1024), format!("{}... (65536 octets)", "5a".repeat(20)));
}

#[test]
fn says_why_not() {
    let der = certificate("leaf").der().to_vec();
    let check = |bytes: &[u8], expected: CertError| assert_eq!(Certificate::from_der(bytes), Err(expected));
    check(&[], CertError::Malformed);
    check(&der[..der.len() - 1], CertError::Malformed);
    check(&[&der[..], b"\n"].concat(), CertError::Trailing);
    check(file("leaf.csr.der"), CertError::Malformed);
    check(&[&[0x70], &der[1..]].concat(), CertError::Malformed);
    let longer = der.len() - 4 + 2;
    let extra = [&[0x30, 0x82, (longer >> 8) as u8, longer as u8], &der[4..], &[5, 0]].concat();
    check(&extra, CertError::Malformed);

    let subject = entity("x");
    let with = |oid: &[u64], content: &[u8]| {
        let extension = CustomExtension::from_oid_content(oid, content.to_vec());
        subject.der(&subject, |params| params.custom_extensions.push(extension))
    };
    check(&with(&[2, 5, 29, 19], &[0x30, 0]), CertError::Twice("basicConstraints"));
    check(&with(&[2, 5, 29, 19], &[0x04, 0]), CertError::Extension("basicConstraints"));
    check(&with(&[2, 5, 29, 37], &[0x04, 0]), CertError::Extension("extendedKeyUsage"));
    // Unreadable names are no names.
    assert!(Certificate::from_der(&with(&[2, 5, 29, 17], &[0x04, 0])).unwrap().names().is_empty());
}

#[test]
fn writes_pem_that_reads_back() {
    let bundle = ["leaf", "inter", "root"].map(|name| certificate(name).to_pem()).concat();
    assert_eq!(bundle.as_bytes(), file("bundle.pem"));
}

#[test]
fn fingerprints_read_back() {
    let fingerprint = certificate("leaf").fingerprint();
    let text = fingerprint.to_string();
    assert_eq!(text.len(), 64);
    assert_eq!(text[..8], fingerprint.short());
    assert_eq!(Fingerprint::from_hex(&text), Some(fingerprint));
    assert_eq!(Fingerprint::from_hex(&text.to_uppercase()), Some(fingerprint));
    assert_eq!(Fingerprint::from_bytes(*fingerprint.as_bytes()), fingerprint);
    for odd in ["", "00", &text[1..], &format!("{text}0"), &format!("+{}", &text[1..])] {
        assert_eq!(Fingerprint::from_hex(odd), None);
    }
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(Fingerprint::of(b"").to_string(), empty);
}

#[test]
fn shows_itself_shortly() {
    let leaf = certificate("leaf");
    let shown = format!("{leaf:?}");
    assert_eq!(
        shown,
        format!("Certificate(CN=www.example.com,O=Fixture Inc,C=XX, {})", leaf.fingerprint().short())
    );
}
