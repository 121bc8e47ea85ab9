//! `explain`: one order's history and next step in sentences.

use std::path::Path;

use super::{load_some, print, print_error, unreadable};
use crate::cli::exit;
use crate::effects::store::error::StoreError;
use crate::effects::store::load::Reader;
use crate::effects::store::presence;
use crate::engine::{self, Loaded};
use crate::sources::clock;
use crate::status::Explanation;

pub(super) fn explain(path: &Path, name: &str, json: bool) -> u8 {
    let (config, flaw) = match load_some(path) {
        Ok(found) => found,
        Err(code) => return code,
    };
    let now = clock::now();
    let lost = presence::complaint(&config.state_dir);
    if let Some(why) = &lost {
        print_error(why);
    }
    let read = || {
        let Some(reader) = Reader::open(&config.state_dir)? else {
            if lost.is_some() {
                return Err(None);
            }
            // The daemon never ran here.
            return Ok((Loaded::default(), Vec::new()));
        };
        Ok((reader.load(now)?, reader.history(name)?))
    };
    let (mut loaded, history) = match read() {
        Ok(read) => read,
        Err::<_, Option<StoreError>>(error) => {
            if let Some(error) = error {
                print_error(&error.to_string());
            }
            return exit::FAILED;
        }
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
        if flaw.is_some() {
            print_error(&unreadable(name));
            return exit::USAGE;
        }
        print_error(&format!(
            "no order named {} is configured; {}",
            crate::api::Foreign::new(name),
            print::known(config.orders.iter().map(|order| &*order.name))
        ));
        return exit::USAGE;
    };
    if json {
        print(&serde_json::to_string_pretty(&explanation).expect("strings, numbers and lists"));
    } else {
        print(&explanation.text());
    }
    match (flaw, lost) {
        (_, Some(_)) => exit::FAILED,
        (Some(_), None) => exit::USAGE,
        (None, None) => exit::OK,
    }
}
