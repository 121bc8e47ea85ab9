//! The vendor's side: which calls arrive, whether they are allowed, and what it says.

use std::time::Duration;

use certcollectd_core::api::Failure;
use certcollectd_core::config::Cadence;
use certcollectd_core::engine::account::record::CredentialTag;

use super::reissues::REPLACE;
use super::wire::Sent;
use super::{At, CALL_GAP, DETAILS, ORDERS, Sim, stock};
use crate::certs;
use crate::world::{self, Say};

impl Sim {
    /// The vendor sees a call come in.
    pub(super) fn arrive(&mut self, sent: &Sent, is_direct: bool) {
        let number = &sent.number;
        self.note(format!("call for {number}"));
        self.calls += 1;
        self.in_flight += 1;
        self.ensure(self.in_flight == 1, "two calls in flight");
        let now = self.world.now.time;
        if let Some(end) = self.last_end {
            let gap = now.since(end);
            self.ensure(gap >= CALL_GAP, &format!("a call {gap:?} after the last one"));
        }
        self.ensure(now >= self.limited_until, "a call within the pause after the vendor's call limit");
        if self.refused && !sent.words.login {
            self.fail("a login after a refusal");
        }
        if let Some(last) = self.last_arrival.insert(number.clone(), now) {
            let least = match number {
                number if number.starts_with(DETAILS) => Cadence::MAX_INTERVAL,
                number if number.starts_with(REPLACE) => Duration::ZERO,
                _ => Cadence::INTERVAL,
            };
            let early = now.since(last) < least;
            if early && !sent.words.early && !self.looks_first(number) {
                self.fail(&format!("{number} was polled after {:?}", now.since(last)));
            }
        }
        if !self.takes(sent) {
            self.refuse(sent);
        } else if number.starts_with(REPLACE) {
            self.replace(sent, is_direct);
        }
    }

    /// A word is good for one call, even if that one was not early.
    pub(super) fn allow(&mut self, of: &str) {
        self.words += 1;
        self.allowed.insert(of.to_owned());
    }

    /// The vendor saw nothing of a call, so the words for it hold.
    pub(super) fn give_back(&mut self, sent: &Sent) {
        if sent.words.login {
            self.allowed.insert("account".into());
        }
        if sent.words.early {
            self.allowed.insert(sent.number.clone());
        }
    }

    /// Whether the vendor takes the login now.
    fn takes(&self, sent: &Sent) -> bool {
        !self.login_broken && sent.tag == CredentialTag(self.right_credential)
    }

    /// What the vendor says if it sees the call now, and whether that comes of a login that it takes.
    pub(super) fn answer(&mut self, sent: &Sent) -> (Say, bool) {
        let deaf = self.world.now.time < self.deaf_until;
        if deaf && !self.dice.one_in(8) {
            let failures = [world::silence(), world::silence(), Failure::Broken("reset".into())];
            return (Say::Fail(self.dice.pick(&failures).clone()), false);
        }
        if !self.quiet && self.dice.one_in(12) {
            let faults = [
                Say::Fail(Failure::Connect("connection refused".into())),
                Say::Fail(world::silence()),
                Say::Fail(Failure::Broken("reset".into())),
                Say::Fail(Failure::TooLarge(1)),
                Say::text(""),
                Say::text("<html>busy</html>"),
                Say::Body(503, b"later".to_vec()),
            ];
            return (self.dice.pick(&faults).clone(), false);
        }
        if !self.takes(sent) {
            let text = "-16\nIncorrect login details, account is locked, password has expired or your source IP is blocked.";
            return (Say::text(text), false);
        }
        (self.words_of_vendor(&sent.number), true)
    }

    fn words_of_vendor(&mut self, number: &str) -> Say {
        if !self.quiet && self.dice.one_in(15) {
            let faults = [
                Say::text("errorCode=2&certificate=AAAA"),
                Say::text("-14\nunknown error"),
                Say::text("-160\ngeneral error"),
                Say::text("errorCode=-42&errorMessage=limit"),
            ];
            return self.dice.pick(&faults).clone();
        }
        if number.starts_with(DETAILS) {
            let answers = [
                Say::text("errorCode=0&1_domainName=a.example.com&1_dcvMethod=EMAIL&1_dcvStatus=In+progress"),
                Say::text("errorCode=-16&errorMessage=Permission+denied!"),
            ];
            return self.dice.pick(&answers).clone();
        }
        if number.starts_with(REPLACE) {
            return self.words_on_reissue(number);
        }
        let name = ORDERS.into_iter().find(|name| *name == number).expect("an order");
        match self.orders[name] {
            At::Pending => self
                .dice
                .pick(&[Say::text("0\n"), Say::text("errorCode=0"), Say::text("-26\nbeing issued")])
                .clone(),
            At::Issued(day) => Say::Body(200, certs::issued(&stock()[name].leaves[day])),
            At::Rejected => Say::text("-20\nrejected"),
            At::Wrong => Say::text("-4\nThe value of the 'orderNumber' argument is invalid!"),
        }
    }
}
