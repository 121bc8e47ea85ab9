//! The vendor's side: which calls arrive, whether they are allowed, and what it says.

use certcollectd::api::Failure;
use certcollectd::config::Cadence;
use certcollectd::engine::event::CredentialTag;

use super::{At, CALL_GAP, DETAILS, ORDERS, Sim, stock};
use crate::certs;
use crate::world::Say;

impl Sim {
    /// The vendor sees a call come in.
    pub(super) fn arrive(&mut self, number: &str) {
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
        if self.refused && !self.take_word("account") {
            self.fail("a login after a refusal");
        }
        if let Some(last) = self.last_arrival.insert(number.to_owned(), now) {
            let least = if number.starts_with(DETAILS) { Cadence::MAX_INTERVAL } else { Cadence::INTERVAL };
            let early = now.since(last) < least;
            if early && !self.take_word(number) && !self.take_word("account-order") {
                self.fail(&format!("{number} was polled after {:?}", now.since(last)));
            }
        }
        // A word is good for one call, even if that one was not early.
        for word in [number, "account", "account-order"] {
            self.allowed.remove(word);
        }
    }

    /// Uses up one of the early calls that somebody's word allowed.
    pub(super) fn take_word(&mut self, of: &str) -> bool {
        match self.allowed.get_mut(of) {
            Some(count) if *count > 0 => {
                *count -= 1;
                true
            }
            _ => false,
        }
    }

    pub(super) fn allow(&mut self, of: &str) {
        self.words += 1;
        self.allowed.insert(of.to_owned(), 1);
    }

    pub(super) fn answer(&mut self, number: &str) -> Say {
        self.accepted =
            !self.login_broken && self.world.credential == Some(CredentialTag(self.right_credential));
        if !self.accepted {
            return Say::text(
                "-16\nIncorrect login details, account is locked, password has expired or your source IP is blocked.",
            );
        }
        if !self.quiet && self.dice.one_in(6) {
            let faults = [
                Say::Fail(Failure::Connect("connection refused".into())),
                Say::Fail(Failure::Timeout),
                Say::Fail(Failure::Broken("reset".into())),
                Say::text(""),
                Say::text("<html>busy</html>"),
                Say::Body(503, b"later".to_vec()),
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
        let name = ORDERS.into_iter().find(|name| *name == number).expect("an order");
        match self.orders[name] {
            At::Pending => self
                .dice
                .pick(&[Say::text("0\n"), Say::text("errorCode=0"), Say::text("-26\nbeing issued")])
                .clone(),
            At::Issued(day) => Say::Body(200, certs::issued(&stock()[name][day])),
            At::Rejected => Say::text("-20\nrejected"),
            At::Wrong => Say::text("-4\nThe value of the 'orderNumber' argument is invalid!"),
        }
    }
}
