//! What is remembered of an order, restarts included: its row in the state.

use std::ops::{Deref, DerefMut};
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize};

use crate::api::OrderRef;
use crate::api::code::{Class, row_of};
use crate::api::reply::Details;
use crate::cert::Fingerprint;
use crate::config;
use crate::config::HookEvent;
use crate::engine::alarm::Alarm;
use crate::engine::install::InstalledFile;
use crate::engine::order::phase::{Phase, Standing};
use crate::engine::order::usual;
use crate::engine::reissue::record::{Reissue, UsedToken};
use crate::engine::row::is_default;
use crate::engine::time::{Now, Time};
use crate::rare::{Bare, Rare};

/// What is remembered of an order, restarts included. 100,000 wait, so what a waiting order has not is [`Seldom`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderRecord {
    /// The account it was last asked on.
    pub account: Arc<str>,
    /// The number it was last asked by, with its parameter: `orderNumber 123`.
    pub handle: Box<str>,
    pub phase: Phase,
    /// Since when it stands there, UNIX seconds.
    pub since: i64,
    /// Since when it has been waiting for the vendor.
    #[serde(rename = "waiting_since_ms")]
    pub waiting_since: Time,
    /// End of the last call that may have reached the vendor; until its end is known, the latest time at which it can arrive.
    #[serde(rename = "polled_ms", skip_serializing_if = "Option::is_none")]
    pub polled: Option<Time>,
    /// Next scheduled poll.
    #[serde(rename = "due_ms", skip_serializing_if = "Option::is_none")]
    pub due: Option<Time>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub polls: u32,
    /// Polls in a row that brought nothing readable.
    #[serde(default, skip_serializing_if = "is_default")]
    pub failures: u32,
    /// Answers in a row with an unknown code.
    #[serde(default, skip_serializing_if = "is_default")]
    pub unknowns: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heard: Option<Box<Heard>>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub bundled: bool,
    /// The rest, which is read as if it stood here.
    #[serde(flatten)]
    pub seldom: Rare<Seldom>,
}

/// In bytes, see [`OrderState`](crate::engine::order::state::OrderState).
const _: () = assert!(size_of::<OrderRecord>() <= 112 && size_of::<Heard>() <= 56);

/// What an order has once it was issued or something went wrong.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Seldom {
    /// Why it stands there, in our words, where that is not plain from the phase.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Box<str>>,
    /// Numbers that the entry named before, and when they were asked about: the vendor's floor is the number's.
    #[serde(skip_serializing_if = "is_default")]
    pub former: Vec<Former>,
    /// Since when a re-issue has been pending at the vendor.
    #[serde(rename = "reissue_ms", skip_serializing_if = "Option::is_none")]
    pub reissue_since: Option<Time>,
    /// The re-issue that was asked for here, or is being prepared; the last one stays known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reissue: Option<Box<Reissue>>,
    /// Tokens that went out with a call, for good.
    #[serde(skip_serializing_if = "is_default")]
    pub tokens: Vec<UsedToken>,
    /// The order number as answers name it, where the order is asked about by another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<Box<str>>,
    /// What is known of its domains from GetMDCDomainDetails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domains: Option<Box<Domains>>,
    /// What readers see.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub installed: Option<Box<Generation>>,
    /// The name of the generation that is being written and put into place; what is found there under this name after a
    /// crash was put there by us, and its hooks are owed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placing: Option<Box<str>>,
    /// What was written and is about to be put into place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub staged: Option<Box<Generation>>,
    /// Whether the staged generation is an older one, from a rollback.
    #[serde(skip_serializing_if = "is_default")]
    pub rollback: bool,
    /// The bundle whose refusals the operator overrode, by its leaf.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Fingerprint>,
    /// The certificate that the operator rolled back from; not installed again unless accepted.
    #[serde(rename = "refused", skip_serializing_if = "Option::is_none")]
    pub rolled_back_from: Option<Fingerprint>,
    /// Hooks owed, and those done for the current generation.
    #[serde(rename = "hooks", skip_serializing_if = "is_default")]
    pub debts: Vec<Debt>,
    /// What a person is told about while it lasts.
    #[serde(skip_serializing_if = "is_default")]
    pub alarms: Vec<Alarm>,
    /// Somebody was told of one, and not yet that all of them are over.
    #[serde(skip_serializing_if = "is_default")]
    pub alarmed: bool,
    /// How many of the warnings ahead of the certificate's end were given.
    #[serde(rename = "expiry_warnings", skip_serializing_if = "is_default")]
    pub warned: u8,
    /// The end of the product term that was warned of, UNIX seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub term_warned: Option<i64>,
    /// What push notifications have left behind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pushed: Option<Box<Pushed>>,
    /// Whether what is installed is served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probed: Option<Box<Probed>>,
    /// The rehearsals of its hooks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rehearsed: Option<Box<Rehearsed>>,
    /// The local failure that keeps a bundle from being installed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Box<Trouble>>,
    /// How the files differ from what was installed, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift: Option<Box<str>>,
    /// Which installed files readers do not find, or why that is unknown, in words; nothing once it is
    /// repaired.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<Box<str>>,
    /// What the fleet's collectors published last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offered: Option<Box<Offered>>,
    /// The certificate that waits for a window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<Box<Held>>,
    /// A certificate that the operator wants installed whatever the windows say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_once: Option<Fingerprint>,
    /// The installed certificate, if the vendor has revoked it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Fingerprint>,
    /// Names that a certificate before covered and the installed one does not, until the operator accepts that.
    #[serde(skip_serializing_if = "is_default")]
    pub uncovered: Box<[Box<str>]>,
    /// It is unknown which certificate in quarantine is the order's, so there is none to accept.
    #[serde(skip_serializing_if = "is_default")]
    pub leafless: bool,
}

impl Bare for Seldom {
    fn bare() -> &'static Seldom {
        static BARE: LazyLock<Seldom> = LazyLock::new(Seldom::default);
        &BARE
    }

    fn is_bare(&self) -> bool {
        *self == *Seldom::bare()
    }
}

impl Deref for OrderRecord {
    type Target = Seldom;

    fn deref(&self) -> &Seldom {
        &self.seldom
    }
}

impl DerefMut for OrderRecord {
    fn deref_mut(&mut self) -> &mut Seldom {
        &mut self.seldom
    }
}

impl OrderRecord {
    /// Whether this generation was being put into place; a name that was taken already has got a number at its end.
    pub(crate) fn is_being_placed(&self, generation: &str) -> bool {
        let rest = self.placing.as_deref().and_then(|name| generation.strip_prefix(name));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    }

    /// An order that was never asked about.
    pub fn new(account: Arc<str>, handle: Box<str>, now: Now) -> Self {
        OrderRecord {
            account,
            handle,
            phase: Phase::Waiting,
            since: now.unix(),
            waiting_since: now.time,
            polled: None,
            due: Some(now.time),
            polls: 0,
            failures: 0,
            unknowns: 0,
            heard: None,
            bundled: false,
            seldom: Rare::default(),
        }
    }

    /// Converts its schedule times: those in the past, and those to come.
    pub fn rebase(&mut self, past: impl Fn(&mut Time), future: impl Fn(&mut Time)) {
        past(&mut self.waiting_since);
        self.polled.iter_mut().for_each(&past);
        self.due.iter_mut().for_each(&future);
        let Some(seldom) = self.seldom.present() else { return };
        seldom.reissue_since.iter_mut().for_each(&past);
        for former in &mut seldom.former {
            past(&mut former.polled);
            former.asked.iter_mut().for_each(&past);
        }
        seldom.domains.iter_mut().for_each(|domains| past(&mut domains.asked));
        seldom.reissue.iter_mut().flat_map(|reissue| &mut reissue.look).for_each(&future);
        seldom.debts.iter_mut().flat_map(|debt| &mut debt.next).for_each(&future);
        seldom.alarms.iter_mut().for_each(|alarm| future(&mut alarm.next));
        seldom.pushed.iter_mut().flat_map(|pushed| &mut pushed.hinted).for_each(&future);
        seldom.trouble.iter_mut().for_each(|trouble| future(&mut trouble.next));
        seldom.rehearsed.iter_mut().flat_map(|rehearsed| &mut rehearsed.next).for_each(&future);
        let probed = seldom.probed.iter_mut().flat_map(|probed| &mut probed.probes);
        probed.for_each(|probe| future(&mut probe.next));
    }

    /// Since when a certificate is waited for: the first one, or another one.
    pub fn waits_since(&self) -> Option<Time> {
        if self.phase == Phase::Waiting { Some(self.waiting_since) } else { self.reissue_since }
    }

    pub fn standing(&self) -> Standing {
        match &self.installed {
            None => Standing::Bare,
            Some(_) if self.owed().any(|debt| debt.event == HookEvent::Installed) => Standing::Owing,
            Some(_) => Standing::Installed,
        }
    }

    /// Whether a hook has worked for what is installed.
    pub(crate) fn is_reloaded(&self) -> bool {
        self.debts.iter().any(|debt| debt.event == HookEvent::Installed && debt.next.is_none())
    }

    /// Hooks that have not worked yet.
    pub fn owed(&self) -> impl Iterator<Item = &Debt> {
        self.debts.iter().filter(|debt| debt.next.is_some())
    }

    /// Those of them whose turn it is: a hook is told that all is over after it was told what.
    pub(crate) fn payable(&self) -> impl Iterator<Item = &Debt> {
        let is_open = |hook: &str| self.owed().any(|debt| *debt.hook == *hook && debt.event.lasts());
        self.owed().filter(move |debt| debt.event != HookEvent::Recovered || !is_open(&debt.hook))
    }
}

impl OrderRecord {
    /// From when on a push notification wants it polled, unless polling has ended meanwhile.
    pub fn hint(&self) -> Option<Time> {
        self.pushed.as_ref()?.hinted.filter(|_| self.is_polled())
    }

    /// When it should be polled next, apart from its account.
    pub fn wanted(&self, now: Now) -> Option<Time> {
        [self.hint().map(|hint| hint.max(now.time)), self.due].into_iter().flatten().min()
    }

    /// The announced revocation of its certificate.
    pub fn revocation(&self) -> Option<&Announced> {
        self.pushed.as_ref()?.revocation.as_ref()
    }

    pub(crate) fn pushed(&mut self) -> &mut Pushed {
        self.pushed.get_or_insert_default()
    }

    /// Takes the hint out, because it is followed or means another number.
    pub(crate) fn take_hint(&mut self) -> Option<Time> {
        let pushed = &mut self.seldom.present()?.pushed;
        let hint = pushed.as_mut()?.hinted.take();
        pushed.take_if(|pushed| **pushed == Pushed::default());
        hint
    }
}

/// A number that an entry named before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Former {
    pub account: Arc<str>,
    pub handle: Box<str>,
    #[serde(rename = "polled_ms")]
    pub polled: Time,
    #[serde(rename = "asked_ms", skip_serializing_if = "Option::is_none")]
    pub asked: Option<Time>,
}

impl Former {
    /// What is to be remembered of the number that a record is about, if it was ever asked about.
    pub fn of(record: &OrderRecord) -> Option<Former> {
        record.polled.map(|polled| Former {
            account: record.account.clone(),
            handle: record.handle.clone(),
            polled,
            asked: record.domains.as_ref().map(|domains| domains.asked),
        })
    }
}

/// When GetMDCDomainDetails was asked, and what it said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Domains {
    /// End of the last call that may have reached the vendor; until its end is known, the latest time at which it can
    /// arrive.
    #[serde(rename = "asked_ms")]
    pub asked: Time,
    /// The last answer that could be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heard: Option<Heard>,
}

/// What the vendor said last, or why nothing was understood.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heard {
    /// When, UNIX seconds.
    pub at: i64,
    /// Since when answers have left the order in the same [`Mood`], if that is longer, UNIX seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    /// The news in our words, the vendor's quoted.
    #[serde(deserialize_with = "usual::read")]
    pub text: Arc<str>,
    /// Everything else the answer said.
    #[serde(flatten)]
    pub details: Rare<Details>,
}

impl Heard {
    /// How answers have left the order, and since when, UNIX seconds.
    pub fn mood(&self) -> (Mood, i64) {
        (Mood::of(self.code), self.since.unwrap_or(self.at))
    }

    /// What kind of news it was; nothing where no answer was understood.
    pub fn class(&self) -> Option<Class> {
        self.code.map(|code| row_of(code).class)
    }
}

/// How an answer leaves an order: what the operator should look into if it lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mood {
    /// Nothing is wrong.
    Well,
    /// It waits for its payment.
    Unpaid,
    /// There was no answer, or none that helps.
    Troubled,
}

impl Mood {
    /// What follows from a code, or from none.
    pub fn of(code: Option<i32>) -> Mood {
        let Some(code) = code else { return Mood::Troubled };
        match row_of(code).class {
            Class::Transient | Class::Unknown | Class::AccountPaused => Mood::Troubled,
            Class::WaitingSlowly => Mood::Unpaid,
            Class::Ready | Class::Available | Class::Waiting | Class::Done => Mood::Well,
            // The account, or the phase, tells of these.
            Class::AccountClosed
            | Class::EndpointRefused
            | Class::Ours
            | Class::Permission
            | Class::Rejected
            | Class::Revoked
            | Class::Report => Mood::Well,
        }
    }
}

/// One generation of files: what is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Generation {
    /// Directory name: UTC time and the start of the leaf's fingerprint.
    pub name: Box<str>,
    /// When it was put into place, UNIX seconds; 0 while staged.
    pub at: i64,
    /// SHA-256 of the leaf.
    pub fingerprint: Fingerprint,
    /// The leaf's serial number, lower-case hexadecimal.
    pub serial: Box<str>,
    /// UNIX seconds.
    pub not_before: i64,
    /// UNIX seconds.
    pub not_after: i64,
    /// The leaf's common name; nothing where an earlier version wrote it, or there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub common_name: Option<Box<str>>,
    /// Names in the leaf.
    pub names: Box<[Box<str>]>,
    /// SHA-256 of each intermediate, the leaf's issuer first; nothing where an earlier version wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chain: Option<Box<[Fingerprint]>>,
    /// SHA-256 of the root, if one was at hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root: Option<Fingerprint>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    pub files: Vec<InstalledFile>,
    /// Tells what was configured when it was written, so that a changed configuration is noticed.
    pub spec: u64,
}

impl Generation {
    /// Seconds of the certificate's validity.
    pub fn life(&self) -> i64 {
        self.not_after - self.not_before
    }
}

/// A verified certificate that waits for a window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// SHA-256 of it.
    pub leaf: Fingerprint,
    /// Its serial number, lower-case hexadecimal.
    pub serial: Box<str>,
    /// UNIX seconds.
    pub not_after: i64,
    /// Since when it waits, UNIX seconds.
    pub since: i64,
}

/// A hook that is owed, or was done for the current generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Debt {
    pub hook: Arc<str>,
    /// The event it is owed for.
    pub event: HookEvent,
    /// Owed since, UNIX seconds.
    pub since: i64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub tries: u32,
    /// Next try; `None` when it is paid.
    #[serde(rename = "next_ms", skip_serializing_if = "Option::is_none")]
    pub next: Option<Time>,
    /// A try was begun whose end is not recorded.
    #[serde(default, skip_serializing_if = "is_default")]
    pub started: bool,
    /// How the last try ended, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Box<str>>,
    /// When the last try ended, UNIX seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<i64>,
}

impl Debt {
    /// Due at once.
    pub(crate) fn new(hook: Arc<str>, event: HookEvent, now: Now) -> Debt {
        let (since, next) = (now.unix(), Some(now.time));
        Debt { hook, event, since, tries: 0, next, started: false, outcome: None, ended: None }
    }
}

/// A generation that the fleet's collectors published, and that this host had leave to install.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offered {
    pub generation: u64,
    pub leaf: Fingerprint,
    /// The highest that was installed: nothing below it is taken. What is refused does not raise it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub highest: Option<u64>,
}

/// Trouble on this machine, retried automatically.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trouble {
    /// What does not work, in words.
    pub text: Box<str>,
    /// Tries so far.
    pub tries: u32,
    /// Next try.
    #[serde(rename = "next_ms")]
    pub next: Time,
}

/// How the hooks of an order were rehearsed last, and when they are next.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rehearsed {
    /// The next one by the calendar.
    #[serde(rename = "next_ms", skip_serializing_if = "Option::is_none")]
    pub next: Option<Time>,
    /// When the last one ended, UNIX seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<i64>,
    /// Which hook failed in it, and how.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<Box<str>>,
}

/// What push notifications have left behind at an order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pushed {
    /// From when on one wants the order polled.
    #[serde(rename = "hinted_ms", skip_serializing_if = "Option::is_none")]
    pub hinted: Option<Time>,
    /// Polls in a row that one asked for and that brought nothing new.
    #[serde(skip_serializing_if = "is_default")]
    pub idle: u8,
    /// `certificateID` of the certificate that was collected last, by which one may name the order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Box<str>>,
    /// The announced revocation of the certificate, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revocation: Option<Announced>,
}

/// Whether what is installed is served, as the probes have found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Probed {
    #[serde(skip_serializing_if = "is_default")]
    pub probes: Vec<ProbeRecord>,
    /// A certificate was installed without the operator's word, and there is no verdict on it yet: a probe may still roll
    /// it back.
    #[serde(skip_serializing_if = "is_default")]
    pub fresh: bool,
    /// The certificate after this one was rolled back for a probe's sake.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollback: Option<ProbeRollback>,
    /// The failure was told.
    #[serde(skip_serializing_if = "is_default")]
    pub told: bool,
}

impl Probed {
    /// Whether the last answers show that something is not served.
    pub fn is_failing(&self) -> bool {
        self.probes.iter().flat_map(|probe| &probe.served).any(|served| served.wrong.is_some())
    }

    /// Whether the operator should look.
    pub fn needs_person(&self) -> bool {
        self.rollback.is_some() || self.is_failing()
    }
}

words! {
    /// How far a rollback for a probe's sake has come.
    #[derive(Serialize, Deserialize)]
    #[serde(try_from = "String", into = "&'static str")]
    pub enum ProbeRollback {
        Wanted = "wanted",
        /// Readers see the generation before.
        Done = "done",
    }
}

impl TryFrom<String> for ProbeRollback {
    type Error = String;

    fn try_from(word: String) -> Result<ProbeRollback, String> {
        ProbeRollback::named(&word).ok_or_else(|| format!("there is no rollback {word:?}"))
    }
}

/// One probe, and what it found last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeRecord {
    /// See [`config::Probe::label`].
    pub label: Box<str>,
    /// The certificate that it was asked about.
    pub leaf: Fingerprint,
    /// When it is asked next.
    #[serde(rename = "next_ms")]
    pub next: Time,
    /// Verdicts in a row that something is wrong.
    #[serde(default, skip_serializing_if = "is_default")]
    pub failures: u32,
    /// One entry for each address.
    pub served: Vec<Served>,
}

/// What one address serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Served {
    pub address: Box<str>,
    /// When it answered, or did not, UNIX seconds.
    pub at: i64,
    /// The certificate that it presented.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaf: Option<Fingerprint>,
    /// What is wrong with that, in words that go on after its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wrong: Option<Box<str>>,
}

/// For another number, hints are dropped; what is installed stays, and so does its alarm.
pub(crate) fn of_another_number(old: &OrderRecord) -> Option<Box<Pushed>> {
    let revocation = old.revocation().cloned()?;
    Some(Box::new(Pushed { revocation: Some(revocation), ..Pushed::default() }))
}

/// A revocation that is announced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Announced {
    /// When that was heard first, UNIX seconds; for an account, last.
    pub at: i64,
    /// What was said, escaped and bounded.
    pub text: Box<str>,
    /// What was installed then. A certificate that is another one is a newer one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaf: Option<Fingerprint>,
    /// Whether the sender knew the password agreed with the vendor.
    #[serde(default, skip_serializing_if = "is_default")]
    pub proven: bool,
}

impl Announced {
    /// Whether an account still shows it.
    pub fn is_shown(&self, unix: i64) -> bool {
        unix - self.at < ACCOUNT_ALARM
    }

    /// Whether this is another certificate than the one to be revoked.
    pub(crate) fn is_over_with(&self, generation: &Generation) -> bool {
        match self.leaf {
            Some(leaf) => leaf != generation.fingerprint,
            None => generation.not_before > self.at,
        }
    }
}

/// How long an account shows the announcement of a revocation that is about no order known here, in seconds.
pub const ACCOUNT_ALARM: i64 = 7 * 24 * 3600;

/// The number by which every endpoint knows an order: its entry's, or the one that answers name.
pub fn order_number<'a>(order: &'a config::Order, record: Option<&'a OrderRecord>) -> Option<&'a str> {
    match &order.handle {
        OrderRef::OrderNumber(number) => Some(number),
        OrderRef::CertificateId(_) | OrderRef::BaseOrderNumber(_) => record?.number.as_deref(),
    }
}
