//! The memory of a process with what its dump does not have because it is in files.

use crate::image::Contents;
use snapshot::{Memory, Range, Snapshot};

/// The memory of a process, and where it has none what the files of its images have.
///
/// Memory that may be written to is not taken from files: it may have been changed.
pub(crate) struct WithFiles<'a> {
    snapshot: &'a Snapshot,
    memory: &'a dyn Memory,
    /// Where an image is, what is to be added to an address of its file, and the file.
    images: Vec<(Range, u64, &'a Contents)>,
}

impl<'a> WithFiles<'a> {
    pub(crate) fn new(
        snapshot: &'a Snapshot,
        memory: &'a dyn Memory,
        images: Vec<(Range, u64, &'a Contents)>,
    ) -> Self {
        Self {
            snapshot,
            memory,
            images,
        }
    }

    fn read_file(&self, address: u64, buf: &mut [u8]) -> usize {
        let region = self.snapshot.region_at(address);
        if buf.is_empty() || region.is_some_and(|region| region.protection.write) {
            return 0;
        }
        let mut images = self.images.iter();
        let image = images.find(|(range, _, _)| range.contains(address));
        image.map_or(0, |(_, bias, file)| {
            file.copy(address.wrapping_sub(*bias), buf)
        })
    }
}

impl Memory for WithFiles<'_> {
    fn read(&self, address: u64, buf: &mut [u8]) -> usize {
        let got = self.memory.read(address, buf);
        got + self.read_file(address.wrapping_add(got as u64), &mut buf[got..])
    }
}
