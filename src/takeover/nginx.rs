//! nginx's configuration: words, closed by `;` or by blocks in braces.

use super::{Item, Says};

/// What a file says about certificates. What cannot be read of it is among the items.
pub fn items(text: &str) -> Vec<Item> {
    let mut reader = Reader { rest: text.char_indices().peekable(), text, line: 1 };
    let mut items = Vec::new();
    let mut open: Vec<(usize, usize)> = Vec::new();
    let mut blocks = 0;
    loop {
        let block = open.last().map_or(0, |(_, block)| *block);
        let mut put = |line, says| items.push(Item { line, block, says });
        let (words, line, end) = reader.directive();
        let name = words.first().map(String::as_str).unwrap_or_default();
        match end {
            End::Quote(line) => {
                put(line, Says::LeftAlone("a quote is not closed; what follows was not read".into()));
                return items;
            }
            End::File => {
                if !words.is_empty() {
                    put(line, Says::LeftAlone(format!("`{}` is not closed with a ;", shown(name))));
                }
                break;
            }
            End::Close => match open.pop() {
                Some(_) if words.is_empty() => {}
                Some(_) => put(line, Says::LeftAlone(format!("`{}` is not closed with a ;", shown(name)))),
                None => put(line, Says::LeftAlone("a } too many; the rest was read all the same".into())),
            },
            End::Open if name.ends_with("_by_lua_block") => reader.skip_block(),
            End::Open => {
                if name == "ssl_certificate" || name == "ssl_certificate_key" || name == "include" {
                    put(line, Says::LeftAlone(format!("`{name}` is not closed with a ;")));
                }
                // What stands in a `server` belongs together, also within its `location`s.
                if name == "server" || open.is_empty() {
                    blocks += 1;
                    open.push((line, blocks));
                } else {
                    open.push((line, block));
                }
            }
            End::Semicolon => {
                let says: fn(String) -> Says = match name {
                    "ssl_certificate" => Says::Certificate,
                    "ssl_certificate_key" => Says::Key,
                    "include" => |pattern| Says::Include { pattern, required: true },
                    _ => continue,
                };
                put(
                    line,
                    match &words[1..] {
                        [value] => left_alone(name, value).unwrap_or_else(|| says(value.clone())),
                        more => Says::LeftAlone(format!(
                            "`{name}` has {} values instead of one; is a ; missing before?",
                            more.len()
                        )),
                    },
                );
            }
        }
    }
    if let Some((line, block)) = open.pop() {
        items.push(Item { line, block, says: Says::LeftAlone("a { that is not closed".into()) });
    }
    items
}

fn left_alone(name: &str, value: &str) -> Option<Says> {
    let what = if value.starts_with("data:") || value.starts_with("engine:") || value.starts_with("store:") {
        "names no file"
    } else if value.contains('$') {
        "has a variable in its path"
    } else if value.is_empty() {
        "is empty"
    } else {
        return None;
    };
    // `data:` is followed by what may be a key.
    let shown = match value.split_once(':') {
        Some((scheme @ ("data" | "engine" | "store"), _)) => format!("{scheme}:..."),
        _ => shown(value),
    };
    Some(Says::LeftAlone(format!("`{name} {shown}` {what}; left alone")))
}

fn shown(text: &str) -> String {
    certcollectd_core::api::Untrusted::new(text).as_str().to_owned()
}

enum End {
    Semicolon,
    Open,
    Close,
    File,
    /// The quote that begins on this line has no end.
    Quote(usize),
}

struct Reader<'a> {
    rest: std::iter::Peekable<std::str::CharIndices<'a>>,
    text: &'a str,
    line: usize,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let (_, c) = self.rest.next()?;
        self.line += usize::from(c == '\n');
        Some(c)
    }

    /// The words up to the end of a directive, the line of the first, and how it ends.
    fn directive(&mut self) -> (Vec<String>, usize, End) {
        let mut words: Vec<String> = Vec::new();
        let mut first = self.line;
        while let Some((_, c)) = self.rest.peek().copied() {
            if c.is_whitespace() {
                self.next();
                continue;
            }
            if words.is_empty() {
                first = self.line;
            }
            match c {
                '#' => while self.next().is_some_and(|c| c != '\n') {},
                ';' | '{' | '}' => {
                    self.next();
                    let end = match c {
                        ';' => End::Semicolon,
                        '{' => End::Open,
                        _ => End::Close,
                    };
                    return (words, first, end);
                }
                '"' | '\'' => {
                    let line = self.line;
                    match self.quoted() {
                        Some(word) => words.push(word),
                        None => return (words, first, End::Quote(line)),
                    }
                }
                _ => words.push(self.bare()),
            }
        }
        (words, first, End::File)
    }

    fn quoted(&mut self) -> Option<String> {
        let quote = self.next();
        let mut word = String::new();
        loop {
            match self.next()? {
                '\\' => word.push(self.next()?),
                c if Some(c) == quote => return Some(word),
                c => word.push(c),
            }
        }
    }

    fn bare(&mut self) -> String {
        let mut word = String::new();
        while let Some((at, c)) = self.rest.peek().copied() {
            // `${name}` is part of a word.
            if c == '{' && self.text[..at].ends_with('$') {
                while let Some(c) = self.next() {
                    word.push(c);
                    if c == '}' {
                        break;
                    }
                }
                continue;
            }
            if c.is_whitespace() || matches!(c, ';' | '{' | '}') {
                break;
            }
            self.next();
            match c {
                '\\' => word.extend(self.next()),
                c => word.push(c),
            }
        }
        word
    }

    /// Behind the brace that opens a block in another language, to the one that closes it.
    fn skip_block(&mut self) {
        let mut depth = 1;
        while depth > 0 {
            match self.next() {
                Some('{') => depth += 1,
                Some('}') => depth -= 1,
                Some(_) => {}
                None => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Vec<(usize, Says)> {
        items(text).into_iter().map(|item| (item.line, item.says)).collect()
    }

    #[test]
    fn certificates_keys_and_includes_are_found() {
        let text = "http {\n  include /etc/nginx/sites/*;\n  server { # x ; }\n    ssl_certificate \"/a b.pem\";\n    \
                    ssl_certificate_key\n /a.key;\n    location / { return 200 'x;{'; }\n  }\n}\n";
        assert_eq!(
            said(text),
            [
                (2, Says::Include { pattern: "/etc/nginx/sites/*".into(), required: true }),
                (4, Says::Certificate("/a b.pem".into())),
                (5, Says::Key("/a.key".into())),
            ]
        );
        let blocks: Vec<usize> =
            items("server { ssl_certificate a; } server { ssl_certificate b; ssl_certificate_key c; }")
                .iter()
                .map(|item| item.block)
                .collect();
        assert!(blocks[0] != blocks[1] && blocks[1] == blocks[2], "{blocks:?}");
    }

    #[test]
    fn what_names_no_file_is_named_without_its_content() {
        for (value, expected) in [
            ("data:c2VjcmV0", "data:..."),
            ("engine:pkcs11:x", "engine:..."),
            ("/etc/${ssl_server_name}.pem", "variable"),
        ] {
            let said = said(&format!("server {{ ssl_certificate_key {value}; }}"));
            let [(1, Says::LeftAlone(text))] = &said[..] else { panic!("{said:?}") };
            assert!(text.contains(expected) && !text.contains("c2VjcmV0"), "{text}");
        }
    }

    #[test]
    fn broken_files_are_read_as_far_as_they_go() {
        let broken = |text: &str, line: usize| {
            let said = said(text);
            assert!(matches!(said[0].1, Says::Certificate(_)), "{said:?}");
            assert!(
                said.iter().any(|(at, says)| *at == line && matches!(says, Says::LeftAlone(_))),
                "{said:?}"
            );
        };
        broken("ssl_certificate a;\nserver {\n", 2);
        broken("ssl_certificate a;\n}\n", 2);
        broken("ssl_certificate a;\n\nx \"y;\n", 3);
        broken("ssl_certificate a;\nssl_certificate b\nssl_certificate_key c;\n", 2);
        broken("ssl_certificate a;\nserver { ssl_certificate b }\n", 2);
        broken("ssl_certificate a;\nx", 2);
        assert_eq!(said("content_by_lua_block { x = \"}{\" -- it's\n}\nssl_certificate a;").len(), 1);
    }
}
