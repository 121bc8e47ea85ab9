//! Who calls: accounts, their proxies, and where their secrets are read from.

use std::path::PathBuf;
use std::sync::Arc;

use super::Fleet;
use crate::api::Response;

/// One login at the vendor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The operator's name for it.
    pub name: Arc<str>,
    /// `loginName`, at most 64 characters, case sensitive.
    pub login_name: String,
    /// Where the password is read from; the password itself is never part of the configuration. `None` is an account
    /// that is never called: [`Account::fleet`].
    pub password: Option<SecretSource>,
    /// `https://host[:port][/path]` without a trailing slash, a query or user information.
    pub base_url: String,
    /// PEM file with extra roots for the vendor's TLS.
    pub ca_file: Option<PathBuf>,
    /// `http://`, `https://` or `socks5://` proxy; `None` means a direct connection.
    pub proxy: Option<String>,
    /// The login at the proxy; only with [`Account::proxy`].
    pub proxy_login: Option<ProxyLogin>,
    /// In which form answers are asked for; `None` means each product's most robust one. A product that does not
    /// have the form keeps its own.
    pub response: Option<Response>,
    /// Sent along when one of its `ssl` orders is collected.
    pub params: Params,
}

impl Account {
    /// The vendor's current host.
    pub const BASE_URL: &'static str = "https://secure.trust-provider.com";
    /// Hosts of the vendor, where an `interval` below three hours gets a warning.
    pub const VENDOR_HOSTS: [&'static str; 3] =
        ["secure.trust-provider.com", "secure.sectigo.com", "secure.comodo.net"];

    /// What the orders of a follower stand under: it is never called and has no credential.
    pub fn fleet() -> Account {
        Account {
            name: Fleet::ACCOUNT.into(),
            login_name: String::new(),
            password: None,
            base_url: Account::BASE_URL.to_owned(),
            ca_file: None,
            proxy: None,
            proxy_login: None,
            response: None,
            params: Box::default(),
        }
    }

    /// What the operator can do about a refused login.
    pub fn when_refused(&self) -> String {
        format!(
            "fix the cause at the vendor's web site; for a new password: {}; if the current one is right: \
             `certcollectd resume --account {} --same-password` lets one call through",
            self.password_remedy(),
            self.name
        )
    }

    /// How to replace its password.
    pub fn password_remedy(&self) -> String {
        match &self.password {
            Some(source) => source.remedy(),
            None => "this account has none".to_owned(),
        }
    }

    /// Everything secret that its calls need, with the key that names it.
    pub fn secrets(&self) -> impl Iterator<Item = (&'static str, &SecretSource)> {
        let proxy = self.proxy_login.as_ref().map(|login| ("proxy_password", &login.password));
        self.password.iter().map(|password| ("password", password)).chain(proxy)
    }
}

/// Names and values, in the order in which they were written. A name occurs once, whatever its case.
pub type Params = Box<[(Box<str>, Box<str>)]>;

/// `proxy_user` and `proxy_password`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyLogin {
    /// Without a colon; 1 to 255 bytes.
    pub user: String,
    pub password: SecretSource,
}

impl ProxyLogin {
    /// A longer name or password has no place in the login of SOCKS5 (RFC 1929).
    pub const LONGEST: usize = 255;
}

/// Where a secret is read from, each time it is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// A file; one trailing line end is not part of the secret.
    File(PathBuf),
    /// A systemd credential: a file of this name in `$CREDENTIALS_DIRECTORY`.
    Credential(String),
    Env(String),
}

impl SecretSource {
    /// The source in words.
    pub fn describe(&self) -> String {
        match self {
            SecretSource::File(path) => path.display().to_string(),
            SecretSource::Credential(name) => format!("credential {name}"),
            SecretSource::Env(name) => format!("environment variable {name}"),
        }
    }

    /// What to do about a secret that cannot be read.
    pub fn when_unread(&self) -> String {
        match self {
            SecretSource::File(_) => {
                "write the password into it, readable by the daemon's user; the daemon tries it at once"
                    .into()
            }
            SecretSource::Credential(_) | SecretSource::Env(_) => self.remedy(),
        }
    }

    /// How to replace the secret.
    pub fn remedy(&self) -> String {
        match self {
            SecretSource::File(path) => {
                format!("write it into {} (it is tried at once)", path.display())
            }
            SecretSource::Credential(name) => format!(
                "write it to the file that LoadCredential={name}: in the unit names, then `systemctl restart certcollectd`"
            ),
            SecretSource::Env(name) => {
                format!("set {name} in the daemon's environment, then restart the daemon")
            }
        }
    }
}
