//! Directories that are held open, and files that appear in them whole or not at all.
//!
//! All work on output paths is relative to a directory handle that was reached component by component, so
//! that a user without write access there cannot redirect us by replacing a component with a link.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{self, AtFlags, CWD, FileType, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::error::failed;
use crate::effects::files::{RANDOM_NAME, random_name, read_whole};
use crate::effects::ownership::Ownership;
use certcollectd_core::engine::install::InstallError;

/// Links followed on the way to one directory, as in the kernel.
const MAX_LINKS: usize = 40;
/// Maximum number of directory entries searched for leftovers.
const MAX_ENTRIES: usize = 100_000;

/// What is in a file, which may be a key, and whose it is.
type Content = (Zeroizing<Vec<u8>>, fs::Stat);

/// An open directory and the path by which it was reached, for messages.
#[derive(Debug)]
pub struct Dir {
    handle: OwnedFd,
    path: PathBuf,
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }
}

/// Why a file cannot get the owner or group that it is to have.
fn not_given_away(path: &Path, why: Errno) -> InstallError {
    let error = failed("set the owner of", path, why);
    if why != Errno::PERM {
        return error;
    }
    error.advise(
        "only root may change the owner of files: run with CAP_CHOWN, or omit owner and add the daemon's user \
         to the group",
    )
}

impl Dir {
    /// Opens a directory by its absolute path. Links on the way are followed if they belong to root or to us;
    /// a component that others could swap is refused.
    pub fn open(path: &Path) -> Result<Dir, InstallError> {
        if !path.is_absolute() {
            return Err(failed("open", path, io::Error::other("the path is not absolute")));
        }
        let mut pending: Vec<OsString> = names(path).collect();
        let mut links = 0;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut at = PathBuf::from("/");
        let mut stack = vec![
            fs::openat(CWD, "/", flags, Mode::empty()).map_err(|why| failed("open", Path::new("/"), why))?,
        ];
        while let Some(component) = pending.pop() {
            if component == ".." {
                if stack.len() > 1 {
                    stack.pop();
                    at.pop();
                }
                continue;
            }
            let parent = stack.last().expect("the root stays");
            let here = at.join(&component);
            let stat = fs::statat(parent, &component, AtFlags::SYMLINK_NOFOLLOW)
                .map_err(|why| failed("open", &here, why))?;
            if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
                links += 1;
                if links > MAX_LINKS {
                    return Err(failed("open", &here, Errno::LOOP));
                }
                trusted_owner(stat.st_uid, &here, "link")?;
                let target = fs::readlinkat(parent, &component, Vec::new())
                    .map_err(|why| failed("read the link", &here, why))?;
                let target = PathBuf::from(OsStr::from_bytes(target.as_bytes()));
                if target.is_absolute() {
                    stack.truncate(1);
                    at = PathBuf::from("/");
                }
                pending.extend(names(&target));
                continue;
            }
            if !safe_from_others(parent, &at)? {
                trusted_owner(stat.st_uid, &here, "directory")?;
            }
            let next = fs::openat(parent, &component, flags, Mode::empty())
                .map_err(|why| failed("open", &here, why))?;
            stack.push(next);
            at = here;
        }
        let last = stack.pop().expect("the root stays");
        // O_PATH handles can be walked through, but not synced; reopen the very same directory for that.
        let handle =
            fs::openat(&last, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
                .map_err(|why| failed("open", path, why))?;
        safe_from_others(&handle, path)?;
        Ok(Dir { handle, path: path.to_owned() })
    }

    /// Opens a directory; what is missing of its path is made with `mode`.
    pub fn open_or_make(path: &Path, mode: u32) -> Result<Dir, InstallError> {
        match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) if std::fs::symlink_metadata(path).is_err() => {
                Dir::open_or_make(parent, mode)?.make(name, mode)
            }
            _ => Dir::open(path),
        }
    }

    /// The path by which it was reached.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a directory in it, with this mode whatever the umask, and opens it. One that is there already is
    /// opened if it is a true directory that belongs to root or to us.
    pub fn make(&self, name: impl AsRef<OsStr>, mode: u32) -> Result<Dir, InstallError> {
        let (dir, is_new) = self.make_unsynced(name, mode)?;
        if is_new {
            self.sync()?;
        }
        Ok(dir)
    }

    /// As [`Dir::make`], and says whether it is new; that it is there is not durable then.
    pub(super) fn make_unsynced(
        &self,
        name: impl AsRef<OsStr>,
        mode: u32,
    ) -> Result<(Dir, bool), InstallError> {
        let name = name.as_ref();
        let path = self.path.join(name);
        let made = match fs::mkdirat(self, name, Mode::from_raw_mode(mode)) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(why) => return Err(failed("make the directory", &path, why)),
        };
        let dir = self.enter(name)?;
        if made {
            fs::fchmod(&dir, Mode::from_raw_mode(mode))
                .map_err(|why| failed("set the mode of", &path, why))?;
        } else {
            let stat = fs::fstat(&dir).map_err(|why| failed("look at", &path, why))?;
            trusted_owner(stat.st_uid, &path, "directory")?;
        }
        Ok((dir, made))
    }

    /// Opens a directory in it; not through a link.
    pub fn enter(&self, name: impl AsRef<OsStr>) -> Result<Dir, InstallError> {
        let path = self.path.join(name.as_ref());
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let handle = fs::openat(self, name.as_ref(), flags, Mode::empty())
            .map_err(|why| failed("open", &path, why))?;
        Ok(Dir { handle, path })
    }

    /// As [`Dir::enter`]; `None` if there is nothing of that name.
    pub fn find(&self, name: impl AsRef<OsStr>) -> Result<Option<Dir>, InstallError> {
        let name = name.as_ref();
        match fs::statat(self, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => Ok(None),
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) != FileType::Directory => {
                let what = kind_of(FileType::from_raw_mode(stat.st_mode));
                let cause = format!("it is {what}, where a directory of certcollectd should be");
                Err(InstallError::new("open", self.path.join(name), cause).advise("move it away"))
            }
            Ok(_) | Err(_) => self
                .enter(name)
                .map(Some)
                .map_err(|error| error.advise("the daemon's user needs write and search permission on it")),
        }
    }

    /// Makes its entries durable.
    pub fn sync(&self) -> Result<(), InstallError> {
        fs::fsync(self).map_err(|why| failed("sync", &self.path, why))
    }

    /// A new file with its final owner and mode before the first byte is in it; nothing of that name may be there.
    /// Not synced: the caller syncs several at once.
    pub fn create(
        &self,
        name: &str,
        content: &[u8],
        mode: u32,
        owner: Ownership,
    ) -> Result<File, InstallError> {
        let path = self.path.join(name);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let handle = fs::openat(self, name, flags, Mode::from_raw_mode(0o600))
            .map_err(|why| failed("create", &path, why))?;
        if owner != Ownership::default() {
            fs::fchown(&handle, owner.uid.map(Uid::from_raw), owner.gid.map(Gid::from_raw))
                .map_err(|why| not_given_away(&path, why))?;
        }
        fs::fchmod(&handle, Mode::from_raw_mode(mode))
            .map_err(|why| failed("set the mode of", &path, why))?;
        let mut file = File::from(handle);
        file.write_all(content).map_err(|why| failed("write", &path, why))?;
        Ok(file)
    }

    /// Starts the write-back of a file, so that several are on their way when the first is waited for.
    pub fn start_writeback(&self, file: &File) {
        // On Linux this advice begins to write dirty pages without waiting. Only a head start; the sync that
        // follows is what counts.
        let _ = fs::fadvise(file, 0, None, fs::Advice::DontNeed);
    }

    /// Waits until a file is on disk. A failed sync is never repeated on the same file: the kernel forgets what
    /// it could not write, and a second sync would succeed without it.
    pub fn sync_file(&self, name: &str, file: &File) -> Result<(), InstallError> {
        fs::fsync(file).map_err(|why| failed("sync", &self.path.join(name), why))
    }

    /// Replaces or makes one file: written beside it, synced, renamed, directory synced.
    pub fn replace(
        &self,
        name: &str,
        content: &[u8],
        mode: u32,
        owner: Ownership,
    ) -> Result<(), InstallError> {
        let prefix = format!(".{name}.certcollectd-");
        self.clear_leftovers(&prefix);
        let staging = format!("{prefix}{}", random_name());
        let result = self
            .create(&staging, content, mode, owner)
            .and_then(|file| self.sync_file(&staging, &file))
            .and_then(|()| self.rename(&staging, self, name))
            .and_then(|()| self.sync());
        if result.is_err() {
            let _ = fs::unlinkat(self, &staging, AtFlags::empty());
        }
        result
    }

    /// What a process that was killed in the middle of a replacement left behind; it can hold a private key.
    /// A file has one writer, so none of these is in use.
    fn clear_leftovers(&self, prefix: &str) {
        for name in self.list(MAX_ENTRIES).unwrap_or_default() {
            let random = name.strip_prefix(prefix).unwrap_or_default();
            if random.len() == RANDOM_NAME && random.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                let _ = self.remove(&name);
            }
        }
    }

    /// Renames within or between directories of one file system.
    pub fn rename(&self, from: &str, to_dir: &Dir, to: &str) -> Result<(), InstallError> {
        fs::renameat(self, from, to_dir, to)
            .map_err(|why| failed("put into place", &to_dir.path.join(to), why))
    }

    /// Reads a whole file of at most `limit` bytes; not through a link.
    pub fn read(&self, name: &str, limit: usize) -> Result<Content, InstallError> {
        self.try_read(name, limit).map_err(|why| failed("read", &self.path.join(name), why))
    }

    /// As [`Dir::read`], with the system's own error.
    pub fn try_read(&self, name: &str, limit: usize) -> io::Result<Content> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let handle = fs::openat(self, name, flags, Mode::empty())?;
        let stat = fs::fstat(&handle)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(io::Error::other("it is not a regular file"));
        }
        Ok((read_whole(File::from(handle), limit)?, stat))
    }

    /// Where a link points to; `None` if there is nothing, an error if there is something else.
    pub fn link(&self, name: &str) -> Result<Option<PathBuf>, InstallError> {
        match fs::readlinkat(self, name, Vec::new()) {
            Ok(target) => Ok(Some(PathBuf::from(OsStr::from_bytes(target.as_bytes())))),
            Err(Errno::NOENT) => Ok(None),
            Err(why) => Err(failed("read the link", &self.path.join(name), why)),
        }
    }

    /// Names of its entries, at most `limit`, sorted.
    pub fn list(&self, limit: usize) -> Result<Vec<String>, InstallError> {
        let entries = fs::Dir::read_from(self).map_err(|why| failed("list", &self.path, why))?;
        let mut names = Vec::new();
        for entry in entries.take(limit.saturating_add(2)) {
            let entry = entry.map_err(|why| failed("list", &self.path, why))?;
            if let Ok(name) = entry.file_name().to_str()
                && name != "."
                && name != ".."
            {
                names.push(name.to_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    /// Removes a directory of plain files; deeper trees are not ours and are left.
    pub fn remove_dir(&self, name: &str) -> Result<(), InstallError> {
        let dir = self.enter(name)?;
        for file in dir.list(1000)? {
            fs::unlinkat(&dir, &file, AtFlags::empty())
                .map_err(|why| failed("remove", &dir.path.join(&file), why))?;
        }
        fs::unlinkat(self, name, AtFlags::REMOVEDIR)
            .map_err(|why| failed("remove", &self.path.join(name), why))
    }

    /// Removes a file or a link.
    pub fn remove(&self, name: &str) -> Result<(), InstallError> {
        fs::unlinkat(self, name, AtFlags::empty()).map_err(|why| failed("remove", &self.path.join(name), why))
    }
}

/// What something is, with its article.
pub fn kind_of(what: FileType) -> &'static str {
    match what {
        FileType::RegularFile => "a file",
        FileType::Symlink => "a link",
        FileType::Directory => "a directory",
        FileType::Fifo => "a FIFO",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice | FileType::Unknown => "a device",
    }
}

/// Whether only trusted users may change the entries of a directory. Anyone who may write to it may swap what
/// is in it, unless it is sticky (`false`): then no one can swap what belongs to a trusted user.
fn safe_from_others(dir: &OwnedFd, path: &Path) -> Result<bool, InstallError> {
    let stat = fs::fstat(dir).map_err(|why| failed("look at", path, why))?;
    let mode = Mode::from_raw_mode(stat.st_mode);
    if !mode.contains(Mode::WOTH) {
        return Ok(true);
    }
    if mode.contains(Mode::SVTX) {
        return Ok(false);
    }
    let cause = "every user may write to this directory and could replace what is in it";
    let advice = "remove the write permission of others, or choose another directory";
    Err(InstallError::new("trust", path, cause).advise(advice))
}

/// The components of a path, the last one first.
fn names(path: &Path) -> impl Iterator<Item = OsString> {
    path.components().rev().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}

fn trusted_owner(uid: u32, path: &Path, what: &str) -> Result<(), InstallError> {
    if uid == 0 || uid == rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    let cause = format!("this {what} belongs to user {uid}, who could redirect it");
    Err(InstallError::new("trust", path, cause).advise("it must belong to root or to the daemon's user"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn temp() -> tempfile::TempDir {
        tempfile::tempdir().expect("a directory for the test")
    }

    #[test]
    fn a_directory_that_others_may_write_to_is_refused() {
        let temp = temp();
        let open = temp.path().join("open");
        std::fs::create_dir_all(open.join("inner")).unwrap();
        std::fs::set_permissions(&open, PermissionsExt::from_mode(0o777)).unwrap();
        let error = Dir::open(&open.join("inner")).unwrap_err().to_string();
        assert!(error.contains("every user may write"), "{error}");
        std::fs::set_permissions(&open, PermissionsExt::from_mode(0o1777)).unwrap();
        Dir::open(&open.join("inner")).unwrap();
    }

    #[test]
    fn links_of_ours_are_followed_and_dots_resolved() {
        let temp = temp();
        std::fs::create_dir_all(temp.path().join("a/b")).unwrap();
        std::os::unix::fs::symlink("a/../a", temp.path().join("link")).unwrap();
        let dir = Dir::open(&temp.path().join("link/b")).unwrap();
        dir.replace("file", b"text", 0o640, Ownership::default()).unwrap();
        assert_eq!(std::fs::read(temp.path().join("a/b/file")).unwrap(), b"text");
        std::os::unix::fs::symlink("loop", temp.path().join("loop")).unwrap();
        assert!(Dir::open(&temp.path().join("loop")).is_err());
    }

    #[test]
    fn files_have_their_mode_whatever_the_umask_and_leave_nothing_beside_them() {
        let temp = temp();
        let dir = Dir::open(temp.path()).unwrap();
        dir.replace("file", b"long content", 0o644, Ownership::default()).unwrap();
        dir.replace("file", b"short", 0o604, Ownership::default()).unwrap();
        let mode = std::fs::metadata(temp.path().join("file")).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o604);
        assert_eq!(std::fs::read(temp.path().join("file")).unwrap(), b"short");
        assert_eq!(dir.list(10).unwrap(), ["file"]);
    }

    #[test]
    fn what_a_killed_replacement_left_is_removed() {
        let temp = temp();
        let left = temp.path().join(".site.pem.certcollectd-0123456789abcdef");
        std::fs::write(left, "half a key").unwrap();
        for foreign in [".site.pem.certcollectd-old", ".other.pem.certcollectd-0123456789abcdef"] {
            std::fs::write(temp.path().join(foreign), "not ours").unwrap();
        }
        let dir = Dir::open(temp.path()).unwrap();
        dir.replace("site.pem", b"whole", 0o600, Ownership::default()).unwrap();
        assert_eq!(
            dir.list(10).unwrap(),
            [".other.pem.certcollectd-0123456789abcdef", ".site.pem.certcollectd-old", "site.pem"]
        );
    }

    #[test]
    fn what_is_in_the_way_is_not_followed() {
        let temp = temp();
        let dir = Dir::open(temp.path()).unwrap();
        std::fs::write(temp.path().join("victim"), "victim").unwrap();
        std::os::unix::fs::symlink("victim", temp.path().join("link")).unwrap();
        assert!(dir.create("link", b"x", 0o600, Ownership::default()).is_err());
        assert!(dir.read("link", 100).is_err());
        assert!(dir.enter("link").is_err());
        dir.replace("link", b"new", 0o600, Ownership::default()).unwrap();
        assert_eq!(std::fs::read(temp.path().join("victim")).unwrap(), b"victim");
        assert!(dir.read("victim", 3).unwrap_err().to_string().contains("larger than 3 bytes"));
    }
}
