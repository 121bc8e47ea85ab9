//! The one reader of the clock in this crate.

#![allow(clippy::disallowed_methods)]

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// For what is waited for.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// For people: RFC 3339.
pub(crate) fn date() -> String {
    certcollectd_core::engine::time::rfc3339(unix())
}

/// UNIX time in seconds.
pub(crate) fn unix() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    i64::try_from(since).unwrap_or_default()
}
