//! The identity of programs and libraries, from their files or from memory: build-id, soname, PDB.

mod elf;
mod loader;
mod pe;
mod peb;
mod wow64;

use object::{pod::Pod, pod::from_bytes};
use snapshot::{CodeView, Memory};

pub(crate) use loader::{Listed, listed};
pub use loader::{loaded_names, loader_ranges};

/// The identity of a program or library, apart from its path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// GNU build-id (ELF note `NT_GNU_BUILD_ID`), raw bytes; empty if there is none.
    pub build_id: Vec<u8>,
    /// `DT_SONAME` (elf(5)); empty if there is none.
    pub soname: String,
    /// The version: what follows `.so.` in the soname (`6` of `libc.so.6`), or the file version in
    /// the version resource (`10.0.19041.1`); empty if there is none.
    pub version: String,
    /// The identity of the PDB (PE only).
    pub codeview: Option<CodeView>,
    /// `TimeDateStamp` of a PE image; 0 for ELF.
    pub timestamp: u32,
    /// `CheckSum` of a PE image; 0 for ELF.
    pub checksum: u32,
    /// The size of the loaded image, in bytes of address space.
    pub size: u64,
}

/// The identity of an ELF or PE file; `None` if `bytes` are neither.
pub fn of_file(bytes: &[u8]) -> Option<Identity> {
    match bytes.first_chunk()? {
        b"\x7fELF" => {
            let mut identity = elf::identity(&elf::LoadedFile::new(bytes)?, 0)?;
            if identity.build_id.is_empty() {
                identity.build_id = elf::build_id_by_section(bytes);
            }
            Some(identity)
        }
        [b'M', b'Z', ..] => pe::identity(&pe::LoadedFile::new(bytes)?, 0),
        _ => None,
    }
}

/// The identity of the ELF or PE image that is loaded at `base`; `None` if there is none, or its
/// headers cannot be read.
pub fn in_memory(memory: &dyn Memory, base: u64) -> Option<Identity> {
    let mut magic = [0; 4];
    if !memory.read_all(base, &mut magic) {
        return None;
    }
    match &magic {
        b"\x7fELF" => elf::identity(memory, base),
        [b'M', b'Z', ..] => pe::identity(memory, base),
        _ => None,
    }
}

/// The name of a library that was mapped from within a package of Android: `base.apk!libshop.so`, by its soname. Any other
/// path stays as it is, and so does one whose image cannot be read.
pub(crate) fn named_in_archive(path: &str, memory: &dyn Memory, base: u64) -> String {
    let soname = || Some(in_memory(memory, base)?.soname).filter(|soname| !soname.is_empty());
    match path.ends_with(".apk").then(soname).flatten() {
        Some(soname) => format!("{path}!{soname}"),
        None => path.to_owned(),
    }
}

/// The structure at `address`; `None` if it cannot be read.
fn structure<T: Pod>(memory: &dyn Memory, address: u64) -> Option<T> {
    let mut bytes = vec![0; size_of::<T>()];
    if !memory.read_all(address, &mut bytes) {
        return None;
    }
    from_bytes::<T>(&bytes).ok().map(|(value, _)| *value)
}

/// Reads `size` bytes at `address`, but at most `limit`; fewer if the memory ends before.
fn bytes_at(memory: &dyn Memory, address: u64, size: u64, limit: usize) -> Vec<u8> {
    let size = usize::try_from(size).unwrap_or(limit).min(limit);
    let mut bytes = vec![0; size];
    let got = memory.read(address, &mut bytes);
    bytes.truncate(got);
    bytes
}
