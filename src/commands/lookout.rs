//! Reports now what would fail later: passwords that cannot be read, directories in which nothing can be
//! installed. A daemon checks again until it is fixed, and after each change of the configuration.
//!
//! On a hung mount a check takes forever, so all of it happens on a thread of its own.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::Builder;
use std::time::Duration;

use crate::config::file::Level;
use crate::config::invisible;
use crate::config::locate::{self, Key};
use crate::effects::call::credential;
use crate::effects::install::write_test;
use crate::effects::preflight;
use crate::effects::preflight::User;
use crate::sources::files::{self, LoadedConfig};
use crate::sources::{Inbox, Message};
use certcollectd_core::config::SecretSource;

/// How long a start waits for the first check.
const FIRST_LOOK: Duration = Duration::from_secs(3);
/// Back-off between checks: doubled each time, up to a minute.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Checks once, and logs what is wrong.
pub(super) fn once(found: &Arc<LoadedConfig>) {
    let its = found.clone();
    if apart(move |_| look(&its).iter().for_each(Finding::log)).is_err() {
        look(found).iter().for_each(Finding::log);
    }
}

/// Checks, logs what is wrong, and checks again until nothing is. A message to the returned sender makes it
/// read the configuration and check again.
pub(super) fn start(path: &Path, found: Arc<LoadedConfig>, inbox: Inbox) -> Option<Sender<()>> {
    let (again, asked) = channel::<()>();
    let lookout = Lookout { path: path.to_owned(), inbox, known: BTreeSet::new() };
    let started = apart(move |done| lookout.run(found, &asked, done));
    started
        .inspect_err(|error| {
            tracing::warn!(
                "passwords and directories are not checked in advance: cannot start a thread: {error}"
            );
        })
        .ok()
        .map(|()| again)
}

/// Does the work on a thread of its own, and waits for its first check: until it drops the sender.
fn apart(work: impl FnOnce(Sender<()>) + Send + 'static) -> io::Result<()> {
    let (done, looked) = channel();
    Builder::new().name("lookout".into()).spawn(move || work(done))?;
    if looked.recv_timeout(FIRST_LOOK) == Err(RecvTimeoutError::Timeout) {
        tracing::warn!(
            "not all files and directories in the configuration could be checked within {} s; is a mount \
             hanging? What does not need it goes on",
            FIRST_LOOK.as_secs()
        );
    }
    Ok(())
}

struct Lookout {
    path: PathBuf,
    inbox: Inbox,
    /// What was reported and still holds.
    known: BTreeSet<String>,
}

impl Lookout {
    fn run(mut self, found: Arc<LoadedConfig>, asked: &Receiver<()>, done: Sender<()>) {
        let (mut found, mut done) = (Some(found), Some(done));
        let mut pause = FIRST_PAUSE;
        loop {
            if let Some(now) = &found {
                let (fails, news) = self.look(now);
                // The loop that receives the findings may wait for this.
                drop(done.take());
                for (text, holds) in news {
                    let _ = self.inbox.blocking_send(Message::Finding { text, holds });
                }
                // Kept only while something is to be checked again: with many orders it is large.
                found = found.filter(|_| fails);
            }
            let waited = match &found {
                Some(_) => asked.recv_timeout(pause),
                None => asked.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match waited {
                // Broken again meanwhile: the loop's own reader reports that.
                Ok(()) => {
                    pause = FIRST_PAUSE;
                    found = files::read(&self.path, false).ok().map(Arc::new).or(found);
                }
                Err(RecvTimeoutError::Timeout) => pause = (pause * 2).min(LONGEST_PAUSE),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Whether anything fails, and what is new: what is wrong now, and what no longer is.
    fn look(&mut self, found: &LoadedConfig) -> (bool, Vec<(String, bool)>) {
        let findings = look(found);
        let mut news = Vec::new();
        for finding in findings.iter().filter(|finding| !self.known.contains(&finding.text)) {
            finding.log();
            news.extend(finding.fails.then(|| (finding.text.clone(), true)));
        }
        let fails = findings.iter().any(|finding| finding.fails);
        let now: BTreeSet<String> = findings.into_iter().map(|finding| finding.text).collect();
        for text in self.known.difference(&now) {
            tracing::info!("fixed: {text}");
            news.push((text.clone(), false));
        }
        self.known = now;
        (fails, news)
    }
}

struct Finding {
    account: Option<Arc<str>>,
    text: String,
    /// Where it stands in the configuration.
    place: Option<String>,
    /// Something fails until it is fixed; otherwise it is only a warning.
    fails: bool,
}

impl Finding {
    fn log(&self) {
        let Finding { account, text, place, fails } = self;
        let account = account.as_deref();
        let place = place.as_ref().map(|place| format!("; {place}")).unwrap_or_default();
        if *fails {
            tracing::error!(account, "{text}{place}");
        } else {
            tracing::warn!(account, "{text}{place}");
        }
    }
}

fn look(found: &LoadedConfig) -> Vec<Finding> {
    let mut findings = Vec::new();
    for account in &found.config.accounts {
        for (key, source) in account.secrets() {
            findings.extend(look_at_secret(found, &account.name, key, source));
        }
    }
    let files: Vec<&Path> = found.sources.iter().map(|source| &*source.path).collect();
    for finding in preflight::look(&found.config, &files, &User::me()) {
        let help = finding.help.map(|help| format!("; {help}")).unwrap_or_default();
        findings.push(Finding {
            account: None,
            text: format!("{}{help}", finding.message),
            place: finding.about.map(|about| place(found, about)),
            fails: finding.level == Level::Error,
        });
    }
    for problem in write_test::run(&found.config) {
        let what = if problem.about == Key::top("install_dir") { "nothing" } else { "not everything" };
        findings.push(Finding {
            account: None,
            text: format!("{what} can be installed: {}", problem.error),
            place: Some(place(found, problem.about)),
            fails: true,
        });
    }
    findings
}

fn look_at_secret(
    found: &LoadedConfig,
    account: &Arc<str>,
    key: &'static str,
    source: &SecretSource,
) -> Vec<Finding> {
    let what = if key == "password" { "the password" } else { key };
    let of = |text: String, fails| Finding {
        account: Some(account.clone()),
        text: format!("account {account}: {text}"),
        place: Some(place(found, Key::account(account, &[key]))),
        fails,
    };
    let secret = match credential::read(source) {
        Ok(secret) => secret,
        Err(why) => {
            let advice = source.when_unread();
            return vec![of(format!("{what} cannot be read: {why}; {advice}"), true)];
        }
    };
    let odd = invisible::oddities(&secret);
    let odd = (!odd.is_empty()).then(|| {
        let (odd, remedy) = (odd.join(", "), source.remedy());
        format!("{what} has {odd}, which is invisible; if unintended: {remedy}")
    });
    let warnings = [odd, credential::exposure(source)].into_iter().flatten();
    warnings.map(|text| of(text, false)).collect()
}

/// Where something stands, for the log: `see FILE:LINE:COLUMN`.
fn place(found: &LoadedConfig, key: Key) -> String {
    format!("see {}", locate::place(&found.sources, &key))
}
