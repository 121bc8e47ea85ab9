//! What the parts do together, seen from outside. The only integration-test crate.

/// Each file in `config/` passes; each wrong file yields the message we want.
mod config;
