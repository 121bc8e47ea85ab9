//! How a generation spreads over the hosts of a group: in waves, the next one only after all is well in those before.
//!
//! The leader brings what the hosts report, and writes the [`Go`] that comes out. A follower decides alone, from that row and its
//! own name, whether it may install.
//!
//! | a host that | holds the roll-out | proves the generation | takes a place of `at_once` |
//! | --- | --- | --- | --- |
//! | is done | no | yes | no |
//! | is at work, or has not begun | only the next wave | no | yes |
//! | has failed, silent or not | yes, until it is done or skipped | no | – |
//! | is quarantined or waits for its key | yes, until it is done, skipped or silent | no | – |
//! | waits for its window | only the next wave, for a day | no | no |
//! | is silent | no | no | no |
//!
//! While a roll-out is held nobody is let in; whoever was let in before stays so.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::api::Untrusted;
use crate::config::fleet::{Reach, Wave};
use crate::config::is_name;
use crate::engine::schedule;
use crate::engine::time::{Now, Time};

use super::form::{self, Malformed};
use super::published::Publication;
use super::report::{
    self, Report,
    State::{Done, Failed, NotConfigured, Quarantined, WaitsForKey, WaitsForWindow, Working},
};

/// A host without a sign for so long is silent.
pub const SILENT: Duration = Duration::from_secs(15 * 60);
/// So long the next wave waits for a host that waits for its window: a nightly one has come by then.
pub const WINDOW_PATIENCE: Duration = Duration::from_secs(24 * 3600);
/// A host whose own certificate ends within this takes a newer one without leave.
pub const URGENT: Duration = Duration::from_secs(48 * 3600);
/// The longest `go` row, in octets.
pub const MOST_OCTETS: usize = 1024 * 1024;

words! {
    /// What a person says to a roll-out. The last word counts.
    #[derive(Serialize, Deserialize)]
    #[serde(try_from = "String", into = "&'static str")]
    pub enum Word {
        /// Everywhere, now, whatever has failed.
        Go = "go",
        /// No further, also with later generations.
        Hold = "hold",
        /// On without the hosts that hold it now; lifts [`Word::Hold`].
        Skip = "skip",
    }
}

impl TryFrom<String> for Word {
    type Error = &'static str;

    fn try_from(word: String) -> Result<Word, &'static str> {
        Word::named(&word).ok_or("the word for a roll-out is none that this program knows")
    }
}

/// The row `go/<group>/<order>`: how far a generation may spread, and what the next leader must know of the roll-out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Go {
    pub generation: u64,
    /// Hosts of this [`rank`] and below may install it; the highest rank there is: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    up_to: Option<u64>,
    /// Others that may, without those that are done.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    hosts: BTreeSet<Box<str>>,
    /// The last wave that has begun, from 0 on.
    wave: usize,
    /// When it began, UNIX milliseconds of the leader's clock.
    began_ms: i64,
    /// Since when all is well in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    well_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    word: Option<Word>,
    /// Hosts that somebody said to go on without.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    skipped: BTreeSet<Box<str>>,
}

/// Where a host stands in the order of the waves: the same on every host and in every version.
pub fn rank(order: &str, host: &str) -> u64 {
    schedule::mix(schedule::stable_hash(order, host, 0))
}

impl Go {
    /// The row of a roll-out that begins; a hold outlives the generation that it was said of.
    fn new(generation: u64, before: Option<&Go>, now: Now) -> Go {
        Go {
            generation,
            up_to: None,
            hosts: BTreeSet::new(),
            wave: 0,
            began_ms: now.wall,
            well_ms: None,
            word: before.and_then(|before| before.word).filter(|word| *word == Word::Hold),
            skipped: BTreeSet::new(),
        }
    }

    pub fn read(bytes: &[u8]) -> Result<Go, Malformed> {
        let go: Go = form::read(bytes, MOST_OCTETS)?;
        match go.hosts.iter().chain(&go.skipped).find(|host| !is_name(host)) {
            Some(host) => {
                let what = format!("{} is no name of a host", Untrusted::new(host));
                Err(Malformed::Form(Untrusted::new(&what)))
            }
            None => Ok(go),
        }
    }

    pub fn to_row(&self) -> Vec<u8> {
        form::written(self)
    }

    /// Whether `host` may install this generation of `order`.
    pub fn lets(&self, order: &str, host: &str, generation: u64) -> bool {
        self.generation == generation
            && (self.up_to.is_some_and(|up_to| rank(order, host) <= up_to) || self.hosts.contains(host))
    }

    /// Whether all hosts may install it, also those that come later.
    pub fn is_everywhere(&self) -> bool {
        self.up_to == Some(u64::MAX)
    }

    pub fn word(&self) -> Option<Word> {
        self.word
    }

    /// The last wave that has begun, from 0 on.
    pub fn wave(&self) -> usize {
        self.wave
    }
}

/// By what right a host installs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// It is its turn.
    Turn,
    /// Its own certificate ends within [`URGENT`].
    Urgent,
}

/// Whether `host` may install what is published, which it has found good; `own` is when the certificate
/// ends that it has, UNIX seconds.
pub fn may_install(
    host: &str,
    published: &Publication,
    go: Option<&Go>,
    own: Option<i64>,
    now: Now,
) -> Option<Leave> {
    if go.is_some_and(|go| go.lets(&published.order, host, published.generation)) {
        return Some(Leave::Turn);
    }
    let ends = own?;
    let urgent = i64::try_from(URGENT.as_secs()).unwrap_or(i64::MAX);
    let ends_soon = ends <= now.unix().saturating_add(urgent);
    (ends_soon && published.leaf.not_after() > ends).then_some(Leave::Urgent)
}

/// A host of the group.
#[derive(Debug, Clone, Copy)]
pub struct Host<'a> {
    /// Each once.
    pub name: &'a str,
    /// When this process last saw a row of it change; after a start when it first saw one.
    pub heard: Time,
    pub report: Option<&'a Report>,
}

words! {
    pub enum State {
        /// It goes on by itself.
        Rolling = "rolling",
        /// A host or a person holds it.
        Held = "held",
        /// Every host that is heard of is done or was skipped.
        Done = "done",
    }
}

/// A host that holds the roll-out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    pub host: Box<str>,
    pub state: report::State,
    pub reason: Untrusted,
}

/// Each host is one of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub done: usize,
    /// Heard of, and neither done nor failed.
    pub behind: usize,
    /// Failed or quarantined.
    pub failed: usize,
    /// Not heard of, and neither done nor failed.
    pub silent: usize,
}

/// Where a roll-out is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollout {
    /// To be stored if it differs from the one before.
    pub go: Go,
    pub state: State,
    /// From 0 on.
    pub wave: usize,
    /// By name. None where only a person holds it.
    pub held_by: Vec<Holder>,
    pub counts: Counts,
    /// When something can change without a report.
    pub again: Option<Time>,
}

impl Rollout {
    /// The row after a person's word; [`advance`] goes on from there.
    pub fn told(&self, word: Word) -> Go {
        let mut go = self.go.clone();
        go.word = Some(word);
        match word {
            Word::Go => go.up_to = Some(u64::MAX),
            Word::Hold => {}
            Word::Skip => go.skipped.extend(self.held_by.iter().map(|holder| holder.host.clone())),
        }
        go
    }
}

/// One step: what the row should say now. `hosts` are all of the group, in any order; a row of another generation is
/// replaced. Takes the time to sort the hosts, so that many reports are better brought at once.
pub fn advance(
    order: &str,
    generation: u64,
    waves: &[Wave],
    hosts: &[Host<'_>],
    before: Option<&Go>,
    now: Now,
) -> Rollout {
    let go = before.filter(|before| before.generation == generation).cloned();
    let mut go = go.unwrap_or_else(|| Go::new(generation, before, now));
    // A clock that was set back must not make anyone wait for it.
    go.began_ms = go.began_ms.min(now.wall);
    go.wave = go.wave.min(waves.len().saturating_sub(1));
    let group = Group::new(order, generation, hosts, now);
    go.skipped.retain(|host| group.get(host).is_some_and(|host| host.state != Some(Done)));

    let soak_ends = loop {
        if go.word == Some(Word::Hold) || group.holders(&go).next().is_some() {
            group.note_well(waves, &mut go);
            break None;
        }
        if group.let_in(waves, &mut go) {
            continue;
        }
        let Some(well) = group.note_well(waves, &mut go) else {
            break None;
        };
        if is_last(waves, go.wave) {
            if group.hosts.iter().all(|host| !host.heard || host.has_leave(&go)) {
                go.up_to = Some(u64::MAX);
            }
            break None;
        }
        let soak = i64::try_from(waves[go.wave].soak.as_millis()).unwrap_or(i64::MAX);
        let ends = well.saturating_add(soak);
        if now.wall < ends {
            break Some(Time(ends.saturating_sub(now.offset())));
        }
        (go.wave, go.began_ms, go.well_ms) = (go.wave + 1, now.wall, None);
    };
    group.tidy(&mut go);
    group.rollout(go, soak_ends)
}

/// The last wave is all hosts.
fn is_last(waves: &[Wave], wave: usize) -> bool {
    wave + 1 >= waves.len()
}

/// The hosts by rank, without those that do not have the order.
struct Group<'a> {
    now: Now,
    /// There are hosts, and none of them has the order.
    is_without: bool,
    hosts: Vec<Member<'a>>,
    by_name: HashMap<&'a str, usize>,
}

struct Member<'a> {
    name: &'a str,
    rank: u64,
    /// It is not silent.
    heard: bool,
    silent_from: Time,
    /// Of this generation.
    report: Option<&'a Report>,
    state: Option<report::State>,
}

impl Member<'_> {
    /// A host that has begun had leave, whatever the row says.
    fn has_leave(&self, go: &Go) -> bool {
        let has_begun = match self.state {
            Some(Done | Working | Failed) => true,
            Some(Quarantined | WaitsForKey | WaitsForWindow | NotConfigured) | None => false,
        };
        has_begun || go.up_to.is_some_and(|up_to| self.rank <= up_to) || go.hosts.contains(self.name)
    }

    fn is_passed_over(&self, go: &Go) -> bool {
        go.word == Some(Word::Go) || go.skipped.contains(self.name)
    }

    /// Something is wrong with it, whether or not somebody said to go on.
    fn is_in_trouble(&self) -> bool {
        match self.state {
            Some(Failed) => true,
            Some(Quarantined | WaitsForKey) => self.heard,
            Some(Done | Working | WaitsForWindow | NotConfigured) | None => false,
        }
    }

    fn holds(&self, go: &Go) -> bool {
        self.is_in_trouble() && self.has_leave(go) && !self.is_passed_over(go)
    }

    fn waits_for_window(&self) -> bool {
        self.state == Some(WaitsForWindow)
    }

    /// There is more to come of it, and it is heard of.
    fn is_expected(&self, go: &Go) -> bool {
        let is_over = self.is_in_trouble() && self.is_passed_over(go);
        self.heard && self.state != Some(Done) && !is_over
    }

    fn is_at_work(&self, go: &Go) -> bool {
        self.is_expected(go) && self.has_leave(go) && !self.waits_for_window()
    }
}

impl<'a> Group<'a> {
    fn new(order: &str, generation: u64, all: &[Host<'a>], now: Now) -> Group<'a> {
        let member = |host: &Host<'a>| {
            let report = host.report.filter(|report| report.generation == generation);
            Member {
                name: host.name,
                rank: rank(order, host.name),
                heard: now.time.since(host.heard) < SILENT,
                silent_from: host.heard + SILENT,
                report,
                state: report.map(|report| report.state),
            }
        };
        let takes_part = |host: &&Host<'_>| host.report.is_none_or(|report| report.state != NotConfigured);
        let mut hosts: Vec<Member<'a>> = all.iter().filter(takes_part).map(member).collect();
        hosts.sort_unstable_by_key(|host| (host.rank, host.name));
        let by_name = hosts.iter().enumerate().map(|(at, host)| (host.name, at)).collect();
        let is_without = hosts.is_empty() && !all.is_empty();
        Group { now, is_without, hosts, by_name }
    }

    fn get(&self, name: &str) -> Option<&Member<'a>> {
        self.by_name.get(name).map(|at| &self.hosts[*at])
    }

    fn holders<'b>(&'b self, go: &'b Go) -> impl Iterator<Item = &'b Member<'a>> {
        self.hosts.iter().filter(|host| host.holds(go))
    }

    /// Adds the hosts that a wave reaches to those that the waves before do; silent ones are not counted on. Gives the rank up
    /// to which that is all, where it is a share.
    fn reach(&self, waves: &[Wave], wave: usize, reached: &mut [bool]) -> Option<u64> {
        let reach = waves.get(wave).filter(|_| !is_last(waves, wave)).map(|wave| &wave.reach);
        let permille = match reach {
            Some(Reach::Hosts(names)) => {
                let known = names.iter().filter_map(|name| self.by_name.get(&**name));
                known.filter(|at| self.hosts[**at].heard).for_each(|at| reached[*at] = true);
                return None;
            }
            Some(Reach::Share { permille }) => *permille,
            None => Reach::WHOLE,
        };
        let heard = self.hosts.iter().filter(|host| host.heard).count();
        let most = (heard * usize::from(permille)).div_ceil(usize::from(Reach::WHOLE));
        let mut missing = most.saturating_sub(reached.iter().filter(|reached| **reached).count());
        let mut up_to = None;
        for (host, reached) in self.hosts.iter().zip(reached).filter(|(host, _)| host.heard) {
            if !*reached && missing == 0 {
                break;
            }
            if !*reached {
                (*reached, missing) = (true, missing - 1);
            }
            up_to = Some(host.rank);
        }
        if permille >= Reach::WHOLE { Some(u64::MAX) } else { up_to }
    }

    /// Gives leave to whoever has a turn; whether anybody got it.
    fn let_in(&self, waves: &[Wave], go: &mut Go) -> bool {
        let before = (go.up_to, go.hosts.len());
        let mut reached = vec![false; self.hosts.len()];
        for wave in 0..=go.wave {
            let up_to = self.reach(waves, wave, &mut reached);
            let limit = waves.get(wave).and_then(|wave| wave.at_once);
            if limit.is_none() && up_to.is_some() {
                go.up_to = go.up_to.max(up_to);
                continue;
            }
            let mut places = limit.map_or(usize::MAX, |limit| {
                let at_work = self.hosts.iter().filter(|host| host.is_at_work(go)).count();
                usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(at_work)
            });
            for (host, _) in self.hosts.iter().zip(&reached).filter(|(_, reached)| **reached) {
                let asks = limit.is_none() || !host.waits_for_window();
                if places > 0 && asks && !host.has_leave(go) {
                    go.hosts.insert(host.name.into());
                    places -= 1;
                }
            }
        }
        self.stand_in(go);
        before != (go.up_to, go.hosts.len())
    }

    /// If nobody who has leave can prove the generation soon, the next by rank is to.
    fn stand_in(&self, go: &mut Go) {
        let may_prove = |host: &Member<'_>| {
            host.state == Some(Done) || host.heard && host.has_leave(go) && !self.is_excused(host, go)
        };
        if self.hosts.iter().any(may_prove) {
            return;
        }
        let next =
            self.hosts.iter().find(|host| host.heard && !host.waits_for_window() && !host.has_leave(go));
        go.hosts.extend(next.map(|host| host.name.into()));
    }

    /// The next wave waits no longer for it.
    fn is_excused(&self, host: &Member<'_>, go: &Go) -> bool {
        host.waits_for_window() && self.now.wall >= patience_ends(go)
    }

    /// Keeps since when all is well in the waves that have begun, and gives it.
    fn note_well(&self, waves: &[Wave], go: &mut Go) -> Option<i64> {
        let mut reached = vec![false; self.hosts.len()];
        for wave in 0..=go.wave {
            self.reach(waves, wave, &mut reached);
        }
        let is_awaited = |(host, reached): (&Member<'_>, &bool)| {
            (*reached || host.has_leave(go)) && host.is_expected(go) && !self.is_excused(host, go)
        };
        let is_proven =
            |host: &Member<'_>| host.state == Some(Done) || host.is_in_trouble() && host.is_passed_over(go);
        let is_well = self.hosts.iter().any(is_proven)
            && !self.hosts.iter().zip(&reached).any(is_awaited)
            && self.holders(go).next().is_none();
        let since = go.well_ms.map_or(self.now.wall, |since| since.min(self.now.wall));
        go.well_ms = is_well.then_some(since);
        go.well_ms
    }

    /// Leaves out names that the row can do without.
    fn tidy(&self, go: &mut Go) {
        let up_to = go.up_to;
        go.hosts.retain(|name| {
            self.get(name)
                .is_some_and(|host| host.state != Some(Done) && up_to.is_none_or(|up_to| host.rank > up_to))
        });
    }

    fn rollout(&self, go: Go, soak_ends: Option<Time>) -> Rollout {
        let mut counts = Counts::default();
        for host in &self.hosts {
            let count = match (host.state, host.heard) {
                (Some(Done), _) => &mut counts.done,
                (Some(Failed | Quarantined), _) => &mut counts.failed,
                (Some(Working | WaitsForKey | WaitsForWindow | NotConfigured) | None, true) => {
                    &mut counts.behind
                }
                (Some(Working | WaitsForKey | WaitsForWindow | NotConfigured) | None, false) => {
                    &mut counts.silent
                }
            };
            *count += 1;
        }
        let holder = |host: &Member<'_>| {
            let report = host.report?;
            Some(Holder { host: host.name.into(), state: report.state, reason: report.reason.clone() })
        };
        let mut held_by: Vec<Holder> = self.holders(&go).filter_map(holder).collect();
        held_by.sort_unstable_by(|one, other| one.host.cmp(&other.host));
        let is_everywhere = go.is_everywhere() || self.is_without;
        let is_over = is_everywhere && !self.hosts.iter().any(|host| host.is_expected(&go));
        let state = if !held_by.is_empty() {
            State::Held
        } else if is_over {
            State::Done
        } else {
            match go.word {
                Some(Word::Hold) => State::Held,
                Some(Word::Go | Word::Skip) | None => State::Rolling,
            }
        };
        let expected = || self.hosts.iter().filter(|host| host.is_expected(&go));
        let silent = expected().map(|host| host.silent_from);
        let patience = Time(patience_ends(&go).saturating_sub(self.now.offset()));
        let patience =
            Some(patience).filter(|at| *at > self.now.time && expected().any(Member::waits_for_window));
        let again = silent.chain(patience).chain(soak_ends).min();
        Rollout { state, wave: go.wave, held_by, counts, again, go }
    }
}

/// UNIX milliseconds.
fn patience_ends(go: &Go) -> i64 {
    let patience = i64::try_from(WINDOW_PATIENCE.as_millis()).unwrap_or(i64::MAX);
    go.began_ms.saturating_add(patience)
}

#[cfg(test)]
mod tests;
