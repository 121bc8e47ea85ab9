//! Which hook runs next, and what its result means.
//!
//! Each order tries its hooks one after the other, in the order of its configuration; a hook never runs twice at once; who
//! shares a run is decided in [`crate::engine::hooks::company`].

use std::sync::Arc;

use crate::config;
use crate::config::{Action, FileKind, Hook, HookEvent};
use crate::engine::event::Effect;
use crate::engine::hooks::Hooks;
use crate::engine::hooks::ledger::{Company, Key, Ready, RunPurpose, Running};
use crate::engine::hooks::run::{HookResult, HookRun, Proof, Subject};
use crate::engine::hooks::told::{self, told};
use crate::engine::id::{OrderId, RunId};
use crate::engine::note::{Level, NoteKind};
use crate::engine::notices::NoticeKey;
use crate::engine::order::state::Busy;
use crate::engine::time::Time;

impl Hooks<'_> {
    /// Hooks that an order no longer has are no longer owed.
    pub(crate) fn drop_hooks(&mut self, id: OrderId) {
        let entry = self.entry(id);
        let gone: Vec<(Arc<str>, HookEvent)> = self
            .orders
            .state(id)
            .record
            .debts
            .iter()
            .filter(|debt| {
                let listens = self.config.hook(&debt.hook).is_some_and(|hook| hook.on.contains(&debt.event));
                !listens || !entry.settings.hooks_for(debt.event).contains(&debt.hook)
            })
            .map(|debt| (debt.hook.clone(), debt.event))
            .collect();
        for (hook, event) in gone {
            if self.orders.state(id).busy != Busy::Hook {
                self.unready(id);
            }
            self.order(id).forgive(&hook, event);
        }
    }

    /// Lets an idle order's first due debt wait for its run.
    pub(crate) fn queue_debts(&mut self, id: OrderId) {
        let state = self.orders.state(id);
        if state.ready || state.removed || state.busy != Busy::Idle {
            return;
        }
        let due = state.record.payable().find(|debt| debt.next.is_some_and(|next| next <= self.now.time));
        let Some(key) = due.map(|debt| (debt.hook.clone(), debt.event)) else { return };
        if self.config.hook(&key.0).is_none() {
            return self.order(id).forgive(&key.0, key.1);
        }
        let apart = Hooks::runs_apart(&self.orders.state(id).record, &key);
        self.ledger.ready.entry(key).or_insert_with(|| Ready::new(self.now)).join(id, apart, self.now);
        self.orders.state_mut(id).ready = true;
    }

    /// The hooks that wait for a run; the one that has waited longest is the first.
    pub(crate) fn waiting(&self) -> Vec<Key> {
        let mut keys: Vec<(Time, Key)> =
            self.ledger.ready.iter().map(|(key, ready)| (ready.last_run, key.clone())).collect();
        keys.sort();
        keys.into_iter().map(|(_, key)| key).collect()
    }

    /// Starts a run that may start.
    pub(crate) fn start(&mut self, key: &Key) {
        if !self.ledger.has_room_for(&key.0) {
            // Looked at again when a run ends.
            if let Some(ready) = self.ledger.ready.get_mut(key) {
                ready.wait_until = None;
            }
            return;
        }

        let Some(hook) = self.config.hook(&key.0).cloned() else { return };
        let company = self.next_company(key, &hook);
        let Some(ready) = self.ledger.ready.get_mut(key) else { return };
        if company.orders.is_empty() {
            return;
        }
        ready.last_run = self.now.time;
        for id in &company.orders {
            ready.leave(*id);
        }
        if ready.is_empty() {
            self.ledger.ready.remove(key);
        }
        for id in &company.orders {
            self.order(*id).run_started(key);
        }
        self.count_message(key);
        self.run_hook(hook, key.1, company, RunPurpose::Debts);
    }

    pub(crate) fn run_hook(
        &mut self,
        hook: Arc<Hook>,
        event: HookEvent,
        company: Company,
        purpose: RunPurpose,
    ) -> RunId {
        let Company { orders, subjects, apart } = company;
        let run = RunId(self.ledger.next_run);
        self.ledger.next_run += 1;
        if matches!(hook.action, Action::Run(_)) {
            for (id, subject) in
                orders.iter().zip(&subjects).filter(|(_, subject)| !subject.omitted.is_empty())
            {
                let elsewhere = match event.is_of_a_proof() {
                    true => format!("`certcollectd explain {}` shows it", subject.order),
                    false => "the installed files have it".to_owned(),
                };
                let text = format!(
                    "hook {}: CERTCOLLECTD_{} is left empty, because it is too long for a program's \
                     environment; {elsewhere}",
                    hook.name,
                    subject.omitted.join(", _")
                );
                self.order(*id).log(Level::Warn, NoteKind::HookUntold, text);
            }
        }
        for id in &orders {
            self.orders.state_mut(*id).busy = Busy::Hook;
        }
        let rehearsal = purpose == RunPurpose::Rehearsal;
        let at = self.now.unix();
        self.ledger.running.insert(run, Running { key: (hook.name.clone(), event), orders, apart, purpose });
        self.outbox.start(Effect::RunHook(Box::new(HookRun { run, hook, event, subjects, rehearsal, at })));
        run
    }

    /// What a hook gets about an order.
    pub(crate) fn subject(&self, id: OrderId, event: HookEvent) -> Subject {
        let entry = self.entry(id);
        let dir = self.config.install_dir.join(&*entry.name);
        let files = &entry.settings.files;
        let path = |kind| files.name(kind).map(|name| dir.join(name)).unwrap_or_default();
        let record = &self.orders.state(id).record;
        let installed = record.installed.as_deref();
        let account = &self.gates[self.orders.state(id).gate].record;
        let (summary, next) = told(entry, record, account, event, self.now);
        Subject {
            order: entry.name.clone(),
            account: entry.account.clone(),
            number: entry.handle.text().to_owned(),
            product: entry.settings.product.as_str(),
            cert: path(FileKind::Cert),
            chain: path(FileKind::Chain),
            fullchain: path(FileKind::Fullchain),
            domains: installed
                .map(|installed| valid_names(&installed.names))
                .unwrap_or_else(|| configured(entry)),
            serial: installed.map(|installed| whole_serial(&installed.serial)).unwrap_or_default(),
            fingerprint: installed.map(|installed| installed.fingerprint.to_string()).unwrap_or_default(),
            not_after: installed.map(|installed| installed.not_after),
            generation: installed.map(|installed| installed.name.to_string()).unwrap_or_default(),
            dir,
            summary,
            next,
            key: told::key(&entry.name, event),
            until: Some(told::until(record, event, self.now)),
            proof: record.reissue.as_deref().filter(|_| event.is_of_a_proof()).map(Proof::of).map(Box::new),
            omitted: Vec::new(),
        }
        .fit()
    }

    /// A run that never started, because the save before it failed.
    pub(crate) fn hook_unstarted(&mut self, run: RunId) {
        let Some(running) = self.ledger.running.remove(&run) else { return };
        for id in &running.orders {
            self.order(*id).run_dropped(&running.key);
        }
        if running.purpose == RunPurpose::Rehearsal {
            self.rehearsed(run, &HookResult::failed("the state cannot be saved"));
        }
    }

    /// Returns what the hook was told about, if that was no order's.
    pub(crate) fn hook_ended(&mut self, run: RunId, result: &HookResult) -> Option<(Key, NoticeKey)> {
        let running = self.ledger.running.remove(&run)?;
        for id in &running.orders {
            self.orders.state_mut(*id).busy = Busy::Idle;
        }
        match running.purpose {
            RunPurpose::Notice(key) => return Some((running.key, key)),
            RunPurpose::Rehearsal => self.rehearsed(run, result),
            RunPurpose::Debts => {
                self.count_in_vain(&running, result);
                for id in &running.orders {
                    if !self.orders.state(*id).removed {
                        self.order(*id).record_result(&running.key, running.orders.len(), result);
                    }
                }
                self.outbox.save_first();
            }
        }
        for id in running.orders {
            if !self.orders.state(id).removed {
                self.queue_debts(id);
            }
        }
        None
    }

    /// Tells a hook that is at fault from orders that are: see [`crate::engine::hooks::company`].
    fn count_in_vain(&mut self, running: &Running, result: &HookResult) {
        match result {
            HookResult::Failed { .. } if running.apart => {
                let failed = self.ledger.in_vain.entry(running.key.0.clone()).or_default();
                failed.extend(&running.orders);
            }
            HookResult::Failed { .. } | HookResult::Done | HookResult::NotForMe => {
                self.ledger.in_vain.remove(&running.key.0);
            }
        }
    }

    /// Takes an order out of every run that has not begun.
    pub(crate) fn unready(&mut self, id: OrderId) {
        if std::mem::take(&mut self.orders.state_mut(id).ready) {
            self.ledger.ready.retain(|_, ready| {
                ready.leave(id);
                !ready.is_empty()
            });
        }
    }
}

/// A serial number, unless it was shortened: no program gets half a number.
fn whole_serial(shown: &str) -> String {
    Some(shown)
        .filter(|shown| shown.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .unwrap_or_default()
        .to_owned()
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

fn configured(entry: &config::Order) -> Vec<String> {
    valid_names(&entry.domains)
}
