//! Does the vendor's name for an order match its entry? A mistyped order number is someone else's order, which
//! shows long before the certificate is issued.

use crate::api::{Product, Untrusted};
use crate::config;
use crate::engine::order::record::OrderRecord;

/// The vendor's name for the order, if none of the names that the vendor has given for it matches one of the entry's
/// domains.
pub fn misfit<'a>(order: &config::Order, record: &'a OrderRecord) -> Option<&'a Untrusted> {
    let details = &record.heard.as_ref()?.details;
    let fqdn = details.fqdn.as_ref()?;
    if order.settings.product != Product::Ssl || order.domains.is_empty() {
        return None;
    }
    let listed = details.domains.iter().map(|(name, _)| name);
    let named = record.domains.iter().filter_map(|known| known.heard.as_ref());
    let named = named.flat_map(|heard| &heard.details.dcv).map(|dcv| &dcv.domain);
    let fits = |name: &Untrusted| {
        let name = normal(name);
        order.domains.iter().any(|domain| goes_with(&name, domain))
    };
    let known = !std::iter::once(fqdn).chain(listed).chain(named).any(fits);
    known.then_some(fqdn)
}

/// Whether a certificate for a name can cover a domain. For one with and without `www` the vendor adds the other, and to
/// a wildcard the name without it.
fn goes_with(name: &str, domain: &str) -> bool {
    let bare = |name: &str| name.strip_prefix("www.").unwrap_or(name).to_owned();
    if bare(name) == bare(domain) {
        return true;
    }
    let Some(base) = name.strip_prefix("*.") else { return false };
    domain == base || domain.split_once('.').is_some_and(|(_, parent)| parent == base)
}

/// In lower case and A-labels, as the entry's domains are.
fn normal(name: &Untrusted) -> String {
    let text = unescaped(name.as_str());
    let text = text.trim().trim_end_matches('.');
    config::normal_domain(text).map_or_else(|| text.to_lowercase(), String::from)
}

/// What [`Untrusted`] made of letters beyond ASCII, undone.
fn unescaped(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, escape)) = rest.split_once("\\u{") {
        let letter = escape.split_once('}').and_then(|(digits, after)| {
            Some((char::from_u32(u32::from_str_radix(digits, 16).ok()?)?, after))
        });
        let Some((letter, after)) = letter else { break };
        plain.push_str(before);
        plain.push(letter);
        rest = after;
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, domain: &str, fits: bool) {
        assert_eq!(goes_with(&normal(&Untrusted::new(name)), domain), fits, "{name} {domain}");
    }

    #[test]
    fn a_name_fits_the_domains_that_its_certificate_can_cover() {
        check("www.example.com", "www.example.com", true);
        check("WWW.Example.COM.", "www.example.com", true);
        check("example.com", "www.example.com", true);
        check("www.example.com", "example.com", true);
        check("*.example.com", "shop.example.com", true);
        check("*.example.com", "*.example.com", true);
        check("*.example.com", "example.com", true);
        check("*.example.com", "a.shop.example.com", false);
        check("www.example.com", "*.example.com", false);
        check("example.com", "shop.example.com", false);
        check("example.com", "notexample.com", false);
        check("m\u{fc}ller.example", "xn--mller-kva.example", true);
        check("xn--mller-kva.example", "xn--mller-kva.example", true);
        check("muller.example", "xn--mller-kva.example", false);
        check("192.0.2.7", "192.0.2.7", true);
        check("192.0.2.7", "www.example.com", false);
        check("odd name", "www.example.com", false);
    }
}
