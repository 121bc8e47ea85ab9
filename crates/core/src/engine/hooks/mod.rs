//! What a hook is told, and how it ended.

pub(in crate::engine) mod company;
pub(in crate::engine) mod ledger;
pub(in crate::engine) mod rehearsal;

use std::path::PathBuf;
use std::sync::Arc;

use crate::api::Untrusted;
use crate::config::{self, Config, Hook, HookEvent};
use crate::engine::account::Gate;
use crate::engine::hooks::ledger::Ledger;
use crate::engine::id::{OrderId, RunId};
use crate::engine::order::Order;
use crate::engine::orders::Orders;
use crate::engine::outbox::Outbox;
use crate::engine::time::Now;

/// What orders owe, and the runs of hooks that pay it. One run may be for many orders; no account can be changed here.
pub(in crate::engine) struct Hooks<'a> {
    pub(in crate::engine) now: Now,
    pub(in crate::engine) config: &'a Config,
    pub(in crate::engine) ledger: &'a mut Ledger,
    pub(in crate::engine) orders: &'a mut Orders,
    pub(in crate::engine) gates: &'a [Gate],
    pub(in crate::engine) outbox: &'a mut Outbox,
}

impl Hooks<'_> {
    pub(in crate::engine) fn order(&mut self, id: OrderId) -> Order<'_> {
        self.orders.order(id, self.now, self.config, self.gates, self.outbox)
    }

    pub(in crate::engine) fn entry(&self, id: OrderId) -> &config::Order {
        &self.config.orders[self.orders.slot(id).entry]
    }
}

/// One run of a hook, for one or several orders.
#[derive(Debug, Clone)]
pub struct HookRun {
    pub run: RunId,
    pub hook: Arc<Hook>,
    pub event: HookEvent,
    /// For whom; at least one.
    pub subjects: Vec<Subject>,
    pub rehearsal: bool,
}

/// What a hook is told of one order. Empty where there is nothing to tell.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Subject {
    pub order: Arc<str>,
    /// The number it is known by at the vendor.
    pub number: String,
    /// `ssl`, `mark` or `smime`.
    pub product: &'static str,
    /// `<install_dir>/<name>`.
    pub dir: PathBuf,
    /// Where `cert` is, empty if it is not written.
    pub cert: PathBuf,
    /// Where `chain` is, empty if it is not written.
    pub chain: PathBuf,
    /// Where `fullchain` is, empty if it is not written.
    pub fullchain: PathBuf,
    /// Names in the certificate that are well-formed.
    pub domains: Vec<String>,
    /// Lower-case hexadecimal.
    pub serial: String,
    /// SHA-256, lower-case hexadecimal.
    pub fingerprint: String,
    /// UNIX seconds.
    pub not_after: Option<i64>,
    /// The generation's name.
    pub generation: String,
    /// What was left out because it is too long: variables without their `CERTCOLLECTD_`.
    pub untold: Vec<&'static str>,
}

/// How a hook ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookResult {
    Done,
    /// Exit code 42: the hook says that this event is not for it.
    NotForMe,
    Failed {
        /// In our words: exit status, signal, timeout, what was refused.
        why: String,
        /// The last lines that it printed, three at most.
        last_words: Vec<Untrusted>,
        /// The one thing to do, where that is known.
        remedy: Option<String>,
    },
}

impl HookResult {
    /// It did not work, and that is all that is known.
    pub fn failed(why: impl Into<String>) -> HookResult {
        HookResult::Failed { why: why.into(), last_words: Vec::new(), remedy: None }
    }
}
