//! `poll`, `resume`, `accept`, `rollback`, `rehearse`: the operator's word, through the control socket if the
//! daemon runs, else directly under the lock.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::run::{engine, open_store, prepare};
use super::{block_on, complain, load, say};
use crate::cli::exit;
use crate::config::Config;
use crate::daemon::{Daemon, Goal};
use crate::engine::event::{Command, CommandReply};
use crate::sources::{INBOX, control};

/// Carries out a command and says how it went.
pub fn command(path: &Path, command: Command, json: bool) -> u8 {
    let found = match load(path) {
        Ok(found) => found,
        Err(code) => return code,
    };
    if let Some(wrong) = unknown_name(&found.config, &command) {
        complain(&wrong);
        return exit::USAGE;
    }
    match carry_out(path, &found.config, command) {
        Ok(reply) => {
            show(&reply, json);
            if reply.ok { exit::OK } else { exit::FAILED }
        }
        Err(code) => code,
    }
}

/// Carries out a command: by the daemon, or here.
pub(super) fn carry_out(path: &Path, config: &Arc<Config>, command: Command) -> Result<CommandReply, u8> {
    match block_on(ask_daemon(&config.state_dir, &command)) {
        Some(Ok(reply)) => Ok(reply),
        Some(Err(why)) => {
            complain(&why);
            Err(exit::FAILED)
        }
        None => directly(path, command),
    }
}

fn show(reply: &CommandReply, json: bool) {
    if json {
        say(&serde_json::json!({ "ok": reply.ok, "text": reply.text }).to_string());
    } else if reply.ok {
        say(&reply.text);
    } else {
        complain(&reply.text);
    }
}

/// A name that is not configured is a usage error, with the names that are.
fn unknown_name(config: &Config, command: &Command) -> Option<String> {
    let (what, name, known): (_, _, Vec<&str>) = match command {
        Command::ResumeAccount(name) => {
            ("account", name, config.accounts.iter().map(|known| &*known.name).collect())
        }
        Command::Poll(name)
        | Command::Resume(name)
        | Command::Accept(name)
        | Command::Rollback(name)
        | Command::Rehearse(name) => {
            ("order", name, config.orders.iter().map(|known| &*known.name).collect())
        }
    };
    if known.contains(&name.as_str()) {
        return None;
    }
    const SHOWN: usize = 20;
    let more = if known.len() > SHOWN { format!(" and {} more", known.len() - SHOWN) } else { String::new() };
    let known = known[..known.len().min(SHOWN)].join(", ");
    Some(format!(
        "no {what} named {} is configured; there are: {known}{more}",
        crate::api::Foreign::new(name)
    ))
}

/// `None` when no daemon listens.
async fn ask_daemon(state_dir: &Path, command: &Command) -> Option<Result<CommandReply, String>> {
    let (address, _handle) = control::address(state_dir).ok()?;
    // Only a socket that somebody listens on means that a daemon runs; a crash leaves the file behind.
    std::os::unix::net::UnixStream::connect(&address).ok()?;
    Some(ask(&address, command).await)
}

async fn ask(address: &Path, command: &Command) -> Result<CommandReply, String> {
    let failed =
        |error: reqwest::Error| format!("the running daemon did not answer: {}", error.without_url());
    let client = reqwest::Client::builder().unix_socket(address).no_proxy().build().map_err(failed)?;
    let url = format!("http://localhost{}", control::path_of(command));
    let answer = client.post(url).send().await.map_err(failed)?.bytes().await.map_err(failed)?;
    let odd = || "the running daemon's answer cannot be read; is it another version?".to_owned();
    let answer: serde_json::Value = serde_json::from_slice(&answer).map_err(|_| odd())?;
    let ok = answer["ok"].as_bool().ok_or_else(odd)?;
    Ok(CommandReply { ok, text: answer["text"].as_str().ok_or_else(odd)?.to_owned() })
}

/// Without a daemon: the same engine, for this one order, until it has answered.
fn directly(path: &Path, command: Command) -> Result<CommandReply, u8> {
    let found = prepare(path)?;
    let mut config = (*found.config).clone();
    match &command {
        // Nothing is polled for an account's sake alone: the next call is let through, whoever makes it.
        Command::ResumeAccount(_) => config.orders.clear(),
        Command::Poll(name)
        | Command::Resume(name)
        | Command::Accept(name)
        | Command::Rollback(name)
        | Command::Rehearse(name) => config.orders.retain(|order| *order.name == **name),
    }
    let config = Arc::new(config);
    let store = open_store(&config)?;
    block_on(async {
        let (sender, inbox) = mpsc::channel(INBOX);
        if let Err(error) = crate::sources::signal::listen(sender) {
            complain(&format!("signals cannot be listened to: {error}"));
            return Err(exit::FAILED);
        }
        let engine = engine(&config, &store)?;
        let outcome = Daemon::new(engine, store, inbox).run(Goal::Answered(command)).await;
        outcome.reply.ok_or_else(|| {
            complain("stopped before the command was done");
            exit::FAILED
        })
    })
}
