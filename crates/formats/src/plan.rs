//! A dump file before it is written.

use crate::pieces::{Piece, RecordSpace, ShownAgain};
use crate::{core, minidump};
use snapshot::{DumpFormat, Range, Selection, Snapshot};

/// From this length on, in bytes, zeros are not written: a new file has them already. It is that of a page, so that a page which
/// the process never touched takes no room on the disk, as in the kernel's own cores.
pub const HOLE: u64 = 4096;

/// A dump file before it is written: its pieces, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The format of the file.
    pub format: DumpFormat,
    /// Its parts, in the order of the file.
    pub pieces: Vec<Piece>,
    /// The memory that several mappings show, and that is there once.
    pub shown_again: Vec<ShownAgain>,
}

impl Plan {
    /// The exact size of the file, in bytes.
    pub fn size(&self) -> u64 {
        self.pieces.iter().map(Piece::size).sum()
    }

    /// How many of them the file takes on the disk: all but its holes.
    pub fn stored_bytes(&self) -> u64 {
        self.size() - self.bytes_of(is_hole)
    }

    /// The parts of the file between its holes, each with its offset and its length in bytes.
    pub fn stored_parts(&self) -> Vec<(u64, u64)> {
        let mut parts: Vec<(u64, u64)> = Vec::new();
        for (offset, piece) in self.pieces_with_offsets().filter(|(_, p)| !is_hole(p)) {
            match parts.last_mut() {
                Some((start, len)) if *start + *len == offset => *len += piece.size(),
                _ => parts.push((offset, piece.size())),
            }
        }
        parts
    }

    /// How many of them are the target's memory, without those that come from files.
    pub fn memory_bytes(&self) -> u64 {
        self.bytes_of(|piece| matches!(piece, Piece::Memory(_)))
    }

    /// How many of them come from the files that the target has mapped.
    pub fn mapped_bytes(&self) -> u64 {
        self.bytes_of(|piece| matches!(piece, Piece::Mapped(_)))
    }

    /// The other addresses at which these ranges, which are ascending and without overlaps, are shown.
    pub fn others_of(&self, ranges: &[Range]) -> Vec<Range> {
        let others = self.shown_again.iter().flat_map(|again| {
            let (start, from) = (again.range.start, again.copied_from);
            let copied = Range::new(from, from + again.range.len());
            let first = ranges.partition_point(|range| range.end <= from);
            let shown = ranges[first..]
                .iter()
                .map_while(move |range| range.intersect(copied));
            shown
                .map(move |part| Range::new(start + (part.start - from), start + (part.end - from)))
        });
        others.collect()
    }

    fn bytes_of(&self, kind: impl Fn(&Piece) -> bool) -> u64 {
        let pieces = self.pieces.iter().filter(|piece| kind(piece));
        pieces.map(Piece::size).sum()
    }

    /// Every piece with its offset in the file.
    pub fn pieces_with_offsets(&self) -> impl Iterator<Item = (u64, &Piece)> {
        self.pieces.iter().scan(0, |next, piece| {
            let offset = *next;
            *next += piece.size();
            Some((offset, piece))
        })
    }
}

fn is_hole(piece: &Piece) -> bool {
    matches!(piece, Piece::Zeros(count) if *count >= HOLE)
}

/// Lays out a dump of `snapshot` in `format`, with the memory of `selection` and room for the
/// record.
pub fn plan(
    format: DumpFormat,
    snapshot: &Snapshot,
    selection: &Selection,
    record: RecordSpace<'_>,
) -> Plan {
    let pieces = match format {
        DumpFormat::Core => core::pieces(snapshot, selection, record),
        DumpFormat::Minidump => minidump::pieces(snapshot, selection, record),
    };
    let (pieces, shown_again) = pieces.done();
    Plan {
        format,
        pieces,
        shown_again,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use snapshot::Range;

    #[test]
    fn offsets_follow_from_sizes() {
        let plan = Plan {
            format: DumpFormat::Core,
            pieces: vec![
                Piece::Bytes(vec![1; 10]),
                Piece::Record(6),
                Piece::Memory(Range::new(0x1000, 0x3000)),
                Piece::Zeros(4),
            ],
            shown_again: vec![],
        };
        let offsets: Vec<u64> = plan.pieces_with_offsets().map(|(at, _)| at).collect();
        assert_eq!(offsets, [0, 10, 16, 0x2010]);
        assert_eq!((plan.size(), plan.memory_bytes()), (0x2014, 0x2000));
        assert_eq!(plan.stored_parts(), [(0, 0x2014)]);
    }

    #[test]
    fn n45_holes_take_no_room() {
        let plan = Plan {
            format: DumpFormat::Core,
            pieces: vec![
                Piece::Bytes(vec![1; 16]),
                Piece::Zeros(HOLE - 1),
                Piece::Zeros(HOLE),
                Piece::Memory(Range::new(0x1000, 0x2000)),
            ],
            shown_again: vec![],
        };
        let first = 16 + HOLE - 1;
        let parts = [(0, first), (first + HOLE, 0x1000)];
        assert_eq!(plan.stored_parts(), parts);
        assert_eq!(plan.stored_bytes(), first + 0x1000);
    }

    #[test]
    fn s3_what_is_missing_is_missing_wherever_it_is_shown() {
        let again = |start, end, copied_from| ShownAgain {
            range: Range::new(start, end),
            copied_from,
        };
        let plan = Plan {
            format: DumpFormat::Core,
            pieces: vec![],
            shown_again: vec![
                again(0x9000, 0xc000, 0x1000),
                again(0x20000, 0x21000, 0x5000),
            ],
        };
        let missing = [Range::new(0, 0x1800), Range::new(0x3000, 0x5800)];
        let others = [
            Range::new(0x9000, 0x9800),
            Range::new(0xb000, 0xc000),
            Range::new(0x20000, 0x20800),
        ];
        assert_eq!(plan.others_of(&missing), others);
    }
}
