//! Warnings ahead of a certificate's end, while no newer one is there, and ahead of the end of the subscription, beyond
//! which no re-issue reaches.

use std::time::Duration;

use crate::config::HookEvent;
use crate::engine::note::{Level, NoteKind};
use crate::engine::order::Order;
use crate::engine::order::lifetime::{EXPIRY_WARNINGS, TERM_WARNING, unwarned_term, warning_at};
use crate::engine::time::{in_words, rfc3339};

impl Order<'_> {
    /// Warns once that the subscription of an installed order ends.
    pub(crate) fn warn_of_term(&mut self) {
        let record = &self.state.record;
        let end = unwarned_term(record)
            .filter(|end| record.installed.is_some() && end - TERM_WARNING <= self.now.unix());
        let Some(end) = end else { return };
        self.state.record.term_warned = Some(end);
        self.touch();
        let left = end - self.now.unix();
        let text = if left > 0 {
            let left = in_words(Duration::from_secs(left.unsigned_abs()));
            format!(
                "the subscription ends in {left}, at {}: no re-issue outlasts it; renew it, or place a new order",
                rfc3339(end)
            )
        } else {
            format!(
                "the subscription ended at {}: there will be no re-issue; renew it, or place a new order",
                rfc3339(end)
            )
        };
        self.note(Level::Warn, NoteKind::TermEnding, text);
        self.owe_hooks(HookEvent::Expiring);
    }

    /// Reports the warnings that are due; of several that were missed, one.
    pub(crate) fn warn_of_expiry(&mut self) {
        let record = &self.state.record;
        let Some(installed) = record.installed.as_deref().filter(|_| !record.is_held()) else { return };
        let due = |stage: &u8| warning_at(installed, *stage).is_some_and(|at| at <= self.now.unix());
        let warned = (record.warned..EXPIRY_WARNINGS).take_while(due).last().map(|stage| stage + 1);
        let Some(warned) = warned else { return };
        let end = installed.not_after;
        let left = end - self.now.unix();
        let is_asked = record.reissue.as_ref().is_some_and(|known| !known.stage.is_over());
        let act = match is_asked || record.reissue_since.is_some() {
            true => format!("its re-issue is not over: see `certcollectd explain {}`", self.state.name),
            false => "have it re-issued".to_owned(),
        };
        self.state.record.warned = warned;
        self.touch();
        let text = if left > 0 {
            let left = in_words(Duration::from_secs(left.unsigned_abs()));
            format!(
                "the installed certificate expires in {left}, at {}, and the vendor has no newer one; {act}",
                rfc3339(end)
            )
        } else {
            format!("the installed certificate expired at {}; {act}", rfc3339(end))
        };
        let level = if warned == 1 { Level::Warn } else { Level::Error };
        self.note(level, NoteKind::Expiring, text);
        self.owe_hooks(HookEvent::Expiring);
        // From here on it is asked about as often as manners allow.
        if warned == 1 && self.state.record.due.is_some() {
            self.set_due();
        }
    }
}
