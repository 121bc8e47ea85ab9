//! `[order.reissue]`, and `[reissues]`.

use std::sync::Arc;
use std::time::Duration;

use super::hook::arguments;
use crate::config::parse::diagnostic::{Diagnostic, Span};
use crate::config::parse::reader::{Item, Table};
use crate::config::placeholder::expand;
use crate::config::value::{DURATION_HELP, NAME_HELP, SHORTEST, duration};
use certcollectd_core::api::Product;
use certcollectd_core::config::{CsrSource, Dcv, ReissueBudget, ReissueSettings};

/// The longest `csr_timeout`: a program that needs more waits for somebody.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(3600);

const COMMAND_HELP: &str =
    "the program and its arguments, one by one: csr_command = [\"/usr/local/sbin/new-csr\", \"{name}\"]";

/// What `when` takes.
pub(crate) const WHEN: [&str; 1] = ["manual"];

/// What a re-issue can be made of.
#[derive(Clone, Copy)]
pub(crate) struct Has {
    pub(crate) csr_file: bool,
    pub(crate) key_file: bool,
    /// Among the names that its certificate must cover.
    pub(crate) wildcard: bool,
}

/// `[order.reissue]` over the defaults, and where its hook is named; without `order`, its name, it is
/// `[defaults.reissue]`. `is_own` says whether the order has the table itself: a default need not be of use to every
/// order, and a request can be given with the command.
pub(crate) fn reissue(
    table: &Table<'_>,
    product: Product,
    has: Has,
    is_own: bool,
    order: Option<&str>,
) -> Option<(ReissueSettings, Option<Span>)> {
    when(table);
    let words = [("file", false), ("command", true)];
    let csr = table.get("csr");
    let is_command = csr.and_then(|item| item.word(&words));
    let csr_at = csr.map_or(table.at, |item| item.at);
    let command = table.get("csr_command");
    let argv = command.and_then(|item| {
        arguments(&item, COMMAND_HELP, |text| expand(text, order).map(std::borrow::Cow::into_owned))
    });
    let timeout = table.parse("csr_timeout", DURATION_HELP, |text| duration(text, SHORTEST, LONGEST_TIMEOUT));
    let dcv = table.get("dcv").and_then(|item| item.word(&Dcv::ALL.map(|dcv| (dcv.as_str(), dcv))));
    let hook = hook(table, dcv);
    let refuse = |what: &str, at: Span, help: &str| {
        Diagnostic::error(what, at).help(help).add_to(table.diagnostics());
    };
    match product {
        Product::Ssl => {}
        Product::Mark | Product::Smime if !is_own => return None,
        Product::Mark | Product::Smime => {
            let what = format!("[order.reissue] with product = \"{}\"", product.as_str());
            refuse(&what, table.at, "re-issues under one number are for product = \"ssl\" only");
            return None;
        }
    }
    if csr.is_some() && is_command.is_none() {
        return None;
    }
    if is_command != Some(true) {
        for item in [command, table.get("csr_timeout")].into_iter().flatten() {
            if !item.is_inherited {
                refuse(
                    &format!("`{}` without csr = \"command\"", item.name),
                    item.key_at,
                    "add csr = \"command\", or remove it",
                );
            }
        }
    }
    let csr = match is_command {
        // Its request comes with the command then.
        Some(true) if !has.key_file && !is_own => CsrSource::File,
        Some(true) if !has.key_file => {
            let help =
                "set the order's key_file to where the program keeps the new key, which may be one of a list";
            refuse("csr = \"command\" without `key_file`", csr_at, help);
            return None;
        }
        Some(true) if command.is_none() => {
            refuse("csr = \"command\" without `csr_command`", csr_at, COMMAND_HELP);
            return None;
        }
        Some(true) => CsrSource::Command {
            argv: argv?.into_iter().map(String::into_boxed_str).collect(),
            timeout: timeout.unwrap_or(CsrSource::TIMEOUT),
        },
        Some(false) if !has.csr_file && is_own => {
            let help = "name the order's request there, beside its key_file; or use csr = \"command\"";
            refuse("csr = \"file\" without `csr_file`", csr_at, help);
            return None;
        }
        Some(false) | None => CsrSource::File,
    };
    if let Some(item) =
        table.get("dcv").filter(|_| has.wildcard && matches!(dcv, Some(Dcv::Http | Dcv::Https)))
    {
        Diagnostic::warning("`dcv` is a file, and a wildcard cannot be proven by one", item.at)
            .help("use dcv = \"cname\" for orders with a wildcard")
            .add_to(table.diagnostics());
    }
    let (hook, hook_at) = hook.unzip();
    Some((ReissueSettings { csr, dcv, dcv_hook: hook }, hook_at))
}

/// The one word that there is so far.
fn when(table: &Table<'_>) {
    let Some(item) = table.get("when") else { return };
    match item.value.as_str() {
        Some("calendar") => item.refuse(
            "is \"calendar\", which does not exist yet",
            "use \"manual\": a re-issue is asked for by `certcollectd reissue`",
        ),
        _ => _ = item.word(&WHEN.map(|word| (word, ()))),
    }
}

/// The hook, where something is published.
fn hook(table: &Table<'_>, dcv: Option<Dcv>) -> Option<(Arc<str>, Span)> {
    let item: Item<'_> = table.get("dcv_hook")?;
    let name = item.text(NAME_HELP)?;
    let without = match (dcv, table.get("dcv")) {
        (Some(Dcv::Cname | Dcv::Http | Dcv::Https), _) => return Some((name.into(), item.at)),
        // What is wrong with it was said.
        (None, Some(_)) => return None,
        (Some(Dcv::Reuse), _) => ("`dcv_hook` with dcv = \"reuse\"", "nothing is published then; remove it"),
        (None, None) => (
            "`dcv_hook` without `dcv`",
            "add dcv = \"cname\", \"http\" or \"https\", which the hook publishes",
        ),
    };
    if !item.is_inherited {
        Diagnostic::error(without.0, item.key_at).help(without.1).add_to(table.diagnostics());
    }
    None
}

pub(crate) fn reissues(table: &Table<'_>) -> ReissueBudget {
    let per_day = table.get("per_day").and_then(|item| item.count(ReissueBudget::MOST));
    per_day.map_or_else(ReissueBudget::default, |per_day| ReissueBudget { per_day })
}
