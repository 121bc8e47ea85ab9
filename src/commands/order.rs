//! `poll`, `resume`, `accept`, `rollback`, `rehearse`, `forget`: the operator's commands, through the
//! control socket if the daemon is running, else directly under the lock.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::block_on::block_on;
use super::exit::Exit;
use super::load::load;
use super::order_number::wrong_number;
use super::prepare::{listen_to_signals, prepare};
use super::print::{fail, print, print_error};
use super::socket;
use super::store::{UNSAVED, load_engine, open_store, take_lock};
use super::unknown::unknown;
use crate::daemon::{Daemon, Goal};
use crate::effects::store::error::{StoreError, holder};
use crate::effects::store::load::Reader;
use crate::effects::store::save::Store;
use crate::sources::files::LoadedConfig;
use crate::sources::{INBOX, clock, control};
use certcollectd_core::config::Config;
use certcollectd_core::config::fleet::Role;
use certcollectd_core::engine::adopted::joined;
use certcollectd_core::engine::command::{Command, CommandReply, FleetCommand, Target};
use certcollectd_core::engine::forget::why_not;
use certcollectd_core::engine::time::Time;

/// Carries out a command and says how it went.
pub fn command(path: &Path, command: Command, json: bool) -> Result<(), Exit> {
    show(&ask(path, command)?, json)
}

/// `forget`: what is configured, or not known, is a usage error.
pub fn forget(path: &Path, name: String, json: bool) -> Result<(), Exit> {
    let config = with_adopted(&load(path)?.config);
    let reader = Reader::open(&config.state_dir).ok().flatten();
    // What cannot be read is reported where it is needed.
    if let Some(loaded) = reader.and_then(|reader| reader.load(clock::now()).ok()) {
        let is_configured = config.orders.iter().any(|order| *order.name == *name);
        let known = loaded.orders.iter().map(|(name, known)| (&**name, known));
        if let Some(why) = why_not(&name, is_configured, known) {
            let collects = config.fleet.as_ref().is_some_and(|fleet| !fleet.is_follower());
            if is_configured || !collects {
                return Err(fail(Exit::Usage, &why));
            }
            // Something may be published of it all the same.
            let reply = ask(path, Command::Fleet(FleetCommand::Forget(name)))?;
            return match reply.data["published"] == false {
                true => Err(fail(Exit::Usage, &format!("{why}; {}", reply.text))),
                false => show(&reply, json),
            };
        }
    }
    command(path, Command::Forget(name), json)
}

/// The outcome of a command. Errors that can be found here cost no call.
pub(super) fn ask(path: &Path, command: Command) -> Result<CommandReply, Exit> {
    if let Command::Domains(Target::Number { number, .. }) | Command::Resend(Target::Number { number, .. }) =
        &command
        && let Some(wrong) = wrong_number(number)
    {
        return Err(fail(Exit::Usage, &wrong));
    }
    let config = load(path)?.config;
    if let Some(wrong) = unknown_name(&with_adopted(&config), &command) {
        return Err(fail(Exit::Usage, &wrong));
    }
    carry_out(path, &config, command)
}

/// Carries out a command: by the daemon, or here.
pub(super) fn carry_out(path: &Path, config: &Config, command: Command) -> Result<CommandReply, Exit> {
    let by_daemon = || {
        let reply = block_on(socket::ask(&config.state_dir, &command))?;
        reply.transpose().map_err(|why| fail(Exit::Failed, &why))
    };
    if let Some(reply) = by_daemon()? {
        return Ok(reply);
    }
    let found = prepare(path)?;
    if let Some(why) = not_alone(&found.config, &command) {
        return Err(fail(Exit::Failed, why));
    }
    let mut asked_again = false;
    loop {
        match take_lock(&found.config.state_dir) {
            Err(StoreError::Locked { dir, by }) => {
                // A daemon that was just starting is listening by now, or has ended meanwhile.
                if let Some(reply) = by_daemon()? {
                    return Ok(reply);
                }
                if std::mem::replace(&mut asked_again, true) {
                    return Err(fail(Exit::Usage, &deaf(&dir, by)));
                }
            }
            lock => return directly(&found, open_store(&found.config, lock)?, command),
        }
    }
}

/// Why a command is not carried out without the daemon: who calls the vendor for a fleet is settled between its daemons.
fn not_alone(config: &Config, command: &Command) -> Option<&'static str> {
    let fleet = config.fleet.as_ref()?;
    match (&fleet.role, command) {
        (_, Command::Fleet(_)) => Some("certcollectd does not run on this host; start it first"),
        (Role::Collector(_), _) => Some(
            "this host is a collector of a fleet, and its certcollectd does not run; start it first, or ask the one that leads",
        ),
        (Role::Follower, command) if command.asks_the_vendor() => {
            Some("a follower asks the vendor nothing: what the collectors publish is taken by itself")
        }
        (Role::Follower, _) => None,
    }
}

/// The lock is held and its holder does not listen: what an operator can do about it.
fn deaf(state_dir: &Path, by: Option<u32>) -> String {
    let socket = state_dir.join(control::SOCKET);
    let why = if socket.exists() { "nothing listens on it" } else { "it is missing" };
    format!(
        "the lock on {} is held ({}), but the control socket {} does not answer: {why}; nothing was sent. \
         If that is the daemon, restart it, for instance with `systemctl restart certcollectd`: it recreates the socket and \
         continues where it was. If it is another command, such as `once`, try again after it has finished",
        state_dir.display(),
        holder(by),
        socket.display()
    )
}

/// The configuration with the orders that were adopted after a replacement. An unreadable state is
/// reported where it is needed.
fn with_adopted(config: &Arc<Config>) -> Arc<Config> {
    let reader = Reader::open(&config.state_dir).ok().flatten();
    let adopted = reader.and_then(|reader| reader.adopted().ok()).unwrap_or_default();
    joined(config, &adopted)
}

/// Shows a reply to people, or to machines.
pub(super) fn show(reply: &CommandReply, json: bool) -> Result<(), Exit> {
    if json {
        let mut shown = serde_json::json!({ "ok": reply.ok, "text": reply.text });
        if !reply.data.is_null() {
            shown["data"] = reply.data.clone();
        }
        print(&shown.to_string());
    } else if reply.ok {
        print(&reply.text);
    } else {
        print_error(&reply.text);
    }
    if reply.ok { Ok(()) } else { Err(Exit::Failed) }
}

/// The order or account of the configuration that a command names; nothing where it names a number of the vendor's.
enum Named<'a> {
    Order(&'a str),
    Account(&'a str),
}

fn named(command: &Command) -> Option<Named<'_>> {
    match command {
        Command::Poll(name)
        | Command::Resume(name)
        | Command::Accept(name)
        | Command::AcceptNow(name)
        | Command::Rollback(name)
        | Command::Rehearse(name)
        | Command::WithdrawReissue(name)
        | Command::Domains(Target::Order(name))
        | Command::Resend(Target::Order(name)) => Some(Named::Order(name)),
        Command::ResumeAccount(name) | Command::ResumeSamePassword(name) => Some(Named::Account(name)),
        // They are in no configuration, or not yet.
        Command::Forget(_) | Command::TakeOver(_) | Command::CheckTakeOver(_) | Command::Fleet(_) => None,
        Command::Domains(Target::Number { account, .. })
        | Command::Resend(Target::Number { account, .. }) => account.as_deref().map(Named::Account),
        Command::Reissue(command) => Some(Named::Order(&command.order)),
        Command::ResumeReissues(account) => account.as_deref().map(Named::Account),
        Command::Replace(command) => command.account.as_deref().map(Named::Account),
    }
}

/// A name that is not configured is a usage error; it lists the names that are.
fn unknown_name(config: &Config, command: &Command) -> Option<String> {
    let (what, name, known): (_, _, Vec<&str>) = match named(command)? {
        Named::Account(name) => ("account", name, config.accounts.iter().map(|known| &*known.name).collect()),
        Named::Order(name) => ("order", name, config.orders.iter().map(|known| &*known.name).collect()),
    };
    (!known.contains(&name)).then(|| unknown(what, name, known.into_iter()))
}

/// Without a daemon: the same engine, for this one order, until it has answered.
fn directly(found: &LoadedConfig, store: Store, command: Command) -> Result<CommandReply, Exit> {
    block_on(async {
        let (sender, inbox) = mpsc::channel(INBOX);
        listen_to_signals(sender)?;
        let mut engine = load_engine(&found.config, &store)?;
        // For an account or a number nothing is polled: that one call is all.
        engine.attend_to(match named(&command) {
            Some(Named::Order(_)) if matches!(command, Command::Domains(_) | Command::Resend(_)) => None,
            Some(Named::Order(name)) => Some(name),
            Some(Named::Account(_)) | None => None,
        });
        // Commands on local files make no call, however long no daemon has run.
        let is_local = matches!(
            command,
            Command::Rollback(_) | Command::Rehearse(_) | Command::TakeOver(_) | Command::CheckTakeOver(_)
        );
        if is_local || found.config.fleet.is_some() {
            engine.poll_only_until(Time::MIN);
        }
        let outcome = Daemon::new(engine, store, inbox).run(Goal::Answered(command)).await;
        outcome.reply.ok_or_else(|| {
            let why = if outcome.unsaved { UNSAVED } else { "stopped before the command was done" };
            fail(Exit::Failed, why)
        })
    })?
}
