//! The installed certificate as a promise: what it covers, the next one should cover as well.

use crate::cert;
use crate::cert::{Certificate, Severity};
use crate::engine::note::{Level, NoteKind};
use crate::engine::order::Order;
use crate::engine::order::record::OrderRecord;

/// Names that earlier certificates covered and this one does not: none after `accepted`, and after `rolled_back` only
/// those that were uncovered before.
pub(crate) fn uncovered(
    record: &OrderRecord,
    leaf: Option<&Certificate>,
    accepted: bool,
    rolled_back: bool,
) -> Box<[Box<str>]> {
    let Some(leaf) = leaf else { return record.uncovered.clone() };
    let installed = record.installed.iter().filter(|_| !rolled_back).flat_map(|before| &before.names);
    let mut names: Vec<Box<str>> = Vec::new();
    for name in record.uncovered.iter().chain(installed).filter(|_| !accepted) {
        if !cert::still_covers(leaf, name) && !names.contains(name) {
            names.push(name.clone());
        }
    }
    names.into()
}

impl Order<'_> {
    /// The names that an order's certificate should cover; none if `coverage` is off.
    pub(crate) fn promised(&self, on_disk: Option<&Certificate>, on_record: &[Box<str>]) -> Vec<Box<str>> {
        if self.entry().settings.verify.coverage == Severity::Off {
            return Vec::new();
        }
        let record = &self.state.record;
        if let Some(installed) = &record.installed {
            return installed.names.to_vec();
        }
        let on_disk =
            on_disk.into_iter().flat_map(Certificate::names).map(|name| Box::<str>::from(name.to_string()));
        let mut seen = std::collections::HashSet::new();
        on_disk.chain(on_record.iter().cloned()).filter(|name| seen.insert(name.clone())).collect()
    }

    /// After a loss of the state, nothing but the files themselves tells what readers were promised; after a change of the
    /// order's name, what is on record under the old one.
    pub(crate) fn record_uncovered(
        &mut self,
        found: Option<&Certificate>,
        on_record: &[Box<str>],
        leaf: &Certificate,
    ) {
        let promised = self.promised(found, on_record);
        let missed = promised.into_iter().filter(|name| !cert::still_covers(leaf, name));
        self.state.record.uncovered = missed.collect();
    }

    /// The operator accepts the uncovered names; returns them, if there were any.
    pub(crate) fn coverage_accepted(&mut self) -> Option<String> {
        let names = std::mem::take(&mut self.state.record.uncovered);
        if names.is_empty() {
            return None;
        }
        let missed = cert::listed(names.iter().map(|name| &**name));
        let text = format!("the operator accepts that the certificate no longer covers {missed}");
        self.note(Level::Info, NoteKind::Accepted, text);
        self.touch();
        self.outbox.save_first();
        Some(missed)
    }
}
