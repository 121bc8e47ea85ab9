//! `{name}` in the paths of an order.

use std::borrow::Cow;
use std::path::PathBuf;

use super::value::{InvalidValue, file_path, refuse, shown};

const HELP: &str = "{name} stands for the order's name; a brace of the path itself is doubled: {{ or }}";

/// The text with the order's name in it. Without a name, `{name}` is left as it is.
pub(super) fn expand<'a>(text: &'a str, order: Option<&str>) -> Result<Cow<'a, str>, InvalidValue> {
    let brace_in = |text: &str| memchr::memchr2(b'{', b'}', text.as_bytes());
    if brace_in(text).is_none() {
        return Ok(Cow::Borrowed(text));
    }
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = brace_in(rest) {
        let (before, from) = rest.split_at(at);
        let (brace, after) = from.split_at(1);
        expanded.push_str(before);
        rest = if let Some(after) = after.strip_prefix(brace) {
            expanded.push_str(brace);
            after
        } else if let Some((word, after)) = after.split_once('}').filter(|_| brace == "{") {
            if word != "name" {
                return refuse(
                    format!("has the unknown placeholder {}", shown(&format!("{{{word}}}"))),
                    HELP,
                );
            }
            expanded.push_str(order.unwrap_or("{name}"));
            after
        } else {
            return refuse(format!("has a single `{brace}`"), HELP);
        };
    }
    expanded.push_str(rest);
    Ok(Cow::Owned(expanded))
}

/// A path of an order, with its name in it.
pub fn order_path(text: &str, order: Option<&str>) -> Result<PathBuf, InvalidValue> {
    file_path(&expand(text, order)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_takes_its_place() {
        for (text, expected) in [
            ("/a", "/a"),
            ("{name}", "www"),
            ("/a/{name}.key", "/a/www.key"),
            ("/{name}/{name}ä{name}", "/www/wwwäwww"),
            ("/{{name}}/{name}", "/{name}/www"),
            ("{{{name}}}", "{www}"),
            ("a{{b}}c", "a{b}c"),
        ] {
            assert_eq!(expand(text, Some("www")).as_deref(), Ok(expected), "{text}");
        }
        assert_eq!(expand("/a/{name}", None).as_deref(), Ok("/a/{name}"));
    }

    #[test]
    fn every_other_brace_is_refused() {
        for (text, expected) in [
            ("/{nmae}", "has the unknown placeholder \"{nmae}\""),
            ("/{}", "has the unknown placeholder \"{}\""),
            ("/{ name }", "has the unknown placeholder \"{ name }\""),
            ("/{a{name}", "has the unknown placeholder \"{a{name}\""),
            ("/{name", "has a single `{`"),
            ("/name}", "has a single `}`"),
            ("/{name}}", "has a single `}`"),
        ] {
            assert_eq!(expand(text, Some("www")).unwrap_err().what, expected, "{text}");
        }
    }
}
