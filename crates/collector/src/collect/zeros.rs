//! Zeros in a dump: blocks of them are not written, and take no room on the disk.

use platform::{OutFile, lock};
use std::{io, sync::Mutex};

/// The bytes that are looked at as a whole: smaller holes would make as many pieces of the file.
const BLOCK: usize = 64 << 10;
/// A block is looked at in parts of this length, until one is not zeros.
const PART: usize = 512;

/// The blocks of a file that were not written.
#[derive(Default)]
pub(super) struct Zeros(Mutex<Vec<Hole>>);

/// Bytes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Hole {
    offset: u64,
    len: u64,
}

impl Zeros {
    /// Writes `bytes` at `offset` of a file that has nothing there yet, but for blocks of zeros.
    pub(super) fn write(&self, file: &OutFile, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut written = 0;
        for at in holes(bytes) {
            write(file, offset, bytes, written, at)?;
            written = at + BLOCK;
            self.add(offset + at as u64);
        }
        write(file, offset, bytes, written, bytes.len())
    }

    /// Gives back the room that was set aside for these blocks. Returns how many bytes that is.
    pub(super) fn give_back(&self, file: &OutFile) -> u64 {
        let mut holes = std::mem::take(&mut *lock(&self.0));
        holes.sort_unstable();
        let mut bytes = 0;
        for hole in joined(holes) {
            // Where the file system cannot do it, they take room.
            if file.give_back(hole.offset, hole.len).is_ok() {
                bytes += hole.len;
            }
        }
        bytes
    }

    fn add(&self, offset: u64) {
        let len = BLOCK as u64;
        let mut holes = lock(&self.0);
        match holes.last_mut() {
            Some(last) if last.offset + last.len == offset => last.len += len,
            _ => holes.push(Hole { offset, len }),
        }
    }
}

/// Writes the bytes from one position to another.
fn write(file: &OutFile, offset: u64, bytes: &[u8], from: usize, to: usize) -> io::Result<()> {
    match from < to {
        true => file.write_at(offset + from as u64, &bytes[from..to]),
        false => Ok(()),
    }
}

/// The positions of blocks that are all zeros.
fn holes(bytes: &[u8]) -> impl Iterator<Item = usize> {
    let blocks = bytes.chunks_exact(BLOCK).enumerate();
    blocks.filter_map(|(number, block)| is_zeros(block).then_some(number * BLOCK))
}

fn is_zeros(block: &[u8]) -> bool {
    let is_all = |part: &[u8]| part.iter().fold(0, |all, byte| all | byte) == 0;
    block.chunks(PART).all(is_all)
}

/// Joins those that touch; `holes` are ascending.
fn joined(holes: Vec<Hole>) -> Vec<Hole> {
    let mut joined: Vec<Hole> = Vec::new();
    for hole in holes {
        match joined.last_mut() {
            Some(last) if last.offset + last.len == hole.offset => last.len += hole.len,
            _ => joined.push(hole),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_that_are_all_zeros_are_holes() {
        let mut bytes = vec![0; 4 * BLOCK + 100];
        bytes[0] = 1;
        bytes[3 * BLOCK - 1] = 1;
        assert_eq!(holes(&bytes).collect::<Vec<_>>(), [BLOCK, 3 * BLOCK]);
    }

    #[test]
    fn holes_of_several_threads_are_joined() {
        let hole = |offset, len| Hole { offset, len };
        let all = joined(vec![hole(0, 5), hole(5, 5), hole(20, 1)]);
        assert_eq!(all, [hole(0, 10), hole(20, 1)]);
    }
}
