//! The configuration described for editors and people: a JSON schema and a reference in Markdown.
//!
//! What a key takes stands in `keys`; what it is for, and its default, in `config/certcollectd.toml`.

mod example;
mod markdown;
mod schema;

use std::sync::LazyLock;

use example::Example;

static EXAMPLE: LazyLock<Example> =
    LazyLock::new(|| Example::read(include_str!("../../../config/certcollectd.toml")));

/// `config/schema.json`: what editors check and complete a configuration with.
pub fn schema() -> String {
    let mut text =
        serde_json::to_string_pretty(&schema::schema(&EXAMPLE)).expect("strings, numbers and lists");
    text.push('\n');
    text
}

/// `docs/configuration.md`: every key with its type, its default and what it is for.
pub fn configuration() -> String {
    markdown::configuration(&EXAMPLE)
}
