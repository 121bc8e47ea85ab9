//! Why a call did not reach the vendor: the peer, the cause, and the one thing to do.
//!
//! The cause is taken from the types of the client's errors; the sentence is a pure function of cause and route.

mod inquiry;
mod names;

use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind};
use std::time::Duration;

use rustls::{AlertDescription, CertificateError, InvalidMessage, PeerIncompatible};

use certcollectd_core::api::{Failure, Untrusted};
use certcollectd_core::config::Account;
use certcollectd_core::engine::time::rfc3339;

pub(in crate::effects) use self::names::Names;

/// The way of an account's calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Route {
    /// The vendor's `host:port`.
    host: String,
    /// `scheme://host:port`.
    proxy: Option<String>,
    /// The proxy's user, and how a new password takes effect.
    proxy_login: Option<(Untrusted, String)>,
    ca_file: Option<String>,
    connect_timeout: Duration,
}

/// Why there was no way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cause {
    /// A name that could not be looked up.
    NoName {
        name: String,
        why: Untrusted,
    },
    /// A port without a listener.
    Refused,
    /// A network or host to which there is no route.
    Unreachable,
    /// The machine's own rules.
    Forbidden,
    /// Nothing within `connect_timeout`.
    Slow,
    /// Closed before TLS was agreed.
    Closed,
    /// The proxy made no tunnel; with the HTTP status, if it is known.
    NoTunnel(Option<u16>),
    /// A SOCKS proxy wants a login, or refuses ours.
    NoLogin,
    /// The first bytes of the answer are no TLS.
    NotTls,
    /// No trusted issuer; the certificate's highest issuer, if it was seen.
    UnknownIssuer(Option<Untrusted>),
    /// The end of the certificate and this machine's time, UNIX seconds.
    Expired(Option<Span>),
    /// The begin of the certificate and this machine's time, UNIX seconds.
    NotYetValid(Option<Span>),
    /// A certificate for these names.
    WrongName(Untrusted),
    /// No version or cipher in common.
    Incompatible,
    /// The other side broke the handshake off.
    Alert(AlertDescription),
    /// Anything else about TLS.
    Tls(Untrusted),
    Other(Untrusted),
}

/// A limit of a certificate, and the time of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    limit: i64,
    now: i64,
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, and this machine's clock says {}", rfc3339(self.limit), rfc3339(self.now))
    }
}

impl Route {
    pub(super) fn new(account: &Account, connect_timeout: Duration) -> Route {
        Route {
            host: with_port(&account.base_url, 443),
            proxy: account.proxy.clone(),
            proxy_login: account
                .proxy_login
                .as_ref()
                .map(|login| (Untrusted::new(&login.user), login.password.remedy())),
            ca_file: account.ca_file.as_ref().map(|path| path.display().to_string()),
            connect_timeout,
        }
    }

    /// The peer of the first connection.
    fn peer(&self) -> String {
        match &self.proxy {
            Some(proxy) => format!("the proxy {proxy}"),
            None => self.host.clone(),
        }
    }

    /// The vendor's `host:port`.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Who sent how much within the time for the call; without a status, nothing.
    pub(super) fn silent(&self, status: u16, bytes: usize) -> String {
        let through =
            self.proxy.as_ref().map(|proxy| format!(" through the proxy {proxy}")).unwrap_or_default();
        match status {
            0 => format!("{} sent nothing{through}", self.host),
            _ => format!("{} sent HTTP {status} and {bytes} bytes of its answer{through}", self.host),
        }
    }

    /// The cause with what the client's error does not tell.
    pub(super) async fn asked(&self, cause: Cause) -> Cause {
        inquiry::ask(self, cause).await
    }
}

/// Why no client for TLS can be made on this machine, where that is for want of roots.
pub(crate) fn rootless() -> Option<&'static str> {
    rustls_native_certs::load_native_certs()
        .certs
        .is_empty()
        .then_some("this system has no trusted roots for TLS; install ca-certificates, or set SSL_CERT_FILE")
}

/// An error and what is behind it, to the bottom: an error of the system may hold another one.
pub(in crate::effects) fn causes<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| {
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        inner.map(|inner| inner as &(dyn Error + 'static)).or_else(|| error.source())
    })
}

/// An error with its causes, each said once.
pub(in crate::effects) fn chain(error: &dyn Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    for error in std::iter::successors(Some(error), |&error| error.source()) {
        let text = error.to_string();
        if !parts.iter().any(|part| part.contains(&text)) {
            parts.push(text);
        }
    }
    // Some of the TLS library's texts end in the address of a manual for programmers.
    for part in &mut parts {
        part.truncate(part.find(": https://docs.rs/").unwrap_or(part.len()));
    }
    // The first words are the client's own ("error sending request"); the causes say more.
    let start = usize::from(parts.len() > 1);
    Untrusted::new(&parts[start..].join(": ")).to_string()
}

/// What kept a connection from coming about, in types. `None` if it did come about.
pub(super) fn cause(error: &reqwest::Error, route: &Route) -> Option<Cause> {
    if !error.is_connect() {
        return None;
    }
    let mut of_system = None;
    for error in causes(error) {
        if let Some(names::Unknown { name, why }) = error.downcast_ref() {
            return Some(Cause::NoName { name: name.clone(), why: why.clone() });
        }
        if let Some(error) = error.downcast_ref::<rustls::Error>() {
            return Some(of_tls(error));
        }
        if let Some(error) = error.downcast_ref::<io::Error>() {
            of_system = of_kind(error.kind()).or(of_system);
        }
    }
    Some(match of_system {
        Some(cause) => cause,
        None if error.is_timeout() => Cause::Slow,
        None if route.proxy.is_some() => of_proxy(&chain(error)),
        None => Cause::Other(Untrusted::new(&chain(error))),
    })
}

/// How a connection ended that had come about, where the system says so. The kernel's own limit is not that of the call.
pub(super) fn broken(error: &(dyn Error + 'static)) -> Option<&'static str> {
    let mut of_system = causes(error).filter_map(|error| error.downcast_ref::<io::Error>());
    of_system.find_map(|error| match error.kind() {
        // The client's own limit is an error of this kind as well, but not one of the system's.
        ErrorKind::TimedOut if error.raw_os_error().is_some() => {
            Some("nothing that was sent was acknowledged within `settle`; is the network to it interrupted?")
        }
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => {
            Some("the network to it is interrupted")
        }
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::UnexpectedEof => Some("it closed the connection"),
        _ => None,
    })
}

/// Any other failure between us and a proxy is its refusal. The client does not export the type, so its text must do.
fn of_proxy(words: &str) -> Cause {
    // hyper-util's `TunnelError` and, for SOCKS5, `AuthError`.
    const LOGIN: [&str; 3] =
        ["credentials not accepted", "user/pass authentication", "implements authentication incorrectly"];
    if words.contains("proxy authorization required") {
        Cause::NoTunnel(Some(407))
    } else if LOGIN.iter().any(|login| words.contains(login)) {
        Cause::NoLogin
    } else {
        Cause::NoTunnel(None)
    }
}

fn of_kind(kind: ErrorKind) -> Option<Cause> {
    match kind {
        ErrorKind::ConnectionRefused => Some(Cause::Refused),
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => {
            Some(Cause::Unreachable)
        }
        ErrorKind::PermissionDenied => Some(Cause::Forbidden),
        ErrorKind::TimedOut => Some(Cause::Slow),
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::UnexpectedEof => Some(Cause::Closed),
        _ => None,
    }
}

fn of_tls(error: &rustls::Error) -> Cause {
    let seconds = |time: &rustls_pki_types::UnixTime| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    match error {
        rustls::Error::InvalidCertificate(error) => match error {
            CertificateError::UnknownIssuer => Cause::UnknownIssuer(None),
            CertificateError::Expired => Cause::Expired(None),
            CertificateError::ExpiredContext { time, not_after } => {
                Cause::Expired(Some(Span { limit: seconds(not_after), now: seconds(time) }))
            }
            CertificateError::NotValidYet => Cause::NotYetValid(None),
            CertificateError::NotValidYetContext { time, not_before } => {
                Cause::NotYetValid(Some(Span { limit: seconds(not_before), now: seconds(time) }))
            }
            CertificateError::NotValidForNameContext { presented, .. } => {
                Cause::WrongName(Untrusted::new(&presented.join(", ")))
            }
            // A certificate that is its own authority and not among the roots.
            CertificateError::Other(error)
                if matches!(error.0.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity)) =>
            {
                Cause::UnknownIssuer(None)
            }
            other => Cause::Tls(Untrusted::new(&other.to_string())),
        },
        rustls::Error::InvalidMessage(
            InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
        ) => Cause::NotTls,
        rustls::Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) => Cause::Incompatible,
        rustls::Error::AlertReceived(
            AlertDescription::ProtocolVersion | AlertDescription::HandshakeFailure,
        ) => Cause::Incompatible,
        rustls::Error::AlertReceived(alert) => Cause::Alert(*alert),
        other => Cause::Tls(Untrusted::new(&other.to_string())),
    }
}

impl Route {
    /// The failure of a call that found no way.
    pub(super) fn failure(&self, cause: &Cause) -> Failure {
        let (host, peer) = (&self.host, self.peer());
        // Behind an https proxy there are two of them, and the error does not say whose certificate it was.
        let owner = match &self.proxy {
            Some(proxy) if proxy.starts_with("https://") => format!("{host} (or of the proxy {proxy})"),
            Some(proxy) => format!("{host}, reached by the proxy {proxy},"),
            None => host.clone(),
        };
        let clock = "set this machine's clock (timedatectl shows whether it is synchronized)";
        match cause {
            Cause::NoName { name, why } => {
                let of_proxy =
                    self.proxy.as_ref().is_some_and(|proxy| name_of(&with_port(proxy, 80)) == name);
                let key = if of_proxy { "proxy" } else { "base_url" };
                Failure::Connect(format!(
                    "the name {name} cannot be resolved ({why}); is it right in {key}? The name servers are those of \
                     /etc/resolv.conf"
                ))
            }
            Cause::Refused => Failure::Connect(format!(
                "{peer} refuses the connection: nothing listens on that port, or a firewall blocks it"
            )),
            Cause::Unreachable => Failure::Connect(format!(
                "there is no route to {peer}: check this machine's network and routes"
            )),
            Cause::Forbidden => Failure::Connect(format!(
                "this machine blocks connections to {peer}: check its firewall, and IPAddressDeny= of the unit"
            )),
            Cause::Slow => Failure::Connect(format!(
                "{peer} does not answer within connect_timeout ({}): a firewall that drops packets looks like this",
                humantime::format_duration(self.connect_timeout)
            )),
            Cause::Closed => Failure::Connect(format!(
                "{peer} closes the connection during the TLS handshake: a firewall that blocks the name {} does that, and so \
                 does a port that is not for https",
                name_of(host)
            )),
            Cause::NoTunnel(Some(407)) | Cause::NoLogin => {
                let status = if matches!(cause, Cause::NoLogin) { "" } else { " (HTTP 407)" };
                match &self.proxy_login {
                    Some((user, remedy)) => Failure::Connect(format!(
                        "{peer} refuses the login of proxy_user \"{user}\"{status}; is it the right one? A new password: {remedy}"
                    )),
                    None => Failure::Connect(format!(
                        "{peer} requires a login{status}: set proxy_user and proxy_password"
                    )),
                }
            }
            Cause::NoTunnel(status) => {
                let status = status.map(|status| format!(": HTTP {status} to CONNECT")).unwrap_or_default();
                Failure::Connect(format!(
                    "{peer} does not open a tunnel to {host}{status}; its administrator must allow it, or `proxy` is wrong"
                ))
            }
            Cause::NotTls => Failure::Tls(format!(
                "something that is not TLS answers at {host}: a captive portal, or a port for plain HTTP?"
            )),
            Cause::UnknownIssuer(issuer) => {
                let by = issuer.as_ref().map(|issuer| format!(", but by \"{issuer}\"")).unwrap_or_default();
                let remedy = match &self.ca_file {
                    Some(path) => format!("is the right root in ca_file {path}?"),
                    None => {
                        "if a proxy or firewall inspects TLS, put its root into a ca_file of the account; \
                             else install ca-certificates"
                            .to_owned()
                    }
                };
                Failure::Tls(format!(
                    "the certificate of {owner} was not issued by a trusted CA{by}; {remedy}"
                ))
            }
            Cause::Expired(span) => {
                let dates = span.map(|span| format!(" on {span}")).unwrap_or_default();
                Failure::Tls(format!(
                    "the certificate of {owner} expired{dates}; if the clock is wrong, {clock}; if it is right, the owner of \
                     the certificate must renew it"
                ))
            }
            Cause::NotYetValid(span) => {
                let dates = span.map_or_else(|| "yet".to_owned(), |span| format!("before {span}"));
                Failure::Tls(format!("the certificate of {owner} is not valid {dates}; {clock}"))
            }
            Cause::WrongName(names) => Failure::Tls(format!(
                "the certificate of {owner} is for other names ({names}); is base_url right?"
            )),
            Cause::Incompatible => Failure::Tls(format!(
                "{owner} and certcollectd share no TLS version (1.2, 1.3) or no cipher: is base_url right?"
            )),
            Cause::Alert(alert) => Failure::Tls(format!("{owner} aborts TLS with the alert {alert:?}")),
            Cause::Tls(why) => Failure::Tls(format!("{owner}: {why}")),
            Cause::Other(why) => Failure::Connect(format!("{peer}: {why}")),
        }
    }
}

/// `host:port` of a URL.
fn with_port(url: &str, default: u16) -> String {
    let after = url.split_once("://").map_or(url, |(_, after)| after);
    let authority = after.split('/').next().unwrap_or_default();
    // In front of the bracket the colons are those of an IPv6 address.
    let has_port = authority.rsplit(']').next().is_some_and(|end| end.contains(':'));
    if has_port { authority.to_owned() } else { format!("{authority}:{default}") }
}

/// The name in `host:port`.
fn name_of(host: &str) -> &str {
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

#[cfg(test)]
mod tests;
