//! The segment of notes, under construction (elf(5), "Notes").

use crate::{bytes::Put, pieces::Pieces};
use object::elf::NoteType;
use snapshot::SparseBytes;

/// The name and the descriptor of a note are padded to a multiple of this, in bytes; in 64-bit
/// cores too.
const ALIGN: u64 = 4;

/// Notes, one after the other.
#[derive(Default)]
pub(super) struct Notes {
    pub(super) pieces: Pieces,
}

impl Notes {
    /// Adds a note of the kernel, whose owner is `CORE`.
    pub(super) fn core(&mut self, kind: NoteType, descriptor: &[u8]) {
        self.add("CORE", kind.0, descriptor);
    }

    /// Adds a note of any owner.
    pub(super) fn add(&mut self, owner: &str, kind: u32, descriptor: &[u8]) {
        self.head(owner, kind, descriptor.len());
        self.pieces.bytes(descriptor);
        self.pieces.align(ALIGN);
    }

    /// Adds a note without a copy of its descriptor, which is long.
    pub(super) fn add_long(&mut self, owner: &str, kind: u32, descriptor: Vec<u8>) {
        self.head(owner, kind, descriptor.len());
        self.pieces.own_bytes(descriptor);
        self.pieces.align(ALIGN);
    }

    /// Adds a note whose descriptor is the first `limit` bytes of `sparse`.
    pub(super) fn sparse(
        &mut self,
        owner: &str,
        kind: NoteType,
        descriptor: &SparseBytes,
        limit: usize,
    ) {
        self.head(owner, kind.0, descriptor.len().min(limit));
        self.pieces.sparse(descriptor, limit);
        self.pieces.align(ALIGN);
    }

    /// Adds a note with room for the record, which is filled in later.
    pub(super) fn record(&mut self, owner: &str, kind: u32, size: u32) {
        self.head(owner, kind, size as usize);
        self.pieces.record(size);
        self.pieces.align(ALIGN);
    }

    fn head(&mut self, owner: &str, kind: u32, size: usize) {
        let mut head = Vec::with_capacity(32);
        head.u32(owner.len() as u32 + 1);
        head.u32(size as u32);
        head.u32(kind);
        head.put(owner.as_bytes());
        head.put(&[0]);
        self.pieces.bytes(&head);
        self.pieces.align(ALIGN);
    }
}
