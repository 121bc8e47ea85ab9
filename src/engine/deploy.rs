//! From a collected bundle to a generation in its place: the gate, staging, the swap, and the guard's look
//! at the files.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use aws_lc_rs::digest;

use super::event::{
    Activate, Effect, Inspect, Inspection, InstallError, InstalledFile, Level, Link, Material, OrderId,
    Quarantine, Stage, StagedFiles,
};
use super::order::{Generation, News, Phase, Trouble};
use super::time::{Now, Time};
use super::{Busy, Engine, contents, note, schedule};
use crate::api::Product;
use crate::cert::{self, Certificate, Expectation, KeyExpectation, Verdict};
use crate::config::{HookEvent, KeySource, Order, Severity};

/// A certificate that is not valid yet is looked at again at least this often: the clock may be what is wrong.
const HOLD_CHECK: Duration = Duration::from_secs(3600);
/// So many tries on this machine, and a person should look.
const ALARM: u32 = 3;
/// No certificate of an order can be older than this program's first release; a clock before it is wrong.
const EARLIEST_CLOCK: i64 = 1_795_132_800;

/// The next step of an order on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    Activate,
    Previous,
    Verify,
    Stage,
    Look,
    Quarantine,
    Sweep,
}

impl Engine {
    /// What an idle order owes on this machine, and from when on.
    pub(super) fn local_work(&self, id: OrderId, _now: Now) -> Option<(Time, Work)> {
        let slot = self.slot(id);
        let record = &slot.record;
        let retry = record.trouble.as_ref().map_or(Time::MIN, |trouble| trouble.next);
        if record.staged.is_some() {
            return Some((retry, Work::Activate));
        }
        if slot.todo.rollback {
            return Some((Time::MIN, Work::Previous));
        }
        if slot.todo.verify && slot.bundle.is_some() {
            return Some((slot.hold_until.unwrap_or(Time::MIN).max(retry), Work::Verify));
        }
        if record.phase == Phase::Collected && slot.material.is_some() {
            return Some((retry, Work::Stage));
        }
        if slot.todo.look {
            return Some((Time::MIN, Work::Look));
        }
        if slot.todo.quarantine {
            return Some((Time::MIN, Work::Quarantine));
        }
        if slot.todo.sweep && record.owed().next().is_none() {
            return Some((Time::MIN, Work::Sweep));
        }
        None
    }

    pub(super) fn start_local(&mut self, id: OrderId, work: Work, now: Now) {
        let name = self.slot_name(id);
        let (busy, effect) = match work {
            Work::Activate => match self.activation(id) {
                Some(activate) => (Busy::Activating, Effect::Activate(Box::new(activate))),
                None => return self.unstage(id, "the collected bundle is gone", now),
            },
            Work::Previous => {
                self.slot_mut(id).todo.rollback = false;
                (Busy::FindingPrevious, Effect::Inspect(Box::new(self.inspection(id, false, true))))
            }
            Work::Verify => {
                self.slot_mut(id).todo.verify = false;
                (Busy::Verifying, Effect::Inspect(Box::new(self.inspection(id, true, false))))
            }
            Work::Look => {
                self.slot_mut(id).todo.look = false;
                (Busy::Looking, Effect::Inspect(Box::new(self.inspection(id, false, false))))
            }
            Work::Stage => (Busy::Staging, Effect::Stage(Box::new(self.staging(id, now)))),
            Work::Quarantine => {
                self.slot_mut(id).todo.quarantine = false;
                let record = &self.slot(id).record;
                let reason = record.reason.as_deref().unwrap_or_default().to_owned();
                let certificates = self.slot(id).bundle.clone().unwrap_or_default();
                (
                    Busy::Tidying,
                    Effect::Quarantine(Box::new(Quarantine { order: id, name, certificates, reason })),
                )
            }
            Work::Sweep => {
                self.slot_mut(id).todo.sweep = false;
                let Some(installed) = &self.slot(id).record.installed else { return };
                (Busy::Tidying, Effect::Sweep { order: id, name, current: installed.name.to_string() })
            }
        };
        self.set_busy(id, busy);
        self.effects.push(effect);
    }

    fn inspection(&self, id: OrderId, keys: bool, previous: bool) -> Inspect {
        let entry = self.entry(id);
        let verify = &entry.settings.verify;
        let key = Some(entry.key.clone()).filter(|_| keys);
        let anchors = Some(verify.trust_anchors.clone()).filter(|_| keys && verify.trust != Severity::Off);
        let expected = self.slot(id).record.installed.as_ref().map(|installed| installed.files.clone());
        Inspect {
            order: id,
            name: entry.name.clone(),
            key,
            anchors,
            expected: expected.unwrap_or_default(),
            files: entry.settings.files.clone(),
            previous,
        }
    }

    fn staging(&self, id: OrderId, now: Now) -> Stage {
        let entry = self.entry(id);
        let material = *self.slot(id).material.clone().expect("local_work looked at it");
        Stage {
            order: id,
            name: entry.name.clone(),
            generation: generation_name(&material.leaf, now),
            material,
            files: entry.settings.files.clone(),
        }
    }

    /// The intent as recorded, with the certificates from the bundle, which is kept until this is done.
    fn activation(&self, id: OrderId) -> Option<Activate> {
        let slot = self.slot(id);
        let staged = slot.record.staged.as_ref()?;
        let entry = self.entry(id);
        let material = match &slot.material {
            Some(material) if material.leaf.fingerprint() == staged.fingerprint => (**material).clone(),
            _ => {
                let bundle = slot.bundle.as_ref()?;
                let leaf = bundle.iter().find(|known| known.fingerprint() == staged.fingerprint)?;
                material(leaf, bundle, staged.key.clone(), staged.not_before)
            }
        };
        Some(Activate {
            order: id,
            name: entry.name.clone(),
            generation: staged.name.to_string(),
            expected: staged.files.clone(),
            material,
            files: entry.settings.files.clone(),
            copies: entry.copies.clone(),
        })
    }

    pub(super) fn inspected(&mut self, id: OrderId, inspection: Inspection, now: Now) {
        let was = self.slot(id).busy;
        self.set_busy(id, Busy::Idle);
        if self.slot(id).removed {
            return;
        }
        for repaired in &inspection.repaired {
            self.note(Level::Warn, "drift", Some(id), now, format!("{repaired}; put right"));
        }
        match was {
            Busy::FindingPrevious => self.roll_back(id, inspection, now),
            Busy::Verifying => self.judge(id, &inspection, now),
            _ => self.look_at_files(id, &inspection, now),
        }
        self.reindex(id, now);
        self.answer_waiters(id, now);
    }

    /// The gate.
    fn judge(&mut self, id: OrderId, inspection: &Inspection, now: Now) {
        let Some(bundle) = self.slot(id).bundle.clone() else { return };
        let entry = self.entry(id);
        let installed = self.slot(id).record.installed.as_ref().map(|installed| cert::Installed {
            fingerprint: installed.fingerprint,
            not_before: installed.not_before,
            not_after: installed.not_after,
        });
        let verdict = catch_unwind(AssertUnwindSafe(|| {
            let on_disk = found_leaf(inspection).map(|leaf| cert::Installed {
                fingerprint: leaf.fingerprint(),
                not_before: leaf.not_before(),
                not_after: leaf.not_after(),
            });
            cert::judge(&bundle, &expectation(entry, inspection, installed.or(on_disk)), now.unix())
        }));
        let Ok(verdict) = verdict else { return self.broken_by(id, "verifying the certificate", now) };
        let overridden = verdict
            .leaf
            .as_ref()
            .is_some_and(|leaf| self.slot(id).record.accepted == Some(leaf.fingerprint()));
        match &verdict.leaf {
            Some(_) if !verdict.blocked() || overridden => {
                self.pass(id, verdict, inspection, overridden, now)
            }
            _ => self.refuse(id, &bundle, verdict, now),
        }
    }

    fn pass(&mut self, id: OrderId, verdict: Verdict, inspection: &Inspection, overridden: bool, now: Now) {
        let leaf = verdict.leaf.expect("the caller looked");
        let fingerprint = leaf.fingerprint();
        let record = &self.slot(id).record;
        let in_place =
            record.installed.as_ref().is_some_and(|installed| installed.fingerprint == fingerprint);
        if in_place || (record.refused == Some(fingerprint) && !overridden) {
            // Among others the bundle holds what is installed, or what the operator rolled back from.
            self.drop_bundle(id);
            self.turn(id, News::InPlace, None, now);
            self.slot_mut(id).todo.look = in_place;
            return self.set_due(id, now);
        }
        for finding in verdict.findings.iter().filter(|finding| finding.level != cert::Level::Off) {
            let by = if overridden { " (accepted by the operator)" } else { "" };
            self.note(Level::Warn, "gate", Some(id), now, format!("{finding}{by}"));
        }
        let key = verdict.key.and_then(|index| match &self.entry(id).key {
            KeySource::Keys(paths) => paths.get(index).cloned(),
            KeySource::None | KeySource::Csr(_) => None,
        });
        let material = Material { leaf, chain: verdict.chain.intermediates, root: verdict.chain.root, key };
        if let Some(generation) = self.already_there(id, &material, inspection, now) {
            return self.adopt(id, generation, now);
        }
        let text = format!(
            "collected a certificate with serial {} that ends {}",
            material.leaf.serial_hex(),
            super::time::rfc3339(material.leaf.not_after())
        );
        let known = self.slot(id).record.phase == Phase::Collected;
        let slot = self.slot_mut(id);
        slot.material = Some(Box::new(material));
        slot.hold_until = None;
        self.turn(id, News::Verified, None, now);
        if !known {
            self.note(Level::Info, "collected", Some(id), now, text);
        }
    }

    fn refuse(&mut self, id: OrderId, bundle: &[Certificate], verdict: Verdict, now: Now) {
        let blocking: Vec<String> = verdict
            .findings
            .iter()
            .filter(|finding| finding.level == cert::Level::Block)
            .map(ToString::to_string)
            .collect();
        let only_dates = verdict
            .findings
            .iter()
            .filter(|finding| finding.level == cert::Level::Block)
            .all(|finding| finding.check == cert::Check::Dates);
        if let (Some(from), true) = (verdict.not_yet_valid_until, only_dates) {
            return self.hold(id, from, now);
        }
        let clock = if now.unix() < EARLIEST_CLOCK { "; the clock of this machine is wrong" } else { "" };
        let reason = format!("{}{clock}", blocking.join("; "));
        let mut certificates = bundle.to_vec();
        if let Some(leaf) = &verdict.leaf {
            // The presumed leaf first, for the person who looks at it.
            certificates.sort_by_key(|certificate| certificate.fingerprint() != leaf.fingerprint());
        }
        let slot = self.slot_mut(id);
        slot.bundle = Some(certificates);
        slot.material = None;
        slot.hold_until = None;
        // In the new order: `accept` goes by the first one, also after a restart.
        self.bundles.push(id);
        if self.turn(id, News::Refused, Some(reason.clone()), now) {
            let stays = if self.slot(id).record.installed.is_some() {
                "; the installed certificate stays"
            } else {
                ""
            };
            let name = self.slot_name(id);
            let text = format!(
                "the collected certificate was refused: {reason}{stays}; polling goes on, {}; \
                 `certcollectd accept {name}` installs it all the same",
                self.next_poll(id, now)
            );
            self.note(Level::Error, "quarantined", Some(id), now, text);
            self.slot_mut(id).todo.quarantine = true;
            self.owe_hooks(id, HookEvent::Failed, now);
        }
        if self.slot(id).record.due.is_none() {
            self.set_due(id, now);
        }
        self.save_first();
    }

    /// Right in everything but that its time has not come.
    fn hold(&mut self, id: OrderId, from: i64, now: Now) {
        let first = self.slot(id).hold_until.is_none();
        let until = now.time_of(from).min(now.time + HOLD_CHECK).max(now.time + Duration::from_secs(1));
        let slot = self.slot_mut(id);
        slot.hold_until = Some(until);
        slot.todo.verify = true;
        if first {
            let clock = if now.unix() < EARLIEST_CLOCK { "; the clock of this machine is wrong" } else { "" };
            let text = format!(
                "the certificate is valid from {} on; it is installed then{clock}",
                super::time::rfc3339(from)
            );
            self.note(Level::Info, "not-yet-valid", Some(id), now, text);
        }
        self.touch(id, now);
    }

    /// After a loss of the state: what is on disk is what would be installed, to the byte.
    fn already_there(
        &self,
        id: OrderId,
        material: &Material,
        inspection: &Inspection,
        now: Now,
    ) -> Option<Generation> {
        let record = &self.slot(id).record;
        let name = inspection.link.generation()?;
        if record.installed.is_some() || record.staged.is_some() {
            return None;
        }
        let entry = self.entry(id);
        let mut files = Vec::new();
        for (kind, file, mode) in contents::wanted(&entry.settings.files) {
            let (_, digest) = inspection.files.iter().find(|(name, _)| name == file)?;
            if let Some(content) = contents::without_key(kind, material)
                && sha256(&content) != *digest
            {
                return None;
            }
            files.push(InstalledFile { name: file.to_owned(), digest: *digest, mode });
        }
        found_leaf(inspection).filter(|leaf| leaf.fingerprint() == material.leaf.fingerprint())?;
        Some(Generation { at: now.unix(), ..generation(entry, name, material, files) })
    }

    fn adopt(&mut self, id: OrderId, generation: Generation, now: Now) {
        let text = format!(
            "generation {} is in place already; nothing was written and no hook runs",
            generation.name
        );
        let slot = self.slot_mut(id);
        slot.record.installed = Some(Box::new(generation));
        self.drop_bundle(id);
        self.turn(id, News::InPlace, None, now);
        self.set_due(id, now);
        self.note(Level::Info, "adopted", Some(id), now, text);
        self.save_first();
    }

    pub(super) fn drop_bundle(&mut self, id: OrderId) {
        let slot = self.slot_mut(id);
        slot.bundle = None;
        slot.material = None;
        slot.hold_until = None;
        slot.todo.verify = false;
        slot.todo.spare = false;
        slot.record.trouble = None;
        if std::mem::take(&mut slot.record.bundled) {
            self.bundles.push(id);
        }
    }

    /// The guard's look: put back what is missing, say what was changed by hand, leave it alone.
    fn look_at_files(&mut self, id: OrderId, inspection: &Inspection, now: Now) {
        let record = &self.slot(id).record;
        let Some(installed) = &record.installed else { return self.forget_spare(id) };
        let respec = installed.spec != spec_of(self.entry(id));
        let lost = inspection.link == Link::Missing || !inspection.missing.is_empty();
        let elsewhere = inspection.link.generation().is_some_and(|name| name != &*installed.name);
        let mut drift = Vec::new();
        match &inspection.link {
            Link::Foreign(what) => drift.push(format!("the place of the link is taken: {what}")),
            Link::Unknown(why) => drift.push(format!("the installed files cannot be looked at: {why}")),
            Link::Generation(name) if elsewhere => {
                drift.push(format!("the link was set to generation {name} by somebody else"))
            }
            Link::Generation(_) | Link::Missing => {}
        }
        drift.extend(inspection.altered.iter().map(|file| format!("{file} was changed by somebody else")));
        let foreign = !drift.is_empty();
        let drift = Some(drift.join("; ")).filter(|drift| !drift.is_empty());
        if (lost || respec) && !foreign {
            let spare = self.slot(id).bundle.clone().unwrap_or_else(|| inspection.certificates.clone());
            let leaf = spare.iter().find(|known| known.fingerprint() == installed.fingerprint).cloned();
            if let Some(leaf) = leaf {
                let key = installed.key.clone();
                let why = if lost {
                    "installed files are missing"
                } else {
                    "the configuration of the files changed"
                };
                let text = format!("{why}; they are written anew");
                let material = material(&leaf, &spare, key, now.unix());
                let slot = self.slot_mut(id);
                slot.bundle = Some(spare);
                slot.material = Some(Box::new(material));
                slot.record.bundled = true;
                slot.todo.spare = false;
                self.bundles.push(id);
                self.turn(id, News::Verified, None, now);
                self.note(Level::Warn, "rewrite", Some(id), now, text);
                return;
            }
            let text =
                if lost { "installed files are missing" } else { "the configuration of the files changed" };
            self.tell(Level::Warn, "rewrite", Some(id), now, format!("{text}; written with the next poll"));
        }
        let drift: Option<Box<str>> = drift.map(String::into_boxed_str);
        if self.slot(id).record.drift != drift {
            if let Some(text) = &drift {
                let text = format!("{text}; left as it is");
                self.note(Level::Warn, "drift", Some(id), now, text);
            }
            self.slot_mut(id).record.drift = drift;
            self.touch(id, now);
        }
        self.forget_spare(id);
    }

    fn forget_spare(&mut self, id: OrderId) {
        let slot = self.slot_mut(id);
        if std::mem::take(&mut slot.todo.spare) {
            slot.bundle = None;
        }
    }

    pub(super) fn staged(&mut self, id: OrderId, result: Result<StagedFiles, InstallError>, now: Now) {
        self.set_busy(id, Busy::Idle);
        if self.slot(id).removed {
            return;
        }
        match (result, &self.slot(id).material) {
            (Ok(staged), Some(material)) => {
                let generation = generation(self.entry(id), &staged.generation, material, staged.files);
                let record = &mut self.slot_mut(id).record;
                record.staged = Some(Box::new(generation));
                record.trouble = None;
                self.turn(id, News::Staged, None, now);
                self.save_first();
            }
            // The configuration changed in between; what was staged is swept one day.
            (Ok(_), None) => {}
            (Err(error), _) => self.trouble(id, &error, now),
        }
        self.reindex(id, now);
        self.answer_waiters(id, now);
    }

    pub(super) fn activated(&mut self, id: OrderId, result: Result<(), InstallError>, now: Now) {
        self.set_busy(id, Busy::Idle);
        if self.slot(id).removed {
            return;
        }
        match result {
            Ok(()) => self.in_place(id, now),
            Err(error) if error.stale => {
                self.unstage(id, &error.to_string(), now);
            }
            Err(error) => self.trouble(id, &error, now),
        }
        self.reindex(id, now);
        self.answer_waiters(id, now);
    }

    /// Readers see the new generation.
    fn in_place(&mut self, id: OrderId, now: Now) {
        let Some(staged) = self.slot_mut(id).record.staged.take() else { return };
        let generation = Generation { at: now.unix(), ..*staged };
        let old = self.slot(id).record.installed.clone();
        let rolled_back = std::mem::take(&mut self.slot_mut(id).record.rollback);
        let text = format!(
            "installed generation {} with serial {}, valid until {}",
            generation.name,
            generation.serial,
            super::time::rfc3339(generation.not_after)
        );
        let slot = self.slot_mut(id);
        slot.record.refused = if rolled_back {
            old.map(|old| old.fingerprint)
        } else {
            slot.record.refused.filter(|refused| *refused != generation.fingerprint)
        };
        slot.record.accepted = None;
        slot.record.warned = 0;
        slot.record.drift = None;
        slot.record.installed = Some(Box::new(generation));
        slot.todo.sweep = true;
        self.drop_bundle(id);
        self.note(Level::Info, "installed", Some(id), now, text);
        self.owe_hooks(id, HookEvent::Installed, now);
        self.settle(id, now);
        self.set_due(id, now);
        self.save_first();
    }

    /// With nothing owed any more, the order is guarded.
    pub(super) fn settle(&mut self, id: OrderId, now: Now) {
        let owing = self.slot(id).record.owed().any(|debt| debt.event == HookEvent::Installed);
        if !owing && self.slot(id).record.staged.is_none() && self.slot(id).record.phase == Phase::Deploying {
            self.turn(id, News::Settled, None, now);
            self.set_due(id, now);
        }
    }

    /// What was staged cannot be used; the bundle is still there and is staged again.
    fn unstage(&mut self, id: OrderId, why: &str, now: Now) {
        let slot = self.slot_mut(id);
        slot.record.staged = None;
        slot.record.rollback = false;
        let again = slot.bundle.is_some();
        slot.todo.verify = again;
        slot.material = None;
        if again {
            self.turn(id, News::Unstaged, None, now);
        } else {
            // Nothing to stage from: the next poll brings it again.
            self.slot_mut(id).record.bundled = false;
            self.turn(id, News::Lost, None, now);
            self.set_due(id, now);
        }
        self.note(Level::Warn, "restage", Some(id), now, format!("{why}; it is written anew"));
        self.save_first();
    }

    /// Trouble on this machine: tried again by itself, with less and less haste.
    fn trouble(&mut self, id: OrderId, error: &InstallError, now: Now) {
        let tries = self.slot(id).record.trouble.as_ref().map_or(0, |trouble| trouble.tries) + 1;
        let wait = schedule::local(tries);
        let text = error.to_string();
        let same = self.slot(id).record.trouble.as_ref().is_some_and(|trouble| *trouble.text == text);
        self.slot_mut(id).record.trouble =
            Some(Box::new(Trouble { text: text.clone().into(), tries, next: now.time + wait }));
        self.touch(id, now);
        let kept =
            if self.slot(id).record.installed.is_some() { "; the installed certificate stays" } else { "" };
        let again = if tries >= ALARM { format!(", {tries} times in a row") } else { String::new() };
        let text = format!("{text}{again}{kept}; nothing is lost, next try in {}", note::duration(wait));
        if same && tries > ALARM {
            self.tell(Level::Error, "install-failed", Some(id), now, text);
        } else {
            self.note(Level::Error, "install-failed", Some(id), now, text);
        }
    }

    pub(super) fn tidied(&mut self, id: OrderId, problem: Option<String>, now: Now) {
        self.set_busy(id, Busy::Idle);
        if self.slot(id).removed {
            return;
        }
        if let Some(problem) = problem {
            self.tell(Level::Warn, "tidy", Some(id), now, problem);
        }
        self.reindex(id, now);
        self.answer_waiters(id, now);
    }
}

fn expectation<'a>(
    entry: &'a Order,
    inspection: &'a Inspection,
    installed: Option<cert::Installed>,
) -> Expectation<'a> {
    let verify = &entry.settings.verify;
    let level = |severity: Severity| match severity {
        Severity::Block => cert::Level::Block,
        Severity::Warn => cert::Level::Warn,
        Severity::Off => cert::Level::Off,
    };
    let key = match (&entry.key, &inspection.csr) {
        (KeySource::None, _) => KeyExpectation::None,
        (KeySource::Keys(_), _) => KeyExpectation::Candidates(&inspection.keys),
        (KeySource::Csr(_), Some(csr)) => KeyExpectation::Csr(csr.as_ref().map_err(Clone::clone)),
        (KeySource::Csr(_), None) => KeyExpectation::Csr(Err("it was not read".into())),
    };
    Expectation {
        policy: cert::Policy {
            key: level(verify.key),
            domains: level(verify.domains),
            chain: level(verify.chain),
            dates: level(verify.dates),
            downgrade: level(verify.downgrade),
            trust: level(verify.trust),
        },
        purpose: match entry.settings.product {
            Product::Ssl => cert::Purpose::Server,
            Product::Mark => cert::Purpose::Mark,
            Product::Smime => cert::Purpose::Email,
        },
        key,
        domains: &entry.domains,
        installed,
        anchors: inspection
            .anchors
            .as_ref()
            .and_then(|anchors| anchors.as_ref().ok())
            .map(|anchors| &**anchors),
    }
}

/// Leaf and chain of certificates that went through the gate before.
pub(super) fn material(
    leaf: &Certificate,
    pool: &[Certificate],
    key: Option<std::path::PathBuf>,
    at: i64,
) -> Material {
    let chain = cert::chain::build(leaf, pool, at);
    Material { leaf: leaf.clone(), chain: chain.intermediates, root: chain.root, key }
}

/// The end entity among the certificates of the generation that readers see.
fn found_leaf(inspection: &Inspection) -> Option<&Certificate> {
    inspection.certificates.iter().find(|certificate| !certificate.is_ca())
}

/// `20261120T091200Z-5f3a9c01`: sorts by time, tells which certificate.
pub(super) fn generation_name(leaf: &Certificate, now: Now) -> String {
    let time = jiff::Timestamp::from_second(now.unix()).unwrap_or_default();
    let fingerprint = leaf.fingerprint().to_string();
    format!("{}-{}", time.strftime("%Y%m%dT%H%M%SZ"), &fingerprint[..16])
}

pub(super) fn generation(
    entry: &Order,
    name: &str,
    material: &Material,
    files: Vec<InstalledFile>,
) -> Generation {
    let leaf = &material.leaf;
    Generation {
        name: name.into(),
        at: 0,
        fingerprint: leaf.fingerprint(),
        serial: leaf.serial_hex().into(),
        not_before: leaf.not_before(),
        not_after: leaf.not_after(),
        names: leaf.names().iter().map(|name| name.to_string().into()).collect(),
        key: material.key.clone(),
        files,
        spec: spec_of(entry),
    }
}

/// Changes whenever the configuration asks for other files or copies than before. Owner and mode are not part
/// of it: those are put right in place. The text is fixed for all time, or an upgrade would write every
/// order's files anew.
pub(super) fn spec_of(entry: &Order) -> u64 {
    let mut text = String::new();
    for (kind, name, _) in contents::wanted(&entry.settings.files) {
        text.push_str(&format!("{}={name}\n", kind.word()));
    }
    for copy in &entry.copies {
        text.push_str(&format!("{}>{}\n", copy.from.word(), copy.to.display()));
    }
    schedule::seed(&text, "", 0)
}

pub(super) fn sha256(content: &[u8]) -> [u8; 32] {
    digest::digest(&digest::SHA256, content).as_ref().try_into().expect("SHA-256 has 32 bytes")
}
