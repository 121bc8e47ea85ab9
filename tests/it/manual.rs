//! The manual: every page is written and renders, and the page about hooks knows what the code knows.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use certcollectd::config::file::TABLES;
use certcollectd_core::config::{HookEvent, HookSignal};

const HOOKS: &str = include_str!("../../docs/hooks.md");

fn written(dir: &Path) -> Vec<PathBuf> {
    let status = Command::new(env!("CARGO_BIN_EXE_certcollectd")).arg("man").arg(dir).status().unwrap();
    assert!(status.success());
    let mut pages: Vec<PathBuf> =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    pages.sort();
    pages
}

#[test]
fn every_page_renders_without_a_warning() {
    let dir = tempfile::tempdir().unwrap();
    let pages = written(dir.path());
    assert!(pages.len() > 20, "{pages:?}");
    for name in ["certcollectd.1", "certcollectd.toml.5", "certcollectd-hooks.7"] {
        assert!(pages.contains(&dir.path().join(name)), "{name} is missing: {pages:?}");
    }
    for page in pages {
        let output =
            Command::new("groff").args(["-ww", "-man", "-Tutf8", "-Kutf8", "-z"]).arg(&page).output();
        let output = match output {
            Ok(output) => output,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return eprintln!("groff is not installed here, so no page was rendered");
            }
            Err(error) => panic!("{error}"),
        };
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{}: {said}", page.display());
    }
}

#[test]
fn the_page_of_the_configuration_has_each_key() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path());
    let page = std::fs::read_to_string(dir.path().join("certcollectd.toml.5")).unwrap();
    for keys in TABLES {
        for name in keys.names() {
            let tag = format!("\n\\fB{}\\fR", name.replace('-', "\\-"));
            let table = format!("[{name}]");
            let is_there =
                page.contains(&tag) || page.contains(&table) || page.contains(&format!(".{name}]"));
            assert!(is_there, "`{name}` of {} is not in the page", keys.title);
        }
    }
    assert!(page.contains("\n.SH EXAMPLE\n"), "it has an example");
}

#[test]
fn the_page_of_the_hooks_has_what_the_code_has() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path());
    let page = std::fs::read_to_string(dir.path().join("certcollectd-hooks.7")).unwrap();
    for text in [
        "certcollectd\\-hooks \\- what",
        "CERTCOLLECTD_EVENT",
        "RENEWED_LINEAGE",
        "42",
        "bridge",
        ".SH \"SEE ALSO\"",
    ] {
        assert!(page.contains(text), "{text} is not in the page");
    }
    let events = format!("# {}\n", HookEvent::WORDS.join(" | "));
    assert!(HOOKS.contains(&events), "docs/hooks.md lists the events as{events}");
    let signals: BTreeSet<&str> = HookSignal::WORDS.into();
    let row = HOOKS.split("sends ").nth(1).and_then(|rest| rest.split(';').next()).unwrap();
    let told: BTreeSet<&str> = row.split([',', ' ']).filter(|word| !matches!(*word, "" | "or")).collect();
    assert_eq!(told, signals, "the signals of docs/hooks.md");
    let hook = TABLES.iter().find(|keys| keys.title == "[[hook]]").unwrap();
    for name in hook.names() {
        let is_told =
            [format!("`{name} ="), format!("\n{name} "), format!("`{name}"), format!("`[[hook]] {name}")];
        assert!(is_told.iter().any(|text| HOOKS.contains(text)), "docs/hooks.md does not tell of `{name}`");
    }
}
