//! A state that moves: of a host on its own into a store, where it becomes a fleet's, and back.
//!
//! Both ways nobody may call the vendor meanwhile. Into the store, the lease comes last: until then no collector has more
//! than the row `term` to go by, and waits. Back, the term is taken as a leader takes it, so that no other one goes on.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::sleep;

use super::member::{FLEET, HIGHEST, MIRRORED};
use crate::effects::files::random_name;
use crate::effects::shared::keeper::Term;
use crate::effects::shared::ledger::{Ledger, Unwritten};
use crate::effects::shared::{Commit, Committed, Compare, Row, Shared, Trouble};
use crate::effects::store::save::Store;
use crate::sources::clock;
use certcollectd_core::config::count;
use certcollectd_core::config::fleet::Collector;
use certcollectd_core::engine::changes::Changes;
use certcollectd_core::engine::loaded::Loaded;
use certcollectd_core::engine::time::Time;
use certcollectd_core::fleet::form::Malformed;
use certcollectd_core::fleet::keys::{Key, PUBLICATIONS, ROWS};
use certcollectd_core::fleet::lease::{Beat, Fence};
use certcollectd_core::fleet::published::Meta;
use certcollectd_core::fleet::rows;

/// Under this name the state file keeps by which process's id it goes into a store, until all of it is there.
const IMPORTING: &str = "fleet-importing";
/// Between two looks at the lease.
const LOOK: Duration = Duration::from_millis(250);

/// Makes a fleet of the state of this host. What was cut off goes on when it is called again.
///
/// # Errors
///
/// In words: the store holds a fleet, or cannot be written.
pub async fn import(shared: Rc<Shared>, name: &str, store: &mut Store) -> Result<String, String> {
    let begun = mark(store, IMPORTING)?;
    if begun.is_none() && mark(store, MIRRORED)?.is_some() {
        return Err("the state of this host belongs to a fleet already; nothing was written".into());
    }
    let process = begun.unwrap_or_else(random_name);
    let fence = Fence { term: 1, process: process.as_str().into() }.to_row();
    let found = Found::read(&shared).await?;
    if found.fence.as_ref() != Some(&fence) {
        let others = [ROWS, PUBLICATIONS];
        let is_empty = found.is_empty() && !any(&shared, &others).await?;
        if !is_empty {
            return Err(
                "the store holds a fleet already, and nothing was written. Set another `prefix` in [fleet], or start \
                 certcollectd: it joins that fleet with what the store says"
                    .into(),
            );
        }
        set(store, IMPORTING, &process)?;
        let expected = [Key::Lease, Key::Term, Key::Meta].map(|key| expect(key, None)).into();
        commit(&shared, expected, vec![row(Key::Term, fence.clone())]).await?;
    }
    let (ledger, loaded) = (ledger(&shared, 1, &fence), load(store)?);
    let id = ledger.identify(None).await.map_err(said)?;
    ledger.load(store.salt()).await.map_err(said)?;
    ledger.save(&rows::all(&loaded)).await.map_err(unwritten)?;
    // From here on a start without [fleet] is refused.
    set(store, MIRRORED, "1")?;
    set(store, HIGHEST, "1")?;
    set(store, FLEET, &id)?;
    if found.lease.is_none() {
        let beat = Beat {
            host: name.into(),
            process: process.as_str().into(),
            term: 1,
            beat: 1,
            at_ms: clock::now().wall,
            lease_ms: 0,
            released: true,
        };
        let expected = vec![expect(Key::Term, Some(fence)), expect(Key::Lease, None)];
        commit(&shared, expected, vec![row(Key::Lease, beat.to_row())]).await?;
    }
    set(store, IMPORTING, "")?;
    Ok(format!(
        "{} and {} are in the store; start certcollectd with [fleet] here, and then the other collectors",
        count(loaded.orders.len(), "order"),
        count(loaded.accounts.len(), "account")
    ))
}

/// Makes the state of a fleet that of this host, which is on its own from then on.
///
/// # Errors
///
/// In words: a collector leads or stands by, the state is another one's, or the store cannot be read.
pub async fn export(
    shared: Rc<Shared>,
    name: &str,
    settings: &Collector,
    store: &mut Store,
) -> Result<String, String> {
    let (known, mirror) = (mark(store, FLEET)?, load(store)?);
    if known.is_none() && !mirror.orders.is_empty() {
        return Err(
            "the state of this host is its own, and no fleet's; nothing was changed. Set an empty state_dir"
                .into(),
        );
    }
    let found = Found::read(&shared).await?;
    if found.meta.is_none() {
        return Err("the store holds no fleet under the `prefix` of [fleet]; nothing was changed".into());
    }
    let beat: Option<Beat> = parse(Key::Lease, found.lease.as_deref(), Beat::read)?;
    let last: Option<Fence> = parse(Key::Term, found.fence.as_deref(), Fence::read)?;
    // One that has stepped down stands back for a lease before it takes a released one.
    still(&shared, &found, settings.lease + settings.beat).await?;
    let term = beat.map(|beat| beat.term).max(last.map(|last| last.term)).unwrap_or_default() + 1;
    let process: Box<str> = random_name().into();
    let fence = Fence { term, process: process.clone() }.to_row();
    let beat = Beat {
        host: name.into(),
        process,
        term,
        beat: 1,
        at_ms: clock::now().wall,
        lease_ms: 0,
        released: true,
    };
    let expected = vec![expect(Key::Lease, found.lease), expect(Key::Term, found.fence)];
    let puts = vec![row(Key::Lease, beat.to_row()), row(Key::Term, fence.clone())];
    commit(&shared, expected, puts).await?;

    let ledger = ledger(&shared, term, &fence);
    ledger.identify(known.as_deref()).await.map_err(said)?;
    let (loaded, salt) = ledger.load(store.salt()).await.map_err(said)?;
    let loaded = rows::later(loaded, mirror);
    let row = found.meta.as_deref().ok_or("the store holds no fleet")?;
    let meta = Meta::read(row).map_err(said)?.moved(name);
    ledger.write(vec![(Key::Meta.to_string(), Some(meta.to_row()))]).await.map_err(unwritten)?;
    store.set_salt(&salt).map_err(said)?;
    let offset = Some(clock::now().offset());
    store.save(&Changes { offset, ..rows::all(&loaded) }).map_err(said)?;
    for name in [FLEET, HIGHEST, MIRRORED] {
        set(store, name, "")?;
    }
    Ok(format!(
        "{} and {} are this host's now: take [fleet] out of its configuration and start certcollectd; no other collector \
         of that fleet may be started again",
        count(loaded.orders.len(), "order"),
        count(loaded.accounts.len(), "account")
    ))
}

/// The rows that say whether there is a fleet, and who leads it.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    lease: Option<Vec<u8>>,
    fence: Option<Vec<u8>>,
    meta: Option<Vec<u8>>,
}

impl Found {
    async fn read(shared: &Shared) -> Result<Found, String> {
        let keys = [Key::Lease, Key::Term, Key::Meta].map(|key| key.to_string());
        let found = shared.get(&keys.each_ref().map(String::as_str)).await.map_err(said)?;
        let [lease, fence, meta] =
            <[Option<Vec<u8>>; 3]>::try_from(found).expect("three rows were asked for");
        Ok(Found { lease, fence, meta })
    }

    fn is_empty(&self) -> bool {
        self.lease.is_none() && self.fence.is_none() && self.meta.is_none()
    }
}

/// Looks for so long whether anybody writes the lease.
async fn still(shared: &Shared, found: &Found, most: Duration) -> Result<(), String> {
    let end = clock::now().time + most;
    while clock::now().time < end {
        sleep(LOOK).await;
        let now = Found::read(shared).await?;
        if now != *found {
            let beat: Option<Beat> = parse(Key::Lease, now.lease.as_deref(), Beat::read)?;
            let leader = beat.map_or_else(|| "a collector".into(), |beat| beat.host);
            return Err(format!(
                "{leader} leads the fleet; nothing was changed. Stop certcollectd on every collector first"
            ));
        }
    }
    Ok(())
}

async fn any(shared: &Shared, prefixes: &[&str]) -> Result<bool, String> {
    for prefix in prefixes {
        if !shared.list(prefix).await.map_err(said)?.rows.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn commit(shared: &Shared, expected: Vec<Compare>, puts: Vec<Row>) -> Result<(), String> {
    match shared.commit(&Commit { expected, puts, deletes: Vec::new() }).await {
        Committed::Done => Ok(()),
        Committed::Fenced => Err(unwritten(Unwritten::Deposed)),
        Committed::Refused(trouble) | Committed::Unknown(trouble) => {
            Err(unwritten(Unwritten::Trouble(trouble)))
        }
    }
}

fn unwritten(why: Unwritten) -> String {
    match why {
        Unwritten::Deposed => {
            "a collector has begun to lead meanwhile: stop certcollectd on every collector, and try again"
                .into()
        }
        Unwritten::Trouble(trouble) => again(&trouble),
    }
}

fn again(trouble: &Trouble) -> String {
    format!("{trouble}; the same command goes on once that is mended")
}

fn ledger(shared: &Rc<Shared>, number: u64, fence: &[u8]) -> Ledger {
    // Nothing is called.
    let term = Term { number, fence: fence.to_vec(), calls_until: Time::MIN };
    Ledger::new(shared.clone(), &term, clock::now)
}

fn parse<T>(
    key: Key<'_>,
    value: Option<&[u8]>,
    read: impl Fn(&[u8]) -> Result<T, Malformed>,
) -> Result<Option<T>, String> {
    let read = value.map(read).transpose();
    read.map_err(|why| format!("the row {key} of the store is not this program's ({why})"))
}

fn expect(key: Key<'_>, value: Option<Vec<u8>>) -> Compare {
    Compare { key: key.to_string(), value }
}

fn row(key: Key<'_>, value: Vec<u8>) -> Row {
    Row { key: key.to_string(), value }
}

fn load(store: &Store) -> Result<Loaded, String> {
    store.load(clock::now()).map_err(said)
}

fn mark(store: &Store, name: &str) -> Result<Option<String>, String> {
    Ok(store.mark(name).map_err(said)?.filter(|mark| !mark.is_empty()))
}

fn set(store: &mut Store, name: &'static str, value: &str) -> Result<(), String> {
    store.set_mark(name, value).map_err(said)
}

fn said(why: impl ToString) -> String {
    why.to_string()
}
