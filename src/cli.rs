//! The command line: every argument, and which command is called with it.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::error::Error as Usage;
use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::commands::exit::Exit;
use crate::commands::{check, doctor, domains, explain, generate, health, order, print, run, smime, status};
#[cfg(feature = "sandbox")]
use crate::commands::{demo, sandbox};
use crate::effects::files::keep_owners_rights;
use certcollectd_core::api::Replace;
use certcollectd_core::config::Dns;
use certcollectd_core::engine::command::{self, ReplaceCommand, Target};

const CONFIG: &str = "/etc/certcollectd/certcollectd.toml";

/// Collects issued certificates from Sectigo by order number, installs them in one step, runs the reload hooks
/// until they have worked, and goes on guarding the order.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, after_help = "Example: certcollectd check && certcollectd run")]
struct Cli {
    /// The configuration file
    #[arg(long, global = true, env = "CERTCOLLECTD_CONFIG", default_value = CONFIG, value_name = "FILE")]
    config: PathBuf,
    /// What to do
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon in the foreground
    #[command(after_help = "Example: certcollectd run --config /etc/certcollectd/certcollectd.toml\n\n\
        SIGTERM and SIGINT stop in order, a second one at once; SIGHUP reads the configuration anew.")]
    Run,
    /// Poll what is due, install, run hooks, leave
    #[command(after_help = "Example: certcollectd once --wait 30m\n\n\
        Exit codes: 0 all in order; 1 the state cannot be used or saved; 2 usage or configuration, or another \
        certcollectd runs; 3 some orders wait; 4 some need attention, hooks that have not worked included; 5 an account is closed.")]
    Once {
        /// Wait so long for orders that are not issued yet
        #[arg(long, value_name = "DURATION", value_parser = duration)]
        wait: Option<Duration>,
    },
    /// Read configuration, credentials, keys and paths, and say what is wrong
    #[command(
        after_help = "Example: certcollectd check\n\nExit codes: 0 sound, 2 not sound. Nobody is called unless --login is given."
    )]
    Check {
        /// Try the login of each account with one call about one of its orders
        #[arg(long)]
        login: bool,
    },
    /// Show how every order stands; works while the daemon is down
    #[command(after_help = "Example: certcollectd status www\n\n\
        Exit codes: 0 shown, 1 the state cannot be read or was taken away, 2 usage, or shown although the configuration is not sound. \
        With --nagios: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.")]
    Status {
        /// Everything about this order only
        name: Option<String>,
        /// For machines
        #[arg(long, conflicts_with_all = ["watch", "nagios"])]
        json: bool,
        /// Show it again every two seconds
        #[arg(long, conflicts_with = "nagios")]
        watch: bool,
        /// One line and exit code 0, 1, 2 or 3 for monitoring
        #[arg(long)]
        nagios: bool,
    },
    /// Ask the vendor about an order now, sooner than its interval
    #[command(after_help = "Example: certcollectd poll www")]
    Poll(Named),
    /// Take up an order that needed attention, or let one call through on a closed or resting account
    #[command(
        after_help = "Examples: certcollectd resume www\n          certcollectd resume --account main\n\n\
        On a closed account the password that was refused is not sent again without --same-password. \
        Exit codes: 0 done, 1 refused or failed, 2 usage."
    )]
    Resume {
        /// Name of the order in the configuration
        #[arg(required_unless_present = "account")]
        name: Option<String>,
        /// Name of an account in the configuration that is closed, rests or pauses
        #[arg(long, conflicts_with = "name", value_name = "NAME")]
        account: Option<String>,
        /// Send the password that was refused once more: it is right now, the account was unlocked
        #[arg(long, requires = "account", conflicts_with = "name")]
        same_password: bool,
        /// For machines
        #[arg(long)]
        json: bool,
    },
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
    Health {
        /// For machines
        #[arg(long)]
        json: bool,
    },
    /// End what is remembered of an order that is no longer configured
    #[command(after_help = "Example: certcollectd forget www\n\n\
        Its files stay where they are, and its number keeps the time of its next poll should it be configured again.\n\
        Exit codes: 0 forgotten, 1 not done, 2 usage: it is configured, or nothing is remembered of it.")]
    Forget {
        /// Name that the order had in the configuration
        name: String,
        /// For machines
        #[arg(long)]
        json: bool,
    },
    /// Say in plain sentences how an order stands, what is missing and who must act
    #[command(after_help = "Example: certcollectd explain www\n\n\
        Exit codes: 0 shown, 1 the state cannot be read or was taken away, 2 usage, or shown although the configuration is not sound.")]
    Explain(Named),
    /// Ask the vendor for the state of each domain of an order (GetMDCDomainDetails)
    #[command(
        after_help = "Examples: certcollectd domains www\n          certcollectd domains --order 123456789 --account main"
    )]
    Domains {
        /// Name of the order in the configuration
        #[arg(required_unless_present = "order")]
        name: Option<String>,
        /// Any order of the vendor's, by its number
        #[arg(long, conflicts_with = "name", value_name = "NUMBER")]
        order: Option<String>,
        /// On which account, where there are several
        #[arg(long, requires = "order", value_name = "NAME")]
        account: Option<String>,
        /// For machines
        #[arg(long)]
        json: bool,
    },
    /// S/MIME orders: replace a certificate, have the collection mail sent again
    #[command(subcommand)]
    Smime(Smime),
    /// Find out what keeps an order from being issued
    #[command(after_help = "Example: certcollectd doctor dcv www")]
    #[command(subcommand)]
    Doctor(Doctor),
    /// Run the rehearsal server: the vendor's API on loopback, with its own CA
    #[cfg(feature = "sandbox")]
    #[command(after_help = "Examples: certcollectd sandbox | tee rehearsal.toml\n          \
        certcollectd sandbox --listen 0.0.0.0:8443 --host vendor --dir /rehearsal\n\n\
        Prints a configuration that is ready to be used. docs/rehearsal.md has scenarios, faults and the control port.")]
    Sandbox(certcollectd_sandbox::cli::Arguments),
    /// Sandbox and daemon together in a temporary directory: the main job in ten seconds
    #[cfg(feature = "sandbox")]
    #[command(after_help = "Example: certcollectd demo")]
    Demo {
        /// Keep the directory with configuration, state and certificates
        #[arg(long)]
        keep: bool,
    },
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

#[derive(Debug, Args)]
struct Named {
    /// Name of the order in the configuration
    name: String,
    /// For machines
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Smime {
    /// Have the certificate of an S/MIME order replaced by one for another request (AutoReplaceSMIME)
    #[command(
        after_help = "Example: certcollectd smime replace --order 123456789 --csr new.csr --adopt mail\n\n\
        A replacement is never sent twice by itself. When an answer was lost, this says so and what to look at."
    )]
    Replace {
        /// The order whose certificate is replaced
        #[arg(long, value_name = "NUMBER")]
        order: String,
        /// The certificate request, PEM or DER; - for standard input
        #[arg(long, value_name = "FILE")]
        csr: PathBuf,
        /// Revoke the old certificate
        #[arg(long)]
        revoke_old: bool,
        /// The signature's hash; PREFER_SHA1 is in the page's text, but not in its list of values
        #[arg(long, value_name = "HASH", value_parser = Replace::SIGNATURE_HASHES)]
        signature_hash: Option<String>,
        /// A further parameter of the vendor's, passed through as it is; can be repeated
        #[arg(long = "param", value_name = "NAME=VALUE", value_parser = parameter)]
        parameters: Vec<(String, String)>,
        /// Collect the new order from now on, under this name
        #[arg(long, value_name = "NAME")]
        adopt: Option<String>,
        /// Send it although it was sent before, or may have been
        #[arg(long)]
        again: bool,
        /// On which account, where there are several
        #[arg(long, value_name = "NAME")]
        account: Option<String>,
        /// For machines
        #[arg(long)]
        json: bool,
    },
    /// Have the collection mail of an S/MIME order sent again (ResendCollectionEmailSMIME)
    #[command(after_help = "Example: certcollectd smime resend --order 123456789")]
    Resend {
        /// The order whose collection mail is wanted
        #[arg(long, value_name = "NUMBER")]
        order: String,
        /// On which account, where there are several
        #[arg(long, value_name = "NAME")]
        account: Option<String>,
        /// For machines
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
enum Doctor {
    /// Look up over DNS what proves control of an order's domains, and whether CAA lets the vendor issue
    #[command(after_help = "Example: certcollectd doctor dcv www --resolver 192.0.2.53\n\n\
        Exit codes: 0 everything is seen, 1 something is missing, refused or cannot be told, 2 usage or configuration.")]
    Dcv {
        /// Name of the order in the configuration
        name: String,
        /// Ask this resolver instead of the configured one or the system's
        #[arg(long, value_name = "ADDR[:PORT]", value_parser = resolver)]
        resolver: Option<SocketAddr>,
        /// For machines
        #[arg(long)]
        json: bool,
    },
}

fn duration(text: &str) -> Result<Duration, &'static str> {
    humantime::parse_duration(text).map_err(|_| "write it with its unit, as in 90s, 30m or 1h30m")
}

fn resolver(text: &str) -> Result<SocketAddr, &'static str> {
    Dns::address(text).ok_or("an IP address, with a port or without: 192.0.2.53, [2001:db8::53]:5353")
}

/// Parameters that have arguments of their own, or that an operator has no business setting.
const OWN: [&str; 7] =
    ["loginName", "loginPassword", "orderNumber", "csr", "signatureHash", "revokeOldOrder", "responseFormat"];

fn parameter(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as NAME=VALUE")?;
    if name.is_empty() {
        return Err("the name is empty".into());
    }
    if OWN.iter().any(|own| own.eq_ignore_ascii_case(name)) {
        return Err(format!("{name} is set by certcollectd itself"));
    }
    Ok((name.to_owned(), value.to_owned()))
}

/// Reads the arguments, does what they say.
pub fn main() -> ExitCode {
    // Arguments that are wrong cannot tell whether one of them is this option.
    if std::env::args_os().take_while(|argument| argument != "--").any(|argument| argument == "--json") {
        print::for_a_machine();
    }
    let outcome = match Cli::try_parse() {
        Ok(cli) => {
            keep_owners_rights();
            carry_out(cli)
        }
        Err(error) => explain_usage(&error),
    };
    ExitCode::from(print::outcome(outcome))
}

/// Help and version are asked for and go to standard output; everything else is a usage error.
fn explain_usage(error: &Usage) -> Result<(), Exit> {
    let written = error.print().and_then(|()| std::io::stdout().flush());
    if error.use_stderr() {
        print::tell_machine(error.to_string().trim_end());
        return Err(Exit::Usage);
    }
    print::printed(written);
    Ok(())
}

fn carry_out(cli: Cli) -> Result<(), Exit> {
    let config = cli.config.as_path();
    let ask = |command, json| order::command(config, command, json);
    match cli.command {
        Command::Run => run::run(config),
        Command::Once { wait } => run::once(config, wait),
        Command::Check { login } => check::check(config, login),
        Command::Status { name, nagios: true, .. } => status::nagios(config, name.as_deref()),
        Command::Status { name, watch: true, .. } => status::watch(config, name.as_deref()),
        Command::Status { name, json, .. } => status::status(config, name.as_deref(), json),
        Command::Poll(Named { name, json }) => ask(command::Command::Poll(name), json),
        Command::Resume { name, account, same_password, json } => {
            let command = match (name, account.unwrap_or_default()) {
                (Some(name), _) => command::Command::Resume(name),
                (None, account) if same_password => command::Command::ResumeSamePassword(account),
                (None, account) => command::Command::ResumeAccount(account),
            };
            ask(command, json)
        }
        Command::Accept(Named { name, json }) => ask(command::Command::Accept(name), json),
        Command::Rollback(Named { name, json }) => ask(command::Command::Rollback(name), json),
        Command::Rehearse(Named { name, json }) => ask(command::Command::Rehearse(name), json),
        Command::Health { json } => health::health(config, json),
        Command::Forget { name, json } => order::forget(config, name, json),
        Command::Explain(Named { name, json }) => explain::explain(config, &name, json),
        Command::Domains { name, order, account, json } => {
            let number = order.unwrap_or_default();
            let target = name.map_or_else(|| Target::Number { number, account }, Target::Order);
            domains::domains(config, target, json)
        }
        Command::Smime(Smime::Replace {
            order,
            csr,
            revoke_old,
            signature_hash,
            parameters,
            adopt,
            again,
            account,
            json,
        }) => {
            let replace =
                Replace { order_number: order, csr: String::new(), signature_hash, revoke_old, parameters };
            smime::replace(config, &csr, ReplaceCommand { account, replace, adopt, again }, json)
        }
        Command::Smime(Smime::Resend { order, account, json }) => {
            let target = Target::Number { number: order, account };
            ask(command::Command::Resend(target), json)
        }
        Command::Doctor(Doctor::Dcv { name, resolver, json }) => doctor::dcv(config, &name, resolver, json),
        #[cfg(feature = "sandbox")]
        Command::Sandbox(arguments) => sandbox::sandbox(&arguments),
        #[cfg(feature = "sandbox")]
        Command::Demo { keep } => demo::demo(keep),
        Command::Completions { shell } => generate::completions(Cli::command(), shell),
        Command::Man { dir } => generate::man(Cli::command(), &dir),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_passed_through_but_for_our_own() {
        assert_eq!(parameter("emailTemplateID=7"), Ok(("emailTemplateID".into(), "7".into())));
        assert_eq!(parameter("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert_eq!(parameter("a="), Ok(("a".into(), String::new())));
        for wrong in ["a", "=b", "CSR=x", "loginpassword=x", "responseformat=2"] {
            assert!(parameter(wrong).is_err(), "{wrong}");
        }
    }
}
