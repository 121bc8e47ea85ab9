//! What users are promised, tested. One crate, so that it is built and linked once.

#![allow(unreachable_pub)]

/// House rules: who may import whom, who reads the clock.
mod architecture;
/// Certificates made for tests.
mod certs;
/// Each file in `config/` passes; each wrong text yields the message we want.
mod config;
/// The real binary killed at random times.
mod crash;
/// The engine, told one thing after the other: bytes in, effects out.
mod engine;
/// Suites for `tests/proof`: too long, or too demanding, for every day.
mod proof;
/// The real binary against the sandbox: real TLS, real files, real processes.
mod rehearsal;
/// A start from each phase, whatever lies on the disk.
mod resume;
/// A sandbox, a configuration and the real binary, in a directory of their own.
mod setting;
/// The engine in a world made from a seed: the promises as invariants.
mod simulation;
/// The state file: damaged, newer, restored.
mod store;
/// A world for the engine: clock, vendor, disk, hooks and state, all of them able to fail.
mod world;
