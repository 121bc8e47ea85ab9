//! Values as a configuration writes them, for the commands that write one.

use std::path::Path;

/// A basic string of TOML: what JSON escapes, TOML does alike, but for one character.
pub fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

/// A path of an order, in which braces are doubled: single ones are placeholders.
pub fn order_path(path: &Path) -> String {
    quoted(&path.to_string_lossy().replace('{', "{{").replace('}', "}}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_as_it_was() {
        let odd = "a \"b\" \\ \u{1} \u{7f} \t ü {name}";
        let text = format!("x = {}", quoted(odd));
        assert_eq!(text.parse::<toml::Table>().unwrap()["x"].as_str(), Some(odd));
        assert_eq!(order_path(Path::new("/a{b}/c")), "\"/a{{b}}/c\"");
    }
}
