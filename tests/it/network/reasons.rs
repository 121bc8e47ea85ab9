//! No way to the vendor: the sentence says with whom, why, and what to do.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};

use certcollectd_sandbox::{Fault, FaultSpec, OrderSpec, Product};

use super::proxy::Identity;
use super::servers::Listener;
use crate::setting::Setting;

/// What `poll` says of an order whose account has this address and these keys.
fn said(base_url: &str, keys: &str) -> String {
    let mut setting = Setting::new();
    setting
        .polling("interval = \"1h\"\ncall_gap = \"0s\"\nconnect_timeout = \"2s\"\nrequest_timeout = \"20s\"");
    setting.order("unused", OrderSpec::new(Product::Ssl, "2", &["www.example.com"]), "account = \"main\"");
    setting.write("other-ca.pem", &Identity::new().ca_pem);
    setting.table(&format!(
        "[[account]]\nname = \"other\"\nlogin_name = \"other\"\npassword = {{ file = \"$DIR/password\" }}\n\
         base_url = \"{base_url}\"\n{keys}\n[[order]]\nname = \"www\"\naccount = \"other\"\norder_number = \"1\""
    ));
    setting.write_configuration();
    let (code, said) = setting.call(&["poll", "www"]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("nothing was sent"), "{said}");
    said
}

fn check(base_url: &str, keys: &str, parts: &[&str]) {
    let said = said(base_url, keys);
    for part in parts {
        assert!(said.contains(part), "{part} is missing in: {said}");
    }
    for raw in ["os error", "UnknownIssuer", "InvalidContentType", "tunnel error", "UNIX", "dns error"] {
        assert!(!said.contains(raw), "{raw}: {said}");
    }
}

/// A port on which nobody listens.
fn closed_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// Answers the first lines of each connection with these bytes.
fn plain(answer: &'static str) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            std::thread::spawn(move || {
                let mut line = Vec::new();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                // A greeting of TLS has line ends by chance only; what asks a proxy has an empty line.
                while answer.contains("407") || answer.contains("403") {
                    line.clear();
                    if reader.read_until(b'\n', &mut line).unwrap_or(0) < 3 {
                        break;
                    }
                }
                let _ = stream.write_all(answer.as_bytes());
                let _ = stream.shutdown(std::net::Shutdown::Write);
                let _ = std::io::copy(&mut reader, &mut std::io::sink());
            });
        }
    });
    port
}

#[test]
fn certificates_that_are_not_accepted() {
    let server = Listener::tls(Identity::new().server);
    let url = format!("https://{}", server.address);
    let host = server.address.to_string();
    let issuer = "was not issued by a trusted CA, but by \"CN=";
    check(&url, "", &[&host, issuer, "into a ca_file of the account"]);
    check(&url, "ca_file = \"$DIR/ca.pem\"", &[&host, issuer, "is the right root in ca_file /", "/ca.pem?"]);
    let old = Listener::tls(
        Identity::with(|params| {
            params.not_before = time::OffsetDateTime::from_unix_timestamp(0).unwrap();
            params.not_after = time::OffsetDateTime::from_unix_timestamp(1_000_000_000).unwrap();
        })
        .server,
    );
    let url = format!("https://{}", old.address);
    let own = "ca_file = \"$DIR/other-ca.pem\"";
    check(
        &url,
        own,
        &["expired on 2001-09-09T01:46:40Z", "this machine's clock says 20", "set this machine's clock"],
    );
    let young = Listener::tls(
        Identity::with(|params| {
            params.not_before = time::OffsetDateTime::from_unix_timestamp(3_900_000_000).unwrap();
            params.not_after = time::OffsetDateTime::from_unix_timestamp(4_000_000_000).unwrap();
        })
        .server,
    );
    let url = format!("https://{}", young.address);
    check(&url, own, &["is not valid before 2093-", "set this machine's clock"]);
    let elsewhere = Listener::tls(
        Identity::with(|params| {
            params.subject_alt_names = vec![rcgen::SanType::DnsName("other.example.com".try_into().unwrap())];
        })
        .server,
    );
    check(&format!("https://{}", elsewhere.address), own, &["other.example.com", "is base_url right?"]);
    let key = rcgen::KeyPair::generate().unwrap();
    let mut own_issuer = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    own_issuer.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    own_issuer.distinguished_name.push(rcgen::DnType::CommonName, "made here");
    let certificate = own_issuer.self_signed(&key).unwrap();
    let config =
        rustls::ServerConfig::builder_with_provider(rustls::crypto::aws_lc_rs::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            )
            .unwrap();
    let server = Listener::tls(config.into());
    check(&format!("https://{}", server.address), "", &["not issued by a trusted CA", "made here"]);
}

#[test]
fn what_is_no_vendor_at_all() {
    let port = plain("HTTP/1.1 302 Found\r\nlocation: http://login.example/\r\n\r\n");
    let host = format!("127.0.0.1:{port}");
    check(&format!("https://{host}"), "", &[&host, "not TLS", "captive portal"]);
    let host = format!("127.0.0.1:{}", closed_port());
    check(&format!("https://{host}"), "", &[&host, "refuses the connection"]);
    check(
        "https://nowhere.invalid",
        "",
        &["the name nowhere.invalid cannot be resolved", "/etc/resolv.conf", "base_url"],
    );
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let host = silent.local_addr().unwrap().to_string();
    check(&format!("https://{host}"), "", &[&host, "connect_timeout (2s)"]);
}

#[test]
fn proxies_that_do_not_help() {
    let url = "https://secure.example.com";
    let proxy = |port: u16| format!("proxy = \"http://127.0.0.1:{port}\"");
    let address = |port: u16| format!("the proxy http://127.0.0.1:{port}");
    let no = plain("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n");
    check(url, &proxy(no), &[&address(no), "HTTP 403", "secure.example.com:443"]);
    let login = plain("HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n");
    check(url, &proxy(login), &[&address(login), "HTTP 407", "proxy_user"]);
    let nobody = closed_port();
    check(url, &proxy(nobody), &[&address(nobody), "refuses the connection"]);
    check(url, "proxy = \"http://nowhere.invalid:3128\"", &["the name nowhere.invalid", "right in proxy"]);
}

#[test]
fn who_did_not_answer_in_time() {
    for (fault, sent) in [
        (Fault::Delay { ms: 60_000 }, "sent nothing"),
        (Fault::Stall { after: 5, ms: 60_000 }, "sent HTTP 200 and 5 bytes of its answer"),
    ] {
        let mut setting = Setting::new();
        setting.polling("interval = \"1h\"\ncall_gap = \"0s\"\nrequest_timeout = \"2s\"");
        setting.order("www", OrderSpec::new(Product::Ssl, "1", &["www.example.com"]), "");
        setting.vendor().vendor().faults.add(FaultSpec::always(fault)).unwrap();
        setting.write_configuration();
        let (code, said) = setting.call(&["poll", "www"]);
        assert_eq!(code, 1, "{said}");
        let base_url = setting.vendor().base_url();
        let host = base_url.trim_start_matches("https://").trim_end_matches('/');
        let expected = format!("no complete answer within request_timeout: {host} {sent}");
        assert!(said.contains(&expected), "{expected} is missing in: {said}");
    }
}
