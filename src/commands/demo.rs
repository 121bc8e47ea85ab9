//! `demo`.

use clap::Args;

/// `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {}

/// `demo`.
pub fn demo(_: &DemoArgs) -> u8 {
    0
}
