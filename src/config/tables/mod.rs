//! One file for each kind of table: from its keys to its type in the core.

pub(super) mod account;
pub(super) mod defaults;
pub(super) mod fleet;
pub(super) mod hook;
pub(super) mod listener;
pub(super) mod metrics;
pub(super) mod order;
pub(super) mod output;
pub(super) mod params;
pub(super) mod polling;
pub(super) mod probe;
pub(super) mod rehearsal;
pub(super) mod reissue;
pub(super) mod secret;
pub(super) mod window;
