//! A proxy between the daemon and the sandbox that spoils calls at a chosen moment.
//!
//! It ends the daemon's TLS itself, so that it knows where in a call it is, and spoils what goes over the wire
//! beneath TLS, as a network does. Everything follows from a seed. Each wait has an end.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};

/// No socket of the proxy waits longer than this for anything.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a slow network adds, once.
const LATE: Duration = Duration::from_millis(150);

/// What happens to the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Toxic {
    /// They come late.
    Latency,
    /// They come in pieces, each with a delay of its own.
    Jitter,
    /// They come slowly, but all of them.
    Bandwidth,
    /// Each byte comes in a packet of its own.
    Slicer,
    /// A byte comes now and then: too slowly for any time limit.
    Drip,
    /// One bit is another one.
    Corrupt,
    /// The connection is reset.
    Reset,
    /// The connection is closed.
    Cut,
    /// Our side of the connection is closed; the other is read on.
    HalfClose,
    /// The connection is closed, and reset a little later.
    CloseTwice,
    /// Nothing comes any more, and the connection stays open.
    Blackhole,
    /// All of it comes; the connection is closed long after.
    SlowClose,
}

/// When in a call it happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// On a connection on which nothing has been said.
    Connected,
    /// In the server's part of the TLS handshake.
    Handshake,
    /// While the request comes in.
    Request,
    /// When the request is with the vendor, and nothing of the answer is here.
    Answer,
    /// In the headers of the answer.
    Headers,
    /// In the body of the answer.
    Body,
}

pub const TOXICS: [Toxic; 12] = [
    Toxic::Latency,
    Toxic::Jitter,
    Toxic::Bandwidth,
    Toxic::Slicer,
    Toxic::Drip,
    Toxic::Corrupt,
    Toxic::Reset,
    Toxic::Cut,
    Toxic::HalfClose,
    Toxic::CloseTwice,
    Toxic::Blackhole,
    Toxic::SlowClose,
];

pub const MOMENTS: [Moment; 6] =
    [Moment::Connected, Moment::Handshake, Moment::Request, Moment::Answer, Moment::Headers, Moment::Body];

/// A generator of numbers that are the same for the same seed (SplitMix64).
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    /// A number below `end`; 0 where there is none.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let a = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let b = (a ^ (a >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((b ^ (b >> 31)) % end.max(1) as u64) as usize
    }
}

/// TLS for servers of the tests, with an authority that the daemon is told to trust.
pub struct Identity {
    pub ca_pem: String,
    pub server: Arc<ServerConfig>,
}

impl Identity {
    /// A good certificate for 127.0.0.1.
    pub fn new() -> Identity {
        Identity::with(|_| {})
    }

    /// One whose parameters were changed.
    pub fn with(change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        change(&mut params);
        let certificate = params.signed_by(&key, &crate::certs::ca().root).unwrap();
        let server = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            )
            .unwrap();
        Identity { ca_pem: crate::certs::ca().root.pem(), server: Arc::new(server) }
    }
}

/// What is spoilt, and how often.
pub struct Plan {
    pub toxic: Toxic,
    pub moment: Moment,
    pub seed: u64,
    /// So many calls go through before.
    pub skip: u32,
    /// So many are spoilt; the rest go through.
    pub times: u32,
    /// Whether the connection is closed after each answer, or kept.
    pub keep: bool,
}

/// A proxy in threads of its own. It ends when this is dropped.
pub struct Proxy {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    plan: Plan,
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
    upstream: SocketAddr,
    seen: AtomicU32,
    spoilt: AtomicU32,
    ended: AtomicBool,
}

/// Why a connection goes no further.
enum End {
    Io,
    /// Closed in whatever way the toxic wanted.
    Spoilt,
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> End {
        End::Io
    }
}

impl Proxy {
    pub fn start(plan: Plan, server: Arc<ServerConfig>, upstream: SocketAddr, upstream_ca: &str) -> Proxy {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(upstream_ca.as_bytes()).unwrap()).unwrap();
        let client = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            plan,
            server,
            client: Arc::new(client),
            upstream,
            seen: AtomicU32::new(0),
            spoilt: AtomicU32::new(0),
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
                    // How a connection ends is the client's affair, or the plan's.
                    let _ = shared.serve(stream);
                });
            }
        });
        Proxy { address, shared }
    }

    /// Calls that were spoilt.
    pub fn spoilt(&self) -> u32 {
        self.shared.spoilt.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    /// Whether this moment of this call is spoilt; each moment that the plan names counts as a call.
    fn strikes(&self, moment: Moment) -> Option<Toxic> {
        if self.plan.moment != moment {
            return None;
        }
        let seen = self.seen.fetch_add(1, Ordering::Relaxed);
        let strikes = (self.plan.skip..self.plan.skip + self.plan.times).contains(&seen);
        strikes.then(|| {
            self.spoilt.fetch_add(1, Ordering::Relaxed);
            self.plan.toxic
        })
    }

    fn serve(&self, stream: TcpStream) -> Result<(), End> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let serial = u64::from(self.seen.load(Ordering::Relaxed));
        let mut dice = Dice::new(self.plan.seed ^ serial.wrapping_mul(0x0123_4567_89ab_cdef));
        let wire = Wire { stream: &stream };
        // On a silent connection, what alters bytes alters the whole handshake.
        let mut whole = self.strikes(Moment::Connected);
        if let Some(toxic) = whole
            && !toxic.needs_bytes()
        {
            wire.before(toxic)?;
            whole = None;
        }
        let mut tls = ServerConnection::new(self.server.clone()).expect("the configuration is sound");
        let mut first = true;
        while tls.is_handshaking() {
            wire.read_record(&mut tls)?;
            let struck = if first { whole.or_else(|| self.strikes(Moment::Handshake)) } else { None };
            first = false;
            wire.flush(&mut tls, struck, &mut dice)?;
        }
        let mut upstream = None;
        loop {
            let request = self.request(&wire, &mut tls, &mut dice)?;
            if wire.is_closed() {
                // The client has given up; what it does not wait for any more must not reach the vendor.
                return Ok(());
            }
            let answer = self.ask(&mut upstream, &request)?;
            let head = end_of_head(&answer).unwrap_or(answer.len());
            let (clean, struck) = match self.plan.moment {
                Moment::Answer => (0, self.strikes(Moment::Answer)),
                Moment::Headers => (1 + dice.below(head - 1), self.strikes(Moment::Headers)),
                Moment::Body => (head + dice.below(answer.len() - head), self.strikes(Moment::Body)),
                Moment::Connected | Moment::Handshake | Moment::Request => (0, None),
            };
            let clean = if struck.is_some() { clean } else { 0 };
            if clean > 0 {
                tls.writer().write_all(&answer[..clean])?;
                wire.flush(&mut tls, None, &mut dice)?;
            }
            tls.writer().write_all(&answer[clean..])?;
            wire.flush(&mut tls, struck, &mut dice)?;
            if struck == Some(Toxic::SlowClose) {
                std::thread::sleep(LATE);
            }
            if struck.is_some() || !self.plan.keep {
                tls.send_close_notify();
                wire.flush(&mut tls, None, &mut dice)?;
                return Ok(());
            }
        }
    }

    /// One request in full, in plain text.
    fn request(&self, wire: &Wire<'_>, tls: &mut ServerConnection, dice: &mut Dice) -> Result<Vec<u8>, End> {
        let mut request = Vec::new();
        let mut fresh = true;
        loop {
            let mut part = [0; 4096];
            match tls.reader().read(&mut part) {
                Ok(0) => return Err(End::Io),
                Ok(count) => request.extend_from_slice(&part[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
            if let Some(head) = end_of_head(&request)
                && request.len() >= head + length_of_body(&request[..head])
            {
                return Ok(request);
            }
            let mut record = wire.record()?;
            // A record with content other than application data (an alert) is no request.
            if std::mem::take(&mut fresh)
                && record[0] == 23
                && let Some(toxic) = self.strikes(Moment::Request)
            {
                wire.incoming(toxic, &mut record, dice)?;
            }
            wire.feed(tls, &record)?;
        }
    }

    /// Hands a request to the vendor and takes the answer.
    fn ask(&self, upstream: &mut Option<Upstream>, request: &[u8]) -> Result<Vec<u8>, End> {
        let stream = match upstream {
            Some(stream) => stream,
            None => {
                let socket = TcpStream::connect(self.upstream)?;
                socket.set_nodelay(true)?;
                socket.set_read_timeout(Some(PATIENCE))?;
                let name = ServerName::from(self.upstream.ip());
                let client = ClientConnection::new(self.client.clone(), name).expect("the name is sound");
                upstream.insert(StreamOwned::new(client, socket))
            }
        };
        stream.write_all(request)?;
        stream.flush()?;
        let mut answer = Vec::new();
        let mut part = [0; 16 * 1024];
        loop {
            if let Some(head) = end_of_head(&answer)
                && answer.len() >= head + length_of_body(&answer[..head])
            {
                return Ok(answer);
            }
            match stream.read(&mut part)? {
                0 => return Err(End::Io),
                count => answer.extend_from_slice(&part[..count]),
            }
        }
    }
}

type Upstream = StreamOwned<ClientConnection, TcpStream>;

impl Toxic {
    /// Whether it does something to bytes, rather than to the connection.
    fn needs_bytes(self) -> bool {
        use Toxic::{Bandwidth, Corrupt, Drip, Jitter, Slicer};
        matches!(self, Jitter | Bandwidth | Slicer | Drip | Corrupt)
    }
}

/// The daemon's side of a connection, beneath TLS.
struct Wire<'a> {
    stream: &'a TcpStream,
}

impl Wire<'_> {
    /// One TLS record, no byte more.
    fn record(&self) -> Result<Vec<u8>, End> {
        let mut stream = self.stream;
        let mut record = vec![0; 5];
        stream.read_exact(&mut record)?;
        let length = usize::from(u16::from_be_bytes([record[3], record[4]]));
        record.resize(5 + length, 0);
        stream.read_exact(&mut record[5..])?;
        Ok(record)
    }

    fn read_record(&self, tls: &mut ServerConnection) -> Result<(), End> {
        let record = self.record()?;
        self.feed(tls, &record)
    }

    fn feed(&self, tls: &mut ServerConnection, mut record: &[u8]) -> Result<(), End> {
        while !record.is_empty() {
            tls.read_tls(&mut record)?;
        }
        if tls.process_new_packets().is_err() {
            // Says why to the client, as a server does.
            let mut alert = Vec::new();
            while tls.wants_write() {
                tls.write_tls(&mut alert)?;
            }
            self.write(&alert)?;
            return Err(End::Io);
        }
        Ok(())
    }

    /// Sends what TLS has to send; spoilt from some byte on, if it is to be.
    fn flush(&self, tls: &mut ServerConnection, toxic: Option<Toxic>, dice: &mut Dice) -> Result<(), End> {
        let mut bytes = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut bytes)?;
        }
        let Some(toxic) = toxic else { return self.write(&bytes) };
        let at = dice.below(bytes.len());
        self.write(&bytes[..at])?;
        let rest = &mut bytes[at..];
        match toxic {
            Toxic::Latency => {
                std::thread::sleep(LATE);
                self.write(rest)
            }
            Toxic::Jitter => self.pieces(rest, || (1 + dice.below(1000), dice.below(10) as u64)),
            Toxic::Bandwidth => self.pieces(rest, || (200, 4)),
            Toxic::Slicer => self.pieces(rest, || (1, 0)),
            Toxic::Drip => self.pieces(rest, || (1, 200)),
            Toxic::Corrupt => {
                if let Some(byte) = rest.first_mut() {
                    *byte ^= 1 << dice.below(8);
                }
                self.write(rest)
            }
            Toxic::SlowClose => self.write(rest),
            closing => self.before(closing),
        }
    }

    /// Spoils what comes in: the first record of a request.
    fn incoming(&self, toxic: Toxic, record: &mut [u8], dice: &mut Dice) -> Result<(), End> {
        match toxic {
            // The bytes are here already; what is left to feel of a slow way is the delay.
            Toxic::Latency | Toxic::Jitter | Toxic::Bandwidth | Toxic::Slicer | Toxic::SlowClose => {
                std::thread::sleep(LATE);
                Ok(())
            }
            Toxic::Corrupt => {
                let at = 5 + dice.below(record.len() - 5);
                record[at] ^= 1 << dice.below(8);
                Ok(())
            }
            Toxic::Drip => self.before(Toxic::Blackhole),
            closing => self.before(closing),
        }
    }

    /// What is done to the connection as a whole.
    fn before(&self, toxic: Toxic) -> Result<(), End> {
        match toxic {
            Toxic::Latency | Toxic::SlowClose => {
                std::thread::sleep(LATE);
                return Ok(());
            }
            Toxic::Jitter | Toxic::Bandwidth | Toxic::Slicer | Toxic::Drip | Toxic::Corrupt => return Ok(()),
            Toxic::Cut => {}
            Toxic::Reset => self.reset(),
            Toxic::HalfClose => {
                self.stream.shutdown(Shutdown::Write)?;
                self.drain();
            }
            Toxic::CloseTwice => {
                self.stream.shutdown(Shutdown::Write)?;
                std::thread::sleep(LATE / 3);
                self.reset();
            }
            Toxic::Blackhole => self.drain(),
        }
        Err(End::Spoilt)
    }

    /// Reads until the client leaves.
    fn drain(&self) {
        let mut stream = self.stream;
        let mut part = [0; 4096];
        while let Ok(1..) = stream.read(&mut part) {}
    }

    /// Makes the coming close a reset.
    fn reset(&self) {
        rustix::net::sockopt::set_socket_linger(self.stream, Some(Duration::ZERO)).unwrap();
    }

    fn write(&self, bytes: &[u8]) -> Result<(), End> {
        let mut stream = self.stream;
        Ok(stream.write_all(bytes)?)
    }

    /// In pieces of so many bytes, each after so many milliseconds.
    fn pieces(&self, mut bytes: &[u8], mut piece: impl FnMut() -> (usize, u64)) -> Result<(), End> {
        while !bytes.is_empty() {
            let (size, pause) = piece();
            let (now, later) = bytes.split_at(size.min(bytes.len()));
            std::thread::sleep(Duration::from_millis(pause));
            if self.is_closed() {
                return Err(End::Spoilt);
            }
            self.write(now)?;
            bytes = later;
        }
        Ok(())
    }

    /// Whether the client has left.
    fn is_closed(&self) -> bool {
        let mut byte = [0];
        self.stream.set_nonblocking(true).unwrap();
        let found = self.stream.peek(&mut byte);
        self.stream.set_nonblocking(false).unwrap();
        match found {
            Ok(count) => count == 0,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }
}

/// Where the head of a message ends, its blank line included.
pub fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|end| end == b"\r\n\r\n").map(|at| at + 4)
}

/// The `Content-Length` of a head; 0 where it has none.
pub fn length_of_body(head: &[u8]) -> usize {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let value = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    value.map_or(0, |value| value.trim().parse().unwrap())
}
