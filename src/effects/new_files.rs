//! Files that must not be there yet: each is complete when its name appears, and nothing is ever overwritten.

use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use zeroize::Zeroizing;

use super::files::{random_name, read_file};

/// A file to write.
pub struct NewFile {
    pub path: PathBuf,
    pub mode: u32,
    /// User and group; those of this process where nothing is said.
    pub owner: Option<(u32, u32)>,
    pub content: Zeroizing<String>,
}

impl NewFile {
    /// Whether this very content is there already.
    pub fn is_there(&self) -> bool {
        read_file(&self.path, self.content.len()).is_ok_and(|content| *content == self.content.as_bytes())
    }

    /// Writes it, with the directories that are missing. `AlreadyExists` if something is there.
    pub fn write(&self) -> io::Result<()> {
        let dir =
            self.path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        std::fs::DirBuilder::new().recursive(true).mode(0o755).create(dir)?;
        let at = std::fs::File::open(dir)?;
        let draft = dir.join(format!(".{}.new", random_name()));
        let written = self
            .write_to(&draft)
            .and_then(|()| Ok(renameat_with(CWD, &draft, CWD, &self.path, RenameFlags::NOREPLACE)?));
        if written.is_err() {
            let _ = std::fs::remove_file(&draft);
        }
        written?;
        at.sync_all().inspect_err(|_| drop(std::fs::remove_file(&self.path)))
    }

    fn write_to(&self, draft: &Path) -> io::Result<()> {
        let mut file = std::fs::File::options().write(true).create_new(true).mode(0o600).open(draft)?;
        file.write_all(self.content.as_bytes())?;
        if let Some((user, group)) = self.owner {
            fchown(&file, Some(user), Some(group))?;
        }
        file.set_permissions(std::fs::Permissions::from_mode(self.mode))?;
        file.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    #[test]
    fn nothing_is_overwritten_and_nothing_is_left_behind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/new");
        let file = |content: &str| NewFile {
            path: path.clone(),
            mode: 0o640,
            owner: None,
            content: Zeroizing::new(content.to_owned()),
        };
        assert!(!file("one").is_there());
        file("one").write().unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o640);
        assert_eq!(file("two").write().unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one");
        assert!(file("one").is_there());
        assert!(!file("two").is_there());
        let left: Vec<_> = std::fs::read_dir(path.parent().unwrap()).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }
}
