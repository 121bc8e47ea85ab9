//! The proof of domain control that a re-issue needs: what the vendor looks for, and the look itself.
//!
//! Sources: the pages "Request token", "CNAME" and "HTTP" of the vendor's domain control validation. The record is
//! `_MD5.domain CNAME SHA-256.sectigo.com`, the hash in two labels, a unique value as a third; the file is
//! `/.well-known/pki-validation/MD5.txt` with a line for each of the three.

use std::net::SocketAddr;
use std::time::Duration;

use aws_lc_rs::digest;
use hickory_proto::op::{Message, Query};
use hickory_proto::rr::{Name, RData, RecordType};
use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::issue::hex;

/// One try of one query.
const TRY: Duration = Duration::from_secs(2);
const TRIES: usize = 2;

/// The longest answer of a web server that is read.
const LONGEST_FILE: u64 = 64 * 1024;

/// Largest answer over UDP without EDNS (RFC 1035, section 2.3.4), and some.
const LONGEST: usize = 4096;

/// Whether the domains of a re-issue count as proven.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// `good`: at once.
    #[default]
    Good,
    /// `never`: only by the control port's word.
    Never,
    /// `{"dns": "127.0.0.1:53"}`: when this name server shows the records, for the method `CNAME_CSR_HASH`. They are looked
    /// up again before each answer about the order; other methods wait for the control port's word.
    Dns(SocketAddr),
    /// `{"web": "127.0.0.1:80"}`: likewise when this web server has the file under each name, for `HTTP_CSR_HASH`.
    Web(SocketAddr),
}

/// A request token: what must be used for one call only.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Token {
    md5: String,
    sha256: String,
    unique: Option<String>,
}

impl Token {
    pub(super) fn new(csr: &[u8], unique: Option<&str>) -> Token {
        Token {
            md5: hex(&Md5::digest(csr)),
            sha256: hex(digest::digest(&digest::SHA256, csr).as_ref()),
            unique: unique.map(str::to_ascii_lowercase),
        }
    }

    /// Where the record of a domain may stand: at the domain itself or at one of its parents.
    pub(super) fn owners(&self, domain: &str) -> Vec<String> {
        let mut rest = domain.strip_prefix("*.").unwrap_or(domain);
        let mut owners = Vec::new();
        while rest.contains('.') {
            owners.push(format!("_{}.{rest}", self.md5));
            rest = rest.split_once('.').map_or("", |(_, parent)| parent);
        }
        owners
    }

    /// The path of the file, in whose name the hash has capital letters.
    pub(super) fn path(&self) -> String {
        format!("/.well-known/pki-validation/{}.txt", self.md5.to_ascii_uppercase())
    }

    /// Whether this is what the file has to hold.
    fn is_in(&self, content: &str) -> bool {
        let wanted = [Some(self.sha256.as_str()), Some("sectigo.com"), self.unique.as_deref()];
        let lines: Vec<String> = content.lines().map(|line| line.trim().to_ascii_lowercase()).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).filter(|line| !line.is_empty()).collect();
        lines == wanted.into_iter().flatten().collect::<Vec<_>>()
    }

    /// Where the record points, in small letters.
    pub(super) fn target(&self) -> String {
        let (first, last) = self.sha256.split_at(32);
        let unique = self.unique.as_ref().map_or_else(String::new, |unique| format!("{unique}."));
        format!("{first}.{last}.{unique}sectigo.com")
    }
}

/// What is to be looked up before a call is answered.
#[derive(Debug)]
pub(super) struct Search {
    pub(super) at: Place,
    pub(super) number: String,
    pub(super) token: Token,
    pub(super) domains: Vec<String>,
}

/// Where it is looked for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    NameServer(SocketAddr),
    WebServer(SocketAddr),
}

impl Place {
    /// Where the proof of this method is looked for, if it is.
    pub(super) fn of(proof: Proof, method: &str) -> Option<Place> {
        match (proof, method) {
            (Proof::Dns(server), "CNAME_CSR_HASH") => Some(Place::NameServer(server)),
            (Proof::Web(server), "HTTP_CSR_HASH") => Some(Place::WebServer(server)),
            (Proof::Good | Proof::Never | Proof::Dns(_) | Proof::Web(_), _) => None,
        }
    }
}

impl Search {
    /// The domains whose proof is there.
    pub(super) async fn found(&self) -> Vec<String> {
        let mut found = Vec::new();
        for domain in &self.domains {
            let is_there = match self.at {
                Place::NameServer(server) => self.has_record(server, domain).await,
                Place::WebServer(server) => {
                    let content = timeout(TRY, file(server, domain, &self.token.path())).await;
                    content.is_ok_and(|content| content.is_some_and(|content| self.token.is_in(&content)))
                }
            };
            if is_there {
                found.push(domain.clone());
            }
        }
        found
    }

    async fn has_record(&self, server: SocketAddr, domain: &str) -> bool {
        let target = self.token.target();
        for owner in self.token.owners(domain) {
            if cname(server, &owner).await.is_some_and(|seen| seen == target) {
                return true;
            }
        }
        false
    }
}

/// A file of a web server.
async fn file(server: SocketAddr, host: &str, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(server).await.ok()?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut bytes = Vec::new();
    stream.take(LONGEST_FILE).read_to_end(&mut bytes).await.ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    (head.split(' ').nth(1) == Some("200")).then(|| body.to_owned())
}

/// Where the CNAME record of this name points, in small letters and without the last dot.
async fn cname(server: SocketAddr, owner: &str) -> Option<String> {
    let name = Name::from_ascii(format!("{owner}.")).ok()?;
    let mut query = Message::query();
    query.metadata.recursion_desired = true;
    query.add_query(Query::query(name, RecordType::CNAME));
    let bytes = query.to_vec().ok()?;
    let any = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).await.ok()?;
    socket.connect(server).await.ok()?;
    for _ in 0..TRIES {
        socket.send(&bytes).await.ok()?;
        let mut buffer = [0; LONGEST];
        let Ok(Ok(length)) = timeout(TRY, socket.recv(&mut buffer)).await else { continue };
        let Ok(answer) = Message::from_vec(&buffer[..length]) else { continue };
        if answer.metadata.id != query.metadata.id {
            continue;
        }
        return answer.answers.iter().find_map(|record| match &record.data {
            RData::CNAME(target) => Some(target.0.to_ascii().trim_end_matches('.').to_ascii_lowercase()),
            _ => None,
        });
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_is_that_of_the_vendors_pages() {
        let token = Token::new(b"a request", Some("Abc123"));
        // printf 'a request' | md5sum, sha256sum
        assert_eq!(
            token.owners("*.www.example.com"),
            [
                "_4b7b5d853065dcbec9955b8018682f8b.www.example.com",
                "_4b7b5d853065dcbec9955b8018682f8b.example.com",
            ]
        );
        assert_eq!(
            token.target(),
            "af0bf2a562dabe2a81e0b0b47a33a515.b5e8495c72fff218af4c15f3f066fa44.abc123.sectigo.com"
        );
        assert_ne!(token, Token::new(b"a request", None));
        assert_eq!(token.path(), "/.well-known/pki-validation/4B7B5D853065DCBEC9955B8018682F8B.txt");
        let hash = "AF0BF2A562DABE2A81E0B0B47A33A515B5E8495C72FFF218AF4C15F3F066FA44";
        assert!(token.is_in(&format!("{hash}\r\nsectigo.com\r\nAbc123\r\n")));
        assert!(!token.is_in(&format!("{hash}\nsectigo.com\n")), "the unique value is missing");
    }
}
