//! Accounts: who may log in, what is closed to them, and how they get locked out.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::Error;
use super::clock::Time;
use super::params::Endpoint;

/// An account as it is written down; it is shown without the password.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountSpec {
    /// `loginName`, at most 64 characters, case sensitive.
    pub login_name: String,
    /// `loginPassword`, at most 128 characters, case sensitive.
    #[serde(skip_serializing)]
    pub password: String,
    /// Locked: every login is refused with -16, the right one too.
    #[serde(default)]
    pub locked: bool,
    /// The caller's address is blocked: refused as if locked.
    #[serde(default)]
    pub ip_blocked: bool,
    /// The password has expired: refused as if locked.
    #[serde(default)]
    pub password_expired: bool,
    /// Vendor's names of endpoints that are closed to the account: `GetMDCDomainDetails` then answers
    /// -16 "Permission denied!", every other -91.
    #[serde(default)]
    pub denied: Vec<String>,
    /// Whether `caCertificateID` of AutoReplaceSMIME may be used ("only available by special
    /// agreement"); otherwise it is answered with -91.
    #[serde(default)]
    pub ca_agreement: bool,
}

impl std::fmt::Debug for AccountSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A failing test prints its values; the password need not be among them.
        f.debug_struct("AccountSpec").field("login_name", &self.login_name).finish_non_exhaustive()
    }
}

impl AccountSpec {
    /// An account without peculiarities.
    pub fn new(login_name: &str, password: &str) -> AccountSpec {
        AccountSpec { login_name: login_name.into(), password: password.into(), ..AccountSpec::default() }
    }

    fn check(&self) -> Result<(), String> {
        let name = &self.login_name;
        let characters = name.chars().count();
        if characters == 0 || characters > 64 {
            return Err(format!("login_name must have 1 to 64 characters, not {characters}"));
        }
        let characters = self.password.chars().count();
        if characters == 0 || characters > 128 {
            return Err(format!("account {name}: password must have 1 to 128 characters, not {characters}"));
        }
        if let Some(other) = self.denied.iter().find(|other| Endpoint::named(other).is_none()) {
            let all = Endpoint::ALL.map(Endpoint::name).join(", ");
            return Err(format!("account {name}: denied: '{other}' is not an endpoint; known are {all}"));
        }
        Ok(())
    }
}

/// An account and its history.
#[derive(Debug, Clone, Serialize)]
pub struct Account {
    /// Too many wrong logins lock it here, too.
    #[serde(flatten)]
    pub spec: AccountSpec,
    /// Wrong passwords since the last right one.
    pub wrong_in_a_row: u32,
    #[serde(skip)]
    recent: VecDeque<Time>,
}

/// At most `calls` calls of one account within `window_ms`; the next is answered with -42.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallLimit {
    /// Calls within the window; 0 switches the limit off.
    pub calls: u32,
    /// Length of the window in milliseconds.
    pub window_ms: u64,
}

#[derive(Debug, Default)]
pub struct Accounts {
    accounts: BTreeMap<String, Account>,
}

impl Accounts {
    /// Adds an account; one of the same login name is replaced, and unlocked unless it says `locked`.
    pub fn put(&mut self, spec: AccountSpec) -> Result<(), Error> {
        spec.check().map_err(Error::Refused)?;
        let name = spec.login_name.clone();
        self.accounts.insert(name, Account { spec, wrong_in_a_row: 0, recent: VecDeque::new() });
        Ok(())
    }

    pub fn remove(&mut self, login_name: &str) -> Result<(), Error> {
        self.accounts.remove(login_name).map(drop).ok_or_else(|| Error::UnknownAccount(login_name.into()))
    }

    pub fn get(&self, login_name: &str) -> Option<&Account> {
        self.accounts.get(login_name)
    }

    /// All accounts, by login name.
    pub fn all(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values()
    }

    /// Whether the password is the account's.
    pub(super) fn right(&self, login_name: &str, password: &str) -> bool {
        self.get(login_name).is_some_and(|account| account.spec.password == password)
    }

    /// Logs in. With a rule of `lockout_after` wrong passwords in a row the account is then locked for
    /// good: only [`Accounts::put`] opens it again.
    pub(super) fn login(&mut self, login_name: &str, password: &str, lockout_after: u32) -> bool {
        let Some(account) = self.accounts.get_mut(login_name) else { return false };
        if account.spec.password != password {
            account.wrong_in_a_row += 1;
            if lockout_after != 0 && account.wrong_in_a_row >= lockout_after {
                account.spec.locked = true;
            }
            return false;
        }
        if account.spec.locked || account.spec.ip_blocked || account.spec.password_expired {
            return false;
        }
        account.wrong_in_a_row = 0;
        true
    }

    /// Counts a call of an account against the limit; `false` where it is one too many. A refused call
    /// does not count.
    pub(super) fn within(&mut self, login_name: &str, limit: CallLimit, now: Time) -> bool {
        let Some(account) = self.accounts.get_mut(login_name) else { return true };
        if limit.calls == 0 {
            return true;
        }
        while account.recent.front().is_some_and(|first| now.since(*first) >= limit.window_ms) {
            account.recent.pop_front();
        }
        if account.recent.len() >= limit.calls as usize {
            return false;
        }
        account.recent.push_back(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts() -> Accounts {
        let mut accounts = Accounts::default();
        accounts.put(AccountSpec::new("demo", "Secret")).unwrap();
        accounts
    }

    #[test]
    fn name_and_password_are_case_sensitive() {
        let mut accounts = accounts();
        assert!(accounts.login("demo", "Secret", 0));
        assert!(!accounts.login("Demo", "Secret", 0));
        assert!(!accounts.login("demo", "secret", 0));
    }

    #[test]
    fn wrong_passwords_in_a_row_lock_for_good() {
        let mut accounts = accounts();
        assert!(!accounts.login("demo", "x", 3));
        assert!(!accounts.login("demo", "x", 3));
        assert!(accounts.login("demo", "Secret", 3), "two are forgiven");
        for _ in 0..3 {
            assert!(!accounts.login("demo", "x", 3));
        }
        assert!(!accounts.login("demo", "Secret", 3), "the right one comes too late");
        accounts.put(AccountSpec::new("demo", "Secret")).unwrap();
        assert!(accounts.login("demo", "Secret", 3));
    }

    #[test]
    fn a_call_limit_counts_within_its_window() {
        let mut accounts = accounts();
        let limit = CallLimit { calls: 2, window_ms: 1_000 };
        let at = |unix_ms| Time { unix_ms };
        let got = [0, 500, 999, 1_000, 1_400, 1_500].map(|ms| accounts.within("demo", limit, at(ms)));
        assert_eq!(got, [true, true, false, true, false, true]);
    }

    #[test]
    fn the_password_is_not_shown() {
        let spec = AccountSpec::new("demo", "Secret");
        assert!(!format!("{spec:?}").contains("Secret"));
        let accounts = accounts();
        assert!(!format!("{accounts:?}").contains("Secret"));
        let shown = serde_json::to_string(accounts.get("demo").unwrap()).unwrap();
        assert!(shown.contains("demo") && !shown.contains("Secret"), "{shown}");
    }

    #[test]
    fn an_unknown_endpoint_cannot_be_denied() {
        let mut spec = AccountSpec::new("demo", "Secret");
        spec.denied.push("CollectAll".into());
        let error = Accounts::default().put(spec).unwrap_err().to_string();
        assert!(error.contains("'CollectAll' is not an endpoint; known are CollectSSL"), "{error}");
    }
}
