//! `[defaults]`: what holds for every `[[order]]` that says nothing else.

use crate::config::keys;
use crate::config::parse::reader::Table;

/// The tables below those of each order.
#[derive(Default)]
pub(crate) struct Defaults<'a> {
    /// Nothing where there is no `[defaults]`.
    pub(crate) order: Option<Table<'a>>,
    pub(crate) files: Option<Table<'a>>,
    pub(crate) verify: Option<Table<'a>>,
    pub(crate) reissue: Option<Table<'a>>,
    /// Whether an order may inherit what could not be read.
    pub(crate) has_gap: bool,
}

impl<'a> Defaults<'a> {
    pub(crate) fn new(order: Option<Table<'a>>, has_gap: bool) -> Defaults<'a> {
        let table = |name, keys| order.as_ref().and_then(|order| order.table(name, keys));
        let files = table("files", &keys::DEFAULTS_FILES);
        let verify = table("verify", &keys::DEFAULTS_VERIFY);
        let reissue = table("reissue", &keys::DEFAULTS_REISSUE);
        Defaults { order, files, verify, reissue, has_gap }
    }
}
