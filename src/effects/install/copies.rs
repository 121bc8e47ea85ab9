//! Copies of an order's files elsewhere: what may be replaced by one, and how it gets there.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{self, AtFlags, FileType};
use zeroize::Zeroizing;

use super::dir::{Dir, kind_of};
use super::error::{failed, in_the_way};
use super::stage;
use crate::effects::ownership::Ownership;
use certcollectd_core::config::{FileCopy, Files};
use certcollectd_core::engine::install::{Activate, InstallError};

/// A real file elsewhere that only has to be put there.
pub(super) struct Copy<'a> {
    to: &'a Path,
    content: Zeroizing<Vec<u8>>,
    mode: u32,
    owner: Ownership,
}

/// Where the link leads that a copy will replace, if it is one. An error where a copy can replace nothing.
pub(crate) fn replaced_link(to: &Path) -> Result<Option<PathBuf>, InstallError> {
    let Ok(found) = std::fs::symlink_metadata(to) else { return Ok(None) };
    replaceable(FileType::from_raw_mode(found.mode()), to)?;
    Ok(found.is_symlink().then(|| std::fs::read_link(to).unwrap_or_default()))
}

fn replaceable(what: FileType, to: &Path) -> Result<(), InstallError> {
    match what {
        FileType::RegularFile | FileType::Symlink => Ok(()),
        _ => Err(in_the_way(to, format!("it is {}", kind_of(what)))),
    }
}

pub(super) fn prepare_copy<'a>(copy: &'a FileCopy, activate: &Activate) -> Result<Copy<'a>, InstallError> {
    let files = &activate.files;
    let Some(content) = stage::content(copy.from, &activate.material)? else {
        let cause = format!("the vendor sent no {}", copy.from.as_str());
        return Err(InstallError::new("write", &copy.to, cause));
    };
    let owner = Ownership::lookup(
        copy.owner.as_deref().or(files.owner.as_deref()),
        copy.group.as_deref().or(files.group.as_deref()),
    )?;
    Ok(Copy { to: &copy.to, content, mode: copy_mode(copy, files), owner })
}

pub(super) fn place_copy(copy: &Copy<'_>) -> Result<(), InstallError> {
    let (Some(parent), Some(name)) = (copy.to.parent(), copy.to.file_name().and_then(|name| name.to_str()))
    else {
        return Err(failed("write", copy.to, std::io::Error::other("it is not the path of a file")));
    };
    let dir = Dir::open(parent)?;
    if let Ok(present) = fs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        replaceable(FileType::from_raw_mode(present.st_mode), copy.to)?;
    }
    dir.replace(name, &copy.content, copy.mode, copy.owner)
}

/// Permission bits of a copy: its own, or the files'; never wider than its content allows.
pub(super) fn copy_mode(copy: &FileCopy, files: &Files) -> u32 {
    let widest = if copy.from.holds_key() { Files::COMBINED_MODE } else { u32::MAX };
    copy.mode.map_or_else(|| files.mode_of(copy.from), |mode| mode & widest)
}
