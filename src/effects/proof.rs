//! Looks where the vendor will look for the proof of control: at records in DNS, or files on the names' servers. What is
//! seen is judged in `api::dcv::survey`.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use reqwest::{Client, redirect, retry};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::call::transport;
use super::dns::Dns;
use certcollectd_core::api::Untrusted;
use certcollectd_core::api::dcv::survey::{self, Found, MAX_DOMAINS, Seen, State, Subject};
use certcollectd_core::api::dcv::{Caa, Match, Token};
use certcollectd_core::config::Dcv;
use certcollectd_core::engine::reissue::run::{NameSeen, Survey, SurveyRun};

/// Surveys in parallel: a name server that does not answer takes its time.
const AT_ONCE: usize = 8;
/// A look for all names of an order. A name server that does not answer takes some 12 s for each, and meanwhile the order is
/// not polled.
const LONGEST: Duration = Duration::from_secs(120);
/// One file from one address.
const ONE_TRY: Duration = Duration::from_secs(10);
/// Addresses of one name that are asked for the file.
const MOST_ADDRESSES: usize = 8;
/// Bytes of a file that are read: the proof has less than 110.
const LONGEST_FILE: usize = 4096;

/// How many go on at once, over all orders.
#[derive(Debug)]
pub struct Turns(Semaphore);

impl Default for Turns {
    fn default() -> Turns {
        Turns(Semaphore::new(AT_ONCE))
    }
}

/// What is seen of each name.
pub async fn survey(run: &SurveyRun, servers: &[SocketAddr], turns: &Turns) -> Survey {
    survey_until(run, servers, turns, sleep(LONGEST).deadline()).await
}

async fn survey_until(run: &SurveyRun, servers: &[SocketAddr], turns: &Turns, end: Instant) -> Survey {
    let turn = timeout_at(end, turns.0.acquire()).await;
    let token = Token::with_unique(&run.csr, &run.unique);
    let mut names = Vec::with_capacity(run.names.len());
    // A resolver of its own, so that none of it remembers the last look.
    let dns = Dns::new(servers);
    for (at, name) in run.names.iter().enumerate() {
        let (lacks, caa) = match &dns {
            Err(why) => (Some(why.clone()), None),
            Ok(_) if at >= MAX_DOMAINS => {
                (Some(format!("not looked at, because there are more than {MAX_DOMAINS} names")), None)
            }
            Ok(_) if turn.is_err() => {
                (Some("not looked at yet, because the proofs of many other orders are".to_owned()), None)
            }
            Ok(dns) => timeout_at(end, one(dns, name, run.dcv, &token)).await.unwrap_or_else(|_| {
                let limit = LONGEST.as_secs();
                (Some(format!("not looked at, because a look for all names ends after {limit} s")), None)
            }),
        };
        names.push(NameSeen { name: name.clone(), lacks, caa });
    }
    Survey { names }
}

/// What one name lacks, and why CAA records forbid to issue for it.
async fn one(dns: &Dns, name: &str, dcv: Dcv, token: &Token) -> (Option<String>, Option<String>) {
    let method = Some(dcv.method().to_owned());
    let subject = Subject { domain: name.to_owned(), method, validated: false };
    let lacks = match dcv {
        Dcv::Cname if !subject.is_name() => {
            Some("an IP address has no CNAME record; it is proven by a file: http or https".to_owned())
        }
        Dcv::Cname => {
            let seen = records(dns, &subject, Some(token)).await;
            survey::record(token, &seen).err().map(|(_, why)| why)
        }
        Dcv::Http => file(dns, &subject, token, ("http", 80)).await.err(),
        Dcv::Https => file(dns, &subject, token, ("https", 443)).await.err(),
        Dcv::Reuse => None,
    };
    if !subject.is_name() {
        return (lacks, None);
    }
    let judged = survey::caa(&subject, &caa(dns, &subject).await);
    let allows = match judged.state {
        State::Ok | State::Note => true,
        State::Missing | State::Refused | State::Unknown => false,
    };
    (lacks, (!allows).then(|| judged.text.replace('\n', " ")))
}

/// The places of the record, up to the first that proves control; none where none is to be looked for.
pub async fn records(dns: &Dns, subject: &Subject, token: Option<&Token>) -> Vec<Seen> {
    let mut seen = Vec::new();
    let Some(token) = token.filter(|_| subject.wants_cname()) else { return seen };
    for name in token.record_names(&subject.domain) {
        let found = dns.cname(&name).await;
        let mut one = follow(dns, token, name, found).await;
        if !one.proves(token).is_proof()
            && let Some(found) = at_the_source(dns, &one.name).await
        {
            one = follow(dns, token, one.name, found).await;
        }
        let is_proven = one.proves(token).is_proof();
        seen.push(one);
        if is_proven {
            break;
        }
    }
    seen
}

/// Where a record points as the zone's own servers say, where they say it: a resolver may go on for an hour with what was
/// there before, above all with that there was nothing.
async fn at_the_source(dns: &Dns, name: &str) -> Option<Found<String>> {
    match dns.source_of(name).await?.cname(name).await {
        Found::Failed(_) => None,
        said @ (Found::Records(_) | Found::NoRecord | Found::NoName) => Some(said),
    }
}

/// Where a record points that does not prove anything itself, one step further: a zone may hand the
/// names of its proofs to another one.
async fn follow(dns: &Dns, token: &Token, name: String, found: Found<String>) -> Seen {
    let mut seen = Seen { name, found, further: None };
    if let Found::Records(targets) = &seen.found
        && let Some(target) = targets.first()
        && seen.proves(token) == Match::Other
    {
        seen.further = Some(dns.cname(target).await);
    }
    seen
}

/// The CAA records of a name and its parents, up to the first that has any.
pub async fn caa(dns: &Dns, subject: &Subject) -> Vec<(String, Found<Caa>)> {
    let mut climbed = Vec::new();
    for name in subject.caa_names() {
        let found = dns.caa(&name).await;
        let more = matches!(found, Found::NoRecord | Found::NoName);
        climbed.push((name, found));
        if !more {
            break;
        }
    }
    climbed
}

/// Whether the name's server has the file. Of several addresses, one must have it, and none something else.
async fn file(
    dns: &Dns,
    subject: &Subject,
    token: &Token,
    (scheme, port): (&str, u16),
) -> Result<(), String> {
    if subject.is_wildcard() {
        return Err("a wildcard cannot be proven by a file; use dcv = \"cname\"".into());
    }
    let host = &subject.domain;
    let addresses = match host.parse::<IpAddr>() {
        Ok(address) => vec![address],
        Err(_) => dns.addresses(host).await.map_err(|why| format!("cannot be resolved: {why}"))?,
    };
    let mut is_there = false;
    let mut unreached = None;
    for address in addresses.into_iter().take(MOST_ADDRESSES) {
        match fetch(scheme, host, SocketAddr::new(address, port), &token.file_path()).await {
            Ok(bytes) => match survey::content(token, &bytes) {
                None => is_there = true,
                Some(wrong) => {
                    return Err(format!("{scheme}://{host}{} at {address} {wrong}", token.file_path()));
                }
            },
            Err(Fetch::Answered(why)) => {
                return Err(format!("{scheme}://{host}{} at {address}: {why}", token.file_path()));
            }
            Err(Fetch::Unreached(why)) => {
                unreached.get_or_insert_with(|| format!("{address} cannot be asked: {why}"));
            }
        }
    }
    if is_there { Ok(()) } else { Err(unreached.unwrap_or_else(|| "the name has no address".into())) }
}

/// Why there is no file.
#[derive(Debug)]
enum Fetch {
    /// The server says so.
    Answered(String),
    /// Nothing was heard from it.
    Unreached(String),
}

/// A file from one address. The certificate there is not looked at: it may be the one that ends.
async fn fetch(scheme: &str, host: &str, address: SocketAddr, path: &str) -> Result<Vec<u8>, Fetch> {
    let said = |error: reqwest::Error| {
        let last = transport::causes(&error.without_url()).last().map(ToString::to_string);
        Fetch::Unreached(Untrusted::new(&last.unwrap_or_default()).to_string())
    };
    let client = Client::builder()
        .user_agent(concat!("certcollectd/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .no_proxy()
        .tls_certs_only([])
        .tls_danger_accept_invalid_certs(true)
        .resolve(host, address)
        .build()
        .map_err(said)?;
    let shown = match host.parse::<std::net::Ipv6Addr>() {
        Ok(host) => format!("[{host}]"),
        Err(_) => host.to_owned(),
    };
    let url = format!("{scheme}://{shown}:{}{path}", address.port());
    let asked = async {
        let mut answer = client.get(url).send().await.map_err(said)?;
        let status = answer.status();
        if status.is_redirection() {
            let why = "answers with a redirect, which the vendor may not follow; serve the file there itself";
            return Err(Fetch::Answered(why.into()));
        }
        if !status.is_success() {
            return Err(Fetch::Answered(format!("HTTP status {}", status.as_u16())));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(said)? {
            let room = LONGEST_FILE - bytes.len();
            bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if chunk.len() > room {
                break;
            }
        }
        Ok(bytes)
    };
    let over = |_| Fetch::Unreached(format!("no answer within {} s", ONE_TRY.as_secs()));
    timeout(ONE_TRY, asked).await.map_err(over)?
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::ServerConfig;
    use rustls::crypto::aws_lc_rs;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;
    use certcollectd_core::engine::id::OrderId;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(future)
    }

    fn token() -> Token {
        Token::with_unique(b"abc", "new1")
    }

    /// With a certificate that nobody trusts.
    fn tls() -> TlsAcceptor {
        let made = rcgen::generate_simple_self_signed(["other.example".to_owned()]).unwrap();
        let key = made.signing_key.serialize_der().try_into().unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }

    async fn answer(
        mut stream: impl AsyncReadExt + AsyncWriteExt + Unpin,
        head: &str,
        body: &[u8],
    ) -> String {
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            asked.push(stream.read_u8().await.unwrap());
        }
        let head = format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
        // A client that has read enough hangs up.
        let _ = stream.write_all(&[head.as_bytes(), body].concat()).await;
        let _ = stream.shutdown().await;
        String::from_utf8(asked).unwrap()
    }

    /// What is made of one answer, and the first line of what was asked.
    fn looked(scheme: &str, head: &str, body: &[u8]) -> (Result<(), String>, String) {
        block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let serve = async {
                let (stream, _) = listener.accept().await.unwrap();
                match scheme {
                    "https" => answer(tls().accept(stream).await.unwrap(), head, body).await,
                    _ => answer(stream, head, body).await,
                }
            };
            let dns = Dns::new(&["127.0.0.1:1".parse().unwrap()]).unwrap();
            let subject = Subject { domain: "127.0.0.1".into(), method: None, validated: false };
            let token = token();
            let (seen, asked) = tokio::join!(file(&dns, &subject, &token, (scheme, port)), serve);
            let shown = format!("{scheme}://127.0.0.1{} at 127.0.0.1", token.file_path());
            (seen.map_err(|why| why.replace(&shown, "FILE")), asked.lines().next().unwrap().to_owned())
        })
    }

    #[test]
    fn a_look_ends_whoever_does_not_answer() {
        block_on(async {
            let silent = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let server = silent.local_addr().unwrap();
            let run = SurveyRun {
                order: OrderId(0),
                name: "www".into(),
                dcv: Dcv::Cname,
                csr: b"abc".as_slice().into(),
                unique: "new1".into(),
                names: (0..100).map(|at| format!("a{at}.example.com").into()).collect(),
            };
            let soon = || sleep(Duration::from_millis(100)).deadline();
            let survey = survey_until(&run, &[server], &Turns::default(), soon()).await;
            assert!(survey.names.len() == 100 && survey.names.iter().all(|seen| seen.lacks.is_some()));
            let taken = Turns(Semaphore::new(0));
            let survey = survey_until(&run, &[server], &taken, soon()).await;
            let why = survey.missing().unwrap();
            assert!(why.contains("not looked at yet, because the proofs of many other orders are"), "{why}");
        });
    }

    #[test]
    fn a_file_is_seen_over_both() {
        for scheme in ["http", "https"] {
            let (seen, asked) = looked(scheme, "200 OK", token().file_content().as_bytes());
            assert_eq!(seen, Ok(()), "{scheme}");
            let path = "/.well-known/pki-validation/900150983CD24FB0D6963F7D28E17F72.txt";
            assert_eq!(asked, format!("GET {path} HTTP/1.1"));
        }
    }

    #[test]
    fn what_is_there_instead_is_told() {
        let check = |head: &str, body: &[u8], expected: &str| {
            assert_eq!(looked("http", head, body).0, Err(expected.to_owned()), "{head}");
        };
        check("404 Not Found", b"", "FILE: HTTP status 404");
        let redirect = "302 Found\r\nlocation: https://elsewhere.example/";
        check(
            redirect,
            b"",
            "FILE: answers with a redirect, which the vendor may not follow; serve the file there itself",
        );
        let older = Token::with_unique(b"abc", "old1").file_content();
        let said = "FILE holds an earlier proof with this request: its unique value is an older one";
        check("200 OK", older.as_bytes(), said);
        check("200 OK", &[b'x'; 1 << 20], "FILE holds something else than the proof");
    }

    #[test]
    fn a_server_that_cannot_be_reached_proves_nothing() {
        block_on(async {
            let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
            let dns = Dns::new(&["127.0.0.1:1".parse().unwrap()]).unwrap();
            let subject = |domain: &str| Subject { domain: domain.into(), method: None, validated: false };
            let why = file(&dns, &subject("127.0.0.1"), &token(), ("http", free)).await.unwrap_err();
            assert!(why.starts_with("127.0.0.1 cannot be asked: "), "{why}");
            let why = file(&dns, &subject("*.example.com"), &token(), ("http", free)).await.unwrap_err();
            assert_eq!(why, "a wildcard cannot be proven by a file; use dcv = \"cname\"");
        });
    }
}
