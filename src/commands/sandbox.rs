//! `sandbox`: the rehearsal server.

use clap::Args;

/// `sandbox`.
#[derive(Debug, Args)]
pub struct SandboxArgs {}

/// `sandbox`.
pub fn sandbox(_: &SandboxArgs) -> u8 {
    0
}
