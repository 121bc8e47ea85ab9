//! The HTTP client of each account: proxy, roots, timeouts, no redirect.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::HeaderValue;
use reqwest::{Certificate, Client, Proxy, Url, redirect, retry};
use rustls_pki_types::CertificateDer;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::leave::Leave;
use super::near::Near;
use super::transport::{self, Route};
use crate::effects::Clock;
use crate::effects::access::{self, Wish};
use crate::effects::blocking;
use crate::effects::files::read_file;
use certcollectd_core::api::{Endpoint, Failure};
use certcollectd_core::cert::{self, Fingerprint, MAX_ANCHORS_INPUT};
use certcollectd_core::config::{Account, Calls, Config};

/// How long an unused connection is kept. The vendor's side closes long before three hours are over.
const IDLE: Duration = Duration::from_secs(90);

/// The clients of all accounts, each made when it is first needed.
#[derive(Debug, Default)]
pub struct Callers {
    clients: HashMap<Arc<str>, Kept>,
    files: HashMap<Arc<str>, Files>,
    /// Nothing where no other host calls for these accounts.
    pub leave: Option<Leave>,
}

/// How an account's files are read.
#[derive(Debug, Clone)]
pub(super) struct Files {
    /// One reader at a time.
    pub(super) permit: Arc<Semaphore>,
    pub(super) password: Near,
    pub(super) proxy_password: Near,
}

/// An account's client, once it was made.
pub(super) type Kept = Arc<Mutex<Option<Made>>>;

/// A client, with what else the calls of an account have in common.
#[derive(Debug, Clone)]
pub(super) struct Made {
    pub(super) client: Client,
    /// Tells another password of the proxy from the one that the client was made with.
    pub(super) proxy_password: Option<Fingerprint>,
    pub(super) route: Arc<Route>,
    urls: Arc<[(Endpoint, Url)]>,
}

impl Made {
    pub(super) fn new(
        account: &Account,
        calls: &Calls,
        proxy_password: Option<&str>,
    ) -> Result<Made, Failure> {
        let url = |endpoint: Endpoint| {
            let url = Url::parse(&format!("{}{}", account.base_url, endpoint.path()));
            let wrong = |error| Failure::Setup(format!("base_url {}: {error}", account.base_url));
            Ok((endpoint, url.map_err(wrong)?))
        };
        Ok(Made {
            client: build(account, calls, proxy_password)?,
            proxy_password: proxy_password.map(|password| Fingerprint::of(password.as_bytes())),
            route: Arc::new(Route::new(account, calls.connect_timeout)),
            urls: Endpoint::ALL.into_iter().map(url).collect::<Result<_, Failure>>()?,
        })
    }

    pub(super) fn url(&self, endpoint: Endpoint) -> Url {
        let found = self.urls.iter().find(|(known, _)| *known == endpoint);
        found.map(|(_, url)| url.clone()).expect("each endpoint has one")
    }
}

/// All that one call needs, so that it can run on its own.
#[derive(Debug)]
pub struct Prepared {
    pub(super) client: Kept,
    pub(super) account: Arc<Account>,
    pub(super) calls: Calls,
    pub(super) files: Files,
    pub(super) clock: Clock,
    pub(super) leave: Option<Leave>,
}

impl Callers {
    /// Forgets the clients whose account or limits are not as they were. Who waits for the files of such an account waits
    /// no longer for what hangs: it may be other files now.
    pub fn reconfigure(&mut self, before: &Config, after: &Config) {
        let same =
            |name: &Arc<str>| before.account(name).is_some() && before.account(name) == after.account(name);
        self.clients.retain(|name, _| before.calls == after.calls && same(name));
        self.files.retain(|name, _| same(name));
    }

    /// After a call without an answer the next one is made on a connection of its own, and what the kernel
    /// may still send on the old one ends with the user timeout. The roots are read again: the operator may
    /// have fixed them.
    pub fn forget(&mut self, account: &str) {
        self.clients.remove(account);
    }

    /// Looks up what a call on this account needs; what needs files is read when it is made.
    pub fn prepare(&mut self, account: &Arc<Account>, calls: &Calls, clock: Clock) -> Prepared {
        let client = self.clients.entry(account.name.clone()).or_default().clone();
        let files = self.files(&account.name);
        let leave = self.leave.clone();
        Prepared { client, account: account.clone(), calls: *calls, files, clock, leave }
    }

    /// The permit for reading a file of this account.
    pub fn permit(&mut self, account: &Arc<str>) -> Arc<Semaphore> {
        self.files(account).permit
    }

    fn files(&mut self, account: &Arc<str>) -> Files {
        let new = || Files {
            permit: blocking::permit(),
            password: Near::default(),
            proxy_password: Near::default(),
        };
        self.files.entry(account.clone()).or_insert_with(new).clone()
    }
}

fn build(account: &Account, calls: &Calls, proxy_password: Option<&str>) -> Result<Client, Failure> {
    let mut builder = Client::builder()
        .user_agent(concat!("certcollectd/", env!("CARGO_PKG_VERSION")))
        .https_only(true)
        .http1_only()
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .no_proxy()
        .referer(false)
        .connect_timeout(calls.connect_timeout)
        .timeout(calls.request_timeout)
        .tcp_user_timeout(calls.settle)
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(1)
        .dns_resolver(transport::Names)
        .tcp_nodelay(true);
    if let Some(path) = &account.ca_file {
        builder = builder.tls_certs_merge(roots(path)?);
    }
    if let Some(address) = &account.proxy {
        let mut proxy = Proxy::all(address).map_err(|error| Failure::Setup(transport::chain(&error)))?;
        if let (Some(login), Some(password)) = (&account.proxy_login, proxy_password) {
            proxy = match address.starts_with("socks5:") {
                true => proxy.basic_auth(&percent(&login.user), &percent(password)),
                false => proxy.custom_http_auth(basic(&login.user, password)),
            };
        }
        builder = builder.proxy(proxy);
    }
    builder.build().map_err(|error| {
        Failure::Setup(transport::rootless().map_or_else(|| transport::chain(&error), str::to_owned))
    })
}

/// `Proxy-Authorization`; it is sent with CONNECT, and never beyond the proxy.
fn basic(user: &str, password: &str) -> HeaderValue {
    let login = Zeroizing::new(format!("{user}:{password}"));
    let value = Zeroizing::new(format!("Basic {}", STANDARD.encode(login.as_bytes())));
    let mut value = HeaderValue::from_str(&value).expect("base64 is printable ASCII");
    value.set_sensitive(true);
    value
}

/// Each byte percent-encoded: the client puts them into a URL, and leaves a percent sign in there as it is.
fn percent(text: &str) -> Zeroizing<String> {
    let mut encoded = Zeroizing::new(String::with_capacity(3 * text.len()));
    for byte in text.bytes() {
        write!(encoded, "%{byte:02X}").expect("writing to a string");
    }
    encoded
}

/// Why no connection of this account can be made from this machine, to any host: no roots, most often.
pub fn obstacle(account: &Account, calls: &Calls) -> Option<Failure> {
    build(account, calls, None).err()
}

/// The certificates of `ca_file`.
pub fn anchors(path: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let shown = path.display();
    let wrong = |why: String| Failure::Setup(format!("ca_file {shown}: {why}"));
    let pem = read_file(path, MAX_ANCHORS_INPUT)
        .map_err(|error| wrong(access::reason(path, Wish::Read, &error).to_string()))?;
    cert::read_roots(&pem).map_err(|error| wrong(error.to_string()))
}

/// The certificates of `ca_file`, for the HTTP client.
pub fn roots(path: &Path) -> Result<Vec<Certificate>, Failure> {
    let wrong = |error| Failure::Setup(format!("ca_file {}: {}", path.display(), transport::chain(&error)));
    anchors(path)?.iter().map(|root| Certificate::from_der(root).map_err(wrong)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use certcollectd_core::config::SecretSource;

    fn made(base_url: &str) -> Result<Made, Failure> {
        let account = Account {
            name: "main".into(),
            login_name: "login".into(),
            password: Some(SecretSource::File("/nowhere".into())),
            base_url: base_url.into(),
            ca_file: None,
            proxy: None,
            proxy_login: None,
            response: None,
            params: Box::default(),
        };
        Made::new(&account, &Calls::default(), None)
    }

    #[test]
    fn each_endpoint_is_below_the_base_url() {
        let base = "https://vendor.example:8443/api";
        let made = made(base).unwrap();
        for endpoint in Endpoint::ALL {
            assert_eq!(made.url(endpoint).as_str(), format!("{base}{}", endpoint.path()));
        }
    }

    #[test]
    fn a_base_url_that_no_client_takes_is_named() {
        let failure = made("https://256.256.256.256").unwrap_err();
        assert_eq!(failure, Failure::Setup("base_url https://256.256.256.256: invalid IPv4 address".into()));
    }
}
