//! What the engine knows of one order beyond its record: what it is busy with, what it owes on this machine, and
//! where it stands in queue and timers.

use std::sync::Arc;

use super::install::Material;
use super::order::OrderRecord;
use super::summary;
use super::time::Time;
use crate::api::code::{Class, Row};
use crate::cert::Certificate;

/// What one order is busy with, outside the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Busy {
    #[default]
    Idle,
    Calling,
    Hook,
    /// Something on this machine.
    Local(Work),
}

/// A step of an order on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    Activate,
    /// Find the generation before the current one, to put it back.
    RollBack,
    Verify,
    Stage,
    Look,
    Quarantine,
    Sweep,
}

/// What the last call about an order brought, for commands waiting for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Brought {
    /// No answer that can be understood, so far.
    #[default]
    Nothing,
    /// An answer that leaves it open whether the vendor takes the login.
    Answer,
    /// The vendor refused the login.
    Refused,
    /// An answer that cannot come without an accepted login.
    Login,
}

impl Brought {
    /// What an answer of this meaning brings.
    pub(super) fn of(row: Row) -> Brought {
        if row.class == Class::AccountClosed {
            Brought::Refused
        } else if row.shows_login() {
            Brought::Login
        } else {
            Brought::Answer
        }
    }
}

/// Work that an order owes on this machine, beyond what its record says.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Todo {
    /// The bundle has not been through the gate since it, the keys or the configuration changed.
    pub(super) verify: bool,
    /// Look whether the installed files are still what they were.
    pub(super) look: bool,
    /// Put the generation before the current one back.
    pub(super) rollback: bool,
    /// The bundle at hand is the installed one; it serves only to put missing files back.
    pub(super) spare: bool,
    /// Remove old generations.
    pub(super) sweep: bool,
    /// Write the refused bundle where the operator can look at it.
    pub(super) quarantine: bool,
    /// The bundle could not be judged, because a file of this machine could not be read; that is the trouble on record.
    pub(super) unread: bool,
    /// A bug aborted local work. Nothing is retried until the operator resumes the order; after a restart,
    /// only a staged generation is.
    pub(super) broken: bool,
}

#[derive(Debug)]
pub(super) struct Slot {
    pub(super) name: Arc<str>,
    /// Index into the configuration's orders; of no meaning once removed.
    pub(super) entry: usize,
    /// Index into the gates.
    pub(super) gate: usize,
    pub(super) record: OrderRecord,
    pub(super) bundle: Option<Vec<Certificate>>,
    pub(super) material: Option<Box<Material>>,
    pub(super) busy: Busy,
    pub(super) todo: Todo,
    /// The operator wants it polled now, or a changed credential is to be tried with it.
    pub(super) urgent: bool,
    pub(super) brought: Brought,
    /// Where it stands in its gate's queue.
    pub(super) queued: Option<Time>,
    /// Where it stands in the timers.
    pub(super) timed: Option<Time>,
    /// Its first due debt waits for its run in the ledger.
    pub(super) ready: bool,
    /// The installed files are looked at then, without a poll.
    pub(super) look_from: Option<Time>,
    /// Until when a certificate that is not yet valid is waited for.
    pub(super) hold_until: Option<Time>,
    /// The configuration no longer has it.
    pub(super) removed: bool,
    /// This process is not here for it.
    pub(super) quiet: bool,
    pub(super) tally: summary::Tally,
}
