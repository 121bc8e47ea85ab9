//! The guard of an installed order: is there a newer certificate, and are the files still what they were?

use std::time::Duration;

use crate::cert::{Certificate, SignatureCheck};
use crate::config::FileKind;
use crate::engine::install::{Inspection, Link, Material};
use crate::engine::note::{Level, NoteKind};
use crate::engine::order::Order;
use crate::engine::order::bundle::Bundle;
use crate::engine::order::deploy::{made_of, spec_of};
use crate::engine::order::phase::{Phase, Trigger};
use crate::{cert, config};

/// Missing or unreadable files are checked again after this.
const LOOK_AGAIN: Duration = Duration::from_secs(300);

impl Order<'_> {
    /// The guard's check: restores what is missing; reports what was changed, and leaves it alone.
    pub(crate) fn look_at_files(&mut self, inspection: &Inspection) {
        let record = &self.state.record;
        let Some(installed) = &record.installed else { return self.forget_spare() };
        let respec = installed.spec != spec_of(self.entry());
        let missing = inspection.link == Link::Missing || !inspection.missing.is_empty();
        // A dangling link is never intended.
        let elsewhere = !missing && inspection.link.generation().is_some_and(|name| name != &*installed.name);
        let mut drift = Vec::new();
        match &inspection.link {
            Link::Foreign(what) => {
                drift.push(format!("something else is where the link belongs: {what}; move it away"));
            }
            Link::Generation(name) if elsewhere => {
                drift.push(format!("the link was set to generation {name} outside certcollectd"))
            }
            Link::Generation(_) | Link::Missing | Link::Unknown(_) => {}
        }
        let in_the_way = !drift.is_empty() || !inspection.unreadable.is_empty();
        drift
            .extend(inspection.altered.iter().map(|file| format!("{file} was changed outside certcollectd")));
        let foreign = in_the_way || !drift.is_empty();
        drift.extend(inspection.uncorrected.iter().cloned());
        let drift = Some(drift.join("; ")).filter(|drift| !drift.is_empty());
        let rootless = installed.root.is_none() && wants_root(self.entry());
        // Restored files resume the order, so where the operator must act first they are not restored.
        let lost = missing && !in_the_way && !record.phase.is_stopped();
        if lost || ((respec || rootless) && !foreign) {
            let mut spare = self.state.bundle.certificates().cloned().unwrap_or_default();
            let found = inspection.certificates.iter().filter(|found| !spare.contains(found)).cloned();
            let found: Vec<Certificate> = found.collect();
            spare.extend(found);
            let mut material = made_of(installed, &spare, self.now.unix());
            if let Some(material) = material.as_mut().filter(|material| material.root.is_none()) {
                material.root = root_of(material, &spare);
            }
            let rooted = rootless && material.as_ref().is_some_and(|material| material.root.is_some());
            let why = match (lost, respec) {
                (true, _) => format!("installed files are missing: {}", not_found(inspection)),
                (false, true) => "the configuration of the files has changed".to_owned(),
                (false, false) => "the vendor now sends a root".to_owned(),
            };
            match material {
                Some(material) if lost && inspection.unlinked && !respec => {
                    return self.link_again(spare, material);
                }
                Some(material) if lost || respec || rooted => {
                    self.set_bundle(Bundle::Passed(spare, Box::new(material)));
                    self.change_phase(Trigger::Verified, None);
                    let replaced = match &drift {
                        Some(drift) if lost => format!(" ({drift})"),
                        _ => String::new(),
                    };
                    let text = format!("{why}{replaced}; the files are rewritten");
                    self.note(Level::Warn, NoteKind::Rewrite, text);
                    return;
                }
                Some(_) => {}
                None if respec && !lost => {
                    let text = format!("{why}; they are rewritten with the next poll");
                    self.log(Level::Warn, NoteKind::Rewrite, text);
                }
                None => {}
            }
        }
        self.tell_lost(inspection, missing);
        let drift: Option<Box<str>> = drift.map(String::into_boxed_str);
        if self.state.record.drift != drift {
            if let Some(text) = &drift {
                let text = format!("{text}; left unchanged");
                self.note(Level::Warn, NoteKind::Drift, text);
            }
            self.state.record.drift = drift;
            self.touch();
        }
        self.forget_spare();
    }

    /// Only the link to the installed generation is missing. Restoring it needs no key or other file of the operator.
    fn link_again(&mut self, bundle: Vec<Certificate>, material: Material) {
        self.set_bundle(Bundle::Passed(bundle, Box::new(material)));
        self.state.record.staged = self.state.record.installed.clone();
        self.change_phase(Trigger::Staged, None);
        let text = "installed files are missing: no link leads to them; it is restored";
        self.note(Level::Warn, NoteKind::Rewrite, text.into());
        self.outbox.save_first();
    }

    /// Missing files are an alarm for as long as they are missing.
    fn tell_lost(&mut self, inspection: &Inspection, missing: bool) {
        let record = &self.state.record;
        let mut lost = [&inspection.unreadable[..], &inspection.unseen].concat();
        if missing {
            let next = if record.phase.is_stopped() {
                format!("`certcollectd resume {}` restores them", self.state.name.clone())
            } else if matches!(inspection.link, Link::Foreign(_)) {
                "they are rewritten once nothing is in their place".to_owned()
            } else if inspection.unreadable.is_empty() {
                "they are rewritten with the next poll".to_owned()
            } else {
                "they are rewritten once that is fixed".to_owned()
            };
            lost.push(format!("readers cannot find {}; {next}", not_found(inspection)));
        }
        let lost: Option<Box<str>> =
            Some(lost.join("; ")).filter(|lost| !lost.is_empty()).map(String::into_boxed_str);
        if lost.is_some() {
            self.state.look_from = Some(self.now.time + LOOK_AGAIN);
        }
        if self.state.record.lost == lost {
            return;
        }
        match &lost {
            Some(text) => self.note(Level::Error, NoteKind::Lost, text.to_string()),
            None => {
                let text = "readers find the installed files again".to_owned();
                self.note(Level::Info, NoteKind::Found, text);
            }
        }
        self.state.record.lost = lost;
        self.touch();
    }

    /// What is installed is looked after whatever the vendor says, and although it says nothing; not while another
    /// certificate is about to take its place.
    pub(crate) fn schedule_look(&mut self) {
        let state = &mut *self.state;
        let record = &state.record;
        let rests = record.installed.is_some() && record.staged.is_none() && record.is_polled();
        state.pending.look |= rests && !state.pending.verify;
    }

    fn forget_spare(&mut self) {
        if matches!(self.state.bundle, Bundle::ForRestore(_)) {
            self.state.bundle = Bundle::None;
        }
    }

    /// Whether a bundle brings nothing that is not installed: it holds the installed certificate, and no end
    /// entity that begins later. The one that the operator rolled back from does not count as news either.
    pub(crate) fn is_in_place(&self, bundle: &[Certificate]) -> bool {
        let record = &self.state.record;
        let Some(installed) = &record.installed else { return false };
        if record.staged.is_some() || record.phase == Phase::Collected {
            return false;
        }
        let rolled_back = record.rolled_back_from;
        let known = |certificate: &Certificate| {
            certificate.fingerprint() == installed.fingerprint
                || Some(certificate.fingerprint()) == rolled_back
        };
        bundle.iter().any(known)
            && !bundle.iter().any(|certificate| {
                !certificate.is_ca() && !known(certificate) && certificate.not_before() > installed.not_before
            })
    }

    /// The guard's usual finding. The bundle serves to restore missing files, and is not kept.
    pub(crate) fn nothing_new(&mut self, bundle: Vec<Certificate>) {
        let held_back = self
            .state
            .record
            .rolled_back_from
            .is_some_and(|known| bundle.iter().any(|certificate| certificate.fingerprint() == known));
        self.learn_common_name(&bundle);
        self.reissue_unchanged();
        // A refused re-issue that the vendor no longer offers goes with it.
        self.set_bundle(if held_back { Bundle::None } else { Bundle::ForRestore(bundle) });
        self.state.pending.look = true;
        if self.change_phase(Trigger::InPlace, None) {
            self.note(
                Level::Info,
                NoteKind::InPlace,
                "the vendor offers the installed certificate again".into(),
            );
        }
        self.set_due();
        let text = if held_back {
            format!(
                "the vendor still offers the certificate that was rolled back; `certcollectd accept {}` installs it",
                self.state.name.clone()
            )
        } else {
            format!("no newer certificate; {}", self.next_poll())
        };
        self.log(Level::Info, NoteKind::Guarded, text);
    }
}

/// The names of what is missing; at most five, then how many more.
fn not_found(inspection: &Inspection) -> String {
    const SHOWN: usize = 5;
    let missing = &inspection.missing;
    match missing.len() {
        0 => "any of them: there is no link to them".to_owned(),
        1..=SHOWN => missing.join(", "),
        all => format!("{} and {} more", missing[..SHOWN].join(", "), all - SHOWN),
    }
}

/// Whether a file of the order, or a copy, is the root.
fn wants_root(entry: &config::Order) -> bool {
    entry.settings.files.name(FileKind::Root).is_some()
        || entry.copies.iter().any(|copy| copy.from == FileKind::Root)
}

/// The self-signed certificate of the signer of a chain's end, or of the end itself where it is cross-signed.
fn root_of(chain: &Material, pool: &[Certificate]) -> Option<Certificate> {
    let top = chain.chain.last().unwrap_or(&chain.leaf);
    let mut roots = pool.iter().filter(|known| known.is_self_issued());
    let twin = |root: &&Certificate| root.subject() == top.subject() && root.spki() == top.spki();
    let signed = |root: &&Certificate| {
        root.subject() == top.issuer() && cert::signed_by(top, root) == SignatureCheck::Good
    };
    roots.clone().find(signed).or_else(|| roots.find(twin)).cloned()
}
