//! `explain`: one order's history and next step in sentences.

use std::path::Path;

use super::exit::Exit;
use super::load::load_some;
use super::print::{fail, print, print_error};
use super::unknown::unknown_order;
use crate::effects::store::error::StoreError;
use crate::effects::store::load::Reader;
use crate::effects::store::presence;
use crate::sources::clock;
use crate::status::Explanation;
use certcollectd_core::engine::{self, Loaded};

pub fn explain(path: &Path, name: &str, json: bool) -> Result<(), Exit> {
    let (config, invalid) = load_some(path)?;
    let now = clock::now();
    let lost = presence::complaint(&config.state_dir);
    if let Some(why) = &lost {
        print_error(why);
    }
    let failed = |error: StoreError| fail(Exit::Failed, &error.to_string());
    let (mut loaded, history) = match Reader::open(&config.state_dir).map_err(failed)? {
        Some(reader) => (reader.load(now).map_err(failed)?, reader.history(name).map_err(failed)?),
        None if lost.is_some() => return Err(Exit::Failed),
        // The daemon never ran here.
        None => (Loaded::default(), Vec::new()),
    };
    loaded.follow_renames(&config);
    let config = engine::joined(&config, &loaded.adopted);
    let history = history
        .into_iter()
        .map(|line| crate::status::HistoryEntry {
            at: engine::time::rfc3339(line.at),
            level: line.level,
            kind: line.kind,
            text: line.text,
        })
        .collect();
    let Some(explanation) = Explanation::new(&config, &loaded, name, history, now) else {
        let known = config.orders.iter().map(|order| &*order.name);
        return Err(fail(Exit::Usage, &unknown_order(invalid.as_ref(), name, known)));
    };
    if json {
        print(&serde_json::to_string_pretty(&explanation).expect("strings, numbers and lists"));
    } else {
        print(&explanation.text());
    }
    match (invalid, lost) {
        (_, Some(_)) => Err(Exit::Failed),
        (Some(_), None) => Err(Exit::Usage),
        (None, None) => Ok(()),
    }
}
