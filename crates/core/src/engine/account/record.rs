//! What is remembered of an account, restarts included: its row in the state.

use serde::{Deserialize, Serialize};

use crate::config::Account;
use crate::engine::account::sent::Replacement;
use crate::engine::alarm::Notice;
use crate::engine::order::record::Announced;
use crate::engine::reissue::record::ReissueCalls;
use crate::engine::row::is_default;
use crate::engine::schedule;
use crate::engine::time::Time;

/// What is remembered of an account, restarts included.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccountRecord {
    /// Set while the vendor refuses the login.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed: Option<Closed>,
    /// One call may go out although the account is closed.
    #[serde(rename = "probe", skip_serializing_if = "is_default")]
    pub trial: bool,
    /// Identifies login and address, see [`login_of`]; absent in older states.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login: Option<u64>,
    /// No call before this.
    #[serde(rename = "paused_until_ms", skip_serializing_if = "Option::is_none")]
    pub paused_until: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused_why: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused_for: Option<Cause>,
    /// Identifies the route to the vendor at that time: host, roots and proxy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused_way: Option<u64>,
    /// Pauses in a row, for the doubling.
    #[serde(skip_serializing_if = "is_default")]
    pub pauses: u32,
    /// The end of the last call, or its start while it is under way.
    #[serde(rename = "called_ms", skip_serializing_if = "Option::is_none")]
    pub called: Option<Time>,
    /// A call was begun whose end is not recorded.
    #[serde(skip_serializing_if = "is_default")]
    pub calling: bool,
    /// When that call ends at the latest.
    #[serde(rename = "ends_ms", skip_serializing_if = "Option::is_none")]
    pub ends: Option<Time>,
    /// Set while the last calls had no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unheard: Option<Unheard>,
    #[serde(skip_serializing_if = "is_default")]
    pub calls: u64,
    /// Time of the last readable answer, UNIX seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered: Option<i64>,
    /// By how much this machine's clock was ahead of the vendor's last answer, in seconds; only while that is too much.
    #[serde(rename = "clock_ahead", skip_serializing_if = "Option::is_none")]
    pub clock_ahead: Option<i64>,
    /// Set while GetMDCDomainDetails is not open to the account, so that the daemon does not call it on its
    /// own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details_refused: Option<Refused>,
    /// The announcement of a revocation that is about no order known here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub announced: Option<Box<Announced>>,
    /// What a person is told about while it lasts.
    #[serde(skip_serializing_if = "is_default")]
    pub notices: Vec<Notice>,
    /// Re-issues that were sent lately.
    #[serde(skip_serializing_if = "is_default")]
    pub reissues: ReissueCalls,
    /// S/MIME replacements that were sent, oldest first: what must not be sent twice by mistake.
    #[serde(skip_serializing_if = "is_default")]
    pub replacements: Vec<Replacement>,
}

impl AccountRecord {
    /// Translates its times, as [`crate::engine::order::record::OrderRecord::rebase`] does.
    pub fn rebase(&mut self, past: impl Fn(&mut Time), future: impl Fn(&mut Time)) {
        self.called.iter_mut().for_each(past);
        [&mut self.paused_until, &mut self.ends].into_iter().flatten().for_each(&future);
        self.unheard.iter_mut().for_each(|unheard| future(&mut unheard.until));
        self.notices.iter_mut().for_each(|notice| notice.rebase(&future));
    }

    /// Whether the account is paused because its password cannot be read.
    pub fn lacks_password(&self) -> bool {
        self.paused_for == Some(Cause::Password)
    }

    /// When an order that is due may be called about: not within a pause, not while a call without an answer may still
    /// arrive, and never while the account is closed.
    pub fn earliest_call(&self, due: Time) -> Option<Time> {
        let open = self.closed.is_none() || self.trial;
        let due = due.max(self.may_arrive_until());
        open.then(|| self.paused_until.map_or(due, |until| until.max(due)))
    }
}

impl AccountRecord {
    /// Whether it rests because too many calls in a row had no answer.
    pub fn rests(&self, now: Time) -> bool {
        self.paused_for == Some(Cause::Unheard) && self.paused_until.is_some_and(|until| until > now)
    }

    /// Until then an unanswered call may still reach the vendor.
    pub fn may_arrive_until(&self) -> Time {
        self.unheard.as_ref().map_or(Time::MIN, |unheard| unheard.until)
    }
}

/// Tells a changed credential from the same one: 16 bits of a slow, salted hash. Enough to notice a
/// change (all but one in 65,536), too little to confirm a guess, and kept only while an account is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialTag(pub u16);

/// Why and since when an account is closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Closed {
    /// UNIX seconds.
    pub since: i64,
    /// What the vendor said, in our words with the vendor's quoted.
    pub text: Box<str>,
    /// The result of the call let through since, if it does not show whether the login is accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unclear: Option<Box<str>>,
    /// When it was refused last, if that was later, UNIX seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub again: Option<i64>,
    /// The credential that was refused, once it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<CredentialTag>,
    /// Another credential that a call was let through with since, without a conclusive answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tried: Option<CredentialTag>,
    /// More that had their one call since the account was closed, the oldest first, at most [`Closed::MOST_SPENT`]: one that
    /// is put back is no new one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub spent: Vec<CredentialTag>,
}

impl Closed {
    /// An operator tries fewer, and a program that keeps changing a password file has fewer to choose from.
    pub const MOST_SPENT: usize = 16;

    /// This credential, if it is known, had its one call.
    pub(crate) fn spend(&mut self, tag: Option<CredentialTag>) {
        let Some(tag) = tag.filter(|tag| !self.spent.contains(tag)) else { return };
        if self.spent.len() == Closed::MOST_SPENT {
            self.spent.remove(0);
        }
        self.spent.push(tag);
    }

    /// The refusal, and what came of the call since.
    pub fn describe(&self) -> String {
        match &self.unclear {
            Some(unclear) => format!(
                "{}; the call let through since then does not show whether the login is accepted now: {unclear}",
                self.text
            ),
            None => self.text.to_string(),
        }
    }
}

/// Why an endpoint is no longer called, and with which login it was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refused {
    /// UNIX seconds.
    pub since: i64,
    /// What the vendor said, in our words with the vendor's quoted.
    pub text: Box<str>,
    /// The credential of that time, once it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<CredentialTag>,
    /// Identifies the account's entry at that time, see [`login_of`].
    pub login: u64,
}

/// The last calls of an account, none of which was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unheard {
    /// Number in a row, over all orders, commands and restarts; at least one.
    pub calls: u32,
    /// Until then the last of them may still reach the vendor: no other call starts before.
    #[serde(rename = "until_ms")]
    pub until: Time,
    /// The credential of the last of them where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<CredentialTag>,
}

words! {
    /// What a pause is for. Of two that are in force together, the later one here decides what ends them.
    #[derive(Serialize, Deserialize)]
    #[serde(try_from = "String", into = "&'static str")]
    pub enum Cause {
        /// The password cannot be read; nothing was sent.
        Password = "password",
        /// No connection, or none that can be trusted; nothing was sent.
        Connection = "connection",
        /// An HTTP answer that is not the vendor's API: a server error, a web page, garbage.
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
    /// Whether another route to the vendor may help: the cause is neither the vendor's request nor the login.
    pub(crate) fn is_of_the_way(self) -> bool {
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

/// Identifies what an account's calls use besides the password: login name and address.
pub fn login_of(account: &Account) -> u64 {
    schedule::stable_hash(&account.login_name, &account.base_url, 0)
}
