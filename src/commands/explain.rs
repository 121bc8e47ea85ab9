//! `explain`: one order's history and next step in sentences.

use std::path::Path;

use super::exit::Exit;
use super::fleet;
use super::load::{load_some, read_state, shown};
use super::print::{fail, print, print_error};
use super::unknown::unknown_order;
use crate::effects::store::error::StoreError;
use crate::effects::store::load::HistoryLine;
use crate::effects::store::presence;
use crate::sources::clock;
use crate::status::{Explanation, HistoryEntry};
use certcollectd_core::engine::loaded::Loaded;
use certcollectd_core::engine::time::rfc3339;

pub fn explain(path: &Path, name: &str, json: bool) -> Result<(), Exit> {
    let (config, invalid) = load_some(path)?;
    let now = clock::now();
    let lost = presence::complaint(&config.state_dir);
    if let Some(why) = &lost {
        print_error(why);
    }
    let failed = |error: StoreError| fail(Exit::Failed, &error.to_string());
    let (config, loaded, history) = match read_state(&config, now).map_err(failed)? {
        Some((reader, config, loaded)) => (config, loaded, reader.history(name).map_err(failed)?),
        None if lost.is_some() => return Err(Exit::Failed),
        // The daemon never ran here.
        None => (config, Loaded::default(), Vec::new()),
    };
    let history = history
        .into_iter()
        .map(|HistoryLine { at, level, kind, text }| HistoryEntry { at: rfc3339(at), level, kind, text })
        .collect();
    let Some(explanation) = Explanation::new(&config, &loaded, name, history, now) else {
        let known = config.orders.iter().map(|order| &*order.name);
        return Err(fail(Exit::Usage, &unknown_order(invalid.as_ref(), name, known)));
    };
    let explanation = match fleet::status::seen(&config)? {
        Some(seen) => explanation.with(&seen),
        None => explanation,
    };
    if json {
        print(&serde_json::to_string_pretty(&explanation).expect("strings, numbers and lists"));
    } else {
        print(&explanation.text());
    }
    shown(lost.as_ref(), invalid.as_ref())
}
