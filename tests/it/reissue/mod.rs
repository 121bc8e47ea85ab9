//! Re-issues by the real binary: whatever happens to an answer, a process, the state or an account, the vendor takes at
//! most one call for each intent, and none about an order in flight.

/// What follows from each answer.
mod answers;
/// The state, the lock, the account, the configuration.
mod intent;
/// The proof of control.
mod proven;

use std::sync::LazyLock;

use certcollectd::sources::clock;
use certcollectd_sandbox::{CertificateSpec, DialSettings, OrderSpec, Product, Reissues, Step};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

use crate::setting::Setting;

pub(crate) const DAY: i64 = 24 * 3600;

/// Polls come by command, and while something is waited for.
pub(crate) const POLLING: &str = "interval = \"300ms\"\ncall_gap = \"0s\"\nguard_interval = \"1h\"\nmax_interval = \"1s\"\n\
     connect_timeout = \"2s\"\nrequest_timeout = \"2s\"";

/// An order with everything that a re-issue needs; nothing is to be published.
pub(crate) const KEYS: &str = "key_file = \"$DIR/key.pem\"\ncsr_file = \"$DIR/www.csr\"\ndomains = [\"www.example.com\"]\n\
     [order.reissue]\ndcv = \"reuse\"\n[order.verify]\ntrust = \"off\"";

/// When the tests began, UNIX seconds.
static START: LazyLock<i64> = LazyLock::new(|| clock::now().unix());

/// A certificate of which ten days are over; the `later` ones end later.
pub(crate) fn aged(later: i64) -> CertificateSpec {
    CertificateSpec {
        not_before: Some(*START - 10 * DAY),
        not_after: Some(*START + 20 * DAY + later * 60),
        ..CertificateSpec::default()
    }
}

/// A TLS order with an aged certificate.
pub(crate) fn order(number: &str) -> OrderSpec {
    OrderSpec { certificate: aged(0), ..OrderSpec::new(Product::Ssl, number, &["www.example.com"]) }
}

/// A certificate request, PEM.
pub(crate) fn request(key: &KeyPair, names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names.clone()).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, names[0].as_str());
    params.serialize_request(key).unwrap().pem().unwrap()
}

/// Order 1 as `www`, collected and installed; no process runs.
fn guarded() -> Setting {
    let mut setting = Setting::new();
    setting.polling(POLLING);
    setting.write("www.csr", &request(&setting.key, &["www.example.com"]));
    setting.order("www", order("1"), KEYS);
    let (code, said) = setting.once(&[]);
    assert_eq!((code, setting.phase("www").as_str()), (0, "guarding"), "{said}");
    setting
}

pub(crate) fn dials(setting: &Setting, json: serde_json::Value) {
    let dials: DialSettings = serde_json::from_value(json).unwrap();
    setting.vendor().vendor().set_dials(dials).unwrap();
}

/// What AutoReplaceSSL came to at the vendor for an order.
pub(crate) fn counted(setting: &Setting, number: &str) -> Reissues {
    let counters = setting.vendor().vendor().record().counters();
    counters.reissues.get(number).cloned().unwrap_or_default()
}

/// Calls of AutoReplaceSSL, answered or not.
fn asked(setting: &Setting) -> u64 {
    let counters = setting.vendor().vendor().record().counters();
    counters.endpoints.get("AutoReplaceSSL").copied().unwrap_or(0)
}

pub(crate) fn stage(setting: &Setting, name: &str) -> String {
    setting.order_status(name)["reissue"]["stage"].as_str().unwrap_or("none").to_owned()
}

/// Polls, as the daemon would by itself, until something holds.
fn poll_until(setting: &Setting, what: &str, holds: impl Fn(&Setting) -> bool) {
    setting.until(what, |setting| {
        setting.call(&["once"]);
        holds(setting)
    });
}

/// The re-issue is at its end: the vendor's newest certificate is in place, and not the one before.
fn closes(setting: &Setting, before: &str) {
    poll_until(setting, "the new certificate is in place", |setting| stage(setting, "www") == "closed");
    let newest = setting.newest("1");
    assert_ne!(newest, before);
    assert_eq!(setting.read("out/www/cert.pem"), newest);
}

#[test]
fn a_request_is_sent_once_and_its_certificate_installed() {
    let setting = guarded();
    let before = setting.newest("1");
    let polls = setting.calls("1");
    let (code, said) = setting.call(&["reissue", "www"]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(setting.calls("1"), polls + 1, "one poll looked first");
    let calls: Vec<String> = {
        let vendor = setting.vendor().vendor();
        vendor.record().calls(0).map(|call| call.endpoint.clone()).collect()
    };
    assert!(calls.ends_with(&["CollectSSL".into(), "AutoReplaceSSL".into()]), "{calls:?}");
    assert_eq!(stage(&setting, "www"), "open");
    closes(&setting, &before);
    assert_eq!(counted(&setting, "1"), Reissues { accepted: 1, ..Reissues::default() });
}

#[test]
fn the_vendor_is_sent_what_the_dry_run_shows() {
    let setting = guarded();
    let (code, said) = setting.call(&["reissue", "www", "--dry-run", "--json"]);
    assert_eq!(code, 0, "{said}");
    let shown: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(asked(&setting), 0);
    assert_eq!(setting.call(&["reissue", "www"]).0, 0);
    let vendor = setting.vendor().vendor();
    let sent = vendor.record().calls(0).last().unwrap().fields.clone();
    assert_eq!(shown["data"]["fields"], serde_json::json!(sent), "{said}");
    let always = [
        ("exactOrder", "Y"),
        ("serverSoftware", "-1"),
        ("isCustomerValidated", "Y"),
        ("dcvMethod", "CNAME_CSR_HASH"),
        ("showCertificateID", "Y"),
        ("responseFormat", "1"),
    ];
    for (name, value) in always {
        assert_eq!(sent[name], value, "{name}");
    }
    assert!(!said.contains(crate::setting::PASSWORD) && !sent.contains_key("loginPassword"));
}

/// The vendor's script of re-issues: pending until told otherwise.
fn pending_for_good(setting: &Setting) {
    dials(setting, serde_json::json!({ "reissue_script": [Step::default()] }));
}
