//! The part of a minidump between the stream directory and the memory, under construction.

use crate::pieces::Pieces;
use minidump_common::format::MINIDUMP_LOCATION_DESCRIPTOR as Location;
use scroll::{Endian, LE, Pwrite, ctx::SizeWith, ctx::TryIntoCtx};

/// The pieces so far; the offset of the next one is known.
pub(super) struct Body {
    pub(super) pieces: Pieces,
    /// The offset of the first one in the file.
    start: u64,
}

impl Body {
    pub(super) fn new(start: u64) -> Self {
        Self {
            pieces: Pieces::default(),
            start,
        }
    }

    /// The offset in the file of the next piece.
    pub(super) fn next(&self) -> u64 {
        self.start + self.pieces.size()
    }

    /// The same, after padding to a multiple of `align` (at most 16).
    pub(super) fn aligned(&mut self, align: u64) -> u64 {
        let next = self.next();
        let padding = next.next_multiple_of(align) - next;
        self.pieces.bytes(&[0; 16][..padding as usize]);
        self.next()
    }

    /// Appends `bytes` at a multiple of 8.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> Location {
        let rva = self.aligned(8) as u32;
        self.pieces.bytes(bytes);
        Location {
            data_size: bytes.len() as u32,
            rva,
        }
    }

    /// The same without a copy of the bytes.
    pub(super) fn own_bytes(&mut self, bytes: Vec<u8>) -> Location {
        let rva = self.aligned(8) as u32;
        let data_size = bytes.len() as u32;
        self.pieces.own_bytes(bytes);
        Location { data_size, rva }
    }

    /// The same of parts that follow each other.
    pub(super) fn parts(&mut self, parts: Vec<Vec<u8>>) -> Location {
        let rva = self.aligned(8) as u32;
        let data_size = self.pieces.parts(parts) as u32;
        Location { data_size, rva }
    }

    /// Appends a `MINIDUMP_STRING`: its length in bytes, UTF-16, and a NUL that does not count.
    pub(super) fn string(&mut self, text: &str) -> u32 {
        let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let mut string = (units.len() as u32).to_le_bytes().to_vec();
        string.extend(units);
        string.extend([0, 0]);
        self.bytes(&string).rva
    }

    /// Appends a string and returns its offset; 0 if the text is empty.
    pub(super) fn string_or_none(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            0
        } else {
            self.string(text)
        }
    }
}

/// A structure of minidump-common that can be written.
pub(super) trait Structure:
    TryIntoCtx<Endian, Error = scroll::Error> + SizeWith<Endian>
{
}

impl<T: TryIntoCtx<Endian, Error = scroll::Error> + SizeWith<Endian>> Structure for T {}

/// Appends a structure without padding between its fields.
pub(super) fn put<T: Structure>(out: &mut Vec<u8>, value: T) {
    let at = out.len();
    out.resize(at + T::size_with(&LE), 0);
    // It cannot fail: the room was made for it.
    let written = out.pwrite_with(value, at, LE);
    debug_assert!(written.is_ok());
}

/// A structure's bytes.
pub(super) fn bytes_of<T: Structure>(value: T) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, value);
    out
}
