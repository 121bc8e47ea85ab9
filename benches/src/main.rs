//! `cargo run --release -p certcollectd-bench`

#![forbid(unsafe_code)]

use std::io;
use std::path::{Path, PathBuf};
use std::process::{self, ExitCode};

use clap::Parser as _;

use certcollectd_bench::bench::Bench;
use certcollectd_bench::cli::{self, Cli, Command, Reference};
use certcollectd_bench::rows::{ROWS, Row};
use certcollectd_bench::{document, figure, gates, mock, reference, site};

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
        Some(Command::Reference(which)) => refer(which)?,
        Some(Command::Gates(arguments)) => return Ok(gates::gates(&arguments)),
        Some(Command::WithoutAuxv { words }) => return Ok(gates::without_auxv(&words)),
        None if cli.list => {
            for row in ROWS {
                println!("{:<16}{}", row.name, row.about);
            }
        }
        None => measure(&cli)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn measure(cli: &Cli) -> io::Result<()> {
    let named = |row: &Row| cli.rows.is_empty() || cli.rows.iter().any(|name| name == row.name);
    if let Some(unknown) = cli.rows.iter().find(|name| !ROWS.iter().any(|row| row.name == **name)) {
        return Err(io::Error::other(format!("there is no row {unknown}; --list names all")));
    }
    let program = match &cli.program {
        Some(program) => std::path::absolute(program)?,
        None => build()?,
    };
    std::fs::create_dir_all(&cli.disk)?;
    let (disk, memory) =
        (tempfile::tempdir_in(std::path::absolute(&cli.disk)?)?, tempfile::tempdir_in(&cli.memory)?);
    let load = document::load();
    let bench = Bench::new(program, disk.path(), memory.path(), cli)?;
    let (mut rows, mut broken) = (Vec::new(), Vec::new());
    for row in ROWS.iter().filter(|row| named(row)) {
        match (row.run)(&bench) {
            Ok(figures) => {
                figure::print(&mut io::stdout().lock(), row.name, &figures)?;
                rows.push((row.name, figures));
            }
            Err(why) => {
                eprintln!("{}: {why}", row.name);
                broken.push(row.name);
            }
        }
    }
    if !broken.is_empty() {
        return Err(io::Error::other(format!("not measured: {}", broken.join(", "))));
    }
    if let Some(path) = &cli.write {
        document::write(path, &rows, &document::conditions(cli.program.is_none(), cli.short, &load))?;
        if let Some(picture) = bench.picture.take() {
            std::fs::write(path.with_extension("svg"), picture)?;
        }
    }
    Ok(())
}

/// The program as the packages have it, without the sandbox.
fn build() -> io::Result<PathBuf> {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let words =
        ["build", "--release", "--no-default-features", "--package", "certcollectd", "--bin", "certcollectd"];
    // In the checkout, so that its .cargo/config.toml counts.
    let status = process::Command::new(cargo).args(words).current_dir(&checkout).status()?;
    if !status.success() {
        return Err(io::Error::other("the program could not be built"));
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| checkout.join("target"), PathBuf::from);
    std::path::absolute(target.join("release/certcollectd"))
}

fn refer(which: Reference) -> io::Result<()> {
    match which {
        Reference::Raw { mock, polls, orders, record, reconnect } => {
            reference::raw(&mock, polls, orders, record.as_deref(), reconnect)
        }
        Reference::Reqwest { mock, polls, orders } => reference::reqwest(&mock, polls, orders),
        Reference::Cycle { mock, folder, orders, gap, one_hook } => {
            reference::cycle::run(&mock, &folder, reference::cycle::Pace { orders, gap, one_hook })
        }
    }
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
