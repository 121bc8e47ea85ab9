//! `[metrics]`.

use crate::config::parse::reader::Table;
use certcollectd_core::config::Metrics;

pub(crate) fn metrics(table: &Table<'_>) -> Metrics {
    let standard = Metrics::default();
    Metrics { per_order: table.flag("per_order").unwrap_or(standard.per_order) }
}
