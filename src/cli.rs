//! The command line: every argument, and which command is called with it.

mod fleet;

use std::ffi::OsString;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::error::Error as Usage;
use clap::{Args, ColorChoice, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::commands::exit::Exit;
use crate::commands::{
    adopt, bridge, check, complete, doctor, domains, explain, follow, forecast, generate, health, init,
    order, print, reissue, run, smime, status, watch,
};
#[cfg(feature = "sandbox")]
use crate::commands::{demo, sandbox};
use crate::effects::files::keep_owners_rights;
use crate::terminal::{self, Colours};
use certcollectd_core::api::dcv::is_unique_value;
use certcollectd_core::api::{Replace, Request};
use certcollectd_core::config::{Dcv, Dns};
use certcollectd_core::engine::command::{self, ReissueCommand, ReplaceCommand, Target};

const CONFIG: &str = "/etc/certcollectd/certcollectd.toml";

/// Collects issued certificates from Sectigo by order number, installs them in one step, runs the reload hooks
/// until they have worked, and goes on guarding the order.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, after_help = "Example: certcollectd check && certcollectd run")]
struct Cli {
    /// The configuration file
    #[arg(long, global = true, env = "CERTCOLLECTD_CONFIG", default_value = CONFIG, value_name = "FILE")]
    config: PathBuf,
    /// Colours: on a terminal without NO_COLOR, always, or never
    #[arg(long, global = true, default_value = Colours::Auto.as_str(), value_name = "WHEN", value_parser = colours())]
    color: Colours,
    /// What to do
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon in the foreground
    #[command(after_help = "Example: certcollectd run --config /etc/certcollectd/certcollectd.toml\n\n\
        SIGTERM and SIGINT shut down cleanly, a second one exits at once; SIGHUP reloads the configuration.")]
    Run,
    /// Poll what is due, install, run hooks, exit
    #[command(after_help = "Example: certcollectd once --wait 30m\n\n\
        Exit codes: 0 all in order; 1 the state cannot be read or saved; 2 usage or configuration error, or another \
        certcollectd is running; 3 some orders are waiting; 4 some need attention, or hooks have not worked; 5 an account is closed.")]
    Once {
        /// Keep waiting this long for orders that are not issued yet
        #[arg(long, value_name = "DURATION", value_parser = duration)]
        wait: Option<Duration>,
    },
    /// Check configuration, credentials, keys and paths, and report what is wrong
    #[command(
        after_help = "Examples: certcollectd check\n          certcollectd check --fragment orders.d/www.toml\n\n\
        Exit codes: 0 no errors, 2 errors. No call is made without --login. With --fragment, errors of other files do not \
        count."
    )]
    Check {
        /// Try the login of each account with one call about one of its orders
        #[arg(long)]
        login: bool,
        /// Check one file of orders.d/, or its next version; accounts and hooks from the configuration, if it exists
        #[arg(long, conflicts_with = "login", value_name = "FILE")]
        fragment: Option<PathBuf>,
    },
    /// Show how every order stands; works while the daemon is down
    #[command(after_help = "Example: certcollectd status www\n\n\
        Exit codes: 0 shown, 1 the state cannot be read or was removed, 2 usage error, or shown although the configuration is invalid. \
        With --nagios: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.")]
    Status {
        /// Everything about this order only
        name: Option<String>,
        /// Print JSON
        #[arg(long, conflicts_with_all = ["watch", "nagios"])]
        json: bool,
        /// Refresh every two seconds, on a terminal in place
        #[arg(long, conflicts_with = "nagios")]
        watch: bool,
        /// One line and exit code 0, 1, 2 or 3 for monitoring
        #[arg(long)]
        nagios: bool,
    },
    /// Poll an order now, ahead of its interval
    #[command(after_help = "Example: certcollectd poll www")]
    Poll(Named),
    /// Resume an order that needed attention, allow one call on a closed or resting account, or let re-issues go on
    #[command(
        after_help = "Examples: certcollectd resume www\n          certcollectd resume --account main\n\n\
        On a closed account the refused password is not sent again without --same-password. \
        Exit codes: 0 done, 1 refused or failed, 2 usage error."
    )]
    Resume {
        /// Name of the order in the configuration
        #[arg(required_unless_present_any = ["account", "reissues"])]
        name: Option<String>,
        /// Name of an account in the configuration that is closed, rests or pauses
        #[arg(long, conflicts_with = "name", value_name = "NAME")]
        account: Option<String>,
        /// Send the refused password once more, for instance after the account was unlocked
        #[arg(long, requires = "account", conflicts_with = "name")]
        same_password: bool,
        /// Let re-issues go on after two in a row that were refused or are unclear; of one account, or of all
        #[arg(long, conflicts_with_all = ["name", "same_password"])]
        reissues: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Install a quarantined or rolled back certificate, or acknowledge an alarm
    #[command(after_help = "Example: certcollectd accept www\n\n\
        With no certificate held back, it acknowledges an announced revocation and the warning that the certificate no \
        longer covers a name. What is accepted still waits for a window of the order; with --now it does not, nor does what \
        was waiting for one.")]
    Accept {
        /// Name of the order in the configuration
        name: String,
        /// Install it although none of the order's windows is open
        #[arg(long)]
        now: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Go back to the previous generation, and run the hooks
    #[command(after_help = "Example: certcollectd rollback www")]
    Rollback(Named),
    /// Run the order's hooks now against what is installed, with CERTCOLLECTD_REHEARSAL=1
    #[command(after_help = "Example: certcollectd rehearse www")]
    Rehearse(Named),
    /// Check whether the daemon's main loop is alive
    #[command(after_help = "Example: HEALTHCHECK CMD [\"certcollectd\", \"health\"]\n\n\
        Exit codes: 0 alive, 1 not. The daemon has five seconds to answer on its control socket. The state of orders, \
        accounts and hooks does not count: a restart would not help them.")]
    Health {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Behind a systemd socket: run one fixed reload and answer with its exit status
    #[command(after_help = "Examples: systemctl enable --now certcollectd-reload@nginx.socket\n          \
        certcollectd bridge nginx.service\n          certcollectd bridge -- /usr/local/sbin/reload-haproxy\n\n\
        Accepts one connection on the socket that systemd passes (LISTEN_FDS, or StandardInput=socket), runs \
        `systemctl reload UNIT` or the command, and writes the last line of its output and then its exit status. The \
        client sends nothing and chooses nothing.\n\
        Exit codes: 0 answered, whatever the status, 1 the connection broke off, 2 usage error or no socket.")]
    Bridge {
        /// Unit to reload
        #[arg(required_unless_present = "command", conflicts_with = "command")]
        unit: Option<String>,
        /// Command to run instead
        #[arg(last = true, value_name = "COMMAND")]
        command: Vec<String>,
    },
    /// Take over certificates that nginx, Apache, HAProxy or an ACME client serve, without a reload
    #[command(after_help = "Examples: certcollectd adopt /etc/nginx\n          \
        certcollectd adopt --numbers orders.csv --apply /etc/nginx /etc/letsencrypt/live\n\n\
        Reads configurations and what they include, directories of certbot and acme.sh, and PEM files; finds the key of \
        each certificate, and its order number in the list by its names. Writes one file for each order into the folder \
        that the configuration includes, and records what is served as installed. Nothing that is served is changed, no \
        hook runs, and the vendor is not asked. docs/moving.md has the whole way.\n\
        Exit codes: 0 done or shown, 1 some could not be taken over, or nothing was found, 2 usage or configuration error: \
        nothing was written.")]
    Adopt {
        /// Configurations, directories or PEM files [default: /etc/nginx, /etc/apache2, /etc/httpd, /etc/haproxy,
        /// /etc/letsencrypt/live, those that are there]
        #[arg(value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// Order numbers: CSV with the columns name,order_number,domains
        #[arg(long, value_name = "CSV")]
        numbers: Option<PathBuf>,
        /// The account that has the orders, if there are several
        #[arg(long, value_name = "NAME")]
        account: Option<String>,
        /// Carry it out
        #[arg(long)]
        apply: bool,
        /// Only show what would be done; the default
        #[arg(long, conflicts_with = "apply")]
        dry_run: bool,
    },
    /// In a web server's container: start the server, reload it when the link to its certificates changes, report
    #[command(after_help = certcollectd_follow::cli::HELP)]
    Follow(certcollectd_follow::cli::Arguments),
    /// Delete the record of an order that is no longer configured
    #[command(after_help = "Example: certcollectd forget www\n\n\
        Its files stay in place, and the time of its next poll is kept in case its number is configured again.\n\
        In a fleet this also withdraws what is published of it: run it on the collector that leads.\n\
        Exit codes: 0 forgotten, 1 failed, 2 usage error: it is configured, or there is no record of it.")]
    Forget {
        /// Name that the order had in the configuration
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Explain in plain sentences where an order stands, what is missing and who must act
    #[command(after_help = "Example: certcollectd explain www\n\n\
        Exit codes: 0 shown, 1 the state cannot be read or was removed, 2 usage error, or shown although the configuration is invalid.")]
    Explain(Named),
    /// Forecast the next 400 days: what happens by itself, and what somebody must do by when
    #[command(after_help = "Example: certcollectd forecast\n\n\
        From lifetimes, product terms, windows and the limits that public certificates are issued under; works while the \
        daemon is down. docs/forecast.md says what it supposes.\n\
        Exit codes: 0 shown, 1 the state cannot be read or was removed, 2 usage error, or shown although the configuration is invalid.")]
    Forecast {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Ask the vendor for the state of each domain of an order (GetMDCDomainDetails)
    #[command(
        after_help = "Examples: certcollectd domains www\n          certcollectd domains --order 123456789 --account main"
    )]
    Domains {
        /// Name of the order in the configuration
        #[arg(required_unless_present = "order")]
        name: Option<String>,
        /// Any order at the vendor, by its number
        #[arg(long, conflicts_with = "name", value_name = "NUMBER")]
        order: Option<String>,
        /// The account to use, if there are several
        #[arg(long, requires = "order", value_name = "NAME")]
        account: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// S/MIME orders: replace a certificate, resend the collection mail
    #[command(subcommand)]
    Smime(Smime),
    /// Have the certificate of a TLS order issued anew under its number (AutoReplaceSSL): proven first, asked once
    #[command(
        after_help = "Examples: certcollectd reissue www --dry-run\n          certcollectd reissue www --csr new.csr --dcv cname\n\n\
        Exit codes: 0 the vendor took it, or with --dry-run would be sent it now; 1 stopped, refused or unclear: it says which; \
        2 usage error; 3 being prepared: nothing was sent yet, the proof of control is missing. A call is never repeated."
    )]
    Reissue {
        /// Name of the order in the configuration
        name: String,
        /// The certificate request, PEM or DER, - for standard input; else the one of [order.reissue] or csr_file
        #[arg(long, value_name = "FILE")]
        csr: Option<PathBuf>,
        /// How control of the names is proven
        #[arg(long, value_name = "METHOD", value_parser = dcv())]
        dcv: Option<Dcv>,
        /// The unique value of the proof, 1 to 20 letters and digits, never used before; else one is made
        #[arg(long, value_name = "VALUE", value_parser = unique)]
        unique: Option<String>,
        /// Show all that would be sent, what stops it and what DNS shows; send and save nothing
        #[arg(long)]
        dry_run: bool,
        /// Ask although it is unclear whether the last one was made, or it was refused
        #[arg(long)]
        again: bool,
        /// Have the one that is being prepared not sent
        #[arg(long, conflicts_with_all = ["csr", "dcv", "unique", "dry_run", "again", "parameters"])]
        withdraw: bool,
        /// Another vendor parameter, passed through unchanged; can be repeated
        #[arg(long = "param", value_name = "NAME=VALUE", value_parser = reissue_parameter)]
        parameters: Vec<(String, String)>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// See how a fleet of hosts stands, and steer it
    #[command(after_help = "Example: certcollectd fleet status")]
    #[command(subcommand)]
    Fleet(fleet::Fleet),
    /// Find out what keeps an order from being issued
    #[command(after_help = "Example: certcollectd doctor dcv www")]
    #[command(subcommand)]
    Doctor(Doctor),
    /// Run the rehearsal server: the vendor's API on loopback, with its own CA
    #[cfg(feature = "sandbox")]
    #[command(after_help = "Examples: certcollectd sandbox | tee rehearsal.toml\n          \
        certcollectd sandbox --listen 0.0.0.0:8443 --host vendor --dir /rehearsal\n\n\
        Prints a ready-to-use configuration. docs/rehearsal.md has scenarios, faults and the control port.")]
    Sandbox(certcollectd_sandbox::cli::Arguments),
    /// Sandbox and daemon together in a temporary directory: the main job in ten seconds
    #[cfg(feature = "sandbox")]
    #[command(after_help = "Example: certcollectd demo")]
    Demo {
        /// Keep the directory with configuration, state and certificates
        #[arg(long)]
        keep: bool,
    },
    /// Write a first configuration: asks, or takes everything from options
    #[command(after_help = "Examples: certcollectd init\n          certcollectd init --login example-login \
        --password-from /run/secrets/sectigo --orders orders.csv --server nginx --yes\n\n\
        Shows what it would write and asks before it writes; overwrites nothing; runs `check` at the end. The list of \
        orders has a line name,order_number,domains for each, the domains separated by blanks, commas or semicolons.\n\
        Exit codes: 0 written and checked, 1 written and check found errors, 2 nothing written.")]
    Init(init::Options),
    /// Print shell completions
    #[command(
        after_help = "Example: certcollectd completions bash > /usr/share/bash-completion/completions/certcollectd"
    )]
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
        /// What was typed so far: prints the names that the last word may become
        #[arg(last = true, hide = true)]
        words: Vec<String>,
    },
    /// Write manual pages into a directory
    #[command(after_help = "Example: certcollectd man pages && man pages/certcollectd.toml.5\n\n\
        Writes a page for each command, certcollectd.toml.5 and certcollectd-hooks.7.")]
    Man {
        /// The directory; created if missing
        dir: PathBuf,
    },
}

#[derive(Debug, Args)]
struct Named {
    /// Name of the order in the configuration
    name: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Smime {
    /// Replace the certificate of an S/MIME order with one for a new request (AutoReplaceSMIME)
    #[command(
        after_help = "Example: certcollectd smime replace --order 123456789 --csr new.csr --adopt mail\n\n\
        A replacement is never retried automatically. If an answer was lost, this says so and what to check."
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
        /// Signature hash; the vendor's page mentions PREFER_SHA1, but its list of values does not
        #[arg(long, value_name = "HASH", value_parser = Replace::SIGNATURE_HASHES)]
        signature_hash: Option<String>,
        /// Another vendor parameter, passed through unchanged; can be repeated
        #[arg(long = "param", value_name = "NAME=VALUE", value_parser = smime_parameter)]
        parameters: Vec<(String, String)>,
        /// Collect the new order from now on, under this name
        #[arg(long, value_name = "NAME")]
        adopt: Option<String>,
        /// Send it even if it was, or may have been, sent before
        #[arg(long)]
        again: bool,
        /// The account to use, if there are several
        #[arg(long, value_name = "NAME")]
        account: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Resend the collection mail of an S/MIME order (ResendCollectionEmailSMIME)
    #[command(after_help = "Example: certcollectd smime resend --order 123456789")]
    Resend {
        /// The order whose collection mail is resent
        #[arg(long, value_name = "NUMBER")]
        order: String,
        /// The account to use, if there are several
        #[arg(long, value_name = "NAME")]
        account: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
enum Doctor {
    /// Check in DNS what proves control of an order's domains, and whether CAA allows the vendor to issue
    #[command(after_help = "Example: certcollectd doctor dcv www --resolver 192.0.2.53\n\n\
        Exit codes: 0 everything found, 1 something is missing, refused or unknown, 2 usage or configuration error.")]
    Dcv {
        /// Name of the order in the configuration
        name: String,
        /// Use this resolver instead of the configured one or the system's
        #[arg(long, value_name = "ADDR[:PORT]", value_parser = resolver)]
        resolver: Option<SocketAddr>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

fn colours() -> impl TypedValueParser<Value = Colours> {
    PossibleValuesParser::new(Colours::WORDS)
        .map(|word| Colours::named(&word).expect("only these words are possible"))
}

fn duration(text: &str) -> Result<Duration, &'static str> {
    humantime::parse_duration(text).map_err(|_| "write it with its unit, as in 90s, 30m or 1h30m")
}

fn resolver(text: &str) -> Result<SocketAddr, &'static str> {
    Dns::address(text).ok_or("an IP address, with a port or without: 192.0.2.53, [2001:db8::53]:5353")
}

fn dcv() -> impl TypedValueParser<Value = Dcv> {
    PossibleValuesParser::new(Dcv::WORDS)
        .map(|word| Dcv::named(&word).expect("only these words are possible"))
}

fn unique(text: &str) -> Result<String, &'static str> {
    is_unique_value(text).then(|| text.to_owned()).ok_or("1 to 20 letters and digits")
}

/// Parameters that have arguments of their own, or that an operator has no business setting.
const OWN: [&str; 7] =
    ["loginName", "loginPassword", "orderNumber", "csr", "signatureHash", "revokeOldOrder", "responseFormat"];

fn smime_parameter(text: &str) -> Result<(String, String), String> {
    parameter(text, |name| OWN.iter().any(|own| own.eq_ignore_ascii_case(name)))
}

fn reissue_parameter(text: &str) -> Result<(String, String), String> {
    let (name, value) = parameter(text, Request::is_own_of_replacement)?;
    if name.to_ascii_lowercase().contains("revoke") {
        return Err(format!("{name}: a re-issue never revokes; do that on the vendor's web site"));
    }
    Ok((name, value))
}

fn parameter(text: &str, is_own: impl Fn(&str) -> bool) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as NAME=VALUE")?;
    if name.is_empty() {
        return Err("the name is empty".into());
    }
    if is_own(name) {
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
    let outcome = match read() {
        Ok(cli) => {
            terminal::choose(cli.color);
            keep_owners_rights();
            carry_out(cli)
        }
        Err(error) => explain_usage(&error),
    };
    ExitCode::from(print::outcome(outcome))
}

/// Help and what is wrong with the arguments have the colours that one of them asks for.
fn read() -> Result<Cli, Usage> {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let words = || arguments.iter().map_while(|argument| argument.to_str().filter(|word| *word != "--"));
    let behind = words().skip_while(|word| *word != "--color").nth(1);
    let color = words().find_map(|word| word.strip_prefix("--color=")).or(behind);
    let color = match color.and_then(Colours::named).unwrap_or(Colours::Auto) {
        Colours::Auto => ColorChoice::Auto,
        Colours::Always => ColorChoice::Always,
        Colours::Never => ColorChoice::Never,
    };
    let mut command = Cli::command().color(color);
    let matches = command.try_get_matches_from_mut(arguments)?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
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
        Command::Check { fragment: Some(file), .. } => check::fragment(config, &file),
        Command::Check { login, .. } => check::check(config, login),
        Command::Status { name, nagios: true, .. } => status::nagios(config, name.as_deref()),
        Command::Status { name, watch: true, .. } => watch::watch(config, name.as_deref()),
        Command::Status { name, json, .. } => status::status(config, name.as_deref(), json),
        Command::Poll(Named { name, json }) => ask(command::Command::Poll(name), json),
        Command::Resume { account, reissues: true, json, .. } => {
            ask(command::Command::ResumeReissues(account), json)
        }
        Command::Resume { name, account, same_password, reissues: false, json } => {
            let command = match (name, account.unwrap_or_default()) {
                (Some(name), _) => command::Command::Resume(name),
                (None, account) if same_password => command::Command::ResumeSamePassword(account),
                (None, account) => command::Command::ResumeAccount(account),
            };
            ask(command, json)
        }
        Command::Accept { name, now: false, json } => ask(command::Command::Accept(name), json),
        Command::Accept { name, now: true, json } => ask(command::Command::AcceptNow(name), json),
        Command::Rollback(Named { name, json }) => ask(command::Command::Rollback(name), json),
        Command::Rehearse(Named { name, json }) => ask(command::Command::Rehearse(name), json),
        Command::Health { json } => health::health(config, json),
        Command::Adopt { paths, numbers, account, apply, dry_run: _ } => {
            let wish = adopt::Wish {
                paths: &paths,
                numbers: numbers.as_deref(),
                account: account.as_deref(),
                apply,
            };
            adopt::adopt(config, wish)
        }
        Command::Forget { name, json } => order::forget(config, name, json),
        Command::Follow(arguments) => follow::follow(&arguments),
        Command::Bridge { unit, command } => bridge::bridge(unit.as_deref(), &command),
        Command::Forecast { json } => forecast::forecast(config, json),
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
        Command::Reissue { name, withdraw: true, json, .. } => {
            ask(command::Command::WithdrawReissue(name), json)
        }
        Command::Reissue { name, csr, dcv, unique, dry_run, again, parameters, withdraw: false, json } => {
            let command = ReissueCommand { order: name, csr: None, dcv, unique, dry_run, again, parameters };
            reissue::reissue(config, csr.as_deref(), command, json)
        }
        Command::Smime(Smime::Resend { order, account, json }) => {
            let target = Target::Number { number: order, account };
            ask(command::Command::Resend(target), json)
        }
        Command::Fleet(command) => command.carry_out(config),
        Command::Doctor(Doctor::Dcv { name, resolver, json }) => doctor::dcv(config, &name, resolver, json),
        #[cfg(feature = "sandbox")]
        Command::Sandbox(arguments) => sandbox::sandbox(&arguments),
        #[cfg(feature = "sandbox")]
        Command::Demo { keep } => demo::demo(keep),
        Command::Init(options) => init::init(config, options),
        Command::Completions { shell, words } if words.is_empty() => complete::script(Cli::command(), shell),
        Command::Completions { shell, words } => complete::names(&Cli::command(), shell, words, config),
        Command::Man { dir } => generate::man(Cli::command(), &dir),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_passed_through_but_for_our_own() {
        assert_eq!(smime_parameter("emailTemplateID=7"), Ok(("emailTemplateID".into(), "7".into())));
        assert_eq!(smime_parameter("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert_eq!(smime_parameter("a="), Ok(("a".into(), String::new())));
        for wrong in ["a", "=b", "CSR=x", "loginpassword=x", "responseformat=2"] {
            assert!(smime_parameter(wrong).is_err(), "{wrong}");
        }
        assert!(reissue_parameter("foreignOrderNumber=7").is_ok());
        for wrong in ["a", "ORDERNUMBER=5", "revokeOldOrder=Y", "REVOKE=Y"] {
            assert!(reissue_parameter(wrong).is_err(), "{wrong}");
        }
    }
}
