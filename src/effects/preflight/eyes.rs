//! What another user may do with files, judged by owner, group, mode and access lists: root looks through the eyes of the
//! daemon's user. What a unit's sandbox or a security module forbids besides is not seen.

use std::ffi::CString;
use std::fmt;
use std::fs::Metadata;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::unistd::{Group, Uid, User as Entry, getgrouplist};

use super::finding;
use crate::config::file::Level;
use crate::config::locate::{Finding, Key};
use crate::effects::hook::executable::find_program;
use crate::effects::ownership::{group_name, user_name};
use certcollectd_core::config::{Action, Config, SecretSource, Severity};

/// A user with his groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Name, or number of one without.
    name: String,
    pub(super) uid: u32,
    /// The first of its groups.
    pub(super) gid: u32,
    pub(super) groups: Vec<u32>,
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl User {
    /// This process.
    pub fn me() -> User {
        let mut user = User::of(rustix::process::geteuid().as_raw(), &[]);
        user.gid = rustix::process::getegid().as_raw();
        user.groups.push(user.gid);
        user.groups.extend(rustix::process::getgroups().unwrap_or_default().iter().map(|gid| gid.as_raw()));
        user
    }

    /// As the system knows this number, with further groups by name.
    pub fn of(uid: u32, more: &[String]) -> User {
        let entry = Entry::from_uid(Uid::from_raw(uid)).ok().flatten();
        let mut groups = Vec::new();
        if let Some(entry) = &entry
            && let Ok(name) = CString::new(entry.name.as_str())
        {
            let known = getgrouplist(&name, entry.gid).unwrap_or_default();
            groups.push(entry.gid.as_raw());
            groups.extend(known.iter().map(|gid| gid.as_raw()));
        }
        let named = |name: &String| match name.parse() {
            Ok(gid) => Some(gid),
            Err(_) => Group::from_name(name).ok().flatten().map(|group| group.gid.as_raw()),
        };
        groups.extend(more.iter().filter_map(named));
        if entry.is_none() {
            // In a container user and group have one number as a rule.
            groups.push(uid);
        }
        User {
            uid,
            gid: entry.as_ref().map_or(uid, |entry| entry.gid.as_raw()),
            name: entry.map_or_else(|| uid.to_string(), |entry| entry.name),
            groups,
        }
    }

    /// Whether no mode keeps it out.
    pub fn is_root(&self) -> bool {
        self.uid == 0
    }

    /// Its groups by name.
    pub fn group_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.groups.iter().map(|gid| group_name(*gid)).collect();
        names.sort();
        names.dedup();
        names
    }

    /// Whether it may do this with a path, and pass every directory on the way.
    pub(super) fn may(&self, path: &Path, right: Right) -> Result<(), Denied> {
        if self.is_root() {
            return Ok(());
        }
        let real = std::fs::canonicalize(path).ok();
        let above = path.ancestors().skip(1);
        let above: Vec<&Path> = above.chain(real.iter().flat_map(|path| path.ancestors().skip(1))).collect();
        for dir in above.into_iter().rev().filter(|dir| !dir.as_os_str().is_empty()) {
            self.has(dir, Right::Pass)?;
        }
        self.has(path, right)
    }

    /// What is missing is reported where it is looked for.
    fn has(&self, path: &Path, right: Right) -> Result<(), Denied> {
        let Ok(stat) = std::fs::metadata(path) else { return Ok(()) };
        let may = match access_list(path) {
            Some(list) => self.may_by_list(&stat, &list, right),
            None => right.is_in(self.by_mode(&stat)),
        };
        if may {
            return Ok(());
        }
        Err(Denied {
            at: path.to_owned(),
            mode: stat.mode() & 0o7777,
            uid: stat.uid(),
            gid: stat.gid(),
            right,
        })
    }

    fn by_mode(&self, stat: &Metadata) -> u32 {
        let mode = stat.mode();
        if stat.uid() == self.uid {
            mode >> 6 & 7
        } else if self.groups.contains(&stat.gid()) {
            mode >> 3 & 7
        } else {
            mode & 7
        }
    }

    /// acl(5), "access check algorithm".
    fn may_by_list(&self, stat: &Metadata, list: &[AclEntry], right: Right) -> bool {
        let of = |tag: u16| list.iter().find(|entry| entry.tag == tag).map(|entry| u32::from(entry.bits));
        if stat.uid() == self.uid {
            return right.is_in(of(USER_OBJ).unwrap_or_default());
        }
        let mask = of(MASK).unwrap_or(7);
        let may = |entry: &AclEntry| right.is_in(u32::from(entry.bits) & mask);
        if let Some(entry) = list.iter().find(|entry| entry.tag == USER && entry.id == self.uid) {
            return may(entry);
        }
        let is_of_us = |entry: &&AclEntry| match entry.tag {
            GROUP_OBJ => self.groups.contains(&stat.gid()),
            GROUP => self.groups.contains(&entry.id),
            _ => false,
        };
        let groups: Vec<&AclEntry> = list.iter().filter(is_of_us).collect();
        // One of them must have all of it; they are not added up.
        if groups.is_empty() {
            return right.is_in(of(OTHER).unwrap_or_default());
        }
        groups.into_iter().any(may)
    }
}

/// What someone wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Right {
    Read,
    /// To connect to a socket.
    Write,
    /// To pass a directory.
    Pass,
    /// To start a program.
    Start,
    /// To make and rename entries of a directory.
    Change,
}

impl Right {
    /// As in the last digit of a mode, as setfacl(1) takes it, and as a verb.
    fn forms(self) -> (u32, &'static str, &'static str) {
        match self {
            Right::Read => (4, "r", "read"),
            Right::Write => (2, "w", "use"),
            Right::Pass => (1, "x", "pass"),
            Right::Start => (1, "x", "start"),
            Right::Change => (3, "wx", "write to"),
        }
    }

    /// Whether these bits have all of it.
    fn is_in(self, bits: u32) -> bool {
        let (needed, ..) = self.forms();
        bits & needed == needed
    }
}

/// Where a user is kept out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Denied {
    pub(super) at: PathBuf,
    mode: u32,
    uid: u32,
    gid: u32,
    right: Right,
}

impl Denied {
    /// What follows the path in a sentence.
    fn why(&self, path: &Path) -> String {
        let at = if self.at == path { ", which".to_owned() } else { format!(": {}", self.at.display()) };
        let owner = user_name(self.uid);
        format!("{at} belongs to {owner}:{} with mode {:04o}", group_name(self.gid), self.mode)
    }

    /// What to do: join the group that has the right, if there is one, else be let in.
    fn remedy(&self, user: &User) -> String {
        let (_, letters, _) = self.right.forms();
        let acl = format!("setfacl -m u:{user}:{letters} {}", self.at.display());
        if self.gid != 0 && self.right.is_in(self.mode >> 3) {
            let group = group_name(self.gid);
            return format!(
                "add it to group {group}: SupplementaryGroups={group} in a drop-in of the unit (systemctl edit \
                 certcollectd), then restart; or {acl}"
            );
        }
        acl
    }
}

/// One entry of an access list.
struct AclEntry {
    tag: u16,
    bits: u16,
    id: u32,
}

const USER_OBJ: u16 = 0x01;
const USER: u16 = 0x02;
const GROUP_OBJ: u16 = 0x04;
const GROUP: u16 = 0x08;
const MASK: u16 = 0x10;
const OTHER: u16 = 0x20;

/// `system.posix_acl_access`: a version of four octets, then tag, rights and number of each entry, little endian.
fn access_list(path: &Path) -> Option<Vec<AclEntry>> {
    let mut buffer = vec![0; 4096];
    let length = rustix::fs::getxattr(path, "system.posix_acl_access", &mut buffer[..]).ok()?;
    let entries = buffer.get(4..length)?.chunks_exact(8);
    Some(
        entries
            .map(|entry| AclEntry {
                tag: u16::from_le_bytes([entry[0], entry[1]]),
                bits: u16::from_le_bytes([entry[2], entry[3]]),
                id: u32::from_le_bytes([entry[4], entry[5], entry[6], entry[7]]),
            })
            .collect(),
    )
}

pub(super) fn look(config: &Config, files: &[&Path], user: &User, found: &mut Vec<Finding>) {
    let mut need = |path: &Path, right: Right, level: Level, about: Option<Key>, what: &str| {
        let Err(denied) = user.may(path, right) else { return };
        let (shown, why, (.., verb)) = (path.display(), denied.why(path), right.forms());
        let text = format!("{what}: user {user}, who runs the daemon, may not {verb} {shown}{why}");
        found.push(finding(level, about, text, &denied.remedy(user)));
    };
    for path in files {
        need(path, Right::Read, Level::Error, None, "configuration");
    }
    // What is not there is made, in what is there.
    if config.installs() {
        let dir = config.install_dir.ancestors().find(|dir| dir.exists()).unwrap_or(&config.install_dir);
        need(dir, Right::Change, Level::Error, Some(Key::top("install_dir")), "install_dir");
    }
    if let Some(dir) = config.metrics.textfile.as_deref().and_then(Path::parent) {
        let about = Key::within("metrics", "textfile");
        need(dir, Right::Change, Level::Error, Some(about), "the metrics");
    }
    for account in &config.accounts {
        let name = &account.name;
        for (key, secret) in account.secrets() {
            if let SecretSource::File(path) = secret {
                let about = Key::account(name, &[key, "file"]);
                need(path, Right::Read, Level::Error, Some(about), &format!("account {name}: {key}"));
            }
        }
        if let Some(path) = &account.ca_file {
            let about = Key::account(name, &["ca_file"]);
            need(path, Right::Read, Level::Error, Some(about), &format!("account {name}: ca_file"));
        }
    }
    if let Some(fleet) = &config.fleet {
        let password = fleet.password().and_then(|secret| match secret {
            SecretSource::File(path) => Some(("password", path.as_path())),
            SecretSource::Credential(_) | SecretSource::Env(_) => None,
        });
        for (key, path) in fleet.files().chain(password) {
            let about = Key::within("fleet", key);
            need(path, Right::Read, Level::Error, Some(about), &format!("[fleet]: {key}"));
        }
    }
    for hook in &config.hooks {
        for (part, secret) in hook.secrets() {
            if let SecretSource::File(path) = secret {
                let about = Key::hook(&hook.name, &["http", part.key()]);
                need(path, Right::Read, Level::Error, Some(about), &format!("hook {}: {part}", hook.name));
            }
        }
    }
    for order in &config.orders {
        let name = &order.name;
        let verify = &order.settings.verify;
        let level = if verify.key == Severity::Block { Level::Error } else { Level::Warning };
        let (key, paths) = order.key.files();
        for path in paths {
            let about = Key::order(name, &[key]).with(path.to_string_lossy());
            need(path, Right::Read, level, Some(about), &format!("order {name}: {key}"));
        }
        if let Some(path) = order.settings.trust_anchors.as_ref().filter(|_| verify.trust != Severity::Off) {
            let level = if verify.trust == Severity::Block { Level::Error } else { Level::Warning };
            let about = Key::order(name, &["verify", "trust_anchors"]);
            need(path, Right::Read, level, Some(about), &format!("order {name}: trust_anchors"));
        }
        for copy in &order.copies {
            let Some(dir) = copy.to.parent() else { continue };
            let about = Key::order(name, &["copy", "to"]).with(copy.to.to_string_lossy());
            need(dir, Right::Change, Level::Error, Some(about), &format!("order {name}: copy"));
        }
    }
    for hook in &config.hooks {
        let name = &hook.name;
        match &hook.action {
            Action::Run(_) => {
                let program = hook.program().unwrap_or_default();
                let Ok(path) = find_program(program) else { continue };
                let about = || Some(Key::hook(name, &["run"]).with(program));
                let what = format!("hook {name}");
                need(&path, Right::Start, Level::Error, about(), &what);
                // What an interpreter runs, it reads.
                if is_script(&path) {
                    need(&path, Right::Read, Level::Error, about(), &what);
                }
            }
            Action::Signal { pid_file, .. } => {
                let about = Key::hook(name, &["signal", "pid_file"]);
                need(pid_file, Right::Read, Level::Error, Some(about), &format!("hook {name}"));
            }
            Action::Socket(path) => {
                if std::fs::metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
                    let about = Key::hook(name, &["socket"]);
                    need(path, Right::Write, Level::Error, Some(about), &format!("hook {name}"));
                }
            }
            Action::Http(_) => {}
            Action::Follow(companion) => {
                let report = companion.report(&config.install_dir);
                if report.exists() {
                    let about = Key::hook(name, &["follow"]);
                    need(&report, Right::Read, Level::Error, Some(about), &format!("hook {name}"));
                }
            }
        }
    }
}

fn is_script(path: &Path) -> bool {
    use std::io::Read;
    let mut head = [0; 2];
    std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut head)).is_ok() && head == *b"#!"
}
