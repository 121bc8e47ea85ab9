//! Accounts as the configuration has them: those that are new, and those that are gone.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::engine::account::Accounts;
use crate::engine::account::gate::Gate;
use crate::engine::account::record::{AccountRecord, login_of};
use crate::engine::account::unheard::LONGEST_CALL;
use crate::engine::schedule::LONGEST_SCHEDULE;

impl Accounts<'_> {
    /// Adds every configured account that is missing; returns the records of all others.
    pub(crate) fn add_gates(
        &mut self,
        mut known: HashMap<Arc<str>, AccountRecord>,
    ) -> BTreeMap<Arc<str>, AccountRecord> {
        let config = self.config.clone();
        for account in &config.accounts {
            let login = Some(login_of(account));
            if let Some(gate) = self.gate_of(&account.name) {
                self.gates[gate].removed = false;
                if std::mem::replace(&mut self.gates[gate].record.login, login) != login {
                    self.touch_gate(gate);
                }
                continue;
            }
            let mut record = known.remove(&account.name).unwrap_or_default();
            let is_new = std::mem::replace(&mut record.login, login) != login;
            record.paused_until =
                record.paused_until.map(|until| until.min(self.now.time + LONGEST_SCHEDULE));
            record.called = record.called.map(|called| called.min(self.now.time));
            if let Some(unheard) = &mut record.unheard {
                unheard.until = unheard.until.min(self.now.time + LONGEST_CALL);
            }
            record.details_refused =
                record.details_refused.filter(|refused| refused.login == login_of(account));
            self.gates.push(Gate::new(account.name.clone(), record));
            if is_new {
                self.touch_gate(self.gates.len() - 1);
            }
        }
        // What a configured account left under a former name is not another account.
        let present: Vec<Option<u64>> = self.gates.iter().map(|gate| gate.record.login).collect();
        let another = |record: &AccountRecord| record.login.is_some() && !present.contains(&record.login);
        known.into_iter().filter(|(_, record)| another(record)).collect()
    }

    /// An account that is not configured: a reload may bring it back, and its login is still refused then.
    pub(crate) fn keep_account(&mut self, name: Arc<str>, record: AccountRecord) -> usize {
        let mut gate = Gate::new(name, record);
        gate.removed = true;
        self.gates.push(gate);
        self.gates.len() - 1
    }

    /// What a reload does not end.
    pub(crate) fn closed_words(&self) -> String {
        let closed = self.gates.iter().filter(|gate| !gate.removed && gate.record.closed.is_some());
        let names: Vec<&str> = closed.take(5).map(|gate| &*gate.name).collect();
        match names.as_slice() {
            [] => String::new(),
            names => {
                let (first, all) = (names[0], names.join(", "));
                format!(
                    "; account {all} is still closed: a reload does not open it, a changed password or \
                     `certcollectd resume --account {first}` does"
                )
            }
        }
    }
}
