//! A collector's way to install: it publishes. What readers see is a row of the store, so the same effects that look at
//! files and write them elsewhere look at this row, and write it.
//!
//! A generation is called by its number and its leaf, `7-0123456789abcdef`, so that the number is on record.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::Mutex;

use super::ledger::{Ledger, Unwritten};
use super::{Shared, Trouble};
use certcollectd_core::api::Untrusted;
use certcollectd_core::cert::{Certificate, Fingerprint};
use certcollectd_core::config::{Config, Order};
use certcollectd_core::engine::install::{
    Activate, Inspect, Inspection, InstallError, Link, Stage, StagedFiles, Written,
};
use certcollectd_core::fleet::keys::{HOSTS, Key};
use certcollectd_core::fleet::published::{Bundle, Publication, next_generation};
use certcollectd_core::fleet::report::Report;

/// What is told with each publication.
const REASON: &str = "issued";

#[derive(Debug)]
pub struct Publisher {
    shared: Rc<Shared>,
    ledger: Rc<Ledger>,
    /// The highest generation on record of each order: a store that was restored from a copy shows a lower one.
    highest: RefCell<HashMap<Arc<str>, u64>>,
    groups: RefCell<Groups>,
    /// Held from a look at a row until it is written.
    writing: Mutex<()>,
}

/// The group of each order in a configuration.
#[derive(Debug, Default)]
struct Groups {
    config: Option<Arc<Config>>,
    of: HashMap<Arc<str>, Arc<str>>,
}

/// A row that is there.
struct Found {
    publication: Publication,
    bundle: Bundle,
}

impl Found {
    fn generation(&self) -> String {
        called(self.publication.generation, &self.bundle.leaf)
    }
}

fn called(generation: u64, leaf: &Certificate) -> String {
    format!("{generation}-{}", &leaf.fingerprint().to_string()[..16])
}

/// The number in a generation's name.
fn number(name: &str) -> Option<u64> {
    name.split_once('-')?.0.parse().ok()
}

/// The leaf in a generation's name.
fn leaf(name: &str) -> Option<&str> {
    Some(name.split_once('-')?.1)
}

impl Publisher {
    pub fn new(shared: Rc<Shared>, ledger: Rc<Ledger>) -> Publisher {
        let (highest, groups) = (RefCell::default(), RefCell::default());
        Publisher { shared, ledger, highest, groups, writing: Mutex::default() }
    }

    fn key(&self, config: &Arc<Config>, order: &str) -> Option<String> {
        let mut groups = self.groups.borrow_mut();
        if !groups.config.as_ref().is_some_and(|known| Arc::ptr_eq(known, config)) {
            let group = |order: &Order| Some((order.name.clone(), order.settings.group.clone()?));
            *groups =
                Groups { config: Some(config.clone()), of: config.orders.iter().filter_map(group).collect() };
        }
        let group = groups.of.get(order)?;
        Some(Key::Publication { group, order }.to_string())
    }

    /// Adds to what was found on this host what is published.
    pub async fn look(&self, config: &Arc<Config>, inspect: &Inspect, found: &mut Inspection) {
        if let Some(known) = inspect.current.as_deref().and_then(number) {
            self.remember(&inspect.name, known);
        }
        let Some(key) = self.key(config, &inspect.name) else { return };
        match self.find(&key, &inspect.name).await {
            // A store that was put back from a copy: what is on record is published again.
            Ok(Some(there))
                if inspect.current.as_deref().and_then(number) > Some(there.publication.generation) => {}
            Ok(Some(there)) => {
                // Its number may have been raised since.
                let there_is = there.generation();
                let same = inspect.current.clone().filter(|current| leaf(current) == leaf(&there_is));
                found.link = Link::Generation(same.map_or(there_is, Into::into));
                found.certificates = std::iter::once(there.bundle.leaf).chain(there.bundle.chain).collect();
            }
            Ok(None) => {}
            Err(why) => {
                found.link = Link::Unknown(why.clone());
                found.unreadable.push(why);
            }
        }
    }

    /// Publishes a generation, unless it is published as it is.
    pub async fn install(&self, config: &Arc<Config>, stage: &Stage) -> Result<Written, InstallError> {
        let key = self.key(config, &stage.name);
        let key = key.ok_or_else(|| wrong(&stage.name, "the order belongs to no group of the fleet"))?;
        let bundle = Bundle { leaf: stage.material.leaf.clone(), chain: stage.material.chain.clone() };
        let _writing = self.writing.lock().await;
        let there = self.find(&key, &stage.name).await.map_err(|why| wrong(&key, &why))?;
        let generation = match there {
            Some(there) if there.bundle == bundle => there.generation(),
            there => {
                let known = there.map(|there| there.publication.generation);
                let generation = self.next(&stage.name, known).await.map_err(|why| wrong(&key, &why))?;
                self.publish(&key, &stage.name, generation, &bundle).await?;
                called(generation, &bundle.leaf)
            }
        };
        Ok(Written { staged: StagedFiles { generation, files: Vec::new() }, placed: Ok(()) })
    }

    /// Publishes a generation again under its number.
    pub async fn activate(&self, config: &Arc<Config>, activate: &Activate) -> Result<(), InstallError> {
        let known = self.key(config, &activate.name).zip(number(&activate.generation));
        let (key, generation) = known
            .ok_or_else(|| InstallError { stale: true, ..wrong(&activate.name, "it was not published") })?;
        let bundle = Bundle { leaf: activate.material.leaf.clone(), chain: activate.material.chain.clone() };
        let _writing = self.writing.lock().await;
        self.publish(&key, &activate.name, generation, &bundle).await
    }

    /// Publishes what is there under a higher number, unless it has one from `lost` on: a host has had that one, and the store
    /// has forgotten it. Whether it was published.
    pub async fn renumber(&self, group: &str, order: &str, lost: u64) -> Result<bool, InstallError> {
        let key = Key::Publication { group, order }.to_string();
        let _writing = self.writing.lock().await;
        let Some(Found { publication, bundle }) =
            self.find(&key, order).await.map_err(|why| wrong(&key, &why))?
        else {
            return Ok(false);
        };
        if publication.generation >= lost {
            return Ok(false);
        }
        let generation = self.next(order, Some(publication.generation)).await;
        self.publish(&key, order, generation.map_err(|why| wrong(&key, &why))?, &bundle).await?;
        Ok(true)
    }

    async fn publish(
        &self,
        key: &str,
        order: &str,
        generation: u64,
        bundle: &Bundle,
    ) -> Result<(), InstallError> {
        let publication = Publication::new(order, generation, bundle, Untrusted::new(REASON));
        let publication = publication.map_err(|refusal| wrong(key, &refusal.to_string()))?;
        let link =
            |link: &Certificate| (Key::Chain(link.fingerprint()).to_string(), Some(link.der().to_vec()));
        let mut rows: Vec<_> = bundle.chain.iter().map(link).collect();
        rows.push((key.to_owned(), Some(publication.to_row())));
        let written = self.ledger.write(rows).await;
        written.map_err(|why| match why {
            Unwritten::Deposed => wrong(key, "another collector leads by now"),
            Unwritten::Trouble(trouble) => wrong(key, &trouble.to_string()),
        })?;
        self.remember(order, generation);
        Ok(())
    }

    fn remember(&self, order: &str, generation: u64) {
        let mut highest = self.highest.borrow_mut();
        let known = highest.entry(order.into()).or_default();
        *known = (*known).max(generation);
    }

    /// One above all that anybody has seen.
    async fn next(&self, order: &str, published: Option<u64>) -> Result<u64, String> {
        let hosts = self.shared.list(HOSTS).await.map_err(|why| why.to_string())?;
        let reported = hosts.rows.iter().filter_map(|row| match Key::parse(&row.key)? {
            Key::Report { order: about, .. } if about == order => {
                Some(Report::read(&row.value).ok()?.generation)
            }
            _ => None,
        });
        let known = self.highest.borrow().get(order).copied();
        Ok(next_generation(known, published, reported))
    }

    /// What is published; nothing if it is not there, or no program of ours has written it so.
    async fn find(&self, key: &str, order: &str) -> Result<Option<Found>, String> {
        let said = |trouble: Trouble| trouble.to_string();
        let row = self.shared.get(&[key]).await.map_err(said)?.pop().flatten();
        let Some(publication) = row.and_then(|row| Publication::read(order, &row).ok()) else {
            return Ok(None);
        };
        let keys: Vec<String> = publication.chain.iter().map(|link| Key::Chain(*link).to_string()).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let links = if keys.is_empty() { Vec::new() } else { self.shared.get(&keys).await.map_err(said)? };
        let stored: HashMap<Fingerprint, Vec<u8>> =
            publication.chain.iter().zip(links).filter_map(|(digest, link)| Some((*digest, link?))).collect();
        let bundle = publication.bundle(|digest| stored.get(&digest).map(Vec::as_slice));
        Ok(bundle.ok().map(|bundle| Found { publication, bundle }))
    }
}

fn wrong(key: &str, cause: &str) -> InstallError {
    InstallError::new("publish", key, cause)
}
