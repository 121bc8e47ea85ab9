//! The report for the daemon, and its request: small files that are replaced whole.

use std::fs::{self, File, Permissions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use certcollectd_core::follow::{self, MAX_FILE, Report, Request};
use rustix::fs::OFlags;

use crate::link::cause;

/// Where results are told.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) report: PathBuf,
    request: PathBuf,
    /// Differs from process to process.
    pub(crate) instance: String,
    /// This process has written a report.
    has_written: bool,
}

impl Desk {
    pub(crate) fn new(report: PathBuf, request: PathBuf) -> Desk {
        let instance = format!("{:016x}", RandomState::new().hash_one(0));
        Desk { report, request, instance, has_written: false }
    }

    /// What the daemon asks, if it does.
    pub(crate) fn request(&self) -> Option<Request> {
        follow::read(&read(&self.request).ok()?).ok()
    }

    /// Whether another companion has reported here since this one did.
    pub(crate) fn has_rival(&self) -> bool {
        let written = || read(&self.report).ok().and_then(|bytes| follow::read::<Report>(&bytes).ok());
        self.has_written && written().is_some_and(|report| report.instance != self.instance)
    }

    /// Replaces the report.
    pub(crate) fn write(&mut self, report: &Report) -> Result<(), String> {
        let new = new_name(&self.report, &self.instance);
        let written = replace(&self.report, &new, &follow::write(report));
        self.has_written |= written.is_ok();
        written.map_err(|error| {
            let _ = fs::remove_file(&new);
            let remedy = match error.kind() {
                io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                    "; mount a directory that this user may write to and that the daemon sees, and pass --report FILE \
                     in it"
                }
                _ => "",
            };
            format!("cannot write the report {}: {}{remedy}", self.report.display(), cause(&error))
        })
    }
}

fn new_name(path: &Path, instance: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{instance}"))
}

fn replace(path: &Path, new: &Path, content: &[u8]) -> io::Result<()> {
    match fs::remove_file(new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = File::create_new(new)?;
    // The daemon is another user.
    file.set_permissions(Permissions::from_mode(0o644))?;
    file.write_all(content)?;
    fs::rename(new, path)
}

/// Reads a small regular file; a link, or what would keep us waiting, is refused.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut content = Vec::new();
    file.take(MAX_FILE as u64 + 1).read_to_end(&mut content)?;
    if content.len() > MAX_FILE { Err(io::Error::other("it is too large")) } else { Ok(content) }
}
