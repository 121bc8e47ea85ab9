//! `[[order.probe]]`.

use std::time::Duration;

use crate::config::address::{host_port, socket_path};
use crate::config::parse::diagnostic::Diagnostic;
use crate::config::parse::reader::Table;
use crate::config::placeholder::expand;
use crate::config::value::{DURATION_HELP, InvalidValue, duration, refuse, refuse_if};
use certcollectd_core::api::Product;
use certcollectd_core::config::name::domain;
use certcollectd_core::config::{OnProbeFailure, Probe, StartTls, Target};

const CONNECT_HELP: &str =
    "a host and a port, such as \"127.0.0.1:443\", or \"unix:\" and the path of a socket";

/// No server needs to be asked more often.
const SHORTEST_EVERY: Duration = Duration::from_secs(1);
const SHORTEST_WITHIN: Duration = Duration::from_secs(1);
const LONGEST_EVERY: Duration = Duration::from_secs(30 * 24 * 3600);

/// One of an order, or of `[defaults]` where it has no name. Only TLS servers can be asked.
pub(crate) fn probe(
    table: &Table<'_>,
    product: Product,
    is_inherited: bool,
    name: Option<&str>,
) -> Option<Probe> {
    let connect = table.need("connect", CONNECT_HELP);
    let connect = connect.and_then(|item| item.parse(CONNECT_HELP, |text| target(&expand(text, name)?)));
    let server_name = table.parse("server_name", "a host name, such as \"www.example.com\"", server_name);
    let starttls =
        table.get("starttls").and_then(|item| item.word(&StartTls::ALL.map(|how| (how.as_str(), how))));
    let within = table.parse("within", DURATION_HELP, |text| duration(text, SHORTEST_WITHIN, Probe::LONGEST));
    let every = table.parse("every", DURATION_HELP, |text| duration(text, SHORTEST_EVERY, LONGEST_EVERY));
    let on_failure = table.get("on_failure");
    let on_failure =
        on_failure.and_then(|item| item.word(&OnProbeFailure::ALL.map(|what| (what.as_str(), what))));
    match product {
        Product::Ssl => {}
        // A default need not be of use to every order.
        Product::Mark | Product::Smime if is_inherited => return None,
        Product::Mark | Product::Smime => {
            Diagnostic::error(format!("[[order.probe]] with product = \"{}\"", product.as_str()), table.at)
                .help("no TLS server presents such a certificate; only for product = \"ssl\"")
                .add_to(table.diagnostics());
            return None;
        }
    }
    Some(Probe {
        connect: connect?,
        server_name,
        starttls,
        within: within.unwrap_or(Probe::WITHIN),
        every: every.unwrap_or(Probe::EVERY),
        on_failure: on_failure.unwrap_or(Probe::ON_FAILURE),
    })
}

fn target(text: &str) -> Result<Target, InvalidValue> {
    if let Some(path) = text.strip_prefix("unix:") {
        return socket_path(path).map(Target::Unix);
    }
    let is_url = text.contains("://") || text.contains('/');
    refuse_if(is_url, "is not a host and a port", CONNECT_HELP)?;
    let plain = host_port(text, CONNECT_HELP)?;
    let Some((host, port)) = plain.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)))
    else {
        return refuse("has no port", CONNECT_HELP);
    };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    Ok(Target::Host(host.into(), port))
}

/// What a server can be asked for: a name, or an address, for which TLS sends none.
fn server_name(text: &str) -> Result<Box<str>, InvalidValue> {
    let help = "a name that the certificate covers, such as \"www.example.com\"";
    refuse_if(text.starts_with("*."), "is a wildcard", help)?;
    domain(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets() {
        for (text, host, port) in [
            ("127.0.0.1:443", "127.0.0.1", 443),
            ("[::1]:8443", "::1", 8443),
            ("WWW.example.com:25", "www.example.com", 25),
            ("localhost:1", "localhost", 1),
        ] {
            assert_eq!(target(text).unwrap(), Target::Host(host.into(), port), "{text}");
        }
        assert_eq!(target("unix:/run/x.sock").unwrap(), Target::Unix("/run/x.sock".into()));
        for (text, what) in [
            ("", "has no valid host"),
            ("www.example.com", "has no port"),
            ("www.example.com:", "has no valid port"),
            ("www.example.com:0", "has no valid port"),
            ("www.example.com:70000", "has no valid port"),
            ("::1:443", "has no valid host"),
            ("[::1]", "has no port"),
            ("https://www.example.com", "is not a host and a port"),
            ("www.example.com:443/x", "is not a host and a port"),
            ("a b:443", "has no valid host"),
            ("unix:x.sock", "is not an absolute path"),
        ] {
            assert_eq!(target(text).unwrap_err().what, what, "{text}");
        }
    }

    #[test]
    fn server_names() {
        assert_eq!(server_name("WWW.Example.com").as_deref().ok(), Some("www.example.com"));
        assert_eq!(server_name("192.0.2.1").as_deref().ok(), Some("192.0.2.1"));
        for text in ["", "*.example.com", "a b", "x@example.com"] {
            assert!(server_name(text).is_err(), "{text}");
        }
    }
}
