//! What happens after an event.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{HookSignal, SecretSource, Template};
use crate::follow::report_file;

/// `[[hook]]`: something that must happen after an event, and is owed until it has worked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// The operator's name for it.
    pub name: Arc<str>,
    /// Which events call for it; at least one.
    pub on: Vec<HookEvent>,
    pub action: Action,
    /// After this the hook is ended and counts as failed.
    pub timeout: Duration,
    /// Whether orders that come to owe it in one sweep share one run.
    pub merge: bool,
}

impl Hook {
    pub const TIMEOUT: Duration = Duration::from_secs(60);
    pub const ON: [HookEvent; 1] = [HookEvent::Installed];
    pub const MERGE: bool = true;
    /// What a hook is on that publishes proofs and removes them.
    pub const ON_PROOFS: [HookEvent; 2] = [HookEvent::DcvPublish, HookEvent::DcvRemove];

    /// The event with which it is told of this one, if it is.
    pub fn listens(&self, event: HookEvent) -> Option<HookEvent> {
        if self.on.contains(&event) {
            return Some(event);
        }
        (event == HookEvent::Revoked && self.on.contains(&HookEvent::Failed)).then_some(HookEvent::Failed)
    }

    /// Whether it publishes and removes proofs.
    pub fn is_for_proofs(&self) -> bool {
        self.on.iter().any(|event| event.is_of_a_proof())
    }

    /// Everything secret that it sends.
    pub fn secrets(&self) -> impl Iterator<Item = (CallPart<'_>, &SecretSource)> {
        let call = match &self.action {
            Action::Http(call) => Some(call),
            Action::Run(_) | Action::Signal { .. } | Action::Socket(_) | Action::Follow(_) => None,
        };
        call.into_iter().flat_map(HttpCall::secrets)
    }

    /// The program that it runs, if it runs one.
    pub fn program(&self) -> Option<&str> {
        match &self.action {
            Action::Run(arguments) => arguments.first().map(String::as_str),
            Action::Signal { .. } | Action::Http(_) | Action::Socket(_) | Action::Follow(_) => None,
        }
    }
}

words! {
    #[derive(Serialize, Deserialize)]
    #[serde(try_from = "String", into = "&'static str")]
    pub enum HookEvent {
        Installed = "installed",
        /// The operator must act: the order was refused, the account is closed, something on this machine fails.
        Failed = "failed",
        /// The installed certificate nears its end and no newer one is there.
        Expiring = "expiring",
        /// What was installed is not served, as a probe has found.
        ProbeFailed = "probe-failed",
        /// What was told with `Failed`, `Revoked` or `ProbeFailed` is over.
        Recovered = "recovered",
        /// The vendor revoked the certificate, or is about to. A hook that listens to `Failed` alone gets it as that.
        Revoked = "revoked",
        /// A re-issue waits until the records of its proof can be seen.
        DcvPublish = "dcv-publish",
        /// The records of a proof are no longer needed.
        DcvRemove = "dcv-remove",
    }
}

impl HookEvent {
    /// Whether `Recovered` tells that it is over.
    pub(crate) fn lasts(self) -> bool {
        match self {
            HookEvent::Failed | HookEvent::ProbeFailed | HookEvent::Revoked => true,
            HookEvent::Installed
            | HookEvent::Expiring
            | HookEvent::Recovered
            | HookEvent::DcvPublish
            | HookEvent::DcvRemove => false,
        }
    }

    /// Whether it comes only after something was installed on this machine.
    pub fn needs_installation(self) -> bool {
        match self {
            HookEvent::Installed | HookEvent::ProbeFailed => true,
            HookEvent::Failed
            | HookEvent::Expiring
            | HookEvent::Recovered
            | HookEvent::Revoked
            | HookEvent::DcvPublish
            | HookEvent::DcvRemove => false,
        }
    }

    /// Whether it is about the proof for a re-issue: owed by one order to the hook that `dcv_hook` names, never merged,
    /// never rehearsed.
    pub fn is_of_a_proof(self) -> bool {
        match self {
            HookEvent::DcvPublish | HookEvent::DcvRemove => true,
            HookEvent::Installed
            | HookEvent::Failed
            | HookEvent::Expiring
            | HookEvent::ProbeFailed
            | HookEvent::Recovered
            | HookEvent::Revoked => false,
        }
    }
}

impl TryFrom<String> for HookEvent {
    type Error = String;

    fn try_from(word: String) -> Result<HookEvent, String> {
        HookEvent::named(&word).ok_or_else(|| format!("there is no event {word:?}"))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Run a program: argument vector, no shell; never empty.
    Run(Vec<String>),
    /// Send a signal to the process whose number stands in a file, which is read at each try.
    Signal { pid_file: PathBuf, signal: HookSignal },
    /// One HTTP call; a 2xx answer is success.
    Http(HttpCall),
    /// Connect to a unix socket and read one exit status.
    Socket(PathBuf),
    /// Wait until a companion in the server's container has reported the reload.
    Follow(Companion),
}

/// An HTTP call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpCall {
    /// `http://`, `https://` or, if it is no secret, `http+unix://`.
    pub url: CallValue<String>,
    /// In upper case.
    pub method: String,
    /// Sent along; a name occurs once, whatever its case.
    pub headers: Box<[CallHeader]>,
    pub body: Option<CallValue<Template>>,
}

/// Name and value.
pub type CallHeader = (Box<str>, CallValue<Box<str>>);

/// A part of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallValue<T> {
    Plain(T),
    /// Read for each call; the whole value.
    Secret(SecretSource),
}

impl<T> CallValue<T> {
    fn secret(&self) -> Option<&SecretSource> {
        match self {
            CallValue::Secret(source) => Some(source),
            CallValue::Plain(_) => None,
        }
    }
}

/// Which part of a call is secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallPart<'a> {
    Url,
    /// By its name.
    Header(&'a str),
    Body,
}

impl CallPart<'_> {
    /// The key of the configuration.
    pub fn key(self) -> &'static str {
        match self {
            CallPart::Url => "url",
            CallPart::Header(_) => "headers",
            CallPart::Body => "body",
        }
    }
}

impl fmt::Display for CallPart<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallPart::Url => f.write_str("the url"),
            CallPart::Header(name) => write!(f, "the header {name}"),
            CallPart::Body => f.write_str("the body"),
        }
    }
}

impl HttpCall {
    /// What of it is secret.
    pub fn secrets(&self) -> impl Iterator<Item = (CallPart<'_>, &SecretSource)> {
        let headers = self.headers.iter().map(|(name, value)| (CallPart::Header(name), value.secret()));
        let url = [(CallPart::Url, self.url.secret())];
        let body = self.body.iter().map(|body| (CallPart::Body, body.secret()));
        url.into_iter().chain(headers).chain(body).filter_map(|(part, source)| Some((part, source?)))
    }
}

/// A companion: `certcollectd follow` in the web server's container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Companion {
    /// What `--name` says there.
    pub name: String,
    /// Where it reports, as the daemon sees it; beside the links if nothing is said.
    pub report: Option<PathBuf>,
}

impl Companion {
    /// Its report, for links in `dir`.
    pub fn report(&self, dir: &Path) -> PathBuf {
        self.report.clone().unwrap_or_else(|| report_file(dir, &self.name))
    }
}

impl Action {
    /// The method of an HTTP hook that names none.
    pub const METHOD: &'static str = "POST";
}
