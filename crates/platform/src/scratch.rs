//! Content that is not in a file as it is wanted: made when it is looked at, or kept in a file without a name.

use crate::os;
use snapshot::FileBytes;
use std::{
    fs::File,
    io::{self, Seek, SeekFrom, Write},
    path::PathBuf,
};

/// Copies content from an offset on into a buffer, and returns how many bytes there were.
pub type MakeContent = Box<dyn Fn(u64, &mut [u8]) -> usize + Send + Sync>;

/// Content of `len` bytes, which `make` gives; what it lacks is zeros. Only what is looked at is made.
///
/// # Errors
/// On Windows, which cannot do it: with [`io::ErrorKind::Unsupported`].
pub fn made_content(len: u64, make: MakeContent) -> io::Result<FileBytes> {
    os::made_content(len, make)
}

/// The folder of the system for files that are large and of no use later.
pub fn scratch_folder() -> PathBuf {
    os::scratch_folder()
}

/// A file without a name, which vanishes when nobody uses it any more.
pub struct Scratch {
    file: File,
    folder: PathBuf,
}

impl Scratch {
    /// An empty file in the folder of the system for what is large and of no use later.
    ///
    /// # Errors
    /// If no file can be made there.
    pub fn new() -> io::Result<Self> {
        let (file, folder) = os::unnamed_file()?;
        Ok(Self { file, folder })
    }

    /// The folder whose room it takes.
    pub fn folder(&self) -> PathBuf {
        self.folder.clone()
    }

    /// Writes bytes at an offset. What is never written is zeros.
    pub fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(offset))?;
        self.file.write_all(bytes)
    }

    /// The first `len` bytes of the file.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn into_content(self, len: u64) -> io::Result<FileBytes> {
        self.file.set_len(len)?;
        os::content_of(self.file, len)
    }
}
