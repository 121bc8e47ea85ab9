//! What an order writes and what must hold before: `[order.files]`, `[order.verify]`, `[[order.copy]]`.

use std::path::PathBuf;

use crate::config::parse::diagnostic::{Diagnostic, Span};
use crate::config::parse::reader::{Item, Table};
use crate::config::placeholder::{expand, order_path};
use crate::config::value::{MODE_HELP, file_name, mode, principal};
use certcollectd_core::api::Product;
use certcollectd_core::config::{FileCopy, FileKind, Files, Policy, Severity};

const PRINCIPAL_HELP: &str = "a name or a number in quotes, such as \"root\" or \"33\"";

const KEY_HELP: &str = "set its key_file; with a csr_file, or without either, the key is not on this machine";

/// Says that an order without a `key_file` wants a file with the key in it, where it can be changed; `without` is how
/// it does without what it inherits.
fn note_keyless(item: &Item<'_>, order: &Table<'_>, is_inherited: bool, without: &str) {
    if !is_inherited {
        return item.refuse("needs the order's private key", KEY_HELP);
    }
    Diagnostic::error(format!("an inherited `{}` needs the order's private key", item.name), order.at)
        .also(item.at, "inherited from here")
        .help(format!("set its key_file; if its key is not on this machine: {without}"))
        .add_to(order.diagnostics());
}

/// `[order.files]` over the defaults. `has_key` says whether the order names a `key_file`; without `order`, its
/// name, it is `[defaults.files]`.
pub(crate) fn files(table: &Table<'_>, has_key: bool, order: Option<&str>) -> Files {
    let mut files = Files::default();
    let mut written: Vec<(FileKind, Item<'_>)> = Vec::new();
    for kind in FileKind::ALL {
        let Some(item) = table.get(kind.as_str()) else { continue };
        let Some(name) = wanted(&item, order) else { continue };
        if name.is_some() && kind.holds_key() && !has_key {
            note_keyless(&item, table, item.is_inherited, &format!("{} = false in [order.files]", item.name));
        }
        files = files.with(kind, name.as_deref());
        written.push((kind, item));
    }
    let age = |item: &Item<'_>| (!item.is_inherited, item.at.start);
    for (kind, item) in &written {
        let Some(name) = files.name(*kind) else { continue };
        let mut others = FileKind::ALL.into_iter().filter(|other| other != kind);
        let Some(other) = others.find(|other| files.name(*other) == Some(name)) else { continue };
        let problem = Diagnostic::error(format!("two files of one order with the name {name:?}"), item.at);
        match written.iter().find(|(kind, _)| *kind == other) {
            // Said once, at the later of the two.
            Some((_, first)) if age(first) > age(item) => {}
            Some((_, first)) => table.diagnostics().add(problem.also(first.at, "the other one")),
            None => table.diagnostics().add(problem.help(format!(
                "it is the default of `{}`, set that to false to switch it off",
                other.as_str()
            ))),
        }
    }
    // An order may want what [defaults] does not.
    if order.is_some() && FileKind::ALL.into_iter().all(|kind| files.name(kind).is_none()) {
        let own = written.iter().find(|(_, item)| !item.is_inherited);
        let at = own.map_or(table.at, |(_, item)| item.at);
        Diagnostic::error("all files of the order are switched off", at)
            .help("keep at least one; it shows which certificate is installed")
            .add_to(table.diagnostics());
    }
    files.owner = owner(table, "owner");
    files.group = owner(table, "group");
    files.mode = table.parse("mode", MODE_HELP, mode).unwrap_or(Files::MODE);
    files
}

/// A name, `None` for `false`, nothing where it is wrong.
fn wanted(item: &Item<'_>, order: Option<&str>) -> Option<Option<String>> {
    let help = "a file name in quotes, or false for no such file";
    match item.value.as_bool() {
        Some(false) => Some(None),
        Some(true) => {
            item.refuse("does not say which name", help);
            None
        }
        None => item.parse(help, |text| {
            let name = expand(text, order)?;
            file_name(&name).map(|()| Some(name.into_owned()))
        }),
    }
}

fn owner(table: &Table<'_>, name: &'static str) -> Option<String> {
    let item = table.get(name)?;
    if item.is_unquoted(name) {
        return None;
    }
    item.parse(PRINCIPAL_HELP, |text| principal(text).map(|()| text.to_owned()))
}

/// `[order.verify]` over what holds without it, and `trust_anchors`.
pub(crate) fn verify(
    table: &Table<'_>,
    standard: Policy,
    product: Product,
    has_key: bool,
    has_domains: bool,
    order: Option<&str>,
) -> (Policy, Option<PathBuf>) {
    let words = Severity::ALL.map(|severity| (severity.as_str(), severity));
    let severity = |name, default| {
        let item = table.get(name);
        (item.as_ref().and_then(|item| item.word(&words)).unwrap_or(default), item)
    };
    let (key, key_item) = severity("key", standard.key);
    let (domains, domains_item) = severity("domains", standard.domains);
    let (trust, trust_item) = severity("trust", standard.trust);
    let anchors = table.get("trust_anchors");
    let idle = |item: Option<Item<'_>>, is_idle: bool, what: &str, help: &str| {
        // A default need not be of use to every order.
        if let Some(item) = item.filter(|item| is_idle && !item.is_inherited) {
            Diagnostic::warning(what, item.key_at).help(help).add_to(table.diagnostics());
        }
    };
    idle(
        key_item,
        !has_key && key != Severity::Off,
        "there is no key to verify against",
        "set the order's key_file or csr_file",
    );
    idle(
        domains_item,
        !has_domains && domains != Severity::Off,
        "there are no domains to verify",
        "list the names that the certificate must cover in the order's domains",
    );
    idle(
        anchors,
        trust == Severity::Off,
        "`trust_anchors` is not used",
        match (trust_item.is_some(), product) {
            (false, Product::Mark) => "for mark certificates trust is off unless set; add trust = \"warn\"",
            _ => "trust is \"off\"",
        },
    );
    let policy = Policy {
        key,
        domains,
        coverage: severity("coverage", standard.coverage).0,
        chain: severity("chain", standard.chain).0,
        dates: severity("dates", standard.dates).0,
        downgrade: severity("downgrade", standard.downgrade).0,
        trust,
    };
    (policy, anchors.and_then(|item| item.parse("the path of a PEM file", |text| order_path(text, order))))
}

/// `[[order.copy]]` of an order, or of `[defaults]` where it has no name; and where its path stands.
pub(crate) fn copy(
    table: &Table<'_>,
    order: &Table<'_>,
    has_key: bool,
    name: Option<&str>,
) -> Option<(FileCopy, Span)> {
    let from = table.need("from", "which content, such as from = \"fullchain\"");
    let to = table.need("to", "an absolute path, such as to = \"/etc/haproxy/site.pem\"");
    let kind = from.and_then(|item| item.word(&FileKind::ALL.map(|kind| (kind.as_str(), kind))));
    let path: Option<PathBuf> =
        to.and_then(|item| item.parse("an absolute path in quotes", |text| order_path(text, name)));
    let bits = table.parse("mode", MODE_HELP, mode);
    let (owner, group) = (owner(table, "owner"), owner(table, "group"));
    let (kind, from) = (kind?, from?);
    if kind.holds_key() && !has_key {
        note_keyless(&from, order, order.own("copy").is_none(), "copy = [] in [[order]]");
    }
    if let Some(item) = table.get("mode").filter(|_| kind.holds_key())
        && bits.is_some_and(|bits| bits & !Files::COMBINED_MODE != 0)
    {
        let help = format!("at most \"{:04o}\" for a file with the key in it", Files::COMBINED_MODE);
        item.refuse("is too permissive for a private key", help);
    }
    let copy = FileCopy { from: kind, to: path?, owner, group, mode: bits };
    Some((copy, to?.at))
}
