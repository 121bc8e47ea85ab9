//! The state file's own form: its tables, its rows, and the translation of time from one boot to another.
//!
//! A row is the engine's record as serde writes it, so the names of its fields are part of the format:
//! `tests/it/golden/state` holds rows of every version, and tests read and write them. A row carries a check
//! sum over its text, because SQLite notices a broken page but not a flipped bit within a value, and a
//! flipped bit could reopen a closed account. Times on the schedule's line are kept as milliseconds of the
//! boot they belong to, with a table that says what the wall clock showed at the start of each boot.
//!
//! Nothing here opens a file; `effects::store::save` does.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hasher;

use aws_lc_rs::digest;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use siphasher::sip::SipHasher13;

use crate::cert::Certificate;
use crate::engine::account::record::AccountRecord;
use crate::engine::account::record::Cause;
use crate::engine::account::unheard::LONGEST_CALL;
use crate::engine::adopted::Adopted;
use crate::engine::order::record::OrderRecord;
use crate::engine::time::{Now, Time};

/// `PRAGMA user_version` of a state file that this program writes.
pub const VERSION: i64 = 4;
/// Maximum number of history lines kept per order and per account.
pub const HISTORY_LIMIT: u32 = 200;
/// Maximum number of those that are push notifications, which anyone may be able to send.
pub const PUSH_LIMIT: u32 = 60;

/// What each version added, the first version first. `record` is JSON; the columns beside it are for people with `sqlite3`.
pub const MIGRATIONS: [&str; VERSION as usize] = [
    "
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE boots (boot TEXT PRIMARY KEY, offset_ms INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE accounts (
    name TEXT PRIMARY KEY, state TEXT NOT NULL, boot TEXT NOT NULL, record TEXT NOT NULL, sum INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE orders (
    name TEXT PRIMARY KEY, phase TEXT NOT NULL, boot TEXT NOT NULL, record TEXT NOT NULL, sum INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE bundles (name TEXT PRIMARY KEY, certificates BLOB NOT NULL, sum INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE history (
    id INTEGER PRIMARY KEY, subject TEXT NOT NULL, at INTEGER NOT NULL, level TEXT NOT NULL, kind TEXT NOT NULL,
    text TEXT NOT NULL
);
CREATE INDEX history_of ON history (subject, id);
",
    "
CREATE TABLE adopted (name TEXT PRIMARY KEY, record TEXT NOT NULL, sum INTEGER NOT NULL) WITHOUT ROWID;
",
    // Records have keys that version 2 does not know and would refuse one by one; the version refuses the whole file at once.
    "",
    // A row in a tree of integers touches one page, however small the pages are. Its content is brought over by
    // `effects::store::upgrade`, because its check sum changes as well.
    "
ALTER TABLE accounts RENAME TO accounts_3;
ALTER TABLE orders RENAME TO orders_3;
CREATE TABLE accounts (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, state TEXT NOT NULL, boot TEXT NOT NULL, record TEXT NOT NULL,
    sum INTEGER NOT NULL
);
CREATE TABLE orders (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, phase TEXT NOT NULL, boot TEXT NOT NULL, record TEXT NOT NULL,
    sum INTEGER NOT NULL
);
",
];

/// The version from which on check sums are made by SipHash; they were the start of a SHA-256.
pub const SIPHASH_SINCE: i64 = 4;

/// Why a row cannot be used. Such a state file is never written to.
#[derive(Debug, thiserror::Error)]
pub enum RowError {
    /// The text is not what was written.
    #[error("the checksum of {0} does not match its content")]
    Sum(String),
    /// The text has the right sum, but this program does not understand it.
    #[error("{0} cannot be read: {1}")]
    Form(String, String),
}

/// Names a boot of this machine: the kernel's boot id, or nothing where it could not be read.
pub type BootId = str;

/// How the times of a row are to be read: wall time minus schedule time of the boot it was written in, in
/// milliseconds, or `None` if that is not known; and whether that boot is the present one.
#[derive(Debug, Clone, Copy)]
pub struct Origin {
    /// The present boot needs no translation.
    pub same_boot: bool,
    /// Of the boot in which the row was written.
    pub offset: Option<i64>,
    /// Of the current boot, as recorded: a clock that was set since says nothing about an earlier boot.
    pub present: Option<i64>,
}

impl Origin {
    /// The origin of rows written in `boot`. Two boots without a name may be different ones, and taking a time of
    /// another boot for one of this would freeze what waits for it; the wall clock translates well either way.
    pub fn of(boot: &BootId, present: &BootId, offsets: &HashMap<String, i64>) -> Self {
        let named = !present.is_empty();
        Origin {
            same_boot: named && boot == present,
            offset: offsets.get(boot).copied(),
            present: offsets.get(present).copied().filter(|_| named),
        }
    }

    /// A time to come, on the present line; an unknown one has come.
    fn future(&self, time: Time, now: Now) -> Time {
        match (self.same_boot, self.offset) {
            (true, _) => time,
            (false, Some(offset)) => {
                let present = self.present.unwrap_or_else(|| now.offset());
                Time(time.0.saturating_add(offset).saturating_sub(present))
            }
            (false, None) => now.time,
        }
    }

    /// A time in the past, on the present line; an unknown one is taken to be now, which asks no sooner.
    fn past(&self, time: Time, now: Now) -> Time {
        // A little in the future is how a call is recorded that was not answered; more is a clock that went backwards.
        self.future(time, now).min(now.time + LONGEST_CALL)
    }
}

/// Version 2 wrote what a pause is for in its words only.
const CAUSES_OF_VERSION_2: [(&str, Cause); 5] = [
    ("the password cannot be read", Cause::Password),
    ("no connection to the vendor", Cause::Connection),
    ("TLS with the vendor's host failed", Cause::Connection),
    ("the call cannot be prepared", Cause::Connection),
    ("the vendor asked us to wait", Cause::Asked),
];

fn cause_of_version_2(why: &str) -> Cause {
    let known = CAUSES_OF_VERSION_2.iter().find(|(start, _)| why.starts_with(start));
    known.map_or(Cause::Limit, |(_, cause)| *cause)
}

fn read<T: DeserializeOwned>(what: fmt::Arguments<'_>, text: &str) -> Result<T, RowError> {
    serde_json::from_str(text).map_err(|error| RowError::Form(what.to_string(), error.to_string()))
}

/// Sized for nearly every record: one that grows is copied several times over.
fn write(record: &impl Serialize) -> String {
    let mut text = Vec::with_capacity(1024);
    serde_json::to_writer(&mut text, record).expect("strings, numbers and lists");
    String::from_utf8(text).expect("JSON is UTF-8")
}

pub fn write_order(record: &OrderRecord) -> String {
    write(record)
}

pub fn write_account(record: &AccountRecord) -> String {
    write(record)
}

pub fn write_adopted(adopted: &Adopted) -> String {
    write(adopted)
}

pub fn read_order(name: &str, text: &str, origin: Origin, now: Now) -> Result<OrderRecord, RowError> {
    let mut record: OrderRecord = read(format_args!("the record of order {name}"), text)?;
    record.rebase(|time| *time = origin.past(*time, now), |time| *time = origin.future(*time, now));
    Ok(record)
}

pub fn read_account(name: &str, text: &str, origin: Origin, now: Now) -> Result<AccountRecord, RowError> {
    let mut record: AccountRecord = read(format_args!("the record of account {name}"), text)?;
    record.rebase(|time| *time = origin.past(*time, now), |time| *time = origin.future(*time, now));
    if record.paused_for.is_none() {
        record.paused_for = record.paused_why.as_deref().map(cause_of_version_2);
    }
    Ok(record)
}

pub fn read_adopted(name: &str, text: &str) -> Result<Adopted, RowError> {
    let what = format_args!("the adopted order {name}");
    let mut row: Map<String, Value> = read(what, text)?;
    // Written by an early version 2 and useless: the file belonged to the user who ran the command.
    row.remove("csr_file");
    let adopted = Adopted::deserialize(Value::Object(row));
    let adopted = adopted.map_err(|error| RowError::Form(what.to_string(), error.to_string()))?;
    Ok(Adopted { name: name.into(), ..adopted })
}

/// A bundle: each certificate as its length in four bytes, big-endian, and its DER.
pub fn write_bundle(bundle: &[Certificate]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for certificate in bundle {
        let der = certificate.der();
        bytes.extend_from_slice(&u32::try_from(der.len()).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend_from_slice(der);
    }
    bytes
}

pub fn read_bundle(name: &str, mut bytes: &[u8]) -> Result<Vec<Certificate>, RowError> {
    let form = |why: &str| RowError::Form(format!("the bundle of order {name}"), why.to_owned());
    let mut bundle = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        let der = rest.get(..length).ok_or_else(|| form("it is cut short"))?;
        bundle.push(Certificate::from_der(der).map_err(|error| form(&error.to_string()))?);
        bytes = &rest[length..];
    }
    if bytes.is_empty() { Ok(bundle) } else { Err(form("it is cut short")) }
}

/// The check sum of a row in a file of this version: over its table, its key and its content, so that rows cannot change
/// places. It is there for flipped bits; who can write to the file can make one.
pub fn sum(version: i64, table: &str, parts: &[&[u8]]) -> i64 {
    if version < SIPHASH_SINCE { sum_until_3(table, parts) } else { siphash(table, parts) }
}

/// SipHash-1-3 with the key 0, as its authors define it.
fn siphash(table: &str, parts: &[&[u8]]) -> i64 {
    let mut hasher = SipHasher13::new();
    hasher.write(table.as_bytes());
    for part in parts {
        hasher.write(&(part.len() as u64).to_be_bytes());
        hasher.write(part);
    }
    hasher.finish().cast_signed()
}

fn sum_until_3(table: &str, parts: &[&[u8]]) -> i64 {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(table.as_bytes());
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let digest = context.finish();
    i64::from_be_bytes(digest.as_ref()[..8].try_into().expect("SHA-256 has 32 bytes"))
}

#[cfg(test)]
mod tests;
