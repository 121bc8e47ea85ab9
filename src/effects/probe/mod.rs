//! Probes: shakes hands with servers until they present the installed certificate, or their time is over.
//!
//! Nothing that they present is trusted for anything: it is compared, and the connection is closed.

mod handshake;
mod starttls;

use std::time::Duration;

use futures_util::future::join_all;
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use self::handshake::Offer;
use crate::effects::errno;
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

/// Asks all probes of a run at once; one list of answers for each.
pub async fn run(run: &ProbeRun) -> Vec<Vec<ProbeAnswer>> {
    join_all(run.probes.iter().map(|(probe, name)| ask(probe, name, &run.expected))).await
}

/// Where to connect to.
#[derive(Debug, Clone)]
enum Address {
    Tcp(std::net::SocketAddr),
    Unix(std::path::PathBuf),
}

/// Every address behind the target, each until it is right or the time is over.
async fn ask(probe: &Probe, name: &str, expected: &Expected) -> Vec<ProbeAnswer> {
    let end = sleep(probe.within).deadline();
    let addresses = match addresses(&probe.connect, end).await {
        Ok(addresses) => addresses,
        Err(why) => {
            return vec![ProbeAnswer { address: probe.connect.to_string().into(), outcome: Err(why) }];
        }
    };
    join_all(addresses.iter().map(|address| ask_one(address, probe, name, expected, end))).await
}

/// The addresses of a name; it may come to have some while there is time.
async fn addresses(target: &Target, end: Instant) -> Result<Vec<Address>, String> {
    let (host, port) = match target {
        Target::Unix(path) => return Ok(vec![Address::Unix(path.clone())]),
        Target::Host(host, port) => (&**host, *port),
    };
    let look_up = async || match lookup_host((host, port)).await {
        Ok(found) => {
            let mut found: Vec<_> = found.collect();
            found.sort();
            found.dedup();
            found.truncate(MOST_ADDRESSES);
            match found.is_empty() {
                true => Err("cannot be resolved: the name has no address".to_owned()),
                false => Ok(found.into_iter().map(Address::Tcp).collect()),
            }
        }
        Err(error) => {
            let text = error.to_string();
            let why = Untrusted::new(text.rsplit(": ").next().unwrap_or_default());
            Err(format!("cannot be resolved: {why}"))
        }
    };
    let last = repeat(end, look_up, Result::is_ok).await;
    last.unwrap_or_else(|| Err("cannot be resolved: the lookup did not end in time".into()))
}

/// What one address presents, as soon as it is right; at the end of its time, what it presented last.
async fn ask_one(
    address: &Address,
    probe: &Probe,
    name: &str,
    expected: &Expected,
    end: Instant,
) -> ProbeAnswer {
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
