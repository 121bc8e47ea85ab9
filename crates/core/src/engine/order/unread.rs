//! A certificate that cannot be judged, because a local key, CSR or trust anchor cannot be read. That is a local
//! problem, not the vendor's: the certificate waits, is retried soon, and the installed one stays.

use crate::cert;
use crate::cert::{Check, Finding, Verdict};
use crate::engine::install::Inspection;
use crate::engine::note::{Level, NoteKind};
use crate::engine::order::Order;
use crate::engine::order::phase::Trigger;
use crate::engine::order::record::Trouble;
use crate::engine::schedule;
use crate::engine::time::in_words;

/// Failed tries between two log records: an hour and a half.
const TELL_AGAIN: u32 = 256;

/// Why a refusal says nothing about the certificate: all that stands against it is that something could not be read.
pub(crate) fn unread(verdict: &Verdict, inspection: &Inspection) -> Option<String> {
    let anchors = inspection.anchors.as_ref().and_then(|anchors| anchors.as_ref().err());
    let is_ours = |finding: &Finding| match finding.check {
        // Several could be the one that was ordered, which the key would tell.
        Check::Leaf | Check::Key => !inspection.unread.is_empty(),
        Check::Trust => anchors.is_some(),
        Check::Dates => verdict.not_yet_valid_until.is_some(),
        Check::Domains | Check::Coverage | Check::Chain | Check::Downgrade => false,
    };
    let blocking = |finding: &&Finding| finding.level == cert::Severity::Block;
    let about = |checks: &[Check]| {
        verdict.findings.iter().filter(blocking).any(|finding| checks.contains(&finding.check))
    };
    if !verdict.findings.iter().filter(blocking).all(is_ours) {
        return None;
    }
    let mut why = Vec::new();
    if about(&[Check::Leaf, Check::Key]) {
        why.extend(inspection.unread.iter().map(ToString::to_string));
    }
    if about(&[Check::Trust]) {
        why.extend(anchors.cloned());
    }
    Some(why.join("; ")).filter(|why| !why.is_empty())
}

impl Order<'_> {
    /// Retries soon, until it can be read.
    pub(crate) fn postpone(&mut self, why: &str) {
        let now = self.now;
        let state = &mut *self.state;
        let before = state.record.trouble.as_ref().filter(|trouble| *trouble.text == *why);
        let tries = before.map_or(0, |trouble| trouble.tries).saturating_add(1);
        let wait = schedule::unread(tries);
        state.record.trouble = Some(Box::new(Trouble { text: why.into(), tries, next: now.time + wait }));
        state.hold_until = None;
        state.pending.unread = true;
        self.rejudge_bundle();
        self.change_phase(Trigger::Postponed, None);
        let kept =
            if self.state.record.installed.is_some() { "; the installed certificate stays" } else { "" };
        let text = format!(
            "the collected certificate is waiting: {why}{kept}; nothing is lost, retried every {} and \
             installed when that is fixed",
            in_words(schedule::unread(u32::MAX))
        );
        if tries == 1 {
            self.note(Level::Warn, NoteKind::Unread, text);
        } else if tries.is_multiple_of(TELL_AGAIN) {
            self.log(Level::Warn, NoteKind::Unread, text);
        }
        self.outbox.save_first();
    }

    /// It can be read now.
    pub(crate) fn end_postponement(&mut self) {
        let state = &mut *self.state;
        if std::mem::take(&mut state.pending.unread) {
            state.record.trouble = None;
        }
    }
}
