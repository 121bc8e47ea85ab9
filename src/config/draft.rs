//! All that was read so far, in the order of the files, before it is known whether it fits together.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::parse::diagnostic::Span;
use super::tables::fleet::Part;
use super::tables::listener::Bound;
use super::tables::order::Orders;
use super::tables::polling::{CadenceOverrides, Polling, cadence};
use super::tables::{account, fleet, hook, window};
use certcollectd_core::config::{Config, Dns, Freeze, Http, Log, Metrics, Push, ReissueBudget};

#[derive(Default)]
pub(super) struct Draft {
    pub(super) state_dir: Option<(PathBuf, Span)>,
    /// It is given, and cannot be used.
    pub(super) state_dir_is_wrong: bool,
    pub(super) install_dir: Option<(PathBuf, Span)>,
    pub(super) polling: Polling,
    pub(super) accounts: Vec<account::Draft>,
    /// How many there were, the unreadable ones included.
    pub(super) account_tables: usize,
    pub(super) orders: Orders,
    pub(super) hooks: Vec<hook::Draft>,
    /// How many there were, the unreadable ones included.
    pub(super) hook_tables: usize,
    pub(super) windows: Vec<window::Draft>,
    /// How many there were, the unreadable ones included.
    pub(super) window_tables: usize,
    pub(super) freezes: Vec<Freeze>,
    pub(super) http: Bound<Http>,
    pub(super) push: Bound<Push>,
    pub(super) metrics: Metrics,
    pub(super) rehearsal: Option<Duration>,
    pub(super) reissues: ReissueBudget,
    pub(super) dns: Dns,
    pub(super) log: Log,
    pub(super) fleet: Option<fleet::Draft>,
    /// The tables that may be given once, and where they were.
    pub(super) once: HashMap<&'static str, Span>,
}

impl Draft {
    pub(super) fn state_dir(&self) -> &Path {
        folder(&self.state_dir, Config::STATE_DIR)
    }

    pub(super) fn install_dir(&self) -> &Path {
        folder(&self.install_dir, Config::INSTALL_DIR)
    }

    /// Nothing is missing when there were no errors.
    pub(super) fn settle(mut self) -> Config {
        if self.orders.fleet.part == Part::Follower {
            self.accounts = vec![account::Draft::fleet()];
        }
        let (state_dir, install_dir) = (self.state_dir().to_owned(), self.install_dir().to_owned());
        let names: HashSet<Arc<str>> = self.accounts.iter().map(|draft| draft.name.clone()).collect();
        let only = self.accounts.first().map(|draft| draft.name.clone()).unwrap_or_default();
        let accounts: Vec<Arc<str>> =
            self.orders.list.iter().map(|order| names.get(&order.account).unwrap_or(&only).clone()).collect();
        Config {
            state_dir,
            install_dir,
            calls: self.polling.calls,
            cadence: cadence(&self.polling.overrides, &CadenceOverrides::default()),
            orders: self.orders.settle(&self.polling, accounts.into_iter()),
            accounts: self.accounts.into_iter().filter_map(|draft| draft.account).map(Arc::new).collect(),
            hooks: self.hooks.into_iter().filter_map(|draft| draft.hook).map(Arc::new).collect(),
            windows: self.windows.into_iter().filter_map(|draft| draft.window).map(Arc::new).collect(),
            freezes: self.freezes,
            http: self.http.map(|(http, _)| http),
            push: self.push.map(|(push, _)| push),
            metrics: self.metrics,
            rehearsal: self.rehearsal,
            reissues: self.reissues,
            dns: self.dns,
            log: self.log,
            fleet: self.fleet.and_then(|draft| draft.fleet),
        }
    }
}

fn folder<'a>(written: &'a Option<(PathBuf, Span)>, default: &'static str) -> &'a Path {
    written.as_ref().map_or_else(|| Path::new(default), |(path, _)| path)
}
