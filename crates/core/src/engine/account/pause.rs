//! Why an account makes no call for a while, and what ends that before its time.

use crate::engine::account::Accounts;
use serde::{Deserialize, Serialize};

use crate::config::Account;
use crate::engine::NoteKind;
use crate::engine::account::Gate;
use crate::engine::note::Level;
use crate::engine::time::Time;

words! {
    /// What a pause is for. Of two that are in force together, the later one here decides what ends them.
    #[derive(Serialize, Deserialize)]
    #[serde(try_from = "String", into = "&'static str")]
    pub enum Cause {
        /// The password cannot be read; nothing was sent.
        Password = "password",
        /// No connection, or none that can be trusted; nothing was sent.
        Connection = "connection",
        /// An HTTP answer that is none of the vendor's: an error of the server, a web page, garbage.
        Garbled = "garbled",
        /// The vendor asked us to wait (`Retry-After`).
        Asked = "retry-after",
        /// Too many calls.
        Limit = "call-limit",
        /// Calls in a row without an answer: refused logins, perhaps.
        Unheard = "unanswered",
    }
}

impl Cause {
    /// Whether another way to the vendor may help: it says nothing of the vendor's wishes, nor of the login.
    fn is_of_the_way(self) -> bool {
        match self {
            Cause::Connection | Cause::Garbled => true,
            Cause::Password | Cause::Asked | Cause::Limit | Cause::Unheard => false,
        }
    }
}

impl TryFrom<String> for Cause {
    type Error = String;

    fn try_from(word: String) -> Result<Cause, String> {
        Cause::named(&word).ok_or_else(|| format!("there is no cause of a pause {word:?}"))
    }
}

/// Stands for the way on which an account's calls reach the vendor: host, roots and proxy.
fn way_of(account: &Account) -> u64 {
    let roots = account.ca_file.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
    let proxy = account.proxy.as_deref().unwrap_or_default();
    let user = account.proxy_login.as_ref().map(|login| login.user.as_str()).unwrap_or_default();
    crate::engine::schedule::seed(&account.base_url, &format!("{roots}\0{proxy}\0{user}"), 0)
}

impl Gate {
    /// No call before `until`; a pause that is in force is never shortened.
    pub(in crate::engine) fn pause(&mut self, until: Time, cause: Cause, why: &str, now: Time) {
        let record = &mut self.record;
        let known = record.paused_until.filter(|known| *known > now);
        record.paused_until = Some(known.map_or(until, |known| known.max(until)));
        if known.is_none() || record.paused_for <= Some(cause) {
            record.paused_why = Some(why.into());
            record.paused_for = Some(cause);
        }
    }

    /// The pauses in a row are over.
    pub(in crate::engine) fn unpause(&mut self) {
        let record = &mut self.record;
        record.paused_until = None;
        record.paused_why = None;
        record.paused_for = None;
        record.paused_way = None;
        record.pauses = 0;
    }
}

impl Accounts<'_> {
    /// See [`Gate::pause`]; remembers on which way that was.
    pub(in crate::engine) fn pause(&mut self, gate: usize, until: Time, cause: Cause, why: &str) {
        let way = self.account_of(gate).map(way_of);
        let state = &mut self.gates[gate];
        state.pause(until, cause, why, self.now.time);
        state.record.paused_way = way;
        self.touch_gate(gate);
    }

    /// What did not work on one way to the vendor may work on another: by a reload, or since the last start.
    pub(in crate::engine) fn leave_old_ways(&mut self) {
        for gate in 0..self.gates.len() {
            let Some(way) = self.account_of(gate).map(way_of) else { continue };
            let record = &self.gates[gate].record;
            let elsewhere = record.paused_way.is_some_and(|known| known != way);
            let in_force = record.paused_until.is_some_and(|until| until > self.now.time);
            if elsewhere && in_force && record.paused_for.is_some_and(Cause::is_of_the_way) {
                self.gates[gate].unpause();
                self.touch_gate(gate);
                let text = format!(
                    "account {}: base_url, ca_file or proxy was changed, so its pause is over",
                    self.gates[gate].name
                );
                self.note_account(Level::Info, NoteKind::PauseOver, gate, text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::account::AccountRecord;

    fn at(seconds: i64) -> Time {
        Time(seconds * 1000)
    }

    #[test]
    fn of_two_pauses_the_later_end_and_the_weightier_cause_hold() {
        let mut gate = Gate::new("main".into(), AccountRecord::default());
        let held = |gate: &Gate| (gate.record.paused_until, gate.record.paused_for);
        gate.pause(at(5000), Cause::Limit, "call limit", at(1000));
        gate.pause(at(2000), Cause::Connection, "outage", at(1000));
        assert_eq!(held(&gate), (Some(at(5000)), Some(Cause::Limit)));
        gate.pause(at(6000), Cause::Connection, "outage", at(5000));
        assert_eq!(held(&gate), (Some(at(6000)), Some(Cause::Connection)), "the first one is over");
        gate.unpause();
        assert_eq!(held(&gate), (None, None));
    }
}
