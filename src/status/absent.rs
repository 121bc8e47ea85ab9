//! Orders that hold an installed certificate and are no longer configured: they are unguarded.

use std::collections::HashSet;

use serde::Serialize;

use super::Status;
use certcollectd_core::api::OrderRef;
use certcollectd_core::cert::listed;
use certcollectd_core::config::{Config, count};
use certcollectd_core::engine::loaded::Loaded;
use certcollectd_core::engine::time::{Now, day, rfc3339};

/// An order that the state knows and the configuration does not.
#[derive(Debug, Clone, Serialize)]
pub struct Absent {
    pub name: String,
    pub account: String,
    /// Its number at the vendor.
    pub order_number: String,
    /// End of the installed certificate, RFC 3339.
    pub not_after: String,
    /// Whole days until then; negative when it is over.
    pub days_left: i64,
}

impl Absent {
    /// `www (order 123, until 2027-01-02)`.
    pub(super) fn describe(&self) -> String {
        let day = day(&self.not_after);
        format!("{} (order {}, until {day})", self.name, self.order_number)
    }
}

/// Sorted by name. An order whose number is configured under another name is not absent.
pub(super) fn absent(config: &Config, loaded: &Loaded, now: Now) -> Vec<Absent> {
    if loaded.orders.is_empty() {
        return Vec::new();
    }
    let names: HashSet<&str> = config.orders.iter().map(|order| &*order.name).collect();
    let numbers: HashSet<(&str, String)> =
        config.orders.iter().map(|order| (&*order.account, order.handle.identity())).collect();
    let mut found: Vec<Absent> = loaded
        .orders
        .iter()
        .filter(|(name, _)| !names.contains(&***name))
        .filter_map(|(name, known)| Some((name, &known.record, known.record.installed.as_ref()?)))
        .filter(|(_, record, _)| !numbers.contains(&(&*record.account, record.handle.to_string())))
        .map(|(name, record, installed)| Absent {
            name: name.to_string(),
            account: record.account.to_string(),
            order_number: OrderRef::text_of(&record.handle).to_owned(),
            not_after: rfc3339(installed.not_after),
            days_left: (installed.not_after - now.unix()).div_euclid(24 * 3600),
        })
        .collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

impl Status {
    /// One sentence about the orders that are installed but no longer configured, if there are any.
    pub fn told_absent(&self) -> Option<String> {
        told(&self.absent)
    }
}

/// As [`Status::told_absent`], of the records of orders that are not configured.
pub fn told_absent(config: &Config, unconfigured: &Loaded, now: Now) -> Option<String> {
    told(&absent(config, unconfigured, now))
}

fn told(absent: &[Absent]) -> Option<String> {
    let first = absent.first()?;
    let named: Vec<String> = absent.iter().map(Absent::describe).collect();
    let named = listed(named.iter().map(String::as_str));
    let (are, them) = if absent.len() == 1 { ("is", "it") } else { ("are", "them") };
    Some(format!(
        "{} {are} installed but no longer configured, and so unguarded: {named}; put {them} back into the \
         configuration, or run `certcollectd forget {}`",
        count(absent.len(), "order"),
        first.name
    ))
}
