//! A test installation in each output directory: what fails here would fail later.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rustix::fs::{self, FlockOperation};

use super::dir::Dir;
use super::error::failed;
use crate::config::locate::Key;
use crate::effects::files::random_name;
use crate::effects::ownership::Ownership;
use certcollectd_core::config::Config;
use certcollectd_core::engine::install::InstallError;

/// A test's directory is named so, and its link with [`LINK`] behind that.
const PREFIX: &str = ".certcollectd-probe-";
const LINK: &str = ".link";
/// Maximum number of directory entries searched for leftovers.
const MAX_ENTRIES: usize = 100_000;

/// What would fail, and what of the configuration it is about.
#[derive(Debug)]
pub struct WriteTestError {
    /// The step that failed.
    pub error: InstallError,
    /// The directory, the owner or the copy.
    pub about: Key,
}

/// Tries every output directory of a configuration once, and every owner in it; leaves nothing behind but an
/// `install_dir` that was missing.
pub fn run(config: &Config) -> Vec<WriteTestError> {
    run_all(config, true)
}

/// As [`run`] by someone who is not the daemon's user, and must not make a directory that would not be the daemon's.
pub fn run_for_another(config: &Config) -> Vec<WriteTestError> {
    run_all(config, config.install_dir.exists())
}

/// A directory, and the owner and group of the files in it.
type Output<'a> = (PathBuf, Option<&'a str>, Option<&'a str>);

fn run_all(config: &Config, has_install_dir: bool) -> Vec<WriteTestError> {
    let mut dirs: BTreeMap<Output<'_>, [Key; 3]> = BTreeMap::new();
    let mut single: Vec<(&Path, Key)> = Vec::new();
    // A collector's orders have no copies either.
    for order in config.orders.iter().filter(|_| config.installs()) {
        let files = &order.settings.files;
        let (owner, group) = (files.owner.as_deref(), files.group.as_deref());
        let key = |path: &[&'static str]| Key::order(&order.name, path);
        dirs.entry((config.install_dir.clone(), owner, group))
            .or_insert_with(|| [Key::top("install_dir"), key(&["files", "owner"]), key(&["files", "group"])]);
        for copy in &order.copies {
            let (its_owner, its_group) = (copy.owner.as_deref(), copy.group.as_deref());
            let of = |part, value: Option<&str>| match value {
                Some(value) => key(&["copy", part]).with(value),
                None => key(&["files", part]),
            };
            let to = key(&["copy", "to"]).with(copy.to.to_string_lossy());
            let dir = copy.to.parent().unwrap_or_else(|| Path::new("/")).to_owned();
            dirs.entry((dir, its_owner.or(owner), its_group.or(group)))
                .or_insert_with(|| [to.clone(), of("owner", its_owner), of("group", its_group)]);
            single.push((&copy.to, to));
        }
    }
    let mut problems = Vec::new();
    let mut known: BTreeMap<(bool, Option<&str>), bool> = BTreeMap::new();
    let mut broken: Option<PathBuf> = None;
    for ((dir, owner, group), [about, of_owner, of_group]) in dirs {
        // An unknown name is reported once, and is no fault of the directories.
        let mut is_known = |name, owner, group, about| {
            *known.entry(name).or_insert_with(|| {
                let unknown = Ownership::lookup(owner, group).err();
                let is_known = unknown.is_none();
                problems.extend(unknown.map(|error| WriteTestError { error, about }));
                is_known
            })
        };
        let are_known =
            is_known((false, owner), owner, None, of_owner) & is_known((true, group), None, group, of_group);
        if !are_known || broken.as_ref() == Some(&dir) {
            continue;
        }
        let is_install_dir = dir == config.install_dir;
        if is_install_dir && !has_install_dir {
            continue;
        }
        if let Err(error) = test_dir(&dir, is_install_dir, owner, group) {
            problems.push(WriteTestError { error, about });
            broken = Some(dir);
        }
    }
    problems.extend(mounted_files(single));
    problems
}

fn test_dir(
    path: &Path,
    is_install_dir: bool,
    owner: Option<&str>,
    group: Option<&str>,
) -> Result<(), InstallError> {
    let base = if is_install_dir { Dir::open_or_make(path, 0o755)? } else { Dir::open(path)? };
    let owner = Ownership::lookup(owner, group)?;
    clear_leftovers(&base);
    // Between making and locking it, another process may have taken ours for a leftover; not twice.
    for last in [false, true] {
        let name = format!("{PREFIX}{}", random_name());
        let (inner, _) = base.make_unsynced(&name, 0o700)?;
        // Held until the handle is closed, however that comes about: says that this one is no leftover.
        let _ = fs::flock(&inner, FlockOperation::NonBlockingLockExclusive);
        let result = walk_through(&base, &inner, &name, owner);
        let vanished = result.is_err() && base.enter(&name).is_err();
        remove(&base, &name);
        if last || !vanished {
            return result;
        }
    }
    Ok(())
}

/// What a process that was killed in the middle of its test left behind.
fn clear_leftovers(base: &Dir) {
    for name in base.list(MAX_ENTRIES).unwrap_or_default() {
        let Some(left) = name.strip_prefix(PREFIX) else { continue };
        let left = format!("{PREFIX}{}", left.trim_end_matches(LINK));
        match base.enter(&left) {
            Ok(inner) if fs::flock(&inner, FlockOperation::NonBlockingLockExclusive).is_err() => {}
            _ => remove(base, &left),
        }
    }
}

fn remove(base: &Dir, name: &str) {
    let _ = base.remove(&format!("{name}{LINK}"));
    let _ = base.remove_dir(name);
}

/// The steps of an installation: a file with its owner, a link, and its rename into the directory. Nothing here has to
/// outlive a power cut, so the syncs come last, and the first writes for both.
fn walk_through(base: &Dir, inner: &Dir, name: &str, owner: Ownership) -> Result<(), InstallError> {
    let file = inner.create("file", b"test\n", 0o600, owner)?;
    fs::symlinkat(format!("{name}/file"), inner, "link")
        .map_err(|why| failed("make a link in", inner.path(), why))?;
    inner.rename("link", base, &format!("{name}{LINK}"))?;
    inner.sync_file("file", &file)?;
    base.sync()
}

/// A file that is a mount of its own cannot be replaced; its directory has to be mounted instead.
fn mounted_files(paths: Vec<(&Path, Key)>) -> Vec<WriteTestError> {
    if paths.is_empty() {
        return Vec::new();
    }
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let points: BTreeSet<&str> = mounts.lines().filter_map(|line| line.split(' ').nth(4)).collect();
    let is_mounted =
        |path: &Path| path.to_str().is_some_and(|path| points.contains(path.replace(' ', "\\040").as_str()));
    paths
        .into_iter()
        .filter(|(path, _)| is_mounted(path))
        .map(|(path, about)| WriteTestError {
            error: failed("replace", path, rustix::io::Errno::BUSY),
            about,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_test_left_is_removed_and_a_living_one_stays() {
        let temp = tempfile::tempdir().unwrap();
        for dead in ["1", "2"] {
            let dir = temp.path().join(format!("{PREFIX}{dead}"));
            std::fs::create_dir(&dir).unwrap();
            std::fs::write(dir.join("file"), "test\n").unwrap();
        }
        std::os::unix::fs::symlink("x", temp.path().join(format!("{PREFIX}1{LINK}"))).unwrap();
        std::os::unix::fs::symlink("x", temp.path().join(format!("{PREFIX}3{LINK}"))).unwrap();
        std::fs::write(temp.path().join("site.pem"), "not ours").unwrap();
        let base = Dir::open(temp.path()).unwrap();
        let living = base.make(format!("{PREFIX}4"), 0o700).unwrap();
        fs::flock(&living, FlockOperation::NonBlockingLockExclusive).unwrap();
        test_dir(temp.path(), true, None, None).unwrap();
        assert_eq!(base.list(100).unwrap(), [&format!("{PREFIX}4"), "site.pem"]);
    }
}
