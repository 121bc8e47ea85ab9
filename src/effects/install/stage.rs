//! Staging: a complete generation beside the current one, on disk to the last byte before anyone sees it.

use std::path::Path;

use zeroize::Zeroizing;

use super::dir::Dir;
use super::error::{failed, stale};
use super::keys::read_key;
use super::layout::{DIR_MODE, MAX_FILE, STAGING, clear_leftovers, store_name};
use crate::effects::files::random_name;
use crate::effects::ownership::Ownership;
use certcollectd_core::cert::{self, Fingerprint, PrivateKey};
use certcollectd_core::config::FileKind;
use certcollectd_core::engine::install::{InstallError, InstalledFile, Material, Stage, StagedFiles};
use certcollectd_core::engine::order::contents;

/// Carries out [`Stage`]. Order of steps, each of which a cut may follow: private directory, files with
/// owner and mode, write-back of all, sync of each, sync of the directory, rename, sync of the parent, read back.
pub fn stage(install_dir: &Path, stage: &Stage) -> Result<StagedFiles, InstallError> {
    let base = Dir::open_or_make(install_dir, DIR_MODE)?;
    stage_in(&base, stage).map(|(_, staged)| staged)
}

/// As [`stage`], in an open directory; the store comes along. That a new store is there becomes durable with the link in
/// front of it: without the one the other shows readers nothing, as before, and what is missing is written again.
pub(super) fn stage_in(base: &Dir, stage: &Stage) -> Result<(Dir, StagedFiles), InstallError> {
    let (store, _) = base.make_unsynced(store_name(&stage.name), DIR_MODE)?;
    clear_leftovers(&store)?;
    let owner = Ownership::lookup(stage.files.owner.as_deref(), stage.files.group.as_deref())?;
    let staging = format!("{STAGING}{}", random_name());
    let result =
        fill(&store, &staging, stage, owner).and_then(|files| publish(&store, &staging, stage, files));
    if result.is_err() {
        // What failed to sync is thrown away as a whole; the next try starts from memory.
        let _ = store.remove_dir(&staging);
    }
    Ok((store, result?))
}

fn fill(
    store: &Dir,
    staging: &str,
    stage: &Stage,
    owner: Ownership,
) -> Result<Vec<InstalledFile>, InstallError> {
    // What a crash leaves of it is swept, so it is durable only under its final name.
    let (dir, _) = store.make_unsynced(staging, 0o700)?;
    let mut written = Vec::new();
    let mut files = Vec::new();
    for (kind, name, mode) in contents::wanted(&stage.files) {
        let Some(content) = content(kind, &stage.material)? else { continue };
        let file = dir.create(name, &content, mode, owner)?;
        dir.start_writeback(&file);
        files.push(InstalledFile { name: name.to_owned(), digest: Fingerprint::of(&content), mode });
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
    let read_back = store.enter(&generation).and_then(|dir| {
        check(&dir, &files)?;
        judge(&dir, stage)
    });
    if let Err(error) = read_back {
        // It must not be what a rollback goes back to one day.
        let _ = store.remove_dir(&generation);
        return Err(error);
    }
    Ok(StagedFiles { generation, files })
}

/// Whether the files of a generation are what a server needs, by their content alone.
fn judge(generation: &Dir, stage: &Stage) -> Result<(), InstallError> {
    for (kind, name, _) in contents::wanted(&stage.files) {
        let flaw = match generation.try_read(name, MAX_FILE) {
            Ok((content, _)) => contents::flaw(kind, &content, &stage.material),
            Err(_) if kind == FileKind::Root && stage.material.root.is_none() => None,
            Err(why) => return Err(failed("read", &generation.path().join(name), why)),
        };
        if let Some(flaw) = flaw {
            return Err(unlike(generation, name, flaw));
        }
    }
    Ok(())
}

/// A file that was read back and is not what it should be.
fn unlike(generation: &Dir, name: &str, cause: &str) -> InstallError {
    stale(InstallError::new("verify", generation.path().join(name), cause))
}

/// Reads a generation back and compares it with what was meant.
pub fn check(generation: &Dir, files: &[InstalledFile]) -> Result<(), InstallError> {
    for file in files {
        let (content, _) = generation.read(&file.name, MAX_FILE).map_err(stale)?;
        if Fingerprint::of(&content) != file.digest {
            return Err(unlike(generation, &file.name, "its content is not what was written"));
        }
    }
    Ok(())
}

/// The bytes of one file; `None` where there is nothing to write, as for a root that the vendor did not send.
pub fn content(kind: FileKind, material: &Material) -> Result<Option<Zeroizing<Vec<u8>>>, InstallError> {
    if !kind.holds_key() {
        return Ok(contents::without_key(kind, material).map(Zeroizing::new));
    }
    let path = material.key.as_ref().ok_or_else(|| {
        let cause = "no configured key file matches the certificate";
        InstallError::new("write the key of", kind.as_str(), cause)
            .advise("set key_file, or remove key and combined from the files")
    })?;
    Ok(contents::with_key(kind, material, &fitting_key(path, material)?.to_pem()))
}

/// The one private key that fits, without what stands beside it in its file: a server takes the first certificate that
/// it finds. The file may have been exchanged since the gate looked at it.
fn fitting_key(path: &Path, material: &Material) -> Result<PrivateKey, InstallError> {
    let keys = cert::key::private_keys(&read_key(path)?)
        .map_err(|why| failed("read the key", path, std::io::Error::other(why.to_string())))?;
    keys.into_iter().find(|key| key.public().matches(&material.leaf)).ok_or_else(|| {
        InstallError::new("use the key", path, "it no longer matches the certificate")
            .advise("restore the key that the certificate was issued for")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use certcollectd_core::config::Files;
    use certcollectd_core::engine::id::OrderId;

    /// A generation that is about to be published.
    struct Written {
        dir: tempfile::TempDir,
        store: Dir,
        stage: Stage,
        files: Vec<InstalledFile>,
    }

    const STAGED: &str = ".staging-0123456789abcdef";
    const NAME: &str = "20261120T091200Z-5f3a9c0112345678";

    fn written() -> Written {
        let dir = tempfile::tempdir().unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(["www.example.com".to_owned()]).unwrap();
        let leaf = cert::Certificate::from_der(params.self_signed(&key).unwrap().der()).unwrap();
        let file = dir.path().join("site.pem");
        std::fs::write(&file, format!("{}{}", leaf.to_pem(), key.serialize_pem())).unwrap();
        let files = Files::default()
            .with(FileKind::Key, Some("key.pem"))
            .with(FileKind::Combined, Some("site.pem"))
            .with(FileKind::Pkcs7, Some("chain.p7b"))
            .with(FileKind::Der, Some("cert.der"));
        let material = Material { leaf, chain: Vec::new(), root: None, key: Some(file) };
        let stage = Stage {
            order: OrderId(0),
            name: "www".into(),
            generation: NAME.into(),
            material,
            files,
            copies: Box::default(),
        };
        let store = Dir::open_or_make(&dir.path().join(".www"), DIR_MODE).unwrap();
        let files = fill(&store, STAGED, &stage, Ownership::default()).unwrap();
        Written { dir, store, stage, files }
    }

    #[test]
    fn what_was_written_is_read_back_and_compared() {
        let Written { dir: _dir, store, stage, files } = written();
        assert_eq!(publish(&store, STAGED, &stage, files).unwrap().generation, NAME);
        for name in ["cert.pem", "fullchain.pem", "key.pem", "site.pem", "chain.p7b", "cert.der"] {
            let Written { dir, store, stage, files } = written();
            let path = dir.path().join(".www").join(STAGED).join(name);
            let mut content = std::fs::read(&path).unwrap();
            let middle = content.len() / 2;
            content[middle] ^= 1;
            std::fs::write(&path, &content).unwrap();
            let error = publish(&store, STAGED, &stage, files).unwrap_err();
            assert!(
                error.to_string().contains(&format!("{name}: its content is not what was written")),
                "{error}"
            );
            assert!(error.stale);
            assert_eq!(store.list(10).unwrap(), Vec::<String>::new(), "nothing to roll back to");
        }
    }

    #[test]
    fn a_mistake_in_what_is_to_be_written_is_found_as_well() {
        // What the digest says is what was meant, so only a look at the content can tell.
        for (name, flaw) in [
            ("cert.pem", "its certificates are not those that were collected"),
            ("fullchain.pem", "its certificates are not those that were collected"),
            ("key.pem", "it is not the matching private key alone"),
            ("site.pem", "it is not the matching private key, then the certificates"),
            ("cert.der", "its certificates are not those that were collected"),
        ] {
            let Written { dir, store, stage, mut files } = written();
            let path = dir.path().join(".www").join(STAGED).join(name);
            let other = written();
            let kept = std::fs::read(&path).unwrap();
            let strange = std::fs::read(other.dir.path().join(".www").join(STAGED).join(name)).unwrap();
            let content = if name == "cert.der" { strange } else { [strange, kept].concat() };
            std::fs::write(&path, &content).unwrap();
            let file = files.iter_mut().find(|file| file.name == name).unwrap();
            file.digest = Fingerprint::of(&content);
            let error = publish(&store, STAGED, &stage, files).unwrap_err();
            assert!(error.to_string().contains(flaw), "{name}: {error}");
        }
    }
}
