//! Text to address: URLs, host names, domains, e-mail addresses, listening sockets.
//!
//! A URL can carry a password, so no message here repeats one.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::value::{InvalidValue, file_path, refuse, refuse_if};
use certcollectd_core::api::Endpoint;
use certcollectd_core::config::fleet::StoreKind;

/// Bytes that the kernel takes as the path of a unix socket, its closing zero left out.
const SOCKET_PATH_BYTES: usize = 107;

/// A URL taken apart as far as it matters here.
struct Url<'a> {
    scheme: String,
    authority: &'a str,
    /// Path, query and fragment.
    rest: &'a str,
}

fn split<'a>(text: &'a str, help: &str) -> Result<Url<'a>, InvalidValue> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    refuse_if(!is_plain, "contains spaces or non-ASCII characters", help)?;
    let Some((scheme, after)) = text.split_once("://") else { return refuse("is not a URL", help) };
    let end = after.find(['/', '?', '#']).unwrap_or(after.len());
    Ok(Url { scheme: scheme.to_ascii_lowercase(), authority: &after[..end], rest: &after[end..] })
}

/// `host` or `host:port`, in lower case.
pub(super) fn host_port(authority: &str, help: &str) -> Result<String, InvalidValue> {
    let no_user = "remove the part before the @";
    refuse_if(has_user_info(authority), "contains a user name or password", no_user)?;
    let (host, port) = match authority.strip_prefix('[') {
        Some(inner) => {
            let Some((address, port)) = inner.split_once(']') else {
                return refuse("has no closing bracket after the address", help);
            };
            let is_address = address.parse::<Ipv6Addr>().is_ok();
            refuse_if(!is_address, "has no valid address between the brackets", help)?;
            (&authority[..address.len() + 2], port)
        }
        None => {
            let end = authority.find(':').unwrap_or(authority.len());
            (&authority[..end], &authority[end..])
        }
    };
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let is_host = host.starts_with('[') || !host.is_empty() && host.chars().all(is_allowed);
    refuse_if(!is_host, "has no valid host", help)?;
    let is_port = |digits: &str| {
        digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.parse::<u16>().is_ok_and(|port| port > 0)
    };
    refuse_if(!port.is_empty() && !port.strip_prefix(':').is_some_and(is_port), "has no valid port", help)?;
    Ok(authority.to_ascii_lowercase())
}

/// The vendor's address: https, nothing but host, port and path, no slash at the end.
pub(super) fn base_url(text: &str) -> Result<String, InvalidValue> {
    let help = "write it like \"https://secure.trust-provider.com\"";
    let url = split(text, help)?;
    let https = "the request carries the login, so it must begin with https://";
    refuse_if(url.scheme != "https", "is not https", https)?;
    let host = host_port(url.authority, help)?;
    refuse_if(url.rest.contains(['?', '#']), "has a query or a fragment", help)?;
    let path = url.rest.trim_end_matches('/');
    if let Some(front) = without_endpoint(path) {
        let help = format!("endpoint paths are appended to it: \"https://{host}{front}\"");
        return refuse("contains the path of an endpoint", help);
    }
    Ok(format!("https://{host}{path}"))
}

/// What stands in front of an endpoint's path, or of the beginning of one, at the end of a path.
fn without_endpoint(path: &str) -> Option<&str> {
    let beginnings = Endpoint::ALL.into_iter().flat_map(|endpoint| {
        let whole = endpoint.path();
        whole.match_indices('/').skip(1).map(|(at, _)| &whole[..at]).chain([whole])
    });
    let longest = beginnings.filter(|beginning| ends_with(path, beginning)).map(str::len).max()?;
    Some(&path[..path.len() - longest])
}

fn ends_with(path: &str, end: &str) -> bool {
    let at = path.len().checked_sub(end.len());
    at.and_then(|at| path.get(at..)).is_some_and(|tail| tail.eq_ignore_ascii_case(end))
}

/// The host of what [`base_url`] returned.
pub(super) fn host_of(base_url: &str) -> &str {
    let after = base_url.split_once("://").map_or(base_url, |(_, after)| after);
    let authority = after.split('/').next().unwrap_or_default();
    if authority.starts_with('[') {
        return authority.split_inclusive(']').next().unwrap_or_default();
    }
    authority.split(':').next().unwrap_or_default()
}

/// A proxy: scheme, host and port.
pub(super) fn proxy(text: &str) -> Result<String, InvalidValue> {
    let help = "write it like \"http://proxy.example.com:3128\"; http, https and socks5 are known";
    let url = split(text, help)?;
    refuse_if(!matches!(url.scheme.as_str(), "http" | "https" | "socks5"), "has an unknown scheme", help)?;
    let host = host_port(url.authority, help).map_err(|wrong| match has_user_info(url.authority) {
        true => InvalidValue {
            help: format!("{}; use proxy_user and proxy_password instead", wrong.help),
            ..wrong
        },
        false => wrong,
    })?;
    refuse_if(!matches!(url.rest, "" | "/"), "has more than a host and a port", help)?;
    Ok(format!("{}://{host}", url.scheme))
}

/// What a hook may call.
pub(super) fn hook_url(text: &str) -> Result<String, InvalidValue> {
    let help = "http://, https:// or http+unix:// and an address, such as \
                \"http+unix:///run/docker.sock/containers/web/kill?signal=HUP\"";
    let url = split(text, help)?;
    match url.scheme.as_str() {
        "http" | "https" => {
            host_port(url.authority, help)?;
        }
        "http+unix" => {
            let is_socket = url.authority.is_empty() && url.rest.starts_with('/') && url.rest.len() > 1;
            let help = "http+unix:// is followed by the absolute path of the socket, so three slashes in all";
            refuse_if(!is_socket, "does not name a socket", help)?;
        }
        _ => return refuse("has an unknown scheme", help),
    }
    refuse_if(url.rest.contains('#'), "has a fragment", "remove the part after #; it is never sent")?;
    Ok(text.to_owned())
}

/// Whether a hook may call it, over TCP.
pub fn is_web_address(text: &str) -> bool {
    let is_web = ["http://", "https://"]
        .iter()
        .any(|scheme| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)));
    is_web && hook_url(text).is_ok()
}

/// The method of a hook's call, in upper case.
pub(super) fn method(text: &str) -> Result<String, InvalidValue> {
    let is_method = (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphabetic());
    refuse_if(!is_method, "is not an HTTP method", "such as \"POST\" or \"PUT\"")?;
    Ok(text.to_ascii_uppercase())
}

/// Where a fleet's store is reached: scheme, host and port, and for PostgreSQL a database.
pub(super) fn store_endpoint(text: &str, store: StoreKind) -> Result<Box<str>, InvalidValue> {
    let help = match store {
        StoreKind::Etcd => "write it like \"https://10.0.0.1:2379\"",
        StoreKind::Postgres => "write it like \"postgres://10.0.0.1:5432/certcollectd\"",
    };
    let url = split(text, help)?;
    let is_known = match store {
        StoreKind::Etcd => matches!(url.scheme.as_str(), "http" | "https"),
        StoreKind::Postgres => url.scheme == "postgres",
    };
    refuse_if(!is_known, "has a scheme that is not the store's", help)?;
    let login = "remove the part before the @; use user and password of [fleet] instead";
    refuse_if(has_user_info(url.authority), "contains a user name or password", login)?;
    let host = host_port(url.authority, help)?;
    refuse_if(host.len() == host_of(text).len(), "has no port", help)?;
    let database = match store {
        StoreKind::Etcd => {
            refuse_if(!matches!(url.rest, "" | "/"), "has more than a host and a port", help)?;
            ""
        }
        StoreKind::Postgres => {
            let name = url.rest.strip_prefix('/').unwrap_or_default();
            refuse_if(name.is_empty(), "names no database", help)?;
            refuse_if(name.contains(['/', '?', '#', '%']), "has more than the name of a database", help)?;
            url.rest
        }
    };
    Ok(format!("{}://{host}{database}", url.scheme).into())
}

/// Whether the host of a URL is this one.
pub(super) fn is_loopback(url: &str) -> bool {
    let host = host_of(url);
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.to_canonical().is_loopback())
}

/// Whether a URL may hold a password, so that it is better not shown.
pub(super) fn has_user_info(text: &str) -> bool {
    text.contains('@')
}

/// The path that the vendor's push calls.
pub(super) fn request_path(text: &str) -> Result<String, InvalidValue> {
    let help = "such as \"/push\"";
    refuse_if(!text.starts_with('/'), "does not begin with a slash", help)?;
    let is_path = !text.contains(['?', '#']) && text.bytes().all(|byte| byte.is_ascii_graphic());
    refuse_if(!is_path, "is more than a path", help)?;
    Ok(text.to_owned())
}

/// Address and port to listen on.
pub(super) fn listen(text: &str) -> Result<SocketAddr, InvalidValue> {
    text.parse().map_err(|_| {
        let port = text.rsplit(':').next().filter(|port| port.parse::<u16>().is_ok());
        let port = port.unwrap_or("9797");
        InvalidValue::new(
            "is not an address with a port",
            format!("\"127.0.0.1:{port}\" for this host only, \"0.0.0.0:{port}\" or \"[::]:{port}\" for all"),
        )
    })
}

/// The path of a unix socket fits into what the kernel takes.
pub(super) fn socket_path(text: &str) -> Result<std::path::PathBuf, InvalidValue> {
    let path = file_path(text)?;
    if path.as_os_str().len() > SOCKET_PATH_BYTES {
        let what = format!("is longer than {SOCKET_PATH_BYTES} bytes");
        return refuse(what, "the kernel accepts no longer path for a socket");
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn what<T: std::fmt::Debug>(result: Result<T, InvalidValue>) -> String {
        result.unwrap_err().what
    }

    #[test]
    fn base_urls() {
        for (text, expected) in [
            ("https://secure.trust-provider.com", "https://secure.trust-provider.com"),
            ("https://secure.trust-provider.com///", "https://secure.trust-provider.com"),
            ("HTTPS://Host.Example:8443/Path/", "https://host.example:8443/Path"),
            ("https://[::1]:8443", "https://[::1]:8443"),
        ] {
            assert_eq!(base_url(text).as_deref(), Ok(expected));
        }
        for (text, expected) in [
            ("secure.trust-provider.com", "is not a URL"),
            ("http://secure.trust-provider.com", "is not https"),
            ("https://", "has no valid host"),
            ("https:///path", "has no valid host"),
            ("https://a b", "contains spaces or non-ASCII characters"),
            ("https://u:p@host", "contains a user name or password"),
            ("https://host:", "has no valid port"),
            ("https://host:0", "has no valid port"),
            ("https://host:+80", "has no valid port"),
            ("https://host:70000", "has no valid port"),
            ("https://[::1", "has no closing bracket after the address"),
            ("https://[x]", "has no valid address between the brackets"),
            ("https://[::1]x", "has no valid port"),
            ("https://ho%st", "has no valid host"),
            ("https://host?x=1", "has a query or a fragment"),
            ("https://host/#x", "has a query or a fragment"),
        ] {
            assert_eq!(what(base_url(text)), expected, "{text}");
        }
    }

    #[test]
    fn the_host_of_a_base_url() {
        assert_eq!(host_of("https://secure.sectigo.com:443/x"), "secure.sectigo.com");
        assert_eq!(host_of("https://secure.sectigo.com"), "secure.sectigo.com");
        assert_eq!(host_of("https://[::1]:8443"), "[::1]");
    }

    #[test]
    fn proxies() {
        assert_eq!(proxy("http://proxy:3128/").as_deref(), Ok("http://proxy:3128"));
        assert_eq!(proxy("socks5://10.0.0.1:1080").as_deref(), Ok("socks5://10.0.0.1:1080"));
        for text in ["proxy:3128", "ftp://proxy", "http://u:p@proxy", "http://proxy/x", "http://proxy?x"] {
            assert!(proxy(text).is_err(), "{text}");
        }
    }

    #[test]
    fn hook_urls() {
        for text in [
            "http://127.0.0.1:8080/reload?x=1",
            "https://example.com",
            "http+unix:///run/docker.sock/containers/web/kill?signal=HUP",
        ] {
            assert_eq!(hook_url(text).as_deref(), Ok(text));
        }
        for text in
            ["", "file:///x", "http+unix://run/docker.sock", "http+unix:///", "http://h/#x", "http://u@h/"]
        {
            assert!(hook_url(text).is_err(), "{text}");
        }
        assert_eq!(method("post").as_deref(), Ok("POST"));
        assert!(method("PO ST").is_err());
    }

    #[test]
    fn listening_addresses() {
        assert!(listen("127.0.0.1:9797").is_ok());
        assert!(listen("[::1]:0").is_ok());
        assert!(listen("localhost:8080").unwrap_err().help.contains("127.0.0.1:8080"));
        assert!(listen("9797").unwrap_err().help.contains("127.0.0.1:9797"));
    }

    #[test]
    fn request_paths_and_sockets() {
        assert!(request_path("/push").is_ok());
        for text in ["", "push", "/push?x", "/pu sh"] {
            assert!(request_path(text).is_err(), "{text}");
        }
        assert!(socket_path("/run/x.sock").is_ok());
        assert!(socket_path(&format!("/{}", "x".repeat(107))).is_err());
    }
}
