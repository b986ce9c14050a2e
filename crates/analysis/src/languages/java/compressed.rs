//! Numbers of one to five bytes (`utilities/unsigned5.hpp`; `code/compressedStream.hpp` up to Java 19).

use super::view::View;
use snapshot::Memory;

/// The bytes that are read at once: a few numbers.
const PIECE: usize = 64;

/// From this version on, no byte of a number is 0.
const WITHOUT_ZEROS: u32 = 20;

/// Reads numbers one after the other.
pub(super) struct Numbers<'a> {
    view: View<'a>,
    next: u64,
    end: u64,
    piece: Vec<u8>,
    at: usize,
}

impl<'a> Numbers<'a> {
    /// From an address on, before another one.
    pub(super) fn new(view: View<'a>, start: u64, end: u64) -> Self {
        Self {
            view,
            next: start,
            end,
            piece: Vec::new(),
            at: 0,
        }
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        if self.at == self.piece.len() {
            let left = self.end.checked_sub(self.next)?;
            self.piece = vec![0; PIECE.min(usize::try_from(left).unwrap_or(PIECE))];
            let got = self.view.memory.read(self.next, &mut self.piece);
            self.piece.truncate(got);
            self.next = self.next.wrapping_add(got as u64);
            self.at = 0;
        }
        let byte = self.piece.get(self.at).copied()?;
        self.at += 1;
        Some(byte)
    }

    /// A number without a sign. Each byte but the last is one of the 64 highest values, and has six bits.
    pub(super) fn unsigned(&mut self) -> Option<u32> {
        let excluded = u32::from(self.view.layout.version >= WITHOUT_ZEROS);
        let mut sum = 0u32;
        for number in 0..5 {
            let byte = u32::from(self.byte()?);
            let bits = byte.checked_sub(excluded)?;
            sum = sum.wrapping_add(bits << (6 * number));
            if byte < 192 {
                break;
            }
        }
        Some(sum)
    }

    /// A number whose lowest bit is its sign.
    pub(super) fn signed(&mut self) -> Option<i64> {
        let value = self.unsigned()?;
        Some(i64::from((value >> 1) as i32 ^ -((value & 1) as i32)))
    }
}
