//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::gates;

/// Measures certcollectd, beside what one would use in its place.
#[derive(Debug, Parser)]
#[command(name = "certcollectd-bench")]
#[command(args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Rows to measure; without names, all
    pub rows: Vec<String>,
    /// Names all rows
    #[arg(long)]
    pub list: bool,
    /// Fewer rounds and orders: minutes, and wider spreads
    #[arg(long)]
    pub short: bool,
    /// Followers of the fleet; each is a process of some 15 MiB
    #[arg(long, default_value_t = 200)]
    pub followers: u64,
    /// The program to measure; without it, one is built by `cargo build --release --no-default-features`
    #[arg(long)]
    pub program: Option<PathBuf>,
    /// A document whose table is renewed; the picture goes beside it, as .svg
    #[arg(long)]
    pub write: Option<PathBuf>,
    /// Where state and certificates on disk go
    #[arg(long, default_value = "target/bench")]
    pub disk: PathBuf,
    /// A folder on a tmpfs
    #[arg(long, default_value = "/dev/shm")]
    pub memory: PathBuf,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Plays the vendor until it is ended; its first lines say where.
    Mock(Mock),
    /// Writes a configuration for N orders and prints its path.
    Config(Config),
    /// One of what the daemon is measured beside; prints its figures
    #[command(subcommand)]
    Reference(Reference),
    /// Holds counts that noise cannot move against their stored numbers
    Gates(gates::Arguments),
    /// Runs a program as on a kernel that does not tell the auxiliary vector, for valgrind
    #[command(hide = true)]
    WithoutAuxv {
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
pub enum Reference {
    /// A loop of rustls on a blocking socket
    Raw {
        #[arg(long)]
        mock: PathBuf,
        #[arg(long)]
        polls: u64,
        #[arg(long, default_value_t = 100)]
        orders: u64,
        /// A file to which a line is appended and synced for each poll
        #[arg(long)]
        record: Option<PathBuf>,
        /// Connects for each poll, and resumes the session
        #[arg(long)]
        reconnect: bool,
    },
    /// A loop of reqwest
    Reqwest {
        #[arg(long)]
        mock: PathBuf,
        #[arg(long)]
        polls: u64,
        #[arg(long, default_value_t = 100)]
        orders: u64,
    },
    /// Polls, verifies, writes four files, runs a hook
    Cycle {
        #[arg(long)]
        mock: PathBuf,
        #[arg(long)]
        folder: PathBuf,
        #[arg(long)]
        orders: u64,
        /// Time between two calls
        #[arg(long, default_value = "0s", value_parser = humantime::parse_duration)]
        gap: Duration,
        /// One hook at the end
        #[arg(long)]
        one_hook: bool,
    },
}

#[derive(Debug, Args)]
pub struct Mock {
    /// Where its files go: ca.pem, roots.pem, order.key, base_url, control
    #[arg(long, default_value = "bench-mock")]
    pub dir: PathBuf,
    /// The API's port; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    pub port: u16,
    /// The control port's port; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    pub control_port: u16,
    /// An order is issued once it was polled more often than this; without it, never
    #[arg(long)]
    pub ready_after: Option<u64>,
    /// Time before each answer
    #[arg(long, default_value = "0s", value_parser = humantime::parse_duration)]
    pub delay: Duration,
    /// Each answer ends its connection
    #[arg(long)]
    pub close: bool,
}

#[derive(Debug, Args)]
pub struct Config {
    /// How many orders
    pub orders: u64,
    /// The folder of the mock's files
    #[arg(long, default_value = "bench-mock")]
    pub mock: PathBuf,
    /// Where to: etc/certcollectd.toml, state, certs, log
    #[arg(long, default_value = "bench-site")]
    pub dir: PathBuf,
    /// Time between two polls of an order
    #[arg(long, default_value = "1ms")]
    pub interval: String,
    /// Time between two calls
    #[arg(long, default_value = "0s")]
    pub call_gap: String,
    /// ssl orders that are installed, in place of mark orders that wait
    #[arg(long)]
    pub ssl: bool,
    /// The hook of each order: a program and its arguments
    #[arg(long, num_args = 1.., allow_hyphen_values = true)]
    pub hook: Option<Vec<String>>,
}
