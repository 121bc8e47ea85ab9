//! Push notifications about one order: they have it polled sooner, and raise an alarm where they announce a revocation.
//!
//! A notification proves nothing about who sent it. So it is trusted for no certificate and no state of an order, and a
//! poll that it asked for and that brought nothing new makes the next such poll wait longer.

use std::time::Duration;

use crate::api::OrderRef;
use crate::api::push::Hint;
use crate::api::reply::Details;
use crate::cert::Fingerprint;
use crate::engine::note::{Level, NoteKind};
use crate::engine::order::Order;
use crate::engine::order::phase::Phase;
use crate::engine::order::record::{Announced, OrderRecord};
use crate::engine::order::state::Busy;
use crate::engine::time::Time;

/// How long a hint waits after a poll at least, so that no one can make us hammer the vendor, or log in while
/// it is not known whether the last login was refused. Doubled for each hint in a row that brought nothing
/// new.
const HINT_REST: Duration = Duration::from_secs(600);

/// It reaches an interval long before this many doublings.
const MAX_DOUBLINGS: u8 = 20;

/// What was known of an order before a poll that a hint asked for.
#[derive(Debug, PartialEq)]
pub(crate) struct Known {
    phase: Phase,
    code: Option<i32>,
    details: Option<Details>,
    bundled: bool,
    installed: Option<Fingerprint>,
}

/// Whether a notification names this order, known to the vendor by this reference.
pub(crate) fn is_named(record: &OrderRecord, handle: &OrderRef, hint: &Hint) -> bool {
    let among = |names: &[String], text: &str| names.iter().any(|name| name == text);
    let by_handle = match handle {
        OrderRef::CertificateId(text) => among(&hint.certificates, text),
        OrderRef::OrderNumber(_) | OrderRef::BaseOrderNumber(_) => among(&hint.numbers, handle.text()),
    };
    let pushed = record.pushed.as_ref();
    let certificate = pushed.and_then(|pushed| pushed.certificate.as_deref());
    let serial = record.installed.as_ref().map(|installed| installed.serial.trim_start_matches('0'));
    by_handle
        || record.number.as_deref().is_some_and(|number| among(&hint.numbers, number))
        || certificate.is_some_and(|certificate| among(&hint.certificates, certificate))
        || serial.is_some_and(|serial| among(&hint.serials, serial))
}

impl Order<'_> {
    /// Has an order polled as soon as manners allow.
    pub(crate) fn want_poll(&mut self) {
        let state = &*self.state;
        let record = &state.record;
        if !record.is_polled() || state.urgent || record.hint().is_some() {
            return;
        }
        let idle = record.pushed.as_ref().map_or(0, |pushed| pushed.idle).min(MAX_DOUBLINGS);
        let rest = self.entry().settings.cadence.interval.min(HINT_REST * (1 << idle));
        // A poll under way may have been answered before the event; its record has the latest possible arrival.
        let polled = if state.busy == Busy::Calling { Some(self.now.time) } else { record.polled };
        let rested = polled.map(|polled| polled + rest).filter(|rested| *rested > self.now.time);
        self.state.record.pushed().hinted = Some(rested.unwrap_or(Time::SOON));
        self.touch();
    }

    pub(crate) fn known_state(&self) -> Known {
        let record = &self.state.record;
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
    pub(crate) fn hint_followed(&mut self, before: &Known) {
        let news = self.known_state() != *before;
        let record = &mut self.state.record;
        let idle = record.pushed.as_ref().map_or(0, |pushed| pushed.idle);
        let counted = if news { 0 } else { idle.saturating_add(1) };
        if counted != idle {
            record.pushed().idle = counted;
            self.touch();
        }
    }

    /// The vendor has named the certificate that it sends.
    pub(crate) fn certificate_named(&mut self, number: Option<&str>) {
        let record = &mut self.state.record;
        let known = record.pushed.as_ref().and_then(|pushed| pushed.certificate.as_deref());
        if let Some(number) = number.filter(|number| known != Some(number)) {
            record.pushed().certificate = Some(number.into());
        }
    }

    /// Sets the alarm of an order; whether that is news.
    pub(crate) fn revocation_of(&mut self, hint: &Hint) -> bool {
        let now = self.now;
        self.state.shut_until = None;
        let record = &mut self.state.record;
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
    pub(crate) fn revocation_answered(&mut self, rolled_back: bool) {
        let record = &mut *self.state.record.seldom;
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

    /// The operator acknowledges the announced revocation; whether there was one.
    pub(crate) fn revocation_accepted(&mut self) -> bool {
        let pushed = self.state.record.pushed.as_mut();
        if pushed.and_then(|pushed| pushed.revocation.take()).is_none() {
            return false;
        }
        let text = "the operator acknowledged the announced revocation; its alarm is cleared";
        self.note(Level::Info, NoteKind::Accepted, text.into());
        self.touch();
        self.outbox.save_first();
        true
    }
}
