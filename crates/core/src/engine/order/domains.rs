//! Whether the domains of an order are worth asking about, and by which number.

use crate::api::code::Progress;
use crate::api::reply::{Details, is_validated};
use crate::api::{OrderRef, Product, Reply};
use crate::engine::note::{Level, NoteKind};
use crate::engine::order::Order;
use crate::engine::order::record::{Domains, Heard, order_number};
use crate::engine::time::Time;

impl Order<'_> {
    /// A call about its domains goes out that arrives at `asked` at the latest.
    pub(crate) fn domains_asked(&mut self, asked: Time) {
        self.domains_record().asked = asked;
        self.touch();
    }

    /// What the vendor said of its domains, in words, and whether one of them is still open.
    pub(crate) fn domains_heard(&mut self, text: &str, is_open: bool, reply: &Reply) {
        let (now, details) = (self.now, reply.details.clone());
        let heard = Heard {
            at: now.unix(),
            since: None,
            code: Some(reply.code),
            text: text.into(),
            details: details.into(),
        };
        let known = self.domains_record();
        known.asked = now.time;
        let before = known.heard.replace(heard);
        if before.is_some_and(|before| before.details.dcv == reply.details.dcv) {
            return;
        }
        self.touch();
        let more = match is_open {
            true => format!("; `certcollectd explain {}` says what is missing", self.state.name),
            false => String::new(),
        };
        self.note(Level::Info, NoteKind::Domains, format!("{text}{more}"));
    }

    fn domains_record(&mut self) -> &mut Domains {
        let asked = self.now.time;
        self.state.record.domains.get_or_insert_with(|| Box::new(Domains { asked, heard: None }))
    }

    pub(crate) fn wants_domains(&self) -> bool {
        let state = &*self.state;
        let entry = self.entry();
        let record = &state.record;
        let cadence = &entry.settings.cadence;
        let asked_lately = record
            .domains
            .as_ref()
            .is_some_and(|known| self.now.time.since(known.asked) < cadence.max_interval);
        let Some(waits_since) = record.waits_since().filter(|_| record.phase.is_polled()) else {
            return false;
        };
        entry.settings.product == Product::Ssl
            && self.known_number().is_some()
            && self.gate.record.details_refused.is_none()
            && !asked_lately
            && (self.now.time.since(waits_since) > cadence.interval
                || record.heard.as_ref().is_some_and(|heard| shows_open_validation(&heard.details)))
    }

    /// The order number: its entry's, or the one that answers name.
    pub(crate) fn known_number(&self) -> Option<&str> {
        order_number(self.entry(), Some(&self.state.record))
    }

    /// An answer names the order's number, which its entry may not. The newest of a family has another one in time.
    pub(crate) fn learn_number(&mut self, told: Option<&str>) {
        let told = told.filter(|_| !matches!(self.entry().handle, OrderRef::OrderNumber(_)));
        if let Some(told) = told
            && self.state.record.number.as_deref() != Some(told)
        {
            self.state.record.number = Some(told.into());
            self.touch();
        }
    }
}

/// Whether an answer of CollectSSL says that control of a domain is not proven yet.
fn shows_open_validation(details: &Details) -> bool {
    let open = |(name, status): &(&str, i32)| *name == "dcvStatus" && Progress::of(*status).is_open();
    details.statuses.iter().any(open)
        || details.domains.iter().any(|(_, state)| !is_validated(state.as_str()))
}
