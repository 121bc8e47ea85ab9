//! How a fleet stands, from the rows of its store: who leads, how far each order's roll-out is, and which hosts hold it.
//!
//! | who asks | sees |
//! | --- | --- |
//! | a collector | all of it |
//! | a follower | what is published for its groups, and its own reports; neither the leader nor other hosts |

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use serde::Serialize;

use super::fit::wrapped;
use super::nagios::{self, Verdict};
use super::screen::{Screen, style_of};
use super::table::columns;
use certcollectd_core::api::Untrusted;
use certcollectd_core::config::fleet::{Collector, Fleet, Role};
use certcollectd_core::config::{Config, count};
use certcollectd_core::engine::finding::Urgency;
use certcollectd_core::engine::time::{Now, Time, in_words, rfc3339};
use certcollectd_core::engine::vitals::{FleetVitals, StoreHealth};
use certcollectd_core::fleet::keys::Key;
use certcollectd_core::fleet::lease::{Beat, Fence, MOST_SKEW};
use certcollectd_core::fleet::published::Publication;
use certcollectd_core::fleet::report::{Report, Seen, State};
use certcollectd_core::fleet::rollout::{self, Go, Holder, Host, Rollout, SILENT, Word, advance};

/// Everything that `fleet status --json` shows.
#[derive(Debug, Clone, Serialize)]
pub struct FleetStatus {
    /// The collector that leads; nothing as well where this host may not know.
    pub leader: Option<String>,
    /// The last one that has begun.
    pub term: Option<u64>,
    /// Seconds since the leader's last beat: since it was seen to come, or by the leader's clock where no daemon runs here.
    pub beat_age_seconds: Option<u64>,
    /// How far this machine's clock is from the leader's at least, seconds; known to a running daemon only.
    pub skew_seconds: Option<u64>,
    pub store: StoreHealth,
    /// What is published, by name.
    pub orders: Vec<RolloutStatus>,
    /// By name.
    pub hosts: Vec<HostStatus>,
    /// What is not in order, a sentence each, the most urgent first.
    pub findings: Vec<String>,
    /// How urgent each of them is.
    #[serde(skip)]
    urgencies: Vec<Urgency>,
    /// What this host may not see.
    #[serde(skip)]
    unseen: Option<&'static str>,
    /// Whether the store could be read.
    #[serde(skip)]
    is_read: bool,
    #[serde(skip)]
    unix: i64,
}

/// How a host stands in its fleet, as its daemon knows.
#[derive(Debug, Clone, Serialize)]
pub struct FleetStanding {
    /// `collector` or `follower`.
    pub role: String,
    pub name: String,
    pub store: StoreHealth,
    /// The collector that leads; a follower does not know.
    pub leader: Option<String>,
    pub term: Option<u64>,
}

impl FleetStanding {
    pub(super) fn new(vitals: &FleetVitals) -> FleetStanding {
        FleetStanding {
            role: vitals.role.to_string(),
            name: vitals.name.to_string(),
            store: vitals.store,
            leader: vitals.leader.as_deref().map(|leader| Untrusted::new(leader).to_string()),
            term: vitals.term,
        }
    }

    fn is_collector(&self) -> bool {
        self.role == Role::WORDS[0]
    }

    /// Whether it is a collector, and another one leads, or none.
    pub(super) fn stands_by(&self) -> bool {
        self.is_collector() && self.leader.as_ref() != Some(&self.name)
    }

    /// `col-2 stands by; col-1 leads, in term 3; the store is ok`.
    pub(super) fn words(&self) -> String {
        let FleetStanding { role: _, name, store, leader, term } = self;
        let term = term.map(|term| format!(", in term {term}")).unwrap_or_default();
        let standing = match leader {
            _ if !self.is_collector() => format!("{name} takes what its fleet publishes"),
            Some(leader) if leader == name => format!("{name} leads its fleet{term}"),
            Some(leader) => format!("{name} stands by; {leader} leads its fleet{term}"),
            None => format!("{name} stands by; no collector leads its fleet"),
        };
        format!("{standing}; the store is {store}")
    }
}

/// How far the published generation of an order is.
#[derive(Debug, Clone, Serialize)]
pub struct RolloutStatus {
    pub name: String,
    pub group: String,
    pub generation: u64,
    /// SHA-256 of the certificate, lower-case hexadecimal.
    pub fingerprint: String,
    /// `rolling`, `held` or `done`.
    pub state: &'static str,
    /// The last wave that has begun, from 1 on.
    pub wave: usize,
    pub hosts: HostCounts,
    /// The hosts that hold it, and why; none where a person does.
    #[serde(skip)]
    held_by: Vec<String>,
    /// This collector does not have the order.
    #[serde(skip)]
    is_unknown: bool,
}

/// Each host that takes the order is one of them.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct HostCounts {
    pub done: usize,
    pub behind: usize,
    /// Failed or quarantined.
    pub failed: usize,
    pub silent: usize,
}

#[derive(Debug, Clone, Serialize)]
pub struct HostStatus {
    pub name: String,
    pub groups: Vec<String>,
    /// Its last sign of life by its own clock, RFC 3339.
    pub seen: Option<String>,
    /// Whether that was 15 minutes ago or longer.
    pub silent: bool,
    /// What it has reported of each order, by name.
    pub orders: Vec<ReportStatus>,
    /// [`HostStatus::seen`] as UNIX seconds.
    #[serde(skip)]
    heard: Option<i64>,
}

#[derive(Debug, Clone, Serialize)]
pub struct ReportStatus {
    pub name: String,
    pub generation: u64,
    /// `done`, `working`, `failed`, `quarantined`, `waits-for-key`, `waits-for-window` or `not-configured`.
    pub state: &'static str,
    /// May be empty.
    pub reason: String,
}

/// The rows of the store, read.
#[derive(Debug, Default)]
struct Rows {
    beat: Option<Beat>,
    fence: Option<Fence>,
    hosts: BTreeMap<String, HostRows>,
    published: BTreeMap<String, (String, Publication)>,
    goes: BTreeMap<String, Go>,
    /// What could not be read, a sentence each.
    wrong: Vec<String>,
}

#[derive(Debug, Default)]
struct HostRows {
    seen: Option<Seen>,
    reports: BTreeMap<String, Report>,
}

impl HostRows {
    /// By the host's clock, UNIX seconds.
    fn heard(&self) -> Option<i64> {
        let reports = self.reports.values().map(|report| report.at.0);
        reports.chain(self.seen.iter().map(|seen| seen.at.0)).max()
    }
}

impl Rows {
    fn read<'a>(all: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Rows {
        let mut rows = Rows::default();
        for (key, value) in all {
            if let Err(why) = rows.take(key, value) {
                rows.wrong.push(format!("the row {} of the store: {why}", Untrusted::new(key)));
            }
        }
        rows
    }

    fn take(&mut self, key: &str, value: &[u8]) -> Result<(), String> {
        fn said(why: impl ToString) -> String {
            Untrusted::new(&why.to_string()).to_string()
        }
        match Key::parse(key) {
            Some(Key::Lease) => self.beat = Some(Beat::read(value).map_err(said)?),
            Some(Key::Term) => self.fence = Some(Fence::read(value).map_err(said)?),
            Some(Key::Seen { host }) => {
                self.hosts.entry(host.into()).or_default().seen = Some(Seen::read(value).map_err(said)?);
            }
            Some(Key::Report { host, order }) => {
                let report = Report::read(value).map_err(said)?;
                self.hosts.entry(host.into()).or_default().reports.insert(order.into(), report);
            }
            Some(Key::Publication { group, order }) => {
                let publication = Publication::read(order, value).map_err(said)?;
                self.published.insert(order.into(), (group.into(), publication));
            }
            Some(Key::Go { order, .. }) => {
                self.goes.insert(order.into(), Go::read(value).map_err(said)?);
            }
            Some(
                Key::Meta | Key::Salt | Key::Commit | Key::Row { .. } | Key::Chain(_) | Key::Hint { .. },
            )
            | None => {}
        }
        Ok(())
    }
}

impl FleetStatus {
    /// From all rows that this host may read. `vitals` is what its daemon knows, if one runs; `back` why the store is not
    /// to be gone on with, if nobody has accepted that.
    pub fn new<'a>(
        config: &Config,
        fleet: &Fleet,
        name: &str,
        rows: impl IntoIterator<Item = (&'a str, &'a [u8])>,
        vitals: Option<&FleetVitals>,
        back: Option<&str>,
        now: Now,
    ) -> FleetStatus {
        let rows = Rows::read(rows);
        let settings = match &fleet.role {
            Role::Collector(settings) => Some(settings),
            Role::Follower => None,
        };
        let mut status = FleetStatus::blank(fleet, name, vitals, now);
        // This command has read the store; the daemon may still fail to write there.
        let health = vitals.map(|vitals| vitals.store);
        let health = health.filter(|health| matches!(health, StoreHealth::Full | StoreHealth::Away));
        status.store = match back {
            Some(_) => StoreHealth::Behind,
            None => health.unwrap_or(StoreHealth::Ok),
        };
        if let Some(settings) = settings {
            status.lead(settings, &rows, vitals, now);
        }
        if let Some(vitals) = vitals.filter(|vitals| vitals.store == StoreHealth::Away) {
            let why = vitals.trouble.as_deref().unwrap_or("no answer");
            status.find(Urgency::Critical, format!("certcollectd on {name} cannot use the store: {why}"));
        }
        let silent = |host: &HostRows| {
            host.heard()
                .is_none_or(|heard| now.unix() - heard >= i64::try_from(SILENT.as_secs()).unwrap_or(0))
        };
        let configured: HashSet<&str> = config.orders.iter().map(|order| &*order.name).collect();
        for (order, (group, publication)) in &rows.published {
            let mut rollout = rollout(settings, &rows, order, group, publication, now);
            // A follower may leave an order of its groups to other hosts.
            rollout.is_unknown = settings.is_some() && !configured.contains(&**order);
            status.orders.push(rollout);
        }
        for (host, known) in &rows.hosts {
            status.hosts.push(HostStatus::new(host, known, silent(known)));
        }
        status.judge(back, rows.wrong);
        status
    }

    /// Of a store that cannot be read, with what the daemon of this host knows.
    pub fn away(fleet: &Fleet, name: &str, why: &str, vitals: Option<&FleetVitals>, now: Now) -> FleetStatus {
        let mut status = FleetStatus::blank(fleet, name, vitals, now);
        if let Some(vitals) = vitals {
            status.leader = vitals.leader.as_deref().map(|leader| Untrusted::new(leader).to_string());
            (status.term, status.beat_age_seconds) = (vitals.term, vitals.beat_age_seconds);
        }
        (status.store, status.is_read) = (StoreHealth::Away, false);
        status.find(Urgency::Critical, format!("the fleet's store cannot be read: {why}"));
        status
    }

    fn blank(fleet: &Fleet, name: &str, vitals: Option<&FleetVitals>, now: Now) -> FleetStatus {
        let unseen = match fleet.role {
            Role::Collector(_) => None,
            Role::Follower => Some(
                "this host is a follower: it sees what is published for its groups, and itself; run it on a collector to see \
                 who leads and the other hosts",
            ),
        };
        let mut status = FleetStatus {
            leader: None,
            term: None,
            beat_age_seconds: None,
            skew_seconds: vitals.and_then(|vitals| vitals.skew_seconds),
            store: StoreHealth::Ok,
            orders: Vec::new(),
            hosts: Vec::new(),
            findings: Vec::new(),
            urgencies: Vec::new(),
            unseen,
            is_read: true,
            unix: now.unix(),
        };
        if let Some(skew) = status.skew_seconds.filter(|skew| *skew > MOST_SKEW.as_secs()) {
            status.find(
                Urgency::Warning,
                format!(
                    "the clock of {name} is {skew} s from the leader's: it does not stand for election until that is right"
                ),
            );
        }
        status
    }

    fn find(&mut self, urgency: Urgency, finding: String) {
        let at = self.urgencies.partition_point(|known| *known >= urgency);
        self.urgencies.insert(at, urgency);
        self.findings.insert(at, finding);
    }

    /// Who leads, by the rows.
    fn lead(&mut self, settings: &Collector, rows: &Rows, vitals: Option<&FleetVitals>, now: Now) {
        self.term = rows.beat.as_ref().map(|beat| beat.term).max(rows.fence.as_ref().map(|fence| fence.term));
        let Some(beat) = &rows.beat else {
            return self.find(Urgency::Critical, "no collector leads, and none has yet".into());
        };
        let host = Untrusted::new(&beat.host);
        if beat.released {
            return self.find(
                Urgency::Critical,
                format!("no collector leads: {host} has ended in order, and none has taken over"),
            );
        }
        let seen = vitals.filter(|vitals| vitals.term == Some(beat.term));
        let seen = seen.and_then(|vitals| vitals.beat_age_seconds);
        let said = now.wall.saturating_sub(beat.at_ms).max(0).unsigned_abs() / 1000;
        let age = seen.unwrap_or(said);
        self.beat_age_seconds = Some(age);
        // By two clocks, it may be younger by as much as they may be apart.
        let slack = if seen.is_some() { Duration::ZERO } else { MOST_SKEW };
        if Duration::from_secs(age) > settings.lease + slack {
            let ago = in_words(Duration::from_secs(age));
            self.find(
                Urgency::Critical,
                format!("no collector leads: the last beat of {host} was {ago} ago"),
            );
        } else {
            self.leader = Some(host.to_string());
        }
    }

    fn judge(&mut self, back: Option<&str>, wrong: Vec<String>) {
        if let Some(why) = back {
            self.find(
                Urgency::Critical,
                format!("{why}; `certcollectd fleet accept-restore` goes on with it as it is"),
            );
        }
        if self.store == StoreHealth::Full {
            let why = "the fleet's store is full, so nothing is collected or published; compact it and raise its quota";
            self.find(Urgency::Critical, why.into());
        }
        let unknown: Vec<&str> =
            self.orders.iter().filter(|order| order.is_unknown).map(|order| &*order.name).collect();
        if !unknown.is_empty() {
            let text = format!(
                "published, and not in this collector's configuration: {}; where it leads, no further host is let in. Put them \
                 back, or end each by `certcollectd forget NAME`",
                some(&unknown)
            );
            self.find(Urgency::Warning, text);
        }
        let is_held =
            |order: &&RolloutStatus| !order.is_unknown && order.state == rollout::State::Held.as_str();
        let held: Vec<(Urgency, String)> =
            self.orders.iter().filter(is_held).map(RolloutStatus::hold).collect();
        for (urgency, text) in held {
            self.find(urgency, text);
        }
        let silent: Vec<&str> =
            self.hosts.iter().filter(|host| host.silent).map(|host| &*host.name).collect();
        if !silent.is_empty() {
            let text = format!(
                "silent for {} or longer: {}; start certcollectd there, or `certcollectd fleet forget HOST` if it is gone",
                in_words(SILENT),
                some(&silent)
            );
            self.find(Urgency::Warning, text);
        }
        for text in wrong {
            self.find(Urgency::Warning, text);
        }
    }

    /// For machines.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("strings, numbers and lists")
    }

    /// For people: who leads, the roll-outs, the hosts that are not in order, and what to do.
    pub fn text(&self, screen: &Screen) -> String {
        let mut text = self.head() + "\n";
        if !self.orders.is_empty() {
            let headings =
                ["ORDER", "GROUP", "GENERATION", "STATE", "WAVE", "DONE", "BEHIND", "FAILED", "SILENT"];
            text += &table(headings, self.orders.iter().map(RolloutStatus::row), screen);
        }
        let open: Vec<&HostStatus> = self.hosts.iter().filter(|host| !host.is_well()).collect();
        if !open.is_empty() {
            let rows = open.iter().map(|host| host.row(self.unix));
            text += &table(["HOST", "GROUPS", "SEEN", "NOT DONE"], rows, screen);
        }
        let well = self.hosts.len() - open.len();
        if well > 0 {
            text += &format!("\n{} in order\n", count(well, "host"));
        }
        for (finding, urgency) in self.findings.iter().zip(&self.urgencies) {
            let finding = wrapped(finding, screen.columns, 0);
            text += &format!("\n{}\n", screen.paint(style_of(*urgency), &finding));
        }
        if let Some(unseen) = self.unseen {
            text += &format!("\n{}\n", wrapped(unseen, screen.columns, 0));
        }
        text
    }

    fn head(&self) -> String {
        let term = self.term.map(|term| format!(", term {term}")).unwrap_or_default();
        let beat = self.beat_age_seconds.map(Duration::from_secs).map(in_words);
        let beat = beat.map(|ago| format!(", last beat {ago} ago")).unwrap_or_default();
        let skew = self.skew_seconds.map(|skew| format!(", clocks {skew} s apart")).unwrap_or_default();
        match (&self.leader, self.unseen) {
            (Some(leader), _) => format!("{leader} leads{term}{beat}{skew}; the store is {}", self.store),
            (None, None) if !self.is_read() => format!("who leads is unknown; the store is {}", self.store),
            (None, None) => format!("no collector leads{term}{beat}{skew}; the store is {}", self.store),
            (None, Some(_)) => format!("the store is {}", self.store),
        }
    }

    /// How far an order has come: the published generation, its wave, and what that waits for.
    pub(super) fn explain(&self, order: &str) -> Vec<String> {
        if !self.is_read() {
            return self
                .findings
                .iter()
                .map(|finding| format!("It is unknown how far it is: {finding}."))
                .collect();
        }
        let Some(known) = self.orders.iter().find(|known| known.name == order) else {
            return vec!["No collector has published anything of it.".into()];
        };
        let RolloutStatus { generation, group, wave, hosts, .. } = known;
        let mut lines = vec![match self.unseen {
            None => format!(
                "Generation {generation} is published for the group {group}, and is {} in wave {wave}: {} done, {} behind, {} \
                 failed, {} silent.",
                known.state, hosts.done, hosts.behind, hosts.failed, hosts.silent
            ),
            Some(_) => format!("Generation {generation} is published for the group {group}, in wave {wave}."),
        }];
        if known.state == rollout::State::Held.as_str() {
            lines.push(format!("{}.", known.hold().1));
        }
        let report = |host: &HostStatus| host.orders.iter().find(|report| report.name == order).cloned();
        if self.unseen.is_some() {
            let own = self.hosts.first().and_then(report).filter(|report| report.generation == *generation);
            lines.push(match own {
                Some(own) if own.is_done() => "This host has it.".into(),
                Some(own) if own.reason.is_empty() => format!("On this host it is {}.", own.state),
                Some(own) => {
                    format!("On this host it is {} ({}).", own.state, own.reason.trim_end_matches('.'))
                }
                None => "This host waits for its turn.".into(),
            });
        }
        lines
    }

    /// As a monitoring plugin says it.
    pub fn verdict(&self) -> (Verdict, String) {
        let worst = nagios::worst(self.urgencies.first().copied());
        let silent = self.hosts.iter().filter(|host| host.silent).count();
        let of =
            |state: rollout::State| self.orders.iter().filter(|order| order.state == state.as_str()).count();
        let well = format!("{}, {}", count(self.orders.len(), "order"), count(self.hosts.len(), "host"));
        let why: Vec<&str> = self.findings.iter().map(String::as_str).collect();
        let line = nagios::line(
            worst,
            &why,
            &well,
            &format!(
                "orders={} rolling={} held={} hosts={} silent={silent}",
                self.orders.len(),
                of(rollout::State::Rolling),
                of(rollout::State::Held),
                self.hosts.len()
            ),
        );
        (worst, line)
    }

    /// Whether the store could be read.
    pub fn is_read(&self) -> bool {
        self.is_read
    }
}

impl RolloutStatus {
    fn row(&self) -> [String; 9] {
        let HostCounts { done, behind, failed, silent } = self.hosts;
        let [generation, wave] = [self.generation.to_string(), self.wave.to_string()];
        let [done, behind, failed, silent] = [done, behind, failed, silent].map(|hosts| hosts.to_string());
        let state = self.state.to_owned();
        [self.name.clone(), self.group.clone(), generation, state, wave, done, behind, failed, silent]
    }

    /// Who holds it, why, and what to do.
    fn hold(&self) -> (Urgency, String) {
        let (name, generation) = (&self.name, self.generation);
        if self.held_by.is_empty() {
            let text = format!(
                "{name} is held at generation {generation} by somebody's word; `certcollectd fleet go {name}` has every host \
                 take it, `certcollectd fleet skip {name}` goes on in waves"
            );
            return (Urgency::Warning, text);
        }
        let text = format!(
            "{name} is held at generation {generation}: {}; mend that, or go on without: `certcollectd fleet skip {name}`",
            some(&self.held_by.iter().map(String::as_str).collect::<Vec<_>>())
        );
        (Urgency::Critical, text)
    }
}

/// Below an empty line, each row on one line of the screen.
fn table<const N: usize>(
    headings: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
    screen: &Screen,
) -> String {
    let rows: Vec<[String; N]> = std::iter::once(headings.map(str::to_owned)).chain(rows).collect();
    let lines = columns(&rows);
    let lines: String = lines.lines().map(|line| screen.cut(line) + "\n").collect();
    format!("\n{lines}")
}

/// How many of a list are named.
const NAMED: usize = 10;

fn some(all: &[&str]) -> String {
    let more = all.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", all[..all.len().min(NAMED)].join(", "))
}

/// Where a roll-out is; a follower knows of itself and of what the leader has let out.
fn rollout(
    settings: Option<&Collector>,
    rows: &Rows,
    order: &str,
    group: &str,
    publication: &Publication,
    now: Now,
) -> RolloutStatus {
    let takes =
        |host: &HostRows| host.seen.iter().any(|seen| seen.groups.iter().any(|known| **known == *group));
    let heard = |host: &HostRows| {
        // One whose clock is ahead has just been heard of.
        host.heard().map_or(Time::MIN, |heard| now.time_of(heard).min(now.time))
    };
    let hosts = rows.hosts.iter().filter(|(_, host)| takes(host));
    let hosts: Vec<Host<'_>> = hosts
        .map(|(name, host)| Host { name, heard: heard(host), report: host.reports.get(order) })
        .collect();
    let generation = publication.generation;
    let go = rows.goes.get(order);
    let waves = settings.map_or(&[][..], |settings| &settings.waves);
    let Rollout { go: _, state, wave, held_by, counts, again: _ } =
        advance(order, generation, waves, &hosts, go, now);
    let released = go.filter(|go| go.generation == generation);
    let (state, wave, held_by) = match settings {
        Some(_) => (state, wave, held_by),
        None => (told(released), released.map_or(0, Go::wave), Vec::new()),
    };
    let holder = |holder: &Holder| match holder.reason.as_str() {
        "" => format!("{} is {}", holder.host, holder.state),
        why => format!("{} is {} ({why})", holder.host, holder.state),
    };
    RolloutStatus {
        name: order.to_owned(),
        group: group.to_owned(),
        generation,
        fingerprint: publication.leaf.fingerprint().to_string(),
        state: state.as_str(),
        wave: wave + 1,
        hosts: HostCounts {
            done: counts.done,
            behind: counts.behind,
            failed: counts.failed,
            silent: counts.silent,
        },
        held_by: held_by.iter().map(holder).collect(),
        is_unknown: false,
    }
}

/// As far as the leader's row says it.
fn told(go: Option<&Go>) -> rollout::State {
    match go {
        Some(go) if go.word() == Some(Word::Hold) => rollout::State::Held,
        Some(go) if go.is_everywhere() => rollout::State::Done,
        Some(_) | None => rollout::State::Rolling,
    }
}

impl HostStatus {
    fn new(name: &str, rows: &HostRows, silent: bool) -> HostStatus {
        let groups = rows.seen.iter().flat_map(|seen| &seen.groups);
        let report = |(order, report): (&String, &Report)| ReportStatus {
            name: order.clone(),
            generation: report.generation,
            state: report.state.as_str(),
            reason: report.reason.to_string(),
        };
        HostStatus {
            name: name.to_owned(),
            groups: groups.map(ToString::to_string).collect(),
            seen: rows.heard().map(rfc3339),
            silent,
            orders: rows.reports.iter().map(report).collect(),
            heard: rows.heard(),
        }
    }

    fn is_well(&self) -> bool {
        !self.silent && self.orders.iter().all(ReportStatus::is_over)
    }

    fn row(&self, unix: i64) -> [String; 4] {
        let ago = self.heard.map(|heard| unix.saturating_sub(heard).max(0).unsigned_abs());
        let ago = ago.map(|ago| format!("{} ago", in_words(Duration::from_secs(ago))));
        let seen = ago.unwrap_or_else(|| "never".to_owned());
        let open = self.orders.iter().filter(|report| !report.is_over());
        let open: Vec<String> = open
            .map(|report| {
                let why = if report.reason.is_empty() { "" } else { ": " };
                format!("{} {} {}{why}{}", report.name, report.generation, report.state, report.reason)
            })
            .collect();
        [self.name.clone(), self.groups.join(" "), seen, open.join("; ")]
    }
}

impl ReportStatus {
    fn is_done(&self) -> bool {
        self.state == State::Done.as_str()
    }

    /// Nothing more is to come of it.
    fn is_over(&self) -> bool {
        self.is_done() || self.state == State::NotConfigured.as_str()
    }
}
