//! Storage for the extended registers of many threads.

use snapshot::SparseBytes;

/// Keeps the extended registers of a process's threads in memory: Windows tells us at most 2,696
/// bytes for each thread, most of which are zeros.
#[derive(Default)]
pub struct RegisterStore(());

impl RegisterStore {
    /// Keeps these bytes, without their zeros.
    pub fn keep(&mut self, bytes: &[u8]) -> SparseBytes {
        SparseBytes::new(bytes)
    }
}
