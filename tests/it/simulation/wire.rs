//! Between us and the vendor: a call is not over when we stop waiting for its answer, nor when the process ends.
//!
//! What was written and has no answer is lost, or was seen at once, or arrives at any moment up to the kernel's
//! user timeout after its end; a call that was under way when the process died, up to that long after its time limit.

use std::time::Duration;

use certcollectd_core::api::Failure;
use certcollectd_core::config::Cadence;
use certcollectd_core::engine::account::record::CredentialTag;
use certcollectd_core::engine::time::Time;

use super::Sim;
use crate::world::Say;

/// From so many refused logins in a row on that nobody heard of, the next one has to wait.
const SUSPICIOUS: usize = 2;

/// A call as it was written.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    /// Names it among all.
    id: u64,
    /// What it is about.
    pub(super) number: String,
    pub(super) began: Time,
    /// The password that was read for it.
    pub(super) tag: CredentialTag,
    pub(super) words: Words,
}

/// What somebody's word allows the one call that it is good for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words {
    /// A login although the last one was refused, or may have been.
    pub(super) login: bool,
    /// The order before its time.
    pub(super) early: bool,
}

/// How a call reaches the vendor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// There is no connection: the vendor sees nothing, and we know.
    None,
    /// At once, and the vendor is at work on it for as long as we wait.
    Direct,
    /// Without our knowing: not at all, or at some time.
    Unknown,
}

/// What happens at the vendor without us.
#[derive(Debug)]
pub(super) enum Distant {
    /// A call arrives that nobody waits for; it takes no time.
    Arrives(Sent),
    /// The vendor is done with a call whose caller has died.
    Done,
}

/// A call that nobody heard an answer to.
#[derive(Debug)]
pub(super) struct Unheard {
    id: u64,
    tag: CredentialTag,
    /// When we stopped waiting for it, if we did.
    end: Option<Time>,
    /// The vendor saw it, and refused the login.
    refused: bool,
}

impl Sim {
    /// A call is written; whatever word there was for it is used up.
    pub(super) fn send(&mut self, number: &str) -> Sent {
        let word = |sim: &mut Sim, of: &str| sim.allowed.remove(of);
        let login = word(self, "account");
        let early = word(self, number) | word(self, "account-order");
        let tag = self.world.credential.expect("there is a password");
        self.sent += 1;
        let sent = Sent {
            id: self.sent,
            number: number.to_owned(),
            began: self.world.now.time,
            tag,
            words: Words { login, early },
        };
        self.unheard.push(Unheard { id: sent.id, tag, end: None, refused: false });
        sent
    }

    /// How a call goes that will have this answer.
    pub(super) fn way(&mut self, answer: &Say) -> Way {
        match answer {
            Say::Fail(Failure::Connect(_)) => Way::None,
            Say::Fail(Failure::Timeout(_) | Failure::Broken(_)) if self.dice.one_in(2) => Way::Unknown,
            Say::Fail(_) | Say::Body(..) | Say::Later(..) => Way::Direct,
        }
    }

    /// Nobody knows what becomes of this call, which can arrive at any moment until then.
    pub(super) fn lose(&mut self, sent: Sent, until: Time) {
        if self.dice.one_in(4) {
            return self.note(format!("the call for {} is lost", sent.number));
        }
        let left = u64::try_from(until.0 - self.world.now.time.0).unwrap();
        // The last moment is the one that matters most.
        let after = if self.dice.one_in(4) { left } else { self.dice.below(left) };
        let at = self.world.now.time + Duration::from_millis(after);
        self.distant.push((at, Distant::Arrives(sent)));
    }

    /// The process dies with this call under way, of which the vendor saw nothing yet.
    pub(super) fn die_calling(&mut self, number: &str) {
        let sent = self.send(number);
        let until = sent.began + self.world.config.calls.request_timeout + self.world.config.calls.settle;
        self.lose(sent, until);
    }

    /// Calls under way end with the process; the vendor, who may be at work on one, does not know.
    pub(super) fn hang_up(&mut self) {
        let now = self.world.now.time;
        for unheard in self.unheard.iter_mut().filter(|unheard| unheard.end.is_none()) {
            unheard.end = Some(now);
        }
        let begun: Vec<Time> = self.pending.iter().filter_map(|(_, begun)| begun.at_vendor_since()).collect();
        for began in begun {
            let limit = began + self.world.config.calls.request_timeout;
            let left = u64::try_from(limit.0 - now.0).unwrap_or(0);
            let at = now + Duration::from_millis(self.dice.below(left + 1));
            self.distant.push((at, Distant::Done));
        }
    }

    /// The next thing at the vendor that is no doing of ours.
    pub(super) fn next_distant(&self) -> Option<Time> {
        self.distant.iter().map(|(at, _)| *at).min()
    }

    /// Lets time pass until then, with all that happens at the vendor meanwhile.
    pub(super) fn pass_until(&mut self, end: Time) {
        while let Some(at) = self.next_distant().filter(|at| *at <= end) {
            self.jump_to(at.max(self.world.now.time));
            let first = self.distant.iter().position(|(due, _)| *due == at).expect("there is one");
            match self.distant.remove(first).1 {
                Distant::Done => self.leave(),
                Distant::Arrives(sent) => {
                    self.late += 1;
                    self.note(format!("late, sent {:?} ago:", self.world.now.time.since(sent.began)));
                    self.arrive(&sent, false);
                    // As if it had never been under way: how long it takes is not the point.
                    self.in_flight -= 1;
                }
            }
        }
        self.jump_to(end);
    }

    fn jump_to(&mut self, time: Time) {
        let step = time.0 - self.world.now.time.0;
        self.world.now.time = time;
        self.world.now.wall += step;
    }

    /// The vendor is done with a call.
    pub(super) fn leave(&mut self) {
        self.in_flight -= 1;
        self.last_end = Some(self.world.now.time);
    }

    /// The answer to the call under way is here, or it is clear that none comes.
    pub(super) fn stop_waiting(&mut self, sent: &Sent, way: Way, heard: bool) {
        let now = self.world.now.time;
        if heard {
            self.unheard.clear();
        } else if way == Way::None {
            self.unheard.retain(|unheard| unheard.id != sent.id);
        } else if let Some(unheard) = self.unheard.iter_mut().find(|unheard| unheard.id == sent.id) {
            unheard.end = Some(now);
        }
    }

    /// The vendor refuses a login: two in a row can go unheard, then each has to wait, twice as long each time.
    pub(super) fn refuse(&mut self, sent: &Sent) {
        self.refused_logins += 1;
        let with_same = |unheard: &&mut Unheard| unheard.tag == sent.tag && unheard.id != sent.id;
        let before: Vec<_> =
            self.unheard.iter_mut().filter(with_same).filter(|other| other.refused).collect();
        let last_end = before.last().and_then(|last| last.end);
        let count = before.len();
        if let Some(this) = self.unheard.iter_mut().find(|unheard| unheard.id == sent.id) {
            this.refused = true;
        }
        if count < SUSPICIOUS || sent.words.login {
            return;
        }
        let doublings = u32::try_from(count - SUSPICIOUS).unwrap().min(10);
        let rest = (Cadence::INTERVAL * 2_u32.pow(doublings)).min(Cadence::MAX_INTERVAL);
        let waited = last_end.map_or(Duration::ZERO, |end| sent.began.since(end));
        self.ensure(
            waited >= rest,
            &format!(
                "after {count} refused logins in a row that nobody heard of, the next came after {waited:?}"
            ),
        );
    }
}
