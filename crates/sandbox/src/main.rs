//! `certcollectd-sandbox`: the vendor for rehearsals, as a program of its own.

use std::process::ExitCode;

use certcollectd_sandbox::cli::{Arguments, Ask, Failure, ask, print, run};
use clap::{Parser, Subcommand};

/// Plays the vendor: CollectSSL, CollectMC, CollectSMIME and the calls beside them, for rehearsals
#[derive(Debug, Parser)]
#[command(version, name = "certcollectd-sandbox", args_conflicts_with_subcommands = true)]
struct Program {
    #[command(flatten)]
    arguments: Arguments,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Sends a command to the control port of a running sandbox, and prints the answer
    #[command(after_help = "Example: certcollectd-sandbox ask POST /orders/1000002/issue")]
    Ask(Ask),
}

fn main() -> ExitCode {
    let program = Program::parse();
    let done = match &program.command {
        Some(Command::Ask(command)) => ask(command, print),
        None => run(&program.arguments, print),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(why)) => end(&why, 2),
        Err(Failure::Failed(why)) => end(&why, 1),
    }
}

fn end(why: &str, code: u8) -> ExitCode {
    eprintln!("{why}");
    ExitCode::from(code)
}
