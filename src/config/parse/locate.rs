//! Locates what is valid in itself but wrong on this machine: a missing file, an unknown owner.
//!
//! The places are looked up when there is something to report. Keeping them would cost memory for each of 100,000
//! orders.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::{Diagnostic, DiagnosticList, Diagnostics, Level, Source, Span};
use super::render::address;
use super::syntax;
use crate::config::placeholder::expand;

/// Something in the configuration, by the words that lead to it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    table: Option<(&'static str, String)>,
    path: Vec<&'static str>,
    value: Option<String>,
}

impl Key {
    /// The tables that have a name of their own.
    pub const KINDS: [&'static str; 3] = ["account", "order", "hook"];

    pub fn top(name: &'static str) -> Key {
        Key { table: None, path: vec![name], value: None }
    }

    pub fn within(table: &'static str, name: &'static str) -> Key {
        Key { table: None, path: vec![table, name], value: None }
    }

    pub fn account(name: &str, path: &[&'static str]) -> Key {
        Key::of("account", name, path)
    }

    pub fn order(name: &str, path: &[&'static str]) -> Key {
        Key::of("order", name, path)
    }

    pub fn hook(name: &str, path: &[&'static str]) -> Key {
        Key::of("hook", name, path)
    }

    fn of(table: &'static str, name: &str, path: &[&'static str]) -> Key {
        Key { table: Some((table, name.to_owned())), path: path.to_owned(), value: None }
    }

    /// The kind and the name of the table that it belongs to, where that has a name.
    pub(crate) fn entry(&self) -> Option<(&'static str, &str)> {
        self.table.as_ref().map(|(kind, name)| (*kind, name.as_str()))
    }

    /// Among several, the one with this text.
    pub fn with(mut self, value: impl Into<String>) -> Key {
        self.value = Some(value.into());
        self
    }
}

/// What was found out about a configuration that could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub level: Level,
    pub message: String,
    /// What it is about, if that is something in the configuration.
    pub about: Option<Key>,
    pub help: Option<String>,
}

/// Findings as problems, each with its place, in the order of the files and lines.
pub fn located(sources: &[Source], findings: &[Finding]) -> DiagnosticList {
    let diagnostics = Diagnostics::new(sources);
    let spans = find(sources, findings.iter().map(|finding| finding.about.as_ref()));
    for (finding, span) in findings.iter().zip(spans) {
        let problem = Diagnostic::new(finding.level, finding.message.as_str(), span);
        diagnostics.add(Diagnostic { help: finding.help.clone(), ..problem });
    }
    diagnostics.finish()
}

/// The place of one key, `FILE:LINE:COLUMN`.
pub fn place(sources: &[Source], key: &Key) -> String {
    let span = find(sources, std::iter::once(Some(key))).into_iter().next();
    let location = span.unwrap_or_else(|| Span::whole(0)).location(String::new());
    let path =
        sources.get(location.source).map(|source| source.path.as_path()).unwrap_or_else(|| Path::new(""));
    address(path, &location, sources)
}

/// The place of each key: its value, for an order also that in `[defaults]`, else the name of its table, else the main
/// file.
fn find<'a>(sources: &[Source], keys: impl Iterator<Item = Option<&'a Key>>) -> Vec<Span> {
    let keys: Vec<Option<&Key>> = keys.collect();
    let mut spans = vec![Span::whole(0); keys.len()];
    let mut wanted: HashMap<(&str, &str), Vec<usize>> = HashMap::new();
    for (index, key) in keys.iter().enumerate() {
        if let Some((kind, name)) = key.and_then(|key| key.table.as_ref()) {
            wanted.entry((kind, name)).or_default().push(index);
        }
    }
    let part = sources.first().and_then(|main| syntax::part_with("defaults", &main.text).0);
    let tree = part.as_ref().map(|part| (part.base, part.tree()));
    let defaults = tree.as_ref().and_then(|(base, tree)| Some((*base, tree.get_ref().get("defaults")?)));
    for (number, source) in (0..).zip(sources) {
        for chunk in syntax::chunks(&source.text) {
            let span = |range| Span::of(number, chunk.start, range);
            let (tree, _) = DeTable::parse_recoverable(&source.text[chunk.clone()]);
            let tree = tree.get_ref();
            if number == 0 {
                for (index, key) in keys.iter().enumerate() {
                    let Some(key) = key.filter(|key| key.table.is_none()) else { continue };
                    if let Some(range) = key.path.first().and_then(|name| tree.get(*name)).map(Spanned::span)
                    {
                        spans[index] = span(range);
                    }
                }
            }
            for kind in Key::KINDS {
                let Some(DeValue::Array(tables)) = tree.get(kind).map(Spanned::get_ref) else { continue };
                for table in tables.iter() {
                    let Some(name) = step(table.get_ref(), "name") else { continue };
                    let Some(text) = name.get_ref().as_str() else { continue };
                    for index in wanted.get(&(kind, text)).into_iter().flatten() {
                        let Some(key) = keys[*index] else { continue };
                        let defaults = defaults.filter(|_| kind == "order");
                        let value = key.value.as_deref();
                        let place = |value| {
                            let own = || Some(span(lead(table, &key.path, value, text)?));
                            let default = || {
                                let (base, table) = defaults?;
                                Some(Span::of(0, base, lead(table, &key.path, value, text)?))
                            };
                            own().or_else(default)
                        };
                        spans[*index] =
                            place(value).or_else(|| place(None)).unwrap_or_else(|| span(name.span()));
                    }
                }
            }
        }
    }
    spans
}

fn step<'a, 'b>(table: &'a DeValue<'b>, name: &str) -> Option<&'a Spanned<DeValue<'b>>> {
    match table {
        DeValue::Table(entries) => entries.get(name),
        _ => None,
    }
}

/// Follows a path down; of a list, the first element that leads on. `text` is a value with the name of its order in it.
fn lead(value: &Spanned<DeValue<'_>>, path: &[&str], text: Option<&str>, name: &str) -> Option<Range<usize>> {
    match (path.split_first(), value.get_ref()) {
        (Some((step_name, rest)), table @ DeValue::Table(_)) => {
            lead(step(table, step_name)?, rest, text, name)
        }
        (Some(_), DeValue::Array(elements)) => {
            elements.iter().find_map(|element| lead(element, path, text, name))
        }
        (None, DeValue::Array(elements)) if text.is_some() => {
            elements.iter().find_map(|element| lead(element, path, text, name))
        }
        (None, found) if text.is_none_or(|text| is_written(found, text, name)) => Some(value.span()),
        _ => None,
    }
}

fn is_written(found: &DeValue<'_>, text: &str, name: &str) -> bool {
    let is_same = |found: &str| found == text || expand(found, Some(name)).is_ok_and(|found| found == text);
    found.as_str().is_some_and(is_same)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIN: &str =
        "install_dir = \"/srv\"\n\n[[account]]\nname = \"main\"\npassword = { file = \"/pw\" }\n";
    const MORE: &str = "[[order]]\nname = \"a\"\nkey_file = [\"/1\", \"/2\"]\n[order.files]\nowner = \"x\"\n\
        [[order.copy]]\nto = \"/c\"\n[[order.copy]]\nto = \"/d\"\n[[order]]\nname = \"b\"\n";

    fn lines(keys: &[Option<Key>]) -> Vec<String> {
        let sources = [("main.toml", MAIN), ("more.toml", MORE)]
            .map(|(path, text)| Source { path: path.into(), text: text.to_owned() });
        let finding = |key: &Option<Key>| Finding {
            level: Level::Error,
            message: "x".into(),
            about: key.clone(),
            help: None,
        };
        let findings: Vec<Finding> = keys.iter().map(finding).collect();
        located(&sources, &findings).lines(&sources)
    }

    #[test]
    fn each_key_is_found_where_it_is_written() {
        let keys = [
            Key::top("install_dir"),
            Key::account("main", &["password", "file"]),
            Key::order("a", &["key_file"]).with("/2"),
            Key::order("a", &["files", "owner"]),
            Key::order("a", &["copy", "to"]).with("/d"),
        ];
        assert_eq!(
            lines(&keys.map(Some)),
            [
                "main.toml:1:15: error: x",
                "main.toml:5:21: error: x",
                "more.toml:3:19: error: x",
                "more.toml:5:9: error: x",
                "more.toml:9:6: error: x"
            ]
        );
    }

    #[test]
    fn what_an_order_inherits_is_found_in_the_defaults() {
        let main = "[[order]]\nname = \"b\"\nkey_file = \"/own/{name}\"\n[defaults]\nkey_file = \"/k/{name}\"\n\
            [[defaults.copy]]\nto = \"/c/{name}\"\n";
        let sources = [("main.toml", main), ("more.toml", "[[order]]\nname = \"a\"\n")]
            .map(|(path, text)| Source { path: path.into(), text: text.to_owned() });
        for (key, expected) in [
            (Key::order("a", &["key_file"]).with("/k/a"), "main.toml:5:12"),
            (Key::order("b", &["key_file"]).with("/own/b"), "main.toml:3:12"),
            (Key::order("a", &["copy", "to"]).with("/c/a"), "main.toml:7:6"),
            (Key::order("a", &["files", "owner"]), "more.toml:2:8"),
        ] {
            assert_eq!(place(&sources, &key), expected, "{key:?}");
        }
    }

    #[test]
    fn what_is_not_written_is_found_at_what_it_belongs_to() {
        let keys = [
            None,
            Some(Key::top("state_dir")),
            Some(Key::account("main", &["ca_file"])),
            Some(Key::hook("none", &["run"])),
            Some(Key::order("b", &["files", "owner"])),
        ];
        let mut expected = vec!["main.toml: error: x"; 3];
        expected.extend(["main.toml:4:8: error: x", "more.toml:11:8: error: x"]);
        assert_eq!(lines(&keys), expected);
    }
}
