//! The state file on disk: SQLite, one transaction for each list of effects, synced before anything relies
//! on it; and the lock that keeps a second process out.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use crate::api::Foreign;
use crate::engine::event::{Changes, Level, Note};
use crate::engine::time::Now;
use crate::engine::{Adopted, Loaded, Remembered};
use crate::state::{self, HISTORY_LIMIT, MIGRATIONS, Origin, RowError, VERSION};

/// A reader (`status`, a person with sqlite3) may hold the file for a moment.
const BUSY: Duration = Duration::from_secs(5);
/// File systems on which write-ahead logging does not work because memory is not shared between hosts:
/// NFS, SMB, CIFS, 9p.
const NETWORK: [u32; 4] = [0x6969, 0xfe53_4d42, 0xff53_4d42, 0x0102_1997];

/// Why the state cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process holds the lock.
    #[error("certcollectd is already running on {dir} ({}); nothing was sent", holder(*.by))]
    Locked {
        /// The state directory.
        dir: PathBuf,
        /// Its number, if it is known.
        by: Option<u32>,
    },
    /// Written by a newer program.
    #[error(
        "{0} was written by a newer certcollectd (format {1}, this one knows {VERSION}); it was left untouched: install the newer \
         program, or restore an older copy of the file"
    )]
    Newer(PathBuf, i64),
    /// Damaged.
    #[error(
        "{path} is damaged ({why}); it was left untouched: restore a copy, or move it and its -wal and -shm files aside, then the \
         daemon starts without a memory: it collects every order again, politely, and a closed account counts as open"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        why: String,
    },
    /// The directory or the file cannot be used.
    #[error("{step} {path}: {why}")]
    Io {
        /// What was being done.
        step: &'static str,
        /// With what.
        path: PathBuf,
        /// The cause.
        why: String,
    },
    /// Any other answer of SQLite's.
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
}

fn io(step: &'static str, path: &Path, why: impl ToString) -> StoreError {
    StoreError::Io { step, path: path.to_owned(), why: why.to_string() }
}

/// A process that holds a lock, in words: its number and what it was started with.
pub fn holder(pid: Option<u32>) -> String {
    let Some(pid) = pid else { return "a process that has not said which it is".into() };
    // No argument of ours is a secret. In another namespace of processes, there is nothing to see.
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<String> = line
        .split(|byte| *byte == 0)
        .filter(|word| !word.is_empty())
        .map(|word| Foreign::from_bytes(word).to_string())
        .collect();
    match words.split_first() {
        Some((program, rest)) => {
            let program = program.rsplit('/').next().unwrap_or(program);
            format!("process {pid}: {}", [&[program.to_owned()], rest].concat().join(" "))
        }
        None => format!("process {pid}"),
    }
}

/// The lock on a state directory. Released by the kernel when the process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock, or says who holds it.
    pub fn take(dir: &Path) -> Result<Lock, StoreError> {
        make_dir(dir)?;
        let path = dir.join("lock");
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
            .open(&path)
            .map_err(|why| io("open", &path, why))?;
        if rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut holder = String::new();
            let _ = file.take(32).read_to_string(&mut holder);
            return Err(StoreError::Locked { dir: dir.to_owned(), by: holder.trim().parse().ok() });
        }
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Lock { _file: file })
    }
}

/// Makes the state directory, private to us; one that belongs to somebody else is refused, because what we
/// would write there the daemon could not read.
fn make_dir(dir: &Path) -> Result<(), StoreError> {
    match std::fs::metadata(dir) {
        Ok(found) if found.is_dir() => {
            let me = rustix::process::geteuid().as_raw();
            if found.uid() != me {
                let why = format!(
                    "it belongs to user {}; run this command as that user, for instance with `sudo -u {}`",
                    user_name(found.uid()),
                    sudo_user(found.uid())
                );
                return Err(io("use", dir, why));
            }
            let mode = found.mode() & 0o7777;
            if mode & 0o022 != 0 {
                // A volume made for a container often begins like this.
                let closed = std::fs::Permissions::from_mode(mode & !0o022);
                std::fs::set_permissions(dir, closed)
                    .map_err(|why| io("take the write permission of others from", dir, why))?;
                tracing::warn!(
                    "state_dir {} had mode {mode:04o}; the write permission of others was taken away",
                    dir.display()
                );
            }
            Ok(())
        }
        Ok(_) => Err(io("use", dir, "it is not a directory")),
        Err(_) => std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(|why| io("make", dir, why)),
    }
}

/// A user's name, or the number of one without.
pub fn user_name(uid: u32) -> String {
    let user = nix::unistd::User::from_uid(uid.into()).ok().flatten();
    user.map_or_else(|| uid.to_string(), |user| user.name)
}

/// A user as `sudo -u` takes it; a number needs a mark there, and quotes in a shell.
pub fn sudo_user(uid: u32) -> String {
    let name = user_name(uid);
    if name == uid.to_string() { format!("'#{uid}'") } else { name }
}

/// The state file, open for writing.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    path: PathBuf,
    boot: String,
    salt: Vec<u8>,
    _lock: Lock,
}

impl Store {
    /// Opens the state file, or makes one; the caller holds the lock.
    pub fn open(dir: &Path, lock: Lock) -> Result<Store, StoreError> {
        let (connection, path, salt) = match connect(dir) {
            // SQLite can take a read that failed for damage. What is damaged is so the second time as well, and
            // nobody shall be told to move a sound file away.
            Err(StoreError::Damaged { .. }) => connect(dir)?,
            other => other?,
        };
        Ok(Store { connection, path, boot: boot_id(), salt, _lock: lock })
    }

    /// Random bytes of this installation, for credential tags.
    pub fn salt(&self) -> &[u8] {
        &self.salt
    }

    /// Everything the file holds.
    pub fn load(&self, now: Now) -> Result<Loaded, StoreError> {
        load(&self.connection, &self.path, &self.boot, now)
    }

    /// Writes all changes in one transaction, or none; durable when it returns.
    pub fn save(&mut self, changes: &Changes) -> Result<(), StoreError> {
        let boot = &self.boot;
        let transaction = self.connection.transaction()?;
        if let Some(offset) = changes.offset {
            transaction
                .prepare_cached(
                    "INSERT INTO boots VALUES (?1, ?2) ON CONFLICT (boot) DO UPDATE SET offset_ms = ?2",
                )?
                .execute(params![boot, offset])?;
        }
        for (name, record) in &changes.accounts {
            let text = state::write_account(record);
            let condition = if record.closed.is_some() { "closed" } else { "open" };
            let sum = state::sum("accounts", &[name.as_bytes(), boot.as_bytes(), text.as_bytes()]);
            transaction
                .prepare_cached(
                    "REPLACE INTO accounts (name, state, boot, record, sum) VALUES (?1, ?2, ?3, ?4, ?5)",
                )?
                .execute(params![&**name, condition, boot, text, sum])?;
        }
        for (name, record) in &changes.orders {
            let text = state::write_order(record);
            let sum = state::sum("orders", &[name.as_bytes(), boot.as_bytes(), text.as_bytes()]);
            transaction
                .prepare_cached(
                    "REPLACE INTO orders (name, phase, boot, record, sum) VALUES (?1, ?2, ?3, ?4, ?5)",
                )?
                .execute(params![&**name, record.phase.word(), boot, text, sum])?;
        }
        for (name, bundle) in &changes.bundles {
            match bundle {
                Some(bundle) => {
                    let bytes = state::write_bundle(bundle);
                    let sum = state::sum("bundles", &[name.as_bytes(), &bytes]);
                    transaction
                        .prepare_cached("REPLACE INTO bundles (name, certificates, sum) VALUES (?1, ?2, ?3)")?
                        .execute(params![&**name, bytes, sum])?;
                }
                None => {
                    transaction.prepare_cached("DELETE FROM bundles WHERE name = ?1")?.execute([&**name])?;
                }
            }
        }
        for (name, adopted) in &changes.adopted {
            match adopted {
                Some(adopted) => {
                    let text = state::write_adopted(adopted);
                    let sum = state::sum("adopted", &[name.as_bytes(), text.as_bytes()]);
                    transaction
                        .prepare_cached("REPLACE INTO adopted (name, record, sum) VALUES (?1, ?2, ?3)")?
                        .execute(params![&**name, text, sum])?;
                }
                None => {
                    transaction.prepare_cached("DELETE FROM adopted WHERE name = ?1")?.execute([&**name])?;
                }
            }
        }
        for note in &changes.history {
            write_history(&transaction, note)?;
        }
        transaction.commit()?;
        Ok(())
    }
}

/// The state file, checked and ready to be written, with its path and its salt.
fn connect(dir: &Path) -> Result<(Connection, PathBuf, Vec<u8>), StoreError> {
    let path = dir.join("state.db");
    // Before SQLite does, so that this file and those beside it are private whatever the umask.
    let file = File::options().read(true).append(true).create(true).mode(0o600).open(&path);
    check_header(file.map_err(|why| io("open", &path, why))?, &path)?;
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let mut connection = Connection::open_with_flags(&path, flags).map_err(|why| damaged(&path, why))?;
    connection.busy_timeout(BUSY)?;
    let version = version(&connection, &path)?;
    if version > VERSION {
        return Err(StoreError::Newer(path, version));
    }
    check_pages(&connection, &path)?;
    prepare(&mut connection, dir, version).map_err(|why| damaged(&path, why))?;
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|why| io("sync", dir, why))?;
    let salt = salt(&connection).map_err(|why| damaged(&path, why))?;
    Ok((connection, path, salt))
}

fn subject(note: &Note) -> String {
    match (&note.order, &note.account) {
        (Some(order), _) => format!("order {order}"),
        (None, Some(account)) => format!("account {account}"),
        (None, None) => "daemon".to_owned(),
    }
}

fn write_history(connection: &Connection, note: &Note) -> Result<(), rusqlite::Error> {
    let subject = subject(note);
    let level = match note.level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
    };
    connection
        .prepare_cached("INSERT INTO history (subject, at, level, kind, text) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![subject, note.at, level, note.kind, note.text])?;
    connection
        .prepare_cached(
            "DELETE FROM history WHERE subject = ?1 AND id <= \
             (SELECT id FROM history WHERE subject = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
        )?
        .execute(params![subject, HISTORY_LIMIT])?;
    Ok(())
}

/// The file and its version, for one who only reads.
fn open_to_read(path: &Path, flags: OpenFlags) -> Result<(Connection, i64), rusqlite::Error> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY)?;
    let version = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    Ok((connection, version))
}

/// Writes a file of one block into the state directory and takes it away again: an empty one can be made on a
/// disk that is full. The error is the system's own.
pub fn try_write(dir: &Path) -> std::io::Result<()> {
    const BLOCK: [u8; 4096] = [0; 4096];
    let path = dir.join(format!(".certcollectd-probe-{}", super::dir::random_name()));
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(&path)?;
    let written = file.write_all(&BLOCK).and_then(|()| file.sync_all());
    std::fs::remove_file(path)?;
    written
}

/// A damaged file shows itself in more ways than one; anything SQLite says while opening counts.
fn damaged(path: &Path, why: rusqlite::Error) -> StoreError {
    use rusqlite::ErrorCode::{
        CannotOpen, DatabaseBusy, DatabaseLocked, DiskFull, FileLockingProtocolFailed, OperationInterrupted,
        OutOfMemory, PermissionDenied, ReadOnly, SystemIoFailure,
    };
    match why.sqlite_error_code() {
        // Locks that the system does not give say nothing about the content.
        Some(
            CannotOpen
            | PermissionDenied
            | ReadOnly
            | DiskFull
            | SystemIoFailure
            | DatabaseBusy
            | DatabaseLocked
            | FileLockingProtocolFailed
            | OperationInterrupted
            | OutOfMemory,
        ) => {
            // SQLite's words ("unable to open database file") do not tell a full disk from anything else.
            match try_write(path.parent().unwrap_or(path)) {
                Ok(()) => io("open", path, why),
                Err(cause) => io("open", path, format!("{cause} ({why})")),
            }
        }
        _ => StoreError::Damaged { path: path.to_owned(), why: why.to_string() },
    }
}

fn version(connection: &Connection, path: &Path) -> Result<i64, StoreError> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(|why| damaged(path, why))
}

/// SQLite takes a file of a few bytes for a new one. Only an empty one is.
fn check_header(file: File, path: &Path) -> Result<(), StoreError> {
    const MAGIC: &[u8] = b"SQLite format 3\0";
    const HEADER: u64 = 100;
    let mut start = Vec::new();
    file.take(HEADER).read_to_end(&mut start).map_err(|why| io("read", path, why))?;
    if start.is_empty() || (start.len() as u64 == HEADER && start.starts_with(MAGIC)) {
        return Ok(());
    }
    Err(StoreError::Damaged { path: path.to_owned(), why: "it does not begin like a state file".into() })
}

/// SQLite's own check of its pages; a row that vanished shows here, a changed value does not.
fn check_pages(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let found: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|why| damaged(path, why))?;
    if found == "ok" { Ok(()) } else { Err(StoreError::Damaged { path: path.to_owned(), why: found }) }
}

fn prepare(connection: &mut Connection, dir: &Path, version: i64) -> Result<(), rusqlite::Error> {
    let network = rustix::fs::statfs(dir).is_ok_and(|found| NETWORK.contains(&(found.f_type as u32)));
    let mode = if network { "TRUNCATE" } else { "WAL" };
    connection.query_row(&format!("PRAGMA journal_mode = {mode}"), [], |_| Ok(()))?;
    connection.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 4194304; PRAGMA cache_size = -2000;",
    )?;
    connection.set_prepared_statement_cache_capacity(32);
    if version < VERSION {
        let transaction = connection.transaction()?;
        for step in &MIGRATIONS[usize::try_from(version).unwrap_or(0)..] {
            transaction.execute_batch(step)?;
        }
        transaction.pragma_update(None, "user_version", VERSION)?;
        transaction.commit()?;
    }
    Ok(())
}

fn salt(connection: &Connection) -> Result<Vec<u8>, rusqlite::Error> {
    let known: Option<String> =
        connection.query_row("SELECT value FROM meta WHERE key = 'salt'", [], |row| row.get(0)).optional()?;
    if let Some(known) = known {
        return Ok(known.into_bytes());
    }
    let fresh = format!("{}{}", super::dir::random_name(), super::dir::random_name());
    connection.execute("INSERT INTO meta VALUES ('salt', ?1)", [&fresh])?;
    Ok(fresh.into_bytes())
}

/// The kernel's name for this boot.
pub fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|id| id.trim().to_owned())
        .unwrap_or_default()
}

fn load(connection: &Connection, path: &Path, boot: &str, now: Now) -> Result<Loaded, StoreError> {
    let sqlite = |why| damaged(path, why);
    let row = |why: RowError| StoreError::Damaged { path: path.to_owned(), why: why.to_string() };
    let mut offsets: HashMap<String, i64> = HashMap::new();
    let mut statement = connection.prepare("SELECT boot, offset_ms FROM boots").map_err(sqlite)?;
    let mut rows = statement.query([]).map_err(sqlite)?;
    while let Some(found) = rows.next().map_err(sqlite)? {
        offsets.insert(found.get(0).map_err(sqlite)?, found.get(1).map_err(sqlite)?);
    }
    let mut loaded = Loaded::default();
    let mut statement = connection.prepare("SELECT name, boot, record, sum FROM accounts").map_err(sqlite)?;
    let mut rows = statement.query([]).map_err(sqlite)?;
    while let Some(found) = rows.next().map_err(sqlite)? {
        let (name, text, origin) =
            checked("accounts", "account", found, boot, &offsets).map_err(|why| why.of(path))?;
        loaded
            .accounts
            .insert(name.as_str().into(), state::read_account(&name, &text, origin, now).map_err(row)?);
    }
    let mut bundles = HashMap::new();
    let mut statement = connection.prepare("SELECT name, certificates, sum FROM bundles").map_err(sqlite)?;
    let mut rows = statement.query([]).map_err(sqlite)?;
    while let Some(found) = rows.next().map_err(sqlite)? {
        let name: String = found.get(0).map_err(sqlite)?;
        let bytes: Vec<u8> = found.get(1).map_err(sqlite)?;
        if found.get::<_, i64>(2).map_err(sqlite)? != state::sum("bundles", &[name.as_bytes(), &bytes]) {
            return Err(row(RowError::Sum(format!("the bundle of order {name}"))));
        }
        bundles.insert(name.clone(), state::read_bundle(&name, &bytes).map_err(row)?);
    }
    let mut statement = connection.prepare("SELECT name, boot, record, sum FROM orders").map_err(sqlite)?;
    let mut rows = statement.query([]).map_err(sqlite)?;
    while let Some(found) = rows.next().map_err(sqlite)? {
        let (name, text, origin) =
            checked("orders", "order", found, boot, &offsets).map_err(|why| why.of(path))?;
        let record = state::read_order(&name, &text, origin, now).map_err(row)?;
        let bundle = bundles.remove(&name).filter(|_| record.bundled);
        loaded.orders.insert(Arc::from(name), Remembered { record, bundle });
    }
    loaded.adopted = load_adopted(connection, path)?;
    Ok(loaded)
}

/// The version that brought adopted orders.
const ADOPTED_SINCE: i64 = 2;

fn load_adopted(connection: &Connection, path: &Path) -> Result<Vec<Adopted>, StoreError> {
    let sqlite = |why| damaged(path, why);
    let row = |why: RowError| StoreError::Damaged { path: path.to_owned(), why: why.to_string() };
    let mut adopted = Vec::new();
    // A reader may come before the first start of a new program has brought the file up to date.
    if version(connection, path)? < ADOPTED_SINCE {
        return Ok(adopted);
    }
    let mut statement = connection.prepare("SELECT name, record, sum FROM adopted").map_err(sqlite)?;
    let mut rows = statement.query([]).map_err(sqlite)?;
    while let Some(found) = rows.next().map_err(sqlite)? {
        let name: String = found.get(0).map_err(sqlite)?;
        let text: String = found.get(1).map_err(sqlite)?;
        let sum: i64 = found.get(2).map_err(sqlite)?;
        if sum != state::sum("adopted", &[name.as_bytes(), text.as_bytes()]) {
            return Err(row(RowError::Sum(format!("the adopted order {name}"))));
        }
        adopted.push(state::read_adopted(&name, &text).map_err(row)?);
    }
    Ok(adopted)
}

enum Bad {
    Sqlite(rusqlite::Error),
    Row(RowError),
}

impl Bad {
    fn of(self, path: &Path) -> StoreError {
        match self {
            Bad::Sqlite(why) => damaged(path, why),
            Bad::Row(why) => StoreError::Damaged { path: path.to_owned(), why: why.to_string() },
        }
    }
}

fn checked(
    table: &str,
    what: &str,
    row: &rusqlite::Row<'_>,
    present: &str,
    offsets: &HashMap<String, i64>,
) -> Result<(String, String, Origin), Bad> {
    let name: String = row.get(0).map_err(Bad::Sqlite)?;
    let boot: String = row.get(1).map_err(Bad::Sqlite)?;
    let text: String = row.get(2).map_err(Bad::Sqlite)?;
    let sum: i64 = row.get(3).map_err(Bad::Sqlite)?;
    if sum != state::sum(table, &[name.as_bytes(), boot.as_bytes(), text.as_bytes()]) {
        return Err(Bad::Row(RowError::Sum(format!("the record of {what} {name}"))));
    }
    let origin = Origin::of(&boot, present, offsets);
    Ok((name, text, origin))
}

/// The state file, open for reading while the daemon runs or is down.
#[derive(Debug)]
pub struct Reader {
    connection: Connection,
    path: PathBuf,
}

/// One line of history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryLine {
    /// UNIX seconds.
    pub at: i64,
    /// `error`, `warn`, `info` or `debug`.
    pub level: String,
    /// One word.
    pub kind: String,
    /// What happened.
    pub text: String,
}

impl Reader {
    /// Whether there is a state file, sound or not.
    pub fn exists(dir: &Path) -> bool {
        dir.join("state.db").exists()
    }

    /// Opens the state file, or says that there is none yet.
    pub fn open(dir: &Path) -> Result<Option<Reader>, StoreError> {
        let path = dir.join("state.db");
        match std::fs::metadata(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io("read", &path, error)),
            Ok(found) if found.len() == 0 => return Ok(None),
            Ok(_) => {}
        }
        let (connection, version) = match open_to_read(&path, OpenFlags::SQLITE_OPEN_READ_ONLY) {
            // A cut in the middle of a transaction leaves a journal that must be rolled back before anybody can
            // read. Until the daemon starts again nobody else does that.
            Err(why) if why.sqlite_error_code() == Some(rusqlite::ErrorCode::ReadOnly) => {
                open_to_read(&path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NOFOLLOW)
            }
            other => other,
        }
        .map_err(|why| damaged(&path, why))?;
        match version {
            0 => Ok(None),
            1..=VERSION => Ok(Some(Reader { connection, path })),
            newer => Err(StoreError::Newer(path, newer)),
        }
    }

    /// Everything the file holds.
    pub fn load(&self, now: Now) -> Result<Loaded, StoreError> {
        load(&self.connection, &self.path, &boot_id(), now)
    }

    /// The orders that were adopted after a replacement.
    pub fn adopted(&self) -> Result<Vec<Adopted>, StoreError> {
        load_adopted(&self.connection, &self.path)
    }

    /// The history of an order, oldest first.
    pub fn history(&self, order: &str) -> Result<Vec<HistoryLine>, StoreError> {
        let mut statement = self
            .connection
            .prepare("SELECT at, level, kind, text FROM history WHERE subject = ?1 ORDER BY id")?;
        let rows = statement.query_map([format!("order {order}")], |row| {
            Ok(HistoryLine { at: row.get(0)?, level: row.get(1)?, kind: row.get(2)?, text: row.get(3)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_with_locks_or_memory_is_no_damage() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.db");
        let told = |code| {
            damaged(&path, rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None)).to_string()
        };
        for code in
            [rusqlite::ffi::SQLITE_PROTOCOL, rusqlite::ffi::SQLITE_LOCKED, rusqlite::ffi::SQLITE_NOMEM]
        {
            assert!(!told(code).contains("move it"), "{}", told(code));
        }
        assert!(told(rusqlite::ffi::SQLITE_CORRUPT).contains("move it"));
    }
}
