//! Who a program or library is, from its file or from memory: build-id, soname, PDB.

mod elf;
mod loader;
mod pe;
mod peb;

use object::{Object, pod::Pod, pod::from_bytes};
use snapshot::{CodeView, Memory};

pub use loader::{loaded_names, loader_ranges};

/// What names a program or library apart from its path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// GNU build-id (ELF note `NT_GNU_BUILD_ID`), raw bytes; empty where there is none.
    pub build_id: Vec<u8>,
    /// `DT_SONAME` (elf(5)); empty where there is none.
    pub soname: String,
    /// The soname's tail (`6` of `libc.so.6`) or the version resource's file version
    /// (`10.0.19041.1`); empty where unknown.
    pub version: String,
    /// What names the PDB (PE).
    pub codeview: Option<CodeView>,
    /// PE `TimeDateStamp`; 0 elsewhere.
    pub timestamp: u32,
    /// PE `CheckSum`; 0 elsewhere.
    pub checksum: u32,
    /// Bytes of address space that the image takes when loaded.
    pub size: u64,
}

/// Who the ELF or PE file with these bytes is; `None` for anything else.
pub fn of_file(bytes: &[u8]) -> Option<Identity> {
    match bytes.first_chunk()? {
        b"\x7fELF" => {
            let mut identity = elf::identity(&elf::LoadedFile::new(bytes)?, 0)?;
            if identity.build_id.is_empty() {
                identity.build_id = build_id_by_section(bytes);
            }
            Some(identity)
        }
        [b'M', b'Z', ..] => pe::identity(&pe::LoadedFile::new(bytes)?, 0),
        _ => None,
    }
}

/// Who the ELF or PE image is that is loaded at `base`; `None` for anything else, and for an
/// image whose headers cannot be read.
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

/// The build-id of a file whose program headers do not show it, such as one of debug information.
fn build_id_by_section(bytes: &[u8]) -> Vec<u8> {
    let file = object::File::parse(bytes).ok();
    let id = file.and_then(|file| Some(file.build_id().ok()??.to_vec()));
    id.unwrap_or_default()
}

/// The structure at `address`.
fn structure<T: Pod>(memory: &dyn Memory, address: u64) -> Option<T> {
    let mut bytes = vec![0; size_of::<T>()];
    if !memory.read_all(address, &mut bytes) {
        return None;
    }
    from_bytes::<T>(&bytes).ok().map(|(value, _)| *value)
}

/// The `size` bytes at `address`, at most `limit`; fewer where no more can be read.
fn bytes_at(memory: &dyn Memory, address: u64, size: u64, limit: usize) -> Vec<u8> {
    let size = usize::try_from(size).unwrap_or(limit).min(limit);
    let mut bytes = vec![0; size];
    let got = memory.read(address, &mut bytes);
    bytes.truncate(got);
    bytes
}
