//! Who a program or library is, from its file or from memory: build-id, soname, PDB.

use snapshot::{CodeView, Memory, Range, Snapshot};

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
    let _ = bytes;
    None
}

/// Who the ELF or PE image is that is loaded at `base`; `None` for anything else.
pub fn in_memory(memory: &dyn Memory, base: u64) -> Option<Identity> {
    let _ = (memory, base);
    None
}

/// The memory that debuggers need to list the libraries of a core that holds only stacks.
pub fn loader_ranges(snapshot: &Snapshot, memory: &dyn Memory) -> Vec<Range> {
    let _ = (snapshot, memory);
    vec![]
}
