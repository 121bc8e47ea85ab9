//! Gates: counts that noise cannot move, each held against the number in `benches/gates.toml`.

mod installs;
mod instructions;
mod memory;
mod quiet;
mod setting;
mod size;
mod stored;
mod strace;
mod system_calls;
mod table;
mod without_auxv;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;

use clap::Args;

pub use without_auxv::without_auxv;

use stored::Stored;
use table::{GATES, Measure};

/// What `gates` is called with.
#[derive(Debug, Args)]
#[command(after_help = "Example: certcollectd-bench gates --binary target/release/certcollectd\n\n\
    Exit code 1 if a count is more than a tenth above its stored number, or if nothing was measured.")]
pub struct Arguments {
    /// The release program with the rehearsal server.
    #[arg(long, default_value = "target/release/certcollectd")]
    binary: PathBuf,
    /// The release program without it, as the packages contain it.
    #[arg(long, default_value = "target/packaging/release/certcollectd")]
    without_sandbox: PathBuf,
    /// The stored numbers.
    #[arg(long, default_value = "benches/gates.toml")]
    stored: PathBuf,
    /// Stores what was counted.
    #[arg(long)]
    renew: bool,
    /// Only these gates; all of them if none is named.
    names: Vec<String>,
}

/// What became of a gate's count.
#[derive(Debug, Clone)]
enum Found {
    Count(f64),
    /// It cannot be counted here, and why.
    Skipped(String),
}

/// The counts of a measure by the names of their gates; or what went wrong.
type Counts = io::Result<BTreeMap<&'static str, Found>>;

/// Counts what the arguments name, prints a line for each, and says whether all of them hold.
pub fn gates(arguments: &Arguments) -> ExitCode {
    match run(arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("gates: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<bool, String> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Err("the stored numbers are those of x86-64 Linux".into());
    }
    let mut stored = Stored::read(&arguments.stored)?;
    if let Some(unknown) = arguments.names.iter().find(|name| table::gate(name).is_none()) {
        let names: Vec<&str> = GATES.iter().map(|gate| gate.name).collect();
        return Err(format!("there is no gate {unknown}; there are: {}", names.join(" ")));
    }
    let chosen =
        |name: &str| arguments.names.is_empty() || arguments.names.iter().any(|chosen| chosen == name);
    let (mut held, mut stale, mut counted) = (true, false, 0_usize);
    for (measure, counts) in measured(arguments, &chosen) {
        let gates = GATES.iter().filter(|gate| gate.measure == measure && chosen(gate.name));
        for gate in gates {
            let found = match &counts {
                Ok(counts) => counts.get(gate.name).cloned().ok_or_else(|| "it was not counted".to_owned()),
                Err(problem) => Err(problem.to_string()),
            };
            match found {
                Ok(Found::Count(count)) if arguments.renew => {
                    counted += 1;
                    println!("{}", stored.renew(gate, count));
                }
                Ok(Found::Count(count)) => {
                    counted += 1;
                    let verdict = stored.verdict(gate, count);
                    held &= verdict.holds();
                    stale |= verdict.is_stale();
                    println!("{verdict}");
                }
                Ok(Found::Skipped(why)) => println!("skipped  {}: {why}", gate.name),
                Err(problem) => {
                    held = false;
                    println!("FAILED   {}: {problem}", gate.name);
                }
            }
        }
    }
    if arguments.renew {
        stored.write(&arguments.stored)?;
    }
    if counted == 0 {
        return Err("nothing was counted".into());
    }
    if !held {
        println!("Mend what grew; or, if it is worth that, renew its number in the same change:");
    }
    if !held || stale {
        println!("  {} [NAME...]", stored::RENEW);
    }
    Ok(held)
}

/// Makes the measures that a chosen gate needs. The quiet one waits for a minute, beside the others.
fn measured(arguments: &Arguments, chosen: &dyn Fn(&str) -> bool) -> Vec<(Measure, Counts)> {
    let wanted: Vec<Measure> = Measure::ALL
        .into_iter()
        .filter(|measure| GATES.iter().any(|gate| gate.measure == *measure && chosen(gate.name)))
        .collect();
    let binary = &arguments.binary;
    thread::scope(|scope| {
        let quiet = wanted.contains(&Measure::Quiet).then(|| scope.spawn(|| quiet::count(binary)));
        let mut all: Vec<(Measure, Counts)> = Vec::new();
        for measure in wanted.iter().copied().filter(|measure| *measure != Measure::Quiet) {
            let counts = match measure {
                Measure::Instructions => instructions::count(binary),
                Measure::SystemCalls => system_calls::count(binary),
                Measure::Installs => installs::count(binary),
                Measure::Memory => memory::count(binary),
                Measure::Size => size::count(binary, &arguments.without_sandbox),
                Measure::Quiet => continue,
            };
            all.push((measure, counts));
        }
        if let Some(quiet) = quiet {
            all.push((Measure::Quiet, quiet.join().unwrap_or_else(|_| Err(io::Error::other("it panicked")))));
        }
        all
    })
}
