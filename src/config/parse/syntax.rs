//! From text to TOML trees, a chunk at a time, with every syntax error found on the way.
//!
//! A file with 100,000 orders is parsed in chunks, because the tree of the whole of it would take some
//! 350 MB and twice the time. The TOML parser recovers from most errors but drops the rest of the text after
//! some of them; here the damaged lines are blanked and the text is parsed again, so that one slip does
//! not hide the others.

use std::borrow::Cow;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue, Error};

use super::diagnostic::next_header;
use crate::config::keys::{DEFAULTS_TABLES, TABLES};

/// Bytes of a chunk: small enough to stay in the processor's cache, large enough not to be noticed.
const CHUNK: usize = 64 * 1024;

/// Longest part of a file in bytes that is parsed at once, which takes some 25 times as much memory, and far more
/// where it is rubbish.
pub(crate) const LONGEST_CHUNK: usize = 4 * 1024 * 1024;

/// How often damaged lines are blanked in one chunk before the rest of it is given up.
const ROUNDS: usize = 20;

/// Bytes to parse in all while recovering, which bounds the time for a long file that cannot be cut.
const BUDGET: usize = 8 * 1024 * 1024;

/// Maximum number of syntax errors reported from a chunk that was given up.
const LISTED: usize = 100;

/// A syntax error, as the operator should read it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    pub(crate) span: Range<usize>,
    pub(crate) message: String,
    pub(crate) label: String,
    /// A place that belongs to it, and what it is.
    pub(crate) also: Option<(Range<usize>, &'static str)>,
    pub(crate) help: Option<String>,
}

/// What could be saved of a damaged chunk.
pub(crate) struct Recovered {
    /// The chunk with blanks where it was damaged, or nothing where that did not help.
    pub(crate) text: Option<String>,
    pub(crate) errors: Vec<SyntaxError>,
    pub(crate) gaps: Vec<Range<usize>>,
}

/// The part of a text that holds a table of its top.
pub(crate) struct Part<'a> {
    /// Where it begins.
    pub(crate) base: usize,
    /// Its text, with blanks where it was damaged.
    text: Cow<'a, str>,
}

impl Part<'_> {
    pub(crate) fn tree(&self) -> Spanned<DeTable<'_>> {
        DeTable::parse_recoverable(&self.text).0
    }
}

/// The first part that holds the table, and whether some of what could hold it could not be read. It may stand below
/// the orders that it is for. Of the parts one tree at a time is in memory.
pub(crate) fn part_with<'a>(table: &str, text: &'a str) -> (Option<Part<'a>>, bool) {
    let mut has_gap = false;
    if !may_hold(table, text) {
        return (None, has_gap);
    }
    for range in chunks(text) {
        let (base, chunk) = (range.start, &text[range]);
        if !may_hold(table, chunk) {
            continue;
        }
        if chunk.len() > LONGEST_CHUNK {
            has_gap = true;
            continue;
        }
        let (tree, errors) = DeTable::parse_recoverable(chunk);
        let part = if errors.is_empty() {
            let is_there = tree.get_ref().contains_key(table);
            is_there.then_some(Part { base, text: Cow::Borrowed(chunk) })
        } else {
            drop(tree);
            has_gap = true;
            let part = recover(chunk).text.map(|text| Part { base, text: Cow::Owned(text) });
            part.filter(|part| part.tree().get_ref().contains_key(table))
        };
        if part.is_some() {
            return (part, has_gap);
        }
    }
    (None, has_gap)
}

/// Whether a line could begin with the key, which may be written with escapes.
fn may_hold(table: &str, text: &str) -> bool {
    text.lines().any(|line| {
        let line = line.trim_start_matches(['\u{feff}', ' ', '\t', '[']);
        let key = line.trim_start_matches(['"', '\'']);
        key.starts_with(table) || key.len() < line.len() && key.contains('\\')
    })
}

/// Where to cut: each chunk but the first begins with an `[[order]]` line.
pub(crate) fn chunks(text: &str) -> Vec<Range<usize>> {
    chunks_of(text, CHUNK)
}

fn chunks_of(text: &str, size: usize) -> Vec<Range<usize>> {
    let whole = vec![Range { start: 0, end: text.len() }];
    // A line within a string of several lines may look like a header.
    if text.len() <= size || has_three_quotes(text.as_bytes()) {
        return whole;
    }
    let mut chunks: Vec<Range<usize>> = Vec::new();
    let mut start = 0;
    let mut current = "";
    let mut at = next_header(text, 0);
    while at < text.len() {
        let line = &text[at..text[at..].find('\n').map_or(text.len(), |end| at + end)];
        if line.starts_with("[[order]]") {
            if at - start >= size {
                chunks.push(start..at);
                start = at;
            }
            current = "order";
        } else {
            let name = line.trim_start_matches([' ', '\t', '[']);
            let root = name.split(['.', ']', ' ', '\t']).next().unwrap_or_default();
            let is_dotted = name.split(']').next().is_some_and(|name| name.contains('.'));
            if is_dotted && root != current {
                // `[account.password]` after an order: it needs what stands before.
                return whole;
            }
            current = root;
        }
        at = next_header(text, at);
    }
    chunks.push(start..text.len());
    chunks
}

fn has_three_quotes(text: &[u8]) -> bool {
    // One of three neighbours is always at an index that three divides.
    (2..text.len()).step_by(3).any(|at| {
        let quote = text[at];
        let is_quote = |at: usize| text.get(at) == Some(&quote);
        matches!(quote, b'"' | b'\'')
            && (is_quote(at - 1) && (is_quote(at - 2) || is_quote(at + 1))
                || is_quote(at + 1) && is_quote(at + 2))
    })
}

/// Parses again and again, each time without the lines around the first error.
pub(crate) fn recover(chunk: &str) -> Recovered {
    let mut text = chunk.to_owned();
    let mut recovered = Recovered { text: None, errors: Vec::new(), gaps: Vec::new() };
    let rounds = (BUDGET / text.len().max(1)).clamp(1, ROUNDS);
    for _ in 0..rounds {
        let (tree, errors) = DeTable::parse_recoverable(&text);
        let Some(first) = first_error(&text, &errors) else {
            recovered.text = Some(text);
            return recovered;
        };
        let span = span_of(first, &text);
        let (gap, error) = damaged(&text, tree.get_ref(), first.message(), span);
        recovered.note(chunk, error);
        let blanked = blank(&text, &gap);
        drop(tree);
        recovered.gaps.push(gap);
        if blanked == text {
            break;
        }
        text = blanked;
    }
    let (_, errors) = DeTable::parse_recoverable(&text);
    for error in errors.iter().take(LISTED) {
        recovered.note(chunk, syntax_error(chunk, error.message(), span_of(error, &text)));
    }
    recovered.gaps.push(0..chunk.len());
    recovered
}

/// The first error of the first line that has one. Within a line the parser's order counts: what is wrong with the
/// structure comes before the words.
fn first_error<'a>(text: &str, errors: &'a [Error]) -> Option<&'a Error> {
    let start = |error: &Error| span_of(error, text).start;
    let line = line_of(text, errors.iter().map(start).min()?);
    errors.iter().find(|error| (line.start..=line.end).contains(&start(error)))
}

impl Recovered {
    /// Of several errors in one line, the first is the cause and the others are its shadow.
    fn note(&mut self, chunk: &str, error: SyntaxError) {
        let line = line_of(chunk, error.span.start);
        if !self.errors.iter().any(|known| line.start <= known.span.start && known.span.start <= line.end) {
            self.errors.push(error);
        }
    }
}

fn span_of(error: &Error, text: &str) -> Range<usize> {
    let span = error.span().unwrap_or(0..0);
    let start = text.floor_char_boundary(span.start.min(text.len()));
    start..text.ceil_char_boundary(span.end.clamp(start, text.len()))
}

/// What is wrong, and the lines to leave out: those of the value that the error is in if it began on an earlier
/// line, the whole table where its header is broken, and else one line.
fn damaged(text: &str, tree: &DeTable<'_>, message: &str, span: Range<usize>) -> (Range<usize>, SyntaxError) {
    let line = line_of(text, span.start);
    let content = text[line.clone()].trim_start();
    let mut error = syntax_error(text, message, span.clone());
    let around = tree.values().find_map(|value| enclosing(value.get_ref(), &value.span(), line.start, &span));
    let Some(value) = around else {
        let end = if content.starts_with('[') { next_header(text, line.start) } else { line.end };
        return (line.start..end, error);
    };
    let start = line_of(text, value.start).start;
    let begin = value.start..value.start + 1;
    // A setting or a header where an element should be: the value has no end, and this line is sound.
    if message.starts_with("unexpected `=`") || is_header(content) {
        error.message = "an unterminated value".to_owned();
        error.span = begin;
        error.label = "it begins here".to_owned();
        error.also = Some((line.end - content.len()..line.end, "something else begins here"));
        error.help = None;
        return (start..line.start, error);
    }
    error.also = Some((begin, "the value begins here"));
    error.help = Some("if the value should end before this, close it there".to_owned());
    (start..line_of(text, value.end).end, error)
}

/// `[name]` or `[[name]]`, and not a list of something.
fn is_header(line: &str) -> bool {
    let inner = line.trim_start_matches('[');
    let name = inner.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    line.starts_with('[') && inner.starts_with(|c: char| c.is_ascii_alphabetic()) && name.starts_with(']')
}

fn enclosing(
    value: &DeValue<'_>,
    span: &Range<usize>,
    line: usize,
    error: &Range<usize>,
) -> Option<Range<usize>> {
    // The span of a table with a header is the header, which is a single line and never matches.
    if span.start < line && error.start <= span.end {
        return Some(span.clone());
    }
    match value {
        DeValue::Table(table) => {
            table.values().find_map(|value| enclosing(value.get_ref(), &value.span(), line, error))
        }
        DeValue::Array(array) => {
            array.iter().find_map(|value| enclosing(value.get_ref(), &value.span(), line, error))
        }
        _ => None,
    }
}

/// The line around a place, without its end.
pub(super) fn line_of(text: &str, at: usize) -> Range<usize> {
    let at = at.min(text.len());
    let start = text.as_bytes()[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |found| found + 1);
    let end =
        text.as_bytes()[at..].iter().position(|byte| *byte == b'\n').map_or(text.len(), |found| at + found);
    start..end
}

/// Blanks instead of cutting, so that every place keeps its offset.
fn blank(text: &str, range: &Range<usize>) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for byte in &mut bytes[range.clone()] {
        if *byte != b'\n' {
            *byte = b' ';
        }
    }
    String::from_utf8(bytes).expect("only whole lines are blanked, so no character is cut")
}

fn syntax_error(text: &str, message: &str, span: Range<usize>) -> SyntaxError {
    const SETTING: &str = "a setting is written: key = value; a comment begins with #";
    let (what, expected) = message.split_once(", expected ").unwrap_or((message, ""));
    let expected = if expected.is_empty() { String::new() } else { format!("expected {expected}") };
    let (message, label, help) = match what {
        "duplicate key" => return duplicate(text, span),
        "unexpected leading zero" => (
            what,
            "",
            Some(
                "a number does not begin with 0; a mode is text, such as \"0644\", and so is an order number",
            ),
        ),
        "string values must be quoted" | "invalid literal string" if span.is_empty() => {
            ("there is no value", "expected a value", None)
        }
        "string values must be quoted" => {
            ("unquoted text", "", Some("put text in double quotes; numbers, true and false need none"))
        }
        "key with no value" => ("a key without `=` and a value", expected.as_str(), Some(SETTING)),
        "invalid unquoted key" | "unquoted keys cannot be empty" => {
            ("this is not a key", expected.as_str(), Some(SETTING))
        }
        "invalid basic string" | "invalid multi-line basic string" => {
            ("text without a closing quote", expected.as_str(), None)
        }
        what => (what, expected.as_str(), None),
    };
    let help = help.map(str::to_owned);
    SyntaxError { span, message: message.to_owned(), label: label.to_owned(), also: None, help }
}

fn duplicate(text: &str, span: Range<usize>) -> SyntaxError {
    let key = &text[span.clone()];
    let line = text[line_of(text, span.start)].trim_start();
    let help = line.starts_with('[').then(|| {
        let name = header_name(line);
        // A second [order] was meant as one more, a second [polling] was not.
        match TABLES.iter().chain(&DEFAULTS_TABLES).any(|keys| keys.title == format!("[[{name}]]")) {
            true => format!("write [[{name}]] with double brackets, each time"),
            false => "merge both into one table".to_owned(),
        }
    });
    SyntaxError {
        message: format!("`{key}` is given twice"),
        label: "again here".to_owned(),
        also: first_of(text, span.start, key).map(|first| (first, "first here")),
        help,
        span,
    }
}

/// The first of two duplicates: the TOML parser knows it but does not say.
fn first_of(text: &str, again: usize, key: &str) -> Option<Range<usize>> {
    let line = line_of(text, again);
    let is_header = text[line.clone()].trim_start().starts_with('[');
    let header = header_name(&text[line.clone()]);
    let mut end = line.start;
    while end > 0 {
        let line = line_of(text, end - 1);
        let content = text[line.clone()].trim_start();
        let start = line.end - content.len();
        if content.starts_with('[') {
            if !is_header {
                return None;
            }
            if header_name(content) == header {
                let start = start + content.find(header)?;
                return Some(start..start + header.len());
            }
        } else if !is_header && content.split('=').next().is_some_and(|found| found.trim() == key) {
            return Some(start..start + key.len());
        }
        end = line.start;
    }
    None
}

fn header_name(line: &str) -> &str {
    line.split('#').next().unwrap_or_default().trim().trim_matches(['[', ']']).trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, errors: &[(&str, &str)], rest: &str) {
        let recovered = recover(text);
        let found: Vec<(&str, &str)> = recovered
            .errors
            .iter()
            .map(|error| (error.message.as_str(), &text[error.span.clone()]))
            .collect();
        assert_eq!(found, errors, "{text:?}");
        let kept: Vec<&str> = recovered
            .text
            .as_deref()
            .unwrap_or_default()
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        assert_eq!(kept.join(" | "), rest, "{text:?}");
    }

    #[test]
    fn the_part_with_the_defaults_is_found_among_those_that_mention_them() {
        let orders = "[[order]]\nname = \"x\" # see [defaults], C:\\\n".repeat(3 * CHUNK / 40);
        let (chunks, (part, has_gap)) = (chunks(&orders).len(), part_with("defaults", &orders));
        assert!(chunks > 2 && part.is_none() && !has_gap);
        for table in ["[defaults]", "\t[ \"defaults\" ]", "['defaults']", "[\"d\\u0065faults\"]"] {
            let text = format!("{orders}{table}\nhooks = []\n{orders}");
            let (part, has_gap) = part_with("defaults", &text);
            let part = part.unwrap_or_else(|| panic!("{table} is not found"));
            assert!(part.tree().get_ref().contains_key("defaults") && !has_gap, "{table}");
            assert!(
                part.base > 0 && part.text.len() < 2 * CHUNK,
                "{table}: {} {}",
                part.base,
                part.text.len()
            );
        }
        for text in ["\u{feff}defaults.hooks = []", "[x]\n\"a\" = \"\\n\"\n[ defaults . files ]"] {
            assert!(part_with("defaults", text).0.is_some(), "{text}");
        }
        let (part, has_gap) = part_with("defaults", "[defaults]\nhooks = x\nkey_file = \"/k\"\n");
        assert!(part.is_some() && has_gap);
    }

    #[test]
    fn sound_text_is_left_alone() {
        check("a = 1\n[b]\nc = 2\n", &[], "a = 1 | [b] | c = 2");
    }

    #[test]
    fn each_broken_line_is_left_out() {
        check("a = 3h\nb = 1\n", &[("unquoted text", "3h")], "b = 1");
        check("a = \nb = 1\n", &[("there is no value", "")], "b = 1");
        check("a 1\nb = 1\n", &[("a key without `=` and a value", "")], "b = 1");
        check("a: 1\nb = 1\n", &[("a key without `=` and a value", "")], "b = 1");
        check("a! = 1\nb = 1\n", &[("this is not a key", "!")], "b = 1");
        check("a = \"x\nb = 1\n", &[("text without a closing quote", "")], "b = 1");
        check("a = 1\na = 2\nb = 1\n", &[("`a` is given twice", "a")], "a = 1 | b = 1");
        check(
            "a = x\nb = 1\nc d\ne = 2\nf = \"\\q\"\n",
            &[("unquoted text", "x"), ("a key without `=` and a value", ""), ("missing escaped value", "")],
            "b = 1 | e = 2",
        );
    }

    #[test]
    fn a_broken_header_takes_its_table_along() {
        check("[a\nb = 1\n[c]\nd = 1\n", &[("unclosed table", "")], "[c] | d = 1");
        check(
            "[a]\nb = 1\n[c]\n[a]\nb = 2\n[d]\n",
            &[("`a` is given twice", "a")],
            "[a] | b = 1 | [c] | [d]",
        );
    }

    #[test]
    fn a_value_of_several_lines_is_left_out_as_a_whole() {
        check("a = [\n 1\n 2,\n]\nb = 1\n", &[("missing comma between array elements", "")], "b = 1");
        check("a = [1,\nb = 2\n[c]\nd = 1\n", &[("an unterminated value", "[")], "b = 2 | [c] | d = 1");
        check("a = [1,\n[c]\nd = 1\n", &[("an unterminated value", "[")], "[c] | d = 1");
        check("b = 1\na = \"\"\"\nx\ny = 1\n", &[("text without a closing quote", "")], "b = 1");
    }

    #[test]
    fn both_places_of_a_duplicate_are_known() {
        let text = "[x]\na = 1 # a\n[y]\n  a = 1\na = 2\n[x] # again\n";
        let firsts: Vec<&str> =
            recover(text).errors.into_iter().filter_map(|error| Some(&text[error.also?.0])).collect();
        assert_eq!(firsts, ["a", "x"]);
    }

    #[test]
    fn rubbish_comes_to_an_end() {
        for text in
            ["\u{1}\u{2}", "[[[[[[", "=\n=\n=\n", "\"\"\"", "a = {", "\u{feff}", "]\n".repeat(50).as_str()]
        {
            let recovered = recover(text);
            assert!(recovered.errors.len() <= 60, "{text:?}");
        }
    }

    #[test]
    fn chunks_begin_with_an_order_and_lose_nothing() {
        let text = "a = 1\n[[order]]\nb = 1\n[order.files]\n[[order]]\nb = 2\n[[order]]\nb = 3\n";
        let chunks = chunks_of(text, 10);
        assert_eq!(chunks.len(), 3);
        assert!(chunks[1..].iter().all(|chunk| text[chunk.clone()].starts_with("[[order]]")));
        assert_eq!(chunks.into_iter().map(|chunk| &text[chunk]).collect::<String>(), text);
    }

    #[test]
    fn three_quotes_are_found_anywhere() {
        for before in 0..7 {
            let text = format!("{}\"\"\"x", "-".repeat(before));
            assert!(has_three_quotes(text.as_bytes()), "{text}");
        }
        for text in ["", "\"\"", "a = \"\"\nb = ''", "\"'\"'\"'"] {
            assert!(!has_three_quotes(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn text_that_cannot_be_cut_stays_whole() {
        for text in [
            "[[account]]\na = 1\n[[order]]\nb = 1\n[account.password]\nc = 1\n[[order]]\nb = 2\n",
            "[[order]]\nb = '''\n[[order]]\n'''\n[[order]]\nb = 2\n",
        ] {
            assert_eq!(chunks_of(text, 5).len(), 1, "{text}");
        }
    }
}
