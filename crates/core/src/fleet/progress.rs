//! How far a host is with a generation that it was given, as its record of the order shows.

use crate::cert::Fingerprint;
use crate::config::{HookEvent, Order};
use crate::engine::order::phase::Phase;
use crate::engine::order::record::OrderRecord;
use crate::fleet::report::State;

/// The state to report, and why it is not done.
pub fn of(entry: &Order, record: &OrderRecord, leaf: Fingerprint) -> (State, String) {
    let installed = record.installed.as_ref().filter(|installed| installed.fingerprint == leaf);
    if installed.is_none() {
        return not_installed(record, leaf);
    }
    let mut owed = record.owed().filter(|debt| debt.event == HookEvent::Installed).peekable();
    if let Some(failed) = record
        .owed()
        .find(|debt| debt.event == HookEvent::Installed && debt.tries > 0 && debt.outcome.is_some())
    {
        let why = failed.outcome.as_deref().unwrap_or_default();
        return (State::Failed, format!("hook {}: {why}", failed.hook));
    }
    if let Some(owed) = owed.peek() {
        return (State::Working, format!("hook {} is to run", owed.hook));
    }
    if entry.settings.probes.is_empty() {
        return (State::Done, String::new());
    }
    let probed = record.probed.as_deref();
    let answered = |label: &str| {
        probed.is_some_and(|probed| {
            probed.probes.iter().any(|known| *known.label == *label && known.leaf == leaf)
        })
    };
    let wrong = probed.filter(|probed| probed.is_failing()).and_then(|probed| {
        let probe = probed.probes.iter().find(|probe| probe.leaf == leaf && probe.failures > 0)?;
        let served = probe.served.iter().find(|served| served.wrong.is_some())?;
        Some(format!("{} {}", served.address, served.wrong.as_deref().unwrap_or_default()))
    });
    match wrong {
        Some(why) => (State::Failed, why),
        None if entry.settings.probes.iter().all(|probe| answered(&probe.label())) => {
            (State::Done, String::new())
        }
        None => (State::Working, "it is being asked whether it is served".into()),
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
