//! What polls show of a re-issue. Only they lead out of `unclear`.

use std::time::Duration;

use crate::cert::Certificate;
use crate::config::{Dcv, HookEvent};
use crate::engine::note::{Level, NoteKind};
use crate::engine::order::Order;
use crate::engine::reissue::record::Stage;

impl Order<'_> {
    /// Whether a poll is to show what becomes of its re-issue, or that it may be asked for.
    pub(crate) fn watches_reissue(&self) -> bool {
        self.state.record.reissue.as_ref().is_some_and(|known| known.is_watched())
    }

    /// For how long its re-issue has stood where it stands.
    pub(crate) fn reissue_age(&self) -> Duration {
        let since = self.state.record.reissue.as_ref().map_or_else(|| self.now.unix(), |known| known.since);
        Duration::from_secs(u64::try_from(self.now.unix() - since).unwrap_or(0))
    }

    /// At a start: the process ended between the intent and its answer. Whether that was so.
    pub(crate) fn reissue_interrupted(&mut self) -> bool {
        let unix = self.now.unix();
        let Some(known) = self.state.record.reissue.as_deref_mut() else { return false };
        if known.stage != Stage::Intended {
            return false;
        }
        known.enter(Stage::Unclear, unix);
        known.said = Some("certcollectd ended before the answer came".into());
        self.touch();
        true
    }

    pub(crate) fn is_reissue_unclear(&self) -> bool {
        self.state.record.reissue.as_ref().is_some_and(|known| known.stage == Stage::Unclear)
    }

    /// An earlier version did not write down the common name of what it installed.
    pub(crate) fn learn_common_name(&mut self, bundle: &[Certificate]) {
        let Some(installed) = self.state.record.installed.as_deref_mut() else { return };
        if installed.common_name.is_some() {
            return;
        }
        let mut held = bundle.iter().filter(|known| known.fingerprint() == installed.fingerprint);
        installed.common_name = held.next().and_then(Certificate::common_name).map(Into::into);
    }

    /// The one before counts again, of which it is unclear whether it was made. Its proof may have made way for another one.
    pub(super) fn take_up_earlier(&mut self) -> bool {
        let Some(known) = self.state.record.reissue.as_deref_mut() else { return false };
        let Some(earlier) = known.earlier.take() else { return false };
        let republished = earlier.dcv != Dcv::Reuse;
        *known = *earlier;
        if republished {
            self.owe_proof(HookEvent::DcvPublish);
        }
        true
    }

    /// The vendor says that a certificate is under way.
    pub(crate) fn reissue_under_way(&mut self) {
        let unix = self.now.unix();
        // It is not asked for again.
        self.take_up_earlier();
        let Some(known) = self.state.record.reissue.as_deref_mut() else { return };
        known.unchanged = 0;
        match known.stage {
            Stage::Intended | Stage::Unclear => {
                known.enter(Stage::Open, unix);
                let text = "the vendor has a certificate under way: the re-issue was made";
                self.note(Level::Info, NoteKind::Reissue, text.into());
                self.touch();
            }
            Stage::Preparing if known.proven => {
                let text = "a certificate is under way at the vendor already; a second call would change it";
                self.hold_reissue(text.into());
            }
            Stage::Preparing | Stage::Open | Stage::Refused | Stage::Closed => {}
        }
    }

    /// A poll shows the installed certificate, and nothing newer.
    pub(crate) fn reissue_unchanged(&mut self) {
        let unix = self.now.unix();
        let Some(known) = self.state.record.reissue.as_deref_mut() else { return };
        if !known.stage.is_awaited() {
            return;
        }
        known.unchanged = known.unchanged.saturating_add(1);
        if known.is_withdrawn(unix) {
            let why = "the vendor had taken it, and has gone back to the installed certificate";
            known.enter(Stage::Unclear, unix);
            known.said = Some(why.into());
            let name = self.state.name.clone();
            let text = format!(
                "it is unclear what became of the re-issue: {why}; look at the vendor's web site; if it was withdrawn there: \
                 `certcollectd reissue {name} --again`"
            );
            self.note(Level::Error, NoteKind::ReissueUnclear, text);
        }
        self.touch();
    }

    /// The vendor rejected the order.
    pub(crate) fn reissue_rejected(&mut self, code: i32, text: &str) {
        if self.state.record.reissue.as_ref().is_some_and(|known| known.stage.is_awaited()) {
            self.reissue_refused(code, text);
        }
    }

    /// Another certificate is in place, by the vendor's answer.
    pub(crate) fn reissue_over(&mut self) {
        let unix = self.now.unix();
        let Some(installed) = self.state.record.installed.as_ref().map(|known| known.fingerprint) else {
            return;
        };
        let Some(known) = self.state.record.reissue.as_deref_mut() else { return };
        if known.stage == Stage::Closed || known.replaces == installed {
            return;
        }
        let is_published = known.is_published();
        if known.stage == Stage::Refused {
            // This certificate comes of another request.
            known.sent = None;
        }
        known.sent = known.sent.or_else(|| known.earlier.as_ref()?.sent);
        let was_sent = known.sent.is_some();
        known.enter(Stage::Closed, unix);
        let text = if was_sent {
            "the re-issue is complete: its certificate is in place"
        } else {
            known.held = Some("the vendor had issued another certificate meanwhile".into());
            "another certificate is in place; the re-issue that was wanted is over without one of its own"
        };
        self.note(Level::Info, NoteKind::Reissue, text.into());
        if is_published {
            self.owe_proof(HookEvent::DcvRemove);
        }
        self.touch();
    }
}
