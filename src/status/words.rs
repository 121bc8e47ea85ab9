//! The states of accounts and hooks, one word each.

use serde::Serialize;

certcollectd_core::words! {
    /// Whether an account makes calls.
    #[derive(Serialize)]
    #[serde(into = "&'static str")]
    pub enum AccountState {
        /// It does.
        Open = "open",
        Paused = "paused",
        /// Its login is refused.
        Closed = "closed",
    }
}

certcollectd_core::words! {
    /// How far a hook has come.
    #[derive(Serialize)]
    #[serde(into = "&'static str")]
    pub enum HookState {
        /// It has not been tried.
        Owed = "owed",
        /// It was tried, and is tried again.
        Failing = "failing",
        /// Nothing is owed.
        Done = "done",
    }
}
