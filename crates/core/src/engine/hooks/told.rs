//! What a hook tells somebody: what has happened, and the one thing to do.

use std::time::Duration;

use crate::config::HookEvent;
use crate::engine::order::phase::Phase;
use crate::engine::order::probes::unserved;
use crate::engine::order::record::OrderRecord;
use crate::engine::time::{Now, day, in_words, rfc3339};

/// A sentence, and a command; without a command there is nothing to do. No text of the vendor's is in it.
pub(crate) fn told(name: &str, record: &OrderRecord, event: HookEvent, now: Now) -> (String, String) {
    let explain = || format!("certcollectd explain {name}");
    let installed = record.installed.as_deref();
    match event {
        HookEvent::Installed => {
            let end = installed.map(|installed| rfc3339(installed.not_after)).unwrap_or_default();
            (format!("{name}: a certificate is installed that is valid until {}", day(&end)), String::new())
        }
        HookEvent::Failed => {
            let threatened = record.phase == Phase::Guarding && record.revocation().is_some();
            let text = if threatened {
                format!("{name}: the vendor announces that it will revoke the installed certificate")
            } else {
                format!("{name} {}", record.phase.predicate())
            };
            (text, explain())
        }
        HookEvent::Expiring => {
            let left = installed.map_or(0, |installed| installed.not_after - now.unix());
            let when = in_words(Duration::from_secs(left.unsigned_abs()));
            let text = if record.warned == 0 {
                format!("{name}: the subscription ends; no re-issue outlasts it")
            } else if left > 0 {
                format!("{name}: the installed certificate expires in {when}, and there is no newer one")
            } else {
                format!("{name}: the installed certificate expired {when} ago, and there is no newer one")
            };
            (text, explain())
        }
        HookEvent::ProbeFailed => {
            let wrong = record.probed.as_deref().map(unserved).filter(|wrong| !wrong.is_empty());
            let wrong = wrong.unwrap_or_else(|| "the installed certificate is not served".into());
            (format!("{name}: {wrong}"), explain())
        }
        HookEvent::Recovered => (format!("{name} is in order again"), String::new()),
    }
}
