//! Every documented sample and every recorded oddity decodes to what its origin says.
//!
//! The files lie in `tests/data/answers`, each with a line in its `ORIGIN.md`. A file without a row here, a row
//! without a file, and a file without a line there fail.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use bytes::Bytes;
use certcollectd_core::api::code::classify;
use certcollectd_core::api::request::{Endpoint, Replace};
use certcollectd_core::api::{Answer, OrderRef, Product, Reply, Request, Response, Untrusted, push, reply};
use certcollectd_core::cert::{Certificate, unpack_all};

/// How a file is read.
enum As {
    /// The whole body of an answer.
    Answer(Endpoint),
    /// A part of an answer as a page shows it, after this beginning.
    Part(&'static str, Endpoint),
    /// Query or body of a notification.
    Push,
    /// A sample request in the form of a command line.
    Request(Endpoint),
}
use As::{Answer as Whole, Part, Push};
use Endpoint::{CollectMc, CollectSmime, CollectSsl, DomainDetails, ReplaceSmime, ReplaceSsl, ResendSmime};

const CHAIN: &str = "2 Ready; root inter leaf";
/// The words that the pages write where base64 would stand are base64 too, of rubbish.
const PICTURE: &str = "2 Ready; it contains no certificate, only binary data of an unknown kind";

const ROWS: &[(&str, As, &str)] = &[
    ("mc-bare-pem.txt", Whole(CollectMc), CHAIN),
    ("mc-binary-ber.p7b", Whole(CollectMc), CHAIN),
    ("mc-binary-signed.p7b", Whole(CollectMc), "2 Ready; inter root leaf"),
    ("mc-binary-zip.zip", Whole(CollectMc), "2 Ready; leaf inter root"),
    ("mc-certificates.txt", Whole(CollectMc), PICTURE),
    (
        "mc-form-error.txt",
        Whole(CollectMc),
        "-3 Ours \"The 'orderNumber' argument is missing!\"; errorDetail=orderNumber",
    ),
    ("mc-lines-error.txt", Whole(CollectMc), "-20 Rejected \"The certificate request has been rejected!\""),
    ("mc-lines-pem.txt", Whole(CollectMc), CHAIN),
    ("mc-success.txt", Whole(CollectMc), "2 Ready; a PEM block is not valid base64"),
    (
        "mdc-form-broken-lines.txt",
        Whole(DomainDetails),
        "0 Done; example.com - Validated; www.example.com CNAME_CSR_HASH In progress; csrStatus=1 \
         ovCallBackStatus=-1 organizationValidationStatus=1 freeDVUPStatus=-1 evClickThroughStatus=0 evAssumedName=0 \
         evLegalExistence=0 evPhysicalExistence=0 evOperationalExistence=0 evSignerApproverRequester=0 \
         evSignerSecondApproval=0 dcvStatusCode=2",
    ),
    (
        "mdc-form.txt",
        Whole(DomainDetails),
        "0 Done; 123456789012345678901wuuu.tk - Validated; 123578901234578901wuuu.tk - Validated; \
         test.com - Validated; csrStatus=1 ovCallBackStatus=-1 organizationValidationStatus=2 freeDVUPStatus=-1 \
         evClickThroughStatus=1 evAssumedName=-1 evLegalExistence=0 evPhysicalExistence=0 evOperationalExistence=0 \
         evSignerApproverRequester=0 evSignerSecondApproval=0 dcvStatusCode=1",
    ),
    (
        "mdc-json-error.txt",
        Whole(DomainDetails),
        "-16 AccountClosed \"Incorrect login details, account is locked, password has expired or your source IP is \
         blocked.\" about loginName",
    ),
    (
        "mdc-no-method.txt",
        Whole(DomainDetails),
        "0 Done; example.com - Validated; 192.0.2.7 HTTP_CSR_HASH In progress",
    ),
    ("mdc-permission.txt", Whole(DomainDetails), "-16 EndpointRefused \"Permission denied!\""),
    ("push-caa.txt", Push, "123456789: failed before signing (status 3), \"CAA check failed\""),
    ("push-get.txt", Push, "123456789: issued, not yet collected (status 9)"),
    ("push-post.txt", Push, "123456789: issued, not yet collected (status 9)"),
    (
        "reissue-form-error.txt",
        Whole(ReplaceSsl),
        "-12 Report \"The CSR has an invalid signature!\" about csr",
    ),
    (
        "reissue-form.txt",
        Whole(ReplaceSsl),
        "0 Done; certificate 987654; unique value Ab12Cd34Ef56Gh78Ij90; expectedDeliveryTime=0",
    ),
    ("reissue-lines.txt", Whole(ReplaceSsl), "0 Done"),
    ("replace-form.txt", Whole(ReplaceSmime), "0 Done; order 7654321"),
    ("replace-json.txt", Whole(ReplaceSmime), "0 Done; order 7654321"),
    ("replace-lines.txt", Whole(ReplaceSmime), "0 Done; order 7654321"),
    ("replace-none.txt", Whole(ReplaceSmime), "0 Done"),
    ("request-mc.txt", As::Request(CollectMc), "orderNumber responseType=2 responseEncoding=1"),
    ("request-mdc.txt", As::Request(DomainDetails), "orderNumber showStatusDetails=Y responseFormat"),
    ("request-replace.txt", As::Request(ReplaceSmime), "orderNumber csr responseFormat revokeOldOrder=Y"),
    ("request-resend.txt", As::Request(ResendSmime), "orderNumber"),
    (
        "request-ssl.txt",
        As::Request(CollectSsl),
        "orderNumber queryType showStatusDetails=Y responseType=3 responseFormat=1 showExtStatus=Y showValidityPeriod=Y",
    ),
    ("resend-error.txt", Whole(ResendSmime), "-122 Report \"The Certificate is in wrong state.\""),
    ("resend-success.txt", Whole(ResendSmime), "0 Done"),
    ("smime-lines-cmmf.txt", Whole(CollectSmime), CHAIN),
    ("ssl-certificates.txt", Part("2\n", CollectSsl), PICTURE),
    (
        "ssl-domains.txt",
        Part("0\n", CollectSsl),
        "0 Waiting; domain1.com VALIDATED, domain2.com NOTVALIDATED",
    ),
    (
        "ssl-form-being-issued.txt",
        Whole(CollectSsl),
        "-26 Waiting \"The certificate is currently being issued!\"",
    ),
    ("ssl-form-der64-lines.txt", Whole(CollectSsl), CHAIN),
    ("ssl-form-der64.txt", Whole(CollectSsl), CHAIN),
    (
        "ssl-form-details.txt",
        Whole(CollectSsl),
        "0 Waiting; Awaiting Validation; Awaiting Brand Validation; csrStatus=1 dcvStatus=2 ovCallBackStatus=-1 \
         organizationValidationStatus=2 freeDVUPStatus=-1 evClickThroughStatus=0 brandValStatus=0 maStatus=-1 \
         evAssumedName=-1 evLegalExistence=0 evPhysicalExistence=0 evOperationalExistence=0 \
         evSignerApproverRequester=0 evSignerSecondApproval=0; CAA Awaiting Completion; someNewKey=some new value",
    ),
    (
        "ssl-form-domains.txt",
        Whole(CollectSsl),
        "0 Waiting; a.example.com VALIDATED, b.example.com AWAITINGBRAND",
    ),
    (
        "ssl-form-empty-fqdn.txt",
        Whole(CollectSsl),
        "2 Ready; order 123456789; certificate 987654; root inter leaf",
    ),
    (
        "ssl-form-error-item.txt",
        Whole(CollectSsl),
        "-16 AccountClosed \"Incorrect login details, account is locked, password has expired or your source IP is \
         blocked.\" about loginName",
    ),
    ("ssl-form-issuer-first.txt", Whole(CollectSsl), "2 Ready; inter root leaf"),
    ("ssl-form-netscape.txt", Whole(CollectSsl), "2 Ready; leaf inter root"),
    ("ssl-form-pem.txt", Whole(CollectSsl), CHAIN),
    ("ssl-form-pem64.txt", Whole(CollectSsl), CHAIN),
    ("ssl-form-pkcs7.txt", Whole(CollectSsl), "2 Ready; leaf inter root"),
    ("ssl-form-raw-plus.txt", Whole(CollectSsl), CHAIN),
    ("ssl-form-term.txt", Whole(CollectSsl), "1 Available; term 1761696000 to 1793232000"),
    ("ssl-form-zip.txt", Whole(CollectSsl), "2 Ready; leaf inter root"),
    (
        "ssl-lines-issued.txt",
        Whole(CollectSsl),
        "2 Ready; term 1761696000 to 1793232000; Issued; Complete; root inter leaf",
    ),
    ("ssl-term.txt", Part("1\n", CollectSsl), "1 Available; term 1761696000 to 1793232000"),
    ("ssl-validity.txt", Part("1\n", CollectSsl), "1 Available"),
];

fn data(folder: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(folder)
}

#[test]
fn every_sample_decodes_to_what_its_page_says() {
    let mut wrong = String::new();
    for (name, how, expected) in ROWS {
        let bytes = fs::read(data("answers").join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let reading = match how {
            Whole(endpoint) => reading(*endpoint, bytes),
            Part(before, endpoint) => reading(*endpoint, [before.as_bytes(), &bytes].concat()),
            Push => push::parse(b"", &bytes)
                .map_or_else(|| "no hint".into(), |hint| format!("{}: {}", hint.numbers.join(" "), hint.why)),
            As::Request(endpoint) => request(*endpoint, &String::from_utf8(bytes).unwrap()),
        };
        if reading != *expected {
            wrong += &format!("{name}\n  reads    {reading}\n  expected {expected}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_file_has_a_row_and_an_origin() {
    let files: BTreeSet<String> = fs::read_dir(data("answers"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !["ORIGIN.md", "make.py"].contains(&name.as_str()))
        .collect();
    let rows: BTreeSet<String> = ROWS.iter().map(|(name, ..)| (*name).to_owned()).collect();
    assert_eq!(files, rows);
    let origin = fs::read_to_string(data("answers").join("ORIGIN.md")).unwrap();
    let told: BTreeSet<String> = origin
        .lines()
        .filter_map(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned()))
        .collect();
    assert_eq!(files, told);
}

/// Everything that was understood, in one line.
fn reading(endpoint: Endpoint, body: Vec<u8>) -> String {
    let answer =
        Answer { status: 200, content_type: None, retry_after: None, date: None, body: Bytes::from(body) };
    let reply = match reply::decode(endpoint, &answer) {
        Ok(reply) => reply,
        Err(unreadable) => return unreadable.to_string(),
    };
    let mut text = format!("{} {:?}", reply.code, classify(endpoint, &reply).class);
    if let Some(message) = &reply.message {
        text += &format!(" \"{message}\"");
    }
    if let Some(item) = &reply.item {
        text += &format!(" about {item}");
    }
    let mut parts = vec![text];
    parts.extend(said(&reply));
    if !reply.parts.is_empty() {
        parts.push(match unpack_all(reply.parts.iter().map(|part| &part[..])) {
            Ok(found) => found.iter().map(fixture).collect::<Vec<_>>().join(" "),
            Err(error) => error.to_string(),
        });
    }
    parts.join("; ")
}

fn said(reply: &Reply) -> Vec<String> {
    let details = &reply.details;
    let mut said = Vec::new();
    said.extend(reply.order_number.as_ref().map(|number| format!("order {number}")));
    said.extend(reply.certificate_id.as_ref().map(|number| format!("certificate {number}")));
    said.extend(reply.unique_value.as_ref().map(|value| format!("unique value {value}")));
    if let (Some(start), Some(end)) = (details.term_start, details.term_end) {
        said.push(format!("term {start} to {end}"));
    }
    said.extend(
        [&details.fqdn, &details.certificate_status, &details.validation_status]
            .into_iter()
            .flatten()
            .map(ToString::to_string),
    );
    let domains: Vec<String> =
        details.domains.iter().map(|(domain, state)| format!("{domain} {state}")).collect();
    said.extend(Some(domains.join(", ")).filter(|domains| !domains.is_empty()));
    let word = |text: &Option<Untrusted>| text.as_ref().map_or("-", Untrusted::as_str).to_owned();
    said.extend(
        details.dcv.iter().map(|dcv| format!("{} {} {}", dcv.domain, word(&dcv.method), word(&dcv.status))),
    );
    let statuses: Vec<String> = reply::STATUSES
        .iter()
        .filter_map(|name| details.statuses.iter().find(|(known, _)| known == name))
        .map(|(name, status)| format!("{name}={status}"))
        .collect();
    said.extend(Some(statuses.join(" ")).filter(|statuses| !statuses.is_empty()));
    said.extend(details.caa.as_ref().map(|caa| format!("CAA {caa}")));
    said.extend(details.others.iter().map(|(key, value)| format!("{key}={value}")));
    said
}

/// The name of a certificate among the fixtures.
fn fixture(certificate: &Certificate) -> &'static str {
    let is = |name: &&&str| fs::read(data("cert").join(format!("{name}.der"))).unwrap() == certificate.der();
    ["root", "inter", "leaf"].iter().find(is).copied().unwrap_or("a stranger")
}

/// The parameters of a sample request, in our spelling, each with its value where we send the same one. A
/// parameter that we never send fails.
fn request(endpoint: Endpoint, sample: &str) -> String {
    let number = OrderRef::OrderNumber("1".into());
    let ours: Vec<Request> = match endpoint {
        CollectSsl => Response::ALL
            .iter()
            .map(|(_, response)| Request::collect(Product::Ssl, &number, Some(*response)))
            .collect(),
        CollectMc => vec![Request::collect(Product::Mark, &number, None)],
        CollectSmime => vec![Request::collect(Product::Smime, &number, None)],
        DomainDetails => vec![Request::domain_details("1")],
        ReplaceSmime => vec![Request::replace_smime(&Replace { revoke_old: true, ..Replace::default() })],
        ReplaceSsl => unreachable!("no page shows one"),
        ResendSmime => vec![Request::resend_smime("1")],
    };
    assert!(sample.contains(endpoint.path()), "{sample}");
    let names: Vec<String> = sample
        .split("--data-urlencode '")
        .skip(1)
        .filter_map(|pair| {
            let (name, value) = pair.split_once('=').expect("a pair");
            let value = value.split_once('\'').map_or(value, |(value, _)| value);
            if ["loginName", "loginPassword"].contains(&name) {
                return None;
            }
            let mut known = ours
                .iter()
                .flat_map(|request| &request.fields)
                .filter(|(known, _)| known.eq_ignore_ascii_case(name))
                .peekable();
            let spelling = known.peek().unwrap_or_else(|| panic!("{name} is never sent")).0.to_string();
            let same = known.any(|(_, ours)| ours == value);
            Some(if same { format!("{spelling}={value}") } else { spelling })
        })
        .collect();
    names.join(" ")
}
