//! The hook ledger: what waits for a run, what runs, and the rehearsals under way.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::config::{Hook, HookEvent};
use crate::engine::hooks::run::Subject;
use crate::engine::id::{OrderId, RunId, Token};
use crate::engine::notices::NoticeKey;
use crate::engine::time::{Now, Time};

/// Maximum number of hooks running in parallel, so that one hanging until its timeout does not
/// block the others.
const MAX_PARALLEL: usize = 4;

/// What waits for a run, and what runs.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) ready: Queue,
    pub(crate) running: BTreeMap<RunId, Running>,
    pub(crate) next_run: u64,
    pub(crate) rehearsals: Vec<Rehearsal>,
    /// The orders for which a hook failed in runs of their own, since its last success.
    pub(crate) in_vain: BTreeMap<Arc<str>, BTreeSet<OrderId>>,
    /// When messages of a hook were begun lately, the last ones.
    pub(crate) messages: BTreeMap<Key, VecDeque<Time>>,
}

impl Ledger {
    pub(crate) fn next_wake(&self) -> Option<Time> {
        self.ready.values().filter_map(|ready| ready.wait_until).min()
    }

    /// Whether a run of this hook may begin now: none runs twice at once.
    pub(crate) fn has_room_for(&self, hook: &str) -> bool {
        self.running.len() < MAX_PARALLEL && self.running.values().all(|running| *running.key.0 != *hook)
    }

    pub(crate) fn has_work(&self) -> bool {
        !self.ready.is_empty() || !self.running.is_empty()
    }
}

#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) key: Key,
    pub(crate) orders: Vec<OrderId>,
    pub(crate) apart: bool,
    pub(crate) purpose: RunPurpose,
}

/// What a run is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RunPurpose {
    /// It is owed.
    Debts,
    Rehearsal,
    Notice(NoticeKey),
}

/// A hook, and the event that it is owed for.
pub(crate) type Key = (Arc<str>, HookEvent);

/// Hooks that wait for a run.
pub(crate) type Queue = BTreeMap<Key, Ready>;

/// Orders that wait for a run of one hook.
#[derive(Debug)]
pub(crate) struct Ready {
    /// Those that share a run.
    pub(crate) together: BTreeSet<OrderId>,
    /// Those that have one of their own.
    pub(crate) apart: BTreeSet<OrderId>,
    /// When the first of `together` came to owe it.
    pub(crate) since: Time,
    /// Since when no order is left that is still to be polled.
    pub(crate) all_polled_since: Option<Time>,
    /// Company is waited for until then.
    pub(crate) wait_until: Option<Time>,
    /// Sort key among hooks: the one that has waited longest is next.
    pub(crate) last_run: Time,
}

impl Ready {
    pub(crate) fn new(now: Now) -> Ready {
        Ready {
            together: BTreeSet::new(),
            apart: BTreeSet::new(),
            since: now.time,
            all_polled_since: None,
            wait_until: None,
            last_run: now.time,
        }
    }

    pub(crate) fn join(&mut self, id: OrderId, apart: bool, now: Now) {
        if apart {
            self.apart.insert(id);
            return;
        }
        if self.together.is_empty() {
            self.since = now.time;
        }
        self.together.insert(id);
        self.all_polled_since = None;
    }

    pub(crate) fn leave(&mut self, id: OrderId) {
        self.together.remove(&id);
        self.apart.remove(&id);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.together.is_empty() && self.apart.is_empty()
    }
}

/// Who runs next.
#[derive(Debug, Default)]
pub(crate) struct Company {
    pub(crate) orders: Vec<OrderId>,
    pub(crate) subjects: Vec<Subject>,
    /// Whether it is one order whose last run failed.
    pub(crate) apart: bool,
}

/// A rehearsal under way: its hooks run one after the other.
#[derive(Debug)]
pub(crate) struct Rehearsal {
    /// Who waits for it; nobody if it is due by the calendar.
    pub(crate) token: Option<Token>,
    pub(crate) order: OrderId,
    pub(crate) run: Option<RunId>,
    pub(crate) current: Option<Arc<Hook>>,
    pub(crate) left: Vec<Arc<Hook>>,
    pub(crate) results: Vec<String>,
    pub(crate) ok: bool,
    /// A hook that puts a certificate into use was among them, and so far has run.
    pub(crate) reloads: bool,
    /// The first of those that failed, and how.
    pub(crate) failed: Option<String>,
}

impl Rehearsal {
    pub(crate) fn new(token: Option<Token>, order: OrderId, left: Vec<Arc<Hook>>) -> Rehearsal {
        Rehearsal {
            token,
            order,
            run: None,
            current: None,
            left,
            results: Vec::new(),
            ok: true,
            reloads: false,
            failed: None,
        }
    }
}
