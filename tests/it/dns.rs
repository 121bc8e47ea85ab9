//! A name server of the tests' own, on loopback, over UDP and TCP.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::{CAA, CNAME};
use hickory_proto::rr::{Name, RData, Record, RecordType};

/// What is answered about one name.
#[derive(Debug, Clone)]
pub enum Says {
    /// The records of these kinds; nothing of any other kind.
    Records(Vec<RData>),
    /// These records, but over TCP only: a UDP answer is cut off.
    OverTcp(Vec<RData>),
    /// An error.
    Code(ResponseCode),
    /// No answer at all.
    Silence,
}

/// A running server; what is not in its zone does not exist.
pub struct Server {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// How often the threads look whether they are to end.
const LOOK: Duration = Duration::from_millis(20);

impl Server {
    pub fn start(zone: &[(&str, Says)]) -> Server {
        let zone: HashMap<String, Says> =
            zone.iter().map(|(name, says)| (name.to_ascii_lowercase(), says.clone())).collect();
        let zone = Arc::new(zone);
        let (udp, tcp) = sockets();
        let address = udp.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let over_udp = {
            let (zone, asked, stop) = (zone.clone(), asked.clone(), stop.clone());
            std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                while !stop.load(Ordering::Relaxed) {
                    let Ok((length, from)) = udp.recv_from(&mut buffer) else { continue };
                    if let Some(answer) = answer(&zone, &asked, &buffer[..length], true) {
                        let _ = udp.send_to(&answer, from);
                    }
                }
            })
        };
        let over_tcp = {
            let (asked, stop) = (asked.clone(), stop.clone());
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let Ok((mut stream, _)) = tcp.accept() else {
                        std::thread::sleep(LOOK);
                        continue;
                    };
                    let _ = stream.set_nonblocking(false);
                    let _ = stream.set_read_timeout(Some(LOOK * 50));
                    let mut length = [0; 2];
                    if stream.read_exact(&mut length).is_err() {
                        continue;
                    }
                    let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
                    if stream.read_exact(&mut query).is_err() {
                        continue;
                    }
                    if let Some(answer) = answer(&zone, &asked, &query, false) {
                        let length = u16::try_from(answer.len()).unwrap().to_be_bytes();
                        let _ = stream.write_all(&[&length[..], &answer].concat());
                    }
                }
            })
        };
        Server { address, asked, stop, threads: vec![over_udp, over_tcp] }
    }

    /// Every question so far, `CAA www.example.com udp`.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// One port for both.
fn sockets() -> (UdpSocket, TcpListener) {
    for _ in 0..50 {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()) {
            udp.set_read_timeout(Some(LOOK)).unwrap();
            tcp.set_nonblocking(true).unwrap();
            return (udp, tcp);
        }
    }
    panic!("no port is free for both UDP and TCP");
}

fn answer(
    zone: &HashMap<String, Says>,
    asked: &Mutex<Vec<String>>,
    query: &[u8],
    is_udp: bool,
) -> Option<Vec<u8>> {
    let query = Message::from_vec(query).ok()?;
    let question = query.queries.first()?.clone();
    let name = question.name().to_ascii().trim_end_matches('.').to_ascii_lowercase();
    let over = if is_udp { "udp" } else { "tcp" };
    asked.lock().unwrap().push(format!("{} {name} {over}", question.query_type()));
    let mut answer = Message::response(query.metadata.id, query.metadata.op_code);
    answer.metadata.recursion_desired = query.metadata.recursion_desired;
    answer.metadata.recursion_available = true;
    answer.add_query(question.clone());
    let says = zone.get(&name).cloned().unwrap_or(Says::Code(ResponseCode::NXDomain));
    let records = match says {
        Says::Silence => return None,
        Says::Code(code) => {
            answer.metadata.response_code = code;
            Vec::new()
        }
        Says::OverTcp(_) if is_udp => {
            answer.metadata.truncation = true;
            Vec::new()
        }
        Says::Records(records) | Says::OverTcp(records) => records,
    };
    for data in records {
        // A CNAME answers every question about its name.
        if data.record_type() == question.query_type() || data.record_type() == RecordType::CNAME {
            answer.add_answer(Record::from_rdata(question.name().clone(), 60, data));
        }
    }
    answer.to_vec().ok()
}

pub fn cname(target: &str) -> Says {
    Says::Records(vec![RData::CNAME(CNAME(name(target)))])
}

pub fn caa(properties: &[(bool, &str, &str)]) -> Says {
    Says::Records(caa_data(properties))
}

pub fn caa_data(properties: &[(bool, &str, &str)]) -> Vec<RData> {
    let data = |(critical, tag, value): &(bool, &str, &str)| {
        let mut caa = CAA::new_issue(*critical, None, Vec::new());
        caa.tag = (*tag).to_owned();
        caa.value = value.as_bytes().to_vec();
        RData::CAA(caa)
    };
    properties.iter().map(data).collect()
}

fn name(text: &str) -> Name {
    let mut name = Name::from_ascii(text).unwrap();
    name.set_fqdn(true);
    name
}
