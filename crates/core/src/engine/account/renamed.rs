//! A renamed account is still the same one to the vendor: whether it is closed, its pauses, and when its orders were
//! polled apply under the new name as well. Accounts are told apart by login and address.

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::Config;
use crate::engine::account::Accounts;
use crate::engine::account::record::{AccountRecord, login_of};
use crate::engine::loaded::Loaded;
use crate::engine::order::record::OrderRecord;

/// What to save after [`Loaded::follow_renames`], by name.
#[derive(Debug, Default)]
pub struct Renamed {
    pub accounts: Vec<Arc<str>>,
    /// Accounts that are not configured any more and whose name is another one's now, with the name they are kept under.
    pub nameless: Vec<(Arc<str>, AccountRecord)>,
    /// Orders, configured or not.
    pub orders: Vec<Arc<str>>,
    pub adopted: Vec<Arc<str>>,
    /// Names that accounts had before.
    pub left: Vec<Arc<str>>,
}

impl Loaded {
    /// Puts what is known of accounts, and of the orders on them, under the names that they have now.
    pub fn follow_renames(&mut self, config: &Config) -> Renamed {
        let today: HashMap<u64, Arc<str>> =
            config.accounts.iter().map(|account| (login_of(account), account.name.clone())).collect();
        let mut records = HashMap::new();
        let mut names: HashMap<Arc<str>, Arc<str>> = HashMap::new();
        for (name, record) in &self.accounts {
            let Some(new) = record.login.and_then(|login| today.get(&login)) else { continue };
            // Of several names, the one that made the last call knows best; the present one, if that is a draw.
            let rank = (record.called, name == new);
            let best = records.get(new).is_none_or(|(known, _)| *known < rank);
            if best {
                records.insert(new.clone(), (rank, record.clone()));
            }
            if name != new {
                names.insert(name.clone(), new.clone());
            }
        }
        if names.is_empty() {
            return Renamed::default();
        }
        let (mut moved, mut nameless_ones) = (Vec::new(), Vec::new());
        for (name, (_, record)) in records {
            if self.accounts.get(&name) != Some(&record) {
                moved.push(name.clone());
                let displaced = self.accounts.insert(name, record);
                let another =
                    displaced.filter(|old| old.login.is_some_and(|login| !today.contains_key(&login)));
                nameless_ones.extend(another.map(|record| (nameless(record.login), record)));
            }
        }
        let mut orders = Vec::new();
        for (name, known) in &mut self.orders {
            if rename_all(&mut known.record, &names) {
                orders.push(name.clone());
            }
        }
        let adopted = self
            .adopted
            .iter_mut()
            .filter_map(|adopted| rename(&mut adopted.account, &names).then(|| adopted.name.clone()));
        let adopted = adopted.collect();
        let left = names.into_keys().collect();
        Renamed { accounts: moved, nameless: nameless_ones, orders, adopted, left }
    }
}

/// The key of an account that is not configured and whose name is another one's now: its refused login must still count
/// when it is configured again. No configured account can have this name.
fn nameless(login: Option<u64>) -> Arc<str> {
    format!("/{:016x}", login.unwrap_or_default()).into()
}

fn rename_all(record: &mut OrderRecord, names: &HashMap<Arc<str>, Arc<str>>) -> bool {
    let mut changed = rename(&mut record.account, names);
    for former in &mut record.former {
        changed |= rename(&mut former.account, names);
    }
    changed
}

fn rename(name: &mut Arc<str>, names: &HashMap<Arc<str>, Arc<str>>) -> bool {
    match names.get(name) {
        Some(new) => {
            *name = new.clone();
            true
        }
        None => false,
    }
}

impl Accounts<'_> {
    /// The same while it runs: gates are given the names of the configuration that comes into force. Gives back the
    /// old names with the new ones.
    pub(crate) fn follow_renames(&mut self, config: &Config) -> HashMap<Arc<str>, Arc<str>> {
        let mut names: HashMap<Arc<str>, Arc<str>> = HashMap::new();
        let mut gates: Vec<(usize, Arc<str>)> = Vec::new();
        for account in &config.accounts {
            let login = Some(login_of(account));
            let same = (0..self.gates.len()).filter(|gate| self.gates[*gate].record.login == login);
            let latest = same.max_by_key(|gate| {
                let gate = &self.gates[*gate];
                (!gate.removed, gate.record.called)
            });
            let Some(gate) = latest.filter(|gate| self.gates[*gate].name != account.name) else { continue };
            names.insert(self.gates[gate].name.clone(), account.name.clone());
            gates.push((gate, account.name.clone()));
        }
        if gates.is_empty() {
            return names;
        }
        let renamed: Vec<usize> = gates.iter().map(|(gate, _)| *gate).collect();
        for (at, gate) in self.gates.iter_mut().enumerate().filter(|(at, _)| !renamed.contains(at)) {
            // An account that had one of these names and gets no other one is gone.
            if gates.iter().any(|(_, new)| *new == gate.name) {
                let old = std::mem::replace(&mut gate.name, nameless(gate.record.login));
                if gate.in_flight.is_some() && gate.former.is_none() {
                    gate.former = Some(old);
                }
                self.outbox.unsaved.accounts.insert(at);
            }
        }
        for (gate, new) in gates {
            let state = &mut self.gates[gate];
            let old = std::mem::replace(&mut state.name, new);
            // A call in flight returns under the name it was made with.
            self.outbox.unsaved.left_names.insert(old.clone());
            if state.in_flight.is_some() && state.former.is_none() {
                state.former = Some(old);
            }
            self.touch_gate(gate);
        }
        for id in self.orders.ids().filter(|id| !self.orders.state(*id).removed).collect::<Vec<_>>() {
            if rename_all(&mut self.orders.state_mut(id).record, &names) {
                self.order(id).touch();
            }
        }
        for (name, known) in &mut self.orders.archive {
            if rename_all(&mut known.record, &names) {
                self.outbox.unsaved.archived.insert(name.clone());
            }
        }
        for adopted in &mut self.orders.adopted {
            if rename(&mut adopted.account, &names) {
                self.outbox.unsaved.adopted.insert(adopted.name.clone());
            }
        }
        self.outbox.save_first();
        names
    }

    /// The gate whose call was started under this name.
    pub(crate) fn gate_of_call(&self, account: &str) -> Option<usize> {
        let went = self.gates.iter().position(|gate| gate.former.as_deref() == Some(account));
        went.or_else(|| self.gate_of(account))
    }

    /// A name under which another account's call is in flight must not be used for a second call.
    pub(crate) fn hold_names(&mut self) {
        let held: Vec<Arc<str>> = self.gates.iter().filter_map(|gate| gate.former.clone()).collect();
        for gate in self.gates.iter_mut() {
            gate.held = held.contains(&gate.name);
        }
    }
}
