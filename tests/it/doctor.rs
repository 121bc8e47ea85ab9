//! `doctor dcv`: the real binary against a name server on loopback; what people read is kept as snapshots.

use certcollectd_sandbox::{Dcv, DcvState, OrderSpec, Product, Step};
use hickory_proto::op::ResponseCode;
use insta::assert_snapshot;

use crate::dns::{Says, Server, caa, caa_data, cname};
use crate::setting::Setting;

/// The request in `tests/data/cert`: MD5, then SHA-256 in its two halves, of `leaf.csr.der`.
fn token() -> (String, String) {
    use std::process::Command;
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/cert/leaf.csr.der");
    // An implementation that is not ours; both are in coreutils.
    let sum = |program: &str| {
        let output = Command::new(program).arg(file).output().unwrap();
        String::from_utf8(output.stdout).unwrap().split(' ').next().unwrap().to_owned()
    };
    let hash = sum("sha256sum");
    (sum("md5sum"), format!("{}.{}", &hash[..32], &hash[32..]))
}

fn setting(keys: &str) -> Setting {
    let mut setting = Setting::new();
    let csr = include_str!("../data/cert/leaf.csr.pem");
    setting.write("order.csr", csr);
    setting.table(&format!("[[order]]\nname = \"www\"\norder_number = \"1\"\n{keys}"));
    setting.write_configuration();
    setting
}

const CSR: &str = "csr_file = \"$DIR/order.csr\"";

/// Exit code and text, with what differs from run to run replaced.
fn doctor(setting: &Setting, server: &Server, more: &[&str]) -> (i32, String) {
    let address = server.address.to_string();
    let mut arguments = vec!["doctor", "dcv", "www"];
    arguments.extend(more);
    if !more.contains(&"--resolver") {
        arguments.extend(["--resolver", &address]);
    }
    let (code, said) = setting.call(&arguments);
    let (name, hash) = token();
    let (first, last) = hash.split_once('.').unwrap();
    let said = said
        .replace(&address, "RESOLVER")
        .replace(&name.to_uppercase(), "MD5")
        .replace(&name, "md5")
        .replace(&hash.to_uppercase(), "SHA-256-IN-TWO")
        .replace(&format!("{first}{last}").to_uppercase(), "SHA-256")
        .replace(&hash, "sha-256-in-two");
    (code, said)
}

#[test]
fn everything_is_seen() {
    let (name, hash) = token();
    let server = Server::start(&[
        (&format!("_{name}.www.example.com"), cname(&format!("{hash}.sectigo.com"))),
        (&format!("_{name}.example.com"), cname(&format!("{hash}.b6gnGbHI.sectigo.com"))),
        ("www.example.com", Says::Records(Vec::new())),
        ("example.com", caa(&[(false, "issue", "sectigo.com"), (true, "issuewild", "comodoca.com")])),
    ]);
    let setting = setting(&format!("domains = [\"www.example.com\", \"*.example.com\"]\n{CSR}"));
    let (code, said) = doctor(&setting, &server, &[]);
    assert_eq!(code, 0, "{said}");
    assert_snapshot!(said, @r##"
    order www, asked RESOLVER

    www.example.com
      ok       CNAME _MD5.www.example.com points to sha-256-in-two.sectigo.com, as it should
      ok       the CAA record set of example.com allows the vendor to issue

    *.example.com
      ok       CNAME _MD5.example.com points to sha-256-in-two.b6gnGbHI.sectigo.com; it matches the request, but only the vendor knows whether its unique value is the order's
      ok       the CAA record set of example.com allows the vendor to issue

    everything that can be seen over DNS is in order
    "##);
    // Nothing beyond what is needed: the tree is climbed up to the first CAA records only.
    assert!(!server.asked().iter().any(|asked| asked.starts_with("CAA com ")), "{:?}", server.asked());
}

#[test]
fn nothing_is_there() {
    let server = Server::start(&[("www.example.com", Says::Records(Vec::new()))]);
    let setting = setting(&format!("domains = [\"www.example.com\"]\n{CSR}"));
    let (code, said) = doctor(&setting, &server, &[]);
    assert_eq!(code, 1, "{said}");
    assert_snapshot!(said, @r##"
    order www, asked RESOLVER

    www.example.com
      missing  no CNAME that matches the request: _MD5.www.example.com does not exist; _MD5.example.com does not exist; it should be
                 _MD5.www.example.com. CNAME SHA-256-IN-TWO.sectigo.com.
      note     if the order is validated by a file instead: http://www.example.com/.well-known/pki-validation/MD5.txt must contain these lines; doctor does not fetch it
                 SHA-256
                 sectigo.com
      ok       no CAA record, so any authority may issue

    1 of 1 domains: something is missing, refused or unknown
    "##);
}

#[test]
fn records_that_point_elsewhere_and_one_step_further() {
    let (name, hash) = token();
    let server = Server::start(&[
        (&format!("_{name}.a.example.org"), cname("old.sectigo.com")),
        ("old.sectigo.com", Says::Records(Vec::new())),
        (&format!("_{name}.b.example.net"), cname("proofs.example.net")),
        ("proofs.example.net", cname(&format!("{hash}.sectigo.com"))),
    ]);
    let setting = setting(&format!("domains = [\"a.example.org\", \"b.example.net\"]\n{CSR}"));
    let (code, said) = doctor(&setting, &server, &[]);
    assert_eq!(code, 1, "{said}");
    assert_snapshot!(said, @r##"
    order www, asked RESOLVER

    a.example.org
      missing  no CNAME that matches the request: _MD5.a.example.org points elsewhere, to old.sectigo.com; _MD5.example.org does not exist; it should be
                 _MD5.a.example.org. CNAME SHA-256-IN-TWO.sectigo.com.
      note     if the order is validated by a file instead: http://a.example.org/.well-known/pki-validation/MD5.txt must contain these lines; doctor does not fetch it
                 SHA-256
                 sectigo.com
      ok       no CAA record (a.example.org does not exist), so any authority may issue

    b.example.net
      ok       CNAME _MD5.b.example.net points to proofs.example.net and on to sha-256-in-two.sectigo.com; it matches the request, but the vendor does not document whether it follows a second CNAME
      ok       no CAA record (b.example.net does not exist), so any authority may issue

    1 of 2 domains: something is missing, refused or unknown
    "##);
}

#[test]
fn caa_refuses_and_says_whom() {
    let (name, hash) = token();
    let target = format!("{hash}.sectigo.com");
    let server = Server::start(&[
        (&format!("_{name}.example.com"), cname(&target)),
        ("example.com", caa(&[(false, "issue", "sectigo.com"), (false, "issuewild", ";")])),
        (&format!("_{name}.example.net"), cname(&target)),
        (
            "example.net",
            caa(&[(false, "issue", "letsencrypt.org"), (false, "iodef", "mailto:ca@example.net")]),
        ),
        (&format!("_{name}.example.org"), cname(&target)),
        ("example.org", caa(&[(false, "issue", "sectigo.com"), (true, "tbs", "Unknown")])),
        // A reply too large for UDP.
        (&format!("_{name}.example.edu"), cname(&target)),
        ("example.edu", Says::OverTcp(caa_data(&[(false, "issue", "digicert.com")]))),
    ]);
    let setting = setting(&format!(
        "domains = [\"*.example.com\", \"example.net\", \"example.org\", \"example.edu\"]\n{CSR}"
    ));
    let (code, said) = doctor(&setting, &server, &[]);
    assert_eq!(code, 1, "{said}");
    assert_snapshot!(said, @r##"
    order www, asked RESOLVER

    *.example.com
      ok       CNAME _MD5.example.com points to sha-256-in-two.sectigo.com, as it should
      refused  the CAA record set of example.com refuses the vendor: it allows no CA; add
                 example.com. CAA 0 issuewild "sectigo.com"

    example.net
      ok       CNAME _MD5.example.net points to sha-256-in-two.sectigo.com, as it should
      refused  the CAA record set of example.net refuses the vendor: it allows only letsencrypt.org; a refusal may be reported to mailto:ca@example.net; add
                 example.net. CAA 0 issue "sectigo.com"

    example.org
      ok       CNAME _MD5.example.org points to sha-256-in-two.sectigo.com, as it should
      refused  the CAA record set of example.org refuses the vendor: it has a critical tag "tbs" that the vendor may not know; remove that record, or its critical flag

    example.edu
      ok       CNAME _MD5.example.edu points to sha-256-in-two.sectigo.com, as it should
      refused  the CAA record set of example.edu refuses the vendor: it allows only digicert.com; add
                 example.edu. CAA 0 issue "sectigo.com"

    4 of 4 domains: something is missing, refused or unknown
    "##);
    assert!(server.asked().contains(&"CAA example.edu tcp".to_owned()), "{:?}", server.asked());
}

#[test]
fn failures_are_told_apart() {
    let server = Server::start(&[
        ("com", Says::Records(Vec::new())),
        ("servfail.com", Says::Code(ResponseCode::ServFail)),
        ("refused.com", Says::Code(ResponseCode::Refused)),
        ("silent.com", Says::Silence),
        ("nodata.com", Says::Records(Vec::new())),
    ]);
    let setting = setting(
        "domains = [\"nodata.com\", \"nxdomain.com\", \"servfail.com\", \"refused.com\", \"silent.com\"]",
    );
    let (code, said) = doctor(&setting, &server, &[]);
    assert_eq!(code, 1, "{said}");
    assert_snapshot!(said, @r##"
    order www, asked RESOLVER

    nodata.com
      unknown  the record's name is a hash of the certificate request, which is unknown; configure the order's csr_file
      ok       no CAA record, so any authority may issue

    nxdomain.com
      unknown  the record's name is a hash of the certificate request, which is unknown; configure the order's csr_file
      ok       no CAA record (nxdomain.com does not exist), so any authority may issue

    servfail.com
      unknown  the record's name is a hash of the certificate request, which is unknown; configure the order's csr_file
      unknown  CAA servfail.com: the zone's name servers do not answer, or its DNSSEC signatures are wrong (SERVFAIL); the vendor may refuse to issue if it cannot look up CAA either

    refused.com
      unknown  the record's name is a hash of the certificate request, which is unknown; configure the order's csr_file
      unknown  CAA refused.com: RESOLVER refuses to answer (REFUSED); the vendor may refuse to issue if it cannot look up CAA either

    silent.com
      unknown  the record's name is a hash of the certificate request, which is unknown; configure the order's csr_file
      unknown  CAA silent.com: RESOLVER did not answer in time; the vendor may refuse to issue if it cannot look up CAA either

    5 of 5 domains: something is missing, refused or unknown
    "##);
}

#[test]
fn a_resolver_that_never_answers_is_asked_a_few_times_only() {
    let names: Vec<String> = (0..40).map(|at| format!("d{at}.example")).collect();
    let zone: Vec<(&str, Says)> = names.iter().map(|name| (name.as_str(), Says::Silence)).collect();
    let server = Server::start(&zone);
    let list: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    let setting = setting(&format!("domains = [{}]", list.join(", ")));
    let (code, said) = doctor(&setting, &server, &[]);
    assert_eq!(code, 1, "{said}");
    assert_eq!(said.matches("did not answer in time").count(), 3, "{said}");
    assert_eq!(said.matches("not looked up, because RESOLVER does not answer").count(), 37, "{said}");
}

#[test]
fn what_the_vendor_said_is_remembered_from_the_last_poll() {
    let (name, hash) = token();
    let server =
        Server::start(&[(&format!("_{name}.pending.example.com"), cname(&format!("{hash}.sectigo.com")))]);
    let mut setting = Setting::new();
    let dcv =
        |domain: &str, state| Dcv { domain: domain.into(), method: Some("CNAME_CSR_HASH".into()), state };
    let step = Step {
        dcv: vec![
            dcv("done.example.com", DcvState::Validated),
            dcv("pending.example.com", DcvState::NotValidated),
        ],
        ..Step::default()
    };
    setting.write("order.csr", include_str!("../data/cert/leaf.csr.pem"));
    let spec = OrderSpec::new(Product::Ssl, "1", &["done.example.com"]).with_script(vec![step]);
    setting.order("www", spec, CSR);
    assert_eq!(setting.once(&[]).0, 3);
    let (code, said) = doctor(&setting, &server, &["--json"]);
    assert_eq!(code, 0, "{said}");
    let json: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(json["ok"], true);
    let told: Vec<String> = json["domains"]
        .as_array()
        .unwrap()
        .iter()
        .map(|domain| {
            format!("{} {} {}", domain["domain"], domain["validated"], domain["findings"][0]["state"])
        })
        .collect();
    assert_eq!(told, ["\"done.example.com\" true \"ok\"", "\"pending.example.com\" false \"ok\""]);
    assert!(!server.asked().iter().any(|asked| asked.contains(&format!("_{name}.done"))));
}

#[test]
fn what_the_vendor_said_of_each_domain_counts_before_what_it_said_of_the_order() {
    let server = Server::start(&[]);
    let mut setting = Setting::new();
    let dcv = |domain: &str, method: &str| Dcv {
        domain: domain.into(),
        method: Some(method.into()),
        state: DcvState::NotValidated,
    };
    let step = Step {
        dcv: vec![dcv("file.example.com", "HTTP_CSR_HASH"), dcv("mail.example.com", "admin@example.com")],
        ..Step::default()
    };
    setting.write("order.csr", include_str!("../data/cert/leaf.csr.pem"));
    let spec = OrderSpec::new(Product::Ssl, "1", &["file.example.com"]).with_script(vec![step]);
    setting.order("www", spec, CSR);
    assert_eq!(setting.once(&[]).0, 3);
    // CollectSSL names the domains, GetMDCDomainDetails how control of each is proven.
    assert_eq!(setting.call(&["domains", "www"]).0, 0);
    let (_, said) = doctor(&setting, &server, &["--json"]);
    let json: serde_json::Value = serde_json::from_str(&said).unwrap();
    let told: Vec<String> = json["domains"]
        .as_array()
        .unwrap()
        .iter()
        .map(|domain| format!("{} {}", domain["domain"], domain["method"]))
        .collect();
    assert_eq!(
        told,
        ["\"file.example.com\" \"HTTP_CSR_HASH\"", "\"mail.example.com\" \"admin@example.com\""]
    );
    let asked = server.asked();
    assert!(!asked.iter().any(|asked| asked.starts_with("CNAME ")), "no CNAME proves these: {asked:?}");
}

#[test]
fn the_resolver_of_the_configuration_is_asked_unless_another_is_named() {
    let server = Server::start(&[("com", Says::Records(Vec::new()))]);
    let other = Server::start(&[("com", Says::Records(Vec::new()))]);
    let mut setting = setting(&format!("domains = [\"example.com\"]\n{CSR}"));
    setting.table(&format!("[dns]\nresolver = [\"{}\"]", server.address));
    setting.write_configuration();
    assert_eq!(setting.call(&["doctor", "dcv", "www"]).0, 1);
    assert!(!server.asked().is_empty());
    let before = server.asked().len();
    let address = other.address.to_string();
    assert_eq!(setting.call(&["doctor", "dcv", "www", "--resolver", &address]).0, 1);
    assert_eq!(server.asked().len(), before);
    assert!(!other.asked().is_empty());
}

#[test]
fn usage_errors_ask_nobody() {
    let server = Server::start(&[]);
    let mut setting = setting(&format!("domains = [\"example.com\"]\n{CSR}"));
    setting.table("[[order]]\nname = \"logo\"\nproduct = \"mark\"\norder_number = \"2\"");
    setting.table("[[order]]\nname = \"bare\"\norder_number = \"3\"");
    setting.table("[[order]]\nname = \"lost\"\norder_number = \"4\"\ncsr_file = \"$DIR/nowhere.csr\"");
    setting.write_configuration();
    let address = server.address.to_string();
    let mut text = String::new();
    for arguments in [
        &["doctor", "dcv", "nobody"][..],
        &["doctor", "dcv", "logo"],
        &["doctor", "dcv", "bare"],
        &["doctor", "dcv", "lost"],
        &["doctor", "dcv", "www", "--resolver", "dns.example.com"],
        &["doctor", "dcv", "www", "--resolver", "192.0.2.1:0"],
    ] {
        let resolver = ["--resolver", &address];
        let all: Vec<&str> = arguments.iter().chain(&resolver).copied().take(5).collect();
        let (code, said) = setting.call(&all);
        assert_eq!(code, 2, "{arguments:?}: {said}");
        text += said.lines().next().unwrap_or_default();
        text.push('\n');
    }
    let text = text.replace(&setting.dir.path().display().to_string(), "$DIR");
    assert_snapshot!(text, @r##"
    no order named nobody is configured; there are: www, logo, bare, lost
    order logo is of product mark; domain control can be checked for orders of product ssl
    order bare: no domain is known; give it `domains` or a csr_file, or wait for its first poll
    order lost: csr_file $DIR/nowhere.csr: it does not exist
    error: invalid value 'dns.example.com' for '--resolver <ADDR[:PORT]>': an IP address, with a port or without: 192.0.2.53, [2001:db8::53]:5353
    error: invalid value '192.0.2.1:0' for '--resolver <ADDR[:PORT]>': an IP address, with a port or without: 192.0.2.53, [2001:db8::53]:5353
    "##);
    assert!(server.asked().is_empty());
}
