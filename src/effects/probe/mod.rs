//! Probes: shakes hands with servers until they present the installed certificate, or their time is over.
//!
//! Nothing that they present is trusted for anything: it is compared, and the connection is closed.

mod handshake;
mod starttls;

use std::net::{IpAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use self::handshake::Offer;
use crate::effects::{blocking, errno};
use certcollectd_core::api::Untrusted;
use certcollectd_core::config::{Probe, StartTls, Target};
use certcollectd_core::engine::probe::{Expected, Presented, ProbeAnswer, ProbeRun};
use certcollectd_core::engine::time::in_words;

/// Between two tries, at first and at last.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// One connection, handshake included: a server that needs more is asked anew.
const ONE_TRY: Duration = Duration::from_secs(10);
/// Addresses of one name.
const MOST_ADDRESSES: usize = 64;

/// Name lookups in parallel, each with a thread of its own that nothing can cancel.
const LOOKUPS_AT_ONCE: usize = 4;
/// Addresses that are asked in parallel: each has a file descriptor, of which a process has 1,024 by default.
const CONNECTIONS_AT_ONCE: usize = 128;

/// How much of it goes on at once, over all orders. Waiting for its turn costs a probe none of its time.
#[derive(Debug)]
pub struct Turns {
    lookups: Arc<Semaphore>,
    connections: Semaphore,
}

impl Default for Turns {
    fn default() -> Turns {
        Turns {
            lookups: Arc::new(Semaphore::new(LOOKUPS_AT_ONCE)),
            connections: Semaphore::new(CONNECTIONS_AT_ONCE),
        }
    }
}

/// Asks all probes of a run; one list of answers for each.
pub async fn run(run: &ProbeRun, turns: &Turns) -> Vec<Vec<ProbeAnswer>> {
    join_all(run.probes.iter().map(|(probe, name)| ask(probe, name, &run.expected, turns))).await
}

/// Where to connect to.
#[derive(Debug, Clone)]
enum Address {
    Tcp(std::net::SocketAddr),
    Unix(std::path::PathBuf),
}

/// Every address behind the target, each until it is right or the time is over.
async fn ask(probe: &Probe, name: &str, expected: &Expected, turns: &Turns) -> Vec<ProbeAnswer> {
    let addresses = match addresses(&probe.connect, probe.within, turns).await {
        Ok(addresses) => addresses,
        Err(why) => {
            return vec![ProbeAnswer { address: probe.connect.to_string().into(), outcome: Err(why) }];
        }
    };
    join_all(addresses.iter().map(|address| ask_one(address, probe, name, expected, turns))).await
}

/// The addresses of a name; it may come to have some while there is time.
async fn addresses(target: &Target, within: Duration, turns: &Turns) -> Result<Vec<Address>, String> {
    let (host, port) = match target {
        Target::Unix(path) => return Ok(vec![Address::Unix(path.clone())]),
        Target::Host(host, port) => (&**host, *port),
    };
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![Address::Tcp((address, port).into())]);
    }
    let look_up = async || {
        let host = host.to_owned();
        let look = move || (host.as_str(), port).to_socket_addrs().map(Iterator::collect::<Vec<_>>);
        let mut found = match blocking::attempt(&turns.lookups, look).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => {
                let text = error.to_string();
                let why = Untrusted::new(text.rsplit(": ").next().unwrap_or_default());
                return Err(format!("cannot be resolved: {why}"));
            }
            Err(_) => return Err("cannot be resolved: internal error, please report it".to_owned()),
        };
        found.sort();
        found.dedup();
        found.truncate(MOST_ADDRESSES);
        match found.is_empty() {
            true => Err("cannot be resolved: the name has no address".to_owned()),
            false => Ok(found.into_iter().map(Address::Tcp).collect()),
        }
    };
    // The first lookup waits for its turn, however long that takes.
    let first = look_up().await;
    if first.is_ok() {
        return first;
    }
    let last = repeat(sleep(within).deadline(), look_up, Result::is_ok).await;
    last.unwrap_or(first)
}

/// What one address presents, as soon as it is right; at the end of its time, what it presented last.
async fn ask_one(
    address: &Address,
    probe: &Probe,
    name: &str,
    expected: &Expected,
    turns: &Turns,
) -> ProbeAnswer {
    let _turn = turns.connections.acquire().await;
    let end = sleep(probe.within).deadline();
    let shown = match address {
        Address::Tcp(address) => address.to_string(),
        Address::Unix(path) => format!("unix:{}", path.display()),
    };
    let is_right = |outcome: &Result<Presented, String>| {
        outcome.as_ref().is_ok_and(|presented| expected.is_met(presented))
    };
    let last = repeat(end, async || once(address, probe.starttls, name, expected).await, is_right).await;
    let outcome = last.unwrap_or_else(|| Err(untold(probe.within)));
    ProbeAnswer { address: shown.into(), outcome }
}

/// Tries again, with longer and longer pauses, until the result is right or the time is over. The last result; none if
/// not even the first try has ended.
async fn repeat<T>(
    end: Instant,
    mut attempt: impl AsyncFnMut() -> T,
    is_right: impl Fn(&T) -> bool,
) -> Option<T> {
    let mut last = None;
    let mut pause = FIRST_PAUSE;
    let tries = async {
        loop {
            let result = attempt().await;
            let ended = is_right(&result);
            last = Some(result);
            if ended {
                return;
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    };
    let _ = timeout_at(end, tries).await;
    last
}

fn untold(within: Duration) -> String {
    format!("did not shake hands within {}", in_words(within))
}

/// One try: a handshake, and two more if the server may have chosen between keys of several kinds.
async fn once(
    address: &Address,
    starttls: Option<StartTls>,
    name: &str,
    expected: &Expected,
) -> Result<Presented, String> {
    let first = shake(address, starttls, name, Offer::Everything).await?;
    if first.leaf == expected.leaf {
        return Ok(first);
    }
    for offer in [Offer::Rsa, Offer::Ecdsa] {
        if let Ok(other) = shake(address, starttls, name, offer).await
            && other.leaf == expected.leaf
        {
            return Ok(other);
        }
    }
    Ok(first)
}

async fn shake(
    address: &Address,
    starttls: Option<StartTls>,
    name: &str,
    offer: Offer,
) -> Result<Presented, String> {
    let tried = async {
        match address {
            Address::Tcp(address) => {
                let stream = TcpStream::connect(address).await.map_err(|error| unconnected(&error))?;
                handshake::with(stream, starttls, name, offer).await
            }
            Address::Unix(path) => {
                let stream = UnixStream::connect(path).await.map_err(|error| unconnected(&error))?;
                handshake::with(stream, starttls, name, offer).await
            }
        }
    };
    timeout(ONE_TRY, tried).await.unwrap_or_else(|_| Err(untold(ONE_TRY)))
}

fn unconnected(error: &std::io::Error) -> String {
    format!("cannot be connected to: {}", errno::cause(error))
}
