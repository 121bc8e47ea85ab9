//! What is already at the paths where files will be installed.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::finding;
use crate::config::ONE_KEY;
use crate::config::file::Level;
use crate::config::locate::{Finding, Key};
use crate::effects::call::credential;
use crate::effects::hook::executable::find_program;
use crate::effects::install::copies::replaced_link;
use crate::effects::install::dir::Dir;
use crate::effects::install::layout::{check_link, check_store, store_name};
use certcollectd_core::config::{Config, FileKind, KeySource, SecretSource};

pub(super) fn look(config: &Config, files: &[&Path], found: &mut Vec<Finding>) {
    // Where there is no directory yet, nothing is in the way in it.
    if let Ok(base) = Dir::open(&config.install_dir) {
        for order in &config.orders {
            let error =
                check_link(&base, &order.name).and_then(|()| check_store(&base, &store_name(&order.name)));
            if let Err(error) = error {
                let about = Key::order(&order.name, &["name"]);
                found.push(finding(Level::Error, Some(about), format!("order {}: {error}", order.name), ""));
            }
        }
    }
    if config.orders.iter().all(|order| order.copies.is_empty()) {
        return;
    }
    let inputs = inputs(config, files);
    for (at, order) in config.orders.iter().enumerate() {
        for copy in &order.copies {
            let about = Key::order(&order.name, &["copy", "to"]).with(copy.to.to_string_lossy());
            let (name, shown) = (&order.name, copy.to.display());
            // HAProxy's one file holds the very key.
            let holds = |input: &Input| copy.from == FileKind::Combined && input.key_of == Some(at);
            let is_kept = |input: &&Input| holds(input) && order.key.is_one_file();
            let here = identity(&copy.to).and_then(|id| inputs.get(&id));
            if let Some(input) = here.into_iter().flatten().find(|input| !is_kept(input)) {
                let (what, help) = if holds(input) {
                    (format!("one of several key files of order {name}"), ONE_KEY)
                } else {
                    (input.what.clone(), "choose another path for the copy")
                };
                found.push(finding(
                    Level::Error,
                    Some(about),
                    format!("order {name}: the copy to {shown} would replace {what}"),
                    help,
                ));
                continue;
            }
            match replaced_link(&copy.to) {
                Ok(Some(target)) => found.push(finding(
                    Level::Warning,
                    Some(about),
                    format!(
                        "order {name}: {shown} is a link to {target}; it will be replaced by a file, and {target} stays \
                         unchanged",
                        target = target.display()
                    ),
                    "if a server reads the file behind the link, name that file in `to`",
                )),
                Ok(None) => {}
                Err(error) => {
                    found.push(finding(Level::Error, Some(about), format!("order {name}: {error}"), ""));
                }
            }
        }
    }
}

/// Device and number of what a path leads to.
fn identity(path: &Path) -> Option<(u64, u64)> {
    let found = std::fs::metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

/// What a file is read for.
struct Input {
    what: String,
    /// The order whose private key is in it, by its place in the configuration.
    key_of: Option<usize>,
}

/// Every file that is read, by what it is and not by how it is written.
fn inputs(config: &Config, files: &[&Path]) -> HashMap<(u64, u64), Vec<Input>> {
    let mut inputs: HashMap<(u64, u64), Vec<Input>> = HashMap::new();
    let mut all: Vec<(PathBuf, String)> = Vec::new();
    all.extend(files.iter().map(|path| (path.to_path_buf(), "a file of the configuration".to_owned())));
    for name in ["state.db", "state.db-wal", "state.db-shm", "lock", "control.sock"] {
        all.push((config.state_dir.join(name), "a file of state_dir".to_owned()));
    }
    for account in &config.accounts {
        let name = &account.name;
        for (key, secret) in account.secrets() {
            if let Ok(Some(path)) = credential::path(secret) {
                all.push((path, format!("the {key} of account {name}")));
            }
        }
        all.extend(account.ca_file.clone().map(|path| (path, format!("the ca_file of account {name}"))));
    }
    let password = config.push.as_ref().and_then(|push| push.password.as_ref());
    if let Some(SecretSource::File(path)) = password {
        all.push((path.clone(), "the password of [push]".to_owned()));
    }
    if let Some(fleet) = &config.fleet {
        let file = |(key, path): (&str, &Path)| (path.to_owned(), format!("the {key} of [fleet]"));
        all.extend(fleet.files().map(file));
        if let Some(Ok(Some(path))) = fleet.password().map(credential::path) {
            all.push((path, "the password of [fleet]".to_owned()));
        }
    }
    for (at, order) in config.orders.iter().enumerate() {
        let name = &order.name;
        for (key, path) in order.inputs() {
            let is_key = matches!(&order.key, KeySource::Keys(keys) if keys.iter().any(|key| key == path));
            let input = Input { what: format!("the {key} of order {name}"), key_of: is_key.then_some(at) };
            if let Some(id) = identity(path) {
                inputs.entry(id).or_default().push(input);
            }
        }
        let anchors = order.settings.trust_anchors.clone();
        all.extend(anchors.map(|path| (path, "a file of trust_anchors".to_owned())));
    }
    for hook in &config.hooks {
        let program = hook.program().and_then(|program| find_program(program).ok());
        all.extend(program.map(|path| (path, format!("the program of hook {}", hook.name))));
    }
    for (path, what) in all {
        if let Some(id) = identity(&path) {
            inputs.entry(id).or_default().push(Input { what, key_of: None });
        }
    }
    inputs
}
