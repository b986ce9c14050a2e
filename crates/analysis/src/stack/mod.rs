//! The stacks of threads, with names.

mod cfi;
mod cpu;
mod guess;
mod pe;
mod signal;
mod walk;

use crate::image::{Files, Image, Source};
use cpu::Cpu;
use snapshot::{Memory, Module, Snapshot, Thread};
use std::cell::OnceCell;
use std::fmt;

pub(crate) use cfi::{Dwarf, Place};
pub(crate) use pe::Functions;
pub(crate) use walk::Step;

/// The most frames that a stack is followed for.
pub const FRAME_LIMIT: usize = 1024;

/// The chain of calls of one thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stack {
    /// From where the thread is to where it began.
    pub frames: Vec<Frame>,
    /// Why there are no more.
    pub end: End,
}

/// Why a stack ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// At the thread's first function: it is whole.
    Root,
    /// At [`FRAME_LIMIT`]; there are more.
    Limit,
    /// The dump does not hold the stack's memory at this address.
    NoMemory(u64),
    /// Nothing tells who called the last frame.
    Lost,
    /// The next frame is one that was there already.
    Cycle,
    /// The thread's registers are not known.
    NoRegisters,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Root => f.write_str("the thread began here"),
            End::Limit => write!(f, "stopped after {FRAME_LIMIT} frames"),
            End::NoMemory(address) => write!(f, "the stack at {address:#x} is not in the dump"),
            End::Lost => f.write_str("who called the last frame is not known"),
            End::Cycle => f.write_str("the stack is damaged: it runs in a circle"),
            End::NoRegisters => f.write_str("the thread's registers are not known"),
        }
    }
}

/// One function that is being executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Where it is: the instruction pointer, or where the call in it will return to.
    pub ip: u64,
    /// Its stack pointer.
    pub sp: u64,
    /// The file name of the module, without its folder; `None` outside of all.
    pub module: Option<String>,
    /// How far into the module `ip` is, from its base; `ip` itself outside of all.
    pub offset: u64,
    /// The function, if its name is known.
    pub symbol: Option<Symbol>,
    /// How the frame was found.
    pub how: How,
    /// The return from a signal handler: the frame after it was interrupted, it did not call.
    pub is_signal_frame: bool,
}

/// `libc.so.6!nanosleep+0x14`, or as much of it as is known.
impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.module, &self.symbol) {
            (_, None) if self.is_signal_frame => f.write_str("<signal handler called>"),
            (Some(module), Some(symbol)) => write!(f, "{module}!{symbol}"),
            (None, Some(symbol)) => symbol.fmt(f),
            (Some(module), None) => write!(f, "{module}+{:#x}", self.offset),
            (None, None) => write!(f, "{:#x}", self.ip),
        }
    }
}

/// A function and how far into it a frame is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// Its name, demangled.
    pub name: String,
    /// Bytes from its start.
    pub offset: u64,
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.offset {
            0 => f.write_str(&self.name),
            offset => write!(f, "{}+{offset:#x}", self.name),
        }
    }
}

/// How a frame was found, most trusted first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// The thread's registers: where it is.
    Context,
    /// Tables of the program (DWARF call frame information, Windows unwind information).
    Cfi,
    /// The registers that the kernel kept when it called a signal handler.
    SignalFrame,
    /// The chain of frame pointers.
    FramePointer,
    /// A word on the stack that looks like a return address. It may be an old one.
    Scan,
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            How::Context => "context",
            How::Cfi => "cfi",
            How::SignalFrame => "signal frame",
            How::FramePointer => "frame pointer",
            How::Scan => "scan",
        })
    }
}

/// Walks the stacks of a snapshot's threads. Images are opened when the first frame lies in them,
/// and kept.
pub struct Stacks<'a> {
    snapshot: &'a Snapshot,
    memory: &'a dyn Memory,
    files: Files<'a>,
    modules: Vec<Loaded>,
}

struct Loaded {
    module: Module,
    image: OnceCell<Image>,
}

impl<'a> Stacks<'a> {
    /// For the threads of `snapshot`; `memory` holds their stacks.
    pub fn new(snapshot: &'a Snapshot, memory: &'a dyn Memory, files: Files<'a>) -> Self {
        let mut modules = snapshot.modules.clone();
        modules.extend(vdso(snapshot));
        modules.sort_by_key(|module| module.range.start);
        let load = |module| Loaded {
            module,
            image: OnceCell::new(),
        };
        Self {
            snapshot,
            memory,
            files,
            modules: modules.into_iter().map(load).collect(),
        }
    }

    /// The stack of a thread.
    pub fn of(&self, thread: &Thread) -> Stack {
        walk::walk(self, thread)
    }

    /// The name of the function at an address of code, and how far into it that is.
    pub fn symbol(&self, address: u64) -> Option<Symbol> {
        self.image_at(address)?.symbol(address, address)
    }

    /// The images that had to be opened so far, and where their tables and names come from.
    pub fn sources(&self) -> impl Iterator<Item = (&Module, Source)> {
        let opened = |loaded: &'_ Loaded| loaded.image.get().map(|image| image.source);
        self.modules
            .iter()
            .filter_map(move |l| Some((&l.module, opened(l)?)))
    }

    fn frame(&self, cpu: &Cpu, lookup: u64, how: How) -> Frame {
        let (image, module) = self.image_and_module_at(lookup).unzip();
        let base = module.map_or(0, |module| module.range.start);
        Frame {
            ip: cpu.ip,
            sp: cpu.sp(),
            module: module.map(|module| module.name().to_owned()),
            offset: cpu.ip.wrapping_sub(base),
            symbol: image.and_then(|image| image.symbol(lookup, cpu.ip)),
            how,
            is_signal_frame: false,
        }
    }

    fn loaded_at(&self, address: u64) -> Option<&Loaded> {
        let after = self
            .modules
            .partition_point(|l| l.module.range.start <= address);
        let loaded = self.modules.get(after.checked_sub(1)?)?;
        loaded.module.range.contains(address).then_some(loaded)
    }

    fn module_at(&self, address: u64) -> Option<&Module> {
        self.loaded_at(address).map(|loaded| &loaded.module)
    }

    fn image_at(&self, address: u64) -> Option<&Image> {
        self.image_and_module_at(address).map(|(image, _)| image)
    }

    fn image_and_module_at(&self, address: u64) -> Option<(&Image, &Module)> {
        let loaded = self.loaded_at(address)?;
        let image = self.image(loaded);
        image.holds(address).then_some((image, &loaded.module))
    }

    fn image<'s>(&'s self, loaded: &'s Loaded) -> &'s Image {
        let architecture = self.snapshot.system.architecture;
        let open = || Image::open(&loaded.module, architecture, self.memory, &self.files);
        loaded.image.get_or_init(open)
    }

    /// Whether code lies, or may lie, at `address`.
    ///
    /// Situation: gcore leaves the code of programs out, with its protection, so that only the
    /// list of mapped files tells of it. What is not writable there may be code.
    fn is_code(&self, address: u64) -> bool {
        let in_module = || self.module_at(address).is_some();
        match self.snapshot.region_at(address) {
            Some(region) => region.protection.execute || (!region.protection.write && in_module()),
            None => in_module(),
        }
    }

    /// A little-endian word of 1 to 8 bytes in the process.
    fn word(&self, address: u64, size: u8) -> Option<u64> {
        let mut word = [0; 8];
        let bytes = word.get_mut(..usize::from(size))?;
        self.memory
            .read_all(address, bytes)
            .then(|| u64::from_le_bytes(word))
    }

    /// Fills `code` from `address` on, from memory or else from the module's file.
    fn code(&self, address: u64, code: &mut [u8]) -> bool {
        self.memory.read_all(address, code)
            || self
                .image_at(address)
                .is_some_and(|image| image.read(address, code))
    }
}

/// `AT_SYSINFO_EHDR` (getauxval(3)): where the kernel put its page of code.
const VDSO: u64 = 33;

/// The vdso, where the snapshot does not list it among the modules: cores of the kernel and of
/// gcore do not.
fn vdso(snapshot: &Snapshot) -> Option<Module> {
    let base = snapshot.process.aux(VDSO)?;
    if snapshot.module_at(base).is_some() {
        return None;
    }
    let region = snapshot.region_at(base)?;
    Some(Module {
        range: region.range,
        path: "[vdso]".to_owned(),
        ..Module::default()
    })
}

#[cfg(test)]
mod tests;
