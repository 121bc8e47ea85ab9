//! One POST. The answer goes back unread.
//!
//! No redirect is followed, because the body holds the password; no proxy is used that the configuration does
//! not name; no content-encoding is accepted, because a limit must count what ends up in memory; one time
//! limit covers the whole call. Nothing of the request ever reaches an error.

mod client;
pub mod credential;
mod leave;
mod limit;
mod near;
mod redact;
mod send;
pub(super) mod transport;

pub use client::{Callers, Prepared, anchors, obstacle, roots};
pub use leave::Leave;
pub use send::{MAX_BODY, MAX_HEADERS};
