//! Every shape of an answer that can be asked for: from raw bytes to what readers see, and the real binary
//! against the sandbox with each `response = "..."`.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use certcollectd_core::api::{Product, Response};
use certcollectd_core::cert::Certificate;
use certcollectd_sandbox::{CertificateSpec, OrderSpec, Step};
use rcgen::KeyPair;

use crate::certs::{self, ca};
use crate::setting::Setting;
use crate::world::{self, HOUR, START, Say, World};

fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut out = vec![tag];
    match content.len() {
        short @ 0..=0x7f => out.push(short as u8),
        long => out.extend([&[0x82][..], &u16::try_from(long).unwrap().to_be_bytes()].concat()),
    }
    [out, content].concat()
}

fn indefinite(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    [&[tag, 0x80][..], &parts.concat(), &[0, 0]].concat()
}

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const DATA: [u8; 11] = [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1];
const SIGNED_DATA: [u8; 11] = [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2];
const NETSCAPE: [u8; 11] = [6, 9, 0x60, 0x86, 0x48, 1, 0x86, 0xf8, 0x42, 2, 5];
const ONE: [u8; 3] = [2, 1, 1];
const ZERO: [u8; 3] = [2, 1, 0];

fn pkcs7(certificates: &[&[u8]]) -> Vec<u8> {
    let list = tlv(0xa0, certificates);
    let signed = tlv(SEQUENCE, &[&ONE, &tlv(SET, &[]), &tlv(SEQUENCE, &[&DATA]), &list, &tlv(SET, &[])]);
    tlv(SEQUENCE, &[&SIGNED_DATA, &tlv(0xa0, &[&signed])])
}

fn pkcs7_ber(certificates: &[&[u8]]) -> Vec<u8> {
    let content = indefinite(SEQUENCE, &[&DATA, &indefinite(0xa0, &[&indefinite(0x24, &[&[4, 0]])])]);
    let list = indefinite(0xa0, certificates);
    let signed = indefinite(SEQUENCE, &[&ONE, &tlv(SET, &[]), &content, &list, &tlv(SET, &[])]);
    indefinite(SEQUENCE, &[&SIGNED_DATA, &indefinite(0xa0, &[&signed])])
}

fn netscape(certificates: &[&[u8]]) -> Vec<u8> {
    tlv(SEQUENCE, &[&NETSCAPE, &tlv(0xa0, &[&tlv(SEQUENCE, certificates)])])
}

/// CertRepContent (RFC 4210 section 5.3.4); RFC 2510, which took it over from CMMF, has the same.
///
/// ```text
/// CertRepContent ::= SEQUENCE { caPubs [1] SEQUENCE OF Certificate OPTIONAL, response SEQUENCE OF CertResponse }
/// CertResponse ::= SEQUENCE { certReqId INTEGER, status PKIStatusInfo, certifiedKeyPair OPTIONAL, rspInfo OPTIONAL }
/// CertifiedKeyPair ::= SEQUENCE { certOrEncCert CHOICE { certificate [0] Certificate, ... }, ... }
/// ```
fn cert_rep(authorities: Option<&[&[u8]]>, certificates: &[&[u8]], status: &[u8]) -> Vec<u8> {
    let responses: Vec<Vec<u8>> = certificates
        .iter()
        .map(|certificate| {
            let pair = tlv(SEQUENCE, &[&tlv(0xa0, &[certificate])]);
            tlv(SEQUENCE, &[&ZERO, status, &pair])
        })
        .collect();
    let responses: Vec<&[u8]> = responses.iter().map(Vec::as_slice).collect();
    let authorities = authorities.map(|list| tlv(0xa1, &[&tlv(SEQUENCE, list)])).unwrap_or_default();
    tlv(SEQUENCE, &[&authorities, &tlv(SEQUENCE, &responses)])
}

fn accepted() -> Vec<u8> {
    tlv(SEQUENCE, &[&ZERO])
}

fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in entries {
        archive.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(content).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

fn lines(text: &str) -> String {
    text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap().to_owned() + "\n").collect()
}

fn armour(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}-----END {label}-----\n", lines(&STANDARD.encode(der)))
}

/// A leaf for a product and the bytes of its chain.
struct Issued {
    leaf: Vec<u8>,
    chain: Vec<u8>,
    root: Vec<u8>,
}

fn issued(product: Product) -> Issued {
    let day = 86_400;
    let leaf = certs::leaf_for(
        &KeyPair::generate().unwrap(),
        product,
        &["www.example.com"],
        START - day,
        START + 90 * day,
    );
    Issued { leaf, chain: ca().intermediate.der().to_vec(), root: ca().root.der().to_vec() }
}

impl Issued {
    fn all(&self) -> [&[u8]; 3] {
        [&self.root, &self.chain, &self.leaf]
    }

    fn pem(&self) -> String {
        self.all().iter().map(|der| armour("CERTIFICATE", der)).collect()
    }

    fn zip(&self) -> Vec<u8> {
        zip(&[
            ("www_example_com.crt", armour("CERTIFICATE", &self.leaf).as_bytes()),
            ("../../etc/ssl/ca.crt", armour("CERTIFICATE", &self.chain).as_bytes()),
            ("/readme.txt", b"Install these."),
            ("root.cer", &self.root),
        ])
    }
}

/// What becomes of one answer: what readers see, or the phase and what was heard.
fn outcome(product: Product, issued: &Issued, body: Vec<u8>) -> String {
    let mut config = world::config(&["www"]);
    world::change(&mut config.orders[0], |settings| settings.product = product);
    let mut world = World::new(config);
    world.say("www", [Say::Body(200, body)]);
    world.pass(HOUR);
    if world.phase("www") != "guarding" {
        return format!(
            "{}: {}",
            world.phase("www"),
            world.record("www")["heard"]["text"].as_str().unwrap_or("-")
        );
    }
    let disk = &world.disks["www"];
    let seen = &disk.generations[disk.link.as_ref().unwrap()].certificates;
    let expected = [&issued.leaf, &issued.chain].map(|der| Certificate::from_der(der).unwrap());
    if *seen == expected { "installed".into() } else { format!("installed {} others", seen.len()) }
}

fn check(product: Product, issued: &Issued, what: &str, body: impl Into<Vec<u8>>, expected: &str) {
    assert_eq!(outcome(product, issued, body.into()), expected, "{} {what}", product.as_str());
}

/// The container's bytes, its label in armour, its key in the URL-encoded form.
fn containers(issued: &Issued) -> Vec<(&'static str, Vec<u8>, Option<&'static str>, &'static str)> {
    let all = issued.all();
    vec![
        ("PKCS#7 DER", pkcs7(&all), Some("PKCS7"), "pkcs7"),
        ("PKCS#7 BER", pkcs7_ber(&all), Some("PKCS7"), "pkcs7"),
        ("Netscape", netscape(&all), Some("CERTIFICATE"), "netscapeCertificateSequence"),
        ("ZIP", issued.zip(), None, "zipFile"),
        ("CMMF", cert_rep(Some(&all[..2]), &all[2..], &accepted()), None, "pkcs7"),
        ("CMMF without caPubs", cert_rep(None, &all, &accepted()), None, "pkcs7"),
    ]
}

/// The ways in which a text arrives that means the same.
fn dressed(text: &str) -> Vec<(&'static str, String)> {
    vec![
        ("as documented", text.to_owned()),
        ("CRLF", text.replace('\n', "\r\n")),
        ("BOM", format!("\u{feff}{text}")),
        ("without its last line end", text.trim_end().to_owned()),
        ("line ends behind", format!("{text}\r\n\r\n")),
        ("blank lines between", text.replacen('\n', "\n\n", 1)),
        ("junk behind", format!("{text}\n<!-- served by node 7 -->\n")),
    ]
}

#[test]
fn containers_in_every_form_and_dress() {
    for product in [Product::Ssl, Product::Mark, Product::Smime] {
        let issued = issued(product);
        for (name, der, label, key) in containers(&issued) {
            let base64 = STANDARD.encode(&der);
            let escaped: String = form_urlencoded::byte_serialize(base64.as_bytes()).collect();
            check(
                product,
                &issued,
                &format!("{name} in a form"),
                format!("errorCode=2&{key}={escaped}"),
                "installed",
            );
            check(product, &issued, &format!("{name} in binary"), der.clone(), "installed");
            let after_status = [b"2\n", &der[..]].concat();
            check(
                product,
                &issued,
                &format!("{name} in binary after a status line"),
                after_status,
                "installed",
            );
            let bodies = [Some(lines(&base64)), label.map(|label| armour(label, &der))];
            for body in bodies.iter().flatten() {
                for (dress, text) in dressed(&format!("2\n{body}")) {
                    check(
                        product,
                        &issued,
                        &format!("{name} in lines, {dress}: {text:.40}"),
                        text,
                        "installed",
                    );
                }
            }
        }
        for (dress, text) in dressed(&format!("2\n{}", issued.pem())) {
            check(product, &issued, &format!("PEM, {dress}"), text, "installed");
        }
        for (dress, text) in dressed(&issued.pem()) {
            check(product, &issued, &format!("PEM without a status line, {dress}"), text, "installed");
        }
    }
}

#[test]
fn what_stands_behind_a_binary_structure_is_refused_and_said() {
    let issued = issued(Product::Mark);
    let der = pkcs7(&issued.all());
    check(Product::Mark, &issued, "a line end", [&der[..], b"\r\n"].concat(), "installed");
    let said = outcome(Product::Mark, &issued, [&der[..], &[0; 8]].concat());
    assert!(
        said.starts_with("waiting: the vendor reports it as issued, but its structure is damaged"),
        "{said}"
    );
    let said = outcome(Product::Mark, &issued, der[..der.len() - 9].to_vec());
    assert!(
        said.starts_with("waiting: the vendor reports it as issued, but its structure is damaged"),
        "{said}"
    );
}

/// Every optional part of the newline form, in the order of the vendor's page; dates and details as the calls of
/// this program ask for them.
fn optional_lines(issued: &Issued) -> Vec<String> {
    vec![
        "14/05/2013 13/05/2014".into(),
        "www.example.com".into(),
        issued.pem().trim_end().to_owned(),
        "Issued".into(),
        "Complete".into(),
        "csrStatus=1".into(),
        "caaStatus=Authorized".into(),
        "www.example.com VALIDATED, example.com NOTVALIDATED".into(),
        "1761696000 1793232000".into(),
    ]
}

#[test]
fn optional_lines_in_the_pages_order_and_in_others() {
    let issued = issued(Product::Ssl);
    let mut parts = optional_lines(&issued);
    let mut orders: Vec<Vec<String>> = vec![parts.clone()];
    orders.extend((1..parts.len()).map(|by| {
        parts.rotate_left(1);
        assert!(by > 0);
        parts.clone()
    }));
    parts.rotate_left(1);
    parts.reverse();
    orders.push(parts);
    for parts in orders {
        let text = format!("2\n{}\n", parts.join("\n"));
        for (dress, text) in dressed(&text) {
            let mut world = World::new(world::config(&["www"]));
            world.say("www", [Say::text(&text)]);
            world.pass(HOUR);
            assert_eq!(world.phase("www"), "guarding", "{dress}: {text}");
            let details = &world.record("www")["heard"];
            for (key, value) in [
                ("certificate_status", serde_json::json!("Issued")),
                ("validation_status", serde_json::json!("Complete")),
                ("term_end", serde_json::json!(1_793_232_000)),
                ("caa", serde_json::json!("Authorized")),
            ] {
                assert_eq!(details[key], value, "{dress}: {text}\n{details:#}");
            }
            assert_eq!(details["domains"][1][1], "NOTVALIDATED", "{dress}: {text}\n{details:#}");
        }
    }
}

#[test]
fn an_archive_beyond_its_limits_installs_nothing_and_says_why() {
    let issued = issued(Product::Ssl);
    let leaf = armour("CERTIFICATE", &issued.leaf);
    let many: Vec<(String, &[u8])> = (0..33).map(|at| (format!("{at}.crt"), leaf.as_bytes())).collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|(name, content)| (name.as_str(), *content)).collect();
    let zeros = vec![b'0'; 8 << 20];
    let nested = zip(&[("a.zip", &zip(&[("b.zip", &zip(&[("c.zip", &zip(&[("d.zip", &issued.zip())]))]))]))]);
    let too_large = "waiting: the vendor reports it as issued, but the ZIP archive unpacks to more than \
                     32 entries, 262144 bytes in one or 1048576 in all";
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("too many entries", zip(&many), too_large),
        ("a bomb", zip(&[("leaf.crt", &zeros)]), too_large),
        ("nested", nested, "waiting: the vendor reports it as issued, but it is wrapped too many times"),
        (
            "nothing in it",
            zip(&[("readme.txt", b"see the portal")]),
            "waiting: the vendor reports it as issued, but it contains no certificate, only a ZIP archive \
             without certificates",
        ),
        (
            "cut off",
            issued.zip()[..200].to_vec(),
            "waiting: the vendor reports it as issued, but the ZIP archive cannot be read",
        ),
    ];
    for (what, bytes, expected) in cases {
        check(Product::Ssl, &issued, &format!("{what}, binary"), bytes.clone(), expected);
        let base64 = STANDARD.encode(&bytes);
        let escaped: String = form_urlencoded::byte_serialize(base64.as_bytes()).collect();
        check(Product::Ssl, &issued, what, format!("errorCode=2&zipFile={escaped}"), expected);
    }
    // Names are never used, so one that leads elsewhere does no harm.
    let named = zip(&[
        ("../../../../etc/passwd", leaf.as_bytes()),
        ("C:\\windows\\ca.crt", armour("CERTIFICATE", &issued.chain).as_bytes()),
        ("/", armour("CERTIFICATE", &issued.root).as_bytes()),
    ]);
    check(Product::Ssl, &issued, "names that lead elsewhere", named, "installed");
}

#[test]
fn a_certificate_message_without_a_certificate_is_no_certificate() {
    let issued = issued(Product::Smime);
    // Refused: PKIStatus 2 with a text, and no key pair (RFC 4210 section 5.2.3).
    let text = tlv(SEQUENCE, &[&tlv(0x0c, &[b"rejected by the authority, see the portal for the reason"])]);
    let refused = tlv(SEQUENCE, &[&[2, 1, 2], &text]);
    let response = tlv(SEQUENCE, &[&ZERO, &refused]);
    let responses = [response.as_slice(); 3];
    let whole = tlv(SEQUENCE, &[&tlv(SEQUENCE, &responses)]);
    let said =
        outcome(Product::Smime, &issued, format!("2\n{}", lines(&STANDARD.encode(whole))).into_bytes());
    assert!(said.ends_with("it contains no certificate, only DER data of another kind"), "{said}");
    // Only the authorities: a bundle without a leaf is refused, never installed.
    let all = issued.all();
    let bare = cert_rep(Some(&all[..2]), &[], &accepted());
    let said = outcome(Product::Smime, &issued, format!("2\n{}", lines(&STANDARD.encode(bare))).into_bytes());
    assert!(said.starts_with("quarantined: "), "{said}");
}

fn order(product: certcollectd_sandbox::Product, number: &str) -> OrderSpec {
    let name =
        if product == certcollectd_sandbox::Product::Smime { "jane@example.com" } else { "www.example.com" };
    OrderSpec::new(product, number, &[name])
}

const OWN_ROOT: &str = "[order.verify]\ntrust = \"off\"";
const PRODUCTS: [(Product, certcollectd_sandbox::Product, &str); 3] = [
    (Product::Ssl, certcollectd_sandbox::Product::Ssl, "1"),
    (Product::Mark, certcollectd_sandbox::Product::Mark, "2"),
    (Product::Smime, certcollectd_sandbox::Product::Smime, "3"),
];

#[test]
fn each_response_setting_brings_every_product_home() {
    for (word, response) in Response::ALL {
        let mut setting = Setting::new();
        setting.table(&format!("response = \"{word}\""));
        for (product, vendors, number) in PRODUCTS {
            setting.order(product.as_str(), order(vendors, number), OWN_ROOT);
        }
        let (code, said) = setting.once(&[]);
        assert_eq!(code, 0, "{word}: {said}");
        for (product, _, number) in PRODUCTS {
            let cert = setting.read(&format!("out/{}/cert.pem", product.as_str()));
            assert_eq!(cert, setting.newest(number), "{word} {}", product.as_str());
            // A product that does not have the form keeps its own, and that is said.
            let warning = format!("`response` is not a format of product = \"{}\"", product.as_str());
            assert_eq!(
                said.contains(&warning),
                !response.fits(product),
                "{word} {}: {said}",
                product.as_str()
            );
        }
    }
}

/// The sandbox's own oddities, for the forms that are not the products' own.
#[test]
fn odd_shapes_of_the_chosen_forms_are_installed() {
    for (word, shapes) in [
        (
            "individual-lines",
            &["early-lines", "split-dates", "crlf+bom", "issuer-first+junk-tail", "no-root"][..],
        ),
        ("pkcs7", &["pkcs7-ber", "pkcs7-signed", "pkcs7-unrelated", "issuer-first+raw-plus"]),
        ("pkcs7-lines", &["early-lines+crlf", "pkcs7-ber+junk-tail", "pkcs7-unrelated+split-dates"]),
        ("zip", &["zip-bundle", "zip-der+raw-plus", "zip-files+crlf"]),
        ("zip-lines", &["zip-bundle+crlf", "early-lines+junk-tail"]),
        ("zip-binary", &["zip-bundle", "zip-der", "newline-tail"]),
        ("pkcs7-binary", &["pkcs7-ber", "pkcs7-unrelated", "newline-tail"]),
        ("netscape", &["shuffled", "duplicates+crlf"]),
        ("netscape-lines", &["shuffled+early-lines", "bom+junk-tail"]),
    ] {
        let mut setting = Setting::new();
        setting.table(&format!("response = \"{word}\""));
        for (at, shape) in shapes.iter().enumerate() {
            let mut spec = order(certcollectd_sandbox::Product::Ssl, &format!("7{at}"));
            spec.shape = Some((*shape).to_owned());
            setting.order(&format!("o{at}"), spec, OWN_ROOT);
        }
        let (code, said) = setting.once(&[]);
        assert_eq!(code, 0, "{word}: {said}\n{}", setting.status());
        for (at, shape) in shapes.iter().enumerate() {
            let cert = setting.read(&format!("out/o{at}/cert.pem"));
            assert_eq!(cert, setting.newest(&format!("7{at}")), "{word} {shape}");
        }
    }
}

#[test]
fn an_smime_order_is_collected_installed_and_guarded_by_the_daemon() {
    let mut setting = Setting::new();
    setting.order(
        "jane",
        order(certcollectd_sandbox::Product::Smime, "42").with_script(vec![Step::pending(2), Step::issued()]),
        &format!("domains = [\"jane@example.com\"]\nhooks = [\"told\"]\n{OWN_ROOT}"),
    );
    setting.table(
        "[[hook]]\nname = \"told\"\nrun = [\"/bin/sh\", \"-c\", \
         \"echo $CERTCOLLECTD_ORDER $CERTCOLLECTD_PRODUCT $CERTCOLLECTD_DOMAINS >> $DIR/told\"]",
    );
    setting.start();
    setting.until_phase("jane", "guarding");
    assert_eq!(setting.read("out/jane/cert.pem"), setting.newest("42"));
    assert_eq!(setting.read("told").lines().next(), Some("jane smime jane@example.com"));
    setting
        .vendor()
        .vendor()
        .reissue("42", &CertificateSpec { days: Some(300), ..CertificateSpec::default() })
        .unwrap();
    let newest = setting.newest("42");
    setting.until("the re-issue is installed and the hook ran", |setting| {
        setting.read("out/jane/cert.pem") == newest && setting.read("told").lines().count() == 2
    });
    assert_eq!(setting.stop(), Some(0));
}

/// Without padding, the last character of a base64 text can be a `+`, which arrives as a space.
#[test]
fn a_plus_that_arrives_as_a_space_is_kept_at_the_very_end() {
    let key = KeyPair::generate().unwrap();
    let leaf = |later: i64| certs::leaf(&key, &["www.example.com"], START - 86_400 + later, START + 86_400);
    let der =
        (0..20_000).map(leaf).find(|der| STANDARD.encode(der).ends_with('+')).expect("one in 192 is so");
    let fingerprint = Certificate::from_der(&der).unwrap().fingerprint();
    for end in ["", "\n", "\r\n", "\t"] {
        let text = STANDARD.encode(&der).replace('+', " ") + end;
        let found =
            certcollectd_core::cert::unpack(text.as_bytes()).unwrap_or_else(|why| panic!("{end:?}: {why}"));
        assert!(found.len() == 1 && found[0].fingerprint() == fingerprint, "{end:?}");
    }
}
