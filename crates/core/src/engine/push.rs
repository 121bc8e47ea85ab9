//! Push notifications: they have an order polled sooner, are kept in its history, and raise an alarm where they
//! announce a revocation.
//!
//! A notification proves nothing about who sent it. So it is trusted for no certificate and no state of an order;
//! a poll that it asked for and that brought nothing new makes the next such poll wait longer; and what it leaves in
//! the history is bounded, because anyone may be able to send one.

use crate::engine::account::Accounts;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::id::OrderId;
use super::note::Level;
use super::order::{Generation, Order, OrderRecord, Phase};
use super::time::{Now, Time};
use super::{Busy, Engine, NoteKind, is_default};
use crate::api::OrderRef;
use crate::api::push::Hint;
use crate::api::reply::Details;
use crate::cert::Fingerprint;
use crate::config::HookEvent;

/// How long a hint waits after a poll at least, so that no one can make us hammer the vendor, or log in while
/// it is not known whether the last login was refused. Doubled for each hint in a row that brought nothing
/// new.
const HINT_REST: Duration = Duration::from_secs(600);
/// The rest is an interval long before it was doubled so often.
const MAX_DOUBLINGS: u8 = 20;
/// Maximum number of distinct notifications kept in a history within [`WINDOW`]; of equal ones, the
/// first.
const KEPT: usize = 8;
const WINDOW: Duration = Duration::from_secs(3600);
/// Number of remembered orders at which those whose window is over are forgotten.
const MANY: usize = 1024;
/// How long an account shows the announcement of a revocation that is about no order known here, in seconds.
pub const ACCOUNT_ALARM: i64 = 7 * 24 * 3600;

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
    /// Set while the vendor is said to be about to revoke the certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revocation: Option<Announced>,
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

    /// Whether this certificate is another one than that which is to be revoked.
    fn is_over_with(&self, generation: &Generation) -> bool {
        match self.leaf {
            Some(leaf) => leaf != generation.fingerprint,
            None => generation.not_before > self.at,
        }
    }
}

impl OrderRecord {
    /// From when on a push notification wants it polled; not when the polls have come to their end meanwhile.
    pub fn hint(&self) -> Option<Time> {
        self.pushed.as_ref()?.hinted.filter(|_| self.phase.is_polled())
    }

    /// When it is to be polled next, as far as the order alone is concerned.
    pub fn wanted(&self, now: Now) -> Option<Time> {
        [self.hint().map(|hint| hint.max(now.time)), self.due].into_iter().flatten().min()
    }

    /// The announced revocation of its certificate.
    pub fn revocation(&self) -> Option<&Announced> {
        self.pushed.as_ref()?.revocation.as_ref()
    }

    pub(super) fn pushed(&mut self) -> &mut Pushed {
        self.pushed.get_or_insert_default()
    }

    /// Takes the hint out, because it is followed or means another number.
    pub(super) fn take_hint(&mut self) -> Option<Time> {
        let hint = self.pushed.as_mut()?.hinted.take();
        self.pushed.take_if(|pushed| **pushed == Pushed::default());
        hint
    }
}

/// What was kept of notifications lately, so that a flood pushes nothing else out of a history.
#[derive(Debug, Default)]
pub(super) struct Recent {
    of: HashMap<About, Window>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum About {
    Order(OrderId),
    Gate(usize),
}

#[derive(Debug)]
struct Window {
    since: Time,
    seen: Vec<u64>,
}

/// What happens to one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    Yes,
    /// It is the first that is too much.
    Enough,
    No,
}

impl Recent {
    fn keep(&mut self, about: About, text: &str, now: Time) -> Kept {
        if self.of.len() >= MANY {
            self.of.retain(|_, window| now.since(window.since) < WINDOW);
        }
        let window = self.of.entry(about).or_insert_with(|| Window { since: now, seen: Vec::new() });
        if now.since(window.since) >= WINDOW {
            *window = Window { since: now, seen: Vec::new() };
        }
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        let hash = hasher.finish();
        if window.seen.len() > KEPT || window.seen.contains(&hash) {
            return Kept::No;
        }
        window.seen.push(hash);
        if window.seen.len() > KEPT { Kept::Enough } else { Kept::Yes }
    }
}

/// What was known of an order before a poll that a hint asked for.
#[derive(Debug, PartialEq)]
pub(super) struct Known {
    phase: Phase,
    code: Option<i32>,
    details: Option<Details>,
    bundled: bool,
    installed: Option<Fingerprint>,
}

impl Order<'_> {
    fn is_named(&self, hint: &Hint) -> bool {
        let slot = &*self.slot;
        if slot.removed {
            return false;
        }
        let among = |names: &[String], text: &str| names.iter().any(|name| name == text);
        let handle = &self.entry().handle;
        let by_handle = match handle {
            OrderRef::CertificateId(text) => among(&hint.certificates, text),
            OrderRef::OrderNumber(_) | OrderRef::BaseOrderNumber(_) => among(&hint.numbers, handle.text()),
        };
        let pushed = slot.record.pushed.as_ref();
        let certificate = pushed.and_then(|pushed| pushed.certificate.as_deref());
        let serial = slot.record.installed.as_ref().map(|installed| installed.serial.trim_start_matches('0'));
        by_handle
            || slot.record.number.as_deref().is_some_and(|number| among(&hint.numbers, number))
            || certificate.is_some_and(|certificate| among(&hint.certificates, certificate))
            || serial.is_some_and(|serial| among(&hint.serials, serial))
    }

    /// Has an order polled as soon as manners allow.
    fn want_poll(&mut self) {
        let slot = &*self.slot;
        let record = &slot.record;
        if !record.phase.is_polled() || slot.urgent || record.hint().is_some() {
            return;
        }
        let idle = record.pushed.as_ref().map_or(0, |pushed| pushed.idle).min(MAX_DOUBLINGS);
        let rest = self.entry().settings.cadence.interval.min(HINT_REST * (1 << idle));
        // What is asked just now may have been answered before it came true. On record, that call is as late as it may be.
        let polled = if slot.busy == Busy::Calling { Some(self.now.time) } else { record.polled };
        let rested = polled.map(|polled| polled + rest).filter(|rested| *rested > self.now.time);
        self.slot.record.pushed().hinted = Some(rested.unwrap_or(Time::SOON));
        self.touch();
    }

    pub(super) fn known_before_hint(&self) -> Known {
        let record = &self.slot.record;
        // Unknown keys may differ from answer to answer.
        let details = |details: &Details| Details { others: Vec::new(), ..details.clone() };
        Known {
            phase: record.phase,
            code: record.heard.as_ref().and_then(|heard| heard.code),
            details: record.heard.as_ref().map(|heard| details(&heard.details)),
            bundled: record.bundled,
            installed: record.installed.as_ref().map(|installed| installed.fingerprint),
        }
    }

    /// A poll that a hint asked for has ended.
    pub(super) fn hint_followed(&mut self, before: &Known) {
        let news = self.known_before_hint() != *before;
        let record = &mut self.slot.record;
        let idle = record.pushed.as_ref().map_or(0, |pushed| pushed.idle);
        let counted = if news { 0 } else { idle.saturating_add(1) };
        if counted != idle {
            record.pushed().idle = counted;
            self.touch();
        }
    }

    /// The vendor has named the certificate that it sends.
    pub(super) fn certificate_named(&mut self, number: Option<&str>) {
        let record = &mut self.slot.record;
        let known = record.pushed.as_ref().and_then(|pushed| pushed.certificate.as_deref());
        if let Some(number) = number.filter(|number| known != Some(number)) {
            record.pushed().certificate = Some(number.into());
        }
    }

    /// Sets the alarm of an order; whether that is news.
    fn revocation_of(&mut self, hint: &Hint) -> bool {
        let now = self.now;
        let record = &mut self.slot.record;
        let leaf = record.installed.as_ref().map(|installed| installed.fingerprint);
        let known = record.pushed().revocation.take();
        let news = known.is_none();
        record.pushed().revocation = Some(Announced {
            at: known.as_ref().map_or_else(|| now.unix(), |known| known.at),
            text: hint.why.as_str().into(),
            leaf: known.as_ref().map_or(leaf, |known| known.leaf),
            proven: hint.proven || known.is_some_and(|known| known.proven),
        });
        self.touch();
        news
    }

    /// Another certificate is in place. Going back to an older one is no answer to an announced revocation.
    pub(super) fn revocation_answered(&mut self, rolled_back: bool) {
        let record = &mut self.slot.record;
        let (Some(pushed), Some(installed)) = (&mut record.pushed, &record.installed) else { return };
        let Some(announced) = pushed.revocation.as_mut().filter(|_| !rolled_back) else { return };
        if announced.is_over_with(installed) {
            pushed.revocation = None;
            self.touch();
            let text = "a newer certificate than the one whose revocation was announced is in place";
            self.note(Level::Info, NoteKind::RevocationAnswered, text.into());
        } else if announced.leaf.is_none() {
            announced.leaf = Some(installed.fingerprint);
            self.touch();
        }
    }

    /// The operator knows of the announced revocation; whether there was one.
    pub(super) fn revocation_accepted(&mut self) -> bool {
        let pushed = self.slot.record.pushed.as_mut();
        if pushed.and_then(|pushed| pushed.revocation.take()).is_none() {
            return false;
        }
        let text = "the operator knows of the announced revocation; it is no alarm any more";
        self.note(Level::Info, NoteKind::Accepted, text.into());
        self.touch();
        self.outbox.save_first();
        true
    }
}

impl Accounts<'_> {
    /// It names no order that is known here: of those that the listener serves, each account shows it.
    fn revocation_of_a_stranger(&mut self, hint: &Hint, recent: &mut Recent) {
        for gate in 0..self.gates.len() {
            if self.gates[gate].removed {
                continue;
            }
            let record = &mut self.gates[gate].record;
            let known = record.announced.as_ref().filter(|known| known.is_shown(self.now.unix()));
            let proven = hint.proven || known.is_some_and(|known| known.proven);
            let text = hint.why.as_str().into();
            record.announced = Some(Box::new(Announced { at: self.now.unix(), text, leaf: None, proven }));
            self.touch_gate(gate);
            self.outbox.save_first();
            let account = self.gates[gate].name.clone();
            let text = match recent.keep(About::Gate(gate), &hint.why, self.now.time) {
                Kept::Yes => format!(
                    "account {account}: a push notification announces that the vendor will revoke a certificate, and names no order \
                     that is known here: {}; look at the vendor's web site which one it is; this is told for seven days, \
                     or until `certcollectd resume --account {account}`",
                    hint.why
                ),
                Kept::Enough => {
                    format!("account {account}: more such notifications came within an hour than are kept")
                }
                Kept::No => continue,
            };
            let level = if proven { Level::Error } else { Level::Warn };
            self.note_account(level, NoteKind::RevocationAnnounced, gate, text);
        }
    }

    /// The operator's word on an account ends what it shows of a revocation that is about no order known here.
    pub(super) fn revocation_of_a_stranger_known(&mut self, gate: usize) {
        if self.gates[gate].record.announced.take().is_some() {
            self.touch_gate(gate);
            let account = &self.gates[gate].name;
            let text = format!("account {account}: the operator knows of the announced revocation");
            self.note_account(Level::Info, NoteKind::Accepted, gate, text);
        }
    }
}

impl Engine {
    pub(super) fn hinted(&mut self, hint: &Hint) {
        let ids: Vec<OrderId> = self.orders.ids().filter(|id| self.order(*id).is_named(hint)).collect();
        if hint.revocation && ids.is_empty() {
            let mut recent = std::mem::take(&mut self.recent);
            self.accounts().revocation_of_a_stranger(hint, &mut recent);
            self.recent = recent;
            return;
        }
        for id in ids {
            let news = hint.revocation && self.order(id).revocation_of(hint);
            self.order(id).want_poll();
            let next = self.order(id).next_poll();
            if news {
                let name = self.orders.slot_name(id);
                let text = format!(
                    "a push notification announces that the vendor will revoke the certificate: {}; have it re-issued now; this is \
                     an alarm until a newer certificate is in place, or `certcollectd accept {name}`; {next}",
                    hint.why
                );
                self.order(id).note(Level::Error, NoteKind::RevocationAnnounced, text);
                self.order(id).owe_hooks(HookEvent::Failed);
                self.outbox.save_first();
                continue;
            }
            let text = match self.recent.keep(About::Order(id), &hint.why, self.now.time) {
                Kept::Yes => format!("a push notification says: {}; {next}", hint.why),
                Kept::Enough => "more push notifications came within an hour than are kept".to_owned(),
                Kept::No => continue,
            };
            let level = if hint.bad { Level::Warn } else { Level::Info };
            self.order(id).note(level, NoteKind::Push, text);
        }
    }
}

/// What was wanted of another number is wanted no more; what is installed stays, and so does its alarm.
pub(super) fn of_another_number(old: &OrderRecord) -> Option<Box<Pushed>> {
    let revocation = old.revocation().cloned()?;
    Some(Box::new(Pushed { revocation: Some(revocation), ..Pushed::default() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_leaves_a_bounded_number_of_lines() {
        let mut recent = Recent::default();
        let about = About::Order(OrderId(1));
        let kept: Vec<Kept> =
            (0..100).map(|at| recent.keep(about, &format!("{}", at / 2), Time(at))).collect();
        assert_eq!(kept.iter().filter(|kept| **kept == Kept::Yes).count(), KEPT);
        assert_eq!(kept.iter().filter(|kept| **kept == Kept::Enough).count(), 1);
        assert_eq!(recent.keep(About::Gate(1), "0", Time(5)), Kept::Yes, "another one has a room of its own");
        assert_eq!(recent.keep(about, "0", Time(0) + WINDOW), Kept::Yes, "an hour later");
    }
}
