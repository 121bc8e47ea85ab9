//! A way to a store on which answers get lost, and servers that are none.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What becomes of an answer.
#[derive(Debug, Clone, Copy)]
pub enum Answers {
    Passed,
    /// The connection is closed when its first bytes come.
    Broken,
    /// They are dropped, and the connection stays open.
    Dropped,
}

/// A proxy in front of `http://host:port`. It lives as long as the process.
pub struct Proxy {
    pub endpoint: String,
    way: Arc<Mutex<Way>>,
}

struct Way {
    answers: Answers,
    log_ins: usize,
}

impl Proxy {
    pub fn start(endpoint: &str, answers: Answers) -> Proxy {
        let server = endpoint.strip_prefix("http://").unwrap().to_owned();
        let way = Arc::new(Mutex::new(Way { answers, log_ins: 0 }));
        let shown = way.clone();
        let endpoint = serve(move |client| {
            let upstream = TcpStream::connect(&server).unwrap();
            let (requests, answers) = (client.try_clone().unwrap(), upstream.try_clone().unwrap());
            let (seen, way) = (way.clone(), way.clone());
            thread::spawn(move || {
                pass(requests, upstream, |bytes| {
                    seen.lock().unwrap().log_ins +=
                        usize::from(bytes.starts_with(b"POST /v3/auth/authenticate"));
                    Answers::Passed
                });
            });
            pass(answers, client, |_| way.lock().unwrap().answers);
        });
        Proxy { endpoint, way: shown }
    }

    pub fn set(&self, answers: Answers) {
        self.way.lock().unwrap().answers = answers;
    }

    /// Log-ins so far.
    pub fn log_ins(&self) -> usize {
        self.way.lock().unwrap().log_ins
    }
}

/// A way to `host:port` that passes everything, until a request holds this word: what becomes of the answers
/// from then on.
pub fn until(server: &str, word: &'static str, answers: Answers) -> String {
    let server = server.to_owned();
    let address = serve(move |client| {
        let upstream = TcpStream::connect(&server).unwrap();
        let (requests, way_back) = (client.try_clone().unwrap(), upstream.try_clone().unwrap());
        let said = Arc::new(Mutex::new(Answers::Passed));
        let seen = said.clone();
        thread::spawn(move || {
            pass(requests, upstream, |bytes| {
                if bytes.windows(word.len()).any(|part| part == word.as_bytes()) {
                    *seen.lock().unwrap() = answers;
                }
                Answers::Passed
            });
        });
        pass(way_back, client, |_| *said.lock().unwrap());
    });
    address.strip_prefix("http://").unwrap().to_owned()
}

fn pass(mut from: TcpStream, mut to: TcpStream, mut becomes: impl FnMut(&[u8]) -> Answers) {
    let mut bytes = [0; 65536];
    loop {
        let read = from.read(&mut bytes).unwrap_or(0);
        let passed = match becomes(&bytes[..read]) {
            Answers::Passed => read > 0 && to.write_all(&bytes[..read]).is_ok(),
            Answers::Broken => false,
            Answers::Dropped => read > 0,
        };
        if !passed {
            let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
            return;
        }
    }
}

/// A web server that answers each request with this.
pub fn foreign(status: &'static str, body: &'static str) -> String {
    server(status, move |_| body.to_owned())
}

/// A web server that complains about each request, which it repeats, in the form of etcd's errors.
pub fn echo() -> String {
    let answer = |request: String| {
        let body = request.split_once("\r\n\r\n").unwrap().1;
        serde_json::json!({ "code": 3, "message": body }).to_string()
    };
    server("400 Bad Request", answer)
}

fn server(status: &'static str, answer: impl Fn(String) -> String + Send + Sync + Clone + 'static) -> String {
    serve(move |mut client| {
        // All requests of these tests are shorter than this, and come at once.
        let mut request = [0; 65536];
        let Ok(read) = client.read(&mut request) else { return };
        if read > 0 {
            let body = answer(String::from_utf8_lossy(&request[..read]).into_owned());
            let head =
                format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = client.write_all(format!("{head}{body}").as_bytes());
        }
    })
}

fn serve(each: impl Fn(TcpStream) + Send + Sync + Clone + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let each = each.clone();
            thread::spawn(move || each(client));
        }
    });
    endpoint
}
