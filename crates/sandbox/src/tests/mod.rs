//! What the sandbox promises, shown from outside: calls in, bytes out, `openssl` as the judge.
//!
//! `calls` are put to [`Vendor::call`](super::Vendor) without a socket; `network` uses the ports.

mod certificates;
mod collecting;
mod containers;
mod control;
mod network;
mod refusals;
mod reissuing;
mod replacing;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::answer::Answer;
use super::clock::Time;
use super::scenario::Scenario;
use super::vendor::{Incoming, Vendor};
use super::{AccountSpec, OrderSpec, Product, Step};

const SSL: &str = "/products/download/CollectSSL";
const MC: &str = "/products/download/CollectMC";
const SMIME: &str = "/products/download/CollectSMIME";
const DETAILS: &str = "/products/!GetMDCDomainDetails";
const REISSUE: &str = "/products/!AutoReplaceSSL";
const REPLACE: &str = "/products/!AutoReplaceSMIME";
const RESEND: &str = "/products/!ResendCollectionEmailSMIME";

const LOGIN: &str = "loginName=demo&loginPassword=Secret";

/// The account `demo` and three issued orders: 1 (TLS), 2 (mark), 3 (S/MIME), and a TLS order 4 that is
/// pending.
fn scenario() -> Scenario {
    Scenario {
        account: vec![AccountSpec::new("demo", "Secret")],
        order: vec![
            OrderSpec::new(Product::Ssl, "1", &["www.example.com", "example.com"]),
            OrderSpec::new(Product::Mark, "2", &["example.com"]),
            OrderSpec::new(Product::Smime, "3", &["user@example.com"]),
            OrderSpec::new(Product::Ssl, "4", &["a.example", "b.example"]).with_script(vec![Step::default()]),
        ],
        ..Scenario::default()
    }
}

fn vendor() -> Vendor {
    Vendor::new(scenario()).unwrap()
}

/// A form as it comes in over TLS.
fn form(path: &str, body: &str, answer: impl FnOnce(Incoming<'_>) -> Answer) -> Answer {
    answer(Incoming {
        method: "POST",
        path,
        query: None,
        content_type: Some("application/x-www-form-urlencoded"),
        body: body.as_bytes(),
        tls: true,
        connection: 1,
    })
}

/// Posts a body as it stands.
fn post_raw(vendor: &mut Vendor, path: &str, body: &str) -> Answer {
    form(path, body, |incoming| vendor.call(incoming, super::now()).answer)
}

/// Posts a body behind the right login.
fn post(vendor: &mut Vendor, path: &str, body: &str) -> Answer {
    post_raw(vendor, path, &format!("{LOGIN}&{body}"))
}

/// The same, at a moment of one's own.
fn post_at(vendor: &mut Vendor, path: &str, body: &str, now: Time) -> Answer {
    form(path, &format!("{LOGIN}&{body}"), |incoming| vendor.call(incoming, now).answer)
}

fn set_shape(vendor: &mut Vendor, shape: &str) {
    let settings = super::DialSettings { shape: Some(shape.into()), ..Default::default() };
    vendor.set_dials(settings).unwrap();
}

fn text(answer: &Answer) -> &str {
    std::str::from_utf8(&answer.body).unwrap()
}

/// The values of a key in a URL-encoded answer.
fn values(answer: &Answer, key: &str) -> Vec<String> {
    let pairs = form_urlencoded::parse(&answer.body);
    pairs.filter(|(name, _)| name == key).map(|(_, value)| value.into_owned()).collect()
}

/// The one value of a key.
fn value(answer: &Answer, key: &str) -> String {
    let mut values = values(answer, key);
    assert_eq!(values.len(), 1, "{key} in {}", text(answer));
    values.remove(0)
}

/// Runs `openssl`, and returns whether it was content and what it wrote; `None` where there is none.
fn openssl(arguments: &[&str], input: &[u8]) -> Option<(bool, String)> {
    let mut child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    // It may end without having read everything; its verdict counts, not the broken pipe.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&text).into_owned()))
}

/// What `openssl` writes when it is content.
fn openssl_reads(arguments: &[&str], input: &[u8]) -> Option<String> {
    let (content, text) = openssl(arguments, input)?;
    assert!(content, "openssl {arguments:?}: {text}");
    Some(text)
}

/// A directory for files that `openssl` is to read.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Files {
        Files(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path: PathBuf = self.0.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().into()
    }
}
