//! `health`: whether the daemon's loop is alive, for those who would restart it otherwise.

use std::path::Path;

use super::block_on::block_on;
use super::exit::Exit;
use super::print::{print, print_error};
use super::socket;
use crate::effects::store::presence;
use crate::sources::{control, files};
use certcollectd_core::engine::vitals::Vitals;

/// `health`: one line, and 0 or 1.
pub fn health(path: &Path, json: bool) -> Result<(), Exit> {
    let asked = find(path);
    let (ok, text) = match &asked {
        Ok(vitals) => (true, alive(vitals)),
        Err(why) => (false, why.clone()),
    };
    if json {
        let data = asked.ok().map(|vitals| serde_json::json!(vitals));
        print(&serde_json::json!({ "ok": ok, "text": text, "data": data }).to_string());
    } else if ok {
        print(&text);
    } else {
        print_error(&text);
    }
    if ok { Ok(()) } else { Err(Exit::Failed) }
}

fn find(path: &Path) -> Result<Vitals, String> {
    // While the configuration is broken, a daemon keeps the previous one, and its socket.
    let config = match files::read_some(path, false) {
        Ok(found) => found.config,
        Err(invalid) => invalid.remains.ok_or_else(|| {
            format!(
                "the daemon's socket is unknown, because the configuration cannot be read: {}",
                invalid.first
            )
        })?,
    };
    match block_on(socket::ping(&config.state_dir)) {
        Ok(Some(answer)) => answer,
        // Its socket was removed with its directory.
        Ok(None) => Err(presence::complaint(&config.state_dir).unwrap_or_else(|| {
            format!(
                "no daemon listens on {}; start it with `certcollectd run`, or ask as a user who may open the socket",
                config.state_dir.join(control::SOCKET).display()
            )
        })),
        Err(_) => Err("the daemon could not be asked".into()),
    }
}

fn alive(vitals: &Vitals) -> String {
    let mut text = "certcollectd is alive".to_owned();
    if let Some(why) = vitals.unsaved() {
        text.push_str(&format!("; {why}"));
    }
    if vitals.misconfigured {
        text.push_str("; the configuration is invalid, the previous one is in force");
    }
    for finding in &vitals.findings {
        text.push_str(&format!("; {finding}"));
    }
    text
}
