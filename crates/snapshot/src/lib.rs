//! What is known of a process at one instant: the types that all other crates share.
//!
//! Everything here is a plain value, except [`Memory`], the one trait: the bytes of a process are
//! too many to hold, and are read while a dump is written. A value is the same whether it comes
//! from a live process, a dump file or a test. Nothing here calls the system, reads a clock, or
//! knows ELF or minidumps.

pub mod auxv;
mod bytes;
pub mod choice;
mod compression;
mod event;
mod exception;
mod function_table;
mod guarded;
mod kind;
pub mod maps;
mod memory;
mod module;
mod process;
mod range;
mod recent_pages;
mod recording;
mod region;
mod registers;
mod sample;
mod script;
mod select;
mod signal;
mod system;
mod text;
mod thread;
mod time;
mod trail;
mod wow64;
pub mod xsave;

pub use bytes::SparseBytes;
pub use compression::Compression;
pub use event::{EndStatus, Sender, TargetEvent};
pub use exception::{Exception, Told};
pub use function_table::FunctionTable;
pub use guarded::Guarded;
pub use kind::{Detail, DumpFormat, DumpKind, ParseKindError};
pub use memory::{FileBytes, FileContent, Memory, NoMemory};
pub use module::{CodeView, Module};
pub use process::{Handle, Process, ProcessKey, User, command_name, program_of};
pub use range::{Range, coalesce, total_bytes, without};
pub use recent_pages::RecentPages;
pub use recording::Recording;
pub use region::{FileFacts, FileKey, ObjectKey, Protection, Region, RegionKind, shared_bytes};
pub use registers::{Aarch64, Arm, Registers, RiscV64, X86, X86_64};
pub use sample::{Measure, Sample};
pub use script::{script, script_of};
pub use select::{
    AbsentFile, Selection, added_in_vain, mapped_bytes, modules_on_stacks, select, select_chosen,
    without_stack,
};
pub use signal::{signal_name, signal_number};
pub use system::{Architecture, ForeignSystem, OperatingSystem, System};
pub use text::{disturbs_text, fold_case, same_name};
pub use thread::{Thread, ThreadState, ThreadTimes};
pub use time::{Time, WallTime};
pub use trail::Trail;
pub use wow64::narrow_teb;
pub use xsave::XsaveLayout;

/// A process at one instant, without its memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// The time at which it was taken.
    pub taken: WallTime,
    /// The process itself.
    pub process: Process,
    /// The machine it ran on.
    pub system: System,
    /// Its threads. The first is the one with the exception, or the leader if there is none.
    pub threads: Vec<Thread>,
    /// Its loaded images, by ascending base.
    pub modules: Vec<Module>,
    /// Images that were unloaded, the earliest first; the system remembers only the last ones.
    pub unloaded: Vec<Module>,
    /// The function tables of code that the process made itself, on Windows.
    pub function_tables: Vec<FunctionTable>,
    /// Its address space, ascending, without overlaps.
    pub regions: Vec<Region>,
    /// Its open descriptors or handles.
    pub handles: Vec<Handle>,
    /// The exception, if one is the reason for the dump.
    pub exception: Option<Exception>,
}

impl Snapshot {
    /// The region that holds `address`; `None` if there is none.
    pub fn region_at(&self, address: u64) -> Option<&Region> {
        let after = self.regions.partition_point(|r| r.range.start <= address);
        let region = self.regions.get(after.checked_sub(1)?)?;
        region.range.contains(address).then_some(region)
    }

    /// The module whose image holds `address`; `None` if there is none.
    pub fn module_at(&self, address: u64) -> Option<&Module> {
        let after = self.modules.partition_point(|m| m.range.start <= address);
        let module = self.modules.get(after.checked_sub(1)?)?;
        module.range.contains(address).then_some(module)
    }
}

/// A problem that did not prevent the dump, as a sentence for the user.
pub type Warning = String;
