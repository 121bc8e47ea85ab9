//! How far a host is with a generation that it was given, as its record of the order shows.

use crate::cert::Fingerprint;
use crate::config::{HookEvent, Probe};
use crate::engine::order::phase::Phase;
use crate::engine::order::record::OrderRecord;
use crate::fleet::report::State;

/// The state to report, and why it is not done. `probes` are those of the order.
pub fn of(probes: &[Probe], record: &OrderRecord, leaf: Fingerprint) -> (State, String) {
    if record.installed.as_ref().is_none_or(|installed| installed.fingerprint != leaf) {
        return not_installed(record, leaf);
    }
    let owed = || record.owed().filter(|debt| debt.event == HookEvent::Installed);
    // From the first failure until a retry works.
    if let Some((hook, why)) = owed().find_map(|debt| Some((&debt.hook, debt.outcome.as_ref()?))) {
        return (State::Failed, format!("hook {hook} {why}"));
    }
    if let Some(debt) = owed().next() {
        return (State::Working, format!("hook {} is to run", debt.hook));
    }
    let probed = record.probed.iter().flat_map(|probed| &probed.probes);
    let probed = || probed.clone().filter(|probed| probed.leaf == leaf);
    for served in probed().flat_map(|probed| &probed.served) {
        if let Some(wrong) = &served.wrong {
            return (State::Failed, format!("{} {wrong}", served.address));
        }
    }
    match probes.iter().find(|probe| !probed().any(|probed| *probed.label == *probe.label())) {
        Some(probe) => (State::Working, format!("{} is to be asked whether it is served", probe.label())),
        None => (State::Done, String::new()),
    }
}

fn not_installed(record: &OrderRecord, leaf: Fingerprint) -> (State, String) {
    if record.phase == Phase::Quarantined {
        return (State::Quarantined, record.reason.as_deref().unwrap_or_default().to_owned());
    }
    if record.rolled_back_from == Some(leaf) {
        return (State::Failed, "it was rolled back on this host".into());
    }
    if record.is_held() {
        return (State::WaitsForWindow, String::new());
    }
    match &record.trouble {
        Some(trouble) => (State::Failed, trouble.text.to_string()),
        None => (State::Working, "it is being installed".into()),
    }
}
