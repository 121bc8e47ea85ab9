//! `fleet status`: from the rows of the store, whether or not a daemon runs here.

use std::path::Path;
use std::time::Duration;

use crate::commands::block_on::block_on;
use crate::commands::exit::Exit;
use crate::commands::print::print;
use crate::commands::status::screen;
use crate::commands::{socket, watch};
use crate::effects::shared::{Row, Shared, Trouble};
use crate::effects::store::load::Reader;
use crate::fleet::member::{self, FLEET, HIGHEST};
use crate::sources::clock;
use crate::status::Verdict;
use crate::status::fleet::FleetStatus;
use certcollectd_core::config::Config;
use certcollectd_core::config::fleet::{Fleet, Role};
use certcollectd_core::engine::time::rfc3339;
use certcollectd_core::engine::vitals::{FleetVitals, StoreHealth};
use certcollectd_core::fleet::keys::{self, GOES, HOSTS, Key, PUBLICATIONS};
use certcollectd_core::fleet::lease::{Beat, Fence, Rows};
use certcollectd_core::fleet::published::{Meta, OTHER_FLEET};

pub fn status(path: &Path, json: bool) -> Result<(), Exit> {
    let (config, fleet, name) = super::member(path)?;
    let status = look(&config, &fleet, &name)?;
    print(&if json { status.json() } else { status.text(&screen()) });
    shown(&status)
}

/// `fleet status --watch`.
pub fn watch(path: &Path) -> Result<(), Exit> {
    let (config, fleet, name) = super::member(path)?;
    let look = || {
        let status = look(&config, &fleet, &name).map_err(|exit| (exit, String::new()))?;
        let (at, exit) = (rfc3339(clock::now().unix()), shown(&status));
        Ok(watch::Look { status, at, exit })
    };
    watch::again_and_again(look, FleetStatus::text)
}

/// `fleet status --nagios`.
pub fn nagios(path: &Path) -> Result<(), Exit> {
    let unknown = |_| {
        print("CERTCOLLECTD UNKNOWN - the fleet is unknown; `certcollectd check` says why");
        Exit::Unknown
    };
    let (config, fleet, name) = super::member(path).map_err(unknown)?;
    let (verdict, line) = look(&config, &fleet, &name).map_err(unknown)?.verdict();
    print(&line);
    match verdict {
        Verdict::Ok => Ok(()),
        Verdict::Warning => Err(Exit::Warning),
        Verdict::Critical => Err(Exit::Critical),
    }
}

/// How the fleet of this host stands, if it is in one.
pub(in crate::commands) fn seen(config: &Config) -> Result<Option<FleetStatus>, Exit> {
    // A name that cannot be one is `check`'s to say.
    let named = config.fleet.as_ref().and_then(|fleet| Some((fleet, member::name(fleet).ok()?)));
    named.map(|(fleet, name)| look(config, fleet, &name)).transpose()
}

fn shown(status: &FleetStatus) -> Result<(), Exit> {
    if status.is_read() { Ok(()) } else { Err(Exit::Failed) }
}

fn look(config: &Config, fleet: &Fleet, name: &str) -> Result<FleetStatus, Exit> {
    let shared = member::connect(fleet, name, Duration::MAX);
    let (vitals, rows) = block_on(async {
        let vitals = match socket::ping(&config.state_dir).await {
            Some(Ok(vitals)) => vitals.fleet,
            // No daemon of this host has anything to say.
            Some(Err(_)) | None => None,
        };
        (vitals, read(&shared, fleet, name).await)
    })?;
    let (vitals, now) = (vitals.as_ref(), clock::now());
    Ok(match rows {
        Ok(rows) => {
            let back = went_back(config, &rows).or_else(|| behind(vitals));
            let rows = rows.iter().map(|row| (&*row.key, &*row.value));
            FleetStatus::new(config, fleet, name, rows, vitals, back.as_deref(), now)
        }
        Err(trouble) => FleetStatus::away(fleet, name, &trouble.to_string(), vitals, now),
    })
}

/// What this host may read.
async fn read(shared: &Shared, fleet: &Fleet, name: &str) -> Result<Vec<Row>, Trouble> {
    let (keys, prefixes): (&[Key<'_>], _) = match fleet.role {
        Role::Collector(_) => (
            &[Key::Meta, Key::Lease, Key::Term],
            vec![HOSTS.to_owned(), PUBLICATIONS.to_owned(), GOES.to_owned()],
        ),
        Role::Follower => {
            let groups = fleet.groups.iter();
            let lists = groups.flat_map(|group| [keys::publications(group), keys::goes(group)]);
            (&[Key::Meta], lists.chain([keys::host(name)]).collect())
        }
    };
    let mut rows = Vec::new();
    let keys: Vec<String> = keys.iter().map(Key::to_string).collect();
    let found = shared.get(&keys.iter().map(String::as_str).collect::<Vec<_>>()).await?;
    for (key, value) in keys.into_iter().zip(found) {
        rows.extend(value.map(|value| Row { key, value }));
    }
    for prefix in prefixes {
        rows.extend(shared.list(&prefix).await?.rows);
    }
    Ok(rows)
}

/// Why the store is not the one that this host has seen, or an older copy of it.
fn went_back(config: &Config, rows: &[Row]) -> Option<String> {
    let row = |key: Key<'_>| {
        let key = key.to_string();
        rows.iter().find(|row| row.key == key).map(|row| &*row.value)
    };
    // What cannot be read is `status`'s to say.
    let reader = Reader::open(&config.state_dir).ok().flatten()?;
    let mark = |name| reader.mark(name).ok().flatten().filter(|mark| !mark.is_empty());
    match (mark(FLEET), row(Key::Meta).map(Meta::read)) {
        (Some(known), Some(Ok(meta))) if known != meta.id() => {
            return Some(OTHER_FLEET.into());
        }
        (Some(_), None) => {
            let text = "the store holds nothing of the fleet that this host has been in so far: it was emptied, or is another one";
            return Some(text.into());
        }
        (_, Some(_)) | (None, None) => {}
    }
    let seen: u64 = mark(HIGHEST)?.parse().ok()?;
    let beat = row(Key::Lease).and_then(|row| Beat::read(row).ok());
    let fence = row(Key::Term).and_then(|row| Fence::read(row).ok());
    let found = Rows { beat, fence }.term();
    (found < seen).then(|| {
        format!(
            "the store went back from term {seen} to {found}: it was restored from a copy, or is another one"
        )
    })
}

fn behind(vitals: Option<&FleetVitals>) -> Option<String> {
    let vitals = vitals.filter(|vitals| vitals.store == StoreHealth::Behind)?;
    let why = vitals.trouble.as_deref();
    Some(why.unwrap_or("the store shows less than this host has seen before").to_owned())
}
