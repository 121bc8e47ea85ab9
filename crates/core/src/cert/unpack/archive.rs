//! ZIP archives, measured while they are unpacked.
//!
//! What an archive claims about sizes is not believed, and its names are not used: no path is built from them
//! and the content decides what an entry is. Entries without certificates, such as a readme, are passed over.

use std::io::{Cursor, Read as _};

use zip::ZipArchive;

use super::{Seen, UnpackError, Unpacker};

pub(super) const MAX_ENTRIES: usize = 32;
/// Bytes of one entry. Mark certificates with their logo reach 100 KB, base64 adds a third.
pub(super) const MAX_ENTRY: usize = 256 << 10;

/// Whether bytes begin like an archive, be it an empty one (APPNOTE.TXT 4.3.7, 4.3.16).
pub(super) fn is_archive(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06")
}

impl Unpacker {
    pub(super) fn archive(&mut self, bytes: &[u8], depth: u8) -> Result<(), UnpackError> {
        let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|_| UnpackError::Archive)?;
        if archive.len() > MAX_ENTRIES {
            return Err(UnpackError::ArchiveTooLarge);
        }
        let mut result = Err(UnpackError::Nothing(Seen::EmptyArchive));
        for index in 0..archive.len() {
            let entry = archive.by_index(index).map_err(|_| UnpackError::Archive)?;
            let limit = MAX_ENTRY.min(self.inflated);
            let mut content = Vec::new();
            entry.take(limit as u64 + 1).read_to_end(&mut content).map_err(|_| UnpackError::Archive)?;
            if content.len() > limit {
                return Err(UnpackError::ArchiveTooLarge);
            }
            self.inflated -= content.len();
            match self.any(&content, depth + 1) {
                Ok(()) => result = Ok(()),
                Err(UnpackError::Nothing(_)) => {}
                Err(error) => return Err(error),
            }
        }
        result
    }
}
