//! What the state file holds.

use std::collections::HashMap;
use std::sync::Arc;

use crate::cert::Certificate;
use crate::engine::account::record::AccountRecord;
use crate::engine::adopted::Adopted;
use crate::engine::order::record::OrderRecord;

/// What the state file holds of one order.
#[derive(Debug, Clone)]
pub struct Remembered {
    pub record: OrderRecord,
    /// The collected bundle that is not installed yet.
    pub bundle: Option<Vec<Certificate>>,
}

/// Everything in the state file, with times converted to this boot.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// By name; orders that are no longer configured included.
    pub orders: HashMap<Arc<str>, Remembered>,
    /// By name.
    pub accounts: HashMap<Arc<str>, AccountRecord>,
    /// Orders from replacements that are not configured, by name.
    pub adopted: Vec<Adopted>,
    /// What tells this state from every other: no secret, and nothing random in the engine.
    pub identity: Arc<str>,
}
