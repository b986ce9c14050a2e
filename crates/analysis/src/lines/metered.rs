//! A reader of DWARF that may read so much and no more.
//!
//! Who makes a file can have many functions point to one long list, so that the work, and the memory that it takes, grow with
//! the square of the size of the file. What is kept of each read is small. So a limit for all reads bounds both.

use gimli::{EndianSlice, Error, LittleEndian, Reader, ReaderOffsetId, Result};
use std::borrow::Cow;
use std::cell::Cell;

/// What all readers of a file may still read, in bytes. Each read costs one more.
#[derive(Debug)]
pub(super) struct Budget(Cell<u64>);

impl Budget {
    pub(super) fn new(bytes: u64) -> Self {
        Self(Cell::new(bytes))
    }

    pub(super) fn is_used_up(&self) -> bool {
        self.0.get() == 0
    }

    fn take(&self, bytes: usize) -> bool {
        let left = self.0.get().saturating_sub(bytes as u64 + 1);
        self.0.set(left);
        left > 0
    }
}

/// Bytes of a section.
#[derive(Clone, Copy, Debug)]
pub(super) struct Metered<'a> {
    bytes: EndianSlice<'a, LittleEndian>,
    budget: &'a Budget,
}

impl<'a> Metered<'a> {
    pub(super) fn new(bytes: &'a [u8], budget: &'a Budget) -> Self {
        Self {
            bytes: EndianSlice::new(bytes, LittleEndian),
            budget,
        }
    }

    fn pay(&self, bytes: usize) -> Result<()> {
        match self.budget.take(bytes) {
            true => Ok(()),
            false => Err(Error::UnexpectedEof(self.bytes.offset_id())),
        }
    }
}

impl Reader for Metered<'_> {
    type Endian = LittleEndian;
    type Offset = usize;

    fn endian(&self) -> LittleEndian {
        LittleEndian
    }

    fn len(&self) -> usize {
        self.bytes.len()
    }

    fn empty(&mut self) {
        self.bytes.empty();
    }

    fn truncate(&mut self, len: usize) -> Result<()> {
        self.pay(0)?;
        self.bytes.truncate(len)
    }

    fn offset_from(&self, base: &Self) -> usize {
        self.bytes.offset_from(base.bytes)
    }

    fn offset_id(&self) -> ReaderOffsetId {
        self.bytes.offset_id()
    }

    fn lookup_offset_id(&self, id: ReaderOffsetId) -> Option<usize> {
        self.bytes.lookup_offset_id(id)
    }

    fn find(&self, byte: u8) -> Result<usize> {
        let at = Reader::find(&self.bytes, byte)?;
        self.pay(at)?;
        Ok(at)
    }

    fn skip(&mut self, len: usize) -> Result<()> {
        self.pay(0)?;
        self.bytes.skip(len)
    }

    fn split(&mut self, len: usize) -> Result<Self> {
        self.pay(0)?;
        let bytes = self.bytes.split(len)?;
        Ok(Self { bytes, ..*self })
    }

    fn to_slice(&self) -> Result<Cow<'_, [u8]>> {
        self.bytes.to_slice()
    }

    fn to_string(&self) -> Result<Cow<'_, str>> {
        self.pay(self.bytes.len())?;
        self.bytes.to_string().map(Cow::Borrowed)
    }

    fn to_string_lossy(&self) -> Result<Cow<'_, str>> {
        self.pay(self.bytes.len())?;
        Ok(self.bytes.to_string_lossy())
    }

    fn read_slice(&mut self, buf: &mut [u8]) -> Result<()> {
        self.pay(buf.len())?;
        Reader::read_slice(&mut self.bytes, buf)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_read_than_is_allowed() {
        let budget = Budget::new(10);
        let bytes = [7; 100];
        let mut reader = Metered::new(&bytes, &budget);
        let read = (0..100).take_while(|_| reader.read_u8().is_ok()).count();
        assert_eq!(read, 4);
        assert!(budget.is_used_up());
    }
}
