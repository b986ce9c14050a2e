use crate::Range;

/// A loaded program or library.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Module {
    /// The addresses from its lowest to its highest mapping.
    pub range: Range,
    /// Full path, as the process sees it.
    pub path: String,
    /// GNU build-id (ELF), raw bytes; empty if there is none.
    pub build_id: Vec<u8>,
    /// The identity of its PDB (PE only).
    pub codeview: Option<CodeView>,
    /// Its version: from the version resource, or what follows `.so.` in the soname; empty if
    /// unknown.
    pub version: String,
    /// `DT_SONAME`; empty if there is none.
    pub soname: String,
    /// `TimeDateStamp` of a PE image; 0 for others.
    pub timestamp: u32,
    /// `CheckSum` of a PE image; 0 for others.
    pub checksum: u32,
    /// Whether its file was deleted or replaced since it was mapped.
    pub deleted: bool,
}

impl Module {
    /// The last component of the path; `/` and `\` both separate components.
    pub fn name(&self) -> &str {
        self.path.rsplit(['/', '\\']).next().unwrap_or(&self.path)
    }
}

/// The identity of the PDB of a PE image (CodeView record `RSDS`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CodeView {
    /// The GUID, in the byte order of the record.
    pub guid: [u8; 16],
    /// How often the PDB was written since it was created.
    pub age: u32,
    /// The PDB's file name, as the linker wrote it.
    pub file: String,
}
