//! What goes wrong on purpose: the dials that make answers late, broken or untrue.
//!
//! A fault holds for calls of one order, account or endpoint, or for all; for the next `times` of them, or
//! until it is removed; after `skip` of them. In JSON (in TOML alike):
//!
//! ```json
//! {"fault": {"http-status": {"status": 503, "retry_after": 30}}, "order": "123", "times": 2}
//! {"fault": "close", "endpoint": "AutoReplaceSMIME", "times": 1}
//! ```
//!
//! `docs/rehearsal.md` has the table of the faults.
//!
//! Of the group "with others" all that match are applied to a call, of the rest the first that matches.
//! A fault used up by its `times` is gone, so that several of them follow one another.
//!
//! `reached` says whether the call comes through to the order book before its answer is spoilt: whether a
//! poll is counted, an order replaced, a wrong login punished. Without it, the pages of a front end
//! (`html`, `http-status`, `redirect`) and `code` do not come through and everything else does.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::answer::Answer;
use super::clock::Time;
use super::pack::gzip;
use super::params::Endpoint;
use super::refusal::Refusal;
use super::shape::Dice;
use super::wire::{Length, Plan};

/// A fault as it is written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultSpec {
    pub fault: Fault,
    /// Only for calls about this order number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<String>,
    /// Only for calls with this login name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Only for this endpoint, by the vendor's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Number of matching calls it applies to; absent, it applies until it is removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// Number of matching calls let through first.
    #[serde(default)]
    pub skip: u32,
    /// Whether the call comes through to the order book, see the module's documentation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reached: Option<bool>,
}

/// What can go wrong; `docs/rehearsal.md` has a table of the effects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Fault {
    /// The answer comes so many milliseconds later.
    Delay { ms: u64 },
    /// The connection is closed after the answer.
    ConnectionClose,
    /// Another Content-Type.
    ContentType { value: String },
    /// The body is gzipped, and says so.
    Gzip,
    /// Status 2 with nothing attached.
    NoCertificate,
    /// What another order would be told.
    OtherAnswer { order: String },
    /// Every second answer about an issued order is 0.
    Flapping,
    /// An HTML page with HTTP 200.
    Html,
    /// An HTTP status with an HTML page.
    HttpStatus {
        /// 400 to 599.
        status: u16,
        /// Seconds of a Retry-After header.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<u64>,
        /// Whether that header is a date.
        #[serde(default)]
        retry_after_date: bool,
    },
    /// Another place, with status 301, 302, 303, 307 or 308.
    Redirect { status: u16, location: String },
    /// HTTP 200 without a body.
    Empty,
    /// A body of bytes without meaning.
    Garbage { bytes: usize },
    /// A code of the vendor's, in the form that was asked for.
    Code {
        code: i32,
        /// Without it, the documented one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
    /// The connection is closed instead of an answer.
    Close,
    /// The body ends too early.
    Cut {
        /// Bytes of the body that are sent.
        after: usize,
        /// Whether TLS is closed in order.
        #[serde(default)]
        polite: bool,
        /// Whether a Content-Length announces the whole body.
        #[serde(default = "yes")]
        length: bool,
    },
    /// The body stops after so many bytes, and nothing follows for so many milliseconds.
    Stall { after: usize, ms: u64 },
    /// A body that is far too large.
    Huge {
        mib: u32,
        /// How the size is announced.
        #[serde(default)]
        length: Length,
    },
    /// Header lines without end.
    EndlessHeaders,
    /// Bytes that are no HTTP.
    RawGarbage,
}

fn yes() -> bool {
    true
}

/// Bytes of [`Fault::RawGarbage`].
const RAW_GARBAGE: usize = 512;

/// The largest body of [`Fault::Huge`], in MiB: a gigabyte is more than any limit there is to test.
const HUGE_MAX: u32 = 1024;

impl Fault {
    /// As it is written: a text, or the one key of an object.
    pub fn name(&self) -> String {
        match serde_json::json!(self) {
            Json::String(name) => name,
            written => {
                written.as_object().and_then(|object| object.keys().next()).cloned().unwrap_or_default()
            }
        }
    }

    /// Whether it is applied together with others.
    fn combines(&self) -> bool {
        matches!(self, Fault::Delay { .. } | Fault::ConnectionClose | Fault::ContentType { .. } | Fault::Gzip)
    }

    /// Whether it spoils an answer, and so needs one.
    fn needs_answer(&self) -> bool {
        self.combines()
            || matches!(
                self,
                Fault::NoCertificate
                    | Fault::OtherAnswer { .. }
                    | Fault::Flapping
                    | Fault::Cut { .. }
                    | Fault::Stall { .. }
            )
    }
}

impl FaultSpec {
    /// This fault for every call.
    pub fn always(fault: Fault) -> FaultSpec {
        FaultSpec { fault, order: None, account: None, endpoint: None, times: None, skip: 0, reached: None }
    }

    /// This fault for the next `times` calls.
    pub fn times(fault: Fault, times: u32) -> FaultSpec {
        FaultSpec { times: Some(times), ..FaultSpec::always(fault) }
    }

    /// The same for calls about one order only.
    pub fn for_order(mut self, order: &str) -> FaultSpec {
        self.order = Some(order.into());
        self
    }

    fn check(&self) -> Result<(), String> {
        let name = self.fault.name();
        if let Some(endpoint) = self.endpoint.as_deref().filter(|name| Endpoint::named(name).is_none()) {
            let all = Endpoint::ALL.map(Endpoint::name).join(", ");
            return Err(format!("{name}: '{endpoint}' is not an endpoint; known are {all}"));
        }
        if self.times == Some(0) {
            return Err(format!("{name}: times must be at least 1"));
        }
        if self.reached == Some(false) && self.fault.needs_answer() {
            return Err(format!("{name}: it needs an answer, so reached cannot be false"));
        }
        match &self.fault {
            Fault::HttpStatus { status, .. } if !(400..600).contains(status) => {
                Err(format!("{name}: the status must be 400 to 599, not {status}"))
            }
            Fault::Redirect { status, .. } if ![301, 302, 303, 307, 308].contains(status) => {
                Err(format!("{name}: the status must be 301, 302, 303, 307 or 308, not {status}"))
            }
            Fault::Redirect { location: value, .. } | Fault::ContentType { value }
                if !value.bytes().all(|byte| (b' '..0x7f).contains(&byte)) =>
            {
                Err(format!("{name}: a header must be printable ASCII"))
            }
            Fault::Huge { mib, .. } if !(1..=HUGE_MAX).contains(mib) => {
                Err(format!("{name}: mib must be 1 to {HUGE_MAX}, not {mib}"))
            }
            _ => Ok(()),
        }
    }

    fn reached(&self) -> bool {
        let refuses = matches!(
            self.fault,
            Fault::Html | Fault::HttpStatus { .. } | Fault::Redirect { .. } | Fault::Code { .. }
        );
        self.reached.unwrap_or(!refuses)
    }
}

#[derive(Debug, Clone, Serialize)]
pub struct ActiveFault {
    /// Identifies it for removal.
    pub id: u64,
    #[serde(flatten)]
    pub spec: FaultSpec,
    /// How often it has been applied.
    pub hits: u32,
    #[serde(skip)]
    skipped: u32,
}

#[derive(Debug, Default)]
pub struct Faults {
    active: Vec<ActiveFault>,
    given: u64,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) endpoint: Endpoint,
    pub(super) account: Option<&'a str>,
    pub(super) order: Option<&'a str>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Chosen {
    with_others: Vec<Fault>,
    /// The one of the rest, how often it was applied before, and whether the call comes through.
    pub(super) main: Option<(Fault, u32, bool)>,
}

impl Faults {
    /// Sets a fault and returns its ID.
    pub fn add(&mut self, spec: FaultSpec) -> Result<u64, super::Error> {
        spec.check().map_err(super::Error::Refused)?;
        self.given += 1;
        self.active.push(ActiveFault { id: self.given, spec, hits: 0, skipped: 0 });
        Ok(self.given)
    }

    pub fn remove(&mut self, id: u64) -> Result<(), super::Error> {
        let at = self.active.iter().position(|active| active.id == id);
        at.map(|at| drop(self.active.remove(at))).ok_or(super::Error::UnknownFault(id))
    }

    pub fn clear(&mut self) {
        self.active.clear();
    }

    /// All active faults, in the order in which they apply.
    pub fn all(&self) -> &[ActiveFault] {
        &self.active
    }

    /// Chooses what applies to a call, and uses it up.
    pub(super) fn choose(&mut self, subject: Subject<'_>) -> Chosen {
        let mut chosen = Chosen::default();
        for active in &mut self.active {
            let taken = chosen.main.is_some() && !active.spec.fault.combines();
            if taken || !active.matches(subject) {
                continue;
            }
            if active.skipped < active.spec.skip {
                active.skipped += 1;
                continue;
            }
            if active.spec.fault.combines() {
                chosen.with_others.push(active.spec.fault.clone());
            } else {
                chosen.main = Some((active.spec.fault.clone(), active.hits, active.spec.reached()));
            }
            active.hits += 1;
        }
        self.active.retain(|active| active.spec.times.is_none_or(|times| active.hits < times));
        chosen
    }
}

impl ActiveFault {
    fn matches(&self, subject: Subject<'_>) -> bool {
        let fits = |wanted: &Option<String>, got: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| Some(wanted) == got)
        };
        fits(&self.spec.order, subject.order)
            && fits(&self.spec.account, subject.account)
            && fits(&self.spec.endpoint, Some(subject.endpoint.name()))
    }
}

impl Chosen {
    pub(super) fn names(&self) -> Vec<String> {
        let main = self.main.iter().map(|(fault, ..)| fault.name());
        self.with_others.iter().map(Fault::name).chain(main).collect()
    }

    /// Whether the call comes through to the order book.
    pub(super) fn reached(&self) -> bool {
        self.main.as_ref().is_none_or(|(_, _, reached)| *reached)
    }

    /// The refusal that takes the place of what the order book said.
    pub(super) fn refusal(&self, endpoint: Endpoint) -> Option<Refusal> {
        let (Fault::Code { code, message }, ..) = self.main.as_ref()? else { return None };
        let known = Refusal::of(endpoint, *code);
        Some(Refusal { message: message.clone().unwrap_or(known.message), ..known })
    }

    pub(super) fn delay(&self) -> Duration {
        let ms = self.with_others.iter().map(|fault| if let Fault::Delay { ms } = fault { *ms } else { 0 });
        Duration::from_millis(ms.sum())
    }

    /// Spoils an answer; with a plan, it is sent past the HTTP server. `answer` is what the order book
    /// said, if it was asked.
    pub(super) fn spoil(&self, answer: Option<Answer>, now: Time) -> (Answer, Option<Plan>) {
        let mut answer = answer.unwrap_or_else(|| Answer::html(200, "The service is unavailable"));
        if let Some((fault, hits, _)) = &self.main {
            answer = page(fault, *hits, answer, now);
        }
        for fault in &self.with_others {
            match fault {
                Fault::ContentType { value } => answer.content_type.clone_from(value),
                Fault::Gzip => {
                    answer.body = gzip(&answer.body);
                    answer.headers.push(("content-encoding", "gzip".into()));
                }
                Fault::ConnectionClose => answer.headers.push(("connection", "close".into())),
                _ => {}
            }
        }
        let plan = self.main.as_ref().and_then(|(fault, ..)| plan(fault, &answer));
        (answer, plan)
    }
}

/// The answer where a fault puts another in its place.
fn page(fault: &Fault, hits: u32, answer: Answer, now: Time) -> Answer {
    match fault {
        Fault::Html => Answer { code: answer.code, ..Answer::html(200, "Scheduled maintenance") },
        Fault::HttpStatus { status, retry_after, retry_after_date } => {
            let mut page = Answer::html(*status, &format!("Error {status}"));
            if let Some(seconds) = retry_after {
                let value = match retry_after_date {
                    true => now.plus(Duration::from_secs(*seconds)).http_date(),
                    false => seconds.to_string(),
                };
                page.headers.push(("retry-after", value));
            }
            page
        }
        Fault::Redirect { status, location } => {
            let mut page = Answer::html(*status, "Moved");
            page.headers.push(("location", location.clone()));
            page
        }
        Fault::Empty => Answer { body: Vec::new(), ..answer },
        Fault::Garbage { bytes } => Answer { body: garbage(*bytes, hits), ..answer },
        _ => answer,
    }
}

/// What is sent past the HTTP server.
fn plan(fault: &Fault, answer: &Answer) -> Option<Plan> {
    Some(match fault {
        Fault::Close => Plan::default(),
        Fault::Cut { after, polite, length } => Plan::cut(answer, *after, *length, *polite),
        Fault::Stall { after, ms } => Plan::stall(answer, *after, Duration::from_millis(*ms)),
        Fault::Huge { mib, length } => Plan::huge(u64::from(*mib), *length),
        Fault::EndlessHeaders => Plan::endless_headers(),
        Fault::RawGarbage => Plan::raw(garbage(RAW_GARBAGE, 0)),
        _ => return None,
    })
}

fn garbage(bytes: usize, seed: u32) -> Vec<u8> {
    let mut dice = Dice::new(u64::from(seed));
    (0..bytes).map(|_| dice.roll() as u8 | 0x80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUBJECT: Subject<'_> =
        Subject { endpoint: Endpoint::CollectSsl, account: Some("demo"), order: Some("1") };

    fn add(faults: &mut Faults, json: &str) {
        faults.add(serde_json::from_str(json).unwrap()).unwrap();
    }

    fn names(faults: &mut Faults) -> String {
        faults.choose(SUBJECT).names().join(" ")
    }

    #[test]
    fn faults_follow_one_another_and_are_used_up() {
        let mut faults = Faults::default();
        add(&mut faults, r#"{"fault":"html","times":1}"#);
        add(&mut faults, r#"{"fault":"close","times":1,"skip":1}"#);
        add(&mut faults, r#"{"fault":{"delay":{"ms":5}},"times":2}"#);
        assert_eq!([(); 4].map(|()| names(&mut faults)), ["delay html", "delay", "close", ""]);
        assert!(faults.all().is_empty());
    }

    #[test]
    fn a_fault_can_be_for_one_order_account_or_endpoint() {
        let mut faults = Faults::default();
        add(&mut faults, r#"{"fault":"html","order":"2"}"#);
        add(&mut faults, r#"{"fault":"html","account":"other"}"#);
        add(&mut faults, r#"{"fault":"html","endpoint":"CollectMC"}"#);
        assert_eq!(names(&mut faults), "");
        assert_eq!(faults.choose(Subject { order: Some("2"), ..SUBJECT }).names(), ["html"]);
        assert_eq!(faults.choose(Subject { account: Some("other"), ..SUBJECT }).names(), ["html"]);
        assert_eq!(faults.choose(Subject { endpoint: Endpoint::CollectMc, ..SUBJECT }).names(), ["html"]);
        let id = faults.all()[0].id;
        assert!(faults.remove(id).is_ok() && faults.remove(id).is_err());
    }

    fn refused(json: &str, expected: &str) {
        let reason = match serde_json::from_str::<FaultSpec>(json) {
            Ok(spec) => Faults::default().add(spec).unwrap_err().to_string(),
            Err(error) => error.to_string(),
        };
        assert!(reason.contains(expected), "{reason}");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        refused(r#"{"fault":"hmtl"}"#, "unknown variant `hmtl`");
        refused(r#"{"fault":{"delay":{"s":1}}}"#, "unknown field `s`");
        refused(r#"{"fault":"html","time":1}"#, "unknown field `time`");
        refused(r#"{"fault":"html","times":0}"#, "at least 1");
        refused(r#"{"fault":{"http-status":{"status":200}}}"#, "400 to 599");
        refused(r#"{"fault":{"redirect":{"status":304,"location":"x"}}}"#, "301, 302");
        refused(r#"{"fault":"flapping","reached":false}"#, "needs an answer");
        refused(r#"{"fault":"html","endpoint":"Collect"}"#, "not an endpoint");
    }

    #[test]
    fn retry_after_comes_in_both_forms() {
        let answer = |json: &str| {
            let mut faults = Faults::default();
            add(&mut faults, json);
            faults.choose(SUBJECT).spoil(None, Time::from_unix(784_111_747)).0
        };
        let seconds = answer(r#"{"fault":{"http-status":{"status":429,"retry_after":30}}}"#);
        assert_eq!((seconds.status, seconds.headers), (429, vec![("retry-after", "30".into())]));
        let date =
            answer(r#"{"fault":{"http-status":{"status":503,"retry_after":30,"retry_after_date":true}}}"#);
        assert_eq!(date.headers, [("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT".into())]);
    }

    #[test]
    fn every_fault_is_in_the_table() {
        let page = include_str!("../../../docs/rehearsal.md");
        for fault in [
            Fault::Delay { ms: 1 },
            Fault::ConnectionClose,
            Fault::ContentType { value: String::new() },
            Fault::Gzip,
            Fault::NoCertificate,
            Fault::OtherAnswer { order: String::new() },
            Fault::Flapping,
            Fault::Html,
            Fault::HttpStatus { status: 500, retry_after: None, retry_after_date: false },
            Fault::Redirect { status: 301, location: String::new() },
            Fault::Empty,
            Fault::Garbage { bytes: 1 },
            Fault::Close,
            Fault::Cut { after: 1, polite: false, length: true },
            Fault::Stall { after: 1, ms: 1 },
            Fault::Huge { mib: 1, length: Length::Honest },
            Fault::EndlessHeaders,
            Fault::RawGarbage,
        ] {
            let name = fault.name();
            let json = serde_json::to_string(&fault).unwrap();
            assert!(json.contains(&format!("\"{name}\"")), "{json}");
            let documented = [format!("`{name}`"), format!("`{{\"{name}\":")];
            assert!(documented.iter().any(|text| page.contains(text)), "{name} is not documented");
        }
    }
}
