//! What can be known of a process at one instant: the vocabulary of the whole program.
//!
//! Everything here is a plain value, except [`Memory`], the one trait: the bytes of a process are
//! too many to hold and are fetched while a dump is written.
//! The crate makes no system call, reads no clock, and knows neither ELF nor minidumps.
//! A value looks the same whether it came from a live process, a dump file or a test.

pub mod auxv;
mod bytes;
mod event;
mod exception;
mod kind;
pub mod maps;
mod memory;
mod module;
mod process;
mod range;
mod region;
mod registers;
mod sample;
mod select;
mod signal;
mod system;
mod thread;
mod time;
mod trail;

pub use bytes::SparseBytes;
pub use event::{Sender, TargetEvent};
pub use exception::Exception;
pub use kind::{DumpFormat, DumpKind, ParseKindError};
pub use memory::{FileBytes, Memory, NoMemory};
pub use module::{CodeView, Module};
pub use process::{Handle, Process, ProcessKey, User};
pub use range::{Range, coalesce, total_bytes};
pub use region::{Protection, Region, RegionKind};
pub use registers::{Aarch64, Registers, X86, X86_64};
pub use sample::{Measure, Sample};
pub use select::{Detail, Selection, select};
pub use signal::{signal_name, signal_number};
pub use system::{Architecture, OperatingSystem, System};
pub use thread::{Thread, ThreadState};
pub use time::{Time, WallTime};
pub use trail::Trail;

/// A process as it was at one instant, all but its memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// When it was taken.
    pub taken: WallTime,
    /// The process itself.
    pub process: Process,
    /// The machine it ran on.
    pub system: System,
    /// Its threads; the faulting one first where there is a fault, else the leader first.
    pub threads: Vec<Thread>,
    /// Its loaded images, by ascending base.
    pub modules: Vec<Module>,
    /// Images that were unloaded, the oldest first, as far as the system remembers them.
    pub unloaded: Vec<Module>,
    /// Its address space, ascending, without overlaps.
    pub regions: Vec<Region>,
    /// Its open descriptors or handles.
    pub handles: Vec<Handle>,
    /// The fault, if one is the reason for the dump.
    pub exception: Option<Exception>,
}

impl Snapshot {
    /// The region that holds `address`.
    pub fn region_at(&self, address: u64) -> Option<&Region> {
        let after = self.regions.partition_point(|r| r.range.start <= address);
        let region = self.regions.get(after.checked_sub(1)?)?;
        region.range.contains(address).then_some(region)
    }

    /// The module whose image holds `address`.
    pub fn module_at(&self, address: u64) -> Option<&Module> {
        let after = self.modules.partition_point(|m| m.range.start <= address);
        let module = self.modules.get(after.checked_sub(1)?)?;
        module.range.contains(address).then_some(module)
    }
}

/// Something that did not go as wished but did not stop the dump: a sentence for a person.
pub type Warning = String;
