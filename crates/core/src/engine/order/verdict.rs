//! What was collected is judged before anything is written. It passes, it waits for its time, or it goes to
//! quarantine with the reasons while the working certificate stays.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::Duration;

use crate::api::{Product, Untrusted};
use crate::cert::{Certificate, Expectation, Fingerprint, KeyExpectation, PublicKey, Severity, Verdict};
use crate::config::{FileKind, KeySource};
use crate::engine::install::{Inspection, InstalledFile, Material};
use crate::engine::note::{Level, NoteKind};
use crate::engine::order::bundle::Bundle;
use crate::engine::order::deploy::generation;
use crate::engine::order::phase::{Phase, Trigger};
use crate::engine::order::record::Generation;
use crate::engine::order::unread::unread;
use crate::engine::order::{Order, contents};
use crate::engine::reissue::demands;
use crate::engine::time::rfc3339;
use crate::{cert, config};

/// A certificate that is not valid yet is checked again at least this often: the clock may be wrong.
const HOLD_CHECK: Duration = Duration::from_secs(3600);
/// No certificate of an order can be older than this program's first release; a clock before it is wrong.
const EARLIEST_CLOCK: i64 = 1_795_132_800;

impl Order<'_> {
    /// Judges the bundle at hand.
    pub(crate) fn judge(&mut self, inspection: &Inspection, on_record: &[Box<str>]) {
        let Some(bundle) = self.state.bundle.certificates().cloned() else { return };
        let entry = self.entry();
        let installed = self.state.record.installed.as_ref().map(|installed| cert::Installed {
            fingerprint: installed.fingerprint,
            not_before: installed.not_before,
            not_after: installed.not_after,
        });
        let request = demands::open_request(&self.state.record);
        let covered = self.promised(found_leaf(inspection), on_record);
        let verdict = catch_unwind(AssertUnwindSafe(|| {
            let on_disk = found_leaf(inspection).map(|leaf| cert::Installed {
                fingerprint: leaf.fingerprint(),
                not_before: leaf.not_before(),
                not_after: leaf.not_after(),
            });
            cert::judge(
                &bundle,
                &expectation(entry, inspection, installed.or(on_disk), &covered, request.as_ref()),
                self.now.unix(),
            )
        }));
        let Ok(mut verdict) = verdict else { return self.stop_after_bug("verifying the certificate") };
        if let Some(generation) = self.placed_before(&verdict, inspection) {
            return self.about_to_place(generation);
        }
        if let Some(leaf) = &verdict.leaf {
            verdict.findings.extend(demands::findings(&self.state.record, leaf));
        }
        let overridden =
            verdict.leaf.as_ref().is_some_and(|leaf| self.state.record.accepted == Some(leaf.fingerprint()));
        match &verdict.leaf {
            Some(_) if !verdict.blocked() || overridden => {
                self.pass(verdict, inspection, on_record, overridden)
            }
            _ => match unread(&verdict, inspection) {
                Some(why) => self.postpone(&why),
                None => self.refuse(&bundle, verdict),
            },
        }
    }

    /// The refusal may have been caused by this machine: another key in the same file, other roots, the clock.
    pub(crate) fn judge_again(&mut self) {
        let state = &mut *self.state;
        let refused = state.record.phase == Phase::Quarantined && state.record.staged.is_none();
        state.pending.verify |= refused && !state.bundle.is_none();
    }

    fn pass(&mut self, verdict: Verdict, inspection: &Inspection, on_record: &[Box<str>], overridden: bool) {
        self.end_postponement();
        let leaf = verdict.leaf.expect("the caller looked");
        let fingerprint = leaf.fingerprint();
        let record = &self.state.record;
        let in_place =
            record.installed.as_ref().is_some_and(|installed| installed.fingerprint == fingerprint);
        if in_place || (record.rolled_back_from == Some(fingerprint) && !overridden) {
            // Among others the bundle holds what is installed, or what the operator rolled back from.
            self.drop_bundle();
            self.change_phase(Trigger::InPlace, None);
            self.state.pending.look = in_place;
            return self.set_due();
        }
        for finding in verdict.findings.iter().filter(|finding| finding.level != Severity::Off) {
            let by = if overridden { " (accepted by the operator)" } else { "" };
            self.note(Level::Warn, NoteKind::Verdict, format!("{finding}{by}"));
        }
        let material = Material {
            leaf,
            chain: verdict.chain.intermediates,
            root: verdict.chain.root,
            key: self.key_at(verdict.key),
        };
        if let Some(generation) = self.already_there(&material, inspection) {
            return self.record_as_installed(generation);
        }
        let mut text = format!(
            "collected a certificate with serial {} that expires {}",
            material.leaf.serial_text(),
            rfc3339(material.leaf.not_after())
        );
        let first = self.state.record.installed.is_none();
        let unpinned = self.entry().is_unpinned();
        if first && unpinned {
            text.push_str(&format!(
                ", for {}; nothing in its entry confirms that this is right: set domains, key_file or csr_file",
                shown_names(&material.leaf)
            ));
        }
        let level = if first && unpinned { Level::Warn } else { Level::Info };
        let known = self.state.record.phase == Phase::Collected;
        if first && !overridden {
            self.record_uncovered(found_leaf(inspection), on_record, &material.leaf);
        }
        self.pass_bundle(material);
        self.change_phase(Trigger::Verified, None);
        if !known {
            self.note(level, NoteKind::Collected, text);
        }
    }

    fn refuse(&mut self, bundle: &[Certificate], verdict: Verdict) {
        self.end_postponement();
        let blocking: Vec<String> = verdict
            .findings
            .iter()
            .filter(|finding| finding.level == Severity::Block)
            .map(ToString::to_string)
            .collect();
        let only_dates = verdict
            .findings
            .iter()
            .filter(|finding| finding.level == Severity::Block)
            .all(|finding| finding.check == cert::Check::Dates);
        if let (Some(from), true) = (verdict.not_yet_valid_until, only_dates) {
            return self.wait_until_valid(from);
        }
        let clock = if self.now.unix() < EARLIEST_CLOCK { "; this machine's clock is wrong" } else { "" };
        let reason = format!("{}{clock}", blocking.join("; "));
        let mut certificates = bundle.to_vec();
        if let Some(leaf) = &verdict.leaf {
            // The presumed leaf first, for the person who looks at it.
            certificates.sort_by_key(|certificate| certificate.fingerprint() != leaf.fingerprint());
        }
        self.state.record.leafless = verdict.leaf.is_none();
        // Saved in the new order: `accept` goes by the first one, also after a restart.
        self.set_bundle(Bundle::Refused(certificates));
        if self.change_phase(Trigger::Refused, Some(reason.clone())) {
            let stays =
                if self.state.record.installed.is_some() { "; the installed certificate stays" } else { "" };
            let name = self.state.name.clone();
            let accept = match &verdict.leaf {
                Some(_) => format!("`certcollectd accept {name}` installs it anyway"),
                None => "it is unknown which one to install, so there is none to accept".to_owned(),
            };
            let text = format!(
                "the collected certificate was refused: {reason}{stays}; polling continues, {}; {accept}",
                self.next_poll()
            );
            self.note(Level::Error, NoteKind::Quarantined, text);
            self.state.pending.quarantine = true;
        }
        if self.state.record.due.is_none() {
            self.set_due();
        }
        self.schedule_look();
        self.outbox.save_first();
    }

    /// Right in everything but that its time has not come.
    fn wait_until_valid(&mut self, from: i64) {
        let first = self.state.hold_until.is_none();
        let clock = if self.now.unix() < EARLIEST_CLOCK { "; this machine's clock is wrong" } else { "" };
        let text =
            format!("the certificate is not valid before {}; it is installed then{clock}", rfc3339(from));
        let until = self
            .now
            .time_of(from)
            .min(self.now.time + HOLD_CHECK)
            .max(self.now.time + Duration::from_secs(1));
        let state = &mut *self.state;
        state.hold_until = Some(until);
        state.pending.verify = true;
        if let Some(heard) = &mut state.record.heard {
            // What stands in `status` while the order waits.
            heard.text = format!("issued; {text}").into();
        }
        if first {
            self.note(Level::Info, NoteKind::NotYetValid, text);
        }
        self.touch();
    }

    /// The file of a key candidate.
    fn key_at(&self, index: Option<usize>) -> Option<PathBuf> {
        match &self.entry().key {
            KeySource::Keys(paths) => paths.get(index?).cloned(),
            KeySource::None | KeySource::Csr(_) | KeySource::Request(_) => None,
        }
    }

    /// What readers see already of an installation during which the process ended: its hooks are owed, whatever the
    /// verdict is by now.
    fn placed_before(&self, verdict: &Verdict, inspection: &Inspection) -> Option<Generation> {
        if !self.state.record.is_being_placed(inspection.link.generation()?) {
            return None;
        }
        let key = self.key_at(verdict.key);
        if key.is_none() && matches!(&self.entry().key, KeySource::Keys(paths) if !paths.is_empty()) {
            // It cannot be read just now, and copies may need it.
            return None;
        }
        let chain = verdict.chain.clone();
        let material =
            Material { leaf: verdict.leaf.clone()?, chain: chain.intermediates, root: chain.root, key };
        self.already_there(&material, inspection)
    }

    /// After a loss of the state, or under one restored from a backup: what readers see is another generation than
    /// the one on record, and to the byte what would be installed.
    fn already_there(&self, material: &Material, inspection: &Inspection) -> Option<Generation> {
        let record = &self.state.record;
        let name = inspection.link.generation()?;
        let on_record = record.installed.as_ref().is_some_and(|installed| *installed.name == *name);
        if on_record || record.staged.is_some() {
            return None;
        }
        let entry = self.entry();
        let mut files = Vec::new();
        for (kind, file, mode) in contents::wanted(&entry.settings.files) {
            let found = inspection.files.iter().find(|(name, _)| name == file);
            if kind == FileKind::Root && material.root.is_none() && found.is_none() {
                // The vendor did not send one, now or then.
                continue;
            }
            let (_, digest) = found?;
            if let Some(content) = contents::without_key(kind, material)
                && Fingerprint::of(&content) != *digest
            {
                return None;
            }
            files.push(InstalledFile { name: file.to_owned(), digest: *digest, mode });
        }
        found_leaf(inspection).filter(|leaf| leaf.fingerprint() == material.leaf.fingerprint())?;
        Some(Generation { at: self.now.unix(), ..generation(entry, name, material, files) })
    }

    fn record_as_installed(&mut self, generation: Generation) {
        let text = format!(
            "generation {} is already in place; nothing was written and no hook runs",
            generation.name
        );
        let state = &mut *self.state;
        state.record.installed = Some(Box::new(generation));
        state.record.drift = None;
        state.record.lost = None;
        state.record.warned = 0;
        self.accept_offered();
        self.revocation_answered(false);
        self.reissue_over();
        self.drop_bundle();
        self.change_phase(Trigger::InPlace, None);
        self.set_due();
        self.note(Level::Info, NoteKind::Adopted, text);
        self.outbox.save_first();
    }
}

fn expectation<'a>(
    entry: &'a config::Order,
    inspection: &'a Inspection,
    installed: Option<cert::Installed>,
    covered: &'a [Box<str>],
    request: Option<&'a PublicKey>,
) -> Expectation<'a> {
    let requested = || match (request, &inspection.csr) {
        // The certificate of a re-issue that is open has its request's key.
        (Some(key), _) => Ok(key),
        (None, Some(csr)) => csr.as_ref().map_err(Clone::clone),
        (None, None) => Err("it was not read".into()),
    };
    let key = match &entry.key {
        KeySource::None => KeyExpectation::None,
        KeySource::Keys(_) => KeyExpectation::Candidates(&inspection.keys),
        KeySource::Csr(_) | KeySource::Request(_) => KeyExpectation::Csr(requested()),
    };
    Expectation {
        policy: entry.settings.verify,
        purpose: match entry.settings.product {
            Product::Ssl => cert::Purpose::Server,
            Product::Mark => cert::Purpose::Mark,
            Product::Smime => cert::Purpose::Email,
        },
        key,
        domains: &entry.domains,
        installed,
        covered,
        anchors: inspection
            .anchors
            .as_ref()
            .and_then(|anchors| anchors.as_ref().ok())
            .map(|anchors| &**anchors),
    }
}

/// The first of its names.
fn shown_names(leaf: &Certificate) -> String {
    const SHOWN: usize = 10;
    let mut names: Vec<String> =
        leaf.names().iter().take(SHOWN).map(|name| Untrusted::new(&name.to_string()).to_string()).collect();
    match leaf.names().len() {
        0 => return "no names".into(),
        all if all > SHOWN => names.push(format!("and {} more", all - SHOWN)),
        _ => {}
    }
    names.join(", ")
}

/// The end entity among the certificates of the generation that readers see.
fn found_leaf(inspection: &Inspection) -> Option<&Certificate> {
    inspection.certificates.iter().find(|certificate| !certificate.is_ca())
}
