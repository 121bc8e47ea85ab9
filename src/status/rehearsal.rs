//! The rehearsals of an order's hooks.

use serde::Serialize;

use super::when;
use certcollectd_core::engine::order::record::Rehearsed;
use certcollectd_core::engine::time::{Now, rfc3339};

#[derive(Debug, Clone, Serialize)]
pub struct RehearsalStatus {
    /// When the last one ended, RFC 3339.
    pub at: Option<String>,
    /// Whether every hook worked in it; nothing where there was none.
    pub ok: Option<bool>,
    /// Which hook failed in it, and how.
    pub failed: Option<String>,
    /// The next one by the calendar, RFC 3339.
    pub next: Option<String>,
    #[serde(skip)]
    pub(super) ended: Option<i64>,
}

impl RehearsalStatus {
    pub(super) fn new(rehearsed: &Rehearsed, now: Now) -> RehearsalStatus {
        let Rehearsed { next, at, failed } = rehearsed;
        RehearsalStatus {
            at: at.map(rfc3339),
            ok: at.map(|_| failed.is_none()),
            failed: failed.as_ref().map(ToString::to_string),
            next: next.map(|time| when(time, now)),
            ended: *at,
        }
    }

    /// In a line.
    pub(super) fn words(&self) -> String {
        let last = match (&self.at, &self.failed) {
            (Some(at), Some(failed)) => format!("failed at {at}: {failed}"),
            (Some(at), None) => format!("worked at {at}"),
            (None, _) => "none yet".into(),
        };
        let next = self.next.as_ref().map(|next| format!(", next {next}")).unwrap_or_default();
        last + &next
    }
}
