//! Apache's configuration: one directive on a line, sections in angle brackets.

use super::{Item, Says};

/// What a file says about certificates. What cannot be read of it is among the items.
pub fn items(text: &str) -> Vec<Item> {
    let mut items = Vec::new();
    let mut hosts: Vec<usize> = Vec::new();
    let mut blocks = 0;
    for (line, text) in logical_lines(text) {
        let block = if hosts.is_empty() { 0 } else { blocks };
        let mut put = |says| items.push(Item { line, block, says });
        let text = text.trim();
        let lower = text.to_ascii_lowercase();
        if lower.starts_with("<virtualhost") {
            if !hosts.is_empty() {
                put(Says::LeftAlone("a <VirtualHost> within another".into()));
            }
            hosts.push(line);
            blocks += 1;
            continue;
        }
        if lower.starts_with("</virtualhost") {
            if hosts.pop().is_none() {
                put(Says::LeftAlone("a </VirtualHost> too many".into()));
            }
            continue;
        }
        if text.is_empty() || text.starts_with(['#', '<']) {
            continue;
        }
        let name = lower.split_whitespace().next().unwrap_or_default();
        let says: fn(String) -> Says = match name {
            "sslcertificatefile" => Says::Certificate,
            "sslcertificatekeyfile" => Says::Key,
            "sslcertificatechainfile" => Says::Chain,
            "serverroot" => Says::Root,
            "include" => |pattern| Says::Include { pattern, required: true },
            "includeoptional" => |pattern| Says::Include { pattern, required: false },
            _ => continue,
        };
        let shown = &text[..name.len()];
        match words(&text[name.len()..]) {
            None => put(Says::LeftAlone(format!("`{shown}`: a quote is not closed"))),
            Some(words) => match &words[..] {
                [value] if value.contains("${") || value.contains("%{") => {
                    put(Says::LeftAlone(format!("`{shown}` has a variable in its path; left alone")));
                }
                [value] if value.starts_with("pkcs11:") => {
                    put(Says::LeftAlone(format!("`{shown}` names no file; left alone")));
                }
                [value] if !value.is_empty() => put(says(value.clone())),
                more => put(Says::LeftAlone(format!("`{shown}` has {} values instead of one", more.len()))),
            },
        }
    }
    if let Some(line) = hosts.pop() {
        let says = Says::LeftAlone("a <VirtualHost> that is not closed".into());
        items.push(Item { line, block: blocks, says });
    }
    items
}

/// Lines, those with a backslash at their end joined with the next; each with the number of its first.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut continues = false;
    for (at, line) in text.lines().enumerate() {
        let (part, more) = match line.strip_suffix('\\') {
            Some(part) => (part, true),
            None => (line, false),
        };
        match lines.last_mut().filter(|_| continues) {
            Some((_, last)) => last.push_str(part),
            None => lines.push((at + 1, part.to_owned())),
        }
        continues = more;
    }
    lines
}

/// Words between blanks; quotes hold blanks. `None` where a quote has no end.
fn words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        if first == '"' || first == '\'' {
            let (word, after) = rest[1..].split_once(first)?;
            words.push(word.to_owned());
            rest = after.trim_start();
        } else {
            let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
            words.push(rest[..end].to_owned());
            rest = rest[end..].trim_start();
        }
    }
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_their_files_are_found() {
        let text = "ServerRoot \"/etc/httpd\"\nIncludeOptional sites-enabled/*.conf\n<VirtualHost *:443>\n  # SSLCertificateFile /no\n  \
                    sslcertificatefile \"/a b.pem\"\n  SSLCertificateKeyFile \\\n    /a.key\n  SSLCertificateChainFile /c.pem\n</VirtualHost>\n";
        let items = items(text);
        let said: Vec<(usize, usize, &Says)> =
            items.iter().map(|item| (item.line, item.block, &item.says)).collect();
        assert_eq!(
            said,
            [
                (1, 0, &Says::Root("/etc/httpd".into())),
                (2, 0, &Says::Include { pattern: "sites-enabled/*.conf".into(), required: false }),
                (5, 1, &Says::Certificate("/a b.pem".into())),
                (6, 1, &Says::Key("/a.key".into())),
                (8, 1, &Says::Chain("/c.pem".into())),
            ]
        );
    }

    #[test]
    fn what_is_broken_or_no_file_is_named_with_its_line() {
        let text = "SSLCertificateFile ${DIR}/a.pem\nSSLCertificateFile \"/a.pem\nSSLCertificateKeyFile pkcs11:x\n\
                    SSLCertificateFile\nSSLCertificateFile /a /b\n</VirtualHost>\n<VirtualHost *>\nSSLCertificateFile /a.pem\n";
        let items = items(text);
        let lines: Vec<usize> = items
            .iter()
            .filter(|item| matches!(item.says, Says::LeftAlone(_)))
            .map(|item| item.line)
            .collect();
        assert_eq!(lines, [1, 2, 3, 4, 5, 6, 7]);
        assert!(items.iter().any(|item| item.says == Says::Certificate("/a.pem".into())));
    }
}
