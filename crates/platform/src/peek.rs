//! The beginnings of files.

use crate::os;
use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
    time::SystemTime,
};

/// The beginning of a regular file, read step by step. As careful as [`crate::open_file`], and cheaper for
/// many files of which only the beginning is needed. Links are not followed.
#[derive(Debug)]
pub struct Peek {
    file: File,
    /// The length of the file in bytes.
    pub len: u64,
    /// The bytes that it takes on the disk: fewer than its length where it has holes.
    pub on_disk: u64,
    /// When the file was last written to.
    pub modified: SystemTime,
    /// What was read so far, from the beginning of the file on.
    pub bytes: Vec<u8>,
}

impl Peek {
    /// Opens the file without reading anything.
    ///
    /// # Errors
    /// If it cannot be opened, or is not a regular file.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = os::open_plain(path)?;
        let found = file.metadata()?;
        if !found.is_file() {
            return Err(io::Error::other("it is no regular file"));
        }
        Ok(Self {
            file,
            len: found.len(),
            on_disk: os::on_disk(&found),
            modified: found.modified()?,
            bytes: Vec::new(),
        })
    }

    /// Reads until [`Peek::bytes`] has `most` bytes or the file ends, and returns all that was
    /// read.
    pub fn read(&mut self, most: usize) -> io::Result<&[u8]> {
        let missing = most.saturating_sub(self.bytes.len());
        self.bytes.reserve_exact(missing);
        (&self.file)
            .take(missing as u64)
            .read_to_end(&mut self.bytes)?;
        Ok(&self.bytes)
    }
}
