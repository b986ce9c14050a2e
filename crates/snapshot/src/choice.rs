//! What a callback routine of a user's DLL chooses of a process (ProcDump's `-md`), in the terms of
//! `MINIDUMP_CALLBACK_TYPE`, `THREAD_WRITE_FLAGS` and `MODULE_WRITE_FLAGS` of Microsoft's `minidumpapiset.h`.

use crate::{Range, Snapshot, SparseBytes};
use std::collections::BTreeMap;

/// The flags of a thread: itself, its stack, its registers, code around its instruction, its TEB.
pub const THREAD: u32 = 0x01;
/// See [`THREAD`].
pub const THREAD_STACK: u32 = 0x02;
/// See [`THREAD`].
pub const THREAD_CONTEXT: u32 = 0x04;
/// See [`THREAD`].
pub const THREAD_CODE: u32 = 0x10;
/// See [`THREAD`].
pub const THREAD_DATA: u32 = 0x20;
/// Every flag that a thread can have.
pub const WHOLE_THREAD: u32 = 0x7f;

/// The flags of a module: itself, its variables, the identity of its PDB, whether a stack refers to it, its code.
pub const MODULE: u32 = 0x01;
/// See [`MODULE`].
pub const MODULE_DATA: u32 = 0x02;
/// See [`MODULE`].
pub const MODULE_PDB: u32 = 0x08;
/// See [`MODULE`].
pub const MODULE_REFERENCED: u32 = 0x10;
/// See [`MODULE`].
pub const MODULE_CODE: u32 = 0x40;
/// What a module has unless the routine says otherwise: `ModuleWriteMiscRecord` and `ModuleWriteTlsData` are promised, too.
pub const USUAL_MODULE: u32 = MODULE | 0x04 | MODULE_PDB | 0x20;

/// What a callback routine is told of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// The threads, as they would be in the dump.
    pub threads: Vec<OfferedThread>,
    /// The modules, as they would be in the dump.
    pub modules: Vec<OfferedModule>,
}

/// What the routine is told of a thread.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OfferedThread {
    /// The thread id.
    pub id: u32,
    /// Its registers as a `CONTEXT` of its processor; empty if they are not known.
    pub context: Vec<u8>,
    /// Its stack in use.
    pub stack: Range,
}

/// What the routine is told of a module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OfferedModule {
    /// Its addresses.
    pub range: Range,
    /// Its full path.
    pub path: String,
    /// `CheckSum` of its header.
    pub checksum: u32,
    /// `TimeDateStamp` of its header.
    pub timestamp: u32,
    /// Its version, as a `VS_FIXEDFILEINFO`.
    pub version: Vec<u8>,
    /// The identity of its PDB, as a CodeView record; empty if there is none.
    pub codeview: Vec<u8>,
    /// The flags that it has unless the routine changes them.
    pub flags: u32,
}

/// What the routine has chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// The flags of each thread, by its id. A thread that is not among them is left out.
    pub threads: BTreeMap<u32, u32>,
    /// The flags of each module, by its first address. A module that is not among them is left out.
    pub modules: BTreeMap<u64, u32>,
    /// Memory that is added.
    pub added: Vec<Range>,
    /// Memory that is removed.
    pub removed: Vec<Range>,
}

impl Choice {
    /// Whether a thread has this flag.
    pub(crate) fn of_thread(&self, id: u32, flag: u32) -> bool {
        has(self.threads.get(&id), THREAD) && has(self.threads.get(&id), flag)
    }

    /// Whether a module has this flag.
    pub(crate) fn of_module(&self, base: u64, flag: u32) -> bool {
        has(self.modules.get(&base), MODULE) && has(self.modules.get(&base), flag)
    }

    /// Removes from the snapshot what is not chosen: threads, modules, registers, identities of PDBs.
    pub fn restrict(&self, snapshot: &mut Snapshot) {
        let threads = &mut snapshot.threads;
        threads.retain(|thread| self.of_thread(thread.id, THREAD));
        for thread in threads {
            if !self.of_thread(thread.id, THREAD_CONTEXT) {
                thread.registers = None;
                thread.extended = SparseBytes::default();
            }
        }
        let modules = &mut snapshot.modules;
        modules.retain(|module| self.of_module(module.range.start, MODULE));
        for module in modules {
            if !self.of_module(module.range.start, MODULE_PDB) {
                module.codeview = None;
            }
        }
    }
}

fn has(flags: Option<&u32>, flag: u32) -> bool {
    flags.is_some_and(|flags| flags & flag != 0)
}
