//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::commands;

/// Where the configuration lies unless somebody says otherwise.
pub const CONFIG: &str = "/etc/certcollectd/certcollectd.toml";

/// Collects issued certificates from Sectigo by order number, installs them in one step, runs the reload hooks
/// until they have worked, and goes on guarding the order.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, after_help = "Example: certcollectd check && certcollectd run")]
pub struct Cli {
    /// The configuration file
    #[arg(long, global = true, env = "CERTCOLLECTD_CONFIG", default_value = CONFIG, value_name = "FILE")]
    pub config: PathBuf,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the daemon in the foreground
    #[command(after_help = "Example: certcollectd run --config /etc/certcollectd/certcollectd.toml\n\n\
        SIGTERM and SIGINT stop in order, a second one at once; SIGHUP reads the configuration anew.")]
    Run,
    /// Poll what is due, install, run hooks, leave
    #[command(after_help = "Example: certcollectd once --wait 30m\n\n\
        Exit codes: 0 all in order; 1 the state cannot be used or saved; 2 usage or configuration, or another \
        certcollectd runs; 3 some orders wait; 4 some need attention, hooks that have not worked included; 5 an account is closed.")]
    Once(Once),
    /// Read configuration, credentials, keys and paths, and say what is wrong
    #[command(
        after_help = "Example: certcollectd check\n\nExit codes: 0 sound, 2 not sound. Nobody is called unless --login is given."
    )]
    Check(Check),
    /// Show how every order stands; works while the daemon is down
    #[command(after_help = "Example: certcollectd status www\n\n\
        Exit codes: 0 shown, 1 the state cannot be read or was taken away, 2 usage, or shown although the configuration is not sound. \
        With --nagios: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.")]
    Status(Status),
    /// Ask the vendor about an order now, sooner than its interval
    #[command(after_help = "Example: certcollectd poll www")]
    Poll(Named),
    /// Take up an order that needed attention, or let one call through on a closed or resting account
    #[command(
        after_help = "Examples: certcollectd resume www\n          certcollectd resume --account main\n\n\
        On a closed account the password that was refused is not sent again without --same-password. \
        Exit codes: 0 done, 1 refused or failed, 2 usage."
    )]
    Resume(Resume),
    /// Install what is in quarantine, or what was rolled back from; or end an alarm that you know of
    #[command(after_help = "Example: certcollectd accept www\n\n\
        Where nothing is held back, it ends the alarm of an announced revocation and the warning that the certificate no \
        longer covers a name.")]
    Accept(Named),
    /// Go back to the generation before the current one, and run the hooks
    #[command(after_help = "Example: certcollectd rollback www")]
    Rollback(Named),
    /// Run the order's hooks now against what is installed, with CERTCOLLECTD_REHEARSAL=1
    #[command(after_help = "Example: certcollectd rehearse www")]
    Rehearse(Named),
    /// Say whether the daemon's loop is alive
    #[command(after_help = "Example: HEALTHCHECK CMD [\"certcollectd\", \"health\"]\n\n\
        Exit codes: 0 alive, 1 not. The daemon is asked over its control socket and has five seconds to answer. How orders, \
        accounts and hooks stand does not count: a restart would not help them.")]
    Health(Health),
    /// End what is remembered of an order that is no longer configured
    #[command(after_help = "Example: certcollectd forget www\n\n\
        Its files stay where they are, and its number keeps the time of its next poll should it be configured again.\n\
        Exit codes: 0 forgotten, 1 not done, 2 usage: it is configured, or nothing is remembered of it.")]
    Forget(Forgotten),
    /// Say in plain sentences how an order stands, what is missing and who must act
    #[command(after_help = "Example: certcollectd explain www\n\n\
        Exit codes: 0 shown, 1 the state cannot be read or was taken away, 2 usage, or shown although the configuration is not sound.")]
    Explain(Named),
    /// Ask the vendor for the state of each domain of an order (GetMDCDomainDetails)
    #[command(
        after_help = "Examples: certcollectd domains www\n          certcollectd domains --order 123456789 --account main"
    )]
    Domains(commands::domains::Domains),
    /// S/MIME orders: replace a certificate, have the collection mail sent again
    #[command(subcommand)]
    Smime(commands::smime::Smime),
    /// Find out what keeps an order from being issued
    #[command(after_help = "Example: certcollectd doctor dcv www")]
    Doctor(commands::doctor::DoctorArgs),
    /// Run the rehearsal server: the vendor's API on loopback, with its own CA
    #[cfg(feature = "sandbox")]
    #[command(after_help = "Examples: certcollectd sandbox | tee rehearsal.toml\n          \
        certcollectd sandbox --listen 0.0.0.0:8443 --host vendor --dir /rehearsal\n\n\
        Prints a configuration that is ready to be used. docs/rehearsal.md has scenarios, faults and the control port.")]
    Sandbox(certcollectd_sandbox::cli::Arguments),
    /// Sandbox and daemon together in a temporary directory: the main job in ten seconds
    #[cfg(feature = "sandbox")]
    #[command(after_help = "Example: certcollectd demo")]
    Demo(commands::demo::DemoArgs),
    /// Write the completions of a shell to standard output
    #[command(
        after_help = "Example: certcollectd completions bash > /usr/share/bash-completion/completions/certcollectd"
    )]
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Write manual pages into a directory
    #[command(after_help = "Example: certcollectd man /usr/local/share/man/man1")]
    Man {
        /// The directory, which is made if it is missing
        dir: PathBuf,
    },
}

impl Command {
    /// Whether `--json` was given: standard output is one JSON document then, whatever happens.
    pub fn is_for_a_machine(&self) -> bool {
        match self {
            Command::Status(status) => status.json,
            Command::Poll(named)
            | Command::Accept(named)
            | Command::Rollback(named)
            | Command::Rehearse(named)
            | Command::Explain(named) => named.json,
            Command::Resume(resume) => resume.json,
            Command::Health(health) => health.json,
            Command::Forget(forgotten) => forgotten.json,
            Command::Domains(domains) => domains.json,
            Command::Smime(smime) => match smime {
                commands::smime::Smime::Replace(replace) => replace.json,
                commands::smime::Smime::Resend(resend) => resend.json,
            },
            Command::Doctor(doctor) => match &doctor.subject {
                commands::doctor::What::Dcv(dcv) => dcv.json,
            },
            #[cfg(feature = "sandbox")]
            Command::Sandbox(sandbox) => sandbox.json,
            #[cfg(feature = "sandbox")]
            Command::Demo(_) => false,
            Command::Run
            | Command::Once(_)
            | Command::Check(_)
            | Command::Completions { .. }
            | Command::Man { .. } => false,
        }
    }
}

#[derive(Debug, Args)]
pub struct Once {
    /// Wait so long for orders that are not issued yet
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub wait: Option<Duration>,
}

#[derive(Debug, Args)]
pub struct Check {
    /// Try the login of each account with one call about one of its orders
    #[arg(long)]
    pub login: bool,
}

#[derive(Debug, Args)]
pub struct Status {
    /// Everything about this order only
    pub name: Option<String>,
    /// For machines
    #[arg(long, conflicts_with_all = ["watch", "nagios"])]
    pub json: bool,
    /// Show it again every two seconds
    #[arg(long, conflicts_with = "nagios")]
    pub watch: bool,
    /// One line and exit code 0, 1, 2 or 3 for monitoring
    #[arg(long)]
    pub nagios: bool,
}

/// A command about one order.
#[derive(Debug, Args)]
pub struct Named {
    /// Name of the order in the configuration
    pub name: String,
    /// For machines
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Health {
    /// For machines
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Forgotten {
    /// Name that the order had in the configuration
    pub name: String,
    /// For machines
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Resume {
    /// Name of the order in the configuration
    #[arg(required_unless_present = "account")]
    pub name: Option<String>,
    /// Name of an account in the configuration that is closed, rests or pauses
    #[arg(long, conflicts_with = "name", value_name = "NAME")]
    pub account: Option<String>,
    /// Send the password that was refused once more: it is right now, the account was unlocked
    #[arg(long, requires = "account", conflicts_with = "name")]
    pub same_password: bool,
    /// For machines
    #[arg(long)]
    pub json: bool,
}

fn duration(text: &str) -> Result<Duration, &'static str> {
    humantime::parse_duration(text).map_err(|_| "write it with its unit, as in 90s, 30m or 1h30m")
}

/// Reads the arguments, does what they say.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return ExitCode::from(commands::explain_usage(&error)),
    };
    ExitCode::from(commands::dispatch(cli))
}
