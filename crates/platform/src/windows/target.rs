//! One process, held by its handle: its pid cannot be another's meanwhile.

use super::{
    debug_loop::SharedDebugLoop, facts, fault::Fault, memory::LiveMemory, process::Process,
};
use crate::{Capture, CaptureOptions, Error, ErrorKind, Facts, Result, Target};
use snapshot::{Memory, ProcessKey, WallTime};
use std::{sync::Arc, time::SystemTime};
use windows_sys::Win32::System::Threading::{
    PROCESS_CREATE_THREAD, PROCESS_DUP_HANDLE, PROCESS_QUERY_INFORMATION, PROCESS_SET_INFORMATION,
    PROCESS_SUSPEND_RESUME, PROCESS_VM_OPERATION, PROCESS_VM_READ, PROCESS_VM_WRITE,
};

/// What reading its memory takes.
const READ: u32 = PROCESS_QUERY_INFORMATION | PROCESS_VM_READ;
/// What a state change and a debugger need.
const DEBUG: u32 = READ
    | PROCESS_SET_INFORMATION
    | PROCESS_SUSPEND_RESUME
    | PROCESS_VM_OPERATION
    | PROCESS_VM_WRITE
    | PROCESS_CREATE_THREAD
    | PROCESS_DUP_HANDLE;

/// A Windows process.
pub(crate) struct WindowsTarget {
    pub(super) process: Arc<Process>,
    pub(super) facts: Option<Facts>,
    /// It has crashed, and somebody waits for us.
    pub(super) fault: Option<Fault>,
}

impl WindowsTarget {
    pub(crate) fn attach(key: ProcessKey) -> Result<Self> {
        if key.pid == std::process::id() {
            let what = "firstchance cannot dump itself";
            return Err(Error::new(ErrorKind::NotPermitted, what));
        }
        // Whoever may only read may still take a dump with --no-stop.
        let process = Process::open(key, DEBUG).or_else(|_| Process::open(key, READ))?;
        Ok(Self {
            process: Arc::new(process),
            facts: None,
            fault: None,
        })
    }

    /// One that has crashed, with what is known of that.
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
    /// Its facts; a debug loop knows of images that the loader has not noted yet.
    pub(super) fn facts_by(&mut self, events: Option<&SharedDebugLoop>) -> Facts {
        let memory = self.live_memory();
        let mut facts = facts::gather(&self.process, &memory);
        if let Some(events) = events {
            let size = |base| size_of_image(&*memory, base);
            events.borrow().add_modules(&mut facts.modules, size);
        }
        self.facts = Some(facts.clone());
        facts
    }

    pub(super) fn live_memory(&self) -> Arc<dyn Memory> {
        Arc::new(LiveMemory::new(self.process.clone()))
    }
}

/// `SizeOfImage` of the image at this base (PE format: `e_lfanew` at 0x3c, and 0x50 behind it).
fn size_of_image(memory: &dyn Memory, base: u64) -> Option<u32> {
    let header = u64::from(memory.read_u32(base + 0x3c)?);
    memory.read_u32(base + header + 0x50)
}

pub(super) fn wall_now() -> WallTime {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    WallTime(since.as_nanos() as i64)
}
