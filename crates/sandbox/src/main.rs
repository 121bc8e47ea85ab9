//! `certcollectd-sandbox`: the vendor for rehearsals, as a program of its own.

use std::process::ExitCode;

use certcollectd_sandbox::cli::{Arguments, Failure, print, run};
use clap::Parser;

/// Plays the vendor: CollectSSL, CollectMC, CollectSMIME and the calls beside them, for rehearsals
#[derive(Debug, Parser)]
#[command(version, name = "certcollectd-sandbox")]
struct Program {
    #[command(flatten)]
    arguments: Arguments,
}

fn main() -> ExitCode {
    match run(&Program::parse().arguments, print) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(why)) => end(&why, 2),
        Err(Failure::Failed(why)) => end(&why, 1),
    }
}

fn end(why: &str, code: u8) -> ExitCode {
    eprintln!("{why}");
    ExitCode::from(code)
}
