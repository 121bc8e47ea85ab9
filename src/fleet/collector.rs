//! A collector: it stands by until the lease is free, takes over, leads, and stands by again.
//!
//! A takeover is a start: the rows of the leader before are loaded as a state file is, and what was lost with that leader is
//! what a restart has lost.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinSet, spawn_local};
use tokio::time::sleep;

use super::rollouts::{Forgetting, Rollouts, Told, View, What};
use super::{hints, member};
use crate::daemon::{self, Daemon, Ended, Goal, Outcome, Tenure};
use crate::effects::call::Leave;
use crate::effects::files::random_name;
use crate::effects::shared::keeper::{Keeper, Request, Standing, Term};
use crate::effects::shared::ledger::{Ledger, TakeOver, Unwritten};
use crate::effects::shared::publish::Publisher;
use crate::effects::shared::{Reach, Shared};
use crate::effects::store::error::StoreError;
use crate::effects::store::save::Store;
use crate::sources::{Inbox, Message, Snapshot, clock, watch as watched};
use crate::telemetry;
use certcollectd_core::api::push::Hint;
use certcollectd_core::config::Config;
use certcollectd_core::config::fleet::{Collector as Settings, Fleet};
use certcollectd_core::engine::Engine;
use certcollectd_core::engine::changes::Changes;
use certcollectd_core::engine::command::{Command, CommandReply, FleetCommand};
use certcollectd_core::engine::time::Time;
use certcollectd_core::engine::vitals::{FleetVitals, StoreHealth, Vitals};
use certcollectd_core::fleet::lease::{Beat, Candidate, Lease, Limits, MOST_SKEW};
use certcollectd_core::fleet::published::OTHER_FLEET;
use certcollectd_core::fleet::rollout::Word;
use certcollectd_core::fleet::rows;

/// Between two signs of life where no watchdog wants them more often.
const SLICE: Duration = Duration::from_secs(60);
/// Notifications that are left for the leader at once.
const HINTS: usize = 8;
/// Requests of operators at once.
const DESK: usize = 16;
/// Requests of the process itself that wait for the keeper at once.
const REQUESTS: usize = 4;

/// A collector's process.
#[derive(Debug)]
pub struct Collector {
    settings: Settings,
    name: Box<str>,
    process: Box<str>,
    shared: Rc<Shared>,
    standing: watch::Receiver<Standing>,
    requests: mpsc::Sender<Request>,
    leave: Leave,
    config: Arc<Config>,
    path: PathBuf,
    sender: Inbox,
    vitals: Vitals,
    /// The id of the fleet that this host has been in.
    fleet: Rc<RefCell<Option<Box<str>>>>,
    /// The last beat of another process that calls itself as this one does, and whether it is not the first.
    namesake: Option<(Beat, bool)>,
    /// The last term in which this host led; what is heard of it later is old.
    last_term: u64,
    /// Notifications that are being left for the leader.
    hinting: Rc<Cell<usize>>,
    watchdog: Option<Duration>,
    /// Tells whoever watches the configuration that another one is in force.
    lookout: Option<std::sync::mpsc::Sender<()>>,
}

/// How a collector's process ended.
#[derive(Debug)]
pub enum End {
    InOrder,
    /// The last save of the state failed.
    Unsaved,
    /// What kept the lease ended by itself.
    Failed,
}

/// Why a wait for the lease is over.
enum Turn {
    Stop,
    /// Nothing keeps the lease any more.
    Fail,
    Lead(Term),
}

impl Collector {
    /// Begins to look at the lease. The store may be away.
    ///
    /// # Errors
    ///
    /// In words: this host has no name, or its state cannot be read.
    pub fn start(
        config: Arc<Config>,
        fleet: &Fleet,
        settings: &Settings,
        store: &Store,
        path: &Path,
        sender: Inbox,
        lookout: Option<std::sync::mpsc::Sender<()>>,
    ) -> Result<Collector, String> {
        let name = member::name(fleet)?;
        let limits = Limits {
            lease: settings.lease,
            beat: settings.beat,
            call: config.calls.request_timeout + config.calls.settle + settings.margin,
        };
        let highest = number(store, member::HIGHEST).map_err(|error| error.to_string())?;
        let known = member::known_fleet(store).map_err(|error| error.to_string())?;
        let known = Rc::new(RefCell::new(known));
        let process: Box<str> = random_name().into();
        let me = Candidate { host: name.clone(), process: process.clone() };
        let lease = Lease::new(me, limits, highest);
        let shared = Rc::new(member::connect(fleet, &name, settings.lease / 8));
        let (standing, seen) = watch::channel(Standing::default());
        let (requests, asked) = mpsc::channel(REQUESTS);
        let leave = Leave::until(Time::MIN);
        let keeper = Keeper {
            shared: shared.clone(),
            lease,
            fleet: known.clone(),
            clock: clock::now,
            reach: Reach::default(),
            standing,
            leave: leave.clone(),
            requests: asked,
        };
        spawn_local(keeper.keep());
        let vitals = Vitals { configured_at: clock::now().unix(), ..Vitals::default() };
        Ok(Collector {
            settings: settings.clone(),
            name,
            process,
            shared,
            standing: seen,
            requests,
            leave,
            config,
            path: path.to_owned(),
            sender,
            vitals,
            fleet: known,
            namesake: None,
            last_term: 0,
            hinting: Rc::default(),
            watchdog: telemetry::watchdog(),
            lookout,
        })
    }

    /// Stands by and leads by turns, until somebody wants the process to end.
    pub async fn run(mut self, mut store: Store, inbox: mpsc::Receiver<Message>) -> End {
        let answers = spawn_local(store.answer());
        let end = self.take_turns(store, inbox).await;
        answers.abort();
        end
    }

    async fn take_turns(&mut self, mut store: Store, mut inbox: mpsc::Receiver<Message>) -> End {
        loop {
            let term = match self.stand_by(&mut store, &mut inbox).await {
                Turn::Stop => return End::InOrder,
                Turn::Fail => return End::Failed,
                Turn::Lead(term) => term,
            };
            tracing::info!("{} leads the fleet, in term {}", self.name, term.number);
            self.last_term = term.number;
            telemetry::alive();
            let (engine, ledger, salt) = match self.take_over(&term, &mut store).await {
                Ok(taken) => taken,
                Err(why) => {
                    tracing::error!(
                        "{} cannot take the fleet over: {why}; it stands back for {} s, and another collector may try",
                        self.name,
                        self.settings.lease.as_secs()
                    );
                    self.release(Time::MIN).await;
                    continue;
                }
            };
            let outcome = self.lead(term, engine, ledger, &salt, store, inbox).await;
            (store, inbox) = (outcome.store, outcome.inbox);
            match outcome.ended {
                Ended::Deposed => {
                    tracing::warn!("{} leads no more: its term is over; it stands by", self.name);
                    self.reread().await;
                }
                Ended::Stopped if outcome.unsaved => return End::Unsaved,
                Ended::Stopped => return End::InOrder,
                Ended::SteppedDown => self.reread().await,
            }
        }
    }

    /// Answers for this host while another one leads, or none.
    async fn stand_by(&mut self, store: &mut Store, inbox: &mut mpsc::Receiver<Message>) -> Turn {
        telemetry::standby(&self.describe());
        loop {
            telemetry::alive();
            tokio::select! {
                message = inbox.recv() => match message {
                    Some(Message::Stop) => return Turn::Stop,
                    Some(message) => self.take(message, store).await,
                    None => std::future::pending().await,
                },
                changed = self.standing.changed() => {
                    if changed.is_err() {
                        return Turn::Fail;
                    }
                    let standing = self.standing.borrow_and_update().clone();
                    self.note(&standing, store);
                    telemetry::standby(&self.describe());
                    if let Some(term) = standing.term.filter(|term| term.number > self.last_term) {
                        return Turn::Lead(term);
                    }
                }
                // While nothing changes, somebody waits for a sign all the same.
                () = sleep(self.watchdog.unwrap_or(SLICE)) => {}
            }
        }
    }

    /// Keeps what must be known after a restart, and says what is new.
    fn note(&mut self, standing: &Standing, store: &mut Store) {
        let seen = standing.leader.as_ref().map(|(beat, _)| beat.term);
        let term = standing.term.as_ref().map(|term| term.number).max(seen);
        let known = number(store, member::HIGHEST).unwrap_or(u64::MAX);
        if let Some(term) = term.filter(|term| *term > known)
            && let Err(error) = store.set_mark(member::HIGHEST, &term.to_string())
        {
            tracing::error!("the state cannot be saved: {error}");
        }
        let is_in_none = self.fleet.borrow().is_none();
        if let Some(fleet) = standing.fleet.as_ref().filter(|_| is_in_none)
            && let Err(error) = self.belong(store, fleet)
        {
            tracing::error!("the state cannot be saved: {error}");
        }
        let vitals = self.vitals();
        let namesake = self.namesake(standing);
        for (beginning, text) in findings(&vitals, standing).into_iter().chain([namesake]) {
            let before = self.vitals.findings.len();
            self.vitals.findings.retain(|known| !known.starts_with(beginning));
            if let Some(text) = text {
                if before == self.vitals.findings.len() {
                    tracing::warn!("{text}");
                }
                self.vitals.set_finding(text, true);
            }
        }
    }

    /// Whether another process goes on leading under this host's name: one of before its start does not.
    fn namesake(&mut self, standing: &Standing) -> (&'static str, Option<String>) {
        let beat = standing.leader.as_ref().map(|(beat, _)| beat);
        let other = beat.filter(|beat| beat.host == self.name && beat.process != self.process);
        let before = self.namesake.take();
        self.namesake = other.map(|other| {
            let goes_on = before.is_some_and(|(before, went_on)| {
                before.process == other.process && (went_on || other.beat > before.beat)
            });
            (other.clone(), goes_on)
        });
        let goes_on = self.namesake.as_ref().is_some_and(|(_, goes_on)| *goes_on);
        let text = format!(
            "another collector is called {} as well, and leads: give one of the two another `name` in [fleet]",
            self.name
        );
        ("another collector is called", goes_on.then_some(text))
    }

    /// This host is in that fleet from now on.
    fn belong(&self, store: &mut Store, fleet: &str) -> Result<(), StoreError> {
        store.set_mark(member::FLEET, fleet)?;
        *self.fleet.borrow_mut() = Some(fleet.into());
        Ok(())
    }

    async fn take(&mut self, message: Message, store: &mut Store) {
        match message {
            Message::Reload => self.reread().await,
            Message::Configured { config, warnings } => self.configure(config, &warnings),
            Message::Misconfigured(text) => self.misconfigured(&text),
            Message::Snapshot(sender) => {
                let loaded = store.load(clock::now()).unwrap_or_default();
                let vitals = Vitals { fleet: Some(self.vitals()), ..self.vitals.clone() };
                // The requester may have gone away.
                let _ = sender.send(Snapshot { config: self.config.clone(), loaded, vitals });
            }
            Message::Ping(sender) => {
                let _ = sender.send(Vitals { fleet: Some(self.vitals()), ..self.vitals.clone() });
            }
            Message::Finding { text, holds } => self.vitals.set_finding(text, holds),
            Message::Hint(hint) => self.leave_hint(hint),
            Message::Command(command, sender) => {
                let reply = self.answer(&command, store).await;
                let _ = sender.send(reply);
            }
            // Of use to the one that leads, or nothing to do here.
            Message::Stop
            | Message::StepDown
            | Message::Child
            | Message::Credential(_)
            | Message::Published { .. }
            | Message::Mark(..) => {}
        }
    }

    async fn answer(&mut self, command: &Command, store: &mut Store) -> CommandReply {
        if let Command::Fleet(FleetCommand::AcceptRestore) = command {
            let (back, is_stranger) = {
                let standing = self.standing.borrow();
                (standing.went_back, standing.is_stranger)
            };
            let known: &[(&str, String)] = match back {
                // Nothing of the fleet before counts in this one.
                _ if is_stranger => &[
                    (member::FLEET, String::new()),
                    (member::HIGHEST, "0".into()),
                    (member::MIRRORED, "0".into()),
                ],
                Some(back) => &[(member::HIGHEST, back.found.to_string())],
                None => &[],
            };
            for (mark, value) in known {
                // Else the next start would know of it again.
                if let Err(error) = store.set_mark(mark, value) {
                    return CommandReply::new(false, error.to_string());
                }
                // Terms begin below those in which this host has led.
                self.last_term = 0;
            }
            return accept_restore(&self.standing, &self.requests).await;
        }
        CommandReply::new(false, not_here(&self.name, &self.vitals()))
    }

    /// Not waited for, and not without a limit: anybody may be able to send them.
    fn leave_hint(&self, hint: Hint) {
        let numbers = || hint.numbers.iter().chain(&hint.certificates);
        let is_known =
            self.config.orders.iter().any(|order| numbers().any(|number| number == order.handle.text()));
        if !is_known || self.hinting.get() >= HINTS {
            return;
        }
        let (shared, hinting) = (self.shared.clone(), self.hinting.clone());
        hinting.set(hinting.get() + 1);
        spawn_local(async move {
            hints::leave(&shared, &hint).await;
            hinting.set(hinting.get() - 1);
        });
    }

    fn vitals(&self) -> FleetVitals {
        vitals(&self.name, self.settings.lease, &self.standing.borrow(), &self.shared)
    }

    fn describe(&self) -> String {
        match &*self.vitals().leader.unwrap_or_default() {
            "" => format!("{} stands by, and knows of no leader", self.name),
            leader => format!("{} stands by; {leader} leads", self.name),
        }
    }

    /// Reads the configuration again, as it is now.
    async fn reread(&mut self) {
        match watched::reread(self.path.clone()).await {
            Ok(found) => self.configure(found.config, &found.warnings),
            Err(invalid) => self.misconfigured(&invalid.text),
        }
    }

    fn configure(&mut self, config: Arc<Config>, warnings: &str) {
        if !warnings.is_empty() {
            tracing::warn!("the configuration has warnings:\n{warnings}");
        }
        if self.config.state_dir != config.state_dir || self.config.fleet != config.fleet {
            tracing::warn!("state_dir or [fleet] changed; restart to apply it");
        }
        if self.config.gives_way_to(&config) {
            self.config = config;
            (self.vitals.misconfigured, self.vitals.configured_at) = (false, clock::now().unix());
            if let Some(lookout) = &self.lookout {
                let _ = lookout.send(());
            }
        } else {
            tracing::error!(
                "the new configuration has another state_dir or role in [fleet], or longer calls (request_timeout and \
                 settle); the previous one stays in force until a restart"
            );
        }
        telemetry::ready();
    }

    fn misconfigured(&mut self, text: &str) {
        self.vitals.misconfigured = true;
        tracing::error!("the new configuration is invalid; the previous one stays in force:\n{text}");
        telemetry::ready();
    }

    /// The engine that goes on where the leader before ended.
    async fn take_over(
        &mut self,
        term: &Term,
        store: &mut Store,
    ) -> Result<(Engine, Rc<Ledger>, Arc<[u8]>), String> {
        let skew = self.standing.borrow().skew.unwrap_or_default();
        let ledger = Rc::new(Ledger::new(self.shared.clone(), term, clock::now).with_skew(skew));
        let said = |error: StoreError| error.to_string();
        let known = self.fleet.borrow().clone();
        let id = ledger.identify(known.as_deref()).await.map_err(|why| why.to_string())?;
        if known.as_deref() != Some(&*id) {
            self.belong(store, &id).map_err(said)?;
        }
        let (mut loaded, salt) = ledger.load(store.salt()).await.map_err(|why: TakeOver| why.to_string())?;
        // Nobody has led since this host did, as far as the store shows.
        let news = if number(store, member::MIRRORED).map_err(said)?.saturating_add(1) >= term.number {
            let mirror = store.load(clock::now()).map_err(said)?;
            let stored = loaded.clone();
            loaded = rows::later(loaded, mirror);
            loaded.identity = stored.identity.clone();
            rows::news(&loaded, &stored)
        } else {
            rows::news(&loaded, &loaded)
        };
        ledger.save(&news).await.map_err(|why| match why {
            Unwritten::Deposed => "another collector leads by now".to_owned(),
            Unwritten::Trouble(trouble) => trouble.to_string(),
        })?;
        let all = Changes { offset: Some(clock::now().offset()), ..rows::all(&loaded) };
        store.save(&all).map_err(said)?;
        store.set_mark(member::MIRRORED, &term.number.to_string()).map_err(said)?;
        Ok((Engine::new(self.config.clone(), loaded, clock::now()), ledger, salt))
    }

    async fn lead(
        &self,
        term: Term,
        engine: Engine,
        ledger: Rc<Ledger>,
        salt: &[u8],
        store: Store,
        inbox: mpsc::Receiver<Message>,
    ) -> Outcome {
        let publisher = Rc::new(Publisher::new(self.shared.clone(), ledger.clone()));
        let mut daemon = Daemon::new(engine, store, inbox);
        daemon.reread = Some((self.path.clone(), self.sender.clone()));
        daemon.lookout = self.lookout.clone();
        let (desk, asked) = mpsc::channel(DESK);
        let (name, standing, shared) = (self.name.clone(), self.standing.clone(), self.shared.clone());
        let (lease, view) = (self.settings.lease, Rc::<RefCell<View>>::default());
        let seen = view.clone();
        let (configured, configs) = watch::channel(self.config.clone());
        let vitals = Box::new(move || FleetVitals {
            hosts: Some(seen.borrow().vitals()),
            ..vitals(&name, lease, &standing.borrow(), &shared)
        });
        let stepped = Rc::new(Cell::new(None));
        let (words, told) = mpsc::channel(DESK);
        let operators = Desk {
            inbox: self.sender.clone(),
            standing: self.standing.clone(),
            stepped: stepped.clone(),
            words,
        };
        let waves = self.settings.waves.clone();
        let rollouts =
            Rollouts::new(self.shared.clone(), ledger.clone(), publisher.clone(), waves, configs, view);
        let mut tasks = JoinSet::new();
        tasks.spawn_local(operators.attend(asked));
        let (forgetting, forgotten) = mpsc::unbounded_channel();
        daemon.onlooker = Some(Box::new(Forgetting(forgetting)));
        tasks.spawn_local(rollouts.run(told, forgotten));
        tasks.spawn_local(hints::collect(self.shared.clone(), ledger.clone(), self.sender.clone()));
        daemon.fleet = Some(daemon::Fleet { vitals, tasks, configured, desk });
        let tenure = Tenure { term, ledger, standing: self.standing.clone() };
        daemon.lead(tenure, publisher, self.leave.clone(), salt);
        let outcome = daemon.run(Goal::Stop).await;
        if outcome.ended != Ended::Deposed {
            // What was given up may still arrive for as long as this.
            let arrives = outcome.arrives_until;
            self.release(arrives).await;
        }
        if let Some(sender) = stepped.take() {
            let sender: oneshot::Sender<CommandReply> = sender;
            let reply = match outcome.ended {
                Ended::SteppedDown => {
                    let text = format!(
                        "{} has stepped down; another collector takes over within seconds",
                        self.name
                    );
                    CommandReply::new(true, text)
                }
                Ended::Stopped | Ended::Deposed => {
                    let text = format!(
                        "{} leads no more; another collector takes over after a lease at most",
                        self.name
                    );
                    CommandReply::new(false, text)
                }
            };
            let _ = sender.send(reply);
        }
        outcome
    }

    /// Has whoever comes next wait no longer than until `arrives`.
    async fn release(&self, arrives: Time) {
        sleep(arrives.since(clock::now().time)).await;
        let (done, released) = oneshot::channel();
        if self.requests.send(Request::Release(done)).await.is_ok() {
            let _ = released.await;
        }
    }
}

/// Answers operators while this host leads.
struct Desk {
    inbox: Inbox,
    standing: watch::Receiver<Standing>,
    /// Who waits for this host to have stepped down.
    stepped: Rc<Cell<Option<oneshot::Sender<CommandReply>>>>,
    words: mpsc::Sender<Told>,
}

impl Desk {
    async fn attend(self, mut asked: mpsc::Receiver<(FleetCommand, oneshot::Sender<CommandReply>)>) {
        while let Some((command, reply)) = asked.recv().await {
            let (order, what) = match command {
                FleetCommand::StepDown => {
                    self.stepped.set(Some(reply));
                    let _ = self.inbox.send(Message::StepDown).await;
                    continue;
                }
                FleetCommand::AcceptRestore => {
                    // The requester may have gone away.
                    let _ = reply.send(self.nothing_to_accept());
                    continue;
                }
                FleetCommand::Go(order) => (order, What::Word(Word::Go)),
                FleetCommand::Hold(order) => (order, What::Word(Word::Hold)),
                FleetCommand::Skip(order) => (order, What::Word(Word::Skip)),
                FleetCommand::Forget(order) => (order, What::Forget),
            };
            let _ = self.words.send(Told { order, what, reply }).await;
        }
    }

    /// Whoever still leads has not looked yet, or gives up within moments.
    fn nothing_to_accept(&self) -> CommandReply {
        let standing = self.standing.borrow();
        if standing.went_back.is_some() || standing.is_stranger {
            return CommandReply::new(
                false,
                "this host still leads, until its lease ends; say it again once it stands by",
            );
        }
        CommandReply::new(true, member::NOTHING_TO_ACCEPT)
    }
}

async fn accept_restore(
    standing: &watch::Receiver<Standing>,
    requests: &mpsc::Sender<Request>,
) -> CommandReply {
    let (back, is_stranger) = (standing.borrow().went_back, standing.borrow().is_stranger);
    let text = match back {
        _ if is_stranger => "goes on with the fleet that the store holds now".to_owned(),
        Some(back) => format!("goes on with the store as it is, at term {} after {}", back.found, back.seen),
        None => return CommandReply::new(true, member::NOTHING_TO_ACCEPT),
    };
    let _ = requests.send(Request::AcceptRestore).await;
    CommandReply::new(true, text)
}

fn not_here(name: &str, vitals: &FleetVitals) -> String {
    match &vitals.leader {
        Some(leader) => format!("{name} does not lead the fleet, {leader} does: run it there"),
        None => format!("{name} does not lead the fleet, and no collector does at present; nothing was done"),
    }
}

fn number(store: &Store, mark: &str) -> Result<u64, StoreError> {
    Ok(store.mark(mark)?.and_then(|text| text.parse().ok()).unwrap_or(0))
}

fn vitals(name: &str, lease: Duration, standing: &Standing, shared: &Shared) -> FleetVitals {
    let known = member::vitals("collector", name, standing.trouble.as_ref(), shared);
    let age = standing.leader.as_ref().map(|(_, since)| member::age(*since));
    FleetVitals {
        lease_seconds_left: age.map(|age| lease.as_secs().saturating_sub(age)),
        store: if standing.went_back.is_some() || standing.is_stranger {
            StoreHealth::Behind
        } else {
            known.store
        },
        leader: standing.leader.as_ref().map(|(beat, _)| beat.host.clone()),
        term: standing.leader.as_ref().map(|(beat, _)| beat.term),
        beat_age_seconds: age,
        skew_seconds: standing.skew.map(|skew| skew.as_secs()),
        ..known
    }
}

/// What an operator must know of how the fleet stands: how the sentence begins, and the sentence if it holds.
fn findings(vitals: &FleetVitals, standing: &Standing) -> [(&'static str, Option<String>); 4] {
    let trouble = vitals.trouble.as_ref().map(|why| format!("the fleet's store: {why}"));
    let back = standing.went_back.map(|back| {
        format!(
            "the fleet's store went back from term {} to {}: it was restored from a copy, or is another one; this host does \
             not lead until `certcollectd fleet accept-restore`",
            back.seen, back.found
        )
    });
    let other = standing.is_stranger.then(|| {
        format!(
            "{OTHER_FLEET}: it does nothing there. Set another `prefix` in [fleet], or go on with that fleet by `certcollectd \
             fleet accept-restore`"
        )
    });
    let skewed = standing.skew.filter(|skew| *skew > MOST_SKEW);
    let apart = skewed.map(|skew| {
        format!(
            "this host's clock is {} s from the leader's, and one of the two is wrong: this host does not stand for election \
             until both are right, or the leader has been gone for two leases",
            skew.as_secs()
        )
    });
    [
        ("the fleet's store:", trouble),
        ("the fleet's store went", back),
        ("the fleet's store holds", other),
        ("this host's clock is", apart),
    ]
}
