//! `[order.reissue]`: where the request for a re-issue comes from, and how its names are proven.

use std::sync::Arc;
use std::time::Duration;

use crate::api::dcv::Dcv;

/// How an order is re-issued under its number.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ReissueSettings {
    pub csr: CsrSource,
    /// `None` leaves it to the command.
    pub dcv: Option<Dcv>,
    /// The hook that publishes the proof and removes it; without one, a person does.
    pub dcv_hook: Option<Arc<str>>,
}

/// Where a re-issue's request comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CsrSource {
    /// `csr_file` of the order.
    File,
    /// A program that prints it; no shell, never empty.
    Command { argv: Box<[Box<str>]>, timeout: Duration },
}

impl CsrSource {
    pub const TIMEOUT: Duration = Duration::from_secs(60);
    pub const WORDS: [&'static str; 2] = ["file", "command"];
}

/// `[reissues]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReissueBudget {
    /// Most calls for re-issues within 24 hours, for each account.
    pub per_day: u32,
}

impl ReissueBudget {
    /// The most that [`ReissueBudget::per_day`] may be.
    pub const MOST: u32 = 10_000;
}

impl Default for ReissueBudget {
    fn default() -> ReissueBudget {
        ReissueBudget { per_day: 20 }
    }
}
