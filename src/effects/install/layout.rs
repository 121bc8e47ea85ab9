//! Names on disk below `install_dir`, and what may stand under them.

use rustix::fs::{self, AtFlags, FileType};

use super::dir::Dir;
use super::error::in_the_way;
use certcollectd_core::engine::install::InstallError;

/// Mode of an order's directory of generations and of each generation: readers must get through.
pub(super) const DIR_MODE: u32 = 0o755;

/// What is being staged is named so; leftovers of a crash are swept.
pub(super) const STAGING: &str = ".staging-";

/// A link on its way to its place is named so.
pub(super) const LINK: &str = ".link-";

/// Maximum size of an installed file in bytes.
pub(super) const MAX_FILE: usize = 2 * 1024 * 1024;

/// The directory that holds an order's generations: `<install_dir>/.<name>`.
pub(crate) fn store_name(order: &str) -> String {
    format!(".{order}")
}

/// Removes what a crash left behind. One effect per order: nothing else is staging here.
pub(super) fn clear_leftovers(store: &Dir) -> Result<(), InstallError> {
    for name in store.list(10_000)? {
        if name.starts_with(STAGING) {
            store.remove_dir(&name)?;
        } else if name.starts_with(LINK) {
            store.remove(&name)?;
        }
    }
    Ok(())
}

/// Whether an order's link can be put into its place: nothing is there, or our own link.
pub(crate) fn check_link(base: &Dir, name: &str) -> Result<(), InstallError> {
    let path = base.path().join(name);
    match base.link(name) {
        Ok(Some(current)) if !current.starts_with(store_name(name)) => {
            let what = format!("it is a link to {}, which certcollectd did not create", current.display());
            Err(in_the_way(&path, what))
        }
        Ok(_) => Ok(()),
        Err(error) => {
            let found = fs::statat(base, name, AtFlags::SYMLINK_NOFOLLOW);
            if found.is_err() || found.is_ok_and(|found| FileType::from_raw_mode(found.st_mode).is_symlink())
            {
                return Err(error);
            }
            Err(in_the_way(&path, "it is a file or directory that certcollectd did not create".into()))
        }
    }
}

/// Whether an order's store is a directory, if it is anything.
pub(crate) fn check_store(base: &Dir, store_name: &str) -> Result<(), InstallError> {
    match fs::statat(base, store_name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) if FileType::from_raw_mode(found.st_mode) != FileType::Directory => {
            let what = "the generations of the order need a directory of that name".to_owned();
            Err(in_the_way(&base.path().join(store_name), what))
        }
        _ => Ok(()),
    }
}
