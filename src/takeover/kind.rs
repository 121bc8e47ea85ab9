//! Which kind of file a text is, by its content.

use super::Server;

/// What a file is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Certificates or keys in PEM armour.
    Pem,
    Configuration(Server),
    Other,
}

/// Sections of HAProxy's that no other configuration has as a whole line.
const SECTIONS: [&str; 9] =
    ["global", "defaults", "frontend", "backend", "listen", "crt-store", "userlist", "peers", "resolvers"];

/// Apache's directives that a file of its configuration is known by, in lower case.
const DIRECTIVES: [&str; 8] = [
    "sslcertificatefile",
    "sslcertificatekeyfile",
    "sslengine",
    "includeoptional",
    "include",
    "serverroot",
    "loadmodule",
    "servername",
];

const BEGIN: &str = "-----BEGIN ";

/// Lines that are neither blank nor comments.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// Whether lines stand outside the PEM blocks that are neither blank nor comments.
pub fn has_text(content: &[u8]) -> bool {
    let text = String::from_utf8_lossy(content);
    let mut in_block = false;
    lines(&text).any(|line| {
        in_block |= line.starts_with(BEGIN);
        let outside = !in_block;
        in_block &= !line.starts_with("-----END ");
        outside
    })
}

/// The kind that most lines speak for.
pub fn of(content: &[u8]) -> Kind {
    let text = String::from_utf8_lossy(content);
    if lines(&text).next().is_some_and(|line| line.starts_with(BEGIN)) {
        return Kind::Pem;
    }
    let (mut nginx, mut apache, mut haproxy) = (0usize, 0usize, 0usize);
    for line in lines(&text) {
        let word = line.split_whitespace().next().unwrap_or_default();
        let tail = line.split(" #").next().unwrap_or(line).trim_end();
        if line.starts_with('<') || (DIRECTIVES.contains(&&*word.to_lowercase()) && !tail.ends_with(';')) {
            apache += 1;
        } else if tail.ends_with([';', '{', '}']) {
            nginx += 1;
        } else if SECTIONS.contains(&word) || word == "bind" {
            haproxy += 1;
        }
    }
    match [nginx, apache, haproxy].into_iter().max() {
        // With what openssl writes above a block.
        None | Some(0) if lines(&text).any(|line| line.starts_with(BEGIN)) => Kind::Pem,
        None | Some(0) => Kind::Other,
        Some(most) if most == haproxy => Kind::Configuration(Server::Haproxy),
        Some(most) if most == apache => Kind::Configuration(Server::Apache),
        Some(_) => Kind::Configuration(Server::Nginx),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_tells() {
        let server = |text: &str| of(text.as_bytes());
        assert_eq!(server("server {\n  listen 443 ssl;\n}\n"), Kind::Configuration(Server::Nginx));
        assert_eq!(server("include sites/*;\n"), Kind::Configuration(Server::Nginx));
        let vhost = "<VirtualHost *:443>\nServerName a.example\nSSLEngine on\n</VirtualHost>\n";
        assert_eq!(server(vhost), Kind::Configuration(Server::Apache));
        assert_eq!(server("Include conf.d/*.conf\n"), Kind::Configuration(Server::Apache));
        let proxy = "global\n  daemon\nfrontend web\n  bind :443 ssl crt /a.pem\n";
        assert_eq!(server(proxy), Kind::Configuration(Server::Haproxy));
        assert_eq!(server("-----BEGIN CERTIFICATE-----"), Kind::Pem);
        assert_eq!(server("# mine\n\n-----BEGIN CERTIFICATE-----"), Kind::Pem);
        assert_eq!(server("Bag Attributes\n-----BEGIN CERTIFICATE-----"), Kind::Pem);
        let inline = "server {\n ssl_certificate \"data:\n-----BEGIN CERTIFICATE-----\nMII=\n\";\n}\n";
        assert_eq!(server(inline), Kind::Configuration(Server::Nginx));
        assert_eq!(server("This directory holds your keys.\n"), Kind::Other);
        assert_eq!(of(b"\0\xff\xfe"), Kind::Other);
    }

    #[test]
    fn text_beside_the_blocks_is_found() {
        let block = "-----BEGIN X-----\nMII=\n-----END X-----\n";
        for (text, expected) in [
            (block.to_owned(), false),
            (format!("# mine\n\n{block}{block}"), false),
            (format!("subject=x\n{block}"), true),
            (format!("{block}server {{\n"), true),
        ] {
            assert_eq!(has_text(text.as_bytes()), expected, "{text}");
        }
    }

    proptest::proptest! {
        /// Whatever stands in a file, its readers come to an end.
        #[test]
        fn no_text_is_too_odd(text in r#"([\s"'\\#;{}$<>a-z]|ssl_certificate |include |bind crt |SSLCertificateFile |<VirtualHost>|crt-store\n|é){0,60}"#) {
            let _ = of(text.as_bytes());
            let lines = text.lines().count().max(1);
            let items = [
                crate::takeover::nginx::items(&text),
                crate::takeover::apache::items(&text),
                crate::takeover::haproxy::items(&text, &mut Default::default()),
                crate::takeover::haproxy::list(&text, &Default::default()),
            ];
            assert!(items.iter().flatten().all(|item| (1..=lines + 1).contains(&item.line)));
        }
    }
}
