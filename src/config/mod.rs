//! The configuration as meant: typed, complete, every default resolved. Plain data.
//!
//! The text form, and everything that can be wrong with it, lives in [`mod@file`]. Nothing here reads a
//! file; the caller brings the text.

mod account;
mod address;
mod cross;
pub mod file;
mod hook;
pub mod invisible;
mod keys;
mod listener;
mod order;
mod output;
mod params;
pub mod point;
mod polling;
mod problem;
mod reader;
mod render;
mod secret;
mod signal;
mod syntax;
mod value;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::api::{Handle, Product, Response};

pub use signal::HookSignal;

/// The whole configuration, after all included files were read and all names were resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Where `state.db`, the lock, the control socket and the quarantine live. Absolute.
    pub state_dir: PathBuf,
    /// Where an order named `www` appears as `<install_dir>/www/`. Absolute.
    pub install_dir: PathBuf,
    /// What holds for every call.
    pub calls: Calls,
    /// How often an order is asked about that says nothing else.
    pub cadence: Cadence,
    /// At least one; names are unique.
    pub accounts: Vec<Arc<Account>>,
    /// In the order in which they were written; names are unique.
    pub orders: Vec<Order>,
    /// Names are unique.
    pub hooks: Vec<Arc<Hook>>,
    /// The optional listener for metrics, health and status.
    pub http: Option<Http>,
    /// The optional listener for the vendor's push notifications.
    pub push: Option<Push>,
    /// Whom `doctor` asks.
    pub dns: Dns,
    /// How to log.
    pub log: Log,
}

impl Config {
    /// See [`Config::state_dir`].
    pub const STATE_DIR: &'static str = "/var/lib/certcollectd";
    /// See [`Config::install_dir`].
    pub const INSTALL_DIR: &'static str = "/etc/ssl/certcollectd";
}

/// "1 order", "2 orders".
pub fn count<N: TryInto<i64>>(number: N, what: &str) -> String {
    let number = number.try_into().unwrap_or(i64::MAX);
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {what}{s}")
}

/// Whether an order, an account or a hook may have this name.
pub fn is_name(text: &str) -> bool {
    value::name(text).is_ok()
}

/// A name as [`Order::domains`] holds it, if it is one.
pub fn normal_domain(text: &str) -> Option<Box<str>> {
    address::domain(text).ok()
}

/// The part of `[polling]` that belongs to the account and not to one order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calls {
    /// Least time between the end of one call of an account and the start of the next.
    pub call_gap: Duration,
    /// Time limit for the TCP and TLS handshakes.
    pub connect_timeout: Duration,
    /// Time limit for one call as a whole: DNS, connect, TLS, headers and body.
    pub request_timeout: Duration,
    /// So long a request may still arrive after we gave up on it: the kernel's user timeout of the connection, and the
    /// least rest of the account after a call without an answer.
    pub settle: Duration,
    /// So many answers in a row that nobody understands, and the order needs attention.
    pub unknown_tries: u32,
    /// As long as more is due, orders that come to owe the same hook share a run up to this.
    pub merge_window: Duration,
}

impl Calls {
    /// Defaults of `[polling]`.
    pub const CALL_GAP: Duration = Duration::from_secs(10);
    /// See [`Calls::connect_timeout`].
    pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
    /// See [`Calls::request_timeout`].
    pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
    /// See [`Calls::settle`].
    pub const SETTLE: Duration = Duration::from_secs(20);
    /// The longest [`Calls::request_timeout`]: a vendor that needs more will not answer at all.
    pub const LONGEST: Duration = Duration::from_secs(600);
    /// The longest [`Calls::settle`].
    pub const LONGEST_SETTLE: Duration = Duration::from_secs(600);
    /// See [`Calls::unknown_tries`].
    pub const UNKNOWN_TRIES: u32 = 10;
    /// See [`Calls::merge_window`].
    pub const MERGE_WINDOW: Duration = Duration::from_secs(120);
}

impl Default for Calls {
    fn default() -> Calls {
        Calls {
            call_gap: Calls::CALL_GAP,
            connect_timeout: Calls::CONNECT_TIMEOUT,
            request_timeout: Calls::REQUEST_TIMEOUT,
            settle: Calls::SETTLE,
            unknown_tries: Calls::UNKNOWN_TRIES,
            merge_window: Calls::MERGE_WINDOW,
        }
    }
}

/// How often one order is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cadence {
    /// Least time between two polls of one order.
    pub interval: Duration,
    /// What back-off and long waits grow to. Never below `interval`.
    pub max_interval: Duration,
    /// How often an installed order is looked at; `None` ends the guard.
    pub guard_interval: Option<Duration>,
    /// By how many thousandths an interval may be stretched, so that orders do not march in step.
    pub spread_permille: u16,
}

impl Cadence {
    /// The vendor's own floor (CollectSSL overview: "no more often than once every 3 hours").
    pub const INTERVAL: Duration = Duration::from_secs(3 * 3600);
    /// See [`Cadence::max_interval`].
    pub const MAX_INTERVAL: Duration = Duration::from_secs(24 * 3600);
    /// See [`Cadence::guard_interval`].
    pub const GUARD_INTERVAL: Duration = Duration::from_secs(24 * 3600);
    /// See [`Cadence::spread_permille`]: ten per cent.
    pub const SPREAD_PERMILLE: u16 = 100;
}

impl Default for Cadence {
    fn default() -> Cadence {
        Cadence {
            interval: Cadence::INTERVAL,
            max_interval: Cadence::MAX_INTERVAL,
            guard_interval: Some(Cadence::GUARD_INTERVAL),
            spread_permille: Cadence::SPREAD_PERMILLE,
        }
    }
}

/// One login at the vendor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The operator's name for it.
    pub name: Arc<str>,
    /// `loginName`, at most 64 characters, case sensitive.
    pub login_name: String,
    /// Where the password is read from; the password itself is never part of the configuration.
    pub password: SecretSource,
    /// `https://host[:port][/path]` without a trailing slash, a query or user information.
    pub base_url: String,
    /// PEM file with extra roots for the vendor's TLS.
    pub ca_file: Option<PathBuf>,
    /// `http://`, `https://` or `socks5://` proxy; `None` means a direct connection.
    pub proxy: Option<String>,
    /// What the proxy is told of who we are; only with [`Account::proxy`].
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

    /// What a person does about a refused login.
    pub fn when_refused(&self) -> String {
        format!(
            "mend the cause at the vendor's web site; a new password: {}; if the one there is right: \
             `certcollectd resume --account {} --same-password` lets one call through",
            self.password.remedy(),
            self.name
        )
    }
}

/// Names and values, in the order in which they were written. A name occurs once, whatever its case.
pub type Params = Box<[(Box<str>, Box<str>)]>;

/// `proxy_user` and `proxy_password`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyLogin {
    /// Without a colon; 1 to 255 bytes.
    pub user: String,
    /// Where its password is read from.
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
    /// A named environment variable.
    Env(String),
}

impl Account {
    /// Everything secret that its calls need, with the key that names it.
    pub fn secrets(&self) -> impl Iterator<Item = (&'static str, &SecretSource)> {
        let proxy = self.proxy_login.as_ref().map(|login| ("proxy_password", &login.password));
        std::iter::once(("password", &self.password)).chain(proxy)
    }
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
                "write the password into it, readable for the daemon's user: it is tried at once".into()
            }
            SecretSource::Credential(_) | SecretSource::Env(_) => self.remedy(),
        }
    }

    /// How another secret gets into force: the one thing to do.
    pub fn remedy(&self) -> String {
        match self {
            SecretSource::File(path) => format!("write it into {}, it is tried at once", path.display()),
            SecretSource::Credential(name) => format!(
                "write it to where the unit's LoadCredential={name}: reads it, then `systemctl restart certcollectd`"
            ),
            SecretSource::Env(name) => {
                format!("set {name} where the daemon gets its environment from, then restart the daemon")
            }
        }
    }
}

/// One order to collect and guard. Kept small: there can be 100,000 of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// `[a-z0-9._-]`, unique; names the directory.
    pub name: Arc<str>,
    /// Name of the account.
    pub account: Arc<str>,
    /// How the vendor knows it.
    pub handle: Handle,
    /// Names that the certificate must cover; lower case, A-labels.
    pub domains: Box<[Box<str>]>,
    /// The private key that the certificate must fit.
    pub key: KeySource,
    /// Further real files that are renamed into place after the swap.
    pub copies: Box<[FileCopy]>,
    /// Everything else; orders that say the same share one value.
    pub settings: Arc<OrderSettings>,
}

impl Order {
    /// Whether nothing says what the certificate must be for: any certificate of the number is installed.
    pub fn is_unpinned(&self) -> bool {
        self.domains.is_empty() && self.key == KeySource::None
    }
}

/// What many orders have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OrderSettings {
    /// Which endpoint collects it.
    pub product: Product,
    /// How often.
    pub cadence: Cadence,
    /// In which form it is asked for; `None` is as its account says.
    pub response: Option<Response>,
    /// Sent along when it is collected; what stands here counts before the same name at its account.
    pub params: Params,
    /// What is written, and how.
    pub files: Files,
    /// What must hold before anything is written.
    pub verify: Verify,
    /// Names of the hooks, in the order in which they run.
    pub hooks: Vec<Arc<str>>,
}

/// Where the order's private key, or what stands for it, is found.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum KeySource {
    /// Not known here: the key check is skipped.
    None,
    /// Candidate key files, of which one must match.
    Keys(Box<[PathBuf]>),
    /// A certificate signing request whose public key must match.
    Csr(PathBuf),
    /// Such a request itself, DER in base64 without armour: an adopted order has the one that was sent.
    Request(Box<str>),
}

/// The files of a generation: a plain file name each, or `None` where it is not wanted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Files {
    /// The end-entity certificate, PEM.
    pub cert: Option<String>,
    /// The intermediates, the leaf's issuer first, without a self-signed root, PEM.
    pub chain: Option<String>,
    /// `cert` and `chain` in one, PEM.
    pub fullchain: Option<String>,
    /// The matching private key as it was found, always mode 0600.
    pub key: Option<String>,
    /// `key` and `fullchain` in one, never wider than 0640.
    pub combined: Option<String>,
    /// The self-signed root, if the answer held it, PEM.
    pub root: Option<String>,
    /// All certificates as a certs-only PKCS#7, DER.
    pub pkcs7: Option<String>,
    /// The end-entity certificate, DER.
    pub der: Option<String>,
    /// User name or number; `None` is the daemon's own.
    pub owner: Option<String>,
    /// Group name or number; `None` is the daemon's own.
    pub group: Option<String>,
    /// Permission bits of every file but `key`.
    pub mode: u32,
}

impl Files {
    /// See [`Files::cert`].
    pub const CERT: &'static str = "cert.pem";
    /// See [`Files::chain`].
    pub const CHAIN: &'static str = "chain.pem";
    /// See [`Files::fullchain`].
    pub const FULLCHAIN: &'static str = "fullchain.pem";
    /// Permission bits where nothing else is configured.
    pub const MODE: u32 = 0o644;
    /// Permission bits of a copied private key, always.
    pub const KEY_MODE: u32 = 0o600;
    /// The widest that a file with a key and more in it may be.
    pub const COMBINED_MODE: u32 = 0o640;

    /// The file name of one kind of content, or `None` where it is not wanted.
    pub fn name(&self, kind: FileKind) -> Option<&str> {
        let name = match kind {
            FileKind::Cert => &self.cert,
            FileKind::Chain => &self.chain,
            FileKind::Fullchain => &self.fullchain,
            FileKind::Key => &self.key,
            FileKind::Combined => &self.combined,
            FileKind::Root => &self.root,
            FileKind::Pkcs7 => &self.pkcs7,
            FileKind::Der => &self.der,
        };
        name.as_deref()
    }
}

impl Default for Files {
    fn default() -> Files {
        Files {
            cert: Some(Files::CERT.to_owned()),
            chain: Some(Files::CHAIN.to_owned()),
            fullchain: Some(Files::FULLCHAIN.to_owned()),
            key: None,
            combined: None,
            root: None,
            pkcs7: None,
            der: None,
            owner: None,
            group: None,
            mode: Files::MODE,
        }
    }
}

/// Which of a generation's files is meant, in `[order.files]` and in `[[order.copy]] from`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FileKind {
    /// See [`Files::cert`].
    Cert,
    /// See [`Files::chain`].
    Chain,
    /// See [`Files::fullchain`].
    Fullchain,
    /// See [`Files::key`].
    Key,
    /// See [`Files::combined`].
    Combined,
    /// See [`Files::root`].
    Root,
    /// See [`Files::pkcs7`].
    Pkcs7,
    /// See [`Files::der`].
    Der,
}

impl FileKind {
    /// All of them, in the order in which they are documented.
    pub const ALL: [FileKind; 8] = [
        FileKind::Cert,
        FileKind::Chain,
        FileKind::Fullchain,
        FileKind::Key,
        FileKind::Combined,
        FileKind::Root,
        FileKind::Pkcs7,
        FileKind::Der,
    ];

    /// The word used in the config file.
    pub fn word(self) -> &'static str {
        match self {
            FileKind::Cert => "cert",
            FileKind::Chain => "chain",
            FileKind::Fullchain => "fullchain",
            FileKind::Key => "key",
            FileKind::Combined => "combined",
            FileKind::Root => "root",
            FileKind::Pkcs7 => "pkcs7",
            FileKind::Der => "der",
        }
    }

    /// Whether the private key is part of it.
    pub fn holds_key(self) -> bool {
        matches!(self, FileKind::Key | FileKind::Combined)
    }
}

/// `[[order.copy]]`: a real file elsewhere, renamed into place after the swap.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FileCopy {
    /// Which content; it need not be one of the files of the generation.
    pub from: FileKind,
    /// The absolute path that is replaced.
    pub to: PathBuf,
    /// As in [`Files`]; where absent, what [`Files`] says.
    pub owner: Option<String>,
    /// As in [`Files`]; where absent, what [`Files`] says.
    pub group: Option<String>,
    /// As in [`Files`]; where absent, what [`Files`] says.
    pub mode: Option<u32>,
}

/// What a check does when it does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Severity {
    /// Nothing is installed; the answer goes to quarantine.
    Block,
    /// It is installed, and said.
    Warn,
    /// It is not looked at.
    Off,
}

/// `[order.verify]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Verify {
    /// The certificate's public key is that of `key_file` or `csr_file`.
    pub key: Severity,
    /// The certificate covers `domains`.
    pub domains: Severity,
    /// The certificate covers every name that the installed one covers.
    pub coverage: Severity,
    /// Leaf and intermediates form a chain, by name and by signature.
    pub chain: Severity,
    /// All of it is valid now.
    pub dates: Severity,
    /// It is not older than what is installed.
    pub downgrade: Severity,
    /// A strict client would accept it against `trust_anchors`, or the platform's store.
    pub trust: Severity,
    /// PEM file with the roots for `trust`; `None` is the platform's store.
    pub trust_anchors: Option<PathBuf>,
}

impl Verify {
    /// What holds where `[order.verify]` says nothing: all checks block, but `coverage` and `trust` warn, and
    /// `trust` is off for mark certificates, whose roots are in no platform's store.
    pub fn standard(product: Product) -> Verify {
        let trust = match product {
            Product::Ssl | Product::Smime => Severity::Warn,
            Product::Mark => Severity::Off,
        };
        Verify {
            key: Severity::Block,
            domains: Severity::Block,
            coverage: Severity::Warn,
            chain: Severity::Block,
            dates: Severity::Block,
            downgrade: Severity::Block,
            trust,
            trust_anchors: None,
        }
    }
}

/// `[[hook]]`: something that must happen after an event, and is owed until it has worked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// The operator's name for it.
    pub name: Arc<str>,
    /// Which events call for it; at least one.
    pub on: Vec<HookEvent>,
    /// What is done.
    pub action: Action,
    /// After this the hook is ended and counts as failed.
    pub timeout: Duration,
    /// Whether orders that come to owe it in one sweep share one run.
    pub merge: bool,
}

impl Hook {
    /// See [`Hook::timeout`].
    pub const TIMEOUT: Duration = Duration::from_secs(60);
    /// See [`Hook::on`].
    pub const ON: [HookEvent; 1] = [HookEvent::Installed];
    /// See [`Hook::merge`].
    pub const MERGE: bool = true;

    /// The program that it runs, if it runs one.
    pub fn program(&self) -> Option<&str> {
        match &self.action {
            Action::Run(arguments) => arguments.first().map(String::as_str),
            Action::Signal { .. } | Action::Http { .. } | Action::Socket(_) => None,
        }
    }
}

/// What a hook can wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HookEvent {
    /// A new generation is in place.
    Installed,
    /// The order came to need a person: rejected, revoked, quarantined, attention.
    Failed,
    /// The installed certificate nears its end and no newer one is there.
    Expiring,
}

impl HookEvent {
    /// All of them.
    pub const ALL: [HookEvent; 3] = [HookEvent::Installed, HookEvent::Failed, HookEvent::Expiring];

    /// The word used in the config file and as `CERTCOLLECTD_EVENT`.
    pub fn word(self) -> &'static str {
        match self {
            HookEvent::Installed => "installed",
            HookEvent::Failed => "failed",
            HookEvent::Expiring => "expiring",
        }
    }
}

/// What a hook does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Run a program: argument vector, no shell; never empty.
    Run(Vec<String>),
    /// Send a signal to the process whose number stands in a file.
    Signal {
        /// Read anew at each try.
        pid_file: PathBuf,
        /// What the process is sent.
        signal: HookSignal,
    },
    /// One HTTP call; a 2xx answer is success.
    Http {
        /// `http://`, `https://` or `http+unix://`.
        url: String,
        /// Upper case.
        method: String,
    },
    /// Connect to a unix socket and read one exit status.
    Socket(PathBuf),
}

impl Action {
    /// The method of an HTTP hook that names none.
    pub const METHOD: &'static str = "POST";
}

/// `[http]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    /// Address and port.
    pub listen: std::net::SocketAddr,
}

/// `[push]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// Address and port.
    pub listen: std::net::SocketAddr,
    /// The path that the vendor calls; begins with a slash.
    pub path: String,
    /// User name of the basic authentication that was agreed with the vendor.
    pub user: Option<String>,
    /// Its password.
    pub password: Option<SecretSource>,
}

impl Push {
    /// See [`Push::path`].
    pub const PATH: &'static str = "/push";
}

/// `[dns]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dns {
    /// The resolvers that `doctor` asks, in this order; none means the system's.
    pub resolver: Vec<std::net::SocketAddr>,
}

impl Dns {
    /// The port of a resolver that is given without one.
    pub const PORT: u16 = 53;

    /// An IP address, with a port or without.
    pub fn address(text: &str) -> Option<std::net::SocketAddr> {
        let plain = |text: &str| Some(std::net::SocketAddr::new(text.parse().ok()?, Dns::PORT));
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        text.parse()
            .ok()
            .or_else(|| plain(text))
            .or_else(|| plain(bare?))
            .filter(|address| address.port() != 0)
    }
}

/// `[log]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// How a line looks.
    pub format: LogFormat,
    /// A level or a filter in the form of `RUST_LOG`, which overrides it.
    pub level: String,
}

impl Log {
    /// See [`Log::format`].
    pub const FORMAT: LogFormat = LogFormat::Auto;
    /// See [`Log::level`].
    pub const LEVEL: &'static str = "info";
}

impl Default for Log {
    fn default() -> Log {
        Log { format: Log::FORMAT, level: Log::LEVEL.to_owned() }
    }
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text; without time where the journal adds its own.
    Auto,
    /// Text with time.
    Text,
    /// One JSON object a line.
    Json,
}
