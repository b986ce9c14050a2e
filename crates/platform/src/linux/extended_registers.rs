//! Reading the extended registers (floating point, vectors) of stopped threads.

use super::{RegisterStore, arch};
use snapshot::SparseBytes;

/// Reads the extended registers of one thread after the other, and keeps them.
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
    /// Returns the extended registers of a thread that is traced and stopped; empty if they cannot
    /// be read.
    pub(super) fn read(&mut self, tid: i32) -> SparseBytes {
        match arch::extended(tid, &mut self.buffer) {
            Ok(bytes) => self.store.keep(&bytes),
            Err(_) => SparseBytes::default(),
        }
    }
}
