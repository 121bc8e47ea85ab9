//! Whether servers serve what is installed: what is asked, what came back, and what that means.

use std::time::Duration;

use crate::cert::Fingerprint;
use crate::config::Probe;
use crate::engine::id::OrderId;
use crate::engine::time::{Now, in_words};

/// Servers to ask for one order.
#[derive(Debug, Clone)]
pub struct ProbeRun {
    pub order: OrderId,
    pub expected: Expected,
    pub probes: Vec<(Probe, Box<str>)>,
}

/// The certificate that should be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    pub leaf: Fingerprint,
    /// UNIX seconds.
    pub not_before: i64,
    /// Its intermediates; nothing where they are not known.
    pub chain: Option<Box<[Fingerprint]>>,
}

/// What one address said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeAnswer {
    /// An IP address and a port, a socket, or the target as configured where it leads to no address.
    pub address: Box<str>,
    /// What it presented, or why that is not known.
    pub outcome: Result<Presented, String>,
}

/// The certificates of a handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presented {
    pub leaf: Fingerprint,
    /// UNIX seconds.
    pub not_before: i64,
    /// UNIX seconds.
    pub not_after: i64,
    /// Whatever was sent behind it.
    pub chain: Vec<Fingerprint>,
}

impl Expected {
    /// Whether an address presents it, and its chain.
    pub fn is_met(&self, presented: &Presented) -> bool {
        presented.leaf == self.leaf && self.sent(presented) == self.chain().len()
    }

    fn chain(&self) -> &[Fingerprint] {
        self.chain.as_deref().unwrap_or_default()
    }

    /// How many certificates of its chain are there.
    fn sent(&self, presented: &Presented) -> usize {
        self.chain().iter().filter(|wanted| presented.chain.contains(wanted)).count()
    }

    /// What is wrong with what an address presented, in words that go on after its name; nothing if it is right.
    pub fn shortfall(&self, presented: &Presented, now: Now) -> Option<String> {
        if presented.leaf != self.leaf {
            let still = if presented.not_before < self.not_before { "still " } else { "" };
            let left = presented.not_after - now.unix();
            let when = in_words(Duration::from_secs(left.unsigned_abs()));
            let ends = if left > 0 { format!("ends in {when}") } else { format!("ended {when} ago") };
            return Some(format!("{still}serves {}, which {ends}", short(&presented.leaf)));
        }
        let (sent, whole) = (self.sent(presented), self.chain().len());
        (sent < whole).then(|| match whole {
            1 => "serves the certificate without its chain".to_owned(),
            _ => format!("serves the certificate, but sends {sent} of the {whole} certificates of its chain"),
        })
    }
}

/// Enough of a fingerprint to find it again.
pub fn short(fingerprint: &Fingerprint) -> String {
    format!("{}…", &fingerprint.to_string()[..16])
}
