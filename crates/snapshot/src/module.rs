use crate::Range;

/// A loaded program or library.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Module {
    /// From its lowest to its highest mapping.
    pub range: Range,
    /// Full path, as the process sees it.
    pub path: String,
    /// GNU build-id (ELF), raw bytes; empty where there is none.
    pub build_id: Vec<u8>,
    /// PDB identity (PE).
    pub codeview: Option<CodeView>,
    /// `1.2.3` from the version resource or the soname's tail; empty where unknown.
    pub version: String,
    /// `DT_SONAME`; empty where there is none.
    pub soname: String,
    /// Link time (PE `TimeDateStamp`); 0 elsewhere.
    pub timestamp: u32,
    /// PE `CheckSum`; 0 elsewhere.
    pub checksum: u32,
    /// The file is unlinked or was replaced since it was mapped.
    pub deleted: bool,
}

impl Module {
    /// The last component of the path, with either kind of slash.
    pub fn name(&self) -> &str {
        self.path.rsplit(['/', '\\']).next().unwrap_or(&self.path)
    }
}

/// What names the PDB of a PE image (CodeView `RSDS` record).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CodeView {
    /// The GUID, as it lies in the record.
    pub guid: [u8; 16],
    /// How often the PDB was written since.
    pub age: u32,
    /// The PDB's file name, as the linker wrote it.
    pub file: String,
}
