//! Keeps the lease: carries out what [`Lease`] decides, and tells the others in the process how it stands.

use std::rc::Rc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::time::sleep;

use super::{Commit, Committed, Compare, Row, Shared, Trouble};
use crate::effects::call::Leave;
use certcollectd_core::engine::time::{Now, Time};
use certcollectd_core::fleet::keys::Key;
use certcollectd_core::fleet::lease::{Beat, Fence, Lease, Rows, Step, WentBack, Write, Written};

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
    /// What the store shows now is to be gone on with, although it showed more before.
    AcceptRestore,
}

/// Both rows as they were read: one that somebody wrote by hand is replaced as it is.
#[derive(Debug, Default)]
struct Read {
    rows: Rows,
    beat: Option<Vec<u8>>,
    fence: Option<Vec<u8>>,
}

#[derive(Debug)]
pub struct Keeper {
    pub shared: Rc<Shared>,
    pub lease: Lease,
    pub clock: fn() -> Now,
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
                Step::Write(write) => self.write(&write, &read).await,
                Step::Wait(until) => {
                    self.tell(None);
                    let nap = until.since(now.time).clamp(Duration::from_millis(1), SLICE);
                    tokio::select! {
                        request = self.requests.recv() => match request {
                            Some(request) => self.carry_out(request, &read).await,
                            None => return,
                        },
                        () = sleep(nap) => {}
                    }
                }
            }
        }
    }

    async fn look(&mut self, read: &mut Read) {
        let keys = [Key::Lease, Key::Term].map(|key| key.to_string());
        let found = self.shared.get(&keys.each_ref().map(String::as_str)).await.and_then(parse);
        let now = (self.clock)();
        match found {
            Ok(found) => {
                self.lease.looked(found.rows.clone(), now);
                *read = found;
                self.tell(Some(None));
            }
            Err(trouble) => {
                self.lease.unreadable(now.time);
                self.tell(Some(Some(trouble)));
            }
        }
    }

    async fn write(&mut self, write: &Write, read: &Read) {
        let commit = commit(write, read);
        let sent = (self.clock)().time;
        let (written, trouble) = match self.shared.commit(&commit).await {
            Committed::Done => (Written::Done, None),
            Committed::Fenced => (Written::Perhaps, None),
            Committed::Refused(trouble) | Committed::Unknown(trouble) => (Written::Perhaps, Some(trouble)),
        };
        self.lease.wrote(write, written, sent, (self.clock)().time);
        self.tell(Some(trouble));
    }

    async fn carry_out(&mut self, request: Request, read: &Read) {
        match request {
            Request::AcceptRestore => self.lease.accept_restore(),
            Request::Release(done) => {
                let write = self.lease.release((self.clock)());
                // Nothing begins any more, whatever becomes of the row.
                self.tell(None);
                if let Some(write) = write {
                    self.write(&write, read).await;
                }
                // The requester may have gone away.
                let _ = done.send(());
            }
        }
    }

    /// `trouble` where there is news of it.
    fn tell(&self, trouble: Option<Option<Trouble>>) {
        let now = (self.clock)();
        let fence = self.lease.fence().map(|fence| serde_json::to_vec(fence).expect("strings and numbers"));
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
            let trouble = trouble.unwrap_or_else(|| standing.trouble.clone());
            let (skew, went_back) = (self.lease.skew(now), self.lease.went_back());
            let new = Standing { term, leader, skew, went_back, trouble };
            let changed = *standing != new;
            *standing = new;
            changed
        });
    }
}

fn parse(values: Vec<Option<Vec<u8>>>) -> Result<Read, Trouble> {
    fn row<T: serde::de::DeserializeOwned>(
        key: Key<'_>,
        value: Option<&Vec<u8>>,
    ) -> Result<Option<T>, Trouble> {
        let read = value.map(|value| serde_json::from_slice(value)).transpose();
        read.map_err(|error| {
            Trouble::Other(format!(
                "the row {key} of the store is not this program's ({error}); if no collector of a newer version runs, and no \
                 other program writes there, delete it"
            ))
        })
    }
    let [beat, fence] = <[Option<Vec<u8>>; 2]>::try_from(values).expect("two rows were asked for");
    let rows = Rows { beat: row(Key::Lease, beat.as_ref())?, fence: row(Key::Term, fence.as_ref())? };
    Ok(Read { rows, beat, fence })
}

fn commit(write: &Write, read: &Read) -> Commit {
    let json = |row: &Beat| serde_json::to_vec(row).expect("strings and numbers");
    let fence = |row: &Fence| serde_json::to_vec(row).expect("strings and numbers");
    let Write { expected, beat, fence: next } = write;
    let known =
        |same: bool, raw: &Option<Vec<u8>>, made: Option<Vec<u8>>| if same { raw.clone() } else { made };
    let expect = |key: Key<'_>, value| Compare { key: key.to_string(), value };
    let put = |key: Key<'_>, value| Row { key: key.to_string(), value };
    Commit {
        expected: vec![
            expect(
                Key::Lease,
                known(expected.beat == read.rows.beat, &read.beat, expected.beat.as_ref().map(json)),
            ),
            expect(
                Key::Term,
                known(expected.fence == read.rows.fence, &read.fence, expected.fence.as_ref().map(fence)),
            ),
        ],
        puts: vec![put(Key::Lease, json(beat)), put(Key::Term, fence(next))],
        deletes: Vec::new(),
    }
}
