//! Files that others may change, or read: anyone who may change the configuration or a hook's program runs
//! what they like as the daemon's user.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Group, Uid, User as Entry};

use super::eyes::User;
use super::finding;
use crate::config::file::Level;
use crate::config::locate::{Finding, Key};
use crate::effects::call::credential;
use crate::effects::hook::executable::find_program;
use certcollectd_core::config::{Config, KeySource};

/// Who but root, the daemon's user and the current user may change something: how bad that is, who, and what ends it.
type Other = (Level, String, &'static str);

pub(super) fn look(config: &Config, files: &[&Path], service: &User, found: &mut Vec<Finding>) {
    let mut looked = Looked { service, found, known: BTreeMap::new() };
    for path in files {
        looked.at(path, "the configuration", || None);
    }
    for hook in &config.hooks {
        let Some(program) = hook.program() else { continue };
        if let Ok(path) = find_program(program) {
            let about = || Some(Key::hook(&hook.name, &["run"]).with(program));
            looked.at(&path, &format!("the program of hook {}", hook.name), about);
        }
    }
    for account in &config.accounts {
        let name = &account.name;
        if let Some(path) = &account.ca_file {
            let about = || Some(Key::account(name, &["ca_file"]));
            looked.at(path, &format!("the ca_file of account {name}"), about);
        }
        for (key, secret) in account.secrets() {
            let Ok(Some(path)) = credential::path(secret) else { continue };
            let about = || Some(Key::account(name, &[key]));
            let what = format!("the {key} of account {name}");
            looked.at(&path, &what, about);
            looked.at_readers(&path, &what, 0o040, about);
        }
    }
    for hook in &config.hooks {
        for (part, secret) in hook.secrets() {
            let Ok(Some(path)) = credential::path(secret) else { continue };
            let about = || Some(Key::hook(&hook.name, &["http", part.key()]));
            let what = format!("{part} of hook {}", hook.name);
            looked.at(&path, &what, about);
            looked.at_readers(&path, &what, 0o040, about);
        }
    }
    if let Some(password) = config.push.as_ref().and_then(|push| push.password.as_ref())
        && let Ok(Some(path)) = credential::path(password)
    {
        looked.at(&path, "the password of [push]", || Some(Key::top("push")));
    }
    if let Some(fleet) = &config.fleet {
        for (key, path) in fleet.files() {
            looked.at(path, &format!("the {key} of [fleet]"), || Some(Key::top("fleet")));
        }
        if let Some(client) = &fleet.client_cert {
            let about = || Some(Key::top("fleet"));
            looked.at_readers(&client.key_file, "the key_file of [fleet]", 0o004, about);
        }
        if let Some(Ok(Some(path))) = fleet.password().map(credential::path) {
            let about = || Some(Key::top("fleet"));
            looked.at(&path, "the password of [fleet]", about);
            looked.at_readers(&path, "the password of [fleet]", 0o040, about);
        }
    }
    for order in &config.orders {
        let KeySource::Keys(paths) = &order.key else { continue };
        for path in paths {
            let about = || Some(Key::order(&order.name, &["key_file"]).with(path.to_string_lossy()));
            let what = format!("the key_file of order {}", order.name);
            looked.at(path, &what, about);
            looked.at_readers(path, &what, 0o004, about);
        }
    }
}

const EVERYBODY: &str = "every user on this machine";

struct Looked<'a> {
    service: &'a User,
    found: &'a mut Vec<Finding>,
    /// Many orders may share a directory, and hooks a program.
    known: BTreeMap<PathBuf, Option<Other>>,
}

impl Looked<'_> {
    fn at(&mut self, path: &Path, what: &str, about: impl Fn() -> Option<Key>) {
        let Some((at, (level, who, end))) = self.weakness(path) else { return };
        let (shown, place) = (path.display(), at.display());
        let where_ =
            if at == path { format!("{what}, {shown},") } else { format!("{what} lies in {place}, which") };
        let text = format!("{where_} can be changed by {who}");
        self.found.push(finding(level, about(), text, &format!("{end} {place}")));
    }

    /// Anyone who may read a secret knows it. `bit` is the permission that is too much.
    fn at_readers(&mut self, path: &Path, what: &str, bit: u32, about: impl Fn() -> Option<Key>) {
        let Ok(stat) = std::fs::metadata(path) else { return };
        if stat.mode() & bit == 0 {
            return;
        }
        let shown = path.display();
        let (who, chmod) = if bit & 0o007 == 0 {
            let Some(name) = self.foreign_group(&stat) else { return };
            (format!("group {name}"), "g-rwx")
        } else {
            (EVERYBODY.to_owned(), "o-rwx")
        };
        let text = format!("{what}, {shown}, can be read by {who}");
        self.found.push(finding(Level::Warning, about(), text, &format!("chmod {chmod} {shown}")));
    }

    /// The nearest right that is too wide on the way up from the file.
    fn weakness(&mut self, path: &Path) -> Option<(PathBuf, Other)> {
        let real = std::fs::canonicalize(path).ok()?;
        for at in real.ancestors() {
            let other = match self.known.get(at) {
                Some(known) => known.clone(),
                None => {
                    let other = std::fs::metadata(at).ok().and_then(|stat| self.other(&stat));
                    self.known.insert(at.to_owned(), other.clone());
                    other
                }
            };
            if let Some(other) = other {
                // Named as the operator wrote it, where that is the same file.
                let at = if at == real { path.to_owned() } else { at.to_owned() };
                return Some((at, other));
            }
        }
        None
    }

    fn other(&self, stat: &std::fs::Metadata) -> Option<Other> {
        let mode = stat.mode();
        // In a sticky directory no one can replace what belongs to someone else.
        let is_guarded = stat.is_dir() && mode & 0o1000 != 0;
        if mode & 0o002 != 0 && !is_guarded {
            return Some((Level::Error, EVERYBODY.to_owned(), "chmod o-w"));
        }
        if mode & 0o020 != 0
            && !is_guarded
            && let Some(name) = self.foreign_group(stat)
        {
            return Some((Level::Warning, format!("group {name}"), "chmod g-w"));
        }
        let is_trusted = [0, self.service.uid, rustix::process::geteuid().as_raw()].contains(&stat.uid());
        // In a container the number of a user of the host says nothing.
        let owner = Entry::from_uid(Uid::from_raw(stat.uid())).ok().flatten();
        let owner = owner.filter(|_| !is_trusted)?;
        Some((Level::Warning, format!("its owner {}", owner.name), "chown root"))
    }

    /// The group of a file, if someone else is in it: not root's, not the daemon's own, not its owner's private one.
    fn foreign_group(&self, stat: &std::fs::Metadata) -> Option<String> {
        let gid = stat.gid();
        if gid == 0 || gid == self.service.gid {
            return None;
        }
        let group = Group::from_gid(Gid::from_raw(gid)).ok().flatten()?;
        let owner = Entry::from_uid(Uid::from_raw(stat.uid())).ok().flatten();
        let is_private = group.mem.is_empty() && owner.is_some_and(|owner| owner.gid.as_raw() == gid);
        (!is_private).then_some(group.name)
    }
}
