//! Breakpoints: one byte of code replaced by `int3`, which its threads step over.
//!
//! While the process stands for something that is told, its code is its own again: a dump shows it
//! as it is, and our death in that time costs nothing. At any other time the bytes are in place, and
//! the process would die of the first one after our death.

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
/// The flag that makes a thread stop after its next instruction.
const TRAP_FLAG: u32 = 0x100;

/// Those of one process.
pub(crate) struct Breakpoints {
    process: Arc<Process>,
    /// By address.
    places: BTreeMap<u64, Breakpoint>,
    /// Whether the bytes are in place, all of them but the one that is stepped over.
    planted: bool,
    /// Threads that step over one.
    steps: BTreeSet<u32>,
    /// Where breakpoints have been: threads may have run into one of them just before.
    removed: BTreeSet<u64>,
}

struct Breakpoint {
    number: u32,
    module: u64,
    /// The byte that is the program's own.
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

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// These and no others; what could not be had.
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

    /// Shown to be possible by writing what is there already.
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

    /// The image at this base is gone, and what was written into it.
    pub(crate) fn forget(&mut self, module: u64) {
        self.places
            .retain(|_, breakpoint| breakpoint.module != module);
    }

    /// Puts the bytes into place, but for one.
    pub(crate) fn plant(&mut self, but: Option<u64>) {
        for at in self.places.keys().filter(|at| Some(**at) != but) {
            let _ = self.write(*at, INT3);
        }
        self.planted = !self.places.is_empty();
    }

    /// Gives the program its own bytes back.
    pub(crate) fn lift(&mut self) {
        if std::mem::take(&mut self.planted) {
            for (at, breakpoint) in &self.places {
                let _ = self.write(*at, breakpoint.own);
            }
        }
    }

    /// A thread ran into `int3`: the number of the place, if it is one of ours. The thread is put
    /// back to it. `Some(None)` of one that is no longer.
    pub(crate) fn hit(&mut self, thread: u32, at: u64) -> Option<Option<u32>> {
        let number = self.places.get(&at).map(|breakpoint| breakpoint.number);
        if number.is_none() && !self.removed.contains(&at) {
            return None;
        }
        let _ = change(thread, |context| context.Rip = at);
        Some(number)
    }

    /// Lets the thread that stands at a place go on behind it, when the process goes on.
    pub(crate) fn step_over(&mut self, thread: u32, at: u64) {
        let stepping = change(thread, |context| context.EFlags |= TRAP_FLAG).is_ok();
        if stepping {
            self.steps.insert(thread);
        }
        self.plant(Some(at));
    }

    /// The thread does something: it has left the place that it stepped over. Whether its step is
    /// what it tells.
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

    /// Whether a thread may yet report something that is ours.
    pub(crate) fn is_open(&self) -> bool {
        !self.steps.is_empty()
    }

    fn read(&self, at: u64) -> io::Result<u8> {
        let mut byte = 0;
        let from = std::ptr::without_provenance(at as usize);
        // SAFETY: the call writes one byte to a place for one.
        check(unsafe {
            let to = (&raw mut byte).cast();
            ReadProcessMemory(self.process.raw(), from, to, 1, std::ptr::null_mut())
        })?;
        Ok(byte)
    }

    fn write(&self, at: u64, byte: u8) -> io::Result<()> {
        let to = std::ptr::without_provenance(at as usize);
        let from = (&raw const byte).cast();
        // SAFETY: one byte is read here; what is written there is for the caller to know.
        check(unsafe {
            WriteProcessMemory(self.process.raw(), to, from, 1, std::ptr::null_mut())
        })?;
        // SAFETY: a range in another process, of which only what is cached is given up.
        check(unsafe { FlushInstructionCache(self.process.raw(), to, 1) })
    }
}

/// Changes the registers of a thread that stands at a debug event.
fn change(thread: u32, work: impl FnOnce(&mut CONTEXT)) -> io::Result<()> {
    // SAFETY: the handle is ours.
    let thread = unsafe {
        own(OpenThread(
            THREAD_GET_CONTEXT | THREAD_SET_CONTEXT,
            0,
            thread,
        ))
    }?;
    let mut context = AlignedContext::wanting(CONTEXT_CONTROL_AMD64);
    // SAFETY: an aligned structure that says what is wanted; the thread stands.
    check(unsafe { GetThreadContext(raw(&thread), &raw mut context.0) })?;
    work(&mut context.0);
    // SAFETY: the same registers, as they were but for what was to be changed.
    check(unsafe { SetThreadContext(raw(&thread), &raw const context.0) })
}
