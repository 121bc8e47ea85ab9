//! What a host tells about itself. The leader believes it of that host, and of nothing else.

use serde::{Deserialize, Serialize};

use crate::api::Untrusted;
use crate::config::is_name;

use super::form::{self, Malformed, Moment};

/// The longest row, in octets.
pub const MOST_OCTETS: usize = 16 * 1024;

crate::words! {
    /// How far a host is with a generation.
    #[derive(Serialize, Deserialize)]
    #[serde(try_from = "String", into = "&'static str")]
    pub enum State {
        /// Installed, its hooks have run, its probe has passed.
        Done = "done",
        /// Being installed, or its hooks or its probe have not ended.
        Working = "working",
        /// A hook or the probe has failed and has not worked since.
        Failed = "failed",
        /// Refused by the host's own checks.
        Quarantined = "quarantined",
        /// The certificate's private key is not on the host.
        WaitsForKey = "waits-for-key",
        /// Outside the host's windows for changes; said whether or not it may install, because it asks for no place then.
        WaitsForWindow = "waits-for-window",
    }
}

impl TryFrom<String> for State {
    type Error = &'static str;

    fn try_from(word: String) -> Result<State, &'static str> {
        State::named(&word).ok_or("the state of a report is none that this program knows")
    }
}

/// The row `hosts/<host>/orders/<order>`. A host that no longer has what it reported, having lost its files, removes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    pub generation: u64,
    pub state: State,
    /// For people; may be empty.
    pub reason: Untrusted,
    /// Of the host's clock: shown, never counted with.
    pub at: Moment,
}

/// The row `hosts/<host>/seen`, written every few minutes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// Of the host's clock: shown, never counted with.
    pub at: Moment,
    /// What it takes.
    pub groups: Vec<Box<str>>,
    /// Of its program.
    pub version: Untrusted,
}

impl Report {
    pub fn read(bytes: &[u8]) -> Result<Report, Malformed> {
        let report: Report = form::read(bytes, MOST_OCTETS)?;
        if report.generation == 0 {
            return Err(Malformed::Form(Untrusted::new("its generation is 0, and generations begin with 1")));
        }
        Ok(report)
    }

    pub fn to_row(&self) -> Vec<u8> {
        form::written(self)
    }
}

impl Seen {
    pub fn read(bytes: &[u8]) -> Result<Seen, Malformed> {
        let seen: Seen = form::read(bytes, MOST_OCTETS)?;
        match seen.groups.iter().find(|group| !is_name(group)) {
            Some(group) => {
                let what = format!("{} is no name of a group", Untrusted::new(group));
                Err(Malformed::Form(Untrusted::new(&what)))
            }
            None => Ok(seen),
        }
    }

    pub fn to_row(&self) -> Vec<u8> {
        form::written(self)
    }
}
