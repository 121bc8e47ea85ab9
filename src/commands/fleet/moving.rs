//! `fleet import` and `fleet export`, while no daemon runs here.

use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use crate::commands::block_on::block_on;
use crate::commands::exit::Exit;
use crate::commands::order::show;
use crate::commands::print::{fail, print_error};
use crate::commands::store::{open_store, take_lock};
use crate::fleet::{member, moving};
use certcollectd_core::config::fleet::Role;
use certcollectd_core::engine::command::CommandReply;
use certcollectd_core::engine::time::in_words;

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Of this host into the store.
    Import,
    /// Of the fleet to this host.
    Export,
}

pub fn move_state(path: &Path, way: Way, json: bool) -> Result<(), Exit> {
    let (config, fleet, name) = super::member(path)?;
    let settings = match &fleet.role {
        Role::Collector(settings) => settings,
        Role::Follower => {
            let why =
                "a follower's state is its own: run it on a host whose [fleet] has role = \"collector\"";
            return Err(fail(Exit::Usage, why));
        }
    };
    let mut store = open_store(&config, take_lock(&config.state_dir))?;
    let shared = Rc::new(member::connect(&fleet, &name, Duration::MAX));
    let moved = block_on(async {
        match way {
            Way::Import => moving::import(shared, &name, &mut store).await,
            Way::Export => {
                let most = in_words(settings.lease + settings.beat);
                print_error(&format!("looks whether a collector leads, for {most} at most"));
                moving::export(shared, &name, settings, &mut store).await
            }
        }
    })?;
    let reply = match moved {
        Ok(text) => CommandReply::new(true, text),
        Err(why) => CommandReply::new(false, why),
    };
    show(&reply, json)
}
