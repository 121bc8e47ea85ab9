//! Answers of the vendor in words.

use crate::api::Reply;
use crate::api::code::Row;

/// What is done while an answer is read.
pub(crate) const READING: &str = "reading the vendor's answer";

pub(crate) fn internal_error(doing: &str) -> String {
    format!("internal error while {doing}; please report it")
}

/// What a reply means, with its own code and words.
pub(crate) fn described(row: Row, reply: &Reply) -> String {
    format!("{} ({})", row.means, said(reply))
}

/// What to do about a code, behind a sentence.
pub(crate) fn advice(row: Row) -> String {
    if row.advice.is_empty() { String::new() } else { format!("; {}", row.advice) }
}

/// Code and words of a reply, quoted.
pub(crate) fn said(reply: &Reply) -> String {
    match &reply.message {
        Some(message) => format!("code {}: \"{message}\"", reply.code),
        None => format!("code {}", reply.code),
    }
}

pub(crate) fn refusal(what: &str, row: Row, reply: &Reply) -> String {
    format!("{what}: {}{}", described(row, reply), advice(row))
}
