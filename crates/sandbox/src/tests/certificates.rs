//! What is issued: good certificates verify, deliberately wrong ones fail as they should.

use super::*;
use crate::der::pem;
use crate::orders::Certificate;
use crate::{CertificateSpec, Flaw, KeyType};
use x509_parser::prelude::X509Certificate;

fn issue(vendor: &mut Vendor, order: &str, spec: CertificateSpec) -> Certificate {
    if vendor.book().get(order).unwrap().certificates.is_empty() {
        vendor.issue(order, Some(spec)).unwrap()
    } else {
        vendor.reissue(order, &spec).unwrap()
    }
}

fn flawed(flaw: Flaw) -> CertificateSpec {
    CertificateSpec { flaws: vec![flaw], ..CertificateSpec::default() }
}

/// `openssl verify` of a leaf against its own root; what it wrote.
fn verify(certificate: &Certificate, purpose: &str) -> Option<(bool, String)> {
    let files = Files::new();
    let issued = &certificate.issued;
    let text = |der: &[u8]| pem("CERTIFICATE", der, "\n");
    let leaf = files.write("leaf.pem", text(&issued.der));
    let root = files.write("root.pem", text(&issued.chain.root.der));
    let mut arguments = vec!["verify", "-x509_strict", "-no-CApath", "-no-CAstore", "-CAfile", &root];
    let above = issued.chain.intermediate.as_ref().map(|ca| files.write("above.pem", text(&ca.der)));
    if let Some(above) = &above {
        arguments.extend(["-untrusted", above]);
    }
    arguments.extend(["-purpose", purpose, &leaf]);
    openssl(&arguments, b"")
}

fn parsed(certificate: &Certificate) -> X509Certificate<'_> {
    x509_parser::parse_x509_certificate(&certificate.issued.der).unwrap().1
}

#[test]
fn good_certificates_verify() {
    let mut vendor = vendor();
    for (order, purpose) in [("1", "sslserver"), ("2", "any"), ("3", "smimesign")] {
        let certificate = issue(&mut vendor, order, CertificateSpec::default());
        let Some((content, text)) = verify(&certificate, purpose) else { return };
        assert!(content, "{order}: {text}");
    }
}

#[test]
fn the_twin_leads_to_the_older_root() {
    let mut vendor = vendor();
    let certificate = issue(&mut vendor, "1", CertificateSpec::default());
    let chain = &certificate.issued.chain;
    let (twin, legacy) = chain.twin.as_ref().unwrap();
    let files = Files::new();
    let text = |der: &[u8]| pem("CERTIFICATE", der, "\n");
    let above = text(&chain.intermediate.as_ref().unwrap().der) + &text(&twin.der);
    let paths = [
        files.write("leaf.pem", text(&certificate.issued.der)),
        files.write("legacy.pem", text(&legacy.der)),
        files.write("above.pem", above),
    ];
    let arguments =
        ["verify", "-no-CApath", "-no-CAstore", "-CAfile", &paths[1], "-untrusted", &paths[2], &paths[0]];
    openssl_reads(&arguments, b"");
    let (_, root) = x509_parser::parse_x509_certificate(&chain.root.der).unwrap();
    let (_, twin) = x509_parser::parse_x509_certificate(&twin.der).unwrap();
    assert_eq!((root.subject(), root.public_key().raw), (twin.subject(), twin.public_key().raw));
    assert_ne!(root.issuer(), twin.issuer());
}

#[test]
fn each_flaw_is_the_one_it_says() {
    for (flaw, verdict) in [
        (Flaw::Expired, "certificate has expired"),
        (Flaw::NotYetValid, "certificate is not yet valid"),
        (Flaw::MissingIntermediate, "unable to get local issuer certificate"),
        (Flaw::WrongSignature, "certificate signature failure"),
    ] {
        let certificate = issue(&mut vendor(), "1", flawed(flaw));
        let Some((content, text)) = verify(&certificate, "sslserver") else { return };
        assert!(!content && text.contains(verdict), "{flaw:?}: {text}");
    }
    let names = |flaw| {
        let certificate = issue(&mut vendor(), "1", flawed(flaw));
        let parsed = parsed(&certificate);
        let names = parsed.subject_alternative_name().unwrap();
        names.map(|names| names.value.general_names.len())
    };
    assert_eq!(
        (names(Flaw::MissingName), names(Flaw::NoSan), names(Flaw::LeafIsCa)),
        (Some(1), None, Some(2))
    );
    assert!(parsed(&issue(&mut vendor(), "1", flawed(Flaw::LeafIsCa))).is_ca());
    assert!(!parsed(&issue(&mut vendor(), "1", CertificateSpec::default())).is_ca());
}

#[test]
fn a_foreign_key_is_only_in_the_flawed_certificate() {
    let mut vendor = vendor();
    let key = rcgen::KeyPair::generate().unwrap();
    let spec = CertificateSpec { key: Some(key.public_key_pem()), ..CertificateSpec::default() };
    let first = issue(&mut vendor, "1", CertificateSpec { flaws: vec![Flaw::OtherKey], ..spec });
    let second = issue(&mut vendor, "1", CertificateSpec::default());
    use rcgen::PublicKeyData as _;
    let mine = key.subject_public_key_info();
    assert_ne!(parsed(&first).public_key().raw, mine);
    assert_eq!(parsed(&second).public_key().raw, mine);
    let third = issue(&mut vendor, "1", CertificateSpec { new_key: true, ..CertificateSpec::default() });
    assert_ne!(parsed(&third).public_key().raw, mine);
    assert!(third.issued.key_pem.is_some() && second.issued.key_pem.is_none());
}

#[test]
fn a_key_from_any_tool_is_taken() {
    for arguments in [
        &["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"][..],
        &["ecparam", "-name", "secp384r1", "-genkey", "-noout"],
        &["genpkey", "-algorithm", "ED25519"],
    ] {
        let Some(key) = openssl_reads(arguments, b"") else { return };
        let key: String = key[key.find("-----BEGIN").unwrap()..].into();
        let public = openssl_reads(&["pkey", "-pubout"], key.as_bytes()).unwrap();
        let mut vendor = vendor();
        let spec = CertificateSpec { key: Some(key), ..CertificateSpec::default() };
        let certificate = issue(&mut vendor, "1", spec);
        let text = pem("CERTIFICATE", &certificate.issued.der, "\n");
        assert_eq!(openssl_reads(&["x509", "-noout", "-pubkey"], text.as_bytes()).unwrap(), public);
    }
}

#[test]
fn a_fresh_key_can_be_of_three_kinds() {
    for (key_type, words) in
        [(KeyType::P256, "prime256v1"), (KeyType::P384, "secp384r1"), (KeyType::Rsa2048, "2048 bit")]
    {
        let mut vendor = vendor();
        let certificate = issue(&mut vendor, "1", CertificateSpec { key_type, ..CertificateSpec::default() });
        let key = certificate.issued.key_pem.clone().unwrap();
        let Some(text) = openssl_reads(&["pkey", "-noout", "-text"], key.as_bytes()) else { return };
        assert!(text.contains(words), "{text}");
        let public = openssl_reads(&["pkey", "-pubout"], key.as_bytes()).unwrap();
        let leaf = pem("CERTIFICATE", &certificate.issued.der, "\n");
        assert_eq!(openssl_reads(&["x509", "-noout", "-pubkey"], leaf.as_bytes()).unwrap(), public);
    }
}

#[test]
fn validity_serial_and_names_are_as_ordered() {
    let mut vendor = vendor();
    let spec = CertificateSpec {
        not_before: Some(1_761_696_000),
        days: Some(90),
        backdate: 3_600,
        serial: Some("0badc0de".into()),
        names: Some(vec!["*.example.org".into(), "192.0.2.7".into()]),
        ..CertificateSpec::default()
    };
    let certificate = issue(&mut vendor, "1", spec);
    let parsed = parsed(&certificate);
    assert_eq!(parsed.validity().not_before.timestamp(), 1_761_696_000 - 3_600);
    // Backdated into the day before, it ends with the ninetieth day from there.
    assert_eq!(parsed.validity().not_after.timestamp(), 1_761_696_000 + 89 * 86_400 - 1);
    assert_eq!(parsed.raw_serial_as_string(), "0b:ad:c0:de");
    assert_eq!(certificate.issued.serial, "0badc0de");
    let names = parsed.subject_alternative_name().unwrap().unwrap().value.general_names.clone();
    assert_eq!(
        names.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["DNSName(*.example.org)", "IPAddress(c0:00:02:07)"]
    );
}

#[test]
fn an_older_certificate_ends_before_the_present_one() {
    let mut vendor = vendor();
    let first = issue(&mut vendor, "1", CertificateSpec::default());
    let older = issue(&mut vendor, "1", flawed(Flaw::Older));
    assert_eq!(older.issued.not_after, first.issued.not_after - 86_400);
    assert_eq!(older.issued.not_before, first.issued.not_before - 86_400);
    let error = vendor.issue("4", Some(flawed(Flaw::Older))).unwrap_err().to_string();
    assert!(error.contains("has a certificate already"), "{error}");
}

#[test]
fn mark_certificates_carry_a_logo() {
    let mut vendor = vendor();
    for (bytes, logo_critical) in [(3_000, false), (100_000, true)] {
        let spec = CertificateSpec { logo_bytes: Some(bytes), logo_critical, ..CertificateSpec::default() };
        let certificate = issue(&mut vendor, "2", spec);
        assert!(certificate.issued.der.len() > bytes - 300);
        let parsed = parsed(&certificate);
        let usage = parsed.extended_key_usage().unwrap().unwrap();
        assert_eq!(usage.value.other[0].to_id_string(), "1.3.6.1.5.5.7.3.31");
        let logotype = parsed
            .extensions()
            .iter()
            .find(|extension| extension.oid.to_id_string() == "1.3.6.1.5.5.7.1.12")
            .unwrap();
        assert_eq!(logotype.critical, logo_critical);
        openssl_reads(&["asn1parse", "-inform", "DER"], logotype.value);
        assert!(certificate.issued.chain.twin.is_none());
        assert_ne!(certificate.issued.chain.root.der[..], vendor.book_root()[..], "a root of its own");
    }
    let spec = CertificateSpec { logo_bytes: Some(200_000), ..CertificateSpec::default() };
    assert!(vendor.reissue("2", &spec).unwrap_err().to_string().contains("within 3000 and 100000"));
}

#[test]
fn a_logo_is_an_image_that_unpacks() {
    let logotype = crate::mark::logotype(5_000);
    let text = String::from_utf8_lossy(&logotype).into_owned();
    let start = text.find("base64,").unwrap() + 7;
    use base64::Engine as _;
    let image = base64::engine::general_purpose::STANDARD.decode(&text[start..]).unwrap();
    let gzip = Command::new("gzip").arg("-dc").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut gzip) = gzip else { return };
    gzip.stdin.take().unwrap().write_all(&image).unwrap();
    let svg = String::from_utf8(gzip.wait_with_output().unwrap().stdout).unwrap();
    assert!(svg.starts_with("<svg version=\"1.2\" baseProfile=\"tiny-ps\"") && svg.ends_with("</svg>"));
}

#[test]
fn smime_certificates_are_for_mail() {
    let mut vendor = vendor();
    let certificate = issue(&mut vendor, "3", CertificateSpec::default());
    let parsed = parsed(&certificate);
    assert!(parsed.extended_key_usage().unwrap().unwrap().value.email_protection);
    let names = &parsed.subject_alternative_name().unwrap().unwrap().value.general_names;
    assert_eq!(names[0].to_string(), "RFC822Name(user@example.com)");
}

impl Vendor {
    /// DER of the root above TLS certificates.
    fn book_root(&self) -> Vec<u8> {
        use rustls::pki_types::pem::PemObject as _;
        let pem = self.authorities().root;
        rustls::pki_types::CertificateDer::from_pem_slice(pem.as_bytes()).unwrap().as_ref().to_vec()
    }
}
