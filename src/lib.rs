//! certcollectd collects issued certificates from Sectigo by order number, installs each set of
//! files in one step, runs the reload hooks until they have worked, and goes on guarding the order.
//!
//! ```text
//!  config ──> Config ───────────┐
//!  sources ── Event ──> engine (pure) ── Effect ──> effects        daemon.rs is the loop that joins them
//!    clock                 schedule  who is due          call      one POST; the answer comes back unread
//!    signal                account   may we call         install   stage, sync, verify, swap
//!    watch                 api       what did they say   hook      run, bounded
//!    push, control         cert      unpack, order,      save      state.db
//!                                    verify              report    log, notify
//!                          order     phase -> next phase
//! ```
//!
//! The way of one certificate: `config` → `engine::polls` → `effects::call` → `api::reply` → `engine::answers` →
//! `cert::unpack`, `cert::chain`, `cert::verify` → `effects::install` → `effects::hook`;
//! `engine::order` is the thread through all of them and `state` is what survives.
//!
//! # Who may import whom
//!
//! | part | may import | may touch outside the process |
//! | --- | --- | --- |
//! | `api` | – | nothing |
//! | `cert` | – | nothing |
//! | `config` | `api`, `cert` | nothing: text comes in as `&str` |
//! | `engine` | `api`, `cert`, `config` | nothing |
//! | `state`, `status` | `engine`, and what it shows | nothing; `state` is handed an open database |
//! | `sources` | `engine`, `api`, `config` | clock, signals, file notifications, config and credential files (read), listening sockets |
//! | `effects` | `engine`, `api`, `cert`, `config`, `state` | network out, disk, child processes |
//! | `daemon` | `engine`, `sources`, `effects`, `config` | only through these |
//! | `telemetry` | `config`, `engine` | stderr, journal, notify socket |
//! | `commands` | everything above | stdout, config file |
//! | `cli` | `commands`, and what arguments name | arguments, exit code |
//! | `main` | `cli` | nothing |
//!
//! `tests/it/architecture.rs` keeps this table true. One line carries the weight: `engine` cannot reach
//! `effects`, so every decision can be tested without a socket or a disk. The rehearsal server is a crate of its own,
//! `certcollectd-sandbox`, which imports nothing of this one: a misreading of the vendor's documents that both
//! shared would pass every test.
//!
//! What is deliberately absent: the engine has no clock, no file, no random source and no `await`;
//! nothing follows a redirect; no test branch exists in the daemon's code.

#![forbid(unsafe_code)]

pub mod api;
pub mod cert;
pub mod cli;
pub mod commands;
pub mod config;
pub mod daemon;
pub mod effects;
pub mod engine;
pub mod sources;
pub mod state;
pub mod status;
pub mod telemetry;
