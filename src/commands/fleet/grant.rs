//! `fleet grant`: the lines by which an administrator of the store gives a host its rights, and no more than
//! those.

use std::path::Path;

use crate::commands::exit::Exit;
use crate::commands::print::{fail, print};
use crate::effects::shared::postgres::{Grantee, grants};
use crate::sources::files;
use certcollectd_core::config::fleet::{Fleet, StoreKind};
use certcollectd_core::config::is_name;
use certcollectd_core::fleet::keys::{self, CHAINS, Key};

certcollectd_core::words! {
    /// What the host is to be.
    pub enum Role {
        Collector = "collector",
        Follower = "follower",
    }
}

/// Whose rights.
#[derive(Debug)]
pub struct Grant<'a> {
    /// The host's name in the fleet; its user and role at the store are called so too.
    pub name: &'a str,
    pub role: Role,
    /// What a follower takes.
    pub groups: &'a [String],
    /// What all keys begin with; else what the configuration says.
    pub prefix: Option<&'a str>,
}

/// Prints the lines. `path` is read for the prefix and the kind of the store, where there is such a file.
pub fn grant(path: &Path, grant: &Grant<'_>) -> Result<(), Exit> {
    let usage = |why: &str| Err(fail(Exit::Usage, why));
    for name in [grant.name].into_iter().chain(grant.groups.iter().map(String::as_str)) {
        if !is_name(name) {
            return usage(&format!(
                "{name:?} is no name: lower-case letters, digits, dots, hyphens and underscores"
            ));
        }
    }
    match (grant.role, grant.groups) {
        (Role::Follower, []) => return usage("a follower needs --group, once for each group that it takes"),
        (Role::Collector, [_, ..]) => return usage("a collector takes all groups: leave --group out"),
        (Role::Follower, [_, ..]) | (Role::Collector, []) => {}
    }
    let configured = files::read_some(path, false).ok().and_then(|found| found.config.fleet.clone());
    let prefix = match (grant.prefix, &configured) {
        (Some(prefix), _) if prefix.ends_with('/') => prefix,
        (Some(prefix), _) => {
            return usage(&format!(
                "--prefix {prefix:?} does not end in a slash, as `prefix` of [fleet] does"
            ));
        }
        (None, Some(fleet)) => &fleet.prefix,
        (None, None) => Fleet::PREFIX,
    };
    let lines = match configured.as_ref().map_or(StoreKind::Etcd, |fleet| fleet.store) {
        StoreKind::Etcd => lines(grant, prefix),
        StoreKind::Postgres => statements(grant, prefix).map_err(|why| fail(Exit::Usage, &why))?,
    };
    print(&lines);
    Ok(())
}

/// For `psql`. The password is asked for last: what stands below would be taken for it.
fn statements(grant: &Grant<'_>, prefix: &str) -> Result<String, String> {
    let name = grant.name;
    let groups: Vec<&str> = grant.groups.iter().map(String::as_str).collect();
    let grantee = match grant.role {
        Role::Collector => Grantee::Collector,
        Role::Follower => Grantee::Follower { host: name, groups: &groups },
    };
    let rights = grants(prefix, name, grantee)?;
    Ok(format!(
        "-- The rights of {name}, a {}, for psql. The last line asks for the password.\n\
         CREATE ROLE \"{name}\" LOGIN;\n{rights}\\password \"{name}\"",
        grant.role
    ))
}

/// What a role may do with which keys; `true` means all that begin so.
type Right = (&'static str, String, bool);

fn rights(grant: &Grant<'_>) -> Vec<Right> {
    match grant.role {
        Role::Collector => vec![("readwrite", String::new(), true)],
        Role::Follower => {
            let mut rights = vec![("read", Key::Meta.to_string(), false), ("read", CHAINS.to_owned(), true)];
            for group in grant.groups {
                rights.push(("read", keys::publications(group), true));
                rights.push(("read", keys::goes(group), true));
            }
            rights.push(("readwrite", keys::host(grant.name), true));
            rights
        }
    }
}

fn lines(grant: &Grant<'_>, prefix: &str) -> String {
    let name = grant.name;
    let mut lines = vec![
        format!(
            "# The rights of {name}, a {}. The last line reads the password from standard input.",
            grant.role
        ),
        format!("etcdctl role add {name}"),
    ];
    for (right, key, is_range) in rights(grant) {
        let key = quoted(&format!("{prefix}{key}"));
        let range = if is_range { " --prefix" } else { "" };
        lines.push(format!("etcdctl role grant-permission {name} {right} {key}{range}"));
    }
    // One line: a line below it would be taken for the password where the lines are pasted.
    lines.push(format!(
        "etcdctl user add {name} --interactive=false && etcdctl user grant-role {name} {name}"
    ));
    lines.join("\n")
}

/// As the shell takes it for one word.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if word.chars().all(is_plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}
