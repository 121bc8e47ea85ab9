//! Carries out what was decided. Each effect ends in one event, save, report and reply excepted. Calls and hooks have a timeout; disk
//! work has none, since no system call on a file can be cancelled, and has threads of its own instead: a hung
//! mount stops the orders that are installed there, and with enough of them those on other mounts, but no
//! call.

pub mod access;
pub mod blocking;
pub mod call;
pub mod dns;
pub mod errno;
pub mod files;
pub mod hook;
pub mod install;
pub mod new_files;
pub mod ownership;
pub mod preflight;
pub mod probe;
pub mod proof;
pub mod request;
pub mod shared;
pub mod store;
pub mod survey;

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::{Id, JoinError, JoinSet};

use self::call::credential;
use self::hook::reap;
use self::install::roots::Roots;
use self::install::{activate, inspect, spare, sweep};
use self::shared::publish::Publisher;
use certcollectd_core::api::Failure;
use certcollectd_core::config::Config;
use certcollectd_core::engine::event::{Effect, Event};
use certcollectd_core::engine::hooks::run::HookResult;
use certcollectd_core::engine::id::{OrderId, RunId};
use certcollectd_core::engine::time::Time;

/// Maximum number of disk operations in parallel. What else may hang has threads of its own: name
/// lookups, credentials, the configuration, the start of hooks.
const DISK_AT_ONCE: usize = 8;

/// Reads the time since boot.
pub type Clock = fn() -> Time;

/// The effects under way.
#[derive(Debug)]
pub struct Effects {
    clock: Clock,
    config: Arc<Config>,
    salt: Arc<[u8]>,
    callers: call::Callers,
    permits: reap::Permits,
    disk: Arc<Semaphore>,
    roots: Arc<Roots>,
    probes: Arc<probe::Turns>,
    surveys: Arc<proof::Turns>,
    /// Where the orders of a collector go, in place of this machine.
    publisher: Option<Rc<Publisher>>,
    running: JoinSet<Event>,
    /// What to report of a task that panicked.
    kinds: HashMap<Id, Kind>,
}

#[derive(Debug, Clone)]
enum Kind {
    Call(Arc<str>),
    TagCredential(Arc<str>),
    /// To look at its files, to write them or to put them into place.
    Files(OrderId),
    Tidy(OrderId),
    Hook(RunId),
    Probe(OrderId),
    Request(OrderId),
    Survey(OrderId),
}

impl Effects {
    pub fn new(config: Arc<Config>, salt: &[u8], clock: Clock) -> Effects {
        Effects {
            clock,
            config,
            salt: salt.into(),
            callers: call::Callers::default(),
            permits: reap::Permits::default(),
            disk: Arc::new(Semaphore::new(DISK_AT_ONCE)),
            roots: Arc::default(),
            probes: Arc::default(),
            surveys: Arc::default(),
            publisher: None,
            running: JoinSet::new(),
            kinds: HashMap::new(),
        }
    }

    /// Publishes in place of installing, and calls while there is leave.
    pub fn collect_for(&mut self, publisher: Rc<Publisher>, leave: call::Leave) {
        self.publisher = Some(publisher);
        self.callers.leave = Some(leave);
    }

    /// Later effects see this configuration.
    pub fn reconfigure(&mut self, config: Arc<Config>) {
        self.callers.reconfigure(&self.config, &config);
        self.config = config;
    }

    /// Whether nothing is under way but calls, and looks at passwords, servers and proofs, which a stop need not wait for.
    pub fn only_calls(&self) -> bool {
        self.kinds.values().all(|kind| match kind {
            Kind::Call(_) | Kind::TagCredential(_) | Kind::Probe(_) | Kind::Survey(_) => true,
            Kind::Files(_) | Kind::Tidy(_) | Kind::Hook(_) | Kind::Request(_) => false,
        })
    }

    /// Collects the exit of processes that hooks left behind.
    pub fn reap(&self) {
        reap::reap();
    }

    /// Starts an effect. Saves, reports and replies are not for here: the loop carries them out in order.
    pub fn start(&mut self, effect: Effect, unix: i64) {
        match effect {
            Effect::Call(call) => self.call(call),
            Effect::TagCredential { account } => {
                let (config, salt) = (self.config.clone(), self.salt.clone());
                let permit = self.callers.permit(&account);
                self.spawn(Kind::TagCredential(account.clone()), async move {
                    let known = config.account(&account).cloned();
                    // There is no second look, so this outlasts a hung mount.
                    let tag = blocking::run(&permit, move || credential::tag(&*known?, &salt)).await;
                    Event::CredentialTagged { account, tag }
                });
            }
            Effect::Inspect(inspect) => {
                let roots = self.roots.clone();
                if let Some(publisher) = self.publisher.clone() {
                    let (config, disk) = (self.config.clone(), self.disk.clone());
                    return self.spawn(Kind::Files(inspect.order), async move {
                        let wanted = inspect.clone();
                        let found = blocking::run(&disk, move || inspect::sources(&wanted, &roots, unix));
                        let mut inspection = Box::new(found.await);
                        publisher.look(&config, &inspect, &mut inspection).await;
                        Event::Inspected { order: inspect.order, inspection }
                    });
                }
                self.on_disk(Kind::Files(inspect.order), move |config| {
                    let mut inspection =
                        Box::new(inspect::inspect(&config.install_dir, &inspect, &roots, unix));
                    spare::tend(&config.state_dir, &inspect, &mut inspection);
                    Event::Inspected { order: inspect.order, inspection }
                });
            }
            Effect::Install(stage) => match self.publisher.clone() {
                Some(publisher) => {
                    let config = self.config.clone();
                    self.spawn(Kind::Files(stage.order), async move {
                        let result = publisher.install(&config, &stage).await;
                        Event::Installed { order: stage.order, result }
                    });
                }
                None => self.on_disk(Kind::Files(stage.order), move |config| {
                    let result = activate::install(&config.install_dir, &stage);
                    if result.as_ref().is_ok_and(|written| written.placed.is_ok()) {
                        spare::keep(&config.state_dir, &stage.name, &stage.material);
                    }
                    Event::Installed { order: stage.order, result }
                }),
            },
            Effect::Activate(activate) => match self.publisher.clone() {
                Some(publisher) => {
                    let config = self.config.clone();
                    self.spawn(Kind::Files(activate.order), async move {
                        let result = publisher.activate(&config, &activate).await;
                        Event::Activated { order: activate.order, result }
                    });
                }
                None => self.on_disk(Kind::Files(activate.order), move |config| {
                    let result = activate::activate(&config.install_dir, &activate);
                    if result.is_ok() {
                        spare::keep(&config.state_dir, &activate.name, &activate.material);
                    }
                    Event::Activated { order: activate.order, result }
                }),
            },
            // What was published is overwritten, so there is nothing older to sweep.
            Effect::Sweep { order, .. } if self.publisher.is_some() => {
                self.spawn(Kind::Tidy(order), async move { Event::Tidied { order, problem: None } });
            }
            Effect::Sweep { order, name, current } => self.on_disk(Kind::Tidy(order), move |config| {
                let result = sweep::sweep(&config.install_dir, &name, &current, unix);
                Event::Tidied { order, problem: result.err().map(|error| error.to_string()) }
            }),
            Effect::Quarantine(refused) => self.on_disk(Kind::Tidy(refused.order), move |config| {
                let result = sweep::quarantine(&config.state_dir, &refused);
                Event::Tidied { order: refused.order, problem: result.err().map(|error| error.to_string()) }
            }),
            Effect::RunHook(run) | Effect::Tell(run) => {
                let permits = self.permits.clone();
                self.spawn(Kind::Hook(run.run), async move {
                    Event::HookEnded { run: run.run, result: hook::run(&run, permits).await }
                });
            }
            Effect::Probe(run) => {
                let turns = self.probes.clone();
                self.spawn(Kind::Probe(run.order), async move {
                    let answers = probe::run(&run, &turns).await;
                    Event::Probed { run, answers }
                });
            }
            Effect::ReadRequest(run) => {
                let (permits, disk) = (self.permits.clone(), self.disk.clone());
                self.spawn(Kind::Request(run.order), async move {
                    let found = Box::new(request::read(&run, &permits, &disk).await);
                    Event::RequestRead { order: run.order, found }
                });
            }
            Effect::Survey(run) => {
                let (config, turns) = (self.config.clone(), self.surveys.clone());
                self.spawn(Kind::Survey(run.order), async move {
                    let survey = proof::survey(&run, &config.dns.resolver, &turns).await;
                    Event::Surveyed { order: run.order, survey }
                });
            }
            Effect::Save(_) | Effect::Report(_) | Effect::Reply { .. } => {}
        }
    }

    fn call(&mut self, call: certcollectd_core::engine::account::call::Call) {
        let account = call.account;
        let known = self.config.account(&account).cloned();
        let prepared = known.map(|known| self.callers.prepare(&known, &self.config.calls, self.clock));
        let salt = self.salt.clone();
        self.spawn(Kind::Call(account.clone()), async move {
            let (outcome, credential) = match prepared {
                // Large, and a task is moved several times before its first step.
                Some(prepared) => Box::pin(prepared.send(&call.request, salt)).await,
                None => (Err(Failure::Setup("the account is no longer configured".into())), None),
            };
            Event::Answered { account, outcome, credential }
        });
    }

    /// Work on files that orders name, when its turn has come.
    fn on_disk(&mut self, kind: Kind, work: impl FnOnce(&Config) -> Event + Send + 'static) {
        let (disk, config) = (self.disk.clone(), self.config.clone());
        self.spawn(kind, async move { blocking::run(&disk, move || work(&config)).await });
    }

    fn spawn(&mut self, kind: Kind, work: impl Future<Output = Event> + 'static) {
        let task = self.running.spawn_local(work);
        self.kinds.insert(task.id(), kind);
    }

    /// The next event of an effect that ended; waits forever when none is under way.
    pub async fn next(&mut self) -> Event {
        match self.running.join_next_with_id().await {
            None => std::future::pending().await,
            Some(Ok((id, event))) => {
                self.kinds.remove(&id);
                if let Event::Answered { account, outcome: Err(_), .. } = &event {
                    self.callers.forget(account);
                }
                event
            }
            Some(Err(error)) => self.panicked(&error),
        }
    }

    /// A panic in one effect is that order's trouble.
    fn panicked(&mut self, error: &JoinError) -> Event {
        let why = "internal error, please report it".to_owned();
        match self.kinds.remove(&error.id()).expect("every task has a kind") {
            Kind::Call(account) => {
                self.callers.forget(&account);
                let outcome = Err(Failure::Internal("the call ended early".into()));
                Event::Answered { account, outcome, credential: None }
            }
            Kind::TagCredential(account) => Event::CredentialTagged { account, tag: None },
            Kind::Files(order) | Kind::Probe(order) | Kind::Request(order) | Kind::Survey(order) => {
                Event::Panicked { order }
            }
            Kind::Tidy(order) => Event::Tidied { order, problem: Some(why) },
            Kind::Hook(run) => Event::HookEnded { run, result: HookResult::failed(why) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::file::{Source, read};

    fn effects() -> Effects {
        let text =
            "[[account]]\nname = \"main\"\nlogin_name = \"x\"\npassword = { env = \"X\" }\n".to_owned();
        let (config, _) = read(&[Source { path: "/c.toml".into(), text }]).expect("it is sound");
        Effects::new(Arc::new(config), b"salt", || Time(0))
    }

    /// Runs on as many threads as there is work on the disk at once, and one more.
    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_time().max_blocking_threads(DISK_AT_ONCE + 1).build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, future)
    }

    /// What an effect of this kind tells when it panics.
    fn grief(kind: Kind) -> Event {
        block_on(async {
            let mut effects = effects();
            match kind {
                Kind::Files(_) | Kind::Tidy(_) => effects.on_disk(kind, |_| panic!("made for the test")),
                _ => effects.spawn(kind, async { panic!("made for the test") }),
            }
            let event = effects.next().await;
            assert!(effects.kinds.is_empty(), "nothing is left of it");
            event
        })
    }

    #[test]
    fn a_disk_that_hangs_does_not_stop_what_needs_no_disk() {
        block_on(async {
            let mut effects = effects();
            let (release, hang) = std::sync::mpsc::channel::<()>();
            let hang = Arc::new(std::sync::Mutex::new(hang));
            let orders = u32::try_from(2 * DISK_AT_ONCE).unwrap();
            for order in (0..orders).map(OrderId) {
                let hang = hang.clone();
                effects.on_disk(Kind::Tidy(order), move |_| {
                    let _ = hang.lock().map(|hang| hang.recv());
                    Event::Tidied { order, problem: None }
                });
            }
            // Everything that may begin has begun.
            while effects.disk.available_permits() > 0 {
                tokio::task::yield_now().await;
            }
            effects.start(Effect::TagCredential { account: "main".into() }, 0);
            let first = effects.next().await;
            assert!(matches!(first, Event::CredentialTagged { .. }), "{first:?}");
            drop(release);
            for _ in 0..orders {
                assert!(matches!(effects.next().await, Event::Tidied { problem: None, .. }));
            }
        });
    }

    #[test]
    fn a_panic_ends_one_effect_and_says_whose_it_was() {
        let order = OrderId(7);
        assert!(matches!(grief(Kind::Files(order)), Event::Panicked { order: OrderId(7) }));
        let tidied = grief(Kind::Tidy(order));
        assert!(matches!(tidied, Event::Tidied { order: OrderId(7), problem: Some(_) }), "{tidied:?}");
        let called = grief(Kind::Call("main".into()));
        assert!(matches!(called, Event::Answered { outcome: Err(Failure::Internal(_)), .. }), "{called:?}");
        let hook = grief(Kind::Hook(RunId(3)));
        let failed = matches!(hook, Event::HookEnded { run: RunId(3), result: HookResult::Failed { .. } });
        assert!(failed, "{hook:?}");
        let tag = grief(Kind::TagCredential("main".into()));
        assert!(matches!(tag, Event::CredentialTagged { tag: None, .. }), "{tag:?}");
    }
}
