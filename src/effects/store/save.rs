//! The state file on disk: SQLite, one transaction for each list of effects, synced before anything relies
//! on it.

use std::fs::File;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Params, params};

use super::custody::Custody;
use super::error::{StoreError, damaged, failed, io, unsaved};
use super::file::{
    BUSY, NETWORK, PLAIN, boot_id, check_header, check_pages, close_to_others, is_on, no_version,
    tells_each_write, version,
};
use super::load::{self, load};
use super::lock::Lock;
use super::upgrade::upgrade;
use crate::effects::files::random_name;
use crate::effects::install::spare;
use crate::effects::ownership::user_name;
use certcollectd_core::engine::changes::Changes;
use certcollectd_core::engine::loaded::Loaded;
use certcollectd_core::engine::note::NoteKind;
use certcollectd_core::engine::note::{Level, Note};
use certcollectd_core::engine::time::Now;
use certcollectd_core::state::{self, HISTORY_LIMIT, PUSH_LIMIT, VERSION};

/// More boots than this are looked through for those of which nothing is left.
const BOOTS_KEPT: u32 = 64;

/// The state file, open for writing.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    path: PathBuf,
    boot: String,
    salt: Vec<u8>,
    custody: Rc<Custody>,
    lock: Lock,
}

impl Store {
    /// Opens the state file, or makes one; the caller holds the lock.
    pub fn open(dir: &Path, lock: Lock) -> Result<Store, StoreError> {
        Store::open_in_boot(dir, lock, boot_id())
    }

    /// As [`Store::open`], in a boot of this name.
    pub fn open_in_boot(dir: &Path, lock: Lock, boot: String) -> Result<Store, StoreError> {
        let (connection, path, salt) = match connect(dir) {
            // SQLite can mistake a failed read for damage. Real damage shows a second time as well, and a sound
            // file must not be reported as damaged.
            Err(StoreError::Damaged { .. }) => connect(dir)?,
            other => other?,
        };
        let locked = lock.identity().map_err(|why| failed("look at", &dir.join("lock"), why))?;
        let custody = Rc::new(Custody::take(dir, locked, tells_each_write(dir))?);
        Ok(Store { connection, path, boot, salt, custody, lock })
    }

    /// Whether the open files are the ones under `state_dir`, as we left them. Without that, nothing may be done that
    /// the next start must know of.
    pub fn compare(&self) -> Result<(), StoreError> {
        let compared = self.custody.compare();
        if compared.is_err() {
            // Into a database that is not ours any more, SQLite must not put its log when it is closed, nor someone else's.
            leave_log(&self.connection, !self.custody.may_fold());
        }
        compared
    }

    /// Answers anyone who asks, forever; called once.
    pub fn answer(&mut self) -> impl Future<Output = ()> + use<> {
        self.lock.presence().answer(self.custody.clone())
    }

    /// Random bytes of this installation, for credential tags.
    pub fn salt(&self) -> &[u8] {
        &self.salt
    }

    /// What was noted under this name.
    pub fn mark(&self, name: &str) -> Result<Option<String>, StoreError> {
        load::mark(&self.connection, &self.path, name)
    }

    /// Notes something that belongs to no order and no account; durable when it returns.
    pub fn set_mark(&mut self, name: &str, value: &str) -> Result<(), StoreError> {
        self.compare()?;
        let sql = "INSERT INTO meta VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = ?2";
        let saved = execute(&self.connection, sql, params![name, value]);
        self.custody.wrote();
        leave_log(&self.connection, saved.is_err());
        saved.map_err(|why| unsaved(&self.path, why))
    }

    /// Takes the salt of credential tags over with records that were tagged with it, for the next start.
    pub fn set_salt(&mut self, salt: &[u8]) -> Result<(), StoreError> {
        self.set_mark("salt", &String::from_utf8_lossy(salt))
    }

    pub fn load(&self, now: Now) -> Result<Loaded, StoreError> {
        load(&self.connection, &self.path, &self.boot, now)
    }

    /// Writes all changes in one transaction, or none; durable when it returns.
    ///
    /// A file that was lost is an error like a full disk.
    pub fn save(&mut self, changes: &Changes) -> Result<(), StoreError> {
        self.compare()?;
        let saved = self.write(changes);
        self.custody.wrote();
        leave_log(&self.connection, saved.is_err());
        saved.map_err(|why| unsaved(&self.path, why))?;
        if let Some(dir) = self.path.parent() {
            changes.forgotten.iter().for_each(|name| spare::drop_kept(dir, name));
        }
        Ok(())
    }

    fn write(&mut self, changes: &Changes) -> Result<(), rusqlite::Error> {
        let connection = &self.connection;
        execute(connection, "BEGIN IMMEDIATE", [])?;
        let written = write(connection, &self.boot, changes);
        let ended = written.and_then(|()| execute(connection, "COMMIT", []));
        if ended.is_err() && !connection.is_autocommit() {
            // The error that matters is the first.
            let _ = execute(connection, "ROLLBACK", []);
        }
        ended
    }
}

fn write(connection: &Connection, boot: &str, changes: &Changes) -> Result<(), rusqlite::Error> {
    if let Some(offset) = changes.offset {
        let sql = "INSERT INTO boots VALUES (?1, ?2) ON CONFLICT (boot) DO UPDATE SET offset_ms = ?2";
        execute(connection, sql, params![boot, offset])?;
        forget_boots(connection, boot)?;
    }
    for (name, record) in &changes.accounts {
        let condition = if record.closed.is_some() { "closed" } else { "open" };
        put(connection, &ACCOUNTS, name, condition, boot, &state::write_account(record))?;
    }
    for (name, record) in &changes.orders {
        put(connection, &ORDERS, name, record.phase.as_str(), boot, &state::write_order(record))?;
    }
    for (name, bundle) in &changes.bundles {
        let Some(bundle) = bundle else {
            execute(connection, "DELETE FROM bundles WHERE name = ?1", [&**name])?;
            continue;
        };
        let bytes = state::write_bundle(bundle);
        let sum = state::sum(VERSION, "bundles", &[name.as_bytes(), &bytes]);
        let sql = "REPLACE INTO bundles (name, certificates, sum) VALUES (?1, ?2, ?3)";
        execute(connection, sql, params![&**name, bytes, sum])?;
    }
    for (name, adopted) in &changes.adopted {
        let Some(adopted) = adopted else {
            execute(connection, "DELETE FROM adopted WHERE name = ?1", [&**name])?;
            continue;
        };
        let text = state::write_adopted(adopted);
        let sum = state::sum(VERSION, "adopted", &[name.as_bytes(), text.as_bytes()]);
        let sql = "REPLACE INTO adopted (name, record, sum) VALUES (?1, ?2, ?3)";
        execute(connection, sql, params![&**name, text, sum])?;
    }
    for name in &changes.forgotten {
        execute(connection, "DELETE FROM bundles WHERE name = ?1", [&**name])?;
        let subject = format!("order {name}");
        execute(connection, "DELETE FROM history WHERE subject = ?1", [subject])?;
    }
    for note in &changes.history {
        write_history(connection, note)?;
    }
    Ok(())
}

/// A table of records, with the statements that write one.
pub(super) struct Records {
    pub(super) table: &'static str,
    change: &'static str,
    insert: &'static str,
}

pub(super) const ACCOUNTS: Records = Records {
    table: "accounts",
    change: "UPDATE accounts SET state = ?2, boot = ?3, record = ?4, sum = ?5 WHERE name = ?1",
    insert: "INSERT INTO accounts (name, state, boot, record, sum) VALUES (?1, ?2, ?3, ?4, ?5)",
};

pub(super) const ORDERS: Records = Records {
    table: "orders",
    change: "UPDATE orders SET phase = ?2, boot = ?3, record = ?4, sum = ?5 WHERE name = ?1",
    insert: "INSERT INTO orders (name, phase, boot, record, sum) VALUES (?1, ?2, ?3, ?4, ?5)",
};

/// Changes a row in its place, or adds it. A replacement would take it out of its tree first.
pub(super) fn put(
    connection: &Connection,
    records: &Records,
    name: &str,
    condition: &str,
    boot: &str,
    text: &str,
) -> Result<(), rusqlite::Error> {
    let sum = state::sum(VERSION, records.table, &[name.as_bytes(), boot.as_bytes(), text.as_bytes()]);
    let values = params![name, condition, boot, text, sum];
    if connection.prepare_cached(records.change)?.execute(values)? == 0 {
        execute(connection, records.insert, values)?;
    }
    Ok(())
}

/// The state file, checked and ready to be written, with its path and its salt.
fn connect(dir: &Path) -> Result<(Connection, PathBuf, Vec<u8>), StoreError> {
    let dir = &real(dir)?;
    let path = dir.join("state.db");
    // Before SQLite does, so that this file and those beside it are private whatever the umask.
    let mut options = File::options();
    let file = options.read(true).append(true).create(true).mode(0o600).custom_flags(PLAIN).open(&path);
    let file = file.map_err(|why| failed("open", &path, why))?;
    check_owner(&file, &path)?;
    check_header(file, &path)?;
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let mut connection = Connection::open_with_flags(&path, flags).map_err(|why| damaged(&path, why))?;
    connection.busy_timeout(BUSY).map_err(|why| damaged(&path, why))?;
    leave_log(&connection, true);
    let version = version(&connection, &path)?;
    if version > VERSION {
        return Err(StoreError::Newer(path, version));
    } else if version < 0 {
        return Err(no_version(&path, version));
    }
    check_pages(&connection, &path)?;
    prepare(&connection, dir).map_err(|why| damaged(&path, why))?;
    if version < VERSION {
        upgrade(&mut connection, &path, version)?;
    }
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|why| failed("sync", dir, why))?;
    let salt = salt(&connection).map_err(|why| damaged(&path, why))?;
    leave_log(&connection, false);
    Ok((connection, path, salt))
}

/// A state that belongs to someone else was written by someone else, and could be again.
fn check_owner(file: &File, path: &Path) -> Result<(), StoreError> {
    let found = file.metadata().map_err(|why| failed("look at", path, why))?;
    let me = rustix::process::geteuid().as_raw();
    if found.uid() != me {
        return Err(io("use", path, foreign_owner(found.uid(), me)));
    }
    close_to_others(&found, path, "", |closed| file.set_permissions(closed))
}

/// What is wrong with a state of someone else's, and what to do.
pub fn foreign_owner(owner: u32, ours: u32) -> String {
    format!(
        "it belongs to user {}, not to {}: if you know that it is the right one, chown it, or else move it and its -wal and \
         -shm files aside",
        user_name(owner),
        user_name(ours)
    )
}

/// Whether the log stays as it is when the file is closed. After a failure it must: to be put into the file it would
/// be synced again, and a sync that failed once succeeds the next time, whatever was lost.
fn leave_log(connection: &Connection, stays: bool) {
    // Only a connection of another program's could refuse this.
    let _ = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, stays);
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
    };
    let sql = "INSERT INTO history (subject, at, level, kind, text) VALUES (?1, ?2, ?3, ?4, ?5)";
    execute(connection, sql, params![subject, note.at, level, note.kind.as_str(), note.text])?;
    // The limits stand in the text: SQLite parses a statement anew each time that a bound one is given.
    let sql = format!(
        "DELETE FROM history WHERE subject = ?1 AND id <= \
         (SELECT id FROM history WHERE subject = ?1 ORDER BY id DESC LIMIT 1 OFFSET {HISTORY_LIMIT})"
    );
    execute(connection, &sql, params![subject])?;
    if note.kind == NoteKind::Push {
        let sql = format!(
            "DELETE FROM history WHERE subject = ?1 AND kind = ?2 AND id <= \
             (SELECT id FROM history WHERE subject = ?1 AND kind = ?2 ORDER BY id DESC LIMIT 1 OFFSET {PUSH_LIMIT})"
        );
        execute(connection, &sql, params![subject, NoteKind::Push.as_str()])?;
    }
    Ok(())
}

/// Carries out a statement that will be used again.
fn execute(connection: &Connection, sql: &str, values: impl Params) -> Result<(), rusqlite::Error> {
    connection.prepare_cached(sql)?.execute(values).map(drop)
}

/// Takes out boots of which nothing is left. A few do no harm, and to look through all records for them takes a while.
fn forget_boots(connection: &Connection, present: &str) -> Result<(), rusqlite::Error> {
    let known: u32 = connection.query_row("SELECT count(*) FROM boots", [], |row| row.get(0))?;
    if known > BOOTS_KEPT {
        connection.execute(
            "DELETE FROM boots WHERE boot <> ?1 AND boot NOT IN \
             (SELECT boot FROM orders UNION SELECT boot FROM accounts)",
            [present],
        )?;
    }
    Ok(())
}

/// The directory itself: SQLite follows no links here, and the path may contain some.
pub(super) fn real(dir: &Path) -> Result<PathBuf, StoreError> {
    std::fs::canonicalize(dir).map_err(|why| failed("use", dir, why))
}

/// Settings of a new file, and of each use of one.
fn prepare(connection: &Connection, dir: &Path) -> Result<(), rusqlite::Error> {
    let mode = if is_on(dir, &NETWORK) { "TRUNCATE" } else { "WAL" };
    // The least that there is: a save writes whole pages, and a record that waits fills about half of one. A file
    // that has pages already keeps theirs.
    connection.execute_batch("PRAGMA page_size = 512")?;
    connection.query_row(&format!("PRAGMA journal_mode = {mode}"), [], |_| Ok(()))?;
    connection.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 4194304; PRAGMA cache_size = -2000;",
    )?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(())
}

fn salt(connection: &Connection) -> Result<Vec<u8>, rusqlite::Error> {
    let known: Option<String> =
        connection.query_row("SELECT value FROM meta WHERE key = 'salt'", [], |row| row.get(0)).optional()?;
    if let Some(known) = known {
        return Ok(known.into_bytes());
    }
    let fresh = format!("{}{}", random_name(), random_name());
    connection.execute("INSERT INTO meta VALUES ('salt', ?1)", [&fresh])?;
    Ok(fresh.into_bytes())
}
