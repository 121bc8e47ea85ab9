//! Bytes in, fixture names or the reason out.

use std::io::{Cursor, Write as _};

use ::base64::Engine as _;
use ::base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use zip::write::{SimpleFileOptions, ZipWriter};

use super::*;
use crate::cert::fixtures::{certificate, file};

const CHAIN: &[&str] = &["leaf", "inter", "root"];

/// The certificates by fixture name.
fn check(input: &[u8], expected: Result<&[&str], UnpackError>) {
    let found = unpack(input);
    let expected = expected.map(|names| names.iter().map(|name| certificate(name)).collect::<Vec<_>>());
    let start = String::from_utf8_lossy(&input[..input.len().min(60)]).into_owned();
    assert_eq!(found, expected, "{start:?}");
}

fn nothing(seen: Seen) -> Result<&'static [&'static str], UnpackError> {
    Err(UnpackError::Nothing(seen))
}

fn pem(name: &str) -> String {
    certificate(name).to_pem()
}

fn zip_of(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in entries {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// A certificate whose base64 has a `+`, so that losing it matters.
fn with_plus() -> (&'static str, String) {
    let names = ["leaf", "inter", "root", "rsa", "pss", "cross"];
    let found = names.into_iter().map(|name| (name, STANDARD.encode(certificate(name).der())));
    found.into_iter().find(|(_, text)| text.contains('+')).unwrap()
}

#[test]
fn pem_in_every_armour() {
    let bundle = String::from_utf8(file("bundle.pem").to_vec()).unwrap();
    check(bundle.as_bytes(), Ok(CHAIN));
    check(bundle.replace('\n', "\r\n").as_bytes(), Ok(CHAIN));
    check(format!("\u{feff}{bundle}").as_bytes(), Ok(CHAIN));
    check(bundle.replace("CERTIFICATE", "X509 CERTIFICATE").as_bytes(), Ok(CHAIN));
    check(bundle.trim_end().as_bytes(), Ok(CHAIN));
    // As the vendor's pages show it.
    let spaced = bundle.replace("-----BEGIN CERTIFICATE-----", "----- BEGIN CERTIFICATE -----");
    check(spaced.replace("-----END CERTIFICATE-----", "---- END CERTIFICATE -----").as_bytes(), Ok(CHAIN));
    // Text around the blocks: openssl's dump, a status line, a signature below.
    let noisy = bundle.replace("-----BEGIN", "subject=CN = x\nissuer=CN = y\n-----BEGIN");
    check(format!("2\n{noisy}\nIssued Complete\n").as_bytes(), Ok(CHAIN));
}

#[test]
fn pem_whose_lines_were_lost() {
    let (name, body) = with_plus();
    let (begin, end) = ("-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----");
    check(format!("{begin}\n{body}\n{end}\n").as_bytes(), Ok(&[name]));
    check(format!("{begin}{body}{end}").as_bytes(), Ok(&[name]));
    check(format!("{begin} {body} {end}").as_bytes(), Ok(&[name]));
    check(pem(name).replace('\n', " ").as_bytes(), Ok(&[name]));
    check(pem(name).replace('+', " ").as_bytes(), Ok(&[name]));
    check(format!("{begin}\n\n  {body}\n\n{end}").as_bytes(), Ok(&[name]));
}

#[test]
fn pem_that_is_something_else() {
    check(file("trusted.pem"), Err(UnpackError::Trusted));
    check(file("leaf.pkcs8.key"), nothing(Seen::PrivateKey));
    check(file("leaf.sec1.key"), nothing(Seen::PrivateKey));
    check(file("leaf.encrypted.key"), nothing(Seen::EncryptedPrivateKey));
    check(file("leaf.proctype.key"), nothing(Seen::EncryptedPrivateKey));
    check(file("leaf.csr.pem"), nothing(Seen::Request));
    check(b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", nothing(Seen::Text));
    // Beside a key, the certificates count.
    check(&[file("leaf.sec1.key"), file("bundle.pem")].concat(), Ok(CHAIN));
    check(&[file("bundle.pem"), file("leaf.csr.pem")].concat(), Ok(CHAIN));
}

#[test]
fn pem_that_is_damaged() {
    let bundle = file("bundle.pem");
    check(&bundle[..bundle.len() - 40], Err(UnpackError::Armour));
    check(&bundle[30..], Err(UnpackError::Armour));
    check(b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----", Err(UnpackError::Base64));
    check(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", nothing(Seen::Binary));
    let text = pem("leaf") + &pem::encode("CERTIFICATE", &certificate("inter").der()[..100]);
    check(text.as_bytes(), Err(UnpackError::Structure(BerError::Truncated)));
    let mut odd = certificate("inter").der().to_vec();
    odd[8] = 0x05;
    let text = pem("leaf") + &pem::encode("CERTIFICATE", &odd);
    check(text.as_bytes(), Err(UnpackError::Certificate { number: 2, source: CertError::Malformed }));
}

#[test]
fn base64_without_armour() {
    let (name, body) = with_plus();
    check(body.as_bytes(), Ok(&[name]));
    check(format!(" \n{body}\n").as_bytes(), Ok(&[name]));
    check(body.trim_end_matches('=').as_bytes(), Ok(&[name]));
    check(body.replace('+', " ").as_bytes(), Ok(&[name]));
    let wrap = |end: &str| {
        let lines = body.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap().to_owned() + end);
        lines.collect::<String>()
    };
    for end in ["\n", "\r\n", " ", "\n  ", " \r\n"] {
        check(wrap(end).as_bytes(), Ok(&[name]));
    }
    check(wrap("\n").replace('+', " ").as_bytes(), Ok(&[name]));
    check(format!("  {}", wrap("\r\n").replace('+', " ")).as_bytes(), Ok(&[name]));
}

#[test]
fn a_reading_that_fails_leaves_nothing_behind() {
    let mut unpacker = Unpacker { found: Vec::new(), work: MAX_WORK, inflated: 0 };
    let result = unpacker.base64(b"AA AA", |unpacker, _| {
        unpacker.found.push(certificate("leaf"));
        Err(UnpackError::TooMany)
    });
    assert_eq!((result, unpacker.found), (Err(UnpackError::TooMany), Vec::new()));
}

#[test]
fn base64_of_everything_else() {
    let der_files = [
        "certs-only.p7b",
        "indefinite.p7b",
        "nseq.der",
        "bundle.zip",
        "bundle.pem",
        "nseq.pem",
        "certs-only.p7.pem",
    ];
    for name in der_files {
        check(STANDARD.encode(file(name)).as_bytes(), Ok(CHAIN));
        check(STANDARD_NO_PAD.encode(file(name)).replace('+', " ").as_bytes(), Ok(CHAIN));
    }
    let zipped = zip_of(&[("a.p7b", file("certs-only.p7.pem"))]);
    check(STANDARD.encode(zipped).as_bytes(), Ok(CHAIN));
    check(STANDARD.encode(file("bundle.p12")).as_bytes(), nothing(Seen::Pkcs12));
    check(STANDARD.encode(file("leaf.pkcs8.key")).as_bytes(), nothing(Seen::PrivateKey));
}

#[test]
fn der_of_one_certificate() {
    for name in ["leaf", "v1", "serial21", "mark", "pss", "by-sha1", "rsa1024"] {
        check(certificate(name).der(), Ok(&[name]));
    }
    let der = certificate("leaf").der().to_vec();
    check(&[&der[..], b"\r\n \n"].concat(), Ok(&["leaf"]));
    check(&[b"\r\n", &der[..]].concat(), Ok(&["leaf"]));
    check(&[&der[..], b"x"].concat(), Err(UnpackError::Structure(BerError::Trailing)));
    check(&[&der[..], &der[..]].concat(), Err(UnpackError::Structure(BerError::Trailing)));
    check(&der[..der.len() - 1], Err(UnpackError::Structure(BerError::Truncated)));
}

#[test]
fn der_and_ber_of_several() {
    for name in ["certs-only.p7b", "indefinite.p7b", "signer.p7b", "stream.p7b", "nseq.der"] {
        let mut names: Vec<_> = unpack(file(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        names.sort_by_key(Certificate::fingerprint);
        let mut expected: Vec<_> = CHAIN.iter().map(|name| certificate(name)).collect();
        expected.sort_by_key(Certificate::fingerprint);
        assert_eq!(names, expected, "{name}");
    }
    check(file("certs-only.p7b"), Ok(CHAIN));
    check(file("certs-only.p7.pem"), Ok(CHAIN));
    check(file("nseq.pem"), Ok(CHAIN));
}

#[test]
fn der_that_is_something_else() {
    check(file("bundle.p12"), nothing(Seen::Pkcs12));
    check(file("enveloped.p7b"), nothing(Seen::OtherPkcs7));
    check(file("leaf.csr.der"), nothing(Seen::Request));
    check(&crate::cert::certs_only(&[]), nothing(Seen::Binary));
    let key = |name: &str| {
        let blocks = pem::blocks(file(name), 9).unwrap();
        pem::decode(blocks.last().unwrap().body).unwrap()
    };
    check(&key("leaf.pkcs8.key"), nothing(Seen::PrivateKey));
    check(&key("rsa.pkcs1.key"), nothing(Seen::PrivateKey));
    check(&key("leaf.encrypted.key"), nothing(Seen::EncryptedPrivateKey));
    let padding = ber::encode(ber::OCTET_STRING, &[&[0; 200]]);
    check(&ber::encode(ber::SEQUENCE, &[&padding]), nothing(Seen::Der));
    let signed = [
        &ber::encode(ber::INTEGER, &[&[1]])[..],
        &[0x31, 0],
        &ber::encode(ber::SEQUENCE, &[&padding]),
        &[0x31, 0],
    ];
    let signed = ber::encode(ber::CONTEXT_0, &[&ber::encode(ber::SEQUENCE, &signed)]);
    check(
        &ber::encode(ber::SEQUENCE, &[&ber::encode(ber::OID, &[SIGNED_DATA]), &signed]),
        nothing(Seen::EmptyPkcs7),
    );
}

#[test]
fn archives() {
    check(file("bundle.zip"), Ok(CHAIN));
    let (leaf, inter) = (pem("leaf"), certificate("inter"));
    let entries: &[(&str, &[u8])] = &[
        ("../../etc/x", leaf.as_bytes()),
        ("a/", b""),
        ("a/logo.svg", b"<svg/>"),
        ("/b.p7b", file("certs-only.p7b")),
    ];
    check(&zip_of(entries), Ok(CHAIN));
    check(&zip_of(&[("a", leaf.as_bytes()), ("b", inter.der())]), Ok(&["leaf", "inter"]));
    check(&zip_of(&[]), nothing(Seen::EmptyArchive));
    check(&zip_of(&[("readme", b"hello")]), nothing(Seen::EmptyArchive));
    check(
        &zip_of(&[("a", leaf.as_bytes()), ("b", &inter.der()[..90])]),
        Err(UnpackError::Structure(BerError::Truncated)),
    );
    check(b"PK\x03\x04 and so on", Err(UnpackError::Archive));
}

#[test]
fn archives_are_measured() {
    check(file("bomb.zip"), Err(UnpackError::ArchiveTooLarge));
    let many: Vec<_> = (0..=archive::MAX_ENTRIES).map(|at| (format!("{at}"), b"x")).collect();
    let many: Vec<_> = many.iter().map(|(name, content)| (name.as_str(), &content[..])).collect();
    check(&zip_of(&many), Err(UnpackError::ArchiveTooLarge));
    check(&zip_of(&[("a", &vec![b' '; archive::MAX_ENTRY + 1])]), Err(UnpackError::ArchiveTooLarge));
    // Each entry is allowed, all of them together are not.
    let large = vec![b' '; archive::MAX_ENTRY];
    check(
        &zip_of(&[("a", &large), ("b", &large), ("c", &large), ("d", &large)]),
        nothing(Seen::EmptyArchive),
    );
    let entries: Vec<_> = ["a", "b", "c", "d", "e"].map(|name| (name, &large[..])).to_vec();
    check(&zip_of(&entries), Err(UnpackError::ArchiveTooLarge));
    // The total holds over archives inside archives.
    let inner = zip_of(&[("a", &large), ("b", &large), ("c", &large)]);
    check(&zip_of(&[("a", &inner), ("b", &inner)]), Err(UnpackError::ArchiveTooLarge));
}

#[test]
fn what_is_no_certificate_at_all() {
    check(b"", nothing(Seen::Empty));
    check(b" \r\n\t", nothing(Seen::Empty));
    check(b"\xef\xbb\xbf\n", nothing(Seen::Empty));
    check(b"<!DOCTYPE html><html>", nothing(Seen::Html));
    check(b"\n  <html>", nothing(Seen::Html));
    check(b"-16\nUnknown login/password!\n", nothing(Seen::Text));
    for text in ["0", "OK", "2", "AAAA", "Service unavailable", "{\"error\":1}", "errorCode=-3"] {
        check(text.as_bytes(), nothing(Seen::Text));
    }
    check(b"\x00\x01\x02", nothing(Seen::Binary));
    check(b"\x7fELF\xff\xfe", nothing(Seen::Binary));
}

#[test]
fn limits() {
    check(&vec![b'A'; MAX_INPUT + 1], Err(UnpackError::TooLarge));
    let all: Vec<_> = crate::cert::fixtures::ALL.iter().filter(|(name, _)| name.ends_with(".der")).collect();
    let certificates: Vec<_> = all.iter().filter_map(|(_, der)| Certificate::from_der(der).ok()).collect();
    assert!(certificates.len() > MAX_CERTIFICATES);
    let text = |count: usize| certificates[..count].iter().map(Certificate::to_pem).collect::<String>();
    assert_eq!(unpack(text(MAX_CERTIFICATES).as_bytes()).unwrap().len(), MAX_CERTIFICATES);
    // The same ones again do not count.
    assert_eq!(unpack(text(MAX_CERTIFICATES).repeat(3).as_bytes()).unwrap().len(), MAX_CERTIFICATES);
    check(text(MAX_CERTIFICATES + 1).as_bytes(), Err(UnpackError::TooMany));

    let mut wrapped = pem("leaf").into_bytes();
    for _ in 0..MAX_NESTING {
        wrapped = STANDARD.encode(wrapped).into_bytes();
    }
    check(&wrapped, Ok(&["leaf"]));
    check(STANDARD.encode(&wrapped).as_bytes(), Err(UnpackError::TooDeep));
}

#[test]
fn several_values_of_one_answer() {
    let parts = ["root", "inter", "leaf"].map(|name| STANDARD.encode(certificate(name).der()));
    let parts = parts.iter().map(String::as_bytes);
    let found = unpack_all(parts.clone().chain([&b""[..]])).unwrap();
    assert_eq!(found, ["root", "inter", "leaf"].map(certificate));
    assert_eq!(unpack_all(parts.chain([&b"<html>"[..]])), Err(UnpackError::Nothing(Seen::Html)));
    assert_eq!(unpack_all([]), Err(UnpackError::Nothing(Seen::Empty)));
}

#[test]
fn errors_are_sentences() {
    let check = |error: UnpackError, expected: &str| assert_eq!(error.to_string(), expected);
    check(UnpackError::Nothing(Seen::Html), "it contains no certificate, only HTML");
    check(UnpackError::Nothing(Seen::Empty), "it contains no certificate, only empty data");
    check(
        UnpackError::Certificate { number: 2, source: CertError::Malformed },
        "certificate number 2 is damaged: it is not a well-formed X.509 certificate",
    );
    check(
        UnpackError::ArchiveTooLarge,
        "the ZIP archive unpacks to more than 32 entries, 262144 bytes in one or 1048576 in all",
    );
}
