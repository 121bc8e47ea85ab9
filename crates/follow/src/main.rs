//! `certcollectd-follow`: the companion as a small program of its own, to be copied into a web server's container.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs, io};

use certcollectd_follow::cli::{Arguments, HELP, run};
use clap::Parser;

const NAME: &str = "certcollectd-follow";

/// Starts a server, reloads it when the link to its certificates changes, and reports how that went
#[derive(Debug, Parser)]
#[command(version, name = NAME, after_help = HELP)]
struct Program {
    #[command(flatten)]
    arguments: Option<Arguments>,
    /// Only copy this program into DIR, from an image that has no other program for it
    #[arg(long, value_name = "DIR", exclusive = true)]
    install: Option<PathBuf>,
}

fn main() -> ExitCode {
    let program = Program::parse();
    match (program.install, program.arguments) {
        (Some(dir), _) => match install(&dir) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{NAME}: {} cannot be written: {error}", dir.join(NAME).display());
                ExitCode::FAILURE
            }
        },
        (None, Some(arguments)) => ExitCode::from(run(&arguments)),
        (None, None) => unreachable!("clap asks for DIR and SERVER"),
    }
}

/// Beside it first: the one that is there may be running.
fn install(dir: &Path) -> io::Result<()> {
    let new = dir.join(format!(".{NAME}.new"));
    fs::copy(env::current_exe()?, &new)?;
    fs::rename(new, dir.join(NAME))
}
