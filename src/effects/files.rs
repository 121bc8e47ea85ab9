//! Files by their path: how the operator's are opened and read, and names for new ones.

use std::fs::{File, Metadata};
use std::io;
use std::path::Path;

use rustix::buffer::spare_capacity;
use rustix::fs::{Mode, OFlags, StatFs};
use rustix::io::{read, retry_on_intr};
use zeroize::Zeroizing;

use certcollectd_core::cert;

/// Room for the beginning of what does not say how large it is.
const UNSIZED: usize = 4096;

/// Opens a file of the operator's. Links are followed; what would keep the reader waiting, such as a FIFO, and
/// devices are refused.
pub fn open_file(path: &Path) -> io::Result<(File, Metadata)> {
    use std::os::unix::fs::OpenOptionsExt;
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    let found = file.metadata()?;
    if found.is_file() { Ok((file, found)) } else { Err(io::Error::other("it is not a regular file")) }
}

/// Reads a file of the operator's.
pub fn read_file(path: &Path, limit: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let (file, found) = open_file(path)?;
    read_sized(&file, found.len(), limit)
}

/// Reads a file of at most `limit` bytes: whole, or not at all. Wiped when dropped.
pub(crate) fn read_whole(file: File, limit: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let size = file.metadata()?.len();
    read_sized(&file, size, limit)
}

/// As [`read_whole`], of a file that was so large when it was opened.
pub(crate) fn read_sized(file: &File, size: u64, limit: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    // What has no size, such as a pipe, may have content. One byte more shows that it grew.
    let first = if size == 0 { UNSIZED } else { size };
    let mut content = Zeroizing::new(Vec::with_capacity(first.min(limit) + 1));
    // By the system call alone: the standard library reads the first bytes onto the stack, where nothing wipes them.
    while retry_on_intr(|| read(file, spare_capacity(&mut content)))? > 0 {
        if content.len() > limit {
            return Err(io::Error::other(format!("it is larger than {limit} bytes")));
        }
        if content.len() == size {
            break;
        }
        if content.len() == content.capacity() {
            // Not by itself: a growing buffer leaves copies of a key behind that are never wiped.
            let mut more = Zeroizing::new(Vec::with_capacity((2 * content.len()).min(limit + 1)));
            more.extend_from_slice(&content);
            content = more;
        }
    }
    Ok(content)
}

/// File systems of this machine's own memory and disks: tmpfs, ramfs (systemd's credentials), ext4, XFS, Btrfs, F2FS,
/// ZFS, bcachefs. Not overlayfs, whose layers may be anywhere.
const OWN: [u32; 8] =
    [0x0102_1994, 0x8584_58f6, 0x0000_ef53, 0x5846_5342, 0x9123_683e, 0xf2f5_2010, 0x2fc1_2fc1, 0xca45_1a4e];

/// Whether what is there can neither hang with a network nor change without this kernel's knowledge.
pub fn is_own(found: &StatFs) -> bool {
    OWN.contains(&(found.f_type as u32))
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
