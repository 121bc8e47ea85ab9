//! HAProxy's configuration: `crt` and `crt-list` of bind lines, `crt-store`, and the lists themselves.

use std::path::Path;

use super::{Item, Says};

/// Where relative paths begin, as far as sections before have said it: `crt-base`, `key-base`.
#[derive(Debug, Clone, Default)]
pub struct Bases {
    certificates: Option<String>,
    keys: Option<String>,
}

impl Bases {
    fn certificate(&self, path: &str) -> String {
        joined(self.certificates.as_deref(), path)
    }

    fn key(&self, path: &str) -> String {
        joined(self.keys.as_deref(), path)
    }
}

fn joined(base: Option<&str>, path: &str) -> String {
    match base {
        Some(base) => Path::new(base).join(path).to_string_lossy().into_owned(),
        None => path.to_owned(),
    }
}

/// What a file says about certificates. `bases` are those of the process; `global` sets them.
pub fn items(text: &str, bases: &mut Bases) -> Vec<Item> {
    let mut items = Vec::new();
    // A `crt-store` has its own.
    let mut store: Option<Bases> = None;
    let mut in_global = false;
    let mut section = 0;
    for (at, line) in text.lines().enumerate() {
        let line_number = at + 1;
        let mut put = |says| items.push(Item { line: line_number, block: section, says });
        let words = match words(line) {
            Ok(words) => words,
            Err(why) => {
                put(Says::LeftAlone(why.into()));
                continue;
            }
        };
        let Some(first) = words.first() else { continue };
        let value = |name: &str| {
            let at = words.iter().position(|word| word == name)?;
            words.get(at + 1)
        };
        match &**first {
            "global" | "defaults" | "frontend" | "backend" | "listen" | "crt-store" | "userlist"
            | "peers" | "resolvers" | "cache" | "ring" | "program" | "mailers" | "http-errors"
            | "fcgi-app" | "log-forward" => {
                section += 1;
                in_global = first == "global";
                store = (first == "crt-store").then(|| bases.clone());
            }
            name @ ("crt-base" | "key-base") => {
                let own = match &mut store {
                    Some(own) => own,
                    None if in_global => &mut *bases,
                    None => continue,
                };
                let slot = if name == "crt-base" { &mut own.certificates } else { &mut own.keys };
                match words.get(1) {
                    Some(base) if !base.contains('$') => *slot = Some(base.clone()),
                    _ => put(Says::LeftAlone(format!("`{name}` has a variable in its path, or no path"))),
                }
            }
            "load" => {
                let Some(bases) = &store else { continue };
                if let Some(path) = value("crt") {
                    put(file("crt", path, |path| Says::Certificate(bases.certificate(path))));
                }
                if let Some(path) = value("key") {
                    put(file("key", path, |path| Says::Key(bases.key(path))));
                }
            }
            "bind" => {
                for pair in words.windows(2) {
                    let path = &pair[1];
                    match &*pair[0] {
                        // A name in a crt-store, whose `load` says the file.
                        "crt" if path.starts_with('@') => {}
                        "crt" => put(file("crt", path, |path| Says::Certificate(bases.certificate(path)))),
                        "crt-list" => put(file("crt-list", path, |path| Says::List(path.to_owned()))),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    items
}

/// The certificates of a `crt-list`.
pub fn list(text: &str, bases: &Bases) -> Vec<Item> {
    let mut items = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let path = line.split_whitespace().next().unwrap_or_default();
        if path.is_empty() || path.starts_with(['#', '@']) {
            continue;
        }
        let path = path.split('[').next().unwrap_or(path);
        let says = file("crt-list", path, |path| Says::Certificate(bases.certificate(path)));
        items.push(Item { line: at + 1, block: 0, says });
    }
    items
}

fn file(name: &str, path: &str, says: impl FnOnce(&str) -> Says) -> Says {
    match path.contains('$') {
        true => Says::LeftAlone(format!("`{name}` has a variable in its path; left alone")),
        false => says(path),
    }
}

/// Words between blanks, as HAProxy takes them: backslashes, both quotes, comments.
fn words(line: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some('"') | None, '\\') => word.get_or_insert_default().extend(rest.next()),
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '#') => break,
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    if quote.is_some() { Err("a quote is not closed") } else { Ok(words) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Vec<(usize, Says)> {
        items(text, &mut Bases::default()).into_iter().map(|item| (item.line, item.says)).collect()
    }

    #[test]
    fn bind_lines_and_stores_are_read() {
        let text = "global\n  crt-base /etc/certs\ncrt-store web\n  key-base \"/etc/keys\"\n  load crt \"a.pem\" key a.key\n\
                    frontend f\n  bind :443 ssl crt b.pem crt /c.pem # crt d\n  bind :444 ssl crt-list /l crt @web/a\n\
                    backend b\n  server s 192.0.2.1:443 ssl crt /client.pem\n";
        assert_eq!(
            said(text),
            [
                (5, Says::Certificate("/etc/certs/a.pem".into())),
                (5, Says::Key("/etc/keys/a.key".into())),
                (7, Says::Certificate("/etc/certs/b.pem".into())),
                (7, Says::Certificate("/c.pem".into())),
                (8, Says::List("/l".into())),
            ]
        );
    }

    #[test]
    fn lists_and_what_is_left_alone() {
        let items = list("# x\n/a.pem [alpn h2] a.example\n\nb.pem\n@store/x\n", &Bases::default());
        let said_in_list: Vec<_> = items.iter().map(|item| (item.line, item.says.clone())).collect();
        assert_eq!(
            said_in_list,
            [(2, Says::Certificate("/a.pem".into())), (4, Says::Certificate("b.pem".into()))]
        );
        let said = said(
            "frontend f\n bind :1 ssl crt \"${DIR}/a.pem\"\n bind :2 ssl crt \"/a\n bind :3 crt /b.pem\n",
        );
        assert!(matches!(&said[0], (2, Says::LeftAlone(text)) if text.contains("variable")), "{said:?}");
        assert!(matches!(&said[1], (3, Says::LeftAlone(text)) if text.contains("quote")), "{said:?}");
        assert_eq!(said[2], (4, Says::Certificate("/b.pem".into())));
    }
}
