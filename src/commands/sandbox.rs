//! `sandbox`: the rehearsal server in the foreground.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;

use super::{block_on, complain, say};
use crate::cli::exit;
use crate::sandbox::{Options, Sandbox, Scenario};
use crate::sources::Message;
use crate::sources::signal;

/// `sandbox`.
#[derive(Debug, Args)]
pub struct SandboxArgs {
    /// Address of the vendor's API; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8443")]
    pub listen: SocketAddr,
    /// Address of the control port, on loopback; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8444")]
    pub control: SocketAddr,
    /// Accounts, orders, dials and faults to begin with, as TOML or JSON; without it, those of the demo
    #[arg(long, value_name = "FILE")]
    pub scenario: Option<PathBuf>,
    /// Write the CA certificate that a client must trust (ca_file) to this file
    #[arg(long, value_name = "FILE")]
    pub ca_out: Option<PathBuf>,
    /// Say the addresses for machines
    #[arg(long)]
    pub json: bool,
}

/// `sandbox`.
pub fn sandbox(arguments: &SandboxArgs) -> u8 {
    let scenario = match arguments.scenario.as_deref().map_or_else(|| Ok(Scenario::demo()), read_scenario) {
        Ok(scenario) => scenario,
        Err(why) => {
            complain(&why);
            return exit::USAGE;
        }
    };
    let options = Options { listen: arguments.listen, control: arguments.control, scenario };
    let sandbox = match Sandbox::start(options) {
        Ok(sandbox) => sandbox,
        Err(error) => {
            complain(&with_cause(&error));
            return exit::FAILED;
        }
    };
    let handle = sandbox.handle();
    if let Some(path) = &arguments.ca_out
        && let Err(error) = std::fs::write(path, handle.ca_pem())
    {
        complain(&format!("{}: {error}", path.display()));
        return exit::FAILED;
    }
    let ca = arguments.ca_out.as_ref().map(|path| path.display().to_string());
    if arguments.json {
        let facts = serde_json::json!({ "base_url": handle.base_url(), "control_url": handle.control_url(), "ca_file": ca });
        say(&facts.to_string());
    } else {
        let ca = ca.unwrap_or_else(|| format!("from {}/ca (or --ca-out FILE)", handle.control_url()));
        say(&format!(
            "API      base_url = \"{}\"\nCA       {ca}\ncontrol  {}\nEnd with Ctrl-C.",
            handle.base_url(),
            handle.control_url()
        ));
    }
    let result = block_on(async {
        let (sender, mut inbox) = tokio::sync::mpsc::channel(8);
        if let Err(error) = signal::listen(sender) {
            complain(&format!("signals cannot be listened to: {error}"));
        }
        let stopped = async move { while !matches!(inbox.recv().await, Some(Message::Stop) | None) {} };
        sandbox.run(stopped).await
    });
    match result {
        Ok(Ok(())) => exit::OK,
        Err(code) => code,
        Ok(Err(error)) => {
            complain(&with_cause(&error));
            exit::FAILED
        }
    }
}

fn read_scenario(path: &Path) -> Result<Scenario, String> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{shown}: {error}"))?;
    Scenario::parse(&text).map_err(|error| format!("{shown}: {}", with_cause(&error)))
}

pub(super) fn with_cause(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
