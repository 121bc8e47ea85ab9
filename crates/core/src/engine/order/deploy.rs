//! From a verified bundle to a generation in its place: staging, the intent, the swap, and what is done when
//! this machine gets in the way.

use crate::cert::{Certificate, Fingerprint, Severity};
use crate::config::{FileCopy, FileKind, HookEvent, KeySource};
use crate::engine::event::Effect;
use crate::engine::install::{
    Activate, AnchorSource, Inspect, InspectPurpose, Inspection, InstallError, InstalledFile, Material,
    Quarantine, Stage, Written,
};
use crate::engine::note::{ALARM_AFTER, Level, NoteKind};
use crate::engine::order::bundle::Bundle;
use crate::engine::order::phase::{Phase, Trigger};
use crate::engine::order::record::{Generation, Trouble};
use crate::engine::order::state::{Busy, Work};
use crate::engine::order::{Order, contents, coverage};
use crate::engine::schedule;
use crate::engine::time::{Now, in_words, rfc3339};
use crate::{cert, config};

impl Order<'_> {
    /// Replaces the certificates; the only place that marks their row as changed.
    pub(crate) fn set_bundle(&mut self, bundle: Bundle) {
        let state = &mut *self.state;
        let (kept, verify) = match bundle {
            Bundle::None | Bundle::ForRestore(_) => (false, false),
            Bundle::Unjudged(_) => (true, true),
            // Keys or configuration may have changed while these were judged.
            Bundle::Passed(..) | Bundle::Refused(_) => (true, state.pending.verify),
        };
        state.pending.verify = verify;
        state.pending.quarantine &= matches!(bundle, Bundle::Unjudged(_) | Bundle::Refused(_));
        state.hold_until = None;
        state.shut_until = None;
        let holds =
            |leaf| bundle.certificates().is_some_and(|all| all.iter().any(|one| one.fingerprint() == leaf));
        state.record.held.take_if(|held| !holds(held.leaf));
        state.bundle = bundle;
        if std::mem::replace(&mut state.record.bundled, kept) || kept {
            self.outbox.unsaved.bundles.insert(self.id);
        }
    }

    /// The same certificates were verified.
    pub(crate) fn pass_bundle(&mut self, material: Material) {
        let certificates = self.state.bundle.certificates().cloned().unwrap_or_default();
        self.state.bundle = Bundle::Passed(certificates, Box::new(material));
        self.state.hold_until = None;
        self.state.shut_until = None;
    }

    /// The same certificates are verified again, even if they passed before.
    pub(crate) fn rejudge_bundle(&mut self) {
        self.state.bundle = match std::mem::take(&mut self.state.bundle) {
            Bundle::Passed(certificates, _) => Bundle::Unjudged(certificates),
            other @ (Bundle::None | Bundle::Unjudged(_) | Bundle::Refused(_) | Bundle::ForRestore(_)) => {
                other
            }
        };
        self.state.pending.verify = !self.state.bundle.is_none();
    }

    pub(crate) fn start_local(&mut self, work: Work) {
        let name = self.state.name.clone();
        let effect = match work {
            Work::Activate => match self.activation() {
                Some(activate) => Effect::Activate(Box::new(activate)),
                None => return self.unstage("the collected bundle is gone"),
            },
            Work::RollBack => {
                self.state.pending.rollback = false;
                let key = self.entry().key.clone();
                let installed = self.state.record.installed.as_ref().filter(|_| self.is_for_probe());
                let unserved = installed.map(|installed| installed.fingerprint);
                Effect::Inspect(Box::new(self.inspection(InspectPurpose::RollBack { key, unserved })))
            }
            Work::Verify => {
                self.state.pending.verify = false;
                let (key, settings) = (self.entry().key.clone(), &self.entry().settings);
                let source =
                    settings.trust_anchors.clone().map_or(AnchorSource::Platform, AnchorSource::File);
                let anchors = Some(source).filter(|_| settings.verify.trust != Severity::Off);
                Effect::Inspect(Box::new(self.inspection(InspectPurpose::Verify { key, anchors })))
            }
            Work::Look => {
                self.state.pending.look = false;
                self.state.look_from = None;
                Effect::Inspect(Box::new(self.inspection(InspectPurpose::Look)))
            }
            Work::Stage if self.is_held_back() => return,
            Work::Stage => {
                let stage = self.staging();
                self.state.record.placing = Some((&*stage.generation).into());
                self.state.written_for = Some(spec_of(self.entry()));
                self.touch();
                Effect::Install(Box::new(stage))
            }
            Work::Quarantine => {
                self.state.pending.quarantine = false;
                let record = &self.state.record;
                let reason = record.reason.as_deref().unwrap_or_default().to_owned();
                let certificates = self.state.bundle.certificates().cloned().unwrap_or_default();
                Effect::Quarantine(Box::new(Quarantine { order: self.id, name, certificates, reason }))
            }
            Work::Probe => return self.start_probes(),
            Work::ReadRequest => match self.read_request() {
                Some(effect) => effect,
                None => return,
            },
            Work::Survey => match self.survey() {
                Some(effect) => effect,
                None => return,
            },
            Work::Sweep => {
                self.state.pending.sweep = false;
                let Some(installed) = &self.state.record.installed else { return };
                Effect::Sweep { order: self.id, name, current: installed.name.to_string() }
            }
        };
        self.state.busy = Busy::Local(work);
        match effect {
            // It changes nothing that a restart would have to know of, and what it is about is saved with what follows.
            Effect::Inspect(_) => self.outbox.say(effect),
            effect => self.outbox.start(effect),
        }
    }

    fn inspection(&self, purpose: InspectPurpose) -> Inspect {
        let entry = self.entry();
        let installed = self.state.record.installed.as_ref();
        Inspect {
            order: self.id,
            name: entry.name.clone(),
            purpose,
            // Before the first installation there are none to look at, and without a root none of it.
            copies: installed
                .iter()
                .flat_map(|installed| {
                    entry.copies.iter().filter(|copy| copy.from != FileKind::Root || installed.root.is_some())
                })
                .cloned()
                .collect(),
            current: installed.map(|installed| installed.name.clone()),
            leaf: installed.map(|installed| installed.fingerprint),
            expected: installed.map(|installed| installed.files.clone()).unwrap_or_default(),
            files: entry.settings.files.clone(),
        }
    }

    fn staging(&self) -> Stage {
        let entry = self.entry();
        let material = self.state.bundle.material().expect("local_work looked at it").clone();
        Stage {
            order: self.id,
            name: entry.name.clone(),
            generation: generation_name(&material.leaf, self.state.record.installed.as_deref(), self.now),
            copies: self.copies_of(&material),
            material,
            files: entry.settings.files.clone(),
        }
    }

    /// The certificates of the recorded intent, from the bundle, which is kept until this is done.
    fn staged_material(&self) -> Option<Material> {
        let state = &*self.state;
        let staged = state.record.staged.as_ref()?;
        match state.bundle.material() {
            Some(material) if material.leaf.fingerprint() == staged.fingerprint => Some(material.clone()),
            _ => made_of(staged, state.bundle.certificates()?, staged.not_before),
        }
    }

    fn copies_of(&self, material: &Material) -> Box<[FileCopy]> {
        self.entry().copies.iter().filter(|copy| can_be_made(copy, material)).cloned().collect()
    }

    fn activation(&self) -> Option<Activate> {
        let record = &self.state.record;
        let staged = record.staged.as_ref()?;
        let entry = self.entry();
        let material = self.staged_material()?;
        let copies = self.copies_of(&material);
        Some(Activate {
            order: self.id,
            name: entry.name.clone(),
            generation: staged.name.to_string(),
            expected: staged.files.clone(),
            material,
            files: entry.settings.files.clone(),
            copies,
            relinks: record.installed.as_ref().is_some_and(|installed| installed.name == staged.name),
        })
    }

    pub(crate) fn inspected(&mut self, inspection: Inspection, on_record: &[Box<str>]) {
        let was = self.state.busy;
        self.state.busy = Busy::Idle;
        if self.state.removed {
            return;
        }
        for repaired in &inspection.repaired {
            self.note(Level::Warn, NoteKind::Drift, format!("{repaired}; corrected"));
        }
        match was {
            Busy::Local(Work::RollBack) => self.roll_back(inspection),
            Busy::Local(Work::Verify) => self.judge(&inspection, on_record),
            Busy::Local(
                Work::Look
                | Work::Stage
                | Work::Activate
                | Work::Quarantine
                | Work::Sweep
                | Work::Probe
                | Work::ReadRequest
                | Work::Survey,
            )
            | Busy::Idle
            | Busy::Calling
            | Busy::Hook => self.look_at_files(&inspection),
        }
    }

    pub(crate) fn drop_bundle(&mut self) {
        self.set_bundle(Bundle::None);
        self.state.record.trouble = None;
    }

    /// Gives back the certificate that is in place now.
    pub(crate) fn installed(&mut self, result: Result<Written, InstallError>) -> Option<Certificate> {
        self.state.busy = Busy::Idle;
        self.state.record.placing = None;
        let written_for = self.state.written_for.take();
        if self.state.removed {
            return None;
        }
        match (result, self.state.bundle.material()) {
            (Ok(Written { staged, placed }), Some(material)) => {
                let mut generation = generation(self.entry(), &staged.generation, material, staged.files);
                generation.spec = written_for.unwrap_or(generation.spec);
                self.about_to_place(generation);
                return self.activated(placed);
            }
            // It is another order now; a later sweep removes what was written.
            (Ok(_), None) => self.state.pending.look = self.state.record.installed.is_some(),
            (Err(error), _) => self.trouble(&error),
        }
        None
    }

    /// A complete generation was written, by this process or by one that ended before it was on record.
    pub(crate) fn about_to_place(&mut self, generation: Generation) {
        let record = &mut self.state.record;
        record.placing = None;
        record.staged = Some(Box::new(generation));
        record.trouble = None;
        self.change_phase(Trigger::Staged, None);
        self.outbox.save_first();
    }

    /// Gives back the certificate that is in place now.
    pub(crate) fn activated(&mut self, result: Result<(), InstallError>) -> Option<Certificate> {
        self.state.busy = Busy::Idle;
        if self.state.removed {
            return None;
        }
        match result {
            Ok(()) => return self.in_place(),
            Err(error) if error.stale => {
                self.unstage(&error.to_string());
            }
            Err(error) => self.trouble(&error),
        }
        None
    }

    /// Readers see the new generation.
    fn in_place(&mut self) -> Option<Certificate> {
        let material = self.staged_material();
        let staged = self.state.record.staged.take()?;
        let left: Vec<_> = material
            .iter()
            .flat_map(|material| self.entry().copies.iter().filter(|copy| !can_be_made(copy, material)))
            .map(|copy| copy.to.display().to_string())
            .collect();
        let generation = Generation { at: self.now.unix(), ..*staged };
        let old = self.state.record.installed.clone();
        let rolled_back = std::mem::take(&mut self.state.record.rollback);
        let accepted = self.state.record.accepted == Some(generation.fingerprint);
        let leaf = material.as_ref().map(|material| &material.leaf);
        let uncovered = coverage::uncovered(&self.state.record, leaf, accepted, rolled_back);
        let text = format!(
            "installed generation {} with serial {}, valid until {}",
            generation.name,
            generation.serial,
            rfc3339(generation.not_after)
        );
        let state = &mut *self.state;
        let old = old.map(|old| old.fingerprint);
        let is_newer = old != Some(generation.fingerprint);
        state.record.rolled_back_from = if rolled_back {
            // Two steps back: the vendor still offers the one from which the first step was made.
            state.record.rolled_back_from.or(old)
        } else {
            // Files put back leave it as it is; anything newer ends it.
            state.record.rolled_back_from.filter(|_| old == Some(generation.fingerprint))
        };
        state.record.accepted = None;
        state.record.at_once.take_if(|leaf| *leaf == generation.fingerprint);
        state.record.revoked = state.record.revoked.filter(|leaf| *leaf == generation.fingerprint);
        state.record.warned = 0;
        state.record.drift = None;
        state.record.lost = None;
        state.record.uncovered = uncovered;
        state.record.installed = Some(Box::new(generation));
        state.pending.sweep = true;
        self.accept_offered();
        self.prepare_probes(is_newer, accepted, rolled_back);
        self.revocation_answered(rolled_back);
        self.wait_on();
        self.note(Level::Info, NoteKind::Installed, text);
        if !rolled_back {
            self.reissue_over();
        }
        if !left.is_empty() {
            let text = format!(
                "there is no root certificate, so {} stays unchanged until the vendor sends one",
                left.join(", ")
            );
            self.note(Level::Warn, NoteKind::Installed, text);
        }
        self.owe_hooks(HookEvent::Installed);
        self.finish_deploying();
        self.set_due();
        self.outbox.save_first();
        material.map(|material| material.leaf)
    }

    /// With nothing owed any more, the order is guarded.
    pub(crate) fn finish_deploying(&mut self) {
        let owing = self.state.record.owed().any(|debt| debt.event == HookEvent::Installed);
        if !owing && self.state.record.staged.is_none() && self.state.record.phase == Phase::Deploying {
            self.change_phase(Trigger::HooksDone, None);
            self.schedule_rehearsal();
            self.set_due();
        }
    }

    /// What was staged cannot be used; the bundle is still there and is staged again. A damaged older
    /// generation is not rebuilt.
    fn unstage(&mut self, why: &str) {
        let state = &mut *self.state;
        state.record.staged = None;
        if std::mem::take(&mut state.record.rollback) {
            return self.give_rollback_up(why);
        }
        if state.bundle.is_none() {
            // Nothing to stage from: the next poll brings it again.
            self.set_bundle(Bundle::None);
            self.change_phase(Trigger::Lost, None);
            self.set_due();
        } else {
            self.rejudge_bundle();
            self.change_phase(Trigger::Unstaged, None);
        }
        self.note(Level::Warn, NoteKind::Restage, format!("{why}; it is rewritten"));
        self.outbox.save_first();
    }

    /// A local failure: retried automatically, with back-off.
    fn trouble(&mut self, error: &InstallError) {
        let tries = self.state.record.trouble.as_ref().map_or(0, |trouble| trouble.tries) + 1;
        let is_key = matches!(&self.entry().key, KeySource::Keys(paths) if paths.contains(&error.path));
        let wait = if is_key { schedule::unread(tries) } else { schedule::local(tries) };
        let text = error.to_string();
        let same = self.state.record.trouble.as_ref().is_some_and(|trouble| *trouble.text == text);
        self.state.record.trouble =
            Some(Box::new(Trouble { text: text.clone().into(), tries, next: self.now.time + wait }));
        self.touch();
        let kept =
            if self.state.record.installed.is_some() { "; the installed certificate stays" } else { "" };
        let again = if tries >= ALARM_AFTER { format!(", {tries} times in a row") } else { String::new() };
        let text = format!("{text}{again}{kept}; nothing is lost, next try in {}", in_words(wait));
        if same && tries > ALARM_AFTER {
            self.log(Level::Error, NoteKind::InstallFailed, text);
        } else {
            self.note(Level::Error, NoteKind::InstallFailed, text);
        }
    }

    /// Local work panicked: it would panic again, so the operator must act. What was collected or staged stays on
    /// record, and continues when the order is resumed.
    pub(crate) fn panicked(&mut self) {
        let doing = match self.state.busy {
            Busy::Local(Work::Verify) => "reading the keys for its certificate",
            Busy::Local(Work::Stage) => "writing its files",
            Busy::Local(Work::Activate) => "putting its files into place",
            Busy::Local(Work::Probe) => "asking whether it is served",
            Busy::Local(Work::ReadRequest) => "reading the request for its re-issue",
            Busy::Local(Work::Survey) => "looking for the proof of control",
            Busy::Local(Work::Look | Work::RollBack | Work::Quarantine | Work::Sweep)
            | Busy::Idle
            | Busy::Calling
            | Busy::Hook => "checking its installed files",
        };
        self.state.busy = Busy::Idle;
        if self.state.removed {
            return;
        }
        self.state.pending.broken = true;
        if self.state.record.placing.is_some() {
            // Whether readers see it is found out when it is verified again.
            self.rejudge_bundle();
        }
        self.refuse_askers("an internal error; please report it");
        self.stop_after_bug(doing);
    }

    pub(crate) fn tidied(&mut self, problem: Option<String>) {
        self.state.busy = Busy::Idle;
        if self.state.removed {
            return;
        }
        if let Some(problem) = problem {
            self.log(Level::Warn, NoteKind::Tidy, problem);
        }
    }
}

/// Roots are often left out, and no server needs one to serve what was sent: what wants it waits for one.
fn can_be_made(copy: &FileCopy, material: &Material) -> bool {
    copy.from != FileKind::Root || material.root.is_some()
}

/// What a generation was made of, out of certificates among which there may be others. They were verified before: a
/// chain built again, at another time, could differ.
pub(crate) fn made_of(generation: &Generation, pool: &[Certificate], at: i64) -> Option<Material> {
    let find = |wanted: &Fingerprint| pool.iter().find(|known| known.fingerprint() == *wanted).cloned();
    let leaf = find(&generation.fingerprint)?;
    let chain: Option<Vec<_>> = generation.chain.as_ref().and_then(|chain| chain.iter().map(find).collect());
    let Some(chain) = chain else { return Some(material(&leaf, pool, generation.key.clone(), at)) };
    let root = generation.root.as_ref().and_then(find);
    Some(Material { leaf, chain, root, key: generation.key.clone() })
}

/// Leaf and chain of certificates that were verified before.
pub(crate) fn material(
    leaf: &Certificate,
    pool: &[Certificate],
    key: Option<std::path::PathBuf>,
    at: i64,
) -> Material {
    let chain = cert::chain::build(leaf, pool, at);
    Material { leaf: leaf.clone(), chain: chain.intermediates, root: chain.root, key }
}

/// `20261120T091200Z-5f3a9c01`: sorts by time, tells which certificate.
/// Names sort in the order in which generations were made, also within one second and when the clock was put back.
pub(crate) fn generation_name(leaf: &Certificate, installed: Option<&Generation>, now: Now) -> String {
    let made = |name: &str| {
        let (time, _) = name.split_once('-')?;
        let time = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", time).ok()?;
        Some(time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second())
    };
    let before = installed.and_then(|installed| made(&installed.name)).unwrap_or(i64::MIN);
    let time = jiff::Timestamp::from_second(now.unix().max(before.saturating_add(1))).unwrap_or_default();
    let fingerprint = leaf.fingerprint().to_string();
    format!("{}-{}", time.strftime("%Y%m%dT%H%M%SZ"), &fingerprint[..16])
}

pub(crate) fn generation(
    entry: &config::Order,
    name: &str,
    material: &Material,
    files: Vec<InstalledFile>,
) -> Generation {
    let leaf = &material.leaf;
    Generation {
        name: name.into(),
        at: 0,
        fingerprint: leaf.fingerprint(),
        serial: leaf.serial_text().into(),
        not_before: leaf.not_before(),
        not_after: leaf.not_after(),
        common_name: leaf.common_name().map(Into::into),
        names: leaf.names().iter().map(|name| name.to_string().into()).collect(),
        chain: Some(material.chain.iter().map(Certificate::fingerprint).collect()),
        root: material.root.as_ref().map(Certificate::fingerprint),
        key: material.key.clone(),
        files,
        spec: spec_of(entry),
    }
}

/// Changes when the configuration asks for other files or copies. Owner and mode are not part of it: those are
/// corrected in place. The text must never change, or an upgrade would rewrite every order's files.
pub(crate) fn spec_of(entry: &config::Order) -> u64 {
    let mut text = String::new();
    for (kind, name, _) in contents::wanted(&entry.settings.files) {
        text.push_str(&format!("{}={name}\n", kind.as_str()));
    }
    for copy in &entry.copies {
        text.push_str(&format!("{}>{}\n", copy.from.as_str(), copy.to.display()));
    }
    schedule::stable_hash(&text, "", 0)
}
