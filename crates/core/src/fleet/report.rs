//! What a host tells about itself. The leader believes it of that host, and of nothing else.

use serde::{Deserialize, Serialize};

use crate::api::Untrusted;
use crate::config::is_name;

use super::form::{self, Malformed, Moment};

/// The longest row, in octets.
pub const MOST_OCTETS: usize = 16 * 1024;

words! {
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
        /// The host has no such order in its configuration: it takes no part in any generation's roll-out.
        NotConfigured = "not-configured",
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
    /// Random, another one after each start: by it a host knows its own sign from that of another one of its name.
    #[serde(default)]
    pub process: Box<str>,
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_report_is_read_again() {
        for state in State::ALL {
            let reason = Untrusted::new("nginx -t: \u{1b}[31mno");
            let report = Report { generation: 7, state, reason, at: Moment(1_800_000_000) };
            assert_eq!(Report::read(&report.to_row()), Ok(report));
        }
        let text = r#"{"generation":7,"state":"waits-for-key","reason":"","at":"2027-01-15T08:00:00Z"}"#;
        let report = Report::read(text.as_bytes()).unwrap();
        assert_eq!((report.state, report.to_row()), (State::WaitsForKey, text.into()));
    }

    #[test]
    fn a_sign_of_life_is_read_again() {
        let text =
            r#"{"at":"2027-01-15T08:00:00Z","groups":["web-eu","mail"],"version":"0.1.0","process":"9f"}"#;
        let seen = Seen::read(text.as_bytes()).unwrap();
        assert_eq!((&*seen.groups, &*seen.process), (&["web-eu".into(), "mail".into()][..], "9f"));
        assert_eq!(seen.to_row(), text.as_bytes());
    }

    #[test]
    fn a_sign_without_the_process_is_read_too() {
        let text = r#"{"at":"2027-01-15T08:00:00Z","groups":[],"version":"0.1.0"}"#;
        assert_eq!(&*Seen::read(text.as_bytes()).unwrap().process, "");
    }

    #[test]
    fn what_a_host_writes_is_bounded_and_escaped() {
        let report = |state: &str, generation: &str, reason: &str| {
            let text = format!(
                r#"{{"generation":{generation},"state":"{state}","reason":"{reason}","at":"2027-01-15T08:00:00Z"}}"#
            );
            Report::read(text.as_bytes())
        };
        let shown = report("done", "7", r"\u001b[2J\n<0>").unwrap().reason;
        assert_eq!(shown.as_str(), r"\u{1b}[2J\n<0>");
        for (read, expected) in [
            (report("done", "0", ""), "its generation is 0"),
            (report("asleep", "7", ""), "the state of a report is none that this program knows"),
            (report("done", "7", &"x".repeat(MOST_OCTETS)), "at most 16384 are read"),
        ] {
            let text = read.unwrap_err().to_string();
            assert!(text.contains(expected), "{text}");
        }
        let groups = r#"{"at":"2027-01-15T08:00:00Z","groups":["web/../x"],"version":""}"#;
        let text = Seen::read(groups.as_bytes()).unwrap_err().to_string();
        assert!(text.contains("web/../x is no name of a group"), "{text}");
    }

    proptest! {
        #[test]
        fn no_row_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Report::read(&bytes).is_err());
            prop_assert!(Seen::read(&bytes).is_err());
        }
    }
}
