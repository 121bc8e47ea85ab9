//! The swap: readers see the old generation, then the new one, and nothing in between; then the copies.
//!
//! Every step can be repeated: after a crash the whole effect is carried out again from the recorded intent.

use std::path::Path;

use rustix::fs;

use super::copies::{Copy, place_copy, prepare_copy};
use super::dir::Dir;
use super::error::{failed, stale};
use super::layout::{DIR_MODE, LINK, check_link, store_name};
use super::stage;
use crate::effects::files::random_name;
use certcollectd_core::engine::install::{Activate, InstallError, Stage, Written};

/// Writes a generation and puts it into place.
pub fn install(install_dir: &Path, stage: &Stage) -> Result<Written, InstallError> {
    let base = Dir::open_or_make(install_dir, DIR_MODE)?;
    let (store, staged) = stage::stage_in(&base, stage)?;
    let activate = Activate {
        order: stage.order,
        name: stage.name.clone(),
        generation: staged.generation.clone(),
        expected: staged.files.clone(),
        material: stage.material.clone(),
        files: stage.files.clone(),
        copies: stage.copies.clone(),
        relinks: false,
    };
    let placed = place(&base, &store, &activate, true);
    Ok(Written { staged, placed })
}

/// Puts a generation into place that was written before.
pub fn activate(install_dir: &Path, activate: &Activate) -> Result<(), InstallError> {
    let base = Dir::open(install_dir)?;
    let store = base.enter(store_name(&activate.name)).map_err(stale)?;
    let generation = store.enter(&activate.generation).map_err(stale)?;
    stage::check(&generation, &activate.expected)?;
    place(&base, &store, activate, false)
}

/// `is_durable`: the generation was synced just now.
fn place(base: &Dir, store: &Dir, activate: &Activate, is_durable: bool) -> Result<(), InstallError> {
    if activate.relinks {
        swap(base, store, activate, is_durable)?;
    }
    // Before readers see anything: a key that does not fit any more would leave the link ahead of the copies.
    let copies: Vec<Copy<'_>> =
        activate.copies.iter().map(|copy| prepare_copy(copy, activate)).collect::<Result<_, _>>()?;
    if !activate.relinks {
        swap(base, store, activate, is_durable)?;
    }
    copies.iter().try_for_each(place_copy)
}

fn swap(base: &Dir, store: &Dir, activate: &Activate, is_durable: bool) -> Result<(), InstallError> {
    let name = &*activate.name;
    let target = format!("{}/{}", store_name(name), activate.generation);
    // A link that is right already is put there once more: if the sync of its directory failed, another sync alone
    // would succeed without it.
    check_link(base, name)?;
    let link = format!("{LINK}{}", random_name());
    fs::symlinkat(&target, store, &link)
        .map_err(|why| failed("make the link", &store.path().join(&link), why))?;
    // A crash may have come between the rename of an earlier generation and the sync of its parent. The new link in it
    // makes this a sync of something new, should the one before have failed.
    let synced = if is_durable { Ok(()) } else { store.sync() };
    if let Err(error) = synced.and_then(|()| store.rename(&link, base, name)) {
        let _ = store.remove(&link);
        return Err(error);
    }
    base.sync()
}
