//! One file for each subcommand; here what they need first.

mod asked;
pub mod check;
#[cfg(feature = "sandbox")]
pub mod demo;
pub mod doctor;
pub mod domains;
pub mod exit;
mod explain;
mod generate;
pub mod health;
mod lookout;
pub mod order;
mod print;
pub mod run;
#[cfg(feature = "sandbox")]
pub mod sandbox;
pub mod smime;
mod socket;
pub mod status;

use std::future::Future;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use clap::error::Error as Usage;
use tokio::runtime::Builder;
use tokio::task::LocalSet;

use self::exit::Exit;
use self::print::{fail, print, print_error};
use crate::cli::{Cli, Command};
use crate::config::Config;
use crate::effects::access::cause;
use crate::effects::files::keep_owners_rights;
use crate::effects::store::load::Reader;
use crate::engine;
use crate::engine::event::Command as Order;
use crate::sources::control;
use crate::sources::files::{self, Found};

/// Does what the arguments say; gives back the exit code.
pub fn dispatch(cli: Cli) -> u8 {
    keep_owners_rights();
    if cli.command.is_for_a_machine() {
        print::for_a_machine();
    }
    print::outcome(carry_out(cli))
}

/// Help and version are asked for and go to standard output; everything else is a usage error.
pub fn explain_usage(error: &Usage) -> u8 {
    let written = error.print().and_then(|()| std::io::stdout().flush());
    if error.use_stderr() {
        // What cannot be told apart cannot be asked whether it has `--json`.
        if std::env::args_os().any(|argument| argument == "--json") {
            print(&serde_json::json!({ "ok": false, "text": error.to_string().trim_end() }).to_string());
        }
        return Exit::Usage.code();
    }
    print::printed(written);
    print::outcome(Ok(()))
}

fn carry_out(cli: Cli) -> Result<(), Exit> {
    let config = cli.config.as_path();
    match cli.command {
        Command::Run => run::run(config),
        Command::Once(once) => run::once(config, once.wait),
        Command::Check(check) => check::check(config, check.login),
        Command::Status(arguments) => status::status(config, &arguments),
        Command::Poll(named) => order::command(config, Order::Poll(named.name), named.json),
        Command::Resume(resume) => match (resume.name, resume.account) {
            (Some(name), _) => order::command(config, Order::Resume(name), resume.json),
            (None, account) => {
                let account = account.unwrap_or_default();
                let command = match resume.same_password {
                    true => Order::ResumeSamePassword(account),
                    false => Order::ResumeAccount(account),
                };
                order::command(config, command, resume.json)
            }
        },
        Command::Accept(named) => order::command(config, Order::Accept(named.name), named.json),
        Command::Rollback(named) => order::command(config, Order::Rollback(named.name), named.json),
        Command::Rehearse(named) => order::command(config, Order::Rehearse(named.name), named.json),
        Command::Health(arguments) => health::health(config, arguments.json),
        Command::Forget(named) => order::forget(config, named.name, named.json),
        Command::Explain(named) => explain::explain(config, &named.name, named.json),
        Command::Domains(arguments) => domains::domains(config, arguments),
        Command::Smime(smime) => smime::smime(config, smime),
        Command::Completions { shell } => generate::completions(shell),
        Command::Man { dir } => generate::man(&dir),
        Command::Doctor(arguments) => doctor::doctor(config, &arguments),
        #[cfg(feature = "sandbox")]
        Command::Sandbox(arguments) => sandbox::sandbox(&arguments),
        #[cfg(feature = "sandbox")]
        Command::Demo(arguments) => demo::demo(&arguments),
    }
}

/// Reads the configuration, or says what is wrong with it.
fn load(config: &Path) -> Result<Found, Exit> {
    files::read(config, print::has_colours()).map_err(|text| fail(Exit::Usage, text.trim_end()))
}

/// Reads the configuration for those who only show how things stand. What is wrong with it is said, and what can be
/// made out of it is given back all the same, with the flaw.
fn load_some(config: &Path) -> Result<(Arc<Config>, Option<Flaw>), Exit> {
    let unsound = match files::read_some(config, print::has_colours()) {
        Ok(found) => return Ok((found.config, None)),
        Err(unsound) => unsound,
    };
    print_error(unsound.text.trim_end());
    let Some(remains) = unsound.remains.filter(|config| Reader::exists(&config.state_dir)) else {
        return Err(Exit::Usage);
    };
    let served = if control::is_served(&remains.state_dir) {
        "a daemon runs, with the configuration as it was when it was last sound"
    } else {
        "no daemon runs"
    };
    print_error(&format!(
        "\nthe configuration is not sound ({served}); what follows is what the state in {} says of the entries that can be read",
        remains.state_dir.display()
    ));
    Ok((remains, Some(Flaw { first: unsound.first })))
}

/// Nothing can be said of an order.
fn unreadable(name: &str) -> String {
    format!("no entry of an order named {} can be read in it", crate::api::Foreign::new(name))
}

/// That a configuration is not sound.
struct Flaw {
    /// The first of its problems, in one line.
    first: String,
}

/// The configuration with the orders that were adopted after a replacement. A state that cannot be read is
/// said where it is needed.
fn with_adopted(config: &Arc<Config>) -> Arc<Config> {
    let reader = Reader::open(&config.state_dir).ok().flatten();
    let adopted = reader.and_then(|reader| reader.adopted().ok()).unwrap_or_default();
    engine::joined(config, &adopted)
}

/// Runs a future on the one thread that the daemon has.
fn block_on<T>(future: impl Future<Output = T>) -> Result<T, Exit> {
    let built = Builder::new_current_thread().enable_io().enable_time().build();
    let runtime = built.map_err(|error| {
        let cause = cause(&error);
        let why = format!("the system does not give what a process needs to wait for anything: {cause}");
        fail(Exit::Failed, &why)
    })?;
    let local = LocalSet::new();
    let result = local.block_on(&runtime, future);
    // A hanging name lookup must not delay the exit.
    runtime.shutdown_background();
    Ok(result)
}
