//! Programs and libraries: their unwinding tables, names and code, from the file or from memory.

mod backed;
mod debug;
mod elf;
mod file;
mod mini;
mod opened;
mod pe;
mod symbols;

use crate::demangle;
use crate::lines::{DebugInfo, Lookup};
use crate::unwind::{Callee, Dwarf, FunctionTable, Step};
use snapshot::{Architecture, FileBytes, Memory, Module};
use std::fmt;
use symbols::Symbols;

pub(crate) use backed::Backed;
pub use debug::DebugFile;
pub(crate) use file::Contents;
pub use opened::OpenImages;
pub(crate) use pe::export_table;

/// Files that may be the one that is wanted, best first. They are opened as they are asked for.
pub type Candidates<'a> = Box<dyn Iterator<Item = FileBytes> + 'a>;

/// How files are opened: this crate opens none itself.
///
/// Files of other builds may be among them: that is noticed, and such a file is not used.
pub trait Files {
    /// Files that may be that of a module, usually at [`Module::path`].
    fn images<'a>(&'a self, module: &'a Module) -> Candidates<'a>;

    /// Files that the symbols of a stripped module may have been moved to; [`DebugFile::paths`] lists where they may be.
    fn debug<'a>(&'a self, _wanted: &'a DebugFile) -> Candidates<'a> {
        Box::new(std::iter::empty())
    }

    /// PDBs and symbol files of Breakpad that may be of a module.
    fn tables<'a>(&'a self, _module: &'a Module) -> Candidates<'a> {
        Box::new(std::iter::empty())
    }
}

/// Only the files of modules.
impl<F: Fn(&Module) -> Option<FileBytes>> Files for F {
    fn images<'a>(&'a self, module: &'a Module) -> Candidates<'a> {
        Box::new(self(module).into_iter())
    }
}

/// No files: only the memory in the dump is used.
#[derive(Clone, Copy, Debug)]
pub struct NoFiles;

impl Files for NoFiles {
    fn images<'a>(&'a self, _module: &'a Module) -> Candidates<'a> {
        Box::new(std::iter::empty())
    }
}

/// Where the unwinding tables and symbols of a module come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The file, and it is the one that was loaded.
    File,
    /// The file; nothing tells whether it is the one that was loaded.
    UnverifiedFile,
    /// The process's memory: there is no file.
    Memory,
    /// The process's memory: the file is of another build now.
    OtherBuild,
    /// Nowhere: no file, and no tables in memory.
    Nowhere,
}

/// A function or a variable, and an offset from its start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// Its name, demangled.
    pub name: String,
    /// Bytes from its start.
    pub offset: u64,
}

/// `nanosleep+0x14`; without the offset if it is 0.
impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.offset {
            0 => f.write_str(&self.name),
            offset => write!(f, "{}+{offset:#x}", self.name),
        }
    }
}

/// The unwinding tables of an image.
enum Tables {
    Dwarf(Box<Dwarf>),
    Pe(FunctionTable),
    None,
}

/// A loaded program or library, opened.
pub(crate) struct Image {
    /// An address of the file plus this is one of the process, modulo 2⁶⁴.
    pub(crate) bias: u64,
    pub(crate) source: Source,
    base: u64,
    /// How much address space it takes, in bytes; `None` if unknown.
    size: Option<u64>,
    tables: Tables,
    symbols: Vec<Symbols>,
    contents: Option<file::Contents>,
    debug: Debug,
}

/// The separate debug information of an image, and what is known of it.
#[derive(Default)]
pub(crate) struct Debug {
    /// Which tells lines; `None` if there is none.
    pub(crate) lines: Option<DebugInfo>,
    /// Whether there were files for it, all of them of other builds.
    pub(crate) is_of_others: bool,
}

impl Image {
    /// Opens the image from its file, or from memory if there is no file or it is of another build.
    /// If neither has any tables, the image has none.
    pub(crate) fn open(
        module: &Module,
        architecture: Architecture,
        memory: &dyn Memory,
        files: &dyn Files,
    ) -> Image {
        let mut image = Image::without_tables(module, architecture, memory, files);
        if image.debug.lines.is_none() {
            debug::add_tables(&mut image.debug, module, files);
        }
        image
    }

    fn without_tables(
        module: &Module,
        architecture: Architecture,
        memory: &dyn Memory,
        files: &dyn Files,
    ) -> Image {
        let mut has_file = false;
        let mut candidates = files.images(module).inspect(|_| has_file = true);
        let opened = candidates.find_map(|f| file::open(&f, module, architecture, files));
        drop(candidates);
        if let Some(image) = opened {
            return image;
        }
        let base = module.range.start;
        let loaded = elf::open(base, module, architecture, memory, files)
            .or_else(|| pe::open(base, architecture, memory));
        let mut image = loaded.unwrap_or_else(|| debug::alone(module, files));
        if has_file {
            image.source = Source::OtherBuild;
        }
        image
    }

    fn empty(base: u64) -> Image {
        Image {
            bias: base,
            source: Source::Nowhere,
            base,
            size: None,
            tables: Tables::None,
            symbols: Vec::new(),
            contents: None,
            debug: Debug::default(),
        }
    }

    /// The question for the lines of addresses of the process in this image; `None` if there is nobody to ask.
    pub(crate) fn lookup(&self, module: &Module, addresses: Vec<u64>) -> Option<Lookup> {
        Some(Lookup {
            debug: self.debug.lines.clone()?,
            bias: self.bias,
            base: self.base,
            addresses,
            module: module.name().to_owned(),
        })
    }

    /// Whether all files with debug information that were found for it are of other builds.
    pub(crate) fn has_debug_of_others(&self) -> bool {
        self.debug.is_of_others
    }

    /// Whether an address of the process lies in the image.
    ///
    /// Situation: Node maps its own file a second time, far away, so that the module reaches from
    /// there to here, with all that was compiled at run time in between.
    pub(crate) fn holds(&self, address: u64) -> bool {
        self.size
            .is_none_or(|size| address.wrapping_sub(self.base) < size)
    }

    /// The frame that called `callee`, by the image's tables; `None` if they do not tell.
    pub(crate) fn step(&self, callee: &Callee, memory: &dyn Memory) -> Option<Step> {
        let read = |address, size| self.bytes_at(u64::from(address), size, memory);
        match &self.tables {
            Tables::Dwarf(dwarf) => dwarf.step(callee),
            Tables::Pe(functions) => functions.step(callee, self.base, &read),
            Tables::None => None,
        }
    }

    /// The function that holds `lookup`, with the offset of `ip` in it; `None` if no symbol is
    /// known for it.
    pub(crate) fn symbol(&self, lookup: u64, ip: u64) -> Option<Symbol> {
        let address = lookup.wrapping_sub(self.bias);
        let (name, start) = self.symbols.iter().find_map(|table| table.find(address))?;
        if self.starts_later(lookup, start) {
            return None;
        }
        Some(Symbol {
            name: demangle(&String::from_utf8_lossy(name)),
            offset: ip.wrapping_sub(self.bias).wrapping_sub(start),
        })
    }

    /// The address in the process of the function or variable with that name, as the file has it.
    pub(crate) fn address_of(&self, name: &str) -> Option<u64> {
        let mut tables = self.symbols.iter();
        let start = tables.find_map(|table| table.start_of(name.as_bytes()))?;
        Some(start.wrapping_add(self.bias))
    }

    /// The address in the process of a section; `None` if there is none of that name, or no file.
    pub(crate) fn section(&self, name: &str) -> Option<u64> {
        let address = self.contents.as_ref()?.section(name)?;
        Some(address.wrapping_add(self.bias))
    }

    /// Whether there is a file, and it has sections: one of ELF.
    pub(crate) fn is_elf_file(&self) -> bool {
        self.contents.is_some() && !matches!(self.tables, Tables::Pe(_))
    }

    /// Whether the function at `lookup` begins after `start`, so that a name there is another's.
    ///
    /// Situation: DLLs export few of their functions, and exports have no size: an inner function
    /// would get the name of the export before it, `DllMain+0x41f20`.
    fn starts_later(&self, lookup: u64, start: u64) -> bool {
        let Tables::Pe(functions) = &self.tables else {
            return false;
        };
        let relative = |address: u64| u32::try_from(address.wrapping_sub(self.base)).ok();
        let own = relative(lookup).and_then(|address| functions.start_of(address));
        own > relative(start.wrapping_add(self.bias)) && own.is_some()
    }

    /// Fills `buf` with what the file holds for an address of the process. Returns whether the file
    /// holds all of it.
    pub(crate) fn read(&self, address: u64, buf: &mut [u8]) -> bool {
        let contents = self.contents.as_ref();
        let bytes = contents.and_then(|c| c.at(address.wrapping_sub(self.bias), buf.len()));
        match bytes {
            Some(bytes) if bytes.len() == buf.len() => buf.copy_from_slice(bytes),
            _ => return false,
        }
        true
    }

    /// What is to be added to an address of the file, and the bytes of the file; `None` if there is no file.
    pub(crate) fn contents(&self) -> Option<(u64, &Contents)> {
        Some((self.bias, self.contents.as_ref()?))
    }

    /// At most `size` bytes at an address relative to the image's base.
    fn bytes_at(&self, relative: u64, size: usize, memory: &dyn Memory) -> Vec<u8> {
        let address = self.base.wrapping_add(relative);
        let contents = self.contents.as_ref();
        match contents.and_then(|c| c.at(address.wrapping_sub(self.bias), size)) {
            Some(bytes) => bytes.to_vec(),
            None => read_up_to(memory, address, size),
        }
    }
}

/// Reads up to `size` bytes; fewer if memory ends before.
fn read_up_to(memory: &dyn Memory, address: u64, size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    let got = memory.read(address, &mut bytes);
    bytes.truncate(got);
    bytes
}
