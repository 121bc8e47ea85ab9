//! `cargo run --release -p certcollectd-bench`

#![forbid(unsafe_code)]

use std::io;
use std::process::ExitCode;

use clap::Parser as _;

use certcollectd_bench::cli::{self, Cli, Command};
use certcollectd_bench::{gates, mock, site};

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(code) => code,
        Err(problem) => {
            eprintln!("certcollectd-bench: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> io::Result<ExitCode> {
    match cli.command {
        Some(Command::Mock(options)) => play(&options)?,
        Some(Command::Config(options)) => write(options)?,
        Some(Command::Gates(arguments)) => return Ok(gates::gates(&arguments)),
        Some(Command::WithoutAuxv { words }) => return Ok(gates::without_auxv(&words)),
        None => return Err(io::Error::other("which measurement? try --help")),
    }
    Ok(ExitCode::SUCCESS)
}

/// Plays the vendor; the control port says more than these lines.
fn play(options: &cli::Mock) -> io::Result<()> {
    let manner = mock::Manner {
        ready_after: options.ready_after,
        ready_below: 0,
        delay: options.delay,
        close: options.close,
    };
    let folder = std::path::absolute(&options.dir)?;
    let mock = mock::Mock::start(&folder, manner, [options.port, options.control_port])?;
    println!("base_url={}", mock.base_url());
    println!("control=http://{}", mock.control);
    println!("ca={}", mock.files.ca().display());
    println!("roots={}", mock.files.roots().display());
    println!("key={}", mock.files.key().display());
    loop {
        std::thread::park();
    }
}

fn write(options: cli::Config) -> io::Result<()> {
    let files = mock::Files::new(&std::path::absolute(&options.mock)?);
    let base = if options.ssl {
        site::Plan::installing(options.orders)
    } else {
        site::Plan::waiting(options.orders)
    };
    let hook = options.hook.or_else(|| base.hook.clone());
    let plan = site::Plan { interval: options.interval, call_gap: options.call_gap, hook, ..base };
    println!("{}", site::Site::write(&options.dir, &files, &plan)?.config.display());
    Ok(())
}
