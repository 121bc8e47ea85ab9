//! What only the running process knows about itself: for health, metrics, the service manager and `status`.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

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
