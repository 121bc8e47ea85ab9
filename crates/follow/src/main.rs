//! `certcollectd-follow`: the companion as a small program of its own, to be copied into a web server's container.

use std::process::ExitCode;

use certcollectd_follow::cli::{Arguments, HELP, run};
use clap::Parser;

/// Starts a server, reloads it when the link to its certificates changes, and reports how that went
#[derive(Debug, Parser)]
#[command(version, name = "certcollectd-follow", after_help = HELP)]
struct Program {
    #[command(flatten)]
    arguments: Arguments,
}

fn main() -> ExitCode {
    ExitCode::from(run(&Program::parse().arguments))
}
