//! `[[order.probe]]`: which servers are asked whether they serve what is installed.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// One server, or all behind one host name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Probe {
    pub connect: Target,
    /// The name asked for (SNI); `None` is the order's first one.
    pub server_name: Option<Box<str>>,
    /// How the connection is made a TLS one, where it does not begin as such.
    pub starttls: Option<StartTls>,
    /// So long it may take until the server serves what is installed.
    pub within: Duration,
    /// How often it is asked while nothing is installed.
    pub every: Duration,
    pub on_failure: OnProbeFailure,
}

impl Probe {
    pub const WITHIN: Duration = Duration::from_secs(30);
    pub const EVERY: Duration = Duration::from_secs(3600);
    pub const ON_FAILURE: OnProbeFailure = OnProbeFailure::Warn;
    /// The longest [`Probe::within`].
    pub const LONGEST: Duration = Duration::from_secs(600);

    /// Tells an order's probes apart.
    pub fn label(&self) -> String {
        let mut label = self.connect.to_string();
        if let Some(starttls) = self.starttls {
            label.push_str(&format!(" starttls {starttls}"));
        }
        if let Some(name) = &self.server_name {
            label.push_str(&format!(" for {name}"));
        }
        label
    }
}

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// A host name or an IP address without brackets, and a port. Every address of a name is asked.
    Host(Box<str>, u16),
    /// A unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Host(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Target::Host(host, port) => write!(f, "{host}:{port}"),
            Target::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

words! {
    /// How a plain connection is made a TLS one.
    pub enum StartTls {
        /// RFC 3207.
        Smtp = "smtp",
        /// RFC 9051 section 6.2.1.
        Imap = "imap",
        /// RFC 2595 section 4.
        Pop3 = "pop3",
        /// RFC 4511 section 4.14.
        Ldap = "ldap",
        /// SSLRequest of PostgreSQL's frontend/backend protocol.
        Postgres = "postgres",
    }
}

words! {
    /// What follows if a certificate that was just installed is not served.
    pub enum OnProbeFailure {
        /// It is told.
        Warn = "warn",
        /// The generation before it is put back, once.
        Rollback = "rollback",
    }
}
