//! Which collector leads, and until when it may begin a call.
//!
//! The lease is a row with a heartbeat, judged by each process with its own clock of the time since boot. No clock of the
//! store or of another host takes part, and no lock or lease of the store: only compare-and-set. The leader counts
//! from the moment before its beat was sent, the others from the moment after they received the row. So the leader's time is
//! over first, whatever is lost or delayed, as long as no two clocks run apart by more than a thousandth.
//!
//! What counts is what was seen without a break. Between two looks far apart another one may have led, and the store may
//! have been put back to the rows of the first.
//!
//! The term and the process that took it are a second row, the fence: whatever the leader writes is written on the condition
//! that the fence is still its own.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::engine::time::{Now, Time};
use crate::fleet::form::{self, Malformed};

/// A candidate waits so much longer for each second of the lease: the rates of two clocks differ by less.
const DRIFT: Duration = Duration::from_millis(1);
/// A clock further from the leader's than this would move due times.
pub const MOST_SKEW: Duration = Duration::from_secs(10);

/// How long things last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// From a beat until its sender must not call any more.
    pub lease: Duration,
    /// Between two beats.
    pub beat: Duration,
    /// From the beginning of a call until nothing of it can reach the vendor any more, and a margin.
    pub call: Duration,
}

impl Limits {
    /// How often the others look at the row, and the leader after a beat whose fate it does not know.
    fn look(&self) -> Duration {
        self.beat / 4
    }

    /// The longest time between two looks without a break: one request may fail.
    fn unbroken(&self) -> Duration {
        (self.beat * 2).max(self.lease / 4)
    }

    /// How long the same row must have been there for another process to take over.
    fn patience(&self, beat: Option<&Beat>) -> Duration {
        let lease = self.lease.max(Duration::from_millis(beat.map_or(0, |beat| beat.lease_ms)));
        let seconds = u32::try_from(lease.as_secs() + 1).unwrap_or(u32::MAX);
        lease.saturating_add(DRIFT.saturating_mul(seconds))
    }
}

/// A process that may lead: another one after each start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The host's name in the fleet.
    pub host: Box<str>,
    /// Random.
    pub process: Box<str>,
}

/// The row that beats.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Beat {
    /// The host that leads.
    pub host: Box<str>,
    pub process: Box<str>,
    pub term: u64,
    /// Counts the beats of this term.
    pub beat: u64,
    /// What the leader's clock showed, UNIX milliseconds.
    pub at_ms: i64,
    /// How long the leader may go on after it, milliseconds: hosts may be configured differently.
    #[serde(default)]
    pub lease_ms: u64,
    /// The leader has ended in order: nobody needs to wait.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub released: bool,
}

/// The row that changes with the leader only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fence {
    pub term: u64,
    pub process: Box<str>,
}

/// The longest of these rows, in octets.
const MOST_OCTETS: usize = 4 * 1024;

impl Beat {
    pub fn read(bytes: &[u8]) -> Result<Beat, Malformed> {
        form::read(bytes, MOST_OCTETS)
    }

    pub fn to_row(&self) -> Vec<u8> {
        form::written(self)
    }
}

impl Fence {
    pub fn read(bytes: &[u8]) -> Result<Fence, Malformed> {
        form::read(bytes, MOST_OCTETS)
    }

    pub fn to_row(&self) -> Vec<u8> {
        form::written(self)
    }
}

/// Both rows, read together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows {
    pub beat: Option<Beat>,
    pub fence: Option<Fence>,
}

impl Rows {
    /// The highest term that they show; 0 where there is none.
    pub fn term(&self) -> u64 {
        let beat = self.beat.as_ref().map_or(0, |beat| beat.term);
        self.fence.as_ref().map_or(0, |fence| fence.term).max(beat)
    }
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Read both rows, then [`Lease::looked`].
    Look,
    /// One compare-and-set, then [`Lease::wrote`].
    Write(Write),
    /// Come back then.
    Wait(Time),
}

/// Both rows are written if both are as expected; otherwise neither.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    pub expected: Rows,
    pub beat: Beat,
    pub fence: Fence,
}

/// What became of a [`Write`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// The store says that it is durable.
    Done,
    /// The rows were not as expected, the store did not take it, or nobody knows.
    Perhaps,
}

/// The store shows less than it showed before: it was restored from a copy, or is another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WentBack {
    /// The highest term that was seen.
    pub seen: u64,
    /// The term that it shows now.
    pub found: u64,
}

/// One process's view of the lease.
#[derive(Debug)]
pub struct Lease {
    me: Candidate,
    limits: Limits,
    standing: Standing,
    /// The highest term that was seen, by this process or one before it.
    highest: u64,
    /// Not a candidate before this: it has stepped down.
    stands_from: Time,
    /// The next look at the store is not before this.
    looks_from: Time,
    /// What the leader's clock showed at the moment zero of this one, by the last two beats that were seen to come: the
    /// least and the most. One that was long on its way says too little.
    leader_clock: [Option<(i64, i64)>; 2],
    went_back: Option<WentBack>,
}

#[derive(Debug)]
enum Standing {
    Standby(Option<Seen>),
    Leading(Tenure),
}

/// The rows that are there, in another's term or in nobody's.
#[derive(Debug)]
struct Seen {
    rows: Rows,
    /// When they were first received as they are, since the last break.
    since: Time,
    /// The rows before them were there at the look before: they are not from a copy.
    came: bool,
    looked: Time,
    /// Nothing was written since that look.
    is_fresh: bool,
}

#[derive(Debug)]
struct Tenure {
    /// The last beat that is known to be in the store; none after one whose fate is unknown.
    known: Option<Beat>,
    fence: Fence,
    /// The last beat that was acknowledged.
    acknowledged: u64,
    /// The last one that was sent.
    sent: u64,
    next: Time,
    /// Nothing of a call may reach the vendor after this.
    deadline: Time,
}

impl Lease {
    /// `highest` is the highest term that a process before this one has seen here.
    pub fn new(me: Candidate, limits: Limits, highest: u64) -> Lease {
        let standing = Standing::Standby(None);
        Lease {
            me,
            limits,
            standing,
            highest,
            stands_from: Time::MIN,
            looks_from: Time::MIN,
            leader_clock: [None; 2],
            went_back: None,
        }
    }

    /// The term in which this process leads.
    pub fn term(&self, now: Time) -> Option<u64> {
        self.tenure().filter(|tenure| now < tenure.deadline).map(|tenure| tenure.fence.term)
    }

    /// The condition of everything that the leader writes.
    pub fn fence(&self) -> Option<&Fence> {
        self.tenure().map(|tenure| &tenure.fence)
    }

    /// The last moment at which a call may begin.
    pub fn calls_until(&self) -> Option<Time> {
        self.tenure().map(|tenure| tenure.deadline - self.limits.call)
    }

    pub fn highest(&self) -> u64 {
        self.highest
    }

    /// How far this machine's clock is from the leader's at least; unknown until a beat was seen to come.
    pub fn skew(&self, now: Now) -> Option<Duration> {
        let apart = |&(least, most): &(i64, i64)| {
            let offset = now.offset();
            let apart = least.saturating_sub(offset).max(offset.saturating_sub(most)).max(0);
            Duration::from_millis(apart.unsigned_abs())
        };
        self.leader_clock.iter().flatten().map(apart).min()
    }

    pub fn went_back(&self) -> Option<WentBack> {
        self.went_back
    }

    /// Who leads, by the rows that were seen last.
    pub fn leader(&self) -> Option<&Beat> {
        let beat = match &self.standing {
            Standing::Standby(seen) => seen.as_ref()?.rows.beat.as_ref()?,
            Standing::Leading(tenure) => tenure.known.as_ref()?,
        };
        Some(beat).filter(|beat| !beat.released)
    }

    fn tenure(&self) -> Option<&Tenure> {
        match &self.standing {
            Standing::Leading(tenure) => Some(tenure),
            Standing::Standby(_) => None,
        }
    }

    /// What to do now; one thing at a time.
    pub fn step(&mut self, now: Now) -> Step {
        if self.tenure().is_some_and(|tenure| now.time >= tenure.deadline) {
            self.standing = Standing::Standby(None);
        }
        match &mut self.standing {
            Standing::Leading(tenure) if now.time < tenure.next => {
                Step::Wait(tenure.next.min(tenure.deadline))
            }
            Standing::Leading(tenure) => match &tenure.known {
                None => Step::Look,
                Some(known) => Step::Write(beat(&self.limits, tenure, known.clone(), false, now)),
            },
            Standing::Standby(_) => self.stand_by(now),
        }
    }

    fn stand_by(&self, now: Now) -> Step {
        let skewed = self.is_skewed(now);
        let from = match &self.standing {
            Standing::Standby(Some(seen)) if !skewed && self.went_back.is_none() => {
                let from = self.may_take_over(seen);
                let is_fresh = seen.is_fresh && now.time.since(seen.looked) < self.limits.look();
                if from <= now.time && is_fresh {
                    return Step::Write(take_over(&self.me, &self.limits, &seen.rows, self.highest, now));
                }
                Some(from).filter(|from| *from > now.time && is_fresh)
            }
            Standing::Standby(_) | Standing::Leading(_) => None,
        };
        if self.looks_from <= now.time {
            return Step::Look;
        }
        Step::Wait(from.map_or(self.looks_from, |from| from.min(self.looks_from)))
    }

    /// Nobody knows whose clock is wrong, so once the leader has been gone for as long again, whoever is there must do.
    fn is_skewed(&self, now: Now) -> bool {
        let is_gone = match &self.standing {
            Standing::Standby(Some(seen)) => {
                now.time >= seen.since + self.limits.patience(seen.rows.beat.as_ref()) + self.limits.lease
            }
            Standing::Standby(None) | Standing::Leading(_) => false,
        };
        !is_gone && self.skew(now).is_some_and(|skew| skew > MOST_SKEW)
    }

    /// From when on these rows may be replaced.
    fn may_take_over(&self, seen: &Seen) -> Time {
        let released = seen.came && seen.rows.beat.as_ref().is_some_and(|beat| beat.released);
        let over =
            if released { seen.since } else { seen.since + self.limits.patience(seen.rows.beat.as_ref()) };
        over.max(self.stands_from)
    }

    /// What the store holds, received at `now`.
    pub fn looked(&mut self, rows: Rows, now: Now) {
        self.looks_from = now.time + self.limits.look();
        let found = rows.term();
        if found < self.highest {
            return self.stop(found);
        }
        self.highest = found;
        match &mut self.standing {
            Standing::Leading(tenure) => match rows.beat {
                // Ours, sent late or never acknowledged.
                Some(beat)
                    if rows.fence.as_ref() == Some(&tenure.fence)
                        && beat.process == self.me.process
                        && beat.beat <= tenure.sent =>
                {
                    if beat.beat < tenure.acknowledged {
                        return self.stop(found);
                    }
                    tenure.known = Some(beat);
                }
                _ => self.standing = Standing::Standby(None),
            },
            Standing::Standby(Some(seen)) if seen.rows == rows => {
                if now.time.since(seen.looked) >= self.limits.unbroken() {
                    (seen.since, seen.came) = (now.time, false);
                }
                (seen.looked, seen.is_fresh) = (now.time, true);
            }
            Standing::Standby(before) => {
                let mut came = false;
                if let Some(before) = before {
                    let unbroken = now.time.since(before.looked) < self.limits.unbroken();
                    came = unbroken && before.rows.beat.is_some();
                    if is_earlier(&before.rows, &rows) {
                        return self.stop(found);
                    }
                    // It was written between the two looks.
                    if let Some(beat) = &rows.beat {
                        let at = |time: Time| beat.at_ms.saturating_sub(time.0);
                        self.leader_clock = [Some((at(now.time), at(before.looked))), self.leader_clock[0]];
                    }
                }
                *before = Some(Seen { rows, since: now.time, came, looked: now.time, is_fresh: true });
            }
        }
    }

    /// What became of a write that was sent at `sent`; `now` is when that was known.
    pub fn wrote(&mut self, write: &Write, outcome: Written, sent: Time, now: Time) {
        if write.beat.released {
            // It leads no more, whatever became of that.
            return;
        }
        let deadline = sent + self.limits.lease;
        match (&mut self.standing, outcome) {
            // It has ended in between: what belonged to it is given up.
            (Standing::Leading(tenure), Written::Done) if now >= tenure.deadline => {
                self.standing = Standing::Standby(None);
            }
            (Standing::Leading(tenure), Written::Done) => {
                tenure.acknowledged = write.beat.beat;
                tenure.known = Some(write.beat.clone());
                tenure.deadline = deadline;
                tenure.next = sent + self.limits.beat;
            }
            (Standing::Leading(tenure), Written::Perhaps) => {
                tenure.known = None;
                tenure.next = now + self.limits.look();
            }
            (Standing::Standby(_), Written::Done) => {
                self.highest = write.fence.term;
                self.standing = Standing::Leading(Tenure {
                    known: Some(write.beat.clone()),
                    fence: write.fence.clone(),
                    acknowledged: write.beat.beat,
                    sent: write.beat.beat,
                    next: sent + self.limits.beat,
                    deadline,
                });
            }
            // If it is there all the same, it is a row like any other.
            (Standing::Standby(seen), Written::Perhaps) => {
                self.looks_from = now + self.limits.look();
                if let Some(seen) = seen {
                    seen.is_fresh = false;
                }
            }
        }
    }

    /// The store could not be read.
    pub fn unreadable(&mut self, now: Time) {
        self.looks_from = now + self.limits.look();
        if let Standing::Leading(tenure) = &mut self.standing {
            tenure.next = self.looks_from;
        }
    }

    /// Leads no more from now on; nothing may be under way. Gives the write after which whoever comes next need not wait,
    /// if it can be made; nothing depends on its end.
    pub fn release(&mut self, now: Now) -> Option<Write> {
        let ended = std::mem::replace(&mut self.standing, Standing::Standby(None));
        match ended {
            Standing::Leading(mut tenure) => {
                self.stands_from = now.time + self.limits.lease;
                let known = tenure.known.clone().filter(|_| now.time < tenure.deadline)?;
                Some(beat(&self.limits, &mut tenure, known, true, now))
            }
            Standing::Standby(seen) => {
                self.standing = Standing::Standby(seen);
                None
            }
        }
    }

    /// A person says that what the store shows now is to be gone on with.
    pub fn accept_restore(&mut self) {
        if let Some(back) = self.went_back.take() {
            self.highest = back.found;
            self.standing = Standing::Standby(None);
        }
    }

    /// What this process has seen was another fleet's lease.
    pub fn begin_anew(&mut self) {
        *self = Lease { stands_from: self.stands_from, ..Lease::new(self.me.clone(), self.limits, 0) };
    }

    fn stop(&mut self, found: u64) {
        self.went_back = Some(WentBack { seen: self.highest, found });
        self.standing = Standing::Standby(None);
    }
}

fn beat(limits: &Limits, tenure: &mut Tenure, known: Beat, released: bool, now: Now) -> Write {
    tenure.sent += 1;
    tenure.next = now.time + limits.beat;
    Write {
        beat: Beat { beat: tenure.sent, at_ms: now.wall, released, ..known.clone() },
        fence: tenure.fence.clone(),
        expected: Rows { beat: Some(known), fence: Some(tenure.fence.clone()) },
    }
}

fn take_over(me: &Candidate, limits: &Limits, rows: &Rows, highest: u64, now: Now) -> Write {
    let term = highest.saturating_add(1);
    let (host, process) = (me.host.clone(), me.process.clone());
    Write {
        expected: rows.clone(),
        fence: Fence { term, process: process.clone() },
        beat: Beat {
            host,
            process,
            term,
            beat: 1,
            at_ms: now.wall,
            lease_ms: u64::try_from(limits.lease.as_millis()).unwrap_or(u64::MAX),
            released: false,
        },
    }
}

/// Whether `now` is from before `then`.
fn is_earlier(then: &Rows, now: &Rows) -> bool {
    match (&then.beat, &now.beat) {
        (Some(then), Some(now)) => {
            then.term == now.term && (then.process != now.process || now.beat < then.beat)
        }
        (Some(_), None) => true,
        (None, _) => false,
    }
}
