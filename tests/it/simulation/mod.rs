//! The engine in a world made from a seed: the promises as invariants.
//!
//! The vendor, the disk, the hooks and the state fail; the process is killed at any effect; the machine
//! restarts; the clock is set by hours or years; the operator does what operators do. After each step the
//! promises are looked at, and after a quiet time at the end everything must have come to its right end.
//!
//! `SIMULATION_SEEDS` and `SIMULATION_DAYS` lengthen it, and `SIMULATION_FIRST` begins with that seed, so that a
//! long run can be made in parts. `SIMULATION_SEED` runs one seed. A failure prints its seed and its last thirty
//! events.

/// What goes wrong, and what operators do.
mod chaos;
/// Re-issues that operators ask for.
mod reissues;
/// The vendor's side.
mod vendor;
/// Installations at their time.
mod windows;
/// Calls that nobody hears of any more.
mod wire;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::OnceLock;
use std::time::Duration;

use certcollectd_core::api::Failure;
use certcollectd_core::config::{Config, OnProbeFailure, Probe, Target};
use certcollectd_core::engine::account::call::Call;
use certcollectd_core::engine::account::record::CredentialTag;
use certcollectd_core::engine::changes::Changes;
use certcollectd_core::engine::command::Command;
use certcollectd_core::engine::event::{Effect, Event};
use certcollectd_core::engine::hooks::run::HookResult;
use certcollectd_core::engine::order::phase::Phase;
use certcollectd_core::engine::time::Time;
use rcgen::{CertificateParams, KeyPair};

use wire::{Distant, Sent, Unheard, Way};

use crate::certs;
use crate::world::{self, DAY, HOUR, START, Say, World};

/// Numbers from a seed (SplitMix64).
pub struct Dice(pub u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let a = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let b = (a ^ (a >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        b ^ (b >> 31)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// True once in so many throws.
    pub fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    fn pick<'a, T>(&mut self, among: &'a [T]) -> &'a T {
        &among[usize::try_from(self.below(among.len() as u64)).unwrap()]
    }
}

const ORDERS: [&str; 3] = ["www", "mail", "shop"];
const LIFE_DAYS: i64 = 47;
/// Least time between the end of a call and the start of the next.
const CALL_GAP: Duration = Duration::from_secs(10);
/// A certificate for each of so many days from the start on.
const STOCK: usize = 420;

/// What the vendor has for an order.
struct Stock {
    /// DER certificates, one for each day.
    leaves: Vec<Vec<u8>>,
    /// The request for their key, DER.
    request: Vec<u8>,
}

/// By order, made once for all seeds.
fn stock() -> &'static HashMap<&'static str, Stock> {
    static STOCKED: OnceLock<HashMap<&'static str, Stock>> = OnceLock::new();
    STOCKED.get_or_init(|| {
        let make = |name: &'static str| {
            let key = KeyPair::generate().unwrap();
            let domain = format!("{name}.example.com");
            let leaf = |day: i64| {
                certs::leaf(&key, &[&domain], START + day * 86_400, START + (day + LIFE_DAYS) * 86_400)
            };
            let leaves = (0..i64::try_from(STOCK).unwrap()).map(|day| leaf(day - 1)).collect();
            let params = CertificateParams::new(vec![domain.clone()]).unwrap();
            let request = params.serialize_request(&key).unwrap().der().to_vec();
            (name, Stock { leaves, request })
        };
        ORDERS.into_iter().map(make).collect()
    })
}

/// How a call for domain details is named.
const DETAILS: &str = "GetMDCDomainDetails ";

/// The vendor's side of one order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Pending,
    Issued(usize),
    Rejected,
    Wrong,
}

struct Sim {
    world: World,
    dice: Dice,
    seed: u64,
    orders: HashMap<&'static str, At>,
    /// Effects that were begun, with the time at which they end.
    pending: Vec<(Time, Begun)>,
    /// Whether the vendor accepts the login, and with which credential.
    right_credential: u16,
    login_broken: bool,
    /// A refusal was told and remembered: until somebody acts, nobody may call.
    refused: bool,
    /// The vendor took the login of the last call that was answered.
    accepted: bool,
    /// Of what somebody's word allows one call before its time.
    allowed: HashSet<String>,
    /// Until then the vendor is slower than anybody waits.
    deaf_until: Time,
    /// Calls that were written.
    sent: u64,
    /// The last of them, as far as no answer was heard since.
    unheard: Vec<Unheard>,
    /// What happens at the vendor without us, and when.
    distant: Vec<(Time, Distant)>,
    last_arrival: HashMap<String, Time>,
    /// End of the last call that the vendor saw.
    last_end: Option<Time>,
    /// The vendor's call limit was told and remembered: no call before this.
    limited_until: Time,
    /// By how much the wall clock is wrong, in milliseconds.
    skew: i64,
    in_flight: u32,
    calls: u64,
    late: u64,
    /// Logins that the vendor refused, heard or not.
    refused_logins: u64,
    words: u64,
    /// What was put into place while a window was open, and in spite of that.
    opened: u64,
    forced: u64,
    kills: u64,
    swaps: HashMap<&'static str, Vec<String>>,
    ran_well: HashMap<String, u32>,
    quiet: bool,
    trace: VecDeque<String>,
    token: u64,
    /// Looks before their time that a word for a re-issue allows, by number.
    looks: HashMap<String, u32>,
    /// Words for a re-issue, and calls for one.
    reissue_words: u64,
    reissues: u64,
    /// Re-issues that the vendor made.
    reissued: u64,
    /// Unique values that went out.
    tokens: HashSet<String>,
}

enum Begun {
    Call { call: Call, answer: Say, sent: Sent, way: Way, accepted: bool },
    Other(Effect),
}

impl Begun {
    /// Since when the vendor is at work on it.
    fn at_vendor_since(&self) -> Option<Time> {
        match self {
            Begun::Call { sent, way: Way::Direct, .. } => Some(sent.began),
            Begun::Call { way: Way::None | Way::Unknown, .. } | Begun::Other(_) => None,
        }
    }
}

/// The settings are the world's own.
fn config(seed: u64) -> Config {
    let mut config = world::config(&ORDERS);
    config.calls.settle = Duration::from_secs([20, 5, 45][usize::try_from(seed / 2 % 3).unwrap()]);
    config.calls.request_timeout = Duration::from_secs([60, 30][usize::try_from(seed / 6 % 2).unwrap()]);
    config.hooks.push(world::hook("reload"));
    config.hooks.push(world::hook("copy"));
    for order in &mut config.orders {
        order.domains = Box::new([format!("{}.example.com", order.name).into()]);
        let probes = probes(&order.name);
        world::change(order, |settings| {
            settings.hooks.extend(["reload".into(), "copy".into()]);
            settings.probes = probes;
            if seed % 2 == 1 {
                // A spread hides how near to its floor an order is asked about.
                settings.cadence.spread_permille = 0;
            }
        });
    }
    windows::add(&mut config, seed);
    config
}

/// One order is rolled back where it is not served, one is only told of, and one is not asked about.
fn probes(order: &str) -> Box<[Probe]> {
    let on_failure = match order {
        "www" => OnProbeFailure::Rollback,
        "mail" => OnProbeFailure::Warn,
        _ => return Box::default(),
    };
    Box::new([Probe {
        connect: Target::Host("10.0.0.7".into(), 443),
        server_name: None,
        starttls: None,
        within: Probe::WITHIN,
        every: 6 * HOUR,
        on_failure,
    }])
}

impl Sim {
    fn new(seed: u64) -> Sim {
        let mut sim = Sim {
            world: World::new(config(seed)),
            dice: Dice(seed),
            seed,
            orders: ORDERS.iter().map(|name| (*name, At::Pending)).collect(),
            pending: Vec::new(),
            right_credential: 1,
            login_broken: false,
            accepted: false,
            refused: false,
            allowed: HashSet::new(),
            deaf_until: Time::MIN,
            sent: 0,
            unheard: Vec::new(),
            distant: Vec::new(),
            last_arrival: HashMap::new(),
            last_end: None,
            limited_until: Time::MIN,
            skew: 0,
            in_flight: 0,
            calls: 0,
            late: 0,
            refused_logins: 0,
            words: 0,
            opened: 0,
            forced: 0,
            kills: 0,
            swaps: HashMap::new(),
            ran_well: HashMap::new(),
            quiet: false,
            trace: VecDeque::new(),
            token: 0,
            looks: HashMap::new(),
            reissue_words: 0,
            reissues: 0,
            reissued: 0,
            tokens: HashSet::new(),
        };
        sim.tell(Event::Started);
        sim
    }

    fn note(&mut self, text: String) {
        if self.trace.len() == 30 {
            self.trace.pop_front();
        }
        let seconds = self.world.now.time.0 / 1000;
        self.trace.push_back(format!("{:>4} d {:>5} s  {text}", seconds / 86_400, seconds % 86_400));
    }

    fn fail(&self, what: &str) -> ! {
        let trace: Vec<&str> = self.trace.iter().map(String::as_str).collect();
        panic!("SIMULATION_SEED={}: {what}\n{}", self.seed, trace.join("\n"));
    }

    fn ensure(&self, holds: bool, what: &str) {
        if !holds {
            self.fail(what);
        }
    }

    /// Tells the engine and begins what it asks for. Between any two effects the process can be killed.
    fn tell(&mut self, event: Event) {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            let mut effects = self.world.engine.handle(event, self.world.now).into_iter();
            while let Some(effect) = effects.next() {
                if !self.quiet && self.dice.one_in(400) {
                    return self.kill("between two effects");
                }
                if let Effect::Call(call) = &effect
                    && !self.quiet
                    && self.dice.one_in(50)
                {
                    let number = world::asked(&call.request);
                    self.count_reissue(&call.request);
                    self.die_calling(&number);
                    return self.kill(&format!("with a call for {number} on its way"));
                }
                match effect {
                    Effect::Save(changes) => {
                        if self.world.failing_saves > 0 && !self.quiet {
                            self.world.failing_saves -= 1;
                            let dropped = effects.collect();
                            self.note("a save fails".into());
                            events.push(Event::SaveFailed { changes, dropped, error: "disk full".into() });
                            break;
                        }
                        self.world.save(&changes);
                        self.settled(&changes);
                        let account = self.account();
                        if let Some((_, record)) = changes.accounts.iter().find(|(name, _)| *name == account)
                        {
                            let closed = record.closed.is_some();
                            self.ensure(closed || !self.refused || self.accepted, "a refusal is forgotten");
                            self.refused = closed;
                        }
                    }
                    effect => self.begin(effect),
                }
            }
        }
    }

    /// An order that is on record as guarded has had each of its hooks run for what is installed.
    fn settled(&self, changes: &Changes) {
        for (name, record) in &changes.orders {
            // Nobody accepts anything here.
            let back = record.installed.as_ref().map(|installed| installed.fingerprint);
            let returns = record.rolled_back_from.is_some() && record.rolled_back_from == back;
            self.ensure(!returns, &format!("{name}: what was rolled back has returned"));
        }
        for (name, record) in changes.orders.iter().filter(|(_, record)| record.phase == Phase::Guarding) {
            let Some(installed) = &record.installed else { self.fail(&format!("{name} guards nothing")) };
            for hook in ["reload", "copy"] {
                let ran = self.ran_well.contains_key(&format!("{hook} {name} {}", installed.name));
                self.ensure(
                    ran,
                    &format!("{name} is guarded, but {hook} was not run for {}", installed.name),
                );
            }
        }
    }

    fn begin(&mut self, effect: Effect) {
        self.look_at_window(&effect);
        let latency = match &effect {
            Effect::Call(_) => Duration::from_millis(50 + self.dice.below(20_000)),
            Effect::RunHook(_) | Effect::Tell(_) => Duration::from_millis(self.dice.below(60_000)),
            Effect::Probe(_) => Duration::from_millis(self.dice.below(30_000)),
            _ => Duration::from_millis(self.dice.below(50)),
        };
        let end = self.world.now.time + latency;
        match effect {
            Effect::Call(call) => {
                self.count_reissue(&call.request);
                let sent = self.send(&world::asked(&call.request));
                let (answer, accepted) = self.answer(&sent);
                let end = match answer {
                    Say::Fail(Failure::Timeout(_)) => sent.began + self.world.config.calls.request_timeout,
                    _ => end,
                };
                let way = self.way(&answer);
                match way {
                    Way::None => {}
                    Way::Direct => self.arrive(&sent, true),
                    Way::Unknown => self.lose(sent.clone(), end + self.world.config.calls.settle),
                }
                self.pending.push((end, Begun::Call { call, answer, sent, way, accepted }));
            }
            Effect::Report(note) => {
                self.note(format!("{:?} {}: {}", note.level, note.kind.as_str(), note.text));
            }
            Effect::Reply { .. } => {}
            effect => self.pending.push((end, Begun::Other(effect))),
        }
    }

    /// An effect ends.
    fn end(&mut self, begun: Begun) {
        match begun {
            Begun::Call { call, answer, sent, way, accepted } => {
                self.note(format!("answer for {}: {}", sent.number, describe(&answer)));
                let limited = matches!(&answer, Say::Body(_, body) if body.starts_with(b"errorCode=-42"));
                let heard = !matches!(answer, Say::Fail(_));
                self.accepted = accepted && heard;
                self.stop_waiting(&sent, way, heard);
                if way == Way::None {
                    // Nothing was sent, so the word for it holds.
                    self.give_back(&sent);
                    self.uncount_reissue(&call.request);
                }
                if way == Way::Direct {
                    self.leave();
                }
                self.world.say(&sent.number, [answer]);
                self.world.sent_credential = Some(sent.tag);
                let event = self.world.one(Effect::Call(call)).expect("an answer");
                self.world.calls.clear();
                let (kills, failing) = (self.kills, self.world.failing_saves);
                self.tell(event);
                if limited && kills == self.kills && failing == 0 {
                    self.limited_until = self.world.now.time + 4 * 3 * HOUR;
                }
            }
            Begun::Other(effect) => {
                self.spoil(&effect);
                let event = self.world.one(effect);
                self.look();
                if let Some(event) = event {
                    self.after(&event);
                    self.tell(event);
                }
            }
        }
    }

    fn after(&mut self, event: &Event) {
        if let Event::HookEnded { result, .. } = event {
            let ran = self.world.ran.last().expect("it ran").clone();
            self.note(format!("hook {} for {:?}: {result:?}", ran.hook, ran.orders));
            if matches!(result, HookResult::Done) {
                for (order, generation) in ran.orders.iter().zip(&ran.generations) {
                    *self.ran_well.entry(format!("{} {order} {generation}", ran.hook)).or_default() += 1;
                }
            }
        }
    }

    /// What readers see is always a complete generation.
    fn look(&mut self) {
        for name in ORDERS {
            let Some(disk) = self.world.disks.get(name) else { continue };
            let Some(link) = disk.link.clone() else { continue };
            let complete = disk.generations.get(&link).is_some_and(|generation| generation.files.len() == 3);
            self.ensure(complete, "readers see an incomplete generation");
            let seen = self.swaps.entry(name).or_default();
            if seen.last() != Some(&link) {
                seen.push(link);
            }
        }
    }

    /// Goes on to the next thing that happens, at most to `end`.
    fn step(&mut self, end: Time) {
        let wake = self.world.engine.next_wake();
        let done = self.pending.iter().map(|(at, _)| *at).min();
        let distant = self.next_distant();
        let chaos =
            (!self.quiet).then(|| self.world.now.time + Duration::from_secs(60 + self.dice.below(4 * 3600)));
        let next = [wake, done, distant, chaos, Some(end)]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(end)
            .max(self.world.now.time);
        self.pass_until(next);
        if done.is_some_and(|done| done <= next) {
            let at = self.pending.iter().position(|(at, _)| *at <= next).expect("one is done");
            let (_, begun) = self.pending.remove(at);
            self.end(begun);
        } else if wake.is_some_and(|wake| wake <= next) {
            self.tell(Event::Woke);
        } else if chaos == Some(next) && next < end {
            self.chaos();
        }
    }

    fn run(mut self, days: u32) -> Totals {
        let end = self.world.now.time + days * DAY;
        while self.world.now.time < end {
            self.step(end);
        }
        // Everybody does what is right, and lets it be.
        self.quiet = true;
        self.login_broken = false;
        self.deaf_until = Time::MIN;
        self.world.failing_saves = 0;
        let day = usize::try_from(days).unwrap() + 3;
        for name in ORDERS {
            self.orders.insert(name, At::Issued(day.min(STOCK - 1)));
        }
        self.right_credential = 60_001;
        self.world.credential = Some(CredentialTag(60_001));
        self.set_clock(0);
        self.allow_probe();
        self.put(config(self.seed), "all is as it was");
        self.tell(Event::CredentialTouched { account: "main".into() });
        self.allow_probe();
        self.command(Command::ResumeSamePassword("main".into()));
        let end = self.world.now.time + 3 * DAY;
        while self.world.now.time < end {
            self.step(end);
        }
        // A call that was under way at the first word may have been refused after it.
        self.allow_probe();
        self.command(Command::ResumeSamePassword("main".into()));
        for name in ORDERS {
            self.allow(name);
            self.command(Command::Resume(name.into()));
        }
        let end = self.world.now.time + 5 * DAY;
        while self.world.now.time < end {
            self.step(end);
        }
        self.at_its_end(day);
        let installed = self.swaps.values().map(|seen| seen.len() as u64).sum();
        Totals {
            calls: self.calls,
            late: self.late,
            refused: self.refused_logins,
            kills: self.kills,
            installed,
            opened: self.opened,
            forced: self.forced,
            reissues: self.reissues,
            reissued: self.reissued,
            hooks: self.world.ran.len() as u64,
        }
    }

    fn at_its_end(&self, day: usize) {
        for name in ORDERS {
            let stage = self.world.record(name)["reissue"]["stage"].as_str().unwrap_or("none").to_owned();
            let over = !["intended", "unclear", "open"].contains(&&*stage);
            self.ensure(over, &format!("{name}: its re-issue ends {stage}"));
            let phase = self.world.phase(name);
            self.ensure(phase == "guarding", &format!("{name} ends {phase}: {}", self.world.record(name)));
            let seen = self.world.seen(name);
            let wanted =
                certcollectd_core::cert::Certificate::from_der(&stock()[name].leaves[day.min(STOCK - 1)])
                    .unwrap();
            self.ensure(seen == Some(wanted.serial_hex()), &format!("{name} shows {seen:?}"));
            let last = self.swaps[name].last().expect("it was installed");
            for hook in ["reload", "copy"] {
                let runs = self.ran_well.get(&format!("{hook} {name} {last}")).copied().unwrap_or(0);
                self.ensure(runs >= 1, &format!("hook {hook} was never run for {name} {last}"));
                self.ensure(
                    u64::from(runs) <= self.kills + 1,
                    &format!("hook {hook} ran {runs} times for {name} {last}"),
                );
            }
        }
    }
}

fn describe(say: &Say) -> String {
    match say {
        Say::Body(status, body) | Say::Later(status, _, body) => {
            format!("HTTP {status} {}", String::from_utf8_lossy(&body[..body.len().min(30)]))
        }
        Say::Fail(failure) => failure.to_string(),
    }
}

#[test]
fn the_promises_hold_in_every_world() {
    let number = |name: &str, default: u64| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let days = u32::try_from(number("SIMULATION_DAYS", 60)).unwrap();
    if let Ok(seed) = std::env::var("SIMULATION_SEED") {
        Sim::new(seed.parse().unwrap()).run(days);
        return;
    }
    let (seeds, begin) = (number("SIMULATION_SEEDS", 200), number("SIMULATION_FIRST", 0));
    let mut all = Totals::default();
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get() as u64);
    std::thread::scope(|scope| {
        let run = |first: u64| {
            (begin + first..begin + seeds).step_by(threads as usize).map(|seed| Sim::new(seed).run(days))
        };
        let share = |first: u64| scope.spawn(move || run(first).collect::<Vec<_>>());
        let shares: Vec<_> = (0..threads).map(share).collect();
        for one in shares.into_iter().flat_map(|share| share.join().expect("what it said is above")) {
            all.calls += one.calls;
            all.late += one.late;
            all.refused += one.refused;
            all.kills += one.kills;
            all.installed += one.installed;
            all.opened += one.opened;
            all.forced += one.forced;
            all.reissues += one.reissues;
            all.reissued += one.reissued;
            all.hooks += one.hooks;
        }
    });
    println!(
        "PROOF-FIGURE {seeds} worlds of {days} days: {} calls, {} of them late, {} refused logins, {} kills, {} installations, {} outside a window for a reason, {} re-issues asked for, {} made, {} hook runs, no promise broken",
        all.calls,
        all.late,
        all.refused,
        all.kills,
        all.installed,
        all.forced,
        all.reissues,
        all.reissued,
        all.hooks
    );
    // A world in which nothing happens keeps every promise.
    assert!(
        all.calls > 100 * seeds
            && all.late > seeds
            && all.refused > 5 * seeds
            && all.kills > 10 * seeds
            && all.installed > 5 * seeds
            && all.opened > seeds
            && all.forced > seeds / 8
            && all.reissues > seeds / 4
            && all.reissued > seeds / 8
            && all.hooks > 10 * seeds,
        "{all:?}"
    );
}

/// What happened in all worlds together.
#[derive(Debug, Default)]
struct Totals {
    calls: u64,
    late: u64,
    refused: u64,
    kills: u64,
    installed: u64,
    opened: u64,
    forced: u64,
    reissues: u64,
    reissued: u64,
    hooks: u64,
}
