//! The parts that a dump file is made of.

use crate::LazyRegisters;
use snapshot::{Range, SparseBytes};

/// One part of a dump file; the parts follow each other without gaps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// The bytes themselves.
    Bytes(Vec<u8>),
    /// That many zero bytes, a hole in a sparse file.
    Zeros(u64),
    /// The target's memory at these addresses.
    Memory(Range),
    /// The content of the files that are mapped at these addresses. It is written when the target has gone on.
    Mapped(Range),
    /// This many bytes reserved for the text of the record, filled when it is known and padded
    /// with NUL.
    Record(u32),
    /// A thread's extended registers, which are put into the form of the file when they are written.
    Registers(Box<LazyRegisters>),
}

impl Piece {
    /// Its size in the file, in bytes.
    pub fn size(&self) -> u64 {
        match self {
            Piece::Bytes(bytes) => bytes.len() as u64,
            Piece::Zeros(count) => *count,
            Piece::Memory(range) | Piece::Mapped(range) => range.len(),
            Piece::Record(count) => u64::from(*count),
            Piece::Registers(registers) => registers.size(),
        }
    }
}

/// Addresses whose memory is in a dump already, because the process has it mapped at others, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShownAgain {
    /// The addresses.
    pub range: Range,
    /// The first of those from which it is copied.
    pub copied_from: u64,
}

/// The room for firstchance's record in a dump, in bytes (0 for none), and the comment, which is
/// known from the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordSpace<'a> {
    /// Near the head of the file, so that a list of dumps reads only the heads.
    pub head: u32,
    /// At the end of the file, for what is known only when a streamed dump is complete.
    pub tail: u32,
    /// Text for the comment stream, which only minidumps have and which Windows' debuggers show.
    pub comment: &'a str,
}

/// Runs of fewer zeros than this are written as bytes.
const SHORT: u64 = 128;

/// Bytes are joined up to this length. A long list that grew by a few bytes would be copied, and take twice its room:
/// that of 60,000 mappings 50 MB.
const JOINED: usize = 1 << 20;

/// A list of pieces under construction; neighbours of the same kind are joined, where that costs little.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pieces {
    list: Vec<Piece>,
    size: u64,
    shown_again: Vec<ShownAgain>,
}

impl Pieces {
    /// Their size so far, in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// The finished list, and what refers to it.
    pub(crate) fn done(self) -> (Vec<Piece>, Vec<ShownAgain>) {
        (self.list, self.shown_again)
    }

    /// Notes addresses whose memory is there already.
    pub(crate) fn shown_again(&mut self, again: ShownAgain) {
        self.shown_again.push(again);
    }

    /// Adds a copy of `bytes`.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        match self.list.last_mut() {
            _ if bytes.is_empty() => {}
            Some(Piece::Bytes(last)) if has_room(last, bytes.len()) => {
                last.extend_from_slice(bytes)
            }
            _ => self.list.push(Piece::Bytes(bytes.to_vec())),
        }
    }

    /// Adds `bytes` as a piece of its own, without a copy.
    pub(crate) fn own_bytes(&mut self, mut bytes: Vec<u8>) {
        self.size += bytes.len() as u64;
        bytes.shrink_to_fit();
        if !bytes.is_empty() {
            self.list.push(Piece::Bytes(bytes));
        }
    }

    /// Adds parts that follow each other, without a copy. Returns their size in bytes.
    pub(crate) fn parts(&mut self, parts: Vec<Vec<u8>>) -> u64 {
        let before = self.size;
        parts.into_iter().for_each(|part| self.own_bytes(part));
        self.size - before
    }

    /// Adds that many zeros.
    pub(crate) fn zeros(&mut self, count: u64) {
        self.size += count;
        match self.list.last_mut() {
            _ if count == 0 => {}
            Some(Piece::Zeros(last)) => *last += count,
            // A piece of its own would take more memory than these.
            Some(Piece::Bytes(last)) if count < SHORT && has_room(last, count as usize) => {
                last.resize(last.len() + count as usize, 0)
            }
            _ => self.list.push(Piece::Zeros(count)),
        }
    }

    /// Adds a copy of bytes that are mostly zeros.
    pub(crate) fn sparse(&mut self, bytes: &[u8]) {
        let mut at = 0;
        for (start, run) in SparseBytes::new(bytes).runs() {
            self.zeros((start - at) as u64);
            self.bytes(run);
            at = start + run.len();
        }
        self.zeros((bytes.len() - at) as u64);
    }

    /// Adds the extended registers of a thread.
    pub(crate) fn registers(&mut self, registers: LazyRegisters) {
        self.size += registers.size();
        if registers.size() > 0 {
            self.list.push(Piece::Registers(Box::new(registers)));
        }
    }

    /// Adds the target's memory at these addresses, of which the ranges in `from_files` (ascending) come from files.
    pub(crate) fn memory(&mut self, range: Range, from_files: &[Range]) {
        let first = from_files.partition_point(|file| file.end <= range.start);
        let inside = from_files[first..]
            .iter()
            .map_while(|file| file.intersect(range));
        let mut at = range.start;
        for file in inside {
            self.range(Piece::Memory(Range::new(at, file.start)));
            self.range(Piece::Mapped(file));
            at = file.end;
        }
        self.range(Piece::Memory(Range::new(at, range.end)));
    }

    /// Adds a range, which is joined to the one before it if that is of the same kind and ends where it begins.
    fn range(&mut self, piece: Piece) {
        self.size += piece.size();
        match (self.list.last_mut(), &piece) {
            _ if piece.size() == 0 => {}
            (Some(Piece::Memory(last)), Piece::Memory(range))
            | (Some(Piece::Mapped(last)), Piece::Mapped(range))
                if last.end == range.start =>
            {
                last.end = range.end;
            }
            _ => self.list.push(piece),
        }
    }

    /// Adds room for the record, in bytes.
    pub(crate) fn record(&mut self, count: u32) {
        if count > 0 {
            self.size += u64::from(count);
            self.list.push(Piece::Record(count));
        }
    }

    /// Adds zeros up to the next multiple of `to`, a power of two. Short padding is joined to the
    /// bytes before it.
    pub(crate) fn align(&mut self, to: u64) {
        let padding = self.size.next_multiple_of(to) - self.size;
        if padding < 64 {
            self.bytes(&[0; 64][..padding as usize]);
        } else {
            self.zeros(padding);
        }
    }

    /// Adds all pieces of another list.
    pub(crate) fn append(&mut self, other: Pieces) {
        self.size += other.size;
        self.list.extend(other.list);
        self.shown_again.extend(other.shown_again);
    }
}

fn has_room(bytes: &[u8], more: usize) -> bool {
    bytes.len() + more <= JOINED
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n36_long_bytes_are_not_copied_to_add_a_few() {
        let mut pieces = Pieces::default();
        pieces.own_bytes(vec![1; 2 * JOINED + 1]);
        pieces.align(4);
        pieces.zeros(8);
        assert_eq!(pieces.size(), 2 * JOINED as u64 + 12);
        let (list, _) = pieces.done();
        let (Piece::Bytes(long), Piece::Bytes(rest)) = (&list[0], &list[1]) else {
            panic!("two pieces of bytes");
        };
        assert_eq!(
            (long.len(), long.capacity()),
            (2 * JOINED + 1, 2 * JOINED + 1)
        );
        assert_eq!((rest.len(), list.len()), (11, 2));
    }

    #[test]
    fn sparse_bytes_keep_their_length_and_their_zeros_cost_nothing() {
        let mut bytes = vec![0u8; 4096];
        bytes[10] = 1;
        bytes[600] = 2;
        let mut pieces = Pieces::default();
        pieces.sparse(&bytes);
        assert_eq!(pieces.size(), 4096);
        let (list, _) = pieces.done();
        assert_eq!(list.iter().map(Piece::size).sum::<u64>(), 4096);
        assert!(list.contains(&Piece::Zeros(589)), "{list:?}");
    }
}
