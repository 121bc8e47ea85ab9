//! The JSON schema: draft 7, the newest that editors of TOML know.
//!
//! It refuses nothing that the reader takes. What depends on other keys is left to `certcollectd check`.

use serde_json::{Map, Value, json};

use super::example::Example;
use crate::config::keys::{Key, Keys, ORDER, PASSWORD, TABLES};
use crate::config::kind::Kind;
use crate::config::value::{LEAST_PORTION, MOST_SPREAD};
use certcollectd_core::config::HookSignal;
use certcollectd_core::config::name::NAME_CHARS;

pub(super) fn schema(example: &Example) -> Value {
    let mut schema = table(example, TABLES[0]);
    schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    schema["title"] = json!("certcollectd");
    schema["description"] = json!("The configuration of certcollectd, and each file that it includes");
    schema
}

fn table(example: &Example, keys: &Keys) -> Value {
    let property = |key: &Key| {
        let mut schema = kind(example, &key.kind);
        schema["description"] = json!(about(example, keys, key));
        if let Some(default) = example.default(keys, key) {
            schema["default"] = value(default);
        }
        (key.name.to_owned(), schema)
    };
    let properties: Map<String, Value> = keys.keys.iter().map(property).collect();
    let needed: Vec<&str> = keys.keys.iter().filter(|key| key.is_needed).map(|key| key.name).collect();
    let mut schema = json!({ "type": "object", "properties": properties, "additionalProperties": false });
    if !needed.is_empty() {
        schema["required"] = json!(needed);
    }
    let mut one_of: Vec<Value> =
        keys.one_of().into_iter().map(|name| json!({ "required": [name] })).collect();
    if *keys == ORDER {
        // A follower's has none.
        one_of.push(json!({ "not": { "anyOf": one_of } }));
    }
    if !one_of.is_empty() {
        schema["oneOf"] = json!(one_of);
    }
    schema
}

/// Of a key whose table has a header of its own, what the table is for.
fn about<'a>(example: &'a Example, keys: &Keys, key: &Key) -> &'a str {
    let table = key.kind.table().map(|inner| example.about_table(inner)).filter(|about| !about.is_empty());
    table.unwrap_or_else(|| example.about(keys, key))
}

fn kind(example: &Example, of: &Kind) -> Value {
    let text = |pattern: &str| json!({ "type": "string", "pattern": pattern });
    match of {
        Kind::Text => json!({ "type": "string" }),
        Kind::Name => text(&format!("^[a-z0-9_-][a-z0-9._-]{{0,{}}}$", NAME_CHARS - 1)),
        Kind::Digits => text("^[0-9]+$"),
        Kind::Path => text("^/"),
        Kind::FileName => json!({ "anyOf": [text("^[^/]+$"), { "const": false }] }),
        Kind::Duration => text(DURATION),
        Kind::DurationOrOff => json!({ "anyOf": [text(DURATION), { "const": "off" }] }),
        Kind::Clock => text("^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$"),
        Kind::Mode => text("^0{0,3}[0-7]{0,2}[0145]$"),
        Kind::Principal => text(r"^[A-Za-z0-9_.@\\$+][A-Za-z0-9_.@\\$+-]*$"),
        Kind::Url => text("^[A-Za-z0-9+]+://[^ ]+$"),
        Kind::Listen => text(r"^([0-9.]+|\[[0-9A-Fa-f:.%]+\]):[0-9]{1,5}$"),
        Kind::Variable => text("^[A-Za-z_][A-Za-z0-9_]*$"),
        Kind::Share => json!({ "type": "number", "minimum": 0, "maximum": MOST_SPREAD }),
        Kind::Portion => json!({ "type": "number", "minimum": LEAST_PORTION, "maximum": 1 }),
        Kind::Count(most) => json!({ "type": "integer", "minimum": 1, "maximum": most }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Word(words) => json!({ "type": "string", "enum": words }),
        Kind::Signal => json!({ "anyOf": [
            { "type": "string", "enum": HookSignal::WORDS },
            text(&any_case(&HookSignal::WORDS)),
        ] }),
        Kind::List(element) => json!({ "type": "array", "items": kind(example, element) }),
        Kind::OneOrList(element) => {
            let one = kind(example, element);
            json!({ "anyOf": [one, { "type": "array", "items": one, "minItems": 1 }] })
        }
        Kind::Parameters => json!({ "type": "object", "additionalProperties": { "type": "string" } }),
        Kind::Kept(plain) => json!({ "anyOf": [kind(example, plain), table(example, &PASSWORD)] }),
        Kind::Headers => {
            let kept = table(example, &PASSWORD);
            json!({ "type": "object", "additionalProperties": { "anyOf": [{ "type": "string" }, kept] } })
        }
        Kind::Table(keys) => table(example, keys),
        Kind::Tables(keys) => json!({ "type": "array", "items": table(example, keys) }),
    }
}

/// Numbers, each with one of the units that `humantime` knows and that have a fixed length.
const DURATION: &str = r"^\s*([0-9]+(\.[0-9]+)?\s*(nanos|nsec|ns|usec|us|µs|millis|msec|ms|seconds|second|secs|sec|s|minutes|minute|mins|min|m|hours|hour|hrs|hr|h|days|day|d|weeks|week|wks|wk|w)\s*)+$";

/// The words of signals as the reader takes them.
fn any_case(words: &[&str]) -> String {
    let letter = |c: char| match c.is_ascii_alphabetic() {
        true => format!("[{c}{}]", c.to_ascii_lowercase()),
        false => c.to_string(),
    };
    let words: Vec<String> = words.iter().map(|word| word.chars().map(letter).collect()).collect();
    format!("^([Ss][Ii][Gg])?({})$", words.join("|"))
}

/// A value of the example file.
fn value(text: &str) -> Value {
    let table: Map<String, Value> = toml::from_str(&format!("value = {text}")).unwrap_or_default();
    table.into_iter().next().map_or(Value::Null, |(_, value)| value)
}
