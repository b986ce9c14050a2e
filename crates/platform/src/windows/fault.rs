use snapshot::{Exception, Registers, SparseBytes, Thread};

/// What a process has crashed of, and the registers that its thread had then.
pub(crate) struct Fault {
    pub(crate) exception: Exception,
    pub(super) registers: Registers,
    pub(super) extended: SparseBytes,
}

impl Fault {
    /// The thread has gone on since, to wait for the debugger: it is shown as it was.
    pub(crate) fn put_to(&self, threads: &mut [Thread]) {
        let mut threads = threads.iter_mut();
        if let Some(thread) = threads.find(|thread| thread.id == self.exception.thread) {
            thread.registers = Some(self.registers);
            thread.extended = self.extended.clone();
        }
    }
}
