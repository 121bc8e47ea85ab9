//! Announced revocations that are about no order known here.

use crate::api::push::Hint;
use crate::engine::account::Accounts;
use crate::engine::note::{Level, NoteKind};
use crate::engine::order::record::Announced;
use crate::engine::push::{About, Kept, Recent};

impl Accounts<'_> {
    /// It names no order known here, so every account shows it.
    pub(crate) fn revocation_of_a_stranger(&mut self, hint: &Hint, recent: &mut Recent) {
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
                    "account {account}: a push notification announces that the vendor will revoke a \
                     certificate, and names no order known here: {}; check the vendor's web site for which \
                     one it is; this is shown for seven days, or until `certcollectd resume --account \
                     {account}`",
                    hint.why
                ),
                Kept::Enough => {
                    format!(
                        "account {account}: too many such notifications within an hour; the rest are not kept"
                    )
                }
                Kept::No => continue,
            };
            let level = if proven { Level::Error } else { Level::Warn };
            self.note_account(level, NoteKind::RevocationAnnounced, gate, text);
        }
    }

    /// The operator acknowledges a revocation of an unknown order: the account stops showing it.
    pub(crate) fn revocation_of_a_stranger_known(&mut self, gate: usize) {
        if self.gates[gate].record.announced.take().is_some() {
            self.touch_gate(gate);
            let account = &self.gates[gate].name;
            let text = format!("account {account}: the operator acknowledged the announced revocation");
            self.note_account(Level::Info, NoteKind::Accepted, gate, text);
        }
    }
}
