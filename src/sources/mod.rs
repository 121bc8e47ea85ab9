//! Everything that can happen outside becomes a message to the loop.

pub mod clock;
pub mod control;
pub mod files;
pub mod http;
mod listener;
mod mounts;
pub mod push;
pub mod signal;
pub mod watch;

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::api::push::Hint;
use crate::config::Config;
use crate::engine::Loaded;
use crate::engine::event::{Command, CommandReply};

/// What the sources tell the loop.
#[derive(Debug)]
pub enum Message {
    /// Stop in order.
    Stop,
    /// Read the configuration anew, now.
    Reload,
    /// A child process ended.
    Child,
    /// The configuration was read anew and is sound; the warnings that came with it are rendered already.
    Configured {
        /// The new one.
        config: Arc<Config>,
        /// Warnings, as people read them; empty if there are none.
        warnings: String,
    },
    /// The configuration was read anew and is not sound; what is wrong, as people read it.
    Misconfigured(String),
    /// An account's credential file was touched.
    Credential(Arc<str>),
    /// Somebody said that an order has news.
    Hint(Hint),
    /// How does everything stand?
    Snapshot(oneshot::Sender<Snapshot>),
    /// The operator's word, and where the answer goes.
    Command(Command, oneshot::Sender<CommandReply>),
}

/// How everything stands at one moment.
#[derive(Debug)]
pub struct Snapshot {
    /// The configuration in force.
    pub config: Arc<Config>,
    /// Records of all orders and accounts, without bundles.
    pub loaded: Loaded,
    /// Saves that failed in a row.
    pub failed_saves: u32,
}

/// Where sources put their messages. Bounded: a flood waits at its source.
pub type Inbox = mpsc::Sender<Message>;

/// So many messages wait at most.
pub const INBOX: usize = 256;
