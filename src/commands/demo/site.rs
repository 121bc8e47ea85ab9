//! A small web site for the demo: a TLS server that serves one certificate, and rereads it when its reload
//! address is called.

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, Stream};

use certcollectd_core::cert::Fingerprint;

/// Nothing in the demo takes longer.
const SILENCE: Duration = Duration::from_secs(10);

/// The running site. Its threads end with the process.
pub(super) struct Site {
    tls: SocketAddr,
    reload: SocketAddr,
}

type Present = Arc<RwLock<Option<Arc<ServerConfig>>>>;

impl Site {
    /// Starts it; it has no certificate until the first reload.
    pub(super) fn start(fullchain: PathBuf, key: String) -> io::Result<Site> {
        let (tls, reload) = (TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?);
        let site = Site { tls: tls.local_addr()?, reload: reload.local_addr()? };
        let present: Present = Arc::default();
        let served = present.clone();
        std::thread::spawn(move || tls.incoming().flatten().for_each(|stream| serve(stream, &served)));
        std::thread::spawn(move || {
            for stream in reload.incoming().flatten() {
                answer_reload(stream, &present, &fullchain, &key);
            }
        });
        Ok(site)
    }

    /// Where the hook calls.
    pub(super) fn reload_address(&self) -> SocketAddr {
        self.reload
    }

    /// Fingerprint of the certificate that a client sees, after the client has verified it for
    /// www.example.com against `root`.
    pub(super) fn handshake(&self, root: &str) -> Result<String, Box<dyn Error>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(root.as_bytes())?)?;
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let name = ServerName::try_from("www.example.com")?;
        let mut connection = ClientConnection::new(Arc::new(config), name)?;
        let mut stream = TcpStream::connect(self.tls)?;
        stream.set_read_timeout(Some(SILENCE))?;
        Stream::new(&mut connection, &mut stream).read_to_string(&mut String::new())?;
        let leaf = connection.peer_certificates().and_then(<[_]>::first).ok_or("no certificate was shown")?;
        Ok(Fingerprint::of(leaf).to_string())
    }
}

fn serve(mut stream: TcpStream, present: &Present) {
    let Some(config) = present.read().ok().and_then(|present| present.clone()) else { return };
    let Ok(mut connection) = ServerConnection::new(config) else { return };
    let _ = stream.set_read_timeout(Some(SILENCE));
    let _ = Stream::new(&mut connection, &mut stream).write_all(b"hello\n");
    connection.send_close_notify();
    let _ = connection.complete_io(&mut stream);
}

/// Any request is a reload; whether it worked is the answer.
fn answer_reload(mut stream: TcpStream, present: &Present, fullchain: &Path, key: &str) {
    let _ = stream.set_read_timeout(Some(SILENCE));
    let mut request = [0; 4096];
    let _ = stream.read(&mut request);
    let answer = match load(fullchain, key) {
        Ok(config) => {
            if let Ok(mut present) = present.write() {
                *present = Some(Arc::new(config));
            }
            "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n".to_owned()
        }
        Err(why) => {
            let why = why.to_string();
            format!("HTTP/1.1 500 No\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{why}", why.len())
        }
    };
    let _ = stream.write_all(answer.as_bytes());
}

fn load(fullchain: &Path, key: &str) -> Result<ServerConfig, Box<dyn Error>> {
    let chain = CertificateDer::pem_file_iter(fullchain)?.collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes())?;
    Ok(ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key)?)
}
