//! State files as earlier versions wrote them.

use std::collections::BTreeMap;

use certcollectd::effects::store::load::Reader;
use certcollectd::effects::store::lock::Lock;
use certcollectd::effects::store::save::Store;
use certcollectd_core::engine::time::{Now, Time};
use certcollectd_core::state;
use rusqlite::Connection;
use serde_json::{Value, json};

/// When they were written.
const NOW: Now = Now { time: Time(5_000_000), wall: 1_795_165_920_000 };

type Rows = BTreeMap<String, Value>;

fn row(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn rows(connection: &Connection, table: &str) -> Rows {
    let mut statement = connection.prepare(&format!("SELECT name, record FROM {table}")).unwrap();
    let rows = statement.query_map([], |found| Ok((found.get(0)?, found.get::<_, String>(1)?))).unwrap();
    rows.map(|found| found.map(|(name, text)| (name, row(&text))).unwrap()).collect()
}

/// Every row comes back as it was, but for what the present version says in another way; `change` makes that change.
fn check(dump: &str, tables: &[&str], change: impl Fn(&mut BTreeMap<&str, Rows>)) {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("state.db");
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch(dump).unwrap();
    let mut expected: BTreeMap<&str, Rows> =
        tables.iter().map(|table| (*table, rows(&connection, table))).collect();
    drop(connection);
    change(&mut expected);
    // A reader may come before the first start of this version.
    let read = Reader::open(temp.path()).unwrap().unwrap().load(NOW).unwrap();
    assert_eq!(read.orders.len(), expected["orders"].len());
    assert_eq!(read.adopted.len(), expected.get("adopted").map_or(0, Rows::len));
    let lock = Lock::take(temp.path()).unwrap();
    let store = Store::open_in_boot(temp.path(), lock, "boot-1".to_owned()).unwrap();
    let loaded = store.load(NOW).unwrap();
    assert_eq!(store.salt(), b"salted");
    assert_eq!(loaded.orders["full"].bundle.as_ref().unwrap().len(), 1);
    let mut found: BTreeMap<&str, Rows> = BTreeMap::new();
    let orders = loaded.orders.iter();
    found.insert(
        "orders",
        orders.map(|(name, order)| (name.to_string(), row(&state::write_order(&order.record)))).collect(),
    );
    let accounts = loaded.accounts.iter();
    found.insert(
        "accounts",
        accounts.map(|(name, record)| (name.to_string(), row(&state::write_account(record)))).collect(),
    );
    let adopted = loaded.adopted.iter();
    found.insert(
        "adopted",
        adopted.map(|adopted| (adopted.name.to_string(), row(&state::write_adopted(adopted)))).collect(),
    );
    expected.entry("adopted").or_default();
    assert_eq!(found, expected);
}

fn paused_for(expected: &mut BTreeMap<&str, Rows>, name: &str, cause: &str) {
    expected.get_mut("accounts").unwrap().get_mut(name).unwrap()["paused_for"] = json!(cause);
}

#[test]
fn version_1_is_read() {
    check(include_str!("golden/state/version-1.sql"), &["orders", "accounts"], |expected| {
        paused_for(expected, "full", "call-limit");
    });
}

#[test]
fn version_2_is_read() {
    check(include_str!("golden/state/version-2.sql"), &["orders", "accounts", "adopted"], |expected| {
        for (name, cause) in [
            ("full", "call-limit"),
            ("password", "password"),
            ("connection", "connection"),
            ("tls", "connection"),
            ("prepared", "connection"),
            ("asked", "retry-after"),
        ] {
            paused_for(expected, name, cause);
        }
        let early = expected.get_mut("adopted").unwrap().get_mut("early").unwrap();
        early.as_object_mut().unwrap().remove("csr_file").unwrap();
    });
}

#[test]
fn version_3_is_read() {
    check(include_str!("golden/state/version-3.sql"), &["orders", "accounts", "adopted"], |_| {});
}

/// A row that is not what was written is not given a new sum, and the file stays as it is.
#[test]
fn a_flipped_bit_is_noticed_before_anything_is_brought_up_to_date() {
    for (table, change) in [
        ("orders", "record = replace(record, 'guarding', 'guardinG')"),
        ("accounts", "record = replace(record, 'refused', 'refuseD')"),
        ("bundles", "sum = sum + 1"),
        ("adopted", "record = replace(record, '12', '13')"),
    ] {
        let temp = tempfile::tempdir().unwrap();
        let connection = Connection::open(temp.path().join("state.db")).unwrap();
        connection.execute_batch(include_str!("golden/state/version-3.sql")).unwrap();
        assert_ne!(connection.execute(&format!("UPDATE {table} SET {change}"), []).unwrap(), 0);
        drop(connection);
        let lock = Lock::take(temp.path()).unwrap();
        let error = Store::open_in_boot(temp.path(), lock, "boot-1".to_owned()).unwrap_err().to_string();
        assert!(error.contains("checksum"), "{table}: {error}");
        let connection = Connection::open(temp.path().join("state.db")).unwrap();
        let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
        assert_eq!(version, 3, "{table}");
    }
}
