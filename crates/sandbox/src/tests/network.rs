//! The ports: TLS, faults on the wire, connections and calls in flight.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::*;
use crate::{Fault, FaultSpec, Handle, Length, Options, Running, Sandbox};

/// A running sandbox with the content of [`scenario`].
fn running() -> Running {
    let options = Options { scenario: scenario(), ..Options::default() };
    Sandbox::start(options).unwrap().spawn_thread().unwrap()
}

fn client(handle: &Handle) -> reqwest::Client {
    let root = reqwest::Certificate::from_pem(handle.ca_pem().as_bytes()).unwrap();
    reqwest::Client::builder()
        .tls_certs_only([root])
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(20))
        .build()
        .unwrap()
}

async fn collect(handle: &Handle, client: &reqwest::Client) -> Result<reqwest::Response, reqwest::Error> {
    client
        .post(handle.base_url() + SSL)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("{LOGIN}&orderNumber=1&queryType=1&responseFormat=1"))
        .send()
        .await
}

fn set(handle: &Handle, fault: Fault) {
    let mut vendor = handle.vendor();
    vendor.faults.clear();
    vendor.faults.add(FaultSpec::always(fault)).unwrap();
}

/// A TLS connection without an HTTP client.
async fn connect(handle: &Handle) -> TlsStream<TcpStream> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(handle.ca_pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(handle.api_address()).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
}

async fn send(stream: &mut TlsStream<TcpStream>) {
    let body = format!("{LOGIN}&orderNumber=1&queryType=1");
    let head = format!(
        "POST {SSL} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-www-form-urlencoded\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).await.unwrap();
}

/// Everything until the connection ends, and whether TLS ended in order.
async fn receive(stream: &mut TlsStream<TcpStream>) -> (String, bool) {
    let mut bytes = Vec::new();
    let orderly = stream.read_to_end(&mut bytes).await.is_ok();
    (String::from_utf8_lossy(&bytes).into_owned(), orderly)
}

async fn raw(fault: Fault) -> (String, bool) {
    let running = running();
    set(running.handle(), fault);
    let mut stream = connect(running.handle()).await;
    send(&mut stream).await;
    receive(&mut stream).await
}

#[tokio::test]
async fn a_certificate_is_collected_over_tls() {
    let running = running();
    let handle = running.handle();
    let client = client(handle);
    let response = collect(handle, &client).await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/x-www-form-urlencoded");
    let body = response.bytes().await.unwrap();
    let certificate = form_urlencoded::parse(&body).find(|(key, _)| key == "certificate");
    assert!(certificate.is_some() && handle.certificate_pem("1").is_some());
    assert!(handle.key_pem("1").unwrap().starts_with("-----BEGIN PRIVATE KEY-----"));
    // By name as well: the certificate knows localhost.
    let url = format!("https://localhost:{}{SSL}", handle.api_address().port());
    assert_eq!(
        client.get(url).send().await.unwrap().text().await.unwrap(),
        "-17\nRequest used GET rather than POST!\n"
    );
}

#[tokio::test]
async fn plain_http_is_told_to_use_https() {
    let running = running();
    let url = format!("http://{}{SSL}", running.handle().api_address());
    let response = client(running.handle()).post(url).send().await.unwrap();
    assert_eq!(response.text().await.unwrap(), "-1\nRequest was not made over HTTPS!\n");
}

#[tokio::test]
async fn a_client_that_does_not_trust_is_counted() {
    let running = running();
    let stranger = reqwest::Client::builder().tls_certs_only([]).build().unwrap();
    collect(running.handle(), &stranger).await.unwrap_err();
    for _ in 0..1_000 {
        if running.handle().vendor().record().counters().tls_failures == 1 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("no failure was counted");
}

#[tokio::test]
async fn connections_calls_and_parameters_are_recorded() {
    let running = running();
    let handle = running.handle();
    let client = client(handle);
    for _ in 0..3 {
        collect(handle, &client).await.unwrap().bytes().await.unwrap();
    }
    let vendor = handle.vendor();
    let counters = vendor.record().counters();
    assert_eq!((counters.connections, counters.all.calls), (1, 3));
    assert_eq!((counters.all.max_in_flight, counters.accounts["demo"].max_in_flight), (1, 1));
    assert!(counters.orders["1"].smallest_gap_ms.is_some());
    let call = vendor.record().calls(2).next().unwrap();
    assert_eq!(call.parameters, ["loginName", "loginPassword", "orderNumber", "queryType", "responseFormat"]);
    assert_eq!((call.code, call.password_right, call.query), (Some(2), Some(true), false));
    assert!(!serde_json::to_string(&call).unwrap().contains("Secret"));
}

#[tokio::test]
async fn calls_in_flight_are_counted() {
    let running = running();
    let handle = running.handle();
    set(handle, Fault::Delay { ms: 300 });
    let client = client(handle);
    let (one, two) = tokio::join!(collect(handle, &client), collect(handle, &client));
    one.unwrap().bytes().await.unwrap();
    two.unwrap().bytes().await.unwrap();
    let counters = handle.vendor().record().counters();
    assert_eq!((counters.all.max_in_flight, counters.accounts["demo"].max_in_flight), (2, 2));
    assert_eq!(counters.accounts["demo"].smallest_pause_ms, Some(0));
    for _ in 0..1_000 {
        if handle.vendor().record().counters().all.in_flight == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("calls did not end");
}

#[tokio::test]
async fn a_client_that_leaves_is_not_in_flight() {
    let running = running();
    let handle = running.handle();
    set(handle, Fault::Delay { ms: 600_000 });
    let mut stream = connect(handle).await;
    send(&mut stream).await;
    let in_flight = |handle: &Handle| handle.vendor().record().counters().all.in_flight;
    for wanted in [1, 0] {
        let mut tries = 0;
        while in_flight(handle) != wanted {
            tries += 1;
            assert!(tries < 1_000, "still not {wanted}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let _ = stream.shutdown().await;
    }
}

#[tokio::test]
async fn pages_of_a_front_end_do_not_reach_the_book() {
    let running = running();
    let handle = running.handle();
    let client = client(handle);
    for (fault, status) in [
        (Fault::Html, 200),
        (Fault::HttpStatus { status: 502, retry_after: None, retry_after_date: false }, 502),
        (Fault::HttpStatus { status: 429, retry_after: Some(7), retry_after_date: false }, 429),
        (Fault::Redirect { status: 307, location: "https://elsewhere.example/".into() }, 307),
    ] {
        set(handle, fault.clone());
        let response = collect(handle, &client).await.unwrap();
        assert_eq!(response.status(), status, "{fault:?}");
        if status == 429 {
            assert_eq!(response.headers()["retry-after"], "7");
        }
        if status == 307 {
            assert_eq!(response.headers()["location"], "https://elsewhere.example/");
        }
        assert!(response.text().await.unwrap().contains("<html>"));
    }
    assert_eq!(handle.vendor().book().get("1").unwrap().polls, 0);
    handle.vendor().faults.clear();
    let reached = FaultSpec { reached: Some(true), ..FaultSpec::times(Fault::Html, 1) };
    handle.vendor().faults.add(reached).unwrap();
    collect(handle, &client).await.unwrap();
    assert_eq!(handle.vendor().book().get("1").unwrap().polls, 1);
}

#[tokio::test]
async fn bodies_and_headers_can_be_wrong() {
    let running = running();
    let handle = running.handle();
    let client = client(handle);
    set(handle, Fault::Empty);
    assert_eq!(collect(handle, &client).await.unwrap().text().await.unwrap(), "");
    set(handle, Fault::Garbage { bytes: 100 });
    assert_eq!(collect(handle, &client).await.unwrap().bytes().await.unwrap().len(), 100);
    set(handle, Fault::ContentType { value: "text/html".into() });
    assert_eq!(collect(handle, &client).await.unwrap().headers()["content-type"], "text/html");
    set(handle, Fault::Gzip);
    let response = collect(handle, &client).await.unwrap();
    assert_eq!(response.headers()["content-encoding"], "gzip");
    assert_eq!(response.bytes().await.unwrap()[..2], [0x1f, 0x8b]);
    set(handle, Fault::NoCertificate);
    assert_eq!(collect(handle, &client).await.unwrap().text().await.unwrap(), "errorCode=2");
}

#[tokio::test]
async fn answers_can_be_untrue() {
    let running = running();
    let handle = running.handle();
    let client = client(handle);
    set(handle, Fault::Flapping);
    let mut codes = Vec::new();
    for _ in 0..4 {
        let body = collect(handle, &client).await.unwrap().text().await.unwrap();
        codes.push(body[..11].to_owned());
    }
    assert_eq!(codes, ["errorCode=2", "errorCode=0", "errorCode=2", "errorCode=0"]);
    handle.vendor().put_order(OrderSpec::new(Product::Ssl, "9", &["other.example"])).unwrap();
    set(handle, Fault::OtherAnswer { order: "9".into() });
    let body = collect(handle, &client).await.unwrap().text().await.unwrap();
    let other = handle.vendor().book().get("9").unwrap().certificates[0].issued.der.clone();
    use base64::Engine as _;
    let other = base64::engine::general_purpose::STANDARD.encode(other);
    let found = form_urlencoded::parse(body.as_bytes()).find(|(key, _)| key == "certificate").unwrap();
    assert_eq!(found.1, other);
    assert_eq!(handle.vendor().book().get("9").unwrap().polls, 0);
}

#[tokio::test]
async fn a_connection_can_end_after_its_answer() {
    let running = running();
    let handle = running.handle();
    set(handle, Fault::ConnectionClose);
    let client = client(handle);
    for _ in 0..3 {
        let response = collect(handle, &client).await.unwrap();
        assert_eq!(response.headers()["connection"], "close");
        response.bytes().await.unwrap();
    }
    assert_eq!(handle.vendor().record().counters().connections, 3);
}

#[tokio::test]
async fn a_connection_can_end_instead_of_an_answer() {
    let running = running();
    let handle = running.handle();
    let client = client(handle);
    handle.vendor().faults.add(FaultSpec::times(Fault::Close, 1)).unwrap();
    let error = collect(handle, &client).await.unwrap_err();
    assert!(error.is_request(), "{error:?}");
    assert_eq!(handle.vendor().book().get("1").unwrap().polls, 1, "the vendor had done its part");
    collect(handle, &client).await.unwrap();
    assert_eq!(raw(Fault::Close).await, (String::new(), false));
}

#[tokio::test]
async fn a_body_can_end_too_early() {
    let (text, orderly) = raw(Fault::Cut { after: 40, polite: false, length: true }).await;
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("content-length: ") && !orderly, "{head}");
    assert!(body.len() == 40 && body.starts_with("2\n-----BEGIN CERTIFICATE-----\n"), "{body}");
    let (text, orderly) = raw(Fault::Cut { after: 2, polite: true, length: false }).await;
    assert!(text.ends_with("connection: close\r\n\r\n2\n") && orderly, "{text}");
}

#[tokio::test]
async fn a_body_can_stop_in_the_middle() {
    let begun = tokio::time::Instant::now();
    let (text, _) = raw(Fault::Stall { after: 2, ms: 250 }).await;
    assert!(text.ends_with("\r\n\r\n2\n"), "{text}");
    assert!(begun.elapsed() >= Duration::from_millis(250));
}

#[tokio::test]
async fn a_body_can_be_huge() {
    let running = running();
    let handle = running.handle();
    let client = client(handle);
    for length in [Length::Honest, Length::None, Length::Chunked] {
        set(handle, Fault::Huge { mib: 3, length });
        let body = collect(handle, &client).await.unwrap().bytes().await.unwrap();
        assert!(body.len() > 3 * 1024 * 1024 && body.starts_with(b"errorCode=0&filler=AAAA"), "{length:?}");
    }
    set(handle, Fault::Huge { mib: 3, length: Length::Small });
    assert_eq!(collect(handle, &client).await.unwrap().bytes().await.unwrap().len(), 64);
}

#[tokio::test]
async fn what_is_no_http_is_an_error() {
    let running = running();
    let handle = running.handle();
    let client = client(handle);
    for fault in [Fault::EndlessHeaders, Fault::RawGarbage] {
        set(handle, fault);
        collect(handle, &client).await.unwrap_err();
    }
    handle.vendor().faults.clear();
    collect(handle, &client).await.unwrap();
}

#[tokio::test]
async fn it_runs_until_it_is_told_to_stop() {
    let sandbox = Sandbox::start(Options::demo()).unwrap();
    let handle = sandbox.handle();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let run = tokio::spawn(sandbox.run(async { drop(stopped.await) }));
    let client = client(&handle);
    // An idle connection and a call in flight: neither keeps the sandbox.
    collect(&handle, &client).await.unwrap().bytes().await.unwrap();
    handle.vendor().faults.add(FaultSpec::always(Fault::Delay { ms: 600_000 })).unwrap();
    let mut stream = connect(&handle).await;
    send(&mut stream).await;
    stop.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(5), run).await.unwrap().unwrap().unwrap();
    TcpStream::connect(handle.api_address()).await.unwrap_err();
}

#[test]
fn a_control_port_for_everybody_is_refused() {
    let options = Options { control: ([0, 0, 0, 0], 0).into(), ..Options::default() };
    let error = Sandbox::start(options).err().unwrap().to_string();
    assert!(error.contains("must be on loopback"), "{error}");
}
