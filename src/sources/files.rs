//! Reads the configuration's files: the main one, then those that its `include` names.

use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::mounts;
use crate::config::Config;
use crate::config::file::{self, Source, Unread};
use crate::config::point;

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
    /// How many of them there are.
    pub warning_count: usize,
    /// The files as they were read, for comparison.
    pub sources: Vec<Source>,
    /// What each of them was when it was read.
    pub(super) stamps: Vec<(PathBuf, Stamp)>,
}

/// What tells one content of a file from another without reading it.
pub(super) type Stamp = Option<(u64, u64, i64, i64, u64)>;

pub(super) fn stamp_of(path: &Path) -> Stamp {
    let found = std::fs::metadata(path).ok()?;
    Some((found.dev(), found.ino(), found.mtime(), found.mtime_nsec(), found.size()))
}

/// Why a configuration cannot be used, and what of it can be made out all the same.
#[derive(Debug)]
pub struct Unsound {
    /// What people read: every problem with its place.
    pub text: String,
    /// The first problem in one line.
    pub first: String,
    /// See [`file::remains`].
    pub remains: Option<Arc<Config>>,
    /// What `include` names; nothing where the main file cannot be read.
    pub(super) patterns: Option<Vec<String>>,
    /// What each file that was read was then.
    pub(super) stamps: Vec<(PathBuf, Stamp)>,
}

impl Unsound {
    /// Words only.
    pub(super) fn only(text: String) -> Unsound {
        Unsound { first: text.clone(), text, remains: None, patterns: None, stamps: Vec::new() }
    }
}

/// The text of every file, and what `include` names that cannot be read.
struct Files {
    sources: Vec<Source>,
    stamps: Vec<(PathBuf, Stamp)>,
    unread: Vec<Unread>,
}

/// Reads and checks a configuration. The error is what people read: every problem with its place.
pub fn read(path: &Path, color: bool) -> Result<Found, String> {
    check(files(path)?, color).map_err(|(_, problems)| problems)
}

/// As [`read`], for those who can do something with a part of it.
pub fn read_some(path: &Path, color: bool) -> Result<Found, Unsound> {
    let files = files(path).map_err(Unsound::only)?;
    check(files, color).map_err(|(Files { sources, unread, stamps }, text)| {
        let problems = file::problems(&sources, &unread).lines(&sources);
        let first = problems.iter().find(|line| line.contains(": error: ")).cloned().unwrap_or_default();
        let patterns = sources.first().map(file::includes);
        Unsound { text, first, remains: file::remains(&sources).map(Arc::new), patterns, stamps }
    })
}

fn check(files: Files, color: bool) -> Result<Found, (Files, String)> {
    let Files { sources, unread, .. } = &files;
    if !unread.is_empty() {
        let text = file::problems(sources, unread).render(sources, color);
        return Err((files, text));
    }
    match file::read(sources) {
        Ok((config, problems)) => {
            let mounted = mounts::warnings(sources);
            let warning_count = problems.warnings() + mounted.len();
            let warnings = point::located(sources, &mounted).paragraphs(sources, color);
            let warnings = warnings + &problems.render(sources, color);
            let Files { sources, stamps, .. } = files;
            Ok(Found { config: Arc::new(config), warnings, warning_count, sources, stamps })
        }
        Err(problems) => {
            let text = problems.render(sources, color);
            Err((files, text))
        }
    }
}

fn files(path: &Path) -> Result<Files, String> {
    let (main, stamp) = source(path).map_err(|error| without_main(path, &error))?;
    let patterns = file::includes(&main);
    let (paths, unread) = included(&patterns);
    let mut files = Files { sources: vec![main], stamps: vec![(path.to_owned(), stamp)], unread };
    for (include, path) in paths {
        match source(&path) {
            Ok((source, stamp)) => {
                files.sources.push(source);
                files.stamps.push((path, stamp));
            }
            Err(error) => files.unread.push(Unread {
                include,
                message: format!("{}: {}", path.display(), words(&error)),
                help: "it is part of the configuration, so it must be readable text for whoever runs certcollectd"
                    .into(),
            }),
        }
    }
    Ok(files)
}

/// There is no line to point at; so the next step is said.
fn without_main(path: &Path, error: &io::Error) -> String {
    let advice = match error.kind() {
        io::ErrorKind::NotFound => {
            "; write it there (config/minimal.toml is the shortest), or say where it is with --config FILE"
        }
        io::ErrorKind::PermissionDenied => "; run this as root or as the daemon's user",
        io::ErrorKind::IsADirectory => "; --config wants the file in it",
        _ => "",
    };
    format!("{}: {}{advice}", path.display(), words(error))
}

/// An error without the number that only programmers know.
fn words(error: &io::Error) -> String {
    let text = error.to_string();
    match error.raw_os_error() {
        Some(_) => text.split(" (os error").next().unwrap_or_default().to_lowercase(),
        None => text,
    }
}

/// The files that patterns name, each once, in the order of their names, with the index of its pattern. Wildcards
/// are in the last part of a pattern only, and do not mean files that begin with a dot: editors leave such behind.
pub(super) fn included(patterns: &[String]) -> (Vec<(usize, PathBuf)>, Vec<Unread>) {
    let options = glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::new() };
    let mut found: Vec<(usize, PathBuf)> = Vec::new();
    let mut unread = Vec::new();
    let mut miss = |include, message: String, help: &str| {
        unread.push(Unread { include, message, help: help.to_owned() });
    };
    for (include, pattern) in patterns.iter().enumerate() {
        let (folder, name) = pattern.rsplit_once('/').unwrap_or((".", pattern));
        // A pattern that is malformed is reported with its place by the reader.
        let Ok(paths) = glob::glob_with(&format!("{}/{name}", glob::Pattern::escape(folder)), options) else {
            continue;
        };
        // A pattern may match nothing. A plain name that does is a slip of the pen, and orders would be missing.
        if !name.contains(['*', '?']) && !Path::new(pattern).is_file() {
            miss(
                include,
                format!("include names {pattern}, which is not there"),
                "correct the name, or take it out; a pattern such as \"orders.d/*.toml\" may match nothing",
            );
            continue;
        }
        for path in paths {
            match path {
                Ok(path) if path.is_file() && !found.iter().any(|(_, known)| *known == path) => {
                    found.push((include, path));
                }
                Ok(_) => {}
                Err(error) => miss(
                    include,
                    format!("{}: {}", error.path().display(), words(error.error())),
                    "the folder must be readable for whoever runs certcollectd",
                ),
            }
            if found.len() > MAX_FILES {
                found.truncate(MAX_FILES);
                let message = format!("include names more than {MAX_FILES} files");
                miss(include, message, "a file may hold any number of orders");
                return (found, unread);
            }
        }
    }
    (found, unread)
}

/// The text of a file, and what the file was before it was read: what is written from then on is a change.
fn source(path: &Path) -> io::Result<(Source, Stamp)> {
    let stamp = stamp_of(path);
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
    Ok((Source { path: path.to_owned(), text }, stamp))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_may_match_nothing_and_a_plain_name_may_not() {
        let scratch = tempfile::tempdir().unwrap();
        let pattern = |name: &str| scratch.path().join(name).to_str().unwrap().to_owned();
        assert_eq!(included(&[pattern("orders.d/*.toml")]), (Vec::new(), Vec::new()));
        let both = [pattern("orders.d/*.toml"), pattern("more.toml")];
        let (found, missing) = included(&both);
        assert_eq!((found.len(), missing.len(), missing[0].include), (0, 1, 1));
        let said = &missing[0].message;
        assert!(said.ends_with("more.toml, which is not there"), "{said}");
        std::fs::write(scratch.path().join("more.toml"), "").unwrap();
        let (found, missing) = included(&both);
        assert_eq!((found.len(), missing.len()), (1, 0));
    }
}
