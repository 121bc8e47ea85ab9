//! What only the running process knows about itself: for health, metrics, the service manager and `status`.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::config::fleet::Role;

/// What goes beyond this is in the log only.
const MAX_FINDINGS: usize = 100;

/// How a running process stands, apart from its orders and accounts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Vitals {
    /// Saves of the state that failed in a row.
    pub failed_saves: u32,
    /// What does not work on this machine and is retried automatically, a sentence each.
    pub findings: BTreeSet<String>,
    /// When the configuration in force was read, UNIX seconds.
    pub configured_at: i64,
    /// The configuration on disk has changed since, and is invalid.
    pub misconfigured: bool,
    /// How it stands in its fleet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fleet: Option<FleetVitals>,
}

/// How a host stands in its fleet, as far as it knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetVitals {
    /// `collector` or `follower`.
    pub role: Box<str>,
    /// What the others call it.
    pub name: Box<str>,
    pub store: StoreHealth,
    /// Why the store is not `ok`, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Box<str>>,
    /// The collector that leads.
    pub leader: Option<Box<str>>,
    pub term: Option<u64>,
    /// Seconds since the leader's last beat was seen to come.
    pub beat_age_seconds: Option<u64>,
    /// How far this machine's clock is from the leader's at least, seconds.
    pub skew_seconds: Option<u64>,
    /// Seconds until the lease of the collector that leads is over, if no beat comes.
    #[serde(default)]
    pub lease_seconds_left: Option<u64>,
    /// Requests to the store that failed since the start.
    #[serde(default)]
    pub store_errors: u64,
    /// What the one that leads sees of the others.
    #[serde(default)]
    pub hosts: Option<HostVitals>,
}

impl FleetVitals {
    pub fn is_collector(&self) -> bool {
        &*self.role == Role::WORDS[0]
    }

    /// Whether this host is the collector that leads.
    pub fn leads(&self) -> bool {
        self.leader.as_ref() == Some(&self.name)
    }
}

/// Hosts by how far they are with all that is published for them: each is one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HostVitals {
    pub done: usize,
    pub behind: usize,
    /// Failed or quarantined.
    pub failed: usize,
    pub silent: usize,
    /// For how long this leader has seen a roll-out that is not done, seconds; 0 where all are.
    pub lag_seconds: u64,
}

words! {
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    pub enum StoreHealth {
        Ok = "ok",
        /// It cannot be reached, or refuses us.
        Away = "away",
        /// It takes no more rows.
        Full = "full",
        /// It shows less than it showed before: it was restored from a copy, or is another one.
        Behind = "behind",
    }
}

impl Vitals {
    /// That nothing goes on because the state cannot be saved.
    pub fn unsaved(&self) -> Option<&'static str> {
        (self.failed_saves > 0).then_some("the state cannot be saved, so nothing is called or installed")
    }

    /// Takes in that something does not work, or works again.
    pub fn set_finding(&mut self, finding: String, holds: bool) {
        if holds && self.findings.len() < MAX_FINDINGS {
            self.findings.insert(finding);
        } else if !holds {
            self.findings.remove(&finding);
        }
    }
}
