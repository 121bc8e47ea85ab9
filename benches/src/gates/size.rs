//! The size of the release programs.

use std::collections::BTreeMap;
use std::fs;
use std::io;
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

fn bytes(path: &Path) -> io::Result<f64> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(metadata.len() as f64),
        Err(error) => Err(io::Error::other(format!("{}: {error}", path.display()))),
    }
}
