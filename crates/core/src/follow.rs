//! What the daemon and a companion in the web server's container tell each other, in two small files.
//!
//! | file | written by | says |
//! | --- | --- | --- |
//! | `follow-report@NAME`, or `--report FILE` | the companion | which generations its last reload was for, and how that went |
//! | `follow-request@NAME`, beside the link | the daemon | that it waits for a result |
//!
//! Both are one JSON object of at most [`MAX_FILE`] bytes, replaced by a rename. The daemon trusts the companion's for
//! nothing but the result of the reload: the container of a web server may be in other hands.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::api::Untrusted;

/// The version of both forms. Another one is refused.
pub const VERSION: u32 = 1;

/// Maximum size of either file in bytes: 500 links with long names.
pub const MAX_FILE: usize = 128 * 1024;

/// The companion's name where none is given.
pub const NAME: &str = "web";

/// The generation of a placeholder: of a directory with this name.
pub const PLACEHOLDER: &str = "placeholder";

/// Where the companion reports if it is not told another place. No order can have this name, which has an `@`.
pub fn report_file(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("follow-report@{name}"))
}

/// Where the daemon asks. It is always in the directory of the link, which the daemon may write to.
pub fn request_file(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("follow-request@{name}"))
}

/// The result of a start or reload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    pub version: u32,
    /// The companion's name.
    pub name: String,
    /// Another one in each process: shows a second companion of the same name.
    pub instance: String,
    /// When, in RFC 3339.
    pub time: String,
    pub ok: bool,
    /// What it was for: by the name of the link, the directory that it led to.
    pub generations: BTreeMap<String, String>,
    /// The last request that this or an earlier report answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<String>,
    /// The companion's wording of a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Untrusted>,
    /// The last line that the failed command printed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_line: Option<Untrusted>,
}

/// What the daemon wants to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    pub version: u32,
    /// Another one in each run of the hook.
    pub id: String,
    /// Reload even if that has worked already: a rehearsal.
    pub again: bool,
}

/// A file as it is written.
pub fn write(content: &impl Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(content).expect("text and numbers are JSON");
    bytes.push(b'\n');
    bytes
}

/// Reads a report or a request. `Err` in words for an operator.
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let found =
        serde_json::from_slice::<Versioned>(bytes).map_err(|_| "it is not what a companion writes")?;
    if found.version != VERSION {
        return Err(format!(
            "it has version {}, and this certcollectd knows version {VERSION}; use the same release in both containers",
            found.version
        ));
    }
    serde_json::from_slice(bytes).map_err(|_| "it is not what a companion writes".into())
}

/// What a report means for a run of a hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Done,
    Failed,
    /// It is about something else; why the hook is not done yet.
    Wait(String),
}

/// Judges a report. `wanted` is what the links lead to now, by order: an older generation does not count.
/// `companion` is the one that was asked.
pub fn judge(
    report: &Report,
    companion: &str,
    request: &Request,
    wanted: &BTreeMap<String, String>,
) -> Verdict {
    let answers = report.answers.as_ref() == Some(&request.id);
    let (name, time) = (Untrusted::new(&report.name), Untrusted::new(&report.time));
    // It looks for requests under its own name.
    if report.name != companion {
        return Verdict::Wait(format!(
            "the report is that of companion {name}, and {companion} is asked; give it --name {companion}"
        ));
    }
    if answers && !report.ok {
        return Verdict::Failed;
    }
    for (order, generation) in wanted {
        match report.generations.get(order) {
            Some(found) if found == generation => {}
            Some(found) => {
                let found = Untrusted::new(found);
                return Verdict::Wait(format!(
                    "companion {name} last reported {order} {found} at {time}, and {generation} is installed"
                ));
            }
            None => {
                return Verdict::Wait(format!(
                    "companion {name} does not follow {order}: its report of {time} does not mention it"
                ));
            }
        }
    }
    match (answers, report.ok) {
        (true, _) => Verdict::Done,
        (false, true) if !request.again => Verdict::Done,
        (false, _) => {
            let why = report.why.as_ref().filter(|_| !report.ok);
            let why = why.map(|why| format!(" and says: {why}")).unwrap_or_default();
            Verdict::Wait(format!("companion {name} did not answer; its last report is of {time}{why}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(ok: bool, generation: &str, answers: Option<&str>) -> Report {
        Report {
            version: VERSION,
            name: "web".into(),
            instance: "1".into(),
            time: "2026-11-28T00:00:00Z".into(),
            ok,
            generations: [("www".to_owned(), generation.to_owned())].into(),
            answers: answers.map(str::to_owned),
            why: None,
            last_line: None,
        }
    }

    fn request(again: bool) -> Request {
        Request { version: VERSION, id: "now".into(), again }
    }

    fn judged(report: &Report, again: bool) -> Verdict {
        judge(report, "web", &request(again), &[("www".to_owned(), "new".to_owned())].into())
    }

    fn waits(verdict: &Verdict, word: &str) -> bool {
        matches!(verdict, Verdict::Wait(why) if why.contains(word))
    }

    #[test]
    fn only_the_generation_that_is_installed_counts() {
        assert_eq!(judged(&report(true, "new", None), false), Verdict::Done);
        assert!(waits(&judged(&report(true, "old", None), false), "www old"));
        assert!(waits(&judged(&report(true, "old", Some("now")), false), "new is installed"));
        let elsewhere = Report { generations: BTreeMap::new(), ..report(true, "", None) };
        assert!(waits(&judged(&elsewhere, false), "does not follow www"));
    }

    #[test]
    fn a_failure_counts_only_as_an_answer() {
        assert!(waits(&judged(&report(false, "new", None), false), "did not answer"));
        assert!(waits(&judged(&report(false, "new", Some("before")), false), "did not answer"));
        assert_eq!(judged(&report(false, "new", Some("now")), false), Verdict::Failed);
    }

    #[test]
    fn the_report_of_another_companion_does_not_count() {
        let other = Report { name: "edge".into(), ..report(true, "new", None) };
        assert!(waits(&judged(&other, false), "give it --name web"));
    }

    #[test]
    fn an_old_failure_is_told_while_there_is_no_answer() {
        let ended = Report { why: Some(Untrusted::new("it ended")), ..report(false, "new", None) };
        assert!(waits(&judged(&ended, false), "and says: it ended"));
    }

    #[test]
    fn a_rehearsal_wants_an_answer() {
        assert!(waits(&judged(&report(true, "new", Some("before")), true), "did not answer"));
        assert_eq!(judged(&report(true, "new", Some("now")), true), Verdict::Done);
    }

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let report = report(false, "new", Some("now"));
        assert_eq!(read(&write(&report)), Ok(report));
        assert_eq!(read(&write(&request(true))), Ok(request(true)));
        let newer = Report { version: 2, ..self::report(true, "new", None) };
        assert!(read::<Report>(&write(&newer)).unwrap_err().contains("version 2"));
        for bytes in [&b""[..], b"{}", b"\xff", b"[1]", b"{\"version\":1}", b"{\"version\":-1}"] {
            assert!(read::<Report>(bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn foreign_text_is_escaped() {
        let text = write(&report(true, "\u{1b}[31m\nold", None));
        let verdict = judged(&read(&text).unwrap(), false);
        assert!(matches!(&verdict, Verdict::Wait(why) if !why.contains(['\n', '\u{1b}'])), "{verdict:?}");
    }
}
