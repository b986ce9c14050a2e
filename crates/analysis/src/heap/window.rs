//! Reads memory in steps of some bytes, in large pieces.

use snapshot::Memory;

/// How much is read at once, in bytes.
const SIZE: usize = 64 << 10;

/// A piece of memory that was read last.
pub(super) struct Window<'m> {
    memory: &'m dyn Memory,
    start: u64,
    bytes: Vec<u8>,
}

impl<'m> Window<'m> {
    pub(super) fn new(memory: &'m dyn Memory) -> Self {
        Self {
            memory,
            start: 0,
            bytes: Vec::new(),
        }
    }

    /// The bytes at an address; `None` if they are not in the dump.
    pub(super) fn get<const N: usize>(&mut self, at: u64) -> Option<[u8; N]> {
        if let Some(bytes) = self.held(at) {
            return Some(bytes);
        }
        self.bytes.resize(SIZE, 0);
        self.start = at;
        let got = self.memory.read(at, &mut self.bytes);
        self.bytes.truncate(got);
        self.held(at)
    }

    fn held<const N: usize>(&self, at: u64) -> Option<[u8; N]> {
        let from = usize::try_from(at.checked_sub(self.start)?).ok()?;
        self.bytes.get(from..)?.first_chunk().copied()
    }
}
