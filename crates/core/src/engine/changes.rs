//! What is to be saved, all of it or nothing.

use std::sync::Arc;

use crate::cert::Certificate;
use crate::engine::account::record::AccountRecord;
use crate::engine::adopted::Adopted;
use crate::engine::note::Note;
use crate::engine::order::record::OrderRecord;

/// Rows to write in one transaction.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    pub orders: Vec<(Arc<str>, OrderRecord)>,
    pub accounts: Vec<(Arc<str>, AccountRecord)>,
    /// Bundles that were collected (`Some`) or are no longer needed (`None`).
    pub bundles: Vec<(Arc<str>, Option<Vec<Certificate>>)>,
    /// Adopted orders that are new (`Some`) or no longer adopted (`None`).
    pub adopted: Vec<(Arc<str>, Option<Adopted>)>,
    /// Orders whose history and bundle go.
    pub forgotten: Vec<Arc<str>>,
    pub history: Vec<Note>,
    /// Wall time minus schedule time in milliseconds, if it changed.
    pub offset: Option<i64>,
}

impl Changes {
    pub fn is_empty(&self) -> bool {
        self.orders.is_empty()
            && self.accounts.is_empty()
            && self.bundles.is_empty()
            && self.adopted.is_empty()
            && self.forgotten.is_empty()
            && self.history.is_empty()
            && self.offset.is_none()
    }
}
