//! Everything that can happen outside becomes a message to the loop.

pub mod alarm;
pub mod clock;
pub mod control;
pub mod files;
pub mod host;
pub mod http;
mod listener;
mod mounts;
pub mod push;
mod refusal;
pub mod signal;
pub mod textfile;
pub mod threads;
pub mod watch;

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use certcollectd_core::api::push::Hint;
use certcollectd_core::cert::Certificate;
use certcollectd_core::config::Config;
use certcollectd_core::engine::command::{Command, CommandReply};
use certcollectd_core::engine::loaded::Loaded;
use certcollectd_core::engine::vitals::Vitals;

/// What the sources tell the loop.
#[derive(Debug)]
pub enum Message {
    Stop,
    /// Another host of the fleet is to lead.
    StepDown,
    /// Reload the configuration now.
    Reload,
    Child,
    /// The configuration was reloaded and is valid; its warnings are already rendered.
    Configured {
        config: Arc<Config>,
        /// Warnings, as people read them; empty if there are none.
        warnings: String,
    },
    /// The configuration was reloaded and is invalid; the problems, as people read them.
    Misconfigured(String),
    /// An account's credential file was touched.
    Credential(Arc<str>),
    /// A notification says that an order has news.
    Hint(Hint),
    /// The fleet's collectors have published this, the leaf first, and it is this host's turn.
    Published {
        order: Arc<str>,
        generation: u64,
        bundle: Vec<Certificate>,
    },
    /// The state file is to keep this.
    Mark(&'static str, String),
    /// Something on this machine fails and is retried, or works again.
    Finding {
        /// What, in a sentence.
        text: String,
        /// Whether it is so.
        holds: bool,
    },
    /// Is the loop alive, and what does it know of itself?
    Ping(oneshot::Sender<Vitals>),
    /// How does everything stand?
    Snapshot(oneshot::Sender<Snapshot>),
    /// An operator's command, and where the answer goes.
    Command(Command, oneshot::Sender<CommandReply>),
}

/// How everything stands at one moment.
#[derive(Debug)]
pub struct Snapshot {
    pub config: Arc<Config>,
    /// Records of all orders and accounts, without bundles.
    pub loaded: Loaded,
    /// What the process knows of itself.
    pub vitals: Vitals,
}

/// Where sources put their messages. Bounded: a flood waits at its source.
pub type Inbox = mpsc::Sender<Message>;

/// Maximum number of waiting messages.
pub const INBOX: usize = 256;

/// What the loop answers to a message; nothing if it is gone.
async fn ask<T>(inbox: &Inbox, message: impl FnOnce(oneshot::Sender<T>) -> Message) -> Option<T> {
    let (sender, receiver) = oneshot::channel();
    inbox.send(message(sender)).await.ok()?;
    receiver.await.ok()
}
