//! The status as metrics. Rebuilt for each scrape: there is nothing to keep in step.

use std::collections::BTreeMap;

use super::exposition::{Exposition, Family, Kind};
use super::{AccountState, AccountStatus, HookState, OrderStatus, Status};
use certcollectd_core::engine::order::Phase;

/// What one order or account adds to a metric, if anything.
type Sample<T> = fn(&T, &Status) -> Option<i64>;

/// A metric with one sample for each order: kind, name, help, value.
const OF_ORDERS: [(Kind, &str, &str, Sample<OrderStatus>); 14] = [
    (
        Kind::Gauge,
        "certificate_not_before_seconds",
        "Start of the installed certificate's validity, UNIX time",
        |order, status| order.certificate.as_ref().map(|found| status.unix + found.left - found.life),
    ),
    (
        Kind::Gauge,
        "certificate_not_after_seconds",
        "End of the installed certificate's validity, UNIX time",
        |order, status| order.certificate.as_ref().map(|found| status.unix + found.left),
    ),
    (
        Kind::Gauge,
        "certificate_installed_seconds",
        "When the certificate was installed, UNIX time",
        |order, _| order.certificate.as_ref().map(|found| found.at),
    ),
    (
        Kind::Gauge,
        "order_next_poll_seconds",
        "Next scheduled call about the order, UNIX time",
        |order, status| order.next_in.map(|next_in| status.unix + next_in),
    ),
    (
        Kind::Gauge,
        "order_waiting_since_seconds",
        "Since when the vendor has been asked for a certificate that is not issued, UNIX time",
        |order, _| order.waits_since,
    ),
    (
        Kind::Gauge,
        "order_subscription_end_seconds",
        "End of the product term as the vendor tells it, UNIX time",
        |order, status| order.term_left.map(|left| status.unix.saturating_add(left)),
    ),
    (
        Kind::Gauge,
        "order_needs_attention",
        "1 while a person must act or something fails on this machine",
        |order, _| {
            let trouble = order.trouble.is_some() || order.lost.is_some();
            let trouble = trouble || order.needs_person || failures(order) > 0;
            let trouble = trouble || order.revocation_announced.is_some();
            Some(trouble.into())
        },
    ),
    (Kind::Gauge, "order_hooks_owed", "Hooks that have not worked yet", |order, _| {
        i64::try_from(order.hooks.iter().filter(|hook| hook.state != HookState::Done).count()).ok()
    }),
    (
        Kind::Gauge,
        "order_hook_failures",
        "Failures in a row of the hook that has failed most often",
        |order, _| Some(failures(order)),
    ),
    (
        Kind::Gauge,
        "order_files_lost",
        "1 while readers do not find the installed files, or that cannot be told",
        |order, _| Some(order.lost.is_some().into()),
    ),
    (Kind::Gauge, "order_drift", "1 while installed files differ from what was installed", |order, _| {
        Some(order.drift.is_some().into())
    }),
    (
        Kind::Gauge,
        "order_uncovered_names",
        "Names that a certificate before covered and the installed one does not, until accepted",
        |order, _| i64::try_from(order.uncovered.len()).ok(),
    ),
    (
        Kind::Gauge,
        "order_revocation_announced",
        "1 while the vendor is said to be about to revoke the order's certificate",
        |order, _| Some(order.revocation_announced.is_some().into()),
    ),
    (Kind::Counter, "order_polls", "Calls about the order", |order, _| Some(order.polls.into())),
];

/// A metric with one sample for each account.
const OF_ACCOUNTS: [(Kind, &str, &str, Sample<AccountStatus>); 8] = [
    (Kind::Gauge, "account_closed", "1 while the vendor refuses the login", |account, _| {
        Some((account.state == AccountState::Closed).into())
    }),
    (
        Kind::Gauge,
        "account_paused",
        "1 while no call is made: by the vendor's wish, for want of a connection or of answers",
        |account, _| Some((account.state == AccountState::Paused).into()),
    ),
    (
        Kind::Gauge,
        "account_paused_until_seconds",
        "End of the account's pause, UNIX time",
        |account, status| account.paused_for.map(|left| status.unix + left),
    ),
    (Kind::Gauge, "account_unanswered_calls", "Calls in a row without an answer", |account, _| {
        Some(account.unanswered.into())
    }),
    (
        Kind::Gauge,
        "account_password_readable",
        "0 while no call is made because the password cannot be read",
        |account, _| Some((!account.lacks_password).into()),
    ),
    (
        Kind::Gauge,
        "account_last_answer_seconds",
        "When the vendor answered last so that it could be understood, UNIX time",
        |account, _| account.answered,
    ),
    (
        Kind::Gauge,
        "account_revocation_announced",
        "1 while the vendor is said to be about to revoke a certificate that is no order's here",
        |account, _| Some(account.revocation_announced.is_some().into()),
    ),
    (Kind::Counter, "account_calls", "Calls on the account", |account, _| i64::try_from(account.calls).ok()),
];

fn failures(order: &OrderStatus) -> i64 {
    let failing = order.hooks.iter().filter(|hook| hook.state == HookState::Failing);
    failing.map(|hook| hook.tries.into()).max().unwrap_or(0)
}

pub(super) fn metrics(status: &Status, exposition: Exposition) -> String {
    let mut families = of_the_process(status);
    let mut phases: BTreeMap<&str, i64> = BTreeMap::new();
    for order in &status.orders {
        *phases.entry(order.phase.as_str()).or_default() += 1;
    }
    let mut orders = Family::new(Kind::Gauge, "orders", "Orders in each phase");
    for phase in Phase::ALL {
        orders.set("phase", phase.as_str(), phases.get(phase.as_str()).copied().unwrap_or(0));
    }
    families.push(orders);
    for (kind, name, help, sample) in OF_ORDERS {
        let mut family = Family::new(kind, name, help);
        for order in &status.orders {
            if let Some(value) = sample(order, status) {
                family.set("order", &order.name, value);
            }
        }
        families.push(family);
    }
    for (kind, name, help, sample) in OF_ACCOUNTS {
        let mut family = Family::new(kind, name, help);
        for account in &status.accounts {
            if let Some(value) = sample(account, status) {
                family.set("account", &account.name, value);
            }
        }
        families.push(family);
    }
    exposition.document(&families)
}

fn of_the_process(status: &Status) -> Vec<Family> {
    let mut build = Family::new(Kind::Info, "build", "The running program");
    build.set("version", env!("CARGO_PKG_VERSION"), 1);
    let absent = Family::new(
        Kind::Gauge,
        "orders_absent",
        "Orders that hold an installed certificate and are no longer configured",
    );
    let absent = absent.only(i64::try_from(status.absent.len()).unwrap_or(i64::MAX));
    let mut families = vec![build, absent];
    if let Some(vitals) = &status.vitals {
        let gauge = |name, help, value| Family::new(Kind::Gauge, name, help).only(value);
        families.extend([
            gauge(
                "state_save_failures",
                "Saves of the state that failed in a row",
                vitals.failed_saves.into(),
            ),
            gauge(
                "findings",
                "Things that do not work on this machine and are tried again: listeners, passwords, directories",
                i64::try_from(vitals.findings.len()).unwrap_or(i64::MAX),
            ),
            gauge(
                "config_last_reload_success",
                "0 while the configuration was changed and is not sound; the one before is in force then",
                (!vitals.misconfigured).into(),
            ),
            gauge(
                "config_last_reload_success_timestamp_seconds",
                "When the configuration in force was read, UNIX time",
                vitals.configured_at,
            ),
        ]);
    }
    families
}
