//! Made-up memory for tests.

use snapshot::Memory;

/// Memory from 0x1000 on.
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl Memory for Bytes {
    fn read(&self, address: u64, buffer: &mut [u8]) -> usize {
        let at = address
            .checked_sub(0x1000)
            .map_or(usize::MAX, |at| at as usize);
        let rest = self.0.get(at..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        count
    }
}
