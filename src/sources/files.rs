//! Reads the configuration's files: the main one, then those that its `include` names.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::Config;
use crate::config::file::{self, Source};

/// A configuration larger than this is none; 100,000 orders have some 10 MB.
const MAX_BYTES: u64 = 64 * 1024 * 1024;
/// So many included files at most.
const MAX_FILES: usize = 10_000;

/// A sound configuration, what was said of it, and where it came from.
#[derive(Debug)]
pub struct Found {
    /// The configuration.
    pub config: Arc<Config>,
    /// Warnings as people read them; empty if there are none.
    pub warnings: String,
    /// The files as they were read, for comparison.
    pub sources: Vec<Source>,
}

/// Reads and checks a configuration. The error is what people read: every problem with its place.
pub fn read(path: &Path, color: bool) -> Result<Found, String> {
    let sources = sources(path)?;
    match file::read(&sources) {
        Ok((config, problems)) => {
            let warnings = if problems.is_empty() { String::new() } else { problems.render(&sources, color) };
            Ok(Found { config: Arc::new(config), warnings, sources })
        }
        Err(problems) => Err(problems.render(&sources, color)),
    }
}

/// The text of every file.
pub fn sources(path: &Path) -> Result<Vec<Source>, String> {
    let main = source(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let patterns = file::includes(&main);
    let mut sources = vec![main];
    for path in included(&patterns)? {
        sources.push(source(&path).map_err(|error| format!("{}: {error}", path.display()))?);
    }
    Ok(sources)
}

/// The files that patterns name, each once, in the order of their names. Wildcards are in the last part of a
/// pattern only, and do not mean files that begin with a dot: editors leave such behind.
pub(super) fn included(patterns: &[String]) -> Result<Vec<PathBuf>, String> {
    let options = glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::new() };
    let mut found: Vec<PathBuf> = Vec::new();
    for pattern in patterns {
        let (folder, name) = pattern.rsplit_once('/').unwrap_or((".", pattern));
        // A pattern that is malformed is reported with its place by the reader.
        let Ok(paths) = glob::glob_with(&format!("{}/{name}", glob::Pattern::escape(folder)), options) else {
            continue;
        };
        // A pattern may match nothing. A plain name that does is a slip of the pen, and orders would be missing.
        if !name.contains(['*', '?']) && !Path::new(pattern).is_file() {
            return Err(format!("include names {pattern}, which is not there"));
        }
        for path in paths {
            let path = path.map_err(|error| format!("{}: {}", error.path().display(), error.error()))?;
            if path.is_file() && !found.contains(&path) {
                found.push(path);
            }
            if found.len() > MAX_FILES {
                return Err(format!("include names more than {MAX_FILES} files"));
            }
        }
    }
    Ok(found)
}

fn source(path: &Path) -> io::Result<Source> {
    let file = std::fs::File::open(path)?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::other("the file is too large for a configuration"));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count()
            + 1;
        io::Error::other(format!("line {line} is not UTF-8 text"))
    })?;
    Ok(Source { path: path.to_owned(), text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_may_match_nothing_and_a_plain_name_may_not() {
        let scratch = tempfile::tempdir().unwrap();
        let pattern = |name: &str| scratch.path().join(name).to_str().unwrap().to_owned();
        assert_eq!(included(&[pattern("orders.d/*.toml")]), Ok(Vec::new()));
        let missing = included(&[pattern("more.toml")]).unwrap_err();
        assert!(missing.ends_with("more.toml, which is not there"), "{missing}");
        std::fs::write(scratch.path().join("more.toml"), "").unwrap();
        assert_eq!(included(&[pattern("more.toml")]).map(|found| found.len()), Ok(1));
    }
}
