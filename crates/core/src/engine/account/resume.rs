//! Lets one call through on a closed or resting account: after a changed credential, or a command.
//!
//! The vendor counts refused logins, so a refused password is not sent again by mistake: the current credential
//! is compared with it first, unless the operator confirms that it is right (`--same-password`).

use crate::config::Account;
use crate::engine::account::Accounts;
use crate::engine::account::gate::{Found, Purpose};
use crate::engine::account::record::{Cause, CredentialTag};
use crate::engine::event::Effect;
use crate::engine::id::Token;
use crate::engine::note::{Level, NoteKind};
use crate::engine::time::rfc3339;

/// The current credential, compared with the refused one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compared {
    Unreadable,
    /// It is unknown which one was refused.
    Unknown,
    Refused,
    /// It was tried, and no answer showed whether it is accepted.
    Tried,
    /// It had its one call before another one had.
    Spent,
    /// It has not been tried yet.
    New,
}

impl Accounts<'_> {
    pub(crate) fn resume_account(&mut self, token: Token, account: &str, same_password: bool) {
        let Some(gate) = self.gate_of(account).filter(|gate| !self.gates[*gate].removed) else {
            let text = format!("no account named {} is configured", crate::api::Untrusted::new(account));
            return self.outbox.reply(token, false, &text);
        };
        self.settle_unconfigured(gate);
        self.revocation_of_a_stranger_known(gate);
        let is_open = self.gates[gate].record.closed.is_none();
        if is_open && self.gates[gate].record.rests(self.now.time) {
            return self.let_operator_through(gate, vec![token]);
        }
        if is_open {
            self.gates[gate].unpause();
            self.touch_gate(gate);
            self.outbox.save_first();
            return self.outbox.reply(token, true, &format!("account {account} is open; pauses were ended"));
        }
        if same_password || self.gates[gate].record.trial {
            return self.let_operator_through(gate, vec![token]);
        }
        self.gates[gate].resuming.push(token);
        self.outbox.say(Effect::TagCredential { account: self.gates[gate].name.clone() });
    }

    /// The call that the operator lets through; the waiting command gets its outcome.
    fn let_operator_through(&mut self, gate: usize, tokens: Vec<Token>) {
        self.let_one_through(gate);
        let account = self.gates[gate].name.clone();
        let text = format!("account {account}: the operator lets one call through");
        self.note_account(Level::Info, NoteKind::AccountTrial, gate, text);
        self.answer_with_probe(gate, tokens);
    }

    /// Makes these commands wait for the call that is let through, if one can be made now.
    fn answer_with_probe(&mut self, gate: usize, tokens: Vec<Token>) {
        let account = self.gates[gate].name.clone();
        // A call already in flight comes before the one that is let through.
        let polled = self.gates[gate].in_flight.as_ref().and_then(|in_flight| match &in_flight.purpose {
            Purpose::Poll { order, .. } => Some(*order).filter(|order| !self.orders.state(*order).removed),
            Purpose::SideCall(_) => None,
        });
        let first = self.gates[gate].queue.first().map(|(_, id)| *id);
        let waited_for = polled.or_else(|| first.filter(|_| self.gates[gate].in_flight.is_none()));
        for token in tokens {
            match waited_for {
                Some(id) => self.order(id).wait_for(token, true),
                None => self.outbox.reply(token, true, &format!("account {account}: the next call is let through; the daemon, or `once`, makes it when an order is due")),
            }
        }
    }

    /// The present credential was read.
    pub(crate) fn credential_tagged(&mut self, account: &str, tag: Option<CredentialTag>) {
        let Some(gate) = self.gate_of(account) else { return };
        self.domains_tagged(gate, tag);
        let resuming = std::mem::take(&mut self.gates[gate].resuming);
        // A credential whose call has not left yet was not tried.
        let unsent = self.gates[gate].record.trial;
        let is_as_found = match (self.gates[gate].found, tag) {
            (Found::Never, _) => false,
            (Found::Asked, None) => true,
            (Found::Asked, Some(tag)) => {
                self.gates[gate].found = Found::Credential(tag);
                true
            }
            (Found::Credential(found), tag) => tag == Some(found),
        };
        let Some(closed) = &mut self.gates[gate].record.closed else {
            resuming.into_iter().for_each(|token| {
                self.outbox.reply(token, true, &format!("account {account} is open now"));
            });
            return self.unheard_tagged(gate, tag);
        };
        let compared = match (closed.refused, tag) {
            (_, None) => Compared::Unreadable,
            (None, Some(_)) => Compared::Unknown,
            (Some(refused), Some(tag)) if refused == tag => Compared::Refused,
            (Some(_), Some(tag)) if closed.tried == Some(tag) => Compared::Tried,
            (Some(_), Some(tag)) if closed.spent.contains(&tag) => Compared::Spent,
            (Some(_), Some(_)) => Compared::New,
        };
        match compared {
            Compared::Unreadable | Compared::Refused | Compared::Tried | Compared::Spent => {}
            Compared::Unknown => {
                closed.refused = tag;
                self.touch_gate(gate);
                self.outbox.save_first();
            }
            Compared::New if is_as_found && resuming.is_empty() => {
                let text = format!(
                    "account {account} is closed, and the password on this host is another one than was refused; \
                     `certcollectd resume --account {account}` tries it"
                );
                self.note_account(Level::Warn, NoteKind::AccountClosed, gate, text);
            }
            Compared::New => {
                closed.spend(closed.tried.filter(|_| !unsent));
                closed.tried = tag;
                let text = format!(
                    "account {account}: the credential was changed; one call is let through to try it"
                );
                self.note_account(Level::Info, NoteKind::AccountTrial, gate, text);
                self.let_one_through(gate);
            }
        }
        if resuming.is_empty() {
            return;
        }
        match compared {
            Compared::New => self.answer_with_probe(gate, resuming),
            Compared::Tried => self.let_operator_through(gate, resuming),
            Compared::Unreadable | Compared::Unknown | Compared::Refused | Compared::Spent => {
                let text = self.not_resumed(gate, compared);
                resuming.into_iter().for_each(|token| self.outbox.reply(token, false, &text));
            }
        }
    }

    /// Why no call is let through for the operator, and what to do.
    fn not_resumed(&self, gate: usize, compared: Compared) -> String {
        let account = &self.gates[gate].name;
        let at = self.gates[gate].record.closed.as_ref();
        let at = at.map(|closed| rfc3339(closed.again.unwrap_or(closed.since))).unwrap_or_default();
        let why = match compared {
            Compared::Unreadable => "its password cannot be read".to_owned(),
            Compared::Unknown => format!(
                "the vendor refused a password at {at}, and it is not recorded whether that was the current one"
            ),
            Compared::Spent => format!(
                "the current password was already tried since the account was closed; the vendor last \
                 refused one at {at}"
            ),
            Compared::Refused | Compared::Tried | Compared::New => {
                format!("the current password is the one that the vendor refused at {at}")
            }
        };
        format!("account {account}: nothing was sent: {why}; {}", self.when_refused(gate))
    }

    /// The account was renamed or removed while a command waited for its credential to be read.
    pub(crate) fn compare_again(&mut self) {
        for gate in 0..self.gates.len() {
            let state = &mut self.gates[gate];
            if state.resuming.is_empty() {
                continue;
            }
            let account = state.name.clone();
            if !state.removed {
                self.outbox.say(Effect::TagCredential { account });
                continue;
            }
            for token in std::mem::take(&mut state.resuming) {
                self.outbox.reply(token, false, &format!("account {account} is no longer configured"));
            }
        }
    }

    /// What the operator can do about the refused login of an account.
    pub(crate) fn when_refused(&self, gate: usize) -> String {
        self.account_of(gate).map(Account::when_refused).unwrap_or_default()
    }

    /// ` --same-password` unless another credential than the refused one is known to have been tried.
    pub(crate) fn flag_for_another_try(&self, gate: usize) -> &'static str {
        let closed = self.gates[gate].record.closed.as_ref();
        if closed.is_some_and(|closed| closed.tried.is_some()) { "" } else { " --same-password" }
    }
}

impl Accounts<'_> {
    pub(crate) fn credential_touched(&mut self, account: &str) {
        let Some(gate) = self.gate_of(account) else { return };
        self.check_credential(gate);
        // A password that could not be read may be readable now, and the proxy may take another one.
        let proxy = self.account_of(gate).is_some_and(|account| account.proxy_login.is_some());
        let record = &self.gates[gate].record;
        let may_help = match record.paused_for {
            Some(Cause::Password) => true,
            Some(Cause::Connection) => proxy,
            Some(Cause::Garbled | Cause::Asked | Cause::Limit | Cause::Unheard) | None => false,
        };
        if record.closed.is_none() && may_help {
            self.gates[gate].unpause();
            self.touch_gate(gate);
        }
    }

    /// Looks at what lies here for accounts that another machine has closed.
    pub(crate) fn find_credentials(&mut self) {
        for gate in 0..self.gates.len() {
            if self.gates[gate].record.closed.is_some() {
                self.gates[gate].found = Found::Asked;
                // Somebody wanted one call with the password of another host.
                if std::mem::take(&mut self.gates[gate].record.trial) {
                    self.touch_gate(gate);
                    self.outbox.save_first();
                }
                self.check_credential(gate);
            }
        }
    }

    /// Asks for the current credential if the account was refused, or may have been, to compare the two.
    pub(crate) fn check_credential(&mut self, gate: usize) {
        let record = &self.gates[gate].record;
        let refused = record.closed.is_some() || record.details_refused.is_some() || record.unheard.is_some();
        if refused && !self.gates[gate].removed {
            self.outbox.say(Effect::TagCredential { account: self.gates[gate].name.clone() });
        }
    }

    /// Opens a closed account, or one that rests, for one call, and makes that call with the order that has waited longest.
    pub(crate) fn let_one_through(&mut self, gate: usize) {
        self.gates[gate].record.trial = self.gates[gate].record.closed.is_some();
        self.gates[gate].unpause();
        self.touch_gate(gate);
        self.outbox.save_first();
        // A second `resume` while that call is under way adds no call: after it, the schedule applies.
        if self.gates[gate].in_flight.is_some() {
            return;
        }
        if let Some((_, id)) = self.gates[gate].queue.first().copied() {
            self.orders.state_mut(id).urgent = true;
        }
    }
}
