//! A Windows process as a [`Target`], by its open handle, which never becomes another process's.

use super::{
    debug_loop::SharedDebugLoop, facts, fault::Fault, memory::LiveMemory, process::Process,
};
use crate::{Capture, CaptureOptions, Error, ErrorKind, Facts, Result, Target};
use snapshot::{Memory, ProcessKey, WallTime};
use std::{sync::Arc, time::SystemTime};
use windows_sys::Win32::System::Threading::{
    PROCESS_CREATE_PROCESS, PROCESS_CREATE_THREAD, PROCESS_DUP_HANDLE, PROCESS_QUERY_INFORMATION,
    PROCESS_SET_INFORMATION, PROCESS_SUSPEND_RESUME, PROCESS_VM_OPERATION, PROCESS_VM_READ,
    PROCESS_VM_WRITE,
};

/// The rights that reading its memory needs.
const READ: u32 = PROCESS_QUERY_INFORMATION | PROCESS_VM_READ;
/// The rights that a state change and a debugger need.
const DEBUG: u32 = READ
    | PROCESS_SET_INFORMATION
    | PROCESS_SUSPEND_RESUME
    | PROCESS_VM_OPERATION
    | PROCESS_VM_WRITE
    | PROCESS_CREATE_THREAD
    | PROCESS_DUP_HANDLE;
/// The right that a clone needs, too (`PssCaptureSnapshot`, `PSS_CAPTURE_VA_CLONE`).
const CLONE: u32 = DEBUG | PROCESS_CREATE_PROCESS;

/// A Windows process of which dumps can be taken.
pub(crate) struct WindowsTarget {
    /// The open process.
    pub(super) process: Arc<Process>,
    /// The facts that were read last, until a capture takes them.
    pub(super) facts: Option<Facts>,
    /// The crash of the process, if it has crashed and the system waits for us.
    pub(super) fault: Option<Fault>,
    /// Whether the 64-bit side of a 32-bit process is shown.
    wide: bool,
}

impl WindowsTarget {
    /// Opens the process. Nothing is stopped yet.
    ///
    /// # Errors
    /// If it has ended, we may not read it, or it is ourselves.
    pub(crate) fn attach(key: ProcessKey) -> Result<Self> {
        if key.pid == std::process::id() {
            let what = "firstchance cannot dump itself";
            return Err(Error::new(ErrorKind::NotPermitted, what));
        }
        // A user who may only read can still take a dump with --no-stop.
        let process = Process::open(key, CLONE)
            .or_else(|_| Process::open(key, DEBUG))
            .or_else(|_| Process::open(key, READ))?;
        Ok(Self {
            process: Arc::new(process),
            facts: None,
            fault: None,
            wide: false,
        })
    }

    /// Opens a process that has crashed.
    pub(crate) fn crashed(key: ProcessKey, fault: Fault) -> Result<Self> {
        let mut target = Self::attach(key)?;
        target.fault = Some(fault);
        Ok(target)
    }
}

impl Target for WindowsTarget {
    fn key(&self) -> ProcessKey {
        self.process.key
    }

    fn show_wide(&mut self, wide: bool) {
        self.wide = wide;
        self.facts = None;
    }

    fn facts(&mut self) -> Result<Facts> {
        Ok(self.facts_by(None))
    }

    fn memory(&self) -> Arc<dyn Memory> {
        self.live_memory()
    }

    fn capture(&mut self, options: &CaptureOptions) -> Result<Capture> {
        self.capture_by(options, None)
    }
}

impl WindowsTarget {
    /// Returns whether the process is shown as one of 32 bits.
    pub(super) fn is_narrow(&self) -> bool {
        !self.wide && self.process.is_narrow()
    }

    /// Reads the facts. `events` is the debug loop that follows the process, if one does: it knows
    /// modules that are not in the loader's list yet.
    pub(super) fn facts_by(&mut self, events: Option<&SharedDebugLoop>) -> Facts {
        let memory = self.live_memory();
        let mut facts = facts::gather(&self.process, &memory, self.is_narrow());
        if let Some(events) = events {
            let size = |base| size_of_image(&*memory, base);
            events.borrow().add_modules(&mut facts.modules, size);
        }
        self.facts = Some(facts.clone());
        facts
    }

    /// Returns the memory of the running process.
    pub(super) fn live_memory(&self) -> Arc<dyn Memory> {
        Arc::new(LiveMemory::new(self.process.clone()))
    }
}

/// Returns the size in bytes of the module at this base address (`SizeOfImage` of the PE format:
/// `e_lfanew` at 0x3c, and 0x50 behind it).
fn size_of_image(memory: &dyn Memory, base: u64) -> Option<u32> {
    let header = u64::from(memory.read_u32(base + 0x3c)?);
    memory.read_u32(base + header + 0x50)
}

/// Returns the time of day.
pub(super) fn wall_now() -> WallTime {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    WallTime(since.as_nanos() as i64)
}
