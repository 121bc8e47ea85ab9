//! The proof of domain control that a re-issue needs: what the vendor looks for, and the look itself.
//!
//! Sources: the pages "Request token" and "CNAME" of the vendor's domain control validation. The record is
//! `_MD5.domain CNAME SHA-256.sectigo.com`, the hash in two labels, a unique value as a third.

use std::net::SocketAddr;
use std::time::Duration;

use aws_lc_rs::digest;
use hickory_proto::op::{Message, Query};
use hickory_proto::rr::{Name, RData, RecordType};
use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::issue::hex;

/// One try of one query.
const TRY: Duration = Duration::from_secs(2);
const TRIES: usize = 2;

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
    /// `{"dns": "127.0.0.1:53"}`: when this name server shows the records. Before each answer about the order they are
    /// looked up again, for the method `CNAME_CSR_HASH`; other methods wait for the control port's word.
    Dns(SocketAddr),
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

    /// Where it points, in small letters.
    pub(super) fn target(&self) -> String {
        let (first, last) = self.sha256.split_at(32);
        let unique = self.unique.as_ref().map_or_else(String::new, |unique| format!("{unique}."));
        format!("{first}.{last}.{unique}sectigo.com")
    }
}

/// What is to be looked up before a call is answered.
#[derive(Debug)]
pub(super) struct Search {
    pub(super) server: SocketAddr,
    pub(super) number: String,
    pub(super) token: Token,
    pub(super) domains: Vec<String>,
}

impl Search {
    /// The domains whose record is there.
    pub(super) async fn found(&self) -> Vec<String> {
        let target = self.token.target();
        let mut found = Vec::new();
        for domain in &self.domains {
            for owner in self.token.owners(domain) {
                if cname(self.server, &owner).await.is_some_and(|seen| seen == target) {
                    found.push(domain.clone());
                    break;
                }
            }
        }
        found
    }
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
    }
}
