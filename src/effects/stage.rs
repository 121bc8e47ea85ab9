//! Staging: a complete generation beside the current one, on disk to the last byte before anybody sees it.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::dir::{Dir, Ownership, failed, open_file, random_name};
use crate::cert;
use crate::config::FileKind;
use crate::engine::contents;
use crate::engine::event::{InstallError, InstalledFile, Material, Stage, StagedFiles};

/// Mode of an order's directory of generations and of each generation: readers must get through.
const DIR_MODE: u32 = 0o755;
/// A private key file larger than this is not one.
pub const MAX_KEY: usize = 64 * 1024;
/// No file of ours is larger than this.
pub const MAX_FILE: usize = 2 * 1024 * 1024;
/// What is being staged is named so; leftovers of a crash are swept.
pub const STAGING: &str = ".staging-";

/// The directory that holds an order's generations: `<install_dir>/.<name>`.
pub fn store_name(order: &str) -> String {
    format!(".{order}")
}

/// Carries out [`Stage`]. Order of steps, each of which a cut may follow: private directory, files with
/// owner and mode, write-back of all, sync of each, sync of the directory, rename, sync of the parent, read back.
pub fn stage(install_dir: &Path, stage: &Stage) -> Result<StagedFiles, InstallError> {
    let base = Dir::open_or_make(install_dir, DIR_MODE)?;
    let store = base.make(store_name(&stage.name), DIR_MODE)?;
    clear_leftovers(&store)?;
    let owner = Ownership::lookup(stage.files.owner.as_deref(), stage.files.group.as_deref())?;
    let staging = format!("{STAGING}{}", random_name());
    let result =
        fill(&store, &staging, stage, owner).and_then(|files| publish(&store, &staging, stage, files));
    if result.is_err() {
        // What failed to sync is thrown away as a whole; the next try starts from memory.
        let _ = store.remove_dir(&staging);
    }
    result
}

/// Removes what a crash left behind. One effect per order: nobody else is staging here.
pub fn clear_leftovers(store: &Dir) -> Result<(), InstallError> {
    for name in store.list(10_000)? {
        if name.starts_with(STAGING) {
            store.remove_dir(&name)?;
        } else if name.starts_with(super::activate::LINK) {
            store.remove(&name)?;
        }
    }
    Ok(())
}

fn fill(
    store: &Dir,
    staging: &str,
    stage: &Stage,
    owner: Ownership,
) -> Result<Vec<InstalledFile>, InstallError> {
    let dir = store.make(staging, 0o700)?;
    let mut written = Vec::new();
    let mut files = Vec::new();
    for (kind, name, mode) in contents::wanted(&stage.files) {
        let Some(content) = content(kind, &stage.material)? else { continue };
        let file = dir.create(name, &content, mode, owner)?;
        dir.start_writeback(&file);
        files.push(InstalledFile { name: name.to_owned(), digest: super::sha256(&content), mode });
        written.push((name, file));
    }
    for (name, file) in written {
        dir.sync_file(name, &file)?;
    }
    rustix::fs::fchmod(&dir, rustix::fs::Mode::from_raw_mode(DIR_MODE))
        .map_err(|why| failed("set the mode of", dir.path(), why))?;
    dir.sync()?;
    Ok(files)
}

fn publish(
    store: &Dir,
    staging: &str,
    stage: &Stage,
    files: Vec<InstalledFile>,
) -> Result<StagedFiles, InstallError> {
    let mut generation = stage.generation.clone();
    // The same certificate twice within a second: a rewrite right after an installation.
    for again in 1.. {
        match store.rename(staging, store, &generation) {
            Ok(()) => break,
            Err(error) if again > 9 || store.enter(&generation).is_err() => return Err(error),
            Err(_) => generation = format!("{}-{again}", stage.generation),
        }
    }
    store.sync()?;
    check(&store.enter(&generation)?, &files)?;
    Ok(StagedFiles { generation, files })
}

/// Reads a generation back and compares it with what was meant.
pub fn check(generation: &Dir, files: &[InstalledFile]) -> Result<(), InstallError> {
    for file in files {
        let (content, _) =
            generation.read(&file.name, MAX_FILE).map_err(|error| InstallError { stale: true, ..error })?;
        if super::sha256(&content) != file.digest {
            return Err(InstallError {
                step: "verify",
                path: generation.path().join(&file.name),
                cause: "its content is not what was written".into(),
                advice: None,
                stale: true,
            });
        }
    }
    Ok(())
}

/// The bytes of one file; `None` where there is nothing to write, as for a root that the vendor did not send.
pub fn content(kind: FileKind, material: &Material) -> Result<Option<Zeroizing<Vec<u8>>>, InstallError> {
    match kind {
        FileKind::Key | FileKind::Combined => {
            let path = material.key.as_ref().ok_or_else(|| InstallError {
                step: "write the key of",
                path: PathBuf::from(kind.word()),
                cause: "no configured key file fits the certificate".into(),
                advice: Some("set key_file, or leave key and combined out of the files".into()),
                stale: false,
            })?;
            let key = read_key(path)?;
            fits(&key, path, material)?;
            Ok(contents::with_key(kind, material, &key))
        }
        _ => Ok(contents::without_key(kind, material).map(Zeroizing::new)),
    }
}

/// A private key file, as it is.
pub fn read_key(path: &Path) -> Result<Zeroizing<Vec<u8>>, InstallError> {
    use std::io::Read;
    let mut file = open_file(path).map_err(|why| failed("read the key", path, why))?;
    // Sized once: a growing buffer would leave copies behind that nobody wipes.
    let mut key = Zeroizing::new(Vec::with_capacity(MAX_KEY + 1));
    file.by_ref()
        .take(MAX_KEY as u64 + 1)
        .read_to_end(&mut key)
        .map_err(|why| failed("read the key", path, why))?;
    if key.len() > MAX_KEY {
        return Err(failed("read the key", path, std::io::Error::other("it is too large for a private key")));
    }
    Ok(key)
}

/// The key may have been exchanged since the gate looked at it.
fn fits(key: &[u8], path: &Path, material: &Material) -> Result<(), InstallError> {
    let public = cert::key::from_private_key_pem(key)
        .map_err(|why| failed("read the key", path, std::io::Error::other(why.to_string())))?;
    if public.matches(&material.leaf) {
        return Ok(());
    }
    Err(InstallError {
        step: "use the key",
        path: path.to_owned(),
        cause: "it does not fit the certificate any more".into(),
        advice: Some("put the key that the certificate was issued for back into place".into()),
        stale: false,
    })
}
