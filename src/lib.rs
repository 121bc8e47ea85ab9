//! certcollectd collects issued certificates from Sectigo by order number, installs each set of
//! files in one step, runs the reload hooks until they have worked, and goes on guarding the order.
//!
//! ```text
//!  config ──> Config ───────────┐
//!  sources ── Event ──> engine (pure) ── Effect ──> effects        daemon.rs is the loop that joins them
//!    clock                 schedule  how long to wait    call      one POST; the answer comes back unread
//!    signal                account   may we call         install   stage, sync, verify, swap
//!    watch                 api       what did they say   hook      run, bounded
//!    push, control, http   cert      unpack, order,      store     state.db
//!                                    verify
//!                          order     phase -> next phase
//! ```
//!
//! The way of one certificate: `config` → `engine::order::polls` → `effects::call` → `api::reply` → `engine::order::answers` →
//! `cert::unpack`, `cert::chain`, `cert::verify` → `effects::install` → `effects::hook`;
//! `engine::order` is the thread through all of them and `state` is what survives.
//!
//! # Who may import whom
//!
//! Four crates, which the compiler keeps apart: `certcollectd-core` decides (`api`, `cert`, the typed configuration,
//! `engine`, `state`'s rows) and can reach no runtime, socket, file or clock, so every decision can be tested without
//! one; this one, the daemon, acts; `certcollectd-follow` reloads a server in another container, and meets the daemon
//! in two files only (`certcollectd_core::follow`); `certcollectd-sandbox` plays the vendor and imports nothing of
//! ours, because a misreading of the vendor's documents that both shared would pass every test.
//!
//! | part | may import, besides the core | may touch outside the process |
//! | --- | --- | --- |
//! | `config` | – | nothing: text comes in as `&str` |
//! | `status` | – | nothing |
//! | `sources` | `config`, `effects`, `status` | clock, signals, file notifications, config and credential files (read), listening sockets |
//! | `takeover` | `config` | nothing: what `adopt` reads and plans |
//! | `effects` | `config`, `takeover` | network out, disk, child processes |
//! | `terminal` | – | the terminal: its size, a screen of its own; `NO_COLOR` |
//! | `telemetry` | `terminal` | stderr, journal, notify socket |
//! | `daemon` | `sources`, `effects`, `telemetry` | only through these |
//! | `fleet` | `daemon`, `effects`, `sources`, `telemetry` | only through these |
//! | `commands` | everything above | stdout, config file |
//! | `cli` | `commands`, `terminal`, and what arguments name | arguments, exit code |
//! | `main` | `cli` | nothing |
//!
//! `tests/it/architecture.rs` holds the imports, and who reads the clock, against the code.
//!
//! What is deliberately absent: the engine has no clock, no file, no random source and no `await`;
//! nothing follows a redirect; no test branch exists in the daemon's code.

#![forbid(unsafe_code)]

pub mod cli;
pub mod commands;
pub mod config;
pub mod daemon;
pub mod effects;
pub mod fleet;
pub mod sources;
pub mod status;
pub mod takeover;
pub mod telemetry;
pub mod terminal;
