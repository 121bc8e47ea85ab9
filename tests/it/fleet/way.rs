//! The way from a host to the store or to the vendor, which can be cut.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;

/// A proxy in front of a server. While the way is cut, what comes is lost and connections stay open; those that were made
/// before are of no use after it. It lives as long as the process.
pub struct Way {
    pub address: SocketAddr,
    /// Cuts and mends so far: odd while it is cut.
    turns: Arc<AtomicU64>,
}

impl Way {
    pub fn to(server: SocketAddr) -> Way {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let turns = Arc::new(AtomicU64::new(0));
        let shared = turns.clone();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(upstream) = TcpStream::connect(server) else { continue };
                let made = shared.load(Relaxed);
                for (from, to) in [(&client, &upstream), (&upstream, &client)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let turns = shared.clone();
                    thread::spawn(move || pass(from, to, &turns, made));
                }
            }
        });
        Way { address, turns }
    }

    pub fn cut(&self) {
        assert_eq!(self.turns.fetch_add(1, Relaxed) % 2, 0, "it was whole");
    }

    pub fn mend(&self) {
        assert_eq!(self.turns.fetch_add(1, Relaxed) % 2, 1, "it was cut");
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, turns: &AtomicU64, made: u64) {
    let mut bytes = [0; 16 * 1024];
    loop {
        let read = from.read(&mut bytes).unwrap_or(0);
        let now = turns.load(Relaxed);
        let is_lost = read > 0 && now % 2 == 1;
        if !is_lost && (read == 0 || now != made || to.write_all(&bytes[..read]).is_err()) {
            let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
            return;
        }
    }
}
