//! A store that several hosts share, with members of a real etcd and servers of a real PostgreSQL.

mod access;
mod alike;
pub mod backend;
mod fleet;
mod ledger;
pub mod member;
mod moving;
pub mod pooler;
mod postgres;
mod proxy;
mod rows;
mod server;
pub mod switch;
mod watch;

use std::time::Duration;

use certcollectd::effects::shared::{
    Change, Commit, Committed, Compare, News, Row, Shared, StoreSettings, Trouble, Watch,
};
use certcollectd_core::config::fleet::StoreKind;

use self::member::{LOOK, PATIENCE, PREFIX};

/// A short timeout, no log-in.
fn settings(kind: StoreKind, endpoints: Vec<String>) -> StoreSettings {
    StoreSettings {
        kind,
        endpoints,
        prefix: PREFIX.into(),
        ca_file: None,
        client_cert: None,
        login: None,
        makes_tables: true,
        timeout: Duration::from_secs(5),
        watch_idle: Duration::from_secs(60),
    }
}

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

/// Commits again and again until the store takes it.
pub async fn commit_at_last(shared: &Shared, commit: &Commit) {
    for _ in 0..PATIENCE.as_millis() / LOOK.as_millis() {
        if shared.commit(commit).await == Committed::Done {
            return;
        }
        tokio::time::sleep(LOOK).await;
    }
    panic!("the store takes nothing within {PATIENCE:?}");
}

/// So many changes.
async fn changes(watch: &mut Watch, count: usize) -> Vec<Change> {
    let mut seen = Vec::new();
    while seen.len() < count {
        match watch.next().await {
            News::Changes(changes) => seen.extend(changes),
            News::Lost(why) => panic!("{why}"),
        }
    }
    seen
}

async fn lost(watch: &mut Watch) -> String {
    loop {
        match watch.next().await {
            News::Changes(_) => {}
            News::Lost(why) => return why,
        }
    }
}
