//! Who shares a run of a hook. Orders that come to owe the same hook in one sweep run it once; an order for which it
//! failed has a run of its own after that, so that no order's trouble becomes another one's.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{Action, Hook, HookEvent, count};
use crate::engine::hooks::Hooks;
use crate::engine::hooks::ledger::{Company, Key, Ready};
use crate::engine::hooks::run::Subject;
use crate::engine::id::OrderId;
use crate::engine::order::phase::Phase;
use crate::engine::order::record::OrderRecord;
use crate::engine::order::state::Busy;
use crate::engine::time::Time;

/// How long an order waits for others that are being deployed or come due on time.
const MOMENT: Duration = Duration::from_secs(5);
/// Maximum size, in bytes, of the variables for all orders of one run. Linux starts no
/// program with a string of 128 KiB, nor, where its stack is limited, with 128 KiB in all
/// (execve(2)); what the hook starts needs room as well.
const MAX_ENVIRONMENT: usize = 64 * 1024;
/// Maximum number of orders that a message names; the others are counted.
const MAX_NAMED: usize = 50;
/// So many messages of a hook may follow each other as they come; what comes within a merge window of them shares the
/// next one.
const MESSAGES: usize = 3;
/// Number of orders for which the hook, run for each alone, failed in a row. Then the hook itself
/// is at fault, and the other orders share a run to find out.
const IN_VAIN: usize = 8;
/// Maximum number of queued orders checked for one that could still join; beyond, one surely can.
const JOINERS_LOOKED_AT: usize = 256;

impl Hooks<'_> {
    /// Whether the hook failed for this order before, so that it gets a run of its own.
    pub(crate) fn runs_apart(record: &OrderRecord, (hook, event): &Key) -> bool {
        // That a message cannot be delivered is not the fault of what it is about.
        if *event != HookEvent::Installed {
            return false;
        }
        let mut debts = record.owed().filter(|debt| debt.hook == *hook && debt.event == *event);
        debts.any(|debt| debt.outcome.is_some())
    }

    /// The orders that share the next run, with their subjects; empty while it waits for more orders.
    pub(crate) fn next_company(&mut self, key: &Key, hook: &Hook) -> Company {
        let wait = if hook.merge { self.wait_for_company(key) } else { None };
        let Some(ready) = self.ledger.ready.get_mut(key) else { return Company::default() };
        ready.wait_until = wait;
        let ready = &self.ledger.ready[key];
        if wait.is_none() {
            let company = self.company((hook, key.1), &ready.together, hook.merge);
            if !company.orders.is_empty() {
                return company;
            }
        }
        let at_fault =
            hook.merge && self.ledger.in_vain.get(&key.0).is_some_and(|orders| orders.len() >= IN_VAIN);
        Company { apart: !at_fault, ..self.company((hook, key.1), &ready.apart, at_fault) }
    }

    /// The idle ones among these: one, or as many as fit into one environment. The others are left for the next run; by a
    /// message they are counted, so that one cause is one message.
    fn company(&self, (hook, event): (&Hook, HookEvent), ready: &BTreeSet<OrderId>, merge: bool) -> Company {
        let has_environment = matches!(hook.action, Action::Run(_));
        let mut left = MAX_ENVIRONMENT;
        let mut company = Company::default();
        let mut counted = 0;
        for id in ready.iter().copied().filter(|id| self.orders.state(*id).busy == Busy::Idle) {
            let is_first = company.orders.is_empty();
            if !is_first && !merge {
                break;
            }
            let is_message = event != HookEvent::Installed;
            if counted == 0 {
                let subject = self.subject(id, event);
                let takes = if has_environment { subject.environment_size() } else { 0 };
                let is_full = takes > left || (is_message && company.orders.len() >= MAX_NAMED);
                if is_first || !is_full {
                    left = left.saturating_sub(takes);
                    company.orders.push(id);
                    company.subjects.push(subject);
                    continue;
                }
                if !is_message {
                    break;
                }
            }
            counted += 1;
            company.orders.push(id);
        }
        if counted > 0 {
            let summary = format!("and {} more", count(counted, "order"));
            let next = "certcollectd status".to_owned();
            company.subjects.push(Subject { summary, next, ..Subject::default() });
        }
        company
    }

    /// Until when a run waits for more orders: while more are due, up to the merge window. A single order with nothing
    /// else due does not wait.
    fn wait_for_company(&mut self, key: &Key) -> Option<Time> {
        let ready = self.ledger.ready.get(key)?;
        if key.1 != HookEvent::Installed {
            return self.gather(key, ready.since);
        }
        let end = ready.since + self.config.calls.merge_window;
        if ready.together.is_empty() || self.now.time >= end {
            return None;
        }
        // An operator who waits for one order's poll does not wait for a sweep.
        let is_watched = ready.together.iter().any(|id| self.outbox.waiters.contains_key(id));
        let limit = if is_watched { end.min(ready.since + MOMENT) } else { end };
        if self.now.time < limit && self.more_may_be_collected(&key.0, ready, limit) {
            self.ledger.ready.get_mut(key)?.all_polled_since = None;
            return Some(limit);
        }
        let ready = self.ledger.ready.get_mut(key)?;
        let soon = (*ready.all_polled_since.get_or_insert(self.now.time) + MOMENT).min(end);
        let ready = &self.ledger.ready[key];
        (self.now.time < soon && self.more_may_be_deployed(&key.0, ready, soon)).then_some(soon)
    }

    /// Until when a message waits, because others may be about to say the same, or many were sent just now.
    fn gather(&self, key: &Key, since: Time) -> Option<Time> {
        let moment = if self.orders.states.len() > 1 { MOMENT } else { Duration::ZERO };
        let sent = self.ledger.messages.get(key).filter(|sent| sent.len() >= MESSAGES);
        let rest = sent.and_then(|sent| sent.front()).map(|sent| *sent + self.config.calls.merge_window);
        let until = rest.map_or(since + moment, |rest| rest.max(since + moment));
        (self.now.time < until).then_some(until)
    }

    /// A message is sent.
    pub(crate) fn count_message(&mut self, key: &Key) {
        if key.1 != HookEvent::Installed {
            let sent = self.ledger.messages.entry(key.clone()).or_default();
            sent.push_back(self.now.time);
            if sent.len() > MESSAGES {
                sent.pop_front();
            }
        }
    }

    /// Whether this order uses the hook and does not wait for its run already.
    fn may_join(&self, hook: &Arc<str>, ready: &Ready, id: OrderId) -> bool {
        !ready.together.contains(&id)
            && !self.orders.state(id).removed
            && self.entry(id).settings.hooks.contains(hook)
    }

    /// Whether the vendor is being asked, or will be before `limit`, about an order that could come to owe the hook: one
    /// that is due, and that was not asked about since the first of them came to owe it.
    fn more_may_be_collected(&self, hook: &Arc<str>, ready: &Ready, limit: Time) -> bool {
        let is_asked =
            |id: &OrderId| self.orders.state(*id).busy == Busy::Calling && self.may_join(hook, ready, *id);
        if self.orders.busy.iter().any(is_asked) {
            return true;
        }
        let comes = |id: &OrderId| {
            self.orders.state(*id).record.polled.is_none_or(|polled| polled <= ready.since)
                && self.may_join(hook, ready, *id)
        };
        let gap = self.config.calls.call_gap;
        self.gates.iter().any(|gate| {
            let at = gate.next_call(gap).map(|at| at.max(self.now.time));
            let Some(at) = at.filter(|at| *at < limit && *at <= self.calls_until) else { return false };
            let due = at.max(ready.since + MOMENT).min(limit);
            let mut queued = gate.queue.range(..=(due, OrderId(u32::MAX))).map(|(_, id)| id);
            queued.by_ref().take(JOINERS_LOOKED_AT).any(comes) || queued.next().is_some()
        })
    }

    /// Whether an order that could come to owe the hook is being put into place, or waits for its turn on this machine.
    fn more_may_be_deployed(&self, hook: &Arc<str>, ready: &Ready, soon: Time) -> bool {
        if self.orders.busy.iter().any(|id| self.may_join(hook, ready, *id)) {
            return true;
        }
        let mut timed =
            self.orders.timers.range(..=(soon, OrderId(u32::MAX))).map(|(_, id)| *id).take(JOINERS_LOOKED_AT);
        timed.any(|id| {
            self.orders.state(id).record.phase == Phase::Collected && self.may_join(hook, ready, id)
        })
    }
}

/// A variable of an order: the end of its name, its size in bytes, and how it is left out.
type Value = (&'static str, usize, fn(&mut Subject));

impl Subject {
    /// Size of this order's variables in bytes, separators included: directory and names count twice,
    /// once for hooks of other tools.
    fn environment_size(&self) -> usize {
        let domains: usize = self.domains.iter().map(|domain| domain.len() + 1).sum();
        let paths = [&self.dir, &self.dir, &self.cert, &self.chain, &self.fullchain];
        let paths: usize = paths.iter().map(|path| path.as_os_str().len() + 1).sum();
        let texts = [
            &*self.order,
            &*self.account,
            &self.number,
            self.product,
            &self.serial,
            &self.fingerprint,
            &self.generation,
            &self.summary,
            &self.next,
            &self.key,
        ];
        let texts: usize = texts.iter().map(|text| text.len() + 1).sum();
        let dates = 2 * "2026-11-28T00:00:00Z\n".len();
        let proof = self.proof.as_ref().map_or(0, |proof| proof.size());
        2 * domains + paths + texts + dates + proof
    }

    /// Leaves out the longest values until the rest fits into an environment.
    pub(crate) fn fit(mut self) -> Subject {
        while self.environment_size() > MAX_ENVIRONMENT {
            let domains: usize = self.domains.iter().map(|domain| 2 * (domain.len() + 1)).sum();
            let path = |path: &std::path::Path| path.as_os_str().len();
            let records = self.proof.as_ref().map_or(0, |proof| proof.records.len());
            let values: [Value; 10] = [
                ("DOMAINS", domains, |subject| subject.domains.clear()),
                ("DIR", 2 * path(&self.dir), |subject| subject.dir.clear()),
                ("CERT", path(&self.cert), |subject| subject.cert.clear()),
                ("CHAIN", path(&self.chain), |subject| subject.chain.clear()),
                ("FULLCHAIN", path(&self.fullchain), |subject| subject.fullchain.clear()),
                ("ORDER_NUMBER", self.number.len(), |subject| subject.number.clear()),
                ("SUMMARY", self.summary.len(), |subject| subject.summary.clear()),
                ("SERIAL", self.serial.len(), |subject| subject.serial.clear()),
                ("GENERATION", self.generation.len(), |subject| subject.generation.clear()),
                ("DCV_RECORDS", records, |subject| {
                    if let Some(proof) = &mut subject.proof {
                        proof.records.clear();
                    }
                }),
            ];
            let longest = values.into_iter().max_by_key(|(_, size, _)| *size);
            let Some((name, 1.., clear)) = longest else { break };
            clear(&mut self);
            self.omitted.push(name);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::hooks::run::Proof;

    #[test]
    fn what_one_program_cannot_be_told_is_left_out_the_longest_first() {
        let names: Vec<String> = (0..10_000).map(|at| format!("host-{at}.example.com")).collect();
        let subject = Subject {
            order: "www".into(),
            domains: names.clone(),
            cert: "/install/www/cert.pem".into(),
            ..Subject::default()
        };
        let fit = subject.fit();
        assert!(fit.domains.is_empty() && fit.environment_size() <= MAX_ENVIRONMENT);
        assert_eq!(fit.omitted, ["DOMAINS"]);
        assert_eq!(fit.cert.to_str(), Some("/install/www/cert.pem"), "the rest is told");
        let subject = Subject { domains: names[..1000].to_vec(), ..Subject::default() };
        assert_eq!(subject.clone().fit(), subject, "what fits is left as it is");
        let long = "x".repeat(MAX_ENVIRONMENT);
        let subject = Subject {
            serial: long.clone(),
            dir: long.clone().into(),
            cert: long.into(),
            ..Subject::default()
        };
        let fit = subject.fit();
        assert!(fit.environment_size() <= MAX_ENVIRONMENT);
        assert_eq!(fit.omitted, ["DIR", "SERIAL", "CERT"]);
    }

    #[test]
    fn of_a_proof_the_records_are_left_out_last() {
        let proof = Proof { records: "a b\n".repeat(10_000), ..Proof::default() };
        let domains: Vec<String> = (0..2000).map(|at| format!("host-{at}.example.com")).collect();
        let subject = Subject { proof: Some(Box::new(proof.clone())), domains, ..Subject::default() };
        let fit = subject.clone().fit();
        assert_eq!((&fit.omitted[..], fit.proof.as_deref()), (&["DOMAINS"][..], Some(&proof)));
        let long = Proof { records: "a b\n".repeat(20_000), ..Proof::default() };
        let fit = Subject { proof: Some(Box::new(long)), ..Subject::default() }.fit();
        assert_eq!(fit.omitted, ["DCV_RECORDS"]);
    }
}
