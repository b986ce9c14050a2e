use crate::LazyRegisters;
use snapshot::{DumpFormat, Range, Selection, Snapshot, SparseBytes};

/// One part of a dump file; the parts follow each other without holes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// These bytes.
    Bytes(Vec<u8>),
    /// This many zeros: a hole in a sparse file.
    Zeros(u64),
    /// The target's memory at these addresses.
    Memory(Range),
    /// This many bytes reserved for the text of the record, filled when it is known and padded
    /// with NUL.
    Record(u32),
    /// A thread's extended registers, which are put into the form of the file when they are
    /// written.
    Registers(Box<LazyRegisters>),
}

impl Piece {
    /// How many bytes of the file it takes.
    pub fn size(&self) -> u64 {
        match self {
            Piece::Bytes(bytes) => bytes.len() as u64,
            Piece::Zeros(count) => *count,
            Piece::Memory(range) => range.len(),
            Piece::Record(count) => u64::from(*count),
            Piece::Registers(registers) => registers.size(),
        }
    }
}

/// A dump file before it is written: its pieces, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The shape of the file.
    pub format: DumpFormat,
    /// Its parts.
    pub pieces: Vec<Piece>,
}

impl Plan {
    /// The exact size of the file, in bytes.
    pub fn size(&self) -> u64 {
        self.pieces.iter().map(Piece::size).sum()
    }

    /// How many bytes of it are the target's memory.
    pub fn memory_bytes(&self) -> u64 {
        let memory = |piece: &&Piece| matches!(piece, Piece::Memory(_));
        self.pieces.iter().filter(memory).map(Piece::size).sum()
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

/// What a dump says of itself: how many bytes are reserved for the text of the record (0 for none),
/// and what is known from the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordSpace<'a> {
    /// Near the head of the file, where a list of dumps finds it fast.
    pub head: u32,
    /// At its very end, where a dump that is streamed tells what only the end knows.
    pub tail: u32,
    /// For the stream of comments, which only minidumps have and Windows' debuggers show.
    pub comment: &'a str,
}

/// Lays out a dump of `snapshot` in `format` with the memory of `selection`.
pub fn plan(
    format: DumpFormat,
    snapshot: &Snapshot,
    selection: &Selection,
    record: RecordSpace<'_>,
) -> Plan {
    let pieces = match format {
        DumpFormat::Core => crate::core::pieces(snapshot, selection, record),
        DumpFormat::Minidump => crate::minidump::pieces(snapshot, selection, record),
    };
    Plan {
        format,
        pieces: pieces.done(),
    }
}

/// Fewer zeros than these are written out.
const SHORT: u64 = 128;

/// Pieces under construction, with their size so far; neighbours of a kind are joined.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pieces {
    list: Vec<Piece>,
    size: u64,
}

impl Pieces {
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn done(self) -> Vec<Piece> {
        self.list
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        match self.list.last_mut() {
            _ if bytes.is_empty() => {}
            Some(Piece::Bytes(last)) => last.extend_from_slice(bytes),
            _ => self.list.push(Piece::Bytes(bytes.to_vec())),
        }
    }

    /// Many bytes, that are not copied but kept.
    pub(crate) fn own_bytes(&mut self, mut bytes: Vec<u8>) {
        self.size += bytes.len() as u64;
        bytes.shrink_to_fit();
        if !bytes.is_empty() {
            self.list.push(Piece::Bytes(bytes));
        }
    }

    pub(crate) fn zeros(&mut self, count: u64) {
        self.size += count;
        match self.list.last_mut() {
            _ if count == 0 => {}
            Some(Piece::Zeros(last)) => *last += count,
            // A piece of its own would take more than these.
            Some(Piece::Bytes(last)) if count < SHORT => {
                last.resize(last.len() + count as usize, 0)
            }
            _ => self.list.push(Piece::Zeros(count)),
        }
    }

    /// Bytes that are mostly zeros.
    pub(crate) fn sparse(&mut self, bytes: &[u8]) {
        let mut at = 0;
        for (start, run) in SparseBytes::new(bytes).runs() {
            self.zeros((start - at) as u64);
            self.bytes(run);
            at = start + run.len();
        }
        self.zeros((bytes.len() - at) as u64);
    }

    pub(crate) fn registers(&mut self, registers: LazyRegisters) {
        self.size += registers.size();
        if registers.size() > 0 {
            self.list.push(Piece::Registers(Box::new(registers)));
        }
    }

    pub(crate) fn memory(&mut self, range: Range) {
        self.size += range.len();
        match self.list.last_mut() {
            _ if range.is_empty() => {}
            Some(Piece::Memory(last)) if last.end == range.start => last.end = range.end,
            _ => self.list.push(Piece::Memory(range)),
        }
    }

    pub(crate) fn record(&mut self, count: u32) {
        if count > 0 {
            self.size += u64::from(count);
            self.list.push(Piece::Record(count));
        }
    }

    /// Zeros up to the next multiple of `to`, a power of two; padding that is worth no hole of
    /// its own is joined to the bytes before it.
    pub(crate) fn align(&mut self, to: u64) {
        let padding = self.size.next_multiple_of(to) - self.size;
        if padding < 64 {
            self.bytes(&[0; 64][..padding as usize]);
        } else {
            self.zeros(padding);
        }
    }

    pub(crate) fn append(&mut self, other: Pieces) {
        self.size += other.size;
        self.list.extend(other.list);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sparse_bytes_keep_their_length_and_their_zeros_cost_nothing() {
        let mut bytes = vec![0u8; 4096];
        bytes[10] = 1;
        bytes[600] = 2;
        let mut pieces = Pieces::default();
        pieces.sparse(&bytes);
        assert_eq!(pieces.size(), 4096);
        let list = pieces.done();
        assert_eq!(list.iter().map(Piece::size).sum::<u64>(), 4096);
        assert!(list.contains(&Piece::Zeros(589)), "{list:?}");
    }

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
