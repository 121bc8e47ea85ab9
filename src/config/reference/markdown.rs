//! The reference for people: each table and each of its keys.

use super::example::Example;
use crate::config::keys::{DEFAULTS, Key, Keys, ORDER, PASSWORD, TABLES};
use crate::config::kind::Kind;
use crate::config::value::{LEAST_PORTION, MOST_SPREAD};
use certcollectd_core::config::HookSignal;

/// Where changes belong.
const NOTE: &str = "<!-- Made from src/config/keys.rs and config/certcollectd.toml; a test says how. -->";

/// Columns of a line.
const WIDTH: usize = 100;

pub(super) fn configuration(example: &Example) -> String {
    let mut text = format!("# Configuration\n\n{NOTE}\n");
    paragraph(&mut text, "", &escaped(&example.head));
    for keys in TABLES {
        if *keys == ORDER {
            defaults(&mut text, example);
        }
        heading(&mut text, example, keys);
        for key in keys.keys.iter().filter(|key| !has_section(example, key)) {
            entry(&mut text, example, keys, key);
        }
        let sections = keys.keys.iter().filter(|key| has_section(example, key));
        let sections: Vec<String> =
            sections.filter_map(|key| key.kind.table()).map(|keys| format!("`{}`", keys.title)).collect();
        if !sections.is_empty() {
            paragraph(&mut text, "", &format!("Tables of their own: {}.", sections.join(", ")));
        }
    }
    text
}

fn heading(text: &mut String, example: &Example, keys: &Keys) {
    let is_code = keys.title.contains(['[', '{']);
    let title = if is_code { format!("`{}`", keys.title) } else { capital(keys.title) };
    text.push_str(&format!("\n## {title}\n"));
    if !example.about_table(keys).is_empty() {
        paragraph(text, "", &escaped(example.about_table(keys)));
    }
}

/// `[defaults]`, whose keys are told of once, at `[[order]]`.
fn defaults(text: &mut String, example: &Example) {
    heading(text, example, &DEFAULTS);
    let names: Vec<String> = DEFAULTS.names().map(|name| format!("`{name}`")).collect();
    paragraph(text, "", &format!("Its keys, as in `{}`: {}.", ORDER.title, names.join(", ")));
}

fn entry(text: &mut String, example: &Example, keys: &Keys, key: &Key) {
    let mut facts = kind(&key.kind);
    if key.is_needed {
        facts.push_str("; required");
    }
    if let Some(default) = example.default(keys, key) {
        facts.push_str(&format!("; default `{default}`"));
    }
    paragraph(text, "", &format!("- **`{}`**: {facts}\\", key.name));
    let about = escaped(example.about(keys, key));
    text.push_str(&wrapped("  ", &about));
}

/// Whether the table behind the key has a header, and a section here.
fn has_section(example: &Example, key: &Key) -> bool {
    key.kind.table().is_some_and(|keys| !example.about_table(keys).is_empty())
}

fn kind(of: &Kind) -> String {
    let words = |words: &[&str], or: &str| {
        words.iter().map(|word| format!("`\"{word}\"`")).collect::<Vec<_>>().join(or)
    };
    match of {
        Kind::Text | Kind::Digits => "text".into(),
        Kind::Name => "name".into(),
        Kind::Path => "absolute path".into(),
        Kind::FileName => "file name, or `false`".into(),
        Kind::Duration => "duration".into(),
        Kind::DurationOrOff => "duration, or `\"off\"`".into(),
        Kind::Clock => "time of the day, `HH:MM`".into(),
        Kind::Mode => "octal mode".into(),
        Kind::Principal => "name or number".into(),
        Kind::Url => "URL".into(),
        Kind::Listen => "address and port".into(),
        Kind::Variable => "name of a variable".into(),
        Kind::Share => format!("number from 0 to {MOST_SPREAD}"),
        Kind::Portion => format!("number from {LEAST_PORTION} to 1"),
        Kind::Count(most) => format!("whole number from 1 to {most}"),
        Kind::Flag => "`true` or `false`".into(),
        Kind::Word(of) => words(of, " or "),
        Kind::Signal => words(&HookSignal::WORDS, ", "),
        Kind::List(element) => format!("list of {}", kind(element)),
        Kind::OneOrList(element) => format!("{0}, or a list of them", kind(element)),
        Kind::Parameters => "table of texts".into(),
        Kind::Kept(plain) => format!("{}, or `{}`", kind(plain), PASSWORD.title),
        Kind::Headers => format!("table of texts, or of `{}`", PASSWORD.title),
        Kind::Table(keys) | Kind::Tables(keys) => format!("`{}`", keys.title),
    }
}

/// Text of the example file as Markdown; what stands in backticks stays.
fn escaped(text: &str) -> String {
    let pieces = text.split('`').enumerate().map(|(at, piece)| match at % 2 {
        0 => piece.replace('\\', "\\\\").replace('*', "\\*").replace('<', "\\<"),
        _ => piece.to_owned(),
    });
    pieces.collect::<Vec<_>>().join("`")
}

fn paragraph(text: &mut String, indent: &str, words: &str) {
    text.push('\n');
    text.push_str(&wrapped(indent, words));
}

/// Lines that fit, the second and each further one of a list's item indented.
fn wrapped(indent: &str, words: &str) -> String {
    let further = if words.starts_with("- ") { "  " } else { indent };
    let mut text = String::new();
    let mut line = indent.to_owned();
    for word in words.split_whitespace() {
        let is_first = line.trim().is_empty();
        if !is_first && line.chars().count() + 1 + word.chars().count() > WIDTH {
            text.push_str(&line);
            text.push('\n');
            line = further.to_owned();
        }
        if !line.trim().is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    text + &line + "\n"
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
