//! Functions, files and lines of code addresses, by the debug information of compilers: DWARF, PDB, and the `.sym` files of
//! Breakpad.
//!
//! Debug information is large, and may come from anybody. It is read when somebody asks for lines, and then once for all
//! addresses that are asked for ([`Lookup`]). A lookup may be sent to another thread, so that the caller decides how long it may
//! take. Readers give up after a number of reads, or of bytes to unpack, that grows with the size of the file.

mod breakpad;
pub(crate) mod dwarf;
mod metered;
mod pdb;

use crate::demangle;
use snapshot::{CodeView, FileBytes, Module};
use std::fmt;

/// A function and a line of its source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// The function, demangled; `None` if it is not known.
    pub function: Option<String>,
    /// The path of the source file, as the compiler wrote it; `None` if it is not known.
    pub file: Option<String>,
    /// The number of the line, from 1 on; `None` if it is not known.
    pub line: Option<u32>,
}

/// Where in the source an address of code is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The calls that the compiler replaced by the function's code, innermost first.
    pub inlined: Vec<Line>,
    /// The function that has been called.
    pub own: Line,
    /// Where that function begins, as the file states addresses; `None` if the debug information does not tell.
    pub start: Option<u64>,
}

impl Place {
    /// Makes a place of lines, innermost first. Returns `None` if there are none.
    fn of(mut lines: Vec<Line>, start: Option<u64>) -> Option<Self> {
        let own = lines.pop()?;
        let inlined = lines;
        Some(Self {
            inlined,
            own,
            start,
        })
    }
}

/// Why debug information tells no lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It cannot be read.
    Damaged(String),
    /// Unpacked, it would be larger than is read.
    TooLarge,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Damaged(why) => write!(f, "its debug information cannot be read: {why}"),
            Trouble::TooLarge => write!(
                f,
                "its debug information has more than {} MiB when it is unpacked, and is not read",
                dwarf::MOST_UNPACKED >> 20
            ),
        }
    }
}

/// The debug information of an image.
#[derive(Clone)]
pub(crate) enum DebugInfo {
    /// A file with DWARF, and the file that others share their strings and types in (`.gnu_debugaltlink`).
    Dwarf {
        file: FileBytes,
        shared: Option<FileBytes>,
    },
    /// A PDB.
    Pdb(FileBytes),
    /// A symbol file of Breakpad.
    Breakpad(FileBytes),
}

impl DebugInfo {
    /// Opens a PDB or a symbol file of Breakpad. Returns `None` if it is neither, or of another build than this identity.
    pub(crate) fn of_tables(
        file: &FileBytes,
        build_id: &[u8],
        codeview: Option<&CodeView>,
    ) -> Option<Self> {
        if pdb::is_of(file, codeview) {
            return Some(DebugInfo::Pdb(file.clone()));
        }
        breakpad::is_of(file, build_id, codeview).then(|| DebugInfo::Breakpad(file.clone()))
    }
}

/// A question for the lines of addresses of one image.
pub struct Lookup {
    pub(crate) debug: DebugInfo,
    /// An address of the file plus this is one of the process, modulo 2⁶⁴.
    pub(crate) bias: u64,
    /// Where the image begins in the process.
    pub(crate) base: u64,
    /// Addresses of the process.
    pub(crate) addresses: Vec<u64>,
    pub(crate) module: String,
}

impl Lookup {
    /// The file name of the module.
    pub fn module(&self) -> &str {
        &self.module
    }

    /// Looks all addresses up. Returns those, with their places, of which the debug information tells.
    ///
    /// # Errors
    /// If the debug information cannot be read.
    pub fn run(self) -> Result<Vec<(u64, Place)>, Trouble> {
        // DWARF has addresses as the file states them, the others such that are relative to the image's start.
        let base = match self.debug {
            DebugInfo::Dwarf { .. } => self.bias,
            DebugInfo::Pdb(_) | DebugInfo::Breakpad(_) => self.base,
        };
        let wanted: Vec<u64> = self
            .addresses
            .iter()
            .map(|a| a.wrapping_sub(base))
            .collect();
        let found = match &self.debug {
            DebugInfo::Dwarf { file, shared } => dwarf::places(file, shared.as_ref(), &wanted)?,
            DebugInfo::Pdb(file) => pdb::places(file, &wanted)?,
            DebugInfo::Breakpad(file) => breakpad::places(file, &wanted),
        };
        let told = self.addresses.into_iter().zip(found);
        Ok(told
            .filter_map(|(address, place)| Some((address, in_process(place?, base))))
            .collect())
    }
}

/// The same place, with the function's start as an address of the process.
fn in_process(place: Place, base: u64) -> Place {
    Place {
        start: place.start.map(|start| start.wrapping_add(base)),
        ..place
    }
}

/// The identity of a module as Breakpad writes it in the first line of a symbol file; empty if the module has none.
pub fn breakpad_id(module: &Module) -> String {
    breakpad::debug_id(&module.build_id, module.codeview.as_ref())
}

/// Whether a file is the PDB, or the symbol file of Breakpad, of a module.
pub fn is_table_of(file: &FileBytes, module: &Module) -> bool {
    DebugInfo::of_tables(file, &module.build_id, module.codeview.as_ref()).is_some()
}

/// A function's name as it is shown.
fn shown(name: &str) -> String {
    demangle(name)
}
