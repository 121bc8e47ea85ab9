//! The state on disk: one SQLite file, the lock that keeps a second process out, and the watch over both.

pub mod custody;
pub mod error;
pub(super) mod file;
pub mod load;
pub mod lock;
pub mod presence;
pub mod save;
mod upgrade;
