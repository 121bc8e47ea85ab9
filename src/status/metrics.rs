//! The status as OpenMetrics text. Built anew for each scrape: there is nothing to keep in step.

use std::fmt::Error;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::Status;
use crate::engine::order::Phase;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByOrder {
    order: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByAccount {
    account: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByPhase {
    phase: &'static str,
}

type OfOrder = Family<ByOrder, Gauge<i64>>;
type OfAccount = Family<ByAccount, Gauge<i64>>;

/// All metrics of a status.
pub(super) fn metrics(status: &Status, failed_saves: u32) -> Result<String, Error> {
    let mut registry = Registry::with_prefix("certcollectd");
    registry.register(
        "build",
        "The running program",
        Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]),
    );
    let failing = Gauge::<i64>::default();
    failing.set(failed_saves.into());
    registry.register("state_save_failures", "Saves of the state that failed in a row", failing);
    of_orders(status, &mut registry);
    of_accounts(status, &mut registry);
    let mut text = String::new();
    text::encode(&mut text, &registry)?;
    Ok(text)
}

fn of_orders(status: &Status, registry: &mut Registry) {
    let mut family = |name: &str, help: &str| {
        let family = OfOrder::default();
        registry.register(name, help, family.clone());
        family
    };
    let not_before =
        family("certificate_not_before_seconds", "Start of the installed certificate's validity, UNIX time");
    let not_after =
        family("certificate_not_after_seconds", "End of the installed certificate's validity, UNIX time");
    let installed_at =
        family("certificate_installed_seconds", "When the certificate was installed, UNIX time");
    let next_poll = family("order_next_poll_seconds", "Next scheduled call about the order, UNIX time");
    let attention =
        family("order_needs_attention", "1 while a person must act or something fails on this machine");
    let owed = family("order_hooks_owed", "Hooks that have not worked yet");
    let failed = family("order_hook_failures", "Failures in a row of the hook that has failed most often");
    let lost =
        family("order_files_lost", "1 while readers do not find the installed files, or that cannot be told");
    let uncovered = family(
        "order_uncovered_names",
        "Names that a certificate before covered and the installed one does not, until accepted",
    );
    let drift = family("order_drift", "1 while installed files differ from what was installed");
    let announced = family(
        "order_revocation_announced",
        "1 while the vendor is said to be about to revoke the order's certificate",
    );
    let polls = Family::<ByOrder, Counter<u64, AtomicU64>>::default();
    registry.register("order_polls", "Calls about the order", polls.clone());
    let phases = Family::<ByPhase, Gauge<i64>>::default();
    registry.register("orders", "Orders in each phase", phases.clone());
    for phase in Phase::ALL {
        phases.get_or_create(&ByPhase { phase: phase.word() }).set(0);
    }
    for order in &status.orders {
        let by = ByOrder { order: order.name.clone() };
        let set = |family: &OfOrder, value: i64| {
            family.get_or_create(&by).set(value);
        };
        if let Some(installed) = &order.certificate {
            set(&not_before, status.unix + installed.left - installed.life);
            set(&not_after, status.unix + installed.left);
            set(&installed_at, installed.at);
        }
        if let Some(next_in) = order.next_in {
            set(&next_poll, status.unix + next_in);
        }
        let waiting: Vec<_> = order.hooks.iter().filter(|hook| hook.state != "done").collect();
        let failures = waiting.iter().filter(|hook| hook.state == "failing").map(|hook| hook.tries).max();
        let trouble =
            order.needs_person || order.trouble.is_some() || order.lost.is_some() || failures.is_some();
        let trouble = trouble || order.revocation_announced.is_some();
        set(&attention, trouble.into());
        set(&owed, i64::try_from(waiting.len()).unwrap_or(i64::MAX));
        set(&failed, failures.unwrap_or(0).into());
        set(&lost, order.lost.is_some().into());
        set(&uncovered, i64::try_from(order.uncovered.len()).unwrap_or(i64::MAX));
        set(&drift, order.drift.is_some().into());
        set(&announced, order.revocation_announced.is_some().into());
        polls.get_or_create(&by).inc_by(order.polls.into());
        phases.get_or_create(&ByPhase { phase: order.phase }).inc();
    }
}

fn of_accounts(status: &Status, registry: &mut Registry) {
    let closed = OfAccount::default();
    registry.register("account_closed", "1 while the vendor refuses the login", closed.clone());
    let paused = OfAccount::default();
    registry.register(
        "account_paused",
        "1 while no call is made, by the vendor's wish or for want of a connection",
        paused.clone(),
    );
    let announced = OfAccount::default();
    registry.register(
        "account_revocation_announced",
        "1 while the vendor is said to be about to revoke a certificate that is no order's here",
        announced.clone(),
    );
    let calls = Family::<ByAccount, Counter<u64, AtomicU64>>::default();
    registry.register("account_calls", "Calls on the account", calls.clone());
    for account in &status.accounts {
        let by = ByAccount { account: account.name.clone() };
        closed.get_or_create(&by).set((account.state == "closed").into());
        paused.get_or_create(&by).set((account.state == "paused").into());
        announced.get_or_create(&by).set(account.revocation_announced.is_some().into());
        calls.get_or_create(&by).inc_by(account.calls);
    }
}
