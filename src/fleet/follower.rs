//! A follower: the daemon that every host has, with the rows of the store in place of the vendor's answers.
//!
//! Nothing that the store says is trusted. What is read strictly, newer than what was accepted, and has leave, goes to the
//! engine, which judges it as it judges what the vendor sends.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::panic::catch_unwind;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::feed::{Fed, Feed, LIST_EVERY, Pace};
use super::member;
use super::reports::Reports;
use crate::daemon::{self, Daemon, Onlooker};
use crate::effects::install::keys::candidate;
use crate::effects::shared::{Change, Reach, Row, Shared, Trouble};
use crate::sources::{Inbox, Message, clock};
use certcollectd_core::cert::{Certificate, Fingerprint, PublicKeys};
use certcollectd_core::config::fleet::Fleet;
use certcollectd_core::config::{Config, KeySource, Order};
use certcollectd_core::engine::calendar::{Calendar, Opening};
use certcollectd_core::engine::changes::Changes;
use certcollectd_core::engine::command::{CommandReply, FleetCommand};
use certcollectd_core::engine::order::record::{Generation, OrderRecord};
use certcollectd_core::engine::schedule;
use certcollectd_core::engine::time::Now;
use certcollectd_core::engine::vitals::{FleetVitals, StoreHealth};
use certcollectd_core::fleet::keys::{self, Key, RolloutKey};
use certcollectd_core::fleet::progress;
use certcollectd_core::fleet::published::{Meta, OTHER_FLEET, Publication, is_news};
use certcollectd_core::fleet::report::{Report, State};
use certcollectd_core::fleet::rollout::{Go, may_install};

/// Nothing is waited for together: hosts are to be quick. But all of them lose their watches at once when a member of the
/// store restarts, and each logs in anew: not all at once.
fn pace(name: &str) -> Pace {
    let pause = schedule::within(Duration::from_secs(1), Duration::from_secs(10), name);
    Pace { together: Duration::ZERO, pause }
}

/// A key that is not there yet, a window that is shut, or a store that is not this fleet's, is looked at so often.
const LOOK: Duration = Duration::from_secs(10);
/// A fleet has a few authorities; a store that lies may name any number.
const MOST_LINKS: usize = 256;
/// Requests of operators at once.
const DESK: usize = 16;

/// What the follower knows of the store, for `status`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct View {
    reach: Reach,
    /// The store shows another fleet, or older rows than before.
    behind: Option<String>,
}

/// What people are told of the store.
pub(super) struct Said(watch::Sender<View>);

impl Said {
    fn unread(&self, trouble: Trouble) {
        self.change(|view| view.reach.unread = Some(trouble));
    }

    fn read(&self, behind: Option<String>) {
        self.change(|view| {
            view.reach.unread = None;
            view.behind = behind;
        });
    }

    /// What this host says has arrived, or not.
    pub(super) fn wrote(&self, trouble: Option<Trouble>) {
        self.change(|view| view.reach.unwritten = trouble);
    }

    pub(super) fn is_unwritten(&self) -> bool {
        self.0.borrow().reach.unwritten.is_some()
    }

    /// Why the store is not to be gone on with, if that is so.
    fn behind(&self) -> Option<String> {
        self.0.borrow().behind.clone()
    }

    fn change(&self, change: impl FnOnce(&mut View)) {
        self.0.send_if_modified(|view| {
            let before = view.clone();
            change(view);
            let shown = |view: &View| (view.reach.trouble().cloned(), view.behind.clone());
            let changed = shown(view) != shown(&before);
            if changed {
                match (view.reach.trouble(), &view.behind) {
                    (Some(why), _) => tracing::warn!(
                        "the fleet's store: {why}; what is installed stays, and is looked after"
                    ),
                    (None, Some(why)) => tracing::error!("{why}"),
                    (None, None) => tracing::info!("the fleet's store can be used"),
                }
            }
            changed
        });
    }
}

/// Sends the records that were saved.
#[derive(Debug)]
struct Reporter(mpsc::UnboundedSender<(Arc<str>, OrderRecord)>);

impl Onlooker for Reporter {
    fn saved(&mut self, changes: &Changes, _: Now) {
        for (name, record) in &changes.orders {
            let _ = self.0.send((name.clone(), record.clone()));
        }
    }
}

/// Has a daemon follow its fleet.
///
/// # Errors
///
/// In words: this host has no name, or its state cannot be read.
pub fn follow(
    daemon: &mut Daemon,
    config: &Arc<Config>,
    fleet: &Fleet,
    mark: Option<Box<str>>,
    inbox: Inbox,
) -> Result<(), String> {
    let name = member::name(fleet)?;
    let (saved, records) = mpsc::unbounded_channel();
    let (view, seen) = watch::channel(View::default());
    let (desk, asked) = mpsc::channel(DESK);
    let shared = Rc::new(member::connect(fleet, &name, Duration::MAX));
    let vitals = {
        let (name, shared) = (name.clone(), shared.clone());
        Box::new(move || vitals(&name, &seen.borrow(), &shared))
    };
    daemon.follow();
    daemon.onlooker = Some(Box::new(Reporter(saved)));
    let (configured, configs) = watch::channel(config.clone());
    let known = daemon.records().orders.into_iter().map(|(name, known)| (name, known.record)).collect();
    let (groups, said) = (fleet.groups.to_vec(), Rc::new(Said(view)));
    let reports = Reports::new(shared.clone(), name.clone(), groups.clone(), inbox.clone(), said.clone());
    let follower = Follower {
        shared,
        groups,
        name,
        entries: entries(config),
        configs,
        inbox,
        said,
        reports,
        fleet: mark,
        known,
        rows: BTreeMap::new(),
        links: HashMap::new(),
        given: HashMap::new(),
        complaints: HashMap::new(),
        waiting: BTreeSet::new(),
        held: BTreeSet::new(),
    };
    let mut tasks = JoinSet::new();
    tasks.spawn_local(follower.run(records, asked));
    daemon.fleet = Some(daemon::Fleet { vitals, tasks, configured, desk });
    Ok(())
}

fn vitals(name: &str, view: &View, shared: &Shared) -> FleetVitals {
    let known = member::vitals("follower", name, view.reach.trouble(), shared);
    match &view.behind {
        Some(why) => FleetVitals { store: StoreHealth::Behind, trouble: Some(why.as_str().into()), ..known },
        None => known,
    }
}

struct Follower {
    shared: Rc<Shared>,
    groups: Vec<Arc<str>>,
    name: Box<str>,
    configs: watch::Receiver<Arc<Config>>,
    /// Where each order stands in the configuration.
    entries: HashMap<Arc<str>, usize>,
    inbox: Inbox,
    said: Rc<Said>,
    reports: Reports,
    /// The id of the fleet, once one was seen.
    fleet: Option<Box<str>>,
    /// The records of the orders.
    known: HashMap<Arc<str>, OrderRecord>,
    /// Publications and how far they may spread, by key.
    rows: BTreeMap<String, Vec<u8>>,
    /// Certificates of chains, not more than [`MOST_LINKS`].
    links: HashMap<Fingerprint, Vec<u8>>,
    /// What the engine was given and does not show yet.
    given: HashMap<Arc<str>, (u64, Fingerprint)>,
    /// What is wrong with what is published of an order.
    complaints: HashMap<Arc<str>, String>,
    /// Orders whose key is not there yet, or whose window is shut.
    waiting: BTreeSet<Arc<str>>,
    /// Published, and this host has no leave yet: each listing looks whether it has become urgent.
    held: BTreeSet<Arc<str>>,
}

impl Follower {
    async fn run(
        mut self,
        mut records: mpsc::UnboundedReceiver<(Arc<str>, OrderRecord)>,
        mut asked: mpsc::Receiver<(FleetCommand, oneshot::Sender<CommandReply>)>,
    ) {
        tracing::info!("{} takes what its fleet publishes for {}", self.name, self.groups.join(", "));
        let mut feed = self.feed();
        loop {
            let is_behind = self.said.behind().is_some();
            let look = if self.waiting.is_empty() && !is_behind { LIST_EVERY } else { LOOK };
            tokio::select! {
                fed = feed.next() => match fed {
                    Fed::All(rows) => {
                        if let Err(trouble) = self.begin_anew(rows).await {
                            self.said.unread(trouble);
                        }
                    }
                    Fed::Changed(changes) => self.take(changes).await,
                    Fed::Away(trouble) => self.said.unread(trouble),
                },
                saved = records.recv() => match saved {
                    Some((name, record)) => {
                        self.known.insert(name.clone(), record);
                        self.consider(&name).await;
                    }
                    None => return,
                },
                Ok(()) = self.configs.changed() => {
                    self.entries = entries(&self.config());
                    self.consider_all(self.published()).await;
                }
                Some((command, sender)) = asked.recv() => {
                    let reply = self.answer(&command).await;
                    // The requester may have gone away.
                    let _ = sender.send(reply);
                    feed = self.feed();
                }
                // Somebody may have set it right.
                () = sleep(look), if is_behind => {
                    if let Ok(None) = self.other_fleet().await {
                        self.said.read(None);
                        feed = self.feed();
                    }
                }
                () = sleep(look), if !is_behind => self.consider_all(self.waiting.clone()).await,
            }
        }
    }

    fn feed(&self) -> Feed {
        let prefixes = self.groups.iter().flat_map(|group| [keys::publications(group), keys::goes(group)]);
        Feed::of(self.shared.clone(), prefixes.collect(), pace(&self.name))
    }

    async fn answer(&mut self, command: &FleetCommand) -> CommandReply {
        match command {
            FleetCommand::AcceptRestore => {
                let Some(why) = self.said.behind() else {
                    return CommandReply::new(true, member::NOTHING_TO_ACCEPT);
                };
                self.fleet = None;
                // Else the next start would know of it again.
                let _ = self.inbox.send(Message::Mark(member::FLEET, String::new())).await;
                CommandReply::new(true, format!("goes on with the store as it is; before that: {why}"))
            }
            FleetCommand::StepDown
            | FleetCommand::Go(_)
            | FleetCommand::Hold(_)
            | FleetCommand::Skip(_)
            | FleetCommand::Forget(_) => CommandReply::new(
                false,
                format!("{} is a follower: run it on the collector that leads", self.name),
            ),
        }
    }

    /// All rows, as they are now.
    async fn begin_anew(&mut self, rows: Vec<Row>) -> Result<(), Trouble> {
        let behind = self.other_fleet().await?;
        let is_behind = behind.is_some();
        self.said.read(behind);
        let rows = if is_behind { Vec::new() } else { rows };
        let rows: BTreeMap<String, Vec<u8>> = rows.into_iter().map(|row| (row.key, row.value)).collect();
        let before = std::mem::replace(&mut self.rows, rows);
        if is_behind {
            return Ok(());
        }
        self.given.clear();
        let published = self.published();
        let Follower { reports, known, entries, waiting, .. } = self;
        let is_over = |order: &str, report: &Report| match published.contains(order) {
            true => is_untrue(known, entries, waiting, order, report),
            // The leader counts on from what hosts have.
            false => report.state != State::Done || !entries.contains_key(order),
        };
        reports.compare(is_over).await?;
        let is_new = |key: &&String| before.get(*key) != self.rows.get(*key);
        let changed = self.rows.keys().filter(is_new).filter_map(|key| order_of(key));
        // What it has not reported yet may have become urgent.
        let open = |order: &Arc<str>| match self.reports.known(order) {
            None => true,
            // The refusal may have been caused by this machine: its roots, its clock.
            Some((_, State::Quarantined)) => true,
            Some((_, State::Done | State::Working | State::Failed)) => false,
            Some((_, State::WaitsForKey | State::WaitsForWindow | State::NotConfigured)) => true,
        };
        let held = std::mem::take(&mut self.held);
        let open = self.published().into_iter().filter(open);
        let orders: BTreeSet<Arc<str>> = changed.chain(open).chain(held).collect();
        self.consider_all(orders.clone()).await;
        for order in &orders {
            self.judge_again(order).await;
        }
        Ok(())
    }

    /// Why what the store holds is not this host's fleet, or not any more.
    async fn other_fleet(&mut self) -> Result<Option<String>, Trouble> {
        let key = Key::Meta.to_string();
        let Some(row) = self.shared.get(&[&key]).await?.pop().flatten() else {
            let text = "the store holds nothing of the fleet that this host has followed so far: it was emptied, or is another \
                        one. Nothing is taken from it until a collector of that fleet leads there, or `certcollectd fleet \
                        accept-restore`";
            // Else no collector has led yet.
            return Ok(self.fleet.is_some().then(|| text.into()));
        };
        let meta = match Meta::read(&row) {
            Ok(meta) => meta,
            Err(refusal) => {
                return Ok(Some(format!("the row meta of the fleet's store cannot be read: {refusal}")));
            }
        };
        match &self.fleet {
            Some(known) if **known != *meta.id() => Ok(Some(format!(
                "{OTHER_FLEET}: nothing of it is installed until `certcollectd fleet accept-restore`"
            ))),
            Some(_) => Ok(None),
            None => {
                self.fleet = Some(meta.id().into());
                let _ = self.inbox.send(Message::Mark(member::FLEET, meta.id().to_owned())).await;
                Ok(None)
            }
        }
    }

    async fn take(&mut self, changes: Vec<Change>) {
        if self.said.behind().is_some() {
            return;
        }
        let mut orders = BTreeSet::new();
        for change in changes {
            let key = match change {
                Change::Put(Row { key, value }) => {
                    self.rows.insert(key.clone(), value);
                    key
                }
                Change::Deleted(key) => {
                    self.rows.remove(&key);
                    key
                }
            };
            orders.extend(order_of(&key));
        }
        // A fleet has no id until it has had a leader. If that cannot be read, the next listing comes to these rows.
        if self.fleet.is_none()
            && let Err(trouble) = self.other_fleet().await
        {
            return self.said.unread(trouble);
        }
        self.consider_all(orders).await;
    }

    fn config(&self) -> Arc<Config> {
        self.configs.borrow().clone()
    }

    /// The orders of its groups.
    fn published(&self) -> BTreeSet<Arc<str>> {
        self.rows.keys().filter_map(|key| order_of(key)).collect()
    }

    async fn consider_all(&mut self, orders: BTreeSet<Arc<str>>) {
        for order in orders {
            self.consider(&order).await;
        }
    }

    /// What is published of an order goes to the engine, if it is good and its turn has come; how far it is goes to the store.
    async fn consider(&mut self, name: &Arc<str>) {
        self.waiting.remove(name);
        let config = self.config();
        let Some(entry) = self.entries.get(name).and_then(|at| config.orders.get(*at)) else {
            return self.not_wanted(name).await;
        };
        if let Some((_, State::NotConfigured)) = self.reports.known(name) {
            self.reports.take_back(name).await;
        }
        let Some(group) = entry.settings.group.as_deref() else { return };
        let key = Key::Publication { group, order: name }.to_string();
        let Some(row) = self.rows.get(&key) else { return };
        let publication = match read(name, row) {
            Ok(publication) => publication,
            Err(refusal) => {
                let why =
                    format!("order {name}: what is published is refused: {refusal}; what is installed stays");
                return self.complain(name, Some(why)).await;
            }
        };
        let (generation, leaf) = (publication.generation, publication.leaf.fingerprint());
        let record = self.known.get(name);
        let own = record.and_then(|record| record.installed.as_ref()).map(|installed| installed.not_after);
        let offered = record.and_then(|record| record.offered.as_deref());
        if let (Some(record), Some(offered)) = (record, offered)
            && (offered.generation, offered.leaf) == (generation, leaf)
        {
            self.given.remove(name);
            let (state, reason) = progress::of(&entry.settings.probes, record, leaf);
            self.complain(name, None).await;
            return self.reports.report(name, generation, state, reason).await;
        }
        if self.given.get(name) == Some(&(generation, leaf)) {
            return;
        }
        let highest = offered.and_then(|offered| offered.highest);
        if !is_news(highest, generation) {
            let installed = record.and_then(|record| Some((record, record.installed.as_ref()?)));
            let known = highest.unwrap_or_default();
            let refused = format!(
                "generation {generation} is published, and generation {known} was installed here: an older one is not taken"
            );
            // The leader counts on from what hosts report, whatever the store has lost.
            let lost_its_number = |own: &Generation| match leaf == own.fingerprint {
                true => generation < known,
                false => publication.leaf.not_after() >= own.not_after,
            };
            let (comes, report) = match installed {
                // Nothing but its number is old: one above it is lost, or taken by another certificate.
                Some((_, own)) if lost_its_number(own) => (
                    "the leader publishes it again under a higher number",
                    Some((known.max(generation.saturating_add(1)), State::Quarantined, refused.clone())),
                ),
                Some((record, own)) => {
                    let (state, reason) = progress::of(&entry.settings.probes, record, own.fingerprint);
                    ("the next issued certificate has a higher one", Some((known, state, reason)))
                }
                None => ("the next issued certificate has a higher one", None),
            };
            let serves_it = installed.is_some_and(|(_, own)| own.fingerprint == leaf);
            if let Some((counted, state, reason)) = report {
                self.reports.report(name, counted, state, reason).await;
            }
            if serves_it {
                return self.complain(name, None).await;
            }
            let why = format!("order {name}: {refused}. If the store was restored from a copy, {comes}");
            return self.complain(name, Some(why)).await;
        }
        self.complain(name, None).await;
        let bundle = match self.bundle(&publication).await {
            Ok(bundle) => bundle,
            Err(why) => return self.reports.report(name, generation, State::Quarantined, why).await,
        };
        if let Some(why) = lacks_key(entry, &publication) {
            self.waiting.insert(name.clone());
            return self.reports.report(name, generation, State::WaitsForKey, why).await;
        }
        if is_shut(&config, entry, own, clock::now().unix()) {
            self.waiting.insert(name.clone());
            return self.reports.report(name, generation, State::WaitsForWindow, String::new()).await;
        }
        self.waits_no_more(name).await;
        let go = Key::Go { group, order: name }.to_string();
        let go = self.rows.get(&go).and_then(|row| Go::read(row).ok());
        if may_install(&self.name, &publication, go.as_ref(), own, clock::now()).is_none() {
            self.held.insert(name.clone());
            return;
        }
        self.given.insert(name.clone(), (generation, leaf));
        self.reports.report(name, generation, State::Working, "it is being installed").await;
        let message = Message::Published { order: name.clone(), generation, bundle };
        let _ = self.inbox.send(message).await;
    }

    /// What was refused goes to the engine once more.
    async fn judge_again(&mut self, name: &Arc<str>) {
        let Some((generation, State::Quarantined)) = self.reports.known(name) else { return };
        let offered = self.known.get(name).and_then(|record| record.offered.as_deref()).copied();
        let Some((_, row)) = self.publication(name) else { return };
        let (Some(offered), Ok(publication)) = (offered, read(name, row)) else { return };
        let is_offered =
            (publication.generation, publication.leaf.fingerprint()) == (offered.generation, offered.leaf);
        if is_offered && let Ok(bundle) = self.bundle(&publication).await {
            let _ = self.inbox.send(Message::Published { order: name.clone(), generation, bundle }).await;
        }
    }

    /// The row of an order, in whichever of its groups.
    fn publication(&self, name: &str) -> Option<(&String, &Vec<u8>)> {
        let keys = self.groups.iter().map(|group| Key::Publication { group, order: name }.to_string());
        keys.into_iter().find_map(|key| self.rows.get_key_value(&key))
    }

    /// An order of its groups that this host does not have: nobody is to wait for it, or take it for a proof.
    async fn not_wanted(&mut self, name: &Arc<str>) {
        let Some((_, row)) = self.publication(name) else { return };
        if let Ok(publication) = read(name, row) {
            let reason = "this host has no such order in its configuration".to_owned();
            self.reports.report(name, publication.generation, State::NotConfigured, reason).await;
        }
    }

    /// What is wrong with what is published of an order, once.
    async fn complain(&mut self, order: &Arc<str>, why: Option<String>) {
        let before = self.complaints.get(order);
        if before == why.as_ref() {
            return;
        }
        if let Some(text) = before.cloned() {
            let _ = self.inbox.send(Message::Finding { text, holds: false }).await;
        }
        match why {
            Some(text) => {
                tracing::warn!("{text}");
                self.complaints.insert(order.clone(), text.clone());
                let _ = self.inbox.send(Message::Finding { text, holds: true }).await;
            }
            None => _ = self.complaints.remove(order),
        }
    }

    async fn bundle(&mut self, publication: &Publication) -> Result<Vec<Certificate>, String> {
        if self.links.len() >= MOST_LINKS {
            self.links.clear();
        }
        let wanted: Vec<Fingerprint> =
            publication.chain.iter().copied().filter(|digest| !self.links.contains_key(digest)).collect();
        if !wanted.is_empty() {
            let keys: Vec<String> = wanted.iter().map(|digest| Key::Chain(*digest).to_string()).collect();
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            let found = self.shared.get(&keys).await.map_err(|trouble| trouble.to_string())?;
            self.links
                .extend(wanted.into_iter().zip(found).filter_map(|(digest, link)| Some((digest, link?))));
        }
        let links = &self.links;
        match publication.bundle(|digest| links.get(&digest).map(Vec::as_slice)) {
            Ok(bundle) => Ok(std::iter::once(bundle.leaf).chain(bundle.chain).collect()),
            Err(refusal) => {
                publication.chain.iter().for_each(|digest| _ = self.links.remove(digest));
                Err(refusal.to_string())
            }
        }
    }

    /// A report that an order waits is taken back: its host may have leave now.
    async fn waits_no_more(&mut self, order: &Arc<str>) {
        let is_over = match self.reports.known(order) {
            Some((_, State::WaitsForKey | State::WaitsForWindow)) => true,
            Some((_, State::Done | State::Working | State::Failed)) => false,
            Some((_, State::Quarantined | State::NotConfigured)) | None => false,
        };
        if is_over {
            self.reports.take_back(order).await;
        }
    }
}

fn entries(config: &Config) -> HashMap<Arc<str>, usize> {
    config.orders.iter().enumerate().map(|(at, order)| (order.name.clone(), at)).collect()
}

/// A host that has lost its state would count as done, one that was given the order since would have no part in it, one
/// that waits no more would wait on; and none of them gets a turn.
fn is_untrue(
    known: &HashMap<Arc<str>, OrderRecord>,
    entries: &HashMap<Arc<str>, usize>,
    waiting: &BTreeSet<Arc<str>>,
    order: &str,
    report: &Report,
) -> bool {
    let is_begun = match report.state {
        State::Done | State::Working | State::Failed => true,
        State::Quarantined => false,
        State::WaitsForKey | State::WaitsForWindow => return !waiting.contains(order),
        State::NotConfigured => return entries.contains_key(order),
    };
    let offered = known.get(order).and_then(|record| record.offered.as_deref());
    let is_known = offered.is_some_and(|offered| {
        offered.generation == report.generation || offered.highest == Some(report.generation)
    });
    is_begun && entries.contains_key(order) && !is_known
}

/// The order that a publication, or how far it may spread, is about.
fn order_of(key: &str) -> Option<Arc<str>> {
    match RolloutKey::parse(key)? {
        RolloutKey::Publication { order, .. } | RolloutKey::Go { order, .. } => Some(order.into()),
        RolloutKey::Seen { .. } | RolloutKey::Report { .. } => None,
    }
}

/// As an enemy may have written it, also one who knows of a mistake in what reads certificates.
fn read(order: &str, row: &[u8]) -> Result<Publication, String> {
    let read = catch_unwind(|| Publication::read(order, row).map_err(|refusal| refusal.to_string()));
    read.unwrap_or_else(|_| Err("it cannot be read: internal error, please report it".into()))
}

/// Whether its windows are shut for an order, and it may wait.
fn is_shut(config: &Config, entry: &Order, own: Option<i64>, unix: i64) -> bool {
    let margin = i64::try_from(entry.settings.window_margin.as_secs()).unwrap_or(i64::MAX);
    let waits = own.is_none_or(|ends| ends.saturating_sub(unix) > margin);
    waits && Calendar::of(config, entry).opening(unix) != Opening::Open
}

/// Why no key of the order fits the certificate, if it has keys of its own.
fn lacks_key(entry: &Order, publication: &Publication) -> Option<String> {
    let KeySource::Keys(paths) = &entry.key else { return None };
    let fits = |key: &PublicKeys| key.matches(&publication.leaf);
    let fits = paths.iter().any(|path| candidate(path).key.is_ok_and(|key| fits(&key)));
    let paths = || paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
    (!fits).then(|| format!("no key in {} fits the certificate; it is installed once one does", paths()))
}
