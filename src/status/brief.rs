//! An order in one line, while somebody waits for it.

use super::screen::Screen;
use super::table::row;
use super::{Need, OrderStatus};
use certcollectd_core::config::{Config, Order};
use certcollectd_core::engine::account::record::AccountRecord;
use certcollectd_core::engine::finding::Urgency;
use certcollectd_core::engine::order::record::OrderRecord;
use certcollectd_core::engine::time::Now;

/// How pressing an order is: the most pressing first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pressing {
    pub need: Need,
    urgency: std::cmp::Reverse<Option<Urgency>>,
}

/// How an order stands at the moment.
#[derive(Debug)]
pub struct Brief(OrderStatus);

impl Brief {
    pub fn new(
        config: &Config,
        order: &Order,
        record: Option<&OrderRecord>,
        account: &AccountRecord,
        now: Now,
    ) -> Brief {
        Brief(OrderStatus::new(config, order, record, account, now))
    }

    pub fn pressing(&self) -> Pressing {
        Pressing { need: self.0.need(), urgency: std::cmp::Reverse(self.0.urgency()) }
    }

    /// `www: waiting, next poll in 3 h, being processed by Sectigo (0)`.
    pub fn line(&self, screen: &Screen) -> String {
        let [name, phase, next_poll, _, note] = row(&self.0, false);
        let next_poll = match next_poll.as_str() {
            "-" | "" => String::new(),
            next_poll => format!(", next poll {next_poll}"),
        };
        let note = if note.is_empty() { note } else { format!(", {note}") };
        screen.cut(&format!("{name}: {phase}{next_poll}{note}"))
    }
}
