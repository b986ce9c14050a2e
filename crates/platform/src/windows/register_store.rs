//! Room for the extended registers of many threads.

use snapshot::SparseBytes;

/// Keeps the extended registers of a process's threads, in memory: Windows gives us at most 2,696
/// bytes of them for each thread, most of which are zeros.
#[derive(Default)]
pub struct RegisterStore(());

impl RegisterStore {
    /// Keeps these bytes.
    pub fn keep(&mut self, bytes: &[u8]) -> SparseBytes {
        SparseBytes::new(bytes)
    }
}
