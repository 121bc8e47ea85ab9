//! The state of a fleet's leader as rows of the store: the same records as in a `state.db`, read by another machine.
//!
//! A record's times are those of the machine and the boot that wrote it, so each row says how that boot's clock stood to
//! the wall clock. What another machine makes of it is later by the most that two clocks of a fleet may be apart: nobody is
//! asked too early for a clock that is wrong.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::engine::changes::Changes;
use crate::engine::loaded::{Loaded, Remembered};
use crate::engine::time::Now;
use crate::fleet::keys::{Key, Table};
use crate::fleet::lease::MOST_SKEW;
use crate::state::{self, Origin, RowError, VERSION};

/// The boot of a machine, by which its times are read.
#[derive(Debug, Clone, Copy)]
pub struct Boot<'a> {
    /// The kernel's id of the boot, or nothing where it could not be read.
    pub id: &'a str,
    pub now: Now,
    /// How far its clock may be from those that wrote the rows.
    pub skew: Duration,
}

/// A record and what it takes to read it elsewhere.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    /// Of the program that wrote it: [`VERSION`].
    version: i64,
    boot: String,
    /// Wall time minus schedule time of that boot, milliseconds.
    offset_ms: i64,
    record: String,
    /// Over table, name, boot, offset and record.
    sum: i64,
}

impl Row {
    fn write(table: Table, name: &str, record: String, boot: Boot<'_>) -> Vec<u8> {
        let offset_ms = boot.now.offset();
        let sum = sum(table, name, boot.id, offset_ms, &record);
        let row = Row { version: VERSION, boot: boot.id.to_owned(), offset_ms, record, sum };
        serde_json::to_vec(&row).expect("strings and numbers")
    }

    fn read(table: Table, name: &str, bytes: &[u8]) -> Result<Row, RowError> {
        let what = || format!("{} of the store", Key::Row { table, name });
        let row: Row =
            serde_json::from_slice(bytes).map_err(|error| RowError::Form(what(), error.to_string()))?;
        if row.version > VERSION {
            let newer = format!("it was written by a newer certcollectd (version {} of rows)", row.version);
            return Err(RowError::Form(what(), newer));
        }
        if row.sum != sum(table, name, &row.boot, row.offset_ms, &row.record) {
            return Err(RowError::Sum(what()));
        }
        Ok(row)
    }

    fn origin(&self, boot: Boot<'_>) -> Origin {
        let slack = i64::try_from(boot.skew.max(MOST_SKEW).as_millis()).unwrap_or(i64::MAX);
        Origin {
            same_boot: !boot.id.is_empty() && self.boot == boot.id,
            offset: Some(self.offset_ms.saturating_add(slack)),
            present: None,
        }
    }
}

fn sum(table: Table, name: &str, boot: &str, offset_ms: i64, record: &str) -> i64 {
    let offset = offset_ms.to_be_bytes();
    state::sum(VERSION, table.as_str(), &[name.as_bytes(), boot.as_bytes(), &offset, record.as_bytes()])
}

/// A row as it is to be, by its key; `None` where it is to go.
pub type Wanted = (String, Option<Vec<u8>>);

/// The rows of these changes. The history stays with the host that made it.
pub fn write(changes: &Changes, boot: Boot<'_>) -> Vec<Wanted> {
    let key = |table: Table, name: &str| Key::Row { table, name }.to_string();
    let mut rows = Vec::new();
    for (name, record) in &changes.accounts {
        rows.push((
            key(Table::Accounts, name),
            Some(Row::write(Table::Accounts, name, state::write_account(record), boot)),
        ));
    }
    for (name, record) in &changes.orders {
        rows.push((
            key(Table::Orders, name),
            Some(Row::write(Table::Orders, name, state::write_order(record), boot)),
        ));
    }
    for (name, adopted) in &changes.adopted {
        let row = adopted
            .as_ref()
            .map(|adopted| Row::write(Table::Adopted, name, state::write_adopted(adopted), boot));
        rows.push((key(Table::Adopted, name), row));
    }
    for (name, bundle) in &changes.bundles {
        rows.push((key(Table::Bundles, name), bundle.as_ref().map(|bundle| state::write_bundle(bundle))));
    }
    let bundled = |name: &Arc<str>| changes.bundles.iter().any(|(known, _)| known == name);
    for name in changes.forgotten.iter().filter(|name| !bundled(name)) {
        rows.push((key(Table::Bundles, name), None));
    }
    rows
}

/// All that was loaded, as changes that write it anew.
pub fn all(loaded: &Loaded) -> Changes {
    news(loaded, &Loaded::default())
}

/// What differs from the state that the store holds, as changes; all accounts, so that there is something to write.
pub fn news(loaded: &Loaded, stored: &Loaded) -> Changes {
    let known = |name: &Arc<str>| stored.orders.get(name);
    let orders = loaded
        .orders
        .iter()
        .filter(|(name, order)| known(name).is_none_or(|known| known.record != order.record))
        .map(|(name, order)| (name.clone(), order.record.clone()));
    let bundles = loaded.orders.iter().filter_map(|(name, order)| {
        let bundle = order.bundle.as_ref()?;
        let is_stored = known(name).and_then(|known| known.bundle.as_ref()) == Some(bundle);
        (!is_stored).then(|| (name.clone(), Some(bundle.clone())))
    });
    let adopted = loaded.adopted.iter().filter(|adopted| !stored.adopted.contains(adopted));
    Changes {
        orders: orders.collect(),
        accounts: loaded.accounts.iter().map(|(name, record)| (name.clone(), record.clone())).collect(),
        bundles: bundles.collect(),
        adopted: adopted.map(|known| (known.name.clone(), Some(known.clone()))).collect(),
        ..Changes::default()
    }
}

/// The state that these rows, key and value, hold; those of another kind are left out. [`Loaded::identity`] is the caller's.
///
/// # Errors
///
/// The first row that cannot be read. Nothing may be begun without it: it could be a closed account.
pub fn read<'a>(
    rows: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    boot: Boot<'_>,
) -> Result<Loaded, RowError> {
    let mut loaded = Loaded::default();
    let mut bundles = Vec::new();
    for (key, value) in rows {
        let Some(Key::Row { table, name }) = Key::parse(key) else { continue };
        match table {
            Table::Accounts => {
                let row = Row::read(table, name, value)?;
                let record = state::read_account(name, &row.record, row.origin(boot), boot.now)?;
                loaded.accounts.insert(name.into(), record);
            }
            Table::Orders => {
                let row = Row::read(table, name, value)?;
                let record = state::read_order(name, &row.record, row.origin(boot), boot.now)?;
                loaded.orders.insert(name.into(), Remembered { record, bundle: None });
            }
            Table::Adopted => {
                let row = Row::read(table, name, value)?;
                loaded.adopted.push(state::read_adopted(name, &row.record)?);
            }
            Table::Bundles => bundles.push((name, state::read_bundle(name, value)?)),
        }
    }
    for (name, bundle) in bundles {
        if let Some(known) = loaded.orders.get_mut(name).filter(|known| known.record.bundled) {
            known.bundle = Some(bundle);
        }
    }
    Ok(loaded)
}

/// The store's state with what this host knows better: a store that was restored from a copy has forgotten calls, and what
/// they were told. Whichever record counts more calls is the later one.
pub fn later(store: Loaded, mirror: Loaded) -> Loaded {
    let mut later = store;
    for (name, mut known) in mirror.accounts {
        if let Some(there) = later.accounts.remove(&name) {
            let (newer, older) = if there.calls >= known.calls { (there, known) } else { (known, there) };
            known = newer;
            known.called = known.called.max(older.called);
            known.paused_until = known.paused_until.max(older.paused_until);
            // A login too many may lock the account at the vendor, so closed counts as the later of two.
            known.closed = known.closed.or(older.closed);
        }
        later.accounts.insert(name, known);
    }
    for (name, mut known) in mirror.orders {
        if let Some(there) = later.orders.remove(&name) {
            let is_newer = there.record.polls >= known.record.polls;
            let (newer, older) = if is_newer { (there, known) } else { (known, there) };
            known = newer;
            known.record.polled = known.record.polled.max(older.record.polled);
            if let (Some(due), Some(other)) = (&mut known.record.due, older.record.due) {
                *due = (*due).max(other);
            }
        }
        later.orders.insert(name, known);
    }
    for known in mirror.adopted {
        if !later.adopted.iter().any(|there| there.name == known.name) {
            later.adopted.push(known);
        }
    }
    later
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::account::record::AccountRecord;
    use crate::engine::order::record::OrderRecord;
    use crate::engine::time::Time;

    const WALL: i64 = 1_800_000_000_000;

    fn boot(id: &str, up: i64, wall: i64) -> Boot<'_> {
        Boot { id, now: Now { time: Time(up), wall }, skew: Duration::ZERO }
    }

    fn changes(polled: i64, due: i64) -> Changes {
        let mut order = OrderRecord::new("main".into(), "1".into(), Now { time: Time(0), wall: WALL });
        (order.polled, order.due, order.polls) = (Some(Time(polled)), Some(Time(due)), 3);
        let account = AccountRecord { called: Some(Time(polled)), calls: 7, ..AccountRecord::default() };
        Changes {
            orders: vec![("www".into(), order)],
            accounts: vec![("main".into(), account)],
            ..Changes::default()
        }
    }

    fn loaded(rows: &[Wanted], boot: Boot<'_>) -> Result<Loaded, RowError> {
        read(rows.iter().map(|(key, value)| (&**key, value.as_deref().unwrap())), boot)
    }

    #[test]
    fn the_same_boot_reads_what_it_wrote() {
        let here = boot("a", 50_000, WALL);
        let read = loaded(&write(&changes(40_000, 90_000), here), here).unwrap();
        assert_eq!(read.orders["www"].record.due, Some(Time(90_000)));
        assert_eq!(read.accounts["main"].called, Some(Time(40_000)));
        let again = write(&all(&read), here);
        assert_eq!(loaded(&again, here).unwrap().accounts, read.accounts);
    }

    /// Up for another time, with a clock that is as wrong as it may be.
    #[test]
    fn another_machine_asks_later_but_never_sooner() {
        let rows = write(&changes(40_000, 90_000), boot("a", 50_000, WALL));
        for wrong in [-10_000, 0, 10_000] {
            // 20 s later by everybody's clock but its own.
            let there = boot("b", 1_000, WALL + 20_000 + wrong);
            let due = loaded(&rows, there).unwrap().orders["www"].record.due.unwrap();
            // 90 s on the first machine's line are 70 s after its 20 s.
            let wait = due.since(there.now.time).as_millis();
            assert!((20_000..=40_000).contains(&wait), "{wait} with {wrong}");
        }
    }

    #[test]
    fn a_row_in_another_place_or_with_another_bit_is_refused() {
        let here = boot("a", 50_000, WALL);
        let rows = write(&changes(40_000, 90_000), here);
        let moved: Vec<Wanted> =
            rows.iter().map(|(key, value)| (key.replace("www", "mail"), value.clone())).collect();
        assert!(matches!(loaded(&moved, here), Err(RowError::Sum(_))));
        for (from, to) in [("90000", "10000"), ("\"a\"", "\"b\""), ("\"offset_ms\":1", "\"offset_ms\":2")] {
            let changed: Vec<Wanted> = rows
                .iter()
                .map(|(key, value)| {
                    let text = String::from_utf8(value.clone().unwrap()).unwrap();
                    (key.clone(), Some(text.replace(from, to).into_bytes()))
                })
                .collect();
            assert!(matches!(loaded(&changed, here), Err(RowError::Sum(_))), "{from}");
        }
        let newer = Row::write(Table::Orders, "www", "{}".into(), here);
        let newer = String::from_utf8(newer).unwrap().replace("\"version\":4", "\"version\":99");
        let refused = loaded(&[("rows/orders/www".into(), Some(newer.into_bytes()))], here).unwrap_err();
        assert!(refused.to_string().contains("newer certcollectd"), "{refused}");
    }

    #[test]
    fn a_restored_store_does_not_make_anybody_ask_sooner() {
        let here = boot("a", 50_000, WALL);
        let read = |polled, due| loaded(&write(&changes(polled, due), here), here).unwrap();
        let (old, mut new) = (read(10_000, 20_000), read(40_000, 90_000));
        new.orders.get_mut("www").unwrap().record.polls = 4;
        new.accounts.get_mut("main").unwrap().calls = 8;
        for (store, mirror) in [(old.clone(), new.clone()), (new, old)] {
            let later = later(store, mirror);
            assert_eq!(later.orders["www"].record.due, Some(Time(90_000)));
            assert_eq!(later.accounts["main"].called, Some(Time(40_000)));
        }
    }

    #[test]
    fn what_the_store_holds_is_no_news() {
        let here = boot("a", 50_000, WALL);
        let read = |polled, due| loaded(&write(&changes(polled, due), here), here).unwrap();
        let (old, new) = (read(10_000, 20_000), read(40_000, 90_000));
        let same = news(&old, &old);
        assert_eq!((same.orders.len(), same.accounts.len()), (0, 1));
        assert_eq!(news(&new, &old).orders[0].1.due, Some(Time(90_000)));
        assert_eq!(news(&old, &Loaded::default()).orders.len(), 1);
    }

    #[test]
    fn what_is_forgotten_takes_its_bundle_along() {
        let here = boot("a", 50_000, WALL);
        let forgotten = Changes { forgotten: vec!["www".into()], ..Changes::default() };
        assert_eq!(write(&forgotten, here), [("rows/bundles/www".to_owned(), None)]);
    }
}
