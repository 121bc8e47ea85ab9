//! How a password that should not be in the file stays out of every message.
//!
//! Once a chunk of text was parsed, the values to hide are known by their place. Where it could not be parsed,
//! they are found line by line, and too much is hidden rather than too little.

use std::ops::Range;

use crate::config::address::has_user_info;
use crate::config::keys::{self, TABLES};
use crate::config::value::near;
use certcollectd_core::config::name::domain;

/// The keys behind which a password could stand by mistake.
const PASSWORDS: [&str; 2] = ["password", "proxy_password"];

/// Words after which a secret may follow.
const SUSPECTS: [&str; 5] = ["pass", "secret", "token", "pwd", "pw"];

/// Whether the value of a key may be shown. `meant` is the known key that it is, or is near to.
pub(crate) fn is_harmless(name: &str, meant: Option<&str>) -> bool {
    let lower = name.to_ascii_lowercase();
    meant.is_some_and(|meant| !PASSWORDS.contains(&meant))
        && !SUSPECTS.iter().any(|word| lower.contains(word))
}

/// The parts of a damaged chunk of text that may be secrets: all that does not clearly belong to a harmless key.
pub(crate) fn suspects(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut state = State::Plain;
    // What follows a hidden line may be the rest of it.
    let mut is_near = false;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let content = line.trim_end();
        let indent = content.len() - content.trim_start().len();
        if content.len() == indent {
            is_near = false;
            continue;
        }
        let was_near = std::mem::replace(&mut is_near, true);
        let from = match state {
            State::Inside(quotes) => {
                if content.contains(quotes) {
                    state = State::Plain;
                }
                found.push(start + indent..start + content.len());
                continue;
            }
            State::Awaited => Some(indent),
            State::Plain | State::List => suspicious(content, matches!(state, State::List))
                .filter(|_| was_near || !is_no_secret(content)),
        };
        let value = content[from.unwrap_or(0)..].trim_start();
        let Some(_) = from else {
            is_near = false;
            state = match state {
                State::List if !value.contains(['=', ']']) => State::List,
                _ if value.split_once('=').is_some_and(|(_, list)| is_open(list)) => State::List,
                _ => State::Plain,
            };
            continue;
        };
        found.push(start + content.len() - value.len()..start + content.len());
        let quotes = ["\"\"\"", "'''"].into_iter().find(|quotes| value.starts_with(quotes));
        state = match quotes {
            _ if value.is_empty() => State::Awaited,
            Some(quotes) if !value[quotes.len()..].contains(quotes) => State::Inside(quotes),
            _ => State::Plain,
        };
    }
    found
}

#[derive(Clone, Copy)]
enum State {
    Plain,
    /// In a list of several lines under a harmless key.
    List,
    /// The value of a suspicious key is expected on the next line.
    Awaited,
    /// In a string of several lines under a suspicious key; it ends with these quotes.
    Inside(&'static str),
}

fn is_open(value: &str) -> bool {
    value.trim_start().starts_with('[') && !value.contains(']')
}

/// Where in a line the part begins that must not be shown.
fn suspicious(line: &str, is_in_list: bool) -> Option<usize> {
    let lower = line.to_ascii_lowercase();
    if let Some(word) = SUSPECTS.iter().filter_map(|word| Some(lower.find(word)? + word.len())).min() {
        // Without `=`, whatever is left of the key may be a part of the secret.
        let indent = line.len() - line.trim_start().len();
        let value = line[word..].find('=').map_or(indent, |found| word + found + 1);
        return (!is_reference(&line[value..])).then_some(value);
    }
    if let Some(address) = line.find("://").filter(|found| has_user_info(&line[*found..])) {
        return Some(address);
    }
    let content = line.trim_start();
    let equals = line.find('=');
    if equals.is_none() && (is_in_list || content.starts_with(['#', '[', ']', '}'])) {
        return None;
    }
    // `spread 0.1`: the sign is missing, the key is there.
    let key = match equals {
        Some(equals) => {
            line[..equals].rsplit('.').next().unwrap_or_default().trim().trim_matches(['"', '\''])
        }
        None => content.split([' ', '\t', ':']).next().unwrap_or_default(),
    };
    let known = if TABLES.iter().any(|keys| keys.has(key)) {
        Some(key)
    } else {
        near(key, TABLES.iter().flat_map(|keys| keys.names()))
    };
    let begin = equals.map_or(line.len() - content.len(), |equals| equals + 1);
    (!is_harmless(key, known)).then_some(begin)
}

/// A stray line that says what it is: words, domains, paths and marks, as YAML or prose has them, and no word after which
/// a secret may follow. What has capitals, digits or signs in one word may be a password.
fn is_no_secret(line: &str) -> bool {
    let lower = line.to_ascii_lowercase();
    if SUSPECTS.iter().any(|word| lower.contains(word)) || line.contains('=') {
        return false;
    }
    let mut words =
        line.split_whitespace().filter(|word| !word.bytes().all(|byte| byte.is_ascii_punctuation()));
    let has_value = words.clone().nth(1).is_some();
    match words.clone().next().and_then(|word| word.strip_suffix(':')) {
        // A key of YAML. What stands behind one that we have is shown, as it would be in our own form.
        Some(key) if TABLES.iter().any(|keys| keys.has(key)) => true,
        Some(_) if has_value => false,
        _ => words.all(|word| is_plain_word(word.trim_end_matches([':', ',', '.']))),
    }
}

fn is_plain_word(word: &str) -> bool {
    let is_word = word.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'-'));
    let is_path = word.starts_with('/') && word[1..].contains('/');
    is_word || is_path || (word.contains('.') && domain(word).is_ok())
}

/// `{ file = "/…`: says where the secret is, and is not the secret.
fn is_reference(value: &str) -> bool {
    let Some(inner) = value.trim_start().strip_prefix('{') else { return false };
    keys::PASSWORD.names().any(|form| {
        let place =
            inner.trim_start().strip_prefix(form).and_then(|rest| rest.trim_start().strip_prefix('='));
        place.is_some_and(|place| {
            form != "file" || place.trim_start().trim_start_matches(['"', '\'']).starts_with('/')
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, hidden: &[&str]) {
        let found: Vec<&str> = suspects(text).into_iter().map(|range| text[range].trim()).collect();
        assert_eq!(found, hidden, "{text:?}");
    }

    #[test]
    fn known_keys_are_shown() {
        check("name = \"a\n[[order]]\n# a comment\nhooks = [\"a\"\nintervall = 3h\n", &[]);
        check("password = { file = \"/run/secrets/sectigo }\n", &[]);
        check("hooks = [\n\"a\"\n\"b\"]\nspread 0.1\nspread: 0.1\n", &[]);
    }

    #[test]
    fn what_may_be_a_secret_is_hidden() {
        check("password = hunter2\n", &["hunter2"]);
        check("  \"password\" = \"hunter2\n", &["\"hunter2"]);
        check("account.password = 'hunter2\n", &["'hunter2"]);
        check("password \"hunter2\"\n", &["password \"hunter2\""]);
        check("password: hunter2\n", &["password: hunter2"]);
        check("passwrod = hunter2\n", &["hunter2"]);
        check("Login-Passwd = hunter2\n", &["hunter2"]);
        check("pAssword = hunter2\npxssword = hunter2\n", &["hunter2", "hunter2"]);
        check("proxy = \"http://u:hunter2@h\n", &["://u:hunter2@h"]);
        check("phrase = hunter2\nhunter2\n\"hunter2\"\n", &["hunter2", "hunter2", "\"hunter2\""]);
        check("account = [{ name = \"a\", password = \"hunter2\" }\n", &["\"hunter2\" }"]);
        check("password = { value = \"hunter2 }\n", &["{ value = \"hunter2 }"]);
    }

    #[test]
    fn stray_lines_that_are_no_secrets_are_shown() {
        check(
            "accounts:\n  - name: main\n    login_name: Tester1\n    password:\n      file: /run/x\n",
            &["password:"],
        );
        check("---\norders:\n- name: www\n  domains:\n  - www.example.com\n", &[]);
        check("todo\nthis is a note.\n/etc/ssl/www.key\n", &[]);
        // What could be one is not.
        check("Hunter2\n", &["Hunter2"]);
        check("hunter2\n", &["hunter2"]);
        check("p4ss!word\n\nsecret: hunter\n", &["p4ss!word", "secret: hunter"]);
        check("phrase = hunter\nhunter\n", &["hunter", "hunter"]);
        check("phrase: hunter\n", &["phrase: hunter"]);
    }

    #[test]
    fn secrets_of_several_lines_are_hidden() {
        check("password =\n\"hunter2\"\nname = \"a\"\n", &["", "\"hunter2\""]);
        check("password =  \n\n   hunter2\n", &["", "hunter2"]);
        check("password = '''\n'''\nhunter2\n", &["'''", "'''", "hunter2"]);
        check("password = \"\"\"\nhunter=2\n", &["\"\"\"", "hunter=2"]);
        check("password = '''\nhunter=2\n'''\nname = a\n", &["'''", "hunter=2", "'''"]);
    }
}
