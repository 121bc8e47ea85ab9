//! Files by their path: how the operator's are opened and read, and names for new ones.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use zeroize::Zeroizing;

use certcollectd_core::cert;

/// Opens a file of the operator's. Links are followed; what would keep the reader waiting, such as a FIFO, and
/// devices are refused.
pub fn open_file(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is not a regular file")) }
}

/// Reads a file of the operator's.
pub fn read_file(path: &Path, limit: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    read_whole(open_file(path)?, limit)
}

/// Reads a file of at most `limit` bytes: whole, or not at all. Wiped when dropped.
pub(crate) fn read_whole(file: File, limit: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let size = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    // Sized once: a growing buffer would leave copies of a key behind that are never wiped.
    let mut content = Zeroizing::new(Vec::with_capacity(size.max(4096).min(limit) + 1));
    file.take(limit as u64 + 1).read_to_end(&mut content)?;
    if content.len() > limit {
        return Err(io::Error::other(format!("it is larger than {limit} bytes")));
    }
    Ok(content)
}

/// Modes are set explicitly wherever they matter; what an inherited umask may never take away is the owner's own
/// right to what was just made.
pub fn keep_owners_rights() {
    use rustix::process::umask;
    let inherited = umask(Mode::RWXU | Mode::RWXG | Mode::RWXO);
    umask(inherited.difference(Mode::RWXU));
}

/// Characters of a [`random_name`].
pub(crate) const RANDOM_NAME: usize = 16;

/// An unpredictable name, 16 hexadecimal characters.
pub fn random_name() -> String {
    let mut bytes = [0; RANDOM_NAME / 2];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system has randomness");
    cert::hex(&bytes)
}
