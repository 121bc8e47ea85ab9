//! The status as metrics. Rebuilt for each scrape, so nothing must be kept in sync.

use std::collections::BTreeMap;

use super::exposition::{Exposition, Family, Kind, Labels};
use super::{AccountState, AccountStatus, HookState, OrderStatus, Status};
use certcollectd_core::engine::finding::{FindingKind, Urgency};
use certcollectd_core::engine::order::phase::Phase;
use certcollectd_core::engine::vitals::{FleetVitals, HostVitals};

/// A metric with one sample for each order or account: kind, name, help, and the value, if there is one.
type Metric<T> = (Kind, &'static str, &'static str, fn(&T, &Status) -> Option<i64>);

const fn gauge<T>(
    name: &'static str,
    help: &'static str,
    value: fn(&T, &Status) -> Option<i64>,
) -> Metric<T> {
    (Kind::Gauge, name, help, value)
}

const OF_ORDERS: [Metric<OrderStatus>; 18] = [
    gauge(
        "certificate_not_before_seconds",
        "Start of the installed certificate's validity, UNIX time",
        |order, status| order.certificate.as_ref().map(|found| status.unix + found.left - found.life),
    ),
    gauge(
        "certificate_not_after_seconds",
        "End of the installed certificate's validity, UNIX time",
        |order, status| order.certificate.as_ref().map(|found| status.unix + found.left),
    ),
    gauge("certificate_installed_seconds", "When the certificate was installed, UNIX time", |order, _| {
        order.certificate.as_ref().map(|found| found.at)
    }),
    gauge("order_next_poll_seconds", "Next scheduled call about the order, UNIX time", |order, status| {
        order.next_in.map(|next_in| status.unix + next_in)
    }),
    gauge(
        "order_waiting_since_seconds",
        "Since when the vendor has been asked for a certificate that is not issued, UNIX time",
        |order, _| order.waits_since,
    ),
    gauge(
        "order_subscription_end_seconds",
        "End of the product term as the vendor tells it, UNIX time",
        |order, status| order.term_left.map(|left| status.unix.saturating_add(left)),
    ),
    gauge(
        "order_needs_attention",
        "1 while the operator must act or something fails on this machine",
        |order, _| {
            let fails = order.trouble.is_some() || order.lost.is_some() || failures(order) > 0;
            let fails = fails || order.unserved().is_some() || order.rolled_back_by_probe;
            Some((fails || order.phase.needs_person() || order.revocation_announced.is_some()).into())
        },
    ),
    gauge("order_hooks_owed", "Hooks that have not worked yet", |order, _| Some(hooks_owed(order))),
    gauge("order_hook_failures", "Failures in a row of the hook that has failed most often", |order, _| {
        Some(failures(order))
    }),
    gauge(
        "order_files_lost",
        "1 while readers do not find the installed files, or that cannot be told",
        |order, _| Some(order.lost.is_some().into()),
    ),
    gauge(
        "order_probe_failures",
        "Addresses that do not serve the installed certificate, of those that probes ask",
        |order, _| {
            let wrong = order.probes.iter().filter(|probe| !probe.ok).count();
            (!order.probes.is_empty()).then(|| number(wrong))
        },
    ),
    gauge(
        "order_probe_rolled_back",
        "1 while a newer certificate is held back because it was not served",
        |order, _| Some(order.rolled_back_by_probe.into()),
    ),
    gauge("order_rehearsal_failed", "1 while the last rehearsal of the order's hooks failed", |order, _| {
        Some(order.rehearsal.as_ref()?.failed.is_some().into())
    }),
    gauge("order_rehearsal_seconds", "When the order's hooks were rehearsed last, UNIX time", |order, _| {
        order.rehearsal.as_ref()?.ended
    }),
    gauge("order_drift", "1 while installed files differ from what was installed", |order, _| {
        Some(order.drift.is_some().into())
    }),
    gauge(
        "order_uncovered_names",
        "Names that a certificate before covered and the installed one does not, until accepted",
        |order, _| Some(number(order.uncovered.len())),
    ),
    gauge(
        "order_revocation_announced",
        "1 while the vendor is said to be about to revoke the order's certificate",
        |order, _| Some(order.revocation_announced.is_some().into()),
    ),
    (Kind::Counter, "order_polls", "Calls about the order", |order, _| Some(order.polls.into())),
];

const OF_ACCOUNTS: [Metric<AccountStatus>; 8] = [
    gauge("account_closed", "1 while the vendor refuses the login", |account, _| {
        Some((account.state == AccountState::Closed).into())
    }),
    gauge(
        "account_paused",
        "1 while no call is made: by the vendor's wish, for want of a connection or of answers",
        |account, _| Some((account.state == AccountState::Paused).into()),
    ),
    gauge("account_paused_until_seconds", "End of the account's pause, UNIX time", |account, status| {
        account.paused_for.map(|left| status.unix + left)
    }),
    gauge("account_unanswered_calls", "Calls in a row without an answer", |account, _| {
        Some(account.unanswered.into())
    }),
    gauge(
        "account_password_readable",
        "0 while no call is made because the password cannot be read",
        |account, _| Some((!account.lacks_password).into()),
    ),
    gauge(
        "account_last_answer_seconds",
        "When the vendor answered last so that it could be understood, UNIX time",
        |account, _| account.answered,
    ),
    gauge(
        "account_revocation_announced",
        "1 while the vendor is said to be about to revoke a certificate that is no order's here",
        |account, _| Some(account.revocation_announced.is_some().into()),
    ),
    (Kind::Counter, "account_calls", "Calls on the account", |account, _| i64::try_from(account.calls).ok()),
];

/// A metric over all orders: name, help, and the value, if there is one.
type Total = (&'static str, &'static str, fn(&Status) -> Option<i64>);

/// With the series of each order or without.
const OF_ALL_ORDERS: [Total; 5] = [
    ("certificates", "Installed certificates of configured orders", |status| {
        Some(number(status.orders.iter().filter(|order| order.certificate.is_some()).count()))
    }),
    (
        "certificates_not_after_min_seconds",
        "The first end of an installed certificate, UNIX time",
        |status| {
            let ends = status.orders.iter().filter_map(|order| Some(order.certificate.as_ref()?.left));
            ends.min().map(|left| status.unix + left)
        },
    ),
    (
        "orders_waiting_since_min_seconds",
        "Since when the longest wait for a certificate lasts, UNIX time",
        |status| status.orders.iter().filter_map(|order| order.waits_since).min(),
    ),
    ("orders_subscription_end_min_seconds", "The first end of a product term, UNIX time", |status| {
        let ends = status.orders.iter().filter_map(|order| order.term_left);
        ends.min().map(|left| status.unix.saturating_add(left))
    }),
    ("hooks_owed", "Hooks that have not worked yet", |status| {
        Some(status.orders.iter().map(hooks_owed).sum())
    }),
];

/// What only a host in a fleet has.
fn of_the_fleet(fleet: &FleetVitals) -> Vec<Family> {
    let whole = |seconds: u64| i64::try_from(seconds).unwrap_or(i64::MAX);
    let mut families = vec![
        Family::of(
            Kind::Gauge,
            "fleet_leader",
            "1 while this host is the collector that leads; collectors only",
            fleet.is_collector().then(|| (Labels::new(), fleet.leads().into())).into_iter().collect(),
        ),
        Family::only(
            Kind::Counter,
            "fleet_store_errors",
            "Requests to the fleet's store that failed",
            whole(fleet.store_errors),
        ),
        Family::of(
            Kind::Gauge,
            "fleet_lease_seconds_left",
            "Until the lease of the collector that leads is over if no beat comes, seconds",
            fleet.lease_seconds_left.map(|left| (Labels::new(), whole(left))).into_iter().collect(),
        ),
    ];
    if let Some(hosts) = fleet.hosts {
        let HostVitals { done, behind, failed, silent, lag_seconds } = hosts;
        let states = [("done", done), ("behind", behind), ("failed", failed), ("silent", silent)];
        families.extend([
            Family::each(
                Kind::Gauge,
                "fleet_hosts",
                "Hosts by how far they are with all that is published for them, where this host leads",
                "state",
                states.map(|(state, hosts)| (state, number(hosts))),
            ),
            Family::only(
                Kind::Gauge,
                "fleet_generation_lag_seconds",
                "For how long the longest roll-out has not been done, as this leader has seen it",
                whole(lag_seconds),
            ),
        ]);
    }
    families
}

fn labels(kind: FindingKind, urgency: Urgency) -> [(&'static str, String); 2] {
    [("finding", kind.to_string()), ("urgency", urgency.to_string())]
}

fn hooks_owed(order: &OrderStatus) -> i64 {
    number(order.hooks.iter().filter(|hook| hook.state != HookState::Done).count())
}

fn failures(order: &OrderStatus) -> i64 {
    order.failing().map_or(0, |hook| hook.tries.into())
}

fn number(of: usize) -> i64 {
    i64::try_from(of).unwrap_or(i64::MAX)
}

impl Status {
    /// As monitoring systems read it.
    pub fn metrics(&self, exposition: Exposition) -> String {
        let phases = Phase::ALL.into_iter().map(|phase| {
            let found = self.orders.iter().filter(|order| order.phase == phase).count();
            (phase.as_str(), number(found))
        });
        let phases = Family::each(Kind::Gauge, "orders", "Orders in each phase", "phase", phases);
        let of_all_orders = OF_ALL_ORDERS.map(|(name, help, value)| {
            let sample = value(self).map(|value| (Labels::new(), value));
            Family::of(Kind::Gauge, name, help, sample.into_iter().collect())
        });
        let of_orders: &[Metric<OrderStatus>] = if self.per_order { &OF_ORDERS } else { &[] };
        let of_orders = of_orders.iter().map(|&(kind, name, help, value)| {
            let values = self.orders.iter().filter_map(|order| Some((&*order.name, value(order, self)?)));
            Family::each(kind, name, help, "order", values)
        });
        let of_accounts = OF_ACCOUNTS.map(|(kind, name, help, value)| {
            let all = self.accounts.iter();
            let values = all.filter_map(|account| Some((&*account.name, value(account, self)?)));
            Family::each(kind, name, help, "account", values)
        });
        let stages = self.orders.iter().filter(|_| self.per_order).filter_map(|order| {
            let stage = order.reissue.as_ref()?.stage;
            Some((vec![("order", order.name.clone()), ("stage", stage.to_owned())], 1))
        });
        let stages = Family::of(
            Kind::Gauge,
            "reissue_stage",
            "How far the order's last re-issue has come, by its label",
            stages.collect(),
        );
        let families =
            self.of_the_process().into_iter().chain(self.of_findings()).chain([phases]).chain(of_all_orders);
        exposition.document(&families.chain(of_orders).chain([stages]).chain(of_accounts).collect::<Vec<_>>())
    }

    /// What is not in order. No sentence of a finding becomes a label: there is no end to what it may say.
    fn of_findings(&self) -> [Family; 3] {
        let found = self.found();
        let mut each: BTreeMap<Labels, i64> = BTreeMap::new();
        let mut of_kind: BTreeMap<(Urgency, FindingKind), i64> = BTreeMap::new();
        for found in &found {
            let (kind, urgency) = (found.finding.kind, found.finding.urgency);
            *of_kind.entry((urgency, kind)).or_default() += 1;
            if found.order.is_some() && !self.per_order {
                continue;
            }
            let about = [("order", found.order), ("account", found.account)];
            let about = about.into_iter().filter_map(|(label, of)| Some((label, of?.to_owned())));
            *each.entry(labels(kind, urgency).into_iter().chain(about).collect()).or_default() += 1;
        }
        let kinds = Urgency::ALL.into_iter().flat_map(|urgency| FindingKind::ALL.map(|kind| (urgency, kind)));
        let by_kind = kinds.map(|(urgency, kind)| {
            let found = of_kind.get(&(urgency, kind)).copied().unwrap_or(0);
            (labels(kind, urgency).to_vec(), found)
        });
        [
            Family::of(
                Kind::Gauge,
                "finding",
                "What is not in order: `certcollectd status` has the sentence and the next command",
                each.into_iter().collect(),
            ),
            Family::only(Kind::Gauge, "findings", "Things that are not in order", number(found.len())),
            Family::of(
                Kind::Gauge,
                "findings_by_kind",
                "Things that are not in order, by kind and urgency",
                by_kind.collect(),
            ),
        ]
    }

    fn of_the_process(&self) -> Vec<Family> {
        let gauge = |name, help, value| Family::only(Kind::Gauge, name, help, value);
        let version = [(env!("CARGO_PKG_VERSION"), 1)];
        let mut families = vec![
            Family::each(Kind::Info, "build", "The running program", "version", version),
            gauge(
                "orders_absent",
                "Orders that hold an installed certificate and are no longer configured",
                number(self.absent.len()),
            ),
        ];
        if let Some(vitals) = &self.vitals {
            families.extend([
                gauge(
                    "state_save_failures",
                    "Saves of the state that failed in a row",
                    vitals.failed_saves.into(),
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
            families.extend(vitals.fleet.iter().flat_map(of_the_fleet));
        }
        families
    }
}
