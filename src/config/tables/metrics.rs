//! `[metrics]`.

use std::path::PathBuf;

use crate::config::parse::reader::Table;
use crate::config::value::{InvalidValue, path, refuse_if};
use certcollectd_core::config::Metrics;

pub(crate) fn metrics(table: &Table<'_>) -> Metrics {
    Metrics {
        per_order: table.flag("per_order").unwrap_or_else(|| Metrics::default().per_order),
        textfile: table.parse("textfile", "an absolute path in quotes", textfile),
    }
}

/// No file that is read, or kept, is called so: nothing of value is ever replaced.
fn textfile(text: &str) -> Result<PathBuf, InvalidValue> {
    let path = path(text)?;
    let is_read = path.extension().is_some_and(|extension| extension == "prom");
    refuse_if(!is_read, "does not end in .prom", "node_exporter reads no other files")?;
    Ok(path)
}
