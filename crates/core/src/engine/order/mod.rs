//! One order: its phases, every transition in one match, and the record that outlives the process.
//!
//! From where a trigger leads an order where; `rest` is where it stands when nothing else is the matter: waiting while
//! nothing is installed, deploying while hooks are owed, guarding otherwise.
//!
//! ```text
//! waiting     -> collected    verified, unjudged
//!             -> quarantined  refused
//!             -> deploying    staged
//!             -> attention    stuck
//!             -> rejected     rejected
//!             -> revoked      revoked
//!             -> rest         in-place
//! collected   -> quarantined  refused
//!             -> deploying    staged
//!             -> rest         lost, in-place
//!             -> attention    stuck
//!             -> rejected     rejected
//!             -> revoked      revoked
//! deploying   -> collected    verified, unjudged, unstaged
//!             -> quarantined  refused
//!             -> rest         lost
//!             -> guarding     settled
//!             -> attention    stuck
//!             -> rejected     rejected
//!             -> revoked      revoked
//! guarding    -> collected    verified, unjudged
//!             -> quarantined  refused
//!             -> deploying    staged
//!             -> attention    stuck
//!             -> rejected     rejected
//!             -> revoked      revoked
//! quarantined -> collected    verified, unjudged
//!             -> deploying    staged
//!             -> attention    stuck
//!             -> rejected     rejected
//!             -> revoked      revoked
//!             -> rest         in-place
//! attention   -> collected    verified, unjudged
//!             -> quarantined  refused
//!             -> deploying    staged
//!             -> rejected     rejected
//!             -> revoked      revoked
//!             -> rest         resumed
//! rejected    -> collected    verified, unjudged
//!             -> quarantined  refused
//!             -> deploying    staged
//!             -> attention    stuck
//!             -> revoked      revoked
//!             -> rest         resumed
//! revoked     -> collected    verified, unjudged
//!             -> quarantined  refused
//!             -> deploying    staged
//!             -> attention    stuck
//!             -> rejected     rejected
//!             -> rest         resumed
//! ```

pub(in crate::engine) mod answers;
pub(in crate::engine) mod asking;
pub mod contents;
pub(in crate::engine) mod coverage;
pub(in crate::engine) mod deploy;
pub(in crate::engine) mod domains;
pub(in crate::engine) mod expiry;
pub(in crate::engine) mod guard;
pub mod names;
pub(in crate::engine) mod rollback;
pub(in crate::engine) mod slot;
pub(in crate::engine) mod unread;
pub(in crate::engine) mod verdict;

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::api::OrderRef;
use crate::api::code::{Class, row_of};
use crate::api::reply::Details;
use crate::cert::Fingerprint;
use crate::config::{self, Config, HookEvent};

use crate::engine::account::Gate;
use crate::engine::event::Effect;
use crate::engine::id::OrderId;
use crate::engine::install::InstalledFile;
use crate::engine::is_default;
use crate::engine::note::{Level, Note, NoteKind};
use crate::engine::order::slot::Slot;
use crate::engine::outbox::Outbox;
use crate::engine::push::Pushed;
use crate::engine::time::{Now, Time};

words! {
    /// Where an order stands. What is owed follows from it, so a restart needs no code of its own.
    #[derive(Serialize, Deserialize)]
    #[serde(try_from = "String", into = "&'static str")]
    pub enum Phase {
        /// Not issued yet, as far as we know; polled.
        Waiting = "waiting",
        /// A bundle is at hand, verified or waiting for a key that cannot be read, and not yet in place.
        Collected = "collected",
        /// A generation is being put into place, or hooks are owed; polled.
        Deploying = "deploying",
        /// Installed, nothing owed; looked at every `guard_interval`.
        Guarding = "guarding",
        /// The vendor's bundle was refused; the old certificate stays; polled.
        Quarantined = "quarantined",
        /// The operator must act; not polled.
        Attention = "attention",
        /// The vendor rejected the order; final, not polled.
        Rejected = "rejected",
        /// The vendor revoked the certificate; not polled.
        Revoked = "revoked",
    }
}

impl Phase {
    /// What an order of this phase is or needs, behind its name in a sentence.
    pub fn predicate(self) -> &'static str {
        match self {
            Phase::Waiting => "is waiting",
            Phase::Collected => "is collected",
            Phase::Deploying => "is deploying",
            Phase::Guarding => "is guarding",
            Phase::Quarantined => "is quarantined",
            Phase::Attention => "needs attention",
            Phase::Rejected => "is rejected",
            Phase::Revoked => "is revoked",
        }
    }

    /// Whether the daemon polls the order on its own.
    pub fn is_polled(self) -> bool {
        matches!(self, Phase::Waiting | Phase::Deploying | Phase::Guarding | Phase::Quarantined)
    }

    /// Whether nothing happens until the operator, or a changed entry, resumes the order.
    pub fn is_stopped(self) -> bool {
        matches!(self, Phase::Attention | Phase::Rejected | Phase::Revoked)
    }

    /// Whether the operator must act before the order goes on.
    pub fn needs_person(self) -> bool {
        matches!(self, Phase::Quarantined | Phase::Attention | Phase::Rejected | Phase::Revoked)
    }
}

impl TryFrom<String> for Phase {
    type Error = String;

    fn try_from(word: String) -> Result<Phase, String> {
        Phase::named(&word).ok_or_else(|| format!("there is no phase {word:?}"))
    }
}

words! {
    /// What moves an order to another phase.
    pub enum Trigger {
        /// A bundle passed the gate.
        Verified = "verified",
        /// A bundle was refused by the gate.
        Refused = "refused",
        /// A bundle cannot be judged yet, because of something on this machine.
        Unjudged = "unjudged",
        /// A complete generation was staged and the intent to use it recorded.
        Staged = "staged",
        /// What was staged is of no use any more; the bundle is still there.
        Unstaged = "unstaged",
        /// Neither what was staged nor the bundle is of use; the vendor has to be asked again.
        Lost = "lost",
        /// Everything owed for the installed generation has been done.
        Settled = "settled",
        /// The call is wrong or not allowed, or too many answers in a row made no sense.
        Stuck = "stuck",
        /// The vendor rejected the order.
        Rejected = "rejected",
        /// The vendor revoked the certificate.
        Revoked = "revoked",
        /// The operator, or a changed entry in the configuration, takes it up again.
        Resumed = "resumed",
        /// What is installed is what should be, after all: found so on disk, or offered again by the vendor.
        InPlace = "in-place",
    }
}

/// What an order has achieved so far: where it stands once nothing else is the matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Nothing is installed.
    Bare,
    /// A generation is in place, and its hooks are owed.
    Owing,
    /// A generation is in place and nothing is owed.
    Installed,
}

/// Every transition.
pub fn transition(phase: Phase, trigger: Trigger, standing: Standing) -> Phase {
    use Phase::{Attention, Collected, Deploying, Guarding, Quarantined, Rejected, Revoked, Waiting};
    let at_rest = match standing {
        Standing::Bare => Waiting,
        Standing::Owing => Deploying,
        Standing::Installed => Guarding,
    };
    match (trigger, phase) {
        (Trigger::Verified | Trigger::Unjudged, _) => Collected,
        // The refused bundle waits beside the order; whatever else is owed goes on.
        (Trigger::Refused, Waiting | Collected | Deploying | Guarding | Quarantined) => Quarantined,
        (Trigger::Refused, Attention | Rejected | Revoked) => Quarantined,
        (Trigger::Staged, _) => Deploying,
        (Trigger::Unstaged, Deploying | Collected) => Collected,
        (Trigger::Unstaged, other) => other,
        (Trigger::Lost, Deploying | Collected) => at_rest,
        (Trigger::Lost, other) => other,
        (Trigger::Settled, Deploying) => Guarding,
        (Trigger::Settled, other) => other,
        (Trigger::Stuck, _) => Attention,
        (Trigger::Rejected, _) => Rejected,
        (Trigger::Revoked, _) => Revoked,
        (Trigger::Resumed, Attention | Rejected | Revoked) => at_rest,
        (Trigger::Resumed, other) => other,
        (Trigger::InPlace, Waiting | Collected | Quarantined) => at_rest,
        (Trigger::InPlace, other) => other,
    }
}

/// One order, while something about it is decided: it reaches no other one, and only looks at its account.
pub(in crate::engine) struct Order<'a> {
    pub(in crate::engine) id: OrderId,
    pub(in crate::engine) now: Now,
    pub(in crate::engine) config: &'a Config,
    pub(in crate::engine) slot: &'a mut Slot,
    pub(in crate::engine) gate: &'a Gate,
    pub(in crate::engine) outbox: &'a mut Outbox,
}

impl<'a> Order<'a> {
    pub(in crate::engine) fn entry(&self) -> &'a config::Order {
        &self.config.orders[self.slot.entry]
    }

    /// Marks its record as changed.
    pub(in crate::engine) fn touch(&mut self) {
        self.outbox.unsaved.orders.insert(self.id);
        self.outbox.flush_soon(self.now);
    }

    /// Told and remembered.
    pub(in crate::engine) fn note(&mut self, level: Level, kind: NoteKind, text: String) {
        let note = self.compose(level, kind, text);
        self.outbox.note(note, self.now);
    }

    /// Told, not remembered: what repeats would push everything else out of a bounded history.
    pub(in crate::engine) fn log(&mut self, level: Level, kind: NoteKind, text: String) {
        let note = self.compose(level, kind, text);
        self.outbox.say(Effect::Report(note));
    }

    /// Moves an order to another phase, by the table; says whether it is another one.
    pub(in crate::engine) fn change_phase(&mut self, trigger: Trigger, reason: Option<String>) -> bool {
        let now = self.now;
        let record = &mut self.slot.record;
        let old = record.phase;
        let new = transition(old, trigger, record.standing());
        let reason: Option<Box<str>> = reason.map(String::into_boxed_str);
        let changed = new != old || (new.needs_person() && record.reason != reason);
        if new != old {
            record.phase = new;
            record.since = now.unix();
            if new == Phase::Waiting {
                record.waiting_since = now.time;
            }
        }
        if new != old || reason.is_some() {
            record.reason = reason;
        }
        self.touch();
        changed
    }

    fn compose(&self, level: Level, kind: NoteKind, text: String) -> Note {
        let order = Some(self.slot.name.clone());
        Note { level, kind, order, account: None, at: self.now.unix(), text }
    }
}

/// What is remembered of an order, restarts included. What never changes after the start is not here.
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
    /// Why it stands there, in our words, where that is not plain from the phase.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Box<str>>,
    /// Since when it has been waiting for the vendor.
    #[serde(rename = "waiting_since_ms")]
    pub waiting_since: Time,
    /// End of the last call that may have reached the vendor; start, if its end is not known.
    #[serde(rename = "polled_ms", skip_serializing_if = "Option::is_none")]
    pub polled: Option<Time>,
    /// Numbers that the entry named before, and when they were asked about: the vendor's floor is the number's.
    #[serde(default, skip_serializing_if = "is_default")]
    pub former: Vec<Former>,
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
    /// Since when the vendor has been at work on another certificate beside the installed one.
    #[serde(rename = "reissue_ms", skip_serializing_if = "Option::is_none")]
    pub reissue: Option<Time>,
    /// The order number as answers name it, where the order is asked about by another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heard: Option<Box<Heard>>,
    /// What is known of its domains from GetMDCDomainDetails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domains: Option<Box<Domains>>,
    /// What readers see.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub installed: Option<Box<Generation>>,
    /// What is about to be put into place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub staged: Option<Box<Generation>>,
    /// Whether what is staged is an older generation that the operator wants back.
    #[serde(default, skip_serializing_if = "is_default")]
    pub rollback: bool,
    #[serde(default, skip_serializing_if = "is_default")]
    pub bundled: bool,
    /// The bundle whose refusals the operator overrode, by its leaf.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Fingerprint>,
    /// The certificate that the operator rolled back from; not installed again unless accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<Fingerprint>,
    /// Hooks owed, and those done for the current generation.
    #[serde(rename = "hooks", default, skip_serializing_if = "is_default")]
    pub debts: Vec<Debt>,
    /// How many of the warnings ahead of the certificate's end were given.
    #[serde(rename = "expiry_warnings", default, skip_serializing_if = "is_default")]
    pub warned: u8,
    /// The end of the product term that was warned of, UNIX seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub term_warned: Option<i64>,
    /// What push notifications have left behind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pushed: Option<Box<Pushed>>,
    /// Trouble on this machine that keeps a bundle from its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Box<Trouble>>,
    /// How the files differ from what was installed, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift: Option<Box<str>>,
    /// Which installed files readers do not find, or why that is unknown, in words; nothing once it is
    /// repaired.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<Box<str>>,
    /// Names that a certificate before covered and the installed one does not, until the operator accepts that.
    #[serde(default, skip_serializing_if = "is_default")]
    pub uncovered: Box<[Box<str>]>,
    /// It is unknown which certificate in quarantine is the order's, so there is none to accept.
    #[serde(default, skip_serializing_if = "is_default")]
    pub leafless: bool,
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

impl OrderRecord {
    /// An order that was never asked about.
    pub fn new(account: Arc<str>, handle: Box<str>, now: Now) -> Self {
        OrderRecord {
            account,
            handle,
            phase: Phase::Waiting,
            since: now.unix(),
            reason: None,
            waiting_since: now.time,
            polled: None,
            former: Vec::new(),
            due: Some(now.time),
            polls: 0,
            failures: 0,
            unknowns: 0,
            reissue: None,
            number: None,
            heard: None,
            domains: None,
            installed: None,
            staged: None,
            rollback: false,
            bundled: false,
            accepted: None,
            refused: None,
            debts: Vec::new(),
            warned: 0,
            term_warned: None,
            pushed: None,
            trouble: None,
            drift: None,
            lost: None,
            uncovered: Box::default(),
            leafless: false,
        }
    }

    /// Translates its times on the schedule's line: those of the past, and those to come.
    pub fn rebase(&mut self, past: impl Fn(&mut Time), future: impl Fn(&mut Time)) {
        past(&mut self.waiting_since);
        [&mut self.polled, &mut self.reissue].into_iter().flatten().for_each(&past);
        for former in &mut self.former {
            past(&mut former.polled);
            former.asked.iter_mut().for_each(&past);
        }
        self.domains.iter_mut().for_each(|domains| past(&mut domains.asked));
        self.due.iter_mut().for_each(&future);
        self.debts.iter_mut().flat_map(|debt| &mut debt.next).for_each(&future);
        self.pushed.iter_mut().flat_map(|pushed| &mut pushed.hinted).for_each(&future);
        self.trouble.iter_mut().for_each(|trouble| future(&mut trouble.next));
    }

    /// Since when a certificate is waited for: the first one, or another one.
    pub fn waits_since(&self) -> Option<Time> {
        if self.phase == Phase::Waiting { Some(self.waiting_since) } else { self.reissue }
    }

    pub fn standing(&self) -> Standing {
        match &self.installed {
            None => Standing::Bare,
            Some(_) if self.owed().any(|debt| debt.event == HookEvent::Installed) => Standing::Owing,
            Some(_) => Standing::Installed,
        }
    }

    /// Hooks that have not worked yet.
    pub fn owed(&self) -> impl Iterator<Item = &Debt> {
        self.debts.iter().filter(|debt| debt.next.is_some())
    }
}

/// When GetMDCDomainDetails was asked, and what it said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Domains {
    /// The end of the last call that may have reached the vendor.
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
    pub text: Box<str>,
    /// Everything else the answer said.
    #[serde(flatten)]
    pub details: Details,
}

/// How an answer leaves an order, as far as someone should look when it lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mood {
    /// It goes its way.
    Well,
    /// It waits for its payment.
    Unpaid,
    /// There was no answer, or none that helps.
    Troubled,
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

impl Generation {
    /// Seconds of the certificate's validity.
    pub fn life(&self) -> i64 {
        self.not_after - self.not_before
    }
}

/// One generation of files: what is in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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

/// The number by which every endpoint knows an order: its entry's, or the one that answers name.
pub fn number<'a>(order: &'a config::Order, record: Option<&'a OrderRecord>) -> Option<&'a str> {
    match &order.handle {
        OrderRef::OrderNumber(number) => Some(number),
        OrderRef::CertificateId(_) | OrderRef::BaseOrderNumber(_) => record?.number.as_deref(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STANDINGS: [Standing; 3] = [Standing::Bare, Standing::Owing, Standing::Installed];

    /// What leads out of each phase, and where to, as the head of this file draws it.
    fn drawing() -> String {
        let mut lines = String::new();
        for phase in Phase::ALL {
            let mut ways: Vec<(&str, Vec<&str>)> = Vec::new();
            for trigger in Trigger::ALL {
                let ends = STANDINGS.map(|standing| transition(phase, trigger, standing));
                let to = match ends {
                    [Phase::Waiting, Phase::Deploying, Phase::Guarding] => "rest",
                    [one, ..] if ends == [one; 3] => one.as_str(),
                    _ => panic!("{phase}, {trigger}: {ends:?}"),
                };
                if to == phase.as_str() {
                    continue;
                }
                match ways.iter_mut().find(|(known, _)| *known == to) {
                    Some((_, triggers)) => triggers.push(trigger.as_str()),
                    None => ways.push((to, vec![trigger.as_str()])),
                }
            }
            for (at, (to, triggers)) in ways.into_iter().enumerate() {
                let from = if at == 0 { phase.as_str() } else { "" };
                lines.push_str(&format!("//! {from:<11} -> {to:<11}  {}\n", triggers.join(", ")));
            }
        }
        lines
    }

    #[test]
    fn the_head_of_this_file_draws_every_transition() {
        let head = include_str!("mod.rs").split("```").nth(1).unwrap();
        assert_eq!(head.trim_start_matches("text\n").trim_end_matches("//! "), drawing());
    }

    #[test]
    fn phases_and_words_go_both_ways() {
        for phase in Phase::ALL {
            assert_eq!(Phase::try_from(phase.as_str().to_owned()), Ok(phase));
        }
        assert!(Phase::try_from("done".to_owned()).is_err());
    }

    #[test]
    fn no_phase_is_without_a_way_out() {
        for phase in Phase::ALL {
            for standing in STANDINGS {
                let leaves =
                    Trigger::ALL.iter().any(|trigger| transition(phase, *trigger, standing) != phase);
                assert!(leaves, "{phase:?} {standing:?}");
            }
        }
    }

    #[test]
    fn a_stopped_order_is_only_taken_up_by_somebodys_word_or_a_certificate() {
        for phase in [Phase::Attention, Phase::Rejected, Phase::Revoked] {
            assert_eq!(transition(phase, Trigger::Resumed, Standing::Bare), Phase::Waiting);
            assert_eq!(transition(phase, Trigger::Resumed, Standing::Owing), Phase::Deploying);
            assert_eq!(transition(phase, Trigger::Resumed, Standing::Installed), Phase::Guarding);
            for trigger in [Trigger::Unstaged, Trigger::Lost, Trigger::Settled, Trigger::InPlace] {
                assert_eq!(transition(phase, trigger, Standing::Installed), phase, "{trigger:?}");
            }
        }
    }

    #[test]
    fn only_an_installed_order_is_guarded() {
        for phase in Phase::ALL {
            for trigger in Trigger::ALL.into_iter().filter(|trigger| *trigger != Trigger::Settled) {
                if phase != Phase::Guarding {
                    assert_ne!(
                        transition(phase, trigger, Standing::Bare),
                        Phase::Guarding,
                        "{phase:?} {trigger:?}"
                    );
                }
            }
        }
    }
}
