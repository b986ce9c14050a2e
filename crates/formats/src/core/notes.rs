//! The segment of notes, under construction (elf(5), "Notes").

use crate::LazyRegisters;
use crate::{bytes::Put, pieces::Pieces};
use object::elf::NoteType;

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

    /// Adds a note without a copy of its descriptor, which is long and comes in parts.
    pub(super) fn add_long(&mut self, owner: &str, kind: u32, descriptor: Vec<Vec<u8>>) {
        self.head(owner, kind, descriptor.iter().map(Vec::len).sum());
        self.pieces.parts(descriptor);
        self.pieces.align(ALIGN);
    }

    /// Adds the notes with a thread's extended registers, which are made when they are written.
    pub(super) fn extended(&mut self, registers: LazyRegisters) {
        self.pieces.registers(registers);
    }

    /// Adds a note with room for the record, which is filled in later.
    pub(super) fn record(&mut self, owner: &str, kind: u32, size: u32) {
        self.head(owner, kind, size as usize);
        self.pieces.record(size);
        self.pieces.align(ALIGN);
    }

    fn head(&mut self, owner: &str, kind: u32, size: usize) {
        let mut out = Vec::with_capacity(32);
        head(&mut out, owner, kind, size);
        self.pieces.bytes(&out);
    }
}

/// Appends a note to others that begin `out`.
pub(super) fn put_note(out: &mut Vec<u8>, owner: &str, kind: u32, descriptor: &[u8]) {
    head(out, owner, kind, descriptor.len());
    out.put(descriptor);
    pad(out);
}

fn head(out: &mut Vec<u8>, owner: &str, kind: u32, size: usize) {
    out.u32(owner.len() as u32 + 1);
    out.u32(size as u32);
    out.u32(kind);
    out.put(owner.as_bytes());
    out.put(&[0]);
    pad(out);
}

fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(ALIGN as usize), 0);
}
