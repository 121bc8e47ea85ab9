//! A store that several hosts share: rows that change all together or not at all, and only if others are as
//! expected.
//!
//! Keys are those of the fleet (`lease`, `rows/orders/www`); the configured prefix is put in front of them
//! here, and taken off. Nothing is compared by revision: a store that was restored from a backup gives the
//! same ones again.

mod endpoints;
mod etcd;

pub mod keeper;
pub mod ledger;
pub mod postgres;
pub mod publish;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use certcollectd_core::config::fleet::{ClientCert, StoreKind, StoreLogin};

/// Maximum number of puts and deletes in one [`Commit`], and of keys in one [`Shared::get`].
pub const MOST_ROWS: usize = 100;

/// How the store is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreSettings {
    pub kind: StoreKind,
    /// `https://host:port` or `http://host:port`, for PostgreSQL `postgres://host:port/database`; at least
    /// one. The first is asked until it fails: 200 hosts with the same order all ask the same one.
    pub endpoints: Vec<String>,
    /// In front of every key, `certcollectd/main/` for instance.
    pub prefix: String,
    /// PEM file with the only roots that are trusted for the store; `None` means the system's.
    pub ca_file: Option<PathBuf>,
    pub client_cert: Option<ClientCert>,
    pub login: Option<StoreLogin>,
    /// Makes what the store needs before it holds a row: tables.
    pub makes_tables: bool,
    /// For one request to one endpoint.
    pub timeout: Duration,
    /// A watch that brings nothing for so long is lost: nothing tells a quiet store from a frozen one.
    pub watch_idle: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub key: String,
    pub value: Vec<u8>,
}

/// A moment in the store's history; it says nothing once the store was restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Revision(pub u64);

/// Rows as they were at one moment, in the order of their keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    pub rows: Vec<Row>,
    pub revision: Revision,
}

/// What a row must be; with `None` there must be none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compare {
    pub key: String,
    pub value: Option<Vec<u8>>,
}

/// All of it happens, or nothing. [`MOST_ROWS`] puts and deletes at most, and as many compares; no key is
/// written twice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Commit {
    pub expected: Vec<Compare>,
    pub puts: Vec<Row>,
    pub deletes: Vec<String>,
}

/// What became of a [`Commit`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Committed {
    /// The store says that it is durable.
    Done,
    /// A row was not as expected, and nothing was written.
    Fenced,
    /// Surely not written.
    Refused(Trouble),
    /// It may have been written, or may still be: read the rows, or commit again what can be repeated.
    Unknown(Trouble),
}

/// Why the store does not do what it was asked for; the text says with whom, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// No endpoint answers, or none has a quorum.
    Away(String),
    /// It has no space, and writes nothing until somebody makes some.
    Full(String),
    /// A log-in or a right is missing.
    Denied(String),
    /// What somebody has to set right here: a file, an address, a request that the store does not take.
    Other(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Away(text) | Trouble::Full(text) | Trouble::Denied(text) | Trouble::Other(text) => {
                f.write_str(text)
            }
        }
    }
}

/// What the store does not do at present: where it reads, it may still write nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    /// Of the last time that it was read.
    pub unread: Option<Trouble>,
    /// Of the last time that it was written.
    pub unwritten: Option<Trouble>,
}

impl Reach {
    /// What is said of it.
    pub fn trouble(&self) -> Option<&Trouble> {
        self.unread.as_ref().or(self.unwritten.as_ref())
    }
}

/// One row that is new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    Put(Row),
    Deleted(String),
}

/// What a [`Watch`] brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// In the order in which they happened, but for those that another one of the same row followed: they may
    /// be left out. Those of one large commit may come in parts.
    Changes(Vec<Change>),
    /// The end of the watch, and why: list anew, then watch from there.
    Lost(String),
}

/// An endpoint, for `check`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointReport {
    pub endpoint: String,
    /// The store's version; `None` if the endpoint cannot be reached.
    pub version: Option<String>,
    /// What is in the way, each with the one thing to do; empty if nothing is.
    pub problems: Vec<String>,
    /// What works, and could work better.
    pub advice: Option<String>,
}

/// The store. It is dropped to close it.
#[derive(Debug)]
pub struct Shared {
    engine: Engine,
    errors: AtomicU64,
}

/// What keeps the rows.
#[derive(Debug)]
enum Engine {
    Etcd(Arc<etcd::Etcd>),
    Postgres(Arc<postgres::Postgres>),
}

impl Shared {
    /// Reads nothing and reaches nobody yet: the store may be away when the daemon starts.
    pub fn connect(settings: StoreSettings) -> Shared {
        let engine = match settings.kind {
            StoreKind::Etcd => Engine::Etcd(etcd::Etcd::new(settings).into()),
            StoreKind::Postgres => Engine::Postgres(postgres::Postgres::new(settings).into()),
        };
        Shared { engine, errors: AtomicU64::new(0) }
    }

    /// Requests that failed since the start; a watch that is lost is none.
    pub fn errors(&self) -> u64 {
        self.errors.load(Relaxed)
    }

    fn counted<T>(&self, answer: Result<T, Trouble>) -> Result<T, Trouble> {
        self.errors.fetch_add(answer.is_err().into(), Relaxed);
        answer
    }

    /// All rows whose keys begin like this, linearizable and at one revision.
    pub async fn list(&self, prefix: &str) -> Result<Listing, Trouble> {
        self.counted(match &self.engine {
            Engine::Etcd(etcd) => etcd.list(prefix).await,
            Engine::Postgres(postgres) => postgres.list(prefix).await,
        })
    }

    /// The values of these rows at one moment, linearizable, in the order asked for; `None` where there is no
    /// row. [`MOST_ROWS`] at most.
    pub async fn get(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>, Trouble> {
        assert!(keys.len() <= MOST_ROWS, "{} rows are asked for at once", keys.len());
        self.counted(match &self.engine {
            Engine::Etcd(etcd) => etcd.get(keys).await,
            Engine::Postgres(postgres) => postgres.get(keys).await,
        })
    }

    /// Asks one endpoint only, unless it cannot be connected to: what may have been written is not written
    /// again.
    pub async fn commit(&self, commit: &Commit) -> Committed {
        let rows = commit.puts.len() + commit.deletes.len();
        assert!(rows.max(commit.expected.len()) <= MOST_ROWS, "{rows} rows in one commit");
        let committed = match &self.engine {
            Engine::Etcd(etcd) => etcd.commit(commit).await,
            Engine::Postgres(postgres) => postgres.commit(commit).await,
        };
        let failed = match committed {
            Committed::Done | Committed::Fenced => false,
            Committed::Refused(_) | Committed::Unknown(_) => true,
        };
        self.errors.fetch_add(failed.into(), Relaxed);
        committed
    }

    /// What changes after this revision among the rows whose keys begin like this.
    pub fn watch(&self, prefix: &str, from: Revision) -> Watch {
        let engine = match &self.engine {
            Engine::Etcd(etcd) => WatchEngine::Etcd(etcd::Watch::new(etcd.clone(), prefix, from).into()),
            Engine::Postgres(postgres) => WatchEngine::Postgres(postgres::Watch::new(postgres, prefix, from)),
        };
        Watch { engine }
    }

    /// Each endpoint by itself, in the order of the settings.
    pub async fn check(&self) -> Vec<EndpointReport> {
        match &self.engine {
            Engine::Etcd(etcd) => etcd.check().await,
            Engine::Postgres(postgres) => postgres.check().await,
        }
    }
}

/// Changes as they happen.
#[derive(Debug)]
pub struct Watch {
    engine: WatchEngine,
}

#[derive(Debug)]
enum WatchEngine {
    Etcd(Box<etcd::Watch>),
    Postgres(postgres::Watch),
}

impl Watch {
    /// Waits for the next news; the wait may be given up and begun again, and nothing is missed. After
    /// [`News::Lost`] there is nothing but that.
    pub async fn next(&mut self) -> News {
        match &mut self.engine {
            WatchEngine::Etcd(watch) => watch.next().await,
            WatchEngine::Postgres(watch) => watch.next().await,
        }
    }
}
