//! The extended registers of the threads of a process.

use super::{RegisterStore, arch};
use snapshot::SparseBytes;

/// Reads the extended registers of the threads of one process, one thread after the other, and
/// keeps them.
pub(super) struct ExtendedReader {
    buffer: Vec<u8>,
    store: RegisterStore,
}

impl Default for ExtendedReader {
    fn default() -> Self {
        Self {
            buffer: arch::extended_buffer(),
            store: RegisterStore::default(),
        }
    }
}

impl ExtendedReader {
    /// Those of a thread that is traced and stands; empty if they cannot be read.
    pub(super) fn read(&mut self, tid: i32) -> SparseBytes {
        match arch::extended(tid, &mut self.buffer) {
            Ok(bytes) => self.store.keep(&bytes),
            Err(_) => SparseBytes::default(),
        }
    }
}
