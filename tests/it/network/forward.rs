//! Proxies that want a login before they connect anybody, in plain HTTP, over TLS, and SOCKS5.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::proxy::end_of_head;

/// No side is waited for longer than this before the other has its turn.
const TURN: Duration = Duration::from_millis(5);

/// How the proxy is spoken to.
#[derive(Clone)]
pub enum Kind {
    Http,
    Https(Arc<ServerConfig>),
    Socks5,
}

impl Kind {
    pub fn scheme(&self) -> &'static str {
        match self {
            Kind::Http => "http",
            Kind::Https(_) => "https",
            Kind::Socks5 => "socks5",
        }
    }
}

/// A proxy in threads of its own. It ends when this is dropped.
pub struct Forward {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    kind: Kind,
    user: String,
    password: Mutex<String>,
    tunnels: AtomicUsize,
    refused: AtomicUsize,
    /// How often its password was changed; what was connected before is cut then.
    changes: AtomicUsize,
    ended: AtomicBool,
}

trait Both: Read + Write {}
impl<T: Read + Write> Both for T {}

impl Forward {
    pub fn start(kind: Kind, user: &str, password: &str) -> Forward {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            kind,
            user: user.into(),
            password: Mutex::new(password.into()),
            tunnels: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
            changes: AtomicUsize::new(0),
            ended: AtomicBool::new(false),
        });
        let accepting = shared.clone();
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if accepting.ended.load(Ordering::Relaxed) {
                    return;
                }
                let shared = accepting.clone();
                std::thread::spawn(move || {
                    // How a connection ends is the client's affair.
                    let _ = shared.serve(stream);
                });
            }
        });
        Forward { address, shared }
    }

    /// `scheme://host:port`.
    pub fn url(&self) -> String {
        format!("{}://{}", self.shared.kind.scheme(), self.address)
    }

    /// Connections that were let through.
    pub fn tunnels(&self) -> usize {
        self.shared.tunnels.load(Ordering::SeqCst)
    }

    /// Logins that were refused, or missing.
    pub fn refused(&self) -> usize {
        self.shared.refused.load(Ordering::SeqCst)
    }

    /// From now on it wants another password, and nobody is connected any more.
    pub fn want(&self, password: &str) {
        *self.shared.password.lock().unwrap() = password.into();
        self.shared.changes.fetch_add(1, Ordering::SeqCst);
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let turns = stream.try_clone()?;
        let mut client: Box<dyn Both> = match &self.kind {
            Kind::Https(config) => {
                let tls = ServerConnection::new(config.clone()).expect("the configuration is sound");
                Box::new(StreamOwned::new(tls, stream))
            }
            Kind::Http | Kind::Socks5 => Box::new(stream),
        };
        let target = match self.kind {
            Kind::Socks5 => self.socks(&mut client)?,
            Kind::Http | Kind::Https(_) => self.connect(&mut client)?,
        };
        let Some(target) = target else {
            self.refused.fetch_add(1, Ordering::SeqCst);
            return Ok(());
        };
        let mut vendor = TcpStream::connect(target)?;
        let done: &[u8] = match self.kind {
            Kind::Socks5 => &[5, 0, 0, 1, 127, 0, 0, 1, 0, 0],
            Kind::Http | Kind::Https(_) => b"HTTP/1.1 200 Connection established\r\n\r\n",
        };
        client.write_all(done)?;
        client.flush()?;
        self.tunnels.fetch_add(1, Ordering::SeqCst);
        turns.set_read_timeout(Some(TURN))?;
        vendor.set_read_timeout(Some(TURN))?;
        let changes = self.changes.load(Ordering::SeqCst);
        let goes_on =
            || !self.ended.load(Ordering::Relaxed) && self.changes.load(Ordering::SeqCst) == changes;
        while goes_on() && pass(&mut client, &mut vendor)? && pass(&mut vendor, &mut client)? {}
        Ok(())
    }

    /// Where it wants to go, if it may.
    fn connect(&self, client: &mut Box<dyn Both>) -> io::Result<Option<String>> {
        let mut head = Vec::new();
        while end_of_head(&head).is_none() {
            let mut byte = [0];
            client.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).expect("a head is ASCII");
        let login = format!("{}:{}", self.user, self.password.lock().unwrap());
        let wanted = format!("basic {}", STANDARD.encode(login));
        let given = head.lines().filter_map(|line| line.split_once(": ")).find_map(|(name, value)| {
            name.eq_ignore_ascii_case("proxy-authorization").then(|| value.replacen("Basic", "basic", 1))
        });
        if given.as_ref() != Some(&wanted) {
            client.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic\r\ncontent-length: 0\r\n\r\n")?;
            client.flush()?;
            return Ok(None);
        }
        Ok(head.split(' ').nth(1).map(str::to_owned))
    }

    /// RFC 1928 with RFC 1929, for addresses of version 4 and names.
    fn socks(&self, client: &mut Box<dyn Both>) -> io::Result<Option<String>> {
        let take = |client: &mut Box<dyn Both>, count: usize| -> io::Result<Vec<u8>> {
            let mut bytes = vec![0; count];
            client.read_exact(&mut bytes)?;
            Ok(bytes)
        };
        let count = take(client, 2)?[1].into();
        if !take(client, count)?.contains(&2) {
            client.write_all(&[5, 0xff])?;
            return Ok(None);
        }
        client.write_all(&[5, 2])?;
        let length = take(client, 2)?[1].into();
        let user = take(client, length)?;
        let length = take(client, 1)?[0].into();
        let password = take(client, length)?;
        let right = user == self.user.as_bytes() && password == self.password.lock().unwrap().as_bytes();
        client.write_all(&[1, u8::from(!right)])?;
        if !right {
            return Ok(None);
        }
        let host = match take(client, 4)?[3] {
            1 => take(client, 4)?.iter().map(u8::to_string).collect::<Vec<_>>().join("."),
            _ => {
                let length = take(client, 1)?[0].into();
                String::from_utf8(take(client, length)?).expect("a name is ASCII")
            }
        };
        let port = take(client, 2)?;
        Ok(Some(format!("{host}:{}", u16::from_be_bytes([port[0], port[1]]))))
    }
}

/// Hands on what is there; `false` at the end.
fn pass(from: &mut dyn Both, to: &mut dyn Both) -> io::Result<bool> {
    let mut part = [0; 16 * 1024];
    match from.read(&mut part) {
        Ok(0) => Ok(false),
        Ok(count) => {
            to.write_all(&part[..count])?;
            to.flush()?;
            Ok(true)
        }
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(true),
        Err(error) => Err(error),
    }
}
