//! Laying out a takeover: the certificates that are served as a generation, with the link to it. What is served
//! is not touched.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{FileType, Gid, Mode, OFlags, Uid, fchown, fstat, openat};

use super::activate::activate;
use super::dir::Dir;
use super::error::failed;
use super::layout::store_name;
use super::stage::stage;
use crate::effects::ownership::Ownership;
use certcollectd_core::cert::Fingerprint;
use certcollectd_core::config::Files;
use certcollectd_core::engine::install::{Activate, InstallError, InstalledFile, Stage, StagedFiles};

/// Served files as they were found are kept in the generation under such names: until a newer certificate
/// comes, a copy elsewhere that is one of these is as it should be.
const AS_FOUND: &str = "as-found-";

pub(super) fn is_as_found(name: &str) -> bool {
    name.starts_with(AS_FOUND)
}

/// Lays out a generation. `served` are contents of files without a private key.
pub fn lay_out(install_dir: &Path, wanted: &Stage, served: &[&[u8]]) -> Result<StagedFiles, InstallError> {
    let mut staged = stage(install_dir, wanted)?;
    let store = Dir::open(install_dir)?.enter(store_name(&wanted.name))?;
    let generation = store.enter(&staged.generation)?;
    for (at, content) in served.iter().enumerate() {
        let name = format!("{AS_FOUND}{at}.pem");
        let file = generation.create(&name, content, Files::MODE, Ownership::default())?;
        generation.sync_file(&name, &file)?;
        staged.files.push(InstalledFile { name, digest: Fingerprint::of(content), mode: Files::MODE });
    }
    generation.sync()?;
    give_to_daemon(install_dir, &wanted.files, &store, &generation, &staged.files)?;
    activate(
        install_dir,
        &Activate {
            order: wanted.order,
            name: wanted.name.clone(),
            generation: staged.generation.clone(),
            expected: staged.files.clone(),
            material: wanted.material.clone(),
            files: wanted.files.clone(),
            copies: Box::default(),
            relinks: false,
        },
    )?;
    Ok(staged)
}

/// Made by root, it belongs to whoever `install_dir` belongs to, unless the configuration names another: the daemon
/// writes the next one.
fn give_to_daemon(
    install_dir: &Path,
    wanted: &Files,
    store: &Dir,
    generation: &Dir,
    files: &[InstalledFile],
) -> Result<(), InstallError> {
    let found = std::fs::metadata(install_dir).map_err(|why| failed("look at", install_dir, why))?;
    if !rustix::process::geteuid().is_root() || found.uid() == 0 {
        return Ok(());
    }
    let (uid, gid) = (Uid::from_raw(found.uid()), Gid::from_raw(found.gid()));
    for file in files {
        let name = &*file.name;
        let (owner, group) = match is_as_found(name) {
            true => (Some(uid), Some(gid)),
            false => (wanted.owner.is_none().then_some(uid), wanted.group.is_none().then_some(gid)),
        };
        give(generation, name, owner, group)
            .map_err(|why| failed("set the owner of", &generation.path().join(name), why))?;
    }
    for dir in [generation, store] {
        fchown(dir, Some(uid), Some(gid)).map_err(|why| failed("set the owner of", dir.path(), why))?;
    }
    Ok(())
}

/// Gives a file of ours away. One that was put in its place, such as a hard link to somebody else's, stays as it is.
fn give(dir: &Dir, name: &str, owner: Option<Uid>, group: Option<Gid>) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = openat(dir, name, flags, Mode::empty())?;
    let stat = fstat(&file)?;
    if stat.st_nlink != 1 || FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(io::Error::other("it is not the file that was written"));
    }
    Ok(fchown(&file, owner, group)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hard_link_is_not_given_away() {
        let temp = tempfile::tempdir().unwrap();
        std::fs::write(temp.path().join("ours"), "x").unwrap();
        std::fs::write(temp.path().join("theirs"), "x").unwrap();
        std::fs::hard_link(temp.path().join("theirs"), temp.path().join("link")).unwrap();
        std::os::unix::fs::symlink("theirs", temp.path().join("symlink")).unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        let me = Some(rustix::process::geteuid());
        assert!(give(&dir, "ours", me, None).is_ok());
        for name in ["link", "symlink", "missing"] {
            assert!(give(&dir, name, me, None).is_err(), "{name}");
        }
    }
}
