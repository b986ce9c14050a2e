//! A crash as the system told it, put into the threads of a snapshot.

use snapshot::{Exception, Registers, SparseBytes, Thread};

/// The exception that a process has crashed of, and the registers of its thread at that moment.
pub(crate) struct Fault {
    /// The exception, with the id of its thread.
    pub(crate) exception: Exception,
    /// The general registers of the thread.
    pub(super) registers: Registers,
    /// The extended registers of the thread, as an XSAVE area.
    pub(super) extended: SparseBytes,
}

impl Fault {
    /// Gives the thread its registers of the moment of the crash. It has run on since, to wait for
    /// the debugger.
    pub(crate) fn put_to(&self, threads: &mut [Thread]) {
        let mut threads = threads.iter_mut();
        if let Some(thread) = threads.find(|thread| thread.id == self.exception.thread) {
            thread.registers = Some(self.registers);
            thread.extended = self.extended.clone();
        }
    }
}
