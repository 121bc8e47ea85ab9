//! Re-issues that operators ask for: what is sent, and what the vendor makes of it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use certcollectd_core::api::dcv::Dcv;
use certcollectd_core::api::{Endpoint, Request};
use certcollectd_core::engine::command::{Command, ReissueCommand};
use certcollectd_core::engine::reissue::run::{NameSeen, Survey};

use super::wire::Sent;
use super::{At, ORDERS, Sim, stock};
use crate::world::Say;

/// How the call is named.
pub(super) const REPLACE: &str = "AutoReplaceSSL ";

fn unique(request: &Request) -> String {
    let found = request.fields.iter().find(|(name, _)| name == "uniqueValue");
    found.expect("it has one").1.clone()
}

impl Sim {
    /// An operator asks for a re-issue, or for the one under way to be looked at.
    pub(super) fn want_reissue(&mut self, name: &str) {
        let number = self.number_of(name);
        *self.looks.entry(number).or_default() += 1;
        let dcv = *self.dice.pick(&[Dcv::Cname, Dcv::Cname, Dcv::Http, Dcv::Reuse]);
        let command = ReissueCommand {
            order: name.to_owned(),
            csr: Some(STANDARD.encode(&stock()[name].request)),
            dcv: Some(dcv),
            unique: None,
            dry_run: self.dice.one_in(8),
            again: self.dice.one_in(3),
            parameters: Vec::new(),
        };
        if !command.dry_run {
            self.reissue_words += 1;
        }
        self.command(Command::Reissue(Box::new(command)));
    }

    /// Whether a word for a re-issue allows this look before its time; it is good for one.
    pub(super) fn looks_first(&mut self, number: &str) -> bool {
        match self.looks.get_mut(number) {
            Some(looks @ 1..) => {
                *looks -= 1;
                true
            }
            Some(0) | None => false,
        }
    }

    /// A look for the proof does not see it every time.
    pub(super) fn spoil_survey(&mut self, name: &str, fails: bool) {
        let seen = NameSeen {
            name: format!("{name}.example.com").into(),
            lacks: fails.then(|| "there is no such record".to_owned()),
            caa: None,
        };
        self.world.surveys.insert(name.to_owned(), vec![Survey { names: vec![seen] }]);
    }

    /// A call goes out, or the process dies in that moment: a token is good for one, and a word for one call.
    pub(super) fn count_reissue(&mut self, request: &Request) {
        if request.endpoint != Endpoint::ReplaceSsl {
            return;
        }
        let unique = unique(request);
        let is_new = self.tokens.insert(unique);
        self.ensure(is_new, "a token was sent twice");
        self.reissues += 1;
        self.ensure(self.reissues <= self.reissue_words, "more re-issues than somebody asked for");
        let record = self.world.rows.orders.values().find(|(_, row)| row.contains("\"intended\""));
        self.ensure(record.is_some(), "a re-issue is sent without its intent on record");
    }

    /// The vendor certainly saw nothing of it.
    pub(super) fn uncount_reissue(&mut self, request: &Request) {
        if request.endpoint == Endpoint::ReplaceSsl {
            self.tokens.remove(&unique(request));
            self.reissues -= 1;
        }
    }

    /// The vendor makes a certificate anew, and says 0 until it is issued.
    pub(super) fn replace(&mut self, sent: &Sent, is_direct: bool) {
        let number = sent.number.strip_prefix(REPLACE).expect("its name");
        let name = ORDERS.into_iter().find(|name| *name == number).expect("an order");
        match self.orders[name] {
            At::Issued(_) => {
                self.reissued += 1;
                self.orders.insert(name, At::Pending);
            }
            // It edits what is under way. One that arrives late may do that; what was looked at first cannot.
            At::Pending => self.ensure(!is_direct, "a re-issue was sent while a certificate was under way"),
            At::Rejected | At::Wrong => {}
        }
    }

    pub(super) fn words_on_reissue(&mut self, number: &str) -> Say {
        let number = number.strip_prefix(REPLACE).expect("its name");
        let name = ORDERS.into_iter().find(|name| *name == number).expect("an order");
        match self.orders[name] {
            At::Issued(_) | At::Pending => Say::text("errorCode=0&certificateID=77"),
            At::Rejected | At::Wrong => Say::text("errorCode=-20&errorMessage=rejected"),
        }
    }
}
