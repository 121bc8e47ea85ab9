//! The size of the release programs.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::{Counts, Found};

pub(super) fn count(binary: &Path, without_sandbox: &Path) -> Counts {
    let with = Found::Count(bytes(binary)?);
    let without = match bytes(without_sandbox) {
        Ok(bytes) => Found::Count(bytes),
        Err(_) => {
            Found::Skipped(format!("there is no {}: packaging/programs makes it", without_sandbox.display()))
        }
    };
    Ok(BTreeMap::from([("size", without), ("size-with-sandbox", with)]))
}

fn bytes(path: &Path) -> Result<f64, String> {
    let length = fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?.len();
    Ok(length as f64)
}
