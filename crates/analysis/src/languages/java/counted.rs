//! Memory that is read a limited number of times: what is damaged or made to do harm has loops in loops, and all come to an end.

use snapshot::Memory;
use std::sync::atomic::{AtomicU64, Ordering};

/// The most reads for one virtual machine. A stack of 300,000 different frames takes ten million.
const MOST: u64 = 1 << 26;

/// Memory, and how often it was read so far.
#[derive(Clone, Copy)]
pub(super) struct Counted<'a> {
    pub(super) memory: &'a dyn Memory,
    pub(super) reads: &'a AtomicU64,
}

impl Memory for Counted<'_> {
    fn read(&self, address: u64, buf: &mut [u8]) -> usize {
        match self.reads.fetch_add(1, Ordering::Relaxed) < MOST {
            true => self.memory.read(address, buf),
            false => 0,
        }
    }

    fn read_c_string(&self, address: u64, limit: usize) -> Option<Vec<u8>> {
        let may_read = self.reads.fetch_add(1, Ordering::Relaxed) < MOST;
        may_read.then(|| self.memory.read_c_string(address, limit))?
    }
}
