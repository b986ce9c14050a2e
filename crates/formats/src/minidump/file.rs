//! The file of a minidump.

use super::processor;
use crate::bytes::Take;
use crate::{FileBytes, ReadError};
use minidump::Minidump;
use minidump_common::format::MINIDUMP_STREAM_TYPE as Stream;
use snapshot::Architecture;
use std::ops::Deref;

/// The file in the form that the `minidump` crate takes.
pub(super) struct Bytes(FileBytes);

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        (*self.0).as_ref()
    }
}

/// A minidump: the crate's view of it, and all its bytes.
pub(super) struct File<'a> {
    minidump: Minidump<'a, Bytes>,
    pub(super) bytes: &'a [u8],
    /// The bits of an address: 32 of a 32-bit process. Windows and Breakpad sign-extend such addresses.
    mask: u64,
}

impl<'a> Deref for File<'a> {
    type Target = Minidump<'a, Bytes>;

    fn deref(&self) -> &Self::Target {
        &self.minidump
    }
}

impl<'a> File<'a> {
    /// Opens a minidump.
    pub(super) fn open(file: &'a FileBytes) -> Result<Self, ReadError> {
        let minidump = Minidump::read(Bytes(file.clone()));
        let mut opened = File {
            minidump: minidump.map_err(|e| ReadError::Broken(e.to_string()))?,
            bytes: (**file).as_ref(),
            mask: u64::MAX,
        };
        let narrow = opened.architecture().map(Architecture::pointer_size) == Some(4);
        opened.mask = if narrow { u32::MAX.into() } else { u64::MAX };
        Ok(opened)
    }

    /// The number of the processor; `None` if the file does not tell it.
    pub(super) fn processor(&self) -> Option<u16> {
        Take(self.raw(Stream::SystemInfoStream)).u16()
    }

    /// `None` if it is not told, or not known here.
    pub(super) fn architecture(&self) -> Option<Architecture> {
        processor::architecture(self.processor()?)
    }

    /// An address as the process had it.
    pub(super) fn address(&self, told: u64) -> u64 {
        told & self.mask
    }

    /// The bytes of a stream; none if the file does not have it.
    pub(super) fn raw(&self, kind: Stream) -> &[u8] {
        self.get_raw_stream(kind as u32).unwrap_or_default()
    }

    /// The entries of a stream that is a list: their number in four bytes, and entries of that size. Breakpad and Crashpad
    /// put four bytes of padding between them on macOS, where they are aligned to eight.
    pub(super) fn entries(&self, kind: Stream, size: usize) -> &[u8] {
        let bytes = self.raw(kind);
        let count = Take(bytes).u32().unwrap_or(0) as usize;
        let length = count.saturating_mul(size);
        let is_padded = length.checked_add(8) == Some(bytes.len());
        let list = bytes.get(if is_padded { 8 } else { 4 }..);
        let list = list.unwrap_or_default();
        &list[..list.len().min(length)]
    }
}
