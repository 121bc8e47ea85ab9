//! AutoReplaceSSL: what it takes, what the order is told afterwards, and how its answer can be lost.

use std::net::{SocketAddr, UdpSocket};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::CNAME;
use hickory_proto::rr::{Name, RData, Record};
use serde_json::{Value, json};

use super::*;
use crate::proof::Token;
use crate::{CertificateSpec, DialSettings, FaultSpec, Options, Proof, ReusedToken, Sandbox};

/// A request for these names, as PEM.
fn csr(names: &[&str]) -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = rcgen::CertificateParams::new(names.clone()).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    if let Some(first) = names.first() {
        params.distinguished_name.push(rcgen::DnType::CommonName, first.as_str());
    }
    params.serialize_request(&key).unwrap().pem().unwrap()
}

/// A call as clients in production make it.
fn body(number: &str, csr: &str, unique: &str, rest: &str) -> String {
    let csr: String = form_urlencoded::byte_serialize(csr.as_bytes()).collect();
    format!(
        "orderNumber={number}&csr={csr}&uniqueValue={unique}&dcvMethod=CNAME_CSR_HASH&exactOrder=Y\
         &showCertificateID=Y&responseFormat=1{rest}"
    )
}

fn ask(vendor: &mut Vendor, csr: &str, unique: &str, rest: &str) -> Answer {
    post(vendor, REISSUE, &body("1", csr, unique, rest))
}

fn poll(vendor: &mut Vendor) -> i32 {
    post(vendor, SSL, "orderNumber=1&queryType=1").code.unwrap()
}

/// The vendor with order 1 collected once.
fn issued() -> Vendor {
    let mut vendor = vendor();
    assert_eq!(poll(&mut vendor), 2);
    vendor
}

fn dials(vendor: &mut Vendor, json: Value) {
    vendor.set_dials(serde_json::from_value::<DialSettings>(json).unwrap()).unwrap();
}

fn newest(vendor: &Vendor) -> crate::Certificate {
    vendor.book().get("1").unwrap().certificates.last().unwrap().clone()
}

/// Accepted, refused, edits, reused tokens.
fn counted(vendor: &Vendor, number: &str) -> [u64; 4] {
    let counters = vendor.record().counters();
    let of = counters.reissues.get(number).cloned().unwrap_or_default();
    [of.accepted, of.refused, of.edits, of.reused_tokens]
}

#[test]
fn an_order_is_in_flight_again_under_its_number_and_then_has_another_certificate() {
    let mut vendor = issued();
    let old = newest(&vendor);
    let csr = csr(&["www.example.com", "example.com"]);
    dials(&mut vendor, json!({ "reissue_script": [Step::pending(2), Step::issued()] }));
    let answer = ask(&mut vendor, &csr, "abc1", "");
    let id = value(&answer, "certificateID");
    assert_eq!(
        text(&answer),
        format!("errorCode=0&certificateID={id}&expectedDeliveryTime=0&uniqueValue=abc1")
    );
    assert_ne!(id, old.id);
    let by_old_id = post(&mut vendor, SSL, &format!("certificateID={}&queryType=2", old.id));
    assert_eq!(by_old_id.code, Some(2), "the predecessor stays valid");
    let pending = post(&mut vendor, SSL, &format!("certificateID={id}&queryType=0"));
    assert_eq!(pending.code, Some(0));
    assert_eq!(poll(&mut vendor), 2);
    let new = newest(&vendor);
    assert_eq!((new.id.as_str(), new.issued.names.len()), (id.as_str(), 2));
    let pem = crate::der::pem("CERTIFICATE", &new.issued.der, "\n");
    if let Some(public) = openssl_reads(&["req", "-noout", "-pubkey"], csr.as_bytes()) {
        assert_eq!(openssl_reads(&["x509", "-noout", "-pubkey"], pem.as_bytes()).unwrap(), public);
    }
    assert_eq!(counted(&vendor, "1"), [1, 0, 0, 0]);
}

#[test]
fn an_answer_in_lines_has_no_certificate_id_unless_asked_for() {
    let mut vendor = issued();
    let request: String = form_urlencoded::byte_serialize(csr(&["example.com"]).as_bytes()).collect();
    let answer = post(&mut vendor, REISSUE, &format!("orderNumber=1&csr={request}"));
    assert_eq!(text(&answer), "0\n0\n");
    let answer = post(&mut vendor, REISSUE, "orderNumber=1&csr=AAAA");
    assert_eq!(text(&answer), "-10\nThe CSR cannot be decoded!\n");
}

#[test]
fn the_script_of_a_reissue_is_a_dial() {
    let mut vendor = issued();
    dials(&mut vendor, json!({ "reissue_script": [{ "state": "issued" }] }));
    ask(&mut vendor, &csr(&["www.example.com"]), "a1", "");
    assert_eq!(poll(&mut vendor), 2, "straight to issued");
    dials(
        &mut vendor,
        json!({ "reissue_script": [{ "for_ms": 60000 }, { "state": "error", "code": -26, "polls": 1 }, {}] }),
    );
    ask(&mut vendor, &csr(&["www.example.com"]), "a2", "");
    assert_eq!(poll(&mut vendor), 0);
    vendor.advance_clock(std::time::Duration::from_secs(60));
    assert_eq!([poll(&mut vendor), poll(&mut vendor), poll(&mut vendor)], [-26, 0, 0]);
    let made = vendor.reissue("1", &CertificateSpec::default()).unwrap();
    assert_eq!(made.issued.names, ["www.example.com", "example.com"]);
    assert_eq!(poll(&mut vendor), 2, "by a control call, for what was asked");
    assert_eq!(counted(&vendor, "1"), [2, 0, 0, 0]);
}

#[test]
fn the_names_are_those_of_the_request() {
    for (request, rest, expected) in [
        (&["www.example.com"][..], "", &["www.example.com", "example.com"][..]),
        (&["example.com"], "", &["example.com", "www.example.com"]),
        (&["other.example"], "", &["other.example"]),
        (
            &["example.com"],
            "&domainNames=a.example,example.com&primaryDomainName=a.example",
            &["a.example", "example.com", "www.example.com"],
        ),
    ] {
        let mut vendor = issued();
        assert_eq!(ask(&mut vendor, &csr(request), "u1", rest).code, Some(0));
        assert_eq!([poll(&mut vendor), poll(&mut vendor)], [0, 2]);
        assert_eq!(newest(&vendor).issued.names, expected, "{request:?} {rest}");
    }
}

#[test]
fn a_name_list_left_out_loses_names() {
    let mut vendor = vendor();
    vendor.put_order(OrderSpec::new(Product::Ssl, "1", &["a.example", "b.example", "c.example"])).unwrap();
    poll(&mut vendor);
    ask(&mut vendor, &csr(&["a.example"]), "u1", "");
    assert_eq!([poll(&mut vendor), poll(&mut vendor)], [0, 2]);
    assert_eq!(newest(&vendor).issued.names, ["a.example"]);
}

#[test]
fn the_end_is_cut_to_the_product_term() {
    let mut vendor = vendor();
    let mut order = OrderSpec::new(Product::Ssl, "1", &["www.example.com"]);
    order.term_days = Some(300);
    vendor.put_order(order).unwrap();
    poll(&mut vendor);
    let start = newest(&vendor).issued.not_before;
    vendor.advance_clock(std::time::Duration::from_secs(200 * 86_400));
    ask(&mut vendor, &csr(&["www.example.com"]), "u1", "");
    assert_eq!([poll(&mut vendor), poll(&mut vendor)], [0, 2]);
    assert_eq!(newest(&vendor).issued.not_after, start + 300 * 86_400 - 1);
    vendor.advance_clock(std::time::Duration::from_secs(101 * 86_400));
    assert_eq!(ask(&mut vendor, &csr(&["www.example.com"]), "u2", "").code, Some(-20), "the term is over");
}

#[test]
fn a_call_for_an_order_in_flight_edits_it() {
    let mut vendor = issued();
    let (first, second) = (csr(&["www.example.com"]), csr(&["other.example"]));
    let id = value(&ask(&mut vendor, &first, "u1", ""), "certificateID");
    assert_eq!(value(&ask(&mut vendor, &second, "u2", ""), "certificateID"), id, "no other certificate");
    assert_eq!([poll(&mut vendor), poll(&mut vendor)], [0, 2]);
    assert_eq!(newest(&vendor).issued.names, ["other.example"]);
    assert_eq!(counted(&vendor, "1"), [1, 0, 1, 0]);
    // An order that was never issued, and one that its script has put back.
    let body = body("4", &csr(&["new.example"]), "u3", "");
    assert_eq!(post(&mut vendor, REISSUE, &body).code, Some(0));
    assert_eq!(counted(&vendor, "4"), [0, 0, 1, 0]);
    assert_eq!(vendor.issue("4", None).unwrap().issued.names, ["new.example"]);
    vendor.set_script("1", vec![Step::default()]).unwrap();
    ask(&mut vendor, &csr(&["www.example.com"]), "u4", "");
    assert_eq!(counted(&vendor, "1"), [1, 0, 2, 0]);
}

#[test]
fn a_token_is_good_for_one_call() {
    let mut vendor = issued();
    let request = csr(&["www.example.com"]);
    ask(&mut vendor, &request, "same", "");
    assert_eq!([poll(&mut vendor), poll(&mut vendor)], [0, 2]);
    assert_eq!(ask(&mut vendor, &request, "SAME", "").code, Some(0), "nothing is said at first");
    assert_eq!([poll(&mut vendor), poll(&mut vendor), poll(&mut vendor)], [0, -20, -20]);
    assert_eq!(counted(&vendor, "1"), [2, 0, 0, 1]);

    let mut vendor = issued();
    dials(&mut vendor, json!({ "reused_token": ReusedToken::Refused }));
    assert_eq!(ask(&mut vendor, &request, "same", "").code, Some(0));
    assert_eq!([poll(&mut vendor), poll(&mut vendor)], [0, 2]);
    assert_eq!(ask(&mut vendor, &request, "same", "").code, Some(-20));
    assert_eq!(poll(&mut vendor), 2);
    assert_eq!(ask(&mut vendor, &request, "other", "").code, Some(0), "another unique value");
    assert_eq!(counted(&vendor, "1"), [2, 1, 0, 1]);
}

#[test]
fn without_exact_order_a_relative_may_be_meant() {
    let mut vendor = issued();
    let mut relative = OrderSpec::new(Product::Ssl, "11", &["www.example.com"]);
    relative.base_order_number = Some("1".into());
    vendor.put_order(relative).unwrap();
    dials(&mut vendor, json!({ "related_orders": true }));
    ask(&mut vendor, &csr(&["www.example.com"]), "u1", "");
    assert_eq!(counted(&vendor, "1"), [1, 0, 0, 0]);
    let body = body("1", &csr(&["www.example.com"]), "u2", "").replace("&exactOrder=Y", "");
    assert_eq!(post(&mut vendor, REISSUE, &body).code, Some(0));
    assert_eq!((counted(&vendor, "1"), counted(&vendor, "11")), ([1, 0, 0, 0], [1, 0, 0, 0]));
}

#[test]
fn what_cannot_be_reissued_is_refused() {
    let mut vendor = issued();
    let good = csr(&["www.example.com"]);
    for (request, rest, expected) in [
        ("!", "", -9),
        ("AAAA", "", -10),
        (&csr(&[]), "", -8),
        (&csr(&["*.example.com"]), "", -5),
        (&good, "&primaryDomainName=example.com", -4),
        (&good, "&domainNames=a.example&primaryDomainName=b.example", -4),
        (&good, "&test=Y", -2),
        (&good, "&maxSubjectCNs=many", -4),
    ] {
        assert_eq!(ask(&mut vendor, request, "u1", rest).code, Some(expected), "{rest}");
    }
    for (code, expected) in [(-20, -20), (-21, -21), (-22, -22), (-26, -26)] {
        vendor.set_script("1", vec![Step::error(code)]).unwrap();
        assert_eq!(ask(&mut vendor, &good, "u1", "").code, Some(expected));
    }
    assert_eq!(counted(&vendor, "1"), [0, 12, 0, 0]);
    let mark = post(&mut vendor, REISSUE, &body("2", &good, "u1", ""));
    assert_eq!(mark.code, Some(-4), "a mark order has an endpoint of its own");
    let wrong = post_raw(
        &mut vendor,
        REISSUE,
        &format!("loginName=demo&loginPassword=x&{}", body("1", &good, "u", "")),
    );
    assert_eq!(wrong.code, Some(-16));
}

#[test]
fn an_answer_can_be_lost_after_the_call_was_taken_or_before() {
    for (fault, taken) in [
        (json!({ "fault": "close" }), true),
        (json!({ "fault": { "cut": { "after": 0 } } }), true),
        (json!({ "fault": { "stall": { "after": 0, "ms": 60000 } } }), true),
        (json!({ "fault": { "http-status": { "status": 503 } }, "reached": true }), true),
        (json!({ "fault": { "http-status": { "status": 429 } }, "reached": true }), true),
        (json!({ "fault": "html", "reached": true }), true),
        (json!({ "fault": { "redirect": { "status": 302, "location": "/" } }, "reached": true }), true),
        (json!({ "fault": { "garbage": { "bytes": 99 } } }), true),
        (json!({ "fault": "raw-garbage" }), true),
        (json!({ "fault": "empty" }), true),
        (json!({ "fault": { "code": { "code": -14 } }, "reached": true }), true),
        (json!({ "fault": { "code": { "code": -9999 } }, "reached": true }), true),
        (json!({ "fault": "close", "reached": false }), false),
        (json!({ "fault": { "http-status": { "status": 503 } } }), false),
        (json!({ "fault": { "code": { "code": -14 } } }), false),
    ] {
        let mut vendor = issued();
        vendor.faults.add(serde_json::from_value::<FaultSpec>(fault.clone()).unwrap()).unwrap();
        let answer = ask(&mut vendor, &csr(&["www.example.com"]), "u1", "");
        let told = answer.status == 200 && values(&answer, "errorCode") == ["0"];
        let wire =
            ["close", "cut", "stall", "raw-garbage"].iter().any(|name| fault.to_string().contains(name));
        assert!(!told || wire, "{fault}");
        let [accepted, refused, ..] = counted(&vendor, "1");
        assert_eq!(accepted, u64::from(taken), "{fault}");
        assert_eq!(refused, u64::from(!taken && fault.to_string().contains("code\"")), "{fault}");
        let call = vendor.record().calls(0).last().unwrap();
        assert_eq!(call.fields.get("uniqueValue").map(String::as_str), taken.then_some("u1"), "{fault}");
        assert!(!format!("{:?}", call.fields).contains("Secret"));
        vendor.faults.clear();
        assert_eq!(poll(&mut vendor), if taken { 0 } else { 2 }, "{fault}");
    }
}

#[test]
fn any_code_can_be_answered_in_the_form_that_was_asked_for() {
    let mut vendor = issued();
    let fault = json!({ "fault": { "code": { "code": -40, "message": "compromised" } }, "endpoint": "AutoReplaceSSL" });
    vendor.faults.add(serde_json::from_value(fault).unwrap()).unwrap();
    let answer = ask(&mut vendor, &csr(&["www.example.com"]), "u1", "");
    assert_eq!(text(&answer), "errorCode=-40&errorMessage=compromised");
    assert_eq!(text(&post(&mut vendor, REISSUE, "")), "-40\ncompromised\n");
    assert_eq!((poll(&mut vendor), counted(&vendor, "1")), (2, [0, 1, 0, 0]));
}

#[test]
fn an_order_waits_until_its_domains_are_proven() {
    let mut vendor = issued();
    dials(&mut vendor, json!({ "proof": Proof::Never }));
    ask(&mut vendor, &csr(&["www.example.com"]), "u1", "");
    for _ in 0..3 {
        assert_eq!(poll(&mut vendor), 0);
    }
    let details = post(&mut vendor, DETAILS, "orderNumber=1");
    assert_eq!(value(&details, "1_dcvStatus"), "In progress");
    vendor.prove("1").unwrap();
    assert!(vendor.prove("1").unwrap_err().to_string().contains("waits for no proof"));
    assert_eq!([poll(&mut vendor), poll(&mut vendor)], [0, 2], "the script begins with the proof");
    ask(&mut vendor, &csr(&["www.example.com"]), "u2", "");
    vendor.reject("1").unwrap();
    assert_eq!(poll(&mut vendor), -20, "a rejection does not wait for a proof");
}

/// Answers every question about `owner` with a CNAME, and that nothing else exists.
fn name_server(owner: String, target: String) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let query = Message::from_vec(&buffer[..length]).unwrap();
            let question = query.queries[0].clone();
            let mut answer = Message::response(query.metadata.id, query.metadata.op_code);
            answer.add_query(question.clone());
            if question.name().to_ascii().eq_ignore_ascii_case(&format!("{owner}.")) {
                let data = RData::CNAME(CNAME(Name::from_ascii(&target).unwrap()));
                answer.add_answer(Record::from_rdata(question.name().clone(), 60, data));
            } else {
                answer.metadata.response_code = ResponseCode::NXDomain;
            }
            socket.send_to(&answer.to_vec().unwrap(), from).unwrap();
        }
    });
    address
}

/// The vendor at its port, with this dial; what it is told by a client.
struct Live {
    handle: crate::Handle,
    client: reqwest::Client,
    running: tokio::task::JoinHandle<Result<(), crate::Error>>,
}

impl Live {
    fn new(proof: Proof) -> Live {
        let mut options = Options { scenario: scenario(), ..Options::default() };
        options.scenario.dials.proof = Some(proof);
        let sandbox = Sandbox::start(options).unwrap();
        let handle = sandbox.handle();
        let running = tokio::spawn(sandbox.run(std::future::pending()));
        let root = reqwest::Certificate::from_pem(handle.ca_pem().as_bytes()).unwrap();
        let client = reqwest::Client::builder().tls_certs_only([root]).build().unwrap();
        Live { handle, client, running }
    }

    async fn call(&self, path: &str, body: &str) -> String {
        let request = self.client.post(format!("{}{path}", self.handle.base_url()));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        request.body(format!("{LOGIN}&{body}")).send().await.unwrap().text().await.unwrap()
    }

    async fn poll(&self) -> String {
        self.call(SSL, "orderNumber=1&queryType=0").await
    }

    async fn ask(&self, body: &str) {
        let said = self.call(REISSUE, body).await;
        assert!(said.starts_with("errorCode=0&"), "{said}");
    }

    async fn stop(self) {
        self.handle.stop();
        self.running.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_proof_is_looked_up_at_a_name_server() {
    let request = csr(&["www.example.com"]);
    let token = Token::new(&crate::reissue::csr_der(&request).unwrap(), Some("right"));
    let mut owners = token.owners("www.example.com");
    // A parent's record proves both names, and a token of another unique value neither.
    let vendor = Live::new(Proof::Dns(name_server(owners.remove(1), token.target().to_uppercase())));
    assert_eq!(vendor.poll().await, "1\n");
    vendor.ask(&body("1", &request, "wrong", "")).await;
    assert_eq!([vendor.poll().await, vendor.poll().await], ["0\n", "0\n"]);
    vendor.ask(&body("1", &request, "right", "")).await;
    assert_eq!([vendor.poll().await, vendor.poll().await], ["0\n", "1\n"]);
    assert_eq!(counted(&vendor.handle.vendor(), "1"), [1, 0, 1, 0]);
    vendor.stop().await;
}

/// A web server that has one file, under each name.
fn web_server(path: String, content: String) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut buffer = [0; 4096];
            let length = std::io::Read::read(&mut stream, &mut buffer).unwrap();
            let asked = String::from_utf8_lossy(&buffer[..length]).into_owned();
            let status = if asked.contains(&path) { "200 OK" } else { "404 Not Found" };
            write!(stream, "HTTP/1.0 {status}\r\n\r\n{content}").unwrap();
        }
    });
    address
}

#[tokio::test]
async fn a_proof_is_looked_for_at_a_web_server() {
    let request = csr(&["www.example.com"]);
    let hash = hex_of(&crate::reissue::csr_der(&request).unwrap());
    let path = Token::new(&crate::reissue::csr_der(&request).unwrap(), None).path();
    let vendor = Live::new(Proof::Web(web_server(path, format!("{hash}\nsectigo.com\nright\n"))));
    assert_eq!(vendor.poll().await, "1\n");
    let by_file = |unique| body("1", &request, unique, "").replace("CNAME_CSR", "HTTP_CSR");
    vendor.ask(&by_file("wrong")).await;
    assert_eq!([vendor.poll().await, vendor.poll().await], ["0\n", "0\n"]);
    vendor.ask(&body("1", &request, "other", "")).await;
    assert_eq!(vendor.poll().await, "0\n", "a file is no record");
    vendor.ask(&by_file("right")).await;
    assert_eq!([vendor.poll().await, vendor.poll().await], ["0\n", "1\n"]);
    vendor.stop().await;
}

fn hex_of(der: &[u8]) -> String {
    crate::issue::hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der).as_ref())
}
