//! What is not in order, of the daemon, its accounts and its orders, the most urgent first.

use std::cmp::Reverse;

use serde::Serialize;

use super::{HookState, HookStatus, OrderStatus, Status};
use certcollectd_core::engine::finding::{self, Finding, Urgency};

/// A finding, and what it is about; about the daemon itself if neither is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<'a> {
    pub order: Option<&'a str>,
    /// The account, or the order's.
    pub account: Option<&'a str>,
    pub finding: Finding,
}

/// A status as `--json` shows it.
#[derive(Serialize)]
struct Whole<'a> {
    #[serde(flatten)]
    status: &'a Status,
    machine: Machine,
    /// Everything that is not in order, a sentence each, the most urgent first.
    findings: Vec<String>,
}

/// What is no order's and no account's.
#[derive(Serialize)]
struct Machine {
    findings: Vec<Finding>,
}

impl Status {
    /// About the daemon itself.
    pub(super) fn of_daemon(&self) -> Vec<Finding> {
        finding::of_daemon(self.state_lost.as_deref(), self.vitals.as_ref(), self.orders.len())
    }

    /// Of those as urgent, accounts come before orders, and what concerns this machine comes last.
    pub fn found(&self) -> Vec<Found<'_>> {
        let of_the_daemon = |finding| Found { order: None, account: None, finding };
        // While its state is gone, the rest may be wrong.
        let (first, last): (Vec<_>, Vec<_>) =
            self.of_daemon().into_iter().partition(|finding| finding.urgency == Urgency::Critical);
        let accounts = self.accounts.iter().flat_map(|account| {
            let about = |finding: &Finding| Found {
                order: None,
                account: Some(&*account.name),
                finding: finding.clone(),
            };
            account.findings.iter().map(about)
        });
        let orders = self.orders.iter().flat_map(|order| {
            let about = |finding: &Finding| Found {
                order: Some(&*order.name),
                account: Some(&*order.account).filter(|account| !account.is_empty()),
                finding: finding.clone(),
            };
            order.findings.iter().map(about)
        });
        let absent = self.absent.iter().map(|absent| Found {
            order: Some(&*absent.name),
            account: Some(&*absent.account),
            finding: finding::of_absent(&absent.name, &absent.describe()),
        });
        let first = first.into_iter().map(of_the_daemon);
        let last = last.into_iter().map(of_the_daemon);
        let mut found: Vec<Found<'_>> =
            first.chain(accounts).chain(orders).chain(last).chain(absent).collect();
        found.sort_by_key(|found| Reverse(found.finding.urgency));
        found
    }

    /// For machines.
    pub fn json(&self) -> String {
        let findings = self.found().into_iter().map(|found| found.finding.text).collect();
        let machine = Machine { findings: self.of_daemon() };
        let whole = Whole { status: self, machine, findings };
        serde_json::to_string_pretty(&whole).expect("strings, numbers and lists")
    }
}

impl OrderStatus {
    /// The hook that has failed most often, the first of those, as its finding names it.
    pub(super) fn failing(&self) -> Option<&HookStatus> {
        let failing = self.hooks.iter().filter(|hook| hook.state == HookState::Failing);
        failing.min_by_key(|hook| Reverse(hook.tries))
    }
}
