//! What a person is told about accounts and about the daemon itself: one message for one cause, whatever the number of
//! orders. Relies on no save, because that the state cannot be saved is a cause as well.

use std::sync::Arc;

use crate::config::{Config, Hook, HookEvent};
use crate::engine::Engine;
use crate::engine::account::gate::Gate;
use crate::engine::alarm::Notice;
use crate::engine::event::Effect;
use crate::engine::finding::{self, Finding, FindingKind};
use crate::engine::hooks::ledger::{Key, RunPurpose, Running};
use crate::engine::hooks::run::{HookResult, HookRun, Subject, outcome};
use crate::engine::hooks::told;
use crate::engine::id::RunId;
use crate::engine::note::{Level, Note, NoteKind};
use crate::engine::time::{Now, Time};
use crate::engine::vitals::Vitals;

/// Whose notice it is, by index into the gates; the daemon's own if there is none.
type Owner = Option<usize>;

/// A notice, while a hook of it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NoticeKey {
    /// The account; the daemon itself if there is none.
    account: Option<Arc<str>>,
    kind: FindingKind,
}

/// What is told of the daemon itself; not saved, since it tells of what cannot be.
#[derive(Debug, Default)]
pub(crate) struct Notices {
    daemon: Vec<Notice>,
    /// The configuration on disk is invalid.
    pub(crate) misconfigured: bool,
}

impl Engine {
    /// When a message is due.
    pub(crate) fn next_notice(&self) -> Option<Time> {
        let accounts = self.gates.iter().filter(|gate| !gate.removed).flat_map(|gate| &gate.record.notices);
        let can_run = |hook: &str| self.ledger.has_room_for(hook);
        accounts.chain(&self.notices.daemon).filter_map(|notice| notice.next(can_run)).min()
    }

    /// Notices what has begun and what is over, and tells what is due.
    pub(crate) fn give_notice(&mut self) {
        self.give_notice_of(None);
        for gate in 0..self.gates.len() {
            self.give_notice_of(Some(gate));
        }
    }

    fn give_notice_of(&mut self, owner: Owner) {
        let findings = self.told_findings(owner);
        self.update_notices(owner, &findings);
        self.start_notices(owner, &findings);
    }

    /// What is to be told of an owner.
    fn told_findings(&self, owner: Owner) -> Vec<Finding> {
        let mut findings = match owner {
            None => {
                let vitals = Vitals {
                    failed_saves: self.outbox.failed_saves(),
                    misconfigured: self.notices.misconfigured,
                    ..Vitals::default()
                };
                finding::of_daemon(None, Some(&vitals), self.config.orders.len())
            }
            Some(gate) => of_gate(&self.gates[gate], &self.config, self.now),
        };
        findings.retain(|finding| finding.kind.event().is_some());
        findings
    }

    fn notices(&mut self, owner: Owner) -> &mut Vec<Notice> {
        match owner {
            None => &mut self.notices.daemon,
            Some(gate) => &mut self.gates[gate].record.notices,
        }
    }

    fn touch_notices(&mut self, owner: Owner) {
        if let Some(gate) = owner {
            self.accounts().touch_gate(gate);
        }
    }

    fn update_notices(&mut self, owner: Owner, findings: &[Finding]) {
        if findings.is_empty() && self.notices(owner).is_empty() {
            return;
        }
        let now = self.now;
        let mut notices = std::mem::take(self.notices(owner));
        let before = notices.clone();
        for finding in findings {
            // One that was over has begun anew.
            notices.retain(|notice| notice.alarm.kind != finding.kind || !notice.over);
            if !notices.iter().any(|notice| notice.alarm.kind == finding.kind) {
                notices.push(Notice::new(finding.kind, now));
            }
        }
        for notice in &mut notices {
            let kind = notice.alarm.kind;
            if notice.over {
                continue;
            }
            if findings.iter().any(|finding| finding.kind == kind) {
                if notice.alarm.is_due(now) {
                    notice.alarm.tell(now);
                    notice.owe(kind.event().map(|event| self.listeners(owner, event)).unwrap_or_default());
                }
            } else {
                notice.over = true;
                let was_told = notice.alarm.told > 0;
                let listeners =
                    if was_told { self.listeners(owner, HookEvent::Recovered) } else { Vec::new() };
                notice.owe(listeners);
            }
        }
        notices.retain(|notice| !notice.over || !notice.owed.is_empty());
        let changed = notices != before;
        *self.notices(owner) = notices;
        if changed {
            self.touch_notices(owner);
        }
    }

    /// The hooks that are told of it: those of the account's orders, or of all orders.
    fn listeners(&self, owner: Owner, event: HookEvent) -> Vec<(Arc<str>, HookEvent)> {
        let listens = |hook: &Arc<Hook>| Some((hook.name.clone(), hook.listens(event)?));
        let is_used = |name: &Arc<str>| {
            self.orders.states.iter().filter(|state| !state.removed).any(|state| {
                owner.is_none_or(|gate| gate == state.gate)
                    && self.config.orders[state.entry].settings.hooks.contains(name)
            })
        };
        self.config.hooks.iter().filter_map(listens).filter(|(name, _)| is_used(name)).collect()
    }

    fn start_notices(&mut self, owner: Owner, findings: &[Finding]) {
        if self.stopping {
            return;
        }
        let account = owner.map(|gate| self.gates[gate].name.clone());
        for at in 0..self.notices(owner).len() {
            let now = self.now;
            let notice = &self.notices(owner)[at];
            if notice.owed.is_empty() || notice.retry.is_some_and(|retry| retry > now.time) {
                continue;
            }
            let (kind, owed) = (notice.alarm.kind, notice.owed.clone());
            // What is over was not found.
            let (summary, next) = match findings.iter().find(|finding| finding.kind == kind) {
                Some(Finding { own, next, .. }) => (own.clone(), next.clone()),
                None => (kind.over(account.as_deref().unwrap_or_default()), String::new()),
            };
            let until = told::holds((!notice.over).then_some(&notice.alarm), now);
            let subject = Subject {
                summary,
                next,
                key: told::notice_key(account.as_deref(), kind),
                until: Some(until),
                ..Subject::default()
            };
            let key = NoticeKey { account: account.clone(), kind };
            for (name, event) in owed {
                let Some(hook) = self.config.hook(&name).cloned() else {
                    self.notices(owner)[at].told(&(name, event), true, now);
                    continue;
                };
                if !self.ledger.has_room_for(&name) {
                    continue;
                }
                self.tell(hook, event, &key, subject.clone());
            }
        }
        self.notices(owner).retain(|notice| !notice.over || !notice.owed.is_empty());
    }

    fn tell(&mut self, hook: Arc<Hook>, event: HookEvent, key: &NoticeKey, subject: Subject) {
        let run = RunId(self.ledger.next_run);
        self.ledger.next_run += 1;
        let running = Running {
            key: (hook.name.clone(), event),
            orders: Vec::new(),
            apart: false,
            purpose: RunPurpose::Notice(key.clone()),
        };
        self.ledger.running.insert(run, running);
        let subject = Subject { account: key.account.clone().unwrap_or_default(), ..subject };
        let subjects = vec![subject.fit()];
        let at = self.now.unix();
        self.outbox.say(Effect::Tell(Box::new(HookRun { run, hook, event, subjects, rehearsal: false, at })));
    }

    /// A hook of a notice has ended.
    pub(crate) fn notice_told(&mut self, told: &Key, key: &NoticeKey, result: &HookResult) {
        let owner = match &key.account {
            None => None,
            Some(account) => match self.accounts().gate_of(account) {
                Some(gate) => Some(gate),
                None => return,
            },
        };
        let now = self.now;
        let worked = match result {
            HookResult::Done | HookResult::NotForMe => true,
            HookResult::Failed { .. } => false,
        };
        for notice in self.notices(owner).iter_mut().filter(|notice| notice.alarm.kind == key.kind) {
            notice.told(told, worked, now);
        }
        self.notices(owner).retain(|notice| !notice.over || !notice.owed.is_empty());
        self.touch_notices(owner);
        let about = key.account.as_deref().map(|account| format!(" of account {account}"));
        let text =
            format!("hook {} ({}{}): {}", told.0, key.kind, about.unwrap_or_default(), outcome(result));
        let (level, kind) =
            if worked { (Level::Info, NoteKind::HookDone) } else { (Level::Warn, NoteKind::HookFailed) };
        let account = key.account.clone();
        let note = Note { level, kind, order: None, account, at: now.unix(), text };
        self.outbox.say(Effect::Report(note));
    }
}

fn of_gate(gate: &Gate, config: &Config, now: Now) -> Vec<Finding> {
    let account = config.account(&gate.name).filter(|_| !gate.removed);
    account.map(|account| finding::of_account(account, &gate.record, false, now)).unwrap_or_default()
}
