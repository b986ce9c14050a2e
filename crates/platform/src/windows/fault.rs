//! A crash as the system told it, put into the threads of a snapshot.

use snapshot::{Exception, Registers, SparseBytes, Thread};

/// The exception that a process has crashed of, and the registers of its thread at that moment.
pub(crate) struct Fault {
    pub(crate) exception: Exception,
    pub(super) registers: Registers,
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
