//! A store that several hosts share, with members of a real etcd and servers of a real PostgreSQL.

mod access;
mod alike;
mod fleet;
mod ledger;
pub mod member;
mod moving;
mod postgres;
mod proxy;
mod rows;
mod server;
mod watch;

use certcollectd::effects::shared::{Commit, Compare, Row, Trouble};

fn row(key: &str, value: &str) -> Row {
    Row { key: key.into(), value: value.into() }
}

fn expect(key: &str, value: Option<&str>) -> Compare {
    Compare { key: key.into(), value: value.map(Into::into) }
}

fn put(key: &str, value: &str) -> Commit {
    Commit { puts: vec![row(key, value)], ..Commit::default() }
}

/// A commit of one row, if it was that before.
fn swap(key: &str, before: Option<&str>, after: &str) -> Commit {
    Commit { expected: vec![expect(key, before)], ..put(key, after) }
}

fn text(value: &Option<Vec<u8>>) -> Option<&str> {
    value.as_ref().map(|value| std::str::from_utf8(value).unwrap())
}

fn is_away(trouble: &Trouble) -> bool {
    matches!(trouble, Trouble::Away(_))
}
