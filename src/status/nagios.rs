//! The status as one line and an exit code for Nagios and its many relatives.

use std::collections::HashSet;

use super::Status;
use certcollectd_core::config::count;
use certcollectd_core::engine::finding::Urgency;
use certcollectd_core::engine::order::phase::Phase;

certcollectd_core::words! {
    /// What a monitoring plugin says, from good to bad.
    pub enum Verdict {
        Ok = "OK",
        Warning = "WARNING",
        Critical = "CRITICAL",
    }
}

/// How many findings the line names.
const SHOWN: usize = 5;

/// The worst of all, and the line that says why.
pub fn verdict(status: &Status) -> (Verdict, String) {
    let found = status.found();
    let worst = worst(found.first().map(|found| found.finding.urgency));
    // Of an order, the worst.
    let mut named = HashSet::new();
    let found = found.iter().filter(|found| found.order.is_none_or(|order| named.insert(order)));
    let why: Vec<&str> = found.map(|found| &*found.finding.text).collect();
    let problems = why.len();
    let days = status.orders.iter().filter_map(|order| Some(order.certificate.as_ref()?.days_left)).min();
    let guarded = status.orders.iter().filter(|order| order.phase == Phase::Guarding).count();
    let days = days.map(|days| format!(" days_left={days}")).unwrap_or_default();
    let data = format!("orders={} guarding={guarded} problems={problems}{days}", status.orders.len());
    (worst, line(worst, &why, &count(status.orders.len(), "order"), &data))
}

pub(super) fn worst(urgency: Option<Urgency>) -> Verdict {
    match urgency {
        None => Verdict::Ok,
        Some(Urgency::Warning) => Verdict::Warning,
        Some(Urgency::Critical) => Verdict::Critical,
    }
}

/// `well` is said where there is no reason; `data` is for graphs.
pub(super) fn line(worst: Verdict, why: &[&str], well: &str, data: &str) -> String {
    let more = format!("and {} more", why.len().saturating_sub(SHOWN));
    let mut said: Vec<&str> = why.iter().copied().take(SHOWN).collect();
    if why.len() > SHOWN {
        said.push(&more);
    }
    if why.is_empty() {
        said.push(well);
    }
    // A bar in the text would begin the performance data.
    format!("CERTCOLLECTD {worst} - {} | {data}", said.join(", ").replace('|', "/"))
}
