//! The file of a minidump.

use crate::{FileBytes, ReadError};
use minidump::Minidump;
use minidump_common::format::MINIDUMP_STREAM_TYPE as Stream;
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
        Ok(File {
            minidump: minidump.map_err(|e| ReadError::Broken(e.to_string()))?,
            bytes: (**file).as_ref(),
        })
    }

    /// The bytes of a stream; none if the file does not have it.
    pub(super) fn raw(&self, kind: Stream) -> &[u8] {
        self.get_raw_stream(kind as u32).unwrap_or_default()
    }
}
