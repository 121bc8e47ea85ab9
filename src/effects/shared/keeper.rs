//! Keeps the lease: carries out what [`Lease`] decides, and tells the others in the process how it stands.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::time::sleep;

use super::{Commit, Committed, Compare, Reach, Row, Shared, Trouble};
use crate::effects::call::Leave;
use certcollectd_core::engine::time::{Now, Time};
use certcollectd_core::fleet::form::Malformed;
use certcollectd_core::fleet::keys::Key;
use certcollectd_core::fleet::lease::{Beat, Fence, Lease, Rows, Step, WentBack, Write, Written};
use certcollectd_core::fleet::published::Meta;

/// No sleep is longer: the runtime's timers stand still while the machine is suspended.
const SLICE: Duration = Duration::from_secs(1);

/// How the lease stands, as far as this process knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// This process leads; the rest of the row goes with what it writes.
    pub term: Option<Term>,
    /// Who leads, and since when that beat is known.
    pub leader: Option<(Beat, Time)>,
    /// How far this machine's clock is from the leader's at least.
    pub skew: Option<Duration>,
    pub went_back: Option<WentBack>,
    /// The id of the fleet that the store holds, once a leader has made one.
    pub fleet: Option<Box<str>>,
    /// It is another fleet than this host has been in.
    pub is_stranger: bool,
    /// Why the store cannot be read or written at present.
    pub trouble: Option<Trouble>,
}

/// A term in which this process leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    pub number: u64,
    /// The value of the row that everything written is compared with.
    pub fence: Vec<u8>,
    /// The last moment at which a call may begin.
    pub calls_until: Time,
}

/// What the keeper is asked for.
#[derive(Debug)]
pub enum Request {
    /// Leads no more; nothing of it is under way. Answered when that is written, or cannot be.
    Release(oneshot::Sender<()>),
    /// What the store shows now is to be gone on with, although it showed more before, or another fleet.
    AcceptRestore,
}

/// Both rows as they were read: one that somebody wrote by hand is replaced as it is.
#[derive(Debug, Default)]
struct Read {
    rows: Rows,
    beat: Option<Vec<u8>>,
    fence: Option<Vec<u8>>,
    /// The id of the fleet; none as well where its row cannot be read, which a takeover tells.
    fleet: Option<Box<str>>,
    /// The last beat that this process has tried to write.
    own: Option<Vec<u8>>,
}

#[derive(Debug)]
pub struct Keeper {
    pub shared: Rc<Shared>,
    pub lease: Lease,
    /// The id of the fleet that this host has been in. Never held while something is waited for.
    pub fleet: Rc<RefCell<Option<Box<str>>>>,
    pub clock: fn() -> Now,
    pub reach: Reach,
    pub standing: watch::Sender<Standing>,
    /// Calls begin with this.
    pub leave: Leave,
    pub requests: tokio::sync::mpsc::Receiver<Request>,
}

impl Keeper {
    /// Runs until nobody can ask for anything any more.
    pub async fn keep(mut self) {
        let mut read = Read::default();
        loop {
            let now = (self.clock)();
            match self.lease.step(now) {
                Step::Look => self.look(&mut read).await,
                Step::Write(write) => self.write(&write, &mut read).await,
                Step::Wait(until) => {
                    self.tell(&read);
                    let nap = until.since(now.time).clamp(Duration::from_millis(1), SLICE);
                    tokio::select! {
                        request = self.requests.recv() => match request {
                            Some(request) => self.carry_out(request, &mut read).await,
                            None => return,
                        },
                        () = sleep(nap) => {}
                    }
                }
            }
        }
    }

    async fn look(&mut self, read: &mut Read) {
        let keys = [Key::Lease, Key::Term, Key::Meta].map(|key| key.to_string());
        let found = self.shared.get(&keys.each_ref().map(String::as_str)).await.and_then(Read::parse);
        let now = (self.clock)();
        match found {
            Ok(found) => {
                // The rows of another fleet are another lease's.
                if self.is_stranger(&found) {
                    self.lease.unreadable(now.time);
                } else {
                    self.lease.looked(found.rows.clone(), now);
                }
                self.reach.unread = None;
                if found.beat != read.beat && found.beat != read.own {
                    // It writes for somebody.
                    self.reach.unwritten = None;
                }
                *read = Read { own: read.own.take(), ..found };
                self.tell(read);
            }
            Err(trouble) => {
                self.lease.unreadable(now.time);
                self.reach.unread = Some(trouble);
                self.tell(read);
            }
        }
    }

    async fn write(&mut self, write: &Write, read: &mut Read) {
        let commit = commit(write, read);
        let beat = Key::Lease.to_string();
        let beat = commit.puts.iter().find(|row| row.key == beat).map(|row| row.value.clone());
        let sent = (self.clock)().time;
        let (written, trouble) = match self.shared.commit(&commit).await {
            Committed::Done => (Written::Done, None),
            Committed::Fenced => (Written::Perhaps, None),
            Committed::Refused(trouble) | Committed::Unknown(trouble) => (Written::Perhaps, Some(trouble)),
        };
        read.own = beat;
        self.lease.wrote(write, written, sent, (self.clock)().time);
        self.reach.unwritten = trouble;
        self.tell(read);
    }

    async fn carry_out(&mut self, request: Request, read: &mut Read) {
        match request {
            Request::AcceptRestore if self.is_stranger(read) => {
                *self.fleet.borrow_mut() = None;
                self.lease.begin_anew();
            }
            Request::AcceptRestore => self.lease.accept_restore(),
            Request::Release(done) => {
                let write = self.lease.release((self.clock)());
                // Nothing begins any more, whatever becomes of the row.
                self.tell(read);
                if let Some(write) = write {
                    self.write(&write, read).await;
                }
                // The requester may have gone away.
                let _ = done.send(());
            }
        }
    }

    fn is_stranger(&self, read: &Read) -> bool {
        let known = self.fleet.borrow();
        known.is_some() && read.fleet.is_some() && *known != read.fleet
    }

    fn tell(&self, read: &Read) {
        let now = (self.clock)();
        let fence = self.lease.fence().map(Fence::to_row);
        let term = match (self.lease.term(now.time), fence, self.lease.calls_until()) {
            (Some(number), Some(fence), Some(calls_until)) => Some(Term { number, fence, calls_until }),
            _ => None,
        };
        self.leave.set(term.as_ref().map_or(Time::MIN, |term| term.calls_until));
        self.standing.send_if_modified(|standing| {
            let leader = self.lease.leader().map(|beat| match &standing.leader {
                Some((known, since)) if known == beat => (beat.clone(), *since),
                _ => (beat.clone(), now.time),
            });
            let trouble = self.reach.trouble().cloned();
            let (skew, went_back) = (self.lease.skew(now), self.lease.went_back());
            let (fleet, is_stranger) = (read.fleet.clone(), self.is_stranger(read));
            let new = Standing { term, leader, skew, went_back, fleet, is_stranger, trouble };
            let changed = *standing != new;
            *standing = new;
            changed
        });
    }
}

impl Read {
    fn parse(values: Vec<Option<Vec<u8>>>) -> Result<Read, Trouble> {
        let [beat, fence, meta] = <[_; 3]>::try_from(values).expect("three rows were asked for");
        let foreign = |key: Key<'_>, why: Malformed| {
            Trouble::Other(format!(
                "the row {key} of the store is not this program's ({why}); if no collector of a newer version runs, and no \
                 other program writes there, delete it"
            ))
        };
        let rows = Rows {
            beat: beat.as_deref().map(Beat::read).transpose().map_err(|why| foreign(Key::Lease, why))?,
            fence: fence.as_deref().map(Fence::read).transpose().map_err(|why| foreign(Key::Term, why))?,
        };
        let fleet = meta.and_then(|meta: Vec<u8>| Some(Meta::read(&meta).ok()?.id().into()));
        Ok(Read { rows, beat, fence, fleet, own: None })
    }

    /// What stands in the store where these rows are expected.
    fn expected(&self, rows: &Rows) -> [Compare; 2] {
        let raw =
            |same: bool, raw: &Option<Vec<u8>>, made: Option<Vec<u8>>| if same { raw.clone() } else { made };
        let beat = rows.beat.as_ref().map(Beat::to_row);
        let fence = rows.fence.as_ref().map(Fence::to_row);
        [
            Compare {
                key: Key::Lease.to_string(),
                value: raw(rows.beat == self.rows.beat, &self.beat, beat),
            },
            Compare {
                key: Key::Term.to_string(),
                value: raw(rows.fence == self.rows.fence, &self.fence, fence),
            },
        ]
    }
}

fn commit(write: &Write, read: &Read) -> Commit {
    let put = |key: Key<'_>, value| Row { key: key.to_string(), value };
    Commit {
        expected: read.expected(&write.expected).into(),
        puts: vec![put(Key::Lease, write.beat.to_row()), put(Key::Term, write.fence.to_row())],
        deletes: Vec::new(),
    }
}
