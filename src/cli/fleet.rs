//! The commands of a fleet.

use std::path::Path;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};

use crate::commands::exit::Exit;
use crate::commands::fleet;
use crate::commands::fleet::grant::{self, Grant};
use crate::commands::fleet::moving::Way;
use certcollectd_core::engine::command::FleetCommand;

#[derive(Debug, Subcommand)]
pub(super) enum Fleet {
    /// Show who leads, and how far each order has come on the hosts
    #[command(after_help = "Example: certcollectd fleet status --watch\n\n\
        Reads the store itself, whether or not a daemon runs here. A follower sees what is published for its groups, and \
        itself. Exit codes: 0 shown, 1 the store cannot be read, 2 usage or configuration error. \
        With --nagios: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.")]
    Status {
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
    /// Have another collector lead; on the collector that leads
    #[command(after_help = "Example: certcollectd fleet step-down\n\n\
        The call that is under way is ended first. Elsewhere it says who leads, with exit code 1.")]
    StepDown {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Let every host take an order's published generation now; on the collector that leads
    #[command(after_help = "Example: certcollectd fleet go www")]
    Go(Rolled),
    /// Let no further host take an order's generations, also later ones; on the collector that leads
    #[command(after_help = "Example: certcollectd fleet hold www\n\n`fleet go` or `fleet skip` ends it.")]
    Hold(Rolled),
    /// Let an order's roll-out go on without the hosts that hold it; on the collector that leads
    #[command(after_help = "Example: certcollectd fleet skip www")]
    Skip(Rolled),
    /// Delete the rows of a host that is gone; on a collector
    #[command(after_help = "Example: certcollectd fleet forget web-017\n\n\
        A host that was heard of within 15 minutes is refused: if certcollectd still runs there, it is back within five.")]
    Forget {
        /// Its name in the fleet
        host: String,
        /// Although it was heard of within 15 minutes
        #[arg(long)]
        force: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the lines that give a host its user and its rights at the store
    #[command(
        after_help = "Example: certcollectd fleet grant web-017 --role follower --group web > grant.sh\n         \
        sh grant.sh < password\n\n\
        Whoever administers etcd runs them, with the endpoints and the user in ETCDCTL_ENDPOINTS and ETCDCTL_USER. Where \
        the configuration has store = \"postgres\" they are for psql, as owner of the table. A follower may read what is \
        published for its groups, and write what is its own."
    )]
    Grant {
        /// Its name in the fleet: its user and role are called so too
        host: String,
        /// What the host is
        #[arg(long, value_parser = grantee())]
        role: grant::Role,
        /// A group that a follower takes; can be repeated
        #[arg(long = "group", value_name = "GROUP")]
        groups: Vec<String>,
        /// What all keys in the store begin with [default: that of the configuration, else certcollectd/main/]
        #[arg(long)]
        prefix: Option<String>,
    },
    /// Make a fleet of this host's state: write it into the store
    #[command(after_help = "Example: systemctl stop certcollectd && certcollectd fleet import\n\n\
        With [fleet] in the configuration, role = \"collector\", and no daemon running here; the store must hold no fleet \
        yet. Polls and closed accounts are kept. Afterwards a start without [fleet] is refused.")]
    Import {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// End a fleet: make its state that of this host
    #[command(after_help = "Example: certcollectd fleet export\n\n\
        With [fleet] still in the configuration, and certcollectd stopped on every collector: it looks for a lease whether \
        one leads. Then take [fleet] out, and start it here only.")]
    Export {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Go on with a store that shows less than it showed before
    #[command(after_help = "Example: certcollectd fleet accept-restore\n\n\
        For a store that was restored from a copy, or is another one: on each host that says so. Elsewhere it does nothing.")]
    AcceptRestore {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
pub(super) struct Rolled {
    /// Name of the order
    name: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Fleet {
    pub(super) fn carry_out(self, config: &Path) -> Result<(), Exit> {
        let ask = |command, json| fleet::command(config, command, json);
        match self {
            Fleet::Status { nagios: true, .. } => fleet::status::nagios(config),
            Fleet::Status { watch: true, .. } => fleet::status::watch(config),
            Fleet::Status { json, .. } => fleet::status::status(config, json),
            Fleet::StepDown { json } => ask(FleetCommand::StepDown, json),
            Fleet::Go(Rolled { name, json }) => ask(FleetCommand::Go(name), json),
            Fleet::Hold(Rolled { name, json }) => ask(FleetCommand::Hold(name), json),
            Fleet::Skip(Rolled { name, json }) => ask(FleetCommand::Skip(name), json),
            Fleet::Forget { host, force, json } => fleet::hosts::forget(config, &host, force, json),
            Fleet::Grant { host, role, groups, prefix } => {
                let wanted = Grant { name: &host, role, groups: &groups, prefix: prefix.as_deref() };
                grant::grant(config, &wanted)
            }
            Fleet::Import { json } => fleet::moving::move_state(config, Way::Import, json),
            Fleet::Export { json } => fleet::moving::move_state(config, Way::Export, json),
            Fleet::AcceptRestore { json } => ask(FleetCommand::AcceptRestore, json),
        }
    }
}

fn grantee() -> impl TypedValueParser<Value = grant::Role> {
    PossibleValuesParser::new(grant::Role::WORDS)
        .map(|word| grant::Role::named(&word).expect("only these words are possible"))
}
