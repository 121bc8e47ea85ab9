//! The least that a poll can cost: rustls on a blocking socket, one connection, two system calls.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, crypto::aws_lc_rs};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::request::{PATH, Target, form};

pub(super) struct Client {
    /// Remembers sessions, so that the next connection resumes one.
    config: Arc<ClientConfig>,
    stream: StreamOwned<ClientConnection, TcpStream>,
    /// The last answer: head and body.
    answer: Vec<u8>,
}

impl Client {
    pub(super) fn connect(target: &Target) -> io::Result<Client> {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(target.root.as_bytes()).map_err(io::Error::other)?;
        roots.add(root).map_err(io::Error::other)?;
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let config = Arc::new(config);
        let stream = open(&config, target)?;
        Ok(Client { config, stream, answer: Vec::with_capacity(16 * 1024) })
    }

    pub(super) fn reconnect(&mut self, target: &Target) -> io::Result<()> {
        self.stream = open(&self.config, target)?;
        Ok(())
    }

    /// Asks about an order; returns the body.
    pub(super) fn poll(&mut self, target: &Target, order: u64) -> io::Result<&[u8]> {
        let form = form(order);
        let request = format!(
            "POST {PATH} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/x-www-form-urlencoded\r\n\
             content-length: {}\r\n\r\n{form}",
            target.address,
            form.len()
        );
        self.stream.write_all(request.as_bytes())?;
        self.stream.flush()?;
        self.answer.clear();
        let mut buffer = [0; 16 * 1024];
        loop {
            let read = self.stream.read(&mut buffer)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.answer.extend_from_slice(&buffer[..read]);
            if let Some(body) = body(&self.answer) {
                return Ok(&self.answer[body..]);
            }
        }
    }
}

fn open(config: &Arc<ClientConfig>, target: &Target) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
    let connection = ClientConnection::new(config.clone(), name).map_err(io::Error::other)?;
    let socket = TcpStream::connect(&target.address)?;
    socket.set_nodelay(true)?;
    Ok(StreamOwned::new(connection, socket))
}

/// Where the body begins, once all of it is there.
fn body(answer: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(answer).ok()?;
    let begin = text.find("\r\n\r\n")? + 4;
    let length: usize = text.split("content-length: ").nth(1)?.split("\r\n").next()?.parse().ok()?;
    (answer.len() >= begin + length).then_some(begin)
}
