//! The configuration as written: from the text of all files to [`Config`], or to everything that is wrong with it.
//!
//! Nothing here reads a file. The caller reads the main file, asks [`includes`] which others belong to it,
//! and hands all of them to [`read`].

use std::collections::HashSet;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub use super::keys::{DEFAULTS_TABLES, Key, Keys, TABLES};
pub use super::parse::diagnostic::{Diagnostic, DiagnosticList, Level, Location, Source};

use super::draft::Draft;
use super::parse::diagnostic::{Diagnostics, Span, next_header};
use super::parse::reader::{Chunk, Item, Table};
use super::parse::syntax::LONGEST_CHUNK;
use super::parse::{sensitive, syntax};
use super::tables::defaults::Defaults;
use super::tables::fleet::Membership;
use super::tables::{account, fleet, hook, listener, metrics, polling, rehearsal, reissue, window};
use super::value::{InvalidValue, refuse, refuse_if};
use super::{cross, keys, value};
use certcollectd_core::config::Config;

/// Longest file in bytes: some 400,000 orders. Whatever is longer is not a configuration.
const LONGEST: usize = 64 * MIB;

const MIB: usize = 1024 * 1024;

/// What `include` names and does not yield.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// Which of [`includes`] names it.
    pub include: usize,
    /// An error where something cannot be read that may hold orders.
    pub level: Level,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// What to do about it.
    pub help: String,
}

/// The patterns of `include` in the main file, joined to its folder. What is wrong with them, or with the text
/// around them, is left for [`read`] to say.
///
/// Only the last part of a pattern holds wildcards: `*` stands for any text, `?` for one character.
pub fn includes(main: &Source) -> Vec<String> {
    patterns(main).into_iter().map(|(pattern, _)| pattern).collect()
}

/// As [`includes`], with the place of each.
fn patterns(main: &Source) -> Vec<(String, Range<usize>)> {
    // `include` stands above the first table, and the text below can be long.
    let head = &main.text[..next_header(&main.text, 0)];
    if head.len() > LONGEST_CHUNK {
        return Vec::new();
    }
    let (tree, _) = DeTable::parse_recoverable(head);
    let Some(DeValue::Array(patterns)) = tree.get_ref().get("include").map(Spanned::get_ref) else {
        return Vec::new();
    };
    let folder = main.path.parent().unwrap_or_else(|| Path::new(""));
    patterns
        .iter()
        .filter_map(|pattern| Some((pattern.get_ref().as_str()?, pattern.span())))
        .filter(|(pattern, _)| self::pattern(pattern).is_ok())
        .map(|(pattern, span)| (folder.join(pattern).to_string_lossy().into_owned(), span))
        .collect()
}

/// Reads the main file, which comes first, and the files it includes, in their order.
///
/// # Errors
///
/// All problems that were found, warnings included, if there is an error among them.
pub fn read(sources: &[Source]) -> Result<(Config, DiagnosticList), DiagnosticList> {
    read_with(sources, &[])
}

/// As [`read`], with what `include` does not yield.
///
/// # Errors
///
/// As [`read`].
pub fn read_with(sources: &[Source], unread: &[Unread]) -> Result<(Config, DiagnosticList), DiagnosticList> {
    let (draft, problems) = read_all(sources, unread);
    if problems.is_error() { Err(problems) } else { Ok((draft.settle(), problems)) }
}

/// All problems of files of which some could not be read; `sources` are the others.
pub fn problems(sources: &[Source], unread: &[Unread]) -> DiagnosticList {
    read_all(sources, unread).1
}

/// What can be made out of files that are not sound, good enough to show how things stand: accounts and orders
/// whose own entries can be read, with defaults for what is wrong in them. Nothing if the state directory may
/// have stood where nothing can be read.
pub fn remains(sources: &[Source]) -> Option<Config> {
    let diagnostics = Diagnostics::new(sources);
    let draft = draft_of(&diagnostics);
    if draft.state_dir.is_none() && (draft.state_dir_is_wrong || diagnostics.has_gap_after(Span::whole(0))) {
        return None;
    }
    let mut config = draft.settle();
    let mut names = HashSet::new();
    config.orders.retain(|order| names.insert(order.name.clone()));
    Some(config)
}

pub(super) fn read_all(sources: &[Source], unread: &[Unread]) -> (Draft, DiagnosticList) {
    let diagnostics = Diagnostics::new(sources);
    let places = match sources.first() {
        Some(main) if !unread.is_empty() => patterns(main),
        _ => Vec::new(),
    };
    for unread in unread {
        let place = places.get(unread.include);
        let at = place.map_or_else(|| Span::whole(0), |(_, span)| Span::of(0, 0, span.clone()));
        if unread.level == Level::Error {
            // Accounts and hooks that are not known may be in there.
            diagnostics.leave_out(at);
        }
        let problem = Diagnostic::new(unread.level, unread.message.as_str(), at);
        problem.help(unread.help.as_str()).add_to(&diagnostics);
    }
    let draft = draft_of(&diagnostics);
    cross::check(&diagnostics, &draft);
    let problems = diagnostics.finish();
    (draft, problems)
}

fn draft_of(diagnostics: &Diagnostics<'_>) -> Draft {
    let main = diagnostics.sources.first().map_or("", |source| source.text.as_str());
    let part_with = |table| if main.len() > LONGEST { (None, true) } else { syntax::part_with(table, main) };
    let is_unread = diagnostics.lacks(Span::whole(0));
    let mut draft = Draft::default();
    let (part, has_gap) = part_with("fleet");
    let has_gap = has_gap || is_unread;
    // `read_main` says what is wrong with it.
    let unheard = Diagnostics::new(diagnostics.sources);
    let found = part.and_then(|part| {
        let chunk = Chunk { diagnostics: &unheard, source: 0, base: part.base };
        Table::find(chunk, "fleet", &keys::FLEET, part.tree().get_ref()).map(|table| fleet::fleet(&table))
    });
    draft.orders.fleet = Membership::new(found, has_gap);
    let (part, has_gap) = part_with("defaults");
    let tree = part.as_ref().map(|part| (part.base, part.tree()));
    // Where there is a second, `read_main` says so.
    let order = tree.as_ref().and_then(|(base, tree)| {
        let chunk = Chunk { diagnostics, source: 0, base: *base };
        Table::find(chunk, "defaults", &keys::DEFAULTS, tree.get_ref())
    });
    let defaults = Defaults::new(order, has_gap || is_unread);
    draft.orders.read_defaults(&defaults);
    for (index, source) in diagnostics.sources.iter().enumerate() {
        read_source(&mut draft, &defaults, diagnostics, index as u32, &source.text);
    }
    draft
}

fn read_source(
    draft: &mut Draft,
    defaults: &Defaults<'_>,
    diagnostics: &Diagnostics<'_>,
    source: u32,
    text: &str,
) {
    let too_long = |what: String, help: &str| {
        Diagnostic::error(what, Span::whole(source)).help(help).add_to(diagnostics);
        diagnostics.leave_out(Span::whole(source));
    };
    if text.len() > LONGEST {
        let what = format!("the file is longer than {} MiB", LONGEST / MIB);
        return too_long(what, "split the orders into several files, see `include`");
    }
    let mut is_empty = true;
    for range in syntax::chunks(text) {
        if range.len() > LONGEST_CHUNK {
            let what = format!("more than {} MiB that cannot be read in pieces", LONGEST_CHUNK / MIB);
            return too_long(
                what,
                "a long file is read from one [[order]] to the next, unless it holds text in three quotes, \
                 or [account., [hook. or [defaults. tables after an [[order]]",
            );
        }
        let chunk = Chunk { diagnostics, source, base: range.start };
        let text = &text[range];
        let (tree, errors) = DeTable::parse_recoverable(text);
        is_empty &= errors.is_empty() && tree.get_ref().is_empty();
        if errors.is_empty() {
            read_top(draft, defaults, &chunk, tree.get_ref());
            continue;
        }
        drop(tree);
        if diagnostics.is_full() {
            diagnostics.count(errors.len());
            diagnostics.leave_out(Span::whole(source));
            continue;
        }
        if let Some(recovered) = note_syntax_errors(&chunk, text) {
            let (tree, _) = DeTable::parse_recoverable(&recovered);
            read_top(draft, defaults, &chunk, tree.get_ref());
        }
    }
    if is_empty && source > 0 {
        Diagnostic::warning("an included file is empty", Span::whole(source))
            .help("if it contained orders, restore them; otherwise remove it")
            .add_to(diagnostics);
    }
}

fn read_top(draft: &mut Draft, defaults: &Defaults<'_>, chunk: &Chunk<'_>, entries: &DeTable<'_>) {
    let is_main = chunk.source == 0;
    let top = Table::root(*chunk, if is_main { &keys::TOP } else { &keys::INCLUDED }, entries);
    if is_main {
        read_main(draft, &top);
    }
    top.tables("account", &keys::ACCOUNT, |table| {
        draft.account_tables += 1;
        draft.accounts.extend(account::account(table));
    });
    top.tables("hook", &keys::HOOK, |table| {
        draft.hook_tables += 1;
        draft.hooks.extend(hook::hook(table));
    });
    top.tables("order", &keys::ORDER, |table| draft.orders.read(table, defaults));
}

fn read_main(draft: &mut Draft, top: &Table<'_>) {
    let dir = |name| {
        let item: Item<'_> = top.get(name)?;
        Some((item.parse("an absolute path in quotes", value::path)?, item.at))
    };
    draft.state_dir = draft.state_dir.take().or_else(|| dir("state_dir"));
    draft.state_dir_is_wrong |= draft.state_dir.is_none() && top.get("state_dir").is_some();
    draft.install_dir = draft.install_dir.take().or_else(|| dir("install_dir"));
    if let Some(item) = top.get("include") {
        item.list("a list of patterns, such as include = [\"orders.d/*.toml\"]", |element| {
            element.parse("a pattern in quotes", pattern)
        });
    }
    if let Some(item) = top.get("freeze") {
        draft.freezes.extend(window::freezes(&item));
    }
    top.tables("window", &keys::WINDOW, |table| {
        draft.window_tables += 1;
        draft.windows.extend(window::window(table));
    });
    if let Some(table) = once(draft, top, "polling", &keys::POLLING) {
        draft.polling = polling::polling(&table);
    }
    once(draft, top, "defaults", &keys::DEFAULTS);
    if let Some(table) = once(draft, top, "fleet", &keys::FLEET) {
        draft.fleet = Some(fleet::fleet(&table));
    }
    if let Some(table) = once(draft, top, "rehearsal", &keys::REHEARSAL) {
        draft.rehearsal = rehearsal::every(&table);
    }
    if let Some(table) = once(draft, top, "reissues", &keys::REISSUES) {
        draft.reissues = reissue::reissues(&table);
    }
    if let Some(table) = once(draft, top, "http", &keys::HTTP) {
        draft.http = listener::http(&table);
    }
    if let Some(table) = once(draft, top, "push", &keys::PUSH) {
        draft.push = listener::push(&table);
    }
    if let Some(table) = once(draft, top, "metrics", &keys::METRICS) {
        draft.metrics = metrics::metrics(&table);
    }
    if let Some(table) = once(draft, top, "dns", &keys::DNS) {
        draft.dns = listener::dns(&table);
    }
    if let Some(table) = once(draft, top, "log", &keys::LOG) {
        draft.log = listener::log(&table);
    }
}

/// Within one chunk of text the TOML parser refuses a second table of a name; across chunks this does.
fn once<'a>(
    draft: &mut Draft,
    top: &Table<'a>,
    name: &'static str,
    keys: &'static Keys,
) -> Option<Table<'a>> {
    let item = top.get(name)?;
    if let Some(first) = draft.once.insert(name, item.key_at) {
        Diagnostic::error(format!("`{name}` is given twice"), item.key_at)
            .again_after(first)
            .add_to(item.diagnostics());
        return None;
    }
    item.table(keys)
}

/// Says what is wrong with a damaged chunk and returns what can still be read of it.
fn note_syntax_errors(chunk: &Chunk<'_>, text: &str) -> Option<String> {
    let recovered = syntax::recover(text);
    for range in sensitive::suspects(text) {
        chunk.diagnostics.hide(chunk.span(range));
    }
    for gap in recovered.gaps {
        chunk.diagnostics.leave_out(chunk.span(gap));
    }
    for error in recovered.errors {
        let mut problem = Diagnostic::error(error.message, chunk.span(error.span)).label(error.label);
        if let Some((also, label)) = error.also {
            problem = problem.also(chunk.span(also), label);
        }
        problem.help = error.help;
        chunk.diagnostics.add(problem);
    }
    recovered.text
}

/// A path that may hold wildcards in its last part.
fn pattern(text: &str) -> Result<String, InvalidValue> {
    let help = "such as \"orders.d/*.toml\", relative to the folder of this file";
    let (folder, name) = text.rsplit_once('/').unwrap_or(("", text));
    refuse_if(name.is_empty() || text.chars().any(char::is_control), "does not name a file", help)?;
    if folder.contains(['*', '?']) {
        return refuse("has a wildcard in a folder", format!("only the file name may have one, {help}"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_relative_to_the_main_file() {
        let main = |text: &str| Source { path: "/etc/x/main.toml".into(), text: text.to_owned() };
        assert_eq!(
            includes(&main("include = [\n \"a/*.toml\", \"/b.toml\"\n]\n[polling]\n")),
            ["/etc/x/a/*.toml", "/b.toml"]
        );
        for text in
            ["", "include = 1", "include = [1, \"a/*/b\", \"\"]", "[x]\ninclude = [\"a\"]", "include = [\""]
        {
            assert_eq!(includes(&main(text)), [""; 0], "{text}");
        }
    }
}
