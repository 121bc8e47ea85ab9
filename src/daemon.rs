//! The loop that joins sources, engine and effects.
//!
//! One thread, one timer: whatever happens becomes an event, the engine answers with effects, and these are
//! carried out in order. A save is carried out at once; the effects behind a failed save go back to the engine
//! undone.

use std::collections::HashMap;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::{JoinSet, spawn_local};

use crate::effects::Effects;
use crate::effects::call::Leave;
use crate::effects::install::keys;
use crate::effects::shared::keeper::{Standing, Term};
use crate::effects::shared::ledger::{Ledger, Unwritten};
use crate::effects::shared::publish::Publisher;
use crate::effects::store::save::Store;
use crate::sources::alarm::Alarm;
use crate::sources::textfile::{self, Textfile};
use crate::sources::watch::{message, reread};
use crate::sources::{Message, Snapshot, clock};
use crate::telemetry;
use certcollectd_core::config::Config;
use certcollectd_core::engine::Engine;
use certcollectd_core::engine::changes::Changes;
use certcollectd_core::engine::command::{Command, CommandReply, FleetCommand};
use certcollectd_core::engine::event::{Effect, Event};
use certcollectd_core::engine::id::Token;
use certcollectd_core::engine::loaded::Loaded;
use certcollectd_core::engine::tally::Summary;
use certcollectd_core::engine::time::{Now, Time};
use certcollectd_core::engine::vitals::{FleetVitals, Vitals};

/// No sleep is longer: so often the state's files are looked at, and the wall clock, which somebody may set.
const SLICE: Duration = Duration::from_secs(60);
/// The clock's resolution. A shorter sleep would spin until the clock moves on.
const MILLISECOND: Duration = Duration::from_millis(1);
/// How long a stop waits for the answer to a call; its due time is durable anyway.
const LAST_CALL: Duration = Duration::from_secs(5);
/// A leader's save that takes longer counts as failed.
const SLOWEST_SAVE: Duration = Duration::from_secs(5);
/// How often the state's files are checked in addition to each save.
const STORE_LOOK: Duration = Duration::from_secs(1);
/// How often the state's files are checked while they are missing or replaced.
const LOST_LOOK: Duration = Duration::from_secs(5);

/// One reload that is running and one that waits for it; requests in between are covered by the waiting one.
const REREADINGS: usize = 2;

/// When the loop ends.
#[derive(Debug)]
pub enum Goal {
    Stop,
    /// When nothing that was due at the start is left; with a time, when everything is in order or the time is up.
    Settled(Option<Duration>),
    /// When this command was answered.
    Answered(Command),
}

#[derive(Debug)]
pub struct Outcome {
    /// Counts over all orders and accounts.
    pub summary: Summary,
    /// The answer to the command, if there was one.
    pub reply: Option<CommandReply>,
    /// The last save of the state failed.
    pub unsaved: bool,
    pub ended: Ended,
    /// Until when something of its calls may still reach the vendor.
    pub arrives_until: Time,
    /// For what goes on after it.
    pub store: Store,
    pub inbox: mpsc::Receiver<Message>,
}

/// Why the loop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The goal is reached, or somebody wants the process to end.
    Stopped,
    /// Another collector may lead by now, and what was under way is given up.
    Deposed,
    /// Another collector is to lead, and nothing is under way.
    SteppedDown,
}

/// What a collector has for as long as it leads.
#[derive(Debug)]
pub struct Tenure {
    pub term: Term,
    /// Where the state is saved first.
    pub ledger: Rc<Ledger>,
    pub standing: watch::Receiver<Standing>,
}

/// Everything the loop joins.
#[derive(Debug)]
pub struct Daemon {
    engine: Engine,
    store: Store,
    effects: Effects,
    inbox: mpsc::Receiver<Message>,
    /// Answers reloads by rereading this file; the result comes in through the inbox.
    pub reread: Option<(PathBuf, mpsc::Sender<Message>)>,
    /// One reload at a time; each running or waiting reload holds a reference.
    rereading: Rc<Semaphore>,
    replies: HashMap<Token, oneshot::Sender<CommandReply>>,
    next_token: u64,
    stopping_since: Option<Time>,
    told: Option<(Summary, usize)>,
    vitals: Vitals,
    /// Is told whenever another configuration is in force.
    pub lookout: Option<std::sync::mpsc::Sender<()>>,
    /// The metrics as a file.
    textfile: Textfile,
    watchdog: Option<Duration>,
    /// The state's files are missing or replaced.
    lost: bool,
    /// When that was last checked while there was nothing to save.
    looked: Option<Time>,
    pub onlooker: Option<Box<dyn Onlooker>>,
    /// How this host stands in its fleet.
    pub fleet: Option<Fleet>,
    /// Of the collector that leads.
    tenure: Option<Tenure>,
    /// Its term is over.
    deposed: bool,
    /// Another host is to lead, and this process goes on.
    steps_down: bool,
    /// The process is to end.
    stops: bool,
}

/// A host in its fleet.
pub struct Fleet {
    /// How it stands.
    pub vitals: Box<dyn Fn() -> FleetVitals>,
    /// What goes on beside the loop. A panic in it is the daemon's.
    pub tasks: JoinSet<()>,
    /// Is told each configuration that comes into force.
    pub configured: watch::Sender<Arc<Config>>,
    /// Takes what an operator wants of the fleet, and answers it.
    pub desk: mpsc::Sender<(FleetCommand, oneshot::Sender<CommandReply>)>,
}

impl std::fmt::Debug for Fleet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fleet").finish_non_exhaustive()
    }
}

/// Whoever is to know what becomes of it: somebody at a terminal, or the host's fleet.
pub trait Onlooker: std::fmt::Debug {
    /// These records hold from now on.
    fn saved(&mut self, changes: &Changes, now: Now);

    /// Looks; how long until it wants to look again.
    fn look(&mut self, _: Now) -> Duration {
        SLICE
    }
}

impl Daemon {
    pub fn new(engine: Engine, store: Store, inbox: mpsc::Receiver<Message>) -> Daemon {
        let effects = Effects::new(engine.config().clone(), store.salt(), || clock::now().time);
        Daemon {
            engine,
            store,
            effects,
            inbox,
            reread: None,
            rereading: Rc::new(Semaphore::new(1)),
            replies: HashMap::new(),
            next_token: 0,
            stopping_since: None,
            told: None,
            vitals: Vitals { configured_at: clock::now().unix(), ..Vitals::default() },
            lookout: None,
            textfile: Textfile::default(),
            watchdog: telemetry::watchdog(),
            lost: false,
            looked: None,
            onlooker: None,
            fleet: None,
            tenure: None,
            deposed: false,
            steps_down: false,
            stops: false,
        }
    }

    /// Asks the vendor nothing: what is installed comes from the fleet's collectors.
    pub fn follow(&mut self) {
        self.engine.call_only_until(Time::MIN);
    }

    /// All records.
    pub fn records(&self) -> Loaded {
        self.engine.records()
    }

    /// Leads: saves in the store first, publishes in place of installing, and calls while there is leave.
    pub fn lead(&mut self, tenure: Tenure, publisher: Rc<Publisher>, leave: Leave, salt: &[u8]) {
        self.effects = Effects::new(self.engine.config().clone(), salt, || clock::now().time);
        self.effects.collect_for(publisher, leave);
        self.engine.call_only_until(tenure.term.calls_until);
        self.tenure = Some(tenure);
    }

    /// Runs the loop until the goal is reached, as a task: each wake-up of what the runtime itself blocks on goes
    /// through the kernel.
    pub async fn run(self, goal: Goal) -> Outcome {
        let ended = spawn_local(self.go_round(goal)).await;
        ended.unwrap_or_else(|error| resume_unwind(error.into_panic()))
    }

    async fn go_round(mut self, goal: Goal) -> Outcome {
        let start = clock::now();
        let alarm = Alarm::unset();
        keys::tell_of_unreadable(self.engine.config().clone());
        let answers = spawn_local(self.store.answer());
        self.handle(if self.tenure.is_some() { Event::TookOver } else { Event::Started }).await;
        let (sender, mut answer) = oneshot::channel();
        if let Goal::Answered(command) = &goal {
            self.command(command.clone(), sender).await;
        }
        let mut reply = None;
        loop {
            let now = clock::now().time;
            if self.lost || self.looked.is_none_or(|looked| now.since(looked) >= STORE_LOOK) {
                self.look_at_store().await;
            }
            reply = reply.or_else(|| answer.try_recv().ok());
            if self.deposed || self.is_over(&goal, start, reply.is_some()).await {
                break;
            }
            self.write_textfile();
            if self.watchdog.is_some() {
                telemetry::alive();
            }
            let look = self.onlooker.as_mut().map_or(SLICE, |onlooker| onlooker.look(clock::now()));
            let nap = match &goal {
                Goal::Settled(Some(wait)) => {
                    self.nap().min((start.time + *wait).since(clock::now().time).max(MILLISECOND))
                }
                Goal::Stop | Goal::Settled(None) | Goal::Answered(_) => self.nap(),
            };
            tokio::select! {
                message = self.inbox.recv() => match message {
                    Some(message) => self.take(message).await,
                    None => std::future::pending().await,
                },
                event = self.effects.next() => self.handle(event).await,
                last = calls_until(&mut self.tenure) => match last {
                    Some(last) => self.handle(Event::CallsUntil { last }).await,
                    None => self.deposed = true,
                },
                news = self.textfile.next() => self.find(news),
                () = watch_over(&mut self.fleet) => {}
                () = alarm.within(nap.min(look)) => self.handle(Event::Woke).await,
            }
        }
        answers.abort();
        if self.has_textfile() {
            self.textfile.finish(self.snapshot()).await;
        }
        Outcome {
            summary: self.engine.summary(),
            reply,
            unsaved: self.engine.cannot_save(),
            ended: self.ended(),
            arrives_until: self.engine.arrives_until(),
            store: self.store,
            inbox: self.inbox,
        }
    }

    fn ended(&self) -> Ended {
        match (self.deposed, self.steps_down && !self.stops) {
            (true, _) if !self.stops => Ended::Deposed,
            (_, true) => Ended::SteppedDown,
            (_, false) => Ended::Stopped,
        }
    }

    /// Whether the loop may end. The first time that it may, the engine is told to stop; then the loop waits for
    /// what is under way.
    async fn is_over(&mut self, goal: &Goal, start: Now, replied: bool) -> bool {
        let now = clock::now();
        if self.stopping_since.is_none() {
            let reached = match goal {
                Goal::Stop => false,
                Goal::Settled(None) => !self.engine.is_occupied(start),
                Goal::Settled(Some(wait)) => {
                    let over = now.time.since(start.time) >= *wait;
                    let summary = self.engine.summary();
                    // What needs the operator does not improve by waiting; what is owed or pending may.
                    let hopeless = summary.hopeful == 0 && summary.owed_hooks == 0;
                    over || (hopeless && !self.engine.is_occupied(start))
                }
                Goal::Answered(_) => replied,
            };
            // A daemon waits for the disk; anything else has someone waiting for its end.
            let gives_up = !matches!(goal, Goal::Stop) && self.engine.gives_up_saving();
            if !reached && !gives_up {
                return false;
            }
            self.stop(now).await;
        }
        let patience_over = self.stopping_since.is_some_and(|since| now.time.since(since) >= LAST_CALL);
        // A leader's store may be away for long, and whoever leads next has what was saved.
        let gives_up = self.tenure.is_some() && self.engine.gives_up_saving() && !self.engine.is_busy();
        self.engine.is_idle() || gives_up || (patience_over && self.effects.only_calls())
    }

    async fn stop(&mut self, now: Now) {
        self.stops = true;
        telemetry::stopping();
        self.wind_up(now).await;
    }

    async fn wind_up(&mut self, now: Now) {
        if self.stopping_since.is_none() {
            self.stopping_since = Some(now.time);
            self.handle(Event::Stopping).await;
        }
    }

    /// How long the loop may sleep.
    fn nap(&self) -> Duration {
        let now = clock::now();
        let until = |wake: Time| wake.since(now.time);
        let wake = self.engine.next_wake().map_or(SLICE, until);
        let stop = self.stopping_since.map_or(SLICE, |since| until(since + LAST_CALL));
        let lost = if self.lost { LOST_LOOK } else { SLICE };
        let alive = self.watchdog.unwrap_or(SLICE);
        let textfile = if self.has_textfile() { self.textfile.wait(now.time) } else { SLICE };
        wake.min(textfile).min(stop).min(lost).min(alive).clamp(MILLISECOND, SLICE)
    }

    /// Notices that the state was removed, or is back, while there is nothing to save.
    async fn look_at_store(&mut self) {
        self.looked = Some(clock::now().time);
        match self.store.compare() {
            Err(error) => {
                self.lost = true;
                if !self.engine.cannot_save() {
                    let (changes, dropped) = (Box::default(), Vec::new());
                    self.handle(Event::SaveFailed { changes, dropped, error: error.to_string() }).await;
                }
            }
            Ok(()) => {
                if std::mem::take(&mut self.lost) {
                    self.handle(Event::StateBack).await;
                }
            }
        }
    }

    async fn take(&mut self, message: Message) {
        match message {
            Message::Stop => self.stop(clock::now()).await,
            Message::StepDown => {
                self.steps_down = true;
                self.wind_up(clock::now()).await;
            }
            Message::Child => self.effects.reap(),
            Message::Reload => self.reread(),
            Message::Configured { config, warnings } => self.reconfigure(config, &warnings).await,
            Message::Misconfigured(text) => {
                self.handle(Event::Misconfigured).await;
                tracing::error!("the new configuration is invalid; the previous one stays in force:\n{text}");
                telemetry::ready();
            }
            Message::Credential(account) => self.handle(Event::CredentialTouched { account }).await,
            Message::Hint(hint) => self.handle(Event::Hinted { hint }).await,
            Message::Published { order, generation, bundle } => {
                self.handle(Event::Published { order, generation, bundle }).await;
            }
            Message::Mark(name, value) => {
                if let Err(error) = self.store.set_mark(name, &value) {
                    tracing::warn!("the state file cannot keep {name}: {error}");
                }
            }
            Message::Snapshot(sender) => {
                self.look_at_store().await;
                // The requester may have gone away.
                let _ = sender.send(self.snapshot());
            }
            Message::Ping(sender) => {
                self.look_at_store().await;
                let _ = sender.send(self.vitals());
            }
            Message::Finding { text, holds } => self.find(vec![(text, holds)]),
            Message::Command(command, sender) => self.command(command, sender).await,
        }
    }

    /// Reloads the configuration, one reload at a time; if asked meanwhile, once more afterwards.
    fn reread(&self) {
        let Some((path, inbox)) = self.reread.clone() else { return };
        telemetry::reloading();
        if Rc::strong_count(&self.rereading) > REREADINGS {
            return;
        }
        let turn = self.rereading.clone();
        spawn_local(async move {
            let _turn = turn.acquire().await;
            let message = message(reread(path).await);
            let _ = inbox.send(message).await;
        });
    }

    async fn reconfigure(&mut self, config: Arc<Config>, warnings: &str) {
        if !warnings.is_empty() {
            tracing::warn!("the configuration has warnings:\n{warnings}");
        }
        let before = self.engine.config();
        for (key, same) in [
            ("state_dir", before.state_dir == config.state_dir),
            ("[http]", before.http == config.http),
            ("[push]", before.push == config.push),
            ("[log]", before.log == config.log),
            ("[fleet]", before.fleet == config.fleet),
        ] {
            if !same {
                tracing::warn!("{key} changed; restart to apply it");
            }
        }
        if before.gives_way_to(&config) {
            self.effects.reconfigure(config.clone());
            keys::tell_of_unreadable(config.clone());
            if let Some(fleet) = &self.fleet {
                fleet.configured.send_replace(config.clone());
            }
            self.handle(Event::Configured { config }).await;
            self.vitals.configured_at = clock::now().unix();
            self.textfile.renew();
            if let Some(lookout) = &self.lookout {
                let _ = lookout.send(());
            }
        } else {
            self.handle(Event::Misconfigured).await;
            tracing::error!(
                "the new configuration has another state_dir or role in [fleet], or, on a collector, longer calls \
                 (request_timeout and settle); the previous one stays in force until a restart"
            );
        }
        telemetry::ready();
    }

    async fn command(&mut self, command: Command, sender: oneshot::Sender<CommandReply>) {
        if let (Command::Fleet(wanted), Some(fleet)) = (&command, &self.fleet) {
            // Where it is not taken, the sender goes, and the requester sees that.
            return drop(fleet.desk.try_send((wanted.clone(), sender)));
        }
        self.next_token += 1;
        let token = Token(self.next_token);
        self.replies.insert(token, sender);
        self.handle(Event::Commanded { token, command }).await;
    }

    async fn handle(&mut self, event: Event) {
        let mut next = Some(event);
        while let Some(event) = next {
            let effects = self.engine.handle(event, clock::now());
            next = self.carry_out(effects).await;
        }
        self.tell_status();
    }

    fn has_textfile(&self) -> bool {
        self.engine.config().metrics.textfile.is_some()
    }

    /// The file needs no wake-ups of its own but one after a minute without any.
    fn write_textfile(&mut self) {
        let now = clock::now().time;
        let news = if self.has_textfile() { self.textfile.look(now) } else { self.textfile.end() };
        self.find(news);
        if self.has_textfile() && self.textfile.is_due(now) {
            self.textfile.begin(now, self.snapshot());
        }
    }

    fn find(&mut self, news: Vec<textfile::News>) {
        for (text, holds) in news {
            self.vitals.set_finding(text, holds);
            self.tell_status();
        }
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot {
            config: self.engine.config().clone(),
            loaded: self.engine.records(),
            vitals: self.vitals(),
        }
    }

    fn vitals(&self) -> Vitals {
        let (failed_saves, misconfigured) = (self.engine.failed_saves(), self.engine.is_misconfigured());
        let fleet = self.fleet.as_ref().map(|fleet| (fleet.vitals)());
        Vitals { failed_saves, misconfigured, fleet, ..self.vitals.clone() }
    }

    /// Tells the service manager when something changed.
    fn tell_status(&mut self) {
        let now = (self.engine.summary(), self.vitals.findings.len());
        if self.told != Some(now) {
            telemetry::status(&now.0, now.1);
            self.told = Some(now);
        }
    }

    /// The event of a save that failed, with what was not done for it.
    async fn carry_out(&mut self, effects: Vec<Effect>) -> Option<Event> {
        let unix = clock::now().unix();
        // Nothing is done without a state, even where nothing is saved first.
        let mut compared = false;
        let mut effects = effects.into_iter();
        while let Some(effect) = effects.next() {
            match effect {
                Effect::Save(changes) => {
                    if let Err(error) = self.save(&changes).await {
                        let dropped = effects.collect();
                        return Some(Event::SaveFailed { changes, dropped, error: error? });
                    }
                    if let Some(onlooker) = &mut self.onlooker {
                        onlooker.saved(&changes, clock::now());
                    }
                    compared = true;
                }
                Effect::Report(note) => telemetry::report(&note),
                Effect::Tell(_) => self.effects.start(effect, unix),
                Effect::Reply { token, reply } => {
                    if let Some(sender) = self.replies.remove(&token) {
                        // The requester may have gone away.
                        let _ = sender.send(reply);
                    }
                }
                effect => {
                    if !compared && let Err(error) = self.store.compare() {
                        let (changes, error) = (Box::default(), error.to_string());
                        let dropped = std::iter::once(effect).chain(effects).collect();
                        return Some(Event::SaveFailed { changes, dropped, error });
                    }
                    compared = true;
                    self.effects.start(effect, unix);
                }
            }
        }
        None
    }

    /// Durable, or why not; no reason where this host does not lead any more and nothing of it counts.
    async fn save(&mut self, changes: &Changes) -> Result<(), Option<String>> {
        if let Some(tenure) = &self.tenure {
            let begun = clock::now().time;
            let saved = tenure.ledger.save(changes).await;
            let took = clock::now().time.since(begun);
            if saved.is_ok() && took > SLOWEST_SAVE {
                // The end of a call that follows is on record as if it had begun before that.
                return Err(Some(format!("the fleet's store took {} s for it", took.as_secs())));
            }
            saved.map_err(|why| match why {
                Unwritten::Deposed => {
                    self.deposed = true;
                    None
                }
                Unwritten::Trouble(trouble) => Some(trouble.to_string()),
            })?;
        }
        self.store.save(changes).map_err(|error| Some(error.to_string()))
    }
}

/// Waits for ever, unless something beside the loop panics.
async fn watch_over(fleet: &mut Option<Fleet>) {
    if let Some(fleet) = fleet {
        while let Some(ended) = fleet.tasks.join_next().await {
            if let Err(error) = ended
                && error.is_panic()
            {
                resume_unwind(error.into_panic());
            }
        }
    }
    std::future::pending().await
}

/// The next change of the last moment for calls; nothing if the term is over.
async fn calls_until(tenure: &mut Option<Tenure>) -> Option<Time> {
    let Some(Tenure { term, standing, .. }) = tenure else { return std::future::pending().await };
    loop {
        standing.changed().await.ok()?;
        let now = standing.borrow_and_update().term.clone()?;
        if now.number != term.number || now.fence != term.fence {
            return None;
        }
        if now.calls_until != term.calls_until {
            term.calls_until = now.calls_until;
            return Some(now.calls_until);
        }
    }
}
