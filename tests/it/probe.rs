//! Probes of the real binary: servers that serve the certificate, another one, or none.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use certcollectd_core::cert::Fingerprint;
use certcollectd_sandbox::{OrderSpec, Product};
use rcgen::KeyPair;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use crate::certs;
use crate::setting::Setting;

/// No client is that slow.
const SILENCE: Duration = Duration::from_secs(20);

/// The certificates that a server may choose from; it takes the last one that the client can verify.
#[derive(Debug, Clone, Default)]
pub struct Served(Arc<RwLock<Vec<Arc<CertifiedKey>>>>);

impl Served {
    pub fn serve(&self, certificates: &[(Vec<CertificateDer<'static>>, &KeyPair)]) {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let keys = certificates.iter().map(|(chain, key)| {
            let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
            let key = provider.key_provider.load_private_key(key).unwrap();
            Arc::new(CertifiedKey::new(chain.clone(), key))
        });
        *self.0.write().unwrap() = keys.collect();
    }

    /// What is installed there, whole.
    fn serve_installed(&self, setting: &Setting, name: &str) {
        let chain = CertificateDer::pem_file_iter(setting.installed(name).join("fullchain.pem")).unwrap();
        self.serve(&[(chain.map(Result::unwrap).collect(), &setting.key)]);
    }

    fn config(&self) -> ServerConfig {
        let mut config =
            ServerConfig::builder().with_no_client_auth().with_cert_resolver(Arc::new(self.clone()));
        config.alpn_protocols = Vec::new();
        config
    }
}

impl ResolvesServerCert for Served {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let served = self.0.read().unwrap();
        let can = |key: &&Arc<CertifiedKey>| key.key.choose_scheme(hello.signature_schemes()).is_some();
        served.iter().rev().find(can).cloned()
    }
}

/// Serves until the test is over.
pub fn tls(served: &Served) -> SocketAddr {
    with_dialogue(served.config(), |_| Ok(()))
}

fn with_dialogue(
    config: ServerConfig,
    dialogue: impl Fn(&mut std::net::TcpStream) -> std::io::Result<()> + Send + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let config = Arc::new(config);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.set_read_timeout(Some(SILENCE));
            if dialogue(&mut stream).is_ok() {
                shake(stream, &config);
            }
        }
    });
    address
}

fn shake(stream: impl Read + Write, config: &Arc<ServerConfig>) {
    let connection = ServerConnection::new(config.clone()).unwrap();
    let _ = StreamOwned::new(connection, stream).read(&mut [0; 100]);
}

/// A certificate for www.example.com that is no order's, and ends in so many days.
fn another(key: &KeyPair, days: i64) -> Vec<CertificateDer<'static>> {
    let now = certcollectd::sources::clock::now().unix();
    vec![certs::leaf(key, &["www.example.com"], now - 80 * 86_400, now + days * 86_400 + 3600).into()]
}

/// An order whose certificate is issued and installed at the first poll, with hooks that write down what they hear.
fn setting(keys: &str, tables: &str) -> Setting {
    let mut setting = Setting::new();
    let spec = OrderSpec::new(Product::Ssl, "7", &["www.example.com"]);
    setting.order(
        "www",
        spec,
        &format!("key_file = \"$DIR/key.pem\"\nhooks = [\"reload\", \"tell\"]\n{keys}\n[order.verify]\ntrust = \"off\"\n{tables}"),
    );
    setting.table(
        "[[hook]]\nname = \"reload\"\nrun = [\"true\"]\n[[hook]]\nname = \"tell\"\non = [\"probe-failed\", \"recovered\"]\n\
         run = [\"sh\", \"-c\", \"echo $CERTCOLLECTD_EVENT >> $DIR/told\"]",
    );
    setting.vendor().vendor().issue("7", None).unwrap();
    setting
}

fn probe(connect: impl std::fmt::Display, more: &str) -> String {
    format!("[[order.probe]]\nconnect = \"{connect}\"\nwithin = \"1s\"\nevery = \"1s\"\n{more}\n")
}

#[test]
fn a_reload_that_lies_is_seen_told_once_and_recovers() {
    let served = Served::default();
    let key = KeyPair::generate().unwrap();
    let old = another(&key, 3);
    let shown = Fingerprint::of(&old[0]).to_string();
    served.serve(&[(old, &key)]);
    let address = tls(&served);
    let mut setting = setting("", &probe(address, ""));
    setting.start();
    setting.until("it is told", |setting| setting.holds("told", "probe-failed\n"));
    let order = setting.order_status("www");
    let probe = &order["probes"][0];
    assert_eq!(probe["connect"], address.to_string());
    assert_eq!((&probe["address"], &probe["ok"]), (&address.to_string().into(), &false.into()), "{order:#}");
    assert_eq!(probe["serves"], shown);
    let sentence = format!(
        "www: {address} still serves {}…, which ends in 3 days, though the reload succeeded",
        &shown[..16]
    );
    let (code, line) = setting.call(&["status", "--nagios"]);
    assert!(code == 2 && line.contains(&sentence), "{code} {line}");
    for command in [&["status"][..], &["status", "www"], &["explain", "www"]] {
        let (_, text) = setting.call(command);
        assert!(text.contains(&format!("{address} still serves")), "{command:?}: {text}");
    }
    served.serve_installed(&setting, "www");
    setting.until("that it is over is told", |setting| setting.holds("told", "probe-failed\nrecovered\n"));
    let probe = &setting.order_status("www")["probes"][0];
    assert_eq!((&probe["ok"], &probe["last"]), (&true.into(), &"serves the installed certificate".into()));
    assert_eq!(setting.call(&["status", "--nagios"]).0, 0);
    assert_eq!(setting.stop(), Some(0));
}

#[test]
fn what_is_not_served_is_put_back_once() {
    let served = Served::default();
    let mut setting = setting("", "");
    let (code, said) = setting.once(&[]);
    assert_eq!(code, 0, "{said}");
    let first = std::fs::read_link(setting.installed("www")).unwrap();
    served.serve_installed(&setting, "www");
    // The server goes on with the first one, whatever comes.
    let text = probe(tls(&served), "on_failure = \"rollback\"");
    setting.write_configuration();
    let configuration = setting
        .configuration()
        .replace("[[hook]]\nname = \"reload\"", &format!("{text}[[hook]]\nname = \"reload\""));
    setting.write("certcollectd.toml", &configuration);
    let mut spec = OrderSpec::new(Product::Ssl, "7", &["www.example.com"]);
    spec.certificate.key = Some(setting.key.serialize_pem());
    setting.vendor().vendor().reissue("7", &spec.certificate).unwrap();
    setting.start_again();
    let by_probe = |setting: &Setting| setting.order_status("www")["rolled_back_by_probe"] == true;
    setting.until("it is rolled back", |setting| {
        by_probe(setting) && std::fs::read_link(setting.installed("www")).is_ok_and(|link| link == first)
    });
    setting.until("the older one is found", |setting| setting.order_status("www")["probes"][0]["ok"] == true);
    // Putting the older one back comes before the message, which is owed until then.
    setting.until("it is told", |setting| setting.holds("told", "probe-failed\n"));
    let (code, line) = setting.call(&["status", "--nagios"]);
    assert!(code == 1 && line.contains("not served"), "{code} {line}");
    let (code, said) = setting.call(&["accept", "www"]);
    assert_eq!(code, 0, "{said}");
    setting.until("the newer one is back, and stays", |setting| {
        let order = setting.order_status("www");
        order["probes"][0]["ok"] == false && order["rolled_back"] == false
    });
    assert_ne!(std::fs::read_link(setting.installed("www")).unwrap(), first);
    served.serve_installed(&setting, "www");
    setting.until("it is served", |setting| setting.holds("told", "probe-failed\nrecovered\n"));
    assert_eq!(setting.stop(), Some(0));
}

/// Says its greeting, and an answer to each of the client's lines; the last one ends the dialogue.
fn lines(
    greeting: &'static str,
    answers: &'static [(&'static str, &'static str)],
) -> impl Fn(&mut std::net::TcpStream) -> std::io::Result<()> + Send + 'static {
    move |stream| {
        stream.write_all(greeting.as_bytes())?;
        let mut from = BufReader::with_capacity(1, stream.try_clone()?);
        for (wanted, answer) in answers {
            let mut line = String::new();
            from.read_line(&mut line)?;
            if !line.to_ascii_uppercase().contains(wanted) {
                return Err(std::io::ErrorKind::InvalidData.into());
            }
            stream.write_all(answer.as_bytes())?;
        }
        Ok(())
    }
}

#[test]
fn servers_of_every_kind_are_asked_in_their_own_way() {
    let served = Served::default();
    let smtp = lines(
        "220-mail\r\n220 ESMTP\r\n",
        &[("EHLO ", "250-mail\r\n250-PIPELINING\r\n250 STARTTLS\r\n"), ("STARTTLS", "220 go ahead\r\n")],
    );
    let imap = lines("* OK [CAPABILITY STARTTLS] ready\r\n", &[("STARTTLS", "a1 OK begin\r\n")]);
    let pop3 = lines("+OK ready\r\n", &[("STLS", "+OK begin\r\n")]);
    let mut wants_certificate = RootCertStore::empty();
    wants_certificate.add(certs::ca().root.der().clone()).unwrap();
    let verifier = WebPkiClientVerifier::builder(Arc::new(wants_certificate)).build().unwrap();
    let strict = ServerConfig::builder()
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(served.clone()));
    let old = ServerConfig::builder_with_protocol_versions(&[&rustls::version::TLS12])
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(served.clone()));
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("web.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let config = Arc::new(served.config());
    std::thread::spawn(move || listener.incoming().flatten().for_each(|stream| shake(stream, &config)));
    let probes = [
        probe(with_dialogue(served.config(), smtp), "starttls = \"smtp\""),
        probe(with_dialogue(served.config(), imap), "starttls = \"imap\""),
        probe(with_dialogue(served.config(), pop3), "starttls = \"pop3\""),
        probe(with_dialogue(strict, |_| Ok(())), ""),
        probe(with_dialogue(old, |_| Ok(())), ""),
        probe(format!("unix:{}", socket.display()), "server_name = \"www.example.com\""),
    ];
    let mut setting = setting("", &probes.concat());
    // Another kind of key beside it, which the server would rather use.
    let rsa = KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    setting.write("serve", "");
    let (code, said) = setting.once(&[]);
    assert_eq!(code, 4, "nothing is served yet: {said}");
    let chain: Vec<_> = CertificateDer::pem_file_iter(setting.installed("www").join("fullchain.pem"))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    served.serve(&[(chain, &setting.key), (another(&rsa, 30), &rsa)]);
    setting.start();
    setting.until("all are right", |setting| {
        let order = setting.order_status("www");
        let probes = order["probes"].as_array().unwrap();
        probes.len() == 6 && probes.iter().all(|probe| probe["ok"] == true)
    });
    assert_eq!(setting.stop(), Some(0));
}

#[test]
fn servers_that_cannot_be_asked_are_told_apart() {
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let tarpit = TcpListener::bind("127.0.0.1:0").unwrap();
    let plain = with_dialogue(Served::default().config(), |stream| {
        let _ = stream.read(&mut [0; 100]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        Err(std::io::ErrorKind::Other.into())
    });
    let empty = tls(&Served::default());
    let no_mail = with_dialogue(Served::default().config(), lines("554 no\r\n", &[("", "")]));
    let missing = Path::new("/nonexistent/web.sock");
    let probes = [
        (probe(dead, ""), "cannot be connected to: connection refused"),
        (probe(tarpit.local_addr().unwrap(), ""), "did not shake hands within 1 s"),
        (probe(plain, ""), "does not speak TLS there"),
        (probe(empty, ""), "refuses the handshake: AccessDenied"),
        (probe(no_mail, "starttls = \"smtp\""), "answers its greeting with \"554 no\""),
        (
            probe(format!("unix:{}", missing.display()), ""),
            "cannot be connected to: no such file or directory",
        ),
        (probe("host.invalid:443", ""), "cannot be resolved: "),
    ];
    let text: String = probes.iter().map(|(text, _)| text.as_str()).collect();
    let setting = setting("", &text);
    let (code, said) = setting.once(&[]);
    assert_eq!(code, 4, "{said}");
    let order = setting.order_status("www");
    for ((text, expected), probe) in probes.iter().zip(order["probes"].as_array().unwrap()) {
        let last = probe["last"].as_str().unwrap();
        assert!(last.starts_with(expected), "{text}: {last}");
        assert_eq!(probe["ok"], false);
    }
    drop(tarpit);
}

#[test]
fn a_stop_does_not_wait_for_a_probe() {
    let tarpit = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = tarpit.local_addr().unwrap();
    let mut setting = setting("", &format!("[[order.probe]]\nconnect = \"{address}\"\nwithin = \"10m\"\n"));
    setting.start();
    let _client = tarpit.accept().unwrap();
    assert_eq!(setting.stop(), Some(0));
    let order = setting.order_status("www");
    assert_eq!(order["probes"].as_array().map(Vec::len), Some(0), "it had not ended");
    assert!(!setting.path("told").exists());
}
