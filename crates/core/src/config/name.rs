//! Names that a configuration may use: of orders, accounts and hooks, domains and mailboxes.

/// Why a value was refused. `what` follows the name of the key: "`interval` *has no unit*".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidValue {
    pub what: String,
    pub help: String,
}

impl InvalidValue {
    pub fn new(what: impl Into<String>, help: impl Into<String>) -> InvalidValue {
        InvalidValue { what: what.into(), help: help.into() }
    }
}

/// Characters in the name of an order, an account or a hook. Leaves room for the suffixes that file names get.
pub const NAME_CHARS: usize = 100;

/// Characters of a value that a message repeats.
const SHOWN_CHARS: usize = 60;

/// A piece of the operator's text as messages show it: quoted, escaped, cut.
pub fn shown(text: &str) -> String {
    let mut cut: String = text.chars().take(SHOWN_CHARS).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    format!("{cut:?}")
}

/// The name of an order, an account or a hook: safe as a file name, a metric label and a word in a shell.
pub fn name(text: &str) -> Result<(), InvalidValue> {
    let help = "names are 1 to 100 of the characters a-z 0-9 . _ - and do not begin with a dot";
    let is_allowed = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '.' | '_' | '-');
    let lower = text.to_ascii_lowercase();
    match text.chars().find(|c| !is_allowed(*c)) {
        _ if text.is_empty() => Err(InvalidValue::new("is empty", help)),
        _ if text.starts_with('.') => Err(InvalidValue::new("begins with a dot", help)),
        Some(_) if lower.chars().all(is_allowed) && lower.len() <= NAME_CHARS => {
            Err(InvalidValue::new("has capital letters", format!("write {}", shown(&lower))))
        }
        Some(odd) => Err(InvalidValue::new(format!("has the character {odd:?}"), help)),
        None if text.len() > NAME_CHARS => Err(InvalidValue::new("is too long", help)),
        None => Ok(()),
    }
}

/// A domain in lower case and A-labels, with or without a leading `*.`; or an IP address.
pub fn domain(text: &str) -> Result<Box<str>, InvalidValue> {
    let help = "such as \"www.example.com\" or \"*.example.com\"";
    if let Ok(address) = text.parse::<std::net::IpAddr>() {
        return Ok(address.to_string().into());
    }
    if text.contains('@') {
        return Err(InvalidValue::new(
            "is an e-mail address",
            "e-mail addresses belong to orders of product = \"smime\"",
        ));
    }
    let (star, host) = match text.strip_prefix("*.") {
        Some(host) => ("*.", host),
        None => ("", text),
    };
    if host.contains('*') {
        return Err(InvalidValue::new("has a star that is not the whole first label", help));
    }
    if host.ends_with('.') {
        return Err(InvalidValue::new("ends with a dot", help));
    }
    let is_dot = |byte: &u8| *byte == b'.';
    let is_a_label = |label: &[u8]| label.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"xn--"));
    let host = if host.is_ascii() && !host.as_bytes().split(is_dot).any(is_a_label) {
        host.to_ascii_lowercase()
    } else {
        idna::domain_to_ascii(host).map_err(|_| {
            InvalidValue::new(
                format!("cannot be written in ASCII: {}", shown(text)),
                "give the xn-- form instead",
            )
        })?
    };
    let is_label = |label: &[u8]| {
        (1..=63).contains(&label.len())
            && !label.starts_with(b"-")
            && !label.ends_with(b"-")
            && label.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
    };
    if host.len() > 253 || !host.as_bytes().split(is_dot).all(is_label) {
        return Err(InvalidValue::new("is not a domain name", help));
    }
    if !host.contains('.') {
        return Err(InvalidValue::new("is only a part of a domain name", help));
    }
    Ok(if star.is_empty() { host.into() } else { format!("{star}{host}").into() })
}

/// An e-mail address in lower case, its domain in A-labels.
pub fn email(text: &str) -> Result<Box<str>, InvalidValue> {
    let help = "an order of product = \"smime\" lists e-mail addresses, such as \"jane@example.com\"";
    let Some((local, host)) = text.rsplit_once('@') else {
        return Err(InvalidValue::new("is not an e-mail address", help));
    };
    let is_allowed = |byte: u8| byte.is_ascii_graphic() && !b"@\"(),:;<>[\\]".contains(&byte);
    if local.is_empty() || local.len() > 64 || !local.bytes().all(is_allowed) || host.starts_with("*.") {
        return Err(InvalidValue::new("is not an e-mail address", help));
    }
    let host =
        domain(host).map_err(|wrong| InvalidValue::new(format!("has a domain that {}", wrong.what), help))?;
    Ok(format!("{}@{host}", local.to_ascii_lowercase()).into())
}

/// A name as [`Own::domains`] holds it, if it is one.
///
/// [`Own::domains`]: super::Own::domains
pub fn normal_domain(text: &str) -> Option<Box<str>> {
    domain(text).ok()
}

/// Whether an order, an account or a hook may have this name.
pub fn is_name(text: &str) -> bool {
    name(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn what<T: std::fmt::Debug>(result: Result<T, InvalidValue>) -> String {
        result.unwrap_err().what
    }

    #[test]
    fn names_are_safe_everywhere() {
        for text in ["www", "a", "www.example.com", "a_b-c", "9", &"a".repeat(100)] {
            assert_eq!(name(text), Ok(()), "{text}");
        }
        for (text, expected) in [
            ("", "is empty"),
            (".www", "begins with a dot"),
            ("..", "begins with a dot"),
            ("WWW", "has capital letters"),
            ("a b", "has the character ' '"),
            ("a/b", "has the character '/'"),
            ("ä", "has the character 'ä'"),
            (&"a".repeat(101), "is too long"),
        ] {
            assert_eq!(what(name(text)), expected, "{text}");
        }
    }

    #[test]
    fn domains_become_lower_case_a_labels() {
        for (text, expected) in [
            ("WWW.Example.COM", "www.example.com"),
            ("*.example.com", "*.example.com"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("*.BÜCHER.example", "*.xn--bcher-kva.example"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ] {
            assert_eq!(domain(text).as_deref(), Ok(expected));
        }
        for (text, expected) in [
            ("", "is not a domain name"),
            ("www", "is only a part of a domain name"),
            ("www.example.com.", "ends with a dot"),
            ("w*.example.com", "has a star that is not the whole first label"),
            ("*", "has a star that is not the whole first label"),
            ("-a.example", "is not a domain name"),
            ("a..example", "is not a domain name"),
            ("a_b.example", "is not a domain name"),
            ("https://a.example", "is not a domain name"),
            ("jane@example.com", "is an e-mail address"),
            (&format!("{}.example", "a".repeat(64)), "is not a domain name"),
        ] {
            assert_eq!(what(domain(text)), expected, "{text}");
        }
        assert!(what(domain("xn--a.example")).starts_with("cannot be written in ASCII"));
    }

    #[test]
    fn e_mail_addresses() {
        assert_eq!(email("Jane.Doe@Example.COM").as_deref(), Ok("jane.doe@example.com"));
        assert_eq!(email("jane@bücher.example").as_deref(), Ok("jane@xn--bcher-kva.example"));
        for text in ["jane", "@example.com", "ja ne@example.com", "a@b@example.com", "jane@*.example.com"] {
            assert!(email(text).is_err(), "{text}");
        }
    }
}
