//! Reading a dump of any kind.

use crate::{Dump, FileBytes, ReadError, core, minidump};

/// Reads a dump. What can be read is read; what is damaged is named in [`Dump::warnings`].
///
/// # Errors
/// If the file is not a dump, or its head is damaged.
pub fn read(file: FileBytes) -> Result<Dump, ReadError> {
    match (*file).as_ref().first_chunk() {
        Some(b"\x7fELF") => core::read(file),
        Some(b"MDMP") => minidump::read(file),
        _ => Err(ReadError::Unknown),
    }
}
