//! Zeros in a dump: blocks of them are not written, and take no room on the disk.

use crate::sparse::{HOLE, is_hole};
use platform::{OutFile, lock};
use snapshot::{Range, coalesce};
use std::{io, ops, sync::Mutex};

/// The blocks of a file that were not written, by their offsets.
#[derive(Default)]
pub(super) struct Zeros(Mutex<Vec<Range>>);

impl Zeros {
    /// Writes these `parts` of `bytes`, which are those at `offset` of a file that has nothing there yet, but for blocks of zeros.
    pub(super) fn write(
        &self,
        file: &OutFile,
        offset: u64,
        bytes: &[u8],
        parts: &[ops::Range<usize>],
    ) -> io::Result<()> {
        let mut left = Vec::with_capacity(parts.len());
        for part in parts {
            let mut from = part.start;
            for at in holes(&bytes[part.clone()]).map(|at| part.start + at) {
                left.push(from..at);
                from = at + HOLE;
                self.add(offset + at as u64);
            }
            left.push(from..part.end);
        }
        left.retain(|part| !part.is_empty());
        file.write_parts(offset, bytes, &left)
    }

    /// Gives back the room that was set aside for these blocks. Returns how many bytes that is.
    pub(super) fn give_back(&self, file: &OutFile) -> u64 {
        let mut bytes = 0;
        for hole in self.take() {
            // Where the file system cannot do it, they take room.
            if file.give_back(hole.start, hole.len()).is_ok() {
                bytes += hole.len();
            }
        }
        bytes
    }

    fn add(&self, offset: u64) {
        lock(&self.0).push(Range::new(offset, offset + HOLE as u64));
    }

    /// Takes them, those that touch joined.
    fn take(&self) -> Vec<Range> {
        coalesce(std::mem::take(&mut *lock(&self.0)), 0)
    }
}

/// The positions of whole blocks that are all zeros.
fn holes(bytes: &[u8]) -> impl Iterator<Item = usize> {
    let blocks = bytes.chunks_exact(HOLE).enumerate();
    blocks.filter_map(|(number, block)| is_hole(block).then_some(number * HOLE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_that_are_all_zeros_are_holes() {
        let mut bytes = vec![0; 4 * HOLE + 100];
        bytes[0] = 1;
        bytes[3 * HOLE - 1] = 1;
        assert_eq!(holes(&bytes).collect::<Vec<_>>(), [HOLE, 3 * HOLE]);
    }

    #[test]
    fn holes_of_several_threads_are_joined() {
        let (zeros, size) = (Zeros::default(), HOLE as u64);
        [5, 0, 1].iter().for_each(|number| zeros.add(number * size));
        let wanted = [Range::new(0, 2 * size), Range::new(5 * size, 6 * size)];
        assert_eq!(zeros.take(), wanted);
    }
}
