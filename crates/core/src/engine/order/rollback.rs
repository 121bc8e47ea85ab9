//! Back to the generation before the current one, at the operator's word.

use crate::cert::KeyCandidate;
use crate::config::{FileCopy, KeySource};
use crate::engine::command::being_deployed;
use crate::engine::id::{OrderId, Token};
use crate::engine::install::Inspection;
use crate::engine::note::Level;
use crate::engine::order::deploy;
use crate::engine::order::{Phase, Trigger};
use crate::engine::{Engine, NoteKind};

impl Engine {
    pub(in crate::engine) fn want_rollback(&mut self, token: Token, id: OrderId) {
        let name = self.orders.slot_name(id);
        let slot = self.orders.slot_mut(id);
        if slot.record.installed.is_none() {
            return self.outbox.reply(token, false, &format!("{name} has nothing installed"));
        }
        if slot.record.staged.is_some() || slot.record.phase == Phase::Collected {
            return self.outbox.reply(token, false, &being_deployed(&name));
        }
        if slot.pending.broken {
            let text = format!(
                "{name} was not rolled back: {}",
                "its last work ended with an internal error; `certcollectd resume` takes it up again"
            );
            return self.outbox.reply(token, false, &text);
        }
        slot.pending.rollback = true;
        self.wait_for(id, token, false);
        self.touch(id);
    }

    pub(in crate::engine) fn roll_back(&mut self, id: OrderId, inspection: Inspection) {
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
            let text = "there is no complete generation before the current one to go back to";
            return self.refuse_rollback(id, text);
        };
        let key = match &self.entry(id).key {
            KeySource::Keys(paths) => {
                let fits = |known: &KeyCandidate| known.key.as_ref().is_ok_and(|key| key.matches(&leaf));
                keys.iter().position(fits).and_then(|at| paths.get(at).cloned())
            }
            KeySource::None | KeySource::Csr(_) | KeySource::Request(_) => None,
        };
        let material = deploy::material(&leaf, &certificates, key, self.now.unix());
        // The generation itself is complete; the copies are rewritten.
        let lacks_key = |copy: &&FileCopy| copy.from.holds_key() && material.key.is_none();
        if let Some(copy) = self.entry(id).copies.iter().find(lacks_key) {
            let (to, serial, files) = (copy.to.display(), leaf.serial_text(), looked_at(&keys));
            let why = format!(
                "the key of serial {serial}, which is in none of the key files ({files}); name its file in key_file as well"
            );
            return self.refuse_rollback(id, &format!("not rolled back: {to} needs {why}"));
        }
        let generation = deploy::generation(self.entry(id), &name, &material, files);
        let slot = self.orders.slot_mut(id);
        slot.bundle = Some(certificates);
        slot.material = Some(Box::new(material));
        slot.record.bundled = true;
        slot.record.rollback = true;
        slot.record.staged = Some(Box::new(generation));
        self.outbox.unsaved.bundles.insert(id);
        self.change_phase(id, Trigger::Staged, None);
        self.note(
            Level::Warn,
            NoteKind::Rollback,
            Some(id),
            format!("going back to generation {name} at the operator's word"),
        );
        self.outbox.save_first();
    }

    /// What is installed stays.
    pub(in crate::engine) fn give_rollback_up(&mut self, id: OrderId, why: &str) {
        self.drop_bundle(id);
        self.change_phase(id, Trigger::Lost, None);
        self.orders.slot_mut(id).pending.look = true;
        self.set_due(id);
        let text = format!("{why}; the rollback was given up");
        self.refuse_rollback(id, &text);
        self.note(Level::Error, NoteKind::Rollback, Some(id), text);
        self.outbox.save_first();
    }

    fn refuse_rollback(&mut self, id: OrderId, why: &str) {
        self.outbox.refuse_waiters(id, why);
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
