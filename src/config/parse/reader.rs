//! Takes keys out of a TOML table, says what is wrong with them, and notes those that are unknown.
//!
//! Serde stops at the first error; this reader goes on, so that one look at the output is enough.

use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::diagnostic::{Diagnostic, Diagnostics, Span};
use super::sensitive::is_harmless;
use crate::config::address::has_user_info;
use crate::config::keys::{self, Keys, MOST_KEYS};
use crate::config::value::{InvalidValue, NAME_HELP, did_you_mean, near};
use certcollectd_core::config::name;

/// Where a tree came from.
#[derive(Clone, Copy)]
pub(crate) struct Chunk<'a> {
    pub(crate) diagnostics: &'a Diagnostics<'a>,
    pub(crate) source: u32,
    /// Offset of the chunk within its source.
    pub(crate) base: usize,
}

impl Chunk<'_> {
    pub(crate) fn span(&self, range: Range<usize>) -> Span {
        Span::of(self.source, self.base, range)
    }
}

/// A table whose keys are known.
#[derive(Clone)]
pub(crate) struct Table<'a> {
    chunk: Chunk<'a>,
    keys: &'static Keys,
    /// The header, or the whole of it where it is written within one line.
    pub(crate) at: Span,
    /// What was found for each of `keys`. A large file asks for far more keys than it holds, and a lookup in
    /// the tree for each of them would take a quarter of the time.
    found: [Option<Entry<'a>>; MOST_KEYS],
    /// Keys that an unknown key was meant to be: they are not reported as missing as well.
    meant: Vec<&'static str>,
    /// What holds where it says nothing.
    below: Option<&'a Table<'a>>,
}

type Entry<'a> = (&'a Spanned<DeString<'a>>, &'a Spanned<DeValue<'a>>);

/// A key's value, or one element of it.
#[derive(Clone, Copy)]
pub(crate) struct Item<'a> {
    chunk: Chunk<'a>,
    pub(crate) name: &'static str,
    pub(crate) key_at: Span,
    pub(crate) at: Span,
    is_element: bool,
    /// Whether it comes from the table below.
    pub(crate) is_inherited: bool,
    pub(crate) value: &'a DeValue<'a>,
}

impl<'a> Table<'a> {
    /// The top of a file.
    pub(crate) fn root(chunk: Chunk<'a>, keys: &'static Keys, entries: &'a DeTable<'a>) -> Table<'a> {
        Table::new(chunk, keys, Span::whole(chunk.source), entries)
    }

    /// The table `name` of a file, whatever else is in the file.
    pub(crate) fn find(
        chunk: Chunk<'a>,
        name: &'static str,
        keys: &'static Keys,
        entries: &'a DeTable<'a>,
    ) -> Option<Table<'a>> {
        let (key, value) = entries.get_key_value(name)?;
        Item::new(chunk, name, (key, value)).table(keys)
    }

    /// A table of which nothing is written, in the place of this one.
    pub(crate) fn absent(&self, keys: &'static Keys) -> Table<'a> {
        Table { keys, found: [None; MOST_KEYS], meant: Vec::new(), below: None, ..*self }
    }

    /// This table, and what it does not say from the one below.
    pub(crate) fn over(&self, below: Option<&'a Table<'a>>) -> Table<'a> {
        Table { below, ..self.clone() }
    }

    fn new(chunk: Chunk<'a>, keys: &'static Keys, at: Span, entries: &'a DeTable<'a>) -> Table<'a> {
        let mut table = Table { chunk, keys, at, found: [None; MOST_KEYS], meant: Vec::new(), below: None };
        for (key, value) in entries.iter() {
            match keys.index(key.get_ref()) {
                Some(index) => table.found[index] = Some((key, value)),
                None => {
                    let meant = keys.meant(key.get_ref());
                    table.meant.extend(meant);
                    table.note_unknown(key.get_ref(), meant, key.span(), value);
                }
            }
        }
        table
    }

    pub(crate) fn diagnostics(&self) -> &'a Diagnostics<'a> {
        self.chunk.diagnostics
    }

    /// What holds: its own value, else that of the table below.
    pub(crate) fn get(&self, name: &'static str) -> Option<Item<'a>> {
        self.own(name).or_else(|| self.inherited(name))
    }

    pub(crate) fn own(&self, name: &'static str) -> Option<Item<'a>> {
        let index = self.keys.index(name);
        debug_assert!(index.is_some(), "`{name}` is not listed for {}", self.keys.title);
        Some(Item::new(self.chunk, name, self.found[index?]?))
    }

    pub(crate) fn inherited(&self, name: &'static str) -> Option<Item<'a>> {
        let below = self.below.filter(|below| below.keys.has(name))?;
        Some(Item { is_inherited: true, ..below.own(name)? })
    }

    /// As [`Table::get`]; that it is missing is an error.
    pub(crate) fn need(&self, name: &'static str, help: &str) -> Option<Item<'a>> {
        let item = self.get(name);
        if item.is_none() {
            self.note_missing(&[name], help);
        }
        item
    }

    /// Exactly one of several keys.
    pub(crate) fn one_of(&self, names: &[&'static str], help: &str) -> Option<Item<'a>> {
        let mut found = names.iter().filter_map(|name| self.get(name));
        let Some(first) = found.next() else {
            self.note_missing(names, help);
            return None;
        };
        let others: Vec<Item<'a>> = found.collect();
        others.iter().for_each(|other| self.note_both(&first, other));
        others.is_empty().then_some(first)
    }

    /// Two keys of which only one may be given.
    pub(crate) fn note_both(&self, first: &Item<'_>, second: &Item<'_>) {
        let (first, second) =
            if first.key_at.start < second.key_at.start { (first, second) } else { (second, first) };
        Diagnostic::error(
            format!("both `{}` and `{}` in {}", first.name, second.name, self.title_of(second)),
            second.key_at,
        )
        .label("only one of them is allowed")
        .also(first.key_at, "the other one")
        .add_to(self.diagnostics());
    }

    /// The title of the table that an item of this one was written in.
    fn title_of(&self, item: &Item<'_>) -> &'static str {
        self.below.filter(|_| item.is_inherited).map_or(self.keys.title, |below| below.keys.title)
    }

    fn note_missing(&self, names: &[&str], help: &str) {
        if names.iter().any(|name| self.meant.contains(name)) || self.diagnostics().has_gap_after(self.at) {
            return;
        }
        let what = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let problem = if names.len() > 1 {
            Diagnostic::error(format!("{} needs one of {what}", self.keys.title), self.at)
        } else {
            Diagnostic::error(format!("{} needs {what}", self.keys.title), self.at).label("missing here")
        };
        self.diagnostics().add(problem.help(help));
    }

    fn note_unknown(
        &self,
        name: &str,
        meant: Option<&'static str>,
        span: Range<usize>,
        value: &Spanned<DeValue<'_>>,
    ) {
        if self.diagnostics().is_full() {
            return self.diagnostics().count(1);
        }
        let homes: Vec<&str> = keys::homes(name).map(|keys| keys.title).collect();
        let elsewhere = near(name, keys::TABLES.iter().flat_map(|keys| keys.names()));
        // A misspelt `password` still has a password behind it.
        let known = if homes.is_empty() { meant.or(elsewhere) } else { Some(name) };
        let is_url = value.get_ref().as_str().is_some_and(has_user_info);
        if *self.keys == keys::PASSWORD || !is_harmless(name, known) || is_url {
            self.hide_values(&span, value);
        }
        let at = self.chunk.span(span);
        let title = self.keys.title;
        if *self.keys == keys::INCLUDED && keys::TOP.has(name) {
            Diagnostic::error(format!("`{name}` in an included file"), at)
                .label("belongs to the main file")
                .help("an included file may contain only [[account]], [[order]] and [[hook]]")
                .add_to(self.diagnostics());
            return;
        }
        let place = if *self.keys == keys::TOP { "at" } else { "in" };
        let problem = Diagnostic::error(format!("unknown key `{name}` {place} {title}"), at);
        self.diagnostics().add(if let Some(meant) = meant {
            let mut problem = problem;
            problem.at.label = format!("did you mean `{meant}`?");
            problem
        } else if homes.contains(&keys::TOP.title) {
            problem.help(format!("`{name}` belongs at the top of the file, before the first [table]"))
        } else if !homes.is_empty() {
            problem.help(format!("`{name}` belongs to {}", homes.join(" or ")))
        } else if let Some(meant) = elsewhere {
            let homes: Vec<&str> = keys::homes(meant).map(|keys| keys.title).collect();
            problem.help(format!("did you mean `{meant}` of {}?", homes.join(" or ")))
        } else {
            problem.help(format!("keys of {title}: {}", self.keys.names().collect::<Vec<_>>().join(", ")))
        });
    }

    fn hide_values(&self, key: &Range<usize>, value: &Spanned<DeValue<'_>>) {
        let span = value.span();
        if span.start >= key.end {
            self.diagnostics().hide(self.chunk.span(span));
        } else if let (DeValue::Table(entries), true) = (value.get_ref(), span == *key) {
            // `passwrod.value = "…"`: a table without a header of its own.
            for (key, value) in entries.iter() {
                self.hide_values(&key.span(), value);
            }
        }
    }

    /// The name of what the table describes, where it is one, and its place.
    pub(crate) fn name(&self, help: &str) -> (Option<Arc<str>>, Span) {
        let item = self.need("name", help);
        let read = |text: &'a str| name::name(text).map(|()| text.into());
        (item.and_then(|item| item.parse(NAME_HELP, read)), item.map_or(self.at, |item| item.at))
    }

    /// Reads a text with `read` where the key is present.
    pub(crate) fn parse<T>(
        &self,
        name: &'static str,
        help: &str,
        read: impl FnOnce(&'a str) -> Result<T, InvalidValue>,
    ) -> Option<T> {
        self.get(name)?.parse(help, read)
    }

    pub(crate) fn flag(&self, name: &'static str) -> Option<bool> {
        let item = self.get(name)?;
        let flag = item.value.as_bool();
        if flag.is_none() {
            item.wrong_type("true or false", &format!("write {name} = true, without quotes"));
        }
        flag
    }

    /// A single table, `[name]`.
    pub(crate) fn table(&self, name: &'static str, keys: &'static Keys) -> Option<Table<'a>> {
        self.get(name)?.table(keys)
    }

    /// A single table; what it does not say is taken from the one below.
    pub(crate) fn table_over(
        &self,
        name: &'static str,
        keys: &'static Keys,
        below: Option<&'a Table<'a>>,
    ) -> Option<Table<'a>> {
        match self.own(name) {
            Some(item) => item.table(keys).map(|table| table.over(below)),
            None => below.map(|_| self.absent(keys).over(below)),
        }
    }

    /// A list of tables, `[[name]]`, each handed to `read`.
    pub(crate) fn tables(&self, name: &'static str, keys: &'static Keys, mut read: impl FnMut(&Table<'a>)) {
        let Some(item) = self.get(name) else { return };
        match item.value {
            DeValue::Array(elements) => {
                let tables = elements.iter().filter_map(|value| item.element(value).table(keys));
                tables.for_each(|table| read(&table));
            }
            DeValue::Table(entries) => {
                item.wrong_type("a list of tables", &format!("write {} with double brackets", keys.title));
                read(&Table::new(item.chunk, keys, item.at, entries));
            }
            _ => item.wrong_type("a list of tables", &format!("write {}", keys.title)),
        }
    }
}

impl<'a> Item<'a> {
    fn new(chunk: Chunk<'a>, name: &'static str, (key, value): Entry<'a>) -> Item<'a> {
        Item {
            chunk,
            name,
            key_at: chunk.span(key.span()),
            at: chunk.span(value.span()),
            is_element: false,
            is_inherited: false,
            value: value.get_ref(),
        }
    }

    pub(crate) fn diagnostics(&self) -> &'a Diagnostics<'a> {
        self.chunk.diagnostics
    }

    /// What is wrong with its value, and what to write.
    pub(crate) fn refuse(&self, what: &str, help: impl Into<String>) {
        Diagnostic::error(format!("{} {what}", self.subject()), self.at)
            .help(help)
            .add_to(self.diagnostics());
    }

    /// The value is of another kind than it should be.
    pub(crate) fn wrong_type(&self, expected: &str, help: &str) {
        let kind = self.kind();
        Diagnostic::error(format!("{} must be {expected}", self.subject()), self.at)
            .label(format!("this is {kind}"))
            .help(help)
            .add_to(self.diagnostics());
    }

    fn subject(&self) -> String {
        if self.is_element { format!("an entry of `{}`", self.name) } else { format!("`{}`", self.name) }
    }

    pub(crate) fn hide(&self) {
        self.diagnostics().hide(self.at);
    }

    fn kind(&self) -> &'static str {
        match self.value {
            DeValue::String(_) => "text",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        }
    }

    pub(crate) fn is_empty_list(&self) -> bool {
        self.value.as_array().is_some_and(|elements| elements.is_empty())
    }

    /// Whether it is a number where only text keeps leading zeros and says all that may stand there.
    pub(crate) fn is_unquoted(&self, name: &str) -> bool {
        let integer = self.value.as_integer();
        if let Some(integer) = integer {
            self.wrong_type("text", &format!("put it in quotes: {name} = \"{integer}\""));
        }
        integer.is_some()
    }

    /// An integer or a number with a point.
    pub(crate) fn as_number(&self) -> Option<f64> {
        match self.value {
            DeValue::Integer(integer) => {
                i64::from_str_radix(integer.as_str(), integer.radix()).ok().map(|integer| integer as f64)
            }
            DeValue::Float(float) => float.as_str().parse().ok(),
            _ => None,
        }
    }

    pub(crate) fn text(&self, help: &str) -> Option<&'a str> {
        let text = self.value.as_str();
        if text.is_none() {
            self.wrong_type("text", help);
        }
        text
    }

    pub(crate) fn parse<T>(
        &self,
        help: &str,
        read: impl FnOnce(&'a str) -> Result<T, InvalidValue>,
    ) -> Option<T> {
        match read(self.text(help)?) {
            Ok(value) => Some(value),
            Err(wrong) => {
                self.refuse(&wrong.what, wrong.help);
                None
            }
        }
    }

    /// A whole number from 1 to `most`.
    pub(crate) fn count(&self, most: u32) -> Option<u32> {
        let help = format!("a whole number from 1 to {most}, without quotes");
        if !self.value.is_integer() {
            self.wrong_type("an integer", &help);
            return None;
        }
        let count = self.as_number().filter(|count| (1.0..=f64::from(most)).contains(count));
        if count.is_none() {
            self.refuse("is out of range", help);
        }
        count.map(|count| count as u32)
    }

    /// One word of a short list.
    pub(crate) fn word<T: Copy>(&self, words: &[(&str, T)]) -> Option<T> {
        let list: Vec<String> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
        let list = format!("one of {}", list.join(", "));
        let text = self.text(&list)?;
        let found = words.iter().find(|(word, _)| *word == text);
        if found.is_none() {
            let label = did_you_mean(text, words.iter().map(|(word, _)| *word));
            Diagnostic::error(format!("{} has an unknown value", self.subject()), self.at)
                .label(label)
                .help(list)
                .add_to(self.diagnostics());
        }
        found.map(|(_, value)| *value)
    }

    pub(crate) fn table(&self, keys: &'static Keys) -> Option<Table<'a>> {
        let DeValue::Table(entries) = self.value else {
            self.wrong_type("a table", &format!("write {}", keys.example()));
            return None;
        };
        Some(Table::new(self.chunk, keys, self.at, entries))
    }

    /// The entries of a table whose keys are the operator's.
    pub(crate) fn entries(&self) -> Option<impl Iterator<Item = (&'a str, Item<'a>)> + use<'a>> {
        let entries = self.value.as_table()?;
        let item = *self;
        Some(entries.iter().map(move |(key, value)| {
            (&**key.get_ref(), Item { key_at: item.chunk.span(key.span()), ..item.element(value) })
        }))
    }

    /// The elements of a list.
    pub(crate) fn elements(&self) -> Option<impl ExactSizeIterator<Item = Item<'a>> + use<'a>> {
        let elements = self.value.as_array()?;
        let item = *self;
        Some(elements.iter().map(move |value| item.element(value)))
    }

    /// A list whose elements are read with `read`; one that occurs twice is kept once and gets a warning.
    pub(crate) fn list<T: PartialEq>(
        &self,
        help: &str,
        mut read: impl FnMut(&Item<'a>) -> Option<T>,
    ) -> Vec<T> {
        let Some(elements) = self.elements() else {
            self.wrong_type("a list", help);
            return Vec::new();
        };
        let mut values: Vec<(T, Span)> = Vec::with_capacity(elements.len());
        for element in elements {
            let Some(value) = read(&element) else { continue };
            // Lists are short; only a generated one is longer, and it has no duplicates to warn of.
            let first = values.iter().take(LIST).find(|(known, _)| *known == value);
            if let Some((_, first)) = first {
                Diagnostic::warning(format!("listed twice in `{}`", self.name), element.at)
                    .again_after(*first)
                    .add_to(self.diagnostics());
                continue;
            }
            values.push((value, element.at));
        }
        values.into_iter().map(|(value, _)| value).collect()
    }

    fn element(&self, value: &'a Spanned<DeValue<'a>>) -> Item<'a> {
        Item { at: self.chunk.span(value.span()), is_element: true, value: value.get_ref(), ..*self }
    }
}

/// Longest list whose elements are compared with each other, which takes quadratic time.
const LIST: usize = 64;
