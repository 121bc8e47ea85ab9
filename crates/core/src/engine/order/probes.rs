//! The probes of an installed order: is it served? They are asked once its hooks have worked, and from then on again
//! and again.

use crate::config::{HookEvent, OnProbeFailure, Probe};
use crate::engine::event::Effect;
use crate::engine::note::{Level, NoteKind};
use crate::engine::order::Order;
use crate::engine::order::record::{Generation, ProbeRecord, ProbeRollback, Probed, Served};
use crate::engine::order::state::{Busy, Work};
use crate::engine::probe::{Expected, ProbeAnswer, ProbeRun};
use crate::engine::schedule;
use crate::engine::time::Time;

impl Order<'_> {
    /// Finds out when the next probe is due, and drops what is known of those that are no longer configured.
    pub(crate) fn schedule_probes(&mut self) {
        let probes = &self.entry().settings.probes;
        if let Some(probed) = &mut self.state.record.probed {
            probed.probes.retain(|known| probes.iter().any(|probe| *probe.label() == *known.label));
        }
        let installed = self.state.record.installed.as_deref();
        let next = installed.and_then(|installed| {
            probes.iter().map(|probe| self.next_of(probe, installed).unwrap_or(self.now.time)).min()
        });
        self.state.probe_from = next;
    }

    /// When a probe is due that has been asked about this certificate; an `every` that was shortened counts at once.
    fn next_of(&self, probe: &Probe, installed: &Generation) -> Option<Time> {
        let label = probe.label();
        let probed = self.state.record.probed.as_ref().filter(|probed| !probed.fresh)?;
        let known = probed.probes.iter().find(|known| *known.label == *label)?;
        let latest = self.now.time + schedule::spread(probe.every, &self.entry().settings.cadence, u64::MAX);
        (known.leaf == installed.fingerprint).then(|| known.next.min(latest))
    }

    /// Asks the probes that are due.
    pub(crate) fn start_probes(&mut self) {
        self.state.probe_from = None;
        let entry = self.entry();
        let Some(installed) = self.state.record.installed.as_deref() else { return };
        let is_due = |probe: &&Probe| self.next_of(probe, installed).is_none_or(|at| at <= self.now.time);
        let names = || entry.domains.iter().chain(&installed.names);
        let default = names().find(|name| !name.starts_with("*.")).cloned().or_else(|| {
            // Any name below it will do.
            names().next().map(|name| name.replacen('*', "www", 1).into())
        });
        let name = |probe: &Probe| probe.server_name.clone().or_else(|| default.clone()).unwrap_or_default();
        let probes: Vec<_> =
            entry.settings.probes.iter().filter(is_due).map(|probe| (probe.clone(), name(probe))).collect();
        if probes.is_empty() {
            return self.schedule_probes();
        }
        let expected = Expected {
            leaf: installed.fingerprint,
            not_before: installed.not_before,
            chain: installed.chain.clone(),
        };
        let run = ProbeRun { order: self.id, expected, probes };
        self.state.busy = Busy::Local(Work::Probe);
        self.outbox.start(Effect::Probe(Box::new(run)));
    }

    /// What the servers said, one list for each probe.
    pub(crate) fn probed(&mut self, run: &ProbeRun, answers: Vec<Vec<ProbeAnswer>>) {
        self.state.busy = Busy::Idle;
        if self.state.removed {
            return;
        }
        let installed = self.state.record.installed.as_ref().map(|installed| installed.fingerprint);
        if installed == Some(run.expected.leaf) {
            let mut must_roll_back = false;
            // A reload may have taken some of them out meanwhile.
            let known = &self.entry().settings.probes;
            let asked = run.probes.iter().zip(answers).filter(|((probe, _), _)| known.contains(probe));
            for ((probe, _), answers) in asked {
                let is_wrong = self.note_answers(probe, &run.expected, answers);
                must_roll_back |= is_wrong && probe.on_failure == OnProbeFailure::Rollback;
            }
            self.give_verdict(must_roll_back);
        }
        self.schedule_probes();
        self.touch();
    }

    /// Remembers what a probe found; whether something is wrong.
    fn note_answers(&mut self, probe: &Probe, expected: &Expected, answers: Vec<ProbeAnswer>) -> bool {
        let now = self.now;
        let served: Vec<Served> = answers
            .into_iter()
            .map(|ProbeAnswer { address, outcome }| {
                let (leaf, wrong) = match outcome {
                    Ok(presented) => (Some(presented.leaf), expected.shortfall(&presented, now)),
                    Err(why) => (None, Some(why)),
                };
                Served { address, at: now.unix(), leaf, wrong: wrong.map(String::into_boxed_str) }
            })
            .collect();
        let is_wrong = served.iter().any(|served| served.wrong.is_some());
        let label: Box<str> = probe.label().into();
        let cadence = self.entry().settings.cadence;
        let seed = schedule::stable_hash(&self.state.name, &label, now.unix().unsigned_abs());
        let probed = self.state.record.probed.get_or_insert_default();
        let known = probed.probes.iter().position(|known| known.label == label);
        let before = known.map_or(0, |at| probed.probes[at].failures);
        let failures = if is_wrong { before.saturating_add(1) } else { 0 };
        let wait = match failures {
            0 => schedule::spread(probe.every, &cadence, seed),
            failures => schedule::hook(failures).min(probe.every),
        };
        let record = ProbeRecord { label, leaf: expected.leaf, next: now.time + wait, failures, served };
        match known {
            Some(at) => probed.probes[at] = record,
            None => probed.probes.push(record),
        }
        is_wrong
    }

    /// Tells what has changed, and puts the certificate before this one back where that is wanted and the verdict is the
    /// first one on it.
    fn give_verdict(&mut self, must_roll_back: bool) {
        let Some(probed) = &mut self.state.record.probed else { return };
        let is_fresh = std::mem::take(&mut probed.fresh);
        let was_told = probed.told;
        if !probed.is_failing() {
            probed.told &= probed.rollback.is_some();
            if was_told && !probed.told {
                let text = "every probe finds the installed certificate again".to_owned();
                self.note(Level::Info, NoteKind::ProbeGood, text);
                self.tell_recovery();
            }
            return;
        }
        let text = self.unserved_words();
        if was_told {
            self.log(Level::Warn, NoteKind::ProbeFailed, text);
        } else {
            self.note(Level::Error, NoteKind::ProbeFailed, text);
            self.owe_hooks(HookEvent::ProbeFailed);
        }
        let probed = self.state.record.probed.get_or_insert_default();
        probed.told = true;
        if must_roll_back && is_fresh {
            probed.rollback = Some(ProbeRollback::Wanted);
            self.state.pending.rollback = true;
            self.outbox.save_first();
        }
    }

    fn unserved_words(&self) -> String {
        let record = &self.state.record;
        let mut text = record.probed.as_deref().map(unserved).unwrap_or_default();
        if record.is_reloaded() {
            text.push_str(", though the reload succeeded");
        }
        text
    }

    /// A certificate has come into place.
    pub(crate) fn prepare_probes(&mut self, is_newer: bool, accepted: bool, rolled_back: bool) {
        let has_probes = !self.entry().settings.probes.is_empty();
        if self.state.record.probed.is_none() && !has_probes {
            return;
        }
        let probed = self.state.record.probed.get_or_insert_default();
        if rolled_back {
            probed.rollback = probed.rollback.map(|_| ProbeRollback::Done);
            probed.fresh = false;
        } else if is_newer || accepted {
            probed.rollback = None;
            probed.fresh = has_probes && !accepted;
        }
        self.state.probe_from = has_probes.then_some(self.now.time);
    }

    /// Whether the rollback that is under way is for a probe's sake.
    pub(crate) fn is_for_probe(&self) -> bool {
        let probed = self.state.record.probed.as_ref();
        probed.is_some_and(|probed| probed.rollback == Some(ProbeRollback::Wanted))
    }

    /// The generation before is not put back after all; whether a probe had wanted that.
    pub(crate) fn forget_probe_rollback(&mut self) -> bool {
        self.state.record.probed.as_mut().and_then(|probed| probed.rollback.take()).is_some()
    }
}

/// What is not served, address by address.
pub(crate) fn unserved(probed: &Probed) -> String {
    let served = probed.probes.iter().flat_map(|probe| &probe.served);
    let wrong = served.filter_map(|served| Some(format!("{} {}", served.address, served.wrong.as_deref()?)));
    wrong.collect::<Vec<_>>().join("; ")
}
