//! `[http]`, `[push]`, `[dns]` and `[log]`.

use std::net::SocketAddr;

use super::secret;
use crate::config::address::{listen, request_path};
use crate::config::parse::diagnostic::{Diagnostic, Span};
use crate::config::parse::reader::Table;
use crate::config::value::{InvalidValue, log_filter};
use certcollectd_core::config::{Dns, Http, Log, LogFormat, Push};

/// A listener and the place of its address.
pub(crate) type Bound<T> = Option<(T, Span)>;

pub(crate) fn http(table: &Table<'_>) -> Bound<Http> {
    let (listen, at) = address(table, "127.0.0.1:9797")?;
    Some((Http { listen }, at))
}

pub(crate) fn push(table: &Table<'_>) -> Bound<Push> {
    let address = address(table, "127.0.0.1:9798");
    let path = table.parse("path", "a path in quotes, such as \"/push\"", request_path);
    let (user, password) = secret::login(table, ["user", "password"]);
    let (listen, at) = address?;
    let asks = table.get("user").is_some() || table.get("password").is_some();
    if !asks && !listen.ip().to_canonical().is_loopback() {
        Diagnostic::warning("[push] requires no password and is reachable from other hosts", at)
            .help(
                "anyone who reaches it can trigger polls and raise false alarms: agree on a user and password \
                 with the vendor, or listen on 127.0.0.1 behind a server that requires them",
            )
            .add_to(table.diagnostics());
    }
    let path = path.unwrap_or_else(|| Push::PATH.to_owned());
    Some((Push { listen, path, user, password }, at))
}

fn address(table: &Table<'_>, example: &str) -> Option<(SocketAddr, Span)> {
    let help = format!("an address with a port, such as listen = {example:?}");
    let item = table.need("listen", &help)?;
    Some((item.parse(&help, listen)?, item.at))
}

/// Two listeners on one port: the second would fail at start.
pub(crate) fn conflict(http: &Bound<Http>, push: &Bound<Push>) -> Option<Diagnostic> {
    let ((http, http_at), (push, push_at)) = (http.as_ref()?, push.as_ref()?);
    let (one, other) = (http.listen, push.listen);
    let is_same_host = one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    let is_conflict = one.port() != 0 && one.port() == other.port() && is_same_host;
    is_conflict.then(|| {
        Diagnostic::error("[http] and [push] listen on the same port", *push_at)
            .also(*http_at, "the other one")
            .help("give one of them another port")
    })
}

pub(crate) fn dns(table: &Table<'_>) -> Dns {
    let help =
        "IP addresses with a port or without, such as resolver = [\"192.0.2.53\", \"[2001:db8::53]:5353\"]";
    let read = |text: &str| {
        Dns::address(text).ok_or_else(|| InvalidValue::new("is not the address of a resolver", help))
    };
    let resolver = table.get("resolver").map(|item| item.list(help, |element| element.parse(help, read)));
    Dns { resolver: resolver.unwrap_or_default() }
}

pub(crate) fn log(table: &Table<'_>) -> Log {
    let formats = LogFormat::ALL.map(|format| (format.as_str(), format));
    let format = table.get("format").and_then(|item| item.word(&formats));
    let level = table.parse("level", "a level in quotes, such as \"info\"", |text| {
        log_filter(text).map(|()| text.to_owned())
    });
    let standard = Log::default();
    Log { format: format.unwrap_or(standard.format), level: level.unwrap_or(standard.level) }
}
