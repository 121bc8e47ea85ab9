//! The leader's roll-outs: what hosts report comes in, how far each generation may spread goes out.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::member;
use crate::effects::shared::ledger::{Ledger, Unwritten};
use crate::effects::shared::{Change, News, Row, Shared, Trouble};
use crate::sources::clock;
use certcollectd_core::config::fleet::Wave;
use certcollectd_core::config::{self, Config};
use certcollectd_core::engine::command::CommandReply;
use certcollectd_core::engine::time::Time;
use certcollectd_core::engine::vitals::HostVitals;
use certcollectd_core::fleet::keys::{GOES, HOSTS, Key, PUBLICATIONS};
use certcollectd_core::fleet::published::Publication;
use certcollectd_core::fleet::report::{Report, Seen, State};
use certcollectd_core::fleet::rollout::{self, Go, Host, Rollout, SILENT, Word, advance};

/// All rows are read again after this, whatever the watches brought.
const LIST_EVERY: Duration = Duration::from_secs(60);
/// After the store could not be read.
const WAIT: Duration = Duration::from_secs(2);
/// Reports that come within this are looked at together.
const TOGETHER: Duration = Duration::from_millis(10);
const PLACES: usize = 64;
/// After a watch was lost.
const PAUSE: Duration = Duration::from_millis(100);
/// What is watched.
const PREFIXES: [&str; 3] = [HOSTS, PUBLICATIONS, GOES];

/// What an operator says of the roll-out of an order.
#[derive(Debug)]
pub struct Told {
    pub order: String,
    pub word: Word,
    pub reply: oneshot::Sender<CommandReply>,
}

#[derive(Debug, Default)]
struct HostRows {
    seen: Option<Seen>,
    /// When a row of it was last seen to change.
    heard: Option<Time>,
    reports: HashMap<Box<str>, Report>,
}

impl HostRows {
    fn groups(&self) -> &[Box<str>] {
        self.seen.as_ref().map_or(&[], |seen| &seen.groups)
    }
}

#[derive(Debug)]
struct Order {
    group: Box<str>,
    generation: u64,
}

/// What `status` and metrics know of the hosts.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sight {
    hosts: HostVitals,
    /// Since when a roll-out has not been done, the first of those.
    open: Option<Time>,
}

impl Sight {
    pub fn vitals(self) -> HostVitals {
        HostVitals { lag_seconds: self.open.map_or(0, member::age), ..self.hosts }
    }
}

/// The leader's view of the rows.
#[derive(Debug)]
pub struct Rollouts {
    shared: Rc<Shared>,
    ledger: Rc<Ledger>,
    waves: Box<[Wave]>,
    hosts: BTreeMap<Box<str>, HostRows>,
    orders: BTreeMap<Box<str>, Order>,
    goes: HashMap<Box<str>, Go>,
    /// When an order is to be looked at although no row has changed.
    again: BTreeMap<Box<str>, Time>,
    /// Since when an order's roll-out has not been done.
    open: BTreeMap<Box<str>, Time>,
    sight: Rc<Cell<Sight>>,
    configs: watch::Receiver<Arc<Config>>,
    /// The group of each order in the configuration.
    groups: HashMap<Arc<str>, Arc<str>>,
    /// Rows of orders that are in another group now, or in none.
    left: BTreeSet<String>,
}

impl Rollouts {
    pub fn new(
        shared: Rc<Shared>,
        ledger: Rc<Ledger>,
        waves: Box<[Wave]>,
        configs: watch::Receiver<Arc<Config>>,
        sight: Rc<Cell<Sight>>,
    ) -> Rollouts {
        Rollouts {
            configs,
            groups: HashMap::new(),
            left: BTreeSet::new(),
            shared,
            ledger,
            waves,
            hosts: BTreeMap::new(),
            orders: BTreeMap::new(),
            goes: HashMap::new(),
            again: BTreeMap::new(),
            open: BTreeMap::new(),
            sight,
        }
    }

    /// Runs for as long as this host leads.
    pub async fn run(mut self, mut told: mpsc::Receiver<Told>) {
        loop {
            let (news, mut changes) = mpsc::channel(PLACES);
            let mut watches = JoinSet::new();
            let listed = self.list(&mut watches, &news).await;
            drop(news);
            let mut end = pin!(sleep(match &listed {
                Ok(()) => LIST_EVERY,
                Err(trouble) => {
                    tracing::debug!("roll-outs: {trouble}");
                    WAIT
                }
            }));
            if listed.is_ok() && (self.take_out().await.is_err() || self.advance_all().await.is_err()) {
                return;
            }
            loop {
                self.tell_sight();
                let again = self.again.values().min().map_or(LIST_EVERY, |at| at.since(clock::now().time));
                tokio::select! {
                    news = changes.recv(), if listed.is_ok() => {
                        let Some(News::Changes(mut all)) = news else {
                            sleep(PAUSE).await;
                            break;
                        };
                        sleep(TOGETHER).await;
                        let mut is_lost = false;
                        while let Ok(more) = changes.try_recv() {
                            match more {
                                News::Changes(more) => all.extend(more),
                                News::Lost(_) => is_lost = true,
                            }
                        }
                        if self.take(all).await.is_err() {
                            return;
                        }
                        if is_lost {
                            break;
                        }
                    }
                    // All rows are looked at with other eyes.
                    Ok(()) = self.configs.changed() => break,
                    Some(told) = told.recv() => {
                        if self.tell(told).await.is_err() {
                            return;
                        }
                    }
                    () = sleep(again.max(Duration::from_millis(1))) => {
                        let now = clock::now().time;
                        let due: Vec<Box<str>> =
                            self.again.iter().filter(|(_, at)| **at <= now).map(|(order, _)| order.clone()).collect();
                        for order in due {
                            if self.advance(&order).await.is_err() {
                                return;
                            }
                        }
                    }
                    () = &mut end => break,
                }
            }
        }
    }

    async fn list(&mut self, watches: &mut JoinSet<()>, news: &mpsc::Sender<News>) -> Result<(), Trouble> {
        let mut rows = Vec::new();
        for prefix in PREFIXES {
            let listing = self.shared.list(prefix).await?;
            rows.extend(listing.rows);
            watches.spawn_local(member::pass_on(self.shared.watch(prefix, listing.revision), news.clone()));
        }
        let config = self.configs.borrow_and_update().clone();
        let group = |order: &config::Order| Some((order.name.clone(), order.settings.group.clone()?));
        self.groups = config.orders.iter().filter_map(group).collect();
        let known: BTreeSet<String> = rows.iter().map(|row| row.key.clone()).collect();
        for (host, rows) in &mut self.hosts {
            let key = |order: &str| Key::Report { host, order }.to_string();
            rows.reports.retain(|order, _| known.contains(&key(order)));
            rows.seen.take_if(|_| !known.contains(&Key::Seen { host }.to_string()));
        }
        self.hosts.retain(|_, rows| rows.seen.is_some() || !rows.reports.is_empty());
        self.orders.clear();
        self.goes.clear();
        self.left.clear();
        for row in rows {
            self.put(row);
        }
        Ok(())
    }

    /// Takes a row in; the orders that it is about, or nothing where it is about all of a host's.
    fn put(&mut self, Row { key, value }: Row) {
        let now = clock::now().time;
        match Key::parse(&key) {
            Some(Key::Seen { host }) => {
                if let Ok(seen) = Seen::read(&value) {
                    let rows = self.hosts.entry(host.into()).or_default();
                    if rows.seen.as_ref() != Some(&seen) {
                        rows.seen = Some(seen);
                        rows.heard = Some(now);
                    }
                }
            }
            Some(Key::Report { host, order }) => {
                if let Ok(report) = Report::read(&value) {
                    let rows = self.hosts.entry(host.into()).or_default();
                    if rows.reports.get(order) != Some(&report) {
                        rows.reports.insert(order.into(), report);
                        rows.heard = Some(now);
                    }
                }
            }
            Some(Key::Publication { group, order } | Key::Go { group, order })
                if self.groups.get(order).map(|known| &**known) != Some(group) =>
            {
                self.left.insert(key);
            }
            Some(Key::Publication { group, order }) => {
                if let Ok(publication) = Publication::read(order, &value) {
                    let known = Order { group: group.into(), generation: publication.generation };
                    self.orders.insert(order.into(), known);
                }
            }
            Some(Key::Go { order, .. }) => {
                if let Ok(go) = Go::read(&value) {
                    self.goes.insert(order.into(), go);
                }
            }
            _ => {}
        }
    }

    async fn take(&mut self, changes: Vec<Change>) -> Result<(), ()> {
        let mut orders = BTreeSet::new();
        for change in changes {
            match change {
                Change::Put(row) => {
                    let key = row.key.clone();
                    let before = match Key::parse(&key) {
                        Some(Key::Seen { host }) => self.hosts.get(host).map(|rows| rows.groups().to_vec()),
                        _ => None,
                    };
                    self.put(row);
                    match Key::parse(&key) {
                        Some(Key::Report { order, .. } | Key::Publication { order, .. }) => {
                            orders.insert(Box::<str>::from(order));
                        }
                        // A host that is new changes all roll-outs of its groups.
                        Some(Key::Seen { host })
                            if before != self.hosts.get(host).map(|rows| rows.groups().to_vec()) =>
                        {
                            orders.extend(self.orders.keys().cloned());
                        }
                        _ => {}
                    }
                }
                Change::Deleted(key) => match Key::parse(&key) {
                    Some(Key::Seen { host }) => {
                        self.hosts.remove(host);
                        orders.extend(self.orders.keys().cloned());
                    }
                    Some(Key::Report { host, order }) => {
                        if let Some(rows) = self.hosts.get_mut(host) {
                            rows.reports.remove(order);
                            rows.heard = Some(clock::now().time);
                        }
                        orders.insert(order.into());
                    }
                    Some(Key::Publication { order, .. }) => {
                        self.orders.remove(order);
                    }
                    _ => {}
                },
            }
        }
        for order in orders {
            self.advance(&order).await?;
        }
        Ok(())
    }

    /// Hosts that still want such an order keep what they have.
    async fn take_out(&mut self) -> Result<(), ()> {
        let rows = std::mem::take(&mut self.left).into_iter().map(|key| (key, None)).collect();
        match self.ledger.write(rows).await {
            Err(Unwritten::Deposed) => Err(()),
            // The same again with the next listing.
            Ok(()) | Err(Unwritten::Trouble(_)) => Ok(()),
        }
    }

    async fn advance_all(&mut self) -> Result<(), ()> {
        let orders: Vec<Box<str>> = self.orders.keys().cloned().collect();
        for order in orders {
            self.advance(&order).await?;
        }
        Ok(())
    }

    /// Tells whoever asks how the hosts are.
    fn tell_sight(&self) {
        let now = clock::now().time;
        let mut hosts = HostVitals::default();
        for rows in self.hosts.values() {
            let taken = self.orders.iter().filter(|(_, order)| rows.groups().contains(&order.group));
            let states = || {
                taken.clone().map(|(name, order)| {
                    let report = rows.reports.get(name);
                    report.filter(|report| report.generation == order.generation).map(|report| report.state)
                })
            };
            let is_bad = |state| matches!(state, Some(State::Failed | State::Quarantined));
            let count = if states().any(is_bad) {
                &mut hosts.failed
            } else if states().all(|state| state == Some(State::Done)) {
                &mut hosts.done
            } else if rows.heard.is_none_or(|heard| now.since(heard) >= SILENT) {
                &mut hosts.silent
            } else {
                &mut hosts.behind
            };
            *count += 1;
        }
        let open = self.open.iter().filter(|(name, _)| self.orders.contains_key(*name));
        self.sight.set(Sight { hosts, open: open.map(|(_, since)| *since).min() });
    }

    fn look(&self, name: &str, order: &Order, before: Option<&Go>) -> Rollout {
        let hosts: Vec<Host<'_>> = self
            .hosts
            .iter()
            .filter(|(_, rows)| rows.groups().contains(&order.group))
            .map(|(host, rows)| Host {
                name: host,
                heard: rows.heard.unwrap_or(Time::MIN),
                report: rows.reports.get(name),
            })
            .collect();
        advance(name, order.generation, &self.waves, &hosts, before, clock::now())
    }

    /// Whether this host still leads.
    async fn advance(&mut self, name: &str) -> Result<(), ()> {
        self.again.remove(name);
        let Some(order) = self.orders.get(name) else { return Ok(()) };
        let before = self.goes.get(name);
        let rollout = self.look(name, order, before);
        if let Some(at) = rollout.again {
            self.again.insert(name.into(), at);
        }
        match rollout.state {
            rollout::State::Done => _ = self.open.remove(name),
            rollout::State::Rolling | rollout::State::Held => {
                _ = self.open.entry(name.into()).or_insert_with(|| clock::now().time);
            }
        }
        if before == Some(&rollout.go) {
            return Ok(());
        }
        let key = Key::Go { group: &order.group, order: name }.to_string();
        self.write(name, key, rollout.go).await
    }

    async fn write(&mut self, name: &str, key: String, go: Go) -> Result<(), ()> {
        match self.ledger.write(vec![(key, Some(go.to_row()))]).await {
            Ok(()) => _ = self.goes.insert(name.into(), go),
            Err(Unwritten::Deposed) => return Err(()),
            // The same again with the next listing.
            Err(Unwritten::Trouble(trouble)) => tracing::debug!("roll-out of {name}: {trouble}"),
        }
        Ok(())
    }

    async fn tell(&mut self, told: Told) -> Result<(), ()> {
        let Told { order: name, word, reply } = told;
        let Some(order) = self.orders.get(&*name) else {
            let text = format!("nothing is published of an order {name}");
            let _ = reply.send(CommandReply::new(false, text));
            return Ok(());
        };
        let rollout = self.look(&name, order, self.goes.get(&*name));
        let passed: Vec<&str> = rollout.held_by.iter().map(|holder| &*holder.host).collect();
        let text = match word {
            Word::Go => format!("{name}: generation {} may go to every host now", order.generation),
            Word::Hold => format!("{name}: no further host gets generation {}", order.generation),
            Word::Skip if passed.is_empty() => format!("{name}: goes on; no host holds it"),
            Word::Skip => format!("{name}: goes on without {}", passed.join(", ")),
        };
        let go = rollout.told(word);
        let key = Key::Go { group: &order.group, order: &name }.to_string();
        let written = self.write(&name, key, go.clone()).await;
        let ok = written.is_ok() && self.goes.get(&*name) == Some(&go);
        let text = if ok { text } else { "the store did not take it; nothing was changed".to_owned() };
        // The requester may have gone away.
        let _ = reply.send(CommandReply::new(ok, text));
        written?;
        self.advance(&name).await
    }
}
