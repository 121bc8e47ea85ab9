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
    let verdict = |urgency| match urgency {
        Urgency::Warning => Verdict::Warning,
        Urgency::Critical => Verdict::Critical,
    };
    let worst = found.first().map_or(Verdict::Ok, |found| verdict(found.finding.urgency));
    // Of an order, the worst.
    let mut named = HashSet::new();
    let found = found.iter().filter(|found| found.order.is_none_or(|order| named.insert(order)));
    let mut why: Vec<&str> = found.map(|found| &*found.finding.text).collect();
    let problems = why.len();
    let (more, orders) =
        (format!("and {} more", problems.saturating_sub(SHOWN)), count(status.orders.len(), "order"));
    if problems > SHOWN {
        why.truncate(SHOWN);
        why.push(&more);
    }
    if why.is_empty() {
        why.push(&orders);
    }
    let days = status.orders.iter().filter_map(|order| Some(order.certificate.as_ref()?.days_left)).min();
    let guarded = status.orders.iter().filter(|order| order.phase == Phase::Guarding).count();
    let days = days.map(|days| format!(" days_left={days}")).unwrap_or_default();
    let line = format!(
        "CERTCOLLECTD {worst} - {} | orders={} guarding={guarded} problems={}{days}",
        // A bar in the text would begin the performance data.
        why.join(", ").replace('|', "/"),
        status.orders.len(),
        problems
    );
    (worst, line)
}
