//! Whether what was installed is still there, for readiness. Looks only, and costs a few system calls for each order.

use std::path::Path;
use std::sync::Arc;

use super::layout::store_name;
use certcollectd_core::config::Config;
use certcollectd_core::engine::loaded::Loaded;

/// The configured orders that were installed once and whose link or files are not in place now.
pub fn absent(config: &Config, loaded: &Loaded) -> Vec<Arc<str>> {
    let installed = config.orders.iter().filter_map(|order| {
        let record = &loaded.orders.get(&order.name)?.record;
        Some((&order.name, record.installed.as_ref()?))
    });
    installed
        .filter(|(name, generation)| {
            let files = generation.files.iter().map(|file| &*file.name);
            !is_there(&config.install_dir, name, files)
        })
        .map(|(name, _)| name.clone())
        .collect()
}

/// Whichever generation the link names: that is changed a moment before the state says so.
fn is_there<'a>(install_dir: &Path, name: &str, mut files: impl Iterator<Item = &'a str>) -> bool {
    let link = install_dir.join(name);
    let store = store_name(name);
    std::fs::read_link(&link).is_ok_and(|target| target.parent() == Some(Path::new(&store)))
        && files.all(|file| std::fs::symlink_metadata(link.join(file)).is_ok_and(|found| found.is_file()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_place_is_the_link_and_every_file() {
        let temp = tempfile::tempdir().unwrap();
        let generation = temp.path().join(".www/one");
        std::fs::create_dir_all(&generation).unwrap();
        let there = || is_there(temp.path(), "www", ["cert.pem", "chain.pem"].into_iter());
        std::fs::write(generation.join("cert.pem"), "").unwrap();
        std::os::unix::fs::symlink(".www/one", temp.path().join("www")).unwrap();
        assert!(!there(), "a file is missing");
        std::fs::write(generation.join("chain.pem"), "").unwrap();
        assert!(there());
        std::fs::remove_file(temp.path().join("www")).unwrap();
        assert!(!there(), "the link is missing");
        std::os::unix::fs::symlink(&generation, temp.path().join("www")).unwrap();
        assert!(!there(), "it leads elsewhere");
    }
}
