//! Laying out a takeover: the certificates that are served as a generation, with the link to it. What is served
//! is not touched.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{AtFlags, Gid, Uid, chownat, fchown};

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
    give_to_daemon(install_dir, &store, &generation, &staged.files)?;
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

/// Made by root, it belongs to whoever `install_dir` belongs to: the daemon writes the next one.
fn give_to_daemon(
    install_dir: &Path,
    store: &Dir,
    generation: &Dir,
    files: &[InstalledFile],
) -> Result<(), InstallError> {
    let found = std::fs::metadata(install_dir).map_err(|why| failed("look at", install_dir, why))?;
    if !rustix::process::geteuid().is_root() || found.uid() == 0 {
        return Ok(());
    }
    let (uid, gid) = (Some(Uid::from_raw(found.uid())), Some(Gid::from_raw(found.gid())));
    for file in files {
        chownat(generation, &*file.name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|why| failed("set the owner of", &generation.path().join(&file.name), why))?;
    }
    for dir in [generation, store] {
        fchown(dir, uid, gid).map_err(|why| failed("set the owner of", dir.path(), why))?;
    }
    Ok(())
}
