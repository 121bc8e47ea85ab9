//! How accounts, orders and hooks stand: decided by what they are, shown by a word.

use std::fmt;

use serde::{Serialize, Serializer};

/// Whether an account makes calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountState {
    /// It does.
    Open,
    Paused,
    /// Its login is refused.
    Closed,
}

impl AccountState {
    fn word(self) -> &'static str {
        match self {
            AccountState::Open => "open",
            AccountState::Paused => "paused",
            AccountState::Closed => "closed",
        }
    }
}

/// How far a hook has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookState {
    /// It has not been tried.
    Owed,
    /// It was tried, and is tried again.
    Failing,
    /// Nothing is owed.
    Done,
}

impl HookState {
    fn word(self) -> &'static str {
        match self {
            HookState::Owed => "owed",
            HookState::Failing => "failing",
            HookState::Done => "done",
        }
    }
}

impl fmt::Display for AccountState {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.word())
    }
}

impl fmt::Display for HookState {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.word())
    }
}

impl Serialize for AccountState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

impl Serialize for HookState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}
