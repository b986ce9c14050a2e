//! The note segment under construction (elf(5), "Notes").

use crate::{bytes::Put, pieces::Pieces};
use object::elf::NoteType;
use snapshot::SparseBytes;

/// Name and descriptor of a note are padded to this, in 64-bit cores too.
const ALIGN: u64 = 4;

/// Notes, one after the other.
#[derive(Default)]
pub(super) struct Notes {
    pub(super) pieces: Pieces,
}

impl Notes {
    /// A note of the kernel's, for which `CORE` stands.
    pub(super) fn core(&mut self, kind: NoteType, descriptor: &[u8]) {
        self.add("CORE", kind.0, descriptor);
    }

    /// A note of any owner.
    pub(super) fn add(&mut self, owner: &str, kind: u32, descriptor: &[u8]) {
        self.head(owner, kind, descriptor.len());
        self.pieces.bytes(descriptor);
        self.pieces.align(ALIGN);
    }

    /// A note with so long a descriptor that it is not copied.
    pub(super) fn add_long(&mut self, owner: &str, kind: u32, descriptor: Vec<u8>) {
        self.head(owner, kind, descriptor.len());
        self.pieces.own_bytes(descriptor);
        self.pieces.align(ALIGN);
    }

    /// A note whose descriptor is the first `limit` bytes of something that is mostly zeros.
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

    /// A note whose descriptor is filled with the record's text later.
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
