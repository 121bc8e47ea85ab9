//! Certificates in every wrapping come out of it as the same certificates.

use std::io::{Cursor, Read as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

/// DER of order 1's, 2's or 3's leaf.
fn leaf(vendor: &Vendor, order: &str) -> Vec<u8> {
    vendor.book().get(order).unwrap().certificates[0].issued.der.clone()
}

/// DER of the certificates of a PEM text, in their order.
fn from_pem(text: &str) -> Vec<Vec<u8>> {
    use rustls::pki_types::pem::PemObject as _;
    rustls::pki_types::CertificateDer::pem_slice_iter(text.as_bytes())
        .map(|der| der.unwrap().as_ref().to_vec())
        .collect()
}

fn subject(der: &[u8]) -> String {
    let (_, certificate) = x509_parser::parse_x509_certificate(der).unwrap();
    certificate.subject().to_string().replace("O=Sandbox, CN=Sandbox ", "")
}

fn subjects(ders: &[Vec<u8>]) -> Vec<String> {
    ders.iter().map(|der| subject(der)).collect()
}

/// Certificates from a URL-encoded value, whatever the shape made of it.
fn unwrapped(value: &str) -> Vec<u8> {
    let compact = |text: &str| text.replace(' ', "+").split_ascii_whitespace().collect::<String>();
    if value.starts_with("-----") {
        return from_pem(value).remove(0);
    }
    let bytes = STANDARD.decode(compact(value)).unwrap();
    if bytes.starts_with(b"-----") { from_pem(std::str::from_utf8(&bytes).unwrap()).remove(0) } else { bytes }
}

#[test]
fn every_value_shape_holds_the_same_certificate() {
    let mut vendor = vendor();
    post(&mut vendor, SSL, "orderNumber=1&queryType=1");
    let expected = leaf(&vendor, "1");
    for shape in ["der64", "pem64", "pem", "der64-lines", "raw-plus", "pem+crlf", "der64-lines+crlf"] {
        set_shape(&mut vendor, shape);
        let answer = post(&mut vendor, SSL, "orderNumber=1&queryType=1&responseFormat=1");
        assert_eq!(unwrapped(&value(&answer, "certificate")), expected, "{shape}");
        assert_eq!(values(&answer, "caCertificate").len(), 2);
    }
    set_shape(&mut vendor, "raw-plus");
    let answer = post(&mut vendor, SSL, "orderNumber=1&queryType=1&responseFormat=1");
    let spaces: usize = ["certificate", "caCertificate"]
        .iter()
        .flat_map(|key| values(&answer, key))
        .map(|value| value.matches(' ').count())
        .sum();
    assert!(spaces > 0, "the plus arrived as a space");
}

#[test]
fn the_order_of_certificates_is_a_matter_of_shape() {
    let mut vendor = vendor();
    let mut collect = |shape: &str| {
        set_shape(&mut vendor, shape);
        subjects(&from_pem(text(&post(&mut vendor, SSL, "orderNumber=1&queryType=1"))))
    };
    let (ca, leaf, root) = ("Server Authentication CA DV R36", "CN=www.example.com", "Public Root R46");
    let legacy = "Legacy Certification Authority";
    assert_eq!(collect("root-first"), [root, ca, leaf]);
    assert_eq!(collect("issuer-first"), [leaf, ca, root]);
    assert_eq!(collect("no-root"), [ca, leaf]);
    assert_eq!(collect("duplicates"), [root, ca, root, ca, leaf]);
    assert_eq!(collect("twin"), [legacy, root, root, ca, leaf]);
    assert_eq!(collect("twin+issuer-first"), [leaf, ca, root, root, legacy]);
    let mut shuffled = collect("shuffled+twin");
    shuffled.sort();
    assert_eq!(shuffled, [leaf, legacy, root, root, ca]);
}

#[test]
fn a_pkcs7_begins_with_the_leaf_unless_the_shape_says_otherwise() {
    let mut vendor = vendor();
    for (shape, first) in [("documented", true), ("issuer-first", true), ("root-first", false)] {
        set_shape(&mut vendor, shape);
        let answer = post(&mut vendor, SSL, "orderNumber=1&queryType=1&responseType=2&responseEncoding=1");
        let leaf = leaf(&vendor, "1");
        let at = |der: &[u8]| answer.body.windows(der.len()).position(|window| window == der).unwrap();
        let root = pem_of(&vendor.authorities().root);
        assert_eq!(at(&leaf) < at(&root), first, "{shape}");
    }
}

fn pem_of(text: &str) -> Vec<u8> {
    from_pem(text).remove(0)
}

#[test]
fn pkcs7_is_what_openssl_understands() {
    let mut vendor = vendor();
    for (path, body, order, certificates) in [
        (SSL, "orderNumber=1&queryType=1&responseType=2&responseEncoding=1", "1", 3),
        (MC, "orderNumber=2&responseType=2&responseEncoding=1", "2", 3),
        (SMIME, "orderNumber=3&queryType=1&responseType=2&responseEncoding=1", "3", 3),
    ] {
        for shape in ["pkcs7", "pkcs7-certs-only", "pkcs7-signed", "pkcs7-unrelated", "pkcs7-ber"] {
            set_shape(&mut vendor, shape);
            let answer = post(&mut vendor, path, body);
            assert_eq!(answer.content_type, "application/x-pkcs7-certificates");
            let Some(text) = openssl_reads(&["pkcs7", "-inform", "DER", "-print_certs"], &answer.body) else {
                return;
            };
            let found = from_pem(&text);
            let extra = usize::from(shape == "pkcs7-unrelated");
            assert_eq!(found.len(), certificates + extra, "{path} {shape}");
            assert!(found.contains(&leaf(&vendor, order)), "{path} {shape}");
        }
    }
}

#[test]
fn the_signature_of_a_pkcs7_is_right() {
    let mut vendor = vendor();
    let files = Files::new();
    for shape in ["pkcs7-unrelated", "pkcs7-ber", "pkcs7-signed"] {
        set_shape(&mut vendor, &format!("{shape}+no-root"));
        let signer = crate::ca::Authorities::new(&[]).unwrap().signer.certificate;
        let answer = post(&mut vendor, MC, "orderNumber=2&responseType=2&responseEncoding=1");
        let path = files.write("answer.p7b", &answer.body);
        let other = files.write("other.pem", crate::der::pem("CERTIFICATE", &signer, "\n"));
        let mut arguments = vec!["cms", "-verify", "-noverify", "-inform", "DER", "-in", &path];
        if shape != "pkcs7-unrelated" {
            // The right signer is not within, and another sandbox's signer is someone else.
            arguments.extend(["-certfile", &other]);
        }
        let Some((content, text)) = openssl(&arguments, b"") else { return };
        assert_eq!(content, shape == "pkcs7-unrelated", "{shape}: {text}");
    }
}

#[test]
fn a_pkcs7_is_built_like_the_sample() {
    let mut vendor = vendor();
    let answer = post(&mut vendor, MC, "orderNumber=2&responseType=2&responseEncoding=1");
    // The sample of the CollectMC page begins with ContentInfo, version 1, digestAlgorithms {sha256}
    // without parameters, and an empty content; only the lengths of the outer three differ.
    let sample = STANDARD.decode("AgEBMQ0wCwYJYIZIAWUDBAIBMA8GCSqGSIb3DQEHAaACBACg").unwrap();
    assert!(answer.body.windows(sample.len()).any(|window| window == sample));
    set_shape(&mut vendor, "pkcs7-ber");
    let ber = post(&mut vendor, MC, "orderNumber=2&responseType=2&responseEncoding=1").body;
    assert_eq!(ber[..2], [0x30, 0x80], "indefinite length");
    let Some(text) = openssl_reads(&["asn1parse", "-inform", "DER"], &ber) else { return };
    assert!(text.contains("l=inf"), "{text}");
}

#[test]
fn an_armoured_pkcs7_has_its_label() {
    let mut vendor = vendor();
    let base64 = "orderNumber=2&responseType=2&responseEncoding=0";
    let answer = post(&mut vendor, MC, base64);
    assert!(text(&answer).starts_with("2\n-----BEGIN PKCS7-----\n"), "{}", text(&answer));
    set_shape(&mut vendor, "no-status-line");
    let answer = post(&mut vendor, MC, base64);
    if let Some(text) = openssl_reads(&["pkcs7", "-print_certs"], &answer.body) {
        assert_eq!(from_pem(&text).len(), 3);
    }
    set_shape(&mut vendor, "armour-anyway");
    let answer = post(&mut vendor, MC, "orderNumber=2&RESPONSETYPE=2&RESPONSEENCODING=1");
    assert!(text(&answer).starts_with("-----BEGIN PKCS7-----\n"));
    set_shape(&mut vendor, "pem");
    let answer = post(&mut vendor, SSL, "orderNumber=1&queryType=1&responseType=2&responseFormat=1");
    assert!(value(&answer, "pkcs7").starts_with("-----BEGIN PKCS7-----\n"));
}

#[test]
fn a_netscape_sequence_is_what_openssl_understands() {
    let mut vendor = vendor();
    let answer = post(&mut vendor, SSL, "orderNumber=1&queryType=1&responseType=1&responseFormat=1");
    let der = STANDARD.decode(value(&answer, "netscapeCertificateSequence")).unwrap();
    let lines = post(&mut vendor, SSL, "orderNumber=1&queryType=1&responseType=1");
    let pem = text(&lines).strip_prefix("2\n").unwrap();
    assert_eq!(from_pem(pem), [der]);
    let Some(text) = openssl_reads(&["nseq"], pem.as_bytes()) else { return };
    let found = from_pem(&text);
    assert_eq!((found.len(), &found[2]), (3, &leaf(&vendor, "1")));
}

#[test]
fn a_cmmf_answer_is_der_with_all_certificates() {
    let mut vendor = vendor();
    let answer = post(&mut vendor, SMIME, "orderNumber=3&queryType=1&responseType=4");
    let base64: String = text(&answer).lines().skip(1).collect();
    let der = STANDARD.decode(base64).unwrap();
    let expected = leaf(&vendor, "3");
    assert!(der.windows(expected.len()).any(|window| window == expected));
    openssl_reads(&["asn1parse", "-inform", "DER"], &der);
}

fn archive(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    (0..archive.len())
        .map(|at| {
            let mut file = archive.by_index(at).unwrap();
            let mut content = Vec::new();
            file.read_to_end(&mut content).unwrap();
            (file.name().unwrap().into_owned(), content)
        })
        .collect()
}

#[test]
fn an_archive_holds_what_the_shape_says() {
    let mut vendor = vendor();
    let binary = "orderNumber=1&queryType=1&responseType=0&responseEncoding=1";
    let mut collect = |shape: &str, body: &str| {
        set_shape(&mut vendor, shape);
        let answer = post(&mut vendor, SSL, body);
        (answer, leaf(&vendor, "1"))
    };
    let (answer, expected) = collect("zip-files", binary);
    assert_eq!(answer.content_type, "application/zip");
    let files = archive(&answer.body);
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        ["SandboxPublicRootR46.crt", "SandboxServerAuthenticationCADVR36.crt", "www_example_com.crt"]
    );
    assert_eq!(from_pem(std::str::from_utf8(&files[2].1).unwrap()), std::slice::from_ref(&expected));

    let (answer, _) = collect("zip-bundle", binary);
    let files = archive(&answer.body);
    assert_eq!(files[0].0, "www_example_com.ca-bundle");
    assert_eq!(from_pem(std::str::from_utf8(&files[0].1).unwrap()).len(), 2);

    let (answer, _) = collect("zip-der+duplicates", binary);
    let files = archive(&answer.body);
    assert_eq!((files.len(), &files[2].1), (3, &expected));

    let (answer, _) = collect("documented", "orderNumber=1&queryType=1&responseType=0&responseFormat=1");
    assert_eq!(archive(&STANDARD.decode(value(&answer, "zipFile")).unwrap()).len(), 3);
    let (answer, _) = collect("documented", "orderNumber=1&queryType=1&responseType=0");
    let base64: String = text(&answer).lines().skip(1).collect();
    assert_eq!(archive(&STANDARD.decode(base64).unwrap()).len(), 3);
}

#[test]
fn under_every_random_shape_the_certificate_is_there() {
    let mut vendor = vendor();
    for seed in 0..4 {
        set_shape(&mut vendor, &format!("random:{seed}"));
        for _ in 0..25 {
            let answer = post(&mut vendor, SSL, "orderNumber=1&queryType=1&responseFormat=1&showFQDN=Y");
            let body = text(&answer).trim_start_matches('\u{feff}').trim_end().to_owned();
            let pairs = form_urlencoded::parse(body.as_bytes());
            let found: Vec<Vec<u8>> = pairs
                .filter(|(key, _)| key.eq_ignore_ascii_case("certificate"))
                .map(|(_, value)| unwrapped(&value))
                .collect();
            assert_eq!(found, [leaf(&vendor, "1")], "seed {seed}: {body}");
        }
    }
}
