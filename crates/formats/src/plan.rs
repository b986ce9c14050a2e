//! A dump file before it is written.

use crate::pieces::{Piece, RecordSpace};
use crate::{core, minidump};
use snapshot::{DumpFormat, Selection, Snapshot};

/// A dump file before it is written: its pieces, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The format of the file.
    pub format: DumpFormat,
    /// Its parts, in the order of the file.
    pub pieces: Vec<Piece>,
}

impl Plan {
    /// The exact size of the file, in bytes.
    pub fn size(&self) -> u64 {
        self.pieces.iter().map(Piece::size).sum()
    }

    /// How many of them are the target's memory, without those that come from files.
    pub fn memory_bytes(&self) -> u64 {
        self.bytes_of(|piece| matches!(piece, Piece::Memory(_)))
    }

    /// How many of them come from the files that the target has mapped.
    pub fn mapped_bytes(&self) -> u64 {
        self.bytes_of(|piece| matches!(piece, Piece::Mapped(_)))
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
    Plan {
        format,
        pieces: pieces.done(),
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
        };
        let offsets: Vec<u64> = plan.pieces_with_offsets().map(|(at, _)| at).collect();
        assert_eq!(offsets, [0, 10, 16, 0x2010]);
        assert_eq!((plan.size(), plan.memory_bytes()), (0x2014, 0x2000));
    }
}
