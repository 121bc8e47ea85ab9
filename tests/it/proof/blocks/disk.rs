//! What `tests/proof.d/blocklog.c` wrote down, and disks put together out of it.

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::simulation::Dice;

/// What a disk writes as one: a longer write can be cut in the middle.
const PIECE: usize = 4096;
/// Time, disk, kind, offset, length.
const HEAD: usize = 40;
const FLUSH: u64 = 1;

/// One request to a disk.
pub struct Entry {
    /// Nanoseconds since 1970.
    pub time: u64,
    /// Where the log ends with it.
    pub end: u64,
    disk: usize,
    /// Pieces of a write, as places in the log; `None` for a flush.
    pieces: Option<Vec<(u64, Range<usize>)>>,
}

/// The whole log of a run.
pub struct Log {
    bytes: Vec<u8>,
    pub entries: Vec<Entry>,
}

impl Log {
    pub fn read(path: &Path) -> Log {
        let bytes = std::fs::read(path).unwrap();
        let mut entries = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let word = |index: usize| {
                u64::from_ne_bytes(bytes[at + 8 * index..][..8].try_into().expect("eight bytes"))
            };
            let (time, disk, kind, offset, length) = (word(0), word(1), word(2), word(3), word(4));
            let begin = at + HEAD;
            at = begin + usize::try_from(length).unwrap();
            let pieces = (kind != FLUSH).then(|| pieces(offset, begin..at));
            entries.push(Entry { time, end: at as u64, disk: usize::try_from(disk).unwrap(), pieces });
        }
        Log { bytes, entries }
    }
}

/// A write in pieces that lie within a block each.
fn pieces(mut offset: u64, mut range: Range<usize>) -> Vec<(u64, Range<usize>)> {
    let mut pieces = Vec::new();
    while !range.is_empty() {
        let room = PIECE - usize::try_from(offset % PIECE as u64).unwrap();
        let end = range.end.min(range.start + room);
        pieces.push((offset, range.start..end));
        offset += (end - range.start) as u64;
        range.start = end;
    }
    pieces
}

/// A disk at one moment: what a flush has made durable, and the pieces written since, in their order.
struct Disk {
    size: u64,
    durable: BTreeMap<u64, Box<[u8; PIECE]>>,
    pending: Vec<(u64, Range<usize>)>,
    flushes: usize,
}

impl Disk {
    fn of(image: &Path) -> Disk {
        let file = File::open(image).unwrap();
        let size = file.metadata().unwrap().len();
        let mut durable = BTreeMap::new();
        for block in 0..size / PIECE as u64 {
            let mut bytes = Box::new([0; PIECE]);
            file.read_exact_at(&mut *bytes, block * PIECE as u64).unwrap();
            if bytes.iter().any(|byte| *byte != 0) {
                durable.insert(block, bytes);
            }
        }
        Disk { size, durable, pending: Vec::new(), flushes: 0 }
    }

    fn flush(&mut self, log: &[u8]) {
        for (offset, range) in self.pending.drain(..) {
            let (block, within) = (offset / PIECE as u64, usize::try_from(offset % PIECE as u64).unwrap());
            let bytes = self.durable.entry(block).or_insert_with(|| Box::new([0; PIECE]));
            bytes[within..within + range.len()].copy_from_slice(&log[range]);
        }
        self.flushes += 1;
    }

    fn write(&self, kept: &[bool], log: &[u8], image: &Path) {
        let file = File::create(image).unwrap();
        file.set_len(self.size).unwrap();
        for (block, bytes) in &self.durable {
            file.write_all_at(&bytes[..], block * PIECE as u64).unwrap();
        }
        for ((offset, range), _) in self.pending.iter().zip(kept).filter(|(_, kept)| **kept) {
            file.write_all_at(&log[range.clone()], *offset).unwrap();
        }
    }
}

/// All disks, as they were before anything of the log, then request by request.
pub struct Disks<'a> {
    log: &'a Log,
    disks: Vec<Disk>,
    /// So many requests were made.
    pub done: usize,
}

/// Which of the pieces that no flush has covered survive, for each disk.
pub type Kept = Vec<Vec<bool>>;

impl<'a> Disks<'a> {
    pub fn new(log: &'a Log, images: &[std::path::PathBuf]) -> Disks<'a> {
        Disks { log, disks: images.iter().map(|image| Disk::of(image)).collect(), done: 0 }
    }

    /// One request more; false when there is none.
    pub fn step(&mut self) -> bool {
        let Some(entry) = self.log.entries.get(self.done) else { return false };
        let disk = &mut self.disks[entry.disk];
        match &entry.pieces {
            Some(pieces) => disk.pending.extend(pieces.iter().cloned()),
            None => disk.flush(&self.log.bytes),
        }
        self.done += 1;
        true
    }

    /// What a cut at this moment leaves is a matter of luck.
    pub fn cut(&self, dice: &mut Dice) -> Kept {
        let some = |disk: &Disk| {
            let count = disk.pending.len();
            match dice.below(5) {
                0 => vec![false; count],
                1 => vec![true; count],
                // The write that all others rely on.
                2 if count > 0 => {
                    let lost = dice.below(count as u64) as usize;
                    (0..count).map(|at| at != lost).collect()
                }
                _ => (0..count).map(|_| dice.below(2) == 0).collect(),
            }
        };
        self.disks.iter().map(some).collect()
    }

    /// Names what the disks hold after such a cut.
    pub fn name(&self, kept: &Kept) -> Vec<(usize, Vec<bool>)> {
        self.disks.iter().map(|disk| disk.flushes).zip(kept.iter().cloned()).collect()
    }

    /// Writes the disks as that cut leaves them.
    pub fn write(&self, kept: &Kept, images: &[std::path::PathBuf]) {
        for ((disk, kept), image) in self.disks.iter().zip(kept).zip(images) {
            disk.write(kept, &self.log.bytes, image);
        }
    }
}
