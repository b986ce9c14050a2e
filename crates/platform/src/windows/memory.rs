//! The memory of a live process, or of its clone.

use super::{clone::Clone, process::Process};
use snapshot::Memory;
use std::sync::Arc;
use windows_sys::Win32::{Foundation::HANDLE, System::Diagnostics::Debug::ReadProcessMemory};

/// Reads memory by `ReadProcessMemory`.
pub(crate) struct LiveMemory {
    source: Source,
}

enum Source {
    Process(Arc<Process>),
    Clone(Arc<Clone>),
}

const PAGE: u64 = 4096;

impl LiveMemory {
    /// Reads the memory of `process`, which must be open with the right to read it.
    pub(crate) fn new(process: Arc<Process>) -> Self {
        let source = Source::Process(process);
        Self { source }
    }

    /// Reads the memory of a clone, which lives until its last reader is dropped.
    pub(crate) fn of_clone(clone: Arc<Clone>) -> Self {
        let source = Source::Clone(clone);
        Self { source }
    }

    fn raw(&self) -> HANDLE {
        match &self.source {
            Source::Process(process) => process.raw(),
            Source::Clone(clone) => clone.raw(),
        }
    }
}

impl Memory for LiveMemory {
    fn read(&self, address: u64, buffer: &mut [u8]) -> usize {
        if crate::failpoint("read-memory").is_err() {
            return 0;
        }
        let mut done = 0;
        while done < buffer.len() {
            let at = address + done as u64;
            let mut got = read_once(self.raw(), at, &mut buffer[done..]);
            if got == 0 {
                // The whole range was refused: perhaps its first page can be read alone.
                let to_page_end = (PAGE - at % PAGE).min((buffer.len() - done) as u64) as usize;
                got = read_once(self.raw(), at, &mut buffer[done..done + to_page_end]);
            }
            if got == 0 {
                break;
            }
            done += got;
        }
        done
    }
}

/// Reads by one call, and returns how many bytes were read.
fn read_once(process: HANDLE, address: u64, buffer: &mut [u8]) -> usize {
    let mut got = 0;
    // SAFETY: the call writes at most `size` bytes to the buffer, and tells how many.
    unsafe {
        let from = std::ptr::without_provenance::<core::ffi::c_void>(address as usize);
        let (to, size) = (buffer.as_mut_ptr().cast(), buffer.len());
        ReadProcessMemory(process, from, to, size, &raw mut got);
    }
    got.min(buffer.len())
}
