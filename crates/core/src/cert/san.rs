//! Names of subjectAltName, and which domains they cover (RFC 5280 section 4.2.1.6, RFC 9525).
//!
//! The common name is not looked at: RFC 9525 section 2 retires it, and clients ignore it.

use std::fmt;
use std::net::IpAddr;

use x509_parser::extensions::GeneralName;
use x509_parser::x509::X509Name;

/// Names of one certificate that are kept. The vendor's products end at 250.
pub const MAX_NAMES: usize = 2000;

/// One name of subjectAltName: printable ASCII without blanks, safe to show and to hand to a hook.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SanName {
    /// A DNS name in lower case, possibly with `*` as its left-most label.
    Dns(String),
    Ip(IpAddr),
    Email(String),
    Uri(String),
}

impl fmt::Display for SanName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SanName::Dns(text) | SanName::Email(text) | SanName::Uri(text) => f.write_str(text),
            SanName::Ip(address) => address.fmt(f),
        }
    }
}

/// Whether one of the names covers what an operator configured: a DNS name or wildcard, an IP address, or,
/// with an `@`, an e-mail address. Case does not count.
///
/// A wildcard stands for exactly one label, the left-most (RFC 9525 section 6.3); a configured wildcard is
/// covered by the same wildcard alone.
pub fn covers(names: &[SanName], domain: &str) -> bool {
    if domain.contains('@') {
        return names
            .iter()
            .any(|name| matches!(name, SanName::Email(text) if text.eq_ignore_ascii_case(domain)));
    }
    if let Some(wanted) = address(domain) {
        return names.contains(&SanName::Ip(wanted));
    }
    let wanted = domain.strip_suffix('.').unwrap_or(domain).to_ascii_lowercase();
    let wildcard = wanted.split_once('.').map(|(_, parent)| format!("*.{parent}"));
    let covers = |text: &String| *text == wanted || wildcard.as_ref() == Some(text);
    names.iter().any(|name| matches!(name, SanName::Dns(text) if covers(text)))
}

/// Keeps the names that can be shown and compared; the others (directory names, registered identifiers,
/// other names, malformed ones) are left out.
pub(super) fn read(names: &[GeneralName<'_>]) -> Box<[SanName]> {
    names.iter().take(MAX_NAMES).filter_map(read_one).collect()
}

/// How many names were meant for servers and say nothing to a client: no DNS name, no address.
pub(super) fn unreadable(names: &[GeneralName<'_>]) -> usize {
    let meant = names.iter().filter(|name| {
        matches!(name, GeneralName::DNSName(_) | GeneralName::IPAddress(_) | GeneralName::Invalid(..))
    });
    meant.filter(|name| read_one(name).is_none()).count()
}

fn read_one(name: &GeneralName<'_>) -> Option<SanName> {
    match name {
        GeneralName::DNSName(text) => is_dns(text).then(|| SanName::Dns(text.to_ascii_lowercase())),
        GeneralName::RFC822Name(text) => is_email(text).then(|| SanName::Email((*text).to_owned())),
        GeneralName::URI(text) => is_uri(text).then(|| SanName::Uri((*text).to_owned())),
        GeneralName::IPAddress(octets) => {
            let v4 = <[u8; 4]>::try_from(*octets).map(IpAddr::from);
            v4.or_else(|_| <[u8; 16]>::try_from(*octets).map(IpAddr::from)).ok().map(SanName::Ip)
        }
        _ => None,
    }
}

/// The first common name of a subject in lower case, if it is a DNS name.
pub(super) fn common_name(subject: &X509Name<'_>) -> Option<String> {
    let text = subject.iter_common_name().next()?.as_str().ok()?;
    is_dns(text).then(|| text.to_ascii_lowercase())
}

fn address(domain: &str) -> Option<IpAddr> {
    let bare = domain.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(domain);
    bare.parse().ok()
}

/// Letters, digits, hyphens and, because it occurs, underscores; `*` as a whole left-most label.
pub(super) fn is_dns(text: &str) -> bool {
    let labels = text.strip_prefix("*.").unwrap_or(text);
    text.len() <= 253
        && labels.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        })
}

fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    text.len() <= 254
        && !local.is_empty()
        && local.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'@')
        && is_dns(domain)
}

fn is_uri(text: &str) -> bool {
    (1..=1024).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: GeneralName<'_>, expected: Option<&str>) {
        let found = read(&[name]);
        assert_eq!(found.first().map(ToString::to_string).as_deref(), expected);
    }

    #[test]
    fn keeps_what_can_be_shown() {
        check(GeneralName::DNSName("WWW.Example.com"), Some("www.example.com"));
        check(GeneralName::DNSName("*.example.com"), Some("*.example.com"));
        check(GeneralName::DNSName("_dmarc.example.com"), Some("_dmarc.example.com"));
        for odd in
            ["", ".", "a..b", "a b.example", "w*.example.com", "a.*.b", "\u{1b}[31m", "ex\u{e4}mple.com", "*"]
        {
            check(GeneralName::DNSName(odd), None);
        }
        let long = ["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(61)].join(".");
        check(GeneralName::DNSName(&long), Some(&long));
        check(GeneralName::DNSName(&format!("{long}d")), None);
        check(GeneralName::DNSName(&"a".repeat(64)), None);
        check(GeneralName::IPAddress(&[192, 0, 2, 1]), Some("192.0.2.1"));
        check(GeneralName::IPAddress(&[0; 16]), Some("::"));
        check(GeneralName::IPAddress(&[1, 2, 3]), None);
        check(GeneralName::RFC822Name("Ops@example.com"), Some("Ops@example.com"));
        for odd in ["ops", "@example.com", "a@b@example.com", "a b@example.com", "a@"] {
            check(GeneralName::RFC822Name(odd), None);
        }
        check(GeneralName::URI("https://example.com/"), Some("https://example.com/"));
        check(GeneralName::URI("a b"), None);
    }

    #[test]
    fn covers_one_label_from_the_left() {
        let names = [
            SanName::Dns("example.com".into()),
            SanName::Dns("*.example.org".into()),
            SanName::Ip("192.0.2.1".parse().unwrap()),
            SanName::Ip("2001:db8::1".parse().unwrap()),
            SanName::Email("Ops@Example.com".into()),
            SanName::Uri("https://uri.example".into()),
        ];
        let check = |domain: &str, expected: bool| assert_eq!(covers(&names, domain), expected, "{domain}");
        check("example.com", true);
        check("EXAMPLE.com.", true);
        check("www.example.com", false);
        check("www.example.org", true);
        check("example.org", false);
        check("a.b.example.org", false);
        check("*.example.org", true);
        check("*.example.com", false);
        check("192.0.2.1", true);
        check("192.0.2.2", false);
        check("2001:db8:0:0::1", true);
        check("[2001:db8::1]", true);
        check("ops@example.com", true);
        check("dev@example.com", false);
        check("uri.example", false);
        check("", false);
        check("*", false);
    }
}
