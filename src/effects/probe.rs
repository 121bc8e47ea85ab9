//! A rehearsal of the installation in each output directory: what fails here would fail on the day.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rustix::fs;

use super::dir::{Dir, Ownership, failed, random_name};
use crate::config::Config;
use crate::engine::event::InstallError;

/// How everything that a probe makes is named.
const PREFIX: &str = ".certcollectd-probe-";
/// A probe takes no time; what is older than this in seconds was left behind by one that was killed.
const LEFTOVER: i64 = 600;

/// Tries every output directory of a configuration once, and every owner in it; leaves nothing behind.
pub fn probe(config: &Config) -> Vec<InstallError> {
    let mut owners: BTreeSet<(PathBuf, Option<&str>, Option<&str>)> = BTreeSet::new();
    let mut single: Vec<&Path> = Vec::new();
    for order in &config.orders {
        let files = &order.settings.files;
        owners.insert((config.install_dir.clone(), files.owner.as_deref(), files.group.as_deref()));
        for copy in &order.copies {
            let owner = copy.owner.as_deref().or(files.owner.as_deref());
            let group = copy.group.as_deref().or(files.group.as_deref());
            owners.insert((copy.to.parent().unwrap_or_else(|| Path::new("/")).to_owned(), owner, group));
            single.push(&copy.to);
        }
    }
    let mut problems = Vec::new();
    let mut broken: Option<PathBuf> = None;
    for (dir, owner, group) in owners {
        if broken.as_ref() == Some(&dir) {
            continue;
        }
        if let Err(error) = probe_dir(&dir, dir == config.install_dir, owner, group) {
            problems.push(error);
            broken = Some(dir);
        }
    }
    problems.extend(mounted_files(&single));
    problems
}

fn probe_dir(
    path: &Path,
    is_install_dir: bool,
    owner: Option<&str>,
    group: Option<&str>,
) -> Result<(), InstallError> {
    let base = if is_install_dir { Dir::open_or_make(path, 0o755)? } else { Dir::open(path)? };
    let owner = Ownership::lookup(owner, group)?;
    let name = format!("{PREFIX}{}", random_name());
    let inner = base.make(&name, 0o700)?;
    clear_leftovers(&base, &inner);
    let result = walk_through(&base, &inner, &name, owner);
    let _ = inner.remove("file");
    let _ = inner.remove("link");
    let _ = base.remove(&format!("{name}.link"));
    let _ = base.remove_dir(&name);
    result
}

/// What probes that were killed left behind. The new probe's own time tells what is old.
fn clear_leftovers(base: &Dir, newest: &Dir) {
    let Ok(now) = fs::fstat(newest) else { return };
    for name in base.list(100_000).unwrap_or_default() {
        if !name.starts_with(PREFIX) {
            continue;
        }
        let Ok(stat) = fs::statat(base, &name, fs::AtFlags::SYMLINK_NOFOLLOW) else { continue };
        if stat.st_mtime.saturating_add(LEFTOVER) < now.st_mtime {
            let _ = if name.ends_with(".link") { base.remove(&name) } else { base.remove_dir(&name) };
        }
    }
}

/// The steps of an installation: a file with its owner, a link, and its rename into the directory.
fn walk_through(base: &Dir, inner: &Dir, name: &str, owner: Ownership) -> Result<(), InstallError> {
    let file = inner.create("file", b"probe\n", 0o600, owner)?;
    inner.sync_file("file", &file)?;
    fs::symlinkat(format!("{name}/file"), inner, "link")
        .map_err(|why| failed("make a link in", inner.path(), why))?;
    inner.rename("link", base, &format!("{name}.link"))?;
    base.sync()
}

/// A file that is a mount of its own cannot be replaced; its directory has to be mounted instead.
fn mounted_files(paths: &[&Path]) -> Vec<InstallError> {
    if paths.is_empty() {
        return Vec::new();
    }
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let points: BTreeSet<&str> = mounts.lines().filter_map(|line| line.split(' ').nth(4)).collect();
    paths
        .iter()
        .filter(|path| path.to_str().is_some_and(|path| points.contains(path.replace(' ', "\\040").as_str())))
        .map(|path| failed("replace", path, rustix::io::Errno::BUSY))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};

    #[test]
    fn what_a_killed_probe_left_behind_is_cleared_by_a_later_one() {
        let scratch = tempfile::tempdir().unwrap();
        let at = |name: &str| scratch.path().join(name);
        for (name, age) in [("old", 3600), ("young", 60)] {
            let dir = at(&format!("{PREFIX}{name}"));
            std::fs::create_dir(&dir).unwrap();
            std::fs::write(dir.join("file"), "probe").unwrap();
            let link = at(&format!("{PREFIX}{name}.link"));
            std::os::unix::fs::symlink("nowhere", &link).unwrap();
            for path in [&dir, &link] {
                let stat = fs::lstat(path).unwrap();
                let time = Timespec { tv_sec: stat.st_mtime - age, tv_nsec: 0 };
                let times = Timestamps { last_access: time, last_modification: time };
                fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
            }
        }
        std::fs::write(at("somebody.else"), "").unwrap();
        probe_dir(scratch.path(), true, None, None).unwrap();
        let mut left: Vec<String> = std::fs::read_dir(scratch.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, [format!("{PREFIX}young"), format!("{PREFIX}young.link"), "somebody.else".into()]);
    }
}
