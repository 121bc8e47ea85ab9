//! The swap: readers see the old generation, then the new one, and nothing in between; then the copies.
//!
//! Every step can be repeated: after a crash the whole effect is carried out again from the recorded intent.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{self, AtFlags, FileType};
use zeroize::Zeroizing;

use super::dir::{Dir, kind_of};
use super::error::failed;
use super::stage;
use crate::config::FileCopy;
use crate::effects::files::random_name;
use crate::effects::ownership::Ownership;
use crate::engine::event::{Activate, InstallError};

/// A link on its way to its place is named so.
pub const LINK: &str = ".link-";

pub fn activate(install_dir: &Path, activate: &Activate) -> Result<(), InstallError> {
    let base = Dir::open(install_dir)?;
    let store_name = stage::store_name(&activate.name);
    let stale = |error| InstallError { stale: true, ..error };
    let store = base.enter(&store_name).map_err(stale)?;
    let generation = store.enter(&activate.generation).map_err(stale)?;
    stage::check(&generation, &activate.expected)?;
    if activate.relinks {
        swap(&base, &store, &store_name, activate)?;
    }
    // Before readers see anything: a key that does not fit any more would leave the link ahead of the copies.
    let copies: Vec<Copy<'_>> =
        activate.copies.iter().map(|copy| prepare_copy(copy, activate)).collect::<Result<_, _>>()?;
    if !activate.relinks {
        swap(&base, &store, &store_name, activate)?;
    }
    copies.iter().try_for_each(place_copy)
}

/// A real file elsewhere that only has to be put there.
struct Copy<'a> {
    to: &'a Path,
    content: Zeroizing<Vec<u8>>,
    mode: u32,
    owner: Ownership,
}

fn swap(base: &Dir, store: &Dir, store_name: &str, activate: &Activate) -> Result<(), InstallError> {
    let name = &*activate.name;
    let target = format!("{store_name}/{}", activate.generation);
    // A link that is right already is put there once more: if the sync of its directory failed, another sync alone
    // would succeed without it.
    in_place(base, name)?;
    let link = format!("{LINK}{}", random_name());
    fs::symlinkat(&target, store, &link)
        .map_err(|why| failed("make the link", &store.path().join(&link), why))?;
    // A crash may have come between the rename of the generation and the sync of its parent. The new link in it makes
    // this a sync of something new, should the one before have failed.
    if let Err(error) = store.sync().and_then(|()| store.rename(&link, base, name)) {
        let _ = store.remove(&link);
        return Err(error);
    }
    base.sync()
}

/// Whether an order's link can be put into its place: nothing is there, or a link of ours.
pub(crate) fn in_place(base: &Dir, name: &str) -> Result<(), InstallError> {
    let path = base.path().join(name);
    match base.link(name) {
        Ok(Some(current)) if !current.starts_with(stage::store_name(name)) => {
            let what = format!("it is a link to {}, which is not ours", current.display());
            Err(in_the_way(&path, what))
        }
        Ok(_) => Ok(()),
        Err(error) => {
            let found = fs::statat(base, name, AtFlags::SYMLINK_NOFOLLOW);
            if found.is_err() || found.is_ok_and(|found| FileType::from_raw_mode(found.st_mode).is_symlink())
            {
                return Err(error);
            }
            Err(in_the_way(&path, "it is a file or directory that certcollectd did not make".into()))
        }
    }
}

/// Whether an order's store is a directory, if it is anything.
pub(crate) fn is_store(base: &Dir, store_name: &str) -> Result<(), InstallError> {
    match fs::statat(base, store_name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) if FileType::from_raw_mode(found.st_mode) != FileType::Directory => {
            let what = "the generations of the order belong into a directory of that name".to_owned();
            Err(in_the_way(&base.path().join(store_name), what))
        }
        _ => Ok(()),
    }
}

/// What is at the place of a copy and can be replaced.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Nothing, as far as can be seen.
    Free,
    File,
    /// A link, which will be a file; where it leads.
    Link(PathBuf),
}

/// What is at the place of a copy.
pub(crate) fn place(to: &Path) -> Result<Place, InstallError> {
    let Ok(found) = std::fs::symlink_metadata(to) else { return Ok(Place::Free) };
    replaceable(FileType::from_raw_mode(found.mode()), to)?;
    Ok(if found.is_symlink() { Place::Link(std::fs::read_link(to).unwrap_or_default()) } else { Place::File })
}

fn replaceable(what: FileType, to: &Path) -> Result<(), InstallError> {
    match what {
        FileType::RegularFile | FileType::Symlink => Ok(()),
        _ => Err(in_the_way(to, format!("it is {}", kind_of(what)))),
    }
}

fn in_the_way(path: &Path, cause: String) -> InstallError {
    InstallError {
        step: "put a file into place at",
        path: path.to_owned(),
        cause,
        advice: Some("move it away; the certificate is installed by itself then".into()),
        stale: false,
    }
}

fn prepare_copy<'a>(copy: &'a FileCopy, activate: &Activate) -> Result<Copy<'a>, InstallError> {
    let files = &activate.files;
    let Some(content) = stage::content(copy.from, &activate.material)? else {
        return Err(InstallError {
            step: "write",
            path: copy.to.clone(),
            cause: format!("the vendor sent no {}", copy.from.word()),
            advice: None,
            stale: false,
        });
    };
    let owner = Ownership::lookup(
        copy.owner.as_deref().or(files.owner.as_deref()),
        copy.group.as_deref().or(files.group.as_deref()),
    )?;
    Ok(Copy { to: &copy.to, content, mode: crate::effects::copy_mode(copy, files), owner })
}

fn place_copy(copy: &Copy<'_>) -> Result<(), InstallError> {
    let (Some(parent), Some(name)) = (copy.to.parent(), copy.to.file_name().and_then(|name| name.to_str()))
    else {
        return Err(failed("write", copy.to, std::io::Error::other("it is no path of a file")));
    };
    let dir = Dir::open(parent)?;
    if let Ok(present) = fs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        replaceable(FileType::from_raw_mode(present.st_mode), copy.to)?;
    }
    dir.replace(name, &copy.content, copy.mode, copy.owner)
}
