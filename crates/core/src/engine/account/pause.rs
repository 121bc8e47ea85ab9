//! Pauses of an account: their cause, and what ends them early.

use crate::config::Account;
use crate::engine::account::Accounts;
use crate::engine::account::record::Cause;
use crate::engine::note::{Level, NoteKind};
use crate::engine::schedule;
use crate::engine::time::Time;

/// Identifies the route of an account's calls to the vendor: host, roots and proxy.
fn way_of(account: &Account) -> u64 {
    let roots = account.ca_file.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
    let proxy = account.proxy.as_deref().unwrap_or_default();
    let user = account.proxy_login.as_ref().map(|login| login.user.as_str()).unwrap_or_default();
    schedule::stable_hash(&account.base_url, &format!("{roots}\0{proxy}\0{user}"), 0)
}

impl Accounts<'_> {
    /// See [`super::gate::Gate::pause`]; remembers on which way that was.
    pub(crate) fn pause(&mut self, gate: usize, until: Time, cause: Cause, why: &str) {
        let way = self.account_of(gate).map(way_of);
        let state = &mut self.gates[gate];
        state.pause(until, cause, why, self.now.time);
        state.record.paused_way = way;
        self.touch_gate(gate);
    }

    /// What did not work on one way to the vendor may work on another: by a reload, or since the last start.
    pub(crate) fn leave_old_ways(&mut self) {
        for gate in 0..self.gates.len() {
            let Some(way) = self.account_of(gate).map(way_of) else { continue };
            let record = &self.gates[gate].record;
            let elsewhere = record.paused_way.is_some_and(|known| known != way);
            let in_force = record.paused_until.is_some_and(|until| until > self.now.time);
            if elsewhere && in_force && record.paused_for.is_some_and(Cause::is_of_the_way) {
                self.gates[gate].unpause();
                self.touch_gate(gate);
                let text = format!(
                    "account {}: base_url, ca_file or proxy has changed, so its pause is over",
                    self.gates[gate].name
                );
                self.note_account(Level::Info, NoteKind::PauseOver, gate, text);
            }
        }
    }
}
