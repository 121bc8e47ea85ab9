//! Whether the keys and requests that orders name can be read, tried at the start and at each reload: what would keep a
//! certificate waiting on the day is said today.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use super::inspect::{key, read_request};
use crate::config::{Config, KeySource};
use crate::engine::event::InstallError;

/// Maximum number reported one by one.
const TOLD: usize = 10;

/// Each file that cannot be read, or that holds nothing to use, once, with the first order that names it.
pub fn unreadable(config: &Config) -> Vec<(Arc<str>, InstallError)> {
    let mut seen: BTreeSet<&Path> = BTreeSet::new();
    let mut found = Vec::new();
    for order in &config.orders {
        let errors: Vec<InstallError> = match &order.key {
            KeySource::Keys(paths) => {
                let new = paths.iter().filter(|path| seen.insert(path.as_path()));
                new.filter_map(|path| key(path).err()).collect()
            }
            KeySource::Csr(path) if seen.insert(path) => read_request(path).err().into_iter().collect(),
            KeySource::Csr(_) | KeySource::None | KeySource::Request(_) => Vec::new(),
        };
        found.extend(errors.into_iter().map(|error| (order.name.clone(), error)));
    }
    found
}

/// Says which cannot be read, on a thread of its own: nobody waits for a mount that hangs.
pub fn tell_of_unreadable(config: Arc<Config>) {
    let look = move || {
        let found = unreadable(&config);
        for (order, error) in found.iter().take(TOLD) {
            tracing::warn!(
                order = &**order,
                "order {order}: {error}; a certificate that needs it will wait until it can be read"
            );
        }
        if found.len() > TOLD {
            tracing::warn!("{} more keys cannot be read; `certcollectd check` names all", found.len() - TOLD);
        }
    };
    if let Err(error) = std::thread::Builder::new().name("keys".into()).spawn(look) {
        tracing::debug!("keys are not tried: {error}");
    }
}
