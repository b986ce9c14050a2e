//! Breakpoints in a debugged process: the first byte of an instruction is replaced by `int3`. A
//! thread that ran into it steps over the place while the program's own byte is restored.
//!
//! While the process stands for an event that is reported, all its own bytes are restored: a dump
//! shows the code as it is, and our death at that time costs nothing. At any other time the bytes
//! are in place, and after our death the process would die of the first one that it runs into.

use super::{
    context::AlignedContext,
    process::Process,
    sys::{check, own, raw},
};
use crate::ArmedPlace;
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::Arc,
};
use windows_sys::Win32::System::{
    Diagnostics::Debug::{
        CONTEXT, CONTEXT_CONTROL_AMD64, FlushInstructionCache, GetThreadContext, ReadProcessMemory,
        SetThreadContext, WriteProcessMemory,
    },
    Threading::{OpenThread, THREAD_GET_CONTEXT, THREAD_SET_CONTEXT},
};

const INT3: u8 = 0xcc;
/// The flag of EFLAGS that makes a thread stop after its next instruction (TF; Intel SDM volume 3B,
/// §18.3.1.4).
const TRAP_FLAG: u32 = 0x100;

/// The breakpoints of one process.
pub(crate) struct Breakpoints {
    process: Arc<Process>,
    /// The breakpoints by address.
    places: BTreeMap<u64, Breakpoint>,
    /// Whether the `int3` bytes are in place, all but the one that is stepped over.
    planted: bool,
    /// The ids of threads that are stepping over a breakpoint.
    steps: BTreeSet<u32>,
    /// Where breakpoints have been removed: a thread may have run into one just before.
    removed: BTreeSet<u64>,
}

struct Breakpoint {
    number: u32,
    module: u64,
    /// The byte that belongs to the program.
    own: u8,
}

impl Breakpoints {
    pub(crate) fn new(process: Arc<Process>) -> Self {
        Self {
            process,
            places: BTreeMap::new(),
            planted: false,
            steps: BTreeSet::new(),
            removed: BTreeSet::new(),
        }
    }

    /// Returns whether there are no breakpoints.
    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Sets these breakpoints and removes all others. Returns in sentences which ones could not be
    /// set.
    pub(crate) fn want(&mut self, wanted: &[ArmedPlace]) -> Vec<String> {
        let address = |place: &ArmedPlace| place.module.range.start.wrapping_add(place.offset);
        let planted = self.planted;
        self.lift();
        let stays: BTreeSet<u64> = wanted.iter().map(address).collect();
        let leaves = self.places.keys().filter(|at| !stays.contains(at));
        self.removed.extend(leaves.copied().collect::<Vec<_>>());
        self.places.retain(|at, _| stays.contains(at));
        let mut lacking = Vec::new();
        for place in wanted {
            if let Err(error) = self.add(address(place), place) {
                let (path, offset) = (&place.module.path, place.offset);
                lacking.push(format!(
                    "no breakpoint could be put at {path}+{offset:#x}: {error}"
                ));
            }
        }
        if planted {
            self.plant(None);
        }
        lacking
    }

    /// Adds a breakpoint, after trying whether its byte can be written: with the value that it has.
    fn add(&mut self, at: u64, place: &ArmedPlace) -> io::Result<()> {
        if self.places.contains_key(&at) {
            return Ok(());
        }
        let own = self.read(at)?;
        self.write(at, own)?;
        self.removed.remove(&at);
        let (number, module) = (place.number, place.module.range.start);
        self.places.insert(
            at,
            Breakpoint {
                number,
                module,
                own,
            },
        );
        Ok(())
    }

    /// Forgets the breakpoints of a module that was unloaded.
    pub(crate) fn forget(&mut self, module: u64) {
        self.places
            .retain(|_, breakpoint| breakpoint.module != module);
    }

    /// Writes all `int3` bytes but the one at address `but`.
    pub(crate) fn plant(&mut self, but: Option<u64>) {
        for at in self.places.keys().filter(|at| Some(**at) != but) {
            let _ = self.write(*at, INT3);
        }
        self.planted = !self.places.is_empty();
    }

    /// Restores the program's own bytes.
    pub(crate) fn lift(&mut self) {
        if std::mem::take(&mut self.planted) {
            for (at, breakpoint) in &self.places {
                let _ = self.write(*at, breakpoint.own);
            }
        }
    }

    /// Handles a thread that ran into `int3`. If it is a breakpoint of ours, the thread is set back
    /// to that address, and the number of the place is returned: `Some(None)` for a breakpoint that
    /// was removed since. Returns `None` if the `int3` is the program's own.
    pub(crate) fn hit(&mut self, thread: u32, at: u64) -> Option<Option<u32>> {
        let number = self.places.get(&at).map(|breakpoint| breakpoint.number);
        if number.is_none() && !self.removed.contains(&at) {
            return None;
        }
        let _ = change(thread, |context| context.Rip = at);
        Some(number)
    }

    /// Prepares the thread that stands at a breakpoint to step over it when the process continues.
    pub(crate) fn step_over(&mut self, thread: u32, at: u64) {
        let stepping = change(thread, |context| context.EFlags |= TRAP_FLAG).is_ok();
        if stepping {
            self.steps.insert(thread);
        }
        self.plant(Some(at));
    }

    /// Handles any event of a thread: if it was stepping over a breakpoint, it has left that.
    /// Returns whether it was, so that a single-step exception is ours.
    pub(crate) fn stepped(&mut self, thread: u32) -> bool {
        let stepped = self.steps.remove(&thread);
        if stepped {
            let _ = change(thread, |context| context.EFlags &= !TRAP_FLAG);
            if self.planted {
                self.plant(None);
            }
        }
        stepped
    }

    /// Returns whether a thread may still report a step of ours.
    pub(crate) fn is_open(&self) -> bool {
        !self.steps.is_empty()
    }

    fn read(&self, at: u64) -> io::Result<u8> {
        let mut byte = 0;
        let from = std::ptr::without_provenance(at as usize);
        // SAFETY: the call writes at most one byte, to a live local.
        check(unsafe {
            let to = (&raw mut byte).cast();
            ReadProcessMemory(self.process.raw(), from, to, 1, std::ptr::null_mut())
        })?;
        Ok(byte)
    }

    fn write(&self, at: u64, byte: u8) -> io::Result<()> {
        let to = std::ptr::without_provenance(at as usize);
        let from = (&raw const byte).cast();
        // SAFETY: the call reads one byte here, from a live local. It writes to another process,
        // where Rust has no rules.
        check(unsafe {
            WriteProcessMemory(self.process.raw(), to, from, 1, std::ptr::null_mut())
        })?;
        // SAFETY: an open process. The call changes no memory: it drops what is cached of that
        // range.
        check(unsafe { FlushInstructionCache(self.process.raw(), to, 1) })
    }
}

/// Changes the registers of a thread that stands at a debug event.
fn change(thread: u32, work: impl FnOnce(&mut CONTEXT)) -> io::Result<()> {
    // SAFETY: the call returns a new handle that nobody else owns.
    let thread = unsafe {
        own(OpenThread(
            THREAD_GET_CONTEXT | THREAD_SET_CONTEXT,
            0,
            thread,
        ))
    }?;
    let mut context = AlignedContext::wanting(CONTEXT_CONTROL_AMD64);
    // SAFETY: an aligned structure whose flags ask for nothing that lies outside it; the thread
    // stands.
    check(unsafe { GetThreadContext(raw(&thread), &raw mut context.0) })?;
    work(&mut context.0);
    // SAFETY: the same structure, with the same flags; the thread stands.
    check(unsafe { SetThreadContext(raw(&thread), &raw const context.0) })
}
