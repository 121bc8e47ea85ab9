//! `sandbox`: the rehearsal server in the foreground, and a configuration that fits it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use clap::Args;

use super::{block_on, complain, say};
use crate::cli::exit;
use crate::effects::access::cause;
use crate::sandbox::{Error, Handle, Options, Product, Sandbox, Scenario};
use crate::sources::Message;
use crate::sources::signal;

#[derive(Debug, Args)]
pub struct SandboxArgs {
    /// Address of the vendor's API; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8443")]
    pub listen: SocketAddr,
    /// A name or address under which clients reach the API, besides localhost; may be given several times
    #[arg(long = "host", value_name = "NAME")]
    pub hosts: Vec<String>,
    /// Address of the control port, on loopback; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8444")]
    pub control: SocketAddr,
    /// Accounts, orders, dials and faults to begin with, as TOML or JSON; without it, those of the demo
    #[arg(long, value_name = "FILE")]
    pub scenario: Option<PathBuf>,
    /// Print a scenario to begin with, and end
    #[arg(long)]
    pub example: bool,
    /// Directory for passwords, CA and configuration, which stays; without it, one that goes with the sandbox
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Write the CA certificate that a client must trust (ca_file) to this file
    #[arg(long, value_name = "FILE")]
    pub ca_out: Option<PathBuf>,
    /// Say the addresses for machines
    #[arg(long)]
    pub json: bool,
}

pub fn sandbox(arguments: &SandboxArgs) -> u8 {
    if arguments.example {
        say(Scenario::EXAMPLE);
        return exit::OK;
    }
    let scenario = match arguments.scenario.as_deref().map_or_else(|| Ok(Scenario::demo()), read_scenario) {
        Ok(scenario) => scenario,
        Err(why) => {
            complain(&why);
            return exit::USAGE;
        }
    };
    let options = Options {
        listen: arguments.listen,
        control: arguments.control,
        hosts: arguments.hosts.clone(),
        scenario: scenario.clone(),
    };
    let sandbox = match Sandbox::start(options) {
        Ok(sandbox) => sandbox,
        Err(error) => {
            complain(&with_cause(&error));
            return if matches!(error, Error::Refused(_)) { exit::USAGE } else { exit::FAILED };
        }
    };
    let handle = sandbox.handle();
    let result = block_on(async {
        // Before anybody is told that it is there, and can end it.
        let (sender, mut inbox) = tokio::sync::mpsc::channel(8);
        if let Err(error) = signal::listen(sender) {
            complain(&format!("signals cannot be listened to: {}", cause(&error)));
        }
        let _desk = introduce(arguments, &scenario, &handle)?;
        let stopped = async move { while !matches!(inbox.recv().await, Some(Message::Stop) | None) {} };
        sandbox.run(stopped).await.map_err(|error| with_cause(&error))
    });
    match result {
        Ok(Ok(())) => exit::OK,
        Err(code) => code,
        Ok(Err(why)) => {
            complain(&why);
            exit::FAILED
        }
    }
}

/// Writes what a client needs, and says where it is.
fn introduce(arguments: &SandboxArgs, scenario: &Scenario, handle: &Handle) -> Result<Option<Desk>, String> {
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
        say(&facts.to_string());
    } else if let Some(desk) = &desk {
        say(&desk.configuration);
    }
    Ok(desk)
}

/// What a client needs, in a directory of mode 0700.
struct Desk {
    path: PathBuf,
    configuration: String,
    stays: bool,
}

impl Desk {
    fn new(dir: Option<&Path>, scenario: &Scenario, handle: &Handle) -> Result<Desk, String> {
        let own = || {
            let name = format!("certcollectd-sandbox-{}", crate::effects::files::random_name());
            std::env::temp_dir().join(name)
        };
        let path = dir.map_or_else(own, Path::to_path_buf);
        let option = if dir.is_some() { "--dir " } else { "" };
        let failed = |path: &Path, error: &io::Error| format!("{option}{}: {}", path.display(), cause(error));
        std::fs::DirBuilder::new()
            .recursive(dir.is_some())
            .mode(0o700)
            .create(&path)
            .map_err(|error| failed(&path, &error))?;
        let path = path.canonicalize().map_err(|error| failed(&path, &error))?;
        let configuration = configuration(&path, scenario, handle);
        let desk = Desk { path, configuration, stays: dir.is_some() };
        let put = |name: &str, content: &str| {
            let path = desk.path.join(name);
            write(&path, content).map_err(|error| failed(&path, &error))
        };
        for (at, account) in scenario.account.iter().enumerate() {
            put(&password_file(at), &format!("{}\n", account.password))?;
        }
        put("ca.pem", handle.ca_pem())?;
        let authorities = handle.vendor().authorities();
        put("roots.pem", &[authorities.root, authorities.legacy_root, authorities.mark_root].concat())?;
        put("certcollectd.toml", &desk.configuration)?;
        Ok(desk)
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        if !self.stays
            && let Err(error) = std::fs::remove_dir_all(&self.path)
        {
            complain(&format!("{}: {}", self.path.display(), cause(&error)));
        }
    }
}

/// Writes a file anew, which is nobody else's from its first byte.
fn write(path: &Path, content: &str) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    File::options().write(true).create_new(true).mode(0o600).open(path)?.write_all(content.as_bytes())
}

fn password_file(account: usize) -> String {
    if account == 0 { "password".into() } else { format!("password-{}", account + 1) }
}

/// A whole configuration for the sandbox: an entry for each account and each order of the scenario.
fn configuration(dir: &Path, scenario: &Scenario, handle: &Handle) -> String {
    let path = |name: &str| quoted(&dir.join(name).display().to_string());
    let mut names = Names::default();
    let accounts: Vec<String> =
        scenario.account.iter().map(|account| names.of(&account.login_name)).collect();
    let mut names = Names::default();
    let own = dir.join("certcollectd.toml");
    let mut text = format!(
        "# A rehearsal with the vendor played at {base}; docs/rehearsal.md has more. End it with Ctrl-C.\n\
         # The control port: {control}\n\
         # This is {own}, too:\n\
         #   certcollectd --config {own} check\n\
         #   certcollectd --config {own} run\n\
         state_dir   = {state}\n\
         install_dir = {install}\n\
         \n\
         [polling]                  # the sandbox does not mind the haste; the vendor wants three hours\n\
         interval       = \"10s\"\n\
         max_interval   = \"1m\"\n\
         guard_interval = \"10s\"\n\
         call_gap       = \"1s\"\n",
        base = handle.base_url(),
        control = handle.control_url(),
        own = own.display(),
        state = path("state"),
        install = path("certificates"),
    );
    for (at, (account, name)) in scenario.account.iter().zip(&accounts).enumerate() {
        let _ = write!(
            text,
            "\n[[account]]\nname       = {}\nlogin_name = {}\npassword   = {{ file = {} }}\nbase_url   = {}\nca_file    = {}\n",
            quoted(name),
            quoted(&account.login_name),
            path(&password_file(at)),
            quoted(&handle.base_url()),
            path("ca.pem"),
        );
    }
    for order in &scenario.order {
        let first = order.domains.first().map_or(order.order_number.as_str(), String::as_str);
        let owner = order.account.as_ref().and_then(|login| {
            let at = scenario.account.iter().position(|account| account.login_name == *login)?;
            accounts.get(at)
        });
        let product = match order.product {
            Product::Ssl => "ssl",
            Product::Mark => "mark",
            Product::Smime => "smime",
        };
        let _ = write!(text, "\n[[order]]\nname         = {}\n", quoted(&names.of(first)));
        if let Some(account) = owner.or_else(|| accounts.first()) {
            let _ = writeln!(text, "account      = {}", quoted(account));
        }
        let domains: Vec<String> = order.domains.iter().map(|name| quoted(name)).collect();
        let _ = write!(
            text,
            "product      = \"{product}\"\norder_number = {}\ndomains      = [{}]\n[order.verify]\ntrust = \"block\"\ntrust_anchors = {}\n",
            quoted(&order.order_number),
            domains.join(", "),
            path("roots.pem"),
        );
    }
    text
}

/// Names for entries: of the characters that are allowed, each once.
#[derive(Default)]
struct Names(BTreeSet<String>);

impl Names {
    fn of(&mut self, text: &str) -> String {
        let allowed = |char: char| match char.to_ascii_lowercase() {
            char @ ('a'..='z' | '0'..='9' | '.' | '_' | '-') => char,
            _ => '-',
        };
        let name: String = text.chars().take(60).map(allowed).collect();
        let name = name.trim_matches(['.', '-']).to_owned();
        let base = if name.is_empty() { "unnamed".to_owned() } else { name };
        let numbered = (2..).map(|number| format!("{base}-{number}"));
        let free = std::iter::once(base.clone()).chain(numbered).find(|name| !self.0.contains(name));
        let free = free.unwrap_or(base);
        self.0.insert(free.clone());
        free
    }
}

/// A TOML basic string. Its escapes are those of JSON (TOML 1.0, String).
fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

/// Longest scenario in bytes; one of 100,000 orders has some 10 MB.
const LONGEST: u64 = 64 * 1024 * 1024;

fn read_scenario(path: &Path) -> Result<Scenario, String> {
    let shown = path.display();
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(LONGEST + 1).read_to_string(&mut text));
    if read.map_err(|error| format!("--scenario {shown}: {}", cause(&error)))? as u64 > LONGEST {
        return Err(format!("--scenario {shown}: it is too large for a scenario"));
    }
    let scenario = Scenario::parse(&text).map_err(|error| format!("{shown}: {}", with_cause(&error)))?;
    match scenario.slip() {
        Some(slip) => Err(format!("{shown}: {slip}")),
        None => Ok(scenario),
    }
}

pub(super) fn with_cause(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => match source.downcast_ref() {
            Some(system) => format!("{error}: {}", cause(system)),
            None => format!("{error}: {source}"),
        },
        None => error.to_string(),
    }
}
