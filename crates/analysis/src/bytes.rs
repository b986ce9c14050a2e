//! Bytes of images: whole files, and parts of them.

use snapshot::FileBytes;
use std::ops::Range;

/// A part of a file, or bytes copied from the memory of a process.
pub(crate) enum Bytes {
    Part(FileBytes, Range<usize>),
    Copy(Vec<u8>),
}

impl Bytes {
    /// All of a file.
    pub(crate) fn whole(file: &FileBytes) -> Self {
        Bytes::Part(file.clone(), 0..(**file).as_ref().len())
    }

    /// The bytes; none if the part is not in the file.
    pub(crate) fn get(&self) -> &[u8] {
        match self {
            Bytes::Part(file, range) => (**file).as_ref().get(range.clone()).unwrap_or_default(),
            Bytes::Copy(bytes) => bytes,
        }
    }
}

/// A section of an image.
pub(crate) struct Section {
    /// Where it is loaded, as the file states addresses.
    pub(crate) address: u64,
    pub(crate) bytes: Bytes,
}
