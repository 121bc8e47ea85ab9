//! Reads the configuration's files: the main one, then those that its `include` names.

use std::collections::HashSet;
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::mounts;
use crate::config::file::{self, Level, Source, Unread};
use crate::config::fragment::{self, Fragment};
use crate::config::locate;
use crate::effects::errno::cause;
use certcollectd_core::config::Config;

/// Maximum size of a configuration file; 100,000 orders take some 10 MB.
const MAX_BYTES: u64 = 64 * 1024 * 1024;
/// Maximum number of included files.
const MAX_FILES: usize = 10_000;

/// A valid configuration, its warnings, and its sources.
#[derive(Debug)]
pub struct LoadedConfig {
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

/// Why a configuration cannot be used, and what of it can be read nevertheless.
#[derive(Debug)]
pub struct InvalidConfig {
    /// What people read: every problem with its place.
    pub text: String,
    /// The first problem in one line.
    pub first: String,
    pub remains: Option<Arc<Config>>,
    /// What `include` names; nothing where the main file cannot be read.
    pub(super) patterns: Option<Vec<String>>,
    /// What each file that was read was then.
    pub(super) stamps: Vec<(PathBuf, Stamp)>,
}

impl InvalidConfig {
    pub(super) fn only(text: String) -> InvalidConfig {
        InvalidConfig { first: text.clone(), text, remains: None, patterns: None, stamps: Vec::new() }
    }
}

/// The text of every file, and what `include` names that cannot be read.
struct Files {
    sources: Vec<Source>,
    stamps: Vec<(PathBuf, Stamp)>,
    unread: Vec<Unread>,
}

/// Reads and checks a configuration. The error is what people read: every problem with its place.
pub fn read(path: &Path, color: bool) -> Result<LoadedConfig, String> {
    check(files(path)?, color).map_err(|(_, problems)| problems)
}

/// As [`read`], for callers that can use a part of it.
pub fn read_some(path: &Path, color: bool) -> Result<LoadedConfig, InvalidConfig> {
    let files = files(path).map_err(InvalidConfig::only)?;
    check(files, color).map_err(|(Files { sources, unread, stamps }, text)| {
        let first = file::problems(&sources, &unread).first_error(&sources).unwrap_or_default();
        let patterns = sources.first().map(file::includes);
        InvalidConfig { text, first, remains: file::remains(&sources).map(Arc::new), patterns, stamps }
    })
}

fn check(files: Files, color: bool) -> Result<LoadedConfig, (Files, String)> {
    let Files { sources, unread, .. } = &files;
    match file::read_with(sources, unread) {
        Ok((config, problems)) => {
            let mounted = mounts::warnings(sources);
            let warning_count = problems.warnings() + mounted.len();
            let warnings = locate::located(sources, &mounted).paragraphs(sources, color);
            let warnings = warnings + &problems.render(sources, color);
            let Files { sources, stamps, .. } = files;
            Ok(LoadedConfig { config: Arc::new(config), warnings, warning_count, sources, stamps })
        }
        Err(problems) => {
            let text = problems.render(sources, color);
            Err((files, text))
        }
    }
}

/// A fragment that was checked, and what became of the rest.
pub struct LoadedFragment {
    pub fragment: Fragment,
    /// The main file is not there.
    pub is_alone: bool,
    /// The included file that it was counted instead of.
    pub replaced: Option<PathBuf>,
}

/// Reads and checks one included file beside the configuration, or alone where there is none.
///
/// A file that is included already counts once, whichever path leads to it. Otherwise it counts in place of the
/// included file that shares most names and numbers with it, because it is the next version of that.
pub fn read_fragment(config: &Path, path: &Path) -> Result<LoadedFragment, String> {
    let (read, _) = source(path).map_err(|error| format!("{}: {}", path.display(), cause(&error)))?;
    let is_there =
        std::fs::metadata(config).map_or_else(|why| why.kind() != io::ErrorKind::NotFound, |_| true);
    if !is_there {
        return Ok(LoadedFragment {
            fragment: fragment::alone(config, read),
            is_alone: true,
            replaced: None,
        });
    }
    let identity = |path: &Path| std::fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
    let its = identity(path);
    if its.is_some() && identity(config) == its {
        return Err(format!("{}: this is the main file; check it without --fragment", path.display()));
    }
    let Files { sources, unread, .. } = files(config)?;
    let mut included = sources.iter().enumerate().skip(1);
    let same = included.find(|(_, source)| its.is_some() && identity(&source.path) == its);
    let place = same.map(|(index, _)| index).or_else(|| fragment::replaced(&sources, &read));
    let replaced = place.filter(|_| same.is_none()).map(|index| sources[index].path.clone());
    let fragment = fragment::beside(sources, &unread, read, place);
    Ok(LoadedFragment { fragment, is_alone: false, replaced })
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
                level: Level::Error,
                message: format!("{}: {}", path.display(), cause(&error)),
                help: "it is part of the configuration, so it must be text that the user running certcollectd can read"
                    .into(),
            }),
        }
    }
    Ok(files)
}

/// There is no line to point at, so the message says the next step.
fn without_main(path: &Path, error: &io::Error) -> String {
    let advice = match error.kind() {
        io::ErrorKind::NotFound => {
            "; `certcollectd init` writes one (config/minimal.toml is the shortest), or name another one with --config FILE"
        }
        io::ErrorKind::PermissionDenied => "; run this as root or as the daemon's user",
        io::ErrorKind::IsADirectory => "; --config takes the file in it",
        _ => "",
    };
    format!("{}: {}{advice}", path.display(), cause(error))
}

/// The files that patterns name, each once, in the order of their names, with the index of its pattern.
/// Wildcards are in the last part of a pattern only, and do not mean files that begin with a dot: editors
/// leave such behind. Nothing is skipped: orders missing without a word would be unguarded.
pub(super) fn included(patterns: &[String]) -> (Vec<(usize, PathBuf)>, Vec<Unread>) {
    let options = glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::new() };
    let mut found: Vec<(usize, PathBuf)> = Vec::new();
    let mut known: HashSet<PathBuf> = HashSet::new();
    let mut unread = Vec::new();
    for (include, pattern) in patterns.iter().enumerate() {
        let mut miss = |level, message: String, help: &str| {
            unread.push(Unread { include, level, message, help: help.to_owned() });
        };
        let (folder, name) = pattern.rsplit_once('/').unwrap_or((".", pattern));
        // A pattern that is malformed is reported with its place by the reader.
        let Ok(paths) = glob::glob_with(&format!("{}/{name}", glob::Pattern::escape(folder)), options) else {
            continue;
        };
        // What a missing folder holds is unknown.
        if let Some(why) = no_folder(Path::new(if folder.is_empty() { "/" } else { folder })) {
            miss(
                Level::Error,
                format!("include names {pattern}, but the folder {folder} {why}"),
                "create the folder, mount it, or correct the name; orders may be missing, so nothing is read without it",
            );
            continue;
        }
        // A plain name that matches nothing is a typo, and orders would be missing.
        if !name.contains(['*', '?']) && !Path::new(pattern).is_file() {
            miss(
                Level::Error,
                format!("include names {pattern}, which is not there"),
                "correct or remove the name; a pattern such as \"orders.d/*.toml\" may match nothing",
            );
            continue;
        }
        let mut matches = false;
        for path in paths {
            let path = match path {
                Ok(path) => path,
                Err(error) => {
                    matches = true;
                    miss(
                        Level::Error,
                        format!("{}: {}", error.path().display(), cause(error.error())),
                        "the user running certcollectd must be able to read the folder",
                    );
                    continue;
                }
            };
            match what_is(&path) {
                Match::File => {
                    matches = true;
                    if known.insert(path.clone()) {
                        found.push((include, path));
                    }
                }
                Match::Vanished => {}
                Match::Bad(level, why) => {
                    matches = true;
                    let help = "fix or remove it; a file of that name is part of the configuration";
                    miss(level, format!("{} {why}", path.display()), help);
                }
            }
            if found.len() > MAX_FILES {
                found.truncate(MAX_FILES);
                let message = format!("include names more than {MAX_FILES} files");
                miss(Level::Error, message, "a file may hold any number of orders");
                return (found, unread);
            }
        }
        if !matches {
            miss(
                Level::Warning,
                format!("include names {pattern}, and no file matches that"),
                "correct or remove the pattern; a file added later is picked up automatically",
            );
        }
    }
    (found, unread)
}

/// Why a path is not a folder, if it is not.
fn no_folder(folder: &Path) -> Option<String> {
    match std::fs::metadata(folder) {
        Ok(found) if found.is_dir() => None,
        Ok(_) => Some("is none".into()),
        Err(why) if why.kind() == io::ErrorKind::NotFound => Some(nowhere(folder)),
        Err(why) => Some(format!("cannot be used: {}", cause(&why))),
    }
}

/// Something that is not there, or a link to that.
fn nowhere(path: &Path) -> String {
    match std::fs::read_link(path) {
        Ok(target) => format!("is a link to {}, which is not there", target.display()),
        Err(_) => "is not there".into(),
    }
}

/// What a path that matches a pattern is.
enum Match {
    File,
    /// Removed since the folder was read.
    Vanished,
    /// It may hold orders, or was meant to; why it cannot be read.
    Bad(Level, String),
}

fn what_is(path: &Path) -> Match {
    match std::fs::metadata(path) {
        Ok(found) if found.is_file() => Match::File,
        Ok(found) if found.is_dir() => Match::Bad(Level::Warning, "is a folder, and is passed over".into()),
        Ok(_) => Match::Bad(Level::Warning, "is no regular file, and is passed over".into()),
        Err(why) if why.kind() == io::ErrorKind::NotFound => {
            if path.is_symlink() {
                Match::Bad(Level::Error, nowhere(path))
            } else {
                Match::Vanished
            }
        }
        Err(why) => Match::Bad(Level::Error, format!("cannot be examined: {}", cause(&why))),
    }
}

/// The text of a file, and its stamp from before it was read: what is written later is a change.
fn source(path: &Path) -> io::Result<(Source, Stamp)> {
    let stamp = stamp_of(path);
    if is_named_pipe(path) {
        return Err(io::Error::other("it is a named pipe, which could block forever; use a regular file"));
    }
    let file = std::fs::File::open(path)?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::other("the file is too large for a configuration"));
    }
    Ok((Source { path: path.to_owned(), text: text(bytes)? }, stamp))
}

/// Whether opening it would wait for a writer. The pipe of `--config <(command)` has one, and no name.
fn is_named_pipe(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.file_type().is_fifo()) && path.canonicalize().is_ok()
}

fn text(bytes: Vec<u8>) -> io::Result<String> {
    if matches!(bytes[..], [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, _, ..] | [_, 0, ..]) {
        let what = "it is UTF-16, as editors of Windows save it; convert it with iconv -f UTF-16 -t UTF-8";
        return Err(io::Error::other(what));
    }
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        io::Error::other(format!("line {line} is not UTF-8 text; save the file as UTF-8"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `included` says of these patterns, each with its level, relative to a folder.
    fn said(folder: &Path, names: &[&str]) -> (usize, Vec<(usize, Level, String)>) {
        let patterns: Vec<String> =
            names.iter().map(|name| folder.join(name).to_str().unwrap().to_owned()).collect();
        let (found, unread) = included(&patterns);
        let prefix = format!("{}/", folder.display());
        let said = unread
            .into_iter()
            .map(|unread| (unread.include, unread.level, unread.message.replace(&prefix, "")));
        (found.len(), said.collect())
    }

    #[test]
    fn what_include_does_not_yield_is_said() {
        use std::os::unix::fs::symlink;
        let scratch = tempfile::tempdir().unwrap();
        let here = scratch.path();
        let error = |text: &str| (0, Level::Error, text.to_owned());
        let warning = |text: &str| (0, Level::Warning, text.to_owned());
        let said = |name: &str| said(here, &[name]);
        let gone = "include names orders.d/*.toml, but the folder orders.d is not there";
        assert_eq!(said("orders.d/*.toml"), (0, vec![error(gone)]));
        symlink("elsewhere", here.join("orders.d")).unwrap();
        let astray = "include names orders.d/*.toml, but the folder orders.d is a link to elsewhere, which is not there";
        assert_eq!(said("orders.d/*.toml"), (0, vec![error(astray)]));
        std::fs::create_dir(here.join("elsewhere")).unwrap();
        let none = "include names orders.d/*.toml, and no file matches that";
        assert_eq!(said("orders.d/*.toml"), (0, vec![warning(none)]));
        std::fs::write(here.join("elsewhere/.hidden.toml"), "").unwrap();
        std::fs::write(here.join("elsewhere/a.tml"), "").unwrap();
        assert_eq!(said("orders.d/*.toml"), (0, vec![warning(none)]));
        symlink("../lost.toml", here.join("elsewhere/b.toml")).unwrap();
        let lost = "orders.d/b.toml is a link to ../lost.toml, which is not there";
        assert_eq!(said("orders.d/*.toml"), (0, vec![error(lost)]));
        std::fs::write(here.join("lost.toml"), "").unwrap();
        assert_eq!(said("orders.d/*.toml"), (1, vec![]));
        std::fs::create_dir(here.join("elsewhere/c.toml")).unwrap();
        let folder = "orders.d/c.toml is a folder, and is passed over";
        assert_eq!(said("orders.d/*.toml"), (1, vec![warning(folder)]));
        assert_eq!(
            said("lost.toml/*.toml").1[0].2,
            "include names lost.toml/*.toml, but the folder lost.toml is none"
        );
        assert_eq!(said("more.toml"), (0, vec![error("include names more.toml, which is not there")]));
    }

    #[test]
    fn a_file_that_two_patterns_name_is_read_once() {
        let scratch = tempfile::tempdir().unwrap();
        std::fs::write(scratch.path().join("a.toml"), "").unwrap();
        assert_eq!(said(scratch.path(), &["*.toml", "a.toml", "b*.toml"]).0, 1);
        let (_, unread) = said(scratch.path(), &["*.toml", "a.toml", "b*.toml"]);
        assert_eq!(unread.iter().map(|(include, ..)| *include).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn what_is_no_text_is_named() {
        let said = |bytes: &[u8]| text(bytes.to_vec()).map_err(|error| error.to_string());
        assert_eq!(said(b"a = 1\n"), Ok("a = 1\n".into()));
        let utf16 = "it is UTF-16, as editors of Windows save it; convert it with iconv -f UTF-16 -t UTF-8";
        for bytes in [&b"\xff\xfea\0"[..], b"\xfe\xff\0a", b"a\0=\0", b"\0a\0="] {
            assert_eq!(said(bytes), Err(utf16.into()));
        }
        assert_eq!(said(b"a\n# \xe9"), Err("line 2 is not UTF-8 text; save the file as UTF-8".into()));
    }

    #[test]
    fn a_named_pipe_keeps_nobody_waiting() {
        let scratch = tempfile::tempdir().unwrap();
        let pipe = scratch.path().join("pipe.toml");
        let (mode, none) = (rustix::fs::Mode::RUSR, rustix::fs::CWD);
        rustix::fs::mkfifoat(none, &pipe, mode).unwrap();
        let said = source(&pipe).unwrap_err().to_string();
        assert_eq!(said, "it is a named pipe, which could block forever; use a regular file");
        let (reader, mut writer) = io::pipe().unwrap();
        io::Write::write_all(&mut writer, b"a = 1\n").unwrap();
        drop(writer);
        let fd = std::os::fd::AsRawFd::as_raw_fd(&reader);
        assert_eq!(source(Path::new(&format!("/dev/fd/{fd}"))).unwrap().0.text, "a = 1\n");
    }
}
