//! What was verified and is not to be put into place yet: it waits for a window of its order, or for the end of a
//! freeze. Rollbacks, and files that are put back, do not wait.

use std::time::Duration;

use crate::cert::{Certificate, Fingerprint};
use crate::engine::calendar::{Calendar, Opening};
use crate::engine::note::{Level, NoteKind};
use crate::engine::order::Order;
use crate::engine::order::bundle::Bundle;
use crate::engine::order::phase::Phase;
use crate::engine::order::record::{Held, OrderRecord};
use crate::engine::order::state::Work;
use crate::engine::time::{in_words, rfc3339};

/// A clock that was set is noticed at the latest then.
const LOOK_AGAIN: Duration = Duration::from_secs(24 * 3600);
/// Never at once again.
const SHORTEST: Duration = Duration::from_secs(1);

impl Order<'_> {
    /// Whether the certificate that is ready must not be put into place now. It is held then, or verified once more
    /// because it was held until now.
    pub(crate) fn is_held_back(&mut self) -> bool {
        self.state.shut_until = None;
        let Some(material) = self.state.bundle.material() else { return false };
        let (leaf, serial) = (material.leaf.fingerprint(), material.leaf.serial_text());
        let ends = material.leaf.not_after();
        let installed = self.state.record.installed.as_deref();
        if installed.is_some_and(|installed| installed.fingerprint == leaf) {
            return false;
        }
        let opening = Calendar::of(self.config, self.entry()).opening(self.now.unix());
        let forced = self.forced(leaf);
        if !opening.is_open() && forced.is_none() {
            self.hold(
                Held { leaf, serial: serial.into(), not_after: ends, since: self.now.unix() },
                &opening,
            );
            return true;
        }
        if self.state.record.held.take().is_some() {
            // Its key, the configuration or the clock may have changed since it was verified.
            self.rejudge_bundle();
            self.touch();
            self.start_local(Work::Verify);
            return true;
        }
        if let Some(why) = forced.filter(|_| !opening.is_open()) {
            let text = format!("it does not wait for {}: {why}", opening.describe());
            self.note(Level::Info, NoteKind::Held, text);
        }
        false
    }

    /// Why a certificate is put into place although no window is open.
    fn forced(&self, leaf: Fingerprint) -> Option<String> {
        let record = &self.state.record;
        if record.at_once == Some(leaf) {
            return Some("the operator wants it now".to_owned());
        }
        let installed = record.installed.as_deref()?;
        if record.revoked == Some(installed.fingerprint) {
            return Some("the installed certificate is revoked".to_owned());
        }
        let announced = record.revocation().filter(|announced| announced.proven);
        if announced.is_some_and(|announced| !announced.is_over_with(installed)) {
            return Some("the revocation of the installed certificate is announced".to_owned());
        }
        let margin = self.entry().settings.window_margin;
        (self.now.unix() >= margin_begins(installed.not_after, margin)).then(|| {
            let end = rfc3339(installed.not_after);
            format!(
                "the installed certificate ends at {end}, within its window_margin of {}",
                in_words(margin)
            )
        })
    }

    fn hold(&mut self, held: Held, opening: &Opening<'_>) {
        let margin = self.entry().settings.window_margin;
        let record = &mut self.state.record;
        let installed = record.installed.as_deref();
        let forced = installed.map(|installed| self.now.time_of(margin_begins(installed.not_after, margin)));
        let until = (self.now.time + opening.wait(self.now.unix()).min(LOOK_AGAIN))
            .min(forced.unwrap_or(self.now.time + LOOK_AGAIN))
            .max(self.now.time + SHORTEST);
        self.state.underway.shut_until = Some(until);
        if record.held.as_ref().is_some_and(|known| known.leaf == held.leaf) {
            return;
        }
        let kept = if installed.is_some() { "; the installed certificate stays until then" } else { "" };
        let text = format!(
            "the certificate with serial {} waits for {}{kept}; `certcollectd accept {} --now` installs it now",
            held.serial,
            opening.describe(),
            self.state.name
        );
        record.held = Some(Box::new(held));
        self.set_due();
        self.note(Level::Info, NoteKind::Held, text);
        self.outbox.save_first();
    }

    /// Whether an answer brings nothing newer than the certificate that waits for its window.
    pub(crate) fn keeps_waiting(&self, bundle: &[Certificate]) -> bool {
        let waiting = self.state.record.held.as_ref().and_then(|_| self.state.bundle.material());
        waiting.is_some_and(|waiting| {
            let is_newer = |one: &Certificate| !one.is_ca() && one.not_before() > waiting.leaf.not_before();
            !bundle.iter().any(is_newer)
        })
    }

    /// The installed files were put back, or their certificate was changed: what waited before goes on waiting.
    pub(crate) fn wait_on(&mut self) {
        let installed = self.state.record.installed.as_ref().map(|installed| installed.fingerprint);
        let held = self.state.record.held.as_ref().map(|held| held.leaf);
        let waits = held.filter(|_| held != installed);
        // Among others the bundle holds what was put back.
        let is_its = |one: &&Certificate| one.is_ca() || Some(one.fingerprint()) == waits;
        let pool = waits.and_then(|_| self.state.bundle.certificates());
        match pool.map(|pool| pool.iter().filter(is_its).cloned().collect()) {
            Some(pool) => {
                self.set_bundle(Bundle::Unjudged(pool));
                self.state.record.trouble = None;
            }
            None => self.drop_bundle(),
        }
    }

    /// What it waits for, if it waits for a window.
    pub(crate) fn waits_for(&self) -> Option<String> {
        self.state.record.held.as_ref()?;
        let opening = Calendar::of(self.config, self.entry()).opening(self.now.unix());
        Some(format!(
            "it waits for {}; `certcollectd accept {} --now` installs it now",
            opening.describe(),
            self.state.name
        ))
    }

    /// The operator wants a certificate installed whatever the windows of its order say.
    pub(crate) fn hurry(&mut self, leaf: Fingerprint) {
        self.state.record.at_once = Some(leaf);
        self.state.shut_until = None;
        self.touch();
    }
}

/// From when on a certificate is replaced outside windows too, in UNIX seconds.
pub fn margin_begins(not_after: i64, margin: Duration) -> i64 {
    not_after.saturating_sub(i64::try_from(margin.as_secs()).unwrap_or(i64::MAX))
}

impl OrderRecord {
    /// Whether the daemon polls the order on its own.
    pub fn is_polled(&self) -> bool {
        self.phase.is_polled() || self.is_held()
    }

    /// Whether a certificate waits for a window.
    pub fn is_held(&self) -> bool {
        self.phase == Phase::Collected && self.held.is_some()
    }
}
