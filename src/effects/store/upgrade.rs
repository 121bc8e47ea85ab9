//! Brings a state file of an earlier version up to date: all of it, or nothing.

use std::path::Path;

use rusqlite::{Connection, Transaction, params};

use super::error::{StoreError, damaged};
use super::load::{Unread, check_sum, each, text};
use super::save::{ACCOUNTS, ORDERS, Records, put};
use certcollectd_core::state::{self, MIGRATIONS, SIPHASH_SINCE, VERSION};

/// Writes nothing where a row is not what was written.
pub(super) fn upgrade(connection: &mut Connection, path: &Path, version: i64) -> Result<(), StoreError> {
    let sqlite = |why| damaged(path, why);
    let transaction = connection.transaction().map_err(sqlite)?;
    for step in &MIGRATIONS[usize::try_from(version).unwrap_or(0)..] {
        transaction.execute_batch(step).map_err(sqlite)?;
    }
    if version < SIPHASH_SINCE {
        bring_over(&transaction, path, &ACCOUNTS, "SELECT name, state, boot, record, sum FROM accounts_3")?;
        bring_over(&transaction, path, &ORDERS, "SELECT name, phase, boot, record, sum FROM orders_3")?;
        sum_anew(&transaction, path, "bundles", "certificates")?;
        sum_anew(&transaction, path, "adopted", "record")?;
        transaction.execute_batch("DROP TABLE accounts_3; DROP TABLE orders_3").map_err(sqlite)?;
    }
    transaction.pragma_update(None, "user_version", VERSION).map_err(sqlite)?;
    transaction.commit().map_err(sqlite)
}

/// The rows of a table that has another form now.
fn bring_over(
    transaction: &Transaction<'_>,
    path: &Path,
    records: &Records,
    sql: &str,
) -> Result<(), StoreError> {
    each(transaction, path, sql, |row| {
        let (name, condition, boot, record) = (text(row, 0)?, text(row, 1)?, text(row, 2)?, text(row, 3)?);
        let parts = [name.as_bytes(), boot.as_bytes(), record.as_bytes()];
        let what = format_args!("the record of {name} in {}", records.table);
        check_sum(SIPHASH_SINCE - 1, records.table, what, &parts, row.get(4)?)?;
        put(transaction, records, name, condition, boot, record)?;
        Ok(())
    })
}

/// The rows of a table whose form stays.
fn sum_anew(
    transaction: &Transaction<'_>,
    path: &Path,
    table: &str,
    content: &str,
) -> Result<(), StoreError> {
    let mut sums = Vec::new();
    let sql = format!("SELECT name, CAST({content} AS BLOB), sum FROM {table}");
    each(transaction, path, &sql, |row| {
        let (name, bytes): (String, Vec<u8>) = (row.get(0)?, row.get(1)?);
        let parts = [name.as_bytes(), &bytes];
        check_sum(SIPHASH_SINCE - 1, table, format_args!("{name} in {table}"), &parts, row.get(2)?)?;
        let sum = state::sum(VERSION, table, &parts);
        sums.push((name, sum));
        Ok(())
    })?;
    let sql = format!("UPDATE {table} SET sum = ?2 WHERE name = ?1");
    let write = || -> Result<(), Unread> {
        let mut statement = transaction.prepare(&sql)?;
        for (name, sum) in &sums {
            statement.execute(params![name, sum])?;
        }
        Ok(())
    };
    write().map_err(|why| why.at(path))
}
