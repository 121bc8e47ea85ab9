//! Takeover: files that other programs serve become the installed generation of an order, without a poll, a
//! hook or a reload.
//!
//! The generation is laid out on disk before, and the entry is written to the configuration afterwards. In
//! between the record waits among those of orders that are not configured: whenever the daemon reads the new
//! entry, the order is installed already, so no poll can come first.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::api::{OrderRef, Untrusted};
use crate::cert::Certificate;
use crate::config;
use crate::engine::Engine;
use crate::engine::command::CommandReply;
use crate::engine::event::Effect;
use crate::engine::id::Token;
use crate::engine::install::{InstalledFile, Material};
use crate::engine::loaded::Remembered;
use crate::engine::note::{Level, Note, NoteKind};
use crate::engine::order::deploy;
use crate::engine::order::floor::{keep_floor, remember_former};
use crate::engine::order::phase::{Phase, Trigger, transition};
use crate::engine::order::record::{Generation, OrderRecord, of_another_number};
use crate::engine::time::Now;

/// An order and what is laid out for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Takeover {
    pub name: Arc<str>,
    pub account: Arc<str>,
    /// With its parameter, as in [`OrderRecord::handle`].
    pub handle: Box<str>,
    pub generation: Generation,
}

impl Takeover {
    /// For an entry as it will be, or is, in the configuration.
    pub fn new(
        entry: &config::Order,
        generation: &str,
        material: &Material,
        files: Vec<InstalledFile>,
    ) -> Takeover {
        Takeover {
            name: entry.name.clone(),
            account: entry.account.clone(),
            handle: entry.handle.identity().into(),
            generation: deploy::generation(entry, generation, material, files),
        }
    }
}

/// The certificate and its chain, out of everything that lies beside it.
pub fn material(leaf: &Certificate, pool: &[Certificate], key: Option<&Path>, now: Now) -> Material {
    deploy::material(leaf, pool, key.map(Path::to_owned), now.unix())
}

/// The name of a generation that is laid out now.
pub fn generation_name(leaf: &Certificate, now: Now) -> String {
    deploy::generation_name(leaf, None, now)
}

/// What would be lost of an order that is not configured any more: what is installed may still be served.
fn in_the_way(known: &OrderRecord, generation: &Generation) -> Option<String> {
    if let Some(installed) = &known.installed
        && installed.fingerprint != generation.fingerprint
    {
        return Some(format!("generation {} with another certificate is installed", installed.name));
    }
    if known.staged.is_some() || known.bundled {
        return Some("a certificate of the vendor's is waiting to be installed".into());
    }
    known.owed().next().map(|debt| format!("hook {} is still owed", debt.hook))
}

impl Engine {
    /// All of them are tried; the reply says of which it was refused and why, its data name them.
    pub(crate) fn take_over(&mut self, token: Token, takeovers: Vec<Takeover>) {
        let (mut refused, mut names) = (Vec::new(), Vec::new());
        for takeover in takeovers {
            let name = takeover.name.clone();
            if let Err(why) = self.take_one_over(takeover) {
                refused.push(format!("{}: not taken over: {why}", Untrusted::new(&name)));
                names.push(name);
            }
        }
        self.outbox.save_first();
        let mut reply = CommandReply::new(refused.is_empty(), refused.join("\n"));
        reply.data = serde_json::json!(names);
        self.outbox.say(Effect::Reply { token, reply });
    }

    /// Changes nothing. Of the data, `refused` names those that [`Command::TakeOver`] would refuse, which the reply
    /// says why, and `installed` those that are configured and have a generation.
    ///
    /// [`Command::TakeOver`]: crate::engine::command::Command::TakeOver
    pub(crate) fn check_take_over(&mut self, token: Token, takeovers: &[Takeover]) {
        let (mut refused, mut names, mut installed) = (Vec::new(), Vec::new(), Vec::new());
        for takeover in takeovers {
            let name = takeover.name.clone();
            let id = self.orders.find(&name);
            if id.is_some_and(|id| self.orders.state(id).record.installed.is_some()) {
                installed.push(name);
            } else if let Some(why) = self.may_take_over(takeover).err() {
                refused.push(format!("{}: not taken over: {why}", Untrusted::new(&name)));
                names.push(name);
            }
        }
        let mut reply = CommandReply::new(refused.is_empty(), refused.join("\n"));
        reply.data = serde_json::json!({ "refused": names, "installed": installed });
        self.outbox.say(Effect::Reply { token, reply });
    }

    fn may_take_over(&mut self, takeover: &Takeover) -> Result<(), String> {
        let Takeover { name, account, handle, generation } = takeover;
        if !config::is_name(name) {
            return Err("it is no name of an order".into());
        }
        if self.accounts().gate_of(account).is_none() {
            return Err(format!("there is no account {}", Untrusted::new(account)));
        }
        if let Some(id) = self.orders.find(name) {
            let record = &self.orders.state(id).record;
            if record.handle != *handle || record.account != *account {
                let number = Untrusted::new(OrderRef::text_of(&record.handle));
                return Err(format!("it is configured with number {number}"));
            }
            if let Some(installed) = &record.installed {
                return Err(format!("generation {} of it is installed", installed.name));
            }
            if record.staged.is_some() || record.phase != Phase::Waiting || record.bundled {
                return Err(
                    "a certificate of the vendor's is being installed, or the order needs attention; \
                            see `certcollectd status`"
                        .into(),
                );
            }
        } else if let Some(known) = self.orders.archive.get(name)
            && let Some(why) = in_the_way(&known.record, generation)
        {
            let name = Untrusted::new(name);
            return Err(format!(
                "{why}, from an earlier entry; put that entry back, or run `certcollectd forget {name}`"
            ));
        }
        Ok(())
    }

    fn take_one_over(&mut self, takeover: Takeover) -> Result<(), String> {
        self.may_take_over(&takeover)?;
        let Takeover { name, account, handle, generation } = takeover;
        let text = format!(
            "generation {} was taken over from the files that are served; nothing was replaced and no hook runs",
            generation.name
        );
        let generation = Box::new(Generation { at: self.now.unix(), ..generation });
        if let Some(id) = self.orders.find(&name) {
            self.orders.state_mut(id).record.installed = Some(generation);
            let mut order = self.order(id);
            order.change_phase(Trigger::InPlace, None);
            order.set_due();
            order.note(Level::Info, NoteKind::Adopted, text);
            return Ok(());
        }
        let mut record = OrderRecord::new(account, handle, self.now);
        if let Some(known) = self.orders.archive.get(&name) {
            let known = &known.record;
            remember_former(&mut record, known);
            let is_same = known.account == record.account && known.handle == record.handle;
            record.pushed = if is_same { known.pushed.clone() } else { of_another_number(known) };
            record.uncovered.clone_from(&known.uncovered);
            record.warned = known.warned;
        }
        keep_floor(&mut record, &self.orders.last_asked());
        record.installed = Some(generation);
        record.phase = transition(record.phase, Trigger::InPlace, record.standing());
        self.orders.archive.insert(name.clone(), Remembered { record, bundle: None });
        self.outbox.unsaved.archived.insert(name.clone());
        let note = Note {
            level: Level::Info,
            kind: NoteKind::Adopted,
            order: Some(name),
            account: None,
            at: self.now.unix(),
            text,
        };
        self.outbox.note(note, self.now);
        Ok(())
    }
}
