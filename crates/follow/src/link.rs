//! What a directory of certificates holds, and which generation it is.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use certcollectd_core::engine::time::rfc3339;
use certcollectd_core::follow::PLACEHOLDER;

/// Maximum number of entries of a directory that are compared.
const MAX_ENTRIES: usize = 1000;

/// A directory of certificates, by the path of its link.
#[derive(Debug)]
pub(crate) struct Dir {
    pub(crate) path: PathBuf,
    /// The name of the link, which is that of the order.
    pub(crate) name: String,
}

impl Dir {
    /// Nothing where the path has no last name, or one that is no text.
    pub(crate) fn new(path: &Path) -> Option<Dir> {
        let name = path.file_name()?.to_str()?.to_owned();
        // Without a slash at its end, which would be resolved.
        let parent =
            path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        Some(Dir { path: parent.join(&name), name })
    }

    pub(crate) fn parent(&self) -> &Path {
        self.path.parent().unwrap_or_else(|| Path::new("."))
    }
}

/// What one directory holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Content {
    /// Where the directory really is.
    place: PathBuf,
    entries: BTreeMap<PathBuf, Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    /// Where it leads; certbot and Kubernetes swap these.
    Link(PathBuf),
    /// Replaced by a rename, or written anew: inode, bytes, seconds and nanoseconds of the last change.
    File(u64, u64, i64, i64),
}

impl Content {
    /// `Err` while there is nothing to serve: no directory, an empty one, or a link to nothing.
    pub(crate) fn of(dir: &Path) -> Result<Content, String> {
        let shown = |why: &str| format!("{}: {why}", dir.display());
        let place = fs::canonicalize(dir).map_err(|error| match (error.kind(), fs::read_link(dir)) {
            (io::ErrorKind::NotFound, Ok(target)) => {
                shown(&format!("it is a link to {}, which does not exist", target.display()))
            }
            (io::ErrorKind::NotFound, Err(_)) => shown("it does not exist"),
            (_, _) => shown(&cause(&error)),
        })?;
        let listed = fs::read_dir(&place).map_err(|error| shown(&cause(&error)))?;
        let mut entries = BTreeMap::new();
        let mut has_files = false;
        for entry in listed.take(MAX_ENTRIES).filter_map(Result::ok) {
            let path = entry.path();
            let Ok(found) = entry.metadata() else { continue };
            has_files |= fs::metadata(&path).is_ok_and(|file| file.is_file());
            let what = match fs::read_link(&path) {
                Ok(target) => Entry::Link(target),
                Err(_) if found.is_dir() => continue,
                Err(_) => Entry::File(found.ino(), found.len(), found.mtime(), found.mtime_nsec()),
            };
            entries.insert(PathBuf::from(entry.file_name()), what);
        }
        if !has_files {
            return Err(shown("there is no file in it"));
        }
        Ok(Content { place, entries })
    }

    /// The name of the generation: what the link leads to, `..data` of a Kubernetes volume leads to, or the first link
    /// inside leads to; otherwise the time of the last change.
    pub(crate) fn generation(&self, dir: &Path) -> String {
        let name = |target: &Path| target.file_name().map(|name| name.to_string_lossy().into_owned());
        if fs::symlink_metadata(dir).is_ok_and(|found| found.is_symlink())
            && let Some(name) = name(&self.place)
        {
            return name;
        }
        let links = || {
            self.entries.iter().filter_map(|(path, entry)| match entry {
                Entry::Link(target) => Some((path, target)),
                Entry::File(..) => None,
            })
        };
        let volume = links().find(|(path, _)| path.as_os_str() == "..data");
        if let Some(name) = volume.or_else(|| links().next()).and_then(|(_, target)| name(target)) {
            return name;
        }
        let changes = self.entries.values().filter_map(|entry| match entry {
            Entry::File(_, _, changed, _) => Some(*changed),
            Entry::Link(_) => None,
        });
        rfc3339(changes.max().unwrap_or_default())
    }

    pub(crate) fn is_placeholder(&self) -> bool {
        self.place.file_name().is_some_and(|name| name == PLACEHOLDER)
    }
}

/// The system's reason, without its number.
pub(crate) fn cause(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn dir() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for generation in ["one", "two"] {
            fs::create_dir_all(dir.path().join(".www").join(generation)).unwrap();
            fs::write(dir.path().join(".www").join(generation).join("cert.pem"), "x").unwrap();
        }
        dir
    }

    #[test]
    fn a_link_that_is_swapped() {
        let dir = dir();
        let www = dir.path().join("www");
        assert!(Content::of(&www).unwrap_err().ends_with("it does not exist"));
        symlink(".www/one", &www).unwrap();
        let one = Content::of(&www).unwrap();
        assert_eq!(one.generation(&www), "one");
        assert_eq!(Content::of(&www).unwrap(), one);
        fs::remove_file(&www).unwrap();
        symlink(".www/two", &www).unwrap();
        let two = Content::of(&www).unwrap();
        assert_eq!(two.generation(&www), "two");
        assert_ne!(one, two);
        fs::remove_file(&www).unwrap();
        symlink(".www/three", &www).unwrap();
        assert!(Content::of(&www).unwrap_err().contains("a link to .www/three, which does not exist"));
        fs::create_dir(dir.path().join(".www/three")).unwrap();
        assert!(Content::of(&www).unwrap_err().contains("no file"));
    }

    #[test]
    fn a_volume_of_kubernetes_and_links_of_certbot() {
        let dir = dir();
        let volume = dir.path().join(".www");
        symlink("one", volume.join("..data")).unwrap();
        symlink("..data/cert.pem", volume.join("tls.crt")).unwrap();
        let one = Content::of(&volume).unwrap();
        assert_eq!(one.generation(&volume), "one");
        fs::remove_file(volume.join("..data")).unwrap();
        symlink("two", volume.join("..data")).unwrap();
        let two = Content::of(&volume).unwrap();
        assert_eq!((two.generation(&volume).as_str(), one == two), ("two", false));
        fs::remove_file(volume.join("..data")).unwrap();
        assert!(Content::of(&volume).is_err(), "a link to nothing is no file");
        fs::remove_file(volume.join("tls.crt")).unwrap();
        symlink("two/cert.pem", volume.join("cert.pem")).unwrap();
        assert_eq!(Content::of(&volume).unwrap().generation(&volume), "cert.pem");
    }

    #[test]
    fn files_that_are_replaced() {
        let dir = dir();
        let one = dir.path().join(".www/one");
        let before = Content::of(&one).unwrap();
        fs::write(one.join("new"), "longer").unwrap();
        fs::rename(one.join("new"), one.join("cert.pem")).unwrap();
        assert_ne!(Content::of(&one).unwrap(), before);
        assert!(before.generation(&one).ends_with('Z'));
    }
}
