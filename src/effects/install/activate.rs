//! The swap: readers see the old generation, then the new one, and nothing in between; then the copies.
//!
//! Every step can be repeated: after a crash the whole effect is carried out again from the recorded intent.

use std::path::Path;

use rustix::fs;

use super::copies::{Copy, place_copy, prepare_copy};
use super::dir::Dir;
use super::error::{failed, stale};
use super::layout::{LINK, check_link, store_name};
use super::stage;
use crate::effects::files::random_name;
use certcollectd_core::engine::install::{Activate, InstallError};

pub fn activate(install_dir: &Path, activate: &Activate) -> Result<(), InstallError> {
    let base = Dir::open(install_dir)?;
    let store_name = store_name(&activate.name);
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

fn swap(base: &Dir, store: &Dir, store_name: &str, activate: &Activate) -> Result<(), InstallError> {
    let name = &*activate.name;
    let target = format!("{store_name}/{}", activate.generation);
    // A link that is right already is put there once more: if the sync of its directory failed, another sync alone
    // would succeed without it.
    check_link(base, name)?;
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
