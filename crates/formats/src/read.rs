//! Reading a dump of any kind.

use crate::{Dump, FileBytes, ReadError, core, minidump, other};

/// Reads a dump. What can be read is read; what is damaged is named in [`Dump::warnings`].
///
/// # Errors
/// If the file is not a dump, or its head is damaged.
pub fn read(file: FileBytes) -> Result<Dump, ReadError> {
    match (*file).as_ref().first_chunk() {
        Some(b"\x7fELF") => core::read(file),
        Some(b"MDMP") => minidump::read(file),
        _ => Err(other::recognise((*file).as_ref()).unwrap_or(ReadError::Unknown)),
    }
}

/// Whether a file may be a dump by its first bytes: 18 tell an ELF core from a program, some thousands a microdump.
pub fn may_be_dump(first: &[u8]) -> bool {
    /// `ET_CORE`, in either byte order.
    const CORE: [[u8; 2]; 2] = [[4, 0], [0, 4]];
    match first.first_chunk() {
        Some(b"\x7fELF") => first
            .get(16..18)
            .is_some_and(|kind| CORE.iter().any(|c| c == kind)),
        Some(b"MDMP") => true,
        _ => other::recognise(first).is_some(),
    }
}
