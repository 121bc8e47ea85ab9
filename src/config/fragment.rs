//! One file that `include` names, or will name: checked beside the others, or alone.

use std::collections::HashSet;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::draft::Draft;
use super::file::{Level, Source, Unread, read_all};
use super::locate::Key;
use super::parse::diagnostic::DiagnosticList;
use super::parse::syntax;
use super::value::shown;
use certcollectd_core::config::Config;

/// What a fragment says, and what it does to the rest.
pub struct Fragment {
    /// The other files and the fragment: what problems and findings point at.
    pub sources: Vec<Source>,
    /// What is wrong with it, and what is wrong elsewhere because of it.
    pub problems: DiagnosticList,
    /// The configuration with no other orders than the fragment's. Nothing where a file has errors.
    pub config: Option<Config>,
    /// How many errors the other files have without it.
    pub other_errors: usize,
    /// The accounts and hooks that it names and that no file which can be read has: `account "main"`.
    pub unknown: Vec<String>,
    entries: HashSet<(&'static str, String)>,
}

impl Fragment {
    /// Whether something of the configuration is written in the fragment, or is inherited by an order of it.
    pub fn holds(&self, key: &Key) -> bool {
        key.entry().is_some_and(|(kind, name)| self.entries.contains(&(kind, name.to_owned())))
    }

    /// How many of `account`, `order` or `hook` it has.
    pub fn count(&self, kind: &str) -> usize {
        self.entries.iter().filter(|(its, _)| *its == kind).count()
    }
}

/// Checks a fragment beside the other files, of which the main one comes first, or in place of one of them.
pub fn beside(others: Vec<Source>, unread: &[Unread], fragment: Source, place: Option<usize>) -> Fragment {
    let place = place.unwrap_or(others.len());
    let before = read_all(&others, unread).1;
    let other_errors = before.errors_but_in(place);
    if other_errors >= DiagnosticList::SHOWN {
        // No more are kept, so those of the fragment would be lost among them.
        return Fragment { other_errors, ..alone(&others[0].path.clone(), fragment) };
    }
    let mut sources = others;
    match sources.get_mut(place) {
        Some(source) => *source = fragment,
        None => sources.push(fragment),
    }
    let (draft, after) = read_all(&sources, unread);
    let is_sound = !after.is_error();
    let problems = after.only(|problem| problem.at.source == place || !before.has(problem));
    let is_here = |source: u32| source as usize == place;
    let orders = draft.orders.list.iter().zip(&draft.orders.origins);
    let is_its_order: Vec<bool> = orders.clone().map(|(_, origin)| is_here(origin.name.source)).collect();
    let orders = orders.filter(|(_, origin)| is_here(origin.name.source));
    let entry = |kind| move |name: &str| (kind, name.to_owned());
    let accounts = draft.accounts.iter().filter(|account| is_here(account.name_at.source));
    let hooks = draft.hooks.iter().filter(|hook| is_here(hook.name_at.source));
    let entries = (orders.map(|(order, _)| &*order.name).map(entry("order")))
        .chain(accounts.map(|account| &*account.name).map(entry("account")))
        .chain(hooks.map(|hook| &*hook.name).map(entry("hook")))
        .collect();
    let unknown = unknown(&draft, &is_its_order);
    let config = is_sound.then(|| {
        let mut config = draft.settle();
        let mut is_its_order = is_its_order.into_iter();
        config.orders.retain(|_| is_its_order.next() == Some(true));
        config
    });
    Fragment { problems, config, other_errors, unknown, entries, sources }
}

/// Checks a fragment without a main file, which would be at `main`: what it names may be right.
pub fn alone(main: &Path, fragment: Source) -> Fragment {
    let none = Source { path: main.to_owned(), text: String::new() };
    let unread = Unread { include: 0, level: Level::Error, message: "not there".into(), help: String::new() };
    Fragment { config: None, other_errors: 0, ..beside(vec![none], &[unread], fragment, None) }
}

fn unknown(draft: &Draft, is_its_order: &[bool]) -> Vec<String> {
    let orders = &draft.orders;
    let mut unknown = Vec::new();
    let its = orders.list.iter().zip(&orders.origins).zip(is_its_order).filter(|(_, is_its)| **is_its);
    for ((order, origin), _) in its {
        let is_known = draft.accounts.iter().any(|account| account.name == order.account);
        if origin.account.is_some() && !is_known {
            unknown.push(format!("account {}", shown(&order.account)));
        }
        let hooks = order.settings.hooks.iter();
        let missing = hooks.filter(|name| !draft.hooks.iter().any(|hook| hook.name == **name));
        unknown.extend(missing.map(|name| format!("hook {}", shown(name))));
    }
    unknown.sort_unstable();
    unknown.dedup();
    unknown
}

/// Which of the included files a fragment is a new version of: the one that has most of its names and numbers, if
/// one has any. The main file, the first, is none of them.
pub fn replaced(sources: &[Source], fragment: &Source) -> Option<usize> {
    let its = identities(&fragment.text);
    let shared = |source: &Source| identities(&source.text).intersection(&its).count();
    let counted = sources.iter().enumerate().skip(1).map(|(index, source)| (shared(source), index));
    // Of equals the first.
    counted.filter(|(count, _)| *count > 0).rev().max_by_key(|(count, _)| *count).map(|(_, index)| index)
}

/// The names and numbers of what a file describes, as far as it can be read.
fn identities(text: &str) -> HashSet<(&'static str, &'static str, String)> {
    let mut found = HashSet::new();
    for chunk in syntax::chunks(text).into_iter().filter(|chunk| chunk.len() <= syntax::LONGEST_CHUNK) {
        let (tree, _) = DeTable::parse_recoverable(&text[chunk]);
        for kind in Key::KINDS {
            let Some(DeValue::Array(tables)) = tree.get_ref().get(kind).map(Spanned::get_ref) else {
                continue;
            };
            for table in tables.iter().filter_map(|table| table.get_ref().as_table()) {
                for key in ["name", "order_number", "certificate_id", "base_order_number"] {
                    let value = table.get(key).and_then(|value| value.get_ref().as_str());
                    found.extend(value.map(|value| (kind, key, value.to_owned())));
                }
            }
        }
    }
    found
}
