//! The hook ledger: what is owed, when it is tried, and who shares a run.
//!
//! A hook is owed until it has worked. Each order tries its hooks one after the other, in the order of its
//! configuration; a hook never runs twice at once; orders that owe the same hook within five seconds share
//! a run. The wait for company ends early when nobody is left who could join, so a single order does not wait.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::event::{Effect, HookResult, HookRun, Level, MERGE_WINDOW, OrderId, RunId, Subject};
use super::order::{Debt, Phase};
use super::time::{Now, Time};
use super::{Busy, Engine, note, schedule};
use crate::config::{Action, Hook, HookEvent, Order};

/// So many different hooks run at once: one that hangs until its time limit must not hold up all others.
const MAX_PARALLEL: usize = 4;
/// So many failures in a row, and a person should look. It is tried on all the same.
const ALARM: u32 = 3;
/// So many bytes each variable of a shared run holds at most: Linux starts no program with one of 128 KiB, and all
/// of them together have 2 MiB.
const MAX_VALUE: usize = 64 * 1024;
/// So many queued orders are looked at to see whether one could still join; beyond, one surely can.
const JOINERS_LOOKED_AT: usize = 256;

/// What waits for a run, and what runs.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    ready: BTreeMap<(Arc<str>, HookEvent), Ready>,
    running: BTreeMap<RunId, Running>,
    next_run: u64,
}

#[derive(Debug)]
struct Ready {
    orders: BTreeSet<OrderId>,
    /// When the first of them came to owe it.
    since: Time,
    /// Company is waited for until then.
    wait: Option<Time>,
}

#[derive(Debug)]
struct Running {
    hook: Arc<str>,
    event: HookEvent,
    orders: Vec<OrderId>,
    rehearsal: bool,
}

impl Ledger {
    pub(super) fn next_wake(&self) -> Option<Time> {
        self.ready.values().filter_map(|ready| ready.wait).min()
    }

    pub(super) fn has_work(&self) -> bool {
        !self.ready.is_empty() || !self.running.is_empty()
    }
}

impl Engine {
    pub(super) fn hook(&self, name: &str) -> Option<&Arc<Hook>> {
        self.config.hooks.iter().find(|hook| &*hook.name == name)
    }

    /// Enters the order's hooks for an event; what was owed for the same event before is replaced.
    pub(super) fn owe_hooks(&mut self, id: OrderId, event: HookEvent, now: Now) {
        let wanted: Vec<Arc<str>> = self
            .entry(id)
            .settings
            .hooks
            .iter()
            .filter(|name| self.hook(name).is_some_and(|hook| hook.on.contains(&event)))
            .cloned()
            .collect();
        let record = &mut self.slot_mut(id).record;
        record.debts.retain(|debt| debt.event != event || wanted.contains(&debt.hook));
        for hook in wanted {
            let fresh = Debt {
                hook: hook.clone(),
                event,
                since: now.unix(),
                tries: 0,
                next: Some(now.time),
                started: false,
                outcome: None,
                ended: None,
            };
            match record.debts.iter_mut().find(|debt| debt.hook == hook && debt.event == event) {
                Some(debt) => *debt = fresh,
                None => record.debts.push(fresh),
            }
        }
        self.touch(id, now);
    }

    /// Lets an idle order's first due debt wait for its run.
    pub(super) fn queue_debts(&mut self, id: OrderId, now: Now) {
        let slot = self.slot(id);
        if slot.ready || slot.removed || slot.busy != Busy::Idle {
            return;
        }
        let due = slot.record.owed().find(|debt| debt.next.is_some_and(|next| next <= now.time));
        let Some(key) = due.map(|debt| (debt.hook.clone(), debt.event)) else { return };
        if self.hook(&key.0).is_none() {
            return self.forgive(id, &key.0, key.1, now);
        }
        let ready = self.hooks.ready.entry(key).or_insert_with(|| Ready {
            orders: BTreeSet::new(),
            since: now.time,
            wait: None,
        });
        ready.orders.insert(id);
        self.slot_mut(id).ready = true;
    }

    /// A hook that the configuration no longer has cannot be run; said, and struck out.
    pub(super) fn forgive(&mut self, id: OrderId, hook: &str, event: HookEvent, now: Now) {
        let record = &mut self.slot_mut(id).record;
        let is_meant = |debt: &Debt| &*debt.hook == hook && debt.event == event;
        let owed = record.owed().any(is_meant);
        record.debts.retain(|debt| !is_meant(debt));
        if owed {
            let text = format!(
                "hook {hook} was owed ({}), but is no longer configured for this order; struck out",
                event.word()
            );
            self.note(Level::Warn, "hook-dropped", Some(id), now, text);
        }
        self.settle(id, now);
        self.touch(id, now);
    }

    /// Starts every run that may start.
    pub(super) fn start_hooks(&mut self, now: Now) {
        if self.hooks.ready.is_empty() {
            return;
        }
        let keys: Vec<(Arc<str>, HookEvent)> = self.hooks.ready.keys().cloned().collect();
        for key in keys {
            if self.hooks.running.len() >= MAX_PARALLEL {
                break;
            }
            if self.hooks.running.values().any(|running| running.hook == key.0) {
                if let Some(ready) = self.hooks.ready.get_mut(&key) {
                    ready.wait = None;
                }
                continue;
            }
            self.start_ready(&key, now);
        }
    }

    fn start_ready(&mut self, key: &(Arc<str>, HookEvent), now: Now) {
        let Some(hook) = self.hook(&key.0).cloned() else { return };
        let Some(ready) = self.hooks.ready.get(key) else { return };
        let end = ready.since + MERGE_WINDOW;
        if hook.merge && now.time < end && self.company_may_come(key, end, now) {
            self.hooks.ready.get_mut(key).expect("looked at above").wait = Some(end);
            return;
        }
        let (orders, subjects) = self.company(&hook, &ready.orders);
        let ready = self.hooks.ready.get_mut(key).expect("looked at above");
        ready.wait = None;
        if orders.is_empty() {
            return;
        }
        for id in &orders {
            ready.orders.remove(id);
        }
        if ready.orders.is_empty() {
            self.hooks.ready.remove(key);
        }
        for id in &orders {
            self.slot_mut(*id).ready = false;
            let debts = &mut self.slot_mut(*id).record.debts;
            for debt in debts.iter_mut().filter(|debt| debt.hook == key.0 && debt.event == key.1) {
                debt.started = true;
                debt.tries += 1;
            }
            self.touch(*id, now);
        }
        self.run_hook(hook, key.1, orders, subjects, false, now);
    }

    /// The idle orders that share the next run, and what it is told of them. Those that a program could not be told
    /// of in one environment are left for the run after it.
    fn company(&self, hook: &Hook, ready: &BTreeSet<OrderId>) -> (Vec<OrderId>, Vec<Subject>) {
        let is_told = matches!(hook.action, Action::Run(_));
        let mut left = MAX_VALUE;
        let mut company = (Vec::new(), Vec::new());
        for id in ready.iter().copied().filter(|id| self.slot(*id).busy == Busy::Idle) {
            let subject = self.subject(id);
            let takes = if is_told { subject.longest() } else { 0 };
            if !company.0.is_empty() && (!hook.merge || takes > left) {
                break;
            }
            left = left.saturating_sub(takes);
            company.0.push(id);
            company.1.push(subject);
        }
        company
    }

    pub(super) fn run_hook(
        &mut self,
        hook: Arc<Hook>,
        event: HookEvent,
        orders: Vec<OrderId>,
        subjects: Vec<Subject>,
        rehearsal: bool,
        now: Now,
    ) -> RunId {
        let run = RunId(self.hooks.next_run);
        self.hooks.next_run += 1;
        for id in &orders {
            self.set_busy(*id, Busy::Hook);
            self.reindex(*id, now);
        }
        self.hooks.running.insert(run, Running { hook: hook.name.clone(), event, orders, rehearsal });
        self.effects.push(Effect::RunHook(Box::new(HookRun { run, hook, event, subjects, rehearsal })));
        run
    }

    /// Whether another order could come to owe the same hook before `end`: it is being deployed, or it may be
    /// polled by then.
    fn company_may_come(&self, (hook, event): &(Arc<str>, HookEvent), end: Time, now: Now) -> bool {
        if *event != HookEvent::Installed {
            return false;
        }
        let present = &self.hooks.ready[&(hook.clone(), *event)].orders;
        let uses = |id: &OrderId| {
            !present.contains(id) && !self.slot(*id).removed && self.entry(*id).settings.hooks.contains(hook)
        };
        if self.busy.iter().any(uses) {
            return true;
        }
        // Deployments that wait for their turn on this machine.
        let soon = self.timers.range(..=(end, OrderId(u32::MAX))).map(|(_, id)| id);
        if soon.take(JOINERS_LOOKED_AT).any(|id| uses(id) && self.slot(*id).record.phase == Phase::Collected)
        {
            return true;
        }
        let gap = self.config.calls.call_gap;
        self.gates.iter().any(|gate| {
            let in_time = gate.next_call(gap).is_some_and(|at| at.max(now.time) < end);
            let mut queued = gate.queue.range(..=(end, OrderId(u32::MAX))).map(|(_, id)| id);
            in_time && (queued.by_ref().take(JOINERS_LOOKED_AT).any(uses) || queued.next().is_some())
        })
    }

    /// What a hook is told of an order.
    pub(super) fn subject(&self, id: OrderId) -> Subject {
        let entry = self.entry(id);
        let dir = self.config.install_dir.join(&*entry.name);
        let files = &entry.settings.files;
        let path = |name: &Option<String>| name.as_ref().map(|name| dir.join(name)).unwrap_or_default();
        let installed = self.slot(id).record.installed.as_deref();
        Subject {
            order: entry.name.clone(),
            number: entry.handle.text().to_owned(),
            product: entry.settings.product.word(),
            cert: path(&files.cert),
            chain: path(&files.chain),
            fullchain: path(&files.fullchain),
            domains: installed
                .map(|installed| valid_names(&installed.names))
                .unwrap_or_else(|| configured(entry)),
            serial: installed.map(|installed| installed.serial.to_string()).unwrap_or_default(),
            fingerprint: installed.map(|installed| installed.fingerprint.to_string()).unwrap_or_default(),
            not_after: installed.map(|installed| installed.not_after),
            generation: installed.map(|installed| installed.name.to_string()).unwrap_or_default(),
            dir,
        }
    }

    /// A run that was never begun, because the save before it failed.
    pub(super) fn hook_unstarted(&mut self, run: RunId, now: Now) {
        let Some(running) = self.hooks.running.remove(&run) else { return };
        for id in &running.orders {
            self.set_busy(*id, Busy::Idle);
            let debts = &mut self.slot_mut(*id).record.debts;
            for debt in
                debts.iter_mut().filter(|debt| debt.hook == running.hook && debt.event == running.event)
            {
                debt.started = false;
                debt.tries = debt.tries.saturating_sub(1);
            }
            self.reindex(*id, now);
        }
        if running.rehearsal {
            self.rehearsed(run, &HookResult::failed("the state cannot be saved"), now);
        }
    }

    pub(super) fn hook_ended(&mut self, run: RunId, result: HookResult, now: Now) {
        let Some(running) = self.hooks.running.remove(&run) else { return };
        for id in &running.orders {
            self.set_busy(*id, Busy::Idle);
        }
        if running.rehearsal {
            self.rehearsed(run, &result, now);
        } else {
            for id in &running.orders {
                if !self.slot(*id).removed {
                    self.record_result(*id, &running, &result, now);
                }
            }
            self.save_first();
        }
        for id in running.orders {
            if !self.slot(id).removed {
                self.queue_debts(id, now);
                self.reindex(id, now);
                self.answer_waiters(id, now);
            }
        }
    }

    fn record_result(&mut self, id: OrderId, running: &Running, result: &HookResult, now: Now) {
        let record = &mut self.slot_mut(id).record;
        let Some(debt) =
            record.debts.iter_mut().find(|debt| debt.hook == running.hook && debt.event == running.event)
        else {
            return;
        };
        let outcome = outcome(result);
        debt.started = false;
        debt.ended = Some(now.unix());
        debt.outcome = Some(outcome.as_str().into());
        let tries = debt.tries;
        let (hook, event) = (&running.hook, running.event.word());
        match result {
            HookResult::Done | HookResult::NotForMe => {
                debt.next = None;
                let text = format!("hook {hook} ({event}): {outcome}");
                self.note(Level::Info, "hook-done", Some(id), now, text);
                self.settle(id, now);
            }
            HookResult::Failed { .. } => {
                let wait = schedule::hook(tries);
                debt.next = Some(now.time + wait);
                let often = if tries > 1 { format!(", {tries} times in a row") } else { String::new() };
                let text = format!(
                    "hook {hook} ({event}): {outcome}{often}; the files stay installed, next try in {}",
                    note::duration(wait)
                );
                let level = if tries >= ALARM { Level::Error } else { Level::Warn };
                if tries <= ALARM {
                    self.note(level, "hook-failed", Some(id), now, text);
                } else {
                    self.tell(level, "hook-failed", Some(id), now, text);
                }
            }
        }
        self.touch(id, now);
    }

    /// Takes an order out of every run that has not begun.
    pub(super) fn unready(&mut self, id: OrderId) {
        if std::mem::take(&mut self.slot_mut(id).ready) {
            self.hooks.ready.retain(|_, ready| {
                ready.orders.remove(&id);
                !ready.orders.is_empty()
            });
        }
    }
}

/// How a run ended, in words for the log and for `status`.
pub(super) fn outcome(result: &HookResult) -> String {
    match result {
        HookResult::Done => "done".into(),
        HookResult::NotForMe => "not for this hook (exit code 42)".into(),
        HookResult::Failed { why, last_words, remedy } => {
            let quoted: Vec<String> = last_words.iter().map(|line| format!("\"{line}\"")).collect();
            let words = match quoted[..] {
                [] => String::new(),
                _ => format!("; its last words: {}", quoted.join(", ")),
            };
            let remedy = remedy.iter().map(|remedy| format!("; {remedy}")).collect::<String>();
            format!("failed: {why}{words}{remedy}")
        }
    }
}

/// Names fit for a hook: letters, digits, dots, hyphens, a wildcard, and what IP and e-mail addresses need.
fn valid_names(names: &[Box<str>]) -> Vec<String> {
    let fit = |name: &&str| {
        !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_*:@+".contains(&byte))
            && !name.starts_with('-')
    };
    names.iter().map(|name| &**name).filter(fit).map(str::to_owned).collect()
}

fn configured(entry: &Order) -> Vec<String> {
    valid_names(&entry.domains)
}
