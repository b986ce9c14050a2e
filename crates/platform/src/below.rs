//! Files below a folder, and folders of the user who runs this.

use crate::{FileBytes, os};
use std::{io, path::Path};

/// Opens a regular file for reading, by a path below a folder. Links on the way are followed as if the folder were the root of
/// the file system, so that nothing outside of it is opened.
///
/// # Errors
/// If it cannot be opened; also if the kernel is older than Linux 5.6.
pub fn open_file_below(folder: &Path, path: &Path) -> io::Result<FileBytes> {
    os::open_file_below(folder, path)
}

/// Whether a file or folder belongs to the user who runs this. On Windows, what is the user's is not told by its owner, so that
/// it always does.
pub fn is_own(path: &Path) -> bool {
    os::is_own(path)
}
