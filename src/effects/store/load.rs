//! What the state file holds, for the daemon at its start and for those who only read.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::types::FromSqlError;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row};

use super::error::{StoreError, damaged, failed};
use super::file::{BUSY, PLAIN, boot_id, check_header, check_pages, no_version, version};
use super::save::real;
use certcollectd_core::cert::{Certificate, Fingerprint};
use certcollectd_core::engine::adopted::Adopted;
use certcollectd_core::engine::loaded::{Loaded, Remembered};
use certcollectd_core::engine::time::Now;
use certcollectd_core::state::{self, Origin, RowError, VERSION};

/// The state file, open for reading while the daemon runs or is down.
#[derive(Debug)]
pub struct Reader {
    connection: Connection,
    path: PathBuf,
    /// Opened while the file was not in use, and without a lock.
    resting: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryLine {
    /// UNIX seconds.
    pub at: i64,
    /// `error`, `warn`, `info` or `debug`.
    pub level: String,
    /// One word.
    pub kind: String,
    pub text: String,
}

impl Reader {
    /// Whether there is a state file, sound or not.
    pub fn exists(dir: &Path) -> bool {
        dir.join("state.db").exists()
    }

    /// Whether there is a log beside the state file: someone works with it, or was cut off.
    pub fn has_log(dir: &Path) -> bool {
        log_of(&dir.join("state.db")).exists()
    }

    /// Opens the state file, or says that there is none yet.
    pub fn open(dir: &Path) -> Result<Option<Reader>, StoreError> {
        let path = match std::fs::canonicalize(dir) {
            Ok(dir) => dir.join("state.db"),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("use", dir, error)),
        };
        let file = match File::options().read(true).custom_flags(PLAIN).open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("read", &path, error)),
            Ok(file) => file,
        };
        if file.metadata().is_ok_and(|found| found.is_file() && found.len() == 0) {
            return Ok(None);
        }
        check_header(file, &path)?;
        let resting = rests(&path).then(|| open_resting(&path)).and_then(Result::ok);
        let rested = resting.is_some();
        let opened = resting.map_or_else(|| open_to_read(&path, OpenFlags::SQLITE_OPEN_READ_ONLY), Ok);
        let (connection, version) = match opened {
            // A cut in the middle of a transaction leaves a journal that must be rolled back before anyone
            // can read. Until the daemon starts again nothing else does that.
            Err(why) if why.sqlite_error_code() == Some(rusqlite::ErrorCode::ReadOnly) => {
                open_to_read(&path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NOFOLLOW)
            }
            other => other,
        }
        .map_err(|why| damaged(&path, why))?;
        match version {
            0 => Ok(None),
            1..=VERSION => Ok(Some(Reader { connection, path, resting: rested })),
            ..0 => Err(no_version(&path, version)),
            newer => Err(StoreError::Newer(path, newer)),
        }
    }

    /// For a thread of the process that has the file open for writing: only SQLite opens and closes it here. Closing it in
    /// any other way would drop the locks that SQLite holds on it for the whole process.
    pub fn beside(dir: &Path) -> Result<Reader, StoreError> {
        let path = real(dir)?.join("state.db");
        let opened = open_to_read(&path, OpenFlags::SQLITE_OPEN_READ_ONLY);
        let (connection, _) = opened.map_err(|why| damaged(&path, why))?;
        Ok(Reader { connection, path, resting: false })
    }

    /// Everything the file holds.
    pub fn load(&self, now: Now) -> Result<Loaded, StoreError> {
        self.surely(|connection| load(connection, &self.path, &boot_id(), now))
    }

    /// Whether a start would find the file sound.
    pub fn check(&self, now: Now) -> Result<(), StoreError> {
        self.surely(|connection| {
            check_pages(connection, &self.path)?;
            load(connection, &self.path, &boot_id(), now).map(drop)
        })
    }

    /// Reads once more, with locks, what seems damaged while someone has begun to work with the file.
    fn surely<T>(&self, read: impl Fn(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        match read(&self.connection) {
            Err(StoreError::Damaged { .. }) if self.resting && !rests(&self.path) => {
                let again = open_to_read(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY);
                read(&again.map_err(|why| damaged(&self.path, why))?.0)
            }
            read => read,
        }
    }

    /// What was noted under this name; see [`Store::set_mark`](super::save::Store::set_mark).
    pub fn mark(&self, name: &str) -> Result<Option<String>, StoreError> {
        mark(&self.connection, &self.path, name)
    }

    /// The orders that were adopted after a replacement.
    pub fn adopted(&self) -> Result<Vec<Adopted>, StoreError> {
        load_adopted(&self.connection, &self.path)
    }

    /// The history of an order, oldest first.
    pub fn history(&self, order: &str) -> Result<Vec<HistoryLine>, StoreError> {
        let read = || {
            let mut statement = self
                .connection
                .prepare("SELECT at, level, kind, text FROM history WHERE subject = ?1 ORDER BY id")?;
            let rows = statement.query_map([format!("order {order}")], |row| {
                Ok(HistoryLine { at: row.get(0)?, level: row.get(1)?, kind: row.get(2)?, text: row.get(3)? })
            })?;
            rows.collect::<Result<_, _>>()
        };
        read().map_err(|why| damaged(&self.path, why))
    }
}

pub(super) fn mark(connection: &Connection, path: &Path, name: &str) -> Result<Option<String>, StoreError> {
    let sql = "SELECT value FROM meta WHERE key = ?1";
    connection.query_row(sql, [name], |row| row.get(0)).optional().map_err(|why| damaged(path, why))
}

/// Whether the file is not in use and its last writer ended in order: there is no log beside it.
fn rests(path: &Path) -> bool {
    // Offset 18 of the header says that there would be a log (2), in <https://sqlite.org/fileformat2.html>.
    let mut start = [0; 19];
    let logged = File::open(path).and_then(|mut file| file.read_exact(&mut start)).is_ok() && start[18] == 2;
    logged && std::fs::metadata(log_of(path)).is_err_and(|error| error.kind() == ErrorKind::NotFound)
}

/// Where SQLite writes before it writes the file itself.
fn log_of(path: &Path) -> PathBuf {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    log.into()
}

/// Opens it without making anything: the files that SQLite would keep beside it would belong to the reader,
/// and need room on the disk.
fn open_resting(path: &Path) -> Result<(Connection, i64), rusqlite::Error> {
    let name: String = form_urlencoded::byte_serialize(path.as_os_str().as_encoded_bytes()).collect();
    // A plus sign means itself in SQLite's URIs.
    let uri = PathBuf::from(format!("file:{}?immutable=1", name.replace('+', "%20")));
    open_to_read(&uri, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI)
}

/// The file and its version, for one who only reads.
fn open_to_read(path: &Path, flags: OpenFlags) -> Result<(Connection, i64), rusqlite::Error> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY)?;
    let version = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    Ok((connection, version))
}

pub(super) fn load(connection: &Connection, path: &Path, boot: &str, now: Now) -> Result<Loaded, StoreError> {
    // One state of the file, whatever the daemon writes meanwhile: a record without its boot has no times.
    let _snapshot = connection.unchecked_transaction().map_err(|why| damaged(path, why))?;
    let mut offsets: HashMap<String, i64> = HashMap::new();
    each(connection, path, "SELECT boot, offset_ms FROM boots", |row| {
        offsets.insert(row.get(0)?, row.get(1)?);
        Ok(())
    })?;
    let version = version(connection, path)?;
    let mut loaded = Loaded::default();
    each(connection, path, "SELECT name, boot, record, sum FROM accounts", |row| {
        let (name, text, origin) = checked(version, "accounts", "account", row, boot, &offsets)?;
        let record = state::read_account(name, text, origin, now)?;
        loaded.accounts.insert(Arc::from(name), record);
        Ok(())
    })?;
    let mut bundles: HashMap<String, Vec<Certificate>> = HashMap::new();
    each(connection, path, "SELECT name, certificates, sum FROM bundles", |row| {
        let (name, bytes, sum) = (text(row, 0)?, row.get_ref(1)?.as_blob()?, row.get(2)?);
        let what = format_args!("the bundle of order {name}");
        check_sum(version, "bundles", what, &[name.as_bytes(), bytes], sum)?;
        bundles.insert(name.to_owned(), state::read_bundle(name, bytes)?);
        Ok(())
    })?;
    each(connection, path, "SELECT name, boot, record, sum FROM orders", |row| {
        let (name, text, origin) = checked(version, "orders", "order", row, boot, &offsets)?;
        let record = state::read_order(name, text, origin, now)?;
        let bundle = bundles.remove(name).filter(|_| record.bundled);
        loaded.orders.insert(Arc::from(name), Remembered { record, bundle });
        Ok(())
    })?;
    loaded.adopted = load_adopted(connection, path)?;
    each(connection, path, "SELECT value FROM meta WHERE key = 'salt'", |row| {
        loaded.identity = identity(text(row, 0)?);
        Ok(())
    })?;
    Ok(loaded)
}

/// What tells this state from every other. The salt itself guards credentials and goes nowhere.
pub fn identity(salt: &str) -> Arc<str> {
    Fingerprint::of(format!("certcollectd state {salt}").as_bytes()).to_string().into()
}

/// The version that brought adopted orders.
const ADOPTED_SINCE: i64 = 2;

fn load_adopted(connection: &Connection, path: &Path) -> Result<Vec<Adopted>, StoreError> {
    let mut adopted = Vec::new();
    // A reader may come before the first start of a new program has brought the file up to date.
    let version = version(connection, path)?;
    if version < ADOPTED_SINCE {
        return Ok(adopted);
    }
    each(connection, path, "SELECT name, record, sum FROM adopted", |row| {
        let (name, record, sum) = (text(row, 0)?, text(row, 1)?, row.get(2)?);
        let what = format_args!("the adopted order {name}");
        check_sum(version, "adopted", what, &[name.as_bytes(), record.as_bytes()], sum)?;
        adopted.push(state::read_adopted(name, record)?);
        Ok(())
    })?;
    Ok(adopted)
}

#[derive(Debug, thiserror::Error)]
pub(super) enum Unread {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error("{0}")]
    Value(#[from] FromSqlError),
    #[error(transparent)]
    Row(#[from] RowError),
}

impl Unread {
    pub(super) fn at(self, path: &Path) -> StoreError {
        match self {
            Unread::Sqlite(why) => damaged(path, why),
            Unread::Value(why) => StoreError::damaged(path, why.to_string()),
            Unread::Row(why) => StoreError::damaged(path, why.to_string()),
        }
    }
}

/// Reads row by row, up to the first that cannot be read.
pub(super) fn each(
    connection: &Connection,
    path: &Path,
    sql: &str,
    mut read: impl FnMut(&Row<'_>) -> Result<(), Unread>,
) -> Result<(), StoreError> {
    let mut all = || {
        let mut statement = connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            read(row)?;
        }
        Ok(())
    };
    all().map_err(|why: Unread| why.at(path))
}

/// A text of the row, which stays in SQLite's memory.
pub(super) fn text<'row>(row: &'row Row<'_>, column: usize) -> Result<&'row str, Unread> {
    Ok(row.get_ref(column)?.as_str()?)
}

pub(super) fn check_sum(
    version: i64,
    table: &str,
    what: fmt::Arguments<'_>,
    parts: &[&[u8]],
    sum: i64,
) -> Result<(), RowError> {
    if sum == state::sum(version, table, parts) { Ok(()) } else { Err(RowError::Sum(what.to_string())) }
}

fn checked<'row>(
    version: i64,
    table: &str,
    what: &str,
    row: &'row Row<'_>,
    present: &str,
    offsets: &HashMap<String, i64>,
) -> Result<(&'row str, &'row str, Origin), Unread> {
    let (name, boot, record) = (text(row, 0)?, text(row, 1)?, text(row, 2)?);
    let parts = [name.as_bytes(), boot.as_bytes(), record.as_bytes()];
    check_sum(version, table, format_args!("the record of {what} {name}"), &parts, row.get(3)?)?;
    Ok((name, record, Origin::of(boot, present, offsets)))
}
