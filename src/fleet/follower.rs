//! A follower: the daemon that every host has, with the rows of the store in place of the vendor's answers.
//!
//! Nothing that the store says is trusted. What is read strictly, newer than what was accepted, and has leave, goes to the
//! engine, which judges it as it judges what the vendor sends.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::panic::catch_unwind;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::member;
use crate::daemon::{self, Daemon, Onlooker};
use crate::effects::install::keys::candidate;
use crate::effects::shared::{Change, Commit, Committed, Listing, MOST_ROWS, News, Row, Shared, Trouble};
use crate::effects::store::save::Store;
use crate::sources::{Inbox, Message, clock};
use certcollectd_core::api::Untrusted;
use certcollectd_core::cert::{Certificate, Fingerprint, PublicKeys};
use certcollectd_core::config::fleet::Fleet;
use certcollectd_core::config::{Config, KeySource, Order};
use certcollectd_core::engine::calendar::{Calendar, Opening};
use certcollectd_core::engine::changes::Changes;
use certcollectd_core::engine::command::{CommandReply, FleetCommand};
use certcollectd_core::engine::order::record::OrderRecord;
use certcollectd_core::engine::schedule;
use certcollectd_core::engine::time::{Now, Time};
use certcollectd_core::engine::vitals::{FleetVitals, StoreHealth};
use certcollectd_core::fleet::form::Moment;
use certcollectd_core::fleet::keys::{self, Key};
use certcollectd_core::fleet::progress;
use certcollectd_core::fleet::published::{Meta, Publication, is_news};
use certcollectd_core::fleet::report::{Report, Seen, State};
use certcollectd_core::fleet::rollout::{Go, may_install};

/// All rows are read again after this, whatever the watches brought.
const LIST_EVERY: Duration = Duration::from_secs(60);
/// After the store could not be read; grows to [`LIST_EVERY`].
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// All hosts lose their watches at once when a member of the store restarts, and each logs in anew: not all at once.
const LAST_WAIT: Duration = Duration::from_secs(10);
/// A host that says nothing for three times as long counts as silent.
const SEEN_EVERY: Duration = Duration::from_secs(300);
/// A key that is not there yet, or a window that is shut, is looked at so often.
const LOOK: Duration = Duration::from_secs(10);
/// A fleet has a few authorities; a store that lies may name any number.
const MOST_LINKS: usize = 256;
/// Messages of the watches, and requests of operators, at once.
const PLACES: usize = 64;

/// What the follower knows of the store, for `status`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct View {
    trouble: Option<Trouble>,
    /// The store shows another fleet, or older rows than before.
    behind: Option<String>,
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

    fn look(&mut self, _: Now) -> Duration {
        Duration::MAX
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
    mark: Option<String>,
    inbox: Inbox,
) -> Result<(), String> {
    let name = member::name(fleet)?;
    let (saved, records) = mpsc::unbounded_channel();
    let (view, seen) = watch::channel(View::default());
    let (desk, asked) = mpsc::channel(PLACES);
    let shared = Rc::new(member::connect(fleet, &name, Duration::MAX));
    let vitals = {
        let (name, shared) = (name.clone(), shared.clone());
        Box::new(move || vitals(&name, &seen.borrow(), &shared))
    };
    daemon.follow();
    daemon.onlooker = Some(Box::new(Reporter(saved)));
    let (configured, configs) = watch::channel(config.clone());
    let known = daemon.records().orders.into_iter().map(|(name, known)| (name, known.record)).collect();
    let follower = Follower {
        shared,
        groups: fleet.groups.to_vec(),
        name,
        configs,
        inbox,
        view,
        fleet: mark,
        known,
        rows: BTreeMap::new(),
        signed: None,
        links: HashMap::new(),
        given: HashMap::new(),
        reported: HashMap::new(),
        again: BTreeSet::new(),
        complaints: HashMap::new(),
        waiting: BTreeSet::new(),
    };
    let mut tasks = JoinSet::new();
    tasks.spawn_local(follower.run(records, asked));
    daemon.fleet = Some(daemon::Fleet { vitals, tasks, configured, desk });
    Ok(())
}

/// The id of the fleet that this host has followed so far.
pub fn known_fleet(store: &Store) -> Result<Option<String>, String> {
    store.mark(member::FLEET).map_err(|error| error.to_string())
}

fn vitals(name: &str, view: &View, shared: &Shared) -> FleetVitals {
    let known = member::vitals("follower", name, view.trouble.as_ref(), shared);
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
    inbox: Inbox,
    view: watch::Sender<View>,
    /// The id of the fleet, once one was seen.
    fleet: Option<String>,
    /// The records of the orders.
    known: HashMap<Arc<str>, OrderRecord>,
    /// Publications and how far they may spread, by key.
    rows: BTreeMap<String, Vec<u8>>,
    /// When this host last said that it is there.
    signed: Option<Time>,
    /// Certificates of chains, not more than [`MOST_LINKS`].
    links: HashMap<Fingerprint, Vec<u8>>,
    /// What the engine was given and does not show yet.
    given: HashMap<Arc<str>, (u64, Fingerprint)>,
    /// The last reports that the store has.
    reported: HashMap<Arc<str>, (u64, State, String)>,
    /// Orders of which a refused publication is looked at once more.
    again: BTreeSet<Arc<str>>,
    /// What is wrong with what is published of an order.
    complaints: HashMap<Arc<str>, String>,
    /// Orders whose key is not there yet, or whose window is shut.
    waiting: BTreeSet<Arc<str>>,
}

impl Follower {
    async fn run(
        mut self,
        mut records: mpsc::UnboundedReceiver<(Arc<str>, OrderRecord)>,
        mut asked: mpsc::Receiver<(FleetCommand, oneshot::Sender<CommandReply>)>,
    ) {
        let mut wait = FIRST_WAIT;
        loop {
            let (news, mut changes) = mpsc::channel(PLACES);
            let mut watches = JoinSet::new();
            let listed = self.list(&mut watches, &news).await;
            drop(news);
            let mut again = pin!(sleep(if listed { LIST_EVERY } else { wait }));
            wait = if listed { FIRST_WAIT } else { (wait * 2).min(LIST_EVERY) };
            if listed {
                self.given.clear();
                self.again = self.known.keys().cloned().collect();
                self.consider_all().await;
            }
            loop {
                if listed
                    && self.signed.is_none_or(|at| clock::now().time.since(at) >= SEEN_EVERY)
                    && self.sign().await
                {
                    self.signed = Some(clock::now().time);
                }
                let look = if self.waiting.is_empty() { LIST_EVERY } else { LOOK };
                tokio::select! {
                    news = changes.recv(), if listed => match news {
                        Some(News::Changes(changes)) => self.take(changes).await,
                        // The watches are over: all rows are read anew.
                        Some(News::Lost(why)) => {
                            tracing::debug!("a watch of the fleet's store ended: {why}");
                            sleep(schedule::within(FIRST_WAIT, LAST_WAIT, &self.name)).await;
                            break;
                        }
                        None => break,
                    },
                    saved = records.recv() => match saved {
                        Some((name, record)) => {
                            self.known.insert(name.clone(), record);
                            self.consider(&name).await;
                        }
                        None => return,
                    },
                    Ok(()) = self.configs.changed() => self.consider_all().await,
                    Some((command, sender)) = asked.recv() => {
                        let reply = self.answer(&command);
                        // The requester may have gone away.
                        let _ = sender.send(reply);
                        break;
                    }
                    () = sleep(look) => {
                        for order in self.waiting.clone() {
                            self.consider(&order).await;
                        }
                    }
                    () = &mut again => break,
                }
            }
        }
    }

    fn answer(&mut self, command: &FleetCommand) -> CommandReply {
        match command {
            FleetCommand::AcceptRestore => {
                let Some(why) = self.view.borrow().behind.clone() else {
                    return CommandReply::new(
                        true,
                        "the store shows nothing older than what was seen here; nothing to do",
                    );
                };
                self.fleet = None;
                CommandReply::new(true, format!("goes on with the store as it is; before that: {why}"))
            }
            FleetCommand::StepDown | FleetCommand::Go(_) | FleetCommand::Hold(_) | FleetCommand::Skip(_) => {
                CommandReply::new(
                    false,
                    format!("{} is a follower: run it on the collector that leads", self.name),
                )
            }
        }
    }

    /// Reads all rows and begins to watch them; whether the store could be read.
    async fn list(&mut self, watches: &mut JoinSet<()>, news: &mpsc::Sender<News>) -> bool {
        match self.read(watches, news).await {
            Ok(behind) => {
                self.tell(None, behind.clone());
                behind.is_none()
            }
            Err(trouble) => {
                self.tell_trouble(trouble);
                false
            }
        }
    }

    fn tell_trouble(&self, trouble: Trouble) {
        // Let go of before it is changed.
        let behind = self.view.borrow().behind.clone();
        self.tell(Some(trouble), behind);
    }

    fn tell(&self, trouble: Option<Trouble>, behind: Option<String>) {
        self.view.send_if_modified(|view| {
            let new = View { trouble, behind };
            let changed = *view != new;
            if changed {
                match (&new.trouble, &new.behind) {
                    (Some(why), _) => tracing::warn!(
                        "the fleet's store: {why}; what is installed stays, and is looked after"
                    ),
                    (None, Some(why)) => tracing::error!("{why}"),
                    (None, None) => tracing::info!("the fleet's store can be read"),
                }
            }
            *view = new;
            changed
        });
    }

    async fn read(
        &mut self,
        watches: &mut JoinSet<()>,
        news: &mpsc::Sender<News>,
    ) -> Result<Option<String>, Trouble> {
        if let Some(behind) = self.other_fleet().await? {
            return Ok(Some(behind));
        }
        let mut rows = BTreeMap::new();
        for group in &self.groups {
            for prefix in [keys::publications(group), keys::goes(group)] {
                let Listing { rows: found, revision } = self.shared.list(&prefix).await?;
                rows.extend(found.into_iter().map(|row| (row.key, row.value)));
                watches.spawn_local(member::pass_on(self.shared.watch(&prefix, revision), news.clone()));
            }
        }
        self.rows = rows;
        let own = self.shared.list(&keys::host(&self.name)).await?.rows;
        // A report whose answer was lost may have come after a newer one.
        self.reported.retain(|order, (generation, state, _)| {
            let key = Key::Report { host: &self.name, order }.to_string();
            let row = own.iter().find(|row| row.key == key).and_then(|row| Report::read(&row.value).ok());
            row.is_some_and(|row| (row.generation, row.state) == (*generation, *state))
        });
        let seen = Key::Seen { host: &self.name }.to_string();
        self.signed = self.signed.filter(|_| own.iter().any(|row| row.key == seen));
        self.take_back(&own).await;
        Ok(None)
    }

    /// What this host reported before it lost its state is not so any more: it would count as done, and get no turn.
    async fn take_back(&mut self, own: &[Row]) {
        let config = self.config();
        let is_untrue = |row: &&Row| {
            let Some(Key::Report { order, .. }) = Key::parse(&row.key) else { return false };
            let Ok(report) = Report::read(&row.value) else { return false };
            let offered = self.known.get(order).and_then(|record| record.offered.as_deref());
            let is_known = offered.is_some_and(|offered| {
                offered.generation == report.generation || offered.highest == Some(report.generation)
            });
            let is_begun = match report.state {
                State::Done | State::Working | State::Failed => true,
                State::Quarantined | State::WaitsForKey | State::WaitsForWindow => false,
            };
            let is_given =
                self.given.get(order).is_some_and(|(generation, _)| *generation == report.generation);
            let is_ours = config.orders.iter().any(|entry| *entry.name == *order);
            is_ours && is_begun && !is_known && !is_given
        };
        let deletes: Vec<String> =
            own.iter().filter(is_untrue).map(|row| row.key.clone()).take(MOST_ROWS).collect();
        if !deletes.is_empty() {
            let reports: Vec<Arc<str>> = deletes
                .iter()
                .filter_map(|key| match Key::parse(key)? {
                    Key::Report { order, .. } => Some(order.into()),
                    _ => None,
                })
                .collect();
            // The same again with the next listing.
            let _ = self.shared.commit(&Commit { deletes, ..Commit::default() }).await;
            for order in reports {
                self.reported.remove(&order);
            }
        }
    }

    /// Why what the store holds is not this host's fleet, or not any more.
    async fn other_fleet(&mut self) -> Result<Option<String>, Trouble> {
        let key = Key::Meta.to_string();
        let Some(row) = self.shared.get(&[&key]).await?.pop().flatten() else {
            // No collector has led yet, or somebody has deleted everything.
            return Ok(None);
        };
        let meta = match Meta::read(&row) {
            Ok(meta) => meta,
            Err(refusal) => {
                return Ok(Some(format!("the row meta of the fleet's store cannot be read: {refusal}")));
            }
        };
        match &self.fleet {
            Some(known) if known != meta.id() => Ok(Some(
                "the store holds another fleet than this host has followed so far: nothing of it is installed until \
                 `certcollectd fleet accept-restore`"
                    .into(),
            )),
            Some(_) => Ok(None),
            None => {
                self.fleet = Some(meta.id().to_owned());
                let _ = self.inbox.send(Message::Mark(member::FLEET, meta.id().to_owned())).await;
                Ok(None)
            }
        }
    }

    async fn take(&mut self, changes: Vec<Change>) {
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
            if let Some(Key::Publication { order, .. } | Key::Go { order, .. }) = Key::parse(&key) {
                orders.insert(Arc::<str>::from(order));
            }
        }
        for order in orders {
            self.consider(&order).await;
        }
    }

    fn config(&self) -> Arc<Config> {
        self.configs.borrow().clone()
    }

    async fn consider_all(&mut self) {
        let published = self.rows.keys().filter_map(|key| match Key::parse(key) {
            Some(Key::Publication { order, .. }) => Some(Arc::<str>::from(order)),
            _ => None,
        });
        let orders: BTreeSet<Arc<str>> =
            self.config().orders.iter().map(|order| order.name.clone()).chain(published).collect();
        for order in orders {
            self.consider(&order).await;
        }
    }

    /// What is published of an order goes to the engine, if it is good and its turn has come; how far it is goes to the store.
    async fn consider(&mut self, name: &Arc<str>) {
        self.waiting.remove(name);
        let config = self.config();
        let Some(entry) = config.orders.iter().find(|entry| entry.name == *name) else {
            return self.not_wanted(name).await;
        };
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
            let (state, reason) = progress::of(entry, record, leaf);
            if state == State::Quarantined && self.again.remove(name) {
                // The refusal may have been caused by this machine: its roots, its clock.
                if let Ok(bundle) = self.bundle(&publication).await {
                    let message = Message::Published { order: name.clone(), generation, bundle };
                    let _ = self.inbox.send(message).await;
                }
            }
            self.complain(name, None).await;
            return self.report(name, generation, state, reason).await;
        }
        if self.given.get(name) == Some(&(generation, leaf)) {
            return;
        }
        let highest = offered.and_then(|offered| offered.highest);
        if !is_news(highest, generation) {
            let there = record.and_then(|record| Some((record, record.installed.as_ref()?.fingerprint)));
            let there = there.map(|(record, leaf)| progress::of(entry, record, leaf));
            let why = format!(
                "order {name}: generation {generation} is published, and generation {} was installed here: an older one is not \
                 taken. If the store was restored from a copy, the next issued certificate has a higher one",
                highest.unwrap_or_default()
            );
            // The leader counts on from what hosts report, whatever the store has lost.
            if let (Some(highest), Some((state, reason))) = (highest, there) {
                self.report(name, highest, state, reason).await;
            }
            return self.complain(name, Some(why)).await;
        }
        self.complain(name, None).await;
        let bundle = match self.bundle(&publication).await {
            Ok(bundle) => bundle,
            Err(why) => return self.report(name, generation, State::Quarantined, why).await,
        };
        if let Some(why) = lacks_key(entry, &publication) {
            self.waiting.insert(name.clone());
            return self.report(name, generation, State::WaitsForKey, why).await;
        }
        if is_shut(&config, entry, own, clock::now().unix()) {
            self.waiting.insert(name.clone());
            return self.report(name, generation, State::WaitsForWindow, String::new()).await;
        }
        self.waits_no_more(name).await;
        let go = Key::Go { group, order: name }.to_string();
        let go = self.rows.get(&go).and_then(|row| Go::read(row).ok());
        if may_install(&self.name, &publication, go.as_ref(), own, clock::now()).is_none() {
            return;
        }
        self.given.insert(name.clone(), (generation, leaf));
        self.report(name, generation, State::Working, "it is being installed".into()).await;
        let message = Message::Published { order: name.clone(), generation, bundle };
        let _ = self.inbox.send(message).await;
    }

    /// An order of its groups that this host does not have: nobody is to wait for it.
    async fn not_wanted(&mut self, name: &Arc<str>) {
        let its =
            |key: &str| matches!(Key::parse(key), Some(Key::Publication { order, .. }) if *order == **name);
        let Some((_, row)) = self.rows.iter().find(|(key, _)| its(key)) else { return };
        if let Ok(publication) = read(name, row) {
            let reason = "this host has no such order in its configuration".to_owned();
            self.report(name, publication.generation, State::Done, reason).await;
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

    async fn report(&mut self, order: &Arc<str>, generation: u64, state: State, reason: String) {
        let report = (generation, state, reason);
        if self.reported.get(order) == Some(&report) {
            return;
        }
        let row =
            Report { generation, state, reason: Untrusted::new(&report.2), at: Moment(clock::now().unix()) };
        let key = Key::Report { host: &self.name, order }.to_string();
        if self.put(key, row.to_row()).await {
            self.reported.insert(order.clone(), report);
        }
    }

    /// A report that an order waits is taken back: its host may have leave now.
    async fn waits_no_more(&mut self, order: &Arc<str>) {
        let waits = |(_, state, _): &(u64, State, String)| {
            matches!(state, State::WaitsForKey | State::WaitsForWindow)
        };
        if !self.reported.get(order).is_some_and(waits) {
            return;
        }
        let key = Key::Report { host: &self.name, order }.to_string();
        let commit = Commit { deletes: vec![key], ..Commit::default() };
        if matches!(self.shared.commit(&commit).await, Committed::Done) {
            self.reported.remove(order);
        }
    }

    /// Says that this host is there; whether the store has it.
    async fn sign(&self) -> bool {
        let groups = self.groups.iter().map(|group| (**group).into()).collect();
        let version = Untrusted::new(env!("CARGO_PKG_VERSION"));
        let row = Seen { at: Moment(clock::now().unix()), groups, version };
        self.put(Key::Seen { host: &self.name }.to_string(), row.to_row()).await
    }

    async fn put(&self, key: String, value: Vec<u8>) -> bool {
        let commit = Commit { puts: vec![Row { key, value }], ..Commit::default() };
        match self.shared.commit(&commit).await {
            Committed::Done => true,
            // The same again with the next listing.
            Committed::Fenced | Committed::Unknown(_) => false,
            Committed::Refused(trouble) => {
                self.tell_trouble(trouble);
                false
            }
        }
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
