//! The configuration as meant: typed, complete, every default resolved. Plain data.
//!
//! The daemon reads the text form, and knows everything that can be wrong with it.

mod action;
pub mod fleet;
mod layout;
mod login;
pub mod name;
mod probe;
mod reissue;
mod signal;
mod template;
mod window;

use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

pub use action::{Action, CallHeader, CallPart, CallValue, Companion, Hook, HookEvent, HttpCall};
pub use fleet::Fleet;
use fleet::Role;
pub use layout::{FileCopy, FileKind, Files};
pub use login::{Account, Params, ProxyLogin, SecretSource};
pub use name::{is_name, normal_domain};
pub use probe::{OnProbeFailure, Probe, StartTls, Target};
pub use reissue::{CsrSource, ReissueBudget, ReissueSettings};
pub use signal::HookSignal;
pub use template::{Template, TemplateError, Variable};
pub use window::{Clock, Day, Freeze, FreezeError, Window, Zone};

pub use crate::api::dcv::Dcv;
use crate::api::{OrderRef, Product, Response};
use crate::cert::SanName;
use crate::cert::san::covers;
pub use crate::cert::{Policy, Severity};
use crate::rare::{Bare, Rare};

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
    /// At least one; names are unique. A follower has [`Account::fleet`] alone.
    pub accounts: Vec<Arc<Account>>,
    /// In the order in which they were written; names are unique.
    pub orders: Vec<Order>,
    /// Names are unique.
    pub hooks: Vec<Arc<Hook>>,
    /// Names are unique.
    pub windows: Vec<Arc<Window>>,
    /// When no order is installed.
    pub freezes: Vec<Freeze>,
    /// How often hooks are rehearsed; nothing means only when an operator says so.
    pub rehearsal: Option<Duration>,
    /// How often the vendor is asked for re-issues.
    pub reissues: ReissueBudget,
    /// The optional listener for metrics, health and status.
    pub http: Option<Http>,
    /// The optional listener for the vendor's push notifications.
    pub push: Option<Push>,
    /// What monitoring systems read.
    pub metrics: Metrics,
    /// Whom `doctor` asks.
    pub dns: Dns,
    /// How to log.
    pub log: Log,
    /// The hosts that share the certificates.
    pub fleet: Option<Fleet>,
}

impl Config {
    pub const STATE_DIR: &'static str = "/var/lib/certcollectd";
    pub const INSTALL_DIR: &'static str = "/etc/ssl/certcollectd";

    pub fn account(&self, name: &str) -> Option<&Arc<Account>> {
        self.accounts.iter().find(|account| *account.name == *name)
    }

    pub fn hook(&self, name: &str) -> Option<&Arc<Hook>> {
        self.hooks.iter().find(|hook| *hook.name == *name)
    }

    /// Whether certificates are put into place on this machine: a collector publishes them instead.
    pub fn installs(&self) -> bool {
        match self.fleet.as_ref().map(|fleet| &fleet.role) {
            Some(Role::Collector(_)) => false,
            Some(Role::Follower) | None => true,
        }
    }

    /// Whether they come from a store, and the vendor is never called.
    pub fn follows(&self) -> bool {
        self.fleet.as_ref().is_some_and(Fleet::is_follower)
    }

    /// Whether a daemon that runs with this one can go on with the other: with the same state, and orders of the same
    /// kind; and, for a collector, with calls that its lease covers.
    pub fn gives_way_to(&self, other: &Config) -> bool {
        let role = |config: &Config| (config.installs(), config.follows());
        let longest = |config: &Config| config.calls.request_timeout + config.calls.settle;
        let covered = self.installs() || self.follows() || longest(other) <= longest(self);
        self.state_dir == other.state_dir && role(self) == role(other) && covered
    }

    pub fn window(&self, name: &str) -> Option<&Window> {
        self.windows.iter().find(|window| *window.name == *name).map(|window| &**window)
    }
}

/// "1 order", "2 orders".
pub fn count<N: TryInto<i64>>(number: N, what: &str) -> String {
    let number = number.try_into().unwrap_or(i64::MAX);
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {what}{s}")
}

/// The part of `[polling]` that belongs to the account and not to one order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calls {
    /// Least time between the end of one call of an account and the start of the next.
    pub call_gap: Duration,
    /// Timeout for the TCP and TLS handshakes.
    pub connect_timeout: Duration,
    /// Timeout for one call as a whole: DNS, connect, TLS, headers and body.
    pub request_timeout: Duration,
    /// How long a request may still arrive after we gave up on it: the connection's TCP user
    /// timeout, and the shortest rest of the account after an unanswered call.
    pub settle: Duration,
    /// Consecutive unintelligible answers after which the order needs attention.
    pub unknown_tries: u32,
    /// As long as more is due, orders that come to owe the same hook share a run up to this.
    pub merge_window: Duration,
}

impl Calls {
    /// The longest [`Calls::request_timeout`]: a vendor that needs more will not answer at all.
    pub const LONGEST: Duration = Duration::from_secs(600);
    /// The longest [`Calls::settle`].
    pub const LONGEST_SETTLE: Duration = Duration::from_secs(600);
}

impl Default for Calls {
    fn default() -> Calls {
        Calls {
            call_gap: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(60),
            settle: Duration::from_secs(20),
            unknown_tries: 10,
            merge_window: Duration::from_secs(120),
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
    pub const MAX_INTERVAL: Duration = Duration::from_secs(24 * 3600);
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

/// One order to collect and guard. Kept small: there can be 100,000 of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// `[a-z0-9._-]`, unique; names the directory.
    pub name: Arc<str>,
    pub account: Arc<str>,
    pub handle: OrderRef,
    /// What it says of itself besides, which is read as if it stood here.
    pub own: Rare<Own>,
    /// Everything else; orders that say the same share one value.
    pub settings: Arc<OrderSettings>,
}

/// In bytes: with 100,000 orders, each of them is 0.1 MB.
const _: () = assert!(size_of::<Order>() <= 72);

/// What an order has to itself, where more is said of it than its name and number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Own {
    /// Names that the certificate must cover; lower case, A-labels.
    pub domains: Box<[Box<str>]>,
    /// The private key that the certificate must fit.
    pub key: KeySource,
    /// The request for a re-issue; beside key files it says nothing about the key.
    pub csr_file: Option<PathBuf>,
    /// Further real files that are renamed into place after the swap.
    pub copies: Box<[FileCopy]>,
}

impl Bare for Own {
    fn bare() -> &'static Own {
        static BARE: LazyLock<Own> = LazyLock::new(Own::default);
        &BARE
    }

    fn is_bare(&self) -> bool {
        *self == *Own::bare()
    }
}

impl Deref for Order {
    type Target = Own;

    fn deref(&self) -> &Own {
        &self.own
    }
}

impl DerefMut for Order {
    fn deref_mut(&mut self) -> &mut Own {
        &mut self.own
    }
}

impl Order {
    /// Whether a certificate for its domains covers a name, as far as they say it.
    pub fn expects(&self, name: &str) -> bool {
        let san = |domain: &str| match domain.parse() {
            Ok(address) => SanName::Ip(address),
            Err(_) => SanName::Dns(domain.to_owned()),
        };
        let names: Vec<SanName> = self.domains.iter().map(|domain| san(domain)).collect();
        names.is_empty() || covers(&names, name)
    }

    /// The files that its key and its request are read from, and the key of the configuration that names each.
    pub fn inputs(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let (what, files) = self.key.files();
        let beside = self.csr_file.iter().filter(|path| !files.contains(path));
        let beside = beside.map(|path| ("csr_file", path.as_path()));
        files.iter().map(move |path| (what, path.as_path())).chain(beside)
    }

    /// Whether nothing says what the certificate must be for: any certificate of the number is installed.
    pub fn is_unpinned(&self) -> bool {
        self.domains.is_empty() && self.key == KeySource::None
    }
}

/// What many orders have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OrderSettings {
    pub product: Product,
    pub cadence: Cadence,
    /// In which form it is asked for; `None` is as its account says.
    pub response: Option<Response>,
    /// Sent along when it is collected; what stands here counts before the same name at its account.
    pub params: Params,
    pub files: Files,
    /// What must hold before anything is written.
    pub verify: Policy,
    /// PEM file with the roots for `trust`; `None` is the platform's store.
    pub trust_anchors: Option<PathBuf>,
    /// Names of the hooks, in the order in which they run.
    pub hooks: Vec<Arc<str>>,
    /// Where it should be served.
    pub probes: Box<[Probe]>,
    /// Names of the windows in which it is installed; with none, at any time.
    pub windows: Box<[Arc<str>]>,
    /// It is installed whatever its windows say once the installed certificate ends within this.
    pub window_margin: Duration,
    /// `None` where nothing says how it is re-issued.
    pub reissue: Option<ReissueSettings>,
    /// The fleet's hosts that install it; `None` without a fleet.
    pub group: Option<Arc<str>>,
}

impl OrderSettings {
    pub const WINDOW_MARGIN: Duration = Duration::from_secs(7 * 24 * 3600);

    /// The hooks that may owe this event: those of the order, or the one that `dcv_hook` names.
    pub fn hooks_for(&self, event: HookEvent) -> &[Arc<str>] {
        match event.is_of_a_proof() {
            true => self
                .reissue
                .as_ref()
                .and_then(|reissue| reissue.dcv_hook.as_ref())
                .map_or(&[], std::slice::from_ref),
            false => &self.hooks,
        }
    }
}

/// Where the order's private key, or its substitute, is found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub enum KeySource {
    /// Not known here: the key check is skipped.
    #[default]
    None,
    /// Candidate key files, of which one must match.
    Keys(Box<[PathBuf]>),
    /// A certificate signing request whose public key must match.
    Csr(PathBuf),
    /// Such a request itself, DER in base64 without armour: an adopted order has the one that was sent.
    Request(Box<str>),
}

impl KeySource {
    /// Whether a copy with the key in it may take the file's place: of several, another key would be lost.
    pub fn is_one_file(&self) -> bool {
        matches!(self, KeySource::Keys(files) if files.len() == 1)
    }

    /// The files to read, and the key of the configuration that names them.
    pub fn files(&self) -> (&'static str, &[PathBuf]) {
        match self {
            KeySource::Keys(paths) => ("key_file", paths),
            KeySource::Csr(path) => ("csr_file", std::slice::from_ref(path)),
            KeySource::None | KeySource::Request(_) => ("", &[]),
        }
    }
}

/// What must hold where `[order.verify]` says nothing: [`Policy::default`], but `trust` is off for mark certificates,
/// whose roots are in no platform's store.
pub fn standard_policy(product: Product) -> Policy {
    match product {
        Product::Ssl | Product::Smime => Policy::default(),
        Product::Mark => Policy { trust: Severity::Off, ..Policy::default() },
    }
}

/// As [`standard_policy`], for a follower, of any product: what the store says is trusted for nothing.
pub fn follower_policy() -> Policy {
    Policy { trust: Severity::Block, ..Policy::default() }
}

/// `[http]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    pub listen: std::net::SocketAddr,
}

/// `[push]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    pub listen: std::net::SocketAddr,
    /// The path that the vendor calls; begins with a slash.
    pub path: String,
    /// User name of the basic authentication that was agreed with the vendor.
    pub user: Option<String>,
    pub password: Option<SecretSource>,
}

impl Push {
    pub const PATH: &'static str = "/push";
}

/// `[metrics]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metrics {
    /// Whether each order has series of its own.
    pub per_order: bool,
    /// The file for the textfile collector of node_exporter; ends in `.prom`.
    pub textfile: Option<PathBuf>,
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics { per_order: true, textfile: None }
    }
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
    pub format: LogFormat,
    /// A level or a filter in the form of `RUST_LOG`, which overrides it.
    pub level: String,
}

impl Default for Log {
    fn default() -> Log {
        Log { format: LogFormat::Auto, level: "info".to_owned() }
    }
}

words! {
    pub enum LogFormat {
        /// Text; without time where the journal adds its own.
        Auto = "auto",
        /// Text with time.
        Text = "text",
        /// One JSON object a line.
        Json = "json",
    }
}
