//! Small files between companion and daemon: replaced whole, read with a bound.

use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use certcollectd_core::follow::MAX_FILE;
use rustix::fs::OFlags;

/// Replaces a file, by way of one beside it that has `tag` in its name. Everybody may read it: the other side is another
/// user.
pub fn replace(path: &Path, tag: &str, content: &[u8]) -> io::Result<()> {
    let name = path.file_name().ok_or(ErrorKind::InvalidInput)?.to_string_lossy();
    let new = path.with_file_name(format!(".{name}.{tag}"));
    let write = || {
        match fs::remove_file(&new) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = File::create_new(&new)?;
        file.set_permissions(Permissions::from_mode(0o644))?;
        file.write_all(content)?;
        fs::rename(&new, path)
    };
    write().inspect_err(|_| {
        let _ = fs::remove_file(&new);
    })
}

/// Reads what others may write: no link is followed, nothing keeps us waiting, and no more than a report is read.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut content = Vec::new();
    file.take(MAX_FILE as u64 + 1).read_to_end(&mut content)?;
    if content.len() > MAX_FILE {
        return Err(io::Error::other(format!("it is larger than {MAX_FILE} bytes")));
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    #[test]
    fn what_is_no_small_plain_file_is_refused_without_waiting() {
        let temp = tempfile::tempdir().unwrap();
        let path = |name: &str| temp.path().join(name);
        replace(&path("file"), "1", b"x").unwrap();
        assert_eq!(read(&path("file")).unwrap(), b"x");
        symlink("file", path("link")).unwrap();
        mknodat(CWD, path("fifo"), FileType::Fifo, Mode::RWXU, 0).unwrap();
        fs::write(path("large"), vec![b' '; MAX_FILE + 1]).unwrap();
        for name in ["link", "fifo", "large", "missing", "."] {
            assert!(read(&path(name)).is_err(), "{name}");
        }
    }

    #[test]
    fn nothing_is_left_beside_a_file_that_cannot_be_replaced() {
        let temp = tempfile::tempdir().unwrap();
        fs::create_dir(temp.path().join("file")).unwrap();
        assert!(replace(&temp.path().join("file"), "1", b"x").is_err());
        assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 1);
    }
}
