//! The memory of a process with what an image's file has of it.

use super::Image;
use super::file::Contents;
use snapshot::Memory;

/// Memory of a process; what is not in the dump is read from the file of one image: its code and constants, which no dump but a full
/// one holds.
pub(crate) struct Backed<'a> {
    memory: &'a dyn Memory,
    contents: Option<&'a Contents>,
    bias: u64,
}

impl Image {
    /// The memory of the process, with what the image's file has of it.
    pub(crate) fn backed<'a>(&'a self, memory: &'a dyn Memory) -> Backed<'a> {
        Backed {
            memory,
            contents: self.contents.as_ref(),
            bias: self.bias,
        }
    }
}

impl Memory for Backed<'_> {
    fn read(&self, address: u64, buf: &mut [u8]) -> usize {
        match (self.memory.read(address, buf), self.contents) {
            (0, Some(contents)) => contents.copy(address.wrapping_sub(self.bias), buf),
            (got, _) => got,
        }
    }
}
