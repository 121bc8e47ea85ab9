//! The hook that writes a Secret, under the real daemon, against an HTTPS server that plays Kubernetes' API for that path.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use certcollectd_sandbox::{CertificateSpec, OrderSpec, Product};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

use super::{Api, dir};
use crate::setting::Setting;

const TOKEN: &str = "eyJhbGciOi.tOkEn-cAnArY_0123456789.c2ln";
/// A client that says nothing more is let go.
const SILENCE: Duration = Duration::from_secs(60);

struct Request {
    line: String,
    headers: Vec<String>,
    body: String,
    /// Whether any process had token or key in its arguments or its environment while the request was under way.
    was_exposed: bool,
}

#[derive(Clone, Copy)]
enum Answer {
    Status(u16),
    /// The connection is closed instead.
    Nothing,
}

/// Ended with the test.
struct ApiServer {
    address: SocketAddr,
    ca: String,
    answer: Arc<Mutex<Answer>>,
    requests: Arc<Mutex<Vec<Request>>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl ApiServer {
    fn start() -> ApiServer {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let chain = vec![CertificateDer::from(made.cert.der().to_vec())];
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config =
            ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let answer = Arc::new(Mutex::new(Answer::Status(403)));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let is_over = Arc::new(AtomicBool::new(false));
        let shared = (answer.clone(), requests.clone(), is_over.clone());
        let thread = std::thread::spawn(move || {
            let (answer, requests, is_over) = shared;
            while let Ok((stream, _)) = listener.accept() {
                if is_over.load(Ordering::SeqCst) {
                    return;
                }
                let now = *answer.lock().unwrap();
                // Who does not trust this server breaks the handshake off.
                let _ = serve(stream, config.clone(), now, &requests);
            }
        });
        ApiServer { address, ca: made.cert.pem(), answer, requests, is_over, thread: Some(thread) }
    }

    fn answers(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    fn calls(&self) -> usize {
        self.requests.lock().unwrap().len()
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        // Wakes it from its wait for a connection.
        let _ = TcpStream::connect(self.address);
        self.thread.take().unwrap().join().unwrap();
    }
}

fn serve(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    answer: Answer,
    requests: &Mutex<Vec<Request>>,
) -> std::io::Result<()> {
    stream.set_read_timeout(Some(SILENCE))?;
    let mut stream = BufReader::new(StreamOwned::new(ServerConnection::new(config).unwrap(), stream));
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        stream.read_line(&mut header)?;
        match header.trim_end() {
            "" => break,
            header => headers.push(header.to_owned()),
        }
    }
    let length = headers.iter().find_map(|header| header.strip_prefix("Content-Length: "));
    let mut body = vec![0; length.and_then(|length| length.parse().ok()).unwrap_or(0)];
    stream.read_exact(&mut body)?;
    let body = String::from_utf8(body).expect("it is text");
    let key = body.split("\"tls.key\":\"").nth(1).map(|rest| rest.chars().take(40).collect::<String>());
    let was_exposed = is_exposed(&[TOKEN, key.as_deref().unwrap_or(TOKEN)]);
    let echo = format!("{headers:?} {body}");
    requests.lock().unwrap().push(Request { line: line.trim_end().to_owned(), headers, body, was_exposed });
    let Answer::Status(status) = answer else { return Ok(()) };
    // As an API server does with the object, and as one in trouble might with anything.
    let mut stream = stream.into_inner();
    write!(
        stream,
        "HTTP/1.1 {status} Word\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{echo}",
        echo.len()
    )?;
    stream.conn.send_close_notify();
    stream.flush()
}

fn is_exposed(secrets: &[&str]) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let files = processes.flat_map(|process| ["cmdline", "environ"].map(|name| process.join(name)));
    let texts = files.filter_map(|file| std::fs::read(file).ok());
    texts
        .map(|text| String::from_utf8_lossy(&text).into_owned())
        .any(|text| secrets.iter().any(|secret| text.contains(secret)))
}

/// An order whose hook writes the Secret www-tls of the namespace shop; nothing where curl is missing.
fn setting(server: &str, ca: &str) -> Option<Setting> {
    if Command::new("curl").arg("--version").output().is_err() {
        eprintln!("skipped: curl is not installed");
        return None;
    }
    let mut setting = Setting::new();
    std::fs::create_dir(setting.path("account")).unwrap();
    setting.write("account/token", TOKEN);
    setting.write("account/namespace", "shop");
    setting.write("account/ca.crt", ca);
    setting.order(
        "www",
        OrderSpec::new(Product::Ssl, "1", &["www.example.com"]),
        "key_file = \"$DIR/key.pem\"\nhooks = [\"www-tls\"]\nfiles = { key = \"privkey.pem\" }\nverify = { trust = \"off\" }",
    );
    let hook = dir().join("tls-secret");
    setting.table(&format!(
        "[[hook]]\nname = \"www-tls\"\nmerge = false\n\
         run = [\"{}\", \"--server\", \"{server}\", \"--account\", \"$DIR/account\", \"www-tls\"]",
        hook.display()
    ));
    Some(setting)
}

/// What the daemon left behind shows neither token nor key.
fn tells_no_secret(setting: &Setting) {
    let key = STANDARD.encode(setting.key.serialize_pem());
    for text in [setting.log(), setting.call(&["status", "www"]).1, setting.call(&["explain", "www"]).1] {
        assert!(
            !text.contains(TOKEN) && !text.contains(&key[..40]) && !text.contains("PRIVATE KEY"),
            "{text}"
        );
    }
}

/// The hook that is owed has failed and says so.
fn until_it_says(setting: &Setting, words: &str) {
    setting.until(words, |setting| setting.call(&["status", "www"]).1.contains(words));
}

#[test]
fn the_hook_writes_the_secret() {
    let server = ApiServer::start();
    server.answers(Answer::Status(201));
    let Some(mut setting) = setting(&format!("https://{}", server.address), &server.ca) else { return };
    setting.start();
    setting.until_phase("www", "guarding");
    {
        let requests = server.requests.lock().unwrap();
        let [request] = &requests[..] else { panic!("{} requests", requests.len()) };
        assert_eq!(
            request.line,
            "PATCH /api/v1/namespaces/shop/secrets/www-tls?fieldManager=certcollectd&force=true HTTP/1.1"
        );
        let has = |wanted: &str| request.headers.iter().any(|header| header.eq_ignore_ascii_case(wanted));
        assert!(has(&format!("authorization: bearer {TOKEN}")), "{:?}", request.headers);
        assert!(has("content-type: application/apply-patch+yaml"), "{:?}", request.headers);
        assert!(!request.was_exposed, "token and key are in no arguments and no environment");
        assert_eq!(Api::read().check(&request.body), Ok(()));
        let secret: Value = serde_json::from_str(&request.body).unwrap();
        assert_eq!((&secret["kind"], &secret["type"]), (&json!("Secret"), &json!("kubernetes.io/tls")));
        assert_eq!(secret["metadata"], json!({ "name": "www-tls" }));
        for (name, file) in [("tls.crt", "out/www/fullchain.pem"), ("tls.key", "out/www/privkey.pem")] {
            let held = STANDARD.decode(secret["data"][name].as_str().unwrap()).unwrap();
            assert_eq!(held, setting.read(file).into_bytes(), "{name}");
        }
        assert_eq!(secret["data"].as_object().unwrap().len(), 2);
    }
    tells_no_secret(&setting);
    // A re-issue, and a person who wants it written again.
    let key = Some(setting.key.serialize_pem());
    let newer = CertificateSpec { key, days: Some(300), ..CertificateSpec::default() };
    setting.vendor().vendor().reissue("1", &newer).unwrap();
    setting.until("the re-issue is written", |_| server.calls() == 2);
    setting.until_phase("www", "guarding");
    assert_eq!(setting.call(&["rehearse", "www"]).0, 0);
    assert_eq!(server.calls(), 3);
}

#[test]
fn each_refusal_is_a_failed_hook_that_is_repeated() {
    let server = ApiServer::start();
    let Some(mut setting) = setting(&format!("https://{}", server.address), &server.ca) else { return };
    setting.start();
    until_it_says(&setting, "its Role needs patch for that name, and create if it is not there");
    for (answer, words) in [
        (Answer::Status(401), "does not accept the token of"),
        (Answer::Status(404), "there is no namespace shop at https://127.0.0.1"),
        (Answer::Status(409), "something else changed Secret www-tls in namespace shop at the same time"),
        (Answer::Status(422), "is not of type kubernetes.io/tls"),
        (Answer::Status(302), "answered 302"),
        (Answer::Status(500), "answered 500"),
        (Answer::Nothing, "no answer from https://127.0.0.1"),
    ] {
        let before = server.calls();
        server.answers(answer);
        assert_eq!(setting.call(&["resume", "www"]).0, 0);
        until_it_says(&setting, words);
        assert_eq!(server.calls(), before + 1, "{words}");
        assert_eq!(setting.phase("www"), "deploying", "{words}");
    }
    tells_no_secret(&setting);
    server.answers(Answer::Status(200));
    assert_eq!(setting.call(&["resume", "www"]).0, 0);
    setting.until_phase("www", "guarding");
}

#[test]
fn the_token_goes_to_nobody_else() {
    let server = ApiServer::start();
    let other = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let Some(mut setting) = setting(&format!("https://{}", server.address), &other.cert.pem()) else {
        return;
    };
    setting.start();
    until_it_says(&setting, "no answer from https://127.0.0.1");
    assert_eq!(server.calls(), 0);
    setting.stop();
    // Nothing listens here.
    setting.write("account/ca.crt", &server.ca);
    drop(server);
    setting.start();
    assert_eq!(setting.call(&["resume", "www"]).0, 0);
    until_it_says(&setting, "no answer from https://127.0.0.1");
    tells_no_secret(&setting);
}

/// The hook alone: exit code and what it says.
fn hook(setting: &Setting, order: &str, arguments: &[&str]) -> (i32, String) {
    let output = Command::new(dir().join("tls-secret"))
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("CERTCOLLECTD_ORDER", order)
        .env("CERTCOLLECTD_DIR", setting.path("out/www"))
        .output()
        .unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn what_cannot_be_written_is_told() {
    let Some(setting) = setting("https://127.0.0.1:9", "") else { return };
    let account = setting.path("account").display().to_string();
    let there = ["--server", "https://127.0.0.1:9", "--account", &account, "www-tls"];
    for arguments in
        [&[][..], &["--account", &account], &["--key", "x", "www-tls"], &["../www-tls"], &["WWW"]]
    {
        let (code, said) = hook(&setting, "www", arguments);
        assert!(code == 2 && said.contains("usage: tls-secret"), "{arguments:?}: {code} {said}");
    }
    let said = |order, words: &str| {
        let (code, said) = hook(&setting, order, &there);
        assert!(code == 1 && said.contains(words), "{words}: {code} {said}");
    };
    said("shop www", "add merge = false to the [[hook]]");
    said("www", "out/www is not there");
    std::fs::create_dir_all(setting.path("out/www")).unwrap();
    said("www", "fullchain.pem cannot be read");
    setting.write("out/www/fullchain.pem", "a certificate");
    said("www", "add files = { key = \"privkey.pem\" } to the order");
    setting.write("out/www/privkey.pem", "a key");
    setting.write("account/namespace", "shop/../other");
    said("www", "account/namespace holds no name of a namespace");
    std::fs::remove_file(setting.path("account/token")).unwrap();
    said("www", "account/token cannot be read; is automountServiceAccountToken off?");
}
