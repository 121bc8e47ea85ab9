//! Servers that are not the vendor, or not in their right mind.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::proxy::{end_of_head, length_of_body};

/// No socket here waits longer.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Default)]
struct Counts {
    connections: AtomicUsize,
    handshakes: AtomicUsize,
    application_data: AtomicUsize,
    calls: AtomicUsize,
    ended: AtomicBool,
}

/// Accepts connections on a free port until it is dropped, each in a thread.
fn accept(counts: Arc<Counts>, serve: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            if counts.ended.load(Ordering::Relaxed) {
                return;
            }
            stream.set_nodelay(true).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.set_write_timeout(Some(PATIENCE)).unwrap();
            let serve = serve.clone();
            std::thread::spawn(move || serve(stream));
        }
    });
    address
}

/// Counts what comes, and never answers.
pub struct Listener {
    pub address: SocketAddr,
    counts: Arc<Counts>,
}

impl Listener {
    /// Speaks TLS with this identity.
    pub fn tls(config: Arc<ServerConfig>) -> Listener {
        let counts = Arc::new(Counts::default());
        let counting = counts.clone();
        let address = accept(counts.clone(), move |mut stream| {
            let mut tls = ServerConnection::new(config.clone()).expect("the configuration is sound");
            while tls.is_handshaking() {
                // Counted when the handshake has failed, so that whoever waits for the count sees the rest.
                if tls.complete_io(&mut stream).is_err() {
                    counting.connections.fetch_add(1, Ordering::SeqCst);
                    return;
                }
            }
            counting.handshakes.fetch_add(1, Ordering::SeqCst);
            counting.connections.fetch_add(1, Ordering::SeqCst);
            let mut stream = StreamOwned::new(tls, stream);
            let mut part = [0; 4096];
            while let Ok(count @ 1..) = stream.read(&mut part) {
                counting.application_data.fetch_add(count, Ordering::SeqCst);
            }
        });
        Listener { address, counts }
    }

    /// Chooses this old version of TLS, whatever it is offered.
    pub fn old_tls(version: u16) -> Listener {
        let counts = Arc::new(Counts::default());
        let counting = counts.clone();
        let address = accept(counts.clone(), move |mut stream| {
            let mut hello = [0; 16 * 1024];
            if !matches!(stream.read(&mut hello), Ok(1..)) {
                return;
            }
            let _ = stream.write_all(&server_hello(version));
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest);
            counting.application_data.fetch_add(application_data(&rest), Ordering::SeqCst);
            counting.connections.fetch_add(1, Ordering::SeqCst);
        });
        Listener { address, counts }
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.counts.connections.load(Ordering::SeqCst)
    }

    /// Handshakes that came to their end.
    pub fn handshakes(&self) -> usize {
        self.counts.handshakes.load(Ordering::SeqCst)
    }

    /// Bytes of application data.
    pub fn application_data(&self) -> usize {
        self.counts.application_data.load(Ordering::SeqCst)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.counts.ended.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
    }
}

/// A ServerHello (RFC 4346 section 7.4.1.3) with TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA.
fn server_hello(version: u16) -> Vec<u8> {
    let [major, minor] = version.to_be_bytes();
    let mut body = vec![major, minor];
    body.extend([7; 32]);
    body.extend([0, 0xc0, 0x13, 0]);
    let length = body.len() as u8;
    let mut message = vec![22, major, minor, 0, length + 4, 2, 0, 0, length];
    message.extend(body);
    message
}

/// Bytes in records of application data. In plain TLS 1.0 to 1.2 nothing else has their type.
fn application_data(mut bytes: &[u8]) -> usize {
    let mut sum = 0;
    while let [kind, _, _, high, low, rest @ ..] = bytes {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        if *kind == 23 {
            sum += length;
        }
        bytes = rest.get(length..).unwrap_or_default();
    }
    sum
}

/// What a server answers.
pub enum Reply {
    /// These bytes.
    Bytes(Vec<u8>),
    /// These bytes, and then these again and again, until the client leaves or so many bytes were sent.
    Endless(Vec<u8>, Vec<u8>, usize),
}

/// A server that answers calls, whatever they are.
pub struct Answering {
    pub address: SocketAddr,
    counts: Arc<Counts>,
}

impl Answering {
    pub fn start(
        config: Arc<ServerConfig>,
        answer: impl Fn(usize, &[u8]) -> Reply + Send + Sync + 'static,
    ) -> Answering {
        let counts = Arc::new(Counts::default());
        let counting = counts.clone();
        let address = accept(counts.clone(), move |stream| {
            let tls = ServerConnection::new(config.clone()).expect("the configuration is sound");
            let mut stream = StreamOwned::new(tls, stream);
            while let Some(request) = request(&mut stream) {
                let call = counting.calls.fetch_add(1, Ordering::SeqCst);
                let sent = match answer(call, &request) {
                    Reply::Bytes(bytes) => stream.write_all(&bytes),
                    Reply::Endless(start, again, limit) => {
                        let mut sent = stream.write_all(&start);
                        for _ in 0..limit / again.len() {
                            sent = sent.and_then(|()| stream.write_all(&again));
                            if sent.is_err() {
                                break;
                            }
                        }
                        stream.conn.send_close_notify();
                        let _ = stream.flush();
                        return;
                    }
                };
                if sent.and_then(|()| stream.flush()).is_err() {
                    return;
                }
            }
        });
        Answering { address, counts }
    }

    /// Calls so far.
    pub fn calls(&self) -> usize {
        self.counts.calls.load(Ordering::SeqCst)
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.counts.ended.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
    }
}

/// Reads one request; `None` when the client leaves.
fn request(stream: &mut impl Read) -> Option<Vec<u8>> {
    let mut request = Vec::new();
    let mut part = [0; 4096];
    loop {
        if let Some(head) = end_of_head(&request)
            && request.len() >= head + length_of_body(&request[..head])
        {
            return Some(request);
        }
        match stream.read(&mut part) {
            Ok(count @ 1..) => request.extend_from_slice(&part[..count]),
            _ => return None,
        }
    }
}

const MIB: usize = 1024 * 1024;
/// More than any bomb sends.
const MUCH: usize = 256 * MIB;

/// A bomb, by its name.
pub type Bomb = (&'static str, Box<dyn Fn() -> Reply + Send + Sync>);

/// Answers that want to fill a memory or a day.
pub fn bombs() -> Vec<Bomb> {
    let ok =
        |headers: &str| format!("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n{headers}\r\n").into_bytes();
    let chunk = {
        let mut chunk = b"10000\r\n".to_vec();
        chunk.extend(vec![b'A'; 0x10000]);
        chunk.extend(b"\r\n");
        chunk
    };
    let extension = {
        let mut chunk = b"1;".to_vec();
        chunk.extend(vec![b'e'; 0x10000]);
        chunk.extend(b"\r\nA\r\n");
        chunk
    };
    let gzip = deflated(64 * MIB, true);
    let zip = zip_bomb();
    let bytes =
        |head: Vec<u8>, body: Vec<u8>| move || Reply::Bytes([head.as_slice(), body.as_slice()].concat());
    let endless = |start: Vec<u8>, again: Vec<u8>| move || Reply::Endless(start.clone(), again.clone(), MUCH);
    let length = |body: &[u8]| format!("content-length: {}\r\n", body.len());
    vec![
        (
            "a header line without end",
            Box::new(endless(b"HTTP/1.1 200 OK\r\nx: ".to_vec(), vec![b'x'; 65536])),
        ),
        (
            "headers without end",
            Box::new(endless(b"HTTP/1.1 200 OK\r\n".to_vec(), b"x-a: b\r\n".repeat(1000))),
        ),
        ("a body without length or end", Box::new(endless(ok("connection: close\r\n"), vec![b'A'; 65536]))),
        ("chunks without end", Box::new(endless(ok("transfer-encoding: chunked\r\n"), chunk))),
        ("a chunk extension without end", Box::new(endless(ok("transfer-encoding: chunked\r\n"), extension))),
        (
            "trailers without end",
            Box::new(endless(
                [ok("transfer-encoding: chunked\r\n"), b"1\r\n0\r\n0\r\n".to_vec()].concat(),
                b"x-trailer: y\r\n".repeat(1000),
            )),
        ),
        (
            "1xx answers without end",
            Box::new(endless(
                b"HTTP/1.1 100 Continue\r\n\r\n".to_vec(),
                b"HTTP/1.1 103 Early Hints\r\nx: y\r\n\r\n".repeat(100),
            )),
        ),
        ("a length of 2^63", Box::new(bytes(ok("content-length: 9223372036854775807\r\n"), vec![b'A'; MIB]))),
        (
            "64 MiB of zeros in gzip",
            Box::new(bytes(ok(&format!("content-encoding: gzip\r\n{}", length(&gzip))), gzip.clone())),
        ),
        ("the same in gzip twice", {
            let twice = deflate(&gzip, true);
            Box::new(bytes(ok(&format!("content-encoding: gzip, gzip\r\n{}", length(&twice))), twice))
        }),
        ("64 MiB of zeros in a ZIP archive", Box::new(bytes(ok(&length(&zip)), zip.clone()))),
        ("that archive in base64", {
            use base64::Engine;
            let text = format!("2\n{}", base64::engine::general_purpose::STANDARD.encode(&zip)).into_bytes();
            Box::new(bytes(ok(&length(&text)), text))
        }),
        ("a megabyte of brackets", {
            let text = [b"{\"a\":".to_vec(), b"[".repeat(MIB - 100)].concat();
            Box::new(bytes(ok(&length(&text)), text))
        }),
    ]
}

/// So many zeros, packed.
fn deflated(size: usize, gzip: bool) -> Vec<u8> {
    deflate(&vec![0; size], gzip)
}

/// DEFLATE as a gzip member (RFC 1952), or bare, by the only packer at hand: that of the ZIP crate.
fn deflate(content: &[u8], gzip: bool) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    archive.start_file("x", options).unwrap();
    archive.write_all(content).unwrap();
    let packed = archive.finish().unwrap().into_inner();
    if !gzip {
        return packed;
    }
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(&packed)).unwrap();
    let file = archive.by_index_raw(0).unwrap();
    let (crc, size) = (file.crc32(), file.compressed_size() as usize);
    let start = file.data_start().unwrap() as usize;
    let mut member = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    member.extend_from_slice(&packed[start..start + size]);
    member.extend(crc.to_le_bytes());
    member.extend((content.len() as u32).to_le_bytes());
    member
}

fn zip_bomb() -> Vec<u8> {
    deflated(64 * MIB, false)
}
