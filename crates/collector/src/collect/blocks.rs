//! The blocks of memory that a dump has: where they are in its file, and what is in them.

use formats::{Piece, Plan};
use platform::lock;
use snapshot::Range;
use std::sync::Mutex;

/// The size of a block in bytes, and that of a page: addresses and offsets of blocks are multiples of it.
const BLOCK: u64 = 16 << 10;
const PAGE: u64 = 4096;
/// The most blocks of a dump: what is known of each takes 16 bytes. They are larger where there would be more.
const MOST_BLOCKS: u64 = 256 << 10;

/// What tells the content of a block from all others: two blocks with the same are the same, also where somebody tries to have
/// it otherwise. That of nothing means that it is not known.
pub(super) type Hash = [u8; 16];
const UNKNOWN: Hash = [0; 16];

/// The blocks of a dump, by their addresses. The first and the last one of a piece of memory may be shorter.
#[derive(Debug)]
pub(super) struct Blocks {
    size: u64,
    /// By ascending address.
    pieces: Vec<Placed>,
    hashes: Mutex<Vec<Hash>>,
}

/// Memory that is one piece of the dump.
#[derive(Debug)]
struct Placed {
    range: Range,
    /// Where it is in the file, in bytes.
    offset: u64,
    /// The number of its first block.
    first: usize,
}

/// A block of a dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    number: usize,
    pub(super) range: Range,
    /// Where it is in the file, in bytes.
    pub(super) offset: u64,
}

impl Blocks {
    /// The blocks of a dump, of whose content nothing is known.
    pub(super) fn of(plan: &Plan) -> Self {
        let size = block_size(plan.memory_bytes() + plan.mapped_bytes());
        let (mut pieces, mut count) = (Vec::new(), 0);
        for (offset, piece) in plan.pieces_with_offsets() {
            let (Piece::Memory(range) | Piece::Mapped(range)) = piece else {
                continue;
            };
            pieces.push(Placed {
                range: *range,
                offset,
                first: count,
            });
            count += (range.end.div_ceil(size) - range.start / size) as usize;
        }
        pieces.sort_unstable_by_key(|piece| piece.range.start);
        Self {
            size,
            pieces,
            hashes: Mutex::new(vec![UNKNOWN; count]),
        }
    }

    /// The whole blocks in a range of one piece.
    pub(super) fn within(&self, range: Range) -> impl Iterator<Item = Block> {
        let begins =
            (range.start / self.size..range.end.div_ceil(self.size)).map(|n| n * self.size);
        let blocks = begins.filter_map(move |start| self.at(start.max(range.start)));
        blocks.filter(move |block| range.start <= block.range.start && block.range.end <= range.end)
    }

    /// Where another dump has the block with this content and these addresses.
    pub(super) fn find(&self, block: Block, hash: Hash) -> Option<u64> {
        let found = self.at(block.range.start)?;
        let is_same = found.range == block.range && lock(&self.hashes)[found.number] == hash;
        (is_same && hash != UNKNOWN).then_some(found.offset)
    }

    pub(super) fn set(&self, known: &[(Block, Hash)]) {
        let mut hashes = lock(&self.hashes);
        for (block, hash) in known {
            hashes[block.number] = *hash;
        }
    }

    /// The block that has an address, if it has whole pages at such an offset.
    fn at(&self, address: u64) -> Option<Block> {
        let next = self
            .pieces
            .partition_point(|piece| piece.range.start <= address);
        let piece = &self.pieces[next.checked_sub(1)?];
        let start = address / self.size * self.size;
        let range = Range::new(start, start + self.size).intersect(piece.range)?;
        let offset = piece.offset + (range.start - piece.range.start);
        let number = piece.first + (address / self.size - piece.range.start / self.size) as usize;
        let is_aligned = (range.start | range.end | offset).is_multiple_of(PAGE);
        (is_aligned && range.contains(address)).then_some(Block {
            number,
            range,
            offset,
        })
    }
}

fn block_size(bytes: u64) -> u64 {
    BLOCK.max((bytes / MOST_BLOCKS).next_power_of_two())
}

#[cfg(test)]
mod tests {
    use super::*;
    use snapshot::DumpFormat;

    const START: u64 = 0x10_2000;

    fn blocks(head: usize) -> Blocks {
        Blocks::of(&Plan {
            format: DumpFormat::Core,
            pieces: vec![
                Piece::Bytes(vec![0; head]),
                Piece::Memory(Range::new(START, START + 3 * BLOCK)),
                Piece::Mapped(Range::new(0x1000, 0x3000)),
            ],
            shown_again: vec![],
        })
    }

    #[test]
    fn blocks_lie_at_multiples_of_their_size_and_in_their_pieces() {
        let blocks = blocks(4096);
        let of = |range| blocks.within(range).collect::<Vec<_>>();
        let all = of(Range::new(START, START + 3 * BLOCK));
        let ranges: Vec<_> = all.iter().map(|block| block.range).collect();
        let whole = Range::new(0x10_4000, 0x10_8000);
        assert_eq!(ranges[..2], [Range::new(START, 0x10_4000), whole]);
        assert_eq!((all.len(), all[1].offset), (4, 4096 + 0x2000));
        assert_eq!(
            of(Range::new(0x10_3000, 0x10_8000)),
            all[1..2],
            "whole ones"
        );
        let mapped = of(Range::new(0x1000, 0x3000));
        assert_eq!(mapped[0].range, Range::new(0x1000, 0x3000));
    }

    #[test]
    fn a_block_is_found_by_its_addresses_and_its_content_alone() {
        let (earlier, now) = (blocks(4096), blocks(8192));
        let block = now
            .within(Range::new(0x10_4000, 0x10_8000))
            .next()
            .expect("a block");
        assert_eq!(earlier.find(block, [1; 16]), None, "not known yet");
        let same = earlier.within(block.range).next().expect("a block");
        earlier.set(&[(same, [1; 16])]);
        assert_eq!(earlier.find(block, [1; 16]), Some(4096 + 0x2000));
        assert_eq!(earlier.find(block, [2; 16]), None);
        assert_eq!(earlier.find(block, UNKNOWN), None);
    }

    #[test]
    fn what_is_not_aligned_is_no_block_and_large_dumps_have_large_blocks() {
        assert_eq!(
            blocks(100).within(Range::new(START, START + BLOCK)).count(),
            0
        );
        assert_eq!(block_size(1 << 30), BLOCK);
        assert_eq!(block_size(MOST_BLOCKS * BLOCK + 1), BLOCK);
        assert_eq!(block_size(64 << 30), 256 << 10);
    }
}
