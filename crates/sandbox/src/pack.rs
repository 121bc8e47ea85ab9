//! The two compressed wrappings: the ZIP archive that the vendor offers, and gzip.
//!
//! gzip is needed in two places: a mark certificate holds its logo as gzipped SVG, and a fault answers with a
//! Content-Encoding that was not asked for. Its blocks are stored, not compressed (RFC 1951, 3.2.4), which
//! every reader takes and which needs no further crate.

use std::io::{Cursor, Write as _};

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// The most bytes in one stored block.
const STORED_MAX: usize = 0xffff;

/// A ZIP archive with these files, deflated.
pub(super) fn zip(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        archive
            .start_file(name, SimpleFileOptions::default())
            .and_then(|()| Ok(archive.write_all(content)?))
            .expect("writing an archive into memory cannot fail");
    }
    archive.finish().expect("writing an archive into memory cannot fail").into_inner()
}

/// A gzip member (RFC 1952) with `content`.
pub(super) fn gzip(content: &[u8]) -> Vec<u8> {
    // Magic, method deflate, no flags, no time, no extra flags, unknown system.
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let mut blocks = content.chunks(STORED_MAX).peekable();
    if blocks.peek().is_none() {
        out.extend_from_slice(&[1, 0, 0, 0xff, 0xff]);
    }
    while let Some(block) = blocks.next() {
        let length = block.len() as u16;
        out.push(u8::from(blocks.peek().is_none()));
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&(!length).to_le_bytes());
        out.extend_from_slice(block);
    }
    out.extend_from_slice(&crc32(content).to_le_bytes());
    out.extend_from_slice(&(content.len() as u32).to_le_bytes());
    out
}

/// The checksum of RFC 1952, section 8, bit by bit: it runs over a few kilobytes.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_usual_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn long_content_is_split_into_blocks() {
        let out = gzip(&vec![b'a'; STORED_MAX + 1]);
        assert_eq!(out[10], 0, "the first block is not the last");
        assert_eq!(out[10 + 5 + STORED_MAX], 1, "the second one is");
        assert_eq!(out.len(), 10 + 5 + STORED_MAX + 5 + 1 + 8);
    }

    #[test]
    fn an_archive_reads_back() {
        let bytes = zip(&[("a.crt".into(), b"one".to_vec()), ("b.crt".into(), b"two".to_vec())]);
        let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
        let mut text = String::new();
        std::io::Read::read_to_string(&mut archive.by_name("b.crt").unwrap(), &mut text).unwrap();
        assert_eq!((archive.len(), text.as_str()), (2, "two"));
    }
}
