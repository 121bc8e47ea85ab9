//! Programs of hooks that cannot start, or cannot do what they are for.

use std::path::Path;

use super::eyes::User;
use super::finding;
use crate::config::file::Level;
use crate::config::locate::{Finding, Key};
use crate::effects::hook::executable;
use crate::effects::hook::executable::find_program;
use certcollectd_core::config::{Action, Config};

/// What asks for rights that only root has.
const OF_ROOT: [&str; 6] = ["systemctl", "service", "sudo", "doas", "su", "pkexec"];

pub(super) fn look(config: &Config, service: &User, found: &mut Vec<Finding>) {
    for hook in &config.hooks {
        let (Action::Run(arguments), Some(program)) = (&hook.action, hook.program()) else { continue };
        let about = || Key::hook(&hook.name, &["run"]).with(program);
        // That it is nowhere is reported where it is looked for.
        let Ok(path) = find_program(program) else { continue };
        if let Err(why) = executable::startable(&path) {
            let text = format!("hook {}: {} cannot be started: {why}", hook.name, path.display());
            found.push(finding(Level::Error, Some(about()), text, ""));
        }
        let asks_root = arguments.iter().take(2).find(|word| OF_ROOT.contains(&base(word)));
        if let Some(word) = asks_root.filter(|_| !service.is_root()) {
            found.push(finding(
                Level::Warning,
                Some(about()),
                format!(
                    "hook {}: {} needs rights that user {service} has only if a polkit or sudo rule grants them",
                    hook.name,
                    base(word)
                ),
                "let another unit do it: socket = \"...\", see docs/hooks.md; `certcollectd rehearse ORDER` shows whether it works",
            ));
        }
    }
}

fn base(word: &str) -> &str {
    Path::new(word).file_name().and_then(|name| name.to_str()).unwrap_or_default()
}
