//! `params`: what is sent along when a certificate is asked for, by the names of the vendor's pages.

use crate::config::parse::diagnostic::Diagnostic;
use crate::config::parse::reader::{Item, Table};
use crate::config::value::{InvalidValue, refuse, refuse_if};
use certcollectd_core::api::{Request, Untrusted};
use certcollectd_core::config::Params;

/// Maximum number of parameters in one table: enough for every one on a page of the vendor's.
const MOST: usize = 16;
/// Characters of a name.
const NAME: usize = 64;
/// Characters of a value; the longest that a page allows for what is no request and no number of an order.
const VALUE: usize = 256;

const HELP: &str = "a parameter from the vendor's documentation and its value in quotes, such as \
     params = { behaviourVersion = \"1\" }";

/// `params = { name = "value" }`, and what `[defaults]` has under other names.
pub(crate) fn params(table: &Table<'_>) -> Params {
    let mut params = table.own("params").map(|item| read(&item)).unwrap_or_default();
    for (name, value) in table.inherited("params").map(|item| read(&item)).unwrap_or_default() {
        if !params.iter().any(|(known, _)| known.eq_ignore_ascii_case(&name)) {
            params.push((name, value));
        }
    }
    params.into()
}

fn read(item: &Item<'_>) -> Vec<(Box<str>, Box<str>)> {
    let Some(entries) = item.entries() else {
        item.wrong_type("a table", HELP);
        return Vec::new();
    };
    let mut found: Vec<(Box<str>, Box<str>)> = Vec::new();
    for (name, entry) in entries {
        if found.len() == MOST {
            item.refuse(&format!("has more than {MOST} entries"), "remove what is not needed");
            break;
        }
        let same = |(known, _): &(Box<str>, Box<str>)| known.eq_ignore_ascii_case(name);
        let help = "the vendor does not distinguish upper and lower case";
        let named = refuse_if(found.iter().any(same), "is given twice", help).and_then(|()| check_name(name));
        if let Err(wrong) = named {
            let what = format!("`{}` in `params` {}", Untrusted::new(name), wrong.what);
            Diagnostic::error(what, entry.key_at).help(wrong.help).add_to(entry.diagnostics());
            continue;
        }
        if entry.is_unquoted(name) {
            continue;
        }
        if let Some(value) = entry.parse(HELP, value) {
            found.push((name.into(), value.into()));
        }
    }
    found
}

fn check_name(name: &str) -> Result<(), InvalidValue> {
    let is_ours = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let well = (1..=NAME).contains(&name.len()) && name.bytes().all(is_ours);
    if !well {
        let help = format!("1 to {NAME} of the characters A-Z a-z 0-9 _ - .");
        return refuse("is not a parameter name", help);
    }
    let help = "remove it; what can be configured has its own key, such as order_number or response";
    refuse_if(Request::is_own(name), "is sent by certcollectd itself", help)
}

fn value(text: &str) -> Result<&str, InvalidValue> {
    if text.chars().count() > VALUE {
        return refuse(format!("has more than {VALUE} characters"), HELP);
    }
    refuse_if(text.chars().any(char::is_control), "holds a control character", HELP)?;
    Ok(text)
}
