//! House rules as tests: who may import whom, who reads the clock, and that each file says what it is for.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The import tables of `src/lib.rs` and `crates/core/src/lib.rs`: a part, and the other parts of its crate that it may use.
/// What one crate may use of another is the compiler's matter.
const DAEMON: [(&str, &[&str]); 12] = [
    ("config", &[]),
    ("status", &[]),
    ("sources", &["config", "effects", "status"]),
    ("takeover", &["config"]),
    ("effects", &["config", "takeover"]),
    ("terminal", &[]),
    ("telemetry", &["terminal"]),
    ("daemon", &["effects", "sources", "telemetry"]),
    ("fleet", &["daemon", "effects", "sources", "telemetry"]),
    (
        "commands",
        &["config", "daemon", "effects", "fleet", "sources", "status", "takeover", "telemetry", "terminal"],
    ),
    ("cli", &["commands", "effects", "terminal"]),
    ("main", &[]),
];
const CORE: [(&str, &[&str]); 10] = [
    ("api", &["rare"]),
    ("cert", &[]),
    ("config", &["api", "cert", "follow", "rare"]),
    ("engine", &["api", "cert", "config", "rare"]),
    ("fleet", &["api", "cert", "config", "engine", "state"]),
    ("follow", &["api"]),
    ("forecast", &["api", "config", "engine"]),
    ("rare", &[]),
    ("state", &["api", "cert", "config", "engine"]),
    ("words", &[]),
];

const CRATES: [&str; 4] = ["src", "crates/core/src", "crates/follow/src", "crates/sandbox/src"];

/// Every source file of a crate: its part, its path in the crate, its text.
fn files(of: &str) -> Vec<(String, PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(of);
    let mut dirs = vec![root.clone()];
    let mut files = Vec::new();
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let inner = path.strip_prefix(&root).unwrap();
                let first = inner.components().next().unwrap().as_os_str().to_str().unwrap();
                let part = first.trim_end_matches(".rs").to_owned();
                let text = std::fs::read_to_string(&path).unwrap();
                files.push((part, inner.to_owned(), text));
            }
        }
    }
    assert!(files.len() >= 10, "the source is found: {}", files.len());
    files
}

/// Parts that a file names as `crate::part`, comments left out, grouped imports followed.
fn used(text: &str) -> BTreeSet<String> {
    let code: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| [line, "\n"])
        .collect();
    let mut parts = BTreeSet::new();
    for (at, root) in code.match_indices("crate::") {
        let rest = &code[at + root.len()..];
        let words: Vec<&str> = match rest.strip_prefix('{') {
            Some(group) => group[..end_of_group(group)].split(',').map(str::trim).collect(),
            None => vec![rest],
        };
        for word in words {
            let end = word.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(word.len());
            parts.insert(word[..end].to_owned());
        }
    }
    parts
}

/// Where the brace that was open before `group` is closed.
fn end_of_group(group: &str) -> usize {
    let mut depth = 0;
    let end = group.find(|c| {
        depth += match c {
            '{' => 1,
            '}' => -1,
            _ => 0,
        };
        depth < 0
    });
    end.unwrap_or(group.len())
}

#[test]
fn parts_import_only_what_the_table_allows() {
    for (of, table) in [("src", &DAEMON[..]), ("crates/core/src", &CORE)] {
        for (part, path, text) in files(of) {
            if part == "lib" {
                continue;
            }
            let (_, allowed) = table.iter().find(|(known, _)| *known == part).unwrap_or_else(|| {
                panic!(
                    "{of}/{} belongs to no part of the table in {of}/lib.rs; a new part needs a line there and here",
                    path.display()
                )
            });
            for other in used(&text) {
                let known = table.iter().any(|(name, _)| *name == other);
                assert!(
                    other == part || !known || allowed.contains(&other.as_str()),
                    "{of}/{}: `{part}` must not use `{other}`. What needs both belongs above them, most often into commands or daemon.",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn the_test_of_imports_can_fail() {
    let parts = |text| used(text).into_iter().collect::<Vec<_>>();
    assert_eq!(parts("use crate::effects::call;"), ["effects"]);
    assert_eq!(parts("// crate::effects is not ours\nlet x = crate::api::Answer;"), ["api"]);
    let group = parts("use crate::{api::Answer, config::{Config, file}, engine};");
    assert!(["api", "config", "engine"].iter().all(|part| group.contains(&(*part).to_owned())), "{group:?}");
}

#[test]
fn one_file_reads_the_clock() {
    for (_, path, text) in CRATES[..3].iter().flat_map(|of| files(of)) {
        let reads = ["SystemTime::now", "Instant::now", "Timestamp::now", "Zoned::now", "clock_gettime("];
        let found = reads.iter().find(|read| text.contains(**read));
        let allowed = [Path::new("sources/clock.rs"), Path::new("clock.rs")].contains(&path.as_path());
        assert!(
            found.is_none() || allowed,
            "{}: the clock is read in clock.rs; take `now` as an argument",
            path.display()
        );
    }
}

#[test]
fn the_core_touches_nothing() {
    let outside = [
        "std::fs",
        "std::net::Tcp",
        "std::net::Udp",
        "std::os",
        "std::env",
        "std::process",
        "std::thread",
        "async fn",
        ".await",
    ];
    for (_, path, text) in files("crates/core/src") {
        let tests = text.find("#[cfg(test)]").unwrap_or(text.len());
        let is_test = path
            .file_name()
            .is_some_and(|name| name == "tests.rs" || name == "fixtures.rs" || name == "hostile.rs");
        for word in outside {
            assert!(is_test || !text[..tests].contains(word), "{} must not use {word}", path.display());
        }
    }
}

#[test]
fn each_file_opens_with_what_it_is_for() {
    for (_, path, text) in CRATES.iter().flat_map(|of| files(of)) {
        let is_test = path.components().any(|part| part.as_os_str().to_string_lossy().contains("test"));
        assert!(
            text.starts_with("//! ") || is_test,
            "{} has no line that says what it is for",
            path.display()
        );
    }
}

#[test]
fn nothing_is_left_unfinished() {
    for (_, path, text) in CRATES.iter().flat_map(|of| files(of)) {
        for word in ["todo!(", "unimplemented!(", "FIXME", "dbg!("] {
            assert!(!text.contains(word), "{} has {word}", path.display());
        }
    }
}
