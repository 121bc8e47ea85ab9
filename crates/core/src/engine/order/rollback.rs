//! Rollback to the previous generation, on command or for a probe's sake.

use crate::cert::KeyCandidate;
use crate::config::{FileCopy, KeySource};
use crate::engine::id::Token;
use crate::engine::install::Inspection;
use crate::engine::note::{Level, NoteKind};
use crate::engine::order::bundle::Bundle;
use crate::engine::order::commands::being_deployed;
use crate::engine::order::phase::{Phase, Trigger};
use crate::engine::order::{Order, deploy};

impl Order<'_> {
    pub(crate) fn want_rollback(&mut self, token: Token) {
        let name = self.state.name.clone();
        let state = &mut *self.state;
        if state.record.installed.is_none() {
            return self.outbox.reply(token, false, &format!("{name} has nothing installed"));
        }
        if state.record.staged.is_some()
            || (state.record.phase == Phase::Collected && !state.record.is_held())
        {
            return self.outbox.reply(token, false, &being_deployed(&name));
        }
        if state.pending.broken {
            let text = format!(
                "{name} was not rolled back: {}",
                "its last step ended with an internal error; run `certcollectd resume` to continue"
            );
            return self.outbox.reply(token, false, &text);
        }
        state.pending.rollback = true;
        self.wait_for(token, false);
        self.touch();
    }

    pub(crate) fn roll_back(&mut self, inspection: Inspection) {
        let Inspection { keys, previous, .. } = inspection;
        let previous = previous.and_then(|(name, certificates, files)| {
            let leaf = certificates
                .iter()
                .filter(|certificate| !certificate.is_ca())
                .max_by_key(|leaf| leaf.not_before())?
                .clone();
            Some((name, certificates, files, leaf))
        });
        let Some((name, certificates, files, leaf)) = previous else {
            let text = "there is no complete earlier generation to roll back to";
            return self.refuse_rollback(text);
        };
        let is_probes = self.is_for_probe();
        if is_probes && leaf.not_after() <= self.now.unix() {
            return self.refuse_rollback("the certificate before it has expired");
        }
        let key = match &self.entry().key {
            KeySource::Keys(paths) => {
                let fits = |known: &KeyCandidate| known.key.as_ref().is_ok_and(|key| key.matches(&leaf));
                keys.iter().position(fits).and_then(|at| paths.get(at).cloned())
            }
            KeySource::None | KeySource::Csr(_) | KeySource::Request(_) => None,
        };
        let material = deploy::material(&leaf, &certificates, key, self.now.unix());
        // The generation itself is complete; the copies are rewritten.
        let lacks_key = |copy: &&FileCopy| copy.from.holds_key() && material.key.is_none();
        if let Some(copy) = self.entry().copies.iter().find(lacks_key) {
            let (to, serial, files) = (copy.to.display(), leaf.serial_text(), looked_at(&keys));
            let why = format!(
                "the key of serial {serial}, which is in none of the key files ({files}); add its file to key_file"
            );
            return self.refuse_rollback(&format!("not rolled back: {to} needs {why}"));
        }
        let generation = deploy::generation(self.entry(), &name, &material, files);
        self.set_bundle(Bundle::Passed(certificates, Box::new(material)));
        self.state.record.rollback = true;
        self.state.record.staged = Some(Box::new(generation));
        self.change_phase(Trigger::Staged, None);
        let why = if is_probes {
            "because the newer certificate is not served; `certcollectd accept` installs it again"
        } else {
            "at the operator's request"
        };
        self.note(Level::Warn, NoteKind::Rollback, format!("rolling back to generation {name} {why}"));
        self.outbox.save_first();
    }

    /// What is installed stays.
    pub(crate) fn give_rollback_up(&mut self, why: &str) {
        self.drop_bundle();
        self.change_phase(Trigger::Lost, None);
        self.state.pending.look = true;
        self.set_due();
        let text = format!("{why}; the rollback was cancelled");
        if !self.is_for_probe() {
            self.note(Level::Error, NoteKind::Rollback, text.clone());
        }
        self.refuse_rollback(&text);
        self.outbox.save_first();
    }

    fn refuse_rollback(&mut self, why: &str) {
        if self.forget_probe_rollback() {
            let text = format!("the installed certificate stays, although it is not served: {why}");
            self.note(Level::Error, NoteKind::Rollback, text);
            self.touch();
        }
        self.outbox.refuse_waiters(self.id, why);
    }
}

/// Each key file, and why it could not be read.
fn looked_at(keys: &[KeyCandidate]) -> String {
    let file = |candidate: &KeyCandidate| match &candidate.key {
        Ok(_) => candidate.label.clone(),
        Err(why) => format!("{} ({why})", candidate.label),
    };
    keys.iter().map(file).collect::<Vec<_>>().join(", ")
}
