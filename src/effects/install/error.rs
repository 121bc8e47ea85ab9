//! What failed on the disk, in words that say what usually helps.

use std::io;
use std::path::Path;

use rustix::io::Errno;

use crate::effects::errno;
use certcollectd_core::engine::install::InstallError;

/// A failed step with what usually helps.
pub(crate) fn failed(step: &'static str, path: &Path, error: impl Into<io::Error>) -> InstallError {
    let error = error.into();
    let advice = match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::ROFS) => {
            Some("the file system is read-only here; in a systemd unit add the directory to ReadWritePaths=")
        }
        Some(Errno::NOSPC) => Some("the disk is full, or out of inodes"),
        Some(Errno::DQUOT) => Some("the disk quota is used up"),
        Some(Errno::XDEV) => Some(
            "source and target are on different mounts; mount, or list in ReadWritePaths=, the directory that holds both",
        ),
        Some(Errno::BUSY) => Some("a single file is mounted here; mount its directory instead"),
        Some(Errno::ACCESS) => Some("give the daemon's user write permission on the directory"),
        Some(Errno::PERM) => Some("the daemon's user may not do this here"),
        _ => None,
    };
    let cause = errno::cause(&error);
    InstallError { advice: advice.map(str::to_owned), ..InstallError::new(step, path, cause) }
}

/// As for what is staged: it is not as it was written.
pub(super) fn stale(error: InstallError) -> InstallError {
    InstallError { stale: true, ..error }
}

pub(super) fn in_the_way(path: &Path, cause: String) -> InstallError {
    InstallError::new("put a file into place at", path, cause)
        .advise("move it away; the certificate is then installed automatically")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_what_would_help() {
        let shown = |errno| failed("create", Path::new("/x"), errno).to_string();
        assert_eq!(
            shown(Errno::NOSPC),
            "cannot create /x: no space left on device; the disk is full, or out of inodes"
        );
        assert!(shown(Errno::ROFS).contains("ReadWritePaths="));
        assert!(shown(Errno::BUSY).contains("mount its directory instead"));
    }
}
