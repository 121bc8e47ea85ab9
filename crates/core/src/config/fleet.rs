//! `[fleet]`: several hosts that share the certificates of one account.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::SecretSource;
use super::name::{InvalidValue, name};

/// `[fleet]`. Without it a host is on its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fleet {
    /// What the others call this host; see [`Fleet::host`].
    pub name: Option<Box<str>>,
    pub role: Role,
    /// Names of the groups whose orders it takes, at least one; for a collector all that there may be, or none where it
    /// does not say. Each once.
    pub groups: Box<[Arc<str>]>,
    pub store: StoreKind,
    /// At least one, all of the store's scheme, in lower case: `https://host:port` or `postgres://host:port/database`.
    pub endpoints: Box<[Box<str>]>,
    /// PEM file with the roots for the store's TLS; `None` is the platform's.
    pub ca_file: Option<PathBuf>,
    pub client_cert: Option<ClientCert>,
    pub login: Option<StoreLogin>,
    /// What all keys in the store begin with; ends with a slash.
    pub prefix: Box<str>,
}

impl Fleet {
    pub const PREFIX: &'static str = "certcollectd/main/";
    /// The account of a follower's orders.
    pub const ACCOUNT: &'static str = "fleet";

    /// What the others call this host: the configured name, else the system's in lower case.
    ///
    /// # Errors
    ///
    /// The system's name is none that a store key may hold.
    pub fn host(&self, system: &str) -> Result<Box<str>, InvalidValue> {
        if let Some(name) = &self.name {
            return Ok(name.clone());
        }
        let lower = system.to_ascii_lowercase();
        name(&lower).map(|()| lower.into())
    }

    /// The files that are read to reach the store, but for the password's, and the key that names each.
    pub fn files(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let client = self.client_cert.iter();
        let client = client.flat_map(|cert| [("cert_file", &cert.cert_file), ("key_file", &cert.key_file)]);
        let ca = self.ca_file.iter().map(|path| ("ca_file", path));
        ca.chain(client).map(|(key, path)| (key, path.as_path()))
    }

    /// Of its user at the store, if it logs in.
    pub fn password(&self) -> Option<&SecretSource> {
        self.login.as_ref().map(|login| &login.password)
    }

    pub fn is_follower(&self) -> bool {
        match self.role {
            Role::Follower => true,
            Role::Collector(_) => false,
        }
    }
}

words! {
    pub enum StoreKind {
        Etcd = "etcd",
        Postgres = "postgres",
    }
}

/// The certificate that this host shows to the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCert {
    /// PEM, the leaf first.
    pub cert_file: PathBuf,
    /// PEM, not encrypted.
    pub key_file: PathBuf,
}

/// The login at the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreLogin {
    pub user: String,
    pub password: SecretSource,
}

/// What this host does in the fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// Holds the vendor's password; one of them leads, calls the vendor and publishes. Installs nothing.
    Collector(Collector),
    /// Installs what was published. Never calls the vendor.
    Follower,
}

impl Role {
    /// As the configuration writes them.
    pub const WORDS: [&'static str; 2] = ["collector", "follower"];
}

/// What only collectors need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collector {
    /// How long the one that leads may go on after its last beat.
    pub lease: Duration,
    /// Between two beats; at most a quarter of the lease.
    pub beat: Duration,
    /// What remains of the lease after the end of the latest call that may begin.
    pub margin: Duration,
    /// In the order in which they get a new certificate; the last one is all hosts.
    pub waves: Box<[Wave]>,
}

impl Collector {
    pub const LEASE: Duration = Duration::from_secs(180);
    pub const BEAT: Duration = Duration::from_secs(20);
    pub const MARGIN: Duration = Duration::from_secs(5);
    /// How many hosts work at a time where no wave is configured.
    pub const AT_ONCE: u32 = 20;
}

impl Default for Collector {
    fn default() -> Collector {
        let all = Wave {
            reach: Reach::Share { permille: Reach::WHOLE },
            soak: Duration::ZERO,
            at_once: Some(Collector::AT_ONCE),
        };
        Collector {
            lease: Collector::LEASE,
            beat: Collector::BEAT,
            margin: Collector::MARGIN,
            waves: Box::new([all]),
        }
    }
}

/// A step of a roll-out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wave {
    pub reach: Reach,
    /// How long all is well before the next wave begins.
    pub soak: Duration,
    /// Most hosts that work at a time; `None` is no limit.
    pub at_once: Option<u32>,
}

/// How far a wave goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// These hosts, by name; at least one.
    Hosts(Box<[Box<str>]>),
    /// So many of a group's hosts, those of the waves before included: 1 to [`Reach::WHOLE`]. Never falls from wave to
    /// wave.
    Share { permille: u16 },
}

impl Reach {
    /// All hosts.
    pub const WHOLE: u16 = 1000;
}
