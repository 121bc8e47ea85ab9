//! What the documents say of this repository: the files they name are there, and lines fit a screen.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|why| panic!("{path}: {why}"))
}

/// README.md, CONTRIBUTING.md and everything in `docs`; not CHANGELOG.md, which tells of what was.
fn documents() -> Vec<(PathBuf, String)> {
    let mut paths = vec![PathBuf::from("README.md"), PathBuf::from("CONTRIBUTING.md")];
    for entry in std::fs::read_dir(root().join("docs")).unwrap() {
        let name = PathBuf::from(entry.unwrap().file_name());
        if name.extension().is_some_and(|extension| extension == "md") {
            paths.push(Path::new("docs").join(name));
        }
    }
    assert!(paths.len() >= 9, "the documents are found: {paths:?}");
    paths.into_iter().map(|path| (path.clone(), read(path.to_str().unwrap()))).collect()
}

/// Files of this repository that a text names: in backticks from one of its folders on, or by a relative link.
fn named(document: &Path, text: &str) -> Vec<PathBuf> {
    let folders =
        [".ci/", "config/", "crates/", "docs/", "fuzz/", "packaging/", "src/", "systemd/", "tests/"];
    let quoted = text.split('`').skip(1).step_by(2);
    let paths = quoted
        .filter(|word| folders.iter().any(|folder| word.starts_with(folder)))
        .map(|word| PathBuf::from(word.split(' ').next().unwrap()))
        .filter(|path| !path.to_str().unwrap().contains(['<', '*', '{', 'N']));
    let links = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
    let links = links.filter(|link| !link.is_empty() && !link.contains("://"));
    let links = links.map(|link| document.parent().unwrap().join(link));
    paths.chain(links).collect()
}

#[test]
fn documents_name_files_that_are_there() {
    let mut found = 0;
    for (document, text) in documents() {
        for path in named(&document, &text) {
            found += 1;
            assert!(root().join(&path).exists(), "{}: there is no {}", document.display(), path.display());
        }
    }
    assert!(found > 100, "files are named: {found}");
}

#[test]
fn readme_stays_short() {
    let words = read("README.md").split_whitespace().count();
    assert!(
        words < 1600,
        "README.md has {words} words; what is not needed in the first hour belongs into docs"
    );
}

#[test]
fn the_book_has_each_document_once() {
    let summary = read("docs/SUMMARY.md");
    let chapters: Vec<&str> =
        summary.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(path, _)| path).collect();
    for (document, text) in documents() {
        let Ok(name) = document.strip_prefix("docs") else { continue };
        let name = name.to_str().unwrap();
        if name == "SUMMARY.md" {
            continue;
        }
        assert_eq!(
            chapters.iter().filter(|chapter| **chapter == name).count(),
            1,
            "{name} in docs/SUMMARY.md"
        );
        let title = text.lines().find_map(|line| line.strip_prefix("# ")).unwrap_or_default();
        assert!(
            summary.contains(&format!("[{}]({name})", title.split(':').next().unwrap())),
            "{name} is called {title}"
        );
    }
}

/// The code blocks of a document in one language, with the line of each.
fn blocks(text: &str, language: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut open: Option<(bool, usize, String)> = None;
    for (at, line) in text.lines().enumerate() {
        let line = line.trim_start();
        match (line.strip_prefix("```"), &mut open) {
            (Some(_), Some(_)) => {
                let (is_wanted, begin, block) = open.take().unwrap();
                found.extend(is_wanted.then_some((begin, block)));
            }
            (Some(word), None) => open = Some((word == language, at + 2, String::new())),
            (None, Some((_, _, block))) => {
                block.push_str(line);
                block.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed");
    found
}

#[test]
fn commands_and_configurations_in_documents_can_be_read() {
    let mut found = 0;
    for (document, text) in documents() {
        for (line, block) in blocks(&text, "sh") {
            found += 1;
            let output = std::process::Command::new("sh").args(["-n", "-c", &block]).output().unwrap();
            let why = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{}:{line}: {why}", document.display());
        }
        for (line, block) in blocks(&text, "toml") {
            found += 1;
            let read = block.parse::<toml::Table>();
            assert!(read.is_ok(), "{}:{line}: {}", document.display(), read.unwrap_err());
        }
        for (line, block) in blocks(&text, "json") {
            found += 1;
            let read = serde_json::from_str::<serde_json::Value>(&block);
            assert!(read.is_ok(), "{}:{line}: {}", document.display(), read.unwrap_err());
        }
    }
    assert!(found > 20, "{found} blocks");
}

#[test]
fn lines_of_documents_fit_a_screen() {
    for (document, text) in documents() {
        for (at, line) in text.lines().enumerate() {
            let fits = line.chars().count() <= 100 || line.starts_with('|');
            assert!(fits, "{}:{}: longer than 100 columns", document.display(), at + 1);
        }
    }
}

/// Each term once, in two lines: what it means, and where it lives.
#[test]
fn the_glossary_has_each_term_once_and_where_it_lives() {
    let text = read("docs/glossary.md");
    let lines: Vec<&str> = text.lines().collect();
    let mut terms = BTreeSet::new();
    let mut before = "";
    for (at, line) in lines.iter().enumerate() {
        if line.starts_with("## ") {
            before = "";
        }
        let Some(entry) = line.strip_prefix("- **") else { continue };
        let (term, _) = entry.split_once("**: ").unwrap_or_else(|| panic!("no term: {line}"));
        assert!(before < term, "{term} is not in its place");
        assert!(terms.insert(term), "{term} is there twice");
        assert!(lines[at + 1].starts_with("  `"), "{term}: where does it live?");
        before = term;
    }
    assert!(terms.len() > 60, "{} terms", terms.len());
}

/// The tables of `docs/dependencies.md` and the manifests name the same crates.
#[test]
fn each_dependency_is_accounted_for() {
    let text = read("docs/dependencies.md");
    let told = text.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let told: BTreeSet<String> = told.map(str::to_owned).collect();
    let root: toml::Table = read("Cargo.toml").parse().unwrap();
    let workspace = root.get("workspace").and_then(|workspace| workspace.as_table());
    let members = workspace.and_then(|workspace| workspace["members"].as_array()).into_iter().flatten();
    let members = members.map(|member| format!("{}/Cargo.toml", member.as_str().unwrap()));
    let mut used = BTreeSet::new();
    for manifest in std::iter::once("Cargo.toml".to_owned()).chain(members) {
        let manifest: toml::Table = read(&manifest).parse().unwrap();
        for kind in ["dependencies", "dev-dependencies"] {
            let crates = manifest.get(kind).and_then(|crates| crates.as_table());
            used.extend(crates.into_iter().flatten().map(|(name, _)| name.clone()));
        }
    }
    used.retain(|name| !name.starts_with("certcollectd"));
    assert!(used.len() > 40, "{used:?}");
    assert_eq!(told, used);
}

/// What a program of ours can print, as its sources have it: without test code, string continuations joined.
fn sentences() -> String {
    let mut dirs: Vec<PathBuf> =
        ["src", "crates/core/src", "crates/follow/src"].map(|dir| root().join(dir)).into();
    let mut all = String::new();
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && path.file_name().is_some_and(|name| name != "tests.rs")
            {
                let text = std::fs::read_to_string(&path).unwrap();
                all.push_str(text.split("#[cfg(test)]\nmod tests {").next().unwrap());
            }
        }
    }
    let mut pieces = all.split("\\\n");
    let first = pieces.next().unwrap().to_owned();
    pieces.fold(first, |joined, piece| joined + piece.trim_start()).replace("\\\"", "\"")
}

/// Whether the pieces of a message between its gaps stand in this order, near each other.
fn is_said(sentences: &str, message: &str) -> bool {
    const GAP: usize = 200;
    let mut pieces = message.split('…').filter(|piece| !piece.trim().is_empty());
    let first = pieces.next().unwrap();
    let rest: Vec<&str> = pieces.collect();
    sentences.match_indices(first).any(|(at, _)| {
        let mut from = at + first.len();
        rest.iter().all(|piece| {
            let near = sentences[from..].find(piece).filter(|gap| *gap <= GAP);
            near.is_some_and(|gap| {
                from += gap + piece.len();
                true
            })
        })
    })
}

/// In the first column of each table of the page stands a message in backticks.
#[test]
fn troubleshooting_quotes_what_is_said() {
    let sentences = sentences();
    assert!(!is_said(&sentences, "account … is closed: …; this is said nowhere"));
    let page = read("docs/troubleshooting.md");
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let messages: Vec<&str> = rows.map(|row| row.split('`').nth(1).unwrap()).collect();
    let rows = page.lines().filter(|line| line.starts_with('|')).count();
    let heads = 2 * page.lines().filter(|line| line.starts_with("| --- ")).count();
    assert_eq!(messages.len() + heads, rows, "each row begins with its message");
    assert!(messages.len() > 80, "the messages are found: {}", messages.len());
    let wrong: Vec<&&str> = messages.iter().filter(|message| !is_said(&sentences, message)).collect();
    assert!(wrong.is_empty(), "docs/troubleshooting.md quotes what no source says: {wrong:#?}");
}
