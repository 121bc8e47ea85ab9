//! What both roles of a fleet need.

use std::time::Duration;

use crate::effects::shared::{Shared, StoreSettings, Trouble};
use crate::effects::store::error::StoreError;
use crate::effects::store::save::Store;
use crate::sources::{clock, host};
use certcollectd_core::config::fleet::Fleet;
use certcollectd_core::engine::schedule::stable_hash;
use certcollectd_core::engine::time::Time;
use certcollectd_core::engine::vitals::{FleetVitals, StoreHealth};

/// Under this name the state file keeps which fleet this host belongs to.
pub const FLEET: &str = "fleet-id";
/// Under this name it keeps the highest term that was seen.
pub const HIGHEST: &str = "fleet-highest-term";
/// Under this name it keeps the term in which it was written last as the leader's mirror: from then on it is the fleet's.
pub const MIRRORED: &str = "fleet-mirrored-term";
/// What `accept-restore` answers where it has nothing to do.
pub const NOTHING_TO_ACCEPT: &str = "the store shows nothing older than what was seen here; nothing to do";
/// One request to one endpoint, at most: several fit into a lease.
const REQUEST: Duration = Duration::from_secs(5);
/// A watch that brings nothing for so long is lost; all rows are listed before that.
const WATCH_IDLE: Duration = Duration::from_secs(90);

/// The id of the fleet that this host has been in so far.
pub fn known_fleet(store: &Store) -> Result<Option<Box<str>>, StoreError> {
    Ok(store.mark(FLEET)?.filter(|known| !known.is_empty()).map(Into::into))
}

/// How the store of this fleet is reached by this host; a request takes no longer than `most`.
pub fn settings(fleet: &Fleet, name: &str, most: Duration) -> StoreSettings {
    let mut endpoints: Vec<String> = fleet.endpoints.iter().map(ToString::to_string).collect();
    // All hosts may have the same list, and the first of it is asked most.
    let first = stable_hash(name, "", 0) % endpoints.len().max(1) as u64;
    endpoints.rotate_left(usize::try_from(first).unwrap_or(0));
    StoreSettings {
        kind: fleet.store,
        endpoints,
        prefix: fleet.prefix.to_string(),
        ca_file: fleet.ca_file.clone(),
        client_cert: fleet.client_cert.clone(),
        login: fleet.login.clone(),
        makes_tables: !fleet.is_follower(),
        timeout: REQUEST.min(most),
        watch_idle: WATCH_IDLE,
    }
}

pub fn connect(fleet: &Fleet, name: &str, most: Duration) -> Shared {
    Shared::connect(settings(fleet, name, most))
}

/// What the others call this host.
///
/// # Errors
///
/// The system's name cannot be used, and the configuration has none.
pub fn name(fleet: &Fleet) -> Result<Box<str>, String> {
    let system = host::name();
    fleet.host(&system).map_err(|why| {
        format!(
            "the host's name {system} cannot be its name in the fleet: it {}; set `name` in [fleet]",
            why.what
        )
    })
}

/// How a host stands that knows of no leader.
pub fn vitals(role: &str, name: &str, trouble: Option<&Trouble>, shared: &Shared) -> FleetVitals {
    FleetVitals {
        role: role.into(),
        name: name.into(),
        store: trouble.map_or(StoreHealth::Ok, health),
        trouble: trouble.map(|trouble| trouble.to_string().into()),
        leader: None,
        term: None,
        beat_age_seconds: None,
        skew_seconds: None,
        lease_seconds_left: None,
        store_errors: shared.errors(),
        hosts: None,
    }
}

fn health(trouble: &Trouble) -> StoreHealth {
    match trouble {
        Trouble::Full(_) => StoreHealth::Full,
        Trouble::Away(_) | Trouble::Denied(_) | Trouble::Other(_) => StoreHealth::Away,
    }
}

/// Seconds since a moment.
pub fn age(since: Time) -> u64 {
    clock::now().time.since(since).as_secs()
}
