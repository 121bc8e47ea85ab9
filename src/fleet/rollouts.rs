//! The leader's roll-outs: what hosts report comes in, how far each generation may spread goes out.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::sleep;

use super::feed::{Fed, Feed, LIST_EVERY, Pace};
use super::member;
use crate::daemon::Onlooker;
use crate::effects::shared::ledger::{Ledger, Unwritten};
use crate::effects::shared::publish::Publisher;
use crate::effects::shared::{Change, Row, Shared};
use crate::sources::clock;
use certcollectd_core::config::fleet::Wave;
use certcollectd_core::config::{self, Config};
use certcollectd_core::engine::changes::Changes;
use certcollectd_core::engine::command::CommandReply;
use certcollectd_core::engine::time::{Now, Time};
use certcollectd_core::engine::vitals::HostVitals;
use certcollectd_core::fleet::keys::{GOES, HOSTS, Key, PUBLICATIONS, RolloutKey};
use certcollectd_core::fleet::published::{Publication, is_news};
use certcollectd_core::fleet::report::{Report, Seen, State};
use certcollectd_core::fleet::rollout::{self, Go, Host, Rollout, SILENT, Word, advance};

/// Before an order is published anew under a higher number once more, doubled each time up to the last: a host may ask for
/// that without end. Forgotten after a quiet day.
const FIRST_RENUMBER: Duration = Duration::from_secs(10);
const LAST_RENUMBER: Duration = Duration::from_secs(3600);
const RENUMBER_QUIET: Duration = Duration::from_secs(24 * 3600);
const PACE: Pace = Pace { together: Duration::from_millis(10), pause: Duration::from_millis(100) };

/// What an operator says of an order.
#[derive(Debug)]
pub struct Told {
    pub order: String,
    pub what: What,
    pub reply: oneshot::Sender<CommandReply>,
}

#[derive(Debug, Clone, Copy)]
pub enum What {
    /// Of its roll-out.
    Word(Word),
    /// It is to be published no more.
    Forget,
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

/// What the leader knows of hosts and roll-outs, also for who asks how they are.
#[derive(Debug, Default)]
pub struct View {
    hosts: BTreeMap<Box<str>, HostRows>,
    orders: BTreeMap<Box<str>, Order>,
    /// Since when an order's roll-out has not been done.
    open: BTreeMap<Box<str>, Time>,
}

impl View {
    pub fn vitals(&self) -> HostVitals {
        let now = clock::now().time;
        let open = self.open.iter().filter(|(name, _)| self.orders.contains_key(*name));
        let lag_seconds = open.map(|(_, since)| *since).min().map_or(0, member::age);
        let mut hosts = HostVitals { lag_seconds, ..HostVitals::default() };
        for rows in self.hosts.values() {
            let taken = self.orders.iter().filter(|(_, order)| rows.groups().contains(&order.group));
            let states = || {
                taken.clone().map(|(name, order)| {
                    let report = rows.reports.get(name)?;
                    let is_of_now =
                        report.generation == order.generation || report.state == State::NotConfigured;
                    is_of_now.then_some(report.state)
                })
            };
            let is_bad = |state| matches!(state, Some(State::Failed | State::Quarantined));
            let is_well = |state| matches!(state, Some(State::Done | State::NotConfigured));
            let count = if states().any(is_bad) {
                &mut hosts.failed
            } else if states().all(is_well) {
                &mut hosts.done
            } else if rows.heard.is_none_or(|heard| now.since(heard) >= SILENT) {
                &mut hosts.silent
            } else {
                &mut hosts.behind
            };
            *count += 1;
        }
        hosts
    }
}

/// Sends the names of orders that were forgotten.
#[derive(Debug)]
pub struct Forgetting(pub mpsc::UnboundedSender<Arc<str>>);

impl Onlooker for Forgetting {
    fn saved(&mut self, changes: &Changes, _: Now) {
        for name in &changes.forgotten {
            let _ = self.0.send(name.clone());
        }
    }
}

/// The leader's roll-outs.
#[derive(Debug)]
pub struct Rollouts {
    shared: Rc<Shared>,
    ledger: Rc<Ledger>,
    publisher: Rc<Publisher>,
    waves: Box<[Wave]>,
    /// Never held while something is waited for.
    view: Rc<RefCell<View>>,
    goes: HashMap<Box<str>, Go>,
    /// When an order is to be looked at although no row has changed.
    again: BTreeMap<Box<str>, Time>,
    configs: watch::Receiver<Arc<Config>>,
    /// The group of each order in the configuration.
    groups: HashMap<Arc<str>, Arc<str>>,
    /// Orders that were forgotten in this term.
    forgotten: BTreeSet<Arc<str>>,
    /// Rows of orders that were forgotten, or are in another group now.
    left: BTreeSet<String>,
    /// When an order was last published anew under a higher number, and how long it is not to be again.
    renumbered: HashMap<Box<str>, (Time, Duration)>,
}

/// This host leads no more.
#[derive(Debug)]
struct Over;

/// Whether an order was published anew under a higher number.
enum Renumbered {
    Yes,
    No,
    /// Not before.
    Later(Time),
}

impl Rollouts {
    pub fn new(
        shared: Rc<Shared>,
        ledger: Rc<Ledger>,
        publisher: Rc<Publisher>,
        waves: Box<[Wave]>,
        configs: watch::Receiver<Arc<Config>>,
        view: Rc<RefCell<View>>,
    ) -> Rollouts {
        Rollouts {
            shared,
            ledger,
            publisher,
            waves,
            view,
            goes: HashMap::new(),
            again: BTreeMap::new(),
            configs,
            groups: HashMap::new(),
            forgotten: BTreeSet::new(),
            left: BTreeSet::new(),
            renumbered: HashMap::new(),
        }
    }

    /// Runs for as long as this host leads.
    pub async fn run(mut self, told: mpsc::Receiver<Told>, forgotten: mpsc::UnboundedReceiver<Arc<str>>) {
        let Err(Over) = self.go_on(told, forgotten).await;
    }

    async fn go_on(
        &mut self,
        mut told: mpsc::Receiver<Told>,
        mut forgotten: mpsc::UnboundedReceiver<Arc<str>>,
    ) -> Result<Infallible, Over> {
        let mut feed = self.feed();
        loop {
            let again = self.again.values().min().map_or(LIST_EVERY, |at| at.since(clock::now().time));
            tokio::select! {
                fed = feed.next() => match fed {
                    Fed::All(rows) => self.begin_anew(rows).await?,
                    Fed::Changed(changes) => self.take(changes).await?,
                    Fed::Away(trouble) => tracing::debug!("roll-outs: {trouble}"),
                },
                // All rows are looked at with other eyes.
                Ok(()) = self.configs.changed() => feed = self.feed(),
                Some(told) = told.recv() => self.tell(told).await?,
                Some(order) = forgotten.recv() => {
                    self.forgotten.insert(order);
                    feed = self.feed();
                }
                () = sleep(again.max(Duration::from_millis(1))) => {
                    let now = clock::now().time;
                    let due = self.again.iter().filter(|(_, at)| **at <= now);
                    let due: Vec<Box<str>> = due.map(|(order, _)| order.clone()).collect();
                    for order in due {
                        self.advance(&order).await?;
                    }
                }
            }
        }
    }

    fn feed(&self) -> Feed {
        let prefixes = [HOSTS, PUBLICATIONS, GOES].map(str::to_owned);
        Feed::of(self.shared.clone(), prefixes.into(), PACE)
    }

    async fn begin_anew(&mut self, rows: Vec<Row>) -> Result<(), Over> {
        let config = self.configs.borrow_and_update().clone();
        let group = |order: &config::Order| Some((order.name.clone(), order.settings.group.clone()?));
        self.groups = config.orders.iter().filter_map(group).collect();
        let groups = &self.groups;
        self.forgotten.retain(|order| !groups.contains_key(order));
        let known: BTreeSet<&str> = rows.iter().map(|row| &*row.key).collect();
        {
            let view = &mut *self.view.borrow_mut();
            for (host, rows) in &mut view.hosts {
                let key = |order: &str| Key::Report { host, order }.to_string();
                rows.reports.retain(|order, _| known.contains(&*key(order)));
                rows.seen.take_if(|_| !known.contains(&*Key::Seen { host }.to_string()));
            }
            view.hosts.retain(|_, rows| rows.seen.is_some() || !rows.reports.is_empty());
            view.orders.clear();
        }
        self.goes.clear();
        self.left.clear();
        for row in rows {
            self.put(row);
        }
        self.take_out().await?;
        let orders: Vec<Box<str>> = self.view.borrow().orders.keys().cloned().collect();
        for order in orders {
            self.advance(&order).await?;
        }
        Ok(())
    }

    /// Takes a row in. What is to be there no longer is left for [`Rollouts::take_out`].
    fn put(&mut self, Row { key, value }: Row) {
        let now = clock::now().time;
        let mut view = self.view.borrow_mut();
        let is_ours =
            |group: &str, order: &str| self.groups.get(order).is_some_and(|known| **known == *group);
        let is_over = |order: &str| self.groups.contains_key(order) || self.forgotten.contains(order);
        match RolloutKey::parse(&key) {
            Some(RolloutKey::Seen { host }) => {
                if let Ok(seen) = Seen::read(&value) {
                    let rows = view.hosts.entry(host.into()).or_default();
                    if rows.seen.as_ref() != Some(&seen) {
                        rows.seen = Some(seen);
                        rows.heard = Some(now);
                    }
                }
            }
            Some(RolloutKey::Report { host, order }) => {
                if let Ok(report) = Report::read(&value) {
                    let rows = view.hosts.entry(host.into()).or_default();
                    if rows.reports.get(order) != Some(&report) {
                        rows.reports.insert(order.into(), report);
                        rows.heard = Some(now);
                    }
                }
            }
            Some(RolloutKey::Publication { group, order } | RolloutKey::Go { group, order })
                if !is_ours(group, order) && is_over(order) =>
            {
                self.left.insert(key);
            }
            // Another collector may know of it.
            Some(RolloutKey::Publication { group, order } | RolloutKey::Go { group, order })
                if !is_ours(group, order) => {}
            Some(RolloutKey::Publication { group, order }) => {
                if let Ok(publication) = Publication::read(order, &value) {
                    let known = Order { group: group.into(), generation: publication.generation };
                    view.orders.insert(order.into(), known);
                }
            }
            Some(RolloutKey::Go { order, .. }) => {
                if let Ok(go) = Go::read(&value) {
                    self.goes.insert(order.into(), go);
                }
            }
            None => {}
        }
    }

    async fn take(&mut self, changes: Vec<Change>) -> Result<(), Over> {
        let mut orders = BTreeSet::new();
        for change in changes {
            match change {
                Change::Put(row) => {
                    let key = row.key.clone();
                    let groups = |rollouts: &Rollouts, host: &str| {
                        rollouts.view.borrow().hosts.get(host).map(|rows| rows.groups().to_vec())
                    };
                    match RolloutKey::parse(&key) {
                        Some(RolloutKey::Seen { host }) => {
                            let before = groups(self, host);
                            self.put(row);
                            // A host that is new changes all roll-outs of its groups.
                            if before != groups(self, host) {
                                orders.extend(self.view.borrow().orders.keys().cloned());
                            }
                        }
                        Some(RolloutKey::Report { order, .. } | RolloutKey::Publication { order, .. }) => {
                            self.put(row);
                            orders.insert(Box::<str>::from(order));
                        }
                        Some(RolloutKey::Go { .. }) => self.put(row),
                        None => {}
                    }
                }
                Change::Deleted(key) => {
                    let view = &mut *self.view.borrow_mut();
                    match RolloutKey::parse(&key) {
                        Some(RolloutKey::Seen { host }) => {
                            view.hosts.remove(host);
                            orders.extend(view.orders.keys().cloned());
                        }
                        Some(RolloutKey::Report { host, order }) => {
                            if let Some(rows) = view.hosts.get_mut(host) {
                                rows.reports.remove(order);
                                rows.heard = Some(clock::now().time);
                            }
                            orders.insert(order.into());
                        }
                        Some(RolloutKey::Publication { order, .. }) => _ = view.orders.remove(order),
                        // The next listing has it written again.
                        Some(RolloutKey::Go { .. }) | None => {}
                    }
                }
            }
        }
        for order in orders {
            self.advance(&order).await?;
        }
        Ok(())
    }

    /// Hosts that still want such an order keep what they have.
    async fn take_out(&mut self) -> Result<(), Over> {
        let rows = std::mem::take(&mut self.left).into_iter().map(|key| (key, None)).collect();
        match self.ledger.write(rows).await {
            Err(Unwritten::Deposed) => Err(Over),
            // The same again with the next listing.
            Ok(()) | Err(Unwritten::Trouble(_)) => Ok(()),
        }
    }

    fn look(&self, name: &str, before: Option<&Go>) -> Option<(Rollout, Box<str>)> {
        let view = self.view.borrow();
        let order = view.orders.get(name)?;
        let hosts: Vec<Host<'_>> = view
            .hosts
            .iter()
            .filter(|(_, rows)| rows.groups().contains(&order.group))
            .map(|(host, rows)| Host {
                name: host,
                heard: rows.heard.unwrap_or(Time::MIN),
                report: rows.reports.get(name),
            })
            .collect();
        let rollout = advance(name, order.generation, &self.waves, &hosts, before, clock::now());
        Some((rollout, order.group.clone()))
    }

    /// Publishes an order under a higher number than a host has had, if the store knows of none and its pause is over.
    async fn renumber(&mut self, name: &str, group: &str, host: &str, reported: u64) -> Renumbered {
        let now = clock::now().time;
        let last = self.renumbered.get(name).filter(|(at, _)| now.since(*at) < RENUMBER_QUIET);
        if let Some(end) = last.map(|(at, pause)| *at + *pause).filter(|end| *end > now) {
            return Renumbered::Later(end);
        }
        let pause = last.map_or(FIRST_RENUMBER, |(_, pause)| LAST_RENUMBER.min(*pause * 2));
        match self.publisher.renumber(group, name, reported).await {
            Ok(true) => {
                self.renumbered.insert(name.into(), (now, pause));
                tracing::warn!(
                    "order {name}: {host} has had generation {reported}, of which the store knew nothing: it is published anew \
                     under a higher number"
                );
                Renumbered::Yes
            }
            // What it is about has been published, and is yet to come here; or it lacks a certificate of its chain.
            Ok(false) => Renumbered::No,
            // The same again with a later listing.
            Err(why) => {
                tracing::warn!("{why}");
                Renumbered::No
            }
        }
    }

    /// A host, and the number that it has had, above what is published, which it refuses for nothing else.
    fn lost_number(&self, name: &str) -> Option<(Box<str>, u64)> {
        let view = self.view.borrow();
        let order = view.orders.get(name)?;
        let hosts = view.hosts.iter().filter(|(_, rows)| rows.groups().contains(&order.group));
        let reports = hosts.filter_map(|(host, rows)| Some((host, rows.reports.get(name)?)));
        let refused = reports.filter(|(_, report)| {
            report.state == State::Quarantined && is_news(Some(order.generation), report.generation)
        });
        let highest = refused.max_by_key(|(_, report)| report.generation)?;
        Some((highest.0.clone(), highest.1.generation))
    }

    async fn advance(&mut self, name: &str) -> Result<(), Over> {
        self.again.remove(name);
        let before = self.goes.get(name);
        let Some((rollout, group)) = self.look(name, before) else { return Ok(()) };
        let is_written = before == Some(&rollout.go);
        let mut again = rollout.again;
        if let Some((host, reported)) = self.lost_number(name) {
            match self.renumber(name, &group, &host, reported).await {
                // Its change is looked at like any other.
                Renumbered::Yes => return Ok(()),
                Renumbered::Later(end) => again = Some(again.map_or(end, |again| again.min(end))),
                Renumbered::No => {}
            }
        }
        if let Some(at) = again {
            self.again.insert(name.into(), at);
        }
        {
            let open = &mut self.view.borrow_mut().open;
            match rollout.state {
                rollout::State::Done => _ = open.remove(name),
                rollout::State::Rolling | rollout::State::Held => {
                    _ = open.entry(name.into()).or_insert_with(|| clock::now().time);
                }
            }
        }
        if is_written {
            return Ok(());
        }
        self.write(name, &group, rollout.go).await.map(drop)
    }

    /// Whether the store has it.
    async fn write(&mut self, name: &str, group: &str, go: Go) -> Result<bool, Over> {
        let key = Key::Go { group, order: name }.to_string();
        match self.ledger.write(vec![(key, Some(go.to_row()))]).await {
            Ok(()) => {
                self.goes.insert(name.into(), go);
                Ok(true)
            }
            Err(Unwritten::Deposed) => Err(Over),
            // The same again with the next listing.
            Err(Unwritten::Trouble(trouble)) => {
                tracing::debug!("roll-out of {name}: {trouble}");
                Ok(false)
            }
        }
    }

    async fn tell(&mut self, Told { order, what, reply }: Told) -> Result<(), Over> {
        // Where this host leads no more, the sender goes, and the requester sees that.
        let said = match what {
            What::Word(word) => self.steer(&order, word).await?,
            What::Forget => self.forget(&order).await?,
        };
        // The requester may have gone away.
        let _ = reply.send(said);
        self.advance(&order).await
    }

    async fn steer(&mut self, name: &str, word: Word) -> Result<CommandReply, Over> {
        let Some((rollout, group)) = self.look(name, self.goes.get(name)) else {
            let text = if self.groups.contains_key(name) {
                format!("nothing is published of the order {name}")
            } else {
                format!(
                    "the collector that leads has no order {name} in its configuration, and spreads nothing of it"
                )
            };
            return Ok(CommandReply::new(false, text));
        };
        let generation = rollout.go.generation;
        let passed: Vec<&str> = rollout.held_by.iter().map(|holder| &*holder.host).collect();
        let text = match word {
            Word::Go => format!("{name}: generation {generation} may go to every host now"),
            Word::Hold => format!("{name}: no further host gets generation {generation}"),
            Word::Skip if passed.is_empty() => format!("{name}: goes on; no host holds it"),
            Word::Skip => format!("{name}: goes on without {}", passed.join(", ")),
        };
        let ok = self.write(name, &group, rollout.told(word)).await?;
        let text = if ok { text } else { "the store did not take it; nothing was changed".to_owned() };
        Ok(CommandReply::new(ok, text))
    }

    /// Withdraws an order that no collector remembers: its rows may have been left by one that is gone.
    async fn forget(&mut self, name: &str) -> Result<CommandReply, Over> {
        // Its entry may be newer than the last listing.
        if self.configs.borrow().orders.iter().any(|order| *order.name == *name) {
            let text = "is in the configuration of the running collector: reload it, then run this again";
            return Ok(CommandReply::new(false, format!("{name} {text}")));
        }
        let mut rows = Vec::new();
        for prefix in [PUBLICATIONS, GOES] {
            match self.shared.list(prefix).await {
                Ok(listing) => rows.extend(listing.rows.into_iter().map(|row| row.key)),
                Err(trouble) => {
                    return Ok(CommandReply::new(false, format!("{trouble}; nothing was changed")));
                }
            }
        }
        rows.retain(|key| match RolloutKey::parse(key) {
            Some(RolloutKey::Publication { order, .. } | RolloutKey::Go { order, .. }) => order == name,
            Some(RolloutKey::Seen { .. } | RolloutKey::Report { .. }) | None => false,
        });
        if rows.is_empty() {
            let data = json!({ "published": false });
            return Ok(CommandReply { data, ..CommandReply::new(false, "nothing of it is published") });
        }
        let (ok, text) = match self.ledger.write(rows.into_iter().map(|key| (key, None)).collect()).await {
            Ok(()) => {
                (true, format!("{name} is published no more; hosts keep what they have installed of it"))
            }
            Err(Unwritten::Deposed) => return Err(Over),
            Err(Unwritten::Trouble(trouble)) => {
                (false, format!("{trouble}; run it again once the store is well"))
            }
        };
        Ok(CommandReply::new(ok, text))
    }
}
