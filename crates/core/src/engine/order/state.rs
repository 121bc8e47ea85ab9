//! What the engine knows of one order beyond its record: what it is busy with, what it owes on this machine, and
//! where it stands in queue and timers.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, LazyLock};

use crate::api::code::{Class, Row};
use crate::engine::order::bundle::Bundle;
use crate::engine::order::lifetime::next_warning;
use crate::engine::order::phase::{Phase, Standing};
use crate::engine::order::record::OrderRecord;
use crate::engine::reissue::prepare::Reissuing;
use crate::engine::tally::{Counted, Tally};
use crate::engine::time::{Now, Time};
use crate::rare::{Bare, Rare};

/// What one order is busy with, outside the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Busy {
    #[default]
    Idle,
    Calling,
    Hook,
    /// Something on this machine.
    Local(Work),
}

/// A step of an order on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    Activate,
    /// Find the previous generation, to roll back to it.
    RollBack,
    Verify,
    Stage,
    Look,
    Quarantine,
    Sweep,
    /// Ask whether it is served.
    Probe,
    /// Read the request for a re-issue.
    ReadRequest,
    /// Look for the proof that a re-issue needs.
    Survey,
}

/// What the last call about an order brought, for commands waiting for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum PollOutcome {
    /// No answer that can be understood, so far.
    #[default]
    Nothing,
    /// An answer that does not show whether the login is accepted.
    Answer,
    /// The vendor refused the login.
    Refused,
    /// An answer that cannot come without an accepted login.
    Login,
}

impl PollOutcome {
    /// What an answer of this meaning brings.
    pub(crate) fn of(row: Row) -> PollOutcome {
        if row.class == Class::AccountClosed {
            PollOutcome::Refused
        } else if row.shows_login() {
            PollOutcome::Login
        } else {
            PollOutcome::Answer
        }
    }
}

/// Work that an order owes on this machine, beyond what its record says.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Pending {
    /// The bundle was not verified since it, the keys or the configuration changed.
    pub(crate) verify: bool,
    /// Check that the installed files are unchanged.
    pub(crate) look: bool,
    /// Put the generation before the current one back.
    pub(crate) rollback: bool,
    /// Remove old generations.
    pub(crate) sweep: bool,
    /// Write the refused bundle to the quarantine directory.
    pub(crate) quarantine: bool,
    /// The bundle could not be judged, because a file of this machine could not be read; that is the trouble on record.
    pub(crate) unread: bool,
    /// It may wait for the run of a hook that it no longer owes.
    pub(crate) unready: bool,
    /// A bug aborted local work. Nothing is retried until the operator resumes the order; after a restart,
    /// only a staged generation is.
    pub(crate) broken: bool,
}

#[derive(Debug)]
pub(crate) struct OrderState {
    pub(crate) name: Arc<str>,
    /// Index into the configuration's orders; of no meaning once removed.
    pub(crate) entry: usize,
    /// Index into the gates.
    pub(crate) gate: usize,
    pub(crate) record: OrderRecord,
    pub(crate) busy: Busy,
    pub(crate) pending: Pending,
    /// A command wants it polled now, or its poll is to try a changed credential.
    pub(crate) urgent: bool,
    pub(crate) poll_outcome: PollOutcome,
    /// Where it stands in its gate's queue.
    pub(crate) queued: Option<Time>,
    /// Where it stands in the timers.
    pub(crate) timed: Option<Time>,
    /// Its first due debt waits for its run in the ledger.
    pub(crate) ready: bool,
    /// The configuration no longer has it.
    pub(crate) removed: bool,
    /// This process does not act on it.
    pub(crate) quiet: bool,
    pub(crate) tally: Tally,
    /// The rest, which is read as if it stood here.
    pub(crate) underway: Rare<Underway>,
}

/// In bytes: with 100,000 orders, each of them is 0.1 MB.
const _: () = assert!(size_of::<OrderState>() <= 216);

/// What an order has only while something is under way on this machine, or waits for its time.
#[derive(Debug, Default)]
pub(crate) struct Underway {
    pub(crate) bundle: Bundle,
    /// When the installed files are checked next, without a poll.
    pub(crate) look_from: Option<Time>,
    /// When the next of its probes is due.
    pub(crate) probe_from: Option<Time>,
    /// Until when a certificate that is not yet valid is waited for.
    pub(crate) hold_until: Option<Time>,
    /// Until when no window is open for what is collected, as far as is known.
    pub(crate) shut_until: Option<Time>,
    pub(crate) reissuing: Option<Box<Reissuing>>,
    /// The spec of the generation that is being written: the entry may ask for other files by the time it is there.
    pub(crate) written_for: Option<u64>,
}

impl Bare for Underway {
    fn bare() -> &'static Underway {
        static BARE: LazyLock<Underway> = LazyLock::new(Underway::default);
        &BARE
    }

    fn is_bare(&self) -> bool {
        let Underway { bundle, look_from, probe_from, hold_until, shut_until, reissuing, written_for } = self;
        let times = [look_from, probe_from, hold_until, shut_until];
        bundle.is_none()
            && reissuing.is_none()
            && written_for.is_none()
            && times.into_iter().all(Option::is_none)
    }
}

impl Deref for OrderState {
    type Target = Underway;

    fn deref(&self) -> &Underway {
        &self.underway
    }
}

impl DerefMut for OrderState {
    fn deref_mut(&mut self) -> &mut Underway {
        &mut self.underway
    }
}

impl OrderState {
    /// What an idle order owes on this machine, and from when on.
    pub(crate) fn local_work(&self) -> Option<(Time, Work)> {
        let record = &self.record;
        if self.pending.broken {
            return None;
        }
        // A command waits for it, and must not wait for a full disk or for a certificate whose time has not come.
        if let Some(work) = self.reissue_asked() {
            return Some((Time::MIN, work));
        }
        let retry = record.trouble.as_ref().map_or(Time::MIN, |trouble| trouble.next);
        if record.staged.is_some() {
            return Some((retry, Work::Activate));
        }
        if self.pending.rollback {
            return Some((Time::MIN, Work::RollBack));
        }
        if self.pending.verify && !self.bundle.is_none() {
            return Some((self.hold_until.unwrap_or(Time::MIN).max(retry), Work::Verify));
        }
        let is_ready = record.phase == Phase::Collected && self.bundle.material().is_some();
        let stage = is_ready.then(|| (retry.max(self.shut_until.unwrap_or(Time::MIN)), Work::Stage));
        if self.shut_until.is_none() && stage.is_some() {
            return stage;
        }
        // While it waits for a window, what is installed is looked after.
        [stage, self.upkeep(), self.reissue_work()].into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    /// What is owed to the installed certificate.
    fn upkeep(&self) -> Option<(Time, Work)> {
        let record = &self.record;
        if self.pending.look {
            return Some((Time::MIN, Work::Look));
        }
        if let Some(from) = self.look_from.filter(|_| !self.quiet) {
            return Some((from, Work::Look));
        }
        if self.pending.quarantine {
            return Some((Time::MIN, Work::Quarantine));
        }
        if self.pending.sweep && record.owed().next().is_none() {
            return Some((Time::MIN, Work::Sweep));
        }
        // Not while another certificate is on its way, nor before its hooks have worked.
        let settled = (record.phase != Phase::Collected || record.is_held())
            && record.standing() == Standing::Installed;
        self.probe_from.filter(|_| settled && !self.quiet).map(|from| (from, Work::Probe))
    }

    /// From when on it wants to be called about, not after `horizon`.
    pub(crate) fn next_call(&self, horizon: Option<Time>) -> Option<Time> {
        if self.removed || self.busy != Busy::Idle {
            return None;
        }
        if self.urgent {
            return Some(Time::MIN);
        }
        let due = self.record.due.filter(|_| self.record.is_polled());
        let wanted = [self.record.hint(), due].into_iter().flatten().min().filter(|_| !self.quiet);
        wanted.filter(|wanted| horizon.is_none_or(|horizon| *wanted <= horizon))
    }

    /// When something is to be done about it on this machine.
    pub(crate) fn next_work(&self, now: Now) -> Option<Time> {
        if self.removed || self.quiet || self.busy != Busy::Idle {
            return None;
        }
        let work = self.local_work().map(|(at, _)| at);
        let debts = self.record.payable().filter_map(|debt| debt.next).min().filter(|_| !self.ready);
        let alarms = self.record.alarms.iter().map(|alarm| alarm.next).min();
        let rehearsal = self.rehearsal().filter(|_| !self.ready);
        [work, debts, alarms, rehearsal, next_warning(&self.record, now)].into_iter().flatten().min()
    }

    /// What it adds to the counts.
    pub(crate) fn tally(&self) -> Tally {
        if self.removed {
            return Tally::default();
        }
        let record = &self.record;
        let failing = record.owed().any(|debt| debt.outcome.is_some());
        let alarmed = record.phase == Phase::Guarding && record.revocation().is_some();
        let unserved = record.probed.as_ref().is_some_and(|probed| probed.needs_person());
        let held_up = record.trouble.is_some() || record.lost.is_some() || failing;
        let standing = if record.phase.needs_person() || held_up || alarmed || unserved {
            Counted::Attention
        } else if record.phase == Phase::Guarding {
            Counted::InOrder
        } else {
            Counted::Waiting
        };
        Tally { standing, owed: record.owed().count() as u32, gate: self.gate as u32 }
    }

    /// Gives back what it took for something that is over.
    pub(crate) fn tidy(&mut self) {
        self.record.seldom.tidy();
        self.underway.tidy();
    }
}
