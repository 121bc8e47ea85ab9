//! A sandbox as a program in the foreground: its options, its output at the start, and its end.

mod ask;
mod desk;
mod key;

use std::fs::File;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

pub use self::ask::{Ask, ask};
use self::desk::Desk;
use crate::{Error, Handle, Options, Sandbox, Scenario};

/// Longest scenario in bytes; one of 100,000 orders has some 10 MB.
const LONGEST: u64 = 64 * 1024 * 1024;

/// The options of a sandbox.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Address of the vendor's API; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8443")]
    pub listen: SocketAddr,
    /// A name or address under which clients reach the API, besides localhost; may be repeated
    #[arg(long = "host", value_name = "NAME")]
    pub hosts: Vec<String>,
    /// Address of the control port, on loopback; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8444")]
    pub control: SocketAddr,
    /// Accounts, orders, dials and faults to start with, as TOML or JSON; without it, those of the demo
    #[arg(long, value_name = "FILE")]
    pub scenario: Option<PathBuf>,
    /// Private key of all TLS orders of the scenario that have none, as PEM; made if it is not there
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Print an example scenario and exit
    #[arg(long)]
    pub example: bool,
    /// Directory for passwords, CA and configuration, kept at the end; without it, a temporary one
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Write the CA certificate that a client must trust (ca_file) to this file
    #[arg(long, value_name = "FILE")]
    pub ca_out: Option<PathBuf>,
    /// Print the addresses as JSON
    #[arg(long)]
    pub json: bool,
}

/// Why it ended otherwise than it was asked to.
#[derive(Debug)]
pub enum Failure {
    /// An option or the scenario is wrong.
    Usage(String),
    /// It could not be done.
    Failed(String),
}

/// Prints one text to standard output, or says why it cannot be.
pub type Print = fn(&str) -> Result<(), String>;

/// Plays the vendor until SIGTERM, SIGINT or the control port ends it.
pub fn run(arguments: &Arguments, print: Print) -> Result<(), Failure> {
    if arguments.example {
        return print(Scenario::EXAMPLE).map_err(Failure::Failed);
    }
    let scenario = arguments.scenario.as_deref().map_or_else(|| Ok(Scenario::demo()), read_scenario);
    let mut scenario = scenario.map_err(Failure::Usage)?;
    if let Some(path) = &arguments.key {
        key::give(path, &mut scenario.order).map_err(Failure::Failed)?;
    }
    let options = Options {
        listen: arguments.listen,
        control: arguments.control,
        hosts: arguments.hosts.clone(),
        scenario: scenario.clone(),
    };
    let sandbox = Sandbox::start(options).map_err(|error| match error {
        Error::Refused(_) => Failure::Usage(with_cause(&error)),
        error => Failure::Failed(with_cause(&error)),
    })?;
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime =
        runtime.map_err(|error| Failure::Failed(format!("cannot start the runtime: {}", cause(&error))))?;
    runtime.block_on(play(arguments, &scenario, sandbox, print)).map_err(Failure::Failed)
}

async fn play(
    arguments: &Arguments,
    scenario: &Scenario,
    sandbox: Sandbox,
    print: Print,
) -> Result<(), String> {
    // Before the address is printed, so that a signal that follows is not lost.
    let listen = |kind| signal(kind).map_err(|error| format!("cannot handle signals: {}", cause(&error)));
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    // A closed terminal does not stop it.
    let _hangup = listen(SignalKind::hangup())?;
    let _desk = introduce(arguments, scenario, &sandbox.handle(), print)?;
    let mut stop = async move || {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let stopped = async move {
        stop().await;
        // A second signal ends it at once.
        tokio::spawn(async move {
            stop().await;
            std::process::exit(1);
        });
    };
    sandbox.run(stopped).await.map_err(|error| with_cause(&error))
}

/// Writes the files that a client needs, and prints where they are.
fn introduce(
    arguments: &Arguments,
    scenario: &Scenario,
    handle: &Handle,
    print: Print,
) -> Result<Option<Desk>, String> {
    if let Some(path) = &arguments.ca_out {
        std::fs::write(path, handle.ca_pem())
            .map_err(|error| format!("--ca-out {}: {}", path.display(), cause(&error)))?;
    }
    // Machines write their own configuration, unless they say where they want this one.
    let desk = (!arguments.json || arguments.dir.is_some())
        .then(|| Desk::new(arguments.dir.as_deref(), scenario, handle))
        .transpose()?;
    if arguments.json {
        let own = |name: &str| desk.as_ref().map(|desk| desk.path.join(name).display().to_string());
        let ca = arguments.ca_out.as_ref().map(|path| path.display().to_string());
        let facts = serde_json::json!({
            "base_url": handle.base_url(),
            "control_url": handle.control_url(),
            "ca_file": ca.or_else(|| own("ca.pem")),
            "config": own("certcollectd.toml"),
        });
        print(&facts.to_string())?;
    } else if let Some(desk) = &desk {
        print(&desk.configuration)?;
    }
    Ok(desk)
}

/// Writes to standard output, past the library's buffer. Who closed a pipe has read enough.
pub fn print(text: &str) -> Result<(), String> {
    let end = if text.ends_with('\n') { "" } else { "\n" };
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.write_all(end.as_bytes()));
    match written.and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(format!("cannot write to standard output, so the output is lost: {}", cause(&error)))
        }
        _ => Ok(()),
    }
}

fn read_scenario(path: &Path) -> Result<Scenario, String> {
    let shown = path.display();
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(LONGEST + 1).read_to_string(&mut text));
    if read.map_err(|error| format!("--scenario {shown}: {}", cause(&error)))? as u64 > LONGEST {
        return Err(format!("--scenario {shown}: the file is too large for a scenario"));
    }
    let scenario = Scenario::parse(&text).map_err(|error| format!("{shown}: {}", with_cause(&error)))?;
    match scenario.slip() {
        Some(slip) => Err(format!("{shown}: {slip}")),
        None => Ok(scenario),
    }
}

/// An error with its cause.
pub fn with_cause(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => match source.downcast_ref() {
            Some(system) => format!("{error}: {}", cause(system)),
            None => format!("{error}: {source}"),
        },
        None => error.to_string(),
    }
}

/// A system error in words, without its number.
fn cause(error: &io::Error) -> String {
    let text = error.to_string();
    match error.raw_os_error() {
        Some(_) => text.split(" (os error").next().unwrap_or_default().to_lowercase(),
        None => text,
    }
}
