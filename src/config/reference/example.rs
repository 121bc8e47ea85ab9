//! What the example file says about each key.
//!
//! ```text
//! # What the table is for.
//! #   one, other: what a key of a table within one line is for, or of the table below
//! [table]
//! # What the key is for; the lines below, up to the next comment, share it.
//! #key = "its default"
//! # key = "an example, where there is no default"
//! ```

use crate::config::keys::{Key, Keys, TABLES};

/// The example file, taken apart.
pub(super) struct Example {
    /// What holds for the file as a whole: its comment before the first blank line, and the one after it.
    pub(super) head: String,
    sections: Vec<Section>,
}

/// One table of the file.
struct Section {
    title: String,
    about: String,
    entries: Vec<Entry>,
    /// What stands above the table about its keys.
    above: Vec<(String, String)>,
}

struct Entry {
    key: &'static str,
    about: String,
    /// As TOML.
    default: Option<&'static str>,
}

impl Section {
    fn new(title: impl Into<String>, about: String, above: Vec<(String, String)>) -> Section {
        Section { title: title.into(), about, entries: Vec::new(), above }
    }

    fn about(&self, key: &str) -> Option<&str> {
        let above = self.above.iter().find(|(name, _)| name == key).map(|(_, about)| about);
        let beside = self.entries.iter().filter(|entry| entry.key == key).map(|entry| &entry.about);
        above.into_iter().chain(beside).find(|about| !about.is_empty()).map(String::as_str)
    }

    fn has(&self, key: &str) -> bool {
        self.above.iter().any(|(name, _)| name == key) || self.entries.iter().any(|entry| entry.key == key)
    }

    fn default(&self, key: &str) -> Option<&'static str> {
        self.entries.iter().filter(|entry| entry.key == key).find_map(|entry| entry.default)
    }
}

impl Example {
    pub(super) fn read(text: &'static str) -> Example {
        let mut head = String::new();
        let mut sections = vec![Section::new(TABLES[0].title, String::new(), Vec::new())];
        let mut about = String::new();
        let mut above: Vec<(String, String)> = Vec::new();
        let mut is_new = true;
        for line in text.lines() {
            let last = sections.last_mut().expect("the top of the file");
            let bare = line.trim_start_matches('#').trim_start();
            if line.is_empty() {
                if last.entries.is_empty() && sections.len() == 1 {
                    join(&mut head, &about);
                }
                about.clear();
                is_new = true;
            } else if line.starts_with("#:") || line.starts_with("#   #") {
                // The editor's line, and what this notation means.
            } else if let Some((names, words)) =
                line.strip_prefix("#   ").and_then(|line| line.split_once(": "))
            {
                above.extend(names.split(", ").map(|name| (name.to_owned(), words.to_owned())));
            } else if bare.starts_with('[') && bare.ends_with(']') {
                let (about, above) = (std::mem::take(&mut about), std::mem::take(&mut above));
                sections.push(Section::new(bare, about, above));
                is_new = true;
            } else if let Some((key, value)) = setting(line) {
                let shared = last.entries.last().filter(|_| !is_new && about.is_empty());
                let shared = shared.map(|entry| entry.about.clone()).unwrap_or_default();
                let about =
                    Some(std::mem::take(&mut about)).filter(|about| !about.is_empty()).unwrap_or(shared);
                let default = line.starts_with(&format!("#{key}")).then_some(value);
                last.entries.push(Entry { key, about, default });
                is_new = false;
                if !above.is_empty() {
                    let inner = Section::new(within_a_line(key), String::new(), std::mem::take(&mut above));
                    let at = sections.len() - 1;
                    sections.insert(at, inner);
                }
            } else {
                join(&mut about, bare);
            }
        }
        Example { head, sections }
    }

    /// What the table is for.
    pub(super) fn about_table(&self, keys: &Keys) -> &str {
        self.section(keys.title).map_or("", |section| &section.about)
    }

    /// What a key is for.
    ///
    /// # Panics
    ///
    /// If the example file does not say it.
    pub(super) fn about(&self, keys: &Keys, key: &Key) -> &str {
        self.look(keys, key, |section| section.about(key.name)).unwrap_or_else(|| {
            panic!("config/certcollectd.toml does not say what `{}` of {} is for", key.name, keys.title)
        })
    }

    /// Its default as TOML, where it has one of its own.
    pub(super) fn default(&self, keys: &Keys, key: &Key) -> Option<&'static str> {
        self.look(keys, key, |section| section.has(key.name).then(|| section.default(key.name))).flatten()
    }

    /// In the section of the table, else in that of another table that has this very key.
    fn look<'a, T>(&'a self, keys: &Keys, key: &Key, find: impl Fn(&'a Section) -> Option<T>) -> Option<T> {
        let others = TABLES.into_iter().filter(|other| other.keys.contains(key));
        let titles = std::iter::once(keys.title).chain(others.map(|other| other.title));
        titles.filter_map(|title| self.section(title)).find_map(find)
    }

    fn section(&self, title: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.title == title)
    }
}

/// As [`Keys::title`] names a table that is written within one line.
fn within_a_line(key: &str) -> String {
    format!("{key} = {{ … }}")
}

/// The key and the value of a line that sets one, or would without its sign of a comment.
fn setting(line: &str) -> Option<(&str, &str)> {
    let line = line.strip_prefix("# ").or_else(|| line.strip_prefix('#')).unwrap_or(line);
    let (key, value) = line.split_once(" = ")?;
    let is_key = key.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    is_key.then_some((key, value))
}

fn join(text: &mut String, more: &str) {
    if !text.is_empty() && !more.is_empty() {
        text.push(' ');
    }
    text.push_str(more);
}
