//! A world for the engine: clock, vendor, disk, hooks and state, all of them able to fail.
//!
//! Nothing here touches the machine. The state is kept as the rows that would be written to the file, and
//! read back at a restart, so that a restart loses what a real one loses.

/// What is configured, where a test says nothing else.
mod entries;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use certcollectd::effects::install::keys::sent_request;
use certcollectd_core::api::{Answer, Failure, Request, RetryAfter};
use certcollectd_core::cert::{self, Certificate};
use certcollectd_core::config::{Config, HookEvent, KeySource, Probe};
use certcollectd_core::engine::Engine;
use certcollectd_core::engine::account::record::CredentialTag;
use certcollectd_core::engine::command::{Command, CommandReply};
use certcollectd_core::engine::event::{Effect, Event};
use certcollectd_core::engine::hooks::run::{HookResult, HookRun, Proof};
use certcollectd_core::engine::id::{RunId, Token};
use certcollectd_core::engine::install::{
    Activate, Inspect, InspectPurpose, Inspection, InstallError, InstalledFile, Link, Stage, StagedFiles,
    Written,
};
use certcollectd_core::engine::loaded::{Loaded, Remembered};
use certcollectd_core::engine::note::{Level, Note};
use certcollectd_core::engine::order::contents;
use certcollectd_core::engine::probe::{Expected, Presented, ProbeAnswer, ProbeRun};
use certcollectd_core::engine::reissue::run::{NameSeen, RequestFound, RequestSource, Survey};
use certcollectd_core::engine::time::{Now, Time};
use certcollectd_core::state::{self, Origin};

pub use entries::{account, change, config, hook, order};

/// Where time begins: the first release.
pub const START: i64 = 1_795_165_920;
pub const HOUR: Duration = Duration::from_secs(3600);
pub const DAY: Duration = Duration::from_secs(24 * 3600);

/// What a call is about: the order's number, behind the endpoint's name if it is not a poll.
pub fn asked(request: &Request) -> String {
    let number = &request.fields[0].1;
    if request.endpoint.collects() { number.clone() } else { format!("{} {number}", request.endpoint) }
}

/// A vendor that says nothing until the time is over.
pub fn silence() -> Failure {
    Failure::Timeout("vendor.example:443 sent nothing".into())
}

/// What the vendor answers about an order.
#[derive(Debug, Clone)]
pub enum Say {
    Body(u16, Vec<u8>),
    /// With a `Retry-After`.
    Later(u16, RetryAfter, Vec<u8>),
    Fail(Failure),
}

impl Say {
    pub fn text(text: &str) -> Say {
        Say::Body(200, text.as_bytes().to_vec())
    }
}

/// What is on the world's disk for one order.
#[derive(Debug, Clone, Default)]
pub struct Disk {
    pub link: Option<String>,
    pub generations: BTreeMap<String, Generation>,
    /// Why nothing of it can be looked at.
    pub unreadable: Option<String>,
}

#[derive(Debug, Clone)]
pub struct Generation {
    pub files: BTreeMap<String, Vec<u8>>,
    pub certificates: Vec<Certificate>,
}

/// One call that went out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Called {
    pub at: Time,
    pub account: String,
    pub number: String,
}

/// One run of a hook that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    pub at: Time,
    pub hook: String,
    pub event: HookEvent,
    pub orders: Vec<String>,
    pub generations: Vec<String>,
    /// Summary and next command, a line for each order.
    pub told: Vec<(String, String)>,
    pub keys: Vec<String>,
    /// What is to be published or removed.
    pub proofs: Vec<Option<Proof>>,
    /// From the run to the moment until which its first message holds, seconds.
    pub holds: i64,
    pub rehearsal: bool,
}

/// Rows as they lie in the state file.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    pub orders: HashMap<String, (u64, String)>,
    pub accounts: HashMap<String, (u64, String)>,
    pub bundles: HashMap<String, Vec<u8>>,
    pub adopted: BTreeMap<String, String>,
    pub offsets: HashMap<String, i64>,
    pub history: Vec<Note>,
}

/// Work on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    Inspect,
    Stage,
    Activate,
}

pub struct World {
    pub engine: Engine,
    pub config: Arc<Config>,
    pub now: Now,
    pub boot: u64,
    pub rows: Rows,
    pub vendor: HashMap<String, Vec<Say>>,
    /// The last call as it went out.
    pub request: Option<Request>,
    pub disks: HashMap<String, Disk>,
    /// What a call says of the credential that it sent.
    pub sent_credential: Option<CredentialTag>,
    /// Polls, in their order.
    pub calls: Vec<Called>,
    /// Calls that are not polls, in their order.
    pub side_calls: Vec<Called>,
    pub ran: Vec<Ran>,
    pub notes: Vec<Note>,
    pub replies: Vec<(Token, CommandReply)>,
    /// Answers of hooks by name, the last one again and again; none means that it works.
    pub hook_results: HashMap<String, Vec<HookResult>>,
    /// Every run fails in which one of these orders takes part.
    pub spoilt: Vec<String>,
    /// No run of a hook comes to its end by itself.
    pub hooks_hang: bool,
    /// Those that have not.
    pub hanging: Vec<(RunId, HookResult)>,
    /// What addresses present, by probe; one that is not named presents what is in place.
    pub presents: HashMap<String, Vec<ProbeAnswer>>,
    /// Labels of the probes that were asked, in their order.
    pub probed: Vec<String>,
    /// Requests that an order's csr_file or csr_command brings.
    pub requests: HashMap<String, Result<Vec<u8>, String>>,
    /// What looks for a proof of control see, one after the other, the last again and again; none: all is seen.
    pub surveys: HashMap<String, Vec<Survey>>,
    /// Names of orders whose proof was looked for.
    pub surveyed: Vec<String>,
    pub credential: Option<CredentialTag>,
    pub saves: usize,
    /// So many of the next saves fail.
    pub failing_saves: usize,
    /// By how much the machine's clock is ahead of the vendor's, in seconds.
    pub clock_ahead: i64,
    /// So many of the next stagings, and of the next swaps, fail.
    pub failing_stages: usize,
    pub failing_swaps: usize,
    /// The name of an order, and what of its work on this machine ends in a panic.
    pub panicking: Option<(&'static str, Work)>,
    /// Keys that the inspection finds, by order.
    pub keys: HashMap<String, Vec<cert::KeyCandidate>>,
    /// Key files that it cannot read, by order.
    pub unread: HashMap<String, Vec<InstallError>>,
    /// Roots that it finds.
    pub anchors: Option<Arc<cert::Anchors>>,
    next_token: u64,
    started: bool,
}

impl World {
    pub fn new(config: Config) -> World {
        let config = Arc::new(config);
        let now = Now { time: Time(1_000_000), wall: START * 1000 };
        World {
            engine: Engine::new(config.clone(), Loaded::default(), now),
            config,
            now,
            boot: 1,
            rows: Rows::default(),
            vendor: HashMap::new(),
            request: None,
            disks: HashMap::new(),
            sent_credential: None,
            calls: Vec::new(),
            side_calls: Vec::new(),
            ran: Vec::new(),
            notes: Vec::new(),
            replies: Vec::new(),
            hook_results: HashMap::new(),
            spoilt: Vec::new(),
            hooks_hang: false,
            hanging: Vec::new(),
            presents: HashMap::new(),
            probed: Vec::new(),
            requests: HashMap::new(),
            surveys: HashMap::new(),
            surveyed: Vec::new(),
            credential: Some(CredentialTag(1)),
            saves: 0,
            failing_saves: 0,
            clock_ahead: 0,
            failing_stages: 0,
            failing_swaps: 0,
            panicking: None,
            keys: HashMap::new(),
            unread: HashMap::new(),
            anchors: None,
            next_token: 0,
            started: false,
        }
    }

    /// The engine starts with the first thing that happens, so that the vendor can be told what to say before.
    fn begin(&mut self) {
        if !std::mem::replace(&mut self.started, true) {
            self.handle(Event::Started);
        }
    }

    /// What the vendor says about an order, poll after poll; the last again and again.
    pub fn say(&mut self, order: &str, what: impl IntoIterator<Item = Say>) {
        self.vendor.insert(order.into(), what.into_iter().collect());
    }

    /// Tells the engine, and carries out what it asks for, at once and to the end.
    pub fn handle(&mut self, event: Event) {
        self.begin();
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            let effects = self.engine.handle(event, self.now);
            events.splice(0..0, self.carry_out(effects));
        }
    }

    fn carry_out(&mut self, effects: Vec<Effect>) -> Vec<Event> {
        let mut events = Vec::new();
        let mut effects = effects.into_iter();
        while let Some(effect) = effects.next() {
            if let Effect::Save(changes) = effect {
                if self.failing_saves > 0 {
                    self.failing_saves -= 1;
                    let dropped = effects.collect();
                    events.push(Event::SaveFailed { changes, dropped, error: "disk full".into() });
                    break;
                }
                self.save(&changes);
            } else {
                events.extend(self.one(effect));
            }
        }
        events.reverse();
        events
    }

    pub fn save(&mut self, changes: &certcollectd_core::engine::changes::Changes) {
        self.saves += 1;
        self.rows.offsets.extend(changes.offset.map(|offset| (self.boot.to_string(), offset)));
        for (name, record) in &changes.orders {
            self.rows.orders.insert(name.to_string(), (self.boot, state::write_order(record)));
        }
        for (name, record) in &changes.accounts {
            self.rows.accounts.insert(name.to_string(), (self.boot, state::write_account(record)));
        }
        for (name, bundle) in &changes.bundles {
            match bundle {
                Some(bundle) => self.rows.bundles.insert(name.to_string(), state::write_bundle(bundle)),
                None => self.rows.bundles.remove(&**name),
            };
        }
        for (name, adopted) in &changes.adopted {
            match adopted {
                Some(adopted) => self.rows.adopted.insert(name.to_string(), state::write_adopted(adopted)),
                None => self.rows.adopted.remove(&**name),
            };
        }
        for name in &changes.forgotten {
            self.rows.bundles.remove(&**name);
            self.rows.history.retain(|note| note.order.as_ref() != Some(name));
        }
        self.rows.history.extend(changes.history.iter().cloned());
    }

    /// Carries out one effect other than a save.
    pub fn one(&mut self, effect: Effect) -> Option<Event> {
        let work = match &effect {
            Effect::Inspect(inspect) => Some((Work::Inspect, inspect.order, &inspect.name)),
            Effect::Install(stage) => Some((Work::Stage, stage.order, &stage.name)),
            Effect::Activate(activate) => Some((Work::Activate, activate.order, &activate.name)),
            _ => None,
        };
        if let (Some((work, order, name)), Some(panicking)) = (work, self.panicking)
            && panicking == (&**name, work)
        {
            return Some(Event::Panicked { order });
        }
        if let (Effect::Install(stage), Some(panicking)) = (&effect, self.panicking)
            && panicking == (&*stage.name, Work::Activate)
        {
            let _ = self.stage(stage);
            return Some(Event::Panicked { order: stage.order });
        }
        match effect {
            Effect::Save(_) => None,
            Effect::Call(call) => {
                let number = asked(&call.request);
                let called =
                    Called { at: self.now.time, account: call.account.to_string(), number: number.clone() };
                let polls = call.request.endpoint.collects();
                self.request = Some(call.request.clone());
                if polls { &mut self.calls } else { &mut self.side_calls }.push(called);
                let outcome = self.ask(&number);
                Some(Event::Answered { account: call.account, outcome, credential: self.sent_credential })
            }
            Effect::TagCredential { account } => {
                Some(Event::CredentialTagged { account, tag: self.credential })
            }
            Effect::Inspect(inspect) => {
                let inspection = Box::new(self.inspect(&inspect));
                Some(Event::Inspected { order: inspect.order, inspection })
            }
            Effect::Install(stage) => {
                Some(Event::Installed { order: stage.order, result: self.install(&stage) })
            }
            Effect::Activate(activate) => {
                Some(Event::Activated { order: activate.order, result: self.activate(&activate) })
            }
            Effect::Sweep { order, .. } => Some(Event::Tidied { order, problem: None }),
            Effect::Quarantine(refused) => Some(Event::Tidied { order: refused.order, problem: None }),
            Effect::RunHook(run) | Effect::Tell(run) => {
                let result = self.run(&run);
                if self.hooks_hang {
                    self.hanging.push((run.run, result));
                    return None;
                }
                Some(Event::HookEnded { run: run.run, result })
            }
            Effect::Probe(run) => {
                let answers = run.probes.iter().map(|(probe, _)| self.present(probe, &run)).collect();
                Some(Event::Probed { run, answers })
            }
            Effect::ReadRequest(run) => {
                let request = match run.source {
                    RequestSource::Given(bytes) => Ok(bytes.into()),
                    RequestSource::File(_) | RequestSource::Command { .. } => {
                        self.requests.get(&*run.name).cloned().unwrap_or_else(|| Err("there is none".into()))
                    }
                };
                let keys = self.keys.get(&*run.name).cloned().unwrap_or_default();
                let found = Box::new(RequestFound { request, keys });
                Some(Event::RequestRead { order: run.order, found })
            }
            Effect::Survey(run) => {
                let name = run.name.to_string();
                self.surveyed.push(name.clone());
                let seen = |name: &str| NameSeen { name: name.into(), lacks: None, caa: None };
                let all = Survey { names: run.names.iter().map(|name| seen(name)).collect() };
                let survey = match self.surveys.get_mut(&name) {
                    None => all,
                    Some(list) if list.len() > 1 => list.remove(0),
                    Some(list) => list[0].clone(),
                };
                Some(Event::Surveyed { order: run.order, survey })
            }
            Effect::Report(note) => {
                self.notes.push(note);
                None
            }
            Effect::Reply { token, reply } => {
                self.replies.push((token, reply));
                None
            }
        }
    }

    fn present(&mut self, probe: &Probe, run: &ProbeRun) -> Vec<ProbeAnswer> {
        let label = probe.label();
        self.probed.push(label.clone());
        self.presents.get(&label).cloned().unwrap_or_else(|| {
            let Expected { leaf, not_before, chain } = run.expected.clone();
            let chain = chain.unwrap_or_default().into_vec();
            let presented = Presented { leaf, not_before, not_after: START + 86_400, chain };
            vec![ProbeAnswer { address: label.into(), outcome: Ok(presented) }]
        })
    }

    fn ask(&mut self, number: &str) -> Result<Answer, Failure> {
        let script = self.vendor.entry(number.to_owned()).or_insert_with(|| vec![Say::text("errorCode=0")]);
        let say = if script.len() > 1 { script.remove(0) } else { script[0].clone() };
        let date = Some(self.now.unix() - self.clock_ahead);
        match say {
            Say::Body(status, body) => {
                Ok(Answer { status, content_type: None, retry_after: None, date, body: Bytes::from(body) })
            }
            Say::Later(status, retry_after, body) => Ok(Answer {
                status,
                content_type: None,
                retry_after: Some(retry_after),
                date: None,
                body: Bytes::from(body),
            }),
            Say::Fail(failure) => Err(failure),
        }
    }

    pub fn inspect(&self, inspect: &Inspect) -> Inspection {
        let mut found = Inspection::default();
        if inspect.purpose.key().is_some() {
            found.keys = self.keys.get(&*inspect.name).cloned().unwrap_or_default();
            found.unread = self.unread.get(&*inspect.name).cloned().unwrap_or_default();
        }
        if let Some(KeySource::Request(text)) = inspect.purpose.key() {
            found.csr = Some(sent_request(text).map(|csr| csr.public_key().clone()));
        }
        found.anchors = self.anchors.clone().map(Ok);
        let Some(disk) = self.disks.get(&*inspect.name) else { return found };
        if let Some(why) = &disk.unreadable {
            found.link = Link::Generation(disk.link.clone().unwrap_or_default());
            found.unreadable.push(why.clone());
            return found;
        }
        let shown = disk.link.as_ref().and_then(|current| disk.generations.get(current));
        let kept = inspect.current.as_ref().and_then(|current| disk.generations.get(&**current));
        found.link = disk.link.clone().map_or(Link::Missing, Link::Generation);
        found.certificates = shown.or(kept).map(|kept| kept.certificates.clone()).unwrap_or_default();
        let none = BTreeMap::new();
        let files = shown.map_or(&none, |generation| &generation.files);
        found.files = files.iter().map(|(name, content)| (name.clone(), digest(content))).collect();
        let holds = |kept: &Generation, file: &InstalledFile| {
            kept.files.get(&file.name).is_some_and(|content| digest(content) == file.digest)
        };
        let whole =
            shown.is_none() && kept.is_some_and(|kept| inspect.expected.iter().all(|file| holds(kept, file)));
        found.unlinked = whole;
        for file in &inspect.expected {
            let kinds = contents::wanted(&inspect.files);
            let kind = kinds.iter().find(|(_, name, _)| *name == file.name).map(|(kind, ..)| *kind);
            match files.get(&file.name) {
                None if whole && disk.link.is_none() => {}
                None => found.missing.push(file.name.clone()),
                Some(content) if digest(content) == file.digest => {}
                Some(content) if kind.is_some_and(|kind| contents::is_ruined(kind, content)) => {
                    found.missing.push(file.name.clone());
                }
                Some(_) => found.altered.push(file.name.clone()),
            }
        }
        let Some(current) = &disk.link else { return found };
        if let InspectPurpose::RollBack { unserved, .. } = inspect.purpose {
            let mut older = disk.generations.range::<String, _>(..current).rev();
            let older = older.find(|(_, generation)| {
                generation.certificates.iter().all(|known| Some(known.fingerprint()) != unserved)
            });
            found.previous = older.map(|(name, generation)| {
                let files = generation.files.iter().map(|(name, content)| file(name, content)).collect();
                (name.clone(), generation.certificates.clone(), files)
            });
        }
        found
    }

    pub fn install(&mut self, stage: &Stage) -> Result<Written, InstallError> {
        let staged = self.stage(stage)?;
        let placed = self.activate(&Activate {
            order: stage.order,
            name: stage.name.clone(),
            generation: staged.generation.clone(),
            expected: staged.files.clone(),
            material: stage.material.clone(),
            files: stage.files.clone(),
            copies: stage.copies.clone(),
            relinks: false,
        });
        Ok(Written { staged, placed })
    }

    pub fn stage(&mut self, stage: &Stage) -> Result<StagedFiles, InstallError> {
        if self.failing_stages > 0 {
            self.failing_stages -= 1;
            return Err(trouble(false));
        }
        let mut files = BTreeMap::new();
        for (kind, name, _) in contents::wanted(&stage.files) {
            files.extend(
                contents::without_key(kind, &stage.material).map(|content| (name.to_owned(), content)),
            );
        }
        let listed = files.iter().map(|(name, content)| file(name, content)).collect();
        let mut certificates = vec![stage.material.leaf.clone()];
        certificates.extend(stage.material.chain.iter().cloned());
        let disk = self.disks.entry(stage.name.to_string()).or_default();
        let mut name = stage.generation.clone();
        while disk.generations.contains_key(&name) {
            name.push_str("-1");
        }
        disk.generations.insert(name.clone(), Generation { files, certificates });
        Ok(StagedFiles { generation: name, files: listed })
    }

    pub fn activate(&mut self, activate: &Activate) -> Result<(), InstallError> {
        if self.failing_swaps > 0 {
            self.failing_swaps -= 1;
            return Err(trouble(false));
        }
        let disk = self.disks.entry(activate.name.to_string()).or_default();
        let complete = disk.generations.get(&activate.generation).is_some_and(|generation| {
            activate.expected.iter().all(|wanted| {
                generation.files.get(&wanted.name).is_some_and(|found| digest(found) == wanted.digest)
            })
        });
        if !complete {
            return Err(trouble(true));
        }
        // Copies are made of the material, perhaps by another process than the one that staged the generation.
        for (kind, name, _) in contents::wanted(&activate.files) {
            let copied = contents::without_key(kind, &activate.material).map(|content| digest(&content));
            let listed = activate.expected.iter().find(|file| file.name == name);
            if let (Some(copied), Some(listed)) = (copied, listed) {
                assert_eq!(copied, listed.digest, "{name} and copies of it");
            }
        }
        disk.link = Some(activate.generation.clone());
        Ok(())
    }

    pub fn run(&mut self, run: &HookRun) -> HookResult {
        self.ran.push(Ran {
            at: self.now.time,
            hook: run.hook.name.to_string(),
            event: run.event,
            orders: run.subjects.iter().map(|subject| subject.order.to_string()).collect(),
            generations: run.subjects.iter().map(|subject| subject.generation.clone()).collect(),
            told: run.subjects.iter().map(|told| (told.summary.clone(), told.next.clone())).collect(),
            keys: run.subjects.iter().map(|told| told.key.clone()).collect(),
            proofs: run.subjects.iter().map(|told| told.proof.as_deref().cloned()).collect(),
            holds: run.subjects[0].until.map_or(0, |until| until - run.at),
            rehearsal: run.rehearsal,
        });
        if run.subjects.iter().any(|subject| self.spoilt.iter().any(|name| **name == *subject.order)) {
            return HookResult::failed("exit code 1");
        }
        match self.hook_results.get_mut(&*run.hook.name) {
            None => HookResult::Done,
            Some(results) if results.len() > 1 => results.remove(0),
            Some(results) => results[0].clone(),
        }
    }

    /// Runs of hooks come to their ends, those that hang and those to come.
    pub fn end_hooks(&mut self) {
        self.hooks_hang = false;
        for (run, result) in std::mem::take(&mut self.hanging) {
            self.handle(Event::HookEnded { run, result });
        }
    }

    /// The operator's word; the reply comes into `replies`.
    pub fn command(&mut self, command: Command) -> Token {
        self.next_token += 1;
        let token = Token(self.next_token);
        self.handle(Event::Commanded { token, command });
        token
    }

    pub fn reply(&self, token: Token) -> &CommandReply {
        &self.replies.iter().find(|(known, _)| *known == token).expect("an answer").1
    }

    /// Lets time pass, waking the engine whenever it asks to be woken.
    pub fn pass(&mut self, duration: Duration) {
        self.begin();
        let end = self.now.time + duration;
        while let Some(wake) = self.engine.next_wake().filter(|wake| *wake <= end) {
            let before = self.now.time;
            self.jump_to(wake.max(self.now.time));
            self.handle(Event::Woke);
            let again = self.engine.next_wake();
            assert!(
                again.is_none_or(|again| again > before),
                "the engine asks to be woken at {wake:?} again and again: {again:?}"
            );
        }
        self.jump_to(end);
    }

    fn jump_to(&mut self, time: Time) {
        let step = time.0 - self.now.time.0;
        self.now = Now { time, wall: self.now.wall + step };
    }

    pub fn load(&self) -> Loaded {
        let origin = |boot: u64| Origin::of(&boot.to_string(), &self.boot.to_string(), &self.rows.offsets);
        let mut loaded = Loaded { identity: "state".into(), ..Loaded::default() };
        for (name, (boot, text)) in &self.rows.orders {
            let record = state::read_order(name, text, origin(*boot), self.now).unwrap();
            let bundle = self
                .rows
                .bundles
                .get(name)
                .filter(|_| record.bundled)
                .map(|bytes| state::read_bundle(name, bytes).unwrap());
            loaded.orders.insert(name.as_str().into(), Remembered { record, bundle });
        }
        for (name, (boot, text)) in &self.rows.accounts {
            loaded.accounts.insert(
                name.as_str().into(),
                state::read_account(name, text, origin(*boot), self.now).unwrap(),
            );
        }
        let adopted = self.rows.adopted.iter();
        loaded.adopted.extend(adopted.map(|(name, text)| state::read_adopted(name, text).unwrap()));
        loaded
    }

    /// The process ends, however, and a new one begins.
    pub fn restart(&mut self) {
        self.engine = Engine::new(self.config.clone(), self.load(), self.now);
        self.started = false;
        self.begin();
    }

    /// The machine starts anew: another boot, another line of time.
    pub fn reboot(&mut self, off: Duration) {
        self.boot += 1;
        let off = i64::try_from(off.as_millis()).unwrap();
        self.now = Now { time: Time(30_000), wall: self.now.wall + off };
        self.restart();
    }

    pub fn reload(&mut self, config: Config) {
        self.config = Arc::new(config);
        self.handle(Event::Configured { config: self.config.clone() });
    }

    pub fn phase(&self, order: &str) -> String {
        self.record(order)["phase"].as_str().unwrap().to_owned()
    }

    /// The row of an order as it was last written.
    pub fn record(&self, order: &str) -> serde_json::Value {
        serde_json::from_str(&self.rows.orders[order].1).unwrap()
    }

    pub fn account_row(&self, account: &str) -> serde_json::Value {
        serde_json::from_str(&self.rows.accounts[account].1).unwrap()
    }

    /// The leaf that readers see.
    pub fn seen(&self, order: &str) -> Option<String> {
        let disk = self.disks.get(order)?;
        let certificates = &disk.generations[disk.link.as_ref()?].certificates;
        Some(certificates[0].serial_hex())
    }

    pub fn errors(&self) -> Vec<&str> {
        self.notes.iter().filter(|note| note.level == Level::Error).map(|note| note.text.as_str()).collect()
    }

    pub fn kinds(&self) -> Vec<&'static str> {
        self.notes.iter().map(|note| note.kind.as_str()).collect()
    }
}

fn trouble(stale: bool) -> InstallError {
    InstallError {
        step: "create",
        path: "/install/x".into(),
        cause: "no space left on device".into(),
        advice: None,
        stale,
    }
}

fn file(name: &str, content: &[u8]) -> InstalledFile {
    InstalledFile { name: name.to_owned(), digest: digest(content), mode: 0o644 }
}

fn digest(content: &[u8]) -> cert::Fingerprint {
    cert::Fingerprint::of(content)
}
