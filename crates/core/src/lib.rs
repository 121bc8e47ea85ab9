//! What certcollectd decides, and from what: the vendor's API read and written, certificates judged, the typed
//! configuration, the engine, the files of a companion, and the rows of the state.
//!
//! Nothing here opens a file or a socket, starts a process, waits, or reads a clock: the daemon does, and brings the
//! time and what it found. So every decision can be tested without any of them.
//!
//! | part | uses |
//! | --- | --- |
//! | [`api`] | [`rare`] |
//! | [`cert`] | – |
//! | [`config`] | [`api`], [`cert`], [`follow`], [`rare`] |
//! | [`engine`] | [`api`], [`cert`], [`config`], [`rare`] |
//! | [`fleet`] | [`api`], [`cert`], [`config`], [`engine`], [`state`] |
//! | [`follow`] | [`api`] |
//! | [`forecast`] | [`api`], [`config`], [`engine`] |
//! | [`rare`] | – |
//! | [`state`] | all of them |
//! | `words` | – |

#![forbid(unsafe_code)]

#[macro_use]
mod words;

pub mod api;
pub mod cert;
pub mod config;
pub mod engine;
pub mod fleet;
pub mod follow;
pub mod forecast;
pub mod rare;
pub mod state;
