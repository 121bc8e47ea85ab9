use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::form::Moment;
use super::super::published::Bundle;
use super::*;
use crate::cert::Certificate;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const ORDER: &str = "www";

/// A group, what its leader wrote last, and a clock.
struct World {
    waves: Vec<Wave>,
    hosts: BTreeMap<String, (Time, Option<Report>)>,
    generation: u64,
    stored: Option<Vec<u8>>,
    now: Now,
}

impl World {
    fn new(waves: Vec<Wave>, hosts: usize) -> World {
        let now = Now { time: Time(5_000), wall: 1_800_000_000_000 };
        let hosts = (1..=hosts).map(|number| (format!("web-{number:03}"), (now.time, None))).collect();
        World { waves, hosts, generation: 7, stored: None, now }
    }

    fn go(&self) -> Go {
        Go::read(self.stored.as_ref().unwrap()).unwrap()
    }

    /// One step of a leader that knows nothing but the row.
    fn step(&mut self) -> Rollout {
        let mut hosts = Vec::new();
        for (name, (heard, report)) in &self.hosts {
            hosts.push(Host { name, heard: *heard, report: report.as_ref() });
        }
        let before = self.stored.as_ref().map(|row| Go::read(row).unwrap());
        let rollout = advance(ORDER, self.generation, &self.waves, &hosts, before.as_ref(), self.now);
        self.stored = Some(rollout.go.to_row());
        assert!(rollout.again.is_none_or(|again| again > self.now.time), "{:?}", rollout.again);
        let Counts { done, behind, failed, silent } = rollout.counts;
        let takes_part = |report: &Report| report.state != NotConfigured;
        let part = self.hosts.values().filter(|(_, report)| report.as_ref().is_none_or(takes_part)).count();
        assert_eq!(done + behind + failed + silent, part);
        rollout
    }

    fn says(&mut self, host: &str, state: report::State) {
        let at = Moment(self.now.unix());
        let report = Report { generation: self.generation, state, reason: Untrusted::new("nginx -t"), at };
        *self.hosts.get_mut(host).unwrap() = (self.now.time, Some(report));
    }

    fn say(&mut self, host: &str, state: report::State) -> Rollout {
        self.says(host, state);
        self.step()
    }

    fn told(&mut self, word: Word) -> Rollout {
        let go = self.step().told(word);
        self.stored = Some(go.to_row());
        self.step()
    }

    fn state(&self, host: &str) -> Option<report::State> {
        let report = self.hosts[host].1.as_ref()?;
        Some(report.state).filter(|_| report.generation == self.generation)
    }

    fn is_silent(&self, host: &str) -> bool {
        self.now.time.since(self.hosts[host].0) >= SILENT
    }

    /// Time passes for hosts that are heard of, without a step.
    fn pass(&mut self, span: Duration) {
        let silent: Vec<bool> = self.hosts.keys().map(|host| self.is_silent(host)).collect();
        self.now = Now {
            time: self.now.time + span,
            wall: self.now.wall + i64::try_from(span.as_millis()).unwrap(),
        };
        for ((heard, _), silent) in self.hosts.values_mut().zip(silent) {
            if !silent {
                *heard = self.now.time;
            }
        }
    }

    fn silence(&mut self, host: &str) {
        self.hosts.get_mut(host).unwrap().0 = self.now.time - SILENT;
    }

    /// Who may install, or has begun.
    fn let_in(&self) -> BTreeSet<String> {
        let go = self.go();
        let has_begun = |host: &str| matches!(self.state(host), Some(Done | Working | Failed));
        let has_leave = |host: &&String| go.lets(ORDER, host, self.generation) || has_begun(host);
        self.hosts.keys().filter(has_leave).cloned().collect()
    }

    /// Who is heard of, may begin, and has not said so.
    fn waiting(&self) -> Vec<String> {
        let is_waiting = |host: &String| self.state(host).is_none() && !self.is_silent(host);
        self.let_in().into_iter().filter(is_waiting).collect()
    }

    /// Everybody who may does, until nothing changes any more.
    fn work(&mut self) -> Rollout {
        loop {
            let rollout = self.step();
            let waiting = self.waiting();
            if waiting.is_empty() {
                return rollout;
            }
            waiting.iter().for_each(|host| self.says(host, Done));
        }
    }

    fn by_rank(&self) -> Vec<String> {
        let mut hosts: Vec<String> = self.hosts.keys().cloned().collect();
        hosts.sort_by_key(|host| rank(ORDER, host));
        hosts
    }
}

fn hosts(names: &[&str], soak: Duration) -> Wave {
    Wave { reach: Reach::Hosts(names.iter().map(|name| (*name).into()).collect()), soak, at_once: None }
}

fn share(permille: u16, soak: Duration) -> Wave {
    Wave { reach: Reach::Share { permille }, soak, at_once: None }
}

fn all(at_once: Option<u32>) -> Wave {
    Wave { reach: Reach::Share { permille: Reach::WHOLE }, soak: Duration::ZERO, at_once }
}

/// A canary, a tenth, all.
fn three(hosts_in_all: usize) -> World {
    World::new(vec![hosts(&["web-001"], 2 * MINUTE), share(100, 5 * MINUTE), all(Some(3))], hosts_in_all)
}

fn names(held_by: &[Holder]) -> Vec<(&str, report::State)> {
    held_by.iter().map(|holder| (&*holder.host, holder.state)).collect()
}

#[test]
fn ranks_are_the_same_for_all_time() {
    let ranks = ["web-001", "web-002"].map(|host| rank("www", host));
    // FNV-1a of "www\0web-001" and eight zeros, then the finaliser of SplitMix64; computed elsewhere.
    assert_eq!(ranks, [14_789_581_465_694_825_715, 7_735_996_837_578_560_091]);
    assert_ne!(rank("mail", "web-001"), rank("www", "web-001"));
    let mut low = 0;
    (0..1000).for_each(|host| low += usize::from(rank("www", &format!("web-{host:03}")) < u64::MAX / 10));
    assert!((70..=130).contains(&low), "a tenth: {low}");
}

#[test]
fn the_waves_open_one_after_the_other() {
    let mut world = three(40);
    let first = world.step();
    assert_eq!((first.state, first.wave), (State::Rolling, 0));
    assert_eq!(world.let_in().into_iter().collect::<Vec<_>>(), ["web-001"]);
    world.pass(HOUR);
    world.say("web-001", Working);
    assert_eq!(world.let_in().len(), 1, "nothing opens by time alone");

    let soaking = world.say("web-001", Done);
    assert_eq!((soaking.wave, world.let_in().len()), (0, 1));
    assert_eq!(soaking.again, Some(world.now.time + 2 * MINUTE));
    world.pass(2 * MINUTE - Duration::from_millis(1));
    assert_eq!(world.step().wave, 0);
    world.pass(Duration::from_millis(1));
    assert_eq!(world.step().wave, 1);
    let tenth = world.let_in();
    assert_eq!(tenth.len(), 4, "the canary is one of the tenth");
    let lowest = world.by_rank().into_iter().filter(|host| host != "web-001").take(3);
    assert!(lowest.into_iter().all(|host| tenth.contains(&host)));

    let tenth = world.work();
    assert_eq!((tenth.wave, tenth.counts.done, tenth.counts.behind), (1, 4, 36));
    world.pass(5 * MINUTE);
    assert_eq!(world.step().wave, 2);
    assert_eq!(world.waiting().len(), 3, "three at once");
    let more = world.waiting().pop().unwrap();
    world.say(&more, Done);
    assert_eq!(world.waiting().len(), 3);
    let end = world.work();
    assert_eq!((end.state, end.counts, end.again), (State::Done, Counts { done: 40, ..end.counts }, None));
    assert!(end.go.is_everywhere() && end.go.hosts.is_empty());
}

#[test]
fn a_wave_without_a_limit_is_everybody_at_once_and_those_to_come() {
    let mut world = World::new(vec![all(None)], 5);
    assert_eq!(world.step().state, State::Rolling);
    assert_eq!(world.let_in().len(), 5);
    assert!(world.go().lets(ORDER, "web-999", 7) && !world.go().lets(ORDER, "web-999", 8));
    assert_eq!(world.work().state, State::Done);
    // One that comes later makes it roll again.
    world.hosts.insert("web-999".into(), (world.now.time, None));
    assert_eq!(world.step().state, State::Rolling);
    assert_eq!(world.work().state, State::Done);
}

#[test]
fn a_failed_host_holds_until_it_is_done_and_the_soak_begins_anew() {
    for state in [Failed, Quarantined, WaitsForKey] {
        let mut world = three(40);
        world.say("web-001", Done);
        world.pass(MINUTE);
        let held = world.say("web-001", state);
        assert_eq!((held.state, names(&held.held_by)), (State::Held, vec![("web-001", state)]));
        assert_eq!(held.held_by[0].reason.as_str(), "nginx -t");
        world.pass(100 * 24 * HOUR);
        assert_eq!((world.step().state, world.let_in().len()), (State::Held, 1), "{state}");
        assert_eq!(world.say("web-001", Done).state, State::Rolling);
        world.pass(MINUTE);
        assert_eq!(world.step().wave, 0);
        world.pass(MINUTE);
        assert_eq!(world.step().wave, 1);
    }
}

#[test]
fn a_host_that_fails_and_falls_silent_still_holds() {
    let mut world = three(40);
    world.step();
    world.say("web-001", Failed);
    world.silence("web-001");
    let held = world.step();
    assert_eq!((held.state, held.counts.failed), (State::Held, 1));
    assert_eq!(world.let_in().len(), 1);
    // Nor does the soak run.
    let mut world = World::new(vec![hosts(&["web-001", "web-002"], 5 * MINUTE), all(None)], 4);
    world.step();
    world.says("web-001", Done);
    world.say("web-002", Failed);
    world.silence("web-002");
    world.step();
    world.pass(HOUR);
    assert_eq!(world.told(Word::Skip).again, Some(world.now.time + 5 * MINUTE));
}

#[test]
fn a_share_is_rounded_up() {
    for (count, expected) in [(1, 1), (5, 1), (15, 2), (20, 2)] {
        let mut world = World::new(vec![share(100, Duration::ZERO), all(None)], count);
        world.step();
        assert_eq!(world.waiting().len(), expected, "of {count}");
    }
}

#[test]
fn a_silent_canary_is_replaced_by_the_next_by_rank() {
    let mut world = three(40);
    world.step();
    world.silence("web-001");
    let rollout = world.step();
    assert_eq!((rollout.state, rollout.counts.silent), (State::Rolling, 1));
    let next = world.by_rank().into_iter().find(|host| host != "web-001").unwrap();
    assert_eq!(world.waiting(), std::slice::from_ref(&next));
    world.say(&next, Done);
    world.pass(2 * MINUTE);
    assert_eq!(world.step().wave, 1);
    // The group of another order's waves may not have the canary at all.
    world.waves[0] = hosts(&["mail-001"], Duration::ZERO);
    world.generation = 8;
    assert_eq!((world.step().wave, world.waiting().len()), (0, 1));
    // One that was done and falls silent has proven the generation.
    let canary = world.waiting().pop().unwrap();
    world.waves[0].soak = 2 * MINUTE;
    world.say(&canary, Done);
    world.silence(&canary);
    world.step();
    assert_eq!(world.let_in().len(), 1);
}

#[test]
fn a_host_without_the_order_proves_nothing() {
    let mut world = three(40);
    let rollout = world.say("web-001", NotConfigured);
    assert_eq!((rollout.wave, rollout.counts.behind, rollout.counts.done), (0, 39, 0));
    let next = world.by_rank().into_iter().find(|host| host != "web-001").unwrap();
    assert_eq!(world.waiting(), std::slice::from_ref(&next));
    world.say(&next, Done);
    world.pass(2 * MINUTE);
    assert_eq!(world.step().wave, 1);
    // Nor does it hold the next one, of which it has said nothing yet; and once it has the order, it is one of them.
    world.generation = 8;
    world.step();
    assert_eq!(world.waiting(), std::slice::from_ref(&next));
    world.hosts.insert("web-001".into(), (world.now.time, None));
    world.step();
    assert!(world.waiting().contains(&"web-001".into()));
}

#[test]
fn an_order_that_no_host_has_waits_for_nobody() {
    let mut world = three(2);
    world.says("web-001", NotConfigured);
    assert_eq!(world.say("web-002", NotConfigured).state, State::Done);
    assert_eq!(world.let_in().len(), 0);
    // The first one that has it begins.
    world.hosts.insert("web-002".into(), (world.now.time, None));
    assert_eq!(world.step().state, State::Rolling);
    assert_eq!(world.waiting(), ["web-002"]);
}

#[test]
fn the_silent_are_not_waited_for_and_come_in_later() {
    let mut world = World::new(vec![all(Some(2))], 6);
    ["web-001", "web-002", "web-003"].iter().for_each(|host| world.silence(host));
    let end = world.work();
    assert_eq!((end.state, end.counts), (State::Done, Counts { done: 3, silent: 3, ..Counts::default() }));
    assert!(end.go.is_everywhere());
    // While it rolls, they come in one after the other.
    world.generation = 8;
    world.step();
    ["web-001", "web-002", "web-003"]
        .iter()
        .for_each(|host| world.hosts.get_mut(*host).unwrap().0 = world.now.time);
    world.step();
    assert_eq!(world.waiting().len(), 2);
}

#[test]
fn a_window_is_waited_for_without_a_place_and_not_for_ever() {
    for at_once in [None, Some(1)] {
        let half = Wave { at_once, ..share(500, Duration::ZERO) };
        let mut world = World::new(vec![half, all(Some(1))], 4);
        let ranked = world.by_rank();
        world.step();
        world.says(&ranked[1], WaitsForWindow);
        world.says(&ranked[2], WaitsForWindow);
        let waits = world.say(&ranked[0], Done);
        assert_eq!((waits.state, waits.wave), (State::Rolling, 0), "it may come at any moment");
        world.pass(WINDOW_PATIENCE - Duration::from_millis(1));
        let last = world.step();
        assert_eq!((last.wave, last.again), (0, Some(world.now.time + Duration::from_millis(1))));
        world.pass(Duration::from_millis(1));
        assert_eq!(world.step().wave, 1);
        // In the last wave one outside its window takes no place, and gets none: else all of one window would begin at once.
        assert_eq!(world.waiting(), std::slice::from_ref(&ranked[3]));
        world.say(&ranked[3], Done);
        world.say(&ranked[1], Done);
        world.pass(WINDOW_PATIENCE);
        assert_eq!(world.step().state, State::Rolling);
        assert!(!world.let_in().contains(&ranked[2]));
        // Its window opens, so that it has nothing to report.
        world.hosts.get_mut(&ranked[2]).unwrap().1 = None;
        assert_eq!(world.work().state, State::Done);
    }
}

#[test]
fn a_canary_that_waits_for_its_window_is_replaced_after_a_day_by_one_that_does_not() {
    let mut world = three(40);
    world.step();
    let ranked = world.by_rank();
    let first = ranked.iter().find(|host| *host != "web-001").unwrap();
    world.says(first, WaitsForWindow);
    world.say("web-001", WaitsForWindow);
    world.pass(WINDOW_PATIENCE - Duration::from_millis(1));
    world.step();
    assert_eq!(world.let_in().len(), 1);
    world.pass(Duration::from_millis(1));
    world.step();
    let second = ranked.iter().filter(|host| *host != "web-001").nth(1).unwrap();
    assert_eq!(world.waiting(), std::slice::from_ref(second));
}

#[test]
fn a_person_may_open_hold_and_skip() {
    let mut world = three(40);
    world.step();
    world.say("web-001", Failed);
    assert_eq!((world.told(Word::Go).state, world.let_in().len()), (State::Rolling, 40));
    let end = world.work();
    assert_eq!((end.state, end.counts.failed, end.counts.done), (State::Done, 1, 39));

    let mut world = three(40);
    world.say("web-001", Done);
    let held = world.told(Word::Hold);
    assert_eq!((held.state, held.held_by.len()), (State::Held, 0));
    world.pass(HOUR);
    world.step();
    assert_eq!(world.let_in().len(), 1);
    world.generation = 8;
    assert_eq!((world.step().state, world.let_in().len()), (State::Held, 0), "it outlives its generation");
    world.told(Word::Skip);
    assert_eq!(world.waiting(), ["web-001"]);

    world.say("web-001", Failed);
    let skipped = world.told(Word::Skip);
    assert_eq!((skipped.state, skipped.wave, skipped.go.skipped.len()), (State::Rolling, 0, 1));
    world.pass(2 * MINUTE);
    assert_eq!(world.step().wave, 1);
    // Another one holds again; the one that was skipped does so once it was done and fails again.
    let other = world.waiting().pop().unwrap();
    assert_eq!(names(&world.say(&other, Failed).held_by), [(&*other, Failed)]);
    world.say(&other, Done);
    world.say("web-001", Done);
    assert_eq!(names(&world.say("web-001", Failed).held_by), [("web-001", Failed)]);
}

#[test]
fn a_newer_generation_begins_with_the_first_wave_again() {
    let mut world = three(40);
    world.step();
    world.say("web-001", Failed);
    world.generation = 8;
    let rollout = world.step();
    assert_eq!((rollout.state, rollout.wave, rollout.counts.behind), (State::Rolling, 0, 40));
    assert_eq!(world.waiting(), ["web-001"]);
    assert!(!world.go().lets(ORDER, "web-001", 7));
}

#[test]
fn a_clock_that_was_set_back_makes_nobody_wait_for_it() {
    let mut world = three(40);
    world.say("web-001", Done);
    world.now.wall -= 1_000_000_000;
    assert_eq!(world.step().wave, 0);
    world.pass(2 * MINUTE);
    assert_eq!(world.step().wave, 1);
    // Nor for a window.
    let mut world = three(40);
    world.say("web-001", WaitsForWindow);
    world.now.wall -= 1_000_000_000;
    world.step();
    world.pass(WINDOW_PATIENCE);
    world.step();
    assert_eq!(world.let_in().len(), 2);
}

#[test]
fn waves_that_were_taken_out_of_the_configuration_do_no_harm() {
    let mut world = three(40);
    world.say("web-001", Done);
    world.pass(HOUR);
    assert_eq!(world.step().wave, 1);
    world.waves.truncate(1);
    assert_eq!(world.step().wave, 0);
    assert_eq!(world.work().state, State::Done);
    world.waves.clear();
    world.generation = 8;
    assert!(world.step().go.is_everywhere());
}

#[test]
fn the_row_stays_small() {
    let mut world = World::new(
        vec![hosts(&["web-001"], Duration::ZERO), share(100, Duration::ZERO), all(Some(50))],
        1000,
    );
    let mut longest = 0;
    loop {
        let rollout = world.step();
        longest = longest.max(world.stored.as_ref().unwrap().len());
        if rollout.state == State::Done {
            break;
        }
        world.waiting().iter().for_each(|host| world.says(host, Done));
    }
    assert!(longest < 1000, "{longest}");
}

#[test]
fn a_row_that_is_none_is_refused() {
    let mut world = three(3);
    world.step();
    let row = String::from_utf8(world.stored.unwrap()).unwrap();
    let expected = "{\"generation\":7,\"hosts\":[\"web-001\"],\"wave\":0,\"began_ms\":1800000000000}";
    assert_eq!(row, expected);
    let read = |row: String| Go::read(row.as_bytes()).unwrap_err().to_string();
    assert!(read(row.replace("web-001", "\\u001b")).contains(r"\u{1b} is no name of a host"));
    assert!(read(row.replace("wave", "tide")).contains("unknown field `tide`"));
    assert!(
        read(row.replace("wave\":0", "wave\":0,\"word\":\"stop\"")).contains("none that this program knows")
    );
    assert!(read(format!("{row}{}", " ".repeat(MOST_OCTETS))).contains("at most 1048576 are read"));
}

#[test]
fn a_host_installs_in_its_turn_or_when_its_own_certificate_ends() {
    let leaf = include_bytes!("../../../../../tests/data/cert/leaf.der");
    let bundle = Bundle { leaf: Certificate::from_der(leaf).unwrap(), chain: Vec::new() };
    let published = Publication::new(ORDER, 7, &bundle, Untrusted::new("")).unwrap();
    let mut world = three(40);
    world.step();
    let go = world.go();
    let older = Go { generation: 6, ..go.clone() };
    let day = 24 * 3600;
    let (ends, now) = (bundle.leaf.not_after(), world.now.unix());
    for (host, go, own, expected) in [
        ("web-001", Some(&go), None, Some(Leave::Turn)),
        ("web-001", Some(&go), Some(now + 2 * day), Some(Leave::Turn)),
        ("web-001", Some(&older), Some(now + 2 * day + 1), None),
        ("web-002", Some(&go), None, None),
        ("web-002", Some(&go), Some(now + 2 * day + 1), None),
        ("web-002", Some(&go), Some(now + 2 * day), Some(Leave::Urgent)),
        ("web-002", Some(&go), Some(now - day), Some(Leave::Urgent)),
        ("web-002", None, Some(now + 2 * day), Some(Leave::Urgent)),
        ("web-002", None, None, None),
    ] {
        assert_eq!(may_install(host, &published, go, own, world.now), expected, "{host} {own:?}");
    }
    let at_its_end = Now { wall: ends * 1000, ..world.now };
    let may = |own| may_install("web-002", &published, None, Some(own), at_its_end);
    assert_eq!([may(ends - 1), may(ends)], [Some(Leave::Urgent), None], "only for a newer one");
}

/// What happens to a host, or to the clock.
#[derive(Debug, Clone)]
enum Happens {
    Says(prop::sample::Index, report::State),
    /// Whoever has leave and has not begun is done.
    Works,
    Silent(prop::sample::Index),
    Returns(prop::sample::Index),
    Passes(u64),
}

fn happens() -> impl Strategy<Value = Happens> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        4 => (index(), prop::sample::select(vec![Done, Done, Done, Working, Working, Failed, WaitsForKey, Quarantined]))
            .prop_map(|(host, state)| Happens::Says(host, state)),
        2 => Just(Happens::Works),
        1 => index().prop_map(Happens::Silent),
        1 => index().prop_map(Happens::Returns),
        2 => (1u64..600).prop_map(Happens::Passes),
    ]
}

fn waves() -> impl Strategy<Value = Vec<Wave>> {
    let soak = || (0u64..300).prop_map(Duration::from_secs);
    let at_once = || prop::option::of(1u32..5);
    let canary =
        (prop::collection::vec(1usize..8, 1..3), soak(), at_once()).prop_map(|(names, soak, at_once)| {
            let names: Vec<String> = names.iter().map(|number| format!("web-{number:03}")).collect();
            Wave { at_once, ..hosts(&names.iter().map(String::as_str).collect::<Vec<_>>(), soak) }
        });
    let tenth = (1u16..600, soak(), at_once())
        .prop_map(|(permille, soak, at_once)| Wave { at_once, ..share(permille, soak) });
    (prop::option::of(canary), prop::option::of(tenth), at_once())
        .prop_map(|(first, second, at_once)| first.into_iter().chain(second).chain([all(at_once)]).collect())
}

impl World {
    /// A host does only what it may.
    fn happen(&mut self, what: &Happens) {
        let names: Vec<String> = self.hosts.keys().cloned().collect();
        match what {
            Happens::Says(host, state) => {
                let host = host.get(&names);
                let may = self.stored.is_some() && self.let_in().contains(host);
                if (may || matches!(state, WaitsForKey | Quarantined)) && !self.is_silent(host) {
                    self.says(host, *state);
                }
            }
            Happens::Works if self.stored.is_some() => {
                self.waiting().iter().for_each(|host| self.says(host, Done));
            }
            Happens::Works => {}
            Happens::Silent(host) => self.silence(&names[host.index(names.len())]),
            Happens::Returns(host) => self.hosts.get_mut(host.get(&names)).unwrap().0 = self.now.time,
            Happens::Passes(seconds) => self.pass(Duration::from_secs(*seconds)),
        }
    }

    fn at_work(&self) -> usize {
        let is_at_work = |host: &&String| !self.is_silent(host) && self.state(host) != Some(Done);
        self.let_in().iter().filter(is_at_work).count()
    }

    /// The most hosts that the waves up to this one are, as the configuration is read by a person.
    fn most(&self, wave: usize) -> usize {
        let mut named = BTreeSet::new();
        let mut shared = 0;
        for wave in &self.waves[..=wave] {
            match &wave.reach {
                Reach::Hosts(names) => {
                    named.extend(names.iter().filter(|name| self.hosts.contains_key(&***name)))
                }
                Reach::Share { permille } => {
                    shared = (self.hosts.len() * usize::from(*permille)).div_ceil(1000).max(1);
                }
            }
        }
        // Where nobody of the first wave is there, one other is its canary.
        (named.len() + shared).max(1)
    }
}

proptest! {
    #[test]
    fn no_row_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Go::read(&bytes).is_err());
    }

    #[test]
    fn no_more_hosts_than_the_wave_allows(
        waves in waves(), count in 1usize..25, happens in prop::collection::vec(happens(), 0..80),
    ) {
        let mut world = World::new(waves, count);
        let mut wave = 0;
        let mut were_silent = BTreeSet::new();
        for what in &happens {
            world.happen(what);
            were_silent.extend(world.hosts.keys().filter(|host| world.is_silent(host)).cloned());
            let before = world.stored.as_ref().map(|_| (world.let_in(), world.at_work()));
            let rollout = world.step();
            let now = world.let_in();
            prop_assert!(now.len() <= world.most(rollout.wave) + were_silent.len(), "{now:?} in {}", rollout.wave);
            prop_assert!(rollout.wave >= wave);
            if rollout.wave > wave {
                let (before, _) = before.clone().unwrap();
                let unproven = |host: &&String| !world.is_silent(host) && world.state(host) != Some(Done);
                prop_assert_eq!(before.iter().find(unproven), None);
                prop_assert!(world.hosts.keys().any(|host| world.state(host) == Some(Done)));
            }
            if let Some((before, at_work)) = before {
                prop_assert!(before.is_subset(&now), "a wave that is open stays open");
                let trouble = |host: &&String| world.state(host) == Some(Failed)
                    || matches!(world.state(host), Some(Quarantined | WaitsForKey)) && !world.is_silent(host);
                if before.iter().any(|host| trouble(&host)) {
                    prop_assert_eq!(&before, &now, "it is held");
                    prop_assert_eq!(rollout.state, State::Held);
                }
                let limits = world.waves[..=rollout.wave].iter().map(|wave| wave.at_once.map(|most| most as usize));
                if let Some(limit) = limits.collect::<Option<Vec<_>>>().and_then(|limits| limits.into_iter().max()) {
                    let stand_in = 1;
                    prop_assert!(world.at_work() <= at_work.max(limit).max(stand_in), "{} at work", world.at_work());
                }
            }
            wave = rollout.wave;
        }
    }

    #[test]
    fn it_ends_when_all_report_done(
        waves in waves(), count in 1usize..25, happens in prop::collection::vec(happens(), 0..40),
    ) {
        let mut world = World::new(waves, count);
        for what in &happens {
            world.happen(what);
            world.step();
        }
        let names: Vec<String> = world.hosts.keys().cloned().collect();
        let mut steps = 0;
        world.hosts.values_mut().for_each(|(heard, _)| *heard = world.now.time);
        while world.step().state != State::Done {
            steps += 1;
            prop_assert!(steps <= 2 * (count + world.waves.len()), "it goes on without an end");
            world.pass(Duration::from_secs(300));
            for host in &names {
                if world.let_in().contains(host) {
                    world.says(host, Done);
                }
            }
        }
        prop_assert_eq!(world.step().counts.done, count);
    }

    #[test]
    fn a_failed_host_holds_for_ever_without_a_word(
        waves in waves(), count in 1usize..25, before in prop::collection::vec(happens(), 0..40),
        which in any::<prop::sample::Index>(), after in prop::collection::vec(happens(), 0..40),
    ) {
        let mut world = World::new(waves, count);
        world.step();
        for what in &before {
            world.happen(what);
            world.step();
        }
        let let_in = world.let_in();
        prop_assume!(!let_in.is_empty());
        let failed = which.get(&let_in.iter().cloned().collect::<Vec<_>>()).clone();
        world.says(&failed, Failed);
        let report = world.hosts[&failed].1.clone();
        for what in &after {
            world.happen(what);
            world.hosts.get_mut(&failed).unwrap().1.clone_from(&report);
            let rollout = world.step();
            prop_assert_eq!(rollout.state, State::Held);
            prop_assert!(rollout.held_by.iter().any(|holder| *holder.host == *failed));
            prop_assert!(world.let_in().is_subset(&let_in), "nobody else is let in");
        }
    }
}
