//! What becomes of a run, in words.

use std::time::Duration;

use certcollectd_core::engine::hooks::HookResult;

/// Exit code that means "this event is not for me" (the hook protocol of acmetool).
pub(super) const NOT_FOR_ME: i32 = 42;

/// A failure with the one thing to do.
pub(super) fn advised(why: impl Into<String>, remedy: impl Into<String>) -> HookResult {
    HookResult::Failed { why: why.into(), last_words: Vec::new(), remedy: Some(remedy.into()) }
}

pub(super) fn over(limit: Duration) -> String {
    format!("ended at its time limit of {}", humantime::format_duration(limit))
}
