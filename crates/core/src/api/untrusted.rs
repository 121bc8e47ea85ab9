//! Text that someone else wrote, made safe to show.
//!
//! Server text is an attack channel: a line break in it forges a log line, an escape sequence forges a
//! terminal, and a leading `<0>` raises a journal priority. So foreign text becomes printable ASCII of
//! bounded length at the border and is only shown in that form.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

/// Untrusted text as escaped ASCII of at most [`Untrusted::LIMIT`] characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Untrusted(Box<str>);

impl Untrusted {
    /// Maximum number of characters kept; `...` marks what was cut.
    pub const LIMIT: usize = 200;

    /// Escapes everything but printable ASCII, and the backslash, as Rust would; cuts.
    pub fn new(text: &str) -> Self {
        let text = text.trim();
        let mut kept = String::with_capacity(text.len().min(Self::LIMIT));
        for character in text.chars() {
            let is_plain = matches!(character, ' '..='[' | ']'..='~');
            let length = if is_plain { 1 } else { character.escape_default().len() };
            if kept.len() + length > Self::LIMIT - 3 {
                kept.push_str("...");
                break;
            }
            match is_plain {
                true => kept.push(character),
                false => kept.extend(character.escape_default()),
            }
        }
        Untrusted(kept.into_boxed_str())
    }

    /// The same for bytes that may not be UTF-8.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let start = &bytes[..bytes.len().min(4 * Self::LIMIT)];
        Self::new(&String::from_utf8_lossy(start))
    }

    /// The same, or nothing if there is no text.
    pub fn some(text: &str) -> Option<Self> {
        Some(Self::new(text)).filter(|text| !text.0.is_empty())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Untrusted {
    /// Text that was escaped before is kept: escaping it again would show its backslashes double.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<str>::deserialize(deserializer)?;
        let safe = text.len() <= Self::LIMIT && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        Ok(if safe { Untrusted(text) } else { Self::new(&text) })
    }
}

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &str, expected: &str) {
        assert_eq!(Untrusted::new(input).as_str(), expected);
    }

    #[test]
    fn foreign_text_is_one_line_of_printable_ascii() {
        check("  plain words ", "plain words");
        check("a\nb\tc", r"a\nb\tc");
        check("\u{1b}[31mred", r"\u{1b}[31mred");
        check("back\\slash", r"back\\slash");
        check("\u{202e}bidi", r"\u{202e}bidi");
        check("caf\u{e9}", r"caf\u{e9}");
    }

    #[test]
    fn length_is_bounded_after_escaping() {
        for text in ["x".repeat(1000), "\u{202e}".repeat(1000)] {
            let shown = Untrusted::new(&text);
            assert!(shown.as_str().len() <= Untrusted::LIMIT, "{}", shown.as_str().len());
            assert!(shown.as_str().ends_with("..."));
        }
    }

    #[test]
    fn every_byte_value_is_safe() {
        let all: Vec<u8> = (0..=255).collect();
        let shown = Untrusted::from_bytes(&all);
        assert!(shown.as_str().bytes().all(|byte| (b' '..=b'~').contains(&byte)));
    }
}
